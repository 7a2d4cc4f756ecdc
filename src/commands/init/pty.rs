//! The terminal of a session: a pseudo terminal, with the host's terminal in place of a screen. May touch: everything below.

use syscalls::abi::WinSize;
use syscalls::{At, Errno, Fd, MountFlags, OpenFlags, Result, Why};

/// The character that ends the input at a terminal with its first settings (termios(3), VEOF).
pub const EOT: u8 = 4;

/// Both sides of a new one: the master, which no call waits on, and the program's.
pub fn open(size: [u16; 2]) -> Result<(Fd, Fd)> {
    let why = Why("the session wants a terminal");
    let flags = OpenFlags::O_RDWR | OpenFlags::O_NOCTTY | OpenFlags::O_NONBLOCK;
    let master = match syscalls::openat(At::CWD, c"/dev/pts/ptmx", flags, why) {
        Err(failed) if [Errno::ENOENT, Errno::ENOTDIR].contains(&failed.errno) => {
            mount()?;
            syscalls::openat(At::CWD, c"/dev/pts/ptmx", flags, why)?
        }
        opened => opened?,
    };
    syscalls::tiocsptlck_unlock(master.at(), why)?;
    let slave = syscalls::tiocgptpeer(master.at(), why)?;
    // The host's terminal has shown each key, and this program's relay makes both of them raw later. Keys that come before
    // must not be shown twice, nor wait for a whole line.
    let mut settings = syscalls::tcgets(slave.at(), why)?;
    settings.local &= !(libc::ECHO | libc::ECHONL | libc::ICANON | libc::ISIG | libc::IEXTEN);
    settings.input &= !(libc::ICRNL | libc::INLCR | libc::IGNCR | libc::IXON);
    syscalls::tcsets(slave.at(), &settings, why)?;
    fit(master.at(), size);
    Ok((master, slave))
}

fn mount() -> Result<()> {
    let why = Why("terminals of sessions come from there; a container has a devpts of its own");
    match syscalls::mkdirat(At::CWD, c"/dev/pts", 0o755, why) {
        Err(failed) if failed.errno != Errno::EEXIST => return Err(failed),
        _ => {}
    }
    syscalls::mount(c"devpts", c"/dev/pts", c"devpts", MountFlags::NONE, None, why)
}

/// Gives a terminal its size.
pub fn fit(master: At, [rows, columns]: [u16; 2]) {
    let size = WinSize { rows, columns, ..WinSize::default() };
    let _ = syscalls::tiocswinsz(master, size, Why("programs lay out what they show by the size of the window"));
}
