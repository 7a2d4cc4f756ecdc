//! What the kernel laid on the stack at execve: arguments, environment, auxiliary vector. Read, never copied.

use core::ffi::{CStr, c_char};

/// The strings of a vector that the kernel made.
fn strings(mut at: *const *const c_char) -> impl Iterator<Item = &'static CStr> + Clone {
    core::iter::from_fn(move || {
        // SAFETY: the vector is NULL-terminated, its strings live as long as the process, and no code writes to them.
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

/// The program's arguments, its name first. `argv` is what was handed to `main`.
pub fn args(argv: *const *const c_char) -> impl Iterator<Item = &'static CStr> + Clone {
    strings(argv)
}

unsafe extern "C" {
    static mut environ: *const *const c_char;
}

/// Finds the environment, as libc's start-up code would: it follows the arguments.
pub(crate) fn found_at(argv: *const *const c_char) {
    // SAFETY: there is no other thread.
    unsafe { environ = after(argv) };
}

/// The address after a vector.
fn after(mut at: *const *const c_char) -> *const *const c_char {
    // SAFETY: the vector is NULL-terminated.
    unsafe {
        while !(*at).is_null() {
            at = at.add(1);
        }
        at.add(1)
    }
}

/// Where the kernel laid the environment.
pub(crate) fn environment_at() -> *const *const c_char {
    // SAFETY: it was set before main, and this program never changes it.
    unsafe { environ }
}

/// The environment that the program was started with.
pub fn environment() -> impl Iterator<Item = &'static CStr> + Clone {
    strings(environment_at())
}

/// The value of an environment variable. An entry is read only as far as it agrees with the name.
pub fn variable(name: &str) -> Option<&'static CStr> {
    let mut at = environment_at();
    // SAFETY: as for the strings above; the name holds no NUL, so none is read past.
    unsafe {
        while !(*at).is_null() {
            let entry = *at as *const u8;
            let mut same = 0;
            while same < name.len() && *entry.add(same) == name.as_bytes()[same] {
                same += 1;
            }
            if same == name.len() && *entry.add(same) == b'=' {
                return Some(CStr::from_ptr(entry.add(same + 1) as *const c_char));
            }
            at = at.add(1);
        }
    }
    None
}

/// A value of the auxiliary vector (getauxval(3)): `AT_EUID`, `AT_SECURE`, ... No system call.
pub fn auxv(kind: u64) -> u64 {
    let environment = environment_at();
    if environment.is_null() {
        return 0;
    }
    // SAFETY: after the environment's NULL the kernel laid pairs of a kind and its value, the last of kind AT_NULL.
    unsafe {
        let mut pair = after(environment) as *const [u64; 2];
        while (*pair)[0] != libc::AT_NULL {
            if (*pair)[0] == kind {
                return (*pair)[1];
            }
            pair = pair.add(1);
        }
    }
    0
}

/// The size of a page of this machine: 4 KiB to 64 KiB on aarch64.
pub(crate) fn page_size() -> usize {
    auxv(libc::AT_PAGESZ) as usize
}

/// The path by which the program was executed (AT_EXECFN), relative to the directory of that moment.
pub fn executed_as() -> &'static CStr {
    match auxv(libc::AT_EXECFN) {
        0 => c"",
        // SAFETY: the kernel put a C string on the stack that lives as long as the process.
        at => unsafe { CStr::from_ptr(at as *const c_char) },
    }
}
