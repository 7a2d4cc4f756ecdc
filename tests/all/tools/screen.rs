//! A terminal for a case: a command runs at it, keys are typed, and what is shown is read. Or only its other side, as an
//! engine gets it through a console socket.

use crate::bundle::{Bundle, PATIENCE, tool};
use crate::{Failed, Outcome, ensure};
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::pty::{Winsize, openpty};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
use nix::sys::termios::{Termios, tcgetattr};
use std::fs::File;
use std::io::{ErrorKind, IoSliceMut, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

nix::ioctl_write_ptr_bad!(set_window, nix::libc::TIOCSWINSZ, Winsize);
nix::ioctl_read_bad!(get_window, nix::libc::TIOCGWINSZ, Winsize);

/// The side of a terminal at which keys are typed.
pub struct Screen {
    master: File,
    pub shown: String,
}

impl Screen {
    pub fn new(master: OwnedFd) -> Result<Screen, Failed> {
        fcntl(&master, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        Ok(Screen { master: File::from(master), shown: String::new() })
    }

    pub fn keys(&mut self, keys: &str) -> Outcome {
        Ok(self.master.write_all(keys.as_bytes())?)
    }

    /// Reads what there is. False: nobody is at the other side any more.
    fn look(&mut self) -> Result<bool, Failed> {
        let mut bytes = [0; 65536];
        match self.master.read(&mut bytes) {
            Ok(0) => Ok(false),
            Ok(len) => {
                self.shown.push_str(&String::from_utf8_lossy(&bytes[..len]));
                Ok(true)
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(true),
            Err(error) if error.raw_os_error() == Some(nix::libc::EIO) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Waits until these words are shown; what was shown up to them is forgotten.
    pub fn until(&mut self, words: &str) -> Result<String, Failed> {
        self.until_any(&[words])
    }

    /// The same for the first of several.
    pub fn until_any(&mut self, words: &[&str]) -> Result<String, Failed> {
        let end = Instant::now() + PATIENCE;
        let found = |shown: &str| words.iter().filter_map(|one| Some(shown.find(one)? + one.len())).min();
        loop {
            if let Some(end) = found(&self.shown) {
                let rest = self.shown.split_off(end);
                return Ok(std::mem::replace(&mut self.shown, rest));
            }
            let there = self.look()?;
            ensure!(
                there && Instant::now() < end || found(&self.shown).is_some(),
                "waited in vain for `{words:?}` to be shown: {:?}",
                self.shown
            );
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Waits until nobody is at the other side any more.
    pub fn end(&mut self) -> Result<String, Failed> {
        let end = Instant::now() + PATIENCE;
        while self.look()? {
            ensure!(Instant::now() < end, "no end: {:?}", self.shown);
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(std::mem::take(&mut self.shown))
    }

    pub fn resize(&self, rows: u16, columns: u16) -> Outcome {
        let size = window(rows, columns);
        // SAFETY: the structure is the one that the request takes.
        unsafe { set_window(self.master.as_raw_fd(), &size) }?;
        Ok(())
    }

    pub fn size(&self) -> Result<(u16, u16), Failed> {
        let mut size = window(0, 0);
        // SAFETY: as above.
        unsafe { get_window(self.master.as_raw_fd(), &mut size) }?;
        Ok((size.ws_row, size.ws_col))
    }
}

fn window(rows: u16, columns: u16) -> Winsize {
    Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }
}

/// A command at a terminal of its own.
pub struct Seat {
    pub screen: Screen,
    pub child: Child,
    /// Kept, so that the terminal's settings can be seen behind the command's end.
    terminal: OwnedFd,
    before: Termios,
}

impl Seat {
    pub fn take(bundle: &Bundle, command: &Command) -> Result<Seat, Failed> {
        Seat::of_size(bundle, command, 33, 111)
    }

    /// At a terminal of so many rows and columns.
    pub fn of_size(bundle: &Bundle, command: &Command, rows: u16, columns: u16) -> Result<Seat, Failed> {
        let pty = openpty(&window(rows, columns), None)?;
        // A command of another case shall not hold this terminal open.
        for side in [&pty.master, &pty.slave] {
            fcntl(side, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
        }
        let before = tcgetattr(&pty.slave)?;
        let mut seated = Command::new(tool("setsid")?);
        seated.args(["--ctty", "--wait"]);
        seated.arg(command.get_program()).args(command.get_args());
        seated.current_dir(bundle.path(""));
        seated.stdin(Stdio::from(pty.slave.try_clone()?));
        seated.stdout(Stdio::from(pty.slave.try_clone()?));
        seated.stderr(Stdio::from(pty.slave.try_clone()?));
        Ok(Seat { screen: Screen::new(pty.master)?, child: seated.spawn()?, terminal: pty.slave, before })
    }

    /// A program of the caller's has set the terminal so that nobody is held up at it: that holds for all who have it.
    pub fn holds_nobody_up(&self) -> Outcome {
        let flags = OFlag::O_RDWR | OFlag::O_NONBLOCK;
        fcntl(&self.terminal, FcntlArg::F_SETFL(flags))?;
        Ok(())
    }

    /// The end of the command; the terminal is as it was. What was shown since it was last looked at.
    pub fn leave(mut self, status: i32) -> Result<String, Failed> {
        let end = Instant::now() + PATIENCE;
        let ended = loop {
            self.screen.look()?;
            if let Some(ended) = self.child.try_wait()? {
                break ended;
            }
            ensure!(Instant::now() < end, "no end: {:?}", self.screen.shown);
            std::thread::sleep(Duration::from_millis(2));
        };
        while {
            let before = self.screen.shown.len();
            self.screen.look()?;
            self.screen.shown.len() > before
        } {}
        let shown = self.screen.shown;
        let now = tcgetattr(&self.terminal)?;
        ensure!(ended.code() == Some(status), "{status} wanted, {ended} came: {shown:?}");
        ensure!(now == self.before, "the terminal is not as it was: {now:?}");
        Ok(shown)
    }

    /// Whether the terminal has the settings from before the command.
    pub fn is_as_before(&self) -> Result<bool, Failed> {
        Ok(tcgetattr(&self.terminal)? == self.before)
    }
}

/// A descriptor that was handed over, and what was said with it.
pub type Handed = JoinHandle<Result<(OwnedFd, String), String>>;

/// Who listens at a socket for a terminal, or a handle, and gets one.
pub fn console(path: &Path) -> Result<Handed, Failed> {
    let listener = UnixListener::bind(path)?;
    Ok(std::thread::spawn(move || {
        let (stream, _) = listener.accept().map_err(|e| e.to_string())?;
        let mut text = [0; 64];
        let mut room = nix::cmsg_space!([i32; 1]);
        let mut parts = [IoSliceMut::new(&mut text)];
        let flags = MsgFlags::MSG_CMSG_CLOEXEC;
        let message =
            recvmsg::<()>(stream.as_raw_fd(), &mut parts, Some(&mut room), flags).map_err(|e| e.to_string())?;
        let bytes = message.bytes;
        if bytes == 0 {
            return Err("nothing came with it".into());
        }
        let mut came = None;
        for one in message.cmsgs().map_err(|e| e.to_string())? {
            if let ControlMessageOwned::ScmRights(all) = one
                && let Some(fd) = all.first()
            {
                // SAFETY: the kernel has just made this descriptor for us.
                came = Some(unsafe { OwnedFd::from_raw_fd(*fd) });
            }
        }
        let said = String::from_utf8_lossy(&text[..bytes]).into_owned();
        came.map(|fd| (fd, said)).ok_or("no descriptor came".into())
    }))
}

/// The terminal that came.
pub fn came(console: Handed) -> Result<Screen, Failed> {
    let (master, _) = console.join().map_err(|_| "the listener stopped")??;
    Screen::new(master)
}
