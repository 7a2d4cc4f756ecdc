//! The kernel's list of the mounts of a process, /proc/PID/mountinfo (proc_pid_mountinfo(5)). May touch: procfs.

use crate::host::{input, procfs};
use syscalls::{OpenFlags, Result, Why};

/// A line of the list.
#[derive(Clone, Default, Debug)]
pub struct Mount {
    pub id: u32,
    pub parent: u32,
    /// Major and minor number of the file system.
    pub device: String,
    /// What of the file system lies there: `/` is all of it.
    pub root: String,
    pub target: String,
    pub options: Vec<String>,
    /// `shared:N`, `master:N`, `unbindable`; empty: private.
    pub propagation: Vec<String>,
    pub kind: String,
    pub source: String,
    pub filesystem_options: Vec<String>,
}

impl Mount {
    /// Whether the mount itself has an option.
    pub fn has(&self, option: &str) -> bool {
        self.options.iter().any(|word| word == option)
    }
}

/// The mounts of a process, in the kernel's order.
pub fn of(pid: i32) -> Result<Vec<Mount>> {
    let procfs = procfs::open()?;
    let why = Why("the kernel lists there all mounts that the process can reach");
    let file = syscalls::openat(procfs.at(), &procfs::path(pid, "mountinfo"), OpenFlags::NONE, why)?;
    let text = input::read_to_end(file.at(), why)?;
    Ok(String::from_utf8_lossy(&text).lines().filter_map(understand).collect())
}

/// A line such as `36 35 98:0 /in /at rw,noatime master:1 - ext3 /dev/root rw,errors=continue`.
pub fn understand(line: &str) -> Option<Mount> {
    let list = |words: &str| words.split(',').map(String::from).collect();
    let (before, after) = line.split_once(" - ")?;
    let mut words = before.split(' ');
    let mut mount = Mount {
        id: words.next()?.parse().ok()?,
        parent: words.next()?.parse().ok()?,
        device: words.next()?.into(),
        root: plain(words.next()?),
        target: plain(words.next()?),
        options: list(words.next()?),
        propagation: words.map(String::from).collect(),
        ..Mount::default()
    };
    let mut words = after.split(' ');
    mount.kind = plain(words.next()?);
    mount.source = plain(words.next().unwrap_or(""));
    mount.filesystem_options = list(words.next().unwrap_or(""));
    Some(mount)
}

/// A field in which the kernel wrote blanks, line breaks and backslashes as three octal digits.
fn plain(field: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = field.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..3).and_then(|digits| core::str::from_utf8(digits).ok());
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 8).ok()).filter(|_| *first == b'\\');
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &after[3..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// What is left of a path below another one: empty, or with a slash first. `None`: it does not lie there.
pub fn below<'p>(path: &'p str, base: &str) -> Option<&'p str> {
    let base = base.trim_end_matches('/');
    path.strip_prefix(base).filter(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The mount that a path lies on. `target`: where a mount of the list is.
pub fn covering<'m, M>(mounts: &'m [M], target: fn(&M) -> &str, path: &str) -> Option<&'m M> {
    let over = mounts.iter().filter(|mount| below(path, target(mount)).is_some());
    // Of several at the same place the last one covers the others.
    over.max_by_key(|mount| target(mount).len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_makes_it_panic() {
        const LINE: &str = "37 36 0:21 /a\\040b /x\\012y ro,nosuid shared:7 master:1 - tmpfs t\\134 rw,size=1k";
        for len in 0..LINE.len() {
            drop(understand(&LINE[..len]));
        }
        assert_eq!(plain("\\"), "\\");
        assert_eq!(plain("a\\9z"), "a\\9z");
        assert_eq!(plain("\\777"), "\\777");
    }
}
