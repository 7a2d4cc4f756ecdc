//! A container's cgroup as a unit of systemd's, a scope: its names, and its properties (systemd.resource-control(5),
//! systemd.scope(5)). A pure function. May touch: types.

use super::limits::Setting;
pub use crate::host::dbus::Value;
pub use crate::host::systemd::{Property, Scope, Sockets};
use crate::spec::{Problem, Spec, escaped};

/// The service manager that is asked.
#[derive(Clone, Debug)]
pub struct Manager {
    pub sockets: Sockets,
    /// The manager's own cgroup: empty, or a path that ends in `/`.
    pub base: String,
    /// It is the caller's own, not the machine's.
    pub user: bool,
}

const AT: &str = "/linux/cgroupsPath";

pub use crate::spec::annotations::SYSTEMD as PROPERTY;

fn no<T>(problem: impl Into<String>) -> Result<T, Problem> {
    Err(Problem { pointer: AT.into(), problem: problem.into() })
}

/// Slice and unit out of `slice:prefix:name`; empty parts, and no path at all, have defaults.
pub fn names(spec: &Spec, id: &str, user: bool) -> Result<(String, String), Problem> {
    let path = spec.linux.cgroups_path.as_deref().unwrap_or("");
    let parts: Vec<&str> = match path {
        "" => Vec::from(["", "nk", id]),
        path => path.split(':').collect(),
    };
    let [slice, prefix, name] = parts[..] else {
        return no(format!("`{path}` must be slice:prefix:name for the systemd driver"));
    };
    let slice = match (slice, user) {
        ("", true) => "user.slice",
        ("", false) => "system.slice",
        (slice, _) => slice,
    };
    if below(slice).is_none() {
        return no(format!("`{slice}` is no name of a slice, such as machine.slice or a-b.slice (systemd.slice(5))"));
    }
    if name.is_empty() || name.ends_with(".slice") {
        return no(format!("`{name}` must name a scope: a slice holds no processes"));
    }
    let unit = match prefix {
        "" => format!("{name}.scope"),
        prefix => format!("{prefix}-{name}.scope"),
    };
    // Ids may hold a `+`, names of units may not (systemd.unit(5), "String Escaping for Inclusion in Unit Names").
    let unit = unit.replace('+', "\\x2b");
    if !unit.chars().all(allowed) || unit.len() > 255 || unit.starts_with('.') {
        return no(format!("`{unit}` is no name of a unit: letters, digits and : - _ . @ are allowed, 255 bytes"));
    }
    Ok((slice.into(), unit))
}

/// The letters of a unit's name (systemd.unit(5)).
fn allowed(c: char) -> bool {
    c.is_ascii_alphanumeric() || ":-_.\\@".contains(c)
}

/// Where a slice lies: each dash of its name is a step down (systemd.slice(5)); `-.slice` is the root. Ends in `/`.
/// `None`: it is no name of a slice.
pub fn below(slice: &str) -> Option<String> {
    let name = slice.strip_suffix(".slice")?;
    if name == "-" {
        return Some(String::new());
    }
    let odd = name.is_empty() || name.split('-').any(str::is_empty) || name.starts_with('.');
    if odd || !name.chars().all(allowed) {
        return None;
    }
    let mut path = String::new();
    for (i, _) in name.match_indices('-') {
        path.push_str(&format!("{}.slice/", &name[..i]));
    }
    Some(format!("{path}{slice}/"))
}

/// The scope's cgroup, below the hierarchy's root.
pub fn cgroup(manager: &Manager, slice: &str, unit: &str) -> String {
    format!("{}{}{unit}", manager.base, below(slice).unwrap_or_default())
}

