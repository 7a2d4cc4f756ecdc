//! Files, directories and memory maps.

use crate::call::{Result, Why, gate};
use crate::fd::{At, Fd};
use crate::table::Call;
use core::ffi::CStr;
use linux_raw_sys::general::{open_how, stat, statfs64};

/// A string as the kernel wants it.
pub(crate) fn c(text: &CStr) -> usize {
    text.as_ptr() as usize
}

/// A descriptor as the kernel wants it.
pub(crate) fn d(at: At) -> usize {
    at.0 as isize as usize
}

/// openat(2) of something that is there. O_CLOEXEC is always added.
pub fn openat(dir: At, path: &CStr, flags: u32, name: &'static str, why: Why) -> Result<Fd> {
    let flags = (flags | libc::O_CLOEXEC as u32) as usize;
    Ok(Fd::new(gate(Call::Openat, [d(dir), c(path), flags, 0, 0, 0], why)?, name))
}

/// openat(2) with O_CREAT: `mode` counts when the file is made.
pub fn openat_create(dir: At, path: &CStr, flags: u32, mode: u32, name: &'static str, why: Why) -> Result<Fd> {
    let flags = (flags | (libc::O_CLOEXEC | libc::O_CREAT) as u32) as usize;
    Ok(Fd::new(gate(Call::OpenatCreate, [d(dir), c(path), flags, mode as usize, 0, 0], why)?, name))
}

/// openat(2) into the lowest free number, and not close-on-exec: for a standard descriptor that the caller left closed.
pub fn open_standard(path: &CStr, why: Why) -> Result<()> {
    gate(Call::Openat, [d(At::CWD), c(path), libc::O_RDWR as usize, 0, 0, 0], why).map(drop)
}

/// openat2(2): `resolve` says how the path may be walked (`RESOLVE_IN_ROOT`, ...).
pub fn openat2(dir: At, path: &CStr, flags: u32, resolve: u32, name: &'static str, why: Why) -> Result<Fd> {
    let how = open_how { flags: (flags | libc::O_CLOEXEC as u32).into(), mode: 0, resolve: resolve.into() };
    let args = [d(dir), c(path), &raw const how as usize, size_of::<open_how>(), 0, 0];
    Ok(Fd::new(gate(Call::Openat2, args, why)?, name))
}

/// close_range(2) with CLOSE_RANGE_CLOEXEC, from `first` to `last`: marks, does not close.
pub fn close_range_cloexec(first: u32, last: u32, why: Why) -> Result<()> {
    let flags = libc::CLOSE_RANGE_CLOEXEC as usize;
    gate(Call::CloseRange, [first as usize, last as usize, flags, 0, 0, 0], why).map(drop)
}

/// close_range(2): closes every descriptor from `first` to `last`.
pub fn close_range(first: u32, last: u32, why: Why) -> Result<()> {
    let args = [first as usize, last as usize, 0, 0, 0, 0];
    gate(Call::CloseRange, args, why).map(drop)
}

/// read(2). Returns the bytes read; 0 at the end.
pub fn read(fd: At, buffer: &mut [u8], why: Why) -> Result<usize> {
    gate(Call::Read, [d(fd), buffer.as_mut_ptr() as usize, buffer.len(), 0, 0, 0], why)
}

/// pread64(2): reads at `offset` bytes, without moving the file's own offset.
pub fn pread64(fd: At, buffer: &mut [u8], offset: usize, why: Why) -> Result<usize> {
    gate(Call::Pread64, [d(fd), buffer.as_mut_ptr() as usize, buffer.len(), offset, 0, 0], why)
}

/// write(2). Returns the bytes written, which may be fewer.
pub fn write(fd: At, bytes: &[u8], why: Why) -> Result<usize> {
    gate(Call::Write, [d(fd), bytes.as_ptr() as usize, bytes.len(), 0, 0, 0], why)
}

fn empty_stat() -> stat {
    // SAFETY: stat is plain numbers, for which all zeros is a value.
    unsafe { core::mem::zeroed() }
}

/// fstat(2).
pub fn fstat(fd: At, why: Why) -> Result<stat> {
    let mut stat = empty_stat();
    gate(Call::Fstat, [d(fd), &raw mut stat as usize, 0, 0, 0, 0], why)?;
    Ok(stat)
}

