//! Why a program cannot be executed (execve(2)): it is not in PATH, not to be reached, not executable, or no program of this machine,
//! or it needs another file that is not there. May touch: plan types, system calls.

use super::access::{self, Cause, Inside, Reached};
use super::binfmt::{self, Handler};
use super::elf::{self, Elf, Kind, OURS, Script};
use super::path;
use super::rights::{self, EXECUTE, Person};
use super::scene::{Found, Root, Scene};
use super::{sizes, writers};
use crate::outcome::{Check, Trouble};
use crate::plan::op::{Op, Process, Rootfs};
use crate::spec::{self, Spec};
use core::cell::RefCell;
use syscalls::{At, Errno};

/// So many interpreters may stand one after another (fs/exec.c, exec_binprm).
const DEEPEST: usize = 5;
/// Bytes of a file that are read first.
const BEGIN: usize = 4096;
/// In place of an errno: the kernel starts the program, which then crashes.
const STARTS: Errno = Errno(0);

/// The lines that look for the program and execute it.
pub fn of(scene: &Scene, op: &Process) -> Option<Found> {
    let spec = scene.spec?;
    let root = scene.root()?;
    let pid = if let Root::Of(pid) = scene.root { pid } else { 0 };
    let person = Person::of(scene.pid).filter(|_| scene.pid != 0);
    let rootfs = rootfs(scene);
    let (rootfs, cwd) = (rootfs.as_deref().unwrap_or(&spec.root.path), spec.process.cwd.as_str());
    let ways = RefCell::default();
    let inside = Inside { root: root.at(), rootfs, cwd, person: person.as_ref(), spec: Some(spec), pid, ways };
    match (op, scene.trouble) {
        (Process::Find { .. }, Trouble::Check(Check::ProgramNotFound)) => not_found(&inside, &spec.process),
        (Process::Find { named, .. }, Trouble::Call(failed)) => match named.to_string_lossy() {
            name if name.contains('/') => judged(&inside, &name, failed.errno),
            _ if failed.errno == Errno::ENOENT => not_found(&inside, &spec.process),
            _ => first_refused(&inside, &spec.process, failed.errno),
        },
        (Process::Execve { argv, envp }, Trouble::Call(failed)) => {
            let path = executed(scene).or_else(|| candidates(spec).next())?;
            match failed.errno {
                Errno::E2BIG => sizes::too_big(spec, argv, &envp.list(), true),
                Errno::EAGAIN => sizes::too_many(spec, scene.pid),
                errno => judged(&inside, &path, errno).map(|found| match found.place {
                    None => found.at("/process/args/0"),
                    Some(_) => found,
                }),
            }
        }
        _ => None,
    }
}

/// The line that enters the working directory. `None`: a look was not allowed, or finds nothing wrong.
pub fn cwd(scene: &Scene, path: &str) -> Option<Found> {
    let (root, errno) = (scene.root()?, scene.failed()?.errno);
    let person = Person::of(scene.pid).filter(|_| scene.pid != 0);
    let rootfs = rootfs(scene).unwrap_or_default();
    let (spec, ways) = (scene.spec, RefCell::default());
    let inside = Inside { root: root.at(), rootfs: &rootfs, cwd: "/", person: person.as_ref(), spec, pid: 0, ways };
    entered(&inside, path, Some(errno))
}

/// Why a directory cannot be the working directory. `errno`: how the kernel has told it, if it has.
pub fn entered(inside: &Inside, path: &str, errno: Option<Errno>) -> Option<Found> {
    let fits = |cause: &Cause| errno.is_none_or(|errno| cause.errno == errno);
    match access::reach(inside, path, path)? {
        Err(cause) => Some(cause).filter(fits).map(|cause| cause.found),
        Ok(reached) if !path::is_dir(&reached.stat) => {
            Some(Found::new("working directory is a file", &[path, path::kind(&reached.stat)]))
        }
        Ok(reached) => {
            let person = inside.person.filter(|person| !person.may(EXECUTE, &reached.stat))?;
            let (mode, owners) = (rights::mode(&reached.stat), person.owners(&reached.stat));
            Some(Found::new("closed directory", &[&person.user(), path, &mode, &owners]))
        }
    }
}

