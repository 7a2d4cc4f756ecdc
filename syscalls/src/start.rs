//! Where a process begins, in place of libc's start-up: that one asks the processor what it can do (which a virtual
//! machine makes dear), and makes a dozen system calls for a heap, for threads and for a loader that this program does
//! not have. What is left to do: find the environment, give the thread-local variables of the language a place, and the
//! program a stack.

use crate::arch;
use crate::entry;
use crate::hot::{HOT, THREAD_POINTER};
use core::ffi::c_char;
use core::ptr;

/// Does what has to be done before the first thread-local variable is looked at. `argv`: where the kernel laid it.
pub fn begin(argv: *const *const c_char) {
    entry::found_at(argv);
    let pointer = &raw const HOT.thread[THREAD_POINTER] as usize;
    // SAFETY: the headers are the program's own, mapped by the kernel; what is written lies inside `HOT.thread`, which
    // nobody has looked at yet.
    unsafe {
        let headers = entry::auxv(libc::AT_PHDR) as *const libc::Elf64_Phdr;
        for i in 0..entry::auxv(libc::AT_PHNUM) as usize {
            let header = &*headers.add(i);
            if header.p_type == libc::PT_TLS {
                // x86-64: they lie right below the pointer (ELF Handling for Thread-Local Storage, variant II).
                let size =
                    (header.p_memsz as usize).next_multiple_of(header.p_align.max(1) as usize);
                if size > THREAD_POINTER * size_of::<usize>() {
                    arch::trap();
                }
                let to = (pointer - size) as *mut u8;
                ptr::copy_nonoverlapping(header.p_vaddr as *const u8, to, header.p_filesz as usize);
            }
        }
        // What the register points to is where it points: so the pointer can be read.
        *(pointer as *mut usize) = pointer;
    }
    arch::set_thread_pointer(pointer);
}

/// How much stack there is. The deepest document that the parser takes needs a third of it. A page that is never touched
/// costs nothing.
const STACK: usize = 256 << 10;

#[repr(C, align(4096))]
struct Stack([u8; STACK]);
static mut OWN: Stack = Stack([0; STACK]);

/// What a program is: it gets its words and says its status.
type Main = extern "C" fn(i32, *const *const c_char) -> i32;

/// Runs the program on a stack of its own. The one that the kernel gives ends where RLIMIT_STACK says, and beyond it is
/// SIGSEGV without a word: `ulimit -s 32` is less than a start needs, and a container's own limit counts before execve.
pub fn on_own_stack(argc: i32, argv: *const *const c_char, main: Main) -> ! {
    let top = &raw mut OWN as usize + STACK;
    // SAFETY: nothing else uses that memory, and its end is aligned as the convention of calls wants it.
    unsafe { arch::call_on(top, argc, argv as usize, main) }
}

/// memcpy(3), memmove(3): short pieces are read whole before they are written, so they may lie over each other.
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
        match len {
            0 => {}
            1..4 => {
                let middle = *from.add(len / 2);
                ends!(u8);
                *to.add(len / 2) = middle;
            }
            4..8 => ends!(u32),
            8..16 => ends!(u64),
            16..=32 => ends!(u128),
            33..=64 => ends!([u128; 2]),
            // Of more the compiler would make a call of memcpy, which this is.
            65..=128 => ends!([u128; 4]),
            _ if (to as usize).wrapping_sub(from as usize) >= len => arch::copy(to, from, len),
            _ => arch::copy_back(to, from, len),
        }
    }
    to
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
                    return if x.swap_bytes() < y.swap_bytes() {
                        -1
                    } else {
                        1
                    };
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
    // SAFETY: no byte behind the NUL is read.
    while unsafe { string.add(len).read_volatile() } != 0 {
        len += 1;
    }
    len
}
