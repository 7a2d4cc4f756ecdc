//! What the machine's kernel says on its console: the last of it, for the message of a machine that fails. May touch: everything
//! below.

use super::link::row;
use crate::say::out;
use syscalls::{Errno, Fd, PollFd, Why};

/// So many bytes are kept.
const KEPT: usize = 4096;
/// So many of the last lines stand in a message.
const LINES: usize = 3;

/// How this program begins its messages, as the machine's init as well; and its last one, which tells no cause.
const OURS: &str = "nk-runtime: ";
const STATUS: &str = "nk-runtime: exit status";

pub struct Console {
    from: Option<Fd>,
    /// The last bytes, at most twice as many as are kept.
    last: Vec<u8>,
    /// All of it is shown as it comes.
    shown: bool,
}

impl Console {
    pub fn new(from: Fd, shown: bool) -> Console {
        Console { from: Some(from), last: Vec::new(), shown }
    }

    pub fn row(&self) -> PollFd {
        row(self.from.as_ref().map(Fd::at), libc::POLLIN)
    }

    pub fn carry(&mut self, ready: i16) {
        let Some(from) = self.from.as_ref().filter(|_| ready != 0) else {
            return;
        };
        let mut part = [0u8; KEPT];
        match syscalls::read(from.at(), &mut part, Why("what the machine's kernel says tells why a machine fails")) {
            Ok(length @ 1..) => {
                let part = part.get(..length).unwrap_or(&[]);
                if self.shown {
                    out::stderr(&String::from_utf8_lossy(part));
                }
                self.last.extend_from_slice(part);
                if self.last.len() > 2 * KEPT {
                    self.last.drain(..self.last.len() - KEPT);
                }
            }
            Err(failed) if failed.errno == Errno::EAGAIN => {}
            _ => self.from = None,
        }
    }

    /// The rest that is there.
    pub fn rest(&mut self) {
        for _ in 0..16 {
            let mut table = [self.row()];
            let ready = syscalls::ppoll(&mut table, Some(0), Why("the last words of a machine tell why it failed"));
            if !ready.is_ok_and(|ready| ready > 0) {
                return;
            }
            self.carry(table[0].revents);
        }
    }

    /// The end of a message: the last lines, without characters that a terminal would obey.
    pub fn told(&self) -> String {
        told(&self.last)
    }
}

fn told(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let mut last: Vec<String> = lines.map(|line| line.escape_debug().collect()).collect();
    let panic = last.iter().rposition(|line| line.contains("Kernel panic"));
    // What this program says there is one line, and what belongs to it is below it.
    let init = last.iter().rposition(|line| line.starts_with(OURS) && !line.starts_with(STATUS));
    if let Some(cause) = panic.or(init).and_then(|at| last.get(at)) {
        return format!(", and its console says: {}", cause.strip_prefix(OURS).unwrap_or(cause));
    }
    last.drain(..last.len().saturating_sub(LINES));
    match last.is_empty() {
        true => ", and its console is silent: --log-level debug lets its kernel say more".into(),
        false => format!(", and its console ends with: {}", last.join(" | ")),
    }
}

#[cfg(test)]
mod tests {
    use super::told;

    #[test]
    fn the_last_lines_are_told_without_what_a_terminal_obeys() {
        assert_eq!(
            told(b"one\r\ntwo\r\n\r\nthree\r\n\x1b[2Jfour"),
            ", and its console ends with: two | three | \\u{1b}[2Jfour"
        );
        assert!(told(b"\r\n \n").contains("silent"));
        let ours = b"[1] x\nnk-runtime: cannot mount /dev/vda: invalid argument\n  call: mount\nnk-runtime: exit status 1\n[2] reboot\n";
        assert_eq!(told(ours), ", and its console says: cannot mount /dev/vda: invalid argument");
        let panic = b"[1] Kernel panic - not syncing: No init\n[2] ret_from_fork\n[2] </TASK>\n[3] Kernel Offset\n";
        assert_eq!(told(panic), ", and its console says: [1] Kernel panic - not syncing: No init");
    }
}
