//! This program, called again: what it and the container say, and the exit status. May touch: everything below.

use crate::cli::CgroupManager;
use crate::commands::context::Context;
use crate::host::input::{self, c};
use crate::outcome::{Error, Lane, TIMED_OUT, Trouble, at};
use crate::perform::hooks;
use crate::plan::Hook;
use alloc::ffi::CString;
use syscalls::{MemFd, Why};

/// A container of a lesson that has not ended by then is ended, in seconds. A machine takes longer than a process.
const PATIENCE: u64 = 120;

/// Calls this program with these words. Returns the exit status, and all that was said.
pub fn call(context: &Context, words: &[&str]) -> Result<(i32, String), Error> {
    let ended = call_for(context, words, Some(PATIENCE))?;
    ended.ok_or_else(|| Error::State("the command was told to end".into()))
}

/// The same, with a limit in seconds. None: a signal has told this command to end, and the called one was ended.
pub fn call_for(context: &Context, words: &[&str], limit: Option<u64>) -> Result<Option<(i32, String)>, Error> {
    let why = Why("each command of a lesson is a process of its own, as if the caller had typed it");
    let mut argv = vec![CString::from(c"nk-runtime"), CString::from(c"--root"), c(&context.root)?];
    match context.globals.cgroup_manager {
        CgroupManager::Cgroupfs => {}
        CgroupManager::Systemd => argv.push(c"--systemd-cgroup".into()),
        CgroupManager::Disabled => argv.push(c"--cgroup-manager=disabled".into()),
    }
    for word in words {
        argv.push(c(word)?);
    }
    // What the learner's environment asks to be shown would be taken for the container's words.
    let shows = |entry: &&core::ffi::CStr| {
        ["NK_TRACE", "NK_LOG"].iter().any(|name| entry.to_bytes().starts_with(name.as_bytes()))
    };
    let environment = syscalls::environment().filter(|entry| !shows(entry)).map(CString::from).collect();
    // A sealed program has no name. It may be executed by this link, since its file cannot be written to.
    let path = if context.own.is_some() { syscalls::executed_as() } else { c"/proc/self/exe" };
    let hook = Hook {
        path: path.into(),
        argv,
        envp: Some(environment),
        home: false,
        cwd: None,
        state: Default::default(),
        timeout: limit,
    };
    let failed = |failed| at(format!("call this program: {}", words.join(" ")), failed);
    let output = syscalls::memfd_create(c"said", MemFd::NONE, why).map_err(failed)?;
    let mut room = hooks::Room::of(core::iter::once(&hook));
    let given = hooks::Given { pid: 0, output: output.at(), home: None };
    let ran = hooks::run(&hook, given, &mut room, Lane::Hook, why);
    let text = input::read_descriptor(output.at(), Why("what the container said is what the check is about"));
    let mut text = String::from_utf8_lossy(&text.map_err(failed)?).into_owned();
    let status = match ran {
        Ok(()) => 0,
        Err(Trouble::Hook(TIMED_OUT)) => {
            text.push_str(&format!("the container has not ended after {PATIENCE} seconds\n"));
            TIMED_OUT
        }
        Err(Trouble::Hook(status)) => status,
        Err(Trouble::Call(trouble)) => return Err(failed(trouble)),
        Err(Trouble::Check(_)) => return Ok(None),
    };
    Ok(Some((status, text)))
}

/// A container that waits, and the learner's process in it. `told`: options that make `exec` tell what it does.
pub fn exec(context: &Context, dir: &str, id: &str, told: &[&str]) -> Result<(i32, String), Error> {
    let (status, said) = call(context, &["run", "--detach", "--bundle", dir, id])?;
    let process = format!("{dir}/process.json");
    match status {
        0 => call(context, &[told, &["exec", "--process", &process, id]].concat()),
        failed => Ok((failed, said)),
    }
}
