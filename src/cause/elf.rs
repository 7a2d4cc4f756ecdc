//! What kind of program a file is, out of its first bytes: an ELF file with its machine and its loader (elf(5)), a script with its
//! interpreter, or a file of another kind (kinds.txt). A hostile image wrote the bytes. May touch: text.

const KINDS: &str = include_str!("kinds.txt");

/// The kernel reads so many bytes of a script's first line (linux/binfmts.h, BINPRM_BUF_SIZE).
pub const FIRST: usize = 256;
/// More program headers than this are not read.
const MOST_HEADERS: usize = 64;

/// This machine's number in an ELF file.
pub const OURS: u16 = if cfg!(target_arch = "aarch64") { 183 } else { 62 };

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind<'a> {
    Empty,
    Elf(Elf),
    /// Less than a whole header of an ELF file.
    CutElf,
    Script(Script<'a>),
    /// What kinds.txt calls it.
    Other(&'static str),
    /// A text that has no `#!`.
    Text,
    Unknown,
}

/// The header of an ELF file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Elf {
    pub wide: bool,
    pub big: bool,
    pub machine: u16,
    /// 2: a program, 3: a program or a shared library.
    pub kind: u16,
    pub entry: u64,
    /// Where the program headers are, the bytes of one, and how many there are.
    pub headers: (u64, u16, u16),
}

/// A first line of a script.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Script<'a> {
    pub interpreter: &'a [u8],
    /// The line ends in a carriage return.
    pub cr: bool,
    /// The interpreter's path goes on beyond what the kernel reads.
    pub cut: bool,
}

/// What the first bytes of a file say: [`FIRST`] of them, or all there are.
pub fn kind(bytes: &[u8]) -> Kind<'_> {
    if bytes.is_empty() {
        return Kind::Empty;
    }
    if bytes.starts_with(b"#!") {
        return Kind::Script(script(&bytes[..bytes.len().min(FIRST)]));
    }
    if bytes.starts_with(b"\x7fELF") {
        return header(bytes).map_or(Kind::CutElf, Kind::Elf);
    }
    if let Some(name) = other(bytes) {
        return Kind::Other(name);
    }
    let is_text = |byte: &u8| matches!(byte, b'\t' | b'\n' | b'\r' | b' '..=b'~' | 0x80..);
    if bytes.iter().all(is_text) { Kind::Text } else { Kind::Unknown }
}

/// As the kernel's binfmt_script reads it: blanks around the interpreter, and an argument after it.
fn script(bytes: &[u8]) -> Script<'_> {
    let end = bytes.iter().position(|byte| *byte == b'\n');
    let line = &bytes[2..end.unwrap_or(bytes.len())];
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t' | 0);
    let start = line.iter().position(|byte| !blank(byte)).unwrap_or(line.len());
    let line = &line[start..];
    let len = line.iter().position(blank);
    let cut = end.is_none() && len.is_none() && bytes.len() >= FIRST;
    let interpreter = &line[..len.unwrap_or(line.len())];
    Script { interpreter, cr: interpreter.ends_with(b"\r"), cut }
}

/// The name of a file of another kind, which begins so.
fn other(bytes: &[u8]) -> Option<&'static str> {
    let fits = |line: &'static str| {
        let (hex, name) = line.strip_prefix("magic ")?.split_once(' ')?;
        let mut digits = hex.as_bytes().chunks(2).enumerate();
        let same = digits.all(|(i, pair)| {
            let byte = core::str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok());
            byte.is_some() && bytes.get(i).copied() == byte
        });
        same.then_some(name)
    };
    KINDS.lines().find_map(fits)
}

/// The name of a machine; empty: it has none here.
pub fn machine(number: u16) -> &'static str {
    let fits = |line: &'static str| {
        let (known, name) = line.strip_prefix("machine ")?.split_once(' ')?;
        (known.parse() == Ok(number)).then_some(name)
    };
    KINDS.lines().find_map(fits).unwrap_or_default()
}

/// Paths at which loaders lie, with whose they are: `glibc /lib64/ld-linux-x86-64.so.2`.
pub fn loaders() -> impl Iterator<Item = (&'static str, &'static str)> {
    KINDS.lines().filter_map(|line| line.strip_prefix("loader ")?.split_once(' '))
}

impl Elf {
    /// A number of the file, of some bytes.
    fn number(self, bytes: &[u8], at: usize, len: usize) -> Option<u64> {
        number(bytes, at, len, self.big)
    }

    /// How many bytes of program headers are to be read, and where.
    pub fn table(&self) -> (usize, usize) {
        let (at, size, count) = self.headers;
        (at as usize, usize::from(size) * usize::from(count).min(MOST_HEADERS))
    }

    /// Where the path of the loader stands (PT_INTERP), and its length, out of the program headers.
    pub fn loader(&self, table: &[u8]) -> Option<(usize, usize)> {
        const INTERPRETER: u64 = 3;
        let size = usize::from(self.headers.1).max(1);
        let header = table.chunks(size).find(|header| self.number(header, 0, 4) == Some(INTERPRETER))?;
        let (at, len) = match self.wide {
            true => (self.number(header, 8, 8)?, self.number(header, 32, 8)?),
            false => (self.number(header, 4, 4)?, self.number(header, 16, 4)?),
        };
        Some((at as usize, len as usize))
    }
}

fn number(bytes: &[u8], at: usize, len: usize, big: bool) -> Option<u64> {
    let bytes = bytes.get(at..at.checked_add(len)?)?;
    let add = |all: u64, byte: &u8| all << 8 | u64::from(*byte);
    Some(if big { bytes.iter().fold(0, add) } else { bytes.iter().rev().fold(0, add) })
}

fn header(bytes: &[u8]) -> Option<Elf> {
    let (wide, big) = (*bytes.get(4)? == 2, *bytes.get(5)? == 2);
    let get = |at: usize, len: usize| number(bytes, at, len, big);
    let (entry, headers, sizes) = match wide {
        true => (get(24, 8)?, get(32, 8)?, 54),
        false => (get(24, 4)?, get(28, 4)?, 42),
    };
    let headers = (headers, get(sizes, 2)? as u16, get(sizes + 2, 2)? as u16);
    // The rest of the header: three more numbers of two bytes.
    get(sizes + 8, 2)?;
    Some(Elf { wide, big, machine: get(18, 2)? as u16, kind: get(16, 2)? as u16, entry, headers })
}

#[cfg(test)]
mod tests {
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
}
