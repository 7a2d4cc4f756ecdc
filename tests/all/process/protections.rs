//! What protects the program's own memory, read out of its file as checksec does, and out of a process that runs.

use crate::bundle::{runtime, tool};
use crate::cgroup::script;
use crate::{Failed, Outcome, area, ensure, same};
use libtest_mimic::Trial;
use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

pub fn cases() -> Vec<Trial> {
    area(
        "protections",
        &[
            ("the_file_is_a_static_pie", static_pie),
            ("no_page_is_writable_and_executable", no_wx),
            ("relocated_tables_are_read_only", relro),
            ("the_linker_lists_packed_addresses_alone", packed),
            ("a_process_has_what_the_file_promises", mapped),
        ],
    )
}

const LOAD: u64 = 1;
const DYNAMIC: u64 = 2;
const INTERP: u64 = 3;
const GNU_STACK: u64 = 0x6474_e551;
const GNU_RELRO: u64 = 0x6474_e552;
const EXECUTE: u64 = 1;
const WRITE: u64 = 2;

/// A program header: what it says of a piece of the file and of memory (elf(5)).
#[derive(Debug, Clone)]
struct Piece {
    kind: u64,
    flags: u64,
    offset: usize,
    address: u64,
    in_file: usize,
    in_memory: u64,
}

struct File {
    bytes: Vec<u8>,
    pieces: Vec<Piece>,
}

impl File {
    fn read() -> Result<File, Failed> {
        let mut file = File { bytes: fs::read(runtime())?, pieces: Vec::new() };
        ensure!(file.bytes.starts_with(b"\x7fELF\x02\x01"), "no 64-bit ELF file");
        let (first, size) = (file.number(32, 8) as usize, file.number(54, 2) as usize);
        for i in 0..file.number(56, 2) as usize {
            let at = first + i * size;
            file.pieces.push(Piece {
                kind: file.number(at, 4),
                flags: file.number(at + 4, 4),
                offset: file.number(at + 8, 8) as usize,
                address: file.number(at + 16, 8),
                in_file: file.number(at + 32, 8) as usize,
                in_memory: file.number(at + 40, 8),
            });
        }
        Ok(file)
    }

    /// A little-endian number; bytes that the file does not have are 0.
    fn number(&self, at: usize, len: usize) -> u64 {
        let byte = |i| u64::from(self.bytes.get(at + i).copied().unwrap_or(0)) << (8 * i);
        (0..len).map(byte).sum()
    }

    fn all(&self, kind: u64) -> Vec<&Piece> {
        self.pieces.iter().filter(|piece| piece.kind == kind).collect()
    }

    /// The one header of a kind.
    fn one(&self, kind: u64) -> Result<&Piece, Failed> {
        match self.all(kind)[..] {
            [piece] => Ok(piece),
            ref all => Err(format!("{} headers of kind {kind:#x}", all.len()).into()),
        }
    }

    /// The values of a tag of the dynamic section.
    fn dynamic(&self, tag: u64) -> Result<Vec<u64>, Failed> {
        let piece = self.one(DYNAMIC)?;
        let entries = (0..piece.in_file / 16).map(|i| piece.offset + 16 * i);
        let tagged = entries.filter(|at| self.number(*at, 8) == tag);
        Ok(tagged.map(|at| self.number(at + 8, 8)).collect())
    }
}

fn static_pie() -> Outcome {
    const SHARED: u64 = 3;
    const NEEDED: u64 = 1;
    const DEBUG: u64 = 21;
    let file = File::read()?;
    same("e_type", file.number(16, 2), SHARED)?;
    same("interpreters", file.all(INTERP).len(), 0)?;
    same("libraries", file.dynamic(NEEDED)?.len(), 0)?;
    // By this checksec tells a program from a library.
    same("DT_DEBUG", file.dynamic(DEBUG)?.len(), 1)
}

