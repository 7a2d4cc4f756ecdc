//! `learn`: the course. It lists the lessons, runs one, checks what the learner has made of its bundle, and shows a
//! solution. `bundle.rs` has the learner's copy of a bundle, `ours.rs` calls this program again, `progress.rs` keeps what is
//! done. May touch: everything below.

mod bundle;
pub mod ours;
mod progress;

use super::context::{Context, step};
use super::{demo, inside};
use crate::cli::{self, Command};
use crate::host::cgroup;
use crate::learn::check::{Facts, asks, holds};
use crate::learn::{How, LESSONS, Lesson, edit, filled, find};
use crate::outcome::{Doing, Error, short, visible};
use crate::plan::Step;
use crate::say::{error, out};
use bundle::Place;
use progress::{Mark, Progress};
use syscalls::{At, Why};

/// So many lines of what a container has said are shown where a check fails.
const SHOWN: usize = 20;

/// What a lesson works with: the lesson's number, the learner's directory, the container's name.
struct Desk {
    number: usize,
    lesson: &'static Lesson,
    dir: String,
    /// The same for a line of text.
    shown: String,
    id: String,
    /// Links on the way to the directory are followed: the learner has named it.
    links: bool,
}

impl Desk {
    fn place(&self) -> Place<'_> {
        Place { path: &self.dir, links: self.links }
    }
}

/// `learn`.
#[inline(never)]
pub fn learn(context: &mut Context, options: &cli::Learn) -> Result<i32, Error> {
    step(Step::Command);
    let Some(name) = &options.lesson else {
        return list(context);
    };
    let Some((number, lesson)) = find(name) else {
        let names: Vec<&str> = LESSONS.iter().map(|lesson| lesson.name).collect();
        let (name, names) = (short(name), names.join(", "));
        return Err(Error::Usage(format!("learn: there is no lesson `{name}`; take one of: {names}")));
    };
    if options.dir.as_deref() == Some("") {
        return Err(Error::Usage("learn: --dir needs the name of a directory".into()));
    }
    let dir = options.dir.clone().unwrap_or_else(|| format!("nk-learn/{}", lesson.name));
    let shown = visible(&dir).into_owned();
    let links = options.dir.is_some();
    let desk = Desk { number, lesson, dir, shown, links, id: format!("learn-{}", lesson.name) };
    match (options.check, options.solution) {
        (_, true) => solution(context, &desk),
        (true, _) => check(context, &desk),
        _ => run(context, &desk),
    }
}

fn list(context: &Context) -> Result<i32, Error> {
    let progress = Progress::read(context);
    let mut text = String::from("A course in containers: each lesson runs one, and has a task that is checked.\n\n");
    for (number, lesson) in LESSONS.iter().enumerate() {
        let lacks_root = lesson.needs("root") && context.host.uid != 0;
        let mark = progress.of(lesson.name).map_or(if lacks_root { "needs root" } else { "" }, Mark::word);
        text.push_str(&format!("{number:>4}  {:<16}{mark:<12}{}\n", lesson.name, lesson.title()));
    }
    let done = |lesson: &&Lesson| progress.of(lesson.name) == Some(Mark::Done);
    let count = LESSONS.iter().filter(done).count();
    let next = LESSONS.iter().find(|lesson| !done(lesson));
    text.push_str(&match next {
        Some(next) => format!("\n{count} of {} done. Next: nk-runtime learn {}\n", LESSONS.len(), next.name),
        None => String::from("\nAll of them are done.\n"),
    });
    progress.warn(context);
    out::stdout(&text).map(|()| 0)
}

/// Refuses what this user or this machine cannot do.
fn possible(context: &Context, lesson: &Lesson) -> Result<(), Error> {
    let name = lesson.name;
    if lesson.needs("root") && context.host.uid != 0 {
        return Err(Error::State(format!("the lesson {name} needs root: sudo nk-runtime learn {name}")));
    }
    if !lesson.needs("cgroup") {
        return Ok(());
    }
    let Some(root) = cgroup::open_root().doing("look for cgroups")? else {
        let text = "needs cgroups of version 2, which this machine does not have";
        return Err(Error::State(format!("the lesson {name} {text}")));
    };
    let why = Why("the lesson limits the number of processes");
    let controllers = cgroup::read(root.at(), c"cgroup.controllers", why).doing("look for controllers")?;
    match lesson.needs("pids") && !controllers.split_whitespace().any(|one| one == "pids") {
        true => Err(Error::State(format!(
            "the lesson {name} needs the controller pids, which cgroups of version 2 do not have on this machine"
        ))),
        false => Ok(()),
    }
}

