//! What the file of a kernel says of it: how much memory it needs, and its release. QEMU starts kernels of three kinds: packed
//! ones of x86-64, which unpack themselves ("bzImage"; Documentation/arch/x86/boot.rst of the kernel), unpacked ones, ELF files
//! (elf(5)), and the "Image" of other architectures. May touch: system calls.

use super::arch::{Arch, KernelFile};
use super::needs::missing;
use crate::host::input::c;
use crate::outcome::{Error, at};
use syscalls::{At, Fd, OpenFlags, Why};

/// Enough for a header of a kernel or of a program: the program headers of an ELF file follow it.
pub const HEAD: usize = 4096;

/// An unpacked kernel holds its banner (init/version.c) in the first so many bytes.
const SEARCHED: usize = 256 << 20;
const BANNER: &[u8] = b"Linux version ";

const WHY: Why = Why("the kernel's file says how much memory it needs, and which modules are its own");

/// A kernel that QEMU can start.
pub struct Kernel {
    pub path: String,
    /// Where the running kernel's memory ends, in MiB.
    pub end: usize,
    /// As uname(2) has it; none: the file does not say it.
    pub release: Option<String>,
}

/// Reads the file's header.
pub fn read(arch: &Arch, path: String) -> Result<Kernel, Error> {
    let failed = |failed| at(format!("read the kernel {path}"), failed);
    let file = syscalls::openat(At::CWD, &c(&path)?, OpenFlags::O_NONBLOCK, WHY).map_err(failed)?;
    let mut head = [0u8; HEAD];
    let len = syscalls::pread64(file.at(), &mut head, 0, WHY).map_err(failed)?;
    let head = head.get(..len).unwrap_or(&[]);
    let bytes = end_of(arch, head).ok_or_else(|| {
        let unpack = match packed(head) {
            true => " yet: it is packed, so unpack it first",
            false => "",
        };
        let kinds = match arch.kernel {
            KernelFile::X86 => "neither a bzImage nor an ELF file for x86_64",
            KernelFile::Image { .. } => "its header is not that of an Image for this architecture",
        };
        missing(&format!("{path} is no Linux kernel that QEMU could start{unpack}: {kinds}"))
    })?;
    let release = match release_place(head) {
        Some(place) => text_at(&file, place).map_err(failed)?,
        None => search(&file).map_err(failed)?,
    };
    Ok(Kernel { end: usize::try_from(bytes.div_ceil(1 << 20)).unwrap_or(usize::MAX), path, release })
}

/// By gzip, or as a program of EFI that unpacks itself (drivers/firmware/efi/libstub/zboot-header.S).
fn packed(head: &[u8]) -> bool {
    head.starts_with(b"\x1f\x8b") || head.starts_with(b"MZ") && head.get(4..8) == Some(b"zimg")
}

/// Where a bzImage has its version: the header's kernel_version, counted from the end of the first sector.
fn release_place(head: &[u8]) -> Option<usize> {
    if !is_bzimage(head) {
        return None;
    }
    let place = usize::try_from(number(head, 0x20e, 2)?).ok()?;
    Some(place + 0x200).filter(|_| place > 0)
}

/// The first word of a text in the file.
fn text_at(file: &Fd, place: usize) -> syscalls::Result<Option<String>> {
    let mut text = [0u8; 128];
    let len = syscalls::pread64(file.at(), &mut text, place, WHY)?;
    Ok(word(text.get(..len).unwrap_or(&[])))
}

fn word(text: &[u8]) -> Option<String> {
    let end = text.iter().position(|b| !b.is_ascii_graphic())?;
    let word = core::str::from_utf8(&text[..end]).ok()?;
    let good = word.starts_with(|c: char| c.is_ascii_digit()) && !word.contains('/');
    good.then(|| word.into())
}

/// Looks for the banner that the kernel shows when it starts.
fn search(file: &Fd) -> syscalls::Result<Option<String>> {
    let mut room = vec![0u8; 1 << 20];
    let mut place = 0;
    while place < SEARCHED {
        let len = syscalls::pread64(file.at(), &mut room, place, WHY)?;
        if let Some(found) = banner(&room[..len]) {
            return Ok(Some(found));
        }
        // The banner may lie across the end of what was read.
        match len.saturating_sub(256) {
            0 => break,
            read => place += read,
        }
    }
    Ok(None)
}

fn banner(bytes: &[u8]) -> Option<String> {
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|b| *b == BANNER[0]) {
        rest = &rest[at..];
        if let Some(found) = rest.strip_prefix(BANNER).and_then(word) {
            return Some(found);
        }
        rest = &rest[1..];
    }
    None
}

fn is_bzimage(head: &[u8]) -> bool {
    head.get(0x202..0x206) == Some(b"HdrS")
}

pub fn number(head: &[u8], place: usize, size: usize) -> Option<u64> {
    let bytes = head.get(place..place.checked_add(size)?)?;
    let with = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
    Some(bytes.iter().rev().fold(0, with))
}

