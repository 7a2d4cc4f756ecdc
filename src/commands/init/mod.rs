//! `/init`: this program as PID 1 of a machine that the kernel boots from an initramfs. It mounts the file systems that a
//! container needs, runs what the kernel's command line names, and ends the machine.
//!
//! ```text
//!   nk.bundle=DIR,..    what to run; without it /bundle, or all below /bundles by their names, or the demo
//!   nk.id=ID            the id of a single container (its directory's name)
//!   nk.restart=WHEN     no (the usual), on-failure or always: whether a container that has ended starts again, after 0.1 s,
//!                       then twice as long each time up to 10 s; after 10 s of life it begins with 0.1 s
//!   nk.rescue           a shell on the console if a word is wrong or a container could not be made
//!   nk.channel=WAY      virtio or vsock:PORT: a host says what runs (src/frames/CHANNEL.md)
//!   nk.trace=FORMAT     text, strace or json: every call, on the console
//!   nk.log-level=LEVEL  as --log-level; debug also tells how much memory this process took
//!   nk.status=PATH      a device that gets the exit status, in decimal; without it the console shows the status
//!   nk.end=HOW          poweroff (the usual), reboot or halt
//!   and those of src/guest, for modules, disks and the network
//! ```
//! The kernel takes words with a dot for parameters of modules (kernel-parameters.rst in its documentation) and does not pass
//! them to its first process, so they are read from /proc/cmdline. The same words can stand in /etc/nk-runtime.conf of the
//! image, one a line; those of the command line win. If PID 1 ended the kernel would panic. So every way out of this file, also a
//! fault of this program's own, ends the machine.
//!
//! A single container runs in this process itself: `run` waits for it, and for all orphans of the machine, which the kernel
//! gives to PID 1. Several, one that starts again, and the sessions of a channel are children of this process:
//!
//! ```text
//!   words       the command line and the settings
//!   supervise   the loop: signals, children, bytes            child    clone3 and execve
//!   services    bundles: their order, their end, what follows lines    the console, with ids
//!   channel     frames, by a port or AF_VSOCK                 ports    virtio ports by name
//!   sessions    what the host runs                            files    its files    pty    its terminals
//!   rescue      the shell
//! ```
//! May touch: everything below.

mod channel;
mod child;
mod files;
mod lines;
mod ports;
mod pty;
mod rescue;
mod services;
mod sessions;
mod supervise;
mod words;

use self::channel::Channel;
use self::services::Services;
use self::supervise::Supervisor;
use self::words::{Restart, SETTINGS, Texts, Wish};
use super::context::step;
use crate::guest;
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

/// Where bundles are looked for if nk.bundle names none: one, or one in each directory.
const BUNDLE: &str = "/bundle";
const BUNDLES: &CStr = c"/bundles";

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

/// The machine's status, and whether a device has got it.
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
    let texts = Texts { settings: settings()?, line: read(c"/proc/cmdline")? };
    if let Some(end) = texts.ending() {
        END.store(end.bits(), Relaxed);
    }
    let mut bundles = Vec::new();
    match work(&texts, &mut bundles, obey) {
        Err(error) if texts.rescue() => {
            out::stderr(&error::message(&error, "").text());
            // If the words were not understood, the usual places may have a shell.
            let usual = if bundles.is_empty() { found()? } else { Vec::new() };
            let bundles = bundles.iter().map(|(_, directory)| directory).chain(&usual);
            rescue::shell(bundles.map(String::as_str)).map(|()| (1, false))
        }
        done => done,
    }
}