/// Runs the lesson: what it is about, its container, told as it happens, and the task.
fn run(context: &mut Context, desk: &Desk) -> Result<i32, Error> {
    let lesson = desk.lesson;
    possible(context, lesson)?;
    // This program may have to execute itself again, from its beginning: before anything is said.
    context.seal()?;
    let mut progress = Progress::read(context);
    progress.set(context, lesson.name, Mark::Begun);
    let say = |text: &str| out::stdout(&filled(text, &desk.shown, &desk.id));
    say(&format!("Lesson {}: {}\n\n{}\n\n", desk.number, lesson.title(), lesson.about()))?;
    if lesson.how() == How::Demo {
        let status = demo::demo(context, &cli::Demo { html: None })?;
        progress.set(context, lesson.name, Mark::Done);
        return Ok(status);
    }
    let new = bundle::make(context, lesson, desk.place())?;
    let state = if new { "It is yours: change it as you like" } else { "It is as you have left it" };
    say(&format!("Its bundle is {{dir}}. {state}.\nThis is what happens now:\n\n"))?;
    ours::call(context, &["delete", "--force", &desk.id])?;
    let status = perform(context, desk)?;
    say(&format!("\nThe container is gone; the status was {status}.\n\n"))?;
    for (name, title) in [("look", "To look at"), ("task", "Your task")] {
        say(&format!("{title}\n{}\n\n", lesson.section(name).unwrap_or("")))?;
    }
    let name = lesson.name;
    say(&format!("Then: nk-runtime learn {name} --check        (or --solution)\n"))?;
    Ok(0)
}

/// Runs the lesson's container, told as it happens. Its failure is a part of the lesson.
fn perform(context: &mut Context, desk: &Desk) -> Result<i32, Error> {
    if desk.lesson.how() == How::Exec {
        // The lesson is about the second process, which has to be gone before the container is deleted.
        let (status, said) = ours::exec(context, &desk.dir, &desk.id, &["-E"])?;
        out::stdout(&said)?;
        ours::call(context, &["delete", "--force", &desk.id])?;
        return Ok(status);
    }
    context.educate();
    let vm = (desk.lesson.how() == How::Vm).then_some(cli::Vm::default());
    let create = cli::Create { id: desk.id.clone(), bundle: Some(desk.dir.clone()), ..cli::Create::default() };
    let command =
        Command::Run(cli::Run { create, detach: false, keep: false, from_trace: None, step: None, repeat: None, vm });
    super::run(context, &command).or_else(|error| {
        out::stderr(&error::message(&error, "").text());
        Ok(1)
    })
}

