//! Linux system calls by hand: one wrapper a call under the kernel's own name, one gate that they all pass, and a flight
//! recorder, in which the gate writes each of them down. The crate is `no_std`, allocates nothing, and is the only place
//! with `unsafe`.
//!
//! Every wrapper takes a [`Why`]: the purpose of the call, which stands in the record beside its arguments and its
//! result. Wrappers return [`Result`]; a [`Failed`] names the errno and the record.
#![no_std]

pub mod abi;
mod arch;
mod arena;
mod arg;
mod call;
mod calls;
mod compat;
mod entry;
pub mod errno;
mod fault;
mod fd;
pub mod flags;
mod gate;
mod hot;
pub mod names;
pub mod record;
pub mod room;
pub mod show;
#[cfg(target_arch = "x86_64")]
pub mod start;
mod vdso;

pub use arena::{Arena, freeze};
pub use call::{Call, Failed, Result, Why};
pub use calls::*;
pub use compat::{
    clone3, clone3_helper, faccessat2, fchownat, fcntl_add_seals, fcntl_get_seals, fsmount, fsopen, ioctl_ifreq,
    memfd_create, mount, mount_none, mount_setattr, move_mount, newfstatat, open_tree, openat, openat_create, openat2,
    personality, pidfd_getfd, prctl, prctl_ambient, reboot, recvmsg_descriptor, remount, seccomp_set_mode_filter,
    set_mempolicy, setns, table, umount2, unlinkat, unshare, waitid_pidfd,
};
pub use entry::{args, auxv, environment, executed_as, variable};
pub use errno::Errno;
pub use fault::{end_by, survive_file_limit, survive_lost_pages};
pub use fd::{At, Fd};
pub use linux_raw_sys::general::{mount_attr, stat as Stat};
pub use vdso::clock_ns;
