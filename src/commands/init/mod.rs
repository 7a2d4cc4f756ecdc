//! `/init`: this program as PID 1 of a machine that the kernel boots from an initramfs. It mounts the file systems that a
//! container needs, runs what the kernel's command line names, and ends the machine.
//!
//! ```text
//!   nk.bundle=DIR       what to run; without it /bundle, and if that is not there, the demo
//!   nk.id=ID            the container's id (bundle)
//!   nk.trace=FORMAT     text, strace or json: every call, on the console
//!   nk.log-level=LEVEL  as --log-level; debug also tells how much memory this process took
//!   nk.status=PATH      a device that gets the program's exit status, in decimal; without it the console shows the status
//!   nk.end=HOW          poweroff (the usual), reboot or halt
//! ```
//! The kernel takes words with a dot for parameters of modules (kernel-parameters.rst in its documentation) and does not pass
//! them to its first process, so they are read from /proc/cmdline. If PID 1 ended the kernel would panic. So every way out of
//! this file, also a fault of this program's own, ends the machine. The kernel gives PID 1 all orphans of the machine, and
//! `run` waits for them. May touch: everything below.

mod words;

use self::words::Wish;
use super::context::step;
use crate::host::input::{self, c};
use crate::outcome::{Doing, Error, at};
use crate::perform::files::write_all;
use crate::plan::Step;
use crate::say::{error, out};
use core::ffi::{CStr, c_char};
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use syscalls::{At, AtFlags, Errno, Fd, MountFlags, OpenFlags, PollFd, Reboot, Why};

/// Whether this process is the machine's first.
static FIRST: AtomicBool = AtomicBool::new(false);

/// How the machine ends, as reboot(2) has it.
static END: AtomicU64 = AtomicU64::new(Reboot::LINUX_REBOOT_CMD_POWER_OFF.bits());

/// Where a bundle is looked for if nk.bundle names none.
const BUNDLE: &str = "/bundle";

/// Whether this process is PID 1, and was executed as `init`.
pub fn called(argv: *const *const c_char, pid: i32) -> bool {
    let name = syscalls::args(argv).next().map_or(&[][..], CStr::to_bytes);
    pid == 1 && name.rsplit(|b| *b == b'/').next() == Some(b"init")
}

/// Runs what the kernel's command line names. `obey` runs a command line of this program.
pub fn init(obey: &dyn Fn(&[&str]) -> i32) -> ! {
    FIRST.store(true, Relaxed);
    step(Step::Command);
    match run(obey) {
        Ok((status, true)) => finish(status),
        Ok((status, false)) => say_and_finish(status),
        Err(error) => {
            out::stderr(&error::message(&error, "").text());
            say_and_finish(1)
        }
    }
}

/// Ends the machine after a fault of this program's own in the first process.
pub fn fault() {
    // A process that this one has cloned may end like any other.
    if FIRST.load(Relaxed) && syscalls::record::own_pid() == 1 {
        say_and_finish(1);
    }
}

/// The program's status, and whether a device has got it.
fn run(obey: &dyn Fn(&[&str]) -> i32) -> Result<(i32, bool), Error> {
    mount(c"/dev", c"devtmpfs")?;
    open_console()?;
    mount(c"/proc", c"proc")?;
    mount(c"/sys", c"sysfs")?;
    mount(c"/sys/fs/cgroup", c"cgroup2")?;
    let why = Why("Ctrl-Alt-Del shall be a signal to this process, which sends it on to the program");
    syscalls::reboot(Reboot::LINUX_REBOOT_CMD_CAD_OFF, why).or_else(|failed| match failed.errno {
        // In a pid namespace the kernel refuses this, as it should.
        Errno::EINVAL | Errno::EPERM => Ok(()),
        _ => Err(at("be PID 1", failed)),
    })?;
    let line = read(c"/proc/cmdline")?;
    if let Some(end) = words::ending(&line) {
        END.store(end.bits(), Relaxed);
    }
    let wish = words::understand(&line)?;
    let to = wish.status.as_deref().map(open_status).transpose()?;
    let command = command(&wish)?;
    let words: Vec<&str> = command.iter().map(String::as_str).collect();
    let status = obey(&words);
    step(Step::Delete);
    if wish.debug {
        let text = read(c"/proc/self/status")?;
        let peak = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        out::stderr(&format!(
            "nk-runtime: the most memory that this process had: {}\n",
            peak.unwrap_or("unknown").trim()
        ));
    }
    let Some(to) = to else {
        return Ok((status, false));
    };
    let why = Why("nk.status: the process that started the machine reads the status there");
    let told = write_all(to.at(), format!("{status}\n").as_bytes(), why);
    // close(2) of a serial line waits until all bytes are sent.
    told.and_then(|()| to.close(why)).doing("write the status that nk.status asks for")?;
    Ok((status, true))
}