fn no_wx() -> Outcome {
    let file = File::read()?;
    for piece in file.all(LOAD) {
        ensure!(piece.flags & (WRITE | EXECUTE) != WRITE | EXECUTE, "{piece:x?}");
    }
    let stack = file.one(GNU_STACK)?;
    ensure!(stack.flags & EXECUTE == 0, "the stack is executable: {stack:x?}");
    Ok(())
}

/// "Full RELRO": the piece is there, nothing is left to be bound later, and it begins and ends with a page.
fn relro() -> Outcome {
    const FLAGS: u64 = 30;
    const BIND_NOW: u64 = 8;
    let file = File::read()?;
    ensure!(file.dynamic(FLAGS)?.iter().any(|flags| flags & BIND_NOW != 0), "no BIND_NOW");
    let relro = file.one(GNU_RELRO)?;
    same("its end in a page", (relro.address + relro.in_memory) % 4096, 0)?;
    // What begins in the same page is read-only too.
    let loaded = file.all(LOAD);
    let same_page = |piece: &&&Piece| piece.address / 4096 == relro.address / 4096;
    let sharing: Vec<u64> = loaded.iter().filter(same_page).map(|p| p.address).collect();
    same("pieces in its first page", sharing, vec![relro.address])
}

/// The start understands one form of relocations.
fn packed() -> Outcome {
    let file = File::read()?;
    let (rela, rel, plt, text) = (7, 17, 23, 22);
    for tag in [rela, rel, plt, text] {
        same(&format!("entries of tag {tag}"), file.dynamic(tag)?.len(), 0)?;
    }
    let (relr, bytes) = (file.dynamic(36)?, file.dynamic(35)?);
    same("tables", (relr.len(), bytes.len()), (1, 1))?;
    ensure!(bytes[0] > 0, "an empty table");
    Ok(())
}

/// The pieces of the program's file in a process of `run`: their permissions, and where the first lies.
fn pieces_of_a_run() -> Result<(Vec<String>, String), Failed> {
    let bundle = script("echo > /tmp/ready; sleep 1000")?;
    bundle.write_config()?;
    let here = bundle.path("");
    let words = ["run", "--bundle", &here.to_string_lossy(), &bundle.id];
    let running = bundle.start(bundle.command(&words)?)?;
    crate::bundle::patiently("the container's program", || Ok(bundle.rootfs("tmp/ready").exists()))?;
    let maps = fs::read_to_string(format!("/proc/{}/maps", running.child.id()))?;
    bundle.call(&["kill", &bundle.id, "KILL"])?.ok()?;
    bundle.wait(running)?;
    bundle.clean()?;
    let program = runtime().to_string_lossy().into_owned();
    ensure!(maps.lines().all(|line| !line.contains("wx")), "writable and executable:\n{maps}");
    let of_program: Vec<&str> = maps.lines().filter(|line| line.ends_with(&program)).collect();
    let permissions = of_program.iter().filter_map(|line| line.split(' ').nth(1));
    let first = of_program.first().and_then(|line| line.split('-').next());
    Ok((permissions.map(String::from).collect(), first.unwrap_or_default().to_owned()))
}

fn mapped() -> Outcome {
    let mut places = BTreeSet::new();
    for _ in 0..3 {
        let (permissions, place) = pieces_of_a_run()?;
        let wanted = ["r--p", "r-xp", "r--p", "rw-p"].map(String::from).to_vec();
        same("constants, code, relocated tables, variables", permissions, wanted)?;
        places.insert(place);
    }
    // Where an administrator has switched it off, nothing is anywhere else.
    let random = fs::read_to_string("/proc/sys/kernel/randomize_va_space")?;
    if random.trim() != "0" {
        ensure!(places.len() > 1, "three starts at the same address: {places:?}");
    }
    // Without randomness it works as well.
    let done = Command::new(tool("setarch")?).args(["-R", &runtime().to_string_lossy(), "--version"]).output()?;
    ensure!(done.status.success(), "{done:?}");
    Ok(())
}
