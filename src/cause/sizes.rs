//! What a program is given that is too much: its arguments and its environment, and its user's processes (execve(2), "Limits on size
//! of arguments and environment"; getrlimit(2), RLIMIT_NPROC). May touch: plan types, system calls.

use super::rights::Person;
use super::scene::Found;
use crate::host::{input, procfs};
use crate::spec::Spec;
use alloc::ffi::CString;
use syscalls::{AtFlags, OpenFlags, Why};

/// One string has at most so many bytes (linux/binfmts.h, MAX_ARG_STRLEN).
const LONGEST: usize = 128 << 10;
/// All have at most three quarters of 8 MiB, and are allowed 128 KiB in any case.
const MOST: u64 = 6 << 20;
const LEAST: u64 = 128 << 10;

const STACK: u32 = 3;
const PROCESSES: u32 = 6;
/// No more processes are counted.
const COUNTED: usize = 4096;

fn size(text: &CString) -> usize {
    text.as_bytes_with_nul().len()
}

/// The first string that is longer than the kernel takes.
pub fn string_too_long(argv: &[CString], envp: &[CString]) -> Option<Found> {
    let of = |what: &str, text: &CString| {
        Found::new("string too long", &[what, &format!("{}", size(text)), &format!("{LONGEST}")])
    };
    let long = |list: &'_ [CString]| list.iter().position(|text| size(text) > LONGEST);
    if let Some(at) = long(argv) {
        return Some(of("argument", &argv[at]));
    }
    let text = &envp[long(envp)?];
    Some(of(&format!("variable {}", text.to_string_lossy().split('=').next().unwrap_or("")), text))
}

/// Arguments and environment have more bytes than the kernel takes. `refused`: it has refused them, and counts more than these.
pub fn too_big(spec: &Spec, argv: &[CString], envp: &[CString], refused: bool) -> Option<Found> {
    let long = |list: &[CString]| list.iter().position(|text| size(text) > LONGEST);
    if let Some(found) = string_too_long(argv, envp) {
        let place = |text: &CString| spec.process.env.iter().rposition(|entry| *entry == *text.to_string_lossy());
        let pointer = match (long(argv), long(envp).and_then(|at| place(&envp[at]))) {
            (Some(at), _) => format!("/process/args/{at}"),
            (None, Some(at)) => format!("/process/env/{at}"),
            (None, None) => "/process/env".into(),
        };
        return Some(found.at(pointer));
    }
    let pointers = 8 * (argv.len() + envp.len());
    let all = argv.iter().chain(envp).map(size).sum::<usize>() + pointers;
    let (stack, pointer) = limit(spec, STACK, "RLIMIT_STACK")?;
    let most = (stack / 4).clamp(LEAST, MOST);
    let least = if refused { most.saturating_sub(LONGEST as u64) } else { most };
    if (all as u64) < least {
        return None;
    }
    let biggest = if sum(argv) > sum(envp) { "/process/args" } else { "/process/env" };
    let [all, most, stack] = [all as u64, most, stack].map(|number| format!("{number}"));
    match most == format!("{MOST}") {
        true => Some(Found::new("strings too long", &[&all, &most]).at(biggest)),
        false => Some(Found::new("stack too small", &[&all, &most, &stack]).at(pointer)),
    }
}

fn sum(list: &[CString]) -> usize {
    list.iter().map(size).sum()
}

/// A soft limit, and where it comes from: the configuration, or this process's caller.
fn limit(spec: &Spec, number: u32, name: &str) -> Option<(u64, String)> {
    if let Some(at) = spec.process.rlimits.iter().position(|limit| limit.kind == name) {
        return Some((spec.process.rlimits[at].soft, format!("/process/rlimits/{at}")));
    }
    let why = Why("the program inherits this limit");
    let (soft, _) = syscalls::prlimit64_ask(number, why).ok()?;
    Some((soft, "/process/rlimits".into()))
}

/// The program's user has as many processes as its limit allows.
pub fn too_many(spec: &Spec, pid: i32) -> Option<Found> {
    let (most, pointer) = limit(spec, PROCESSES, "RLIMIT_NPROC")?;
    let person = Person::of(pid)?;
    let count = processes_of(person.uid)?;
    if count < most {
        return None;
    }
    let (count, most) = (format!("{count}"), format!("{most}"));
    Some(Found::new("too many processes", &[&person.user(), &count, &most]).at(pointer))
}

/// How many processes a user has.
pub fn processes_of(uid: u32) -> Option<u64> {
    let procfs = procfs::open().ok()?;
    let of_user = |pid: &i32| {
        let why = Why("the owner of a process's directory is its user");
        let stat = syscalls::newfstatat(procfs.at(), &procfs::path(*pid, ""), AtFlags::NONE, why);
        stat.is_ok_and(|stat| stat.st_uid == uid)
    };
    Some(pids()?.into_iter().take(COUNTED).filter(of_user).count() as u64)
}

/// All processes that /proc shows.
pub fn pids() -> Option<Vec<i32>> {
    let procfs = procfs::open().ok()?;
    let why = Why("the processes of this machine are listed there");
    let list = syscalls::openat(procfs.at(), c".", OpenFlags::O_DIRECTORY, why).ok()?;
    let names = input::names(list.at(), why).ok()?;
    Some(names.iter().filter_map(|name| name.to_str().ok()?.parse().ok()).collect())
}
