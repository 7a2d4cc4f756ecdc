//! Where a process begins, in place of libc's start-up. libc asks the processor what it can do, which is slow in a virtual
//! machine, and makes a dozen system calls for a heap, for threads and for a loader, none of which this program has. The
//! rest is done here: find the environment, and make room for the language's thread-local variables and for a stack.

use crate::arch;
use crate::call::{Result, Why};
use crate::calls::mprotect_read;
use crate::entry;
use crate::hot::{HOT, THREAD_POINTER};
use core::ffi::c_char;
use core::ptr;
use libc::Elf64_Phdr as Header;

/// Finds the environment and sets up the thread-local variables. No code may use one before.
#[inline(never)]
pub fn begin(argv: *const *const c_char) {
    entry::found_at(argv);
    let room = &raw const HOT.thread as usize;
    let pointer = match arch::LOCALS_AFTER {
        None => &raw const HOT.thread[THREAD_POINTER] as usize,
        Some(_) => room,
    };
    // SAFETY: the headers are the program's own, mapped by the kernel; what is written lies inside `HOT.thread`, which
    // no code has looked at yet.
    unsafe {
        for header in headers().iter().filter(|h| h.p_type == libc::PT_TLS) {
            let align = header.p_align.max(1) as usize;
            let size = (header.p_memsz as usize).next_multiple_of(align);
            if size > (THREAD_POINTER - 2) * size_of::<usize>() {
                arch::trap();
            }
            let to = match arch::LOCALS_AFTER {
                None => pointer - size,
                Some(bytes) => pointer + bytes.next_multiple_of(align),
            };
            let from = header.p_vaddr as usize as *const u8;
            ptr::copy_nonoverlapping(from, to as *mut u8, header.p_filesz as usize);
        }
        if arch::LOCALS_AFTER.is_none() {
            // The word at the pointer holds the pointer itself, so that code can read it.
            *(pointer as *mut usize) = pointer;
        }
    }
    arch::set_thread_pointer(pointer);
}

/// The program's headers.
pub(crate) fn headers() -> &'static [Header] {
    let (at, len) = (entry::auxv(libc::AT_PHDR) as *const Header, entry::auxv(libc::AT_PHNUM) as usize);
    // SAFETY: the kernel has mapped them with the program, and says where.
    unsafe { core::slice::from_raw_parts(at, len) }
}

/// mprotect(2) of the addresses of functions that lie among the variables (the linker's PT_GNU_RELRO). Nothing writes to them.
#[track_caller]
pub fn protect_addresses(why: Why) -> Result<()> {
    let page = entry::page_size();
    let Some(header) = headers().iter().find(|header| header.p_type == libc::PT_GNU_RELRO) else {
        return Ok(());
    };
    let first = header.p_vaddr as usize;
    // The linker ends it where a page of the usual size ends. If pages are larger here, other data follows on the last one.
    let (start, end) = (first & !(page - 1), (first + header.p_memsz as usize) & !(page - 1));
    if start >= end {
        return Ok(());
    }
    // SAFETY: the compiler writes to nothing that lies there.
    unsafe { mprotect_read(start, end - start, why) }
}

/// How much stack there is. The deepest document that the parser takes needs a third of it, and so does the deepest copy that
/// init makes (`mounts::tmpcopyup_refused`). A page that is never touched costs nothing.
pub(crate) const STACK: usize = 256 << 10;

#[repr(C, align(4096))]
pub(crate) struct Stack(pub(crate) [u8; STACK]);
static mut OWN: Stack = Stack([0; STACK]);

/// A program takes its arguments, and returns its exit status.
type Main = extern "C" fn(i32, *const *const c_char) -> i32;

/// Runs the program on its own stack. The kernel's stack ends where RLIMIT_STACK says. Beyond it the kernel sends SIGSEGV,
/// and the program cannot report that: `ulimit -s 32` is less than a start needs, and a container's limit applies before
/// its execve.
pub fn on_own_stack(argc: i32, argv: *const *const c_char, main: Main) -> ! {
    let top = &raw mut OWN as usize + STACK;
    // SAFETY: nothing else uses that memory, and its end is aligned as the convention of calls wants it.
    unsafe { arch::call_on(top, argc, argv as usize, main) }
}