/// Mounts a file system of the kernel's. It may be mounted already.
fn mount(place: &CStr, kind: &CStr) -> Result<(), Error> {
    let failed = |failed| at(format!("mount {}", place.to_string_lossy()), failed);
    let why = Why("without this file system of the kernel's no container can be made");
    match syscalls::mkdirat(At::CWD, place, 0o755, why) {
        Err(f) if f.errno != Errno::EEXIST => return Err(failed(f)),
        _ => {}
    }
    match syscalls::mount(kind, place, kind, MountFlags::NONE, None, why) {
        Err(f) if f.errno != Errno::EBUSY => Err(failed(f)),
        _ => Ok(()),
    }
}

/// Opens /dev/console as descriptors 0 to 2. The kernel has done so if the initramfs has that device.
fn open_console() -> Result<(), Error> {
    let failed = |failed| at("open the console", failed);
    let why = Why("an initramfs without /dev/console leaves its first process without descriptors");
    let mut fds = [0, 1, 2].map(|fd| PollFd { fd, events: 0, revents: 0 });
    syscalls::ppoll(&mut fds, Some(0), why).map_err(failed)?;
    for _ in fds.iter().filter(|fd| fd.revents & libc::POLLNVAL != 0) {
        // The kernel gives the lowest free number: the closed one.
        syscalls::open_standard(c"/dev/console", why).map_err(failed)?;
    }
    Ok(())
}

fn read(path: &CStr) -> Result<String, Error> {
    let why = Why("the kernel tells there how this machine was started");
    let text = syscalls::openat(At::CWD, path, OpenFlags::NONE, why)
        .and_then(|file| input::read_all(file.at(), why))
        .doing(format_args!("read {}", path.to_string_lossy()))?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// Opens the device for the status before anything runs, so that an error shows in time.
fn open_status(path: &str) -> Result<Fd, Error> {
    let flags = OpenFlags::O_WRONLY | OpenFlags::O_NOCTTY;
    let why = Why("nk.status: the program's exit status goes there");
    syscalls::openat(At::CWD, &c(path)?, flags, why).doing(format_args!("open {path}, which nk.status names"))
}

/// The command line of this program for it.
fn command(wish: &Wish) -> Result<Vec<String>, Error> {
    let mut words = wish.options.clone();
    let why = Why("without nk.bundle, the bundle that lies there is run");
    let bundle = match &wish.bundle {
        Some(named) => Some(named.as_str()),
        None => match syscalls::newfstatat(At::CWD, &c(BUNDLE)?, AtFlags::NONE, why) {
            Err(failed) if failed.errno == Errno::ENOENT => None,
            _ => Some(BUNDLE),
        },
    };
    let Some(bundle) = bundle else {
        if wish.id.is_some() {
            let text = "the kernel's command line: nk.id: there is no bundle, and the demo has an id of its own";
            return Err(Error::Usage(text.into()));
        }
        words.push("demo".into());
        return Ok(words);
    };
    let id = wish.id.as_deref().unwrap_or("bundle");
    words.extend(["run".into(), format!("--bundle={bundle}"), "--".into(), id.into()]);
    Ok(words)
}

fn say_and_finish(status: i32) -> ! {
    out::stderr(&format!("nk-runtime: exit status {status}\n"));
    finish(status)
}

/// Ends the machine. Where that is not possible, as in a container, it ends this process.
fn finish(status: i32) -> ! {
    syscalls::sync(Why("what was written must be on the disks before the machine ends"));
    let why = Why("PID 1 has done its work, and must not end while the machine goes on");
    if let Err(failed) = syscalls::reboot(Reboot::from_bits(END.load(Relaxed)), why) {
        out::stderr(&error::message(&at("end the machine", failed), "").text());
    }
    syscalls::exit_group(status, why)
}
