//! `plan`: the listing of what `run` would do. It needs no root and changes nothing. May touch: everything below.

use super::context::Context;
use super::{bundle, diff, lint, planned};
use crate::cli;
use crate::outcome::Error;
use crate::plan::show;
use crate::say::out;

/// `plan`.
#[inline(never)]
pub fn plan(context: &Context, options: &cli::PlanCmd) -> Result<i32, Error> {
    if options.diff {
        return diff::plans(context, options);
    }
    let bundle = bundle::read(options.bundle.as_deref(), options.config.as_deref())?;
    if options.lint {
        return lint::lint(&bundle.spec, options);
    }
    let plan = planned::plan(context, options, &bundle, &bundle.path)?;
    out::stdout(&show::listing(&plan)).map(|()| 0)
}
