//! Which line of a profile decides on a call: the profile itself is read, as [`super::compile`] turns it into a filter. A unit
//! test asks both about random calls. May touch: types and tables.

use super::compile::{AUDIT, BEYOND, KILL_THREAD, NATIVE, X32, X32_BIT, X86_64, look_up, number, refuses, verdict};
use crate::spec::{ARCHES, Condition, Seccomp};
use syscalls::names::{NUMBERS, name};

/// What a profile says of a call.
pub struct Judged {
    /// SECCOMP_RET_*, with its data.
    pub verdict: u32,
    /// The line that says so.
    pub pointer: String,
}

/// The place in [`ARCHES`], and the column of [`NUMBERS`], for AUDIT_ARCH_* and a number.
pub fn column(arch: u32, call: u32) -> Option<usize> {
    let x32 = arch == AUDIT[X86_64].0 && call & X32_BIT != 0;
    if x32 { Some(X32) } else { AUDIT.iter().position(|(audit, _)| *audit == arch) }
}

/// What the profile says of a call with these arguments.
pub fn judge(seccomp: &Seccomp, arch: u32, call: u32, args: &[u64; 6]) -> Judged {
    let judged = |verdict, pointer: &str| Judged { verdict, pointer: format!("/linux/seccomp/{pointer}") };
    let listed = |arch: usize| arch == NATIVE || seccomp.architectures.iter().any(|a| a == ARCHES[arch]);
    let default = verdict(&seccomp.default_action, seccomp.default_errno_ret);
    if call == u32::MAX && listed(X86_64) && arch == AUDIT[X86_64].0 {
        return judged(default, "defaultAction");
    }
    let Some(arch) = column(arch, call).filter(|arch| listed(*arch)) else {
        return judged(KILL_THREAD, "architectures");
    };
    let row = (0..NUMBERS.len()).find(|row| number(*row, arch) == Some(call));
    let word = row.map_or(&b"?"[..], name);
    let rule = deciding(seccomp, word, args, AUDIT[arch].1, default);
    if let Some(rule) = rule {
        let said = &seccomp.rules[rule];
        return judged(verdict(&said.action, said.errno_ret), &format!("syscalls/{rule}"));
    }
    let beyond = refuses(seccomp) && newest(seccomp, arch).is_some_and(|newest| call > newest);
    judged(if beyond { BEYOND } else { default }, "defaultAction")
}

/// The rule that decides on a call of this name: the first rule without conditions, or else the first rule that has a condition
/// which holds. A rule with the default's verdict says nothing.
fn deciding(seccomp: &Seccomp, word: &[u8], args: &[u64; 6], wide: bool, default: u32) -> Option<usize> {
    let rules = seccomp.rules.iter().enumerate();
    let names = |(i, rule): (usize, &crate::spec::seccomp::Rule)| {
        let about = rule.names.iter().any(|name| name.as_bytes() == word);
        (about && verdict(&rule.action, rule.errno_ret) != default).then_some(i)
    };
    let about: Vec<usize> = rules.filter_map(names).collect();
    let plain = about.iter().copied().find(|rule| seccomp.rules[*rule].args.is_empty());
    let hold = |rule: &usize| fits(&seccomp.rules[*rule].args, args, wide);
    plain.or_else(|| about.iter().copied().find(hold))
}

/// Whether conditions hold: all of them, or, if two are about one argument, any.
fn fits(conditions: &[Condition], args: &[u64; 6], wide: bool) -> bool {
    let twice = |c: &Condition| conditions.iter().filter(|other| other.index == c.index).count() > 1;
    let hold = |c: &Condition| holds(c, args, wide);
    if conditions.iter().any(twice) { conditions.iter().any(hold) } else { conditions.iter().all(hold) }
}

fn holds(c: &Condition, args: &[u64; 6], wide: bool) -> bool {
    let half = |word: u64| if wide { word } else { u64::from(word as u32) };
    let arg = half(args.get(c.index as usize).copied().unwrap_or(0));
    let value = half(c.value);
    match c.op.as_str() {
        "SCMP_CMP_NE" => arg != value,
        "SCMP_CMP_LT" => arg < value,
        "SCMP_CMP_LE" => arg <= value,
        "SCMP_CMP_GT" => arg > value,
        "SCMP_CMP_GE" => arg >= value,
        "SCMP_CMP_MASKED_EQ" => arg & value == half(c.value_two) & value,
        _ => arg == value,
    }
}

/// The highest number that the profile names on an architecture.
fn newest(seccomp: &Seccomp, arch: usize) -> Option<u32> {
    let names = seccomp.rules.iter().flat_map(|rule| &rule.names);
    names.filter_map(|name| number(look_up(name)?, arch)).max()
}
