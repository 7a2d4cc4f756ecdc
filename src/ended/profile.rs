//! Ends by SIGSYS: the call, and the line of the seccomp profile that answered it with a signal. May touch: the
//! spec.

use super::log::Forbidden;
use crate::cause::Found;
use crate::spec::{ARCHES, Seccomp};
use syscalls::names::{NONE, NUMBERS, name};
use syscalls::{AUDIT_ARCH_AARCH64, AUDIT_ARCH_ARM, AUDIT_ARCH_I386, AUDIT_ARCH_X86_64};

/// Names of calls that are listed at most.
const LISTED: usize = 6;

/// Whether an action ends the program.
fn ends(action: &str) -> bool {
    matches!(action, "SCMP_ACT_KILL" | "SCMP_ACT_KILL_PROCESS" | "SCMP_ACT_KILL_THREAD" | "SCMP_ACT_TRAP")
}

/// The line of the profile that is about this call.
pub fn at_call(profile: &Seccomp, found: &Forbidden, who: &str) -> Found {
    let Some((arch, column)) = arch_of(found.arch, found.number) else {
        let call = format!("call {} of architecture {:x}", found.number, found.arch);
        return Found::new("end by seccomp", &[who, &call]).at("/linux/seccomp");
    };
    let name = call_name(found.number, column);
    let call = name.clone().unwrap_or_else(|| format!("call {}", found.number));
    if column != NATIVE && !profile.architectures.iter().any(|listed| listed == arch) {
        return Found::new("end by an architecture", &[who, &call, arch]).at("/linux/seccomp/architectures");
    }
    let names = |list: &[crate::spec::Text]| name.as_ref().is_some_and(|name| list.iter().any(|one| **one == **name));
    let rule = profile.rules.iter().position(|rule| ends(&rule.action) && names(&rule.names));
    match rule {
        Some(rule) => Found::new("end by seccomp rule", &[who, &call]).at(format!("/linux/seccomp/syscalls/{rule}")),
        None => Found::new("end by seccomp", &[who, &call]).at("/linux/seccomp/defaultAction"),
    }
}

/// Which calls the profile answers with a signal, where the log does not tell which one it was.
pub fn among(profile: &Seccomp) -> Found {
    if ends(&profile.default_action) {
        return Found::new("end by seccomp default", &[&profile.default_action]).at("/linux/seccomp/defaultAction");
    }
    let rules = profile.rules.iter().enumerate().filter(|(_, rule)| ends(&rule.action));
    let (mut names, mut first): (Vec<&str>, Option<usize>) = (Vec::new(), None);
    for (at, rule) in rules {
        first.get_or_insert(at);
        names.extend(rule.names.iter().map(|name| name.as_str()));
    }
    let Some(first) = first else {
        return Found::new("end by a filter of its own", &[]);
    };
    let more = names.len().saturating_sub(LISTED);
    let mut list = names.get(..LISTED).unwrap_or(&names).join(", ");
    if more > 0 {
        list.push_str(&format!(" and {more} more"));
    }
    Found::new("end by seccomp rules", &[&list]).at(format!("/linux/seccomp/syscalls/{first}"))
}

/// The column of the machine that this program is for, in the order of [`ARCHES`].
const NATIVE: usize = if cfg!(target_arch = "aarch64") { 3 } else { 0 };
/// Set in the number of every call of x32.
const X32: u32 = 0x4000_0000;

/// The name of an architecture in a profile, and its column in the table of numbers.
fn arch_of(audit: u32, number: u32) -> Option<(&'static str, usize)> {
    let column = match audit {
        AUDIT_ARCH_X86_64 if number & X32 != 0 => 2,
        AUDIT_ARCH_X86_64 => 0,
        AUDIT_ARCH_I386 => 1,
        AUDIT_ARCH_AARCH64 => 3,
        AUDIT_ARCH_ARM => 4,
        _ => return None,
    };
    Some((ARCHES[column], column))
}

fn call_name(number: u32, column: usize) -> Option<String> {
    let number = if column == 2 { number & !X32 } else { number };
    let row = NUMBERS.iter().position(|row| row[column] != NONE && u32::from(row[column]) == number)?;
    core::str::from_utf8(name(row)).ok().map(String::from)
}
