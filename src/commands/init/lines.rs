//! The console of a machine with several containers: whole lines, each with the container's id before it. No write waits: what
//! the console does not take is kept, and no more is read meanwhile. May touch: everything below.

use syscalls::{At, Errno, Fd, OpenFlags, Why};

/// A line that is longer is shown in pieces of so many bytes.
const LONGEST: usize = 4096;
/// When so many bytes wait, no more output is read.
const FULL: usize = 64 << 10;

/// The console.
pub struct Console {
    /// It takes what it can, and the rest later. None: standard error as it is.
    own: Option<Fd>,
    waiting: Vec<u8>,
    from: usize,
}

impl Console {
    pub fn open() -> Console {
        let flags = OpenFlags::O_WRONLY | OpenFlags::O_NOCTTY | OpenFlags::O_NONBLOCK;
        let why = Why("a slow console must not hold up what runs in this machine");
        let own = syscalls::openat(At::CWD, c"/dev/console", flags, why).ok();
        Console { own, waiting: Vec::with_capacity(2 * FULL), from: 0 }
    }

    pub fn at(&self) -> At {
        self.own.as_ref().map_or(At::STDERR, Fd::at)
    }

    /// A line of this program's own.
    pub fn say(&mut self, text: &str) {
        self.waiting.extend_from_slice(b"nk-runtime: ");
        self.waiting.extend_from_slice(text.as_bytes());
        self.waiting.push(b'\n');
    }

    pub fn is_empty(&self) -> bool {
        self.waiting.len() == self.from
    }

    pub fn is_full(&self) -> bool {
        self.waiting.len() - self.from > FULL
    }

    /// Writes what the console takes now.
    pub fn show(&mut self) {
        let rest = self.waiting.get(self.from..).unwrap_or(&[]);
        // A terminal that is ready takes at least one byte, and without O_NONBLOCK it would wait for room for all.
        let part = if self.own.is_some() { rest.len() } else { rest.len().min(256) };
        match syscalls::write(self.at(), rest.get(..part).unwrap_or(rest), Why("output of the containers")) {
            Ok(len) => self.from += len,
            Err(failed) if failed.errno == Errno::EAGAIN => {}
            Err(_) => self.from = self.waiting.len(),
        }
        if self.from >= FULL || self.is_empty() {
            self.waiting.drain(..self.from);
            self.from = 0;
        }
    }
}

/// The output of one container.
pub struct Lines {
    before: String,
    line: Vec<u8>,
}

impl Lines {
    pub fn of(id: &str) -> Lines {
        Lines { before: format!("{id}: "), line: Vec::with_capacity(LONGEST) }
    }

    /// Takes bytes, and hands on the lines that are whole.
    pub fn take(&mut self, bytes: &[u8], console: &mut Console) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (text, whole) = match piece.split_last() {
                Some((b'\n', text)) => (text, true),
                _ => (piece, false),
            };
            let mut text = text;
            while self.line.len() + text.len() > LONGEST {
                let (first, rest) = text.split_at(LONGEST - self.line.len());
                self.line.extend_from_slice(first);
                self.put(console);
                text = rest;
            }
            self.line.extend_from_slice(text);
            if whole {
                self.put(console);
            }
        }
    }

    /// The output has ended. So has its last line.
    pub fn end(&mut self, console: &mut Console) {
        if !self.line.is_empty() {
            self.put(console);
        }
    }

    fn put(&mut self, console: &mut Console) {
        console.waiting.extend_from_slice(self.before.as_bytes());
        console.waiting.extend_from_slice(&self.line);
        console.waiting.push(b'\n');
        self.line.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(pieces: &[&[u8]]) -> String {
        let mut console = Console { own: None, waiting: Vec::new(), from: 0 };
        let mut lines = Lines::of("a");
        pieces.iter().for_each(|piece| lines.take(piece, &mut console));
        lines.end(&mut console);
        String::from_utf8_lossy(&console.waiting).into_owned()
    }

    #[test]
    fn each_line_has_the_id() {
        assert_eq!(shown(&[b"one\ntw", b"o\n", b"\n", b"no end"]), "a: one\na: two\na: \na: no end\n");
        assert_eq!(shown(&[]), "");
        assert_eq!(shown(&[b"", b"x\r\n"]), "a: x\r\n");
    }

    #[test]
    fn long_lines_come_in_pieces() {
        let long = vec![b'x'; LONGEST + 10];
        let wanted = format!("a: {}\na: {}\n", "x".repeat(LONGEST), "x".repeat(10));
        assert_eq!(shown(&[&long, b"\n"]), wanted);
        let exact = vec![b'x'; LONGEST];
        assert_eq!(shown(&[&exact, b"\n", b"y"]), format!("a: {}\na: y\n", "x".repeat(LONGEST)));
    }
}
