//! Who a process is and what it may do: ids, capabilities, limits, names of the machine.

use crate::arg::{
    Kind, address, fd, hex, id, input, inputs, int, machine_name, named, null, output, plain, string, uint,
};
use crate::call::{Result, Why};
use crate::fd::At;
use crate::flags::{
    Ambient, Capability, Dumpable, Keyctl, ModuleInit, Prctl, ProcessMemory, Reboot, RebootMagic, Rlimit,
};
use crate::gate::gate;
use core::ffi::CStr;
use linux_raw_sys::general as nr;
use linux_raw_sys::general::{__user_cap_data_struct, __user_cap_header_struct, rlimit64};
use linux_raw_sys::prctl::prctl_mm_map;

plain! {
    CapHeader: __user_cap_header_struct;
    CapData: [__user_cap_data_struct; 2];
    RLimit: rlimit64;
    Utsname: libc::utsname;
}

/// prctl(2) operations that take one value.
#[track_caller]
pub fn prctl(operation: Prctl, value: usize, why: Why) -> Result<()> {
    let first = named(operation);
    let done = match operation {
        Prctl::PR_SET_DUMPABLE => gate(nr::__NR_prctl, &[first, named(Dumpable::from_bits(value as u64))], why),
        Prctl::PR_CAPBSET_DROP => gate(nr::__NR_prctl, &[first, named(Capability::from_bits(value as u64))], why),
        // The kernel wants zeros after the value.
        Prctl::PR_SET_NO_NEW_PRIVS => gate(nr::__NR_prctl, &[first, uint(value), int(0), int(0), int(0)], why),
        _ => gate(nr::__NR_prctl, &[first, uint(value)], why),
    };
    done.map(drop)
}

/// prctl(2) with PR_CAP_AMBIENT.
#[track_caller]
pub fn prctl_ambient(operation: Ambient, capability: u32, why: Why) -> Result<()> {
    let capability = named(Capability::from_bits(capability.into()));
    gate(nr::__NR_prctl, &[named(Prctl::PR_CAP_AMBIENT), named(operation), capability, int(0), int(0)], why).map(drop)
}

/// prctl(2) with PR_SET_MM_MAP.
#[track_caller]
pub(crate) fn prctl_mm_map(map: &prctl_mm_map, why: Why) -> Result<()> {
    // SAFETY: the kernel reads the structure, and takes the addresses in it as numbers.
    let place = unsafe { address(map as *const prctl_mm_map as usize) };
    let what = named(ProcessMemory::PR_SET_MM_MAP);
    gate(nr::__NR_prctl, &[named(Prctl::PR_SET_MM), what, place, hex(size_of_val(map)), int(0)], why).map(drop)
}

/// Three capability sets, one bit a capability.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct CapabilitySets {
    pub effective: u64,
    pub permitted: u64,
    pub inheritable: u64,
}

const CALLER: __user_cap_header_struct = __user_cap_header_struct { version: nr::_LINUX_CAPABILITY_VERSION_3, pid: 0 };

/// capset(2) of the caller.
#[track_caller]
pub fn capset(sets: &CapabilitySets, why: Why) -> Result<()> {
    let half = |shift: u32| __user_cap_data_struct {
        effective: (sets.effective >> shift) as u32,
        permitted: (sets.permitted >> shift) as u32,
        inheritable: (sets.inheritable >> shift) as u32,
    };
    gate(nr::__NR_capset, &[input(&CALLER), input(&[half(0), half(32)])], why).map(drop)
}

/// capget(2) of the caller.
#[track_caller]
pub fn capget(why: Why) -> Result<CapabilitySets> {
    let none = __user_cap_data_struct { effective: 0, permitted: 0, inheritable: 0 };
    let mut data = [none; 2];
    gate(nr::__NR_capget, &[input(&CALLER), output(&mut data)], why)?;
    let whole = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
    Ok(CapabilitySets {
        effective: whole(data[0].effective, data[1].effective),
        permitted: whole(data[0].permitted, data[1].permitted),
        inheritable: whole(data[0].inheritable, data[1].inheritable),
    })
}