/// The scope. Its processes are known later, and their limit is set later.
pub fn scope(spec: &Spec, id: &str, manager: &Manager, limits: &[Setting]) -> Result<Scope, Problem> {
    let (slice, unit) = names(spec, id, manager.user)?;
    let text = |name: &str, value: &str| (name.into(), Value::Text(value.into()));
    let flag = |name: &str, value| (name.into(), Value::Flag(value));
    let mut all: Vec<Property> = Vec::from([
        text("Description", &format!("nk-runtime container {id}")),
        text("Slice", &slice),
        // The runtime arranges what is in the cgroup (systemd's CGROUP_DELEGATION).
        flag("Delegate", true),
        flag("DefaultDependencies", false),
        flag("TasksAccounting", true),
        flag("MemoryAccounting", true),
        flag("CPUAccounting", true),
        flag("IOAccounting", true),
        // A name that failed is free again at once.
        text("CollectMode", "inactive-or-failed"),
    ]);
    let early: Vec<Setting> = limits.iter().filter(|l| !late(l)).cloned().collect();
    all.append(&mut properties(&early));
    for (key, value) in spec.annotations.known() {
        if let Some(name) = key.strip_prefix(PROPERTY) {
            all.push(annotated(key, name, value)?);
        }
    }
    Ok(Scope { unit, sockets: manager.sockets.clone(), properties: all })
}

/// The limit of processes counts those that make the scope, too.
pub fn late(limit: &Setting) -> bool {
    limit.file.as_c_str() == c"pids.max"
}

/// Limits in systemd's words: it writes the same files, and would write its own values into them another time. What it
/// has no word for stays as it is in its file.
pub fn properties(limits: &[Setting]) -> Vec<Property> {
    let mut all = Vec::new();
    for limit in limits {
        let (file, value) = match (limit.file.to_str(), &limit.instead) {
            (Ok("io.bfq.weight"), Some((_, value))) => ("io.weight", value),
            (file, _) => (file.unwrap_or(""), &limit.value),
        };
        let value = core::str::from_utf8(value).unwrap_or("").trim();
        let mut put = |name: &str, value| all.push((name.to_string(), value));
        match file {
            "memory.max" => put("MemoryMax", number(value)),
            "memory.high" => put("MemoryHigh", number(value)),
            "memory.low" => put("MemoryLow", number(value)),
            "memory.min" => put("MemoryMin", number(value)),
            "memory.swap.max" => put("MemorySwapMax", number(value)),
            "cpu.weight" => put("CPUWeight", number(value)),
            "pids.max" => put("TasksMax", number(value)),
            // A weight of one device has the device in front.
            "io.weight" if !value.contains(' ') => put("IOWeight", number(value)),
            "cpuset.cpus" => put("AllowedCPUs", Value::Bytes(mask(value))),
            "cpuset.mems" => put("AllowedMemoryNodes", Value::Bytes(mask(value))),
            "cpu.max" => {
                let (quota, period) = value.split_once(' ').unwrap_or((value, "100000"));
                let period = period.parse::<u64>().unwrap_or(100_000).max(1);
                put("CPUQuotaPeriodUSec", Value::Ulong(period));
                let second = match quota.parse::<u64>() {
                    // systemd keeps whole hundredths of a processor.
                    Ok(quota) => (quota.saturating_mul(1_000_000) / period).next_multiple_of(10_000),
                    Err(_) => u64::MAX,
                };
                put("CPUQuotaPerSecUSec", Value::Ulong(second));
            }
            _ => {}
        }
    }
    all
}

/// `max` is the greatest number.
fn number(text: &str) -> Value {
    Value::Ulong(text.parse().unwrap_or(u64::MAX))
}

/// A list such as 0-3,7 as bits, the lowest first.
fn mask(list: &str) -> Vec<u8> {
    let mut bits = Vec::new();
    for range in list.split([',', ' ', '\n']) {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (Ok(first), Ok(last)) = (first.parse::<usize>(), last.parse::<usize>()) else {
            continue;
        };
        for bit in first..=last.min(8191) {
            if bits.len() <= bit / 8 {
                bits.resize(bit / 8 + 1, 0);
            }
            bits[bit / 8] |= 1 << (bit % 8);
        }
    }
    bits
}