/// Does what the words ask for. `bundles` gets the id and the directory of each bundle.
fn work(
    texts: &Texts,
    bundles: &mut Vec<(String, String)>,
    obey: &dyn Fn(&[&str]) -> i32,
) -> Result<(i32, bool), Error> {
    let wish = texts.understand()?;
    let to = wish.status.as_deref().map(open_status).transpose()?;
    guest::prepare(&wish.guest, wish.bundles.first().map_or(BUNDLE, String::as_str))?;
    *bundles = named(&wish)?;
    let alone = bundles.len() < 2 && wish.restart == Restart::No && !wish.rescue && wish.channel.is_none();
    let status = match alone || bundles.is_empty() && wish.channel.is_none() {
        true => {
            let command = command(&wish, bundles);
            let words: Vec<&str> = command.iter().map(String::as_str).collect();
            obey(&words)
        }
        false => supervise(&wish, bundles)?,
    };
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

/// Runs all of them as children of this process, and what a host asks for.
fn supervise(wish: &Wish, bundles: &[(String, String)]) -> Result<i32, Error> {
    files::prepare()?;
    let channel = wish.channel.map(Channel::open).transpose()?;
    let mut supervisor = Supervisor::new(Services::of(bundles, wish)?, channel)?;
    supervisor.run()?;
    let (status, id) = supervisor.services.status();
    if !id.is_empty() {
        out::stderr(&format!("nk-runtime: the first that ended with another status than 0: {id}\n"));
    }
    if let Some((_, directory)) =
        supervisor.services.failed.and_then(|place| bundles.get(place)).filter(|_| wish.rescue)
    {
        rescue::shell([directory.as_str()].into_iter())?;
    }
    Ok(status)
}

/// The settings of the image. There need be none.
fn settings() -> Result<String, Error> {
    let path = c(SETTINGS)?;
    match syscalls::newfstatat(At::CWD, &path, AtFlags::NONE, Why("the image may have settings")) {
        Err(failed) if [Errno::ENOENT, Errno::ENOTDIR].contains(&failed.errno) => Ok(String::new()),
        _ => read(&path),
    }
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

/// The id and the directory of each bundle, in the order of their start.
fn named(wish: &Wish) -> Result<Vec<(String, String)>, Error> {
    let mut directories = wish.bundles.clone();
    if directories.is_empty() && wish.channel.is_none() {
        directories = found()?;
    }
    let mut all: Vec<(String, String)> = Vec::new();
    let wrong = |text: String| Err(Error::Usage(text));
    for directory in directories {
        let name = directory.trim_end_matches('/').rsplit('/').next().filter(|name| !name.is_empty());
        let id = wish.id.as_deref().or(name).unwrap_or("bundle").to_string();
        if all.iter().any(|(other, _)| *other == id) {
            let which = if wish.id.is_some() {
                "nk.id: there are several bundles, and each has"
            } else {
                "nk.bundle: each bundle has"
            };
            return wrong(format!("{which} its directory's name as its id; `{id}` would be there twice"));
        }
        all.push((id, directory));
    }
    match all.is_empty() && wish.id.is_some() {
        true => wrong("nk.id: there is no bundle; the demo has an id of its own, and a host gives its own".into()),
        false => Ok(all),
    }
}

/// The bundles that are there without a word.
fn found() -> Result<Vec<String>, Error> {
    let why = Why("without nk.bundle, what lies at these places is run");
    match syscalls::newfstatat(At::CWD, &c(BUNDLE)?, AtFlags::NONE, why) {
        Err(failed) if failed.errno == Errno::ENOENT => {}
        _ => return Ok(vec![BUNDLE.into()]),
    }
    let directory = match syscalls::openat(At::CWD, BUNDLES, OpenFlags::O_DIRECTORY, why) {
        Err(failed) if failed.errno == Errno::ENOENT => return Ok(Vec::new()),
        opened => opened.doing("open /bundles")?,
    };
    let names = input::directories(directory.at(), why).doing("read /bundles")?;
    let mut all: Vec<String> = names.iter().map(|name| format!("/bundles/{}", name.to_string_lossy())).collect();
    crate::sorted::sort(&mut all);
    Ok(all)
}

/// The command line of this program for a single container, or for the demo.
fn command(wish: &Wish, bundles: &[(String, String)]) -> Vec<String> {
    let mut words = wish.options.clone();
    match bundles.first() {
        None => words.push("demo".into()),
        Some((id, bundle)) => words.extend(["run".into(), format!("--bundle={bundle}"), "--".into(), id.clone()]),
    }
    words
}

fn say_and_finish(status: i32) -> ! {
    out::stderr(&format!("nk-runtime: exit status {status}\n"));
    finish(status)
}

/// Ends the machine. Where that is not possible, as in a container, it ends this process.
fn finish(status: i32) -> ! {
    guest::end();
    syscalls::sync(Why("what was written must be on the disks before the machine ends"));
    let why = Why("PID 1 has done its work, and must not end while the machine goes on");
    if let Err(failed) = syscalls::reboot(Reboot::from_bits(END.load(Relaxed)), why) {
        out::stderr(&error::message(&at("end the machine", failed), "").text());
    }
    syscalls::exit_group(status, why)
}
