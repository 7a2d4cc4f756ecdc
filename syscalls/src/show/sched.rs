//! The structures of scheduling, memory policies and filters.

use super::address;
use super::structs::Bytes;
use crate::flags;
use core::fmt::{Result, Write};

pub(super) fn sched_attr(b: Bytes, out: &mut dyn Write) -> Result {
    let flags = b.u64(8);
    write!(out, "{{size={}, ", b.u32(0))?;
    // Where parameters stay (SCHED_FLAG_KEEP_PARAMS), strace prints neither them nor the policy.
    let set = flags & 0x10 == 0;
    if set {
        out.write_str("sched_policy=")?;
        flags::SCHED.word(b.u32(4).into(), out)?;
        out.write_str(", ")?;
    }
    out.write_str("sched_flags=")?;
    flags::SCHED_FLAGS.flags(flags, out)?;
    if set {
        write!(
            out,
            ", sched_nice={}, sched_priority={}, sched_runtime={}, sched_deadline={}, sched_period={}",
            b.i32(16),
            b.u32(20),
            b.u64(24),
            b.u64(32),
            b.u64(40)
        )?;
    }
    write!(out, ", sched_util_min={}, sched_util_max={}}}", b.u32(48), b.u32(52))
}

/// Whole words of the set, each padded as strace does.
pub(super) fn nodes(b: Bytes, out: &mut dyn Write) -> Result {
    out.write_char('[')?;
    for at in (0..b.0.len()).step_by(8) {
        let comma = if at > 0 { ", " } else { "" };
        write!(out, "{comma}{:#016x}", b.u64(at))?;
    }
    out.write_char(']')
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
    write!(out, "{{len={}, filter=", b.u16(0))?;
    address(b.u64(8), out)?;
    out.write_char('}')
}

pub(super) fn utsname(b: Bytes, out: &mut dyn Write) -> Result {
    out.write_str("{sysname=")?;
    b.name(0, 65, out)?;
    out.write_str(", nodename=")?;
    b.name(65, 65, out)?;
    out.write_str(", ...}")
}
