//! `NOTIFY_SOCKET` (sd_notify(3)): this command receives what the program says of itself, and sends it to the service
//! manager that the environment names. The service manager takes messages from the service's own processes alone, and a
//! container's are not among them. May touch: everything below.

use crate::host::input::c;
use crate::host::patience;
use crate::outcome::{Check, Error, Trouble, at};
use crate::perform::callers;
use crate::plan::Notify;
use syscalls::{At, AtFlags, Errno, Fd, PollFd, Why};

/// The variables that mean the same outside as inside. A process id does not, and descriptors are not sent on.
const WORDS: [&[u8]; 7] =
    [b"READY=", b"RELOADING=", b"STOPPING=", b"STATUS=", b"ERRNO=", b"WATCHDOG=", b"EXTEND_TIMEOUT_USEC="];
/// How long a service manager may take to have read what was sent, in milliseconds.
const PATIENCE: u64 = 5_000;
/// So many messages at most are sent on before signals and the program's end are looked at again: a program may send without
/// an end. The socket's queue has room for fewer (net.unix.max_dgram_qlen).
const AT_ONCE: usize = 1024;

/// The service manager's socket, from the environment.
pub fn address() -> Result<Option<&'static str>, Error> {
    match crate::host::environment("NOTIFY_SOCKET") {
        None | Some("") => Ok(None),
        Some(path) if path.starts_with(['/', '@']) && crate::spec::socket_fits(path) => Ok(Some(path)),
        Some(path) => Err(Error::Usage(format!(
            "NOTIFY_SOCKET in the environment is `{}`, and no path of a socket that can be reached: unset it",
            path.escape_debug()
        ))),
    }
}

/// What a new container needs for it. `root`: the absolute path of the state root.
pub fn wanted(root: &str, id: &str) -> Result<Option<Notify>, Error> {
    Ok(address()?.map(|address| Notify { address: address.into(), directory: format!("{root}/{id}/notify") }))
}

/// The socket that the program sends to, and the service manager's.
pub struct Between {
    pub program: Fd,
    pub caller: Fd,
    /// The process that the service manager shall take for the service.
    pub pid: i32,
}

impl Between {
    /// The service manager's side for `start`, if `create` has made a socket for the program. It is opened before this command
    /// takes the container: if that fails, another `start` can still do it.
    pub fn caller(dir: At) -> Result<Option<Fd>, Error> {
        let Some(path) = address()? else {
            return Ok(None);
        };
        let why = Why("this directory is there if the container was created for a service manager");
        match syscalls::newfstatat(dir, callers::DIRECTORY, AtFlags::NONE, why) {
            Err(f) if f.errno == Errno::ENOENT => return Ok(None),
            found => found.map_err(begin_failed)?,
        };
        let why = Why("the service manager at that socket waits until the program is ready");
        match callers::notified(&c(path)?, why) {
            Ok(caller) => Ok(Some(caller)),
            Err(Trouble::Call(f)) => Err(at(format!("pass on what the program says to NOTIFY_SOCKET, {path}"), f)),
            Err(_) => Ok(None),
        }
    }

    /// The program's side for `start`, after it has taken the container.
    pub fn begin(dir: At, caller: Fd, pid: i32) -> Result<Between, Error> {
        let why = Why("the program sends its messages there");
        Ok(Between { program: callers::listen(dir, why).map_err(begin_failed)?, caller, pid })
    }

    /// Sends on what has come. True: the program is ready.
    pub fn carry(&self) -> bool {
        let mut ready = false;
        let mut buffer = [0u8; 4096];
        let why = Why("a message of the program's");
        for _ in 0..AT_ONCE {
            let Ok(len @ 1..) = syscalls::read(self.program.at(), &mut buffer, why) else {
                break;
            };
            let (mut words, before) = (String::new(), ready);
            let lines = buffer.get(..len).unwrap_or(&[]).split(|byte| *byte == b'\n');
            for line in lines.filter(|line| WORDS.iter().any(|word| line.starts_with(word))) {
                words.push_str(&String::from_utf8_lossy(line));
                words.push('\n');
                if line == b"READY=1" {
                    ready = true;
                    words.push_str(&format!("MAINPID={}\n", self.pid));
                }
            }
            if !words.is_empty() {
                let why = Why("the service manager takes it from this command alone");
                let send = || syscalls::send(self.caller.at(), words.as_bytes(), why);
                let _ = if ready && !before { self.insist(send) } else { send() };
            }
        }
        ready
    }

    /// For a command that does not stay: waits until the program is ready or has ended, and the service manager knows it.
    pub fn until_ready(&self, init: &Fd) -> Result<(), Error> {
        loop {
            let why = Why("the caller waits until the program says that it is ready");
            let fds = [self.program.at(), init.at()];
            patience::readable(fds, None, why, patience::nothing).map_err(|trouble| match trouble {
                Trouble::Call(trouble) => failed(trouble),
                _ => Error::State(format!(
                    "wait for READY of the container's process {}: {}; the container stays as it is",
                    self.pid,
                    Check::Interrupted.text()
                )),
            })?;
            let mut over = [wait_for(init)];
            let why = Why("a program that has ended will not become ready");
            let over = syscalls::ppoll(&mut over, Some(0), why).map_err(failed)? > 0;
            if self.carry() || over {
                return self.heard();
            }
        }
    }

    /// Sends what comes only once, and so must not be lost.
    fn insist(&self, send: impl Fn() -> syscalls::Result<usize>) -> syscalls::Result<usize> {
        let why = Why("the queue is full, and this message comes only once");
        patience::send(self.caller.at(), PATIENCE, why, send)
    }

    /// Waits until the service manager has read all messages. It looks up the sender when it reads, so this process must not
    /// end before. It closes the descriptor that it is sent here when it comes to it (sd_notify_barrier(3)).
    fn heard(&self) -> Result<(), Error> {
        let why = Why("the service manager closes its side when it has read all messages before");
        let (ours, theirs) = syscalls::socketpair(why).map_err(failed)?;
        let barrier = b"BARRIER=1";
        let sent = self.insist(|| syscalls::sendmsg_descriptor(self.caller.at(), barrier, theirs.at(), why));
        drop(theirs);
        if sent.is_ok() {
            let mut fds = [wait_for(&ours)];
            syscalls::ppoll(&mut fds, Some(PATIENCE), why).map_err(failed)?;
        }
        Ok(())
    }
}

/// Something to wait for.
fn wait_for(fd: &Fd) -> PollFd {
    PollFd { fd: fd.at().raw(), events: libc::POLLIN, revents: 0 }
}

fn begin_failed(failed: syscalls::Failed) -> Error {
    at("open the program's NOTIFY_SOCKET", failed)
}

fn failed(failed: syscalls::Failed) -> Error {
    at("wait for the program's words", failed)
}
