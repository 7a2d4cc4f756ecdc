//! Hooks of the later commands: `poststart` when the program runs, `poststop` when the container is gone
//! (config.md, "POSIX-platform Hooks"). And what a hook said, for the line that tells of its failure. May touch:
//! everything below.

use crate::cli::Level;
use crate::outcome::Lane;
use crate::outcome::{Doing, Error};
use crate::perform::{hooks, sync};
use crate::plan::{self};
use crate::say::error;
use crate::say::log::Log;
use crate::spec::{self, Hook, Hooks};
use crate::state::Saved;
use syscalls::{At, Fd, MemFd, OpenFlags, Why};

/// Bytes of what a hook said that are shown.
const SHOWN: usize = 512;

/// The end of what hooks said into the container's file. Empty: nothing, or there is no such file.
pub fn said(dir: At) -> String {
    let why = Why("what the hook said belongs to its failure");
    let flags = OpenFlags::O_NOFOLLOW;
    match syscalls::openat(dir, sync::OUTPUT, flags, why) {
        Ok(file) => tail(&file),
        Err(_) => String::new(),
    }
}

fn tail(file: &Fd) -> String {
    let why = Why("the end of what the hook said");
    let mut bytes = [0u8; SHOWN];
    let size = syscalls::fstat(file.at(), why).map_or(0, |stat| stat.st_size as usize);
    let len = syscalls::pread64(file.at(), &mut bytes, size.saturating_sub(SHOWN), why);
    let bytes = bytes.get(..len.unwrap_or(0)).unwrap_or(&[]);
    String::from_utf8_lossy(bytes).trim().into()
}

/// Runs the hooks of one list in order, to the first that fails.
fn each(
    saved: &Saved,
    (name, list): (&str, &[Hook]),
    (status, pid): (&str, i32),
    mut failed: impl FnMut(Error) -> Result<(), Error>,
) -> Result<(), Error> {
    let why = Why("the configuration has it run here, with the state as its input");
    for (i, one) in list.iter().enumerate() {
        let at = format!("/hooks/{name}/{i}");
        let document =
            spec::state_document(&saved.oci_version, &saved.id, &saved.bundle_path, status, &saved.annotations);
        let bad = |problem| Error::Spec { file: "config.json".into(), problem };
        let hook = plan::hook(one, &at, document, &saved.bundle_path, None).map_err(bad)?;
        let output = syscalls::memfd_create(c"output", MemFd::NONE, why).doing(format_args!("run the hook {at}"))?;
        let mut room = hooks::Room::of(core::iter::once(&hook));
        let given = hooks::Given { pid, output: output.at(), home: None };
        if let Err(trouble) = hooks::run(&hook, given, &mut room, Lane::Hook, why) {
            failed(error::hook(&at, &one.path, trouble, &tail(&output)))?;
        }
    }
    Ok(())
}

/// The program has started. The first failure counts.
pub fn poststart(saved: &Saved, hooks: &Hooks, pid: i32) -> Result<(), Error> {
    each(saved, ("poststart", &hooks.poststart), ("running", pid), Err)
}

/// The container is gone. All are run, and a failure is a warning (runtime.md, "Lifecycle", step 13).
pub fn poststop(saved: &Saved, hooks: &Hooks, log: &mut Log) {
    let list = ("poststop", &hooks.poststop[..]);
    let _ = each(saved, list, ("stopped", 0), |error| {
        log.say(Level::Warn, &error::line(&error));
        Ok(())
    });
}
