//! Which process sent a signal, as far as this runtime knows: it has handed the signal on, or a later command of its own has sent
//! it. The kernel keeps no record of other senders. May touch: the recorder.

use super::over::Over;
use crate::cause::Found;
use syscalls::flags::signal_name;
use syscalls::record::{self, Record};

/// What is known of the sender.
pub struct Sent {
    pub found: Found,
    /// What says so.
    pub known: Option<String>,
    /// The caller does not know it yet, or would take it for something else.
    pub news: bool,
}

/// Who sent the signal that ended a program.
pub fn of(over: &Over, signal: i32) -> Sent {
    let name = signal_name(signal).to_string();
    let sent = |found, known: String| Sent { found, known: Some(known), news: false };
    if let Some(taken) = over.handed.filter(|taken| taken.signal == signal) {
        return match taken.sender {
            Some((pid, uid)) => {
                let found = Found::new("end by a signal handed on", &[&name, &pid.to_string(), &uid.to_string()]);
                sent(found, format!("siginfo of {name}: si_pid {pid}, si_uid {uid}"))
            }
            None => {
                let found = Found::new("end by a signal of the terminal", &[&name]);
                sent(found, format!("siginfo of {name}: SI_KERNEL"))
            }
        };
    }
    if let Some((found, known)) = by_command(over, signal) {
        return sent(found, known);
    }
    if let Some(cause) = own(signal, over.is_protected()) {
        return Sent { found: Found::new(cause, &[&name]), known: None, news: FAULTS.contains(&signal) };
    }
    if !over.is_protected() {
        return Sent { found: Found::new("end by a process", &[&name]), known: None, news: false };
    }
    let known = "a pid namespace protects its first process from the signals of all others in it";
    // SIGKILL could be taken for want of memory.
    Sent { news: signal == libc::SIGKILL, ..sent(Found::new("end from outside", &[&name]), known.into()) }
}

/// Signals of the processor, by which the kernel ends also the first process of a pid namespace.
pub const FAULTS: [i32; 5] = [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE, libc::SIGTRAP];

/// A signal that a program brings upon itself.
fn own(signal: i32, protected: bool) -> Option<&'static str> {
    Some(match signal {
        libc::SIGBUS => "end by a bus error",
        signal if FAULTS.contains(&signal) => "end by a fault without a line",
        libc::SIGPIPE if !protected => "end by a closed pipe",
        libc::SIGABRT if !protected => "end by abort",
        libc::SIGALRM if !protected => "end by an alarm",
        _ => return None,
    })
}

/// The same, where the signal is not known: a command has sent SIGKILL.
pub fn killed(over: &Over) -> Option<(Found, String)> {
    by_command(over, libc::SIGKILL)
}

/// A later command about the container has sent the signal.
fn by_command(over: &Over, signal: i32) -> Option<(Found, String)> {
    let pid = over.later().iter().find_map(|piece| sent_by(piece, signal))?;
    let name = signal_name(signal).to_string();
    let found = Found::new("end by kill", &[&name, &over.saved.id]);
    let known = format!("the trace: a command of this runtime, process {pid}, sent {name}");
    Some((found, known))
}

/// The process id of a command that sent this signal, by its records.
fn sent_by(piece: &[u8], signal: i32) -> Option<i32> {
    let mut all = record::offsets(piece).filter_map(|at| Record::read(piece, at));
    let sends = |r: &Record| match r.call.name() {
        "pidfd_send_signal" | "kill" => r.ret == 0 && r.args[1] == signal as u64,
        // cgroup.kill sends SIGKILL to all.
        "write" => signal == libc::SIGKILL && r.ret > 0 && r.why().contains("left in the cgroup"),
        _ => false,
    };
    all.find(sends).map(|r| r.pid)
}
