//! Kinds of program files, and what ELF headers say.

use super::*;

fn script_of(text: &[u8]) -> (String, bool, bool) {
    match kind(text) {
        Kind::Script(s) => (String::from_utf8_lossy(s.interpreter).into_owned(), s.cr, s.cut),
        other => panic!("{other:?}"),
    }
}

#[test]
fn scripts_are_read_as_the_kernel_reads_them() {
    let of = |text: &[u8]| script_of(text).0;
    assert_eq!(of(b"#!/bin/sh\necho"), "/bin/sh");
    assert_eq!(of(b"#!  /usr/bin/env  python -u\n"), "/usr/bin/env");
    assert_eq!(of(b"#!/bin/sh"), "/bin/sh");
    assert_eq!(of(b"#!\n/bin/sh"), "");
    assert_eq!(script_of(b"#!/bin/sh\r\necho"), ("/bin/sh\r".into(), true, false));
    let long = [b"#!/", &[b'x'; 300][..], b"\n"].concat();
    assert!(script_of(&long).2);
    let argument = [b"#!/bin/sh ", &[b'x'; 300][..], b"\n"].concat();
    assert_eq!(script_of(&argument), ("/bin/sh".into(), false, false));
}

#[test]
fn an_elf_file_names_its_loader() {
    let own = std::fs::read("/proc/self/exe").unwrap_or_default();
    let Kind::Elf(elf) = kind(&own[..4096]) else { panic!() };
    assert_eq!((elf.machine, elf.wide, elf.big), (OURS, true, false));
    let (at, len) = elf.table();
    let loader = elf.loader(&own[at..at + len]);
    let loader = loader.map(|(at, len)| String::from_utf8_lossy(&own[at..at + len - 1]).into_owned());
    assert!(loader.is_none_or(|path| path.starts_with("/lib")));
    for len in 4..64 {
        assert_eq!(kind(&own[..len]), Kind::CutElf, "{len}");
    }
}

#[test]
fn other_files_have_names() {
    assert_eq!(kind(b""), Kind::Empty);
    assert_eq!(kind(b"echo hello\n"), Kind::Text);
    assert_eq!(kind(b"\x01\x02\x03"), Kind::Unknown);
    assert!(matches!(kind(b"MZ\x90\x00"), Kind::Other(name) if name.contains("Windows")));
    assert!(matches!(kind(b"\xcf\xfa\xed\xfe"), Kind::Other(name) if name.contains("macOS")));
    assert_eq!((machine(183), machine(62), machine(7777)), ("aarch64", "x86_64", ""));
    assert!(KINDS.lines().filter(|line| line.starts_with("magic ")).all(|line| line.split(' ').count() > 2));
}

#[test]
fn no_bytes_make_it_panic() {
    let own = std::fs::read("/proc/self/exe").unwrap_or_default();
    for at in 0..64 {
        for byte in [0, 1, 0x7f, 0xff] {
            let mut bytes = own[..4096].to_vec();
            bytes[at] = byte;
            if let Kind::Elf(elf) = kind(&bytes) {
                let (at, len) = elf.table();
                let table = bytes.get(at..at.saturating_add(len)).unwrap_or(&bytes);
                let _ = elf.loader(table);
            }
        }
    }
}
