//! The structures of scheduling, memory policies and filters.

use super::structs::Bytes;
use super::{address, list};
use crate::flags::{self, SCHED, SCHED_FLAGS};
use core::fmt::{Result, Write};
use linux_raw_sys::general::SCHED_FLAG_KEEP_PARAMS;

/// If the parameters stay as they are, strace prints neither them nor the policy.
pub(super) fn sched_attr(b: Bytes, out: &mut dyn Write) -> Result {
    let flags = b.u64(8);
    let set = flags & u64::from(SCHED_FLAG_KEEP_PARAMS) == 0;
    write!(out, "{{size={}, ", b.u32(0))?;
    if set {
        write!(out, "sched_policy={}, ", SCHED.word(b.u32(4).into()))?;
    }
    write!(out, "sched_flags={}", SCHED_FLAGS.flags(flags))?;
    if set {
        let (nice, priority, runtime) = (b.i32(16), b.u32(20), b.u64(24));
        write!(out, ", sched_nice={nice}, sched_priority={priority}, sched_runtime={runtime}")?;
        write!(out, ", sched_deadline={}, sched_period={}", b.u64(32), b.u64(40))?;
    }
    write!(out, ", sched_util_min={}, sched_util_max={}}}", b.u32(48), b.u32(52))
}

/// Whole words of the set, each padded as strace does.
pub(super) fn nodes(b: Bytes, out: &mut dyn Write) -> Result {
    let words = b.0.chunks(8).map(|word| Bytes(word).u64(0));
    list(words, ", ", false, |word, out| write!(out, "{word:#016x}"), out)
}

/// The numbers of the processors in a set.
pub(super) fn cpus(b: Bytes, out: &mut dyn Write) -> Result {
    let set = |n: &usize| b.0.get(n / 8).is_some_and(|byte| byte >> (n % 8) & 1 != 0);
    out.write_char('[')?;
    for (i, cpu) in (0..b.0.len() * 8).filter(set).enumerate() {
        write!(out, "{}{cpu}", if i > 0 { " " } else { "" })?;
    }
    out.write_char(']')
}

pub(super) fn filter(b: Bytes, out: &mut dyn Write) -> Result {
    write!(out, "{{len={}, filter={}}}", b.u16(0), address(b.u64(8)))
}

pub(super) fn utsname(b: Bytes, out: &mut dyn Write) -> Result {
    write!(out, "{{sysname={}, nodename={}, ...}}", b.name(0, 65), b.name(65, 65))
}

pub(super) fn cap_header(b: Bytes, out: &mut dyn Write) -> Result {
    write!(out, "{{version={}, pid={}}}", flags::CAP_VERSION.word(b.u32(0).into()), b.i32(4))
}
