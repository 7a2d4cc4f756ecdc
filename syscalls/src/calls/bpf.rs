//! bpf(2): device programs of cgroups. linux-raw-sys has none of linux/bpf.h; what is needed of it is here.

use crate::abi::BpfInsn;
use crate::arg::{Kind, input, named, plain, pointing, pointing_out, uint};
use crate::call::{Result, Why};
use crate::fd::{At, Fd};
use crate::flags::Bpf;
use crate::gate::gate;
use core::ffi::CStr;
use linux_raw_sys::general::__NR_bpf;

pub(crate) const BPF_PROG_TYPE_CGROUP_DEVICE: u32 = 15;
/// The attach type 0, which loading a program leaves as it is.
pub(crate) const BPF_CGROUP_INET_INGRESS: u32 = 0;
pub(crate) const BPF_CGROUP_DEVICE: u32 = 6;
pub(crate) const BPF_F_ALLOW_OVERRIDE: u32 = 1;
pub(crate) const BPF_F_ALLOW_MULTI: u32 = 2;
pub(crate) const BPF_F_REPLACE: u32 = 4;
/// The verifier's objections and its counts, without a line for each instruction (linux/bpf_verifier.h).
const BPF_LOG_STATS: u32 = 4;

/// The members of `union bpf_attr` for BPF_PROG_LOAD, as far as this project sets them; the rest is zero.
#[repr(C)]
#[derive(Default)]
struct ProgLoad {
    prog_type: u32,
    insn_cnt: u32,
    insns: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buf: u64,
    kern_version: u32,
    prog_flags: u32,
    prog_name: [u8; 16],
    rest: [u64; 8],
}
const _: () = assert!(size_of::<ProgLoad>() == 128);

/// The members for BPF_PROG_ATTACH.
#[repr(C)]
struct ProgAttach {
    target_fd: u32,
    attach_bpf_fd: u32,
    attach_type: u32,
    attach_flags: u32,
    replace_bpf_fd: u32,
    padding: u32,
}
const _: () = assert!(size_of::<ProgAttach>() == 24);

/// The members for BPF_PROG_QUERY, as far as Linux 5.12 has them.
#[repr(C)]
#[derive(Default)]
struct ProgQuery {
    target_fd: u32,
    attach_type: u32,
    query_flags: u32,
    attach_flags: u32,
    prog_ids: u64,
    /// Room for how many, and then how many there are.
    prog_cnt: u32,
    padding: u32,
    /// After the rest Linux 6.17 writes how often the programs were changed, even beyond the size that it is told.
    room: [u64; 4],
}
/// The size that the kernel is told.
const QUERY_SIZE: usize = 32;
const _: () = assert!(size_of::<ProgQuery>() == 64);

/// The members for BPF_PROG_GET_FD_BY_ID: the program's number, and two that other commands use.
type ById = [u32; 3];

plain! {
    BpfAttach: ProgAttach;
    BpfById: ById;
}

/// bpf(2) with BPF_PROG_LOAD of a program that decides which devices a cgroup may use. `log`: room for what the verifier
/// says; empty, if that is not wanted.
#[track_caller]
pub fn bpf_prog_load_device(program: &[BpfInsn], log: &mut [u8], why: Why) -> Result<Fd> {
    let license: &CStr = c"GPL";
    let wanted = !log.is_empty();
    let attr = ProgLoad {
        prog_type: BPF_PROG_TYPE_CGROUP_DEVICE,
        insn_cnt: program.len() as u32,
        insns: program.as_ptr() as u64,
        license: license.as_ptr() as u64,
        // Without a log level the kernel refuses a log buffer.
        log_level: if wanted { BPF_LOG_STATS } else { 0 },
        log_size: log.len() as u32,
        log_buf: if wanted { log.as_mut_ptr() as u64 } else { 0 },
        ..ProgLoad::default()
    };
    // SAFETY: the program, the license and the log live across the call, as long as the structure says.
    let given = unsafe { pointing(&attr, size_of::<ProgLoad>(), Kind::BpfLoad) };
    gate(__NR_bpf, &[named(Bpf::BPF_PROG_LOAD), given, uint(size_of::<ProgLoad>())], why).map(Fd::new)
}

/// bpf(2) with BPF_PROG_ATTACH: the program decides for this cgroup and all below it. `old`: a program that it replaces in
/// the same step.
#[track_caller]
pub fn bpf_prog_attach_device(cgroup: At, program: At, old: Option<At>, why: Why) -> Result<()> {
    let attr = ProgAttach {
        target_fd: cgroup.0 as u32,
        attach_bpf_fd: program.0 as u32,
        attach_type: BPF_CGROUP_DEVICE,
        attach_flags: BPF_F_ALLOW_MULTI | old.map_or(0, |_| BPF_F_REPLACE),
        replace_bpf_fd: old.map_or(0, |old| old.0 as u32),
        padding: 0,
    };
    gate(__NR_bpf, &[named(Bpf::BPF_PROG_ATTACH), input(&attr), uint(size_of::<ProgAttach>())], why).map(drop)
}

/// bpf(2) with BPF_PROG_QUERY: the numbers of the programs that decide on devices for this cgroup itself. Returns how many
/// there are; ENOSPC: more than there is room for.
#[track_caller]
pub fn bpf_prog_query_device(cgroup: At, ids: &mut [u32], why: Why) -> Result<usize> {
    let mut attr = ProgQuery {
        target_fd: cgroup.0 as u32,
        attach_type: BPF_CGROUP_DEVICE,
        prog_ids: ids.as_mut_ptr() as u64,
        prog_cnt: ids.len() as u32,
        ..ProgQuery::default()
    };
    // SAFETY: the numbers have the room that the structure says, and it is this function's own.
    let filled = unsafe { pointing_out(&mut attr, QUERY_SIZE, Kind::BpfQuery) };
    gate(__NR_bpf, &[named(Bpf::BPF_PROG_QUERY), filled, uint(QUERY_SIZE)], why)?;
    Ok(attr.prog_cnt as usize)
}

/// bpf(2) with BPF_PROG_GET_FD_BY_ID: a handle on a program that is loaded.
#[track_caller]
pub fn bpf_prog_get_fd_by_id(id: u32, why: Why) -> Result<Fd> {
    let attr: ById = [id, 0, 0];
    gate(__NR_bpf, &[named(Bpf::BPF_PROG_GET_FD_BY_ID), input(&attr), uint(size_of::<ById>())], why).map(Fd::new)
}