/// A property that an annotation sets, in the text form that runc and crun take too: 'text', true, 5, uint64 5, ['a',
/// 'b']. A name in seconds is one in microseconds on the bus.
fn annotated(key: &str, name: &str, text: &str) -> Result<Property, Problem> {
    let text = text.trim();
    let (kind, plain) = text.split_once(' ').unwrap_or(("", text));
    let quoted = |text: &str| {
        let text = text.trim();
        let mark = text.chars().next().filter(|c| "'\"".contains(*c))?;
        let inside = text.strip_prefix(mark)?.strip_suffix(mark)?;
        (!inside.contains([mark, '\\'])).then(|| inside.to_string())
    };
    let list = || {
        let inside = text.strip_prefix('[')?.strip_suffix(']')?;
        inside.split(',').map(quoted).collect::<Option<Vec<_>>>()
    };
    let value = match (kind, text) {
        (_, "true") => Some(Value::Flag(true)),
        (_, "false") => Some(Value::Flag(false)),
        ("int32", _) | ("", _) if plain.parse::<i32>().is_ok() => plain.parse().ok().map(Value::Int),
        ("uint32", _) => plain.parse().ok().map(Value::Uint),
        ("int64", _) => plain.parse().ok().map(Value::Long),
        ("uint64", _) => plain.parse().ok().map(Value::Ulong),
        _ => quoted(text).map(Value::Text).or_else(|| list().map(Value::Texts)),
    };
    let seconds = name.strip_suffix("Sec").filter(|rest| !rest.ends_with('U'));
    let value = match (seconds, value) {
        (None, Some(value)) => Some((name.to_string(), value)),
        (Some(name), Some(value)) => {
            let seconds = match value {
                Value::Int(n) => u64::try_from(n).ok(),
                Value::Long(n) => u64::try_from(n).ok(),
                Value::Uint(n) => Some(n.into()),
                Value::Ulong(n) => Some(n),
                _ => None,
            };
            let micro = |n: u64| Value::Ulong(n.saturating_mul(1_000_000));
            seconds.map(|n| (format!("{name}USec"), micro(n)))
        }
        (_, None) => None,
    };
    let good = |c: char| c.is_ascii_alphanumeric();
    match value {
        Some(property) if !name.is_empty() && name.chars().all(good) => Ok(property),
        _ => Err(Problem {
            pointer: format!("/annotations/{}", escaped(key)),
            problem: format!("`{text}` is no value of a property: 'text', true, 5, uint64 5 or ['a', 'b'] are"),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_lie_in_each_other() {
        assert_eq!(below("a-b-c.slice").as_deref(), Some("a.slice/a-b.slice/a-b-c.slice/"));
        assert_eq!(below("-.slice").as_deref(), Some(""));
        for odd in ["a", "a.scope", ".slice", "-a.slice", "a-.slice", "a--b.slice", "a/b.slice"] {
            assert_eq!(below(odd), None, "{odd}");
        }
    }

    #[test]
    fn annotations_have_types() {
        let is = |name: &str, text: &str, wanted: Option<Property>| {
            assert_eq!(annotated("k", name, text).ok(), wanted, "{name} {text}");
        };
        is("CollectMode", "'x y'", Some(("CollectMode".into(), Value::Text("x y".into()))));
        is("TimeoutStopSec", "uint64 5", Some(("TimeoutStopUSec".into(), Value::Ulong(5_000_000))));
        is("TimeoutStopUSec", "uint64 5", Some(("TimeoutStopUSec".into(), Value::Ulong(5))));
        is("A", "['a', 'b']", Some(("A".into(), Value::Texts(Vec::from(["a".into(), "b".into()])))));
        is("A", "-5", Some(("A".into(), Value::Int(-5))));
        for odd in ["", "x", "'a", "uint64 -1", "[a]", "{}"] {
            is("A", odd, None);
        }
        is("A-B", "true", None);
    }

    #[test]
    fn lists_are_bits() {
        assert_eq!(mask("0-3,7"), [0x8f]);
        assert_eq!(mask("9"), [0, 2]);
    }
}
