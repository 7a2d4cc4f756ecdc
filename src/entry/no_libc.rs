//! What libc would provide: nothing of libc is in the file. Its start-up asks the processor for its features, which
//! takes long in a virtual machine, and makes a dozen system calls that no trace could show; and without the start-up no
//! other part of libc works. So the process begins here. The compiler and std need the functions below by their C names; most
//! are never called. May touch: `syscalls`, the error type.

use crate::outcome::{Doing, Error};
use core::ffi::c_char;
use core::sync::atomic::{AtomicI32, AtomicPtr};
use syscalls::{Why, start};

// SAFETY: main.rs defines it, in C's form. The linker finds it, so this room does not refer to the room above.
unsafe extern "C" {
    safe fn main(argc: i32, argv: *const *const c_char) -> i32;
}

/// Where the process begins: the C compiler's `_start` calls this with what the kernel has put on the stack.
// SAFETY: the name and the form are libc's own.
#[unsafe(no_mangle)]
extern "C" fn __libc_start_main(_: usize, argc: i32, argv: *const *const c_char) -> ! {
    start::begin(argv);
    start::on_own_stack(argc, argv, main)
}

/// Makes the addresses of functions that lie among the variables read-only.
pub fn protect_addresses() -> Result<(), Error> {
    let why = Why("the program jumps to the addresses that stand there: nothing may change them");
    start::protect_addresses(why).doing("protect the program's addresses")
}

/// Where the environment lies: [`start::begin`] says it.
// SAFETY: the name and the form are libc's own.
#[unsafe(no_mangle)]
static environ: AtomicPtr<*const c_char> = AtomicPtr::new(core::ptr::null_mut());

/// Copying and comparing: the compiler makes calls of these.
mod bytes {
    use super::*;

    // SAFETY: the name and the form are libc's own, and the caller's promises are those of libc's callers.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, len: usize) -> *mut u8 {
        // SAFETY: as above.
        unsafe { start::copy(to, from, len) }
    }

    // SAFETY: as above.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, len: usize) -> *mut u8 {
        // SAFETY: as above.
        unsafe { start::copy(to, from, len) }
    }

    // SAFETY: as above.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn memset(to: *mut u8, byte: i32, len: usize) -> *mut u8 {
        // SAFETY: as above.
        unsafe { start::set(to, byte as u8, len) }
    }

    // SAFETY: as above.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn memcmp(a: *const u8, b: *const u8, len: usize) -> i32 {
        // SAFETY: as above.
        unsafe { start::compare(a, b, len) }
    }

    // SAFETY: as above.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn bcmp(a: *const u8, b: *const u8, len: usize) -> i32 {
        // SAFETY: as above.
        unsafe { start::compare(a, b, len) }
    }

    // SAFETY: as above.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn strlen(string: *const u8) -> usize {
        // SAFETY: as above.
        unsafe { start::length(string) }
    }
}

/// An environment variable, for std alone: it asks whether a panic shall print a backtrace. None does.
// SAFETY: the name and the form are libc's own.
#[unsafe(no_mangle)]
extern "C" fn getenv(_name: *const c_char) -> *const c_char {
    core::ptr::null()
}

static ERRNO: AtomicI32 = AtomicI32::new(libc::ENOSYS);

/// The errno of the functions below, which all refuse.
// SAFETY: the name and the form are libc's own.
#[unsafe(no_mangle)]
extern "C" fn __errno_location() -> *mut i32 {
    ERRNO.as_ptr()
}

/// For a panic within a panic.
// SAFETY: the name and the form are libc's own.
#[unsafe(no_mangle)]
extern "C" fn abort() -> ! {
    syscalls::exit_group(1, Why("nothing can be trusted after a fault"))
}

/// Functions that std refers to and this program never calls: system calls go through the gate, and a panic ends in the hook of
/// `main`. They refuse.
macro_rules! never_called {
    ($($name:ident ( $($kind:ty),* ) -> $result:ty = $refusal:expr;)*) => {
        $(
            // SAFETY: the name and the form are libc's own.
            #[unsafe(no_mangle)]
            extern "C" fn $name($(_: $kind),*) -> $result {
                $refusal
            }
        )*
    };
}

/// Asked on aarch64 before `main`, where libc starts a program: has the processor atomic instructions? Without an answer the
/// code does without them.
#[cfg(target_arch = "aarch64")]
mod atomics {
    // SAFETY: the name and the form are libc's own.
    #[unsafe(no_mangle)]
    extern "C" fn getauxval(_kind: u64) -> u64 {
        0
    }

    // SAFETY: as above; libgcc calls it so.
    #[unsafe(no_mangle)]
    extern "C" fn __getauxval(_kind: u64) -> u64 {
        0
    }
}

type Text = *const c_char;
type Place = *mut u8;

never_called! {
    // A wait for a lock: there is one thread.
    syscall(i64, usize, usize, usize, usize, usize, usize) -> i64 = -1;
    gettid() -> i32 = -1;
    // A backtrace's files and words.
    open64(Text, i32, u32) -> i32 = -1;
    close(i32) -> i32 = -1;
    read(i32, Place, usize) -> isize = -1;
    write(i32, *const u8, usize) -> isize = -1;
    lseek64(i32, i64, i32) -> i64 = -1;
    fstat64(i32, Place) -> i32 = -1;
    stat64(Text, Place) -> i32 = -1;
    statx(i32, Text, i32, u32, Place) -> i32 = -1;
    getcwd(Place, usize) -> Place = core::ptr::null_mut();
    realpath(Text, Place) -> Place = core::ptr::null_mut();
    mmap64(Place, usize, i32, i32, i32, i64) -> Place = core::ptr::without_provenance_mut(usize::MAX);
    munmap(Place, usize) -> i32 = -1;
    dl_iterate_phdr(Place, Place) -> i32 = 0;
    __xpg_strerror_r(i32, Place, usize) -> i32 = -1;
    // Unwinding.
    _Unwind_Backtrace(Place, Place) -> i32 = 0;
    _Unwind_GetDataRelBase(Place) -> usize = 0;
    _Unwind_GetTextRelBase(Place) -> usize = 0;
    _Unwind_GetRegionStart(Place) -> usize = 0;
    _Unwind_GetLanguageSpecificData(Place) -> Place = core::ptr::null_mut();
    _Unwind_GetIP(Place) -> usize = 0;
    _Unwind_GetIPInfo(Place, *mut i32) -> usize = 0;
    _Unwind_SetGR(Place, i32, usize) -> () = ();
    _Unwind_SetIP(Place, usize) -> () = ();
    _Unwind_Resume(Place) -> ! = abort();
}
