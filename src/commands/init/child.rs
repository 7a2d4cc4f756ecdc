//! A child of PID 1: this program again with other words, or the rescue shell. Everything that it needs is prepared before
//! clone3. May touch: everything below.

use crate::outcome::Lane;
use crate::plan::Step;
use alloc::ffi::CString;
use core::ffi::CStr;
use syscalls::{At, CloneFlags, Cloned, Disposition, Fd, Result, SigSet, Vector, Why};

/// A process that PID 1 has started.
pub struct Child {
    pub pid: i32,
    pub process: Fd,
}

/// What it shall be.
pub struct Start<'a> {
    pub program: &'a CStr,
    pub words: &'a [CString],
    /// What its descriptors 0, 1 and 2 shall be.
    pub streams: [At; 3],
    /// The first of them becomes the controlling terminal of a new session.
    pub terminal: bool,
    /// Its root directory.
    pub root: Option<&'a CStr>,
    /// Its working directory.
    pub place: Option<&'a CStr>,
}

impl Child {
    pub fn start(start: &Start) -> Result<Child> {
        let mut rooms =
            [start.words.len(), syscalls::environment().count()].map(|count| vec![core::ptr::null(); count + 1]);
        let why = Why("a process of its own: this one goes on as the machine's first");
        match syscalls::clone3_helper(CloneFlags::NONE, Lane::Hook as u8, why)? {
            Cloned::Parent { pid, pidfd } => Ok(Child { pid, process: pidfd }),
            Cloned::Child => {
                syscalls::freeze();
                syscalls::record::in_step(Step::Program as u16);
                let [words, environment] = &mut rooms;
                let words = Vector::new(start.words.iter().map(CString::as_c_str), words);
                let environment = Vector::new(syscalls::environment(), environment);
                let failed = start.become_it(&words, &environment);
                let text = b"nk-runtime: /init could not be executed again\n";
                let _ = syscalls::write(At::STDERR, text, Why("the one who waits learns why nothing runs"));
                syscalls::exit_group(failed.map_or_else(|failed| i32::from(failed.errno.0), |()| 1), why)
            }
        }
    }

    /// Sends a signal. The process may have ended.
    pub fn signal(&self, number: i32, why: Why) -> Result<()> {
        syscalls::pidfd_send_signal(self.process.at(), number, why)
    }
}

impl Start<'_> {
    fn become_it(&self, words: &Vector, environment: &Vector) -> Result<()> {
        let why = Why("signals act on it as on any program; PID 1 holds its own back");
        syscalls::rt_sigaction(libc::SIGPIPE, Disposition::Default, why)?;
        syscalls::rt_sigprocmask(SigSet::EMPTY, why)?;
        for (number, stream) in self.streams.into_iter().enumerate() {
            if stream.raw() != number as i32 {
                syscalls::dup3_standard(stream, number as i32, Why("its standard input, output and error"))?;
            }
        }
        let why = Why("keys such as Ctrl-C become signals only at the terminal of a session");
        if self.terminal && syscalls::setsid(why).is_ok() {
            // The console of some machines cannot be one: the program runs without.
            let _ = syscalls::tiocsctty(At::STDIN, why);
        }
        if let Some(root) = self.root {
            syscalls::chroot(root, Why("the shell and what it needs lie below this directory"))?;
        }
        if let Some(place) = self.place {
            syscalls::chdir(place, Why("what its words name lies here"))?;
        }
        Err(syscalls::execve(self.program, words, environment, Why("this becomes the child")))
    }
}

/// Words of this program's command line, as a child gets them. None: one holds a NUL byte.
pub fn words<'a>(words: impl Iterator<Item = &'a [u8]>) -> Option<Vec<CString>> {
    let all = core::iter::once(&b"nk-runtime"[..]).chain(words);
    all.map(|word| CString::new(word).ok()).collect()
}

/// The file of this program. The kernel has executed /init by its path.
pub fn itself() -> &'static CStr {
    syscalls::executed_as()
}