/// Where the running kernel's memory ends.
fn end_of(arch: &Arch, head: &[u8]) -> Option<u64> {
    if let KernelFile::Image { magic, below } = arch.kernel {
        let (place, size) = (number(head, 8, 8)?, number(head, 16, 8)?);
        let fits = head.get(56..60)? == magic;
        return place.checked_add(size)?.checked_add(below).filter(|_| fits);
    }
    if is_bzimage(head) {
        // Since version 2.10 of the boot protocol (Linux 2.6.31): the kernel's place, and how much it needs from there on.
        return match number(head, 0x206, 2)? {
            0x20a.. => number(head, 0x258, 8)?.checked_add(number(head, 0x260, 4)?),
            _ => None,
        };
    }
    const ELF_64_LE: &[u8] = b"\x7fELF\x02\x01";
    const EM_X86_64: u64 = 62;
    const PT_LOAD: u64 = 1;
    if !head.starts_with(ELF_64_LE) || number(head, 18, 2)? != EM_X86_64 {
        return None;
    }
    let (first, count) = (number(head, 32, 8)?, number(head, 56, 2)?);
    let mut end = 0;
    for i in 0..count {
        let header = usize::try_from(first.checked_add(i * 56)?).ok()?;
        if number(head, header, 4)? == PT_LOAD {
            let (place, size) = (number(head, header + 24, 8)?, number(head, header + 40, 8)?);
            end = place.checked_add(size)?.max(end);
        }
    }
    Some(end).filter(|end| *end > 0)
}

#[cfg(test)]
mod tests {
    use super::super::arch::{AARCH64, RISCV64, X86_64};
    use super::*;

    fn end_of(head: &[u8]) -> Option<u64> {
        super::end_of(&X86_64, head)
    }

    fn put(head: &mut [u8], place: usize, bytes: &[u8]) {
        head[place..place + bytes.len()].copy_from_slice(bytes);
    }

    #[test]
    fn a_bzimage_says_where_it_will_lie() {
        let mut head = [0u8; HEAD];
        put(&mut head, 0x202, b"HdrS\x0f\x02");
        put(&mut head, 0x258, &0x100_0000u64.to_le_bytes());
        put(&mut head, 0x260, &0x3f9_8000u32.to_le_bytes());
        assert_eq!(end_of(&head), Some(0x4f9_8000));
        // An older version of the protocol does not say so.
        put(&mut head, 0x206, b"\x09\x02");
        assert_eq!(end_of(&head), None);
    }

    #[test]
    fn an_elf_file_ends_with_its_last_segment() {
        let mut head = [0u8; HEAD];
        put(&mut head, 0, b"\x7fELF\x02\x01");
        put(&mut head, 18, &[62]);
        put(&mut head, 32, &[64]);
        put(&mut head, 56, &[3]);
        for (i, (kind, place, size)) in
            [(1u8, 0x100_0000u64, 0x80_0000u64), (1, 0x30_0000, 4), (4, 0x900_0000, 8)].into_iter().enumerate()
        {
            let header = 64 + 56 * i;
            put(&mut head, header, &[kind]);
            put(&mut head, header + 24, &place.to_le_bytes());
            put(&mut head, header + 40, &size.to_le_bytes());
        }
        assert_eq!(end_of(&head), Some(0x180_0000));
        // A table of segments that ends after the bytes that were read; and a file for another architecture.
        put(&mut head, 56, &[255]);
        assert_eq!(end_of(&head), None);
        put(&mut head, 56, &[3]);
        put(&mut head, 18, &[183]);
        assert_eq!(end_of(&head), None);
    }

    #[test]
    fn an_image_of_another_architecture_says_its_size() {
        for (arch, magic) in [(AARCH64, b"ARM\x64"), (RISCV64, b"RSC\x05")] {
            let mut head = [0u8; HEAD];
            put(&mut head, 16, &0x200_0000u64.to_le_bytes());
            put(&mut head, 56, magic);
            assert_eq!(super::end_of(&arch, &head), Some(0x220_0000));
            put(&mut head, 56, b"HdrS");
            assert_eq!(super::end_of(&arch, &head), None);
        }
        assert!(packed(b"\x1f\x8b\x08") && packed(b"MZ\0\0zimg") && !packed(b"MZ"));
    }

    #[test]
    fn the_release_is_the_banners() {
        let text = b"Linux version %s\0LLinux version 6.1.0-57-amd64 (debian-kernel@lists.debian.org)\0";
        assert_eq!(banner(text).as_deref(), Some("6.1.0-57-amd64"));
        assert_eq!(banner(b"Linux version 6.1.0-57-am"), None);
        assert_eq!(banner(b"Linux version 6/../..\0"), None);
    }

    #[test]
    fn anything_else_is_no_kernel() {
        for head in [&b""[..], b"\x7fELF", b"#!/bin/sh\n", &[0xff; HEAD]] {
            for arch in [X86_64, AARCH64, RISCV64] {
                assert_eq!(super::end_of(&arch, head), None);
            }
        }
    }
}
