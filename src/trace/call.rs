//! A call in few words, for the left column: what every call has (close-on-exec, sizes, addresses) is left out, and paths
//! begin at the root. May touch: the recorder.

use super::life::Entry;
use super::words::{self, has};
use crate::world::Deed;
use crate::world::words::parts;
use syscalls::Errno;
use syscalls::record::{RETURNED, Record};
use syscalls::show::{Sort, sort};

/// The call: `mount("proc", "/proc", "proc")`.
pub fn short(entry: &Entry) -> String {
    format!("{}({})", entry.r.name(), arguments(entry, 28).join(", "))
}

/// The same in so many columns: `mount("devpts", "/dev/pts"...)`. If no argument fits, it may be longer.
pub fn short_within(entry: &Entry, width: usize) -> String {
    let mut args = arguments(entry, 18);
    let fits = |args: &[String], end: usize| {
        let len: usize = args.iter().map(|arg| arg.chars().count() + 2).sum();
        entry.r.name().len() + len.saturating_sub(2) + 2 + end <= width
    };
    let count = args.len();
    // Of flags, those that fit are shown.
    while args.len() > 1 && !fits(&args, 0) {
        match args.last_mut().and_then(|last| Some((last.rfind('|')?, last))) {
            Some((end, last)) => last.truncate(end),
            None => drop(args.pop()),
        }
    }
    if has(words::SECOND, entry.r.name()) && args.len() == 1 && count > 1 {
        let target = arguments(entry, 18).into_iter().nth(1).unwrap_or_default();
        return format!("{}(..., {target})", entry.r.name());
    }
    let dots = if args.len() < count && fits(&args, 3) { "..." } else { "" };
    format!("{}({}{dots})", entry.r.name(), args.join(", "))
}

/// `long`: paths that are longer are shown by their ends.
fn arguments(entry: &Entry, long: usize) -> Vec<String> {
    let r = &entry.r;
    let mut args: Vec<String> = Vec::new();
    // Where a path is shown whole, the descriptor before it says nothing more.
    let name = r.name();
    let leads = |i: usize| !has(words::STANDING, name) && (i == 1 || !has(words::SECOND, name));
    let whole = |i: usize| entry.named.paths.get(i).and_then(Option::as_ref).filter(|_| leads(i));
    for i in 0..r.argc {
        let next = whole(i + 1).is_some_and(|path| path.starts_with('/')) && !is_empty_path(r, i + 1);
        match sort(r, i) {
            Sort::Descriptor if next && sort(r, i + 1) == Sort::Path => continue,
            Sort::Descriptor => args.push(descriptor(entry, i, long)),
            Sort::Path if is_empty_path(r, i) && i > 0 => continue,
            Sort::Path => args.push(match whole(i) {
                Some(path) => format!("\"{}\"", shorter(path, long)),
                None => shown(r, i),
            }),
            Sort::Flags => args.push(flags(&shown(r, i))),
            Sort::Other => args.push(structure(&shown(r, i))),
        }
    }
    let empty = |arg: &String| arg == "0" || arg.is_empty();
    if has(words::SIZED, r.name()) {
        args.pop();
    }
    args.retain(|arg| arg != "NULL");
    while args.len() > 1 && args.last().is_some_and(empty) && !has(words::COUNTED, r.name()) {
        args.pop();
    }
    args.retain(|arg| !arg.is_empty());
    args
}

/// A long path by its end.
fn shorter(path: &str, long: usize) -> String {
    let path = path.strip_suffix("/.").unwrap_or(path);
    let from = path.char_indices().rev().nth(long.saturating_sub(4)).map_or(0, |(at, _)| at);
    match path[from..].find('/').filter(|_| path.len() > long) {
        Some(at) => format!("...{}", &path[from + at..]),
        None => path.into(),
    }
}

/// The call as it was made, with its descriptors by name.
pub fn whole(entry: &Entry) -> String {
    format!("{}({})", entry.r.name(), in_full(entry).join(", "))
}

/// Its arguments, with descriptors by name.
pub fn in_full(entry: &Entry) -> Vec<String> {
    let r = &entry.r;
    let arg = |i: usize| match sort(r, i) {
        Sort::Descriptor => descriptor(entry, i, usize::MAX),
        _ => list_by_its_ends(shown(r, i)),
    };
    (0..r.argc).map(arg).collect()
}

/// A call that is known by its words, in few of them. `file`: the name of a descriptor of its process.
pub fn in_few_words(deed: &Deed, file: &dyn Fn(i32) -> Option<String>) -> String {
    let mut args = Vec::new();
    for (i, arg) in deed.args.iter().enumerate() {
        let leads = deed.args.get(i + 1).is_some_and(|next| next.starts_with("\"/"));
        let is_file = i == 0 && has(words::BY_DESCRIPTOR, deed.name);
        args.push(match arg.as_bytes() {
            [b'"', ..] => text_by_its_end(arg),
            [b'{', ..] => structure(arg),
            [b'[', ..] => list_by_its_ends(arg.to_string()),
            [b'0', b'x', ..] | b"NULL" | b"AT_FDCWD" => continue,
            [b'0'..=b'9', ..] if is_file && leads => continue,
            [b'0'..=b'9', ..] if is_file && !arg.contains('<') => match deed.number(i).and_then(|fd| file(fd as i32)) {
                Some(name) => format!("{arg}<{}>", shorter(&name, 28)),
                None => arg.to_string(),
            },
            _ => flags(arg),
        });
    }
    if has(words::SIZED, deed.name) {
        args.pop();
    }
    args.retain(|arg| !arg.is_empty() && arg != "\"\"");
    while args.len() > 1 && args.last().is_some_and(|arg| arg == "0") && !has(words::COUNTED, deed.name) {
        args.pop();
    }
    // Where zeros are all that it says.
    if args.is_empty()
        && let Some(last) = deed.args.last()
    {
        args.push(last.to_string());
    }
    format!("{}({})", deed.name, args.join(", "))
}

