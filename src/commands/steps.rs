//! `inside STEP...`: the program of the lessons' containers. Each step is a small sentence, as in `write /data/x hello`. The
//! program says what the kernel answered, and goes on with the next step. May touch: system calls.

use super::inside::{capabilities, directory, file, namespaces};
use crate::host::input::{self, c};
use crate::host::procfs::field;
use crate::outcome::{Error, Lane};
use crate::say::out;
use crate::sorted;
use syscalls::{At, AtFlags, CloneFlags, Cloned, Failed, Fd, MountFlags, OpenFlags, WaitFlags, Why};

const STEP: Why = Why("the lesson shows what the kernel answers to this");
const LOOK: Why = Why("the lesson shows what is seen from inside the container");

/// So many lines of a file, and so many processes, are shown.
const SHOWN: usize = 5;

/// The lane in which the records of children stand: no plan knows of them.
const CHILD: u8 = Lane::Hook as u8;

type Answer = Result<String, Wrong>;

/// Why there is no answer: the kernel has refused the step, or the step is not understood.
enum Wrong {
    Refused(Failed),
    Unknown,
}

impl From<Failed> for Wrong {
    fn from(failed: Failed) -> Wrong {
        Wrong::Refused(failed)
    }
}

impl From<Error> for Wrong {
    fn from(_: Error) -> Wrong {
        Wrong::Unknown
    }
}

/// `inside STEP...`. A step that fails does not end the program: what the kernel answers is the lesson.
#[inline(never)]
pub fn steps(all: &[String]) -> Result<i32, Error> {
    for step in all {
        let words: Vec<&str> = step.split(' ').collect();
        if let ["end", status] = words.as_slice() {
            return Ok(status.parse().unwrap_or(1));
        }
        let answer = match answer(&words) {
            Ok(answer) => answer,
            Err(Wrong::Refused(failed)) => format!("{} ({})", failed.errno.name(), failed.errno.text()),
            Err(Wrong::Unknown) => return Err(Error::Usage(format!("inside: `{step}` is no step of a lesson"))),
        };
        out::stdout(&shown(step, &answer))?;
    }
    Ok(0)
}

/// An answer stands beside its step, with more lines below it where they are too long for that.
fn shown(step: &str, answer: &str) -> String {
    let gap = if answer.starts_with('\n') { "" } else { " " };
    format!("{step}:{gap}{}\n", answer.trim_end().replace('\n', "\n    "))
}

fn answer(words: &[&str]) -> Answer {
    match words {
        ["ps"] => Ok(processes()),
        ["user"] => Ok(user()),
        ["namespaces"] => Ok(in_rows(&namespaces(At::CWD, c"/proc/self/ns/"))),
        ["interfaces"] => Ok(interfaces()),
        ["read", path] => read(path),
        ["list", path] => list(path),
        ["owner", path] => owner(path),
        ["mounted", path] => mounted(path),
        ["write", path, text @ ..] => write(path, &text.join(" ")),
        ["save", path] => write(path, &String::from_utf8_lossy(&input::read_to_end(At::STDIN, LOOK)?)),
        ["open", path] => done(syscalls::openat(At::CWD, &c(path)?, OpenFlags::O_WRONLY, STEP).map(drop)),
        ["directory", path] => done(syscalls::mkdirat(At::CWD, &c(path)?, 0o755, STEP)),
        ["mount", kind, path] => mount(kind, path),
        ["bind", from, to] => done(syscalls::mount_none(Some(&c(from)?), &c(to)?, MountFlags::MS_BIND, STEP)),
        ["name", name] => done(syscalls::sethostname(name.as_bytes(), STEP)),
        ["root", path] => {
            syscalls::chroot(&c(path)?, STEP)?;
            done(syscalls::chdir(c"/", STEP))
        }
        ["unshare", "user"] => done(syscalls::unshare(CloneFlags::CLONE_NEWUSER, STEP)),
        ["kernel-log"] => kernel_log(),
        ["other-root"] => other_root(),
        ["orphan"] => orphan(),
        ["reap"] => reap(),
        ["fork", count] => fork(count.parse().unwrap_or(1)),
        ["sleep", seconds] => sleep(seconds.parse().unwrap_or(1)),
        _ => Err(Wrong::Unknown),
    }
}

