//! The reporter's own calls, by each way into the kernel.

use super::{name, usage};
use serde_json::{Value, json};
use std::io::Error;

/// NUMBER:ARGUMENT...: makes that system call.
pub fn call(word: &str) -> Value {
    let mut numbers = word.split(':').map(|n| n.parse::<i64>().unwrap_or_else(|_| usage(word)));
    let number = numbers.next().unwrap_or_else(|| usage(word));
    let mut args = [0; 6];
    for (arg, given) in args.iter_mut().zip(numbers) {
        *arg = given;
    }
    let [a, b, c, d, e, f] = args;
    // SAFETY: tests name calls that take numbers only, or fail before they look at memory.
    let result = unsafe { nix::libc::syscall(number, a, b, c, d, e, f) };
    match result {
        -1 => json!({ "error": name(&Error::last_os_error()) }),
        value => json!(value),
    }
}

/// What the security module says of the session keyring.
pub fn key_label() -> Value {
    const GET_SECURITY: i64 = 17;
    const SESSION: i64 = -3;
    let mut text = [0u8; 256];
    // SAFETY: the kernel writes no more than the length that it is given.
    let len = unsafe {
        let room = text.as_mut_ptr();
        nix::libc::syscall(nix::libc::SYS_keyctl, GET_SECURITY, SESSION, room, text.len())
    };
    match usize::try_from(len) {
        Ok(len) => json!(String::from_utf8_lossy(&text[..len]).trim_end_matches('\0')),
        Err(_) => json!({ "error": name(&Error::last_os_error()) }),
    }
}

/// The same by the way in for 32-bit programs, with the number that the call has there; nothing is passed.
#[cfg(target_arch = "x86_64")]
pub fn call32(word: &str) -> Value {
    let number: i64 = word.parse().unwrap_or_else(|_| usage(word));
    let result: i64;
    // SAFETY: tests name calls that look at no memory; what the kernel may change is named.
    unsafe {
        std::arch::asm!("int 0x80", inlateout("rax") number => result, in("rcx") 0, in("rdx") 0,
            out("r8") _, out("r9") _, out("r10") _, out("r11") _);
    }
    match result as i32 {
        error @ -4095..0 => json!({ "error": name(&Error::from_raw_os_error(-error)) }),
        value => json!(value),
    }
}

#[cfg(not(target_arch = "x86_64"))]
pub fn call32(word: &str) -> Value {
    usage(word)
}
