//! The plan that `plan` shows of a bundle. May touch: everything below.

use super::bundle::Bundle;
use super::context::Context;
use super::watcher::watched;
use crate::outcome::Error;
use crate::plan::cgroup::scope::Manager;
use crate::plan::{self, Plan, Wish};
use crate::{cli, spec};

/// The plan. `path`: where it says that the bundle lies.
pub fn plan(context: &Context, options: &cli::PlanCmd, bundle: &Bundle, path: &str) -> Result<Plan, Error> {
    // The listing is the same for every user, as root would run it. A container in a user namespace is planned for the caller.
    let user = spec::namespace(&bundle.spec.linux, &spec::NamespaceKind::User).is_some();
    let host = &context.host;
    let (uid, gid) = if user { (host.uid, host.gid) } else { (0, 0) };
    let base = match user {
        true => context.cgroup_base(&bundle.spec),
        false => String::new(),
    };
    // systemd is not asked for its own cgroup: the listing is for any machine.
    let systemd = context.globals.cgroup_manager == cli::CgroupManager::Systemd;
    let manager = systemd.then(|| Manager { sockets: Vec::new(), base: String::new(), user: uid != 0 });
    let wish = Wish {
        id: options.id(),
        bundle: path,
        no_pivot: options.no_pivot,
        attached: true,
        cgroup: context.cgroup(),
        uid,
        gid,
        manager: manager.as_ref(),
        cgroup_base: &base,
        rootless: context.globals.rootless,
        watch: watched(None, &bundle.spec),
        ..Wish::default()
    };
    plan::create(&bundle.spec, &wish).map_err(|problem| bundle.refused(problem))
}
