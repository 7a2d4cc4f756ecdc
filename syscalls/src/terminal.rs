//! Terminals: pseudoterminals and their ioctl(2) requests (pty(7), ioctl_tty(2)), and the way of one to another process.

use crate::abi::{Message, Termios, WinSize};
use crate::call::{Result, Why, gate};
use crate::fd::{At, Fd};
use crate::file::d;
use crate::table::Call;

fn ioctl(call: Call, fd: At, request: u32, argument: usize, why: Why) -> Result<usize> {
    gate(call, [d(fd), request as usize, argument, 0, 0, 0], why)
}

/// ioctl(2) with TCGETS: a terminal's settings. ENOTTY: it is no terminal.
pub fn tcgets(fd: At, why: Why) -> Result<Termios> {
    let mut settings = Termios::default();
    let at = &raw mut settings as usize;
    ioctl(Call::IoctlGetTermios, fd, libc::TCGETS as u32, at, why)?;
    Ok(settings)
}

/// ioctl(2) with TCSETS: changes them at once.
pub fn tcsets(fd: At, settings: &Termios, why: Why) -> Result<()> {
    let at = settings as *const _ as usize;
    ioctl(Call::IoctlSetTermios, fd, libc::TCSETS as u32, at, why).map(drop)
}

/// Whether a descriptor is a terminal.
pub fn isatty(fd: At, why: Why) -> bool {
    tcgets(fd, why).is_ok()
}

/// ioctl(2) with TIOCGWINSZ: how large a terminal's window is.
pub fn tiocgwinsz(fd: At, why: Why) -> Result<WinSize> {
    let mut size = WinSize::default();
    let at = &raw mut size as usize;
    ioctl(Call::IoctlGetWinSize, fd, libc::TIOCGWINSZ as u32, at, why)?;
    Ok(size)
}

/// ioctl(2) with TIOCSWINSZ: says how large it is; the terminal's foreground programs get SIGWINCH.
pub fn tiocswinsz(fd: At, size: WinSize, why: Why) -> Result<()> {
    let at = &raw const size as usize;
    ioctl(Call::IoctlSetWinSize, fd, libc::TIOCSWINSZ as u32, at, why).map(drop)
}

/// ioctl(2) with TIOCSPTLCK: a new pseudoterminal can be opened by nobody before it is unlocked.
pub fn tiocsptlck_unlock(master: At, why: Why) -> Result<()> {
    let locked = 0i32;
    let at = &raw const locked as usize;
    ioctl(Call::IoctlInt, master, libc::TIOCSPTLCK as u32, at, why).map(drop)
}

/// ioctl(2) with TIOCGPTPEER: the other side of a pseudoterminal, whatever its path in /dev/pts leads to.
pub fn tiocgptpeer(master: At, why: Why) -> Result<Fd> {
    let flags = (libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC) as usize;
    let request = libc::TIOCGPTPEER as u32;
    Ok(Fd::new(ioctl(Call::IoctlTty, master, request, flags, why)?, "terminal"))
}

/// ioctl(2) with TIOCSCTTY: the caller, who leads a session without one, has this controlling terminal from now on.
pub fn tiocsctty(terminal: At, why: Why) -> Result<()> {
    ioctl(Call::IoctlTty, terminal, libc::TIOCSCTTY as u32, 0, why).map(drop)
}

/// recvmsg(2) of a message with one descriptor (unix(7), SCM_RIGHTS). `None`: nobody can send any more, or it had none.
pub fn recvmsg_descriptor(socket: At, name: &'static str, why: Why) -> Result<Option<Fd>> {
    let mut message = Message::new(-1);
    message.part = [&raw mut message.beginning as usize, message.beginning.len()];
    message.parts = &raw const message.part as usize;
    message.control = &raw const message.control_header as usize;
    let flags = libc::MSG_CMSG_CLOEXEC as usize;
    let args = [d(socket), &raw mut message as usize, flags, 0, 0, 0];
    let received = gate(Call::Recvmsg, args, why)?;
    // The kernel says how many bytes beside the message it has written.
    let has = received > 0 && message.control_len > 16 && message.descriptor >= 0;
    Ok(has.then(|| Fd::new(message.descriptor as usize, name)))
}
