//! `inspect`: a container from outside, as text or JSON; with `--diff` beside what it would be without its configuration. May
//! touch: everything below.

use super::context::{Context, step};
use super::inspect_text as text;
use crate::cli::{self, InspectFormat};
use crate::look::{self, Looked};
use crate::outcome::{Doing, Error};
use crate::plan::Step;
use crate::say::out;
use serde::Serialize;

/// `inspect`.
#[inline(never)]
pub fn inspect(context: &Context, options: &cli::Inspect) -> Result<i32, Error> {
    step(Step::Look);
    let id = &options.id;
    let (root, dir) = context.container(id)?;
    let ordinary = context.host.uid != 0;
    let host = look::host(ordinary).doing("look at this process, to compare with it")?;
    let looked = look::look(&root, dir.at(), id, &host, ordinary)?;
    let json = options.format == InspectFormat::Json;
    let text = match &looked {
        Looked::Gone(remains) if json => pretty(remains),
        Looked::Gone(remains) => text::remains(remains, text::width()),
        Looked::Here(container) if options.diff => {
            let differs = look::differences(&host, &container.facts);
            match json {
                true => pretty(&Difference { id, status: container.status, differs }),
                false => text::differences(container, &differs, text::width()),
            }
        }
        Looked::Here(container) if json => pretty(container),
        Looked::Here(container) => text::container(container, text::width()),
    };
    out::stdout(&text).map(|()| 0)
}

/// The document of `--diff`.
#[derive(Serialize)]
struct Difference<'a> {
    id: &'a str,
    status: &'static str,
    differs: Vec<look::Differs>,
}

fn pretty(document: &impl Serialize) -> String {
    let text = serde_json::to_string_pretty(document).unwrap_or_default();
    format!("{text}\n")
}