/// Four words a row.
fn in_rows(text: &str) -> String {
    let words: Vec<&str> = text.split(' ').collect();
    words.chunks(4).map(|row| format!("\n{}", row.join(" "))).collect()
}

fn done(result: syscalls::Result<()>) -> Answer {
    result?;
    Ok("done".into())
}

fn processes() -> String {
    let mut pids: Vec<u32> = directory(c"/proc").iter().filter_map(|name| name.parse().ok()).collect();
    sorted::sort(&mut pids);
    let mut text = match pids.len() {
        1 => String::from("1 process"),
        many => format!("{many} processes"),
    };
    for pid in pids.iter().take(SHOWN) {
        let all = c(&format!("/proc/{pid}/status")).map_or(String::new(), |path| file(&path));
        let (parent, name) = (field(&all, "PPid"), field(&all, "Name"));
        let ended = if field(&all, "State").starts_with('Z') { ", ended: a zombie" } else { "" };
        text.push_str(&format!("\n{pid:>5}  parent {parent}  {}{ended}", name.escape_default()));
    }
    if pids.len() > SHOWN {
        text.push_str(&format!("\n  and {} more", pids.len() - SHOWN));
    }
    text
}

fn user() -> String {
    let all = file(c"/proc/self/status");
    let first = |key| field(&all, key).split_whitespace().next().unwrap_or("?").to_owned();
    format!(
        "uid {}, gid {}, capabilities {}, no_new_privs {}",
        first("Uid"),
        first("Gid"),
        capabilities(field(&all, "CapEff")),
        field(&all, "NoNewPrivs")
    )
}

fn interfaces() -> String {
    let all = file(c"/proc/self/net/dev");
    let names = all.lines().skip(2).filter_map(|line| Some(line.split_once(':')?.0.trim()));
    names.collect::<Vec<_>>().join(" ")
}

/// A text of one line stands beside the step, a longer one below it.
fn read(path: &str) -> Answer {
    let opened = syscalls::openat(At::CWD, &c(path)?, OpenFlags::O_NONBLOCK, LOOK)?;
    let text = String::from_utf8_lossy(&input::read_to_end(opened.at(), LOOK)?).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    Ok(match lines.as_slice() {
        [] => "empty".into(),
        [one] => one.split_whitespace().collect::<Vec<_>>().join(" "),
        several => several.iter().take(SHOWN).map(|line| format!("\n{line}")).collect(),
    })
}

fn list(path: &str) -> Answer {
    let opened = syscalls::openat(At::CWD, &c(path)?, OpenFlags::O_DIRECTORY, LOOK)?;
    let mut names: Vec<String> =
        input::names(opened.at(), LOOK)?.iter().map(|name| name.to_string_lossy().into_owned()).collect();
    sorted::sort(&mut names);
    Ok(if names.is_empty() { "empty".into() } else { names.join(" ") })
}

fn owner(path: &str) -> Answer {
    let found = syscalls::newfstatat(At::CWD, &c(path)?, AtFlags::AT_SYMLINK_NOFOLLOW, LOOK)?;
    Ok(format!("user {}, group {}", found.st_uid, found.st_gid))
}

/// Whether its mount lets anything be changed (statfs(2), ST_RDONLY).
fn mounted(path: &str) -> Answer {
    let opened = syscalls::openat(At::CWD, &c(path)?, OpenFlags::O_PATH, LOOK)?;
    let read_only = syscalls::fstatfs(opened.at(), LOOK)?.f_flags as u64 & libc::ST_RDONLY != 0;
    Ok(if read_only { "read-only".into() } else { "writable".into() })
}

fn write(path: &str, text: &str) -> Answer {
    let (flags, mode) = (OpenFlags::O_WRONLY | OpenFlags::O_TRUNC, 0o644);
    let opened = syscalls::openat_create(At::CWD, &c(path)?, flags, mode, STEP)?;
    syscalls::write(opened.at(), text.as_bytes(), STEP)?;
    Ok("done".into())
}

