//! Signatures that callers still use.

use crate::calls as c;
use crate::flags::*;
use crate::{At, Call, Cloned, Ended, Fd, Result, Why};
use core::ffi::CStr;
use linux_raw_sys::general::mount_attr;

pub fn openat(dir: At, name: &CStr, flags: u32, _: &str, why: Why) -> Result<Fd> {
    c::openat(dir, name, OpenFlags::from_bits(flags.into()), why)
}
pub fn openat_create(dir: At, name: &CStr, flags: u32, mode: u32, _: &str, why: Why) -> Result<Fd> {
    c::openat_create(dir, name, OpenFlags::from_bits(flags.into()), mode, why)
}
pub fn openat2(dir: At, name: &CStr, flags: u32, resolve: u32, _: &str, why: Why) -> Result<Fd> {
    c::openat2(dir, name, OpenFlags::from_bits(flags.into()), Resolve::from_bits(resolve.into()), why)
}
pub fn newfstatat(dir: At, name: &CStr, flags: u32, why: Why) -> Result<crate::Stat> {
    c::newfstatat(dir, name, AtFlags::from_bits(flags.into()), why)
}
pub fn faccessat2(dir: At, name: &CStr, mode: u32, flags: u32, why: Why) -> Result<()> {
    c::faccessat2(dir, name, AccessMode::from_bits(mode.into()), AccessFlags::from_bits(flags.into()), why)
}
pub fn unlinkat(dir: At, name: &CStr, flags: u32, why: Why) -> Result<()> {
    c::unlinkat(dir, name, AtFlags::from_bits(flags.into()), why)
}
pub fn fchownat(dir: At, name: &CStr, uid: u32, gid: u32, flags: u32, why: Why) -> Result<()> {
    c::fchownat(dir, name, uid, gid, AtFlags::from_bits(flags.into()), why)
}
pub fn memfd_create(name: &CStr, flags: u32, _: &str, why: Why) -> Result<Fd> {
    c::memfd_create(name, MemFd::from_bits(flags.into()), why)
}
pub fn fcntl_get_seals(file: At, why: Why) -> Result<u32> {
    c::fcntl_get_seals(file, why).map(|seals| seals.bits() as u32)
}
pub fn fcntl_add_seals(file: At, seals: u32, why: Why) -> Result<()> {
    c::fcntl_add_seals(file, Seals::from_bits(seals.into()), why)
}
pub fn mount(source: &CStr, target: &CStr, kind: &CStr, flags: u32, data: Option<&CStr>, why: Why) -> Result<()> {
    c::mount(source, target, kind, MountFlags::from_bits(flags.into()), data, why)
}
pub fn mount_none(source: Option<&CStr>, target: &CStr, flags: u32, why: Why) -> Result<()> {
    c::mount_none(source, target, MountFlags::from_bits(flags.into()), why)
}
pub fn remount(target: &CStr, flags: u32, data: Option<&CStr>, why: Why) -> Result<()> {
    c::remount(target, MountFlags::from_bits(flags.into()), data, why)
}
pub fn umount2(target: &CStr, flags: u32, why: Why) -> Result<()> {
    c::umount2(target, UmountFlags::from_bits(flags.into()), why)
}
pub fn open_tree(dir: At, name: &CStr, flags: u32, _: &str, why: Why) -> Result<Fd> {
    c::open_tree(dir, name, OpenTree::from_bits(flags.into()), why)
}
pub fn move_mount(from: At, from_path: &CStr, to: At, to_path: &CStr, flags: u32, why: Why) -> Result<()> {
    c::move_mount(from, from_path, to, to_path, MoveMount::from_bits(flags.into()), why)
}
pub fn mount_setattr(dir: At, name: &CStr, flags: u32, attr: &mount_attr, why: Why) -> Result<()> {
    c::mount_setattr(dir, name, MountSetattr::from_bits(flags.into()), attr, why)
}
pub fn fsopen(kind: &CStr, _: &str, why: Why) -> Result<Fd> {
    c::fsopen(kind, why)
}
pub fn fsmount(fs: At, attr: u32, _: &str, why: Why) -> Result<Fd> {
    c::fsmount(fs, MountAttr::from_bits(attr.into()), why)
}
pub fn clone3(flags: u64, cgroup: Option<At>, lane: u8, why: Why) -> Result<Cloned> {
    c::clone3(CloneFlags::from_bits(flags), cgroup, lane, why)
}
pub fn clone3_helper(flags: u64, lane: u8, why: Why) -> Result<Cloned> {
    c::clone3_helper(CloneFlags::from_bits(flags), lane, why)
}
pub fn waitid_pidfd(pidfd: At, options: u32, why: Why) -> Result<Option<Ended>> {
    c::waitid_pidfd(pidfd, WaitFlags::from_bits(options.into()), why)
}
pub fn unshare(flags: u32, why: Why) -> Result<()> {
    c::unshare(CloneFlags::from_bits(flags.into()), why)
}
pub fn setns(namespace: At, flags: u32, why: Why) -> Result<()> {
    c::setns(namespace, CloneFlags::from_bits(flags.into()), why)
}
pub fn pidfd_getfd(pidfd: At, number: i32, _: &str, why: Why) -> Result<Fd> {
    c::pidfd_getfd(pidfd, number, why)
}
pub fn prctl(operation: u32, value: usize, why: Why) -> Result<usize> {
    c::prctl(Prctl::from_bits(operation.into()), value, why).map(|()| 0)
}
pub fn prctl_ambient(operation: u32, capability: u32, why: Why) -> Result<()> {
    c::prctl_ambient(Ambient::from_bits(operation.into()), capability, why)
}
pub fn reboot(command: u32, why: Why) -> Result<()> {
    c::reboot(Reboot::from_bits(command.into()), why)
}
pub fn personality(persona: u32, why: Why) -> Result<()> {
    c::personality(Persona::from_bits(persona.into()), why)
}
pub fn set_mempolicy(policy: u32, nodes: &[u64], why: Why) -> Result<()> {
    c::set_mempolicy(MemoryPolicy::from_bits(policy.into()), nodes, why)
}
pub fn seccomp_set_mode_filter(filter: &[crate::abi::SockFilter], flags: u32, why: Why) -> Result<usize> {
    c::seccomp_set_mode_filter(filter, SeccompFlags::from_bits(flags.into()), why)
}
pub fn ioctl_ifreq(socket: At, request: u32, interface: &mut crate::abi::IfReq, why: Why) -> Result<()> {
    c::ioctl_ifreq(socket, Ioctl::from_bits(request.into()), interface, why)
}
pub fn recvmsg_descriptor(socket: At, _: &str, why: Why) -> Result<Option<Fd>> {
    c::recvmsg_descriptor(socket, why)
}

