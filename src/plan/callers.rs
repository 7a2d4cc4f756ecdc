//! What whoever calls wants to have or to hear: `--pidfd-socket`, and `NOTIFY_SOCKET` of its environment (sd_notify(3)).
//! May touch: types and tables.
//!
//! ```text
//!   NOTIFY_SOCKET:  program ── /run/notify/notify.sock = STATE/ID/notify/notify.sock ──► `start`, or `run` ──► the caller's
//! ```

use super::create::path;
use super::op::Callers;
use super::{Builder, Step, mounts};
use crate::spec::{Mount, Problem, Text};
use alloc::string::String;

/// Where the program finds its socket, as with runc.
pub const NOTIFY_INSIDE: &str = "NOTIFY_SOCKET=/run/notify/notify.sock";

/// `NOTIFY_SOCKET`: whom to tell, and the absolute path of the directory for the socket that the program tells it through.
pub struct Notify {
    pub address: String,
    pub directory: String,
}

/// Host, before the clone: whoever has to hear is there, or nothing is made.
pub fn before(b: &mut Builder, step: Step) -> Result<(), Problem> {
    b.from = String::new();
    if let Some(socket) = b.wish.pidfd {
        let op = Callers::ConnectPidfd { path: path("", socket)? };
        b.host(step, op, "whoever listens there gets a handle that never comes to mean another process");
    }
    Ok(())
}

/// Host, behind the clone.
pub fn after(b: &mut Builder, step: Step) {
    if b.wish.pidfd.is_some() {
        let name = match b.wish.joins {
            None => "standard",
            Some(_) => "setns",
        };
        b.host(
            step,
            Callers::SendPidfd { name },
            "before the program begins: whoever called can wait for its end from the start",
        );
    }
}

/// All lanes: the socket that the program finds.
pub fn notify(b: &mut Builder) -> Result<(), Problem> {
    let Some(notify) = b.wish.notify else {
        return Ok(());
    };
    b.from = String::new();
    if !b.wish.wait_for_start {
        let op = Callers::ConnectNotify { path: path("", &notify.address)? };
        let why = "the environment says who wants to hear that the program is ready";
        b.host(Step::Sources, op, why);
    }
    b.host(
        Step::Sources,
        Callers::NotifyDirectory,
        "what the program sends itself nobody would take from it: it is in another cgroup",
    );
    if !b.wish.wait_for_start {
        let why = "what comes there is handed on";
        b.host(Step::Sources, Callers::Listen, why);
    }
    let mount = Mount {
        destination: "/run/notify".into(),
        source: Some(notify.directory.as_str().into()),
        options: ["bind", "nosuid", "noexec", "nodev", "ro"].map(Text::from).into(),
        ..Mount::default()
    };
    mounts::one(b, &mount, String::new())
}

/// A variable for the program: the last one of its name.
pub fn set(env: &mut alloc::vec::Vec<String>, entry: String) {
    let end = entry.find('=').map_or(0, |at| at + 1);
    env.retain(|old| !old.starts_with(&entry[..end]));
    env.push(entry);
}
