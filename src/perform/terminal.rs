//! A terminal for the program, in both lanes: opened by init in the container, its other side taken outside. May touch:
//! plan types, system calls.

use super::files::{self, despite, is_null, kind};
use super::{Lanes, callers, trees};
use crate::outcome::{Check, Done, Trouble};
use crate::plan::Slot;
use crate::plan::op::Terminal;
use core::ffi::CStr;
use syscalls::abi::WinSize;
use syscalls::{At, Errno, Fd, OpenFlags, Resolve, Why};

/// Carries out one line, of either lane.
pub fn perform(lanes: &mut Lanes, op: &Terminal, why: Why) -> Done {
    match op {
        Terminal::Connect { path } => {
            lanes.put(Slot::CONSOLE, callers::connect(path, why)?);
        }
        Terminal::Pair => {
            let (host, init) = syscalls::socketpair(why)?;
            lanes.put(Slot::MASTER, host);
            lanes.put(Slot::CONSOLE, init);
        }
        Terminal::Take => take(lanes, why)?,
        Terminal::Open { base, rows, columns, relayed } => {
            let size = WinSize { rows: *rows, columns: *columns, ..WinSize::default() };
            let base = base.map_or(At::CWD, |slot| lanes.at(slot));
            open(lanes, base, size, *relayed, why)?
        }
        Terminal::Console { name, make } => console(lanes, name, *make, why)?,
        Terminal::Send => {
            let (socket, master) = (lanes.at(Slot::CONSOLE), lanes.at(Slot::MASTER));
            // Some data has to go with it (unix(7)); runc's clients expect a name.
            syscalls::sendmsg_descriptor(socket, b"/dev/pts/ptmx", master, why)?;
        }
        Terminal::Use { uid } => become_standard(lanes.at(Slot::TERMINAL), *uid, why)?,
        Terminal::Streams { uid } => streams(lanes, *uid, why)?,
    }
    Ok(())
}

/// Opens both sides of a new terminal. The image, or a process in the container, chooses what lies at /dev/pts: it is
/// checked to be devpts. The program's side comes from the other side by a call, and not by a path.
fn open(lanes: &mut Lanes, base: At, size: WinSize, relayed: bool, why: Why) -> Done {
    let dir = files::resolve(base, c"dev/pts", OpenFlags::O_DIRECTORY, true, why)?;
    let found = syscalls::fstatfs(dir.at(), Why("an image could have another file system there"))?;
    if found.f_type as i64 != libc::DEVPTS_SUPER_MAGIC {
        return Err(Trouble::Check(Check::NoDevpts));
    }
    let wait = if relayed { OpenFlags::O_NONBLOCK } else { OpenFlags::NONE };
    let flags = OpenFlags::O_RDWR | OpenFlags::O_NOCTTY | wait;
    let master = files::open_trusted(dir.at(), c"ptmx", flags, why)?;
    let why = Why("a new terminal is locked until its maker has set its owner (unlockpt(3))");
    syscalls::tiocsptlck_unlock(master.at(), why)?;
    let why = Why("the terminal itself, whatever /dev/pts is by now (TIOCGPTPEER in ioctl_tty(2))");
    let terminal = syscalls::tiocgptpeer(master.at(), why)?;
    if size != WinSize::default() {
        let why = Why("process.consoleSize: the program sees this size at once");
        syscalls::tiocswinsz(master.at(), size, why)?;
    }
    dir.leak(); // init closes what is not the program's all at once
    lanes.put(Slot::MASTER, master);
    lanes.put(Slot::TERMINAL, terminal);
    Ok(())
}

/// A file for it to stand on, and a mount of the terminal itself: no path leads to the wrong one. In a /dev that others
/// use no file is made.
fn console(lanes: &Lanes, name: &CStr, make: bool, why: Why) -> Done {
    let (terminal, dir) = (lanes.at(Slot::TERMINAL), lanes.at(Slot::DEV));
    let tree = trees::copy(terminal, false, why)?;
    trees::bind_on_file(tree, dir, name, make && !lanes.dev_is_lent, why)
}

/// The program's standard descriptors, and its controlling terminal: only a session's first process can take one, and
/// only once (ioctl_tty(2)).
fn become_standard(terminal: At, uid: u32, why: Why) -> Done {
    for number in 0..3 {
        syscalls::dup3_standard(terminal, number, why)?;
    }
    syscalls::tiocsctty(At::STDIN, why)?;
    if uid != 0 {
        let why = Why("the program's user may open it again, as /dev/tty or /dev/stdout");
        chown(At::STDIN, uid, why)?;
    }
    Ok(())
}

