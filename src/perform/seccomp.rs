//! The seccomp filter, and its listener on the way from init to the agent that answers its questions
//! (seccomp_unotify(2); config-linux.md, "The Container Process State"). Once the filter is loaded any call of init's
//! could be one that it asks about, so init makes none: it writes the descriptor's number on the slate and waits there.
//! May touch: plan types, system calls.

use super::files::decimal;
use super::{Lanes, callers, step};
use crate::host::patience;
use crate::outcome::{Check, Done, Trouble};
use crate::plan::Slot;
use crate::plan::op::Seccomp;
use core::ffi::CStr;
use core::sync::atomic::Ordering::*;
use syscalls::abi::SockFilter;
use syscalls::room::slate;
use syscalls::{At, SeccompFlags, Why};

/// How long init waits for the host. It makes no call meanwhile.
const PATIENCE_NS: u64 = 10_000_000_000;

pub fn perform(lanes: &mut Lanes, op: &Seccomp, why: Why) -> Done {
    match op {
        Seccomp::Load { filter, flags, listener: false } => {
            syscalls::seccomp_set_mode_filter(filter, *flags, why)?;
            lanes.filtered = true;
        }
        Seccomp::Load { filter, flags, listener: true } => {
            load_and_offer(filter, *flags, why)?;
            lanes.filtered = true;
        }
        Seccomp::PassListener { path, document } => {
            // Where init has stopped, the next line that waits for it says why.
            if let Some(number) = offered(lanes.at(Slot::CHANNEL), why)? {
                pass(lanes, number, path, document, why)?;
            }
        }
    }
    Ok(())
}

/// Init: loads the filter, and goes on when the host has taken the listener's descriptor.
fn load_and_offer(filter: &[SockFilter], flags: SeccompFlags, why: Why) -> Done {
    // The result is the descriptor, so a thread that cannot get the filter has to be an errno (seccomp(2)).
    let tsync = match flags.has(SeccompFlags::SECCOMP_FILTER_FLAG_TSYNC) {
        true => SeccompFlags::SECCOMP_FILTER_FLAG_TSYNC_ESRCH,
        false => SeccompFlags::NONE,
    };
    let flags = flags | SeccompFlags::SECCOMP_FILTER_FLAG_NEW_LISTENER | tsync;
    let descriptor = syscalls::seccomp_set_mode_filter(filter, flags, why)?;
    let offered = &slate().offered;
    offered.store(descriptor as u32 + 1, Release);
    let end = syscalls::clock_ns(libc::CLOCK_MONOTONIC) + PATIENCE_NS;
    while offered.load(Acquire) != 0 {
        core::hint::spin_loop();
        if syscalls::clock_ns(libc::CLOCK_MONOTONIC) > end && !step::has_time() {
            return Err(Trouble::Check(Check::NobodyTook));
        }
    }
    Ok(())
}

/// Host: the number of the descriptor that init offers. `None`: `end` has something to read, so init is not going on.
fn offered(end: At, why: Why) -> Done<Option<i32>> {
    let mut step = 1;
    loop {
        match slate().offered.load(Acquire) {
            0 => {}
            number => return Ok(Some(number as i32 - 1)),
        }
        // Each wait is longer than the last. While it lasts, signals are noticed.
        if patience::readable([end, patience::NONE], Some(step), why, patience::nothing)? {
            return Ok(None);
        }
        step = (step + step / 4 + 1).min(1000);
    }
}

/// Host: takes the descriptor and sends it on, with the document about the container.
fn pass(lanes: &Lanes, number: i32, path: &CStr, document: &[Vec<u8>], why: Why) -> Done {
    let taken = Why("init itself may make no call between its filter and its program: the filter could ask about it");
    let listener = syscalls::pidfd_getfd(lanes.at(Slot::INIT), number, taken)?;
    let socket = callers::connect(path, why)?;
    let mut digits = [0; 12];
    let text = document.join(decimal(lanes.pid, &mut digits));
    syscalls::sendmsg_descriptor(socket.at(), &text, listener.at(), why)?;
    slate().offered.store(0, Release);
    Ok(())
}
