//! Terminals: pseudoterminals and their ioctl(2) requests (pty(7), ioctl_tty(2)).

use crate::abi::{Termios, WinSize};
use crate::arg::{Arg, fd, hex, input, named, output, plain};
use crate::call::{Result, Why};
use crate::fd::{At, Fd};
use crate::flags::{Ioctl, OpenFlags};
use crate::gate::gate;
use linux_raw_sys::general::__NR_ioctl;

plain! {
    Number: i32;
    Termios: Termios;
    WinSize: WinSize;
}

#[track_caller]
fn ioctl(terminal: At, request: Ioctl, argument: Arg, why: Why) -> Result<usize> {
    gate(__NR_ioctl, &[fd(terminal), named(request), argument], why)
}

/// ioctl(2) with TCGETS: a terminal's settings. ENOTTY: it is no terminal.
#[track_caller]
pub fn tcgets(terminal: At, why: Why) -> Result<Termios> {
    let mut settings = Termios::default();
    ioctl(terminal, Ioctl::TCGETS, output(&mut settings), why)?;
    Ok(settings)
}

/// ioctl(2) with TCSETS: changes them at once.
#[track_caller]
pub fn tcsets(terminal: At, settings: &Termios, why: Why) -> Result<()> {
    ioctl(terminal, Ioctl::from_bits(libc::TCSETS), input(settings), why).map(drop)
}

/// Whether a descriptor is a terminal.
#[track_caller]
pub fn isatty(file: At, why: Why) -> bool {
    tcgets(file, why).is_ok()
}

/// ioctl(2) with TIOCGWINSZ: how large a terminal's window is.
#[track_caller]
pub fn tiocgwinsz(terminal: At, why: Why) -> Result<WinSize> {
    let mut size = WinSize::default();
    ioctl(terminal, Ioctl::TIOCGWINSZ, output(&mut size), why)?;
    Ok(size)
}

/// ioctl(2) with TIOCSWINSZ: says how large it is; the terminal's foreground programs get SIGWINCH.
#[track_caller]
pub fn tiocswinsz(terminal: At, size: WinSize, why: Why) -> Result<()> {
    ioctl(terminal, Ioctl::TIOCSWINSZ, input(&size), why).map(drop)
}

/// ioctl(2) with TIOCSPTLCK: unlocks a new pseudoterminal. Before, no process can open its other side.
#[track_caller]
pub fn tiocsptlck_unlock(master: At, why: Why) -> Result<()> {
    ioctl(master, Ioctl::TIOCSPTLCK, input(&0i32), why).map(drop)
}

/// ioctl(2) with TIOCGPTPEER: the other side of a pseudoterminal, whatever its path in /dev/pts leads to.
#[track_caller]
pub fn tiocgptpeer(master: At, why: Why) -> Result<Fd> {
    let flags = OpenFlags::O_RDWR | OpenFlags::O_NOCTTY | OpenFlags::O_CLOEXEC;
    ioctl(master, Ioctl::TIOCGPTPEER, hex(flags.bits() as usize), why).map(Fd::new)
}

/// ioctl(2) with TIOCSCTTY: this becomes the controlling terminal of the session that the caller leads.
#[track_caller]
pub fn tiocsctty(terminal: At, why: Why) -> Result<()> {
    ioctl(terminal, Ioctl::TIOCSCTTY, hex(0), why).map(drop)
}