/// Files and devices that the caller passed stay the caller's; a pipe is for the program alone; and the null device is
/// the container's own, open for both directions: an engine may have opened the host's for reading only.
fn streams(lanes: &Lanes, uid: u32, why: Why) -> Done {
    let fds = [At::STDIN, At::STDOUT, At::STDERR];
    // Root needs no pipe of its own, so only descriptors that can be the null device are looked at.
    let some = match uid {
        0 => lanes.endless,
        _ => [true; 3],
    };
    let mut null = Null::Unknown;
    for (number, (fd, _)) in fds.into_iter().zip(some).enumerate().filter(|(_, (_, look))| *look) {
        let found = syscalls::fstat(fd, Why("a pipe, the null device, and other files are treated differently"))?;
        if uid != 0 && kind(&found) == libc::S_IFIFO && found.st_uid != uid {
            chown(fd, uid, why)?;
        }
        if !is_null(&found) {
            continue;
        }
        if let Null::Unknown = null {
            null = own_null(lanes)?;
        }
        let own = match &null {
            Null::Unknown | Null::None => continue,
            Null::Masks => lanes.at(Slot::NULL),
            Null::Opened(fd) => fd.at(),
        };
        let why = Why("the stream becomes the container's null device in place of the host's");
        syscalls::dup3_standard(own, number as i32, why)?;
    }
    if let Null::Opened(fd) = null {
        fd.leak(); // init closes what is not the program's all at once
    }
    Ok(())
}

/// The container's null device, open for both directions.
enum Null {
    Unknown,
    /// There is none, or another file has its name: the stream stays as it is.
    None,
    /// That of the masks.
    Masks,
    Opened(Fd),
}

/// What lies at /dev/null may be anything: nothing but the null device is opened.
fn own_null(lanes: &Lanes) -> Done<Null> {
    if lanes.null_is_open {
        return Ok(Null::Masks);
    }
    let open =
        |flags: OpenFlags, why| syscalls::openat2(At::CWD, c"/dev/null", flags, Resolve::RESOLVE_NO_MAGICLINKS, why);
    let real = |fd: &Fd| {
        let found = syscalls::fstat(fd.at(), Why("an image could have put anything there"));
        found.is_ok_and(|found| is_null(&found))
    };
    let Ok(place) = open(OpenFlags::O_PATH, Why("a look at what is there, before it is opened")) else {
        return Ok(Null::None);
    };
    let there = real(&place);
    place.leak();
    if !there {
        return Ok(Null::None);
    }
    Ok(match open(OpenFlags::O_RDWR | OpenFlags::O_NOCTTY, Why("the stream has to work for reading and for writing")) {
        Ok(fd) if real(&fd) => Null::Opened(fd),
        Ok(fd) => {
            fd.leak();
            Null::None
        }
        Err(_) => Null::None,
    })
}

/// Without the right to do this, or without such a user, the program has to do without it.
fn chown(fd: At, uid: u32, why: Why) -> Done {
    despite(&[Errno::EPERM, Errno::EINVAL, Errno::EROFS], syscalls::fchown(fd, uid, u32::MAX, why))
}

/// Host: the terminal's other side. If init has stopped, none comes, and the next line that waits for it says why.
fn take(lanes: &mut Lanes, why: Why) -> Done {
    if let Some(end) = lanes.take(Slot::CONSOLE) {
        end.close(Why("only init holds this end now: if init stops, the wait for the terminal ends"))?;
    }
    let Some(master) = syscalls::recvmsg_descriptor(lanes.at(Slot::MASTER), why)? else {
        lanes.take(Slot::MASTER);
        return Ok(());
    };
    if !fit(master.at()) {
        plain_lines(master.at())?;
    }
    lanes.put(Slot::MASTER, master);
    Ok(())
}

/// The window of the caller's terminal is the program's. Without one there is nothing to fit. Whether standard output
/// is a terminal.
pub fn fit(master: At) -> bool {
    for fd in [At::STDOUT, At::STDIN, At::STDERR] {
        let why = Why("the caller's terminal, if there is one, says how large the window is");
        if let Ok(size) = syscalls::tiocgwinsz(fd, why) {
            let why = Why("programs lay out what they show by the size of the window");
            let _ = syscalls::tiocswinsz(master, size, why);
            return fd == At::STDOUT;
        }
    }
    false
}

/// A file or a pipe gets lines that end in LF, as runc and crun have it: only the screen of a terminal needs the CR
/// before it (termios(3), ONLCR).
fn plain_lines(master: At) -> Done {
    let why = Why("standard output is no terminal: lines end in LF there, without CR");
    let mut settings = syscalls::tcgets(master, why)?;
    settings.output &= !libc::ONLCR;
    Ok(syscalls::tcsets(master, &settings, why)?)
}