/// memcpy(3), memmove(3): short pieces are read whole before they are written, so they may overlap.
///
/// # Safety
/// As of libc's: both places have `len` bytes.
#[inline(always)]
pub unsafe fn copy(to: *mut u8, from: *const u8, len: usize) -> *mut u8 {
    // SAFETY: each read and each write lies inside the `len` bytes that the caller vouches for.
    unsafe {
        macro_rules! ends {
            ($kind:ty) => {{
                let last = len - size_of::<$kind>();
                let first = (from as *const $kind).read_unaligned();
                let second = (from.add(last) as *const $kind).read_unaligned();
                (to as *mut $kind).write_unaligned(first);
                (to.add(last) as *mut $kind).write_unaligned(second);
            }};
        }
        // Reads of words at any place are many reads there.
        if cfg!(target_arch = "riscv64") {
            if len > 0 {
                apart(to, from, len);
            }
        } else if len >= 16 {
            match len {
                16..=32 => ends!(u128),
                33..=64 => ends!([u128; 2]),
                // Of more the compiler would make a call of memcpy, which this is.
                65..=128 => ends!([u128; 4]),
                _ => apart(to, from, len),
            }
        } else if len >= 8 {
            ends!(u64)
        } else if len >= 4 {
            ends!(u32)
        } else if len > 0 {
            let middle = *from.add(len / 2);
            ends!(u8);
            *to.add(len / 2) = middle;
        }
    }
    to
}

/// Copies upwards, or downwards where the second place begins inside the first.
///
/// # Safety
/// Both places have `len` bytes, one at least.
#[inline(always)]
unsafe fn apart(to: *mut u8, from: *const u8, len: usize) {
    // SAFETY: as the caller vouches.
    unsafe {
        match (to as usize).wrapping_sub(from as usize) >= len {
            true => arch::copy(to, from, len),
            false => arch::copy_back(to, from, len),
        }
    }
}

/// memset(3).
///
/// # Safety
/// As of libc's: the place has `len` bytes.
#[inline(always)]
pub unsafe fn set(to: *mut u8, byte: u8, len: usize) -> *mut u8 {
    // SAFETY: as the caller vouches.
    unsafe { arch::set(to, byte, len) };
    to
}

/// memcmp(3).
///
/// # Safety
/// As of libc's: both places have `len` bytes.
#[inline(always)]
pub unsafe fn compare(a: *const u8, b: *const u8, len: usize) -> i32 {
    // SAFETY: every word and byte lies inside the `len` bytes that the caller vouches for.
    unsafe {
        macro_rules! words {
            ($kind:ty, $at:expr) => {{
                let x = (a.add($at) as *const $kind).read_unaligned();
                let y = (b.add($at) as *const $kind).read_unaligned();
                if x != y {
                    return if x.swap_bytes() < y.swap_bytes() { -1 } else { 1 };
                }
            }};
        }
        match len {
            8.. => {
                let mut at = 0;
                while at + 8 <= len {
                    words!(u64, at);
                    at += 8;
                }
                words!(u64, len - 8);
            }
            4..8 => {
                words!(u32, 0);
                words!(u32, len - 4);
            }
            2..4 => {
                words!(u16, 0);
                words!(u16, len - 2);
            }
            1 => return i32::from(*a) - i32::from(*b),
            0 => {}
        }
    }
    0
}

/// strlen(3). Volatile reads, so that the compiler does not find strlen in here and call it.
///
/// # Safety
/// As of libc's: the string ends with a NUL.
#[inline(always)]
pub unsafe fn length(string: *const u8) -> usize {
    let mut len = 0;
    // SAFETY: no byte after the NUL is read.
    while unsafe { string.add(len).read_volatile() } != 0 {
        len += 1;
    }
    len
}
