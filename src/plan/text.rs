//! Texts of config.json as a plan needs them: C strings, paths, JSON pointers. May touch: types.

use crate::spec::{IdMapping, Problem};
use alloc::borrow::Cow;
use alloc::ffi::CString;
use core::ffi::CStr;

/// How many lines a plan may have: they and the descriptors are numbered with 16 bits.
pub const MOST: usize = 10_000;

pub fn too_long() -> Problem {
    problem("", format!("asks for more than {MOST} steps"))
}

/// What is wrong at the JSON pointer `at`.
pub fn problem(at: &str, problem: impl Into<String>) -> Problem {
    Problem { pointer: at.into(), problem: problem.into() }
}

/// A text as the kernel wants it. It stands at the JSON pointer `at`.
pub fn c(at: &str, text: &str) -> Result<CString, Problem> {
    CString::new(text).map_err(|_| problem(at, "holds a NUL byte, which no path or argument can"))
}

/// Many strings for the kernel, in one piece of memory: a piece for each would take longer, and more room.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Strings {
    /// One after the other, each with its NUL, and where each ends.
    bytes: Vec<u8>,
    ends: Vec<u32>,
}

impl Strings {
    pub fn with_capacity(strings: usize, bytes: usize) -> Strings {
        Strings { bytes: Vec::with_capacity(bytes), ends: Vec::with_capacity(strings) }
    }

    /// `text` holds no NUL byte.
    pub fn push(&mut self, text: &str) {
        self.bytes.extend_from_slice(text.as_bytes());
        self.bytes.push(0);
        self.ends.push(self.bytes.len() as u32);
    }

    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// As execve's vectors are made of them.
    pub fn block(&self) -> (&[u8], &[u32]) {
        (&self.bytes, &self.ends)
    }

    /// Each by itself.
    pub fn list(&self) -> Vec<CString> {
        self.bytes.split_inclusive(|byte| *byte == 0).flat_map(CStr::from_bytes_with_nul).map(CString::from).collect()
    }
}

/// A list of texts, which stands at `at`.
pub fn c_list(at: &str, texts: &[String]) -> Result<Vec<CString>, Problem> {
    texts.iter().enumerate().map(|(i, text)| c(&entry(at, i), text)).collect()
}

/// The JSON pointer of an entry in a list. There may be thousands of entries, and format! takes ten times as long.
pub fn entry(list: &str, mut number: usize) -> String {
    let mut digits = [b'0'; 20];
    let mut first = digits.len();
    loop {
        first -= 1;
        digits[first] += (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    let mut pointer = String::with_capacity(list.len() + 1 + digits.len() - first);
    pointer.push_str(list);
    pointer.push('/');
    pointer.push_str(core::str::from_utf8(&digits[first..]).unwrap_or_default());
    pointer
}

/// `path` without double slashes, `.` and trailing slashes. `..` stays: the part before it may be a link.
pub fn clean(path: &str) -> String {
    cleaned(path).into_owned()
}

/// The same, where the path is only looked at.
pub fn cleaned(path: &str) -> Cow<'_, str> {
    if is_clean(path) {
        return Cow::Borrowed(path);
    }
    let mut out = String::with_capacity(path.len() + 1);
    for part in path.split('/').filter(|p| !p.is_empty() && *p != ".") {
        out.push('/');
        out.push_str(part);
    }
    Cow::Owned(if out.is_empty() { String::from("/") } else { out })
}

/// Whether [`clean`] leaves a path as it is, which is the rule.
pub fn is_clean(path: &str) -> bool {
    let path = path.as_bytes();
    if path.first() != Some(&b'/') {
        return false;
    }
    let (mut start, mut at) = (1, 1);
    loop {
        if at == path.len() || path[at] == b'/' {
            // A part ends here.
            if at == start && path.len() > 1 || at == start + 1 && path[start] == b'.' {
                return false;
            }
            if at == path.len() {
                return true;
            }
            start = at + 1;
        }
        at += 1;
    }
}

/// Whether a part of a path is `..`.
pub fn climbs(path: &str) -> bool {
    // Most paths have no two dots.
    let mut last = 0;
    for byte in path.as_bytes() {
        if last == b'.' && *byte == b'.' {
            return path.split('/').any(|part| part == "..");
        }
        last = *byte;
    }
    false
}

/// A path without `.` and `..`, as if no part of it were a link.
pub fn plain(path: &str) -> Cow<'_, str> {
    let bytes = path.as_bytes();
    if bytes.last() != Some(&b'/') && !bytes.windows(2).any(|two| matches!(two, b"//" | b"/.")) {
        return Cow::Borrowed(path);
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    Cow::Owned(format!("/{}", parts.join("/")))
}

/// The remainder of `path` below `base`, both clean.
pub fn below<'a>(path: &'a str, base: &str) -> Option<&'a str> {
    // Most are not: one byte tells.
    match path.as_bytes().get(base.len()) {
        Some(b'/') if path.starts_with(base) => path.get(base.len() + 1..),
        _ => None,
    }
}

/// The number that a pointer has in a list: 3 of `/mounts/3/options`, in `/mounts/`.
pub fn number_in(list: &str, pointer: &str) -> Option<usize> {
    pointer.strip_prefix(list)?.split('/').next()?.parse().ok()
}

/// A mapping of ids as the kernel reads it (user_namespaces(7)).
pub fn mapping(mappings: &[IdMapping]) -> Vec<u8> {
    let mut text = String::new();
    for m in mappings {
        text.push_str(&format!("{} {} {}\n", m.container_id, m.host_id, m.size));
    }
    text.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clean_paths() {
        for (from, to) in [
            ("/", "/"),
            ("", "/"),
            (".", "/"),
            ("//a/./b//", "/a/b"),
            ("dev", "/dev"),
            ("/a/.", "/a"),
            ("/a/..", "/a/.."),
            ("/./", "/"),
            ("/.a/b.", "/.a/b."),
            ("a/..b", "/a/..b"),
        ] {
            assert_eq!(clean(from), to);
            assert_eq!(is_clean(from), from == to, "{from}");
        }
    }
}
