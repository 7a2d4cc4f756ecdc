//! The clock without a system call: a function that the kernel maps into every process, the vDSO (vdso(7)). It is
//! found by hand, since there is no loader here and no libc that has been started.

use crate::arch;
use crate::entry::auxv;
use crate::hot::HOT;
use core::ffi::CStr;
use core::sync::atomic::Ordering::Relaxed;
use libc::{Elf64_Ehdr, Elf64_Phdr, Elf64_Sym};

type Clock = extern "C" fn(libc::clockid_t, *mut libc::timespec) -> i32;

/// `HOT.clock` where there is no vDSO.
const NONE: usize = 1;

const DT_STRTAB: u64 = linux_raw_sys::elf_uapi::DT_STRTAB as u64;
const DT_SYMTAB: u64 = linux_raw_sys::elf_uapi::DT_SYMTAB as u64;

/// How fast the processor's counter runs, in kHz: measured for ten milliseconds. None: this architecture's machines need no such
/// number.
#[cfg(target_arch = "x86_64")]
pub fn counter_khz() -> Option<u64> {
    let both = || {
        let mut best = (u64::MAX, 0, 0);
        for _ in 0..5 {
            // SAFETY: the instruction reads a counter, and every processor of x86-64 has it.
            let count = || unsafe { core::arch::x86_64::_rdtsc() };
            let (before, now, after) = (count(), clock_ns(libc::CLOCK_MONOTONIC), count());
            // Another process may have had the processor in between.
            best = best.min((after.wrapping_sub(before), before, now));
        }
        best
    };
    let (_, first, begun) = both();
    while clock_ns(libc::CLOCK_MONOTONIC) < begun + 10_000_000 {
        core::hint::spin_loop();
    }
    let (_, last, ended) = both();
    let counted = u128::from(last.wrapping_sub(first)) * 1_000_000;
    u64::try_from(counted / u128::from(ended.saturating_sub(begun).max(1))).ok()
}

#[cfg(not(target_arch = "x86_64"))]
pub fn counter_khz() -> Option<u64> {
    None
}

/// Nanoseconds of a clock.
pub fn clock_ns(clock: libc::clockid_t) -> u64 {
    read(clock)
}

/// The same, as a part of the gate.
#[inline(always)]
pub(crate) fn read(clock: libc::clockid_t) -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    match HOT.clock.load(Relaxed) {
        0 | NONE => first(clock, &mut now),
        at => {
            // SAFETY: the vDSO has a function of this form at this address.
            let read: Clock = unsafe { core::mem::transmute(at) };
            read(clock, &mut now);
        }
    }
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// Finds the function, and asks it. A kernel without one (vdso=0) can only be asked by a call. This goes past the recorder,
/// which asks for the time itself.
#[cold]
fn first(clock: libc::clockid_t, now: &mut libc::timespec) {
    let at = match HOT.clock.load(Relaxed) {
        0 => find().unwrap_or(NONE),
        at => at,
    };
    HOT.clock.store(at, Relaxed);
    match at {
        NONE => {
            let args = [clock as usize, &raw mut *now as usize, 0, 0, 0, 0];
            // SAFETY: `now` is a timespec that lives across the call.
            unsafe { arch::syscall(libc::SYS_clock_gettime as usize, args) };
        }
        at => {
            // SAFETY: the vDSO has a function of this form at this address.
            let read: Clock = unsafe { core::mem::transmute(at) };
            read(clock, now);
        }
    }
}

/// The address of the function, by the symbols of the vDSO, an ELF file in memory.
fn find() -> Option<usize> {
    let base = auxv(libc::AT_SYSINFO_EHDR) as usize;
    if base == 0 {
        return None;
    }
    // SAFETY: the kernel maps a whole and valid ELF file there, for as long as the process lives.
    unsafe {
        let head = &*(base as *const Elf64_Ehdr);
        let headers = (base + head.e_phoff as usize) as *const Elf64_Phdr;
        let (mut bias, mut dynamic) = (None, None);
        for header in core::slice::from_raw_parts(headers, head.e_phnum as usize) {
            let place = base + header.p_offset as usize;
            match header.p_type {
                libc::PT_LOAD if bias.is_none() => bias = Some(place - header.p_vaddr as usize),
                libc::PT_DYNAMIC => dynamic = Some(place as *const [u64; 2]),
                _ => {}
            }
        }
        let (bias, mut entry) = (bias?, dynamic?);
        let (mut symbols, mut names) = (0, 0);
        while (*entry)[0] != 0 {
            match *entry {
                [DT_SYMTAB, at] => symbols = bias + at as usize,
                [DT_STRTAB, at] => names = bias + at as usize,
                _ => {}
            }
            entry = entry.add(1);
        }
        // The names follow the symbols (the kernel's vdso-layout.lds.S): where they begin, these end.
        let count = names.checked_sub(symbols)? / size_of::<Elf64_Sym>();
        core::slice::from_raw_parts(symbols as *const Elf64_Sym, count)
            .iter()
            .find(|symbol| {
                let name = names + symbol.st_name as usize;
                symbol.st_value != 0 && CStr::from_ptr(name as *const _) == arch::VDSO_CLOCK
            })
            .map(|symbol| bias + symbol.st_value as usize)
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_is_the_clock() {
        assert!(super::find().is_some(), "this machine has a vDSO");
        let mut libc_now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        let before = super::clock_ns(libc::CLOCK_MONOTONIC);
        // SAFETY: it lives across the call.
        unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut libc_now) };
        let after = super::clock_ns(libc::CLOCK_MONOTONIC);
        let now = libc_now.tv_sec as u64 * 1_000_000_000 + libc_now.tv_nsec as u64;
        assert!(before <= now && now <= after);
    }
}
