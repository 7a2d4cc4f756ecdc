//! Ends by SIGSYS: the call, and the line of the seccomp profile that answered it with a signal. May touch: the
//! spec.

use super::log::Forbidden;
use crate::cause::Found;
use crate::plan::seccomp::{NATIVE, column};
use crate::spec::{ARCHES, Seccomp};
use syscalls::foreign;

/// Names of calls that are listed at most.
const LISTED: usize = 6;

/// Whether an action ends the program.
fn ends(action: &str) -> bool {
    matches!(action, "SCMP_ACT_KILL" | "SCMP_ACT_KILL_PROCESS" | "SCMP_ACT_KILL_THREAD" | "SCMP_ACT_TRAP")
}

/// The line of the profile that is about this call.
pub fn at_call(profile: &Seccomp, found: &Forbidden, who: &str) -> Found {
    let Some(column) = column(found.arch, found.number) else {
        let call = format!("call {} of architecture {:x}", found.number, found.arch);
        return Found::new("end by seccomp", &[who, &call]).at("/linux/seccomp");
    };
    let arch = ARCHES[column];
    let name = foreign::name(found.arch, found.number.into());
    let call = name.map_or_else(|| format!("call {}", found.number), String::from);
    if column != NATIVE && !profile.architectures.iter().any(|listed| listed == arch) {
        return Found::new("end by an architecture", &[who, &call, arch]).at("/linux/seccomp/architectures");
    }
    let names = |list: &[crate::spec::Text]| name.is_some_and(|name| list.iter().any(|one| one.as_str() == name));
    let mut rules = profile.rules.iter().enumerate().filter(|(_, rule)| ends(&rule.action) && names(&rule.names));
    match rules.next().map(|(at, _)| at) {
        // The log has no arguments, which decide between them.
        Some(first) if rules.next().is_some() => {
            Found::new("end by seccomp by arguments", &[who, &call, &format!("{first}")]).at("/linux/seccomp/syscalls")
        }
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