/// A program of the host, which this process executes. `errno`: how the kernel has refused it, if it has.
pub fn of_host(path: &str, errno: Option<Errno>) -> Option<Found> {
    let (root, person) = (path::host()?, Person::of(0));
    let (pid, ways) = (syscalls::record::own_pid(), RefCell::default());
    let inside = Inside { root: root.at(), rootfs: "/", cwd: "/", person: person.as_ref(), spec: None, pid, ways };
    let found = alone(&inside, path, errno)?;
    let [cause, cure] = [found.cause, found.cure].map(|text| {
        let text = text.replace("in the rootfs", "on this machine").replace("in the image", "on this machine");
        text.replace("an image for", "one for")
    });
    Some(Found { cause, cure, place: None })
}

/// A file that is executed, whatever process it becomes. `errno`: how the kernel has refused it, if it has.
pub fn alone(inside: &Inside, path: &str, errno: Option<Errno>) -> Option<Found> {
    match errno {
        Some(errno) => judged(inside, path, errno),
        None => file(inside, path, path, 0).map(|cause| cause.found),
    }
}

/// The program of a configuration is a file with which the kernel begins, and which then crashes.
pub fn crashes(root: At, spec: &Spec) -> Option<Found> {
    let cwd = spec.process.cwd.as_str();
    let inside = Inside { root, rootfs: "", cwd, person: None, spec: Some(spec), pid: 0, ways: RefCell::default() };
    let cause = candidates(spec).find_map(|path| file(&inside, &path, &path, 0).filter(|cause| cause.errno == STARTS));
    cause.map(|cause| cause.found.at("/process/args/0"))
}

/// The program of a configuration, before anything is made: whether it is there and can be executed. The root directory is the
/// rootfs on the host, or that of a process (`inside.pid`).
pub fn planned(inside: &Inside, spec: &Spec) -> Option<Found> {
    let name = spec.process.args.first()?;
    if !name.contains('/') {
        let found = candidates(spec).find_map(|path| {
            let reached = access::reach(inside, &path, &path)?.ok()?;
            access::denied(inside, &reached, &path).is_none().then_some(path)
        });
        let Some(path) = found else {
            return first_refused(inside, &spec.process, Errno::EACCES).or_else(|| not_found(inside, &spec.process));
        };
        return file(inside, &path, &path, 0).map(|cause| cause.found);
    }
    file(inside, name, name, 0).map(|cause| cause.found)
}

/// The same of a program that a bind brings. `there`: where it lies on the host. `number`: that of the mount. Its loader or its
/// interpreter is looked for in the rootfs.
pub fn brought(inside: &Inside, spec: &Spec, there: &str, number: usize) -> Option<Found> {
    let (host, name) = (path::host()?, spec.process.args.first()?);
    let Some((place, file, stat)) = path::find(host.at(), there) else {
        return access::not_in_mount(spec, number, name);
    };
    let opened = path::open_file(host.at(), &place, &stat);
    let reached = Reached { path: name.clone(), file, stat };
    if access::is_noexec(&reached.file) {
        let (pointer, target) = (format!("/mounts/{number}"), &spec.mounts.get(number)?.destination);
        let found = Found::new("noexec from the host", &[name, target, &pointer]);
        return Some(found.at(pointer + "/options"));
    }
    let cause = access::denied(inside, &reached, name).or_else(|| content(inside, &reached, opened?.at(), name, 0));
    cause.map(|cause| cause.found)
}

