//! Our own compiler of config.json's `linux.seccomp` to classic BPF (seccomp(2), "Seccomp filters"): a pure function.
//! May touch: types and tables.
//!
//! ```text
//!   arch == x86_64 ─► nr with the x32 bit? ─► tree of x32
//!          │                  └────────────► tree of x86_64 ─► verdict
//!          ├─ x86 ──────────────────────────► tree of x86        or conditions on arguments ─► verdict
//!          └─ anything else ─► killed
//! ```
//! A tree halves the sorted numbers at each step, so a list of 400 names costs nine comparisons a call, not 400;
//! numbers beside each other with one verdict are one range.
//!
//! Rules as libseccomp and runc have them: of several rules for a call the first counts that holds, a rule without
//! conditions before all; two conditions on one argument are two rules; a rule with the default verdict says nothing. A
//! call that is newer than all that the profile names answers ENOSYS where the default refuses: a C library then takes
//! the older call, where EPERM would have ended its work.

use super::code::{self, Insn, MOST, Segments};
use crate::sorted;
use crate::spec::{ACTIONS, ARCHES, Condition, FILTER_FLAGS, OTHER_ARCHES, Problem, Seccomp, quoted};
use syscalls::names::{self, NONE, NUMBERS, name};
use syscalls::{
    AUDIT_ARCH_AARCH64, AUDIT_ARCH_ARM, AUDIT_ARCH_I386, AUDIT_ARCH_RISCV64, AUDIT_ARCH_X86_64, SeccompFlags,
};

/// What linux/audit.h calls them, in the order of [`ARCHES`], and whether arguments have 64 bits.
pub(super) const AUDIT: [(u32, bool); 6] = [
    (AUDIT_ARCH_X86_64, true),
    (AUDIT_ARCH_I386, false),
    // The ABI's arguments have 32 bits, as libseccomp has it, though registers have more.
    (AUDIT_ARCH_X86_64, false),
    (AUDIT_ARCH_AARCH64, true),
    (AUDIT_ARCH_ARM, false),
    (AUDIT_ARCH_RISCV64, true),
];
pub(super) const X86_64: usize = 0;
pub(super) const X32: usize = 2;
/// The column of the machine that this program is for.
pub const NATIVE: usize = syscalls::COLUMN;
/// Set in the number of every call of x32.
pub(super) const X32_BIT: u32 = 0x4000_0000;

/// The answer to a call that is newer than all that the profile names, where the default refuses.
pub(super) const BEYOND: u32 = libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32;
pub(super) const KILL_THREAD: u32 = libc::SECCOMP_RET_KILL_THREAD;

/// What a call is answered, if its conditions hold.
struct Alternative<'a> {
    conditions: Vec<&'a Condition>,
    verdict: u32,
}

/// What a profile says of a call.
#[derive(Default)]
struct Entry<'a> {
    always: Option<u32>,
    alternatives: Vec<Alternative<'a>>,
}

/// The kernel's word for an action.
pub(super) fn verdict(action: &str, errno: Option<u32>) -> u32 {
    let known = ACTIONS.iter().find(|(name, _)| *name == action);
    let word = known.map_or(KILL_THREAD, |(_, word)| *word);
    match action {
        "SCMP_ACT_ERRNO" | "SCMP_ACT_TRACE" => word | errno.unwrap_or(libc::EPERM as u32) & 0xffff,
        _ => word,
    }
}

/// Where the search for a name begins.
const fn place(name: &[u8]) -> usize {
    sorted::hash(name) as usize % PLACES
}

/// Twice as many places as names: most are found at once.
const PLACES: usize = 1024;

/// The names' rows, each at its place, or the next one that was free. Made by the compiler.
static ROWS: [u16; PLACES] = {
    let mut rows = [NONE; PLACES];
    let mut row = 0;
    while row < NUMBERS.len() {
        let mut at = place(name(row));
        while rows[at] != NONE {
            at = (at + 1) % PLACES;
        }
        rows[at] = row as u16;
        row += 1;
    }
    rows
};

