//! `/init`: this program as PID 1 of a machine that the kernel boots from an initramfs. It mounts what a container
//! needs of the kernel, takes what to run from the kernel's command line, runs it, and ends the machine.
//!
//! ```text
//!   nk.bundle=DIR       what to run: /bundle if it is there, else the demo that this program carries
//!   nk.id=ID            the container's id (bundle)
//!   nk.trace=FORMAT     text, strace or json: every call, on the console
//!   nk.log-level=LEVEL  as --log-level; debug also tells how much memory this process took
//!   nk.status=PATH      a device that gets the program's exit status, in decimal; without it the console does, in words
//!   nk.end=HOW          poweroff (the usual), reboot or halt
//! ```
//! The kernel keeps words with a dot from its first process, taking them for parameters of modules
//! (kernel-parameters.rst in its documentation), so they are read from /proc/cmdline. PID 1 must not end: the kernel
//! would panic. So every way out of here, a fault of this program's own too, ends the machine. Orphans of the whole
//! machine come to PID 1, and `run` reaps them while it waits. May touch: everything below.

use super::context::step;
use crate::host::input;
use crate::host::input::c;
use crate::outcome::{Doing, Error, at};
use crate::perform::files::write_all;
use crate::plan::Step;
use crate::say::out;
use core::ffi::{CStr, c_char};
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use syscalls::{At, AtFlags, Errno, Fd, MountFlags, OpenFlags, PollFd, Reboot, Why};

/// Whether this process is the machine's first.
static FIRST: AtomicBool = AtomicBool::new(false);

/// How the machine ends, as reboot(2) has it.
static END: AtomicU64 = AtomicU64::new(Reboot::LINUX_REBOOT_CMD_POWER_OFF.bits());

/// The words of nk.end.
const ENDS: [(&str, Reboot); 3] = [
    ("poweroff", Reboot::LINUX_REBOOT_CMD_POWER_OFF),
    ("reboot", Reboot::LINUX_REBOOT_CMD_RESTART),
    ("halt", Reboot::LINUX_REBOOT_CMD_HALT),
];

/// Where a bundle is looked for if nk.bundle names none.
const BUNDLE: &str = "/bundle";

/// What the kernel's command line asks for: a command line of ours, and what is for this file.
#[derive(PartialEq, Eq, Debug)]
struct Wish {
    bundle: Option<String>,
    id: Option<String>,
    options: Vec<String>,
    debug: bool,
    status: Option<String>,
}

/// Whether the kernel, or who stands in its place, executed this program as `init`.
pub fn called(argv: *const *const c_char, pid: i32) -> bool {
    let name = syscalls::args(argv).next().map_or(&[][..], CStr::to_bytes);
    pid == 1 && name.rsplit(|b| *b == b'/').next() == Some(b"init")
}

/// Runs what the kernel's command line names. `obey` takes a command line of this program's.
pub fn init(obey: &dyn Fn(&[&str]) -> i32) -> ! {
    FIRST.store(true, Relaxed);
    step(Step::Command);
    match run(obey) {
        Ok((status, true)) => finish(status),
        Ok((status, false)) => say_and_finish(status),
        Err(error) => {
            out::stderr(&out::failure(&error));
            say_and_finish(1)
        }
    }
}

/// A fault of this program's own, in the machine's first process: the machine ends too.
pub fn fault() {
    // What was cloned off has other records: it may end as any process does.
    if FIRST.load(Relaxed) && syscalls::record::own_pid() == 1 {
        say_and_finish(1);
    }
}

