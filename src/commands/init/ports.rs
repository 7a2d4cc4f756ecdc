//! The ports of virtio consoles, by the names that the host has given them. May touch: everything below.

use crate::host::input;
use alloc::ffi::CString;
use syscalls::{At, OpenFlags, Why};

const CLASS: &core::ffi::CStr = c"/sys/class/virtio-ports";

/// Waits until the host has told which ports there are. Without the driver, and so without any, it does not wait.
pub fn settle() {
    let why = Why("the driver of the ports asks the host for them, which takes a moment");
    let mut before = 0;
    for _ in 0..25 {
        let class = syscalls::openat(At::CWD, CLASS, OpenFlags::O_DIRECTORY, why);
        let Ok(count) = class.and_then(|class| input::names(class.at(), why)).map(|all| all.len()) else { return };
        if count > 0 && count == before {
            return;
        }
        before = count;
        let _ = syscalls::ppoll(&mut [], Some(20), why);
    }
}

/// The device of the port with this name.
pub fn named(wanted: &str) -> Option<CString> {
    let why = Why("the kernel lists the ports of virtio consoles there, with the names that the host gave them");
    let class = syscalls::openat(At::CWD, CLASS, OpenFlags::O_DIRECTORY, why).ok()?;
    let all = input::names(class.at(), why).ok()?;
    let found = all.iter().find(|port| {
        let Ok(path) = CString::new([port.to_bytes(), b"/name"].concat()) else { return false };
        let file = syscalls::openat(class.at(), &path, OpenFlags::NONE, why);
        let name = file.and_then(|file| input::read_to_end(file.at(), why));
        name.is_ok_and(|name| name.trim_ascii() == wanted.as_bytes())
    })?;
    CString::new([b"/dev/", found.to_bytes()].concat()).ok()
}
