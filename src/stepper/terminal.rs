//! The person's terminal: it takes single keys while a lane is stopped, and is as before at any other time. May touch: system
//! calls.

use crate::host::procfs;
use crate::outcome::{Doing, Error};
use crate::perform::files::write_all;
use syscalls::abi::Termios;
use syscalls::{At, Disposition, Fd, OpenFlags, PollFd, Result, SigSet, Why, record};

/// Columns and rows, where the terminal does not tell, and the fewest that a screen is drawn for.
const USUAL: (usize, usize) = (80, 24);
const LEAST: (usize, usize) = (40, 8);
/// A longer line is hard to read.
const WIDEST: usize = 120;

/// Fields of /proc/PID/stat, counted after the name (proc_pid_stat(5)).
const GROUP: usize = 2;
const FOREGROUND: usize = 5;
/// How often a process in the background stops.
const TRIES: usize = 50;

/// Keys, as a terminal sends them.
pub const ENTER: [u8; 2] = [b'\r', b'\n'];
pub const ESCAPE: u8 = 0x1b;
pub const CTRL_C: u8 = 3;
pub const CTRL_D: u8 = 4;
pub const CTRL_L: u8 = 12;
pub const CTRL_U: u8 = 21;
pub const CTRL_Z: u8 = 26;
pub const ERASE: [u8; 2] = [8, 127];

/// The signals that the stepper holds back. One of the others stops it as long as its job is in the background: it may not change
/// the terminal of another job.
const HELD: SigSet = SigSet::HELD.without(libc::SIGTTOU).without(libc::SIGTTIN);

pub struct Terminal {
    /// The terminal that controls this process. Without one, standard input is used.
    own: Option<Fd>,
    at: At,
    /// The runtime's process, which is in the same job.
    pid: i32,
    /// The settings from before, while single keys are taken.
    before: Option<Termios>,
    /// The settings when the run began.
    at_first: Option<Termios>,
}

impl Terminal {
    /// The terminal that controls this process, or else standard input.
    pub fn open() -> core::result::Result<Terminal, Error> {
        let why = Why("--step shows each line there, and takes keys");
        let flags = OpenFlags::O_RDWR | OpenFlags::O_NOCTTY;
        let pid = record::own_pid();
        let own = syscalls::openat(At::CWD, c"/dev/tty", flags, why).ok();
        let at = own.as_ref().map_or(At::STDIN, Fd::at);
        let at_first = syscalls::tcgets(at, Why("the runtime gives them back if the stepper is killed")).ok();
        match own.is_some() || at_first.is_some() {
            true => Ok(Terminal { own, at, pid, before: None, at_first }),
            false => Err(Error::Usage(
                "--step and --break need a terminal: this command has none, and standard input is no terminal; call it from a shell, or in script(1)".into(),
            )),
        }
    }

    /// The signals of a job: the shell may stop this process, and no other signal reaches it. The runtime takes those.
    pub fn hold_signals() {
        let why = Why("the runtime takes the signals; the stepper has to give the terminal back first");
        for signal in [libc::SIGTTOU, libc::SIGTTIN] {
            let _ = syscalls::rt_sigaction(signal, Disposition::Default, why);
        }
        let _ = syscalls::rt_sigprocmask(HELD, why);
    }

    pub fn at(&self) -> At {
        self.at
    }

    pub fn size(&self) -> (usize, usize) {
        let size = syscalls::tiocgwinsz(self.at, Why("a stop has to fit on the screen"));
        let size = size.map_or((0, 0), |size| (usize::from(size.columns), usize::from(size.rows)));
        let or = |given: usize, usual: usize| if given == 0 { usual } else { given };
        let (columns, rows) = (or(size.0, USUAL.0), or(size.1, USUAL.1));
        (columns.clamp(LEAST.0, WIDEST), rows.max(LEAST.1))
    }

    pub fn show(&self, text: &str) -> core::result::Result<(), Error> {
        write_all(self.at, text.as_bytes(), Why("a person reads it")).doing("write to the terminal")
    }