/// strace shows 32 groups; one more says that there are more.
const GROUPS: usize = 33;

/// setgroups(2).
#[track_caller]
pub fn setgroups(groups: &[u32], why: Why) -> Result<()> {
    gate(nr::__NR_setgroups, &[uint(groups.len()), inputs(groups, GROUPS, Kind::Gids)], why).map(drop)
}

/// setresuid(2): all three to the same id.
#[track_caller]
pub fn setresuid(uid: u32, why: Why) -> Result<()> {
    gate(nr::__NR_setresuid, &[id(uid), id(uid), id(uid)], why).map(drop)
}

/// setresgid(2): all three to the same id.
#[track_caller]
pub fn setresgid(gid: u32, why: Why) -> Result<()> {
    gate(nr::__NR_setresgid, &[id(gid), id(gid), id(gid)], why).map(drop)
}

/// prlimit64(2) that changes nothing: the caller's soft and hard limit.
#[track_caller]
pub fn prlimit64_ask(resource: u32, why: Why) -> Result<(u64, u64)> {
    let mut limit = rlimit64 { rlim_cur: 0, rlim_max: 0 };
    let resource = named(Rlimit::from_bits(resource.into()));
    gate(nr::__NR_prlimit64, &[int(0), resource, null(), output(&mut limit)], why)?;
    Ok((limit.rlim_cur, limit.rlim_max))
}

/// prlimit64(2) of another process, or of the caller (`pid` 0).
#[track_caller]
pub fn prlimit64(pid: i32, resource: u32, soft: u64, hard: u64, why: Why) -> Result<()> {
    let limit = rlimit64 { rlim_cur: soft, rlim_max: hard };
    let resource = named(Rlimit::from_bits(resource.into()));
    gate(nr::__NR_prlimit64, &[int(pid), resource, input(&limit), null()], why).map(drop)
}

/// keyctl(2) with KEYCTL_JOIN_SESSION_KEYRING.
#[track_caller]
pub fn keyctl_join_session_keyring(name: &CStr, why: Why) -> Result<()> {
    gate(nr::__NR_keyctl, &[named(Keyctl::KEYCTL_JOIN_SESSION_KEYRING), string(name)], why).map(drop)
}

/// sethostname(2).
#[track_caller]
pub fn sethostname(name: &[u8], why: Why) -> Result<()> {
    gate(nr::__NR_sethostname, &[machine_name(name), uint(name.len())], why).map(drop)
}

/// setdomainname(2).
#[track_caller]
pub fn setdomainname(name: &[u8], why: Why) -> Result<()> {
    gate(nr::__NR_setdomainname, &[machine_name(name), uint(name.len())], why).map(drop)
}

/// sync(2).
#[track_caller]
pub fn sync(why: Why) {
    let _ = gate(nr::__NR_sync, &[], why);
}

/// reboot(2). It returns if it only changes what Ctrl-Alt-Del does, or when it failed.
#[track_caller]
pub fn reboot(command: Reboot, why: Why) -> Result<()> {
    let [first, second] = [RebootMagic::LINUX_REBOOT_MAGIC1, RebootMagic::LINUX_REBOOT_MAGIC2].map(named);
    gate(nr::__NR_reboot, &[first, second, named(command)], why).map(drop)
}

/// finit_module(2): adds a module to the kernel.
#[track_caller]
pub fn finit_module(file: At, parameters: &CStr, flags: ModuleInit, why: Why) -> Result<()> {
    gate(nr::__NR_finit_module, &[fd(file), string(parameters), named(flags)], why).map(drop)
}

/// uname(2).
#[track_caller]
pub fn uname(why: Why) -> Result<libc::utsname> {
    // SAFETY: utsname is arrays of bytes, for which all zeros is a value.
    let mut names: libc::utsname = unsafe { core::mem::zeroed() };
    gate(nr::__NR_uname, &[output(&mut names)], why)?;
    Ok(names)
}