/// Where the host has the rootfs, by the plan's line that opens it.
fn rootfs(scene: &Scene) -> Option<String> {
    let path = scene.lanes?.plan.lines().find_map(|line| match &line.op {
        Op::Rootfs(Rootfs::Open { path } | Rootfs::Look { path }) => Some(path),
        _ => None,
    });
    path.map(|path| path.to_string_lossy().into_owned())
}

/// The path that the failed execve was given.
fn executed(scene: &Scene) -> Option<String> {
    let record = scene.record()?;
    let path = record.blob(0)?;
    Some(String::from_utf8_lossy(path.bytes).into_owned())
}

/// The paths at which a program is looked for (execvp(3)).
fn candidates<'s>(spec: &'s Spec) -> impl Iterator<Item = String> + 's {
    let name = spec.process.args.first().map_or("", String::as_str);
    let dirs = if name.contains('/') { "" } else { path_of(&spec.process).unwrap_or("") };
    dirs.split(':').map(move |dir| match dir {
        "" if name.contains('/') => name.into(),
        "" => format!("./{name}"),
        dir => format!("{dir}/{name}"),
    })
}

/// The value of PATH: of several entries the last one counts.
fn path_of<'a>(process: &'a spec::Process) -> Option<&'a str> {
    process.env.iter().rev().find_map(|entry| entry.strip_prefix("PATH="))
}

/// No directory of PATH has it.
fn not_found(inside: &Inside, process: &spec::Process) -> Option<Found> {
    let name = process.args.first()?;
    if name.contains('/') {
        return judged(inside, name, Errno::EACCES);
    }
    let all = path_of(process);
    let Some(path) = all.filter(|path| !path.is_empty()) else {
        let which = if all.is_some() { "an empty" } else { "no" };
        return Some(Found::new("no PATH", &[name, which]).at("/process/env"));
    };
    if name.contains(' ') {
        return Some(Found::new("program is a line", &[name]));
    }
    match access::elsewhere(inside.root, name) {
        Some(other) => {
            let dir = other.rsplit_once('/').map_or("/", |(dir, _)| dir);
            Some(Found::new("program elsewhere", &[name, path, &other, dir]))
        }
        None => Some(Found::new("not in PATH", &[name, path])),
    }
}

/// Of the files in PATH, the first that is there and refused.
fn first_refused(inside: &Inside, process: &spec::Process, errno: Errno) -> Option<Found> {
    let name = process.args.first()?;
    path_of(process)?.split(':').find_map(|dir| judged(inside, &format!("{dir}/{name}"), errno))
}

/// The cause for which the kernel gives this errno, if there is one.
fn judged(inside: &Inside, path: &str, errno: Errno) -> Option<Found> {
    match file(inside, path, path, 0) {
        Some(cause) if cause.errno == errno => Some(cause.found),
        Some(_) => None,
        None => match errno {
            Errno::EACCES => Some(access::by_module(inside, path).found),
            Errno::ETXTBSY => writers::of(inside.root, &inside.absolute(path)),
            _ => None,
        },
    }
}

/// Why the kernel would not execute a file. `name`: what it is called in the message. `depth`: how many scripts lead to it.
fn file(inside: &Inside, path: &str, name: &str, depth: usize) -> Option<Cause> {
    let reached = match access::reach(inside, path, name)? {
        Ok(reached) => reached,
        Err(cause) if cause.errno == Errno::ENOENT => return Some(in_one_word(inside, path).unwrap_or(cause)),
        Err(cause) => return Some(cause),
    };
    if let Some(cause) = access::denied(inside, &reached, name) {
        return Some(cause);
    }
    let opened = path::open_file(inside.root, &reached.path, &reached.stat)?;
    content(inside, &reached, opened.at(), name, depth)
}

