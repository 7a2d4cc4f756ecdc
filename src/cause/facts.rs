//! What kernels can do, and since when: facts.txt. May touch: system calls.

use crate::packed::packed;
use syscalls::Why;

/// The facts of this kind.
fn all(kind: &str) -> impl Iterator<Item = &'static str> {
    packed!("cause/facts.txt").lines().filter_map(move |line| line.strip_prefix(kind)?.strip_prefix(' '))
}

/// Whether this is a fact.
pub fn holds(kind: &str, of: &str) -> bool {
    all(kind).any(|fact| fact == of)
}

/// Since which Linux.
pub fn since(kind: &str, of: &str) -> Option<&'static str> {
    all(kind).find_map(|fact| fact.strip_prefix(of)?.strip_prefix(' '))
}

/// The release of this kernel.
pub fn release() -> String {
    let names = syscalls::uname(Why("what a kernel can do depends on its version"));
    names.map(|names| crate::host::text(&names.release)).unwrap_or_default()
}

/// Whether this kernel is older than a version such as `6.3`.
pub fn older_than(version: &str) -> bool {
    numbers(&release()) < numbers(version)
}

fn numbers(version: &str) -> (u32, u32) {
    let mut parts = version.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    #[test]
    fn versions_are_compared_by_number() {
        assert!(super::numbers("5.9") < super::numbers("5.12.3-x"));
        assert_eq!(super::numbers("6.18.44-fc"), (6, 18));
        assert_eq!(super::since("idmap", "tmpfs"), Some("6.3"));
        assert!(super::holds("user", "proc") && !super::holds("user", "ext4"));
    }
}
