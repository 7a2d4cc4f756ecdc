//! The plan of a container's creation, made anew from its configuration. What only that command's line asked for is not in it.
//! May touch: everything below.

use super::context::Context;
use crate::plan::{self, Plan, Wish};
use crate::spec;

/// The plan. `None`: the configuration has none. `waits`: the container was made by `create`, and waits for `start`.
pub fn plan(context: &Context, id: &str, bundle: &str, config: &[u8], waits: bool) -> Option<Plan> {
    let spec = spec::parse(config).ok()?;
    let base = context.cgroup_base(&spec);
    let wish = Wish { wait_for_start: waits, attached: !waits, cgroup_base: &base, ..context.wish(id, bundle) };
    plan::create(&spec, &wish).ok()
}