/// The same, by what stands in the file.
fn content(inside: &Inside, reached: &Reached, file: At, name: &str, depth: usize) -> Option<Cause> {
    let begin = path::read(file, 0, BEGIN);
    let first = begin.get(..elf::FIRST).unwrap_or(&begin);
    if let Some(handler) = binfmt::handler(first, &reached.path) {
        return emulated(inside, &handler, name, depth);
    }
    let broken = |cause: &str, values: &[&str]| Some(Cause::new(Errno::ENOEXEC, cause, values));
    match elf::kind(first) {
        Kind::Empty => broken("empty file", &[name]),
        Kind::Text => broken("text without interpreter", &[name, &reached.path]),
        Kind::Other(kind) => broken("other kind of file", &[name, kind]),
        Kind::Unknown => broken("unknown kind of file", &[name]),
        Kind::CutElf => broken("cut off", &[name, &format!("{}", reached.stat.st_size)]),
        Kind::Elf(elf) => program(inside, reached, file, elf, name),
        Kind::Script(_) if depth >= DEEPEST => Some(Cause::new(Errno::ELOOP, "scripts of scripts", &[name])),
        Kind::Script(script) => interpreted(inside, reached, script, name, depth),
    }
}

/// A path with arguments in it, which names a program up to its first blank.
fn in_one_word(inside: &Inside, path: &str) -> Option<Cause> {
    let (first, _) = path.split_once(' ')?;
    path::find(inside.root, &inside.absolute(first))?;
    Some(Cause::new(Errno::ENOENT, "path is a line", &[path]))
}

/// A file that the host runs by an interpreter (binfmt_misc).
fn emulated(inside: &Inside, handler: &Handler, name: &str, depth: usize) -> Option<Cause> {
    let path = &handler.interpreter;
    if handler.open {
        return None;
    }
    if depth >= DEEPEST {
        return Some(Cause::new(Errno::ELOOP, "scripts of scripts", &[name]));
    }
    let cause = file(inside, path, &format!("{path} (by which the host runs {name})"), depth + 1)?;
    let missing = cause.errno == Errno::ENOENT && path::find(inside.root, &inside.absolute(path)).is_none();
    Some(if missing { Cause::new(Errno::ENOENT, "emulator missing", &[name, path]) } else { cause })
}

/// A script: its interpreter is executed in its place.
fn interpreted(inside: &Inside, script: &Reached, line: Script, name: &str, depth: usize) -> Option<Cause> {
    let path = &script.path;
    let interpreter = String::from_utf8_lossy(line.interpreter);
    if interpreter.is_empty() {
        return Some(Cause::new(Errno::ENOEXEC, "interpreter not named", &[name, path]));
    }
    if line.cut {
        return Some(Cause::new(Errno::ENOEXEC, "interpreter too long", &[name]));
    }
    let called = format!("{interpreter} (the interpreter of {path})");
    let cause = file(inside, &interpreter, &called, depth + 1)?;
    if cause.errno != Errno::ENOENT {
        return Some(cause);
    }
    if line.cr {
        return Some(Cause::new(Errno::ENOENT, "carriage return", &[name, path]));
    }
    // If the interpreter is there, it is its own loader or interpreter that is missing.
    match access::reach(inside, &interpreter, &interpreter) {
        Some(Err(_)) => match access::elsewhere(inside.root, &interpreter) {
            Some(other) => Some(Cause::new(Errno::ENOENT, "interpreter elsewhere", &[name, &interpreter, &other])),
            None => Some(Cause::new(Errno::ENOENT, "interpreter missing", &[name, &interpreter])),
        },
        _ => Some(cause),
    }
}