/// A call's row in the tables.
pub(super) fn look_up(word: &str) -> Option<usize> {
    let mut at = place(word.as_bytes());
    while ROWS[at] != NONE {
        let row = usize::from(ROWS[at]);
        if names::is(row, word) {
            return Some(row);
        }
        at = (at + 1) % PLACES;
    }
    None
}

/// The first name that is no known system call's: where it is, and what is wrong.
pub fn unknown(seccomp: &Seccomp) -> Option<(String, String)> {
    for (i, rule) in seccomp.rules.iter().enumerate() {
        if let Some(j) = rule.names.iter().position(|name| look_up(name).is_none()) {
            let pointer = format!("/linux/seccomp/syscalls/{i}/names/{j}");
            let problem = format!("`{}` is no known system call", rule.names[j]);
            return Some((pointer, problem));
        }
    }
    None
}

/// What of the profile has no meaning here: names that no known kernel has, architectures of other machines.
pub fn warnings(seccomp: &Seccomp) -> Vec<String> {
    let mut words = Vec::new();
    for (i, rule) in seccomp.rules.iter().enumerate() {
        for (j, name) in rule.names.iter().enumerate().filter(|(_, name)| look_up(name).is_none()) {
            words.push(format!(
                "config.json /linux/seccomp/syscalls/{i}/names/{j}: `{name}` is no known system call, and is left out"
            ));
        }
    }
    for (i, arch) in seccomp.architectures.iter().enumerate() {
        if OTHER_ARCHES.contains(&arch.as_str()) {
            words.push(format!(
                "config.json /linux/seccomp/architectures/{i}: no call of {arch} can be made on this machine"
            ));
        }
    }
    words
}

/// A call's number on an architecture.
pub(super) fn number(row: usize, arch: usize) -> Option<u32> {
    match NUMBERS[row][arch] {
        NONE => None,
        // The calls of ARM alone: see scripts/syscall-names.
        n @ 0xf000.. => Some(0x0f_0000 + u32::from(n & 0xfff)),
        n if arch == X32 => Some(u32::from(n) | X32_BIT),
        n => Some(u32::from(n)),
    }
}

/// seccomp(2)'s flags. Without the property, runc's default.
pub fn flags(seccomp: &Seccomp) -> SeccompFlags {
    let Some(words) = &seccomp.flags else {
        return SeccompFlags::SECCOMP_FILTER_FLAG_SPEC_ALLOW;
    };
    let named = FILTER_FLAGS.iter().filter(|(name, _)| words.iter().any(|word| word == name));
    SeccompFlags::from_bits(named.fold(0, |set, (_, bit)| set | u64::from(*bit)))
}

/// Whether the profile has an agent asked about calls.
pub fn listener(seccomp: &Seccomp) -> bool {
    seccomp.rules.iter().any(|rule| rule.action == "SCMP_ACT_NOTIFY")
}

/// The document about the container for the agent, cut at the process id, which it holds twice; once, if the
/// container's first process is another.
pub fn document(version: &str, metadata: &str, state: [Vec<u8>; 2], first: Option<i32>) -> Vec<Vec<u8>> {
    let [before, mut end] = state;
    let beginning = format!("{{\"ociVersion\":{},\"fds\":[\"seccompFd\"],\"pid\":", quoted(version));
    let mut between = format!(",\"metadata\":{},\"state\":", quoted(metadata)).into_bytes();
    between.extend_from_slice(&before);
    end.push(b'}');
    match first {
        None => vec![beginning.into_bytes(), between, end],
        Some(pid) => {
            let rest = [between, format!("{pid}").into_bytes(), end].concat();
            vec![beginning.into_bytes(), rest]
        }
    }
}