/// The program's status, and whether it was told.
fn run(obey: &dyn Fn(&[&str]) -> i32) -> Result<(i32, bool), Error> {
    mount(c"/dev", c"devtmpfs")?;
    open_console()?;
    mount(c"/proc", c"proc")?;
    mount(c"/sys", c"sysfs")?;
    mount(c"/sys/fs/cgroup", c"cgroup2")?;
    let why = Why("Ctrl-Alt-Del is a signal to this process, which hands it on to the program");
    syscalls::reboot(Reboot::LINUX_REBOOT_CMD_CAD_OFF, why).or_else(|failed| match failed.errno {
        // As init of a pid namespace: the machine's keys are another's.
        Errno::EINVAL | Errno::EPERM => Ok(()),
        _ => Err(at("be PID 1", failed)),
    })?;
    let line = read(c"/proc/cmdline")?;
    if let Some(end) = ending(&line) {
        END.store(end.bits(), Relaxed);
    }
    let wish = understand(&line)?;
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
    let tell = to.is_some();
    if let Some(to) = to {
        let why = Why("nk.status: the process that started the machine reads the status there");
        let told = write_all(to.at(), format!("{status}\n").as_bytes(), why);
        // Closing a serial line waits until all has been sent.
        told.and_then(|()| to.close(why)).doing("nk.status")?;
    }
    Ok((status, tell))
}

/// Mounts a file system of the kernel's, which there is only one of: it may be there already.
fn mount(place: &CStr, kind: &CStr) -> Result<(), Error> {
    let failed = |failed| at(format!("mount {}", place.to_string_lossy()), failed);
    let why = Why("a container is made with what the kernel shows there");
    match syscalls::mkdirat(At::CWD, place, 0o755, why) {
        Err(f) if f.errno != Errno::EEXIST => return Err(failed(f)),
        _ => {}
    }
    match syscalls::mount(kind, place, kind, MountFlags::NONE, None, why) {
        Err(f) if f.errno != Errno::EBUSY => Err(failed(f)),
        _ => Ok(()),
    }
}

/// The kernel opens /dev/console as descriptors 0 to 2 of its first process, if the initramfs has it. Now it is there.
fn open_console() -> Result<(), Error> {
    let failed = |failed| at("open the console", failed);
    let why = Why("an initramfs without /dev/console leaves its first process without descriptors");
    let mut fds = [0, 1, 2].map(|fd| PollFd { fd, events: 0, revents: 0 });
    syscalls::ppoll(&mut fds, Some(0), why).map_err(failed)?;
    for _ in fds.iter().filter(|fd| fd.revents & libc::POLLNVAL != 0) {
        // The lowest free number is the one that is missing.
        syscalls::open_standard(c"/dev/console", why).map_err(failed)?;
    }
    Ok(())
}

fn read(path: &CStr) -> Result<String, Error> {
    let why = Why("what the kernel says there");
    let text = syscalls::openat(At::CWD, path, OpenFlags::NONE, why)
        .and_then(|file| input::read_all(file.at(), why))
        .doing(format_args!("read {}", path.to_string_lossy()))?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// Opened before anything runs: a status that cannot be told is known in time.
fn open_status(path: &str) -> Result<Fd, Error> {
    let flags = OpenFlags::O_WRONLY | OpenFlags::O_NOCTTY;
    let why = Why("nk.status: the program's exit status goes there");
    syscalls::openat(At::CWD, &c(path)?, flags, why).doing(format_args!("nk.status: open {path}"))
}

/// The words of the kernel's command line. Quotes hold blanks together, as the kernel reads them.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for c in line.trim_end_matches(['\n', '\0']).chars() {
        match c {
            '"' => quoted = !quoted,
            c if c.is_ascii_whitespace() && !quoted => words.push(String::new()),
            c => words.last_mut().into_iter().for_each(|word| word.push(c)),
        }
    }
    words
}

/// How the machine shall end: read first, since it also holds for words that are wrong.
fn ending(line: &str) -> Option<Reboot> {
    let named = |word: &str| {
        let wanted = word.strip_prefix("nk.end=")?;
        let (_, command) = ENDS.iter().find(|(name, _)| *name == wanted)?;
        Some(*command)
    };
    words(line).iter().rev().find_map(|word| named(word))
}

