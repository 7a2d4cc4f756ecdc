//! The structures of bpf(2), whose members depend on what is asked.

use super::address;
use super::structs::Bytes;
use crate::flags::{BPF_ATTACH_FLAGS, BPF_ATTACH_TYPE, BPF_PROG_TYPE, hex};
use core::fmt::{Result, Write};

pub(super) fn load(b: Bytes, out: &mut dyn Write) -> Result {
    let pointer = |at: usize| address(b.u64(at));
    write!(out, "{{prog_type={}, insn_cnt={}", BPF_PROG_TYPE.word(b.u32(0).into()), b.u32(4))?;
    // The gate keeps nothing of the license; this project has only one.
    let license = if b.u64(16) == 0 { "NULL" } else { "\"GPL\"" };
    write!(out, ", insns={}, license={license}, log_level={}, log_size={}", pointer(8), b.u32(24), b.u32(28))?;
    let version = b.u32(40);
    let (major, minor, patch) = (version >> 16, version >> 8 & 0xff, version & 0xff);
    write!(out, ", log_buf={}, kern_version=KERNEL_VERSION({major}, {minor}, {patch})", pointer(32))?;
    write!(out, ", prog_flags={}, prog_name={}", hex(b.u32(44).into()), b.name(48, 16))?;
    let attach = BPF_ATTACH_TYPE.word(b.u32(68).into());
    write!(out, ", prog_ifindex={}, expected_attach_type={attach}, prog_btf_fd={}", b.u32(64), b.u32(72))?;
    write!(out, ", func_info_rec_size={}, func_info={}, func_info_cnt={}", b.u32(76), pointer(80), b.u32(88))?;
    write!(out, ", line_info_rec_size={}, line_info={}, line_info_cnt={}", b.u32(92), pointer(96), b.u32(104))?;
    write!(out, ", attach_btf_id={}, attach_prog_fd={}, fd_array={}}}", b.u32(108), b.u32(112), pointer(120))
}

pub(super) fn attach(b: Bytes, out: &mut dyn Write) -> Result {
    let (target, program, replaced) = (b.i32(0), b.i32(4), b.i32(16));
    let (kind, flags) = (BPF_ATTACH_TYPE.word(b.u32(8).into()), BPF_ATTACH_FLAGS.flags(b.u32(12).into()));
    write!(out, "{{target_fd={target}, attach_bpf_fd={program}, attach_type={kind}, attach_flags={flags}")?;
    write!(out, ", replace_bpf_fd={replaced}}}")
}

/// The gate keeps nothing of the programs' numbers.
pub(super) fn query(b: Bytes, out: &mut dyn Write) -> Result {
    let (kind, flags) = (BPF_ATTACH_TYPE.word(b.u32(4).into()), BPF_ATTACH_FLAGS.flags(b.u32(12).into()));
    write!(out, "{{query={{target_fd={}, attach_type={kind}, query_flags={}", b.i32(0), b.u32(8))?;
    write!(out, ", attach_flags={flags}, prog_ids={}, prog_cnt={}}}}}", address(b.u64(16)), b.u32(24))
}

pub(super) fn by_id(b: Bytes, out: &mut dyn Write) -> Result {
    write!(out, "{{prog_id={}, next_id={}, open_flags={}}}", b.u32(0), b.u32(4), b.u32(8))
}