/// A text of a listing: a path by its end, another text by its beginning.
fn text_by_its_end(arg: &str) -> String {
    match arg.strip_prefix('"').and_then(|arg| arg.strip_suffix('"')) {
        Some(path) if path.starts_with('/') => format!("\"{}\"", shorter(path, 28)),
        _ => cut(arg, 40),
    }
}

fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.into(),
    }
}

/// What stands after the call: nothing, where its result says no more than that it succeeded.
pub fn result(entry: &Entry) -> String {
    let r = &entry.r;
    match Errno::of(r.ret) {
        _ if r.state != RETURNED => " = ?".into(),
        Some(errno) => format!(" = {}", errno.name()),
        None if has(words::TELLING, r.name()) => format!(" = {}", r.ret),
        None => String::new(),
    }
}

/// An argument as strace shows it.
pub fn shown(r: &Record, i: usize) -> String {
    let mut text = String::new();
    let _ = syscalls::show::arg(r, i, &mut text);
    text
}

/// A descriptor with its name, as strace's `-y` shows it: `20</dev>`.
pub fn descriptor(entry: &Entry, i: usize, long: usize) -> String {
    let number = shown(&entry.r, i);
    match &entry.named.args[i] {
        Some(name) => format!("{number}<{}>", shorter(name, long)),
        None => number,
    }
}

fn is_empty_path(r: &Record, i: usize) -> bool {
    i < r.argc && sort(r, i) == Sort::Path && shown(r, i) == "\"\""
}

/// Flags without those that say nothing here. A prefix that all have stands once: `MS_NOSUID|NODEV`.
fn flags(text: &str) -> String {
    let all: Vec<&str> = text.split('|').collect();
    let useful: Vec<&str> = all.iter().copied().filter(|flag| !has(words::NOISE, flag)).collect();
    let Some(first) = useful.first() else {
        return String::new();
    };
    let prefix = first.find('_').map_or("", |end| &first[..=end]);
    let shorter = |flag: &&str| flag.strip_prefix(prefix).filter(|_| !prefix.is_empty()).unwrap_or(flag).to_string();
    let rest = useful.iter().skip(1).map(shorter);
    [first.to_string()].into_iter().chain(rest).collect::<Vec<_>>().join("|")
}

/// A structure with the members that say something: `{attr_set=MOUNT_ATTR_RDONLY}`. Where these are flags alone, only they
/// are shown.
fn structure(text: &str) -> String {
    let given = text.split(" => ").next().unwrap_or(text);
    let Some(inner) = given.strip_prefix('{').and_then(|text| text.strip_suffix('}')) else {
        return list_by_its_ends(flags(text));
    };
    let mut members = Vec::new();
    for member in parts(inner) {
        let Some((name, value)) = member.split_once('=') else { continue };
        let (value, comment) = (value.split(" /*").next().unwrap_or(value), value.contains("/*"));
        let none = ["0", "NULL", "\"\"", "[]"].contains(&value) || value.starts_with("0x") || comment;
        if none || has(words::MEMBERS, name) {
            continue;
        }
        let value = if value.starts_with('{') { structure(value) } else { flags(value) };
        match name {
            _ if value.is_empty() => {}
            "flags" | "resolve" => members.push(value),
            _ => members.push(format!("{name}={value}")),
        }
    }
    match members.as_slice() {
        [one] if !one.contains('=') => one.clone(),
        [] => String::new(),
        _ => format!("{{{}}}", members.join(", ")),
    }
}

/// A long list of numbers by its ends, as in `[0 1 2 ... 1023]`: a list of all processors has 4 KiB.
fn list_by_its_ends(text: String) -> String {
    let numbers: Vec<&str> = match text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
        Some(inner) => inner.split(' ').collect(),
        None => return text,
    };
    let plain = |word: &&str| word.parse::<u32>().is_ok();
    match numbers.as_slice() {
        [first, second, third, .., last] if numbers.len() > 32 && numbers.iter().all(plain) => {
            format!("[{first} {second} {third} ... {last}]")
        }
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_list_is_shown_by_its_ends() {
        let list = |n: usize| format!("[{}]", (0..n).map(|i| format!("{i}")).collect::<Vec<_>>().join(" "));
        assert_eq!(list_by_its_ends(list(32)), list(32));
        assert_eq!(list_by_its_ends(list(1024)), "[0 1 2 ... 1023]");
        for other in ["3", "[", "[b c]", "\"[\""] {
            assert_eq!(list_by_its_ends(other.into()), other);
        }
    }

    #[test]
    fn flags_and_structures_in_few_words() {
        assert_eq!(flags("MS_NOSUID|MS_NODEV"), "MS_NOSUID|NODEV");
        assert_eq!(flags("O_RDONLY|O_CLOEXEC|O_PATH"), "O_PATH");
        assert_eq!(flags("O_RDONLY|O_CLOEXEC"), "");
        let attr = "{attr_set=MOUNT_ATTR_RDONLY, attr_clr=0, propagation=0 /* MS_??? */, userns_fd=0}";
        assert_eq!(structure(attr), "{attr_set=MOUNT_ATTR_RDONLY}");
        let clone = "{flags=CLONE_NEWNS|CLONE_NEWPID, pidfd=0x7f13, stack=NULL, stack_size=0} => {pidfd=[18]}";
        assert_eq!(structure(clone), "CLONE_NEWNS|NEWPID");
        assert_eq!(structure("\"{a,b}\""), "\"{a,b}\"");
    }
}
