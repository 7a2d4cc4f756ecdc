//! The structures of bpf(2), whose members depend on what is asked.

use super::address;
use super::structs::Bytes;
use crate::flags;
use core::fmt::{Result, Write};

pub(super) fn load(b: Bytes, out: &mut dyn Write) -> Result {
    let int = |name: &str, at: usize, out: &mut dyn Write| write!(out, ", {name}={}", b.u32(at));
    let pointer = |name: &str, at: usize, out: &mut dyn Write| {
        write!(out, ", {name}=")?;
        address(b.u64(at), out)
    };
    out.write_str("{prog_type=")?;
    flags::BPF_PROG_TYPE.word(b.u32(0).into(), out)?;
    int("insn_cnt", 4, out)?;
    pointer("insns", 8, out)?;
    // The license lies behind a pointer that the gate does not follow: this project has but one.
    out.write_str(", license=")?;
    out.write_str(if b.u64(16) == 0 { "NULL" } else { "\"GPL\"" })?;
    int("log_level", 24, out)?;
    int("log_size", 28, out)?;
    pointer("log_buf", 32, out)?;
    let version = b.u32(40);
    let (major, minor, patch) = (version >> 16, version >> 8 & 0xff, version & 0xff);
    write!(out, ", kern_version=KERNEL_VERSION({major}, {minor}, {patch}), prog_flags=")?;
    flags::hex(b.u32(44).into(), out)?;
    out.write_str(", prog_name=")?;
    b.name(48, 16, out)?;
    int("prog_ifindex", 64, out)?;
    out.write_str(", expected_attach_type=")?;
    flags::BPF_ATTACH_TYPE.word(b.u32(68).into(), out)?;
    int("prog_btf_fd", 72, out)?;
    int("func_info_rec_size", 76, out)?;
    pointer("func_info", 80, out)?;
    int("func_info_cnt", 88, out)?;
    int("line_info_rec_size", 92, out)?;
    pointer("line_info", 96, out)?;
    int("line_info_cnt", 104, out)?;
    int("attach_btf_id", 108, out)?;
    int("attach_prog_fd", 112, out)?;
    pointer("fd_array", 120, out)?;
    out.write_char('}')
}

pub(super) fn attach(b: Bytes, out: &mut dyn Write) -> Result {
    let (target, program) = (b.i32(0), b.i32(4));
    write!(out, "{{target_fd={target}, attach_bpf_fd={program}")?;
    out.write_str(", attach_type=")?;
    flags::BPF_ATTACH_TYPE.word(b.u32(8).into(), out)?;
    out.write_str(", attach_flags=")?;
    flags::BPF_ATTACH_FLAGS.flags(b.u32(12).into(), out)?;
    write!(out, ", replace_bpf_fd={}}}", b.i32(16))
}

pub(super) fn query(b: Bytes, out: &mut dyn Write) -> Result {
    write!(out, "{{query={{target_fd={}, attach_type=", b.i32(0))?;
    flags::BPF_ATTACH_TYPE.word(b.u32(4).into(), out)?;
    write!(out, ", query_flags={}, attach_flags=", b.u32(8))?;
    flags::BPF_ATTACH_FLAGS.flags(b.u32(12).into(), out)?;
    // The numbers lie behind a pointer that the gate does not follow.
    out.write_str(", prog_ids=")?;
    address(b.u64(16), out)?;
    write!(out, ", prog_cnt={}}}}}", b.u32(24))
}

pub(super) fn by_id(b: Bytes, out: &mut dyn Write) -> Result {
    let (id, next, flags) = (b.u32(0), b.u32(4), b.u32(8));
    write!(out, "{{prog_id={id}, next_id={next}, open_flags={flags}}}")
}
