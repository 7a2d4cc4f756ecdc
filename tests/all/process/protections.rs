//! What protects the program's own memory, read out of its file as checksec does, and out of a process that runs.

use crate::bundle::runtime;
use crate::cgroup::script;
use crate::{Failed, Outcome, area, ensure, same};
use libtest_mimic::Trial;
use std::fs;

pub fn cases() -> Vec<Trial> {
    area(
        "protections",
        &[
            ("the_file_is_static", is_static),
            ("no_page_is_writable_and_executable", no_wx),
            ("addresses_of_functions_are_read_only", relro),
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
    address: u64,
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
                address: file.number(at + 16, 8),
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
}

fn is_static() -> Outcome {
    const EXECUTABLE: u64 = 2;
    let file = File::read()?;
    same("e_type", file.number(16, 2), EXECUTABLE)?;
    same("interpreters", file.all(INTERP).len(), 0)?;
    // Nothing is left for a loader, or for the start of the program, to put right.
    same("dynamic sections", file.all(DYNAMIC).len(), 0)
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

/// The piece that is made read-only is there, begins and ends with a page, and no piece but the variables can be written to.
fn relro() -> Outcome {
    let file = File::read()?;
    let relro = file.one(GNU_RELRO)?;
    same("its end in a page", (relro.address + relro.in_memory) % 4096, 0)?;
    // What begins in the same page is read-only too.
    let loaded = file.all(LOAD);
    let same_page = |piece: &&&Piece| piece.address / 4096 == relro.address / 4096;
    let sharing: Vec<u64> = loaded.iter().filter(same_page).map(|p| p.address).collect();
    same("pieces in its first page", sharing, vec![relro.address])?;
    same("pieces that can be written to", loaded.iter().filter(|piece| piece.flags & WRITE != 0).count(), 2)
}

/// The permissions of the pieces of the program's file in a process of `run`.
fn pieces_of_a_run() -> Result<Vec<String>, Failed> {
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
    Ok(permissions.map(String::from).collect())
}

fn mapped() -> Outcome {
    let wanted = ["r--p", "r-xp", "r--p", "rw-p"].map(String::from).to_vec();
    same("constants, code, addresses of functions, variables", pieces_of_a_run()?, wanted)
}
