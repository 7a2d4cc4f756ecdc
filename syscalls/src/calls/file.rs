//! Files, directories and memory maps.

use crate::arg::{
    address, buffer, bytes, device, entries, fd, hex, id, input, int, named, null, octal, offset, output, path,
    path_buffer, plain, string, uint,
};
use crate::call::{Result, Why};
use crate::fd::{At, Fd};
use crate::flags::{
    AccessFlags, AccessMode, AtFlags, CloseRange, DescriptorFlags, Fcntl, FileMode, Map, MemFd, MoveMemory, OpenFlags,
    Prot, Resolve, Seals, Syslog,
};
use crate::gate::{gate, gate_late};
use core::ffi::CStr;
use linux_raw_sys::general as nr;
use linux_raw_sys::general::{open_how, stat, statfs64};

plain! {
    OpenHow: open_how;
    Stat: stat;
    StatFs: statfs64;
}

/// openat(2) of something that is there, close-on-exec.
#[track_caller]
pub fn openat(dir: At, name: &CStr, flags: OpenFlags, why: Why) -> Result<Fd> {
    gate(nr::__NR_openat, &[fd(dir), path(name), named(flags | OpenFlags::O_CLOEXEC)], why).map(Fd::new)
}

/// openat(2) with O_CREAT, close-on-exec: `mode` counts when the file is made.
#[track_caller]
pub fn openat_create(dir: At, name: &CStr, flags: OpenFlags, mode: u32, why: Why) -> Result<Fd> {
    let flags = flags | OpenFlags::O_CLOEXEC | OpenFlags::O_CREAT;
    gate(nr::__NR_openat, &[fd(dir), path(name), named(flags), octal(mode)], why).map(Fd::new)
}

/// openat(2) into the lowest free number, and not close-on-exec: for a standard descriptor that the caller left closed.
#[track_caller]
pub fn open_standard(name: &CStr, why: Why) -> Result<()> {
    gate(nr::__NR_openat, &[fd(At::CWD), path(name), named(OpenFlags::O_RDWR)], why).map(drop)
}

/// openat2(2), close-on-exec: `resolve` says how the path may be walked.
#[track_caller]
pub fn openat2(dir: At, name: &CStr, flags: OpenFlags, resolve: Resolve, why: Why) -> Result<Fd> {
    let how = open_how { flags: (flags | OpenFlags::O_CLOEXEC).bits(), mode: 0, resolve: resolve.bits() };
    gate(nr::__NR_openat2, &[fd(dir), path(name), input(&how), uint(size_of::<open_how>())], why).map(Fd::new)
}

/// close(2).
#[track_caller]
pub(crate) fn close(number: i32, why: Why) -> Result<()> {
    gate(nr::__NR_close, &[fd(At(number))], why).map(drop)
}

/// close_range(2) with CLOSE_RANGE_CLOEXEC, from `first` to `last`: marks, does not close.
#[track_caller]
pub fn close_range_cloexec(first: u32, last: u32, why: Why) -> Result<()> {
    let args = [uint(first as usize), uint(last as usize), named(CloseRange::CLOSE_RANGE_CLOEXEC)];
    gate(nr::__NR_close_range, &args, why).map(drop)
}

/// close_range(2): closes every descriptor from `first` to `last`.
#[track_caller]
pub fn close_range(first: u32, last: u32, why: Why) -> Result<()> {
    let args = [uint(first as usize), uint(last as usize), named(CloseRange::NONE)];
    gate(nr::__NR_close_range, &args, why).map(drop)
}

/// read(2). Returns the bytes read; 0 at the end.
#[track_caller]
pub fn read(file: At, to: &mut [u8], why: Why) -> Result<usize> {
    let len = to.len();
    gate(nr::__NR_read, &[fd(file), buffer(to), uint(len)], why)
}

/// pread64(2): reads at `at` bytes, without moving the file's own offset.
#[track_caller]
pub fn pread64(file: At, to: &mut [u8], at: usize, why: Why) -> Result<usize> {
    let len = to.len();
    gate(nr::__NR_pread64, &[fd(file), buffer(to), uint(len), offset(at)], why)
}

