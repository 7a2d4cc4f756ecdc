//! The hooks that no plan has: `poststart` when the program runs, `poststop` when the container is gone (config.md,
//! "POSIX-platform Hooks"). And the output of a hook, for the message about its failure. May touch: everything below.

use crate::cause;
use crate::cli::Level;
use crate::outcome::{Doing, Error, Lane, Trouble};
use crate::perform::{hooks, sync};
use crate::plan;
use crate::say::error;
use crate::say::log::Log;
use crate::say::tell;
use crate::spec::{self, Hook, Hooks};
use crate::state::Saved;
use syscalls::{At, Fd, MemFd, OpenFlags, Why, record};

/// So many bytes of a hook's output are shown: the last.
const SHOWN: usize = 512;

/// The end of the output of hooks, from the file in the container's directory. Empty: there is none.
pub fn said(dir: At) -> String {
    let why = Why("the message about a hook's failure quotes its output");
    let file = syscalls::openat(dir, sync::OUTPUT, OpenFlags::O_NOFOLLOW, why);
    file.map_or(String::new(), |file| tail(&file))
}

fn tail(file: &Fd) -> String {
    let why = Why("the last words of a hook say why it failed");
    let mut bytes = [0u8; SHOWN];
    let size = syscalls::fstat(file.at(), why).map_or(0, |stat| stat.st_size as usize);
    let len = syscalls::pread64(file.at(), &mut bytes, size.saturating_sub(SHOWN), why);
    let bytes = bytes.get(..len.unwrap_or(0)).unwrap_or(&[]);
    String::from_utf8_lossy(bytes).trim().into()
}

/// Runs the hooks of one list in order. `failed` gets each failure, and ends the list if it returns an error.
fn each(
    saved: &Saved,
    (name, list): (&str, &[Hook]),
    (status, pid): (&str, i32),
    mut failed: impl FnMut(Error) -> Result<(), Error>,
) -> Result<(), Error> {
    let why = Why("config.json has this hook run here, with the container's state on its standard input");
    let who = error::Said::by(saved.config_file());
    let annotations = match saved.annotations.is_empty() {
        true => String::new(),
        false => serde_json::to_string(&saved.annotations).unwrap_or_default(),
    };
    for (i, one) in list.iter().enumerate() {
        let at = format!("/hooks/{name}/{i}");
        record::asked_by(&at, 0);
        let document = spec::state_document(&saved.oci_version, &saved.id, &saved.bundle_path, status, &annotations);
        let bad = |problem| Error::Spec { file: saved.config_file(), problem };
        let hook = plan::hook(one, &at, document, &saved.bundle_path, None).map_err(bad)?;
        let output = syscalls::memfd_create(c"output", MemFd::NONE, why).doing(format_args!("run the hook {at}"))?;
        tell::words("hook", &[&one.path, &at]);
        let mut room = hooks::Room::of(core::iter::once(&hook));
        let given = hooks::Given { pid, output: output.at(), home: None };
        if let Err(trouble) = hooks::run(&hook, given, &mut room, Lane::Hook, why) {
            let look = match trouble {
                Trouble::Call(failed) => cause::hooks::planned(None, &one.path, Some(failed.errno)),
                _ => None,
            };
            failed(error::better(error::hook(&who, &at, &one.path, trouble, &tail(&output)), look))?;
        }
    }
    Ok(())
}

/// Runs the hooks for a program that has started. The first failure ends them.
pub fn poststart(saved: &Saved, hooks: &Hooks, pid: i32) -> Result<(), Error> {
    let done = each(saved, ("poststart", &hooks.poststart), ("running", pid), Err);
    record::asked_by("", 0);
    done
}

/// Runs all hooks for a container that is gone. A failure is a warning (runtime.md, "Lifecycle", step 13).
pub fn poststop(saved: &Saved, hooks: &Hooks, log: &mut Log) {
    let list = ("poststop", &hooks.poststop[..]);
    let _ = each(saved, list, ("stopped", 0), |error| {
        log.say(Level::Warn, &error::line(&error));
        Ok(())
    });
    record::asked_by("", 0);
}
