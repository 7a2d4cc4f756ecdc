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

/// Whether a value is within bounds, as far as their words say: a lowest and a highest number, a lowest alone where they begin
/// with `a quota`, a number of bytes. Of two words of a value the first counts.
pub fn is_within(bounds: &str, value: &str) -> bool {
    let value = value.trim_start_matches("default ").split(' ').next().unwrap_or("");
    let is_quota = bounds.starts_with("a quota");
    let mut numbers = bounds.split([' ', ',']).filter_map(|word| word.parse::<i64>().ok());
    match (numbers.next(), value.parse::<i64>()) {
        _ if value == "max" => is_quota || bounds.ends_with("`max`"),
        (Some(low), Ok(number)) => low <= number && (is_quota || number <= numbers.next().unwrap_or(i64::MAX)),
        (Some(_), Err(_)) => false,
        (None, _) => value.starts_with(|first: char| first.is_ascii_digit()),
    }
}

/// The oldest kernel that has all calls of a plan.
pub const FLOOR: &str = "5.12";

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
