//! The program's file exchanged while it runs: its memory is mapped from another open file with the same bytes, and
//! /proc/PID/exe becomes that file (PR_SET_MM of prctl(2)). The kernel allows that once nothing of the old file is mapped.

use crate::arch;
use crate::call::{Result, Why};
use crate::calls::{mmap, mmap_over, move_memory, prctl_mm_map};
use crate::entry::{args, environment, page_size};
use crate::fd::At;
use crate::flags::{Map, Prot};
use crate::start::{headers, protect_addresses};
use core::ffi::c_char;
use libc::{Elf64_Phdr as Header, PF_W, PF_X, PT_LOAD};
use linux_raw_sys::prctl::prctl_mm_map as MemoryMap;

/// The page size for which the program's parts lie apart from each other, and from the stack.
const PAGE: usize = 4096;

/// The whole pages that the kernel has mapped from the file for a part of the program: where, how many bytes, and from
/// where in the file.
#[derive(Clone, Copy)]
struct Piece {
    at: usize,
    len: usize,
    offset: usize,
    flags: u32,
}

impl Piece {
    fn of(header: &Header) -> Piece {
        let first = header.p_vaddr as usize;
        let at = first & !(PAGE - 1);
        let len = (first - at + header.p_filesz as usize).next_multiple_of(PAGE);
        Piece { at, len, offset: (header.p_offset as usize).wrapping_sub(first - at), flags: header.p_flags }
    }
}

/// Makes `file` the file of this program. It has the same bytes as the one that was executed: it is the same file, on another
/// mount. False: that cannot be done here. After an error the program runs on, from a part of each. `argv`: where the
/// kernel laid it.
pub fn exchange(file: At, argv: *const *const c_char, why: Why) -> Result<bool> {
    let pieces = || headers().iter().filter(|h| h.p_type == PT_LOAD && h.p_filesz > 0).map(Piece::of);
    let (mut end, stack) = (0, arch::stack_pointer());
    let apart = pieces().all(|piece| {
        let before = core::mem::replace(&mut end, piece.at + piece.len);
        piece.at >= before && !(piece.at..end).contains(&stack)
    });
    if page_size() != PAGE || !apart {
        return Ok(false);
    }
    for piece in pieces().filter(|piece| piece.flags & PF_W == 0) {
        let prot = if piece.flags & PF_X == 0 { Prot::PROT_READ } else { Prot::PROT_READ | Prot::PROT_EXEC };
        // SAFETY: the same bytes take the place of those that were mapped from the file, and nothing writes there.
        unsafe { mmap_over(piece.at, piece.len, prot, file, piece.offset, why)? };
    }
    let mut written = pieces().filter(|piece| piece.flags & PF_W != 0);
    let mut whole = written.next();
    while let Some(piece) = whole {
        let next = written.next();
        whole = match next {
            Some(next) if next.at == piece.at + piece.len => Some(Piece { len: piece.len + next.len, ..piece }),
            next => {
                detach(piece, why)?;
                next
            }
        };
    }
    protect_addresses(why)?;
    prctl_mm_map(&map(file, argv), why)?;
    Ok(true)
}

/// Puts memory without a file in place of a piece that the program has written to.
fn detach(piece: Piece, why: Why) -> Result<()> {
    let copy = mmap(piece.len, Map::MAP_PRIVATE, None, why)?;
    // SAFETY: the copy is as long, and nothing changes the piece before the kernel puts the copy in its place: the stack
    // lies elsewhere, and the gate writes after that call.
    unsafe {
        arch::copy(copy as *mut u8, piece.at as *const u8, piece.len);
        move_memory(copy, piece.len, piece.at, why)
    }
}

/// What the kernel takes beside the file: where the parts of the program are. It tells them in /proc.
fn map(file: At, argv: *const *const c_char) -> MemoryMap {
    let within = |header: &Header| {
        let start = header.p_vaddr as usize;
        [start, start + header.p_filesz as usize, start + header.p_memsz as usize].map(|at| at as u64)
    };
    let mut code = [u64::MAX, 0];
    let mut data = [u64::MAX, 0, 0];
    for header in headers().iter().filter(|header| header.p_type == PT_LOAD) {
        let [start, end, last] = within(header);
        match header.p_flags & PF_W {
            0 if header.p_flags & PF_X == 0 => {}
            0 => code = [code[0].min(start), code[1].max(end)],
            _ => data = [data[0].min(start), data[1].max(end), data[2].max(last)],
        }
    }
    let stack = argv as u64;
    let end = |text: &core::ffi::CStr| text.as_ptr() as u64 + text.count_bytes() as u64 + 1;
    let arguments = args(argv).next().map_or(stack, |first| first.as_ptr() as u64);
    let arguments_end = args(argv).last().map_or(arguments, end);
    let environment_end = environment().last().map_or(arguments_end, end);
    MemoryMap {
        start_code: code[0],
        end_code: code[1],
        start_data: data[0],
        end_data: data[1],
        // The program has no heap of this kind.
        start_brk: data[2],
        brk: data[2],
        start_stack: stack,
        arg_start: arguments,
        arg_end: arguments_end,
        env_start: environment().next().map_or(arguments_end, |first| first.as_ptr() as u64),
        env_end: environment_end,
        auxv: core::ptr::null_mut(),
        auxv_size: 0,
        exe_fd: file.raw() as u32,
    }
}
