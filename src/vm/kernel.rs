//! How much memory a kernel needs, from the header of its file. QEMU starts kernels of two kinds: packed ones, which unpack
//! themselves ("bzImage"; Documentation/arch/x86/boot.rst of the kernel), and unpacked ones, ELF files (elf(5)). May touch:
//! system calls.

use super::needs::missing;
use crate::host::input::c;
use crate::outcome::{Error, at};
use syscalls::{At, OpenFlags, Why};

/// Enough for a header: the program headers of an ELF file follow it.
const HEAD: usize = 4096;

/// Where the running kernel's memory ends, in MiB.
pub fn end(path: &str) -> Result<usize, Error> {
    let why = Why("the kernel's header says how much memory it needs");
    let failed = |failed| at(format!("read the kernel {path}"), failed);
    let flags = OpenFlags::O_NONBLOCK;
    let file = syscalls::openat(At::CWD, &c(path)?, flags, why).map_err(failed)?;
    let mut head = [0u8; HEAD];
    let len = syscalls::pread64(file.at(), &mut head, 0, why).map_err(failed)?;
    let bytes = end_of(head.get(..len).unwrap_or(&[])).ok_or_else(|| {
        missing(&format!(
            "{path} is no Linux kernel that QEMU could start: neither a bzImage nor an ELF file for x86_64"
        ))
    })?;
    Ok(usize::try_from(bytes.div_ceil(1 << 20)).unwrap_or(usize::MAX))
}

fn number(head: &[u8], place: usize, size: usize) -> Option<u64> {
    let bytes = head.get(place..place.checked_add(size)?)?;
    let with = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
    Some(bytes.iter().rev().fold(0, with))
}

fn end_of(head: &[u8]) -> Option<u64> {
    if number(head, 0x202, 4)? == u64::from(u32::from_le_bytes(*b"HdrS")) {
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
    use super::*;

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
    fn anything_else_is_no_kernel() {
        for head in [&b""[..], b"\x7fELF", b"#!/bin/sh\n", &[0xff; HEAD]] {
            assert_eq!(end_of(head), None);
        }
    }
}
