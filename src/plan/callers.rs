//! What the caller gets: the pid file, a handle on the new process (`--pidfd-socket`), and the program's messages
//! for `NOTIFY_SOCKET` of the caller's environment (sd_notify(3)). May touch: types.
//!
//! ```text
//!   NOTIFY_SOCKET:  program ── /run/notify/notify.sock = STATE/ID/notify/notify.sock ──► `start`, or `run` ──► the caller's
//! ```

use super::builder::Builder;
use super::mark::Mark;
use super::mounts;
use super::op::Callers;
use super::order::Host;
use super::text::c;
use crate::spec::{Mount, Problem, Text};

/// Where the program finds its socket, as with runc.
pub const NOTIFY_INSIDE: &str = "NOTIFY_SOCKET=/run/notify/notify.sock";

/// The pid file and the pidfd socket.
pub fn plan(b: &mut Builder) -> Result<(), Problem> {
    b.marked(Mark::PidFile, pid_file)?;
    b.marked(Mark::PidfdSocket, pidfd)
}

fn pid_file(b: &mut Builder) -> Result<(), Problem> {
    if let Some(file) = b.wish.pid_file {
        let why = "the caller wants the number of the new process";
        b.host(Host::PidFile, "", Callers::PidFile { path: c("", file)? }, why);
        let why = "last, so that a command that fails leaves the old file alone: it may name another container";
        b.host(Host::PlacePidFile, "", Callers::PlacePidFile { path: c("", file)? }, why);
    }
    Ok(())
}

fn pidfd(b: &mut Builder) -> Result<(), Problem> {
    if let Some(socket) = b.wish.pidfd {
        let op = Callers::ConnectPidfd { path: c("", socket)? };
        let why = "the listener gets a handle; a number could come to mean another process";
        b.host(Host::Pidfd, "", op, why);
        let name = if b.is_exec() { "setns" } else { "standard" };
        let why = "before the program begins, so that the caller cannot miss its end";
        b.host(Host::SendPidfd, "", Callers::SendPidfd { name }, why);
    }
    Ok(())
}

/// The socket that the program finds, on a mount after those of the list.
pub fn notify(b: &mut Builder) -> Result<(), Problem> {
    b.marked(Mark::NotifySocket, relayed)
}

fn relayed(b: &mut Builder) -> Result<(), Problem> {
    let Some(notify) = b.wish.notify else {
        return Ok(());
    };
    if !b.wish.wait_for_start {
        let op = Callers::ConnectNotify { path: c("", &notify.address)? };
        let why = "NOTIFY_SOCKET names the service manager that waits to hear that the program is ready";
        b.host(Host::Mounts, "", op, why);
    }
    let why = "the caller's service manager takes no message from the program, which is in another cgroup: the runtime passes it on";
    b.host(Host::Mounts, "", Callers::NotifyDirectory, why);
    if !b.wish.wait_for_start {
        b.host(Host::Mounts, "", Callers::Listen, "the runtime passes on what the program sends there");
    }
    let mount = Mount {
        destination: "/run/notify".into(),
        source: Some(notify.directory.as_str().into()),
        options: ["bind", "nosuid", "noexec", "nodev", "ro"].map(Text::from).into(),
        ..Mount::default()
    };
    mounts::one(b, &mount, "")
}

/// Sets a variable of the program's environment in place of older ones with its name.
pub fn set(env: &mut Vec<Text>, entry: String) {
    let end = entry.find('=').map_or(0, |at| at + 1);
    env.retain(|old| !old.starts_with(&entry[..end]));
    env.push(entry.into());
}
