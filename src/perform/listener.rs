//! A seccomp listener on its way from init to the agent that answers its questions (seccomp_unotify(2); config-linux.md, "The
//! Container Process State"). Once the filter is loaded any call of init's could be one that it asks about, so init
//! makes none: it writes the descriptor's number on the slate and waits there. May touch: system calls.

use super::{caller, hooks};
use crate::host::patience;
use crate::outcome::{Check, Done, Trouble};
use alloc::vec::Vec;
use core::ffi::CStr;
use core::sync::atomic::Ordering::*;
use syscalls::room::slate;
use syscalls::{At, Why};

/// As long as init waits for the host, and never a call long.
const PATIENCE_NS: u64 = 10_000_000_000;

/// Init: offers the descriptor, and goes on when it was taken.
pub fn offer(descriptor: usize) -> Done {
    let offered = &slate().offered;
    offered.store(descriptor as u32 + 1, Release);
    let end = syscalls::clock_ns(libc::CLOCK_MONOTONIC) + PATIENCE_NS;
    while offered.load(Acquire) != 0 {
        core::hint::spin_loop();
        if syscalls::clock_ns(libc::CLOCK_MONOTONIC) > end {
            return Err(Trouble::Check(Check::NobodyTook));
        }
    }
    Ok(())
}

/// Host: the number of the descriptor that init offers. `None`: `end` has something to read, so init is not going on.
pub fn offered(end: At, why: Why) -> Done<Option<i32>> {
    let mut step = 1;
    loop {
        match slate().offered.load(Acquire) {
            0 => {}
            number => return Ok(Some(number as i32 - 1)),
        }
        // Longer each time: a wait that lasts hears signals.
        if patience::readable([end, patience::NONE], Some(step), why, patience::nothing)? {
            return Ok(None);
        }
        step = (step + step / 4 + 1).min(1000);
    }
}

/// Where an offered descriptor goes.
pub struct To<'a> {
    pub path: &'a CStr,
    pub document: &'a [Vec<u8>],
}

/// Host: takes it and sends it on, with the document about the container. `init`: a handle on its process.
pub fn pass(init: At, number: i32, to: To, pid: i32, why: Why) -> Done {
    let taken = Why("init itself may make no call between its filter and its program");
    let listener = syscalls::pidfd_getfd(init, number, "seccomp listener", taken)?;
    let socket = caller::connect(to.path, why)?;
    let mut digits = [0; 12];
    let digits = hooks::decimal(pid, &mut digits);
    let text = to.document.join(digits);
    syscalls::sendmsg_descriptor(socket.at(), &text, listener.at(), why)?;
    slate().offered.store(0, Release);
    Ok(())
}