/// The filter.
pub fn compile(seccomp: &Seccomp) -> Result<Vec<Insn>, Problem> {
    let listed = |arch: usize| arch == NATIVE || seccomp.architectures.iter().any(|a| a == ARCHES[arch]);
    let profile = Profile::of(seccomp);
    let tree = |back: &mut Vec<Insn>, arch: usize| match listed(arch) {
        true => profile.tree(back, arch),
        false => back.push(code::ret(KILL_THREAD)),
    };
    let mut back = Vec::with_capacity(1024);
    let mut ends = Vec::new();
    for arch in (0..ARCHES.len()).filter(|arch| *arch != X32) {
        // x86_64 and x32 are one architecture to the kernel.
        let either = arch == X86_64 && (listed(X86_64) || listed(X32));
        if either {
            // A tracer that skips a call sets its number to -1, which is neither's.
            back.push(code::ret(profile.default));
            let skipped = back.len();
            tree(&mut back, X32);
            code::branch(&mut back, skipped, code::EQUAL, u32::MAX);
            let high = back.len();
            tree(&mut back, X86_64);
            code::branch(&mut back, high, code::AT_LEAST, X32_BIT);
        } else if listed(arch) {
            tree(&mut back, arch);
        } else {
            continue;
        }
        code::load_number(&mut back);
        ends.push((AUDIT[arch].0, back.len()));
    }
    let program = code::whole(back, &ends);
    if program.len() > MOST {
        return Err(Problem {
            pointer: "/linux/seccomp/syscalls".into(),
            problem: format!("makes a filter of {} instructions: the kernel takes at most {MOST}", program.len()),
        });
    }
    Ok(program)
}

/// Whether a call that no rule names is refused.
pub(super) fn refuses(seccomp: &Seccomp) -> bool {
    !matches!(seccomp.default_action.as_str(), "SCMP_ACT_ALLOW" | "SCMP_ACT_LOG" | "SCMP_ACT_TRACE")
}

/// What a profile says, with its words looked up once for all architectures.
struct Profile<'a> {
    seccomp: &'a Seccomp<'a>,
    /// For each row of the tables the place of its first name in `named`, from one on; 0: the profile does not name it.
    first: Vec<u32>,
    /// Every name that is known: which rule names it, and the place of the same call's next name.
    named: Vec<(u32, u32)>,
    /// The verdicts of the rules, the verdict on calls that no rule names, and on calls newer than the profile.
    verdicts: Vec<u32>,
    default: u32,
    beyond: u32,
}