/// Runs the learner's bundle and judges what the container did.
fn check(context: &mut Context, desk: &Desk) -> Result<i32, Error> {
    let lesson = desk.lesson;
    if lesson.how() == How::Demo {
        return Err(Error::Usage(
            "learn: the demo has no task; it is done when it has run: nk-runtime learn demo".into(),
        ));
    }
    possible(context, lesson)?;
    bundle::renew(context, lesson, desk.place())?;
    let facts = facts(context, desk)?;
    let checks = lesson.checks();
    let mut missing: Vec<_> = checks.iter().filter(|check| holds(check.wanted, &facts) != Some(true)).collect();
    // A container that could not be made did nothing that could be judged.
    if missing.first().is_some_and(|first| asks(first.wanted, &["status"])) {
        missing.truncate(1);
    }
    let mut progress = Progress::read(context);
    if missing.is_empty() {
        progress.set(context, lesson.name, Mark::Done);
        let passed = lesson.section("passed").map_or(String::new(), |text| format!("\n{text}\n"));
        let next =
            LESSONS.get(desk.number + 1).map_or(String::new(), |next| format!(" Next: nk-runtime learn {}", next.name));
        let text = format!("Passed: all {} checks of `{}`.{next}\n{passed}", checks.len(), lesson.name);
        return out::stdout(&filled(&text, &desk.shown, &desk.id)).map(|()| 0);
    }
    if progress.of(lesson.name) != Some(Mark::Done) {
        progress.set(context, lesson.name, Mark::Begun);
    }
    let lines: Vec<&str> = facts.said.trim_end().lines().collect();
    let mut text = format!("What the container said; the status was {}:\n\n", facts.status);
    if lines.len() > SHOWN {
        text.push_str("  ...\n");
    }
    lines.iter().skip(lines.len().saturating_sub(SHOWN)).for_each(|line| text.push_str(&format!("  {line}\n")));
    text.push_str("\nNot yet:\n");
    missing.iter().for_each(|check| text.push_str(&format!("\n{}\n", check.otherwise)));
    out::stdout(&filled(&text, &desk.shown, &desk.id)).map(|()| 1)
}

/// What is true of the container that the bundle makes. Only what the checks ask for is looked at.
fn facts(context: &mut Context, desk: &Desk) -> Result<Facts, Error> {
    let (dir, id, lesson) = (desk.dir.as_str(), desk.id.as_str(), desk.lesson);
    let needed = |kinds: &[&str]| lesson.checks().iter().any(|check| asks(check.wanted, kinds));
    let mut facts = Facts { namespaces: inside::namespaces(At::CWD, c"/proc/self/ns/"), ..Facts::default() };
    ours::call(context, &["delete", "--force", id])?;
    if needed(&["plan"]) {
        facts.plan = ours::call(context, &["plan", "--bundle", dir])?.1;
    }
    if needed(&["inspect", "own"]) {
        ours::call(context, &["create", "--bundle", dir, id])?;
        let (_, text) = ours::call(context, &["inspect", "--format", "json", id])?;
        facts.inspect = serde_json::from_str(&text).unwrap_or_default();
        ours::call(context, &["delete", "--force", id])?;
    }
    (facts.status, facts.said) = match lesson.how() {
        How::Exec => ours::exec(context, dir, id, &[])?,
        How::Vm => ours::call(context, &["run", "--mode", "vm", "--bundle", dir, id])?,
        _ => ours::call(context, &["run", "--keep", "--bundle", dir, id])?,
    };
    if needed(&["trace", "refused"]) {
        facts.trace = ours::call(context, &["trace", "--format", "strace", id])?.1;
    }
    ours::call(context, &["delete", "--force", id])?;
    Ok(facts)
}

/// Shows the solution as changes by pointers, and writes it beside what the learner changes.
fn solution(context: &Context, desk: &Desk) -> Result<i32, Error> {
    let lesson = desk.lesson;
    let rootless = context.host.uid != 0;
    let (why, edits) = lesson.solution(rootless);
    if edits.is_empty() {
        return Err(Error::Usage(format!("learn: the lesson {} has no task", lesson.name)));
    }
    let (name, begin) = bundle::begins_with(context, lesson)?;
    let mut text = format!("{why}\n\nWhat it changes in {{dir}}/{name}:\n\n");
    for edit in &edits {
        if let Some(old) = edit::get(&begin, &edit.pointer) {
            text.push_str(&format!("  - {}\n      {}\n", edit.pointer, old.replace('\n', "\n    ")));
        }
        if let Some(new) = &edit.value {
            text.push_str(&format!("  + {}\n      {new}\n", edit.pointer));
        }
    }
    let solved = edit::apply(&begin, &edits).unwrap_or(begin);
    bundle::make(context, lesson, desk.place())?;
    bundle::write_solution(context, desk.place(), &solved)?;
    text.push_str(&format!("\nThe whole file is {{dir}}/solution.json:\n  cp {{dir}}/solution.json {{dir}}/{name}\n"));
    out::stdout(&filled(&text, &desk.shown, &desk.id)).map(|()| 0)
}