/// syslog(2) with SYSLOG_ACTION_OPEN: it does nothing, for those who have CAP_SYSLOG in the first user namespace.
#[track_caller]
pub fn syslog_open(why: Why) -> Result<()> {
    gate(nr::__NR_syslog, &[named(Syslog::SYSLOG_ACTION_OPEN)], why).map(drop)
}

/// syslog(2) with SYSLOG_ACTION_READ_ALL: the newest lines of the kernel's log that fit. Returns their bytes.
#[track_caller]
pub fn syslog_read_all(to: &mut [u8], why: Why) -> Result<usize> {
    let len = to.len();
    gate(nr::__NR_syslog, &[named(Syslog::SYSLOG_ACTION_READ_ALL), buffer(to), uint(len)], why)
}

/// write(2). Returns the bytes written, which may be fewer.
#[track_caller]
pub fn write(file: At, from: &[u8], why: Why) -> Result<usize> {
    gate(nr::__NR_write, &[fd(file), bytes(from), uint(from.len())], why)
}

/// pwrite64(2): writes at `at` bytes, without moving the file's own offset.
#[track_caller]
pub fn pwrite64(file: At, from: &[u8], at: usize, why: Why) -> Result<usize> {
    gate(nr::__NR_pwrite64, &[fd(file), bytes(from), uint(from.len()), offset(at)], why)
}

/// sendfile(2) from the input's own offset. Returns the bytes copied; 0 at the end.
#[track_caller]
pub fn sendfile(to: At, from: At, count: usize, why: Why) -> Result<usize> {
    gate(nr::__NR_sendfile, &[fd(to), fd(from), null(), uint(count)], why)
}

fn empty_stat() -> stat {
    // SAFETY: stat is plain numbers, for which all zeros is a value.
    unsafe { core::mem::zeroed() }
}

/// fstat(2).
#[track_caller]
pub fn fstat(file: At, why: Why) -> Result<stat> {
    let mut stat = empty_stat();
    gate(nr::__NR_fstat, &[fd(file), output(&mut stat)], why)?;
    Ok(stat)
}

/// newfstatat(2), the kernel's name for fstatat.
#[track_caller]
pub fn newfstatat(dir: At, name: &CStr, flags: AtFlags, why: Why) -> Result<stat> {
    let mut stat = empty_stat();
    gate(nr::__NR_newfstatat, &[fd(dir), path(name), output(&mut stat), named(flags)], why)?;
    Ok(stat)
}

/// fstatfs(2).
#[track_caller]
pub fn fstatfs(file: At, why: Why) -> Result<statfs64> {
    // SAFETY: statfs64 is plain numbers, for which all zeros is a value.
    let mut stat: statfs64 = unsafe { core::mem::zeroed() };
    gate(nr::__NR_fstatfs, &[fd(file), output(&mut stat)], why)?;
    Ok(stat)
}

/// faccessat2(2).
#[track_caller]
pub fn faccessat2(dir: At, name: &CStr, mode: AccessMode, flags: AccessFlags, why: Why) -> Result<()> {
    gate(nr::__NR_faccessat2, &[fd(dir), path(name), named(mode), named(flags)], why).map(drop)
}

/// mkdirat(2).
#[track_caller]
pub fn mkdirat(dir: At, name: &CStr, mode: u32, why: Why) -> Result<()> {
    gate(nr::__NR_mkdirat, &[fd(dir), path(name), octal(mode)], why).map(drop)
}

/// mknodat(2) of a fifo, a socket or an empty file: `mode` holds the type too.
#[track_caller]
pub fn mknodat(dir: At, name: &CStr, mode: u32, why: Why) -> Result<()> {
    gate(nr::__NR_mknodat, &[fd(dir), path(name), named(FileMode::from_bits(mode.into()))], why).map(drop)
}

/// mknodat(2) of a device: `mode` holds the type too.
#[track_caller]
pub fn mknodat_device(dir: At, name: &CStr, mode: u32, major: u32, minor: u32, why: Why) -> Result<()> {
    let mode = FileMode::from_bits(mode.into());
    gate(nr::__NR_mknodat, &[fd(dir), path(name), named(mode), device(major, minor)], why).map(drop)
}

/// symlinkat(2): makes the link `name` in `dir`, which leads to `target`.
#[track_caller]
pub fn symlinkat(target: &CStr, dir: At, name: &CStr, why: Why) -> Result<()> {
    gate(nr::__NR_symlinkat, &[path(target), fd(dir), path(name)], why).map(drop)
}