impl<'a> Profile<'a> {
    fn of(seccomp: &'a Seccomp<'a>) -> Profile<'a> {
        let default = verdict(&seccomp.default_action, seccomp.default_errno_ret);
        let rules = &seccomp.rules;
        let mut first = vec![0; NUMBERS.len()];
        let mut named = Vec::with_capacity(rules.iter().map(|rule| rule.names.len()).sum());
        let verdicts: Vec<u32> = rules.iter().map(|rule| verdict(&rule.action, rule.errno_ret)).collect();
        // Backwards: so the rules of a call are in the profile's order. No rule counts that comes after one that always holds.
        for (i, rule) in rules.iter().enumerate().rev() {
            let last = rule.args.is_empty() && verdicts[i] != default;
            for row in rule.names.iter().filter_map(|name| look_up(name)) {
                named.push((i as u32, if last { 0 } else { first[row] }));
                first[row] = named.len() as u32;
            }
        }
        Profile { seccomp, first, named, verdicts, default, beyond: if refuses(seccomp) { BEYOND } else { default } }
    }

    /// The code of one architecture, for the call's number.
    fn tree(&self, back: &mut Vec<Insn>, arch: usize) {
        let ret = |verdict: u32| move |back: &mut Vec<Insn>| back.push(code::ret(verdict));
        let calls = self.calls(arch);
        let mut segments = Segments::default();
        let mut next = if arch == X32 { X32_BIT } else { 0 };
        // What the last segment answers, if it is one word.
        let mut said = None;
        for (number, row) in &calls {
            let number = *number;
            let alone = self.alone(*row);
            if alone.is_some() && (number, alone) == (next, said) {
                next += 1;
                continue;
            }
            let entry = self.entry(*row);
            if entry.always.is_none() && entry.alternatives.is_empty() {
                continue;
            }
            if number > next {
                segments.push(next, ret(self.default));
            }
            segments.push(number, |back| {
                back.push(code::ret(entry.always.unwrap_or(self.default)));
                for one in entry.alternatives.iter().rev() {
                    code::alternative(back, &one.conditions, one.verdict, AUDIT[arch].1);
                }
            });
            (next, said) = (number + 1, alone);
        }
        let Some(last) = calls.last() else {
            // A profile that names none of this architecture's calls says nothing about their age.
            segments.push(next, ret(self.default));
            return segments.tree(back);
        };
        let end = last.0 + 1;
        if next < end {
            segments.push(next, ret(self.default));
        }
        segments.push(end, ret(self.beyond));
        segments.tree(back);
    }

    /// The answer to a call whatever its arguments are, if one rule alone gives it: most calls have no more.
    fn alone(&self, row: u16) -> Option<u32> {
        let first = self.first[usize::from(row)] as usize;
        let (rule, next) = *self.named.get(first.checked_sub(1)?)?;
        let last = next == 0 && self.seccomp.rules[rule as usize].args.is_empty();
        last.then_some(self.verdicts[rule as usize]).filter(|verdict| *verdict != self.default)
    }

    /// All that the profile says of a call.
    fn entry(&self, row: u16) -> Entry<'_> {
        let mut entry = Entry::default();
        for rule in self.rules(row) {
            if self.verdicts[rule] != self.default {
                let conditions = &self.seccomp.rules[rule].args;
                add(&mut entry, conditions, self.verdicts[rule]);
            }
        }
        entry
    }

    /// The calls of an architecture that the profile speaks of: their numbers, in order, and their rows. However often a profile
    /// names a call, it is put into the order once.
    fn calls(&self, arch: usize) -> Vec<(u32, u16)> {
        let bit = if arch == X32 { X32_BIT } else { 0 };
        // Nearly every call has a small number, and one name: it goes to its place without a comparison.
        let (mut rows, mut others) = ([NONE; 1024], Vec::new());
        let named = self.first.iter().enumerate().filter(|(_, first)| **first != 0);
        for (row, number) in named.filter_map(|(row, _)| Some((row as u16, number(row, arch)?))) {
            match rows.get_mut((number ^ bit) as usize) {
                Some(place) if *place == NONE => *place = row,
                _ => others.push((number, row)),
            }
        }
        let mut calls = Vec::with_capacity(self.named.len().min(NUMBERS.len()));
        let placed = rows.iter().enumerate().filter(|(_, row)| **row != NONE);
        calls.extend(placed.map(|(number, row)| (number as u32 | bit, *row)));
        if !others.is_empty() {
            calls.extend(others);
            sorted::sort(&mut calls);
        }
        calls
    }

    /// The rules that name a call, in the profile's order.
    fn rules(&self, row: u16) -> impl Iterator<Item = usize> {
        let mut next = self.first[usize::from(row)];
        core::iter::from_fn(move || {
            let (rule, after) = *self.named.get((next as usize).checked_sub(1)?)?;
            next = after;
            Some(rule as usize)
        })
    }
}

fn add<'a>(entry: &mut Entry<'a>, conditions: &'a [Condition], verdict: u32) {
    if conditions.is_empty() {
        // A rule without conditions fits every call that the others fit.
        entry.always.get_or_insert(verdict);
        entry.alternatives.clear();
        return;
    }
    if entry.always.is_some() {
        return;
    }
    let twice = |c: &Condition| conditions.iter().filter(|o| o.index == c.index).count() > 1;
    if conditions.iter().any(twice) {
        let one = |c| Alternative { conditions: vec![c], verdict };
        entry.alternatives.extend(conditions.iter().map(one));
        return;
    }
    entry.alternatives.push(Alternative { conditions: conditions.iter().collect(), verdict });
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
#[path = "../../../tests/unit/seccomp_compiler.rs"]
mod tests;
