//! `check`: what would fail of a bundle on this machine, and what to do, as a table or JSON. Nothing is made. May touch:
//! everything below.

use super::bundle::{self, Bundle, absolute};
use super::context::{Context, step};
use crate::check::{self, Asker, Row, Rows, Verdict};
use crate::cli::{self, ListFormat};
use crate::host::input::c;
use crate::outcome::{Error, visible};
use crate::plan::{self, Plan, Step, Wish};
use crate::say::error::message;
use crate::say::out::{self, wrapped};
use crate::spec::{self, NamespaceKind, Problem};
use crate::state;
use serde::Serialize;
use syscalls::{At, AtFlags, Errno, Why};

/// The exit status if something would fail.
const WOULD_FAIL: i32 = 1;

/// `check`.
#[inline(never)]
pub fn check(context: &mut Context, options: &cli::Check) -> Result<i32, Error> {
    step(Step::Look);
    context.host.look();
    let mut rows = Rows::default();
    match read(options)? {
        Found::Nothing => {
            check::host(&asker(context, None), &mut rows);
            rows.not_needed("config.json", "bundle", &[]);
        }
        Found::Wrong(file, problem) => {
            check::host(&asker(context, None), &mut rows);
            refused(&file, problem, &mut rows);
        }
        Found::Bundle(bundle) => whole(context, options, &bundle, &mut rows)?,
    }
    let text = match options.format {
        ListFormat::Json => document(&rows.0),
        ListFormat::Table => table(&rows.0, out::columns(60, 120)),
    };
    out::stdout(&text)?;
    Ok(if rows.would_fail() { WOULD_FAIL } else { 0 })
}

/// What there is to check beside the machine.
enum Found {
    /// No bundle was named, and there is none here.
    Nothing,
    /// A configuration that cannot be read: its file, and why.
    Wrong(String, Problem),
    Bundle(Box<Bundle>),
}

fn read(options: &cli::Check) -> Result<Found, Error> {
    if options.bundle.is_none() && options.config.is_none() {
        let why = Why("without a bundle only the machine is looked at");
        match syscalls::newfstatat(At::CWD, c"config.json", AtFlags::NONE, why) {
            Err(failed) if failed.errno == Errno::ENOENT => return Ok(Found::Nothing),
            _ => {}
        }
    }
    match bundle::read(options.bundle.as_deref(), options.config.as_deref()).and_then(bundle::fits_container) {
        Ok(bundle) => Ok(Found::Bundle(Box::new(bundle))),
        Err(Error::Spec { file, problem }) => Ok(Found::Wrong(file, problem)),
        Err(error) => Err(error),
    }
}

/// A configuration that reading or planning refuses, in the words of a command that fails.
fn refused(file: &str, problem: Problem, rows: &mut Rows) {
    let place = match problem.pointer.as_str() {
        "" => "config.json".into(),
        pointer => String::from(pointer),
    };
    let told = message(&Error::Spec { file: file.into(), problem }, "");
    let cure = told.lines.into_iter().find(|(label, text)| *label == "try" && !text.is_empty());
    rows.refused(&place, told.cause, cure.map(|(_, text)| text), file);
}

/// This machine and a bundle together.
fn whole(context: &mut Context, options: &cli::Check, bundle: &Bundle, rows: &mut Rows) -> Result<(), Error> {
    let asker = asker(context, Some(bundle));
    check::host(&asker, rows);
    id(context, &options.id, rows)?;
    match planned(context, options, bundle, &asker.cgroup_base)? {
        Ok(plan) => {
            rows.ok("config.json", "plan", &[&bundle.file, &plan.lines().count().to_string()]);
            check::lines(&asker, &bundle.spec, &plan, rows);
        }
        Err(problem) => refused(&bundle.file, problem, rows),
    }
    Ok(())
}

