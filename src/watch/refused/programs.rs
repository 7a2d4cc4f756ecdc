//! What the kernel executes beside a program's own file: the interpreters of scripts, and the loader of an ELF file (execve(2)).
//! May touch: system calls.

use super::process::Stopped;
use crate::cause::elf::{self, Kind};
use crate::cause::path;
use crate::plan::clean;
use syscalls::{AtFlags, Why};

/// So many interpreters may stand one after another (fs/exec.c, exec_binprm), and then a loader.
const DEEPEST: usize = 6;
/// Bytes of a path.
const PATH: usize = 4096;

/// The files that a program needs, as paths from the root.
pub fn beside(stopped: &Stopped, program: &str) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    while let Some(next) = next(stopped, all.last().map_or(program, String::as_str)).filter(|_| all.len() < DEEPEST) {
        all.push(next);
    }
    all
}

/// The interpreter or the loader that a file names.
fn next(stopped: &Stopped, path: &str) -> Option<String> {
    let place = stopped.open(path, true)?;
    let stat =
        syscalls::newfstatat(place.at(), c"", AtFlags::AT_EMPTY_PATH, Why("only a regular file is read")).ok()?;
    let file = path::open_file(stopped.root()?.at(), &stopped.real(place.at())?, &stat)?;
    let name = match elf::kind(&path::read(file.at(), 0, elf::FIRST)) {
        Kind::Script(script) => String::from_utf8_lossy(script.interpreter).into_owned(),
        Kind::Elf(elf) => {
            let (at, len) = elf.table();
            let (at, len) = elf.loader(&path::read(file.at(), at, len))?;
            String::from_utf8_lossy(&path::read(file.at(), at, len.min(PATH))).trim_end_matches('\0').into()
        }
        _ => return None,
    };
    name.starts_with('/').then(|| clean(&name))
}
