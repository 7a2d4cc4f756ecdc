//! Who a process is and what it may do: ids, capabilities, limits, names of the machine, device programs.

use crate::abi::{BpfInsn, BpfProgAttach, BpfProgLoad, BpfProgQuery};
use crate::call::{Result, Why, gate};
use crate::fd::{At, Fd};
use crate::file::{c, d};
use crate::table::Call;
use core::ffi::CStr;
use linux_raw_sys::general::{__user_cap_data_struct, __user_cap_header_struct, rlimit64};

const PR_CAPBSET_READ: u32 = libc::PR_CAPBSET_READ as u32;
const PR_CAPBSET_DROP: u32 = libc::PR_CAPBSET_DROP as u32;
const PR_SET_NO_NEW_PRIVS: u32 = libc::PR_SET_NO_NEW_PRIVS as u32;

/// prctl(2) operations that take one value, with zeros behind it.
pub fn prctl(operation: u32, value: usize, why: Why) -> Result<usize> {
    let call = match operation {
        PR_CAPBSET_DROP | PR_CAPBSET_READ => Call::PrctlCap,
        PR_SET_NO_NEW_PRIVS => Call::PrctlZeros,
        _ => Call::Prctl,
    };
    gate(call, [operation as usize, value, 0, 0, 0, 0], why)
}

/// prctl(2) with PR_CAP_AMBIENT: `operation` is PR_CAP_AMBIENT_RAISE, ...
pub fn prctl_ambient(operation: u32, capability: u32, why: Why) -> Result<()> {
    let args = [libc::PR_CAP_AMBIENT as usize, operation as usize, capability as usize, 0, 0, 0];
    gate(Call::PrctlAmbient, args, why).map(drop)
}

/// Three capability sets, one bit a capability.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct CapabilitySets {
    pub effective: u64,
    pub permitted: u64,
    pub inheritable: u64,
}

fn header() -> __user_cap_header_struct {
    __user_cap_header_struct { version: linux_raw_sys::general::_LINUX_CAPABILITY_VERSION_3, pid: 0 }
}

/// capset(2) of the caller.
pub fn capset(sets: &CapabilitySets, why: Why) -> Result<()> {
    let half = |shift: u32| __user_cap_data_struct {
        effective: (sets.effective >> shift) as u32,
        permitted: (sets.permitted >> shift) as u32,
        inheritable: (sets.inheritable >> shift) as u32,
    };
    let data = [half(0), half(32)];
    let header = header();
    gate(Call::Capset, [&raw const header as usize, &raw const data as usize, 0, 0, 0, 0], why).map(drop)
}

/// capget(2) of the caller.
pub fn capget(why: Why) -> Result<CapabilitySets> {
    let none = __user_cap_data_struct { effective: 0, permitted: 0, inheritable: 0 };
    let mut data = [none; 2];
    let header = header();
    gate(Call::Capget, [&raw const header as usize, &raw mut data as usize, 0, 0, 0, 0], why)?;
    let whole = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
    Ok(CapabilitySets {
        effective: whole(data[0].effective, data[1].effective),
        permitted: whole(data[0].permitted, data[1].permitted),
        inheritable: whole(data[0].inheritable, data[1].inheritable),
    })
}

/// setgroups(2).
pub fn setgroups(groups: &[u32], why: Why) -> Result<()> {
    gate(Call::Setgroups, [groups.len(), groups.as_ptr() as usize, 0, 0, 0, 0], why).map(drop)
}

/// setresuid(2): all three to the same id.
pub fn setresuid(uid: u32, why: Why) -> Result<()> {
    gate(Call::Setresuid, [uid as usize, uid as usize, uid as usize, 0, 0, 0], why).map(drop)
}

/// setresgid(2): all three to the same id.
pub fn setresgid(gid: u32, why: Why) -> Result<()> {
    gate(Call::Setresgid, [gid as usize, gid as usize, gid as usize, 0, 0, 0], why).map(drop)
}

/// prlimit64(2) that changes nothing: the caller's soft and hard limit.
pub fn prlimit64_ask(resource: u32, why: Why) -> Result<(u64, u64)> {
    let mut limit = rlimit64 { rlim_cur: 0, rlim_max: 0 };
    let args = [0, resource as usize, 0, &raw mut limit as usize, 0, 0];
    gate(Call::Prlimit64Ask, args, why)?;
    Ok((limit.rlim_cur, limit.rlim_max))
}

