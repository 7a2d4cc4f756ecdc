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

/// Whether a value is within bounds, as far as their words say: `a number from LOW to HIGH`, `a quota of at least LOW`, `a number
/// of bytes`, and `max` among them. Of two words of a value the first counts.
pub fn is_within(bounds: &str, value: &str) -> bool {
    let value = value.strip_prefix("default ").unwrap_or(value).split(' ').next().unwrap_or("");
    let of = |words: &str| bounds.strip_prefix(words).map(|rest| rest.split([' ', ',']).filter_map(|n| n.parse().ok()));
    let number = value.parse::<i64>();
    if let Some(mut range) = of("a number from ") {
        let is_most = value == "max" && bounds.ends_with("`max`");
        let (low, high) = (range.next().unwrap_or(0), range.next().unwrap_or(i64::MAX));
        return is_most || number.is_ok_and(|number| (low..=high).contains(&number));
    }
    if let Some(mut least) = of("a quota of at least ") {
        return value == "max" || number.is_ok_and(|number| number >= least.next().unwrap_or(0));
    }
    let is_digit = |first: char| first.is_ascii_digit();
    !bounds.starts_with("a number of bytes") || value == "max" || value.starts_with(is_digit)
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
    fn versions_and_values_are_compared_by_number() {
        assert!(super::numbers("5.9") < super::numbers("5.12.3-x"));
        assert_eq!(super::numbers("6.18.44-fc"), (6, 18));
        assert_eq!(super::since("idmap", "tmpfs"), Some("6.3"));
        let within = |file, value| super::is_within(super::since("bounds", file).unwrap_or(""), value);
        for (file, value, wanted) in [
            ("cpu.weight", "100", true),
            ("cpu.weight", "0", false),
            ("cpu.weight", "max", false),
            ("cpu.weight.nice", "-20", true),
            ("pids.max", "max", true),
            ("pids.max", "4194305", false),
            ("memory.max", "1G", true),
            ("memory.max", "many", false),
            ("cpu.max", "max 100000", true),
            ("cpu.max", "10 100000", false),
            ("io.weight", "default 100", true),
        ] {
            assert_eq!(within(file, value), wanted, "{file} {value}");
        }
        assert!(super::holds("user", "proc") && !super::holds("user", "ext4"));
    }
}