fn asker(context: &Context, bundle: Option<&Bundle>) -> Asker {
    let held = syscalls::capget(Why("a line of the plan may need a right that this process lacks"));
    let held = held.map_or(0, |sets| sets.effective);
    let has = |name: &str| spec::capability_number(name).is_some_and(|number| held >> number & 1 != 0);
    let users = |bundle: &Bundle| {
        spec::namespace(&bundle.spec.linux, &NamespaceKind::User).is_some_and(|n| n.joined().is_none())
    };
    let hooks = |bundle: &Bundle| {
        let hooks = &bundle.spec.hooks;
        let all = [&hooks.prestart, &hooks.create_runtime, &hooks.create_container, &hooks.start_container];
        all.iter().any(|list| !list.is_empty())
    };
    Asker {
        hooked: bundle.is_some_and(hooks),
        pid: context.pid,
        uid: context.host.uid,
        can_mount: has("CAP_SYS_ADMIN"),
        // In an inner user namespace the kernel does not count it.
        can_raise: has("CAP_SYS_RESOURCE") && !context.host.nested,
        cgroup: context.cgroup(),
        cgroup_base: bundle.map_or_else(|| context.host.cgroup_base(), |bundle| context.cgroup_base(&bundle.spec)),
        root: context.root.clone(),
        has_bundle: bundle.is_some(),
        new_users: bundle.is_some_and(users),
    }
}

/// The plan of `run`.
fn planned(
    context: &Context,
    options: &cli::Check,
    bundle: &Bundle,
    base: &str,
) -> Result<Result<Plan, Problem>, Error> {
    let manager = context.manager()?;
    let wish = Wish {
        no_pivot: options.no_pivot,
        attached: true,
        cgroup_base: base,
        manager: manager.as_ref(),
        ..context.wish(&options.id, &bundle.path)
    };
    Ok(plan::create(&bundle.spec, &wish))
}

/// Whether the name is free.
fn id(context: &Context, id: &str, rows: &mut Rows) -> Result<(), Error> {
    state::check_id(id)?;
    let path = c(&format!("{}/{id}", absolute(&context.root)?))?;
    match syscalls::newfstatat(At::CWD, &path, AtFlags::NONE, Why("two containers cannot have one name")) {
        Ok(_) => rows.fails("ID", "id", &[id]),
        Err(_) => rows.ok("ID", "id", &[id]),
    }
    Ok(())
}

fn document(rows: &[Row]) -> String {
    #[derive(Serialize)]
    struct Document<'a> {
        checks: &'a [Row],
    }
    let mut text = serde_json::to_string_pretty(&Document { checks: rows }).unwrap_or_default();
    text.push('\n');
    text
}

/// A row each, those that would fail with what to try.
fn table(rows: &[Row], width: usize) -> String {
    const VERDICT: usize = 12;
    const MOST: usize = 26;
    let place = rows.iter().map(|row| row.place.chars().count()).max().unwrap_or(0).min(MOST) + 2;
    let (begin, mut text) = (VERDICT + place, String::new());
    for row in rows {
        let mut head = format!("{:<VERDICT$}{:<place$}", row.verdict.word(), visible(&row.place));
        if head.chars().count() > begin {
            text.push_str(&format!("{}\n", head.trim_end()));
            head = " ".repeat(begin);
        }
        for line in wrapped(&visible(&row.what), width.saturating_sub(begin)) {
            text.push_str(&format!("{head}{line}\n"));
            head = " ".repeat(begin);
        }
        for (i, line) in wrapped(&visible(&row.cure), width.saturating_sub(begin + 5)).iter().enumerate() {
            if !line.is_empty() {
                text.push_str(&format!("{head}{}{line}\n", if i == 0 { "try: " } else { "     " }));
            }
        }
    }
    let count = |verdict| rows.iter().filter(|row| row.verdict == verdict).count();
    let summary = match (count(Verdict::Fails), count(Verdict::Unsure)) {
        (0, 0) => "nothing would fail, as far as a look can tell".into(),
        (0, unsure) => format!("nothing would fail for certain; {unsure} unsure"),
        (fails, unsure) => format!("{fails} would fail; {unsure} unsure"),
    };
    text + &summary + "\n"
}
