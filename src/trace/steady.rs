//! A call without what differs from run to run: numbers of descriptors and processes, addresses, sizes, the container's name. Two
//! traces are compared by that. May touch: the recorder.

use super::call::{descriptor, in_full};
use super::life::Entry;
use super::words::{self, has};
use crate::sorted;
use syscalls::record::RETURNED;
use syscalls::show::{Sort, sort};

/// The calls whose first two arguments say what is set.
const SETTINGS: &str = "prctl prlimit64";

/// What is a trace's own: its container's name, and its processes.
pub struct Own<'a> {
    id: &'a str,
    pids: Vec<i32>,
}

pub struct Steady {
    /// The call: `write(<memory.max>, "100")`.
    pub call: String,
    /// What it works on: a call of the same name on the same is the same call with other values.
    pub subject: String,
    /// `0`, the name of the errno, or `?` where it has not returned.
    pub result: &'static str,
}

impl<'a> Own<'a> {
    pub fn of(id: &'a str, entries: &[Entry]) -> Own<'a> {
        let mut pids: Vec<i32> = entries.iter().map(|entry| entry.pid).filter(|pid| *pid > 1).collect();
        sorted::sort(&mut pids);
        pids.dedup();
        Own { id, pids }
    }

    pub fn steady(&self, entry: &Entry) -> Steady {
        let r = &entry.r;
        let result = match entry.refused() {
            // Which side was faster is no difference.
            _ if entry.is_event() || entry.waits_for_word() => "0",
            _ if r.state != RETURNED => "?",
            None => "0",
            Some(errno) => errno.name(),
        };
        let mut args = in_full(entry);
        if entry.is_event() {
            return Steady { call: self.words(&args.concat()), subject: String::new(), result };
        }
        for (i, arg) in args.iter_mut().enumerate() {
            *arg = match sort(r, i) {
                Sort::Descriptor => self.words(numberless(&descriptor(entry, i, usize::MAX))),
                _ => self.words(arg),
            };
        }
        if has(words::SIZED, r.name()) {
            args.pop();
        }
        // What a directory or a file holds is not what the call asks for, and not which numbers are free.
        match r.name() {
            "getdents64" | "read" | "pread64" => args.truncate(1),
            "statfs" | "fstatfs" => args.iter_mut().for_each(|arg| *arg = without_counts(arg)),
            "waitid" | "rt_sigtimedwait" => args.iter_mut().for_each(|arg| *arg = without_ticks(arg)),
            "socketpair" => drop(args.pop()),
            // The word holds the number of a process.
            "futex" => args.iter_mut().skip(2).for_each(|word| *word = "_".into()),
            "close_range" => args.iter_mut().take(2).for_each(|number| *number = "_".into()),
            _ => {}
        }
        let paths = args.len() > 1 && sort(r, 0) == Sort::Descriptor && sort(r, 1) == Sort::Path;
        let subject = match args.as_slice() {
            [_, target, ..] if has(words::SECOND, r.name()) => target.clone(),
            [at, path, ..] if paths || has(SETTINGS, r.name()) => format!("{at}{path}"),
            [first, _, ..] => first.clone(),
            _ => String::new(),
        };
        Steady { call: format!("{}({})", r.name(), args.join(", ")), subject, result }
    }

    /// The text with marks in place of numbers of processes, addresses and times, and of the container's name.
    fn words(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let (mut rest, mut before) = (text, "");
        while let Some(first) = rest.chars().next() {
            let is_own = rest.starts_with(self.id) && !self.id.is_empty();
            let after = rest.get(self.id.len()..).unwrap_or("");
            let is_whole = |c: char| !c.is_ascii_alphanumeric();
            // A longer name is that of another container.
            let ends = |c: char| is_whole(c) && !['-', '_'].contains(&c);
            if is_own && out.chars().next_back().is_none_or(is_whole) && after.chars().next().is_none_or(ends) {
                out.push_str("ID");
                rest = after;
                continue;
            }
            let end = rest.find(is_whole).unwrap_or(rest.len());
            if end == 0 {
                out.push(first);
                rest = &rest[first.len_utf8()..];
                continue;
            }
            let word = &rest[..end];
            let is_opened = out.ends_with("fd/") && !["0", "1", "2"].contains(&word);
            // `pipe:[17]`: the number of an inode. `st_size=17`: a number with a name.
            let held = match out.ends_with(":[") {
                true => "inode",
                false if is_opened || out.ends_with(['=', '[']) => before,
                false => "",
            };
            out.push_str(self.word(word, held));
            (rest, before) = (&rest[end..], word);
        }
        out
    }

    fn word<'b>(&self, word: &'b str, before: &str) -> &'b str {
        let is_number = word.bytes().all(|byte| byte.is_ascii_digit());
        let hex = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        // The program itself lies from 0x20_0000 on.
        let lies = |at: u64| at >= 0x1000_0000 || (0x20_0000..0xa0_0000).contains(&at);
        match word.strip_prefix("0x") {
            Some(digits) if hex(digits) && u64::from_str_radix(digits, 16).is_ok_and(lies) => "0x...",
            None if word.len() == 16 && hex(word) => "...",
            // Another number can be that of a process by chance: a mode, a size.
            None if may_be_pid(word, before) && word.parse().is_ok_and(|pid| self.pids.binary_search(&pid).is_ok()) => {
                "PID"
            }
            // Descriptors in structures, in messages, and in /proc/self/fd; inodes of pipes, sockets and namespaces.
            None if is_number && ["fd", "pidfd", "cgroup", "data", "inode"].contains(&before) => "_",
            // The start time of a process, in its state.
            None if is_number && before == "time" => "...",
            _ => word,
        }
    }
}

/// Is the number one of a process, as it is written and named? A mode begins with 0: `S_IFREG|0644`.
fn may_be_pid(word: &str, name: &str) -> bool {
    !word.starts_with('0') && (name.is_empty() || name.ends_with("pid") || name.ends_with("tid"))
}

/// A descriptor by its name alone: `</dev>`. The standard streams have their numbers in every run.
fn numberless(descriptor: &str) -> &str {
    match descriptor.trim_start_matches(|c: char| c.is_ascii_digit()) {
        "" if ["0", "1", "2"].contains(&descriptor) => descriptor,
        "" => "_",
        name => name,
    }
}

/// What is known of a file system, without the number of its device, which each mount has anew, and without what is free in it.
fn without_counts(statfs: &str) -> String {
    let flags = statfs.split_once("f_flags=").map_or("}", |(_, flags)| flags);
    match statfs.split_once(", f_bsize=") {
        Some((kind, _)) => format!("{kind}, ..., f_flags={flags}"),
        None => statfs.into(),
    }
}

/// How a process ended, without the processor time that it took.
fn without_ticks(siginfo: &str) -> String {
    siginfo.split_once(", si_utime=").map_or(siginfo.into(), |(end, _)| format!("{end}}}"))
}

#[cfg(test)]
mod tests {
    use super::Own;

    #[test]
    fn a_number_that_is_a_process_by_chance() {
        let own = Own { id: "web", pids: vec![30, 644] };
        for steady in ["mknodat(S_IFREG|0644)", "{st_mode=S_IFREG|0644, st_size=30, st_uid=644}"] {
            assert_eq!(own.words(steady), steady);
        }
        let process = "/proc/644/ns {parent_tid=[644], si_pid=30} \"30\\n\"";
        assert_eq!(own.words(process), "/proc/PID/ns {parent_tid=[PID], si_pid=PID} \"PID\\n\"");
    }
}