/// unlinkat(2). `flags`: none, or AT_REMOVEDIR for a directory.
#[track_caller]
pub fn unlinkat(dir: At, name: &CStr, flags: AtFlags, why: Why) -> Result<()> {
    gate(nr::__NR_unlinkat, &[fd(dir), path(name), named(flags)], why).map(drop)
}

/// renameat2(2) without flags: replaces `to` if it is there. (Newer machines do not have renameat.)
#[track_caller]
pub fn renameat2(dir: At, from: &CStr, to_dir: At, to: &CStr, why: Why) -> Result<()> {
    gate(nr::__NR_renameat2, &[fd(dir), path(from), fd(to_dir), path(to), uint(0)], why).map(drop)
}

/// readlinkat(2). Returns the bytes of the link's text, cut to the buffer.
#[track_caller]
pub fn readlinkat<'a>(dir: At, name: &CStr, to: &'a mut [u8], why: Why) -> Result<&'a [u8]> {
    let room = to.len();
    let len = gate(nr::__NR_readlinkat, &[fd(dir), path(name), buffer(to), uint(room)], why)?;
    Ok(&to[..len])
}

/// getxattr(2). Returns the bytes of the attribute.
#[track_caller]
pub fn getxattr<'a>(name: &CStr, attribute: &CStr, to: &'a mut [u8], why: Why) -> Result<&'a [u8]> {
    let room = to.len();
    let len = gate(nr::__NR_getxattr, &[path(name), path(attribute), buffer(to), uint(room)], why)?;
    Ok(&to[..len])
}

/// getdents64(2): fills the buffer with entries; 0 bytes at the end. Walk them with [`crate::abi::entries`].
#[track_caller]
pub fn getdents64(dir: At, to: &mut [u8], why: Why) -> Result<usize> {
    let room = to.len();
    gate(nr::__NR_getdents64, &[fd(dir), entries(to), uint(room)], why)
}

/// ftruncate(2), in bytes.
#[track_caller]
pub fn ftruncate(file: At, len: usize, why: Why) -> Result<()> {
    gate(nr::__NR_ftruncate, &[fd(file), offset(len)], why).map(drop)
}

/// fchdir(2).
#[track_caller]
pub fn fchdir(dir: At, why: Why) -> Result<()> {
    gate(nr::__NR_fchdir, &[fd(dir)], why).map(drop)
}

/// chdir(2).
#[track_caller]
pub fn chdir(dir: &CStr, why: Why) -> Result<()> {
    gate(nr::__NR_chdir, &[path(dir)], why).map(drop)
}

/// getcwd(2), raw: the path without its NUL. It begins with `(unreachable)` when the directory lies outside the root.
#[track_caller]
pub fn getcwd(to: &mut [u8], why: Why) -> Result<&[u8]> {
    let room = to.len();
    let len = gate(nr::__NR_getcwd, &[path_buffer(to), uint(room)], why)?;
    Ok(&to[..len.saturating_sub(1)])
}

/// umask(2). Returns the mask that was in force.
#[track_caller]
pub fn umask(mask: u32, why: Why) -> u32 {
    gate(nr::__NR_umask, &[octal(mask)], why).unwrap_or(0) as u32
}

/// fchmod(2).
#[track_caller]
pub fn fchmod(file: At, mode: u32, why: Why) -> Result<()> {
    gate(nr::__NR_fchmod, &[fd(file), octal(mode)], why).map(drop)
}

/// fchmodat(2), which follows links.
#[track_caller]
pub fn fchmodat(dir: At, name: &CStr, mode: u32, why: Why) -> Result<()> {
    gate(nr::__NR_fchmodat, &[fd(dir), path(name), octal(mode)], why).map(drop)
}

/// fchown(2).
#[track_caller]
pub fn fchown(file: At, uid: u32, gid: u32, why: Why) -> Result<()> {
    gate(nr::__NR_fchown, &[fd(file), id(uid), id(gid)], why).map(drop)
}

/// fchownat(2).
#[track_caller]
pub fn fchownat(dir: At, name: &CStr, uid: u32, gid: u32, flags: AtFlags, why: Why) -> Result<()> {
    gate(nr::__NR_fchownat, &[fd(dir), path(name), id(uid), id(gid), named(flags)], why).map(drop)
}