/// newfstatat(2), the kernel's name for fstatat. `flags`: `AT_SYMLINK_NOFOLLOW`, `AT_EMPTY_PATH`, ...
pub fn newfstatat(dir: At, path: &CStr, flags: u32, why: Why) -> Result<stat> {
    let mut stat = empty_stat();
    gate(Call::Newfstatat, [d(dir), c(path), &raw mut stat as usize, flags as usize, 0, 0], why)?;
    Ok(stat)
}

/// faccessat2(2). `mode`: R_OK, W_OK, X_OK or F_OK.
pub fn faccessat2(dir: At, path: &CStr, mode: u32, flags: u32, why: Why) -> Result<()> {
    gate(Call::Faccessat2, [d(dir), c(path), mode as usize, flags as usize, 0, 0], why).map(drop)
}

/// mkdirat(2).
pub fn mkdirat(dir: At, path: &CStr, mode: u32, why: Why) -> Result<()> {
    gate(Call::Mkdirat, [d(dir), c(path), mode as usize, 0, 0, 0], why).map(drop)
}

/// mknodat(2) of a fifo, a socket or an empty file: `mode` holds the type too.
pub fn mknodat(dir: At, path: &CStr, mode: u32, why: Why) -> Result<()> {
    gate(Call::Mknodat, [d(dir), c(path), mode as usize, 0, 0, 0], why).map(drop)
}

/// mknodat(2) of a device: `mode` holds the type too, the numbers are put together as makedev(3) does.
pub fn mknodat_device(dir: At, path: &CStr, mode: u32, major: u32, minor: u32, why: Why) -> Result<()> {
    let device = libc::makedev(major, minor) as usize;
    gate(Call::MknodatDevice, [d(dir), c(path), mode as usize, device, 0, 0], why).map(drop)
}

/// symlinkat(2): `path` in `dir` will say `target`.
pub fn symlinkat(target: &CStr, dir: At, path: &CStr, why: Why) -> Result<()> {
    gate(Call::Symlinkat, [c(target), d(dir), c(path), 0, 0, 0], why).map(drop)
}

/// unlinkat(2). `flags`: 0, or `AT_REMOVEDIR` for a directory.
pub fn unlinkat(dir: At, path: &CStr, flags: u32, why: Why) -> Result<()> {
    gate(Call::Unlinkat, [d(dir), c(path), flags as usize, 0, 0, 0], why).map(drop)
}

/// renameat(2): replaces `to` if it is there.
pub fn renameat(dir: At, from: &CStr, to_dir: At, to: &CStr, why: Why) -> Result<()> {
    gate(Call::Renameat, [d(dir), c(from), d(to_dir), c(to), 0, 0], why).map(drop)
}

/// readlinkat(2). Returns the bytes of the link's text, cut to the buffer.
pub fn readlinkat<'a>(dir: At, path: &CStr, buffer: &'a mut [u8], why: Why) -> Result<&'a [u8]> {
    let len = gate(Call::Readlinkat, [d(dir), c(path), buffer.as_mut_ptr() as usize, buffer.len(), 0, 0], why)?;
    Ok(&buffer[..len])
}

/// getdents64(2): fills `buffer` with entries; 0 bytes at the end. Walk them with [`crate::abi::names`].
pub fn getdents64(dir: At, buffer: &mut [u8], why: Why) -> Result<usize> {
    gate(Call::Getdents64, [d(dir), buffer.as_mut_ptr() as usize, buffer.len(), 0, 0, 0], why)
}

/// ftruncate(2), in bytes.
pub fn ftruncate(fd: At, len: usize, why: Why) -> Result<()> {
    gate(Call::Ftruncate, [d(fd), len, 0, 0, 0, 0], why).map(drop)
}

/// fchdir(2).
pub fn fchdir(fd: At, why: Why) -> Result<()> {
    gate(Call::Fchdir, [d(fd), 0, 0, 0, 0, 0], why).map(drop)
}

/// chdir(2).
pub fn chdir(path: &CStr, why: Why) -> Result<()> {
    gate(Call::Chdir, [c(path), 0, 0, 0, 0, 0], why).map(drop)
}

/// getcwd(2), raw: the path without its NUL. It begins with `(unreachable)` when the directory lies outside the root.
pub fn getcwd(buffer: &mut [u8], why: Why) -> Result<&[u8]> {
    let len = gate(Call::Getcwd, [buffer.as_mut_ptr() as usize, buffer.len(), 0, 0, 0, 0], why)?;
    Ok(&buffer[..len.saturating_sub(1)])
}