/// An ELF file: its machine, and its loader.
fn program(inside: &Inside, reached: &Reached, file: At, elf: Elf, name: &str) -> Option<Cause> {
    let broken = |cause: &str, values: &[&str]| Some(Cause::new(Errno::ENOEXEC, cause, values));
    let (ours, its) = (machine(&Elf { machine: OURS, wide: true, ..elf }), machine(&elf));
    let small = matches!((OURS, elf.machine), (62, 3) | (183, 40));
    if elf.machine == OURS && !elf.wide {
        let its = match OURS {
            62 => "x32",
            183 => "ILP32",
            _ => &its,
        };
        return broken("32-bit program", &[name, its, &ours]);
    }
    if elf.machine != OURS && !(small && small_ones_run()) {
        return match small {
            true => broken("32-bit program", &[name, &its, &ours]),
            false => broken("other machine", &[name, &its, &ours]),
        };
    }
    if ![2, 3].contains(&elf.kind) {
        return broken("no ELF program", &[name, if elf.kind == 4 { "a core dump" } else { "an object file" }]);
    }
    let (at, len) = elf.table();
    let table = path::read(file, at, len);
    if table.len() < len || len == 0 {
        return broken("cut off", &[name, &format!("{}", reached.stat.st_size)]);
    }
    let size = reached.stat.st_size as u64;
    let short = || (elf.end(&table) > size).then(|| Cause::new(STARTS, "cut short", &[name, &format!("{size}")]));
    match elf.loader(&table) {
        Some((at, len)) if (2..=4096).contains(&len) => {
            let bytes = path::read(file, at, len);
            let loader = String::from_utf8_lossy(&bytes);
            loader_of(inside, loader.trim_end_matches('\0'), name).or_else(short)
        }
        Some(_) => broken("cut off", &[name, &format!("{}", reached.stat.st_size)]),
        None if elf.kind == 3 && elf.entry == 0 => Some(Cause::new(STARTS, "no entry point", &[name])),
        None => short(),
    }
}

/// The machine of an ELF file, in words.
fn machine(elf: &Elf) -> String {
    match (elf::machine(elf.machine), elf.wide) {
        ("", _) => format!("a machine of number {}", elf.machine),
        ("riscv", true) => "riscv64".into(),
        ("riscv", false) => "riscv32".into(),
        (name, _) => name.into(),
    }
}

/// Whether the kernel runs 32-bit programs of this machine: only such a kernel has the setting.
fn small_ones_run() -> bool {
    let file = match OURS {
        62 => "sys/abi/vsyscall32",
        _ => "sys/abi/cp15_barrier",
    };
    crate::host::procfs::open().is_ok_and(|procfs| path::exists(procfs.at(), file))
}

/// The loader of an ELF program, which the kernel starts in its place.
fn loader_of(inside: &Inside, loader: &str, name: &str) -> Option<Cause> {
    if loader.is_empty() {
        return None;
    }
    let called = format!("{loader} (the loader of {name})");
    let reached = match access::reach(inside, loader, &called)? {
        Ok(reached) => reached,
        Err(cause) if cause.errno == Errno::ENOENT => return Some(no_loader(inside.root, loader, name)),
        Err(cause) => return Some(cause),
    };
    if let Some(cause) = access::denied(inside, &reached, &called) {
        return Some(cause);
    }
    let opened = path::open_file(inside.root, &reached.path, &reached.stat)?;
    match elf::kind(&path::read(opened.at(), 0, elf::FIRST)) {
        Kind::Elf(elf) if elf.machine == OURS => None,
        // The kernel cannot read a whole header.
        _ if reached.stat.st_size < 64 => Some(Cause::new(Errno::EIO, "broken loader", &[loader, name])),
        _ => Some(Cause::new(Errno::ELIBBAD, "broken loader", &[loader, name])),
    }
}

/// The loader is not there: perhaps another C library is.
fn no_loader(root: At, loader: &str, name: &str) -> Cause {
    let library = elf::loaders().find(|(_, path)| *path == loader).map(|(library, _)| library);
    let other = elf::loaders().find(|(of, path)| Some(*of) != library && path::find(root, path).is_some());
    match (library, other) {
        (Some(library), Some((other, path))) => {
            Cause::new(Errno::ENOENT, "other C library", &[name, loader, library, path, other])
        }
        _ => Cause::new(Errno::ENOENT, "loader missing", &[name, loader]),
    }
}
