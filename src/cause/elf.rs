//! What kind of program a file is, out of its first bytes: an ELF file with its machine and its loader (elf(5)), a script with its
//! interpreter, or a file of another kind (kinds.txt). A hostile image wrote the bytes. May touch: text.

const KINDS: &str = include_str!("kinds.txt");

/// The kernel reads so many bytes of a script's first line (linux/binfmts.h, BINPRM_BUF_SIZE).
pub const FIRST: usize = 256;
/// More program headers than this are not read.
const MOST_HEADERS: usize = 64;

/// This machine's number in an ELF file.
pub const OURS: u16 = syscalls::MACHINE;

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

/// A C library and the path of its loader: `glibc /lib64/ld-linux-x86-64.so.2`.
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

    /// How far the parts of the file reach that are loaded (PT_LOAD).
    pub fn end(&self, table: &[u8]) -> u64 {
        const LOADED: u64 = 1;
        let end = |header: &[u8]| {
            let (at, len) = if self.wide { ((8, 8), (32, 8)) } else { ((4, 4), (16, 4)) };
            let of = |(at, len)| self.number(header, at, len);
            (of((0, 4))? == LOADED).then_some(of(at)?.saturating_add(of(len)?))
        };
        table.chunks(usize::from(self.headers.1).max(1)).filter_map(end).max().unwrap_or(0)
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
#[path = "../../tests/unit/cause_elf.rs"]
mod tests;
