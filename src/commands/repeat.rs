//! A command that failed, once more: `run --from-trace`. May touch: everything from `state` down.

use super::bundle;
use super::context::Context;
use crate::cli::{self, CgroupManager, Command, Level};
use crate::host::{environment, input};
use crate::outcome::Error;
use crate::state::attempts::{self, Attempt};
use crate::state::traces;

/// What was recorded, with the options to run it again: those of then, and those that are given now. Sockets, files and
/// descriptors of the caller of then are not taken up: they were of its time.
#[inline(never)] // a run of its own needs none of its stack
pub fn again(context: &mut Context, name: &str, given: &cli::Create) -> Result<(Attempt, cli::Create), Error> {
    let (id, run) = traces::named(name)?;
    let attempt = attempts::find(context.open_root()?.as_ref(), id, run)?;
    let mut now = cli::Create { id: given.id.clone(), ..cli::Create::default() };
    now.bundle = given.bundle.clone().or(Some(attempt.bundle.clone()));
    now.config.clone_from(&given.config);
    now.pid_file.clone_from(&given.pid_file);
    now.console_socket.clone_from(&given.console_socket);
    now.pidfd_socket.clone_from(&given.pidfd_socket);
    now.preserve_fds = given.preserve_fds;
    now.watch = given.watch;
    (now.no_pivot, now.no_new_keyring, now.no_subreaper) = (given.no_pivot, given.no_new_keyring, given.no_subreaper);
    let words: Vec<&str> = attempt.words.iter().map(String::as_str).collect();
    let parsed = cli::parse(&words, &environment).ok();
    let then = parsed.as_ref().and_then(|(_, command)| match command {
        Command::Create(create) => Some(create),
        Command::Run(run) => Some(&run.create),
        _ => None,
    });
    if given.bundle.is_none() && given.config.is_none() {
        let named = then.and_then(|then| then.config.clone());
        say_if_changed(context, &attempt, &named.unwrap_or_else(|| format!("{}/config.json", attempt.bundle)));
    }
    let Some((then, (globals, _))) = then.zip(parsed.as_ref()) else {
        return Ok((attempt, now));
    };
    now.no_pivot |= then.no_pivot;
    now.no_new_keyring |= then.no_new_keyring;
    now.no_subreaper |= then.no_subreaper;
    now.watch = now.watch.or(then.watch);
    if context.globals.cgroup_manager == CgroupManager::Cgroupfs {
        context.globals.cgroup_manager = globals.cgroup_manager;
    }
    context.globals.rootless = context.globals.rootless.or(globals.rootless);
    Ok((attempt, now))
}

/// Says that the file has another configuration by now. `file`: a path that begins at the root.
fn say_if_changed(context: &Context, attempt: &Attempt, file: &str) {
    if !file.starts_with('/') || input::descriptor(file).is_some() {
        return;
    }
    if bundle::read_config(file).is_ok_and(|text| attempt.config != text.trim_ascii()) {
        let words =
            format!("{file} has changed since then: what runs is the recorded configuration; --config takes the file");
        context.log.say(Level::Warn, &words);
    }
}