pub mod table {
    pub use crate::call::Call;
}

#[allow(non_upper_case_globals)]
impl Call {
    pub const BpfLoad: Call = Call::named("bpf");
    pub const Capset: Call = Call::named("capset");
    pub const Clone3: Call = Call::named("clone3");
    pub const Connect: Call = Call::named("connect");
    pub const Execve: Call = Call::named("execve");
    pub const Getpid: Call = Call::named("getpid");
    pub const IoctlIfreq: Call = Call::named("ioctl");
    pub const Mkdirat: Call = Call::named("mkdirat");
    pub const MknodatDevice: Call = Call::named("mknodat");
    pub const Mount: Call = Call::named("mount");
    pub const MountSetattr: Call = Call::named("mount_setattr");
    pub const MoveMount: Call = Call::named("move_mount");
    pub const OpenTree: Call = Call::named("open_tree");
    pub const Openat: Call = Call::named("openat");
    pub const Openat2: Call = Call::named("openat2");
    pub const Ppoll: Call = Call::named("ppoll");
    pub const PrctlAmbient: Call = Call::named("prctl");
    pub const Prlimit64: Call = Call::named("prlimit64");
    pub const SchedSetattr: Call = Call::named("sched_setattr");
    pub const Seccomp: Call = Call::named("seccomp");
    pub const Sethostname: Call = Call::named("sethostname");
    pub const Setns: Call = Call::named("setns");
    pub const Umount2: Call = Call::named("umount2");
    pub const Write: Call = Call::named("write");
}
