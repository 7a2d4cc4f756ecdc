//! `NOTIFY_SOCKET` (sd_notify(3)): what the program says of itself is handed on to who asked for it in the environment.
//! From the container itself nothing would be taken: its processes are none of that service's. May touch: everything below.

use crate::host::input::c;
use crate::host::patience;
use crate::outcome::{Check, Trouble};
use crate::outcome::{Error, at};
use crate::perform::callers;
use crate::plan::Notify;
use syscalls::{At, AtFlags, Errno, Fd, PollFd, Why};

/// What means the same outside as inside. A process id does not, and descriptors are not handed on.
const WORDS: [&[u8]; 7] =
    [b"READY=", b"RELOADING=", b"STOPPING=", b"STATUS=", b"ERRNO=", b"WATCHDOG=", b"EXTEND_TIMEOUT_USEC="];
/// How long a service manager may take to have read what was sent, in milliseconds.
const PATIENCE: u64 = 5_000;
/// Who talks without an end does not keep us from signals and from the program's end: so many words, then those. A
/// queue has room for fewer (net.unix.max_dgram_qlen).
const AT_ONCE: usize = 1024;

/// Who is to be told, by the environment.
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

/// The same, for a container that is to be made. `root`: the absolute path of the state root.
pub fn wanted(root: &str, id: &str) -> Result<Option<Notify>, Error> {
    Ok(address()?.map(|address| Notify { address: address.into(), directory: format!("{root}/{id}/notify") }))
}

/// The two sockets between which words are carried.
pub struct Between {
    pub program: Fd,
    pub caller: Fd,
    /// Which process the caller shall take for the service.
    pub pid: i32,
}

impl Between {
    /// `start`, before it takes the container, so that another one can still start it: who is to be told, if it was
    /// created for that.
    pub fn caller(dir: At) -> Result<Option<Fd>, Error> {
        let Some(path) = address()? else {
            return Ok(None);
        };
        let why = Why("whether the container was created for a service manager");
        match syscalls::newfstatat(dir, callers::DIRECTORY, AtFlags::NONE, why) {
            Err(f) if f.errno == Errno::ENOENT => return Ok(None),
            found => found.map_err(begin_failed)?,
        };
        let why = Why("the environment says who wants to hear that the program is ready");
        match callers::notified(&c(path)?, why) {
            Ok(caller) => Ok(Some(caller)),
            Err(Trouble::Call(f)) => Err(at(format!("pass on what the program says to NOTIFY_SOCKET, {path}"), f)),
            Err(_) => Ok(None),
        }
    }

    /// `start`, once it has taken it: the program's side.
    pub fn begin(dir: At, caller: Fd, pid: i32) -> Result<Between, Error> {
        let why = Why("the program's words are taken here");
        Ok(Between { program: callers::listen(dir, why).map_err(begin_failed)?, caller, pid })
    }

    /// Hands on what has come. True: the program is ready.
    pub fn carry(&self) -> bool {
        let mut ready = false;
        let mut buffer = [0u8; 4096];
        let why = Why("what the program says of itself");
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
                let why = Why("the service manager hears it from this command");
                let send = || syscalls::send(self.caller.at(), words.as_bytes(), why);
                let _ = if ready && !before { self.insist(send) } else { send() };
            }
        }
        ready
    }

    /// `start`, which does not stay: until the program is ready, or over, and the caller has heard of it.
    pub fn until_ready(&self, init: &Fd) -> Result<(), Error> {
        loop {
            let why = Why("the caller waits until the program says that it is ready");
            let fds = [self.program.at(), init.at()];
            match patience::readable(fds, None, why, patience::nothing) {
                Err(Trouble::Call(trouble)) => return Err(failed(trouble)),
                Err(_) => {
                    return Err(Error::State(format!(
                        "wait for READY of the container's process {}: {}; the container stays as it is",
                        self.pid,
                        Check::Interrupted.text()
                    )));
                }
                Ok(_) => {}
            }
            let mut over = [wait_for(init)];
            let why = Why("whether the program has ended");
            let over = syscalls::ppoll(&mut over, Some(0), why).map_err(failed)? > 0;
            if self.carry() || over {
                return self.heard();
            }
        }
    }

    /// Sends what is said only once.
    fn insist(&self, send: impl Fn() -> syscalls::Result<usize>) -> syscalls::Result<usize> {
        let why = Why("the queue is full, and this is said only once");
        patience::send(self.caller.at(), PATIENCE, why, send)
    }

    /// A service manager looks up who has sent something when it reads it: it has when it lets go of this descriptor
    /// (sd_notify_barrier(3)).
    fn heard(&self) -> Result<(), Error> {
        let why = Why("its other side ends when all before it was read");
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