fn mount(kind: &str, path: &str) -> Answer {
    let kind = c(kind)?;
    done(syscalls::mount(&kind, &c(path)?, &kind, MountFlags::NONE, None, STEP))
}

/// Makes the device of the kernel's log (mem(4) has the numbers of its kind) and opens it for reading. It reads nothing: to be
/// able to is bad enough.
fn kernel_log() -> Answer {
    syscalls::mknodat_device(At::CWD, c"/data/kmsg", libc::S_IFCHR | 0o600, 1, 11, STEP)?;
    syscalls::openat(At::CWD, c"/data/kmsg", OpenFlags::O_NONBLOCK, STEP)?;
    Ok("the log of the host's kernel is open".into())
}

/// The root of the first process that has another one than this process.
fn other_root() -> Answer {
    let look = |path: &str| syscalls::newfstatat(At::CWD, &c(path).unwrap_or_default(), AtFlags::NONE, LOOK);
    let own = look("/")?;
    let pids = directory(c"/proc").into_iter().filter(|name| name.bytes().all(|b| b.is_ascii_digit()));
    for pid in pids {
        let path = format!("/proc/{pid}/root");
        if look(&path).is_ok_and(|other| (other.st_dev, other.st_ino) != (own.st_dev, own.st_ino)) {
            return Ok(format!("/proc/{pid}/root is another root\n{}", list(&path)?));
        }
    }
    Ok("every process in /proc has my own root".into())
}

/// A child has a child and ends: which process is the parent of its child then?
fn orphan() -> Answer {
    let child = match syscalls::clone3_helper(CloneFlags::NONE, CHILD, STEP)? {
        Cloned::Parent { pidfd, .. } => pidfd,
        Cloned::Child => {
            let me = syscalls::getpid(LOOK);
            if let Ok(Cloned::Child) = syscalls::clone3_helper(CloneFlags::NONE, CHILD, STEP) {
                orphaned(me);
            }
            syscalls::exit_group(0, Why("a parent ends, and its child lives on"))
        }
    };
    syscalls::waitid_pidfd(child.at(), WaitFlags::NONE, STEP)?;
    sleep(1)?;
    Ok("a process whose parent has ended has told its new parent".into())
}

fn orphaned(parent: i32) -> ! {
    for _ in 0..50 {
        if syscalls::getppid(LOOK) != parent {
            break;
        }
        let _ = syscalls::ppoll(&mut [], Some(10), Why("the parent ends in a moment"));
    }
    let (own, new) = (syscalls::getpid(LOOK), syscalls::getppid(LOOK));
    let _ = out::stdout(&format!("process {own}: my parent {parent} has ended, my parent is {new}\n"));
    syscalls::exit_group(0, Why("a zombie is left, until its new parent asks for its status"))
}

/// Takes the status of every child that has ended.
fn reap() -> Answer {
    let mut ended = Vec::new();
    while let Ok(Some(pid)) = syscalls::waitid_any_ended(LOOK) {
        syscalls::waitid_pid(pid, Why("until its status is taken, an ended process keeps its number"))?;
        ended.push(pid.to_string());
    }
    Ok(if ended.is_empty() { "no child has ended".into() } else { format!("took the status of {}", ended.join(" ")) })
}

/// Children that wait for nothing. They end with the container.
fn fork(count: u32) -> Answer {
    let mut all: Vec<Fd> = Vec::new();
    for _ in 0..count {
        match syscalls::clone3_helper(CloneFlags::NONE, CHILD, STEP) {
            Ok(Cloned::Parent { pidfd, .. }) => all.push(pidfd),
            Ok(Cloned::Child) => {
                let _ = syscalls::ppoll(&mut [], None, Why("this process only counts"));
                syscalls::exit_group(0, Why("it is not needed any more"))
            }
            Err(failed) => {
                let errno = failed.errno;
                return Ok(format!("{} ({}) after {} processes", errno.name(), errno.text(), all.len()));
            }
        }
    }
    Ok(format!("{count} processes were made"))
}

fn sleep(seconds: u64) -> Answer {
    syscalls::ppoll(&mut [], Some(seconds * 1000), Why("the lesson has to look at the container meanwhile"))?;
    Ok("done".into())
}
