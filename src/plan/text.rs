//! Texts of config.json as a plan needs them: C strings, paths, JSON pointers. May touch: types.

use crate::spec::{IdMapping, Problem};
use alloc::ffi::CString;

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
    digits[first..].iter().for_each(|digit| pointer.push(char::from(*digit)));
    pointer
}

/// `path` without double slashes, `.` and trailing slashes. `..` stays: the part before it may be a link.
pub fn clean(path: &str) -> String {
    if is_clean(path) {
        return path.into();
    }
    let mut out = String::with_capacity(path.len() + 1);
    for part in path.split('/').filter(|p| !p.is_empty() && *p != ".") {
        out.push('/');
        out.push_str(part);
    }
    if out.is_empty() { String::from("/") } else { out }
}

/// Whether [`clean`] leaves a path as it is, which is the rule.
pub fn is_clean(path: &str) -> bool {
    // Each slash ends the part before it, and so does the path's end.
    let (mut first, mut last) = (0, 0);
    let ends = |first, last| last != b'/' && (first, last) != (b'/', b'.');
    let inside = path.bytes().all(|byte| {
        let fits = byte != b'/' || ends(first, last);
        (first, last) = (last, byte);
        fits
    });
    inside && path.starts_with('/') && (path == "/" || ends(first, last))
}

/// Whether a part of a path is `..`.
pub fn climbs(path: &str) -> bool {
    let mut last = 0;
    let dots = path.bytes().any(|byte| (core::mem::replace(&mut last, byte), byte) == (b'.', b'.'));
    dots && path.split('/').any(|part| part == "..")
}

/// A path without `.` and `..`, as if no part of it were a link.
pub fn plain(path: &str) -> String {
    if !path.contains("/.") && !path.contains("//") && !path.ends_with('/') {
        return path.into();
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
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