/// prlimit64(2) of another process, or of the caller (`pid` 0).
pub fn prlimit64(pid: i32, resource: u32, soft: u64, hard: u64, why: Why) -> Result<()> {
    let limit = rlimit64 { rlim_cur: soft, rlim_max: hard };
    let args = [pid as usize, resource as usize, &raw const limit as usize, 0, 0, 0];
    gate(Call::Prlimit64, args, why).map(drop)
}

/// keyctl(2) with KEYCTL_JOIN_SESSION_KEYRING.
pub fn keyctl_join_session_keyring(name: &CStr, why: Why) -> Result<()> {
    let join = libc::KEYCTL_JOIN_SESSION_KEYRING as usize;
    gate(Call::KeyctlSession, [join, c(name), 0, 0, 0, 0], why).map(drop)
}

/// sethostname(2).
pub fn sethostname(name: &[u8], why: Why) -> Result<()> {
    gate(Call::Sethostname, [name.as_ptr() as usize, name.len(), 0, 0, 0, 0], why).map(drop)
}

/// setdomainname(2).
pub fn setdomainname(name: &[u8], why: Why) -> Result<()> {
    gate(Call::Setdomainname, [name.as_ptr() as usize, name.len(), 0, 0, 0, 0], why).map(drop)
}

/// sync(2).
pub fn sync(why: Why) {
    let _ = gate(Call::Sync, [0; 6], why);
}

/// reboot(2). `command`: LINUX_REBOOT_CMD_*. It returns if it only changes what Ctrl-Alt-Del does, or when it failed.
pub fn reboot(command: u32, why: Why) -> Result<()> {
    let magic = [libc::LINUX_REBOOT_MAGIC1 as u32, libc::LINUX_REBOOT_MAGIC2 as u32];
    let args = [magic[0] as usize, magic[1] as usize, command as usize, 0, 0, 0];
    gate(Call::Reboot, args, why).map(drop)
}

/// uname(2).
pub fn uname(why: Why) -> Result<libc::utsname> {
    // SAFETY: utsname is arrays of bytes, for which all zeros is a value.
    let mut names: libc::utsname = unsafe { core::mem::zeroed() };
    gate(Call::Uname, [&raw mut names as usize, 0, 0, 0, 0, 0], why)?;
    Ok(names)
}

/// bpf(2) with BPF_PROG_LOAD of a program that decides which devices a cgroup may use. `log`: where the verifier puts its
/// words, if there is any room.
pub fn bpf_prog_load_device(program: &[BpfInsn], log: &mut [u8], why: Why) -> Result<Fd> {
    let attr = BpfProgLoad::cgroup_device(program, log);
    let args = [crate::abi::BPF_PROG_LOAD, &raw const attr as usize, size_of::<BpfProgLoad>(), 0, 0, 0];
    Ok(Fd::new(gate(Call::BpfLoad, args, why)?, "device program"))
}

/// bpf(2) with BPF_PROG_ATTACH: the program decides for this cgroup and all below it; in one step in the place of another,
/// if one is named.
pub fn bpf_prog_attach_device(cgroup: At, program: At, old: Option<At>, why: Why) -> Result<()> {
    let old = old.map(|old| d(old) as u32);
    let attr = BpfProgAttach::cgroup_device(d(cgroup) as u32, d(program) as u32, old);
    let args = [crate::abi::BPF_PROG_ATTACH, &raw const attr as usize, size_of::<BpfProgAttach>(), 0, 0, 0];
    gate(Call::BpfAttach, args, why).map(drop)
}

/// bpf(2) with BPF_PROG_QUERY: the numbers of the programs that decide on devices for this very cgroup, as many as there
/// is room for, and how many they are. More than that are ENOSPC.
pub fn bpf_prog_query_device(cgroup: At, ids: &mut [u32], why: Why) -> Result<usize> {
    let mut attr = BpfProgQuery::cgroup_device(d(cgroup) as u32, ids);
    let args = [crate::abi::BPF_PROG_QUERY, &raw mut attr as usize, crate::abi::BPF_QUERY_SIZE, 0, 0, 0];
    gate(Call::BpfQuery, args, why)?;
    Ok(attr.prog_cnt as usize)
}

/// bpf(2) with BPF_PROG_GET_FD_BY_ID: a handle on a program that is loaded.
pub fn bpf_prog_get_fd_by_id(id: u32, why: Why) -> Result<Fd> {
    // The number, one that only other questions need, and flags for maps.
    let attr = [id, 0, 0];
    let args = [crate::abi::BPF_PROG_GET_FD_BY_ID, &raw const attr as usize, size_of_val(&attr), 0, 0, 0];
    Ok(Fd::new(gate(Call::BpfById, args, why)?, "device program"))
}