    /// Whether this process is in the job that the shell lets use its terminal (proc_pid_stat(5): pgrp, tpgid).
    fn is_in_foreground(&self) -> bool {
        let why = Why("a job in the background may not use the shell's terminal");
        let stat = procfs::text(self.pid, "stat", why).unwrap_or_default();
        let fields: Vec<&str> = stat.rsplit_once(") ").map_or(Vec::new(), |(_, rest)| rest.split(' ').collect());
        fields.get(GROUP) == fields.get(FOREGROUND) || self.own.is_none()
    }

    /// In the background: stops, as a job of the shell, until the shell lets it use the terminal. Where no shell could do that it
    /// returns after some tries.
    pub fn come_to_foreground(&mut self, runtime: &Fd) {
        for _ in 0..TRIES {
            if self.is_in_foreground() {
                return;
            }
            self.suspend(runtime);
        }
    }

    /// Takes single keys from here on, without showing them. Ctrl-C is a key, too: its signal would reach the lanes.
    pub fn take(&mut self) -> Result<()> {
        if self.before.is_some() {
            return Ok(());
        }
        let why = Why("each key counts, without Enter after it");
        let before = syscalls::tcgets(self.at, why)?;
        let mut single = before;
        single.local &= !(libc::ECHO | libc::ICANON | libc::ISIG | libc::IEXTEN);
        single.characters[libc::VMIN] = 1;
        single.characters[libc::VTIME] = 0;
        syscalls::tcsets(self.at, &single, why)?;
        self.before = Some(before);
        Ok(())
    }

    /// The settings from before.
    pub fn give_back(&mut self) {
        if let Some(before) = self.before.take() {
            let why = Why("until the next stop the terminal belongs to the container and to the shell");
            let _ = syscalls::tcsets(self.at, &before, why);
        }
    }

    /// The runtime gives back the settings that a stepper that was killed could not give back. In the background it may not.
    pub fn restore(&self) {
        if let Some(first) = self.at_first.filter(|_| self.is_in_foreground()) {
            let _ = syscalls::tcsets(self.at, &first, Why("the stepper was killed before it could give them back"));
        }
    }

    /// The next byte that was typed. `None`: the terminal is gone, or another job of the shell has it.
    pub fn key(&self) -> Option<u8> {
        let mut key = [0];
        match syscalls::read(self.at, &mut key, Why("a key says what comes next")) {
            Ok(1) => Some(key[0]),
            _ => None,
        }
    }

    /// After Escape: takes the rest of the sequence that an arrow or a function key sends.
    pub fn skip_sequence(&self) {
        for _ in 0..8 {
            let mut fds = [PollFd { fd: self.at.raw(), events: libc::POLLIN, revents: 0 }];
            let ready = syscalls::ppoll(&mut fds, Some(20), Why("an arrow key sends several bytes at once"));
            if !ready.is_ok_and(|ready| ready > 0)
                || self.key().is_none_or(|key| key == b'~' || key.is_ascii_alphabetic())
            {
                return;
            }
        }
    }

    /// Ctrl-Z: this process and the runtime stop, as a job of the shell. Returns when the shell lets them go on, or at once where
    /// no shell could do that.
    pub fn suspend(&mut self, runtime: &Fd) {
        self.give_back();
        let why = Why("Ctrl-Z: the shell takes the terminal back");
        // All of the job, as the terminal itself would do it. This process and the runtime hold it back so far.
        let _ = syscalls::kill(0, libc::SIGTSTP, why);
        let _ = syscalls::pidfd_send_signal(runtime.at(), libc::SIGSTOP, why);
        let _ = syscalls::rt_sigaction(libc::SIGTSTP, Disposition::Default, why);
        // The kernel stops this process inside the call, unless no shell watches the job.
        let _ = syscalls::rt_sigprocmask(HELD.without(libc::SIGTSTP), why);
        let why = Why("the shell lets the job go on: a stop signal that waits is taken back");
        let _ = syscalls::rt_sigprocmask(HELD, why);
        let _ = syscalls::kill(0, libc::SIGCONT, why);
        let _ = syscalls::pidfd_send_signal(runtime.at(), libc::SIGCONT, why);
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.give_back();
    }
}