/// What is ours on the kernel's command line.
fn understand(line: &str) -> Result<Wish, Error> {
    let mut wish = Wish { bundle: None, id: None, options: Vec::new(), debug: false, status: None };
    for word in words(line) {
        let Some(own) = word.strip_prefix("nk.") else {
            continue;
        };
        let (name, value) = own.split_once('=').unwrap_or((own, ""));
        let wrong = |what: &str| {
            let text = format!("the kernel's command line: nk.{name}: {what}");
            Err(Error::Usage(text.escape_debug().collect()))
        };
        if value.is_empty() && name != "trace" {
            return match KNOWN.contains(&name) {
                true => wrong("a value is needed after ="),
                false => wrong(&unknown()),
            };
        }
        let value: String = value.into();
        match name {
            "bundle" => wish.bundle = Some(value),
            "id" => wish.id = Some(value),
            "trace" if value.is_empty() => wish.options.push("--trace".into()),
            "trace" => wish.options.push(format!("--trace={value}")),
            "log-level" => {
                wish.debug = value.eq_ignore_ascii_case("debug");
                wish.options.push(format!("--log-level={value}"));
            }
            "status" => wish.status = Some(value),
            "end" if ending(&word).is_some() => {}
            "end" => return wrong("write poweroff, reboot or halt"),
            _ => return wrong(&unknown()),
        }
    }
    Ok(wish)
}

const KNOWN: &[&str] = &["bundle", "id", "trace", "log-level", "status", "end"];

fn unknown() -> String {
    format!("there is no such word; those that there are: nk.{}", KNOWN.join(", nk."))
}

/// The command line of ours that does it.
fn command(wish: &Wish) -> Result<Vec<String>, Error> {
    let mut words = wish.options.clone();
    let why = Why("without nk.bundle, what lies there is run");
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
    words.push("run".into());
    words.push(format!("--bundle={bundle}"));
    words.extend(["--".into(), id.into()]);
    Ok(words)
}

fn say_and_finish(status: i32) -> ! {
    out::stderr(&format!("nk-runtime: exit status {status}\n"));
    finish(status)
}

/// The end of the machine. Where it cannot be ended, as in a container, this process ends.
fn finish(status: i32) -> ! {
    syscalls::sync(Why("what was written must be on the disks before the machine ends"));
    let why = Why("PID 1 has done its work, and must not end while the machine goes on");
    if let Err(failed) = syscalls::reboot(Reboot::from_bits(END.load(Relaxed)), why) {
        out::stderr(&out::failure(&at("end the machine", failed)));
    }
    syscalls::exit_group(status, why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::say::error;

    fn wish(line: &str) -> Wish {
        understand(line).unwrap_or_else(|error| panic!("{line}: {}", error::line(&error)))
    }

    #[test]
    fn the_kernels_line() {
        let wish = wish(
            "console=ttyS0 quiet nk.bundle=/b nk.trace=json \"nk.id=a b\" nk.status=\"/dev/tty S1\" nk.log-level=Debug nk.trace nk.end=halt nkx=1\n",
        );
        assert_eq!(wish.bundle.as_deref(), Some("/b"));
        assert_eq!(wish.id.as_deref(), Some("a b"));
        assert_eq!(wish.status.as_deref(), Some("/dev/tty S1"));
        assert!(wish.debug);
        assert_eq!(wish.options, ["--trace=json", "--log-level=Debug", "--trace"]);
    }

    #[test]
    fn how_it_ends() {
        assert_eq!(ending("quiet nk.trace=json"), None);
        assert_eq!(ending("nk.end=sleep"), None);
        let restart = Some(Reboot::LINUX_REBOOT_CMD_RESTART);
        assert_eq!(ending("nk.end=poweroff nk.bundel=/x nk.end=reboot\n"), restart);
    }

    #[test]
    fn wrong_words_are_named() {
        for (line, named) in [
            ("quiet nk.bundel=/x", "nk.bundel: there is no such word"),
            ("nk.", "nk.: there is no such word"),
            ("nk.bundle", "nk.bundle: a value is needed"),
            ("nk.id=", "nk.id: a value is needed"),
            ("nk.end=sleep", "nk.end: write poweroff, reboot or halt"),
        ] {
            match understand(line) {
                Err(error) => assert!(error::line(&error).contains(named), "{line}: {}", error::line(&error)),
                Ok(wish) => panic!("{line}: {wish:?}"),
            }
        }
    }
}
