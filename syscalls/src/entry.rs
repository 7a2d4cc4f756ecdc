//! What the kernel laid on the stack at execve: arguments, environment, auxiliary vector. Read, never copied.

use core::ffi::{CStr, c_char};

/// The strings of a vector that the kernel made.
fn strings(mut at: *const *const c_char) -> impl Iterator<Item = &'static CStr> + Clone {
    core::iter::from_fn(move || {
        // SAFETY: the vector is NULL-terminated, its strings live as long as the process, and nobody writes to them.
        unsafe {
            let string = *at;
            if string.is_null() {
                return None;
            }
            at = at.add(1);
            Some(CStr::from_ptr(string))
        }
    })
}

/// The program's arguments, its name first. `argv` is what libc handed to `main`.
pub fn args(argv: *const *const c_char) -> impl Iterator<Item = &'static CStr> + Clone {
    strings(argv)
}

unsafe extern "C" {
    static environ: *const *const c_char;
}

/// Where the kernel laid it.
pub(crate) fn environment_at() -> *const *const c_char {
    // SAFETY: as below.
    unsafe { environ }
}

/// The environment that the program was started with.
pub fn environment() -> impl Iterator<Item = &'static CStr> + Clone {
    // SAFETY: libc set `environ` before main, and this program never changes it.
    strings(unsafe { environ })
}

/// A value of the auxiliary vector (getauxval(3)): `AT_EUID`, `AT_SECURE`, ... No system call.
pub fn auxv(kind: u64) -> u64 {
    // SAFETY: getauxval only reads what the kernel laid down.
    unsafe { libc::getauxval(kind) }
}

/// The path by which the program was executed (AT_EXECFN), relative to the directory of that moment.
pub fn executed_as() -> &'static CStr {
    match auxv(libc::AT_EXECFN) {
        0 => c"",
        // SAFETY: the kernel put a C string on the stack that lives as long as the process.
        at => unsafe { CStr::from_ptr(at as *const c_char) },
    }
}