/// dup3(2) to a standard descriptor's number, which then stays open over execve.
#[track_caller]
pub fn dup3_standard(from: At, to: i32, why: Why) -> Result<()> {
    gate(nr::__NR_dup3, &[fd(from), fd(At(to)), named(DescriptorFlags::NONE)], why).map(drop)
}

/// pipe2(2), close-on-exec: the end that is read, and the end that is written.
#[track_caller]
pub fn pipe2(why: Why) -> Result<(Fd, Fd)> {
    let mut ends = [-1; 2];
    gate(nr::__NR_pipe2, &[output(&mut ends), named(DescriptorFlags::O_CLOEXEC)], why)?;
    Ok((Fd::new(ends[0] as usize), Fd::new(ends[1] as usize)))
}

/// memfd_create(2), close-on-exec.
#[track_caller]
pub fn memfd_create(name: &CStr, flags: MemFd, why: Why) -> Result<Fd> {
    gate(nr::__NR_memfd_create, &[string(name), named(flags | MemFd::MFD_CLOEXEC)], why).map(Fd::new)
}

/// fcntl(2) with F_GET_SEALS: which changes of a file in memory are forbidden; EINVAL for a file of another kind.
#[track_caller]
pub fn fcntl_get_seals(file: At, why: Why) -> Result<Seals> {
    let seals = gate(nr::__NR_fcntl, &[fd(file), named(Fcntl::F_GET_SEALS)], why)?;
    Ok(Seals::from_bits(seals as u64))
}

/// fcntl(2) with F_ADD_SEALS: forbids changes of a file in memory.
#[track_caller]
pub fn fcntl_add_seals(file: At, seals: Seals, why: Why) -> Result<()> {
    gate(nr::__NR_fcntl, &[fd(file), named(Fcntl::F_ADD_SEALS), named(seals)], why).map(drop)
}

/// mmap(2) of a file or, where there is none, of fresh zero bytes, anywhere.
#[track_caller]
pub(crate) fn mmap(len: usize, flags: Map, file: Option<At>, why: Why) -> Result<usize> {
    let (flags, file) = match file {
        Some(file) => (flags, fd(file)),
        None => (flags | Map::MAP_ANONYMOUS, int(-1)),
    };
    let prot = named(Prot::PROT_READ | Prot::PROT_WRITE);
    gate(nr::__NR_mmap, &[null(), uint(len), prot, named(flags), file, offset(0)], why)
}

/// mmap(2) of a file's bytes in place of what lies at an address.
///
/// # Safety
/// Those bytes may stand there: whatever uses the memory finds what it expects.
#[track_caller]
pub(crate) unsafe fn mmap_over(at: usize, len: usize, prot: Prot, file: At, from: usize, why: Why) -> Result<()> {
    // SAFETY: as the caller vouches.
    let start = unsafe { address(at) };
    let flags = named(Map::MAP_PRIVATE | Map::MAP_FIXED);
    gate(nr::__NR_mmap, &[start, uint(len), named(prot), flags, fd(file), hex(from)], why).map(drop)
}

/// mremap(2): moves memory to another address, in place of what lies there. The record is written after the call: what it
/// changes may lie in that memory.
///
/// # Safety
/// As of [`mmap_over`]; and nothing uses the memory at its old address.
#[track_caller]
pub(crate) unsafe fn move_memory(from: usize, len: usize, to: usize, why: Why) -> Result<()> {
    // SAFETY: as the caller vouches.
    let (old, new) = unsafe { (address(from), address(to)) };
    let flags = named(MoveMemory::MREMAP_MAYMOVE | MoveMemory::MREMAP_FIXED);
    gate_late(nr::__NR_mremap, &[old, uint(len), uint(len), flags, new], why, |_| {}).map(drop)
}

/// mprotect(2): memory that is only read from now on.
///
/// # Safety
/// Nothing writes to these bytes, which begin where a page does.
#[track_caller]
pub(crate) unsafe fn mprotect_read(at: usize, len: usize, why: Why) -> Result<()> {
    // SAFETY: as the caller vouches.
    let start = unsafe { address(at) };
    gate(nr::__NR_mprotect, &[start, uint(len), named(Prot::PROT_READ)], why).map(drop)
}