/// fstatfs(2).
pub fn fstatfs(fd: At, why: Why) -> Result<statfs64> {
    // SAFETY: statfs64 is plain numbers, for which all zeros is a value.
    let mut stat: statfs64 = unsafe { core::mem::zeroed() };
    gate(Call::Fstatfs, [d(fd), &raw mut stat as usize, 0, 0, 0, 0], why)?;
    Ok(stat)
}

/// umask(2). Returns the mask that was in force.
pub fn umask(mask: u32, why: Why) -> u32 {
    gate(Call::Umask, [mask as usize, 0, 0, 0, 0, 0], why).unwrap_or(0) as u32
}

/// fchmod(2).
pub fn fchmod(fd: At, mode: u32, why: Why) -> Result<()> {
    gate(Call::Fchmod, [d(fd), mode as usize, 0, 0, 0, 0], why).map(drop)
}

/// fchmodat(2), which follows links.
pub fn fchmodat(dir: At, path: &CStr, mode: u32, why: Why) -> Result<()> {
    let args = [d(dir), c(path), mode as usize, 0, 0, 0];
    gate(Call::Fchmodat, args, why).map(drop)
}

/// fchownat(2). `flags`: `AT_SYMLINK_NOFOLLOW`, `AT_EMPTY_PATH`.
pub fn fchownat(dir: At, path: &CStr, uid: u32, gid: u32, flags: u32, why: Why) -> Result<()> {
    gate(Call::Fchownat, [d(dir), c(path), uid as usize, gid as usize, flags as usize, 0], why).map(drop)
}

/// sendfile(2) from the input's own offset. Returns the bytes copied; 0 at the end.
pub fn sendfile(to: At, from: At, count: usize, why: Why) -> Result<usize> {
    gate(Call::Sendfile, [d(to), d(from), 0, count, 0, 0], why)
}

/// Maps `len` fresh zero bytes.
pub(crate) fn mmap_anonymous(len: usize, why: Why) -> Result<*mut u8> {
    let prot = (libc::PROT_READ | libc::PROT_WRITE) as usize;
    let flags = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS) as usize;
    Ok(gate(Call::Mmap, [0, len, prot, flags, usize::MAX, 0], why)? as *mut u8)
}

/// pwrite64(2): writes at `offset` bytes, without moving the file's own offset.
pub fn pwrite64(fd: At, bytes: &[u8], offset: usize, why: Why) -> Result<usize> {
    let args = [d(fd), bytes.as_ptr() as usize, bytes.len(), offset, 0, 0];
    gate(Call::Pwrite64, args, why)
}

/// fchown(2).
pub fn fchown(fd: At, uid: u32, gid: u32, why: Why) -> Result<()> {
    gate(Call::Fchown, [d(fd), uid as usize, gid as usize, 0, 0, 0], why).map(drop)
}

/// dup3(2) to a standard descriptor's number, which then stays open over execve.
pub fn dup3_standard(from: At, to: i32, why: Why) -> Result<()> {
    gate(Call::Dup3, [d(from), to as usize, 0, 0, 0, 0], why).map(drop)
}

/// memfd_create(2). `flags`: MFD_ALLOW_SEALING; close-on-exec is added.
pub fn memfd_create(name: &CStr, flags: u32, what: &'static str, why: Why) -> Result<Fd> {
    let flags = (flags | libc::MFD_CLOEXEC) as usize;
    Ok(Fd::new(gate(Call::MemfdCreate, [c(name), flags, 0, 0, 0, 0], why)?, what))
}

/// fcntl(2) with F_GET_SEALS: what may not be done to a file in memory any more; EINVAL for any other.
pub fn fcntl_get_seals(fd: At, why: Why) -> Result<u32> {
    let args = [d(fd), libc::F_GET_SEALS as usize, 0, 0, 0, 0];
    gate(Call::FcntlGetSeals, args, why).map(|seals| seals as u32)
}

/// fcntl(2) with F_ADD_SEALS. `seals`: F_SEAL_*.
pub fn fcntl_add_seals(fd: At, seals: u32, why: Why) -> Result<()> {
    let args = [d(fd), libc::F_ADD_SEALS as usize, seals as usize, 0, 0, 0];
    gate(Call::FcntlSeals, args, why).map(drop)
}
