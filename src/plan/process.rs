//! config.json's `process`: what the program is, and what it may do. Its user is [`super::users`]', its terminal
//! [`super::terminal`]'s, its filter [`super::seccomp`]'s. May touch: types and tables.

use super::builder::Builder;
use super::mark::Mark;
use super::op::{Namespaces, Process, Slot, Users};
use super::order::{Host, Init};
use super::seccomp;
use super::text::{Strings, c, c_list, entry, problem};
use crate::sorted;
use crate::spec::{
    CAPABILITIES, IO_CLASSES, MEMORY_FLAGS, MEMORY_MODES, MOST_CPUS, POLICIES, Problem, SCHED_FLAGS, Scheduler, Text,
    capability_number, list, rlimit_number,
};
use alloc::collections::BTreeSet;
use alloc::ffi::CString;
use syscalls::abi::SchedAttr;
use syscalls::{CapabilitySets, MemoryPolicy, Persona};

pub fn plan(b: &mut Builder) -> Result<(), Problem> {
    signals(b);
    session(b)?;
    affinity(b);
    oom_score(b);
    limits(b)?;
    scheduling(b);
    let op = Process::CloseDescriptors { first: 3 + b.wish.preserve_fds };
    let why = "through an open descriptor, /proc/self/fd would lead a path of the image to the host (CVE-2024-21626)";
    let mark = Mark::PreserveFds.when(b.wish.preserve_fds > 0);
    b.marked(mark, |b| b.init(Init::Descriptors, "", op, why));
    capabilities(b);
    program(b)
}

/// Host: the caller's signals.
fn signals(b: &mut Builder) {
    if b.wish.attached {
        let why = "before the clone, so that no signal and no end of a child is missed";
        b.host(Host::Signals, "", Process::HoldSignals, why);
    }
    let why = "the program would inherit a signal that the caller ignores (execve(2))";
    // Init shares the memory, and reads there what was found when it is told to go on: the look delays no line of its own.
    let late = b.words && !b.wish.wait_for_start;
    b.host(if late { Host::Go } else { Host::Signals }, "", Process::LookAtSignals, why);
}

/// What init would inherit from the caller: umask, signals, session, keyring.
fn session(b: &mut Builder) -> Result<(), Problem> {
    let why = "the caller's umask would take bits from the modes of devices and directories";
    b.init(Init::Session, "", Process::ClearUmask, why);
    let why = "the program would inherit the mask, and never get a signal that it holds back";
    b.init(Init::Session, "", Process::ReleaseSignals, why);
    if b.wish.wait_for_start {
        let why = "the first process of a pid namespace gets no signal without a handler, and `kill` has to end a created container";
        b.init(Init::Session, "", Process::EndBySignals, why);
    }
    let why = "in the caller's session the program could use the caller's terminal (setsid(2))";
    b.init(Init::Session, "", Process::Session, why);
    if !b.wish.no_new_keyring {
        let name = c("", &format!("_ses.{}", b.wish.id))?;
        let why = "the program would inherit the keys in the caller's session keyring";
        b.init(Init::Keyring, "", Process::Keyring { name }, why);
    }
    Ok(())
}

/// The processors: those of `execCPUAffinity`, or all that the cgroup allows.
fn affinity(b: &mut Builder) {
    let of = |text: &String| match bits(list(text, MOST_CPUS)) {
        cpus if cpus.is_empty() => None,
        cpus => Some(Process::Affinity { cpus }),
    };
    let wanted = b.spec.process.exec_cpu_affinity.as_ref().filter(|_| b.is_exec());
    if let Some(op) = wanted.and_then(|cpus| of(&cpus.initial)) {
        let why = "the way into the cgroup disturbs no processor but these";
        b.host(Host::Affinity, "/process/execCPUAffinity/initial", op, why);
    }
    if let Some(op) = wanted.and_then(|cpus| of(&cpus.last)) {
        let why = "inside the cgroup the program may use these processors only";
        b.init(Init::Affinity, "/process/execCPUAffinity/final", op, why);
    }
    if wanted.is_none_or(|cpus| cpus.last.is_empty()) {
        let why = "since Linux 6.2 the caller's affinity lasts inside the cgroup: the program would miss processors";
        b.init(Init::Processors, "", Process::AnyProcessor, why);
    }
}

/// A list of numbers as the kernel takes it: a bit each.
fn bits(numbers: Option<Vec<u32>>) -> Vec<u64> {
    let mut words: Vec<u64> = Vec::new();
    for number in numbers.unwrap_or_default() {
        let word = number as usize / 64;
        words.resize(words.len().max(word + 1), 0);
        words[word] |= 1 << (number % 64);
    }
    words
}

/// The out-of-memory score. /proc/PID of a process that is not dumpable belongs to the machine's root, and init in a
/// user namespace cannot write there. So the host sets its own score, and init inherits it.
fn oom_score(b: &mut Builder) {
    let Some(score) = b.spec.process.oom_score_adj else {
        return;
    };
    let from = "/process/oomScoreAdj";
    let path: CString = c"self/oom_score_adj".into();
    let text = format!("{score}").into_bytes();
    if !b.users.foreign() {
        let base = b.procfs(Init::OomScore);
        let why = "it tells the kernel which processes to kill first when memory runs out";
        b.init(Init::OomScore, from, Namespaces::WriteProc { base, path, text }, why);
        return;
    }
    b.host_proc();
    let unseen = b.users.limited && !b.users.new;
    let mark = if b.users.limited { b.rights() } else { Mark::None };
    b.marked(mark, |b| oom_score_of_host(b, from, unseen, Namespaces::WriteProc { base: Slot::HOST_PROC, path, text }));
}

/// The same, set by the host for itself. `unseen`: the kernel lets this user reach the file only while it is dumpable.
fn oom_score_of_host(b: &mut Builder, from: &str, unseen: bool, op: Namespaces) {
    let owner = "the owner of /proc/PID depends on the dumpable flag";
    if unseen {
        b.host(Host::OomScore, from, Users::Dumpable { dumpable: true }, owner);
    }
    let why = "it tells the kernel which processes to kill first when memory runs out; init inherits it";
    b.host(Host::OomScore, from, op, why);
    if unseen {
        b.host(Host::OomScore, from, Users::Dumpable { dumpable: false }, owner);
    }
}

/// Resource limits. In a user namespace init has no right to raise one (CAP_SYS_RESOURCE in capabilities(7)): the host
/// does, before the clone, and init lowers it to what is wanted.
fn limits(b: &mut Builder) -> Result<(), Problem> {
    for (i, limit) in b.spec.process.rlimits.iter().enumerate() {
        let from = entry("/process/rlimits", i);
        let resource = rlimit_number(&limit.kind).ok_or_else(|| problem(&from, "is no resource limit"))?;
        let (soft, hard) = (limit.soft, limit.hard);
        if b.users.leaves_rights() {
            let why = "with the caller's rights, since init in its user namespace may only lower a limit";
            b.host(Host::Limits, &from, Process::RaiseLimit { resource, hard }, why);
        }
        let why = "here, because raising a limit is still allowed, and no more descriptors are needed";
        b.init(Init::Limits, &from, Process::Limit { resource, soft, hard }, why);
    }
    Ok(())
}

/// How it is scheduled, where its memory lies, and which machine it sees.
fn scheduling(b: &mut Builder) {
    if let Some(scheduler) = &b.spec.process.scheduler {
        let op = Process::Scheduler { attr: sched_attr(scheduler) };
        rightful(b, "/process/scheduler", op, "the program is scheduled so from its first instruction on");
    }
    if let Some(priority) = &b.spec.process.io_priority {
        let class = IO_CLASSES.iter().position(|c| *c == priority.class);
        let value = class.map_or(0, |i| i as u32 + 1) << 13 | priority.priority as u32;
        let why = "it tells the kernel how urgent the program's disk accesses are";
        rightful(b, "/process/ioPriority", Process::IoPriority { value }, why);
    }
    if let Some(policy) = &b.spec.linux.memory_policy {
        let mode = MEMORY_MODES.iter().position(|m| *m == policy.mode);
        let flags = MEMORY_FLAGS.iter().filter(|(name, _)| policy.flags.iter().any(|f| f == name));
        let mode = flags.fold(mode.unwrap_or(0) as u64, |mode, (_, bit)| mode | u64::from(*bit));
        let op = Process::MemoryPolicy { mode: MemoryPolicy::from_bits(mode), nodes: bits(list(&policy.nodes, 1023)) };
        let why = "it tells the kernel from which memory nodes to take the program's pages";
        b.init(Init::Scheduling, "/linux/memoryPolicy", op, why);
    }
    if let Some(personality) = &b.spec.linux.personality {
        let persona = if personality.domain == "LINUX32" { Persona::PER_LINUX32 } else { Persona::PER_LINUX };
        let why = "uname(2) tells the program that it runs on this kind of machine";
        b.init(Init::Scheduling, "/linux/personality", Process::Personality { persona }, why);
    }
}

/// A line that may take a right over the machine: init's, or, where init has left such rights, the host's, for init.
fn rightful(b: &mut Builder, from: &str, op: Process, why: &'static str) {
    match b.users.leaves_rights() {
        true => b.host(Host::Rights, from, op, why),
        false => b.init(Init::Scheduling, from, op, why),
    }
}

fn sched_attr(s: &Scheduler) -> SchedAttr {
    let policy = POLICIES.iter().find(|(name, _)| *name == s.policy);
    let bits = SCHED_FLAGS.iter().enumerate().filter(|(_, name)| s.flags.iter().any(|f| f == *name));
    SchedAttr {
        size: size_of::<SchedAttr>() as u32,
        policy: policy.map_or(0, |(_, number)| *number),
        flags: bits.fold(0, |set, (i, _)| set | 1 << i),
        nice: s.nice,
        priority: s.priority as u32,
        runtime: s.runtime,
        deadline: s.deadline,
        period: s.period,
        // The specification has the flags that name them, and no values: the least, as with runc.
        util_min: 0,
        util_max: 0,
    }
}

/// One bit a known capability. Names that the kernel does not know are left out (config.md: they SHOULD NOT fail).
fn set(names: &[String]) -> u64 {
    names.iter().filter_map(|name| capability_number(name)).fold(0, |set, n| set | 1 << n)
}

/// Capabilities, no_new_privs and the umask.
fn capabilities(b: &mut Builder) {
    let process = &b.spec.process;
    let wanted = &process.capabilities;
    let every = (1 << CAPABILITIES.len()) - 1;
    let op = Process::DropBounding { drop: every & !set(&wanted.bounding) };
    let why = "what leaves this set never comes back, not even by a set-user-id program";
    b.init(Init::Bounding, "/process/capabilities/bounding", op, why);
    // The kernel refuses what is effective and not permitted, inheritable and not in the bounding set, and ambient and
    // not both permitted and inheritable (capabilities(7)); the specification wants a warning, `Spec::warnings`.
    let permitted = set(&wanted.permitted);
    let mut sets = CapabilitySets {
        effective: set(&wanted.effective) & permitted,
        permitted,
        inheritable: set(&wanted.inheritable) & set(&wanted.bounding),
    };
    let ambient = set(&wanted.ambient) & sets.permitted & sets.inheritable;
    let mut why = "root inside shall not be root of the machine";
    if seccomp::keeps_right(b.spec) {
        let right = set(&["CAP_SYS_ADMIN".into()]);
        sets.effective |= right;
        sets.permitted |= right;
        why = "the program's, and CAP_SYS_ADMIN to load the filter at the end: execve takes that away";
    }
    b.init(Init::Capabilities, "/process/capabilities", Process::Capabilities { sets, ambient }, why);
    if process.no_new_privileges {
        let why = "no execve may add privileges: a set-user-id program could win back what was given up";
        b.init(Init::Capabilities, "/process/noNewPrivileges", Process::NoNewPrivileges, why);
    }
    let (from, why) = match process.user.umask {
        Some(_) => ("/process/user/umask", "the configuration asks for this mask"),
        None => ("", "the caller's mask must not reach the program: 0022, as with runc and crun"),
    };
    b.init(Init::Capabilities, from, Process::Umask { mask: process.user.umask.unwrap_or(0o022) }, why);
}

/// Finding the program, and becoming it.
fn program(b: &mut Builder) -> Result<(), Problem> {
    let process = &b.spec.process;
    let at = "/process/args/0";
    let name = process.args.first().map_or("", String::as_str);
    let path = process.env.iter().rev().find_map(|e| e.strip_prefix("PATH=")).unwrap_or("");
    let candidates = match name.contains('/') {
        true => Vec::from([c(at, name)?]),
        false => path.split(':').map(|directory| in_directory(directory, name)).collect::<Result<_, _>>()?,
    };
    let look = b.wish.wait_for_start || b.is_exec() || candidates.len() > 1;
    let why = match b.is_exec() {
        false => "a missing program makes create fail, and not start",
        true => "a missing program makes exec fail while the caller still waits",
    };
    b.init(Init::Find, at, Process::Find { named: c(at, name)?, candidates, look }, why);
    let op = Process::Execve { argv: c_list("/process/args", &process.args)?, envp: environment(&process.env)? };
    b.init(Init::Program, "/process/args", op, "from here on it is the container's program, and no longer ours");
    Ok(())
}

fn in_directory(directory: &str, name: &str) -> Result<CString, Problem> {
    let directory = if directory.is_empty() { "." } else { directory };
    c("/process/args/0", &format!("{directory}/{name}"))
}

/// The program's environment. getenv(3) finds the first entry of a name, and of `process.env` the last one counts: so
/// one entry a name is left. An empty `HOME` counts as none, and the user's takes its place (`Rootfs::LookUpHome`).
pub fn environment(entries: &[Text]) -> Result<Strings, Problem> {
    let mut names = Names::of(entries.len());
    let (mut kept, mut bytes) = (Vec::<u32>::with_capacity(entries.len()), 0);
    for (i, text) in entries.iter().enumerate().rev() {
        if names.is_new(entries, i) && *text != "HOME=" {
            kept.push(i as u32);
            bytes += text.len() + 1;
        }
    }
    let mut all = Strings::with_capacity(kept.len(), bytes);
    for i in kept.into_iter().rev().map(|i| i as usize) {
        let text = &entries[i];
        if text.may_hold_nul() {
            c(&entry("/process/env", i), text)?;
        }
        all.push(text);
    }
    Ok(all)
}

/// The name of a variable. Names are short: the library's search for a byte takes longer to begin than to end.
fn name(entry: &str) -> &[u8] {
    let end = entry.bytes().position(|byte| byte == b'=').unwrap_or(entry.len());
    &entry.as_bytes()[..end]
}

/// Whether a variable has that name.
fn has_name(entry: &str, name: &[u8]) -> bool {
    matches!(entry.as_bytes().strip_prefix(name), Some([] | [b'=', ..]))
}

/// The names that were there already. There can be ten thousand: most are found, or found missing, by one look.
struct Names<'a> {
    /// The entries' numbers from one on, each at the place of its name, or one of the next; 0: the place is free.
    places: Vec<u32>,
    /// Names that found no free place near theirs.
    others: BTreeSet<&'a [u8]>,
}

impl<'a> Names<'a> {
    /// So many places are looked at for a name.
    const NEAR: usize = 32;

    fn of(entries: usize) -> Names<'a> {
        Names { places: vec![0; (entries + entries / 2 + 1).next_power_of_two()], others: BTreeSet::new() }
    }

    /// Whether the name of this entry was not there before. It is now.
    fn is_new(&mut self, entries: &'a [Text], i: usize) -> bool {
        let name = name(&entries[i]);
        let hash = sorted::hash(name);
        let last = self.places.len() - 1;
        for near in 0..Names::NEAR {
            let place = &mut self.places[(hash as usize + near) & last];
            match entries.get((*place as usize).wrapping_sub(1)) {
                None => {
                    *place = i as u32 + 1;
                    return true;
                }
                Some(other) if has_name(other, name) => return false,
                Some(_) => {}
            }
        }
        self.others.insert(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_entry_of_a_name_counts() {
        let entries = ["A=1", "B=2", "HOME=", "A=3"].map(Text::from);
        let kept = environment(&entries).map(|all| (all.len(), all.list()));
        assert_eq!(kept, Ok((2, Vec::from([c"B=2".into(), c"A=3".into()]))));
    }

    #[test]
    fn a_nul_is_refused_at_its_place() {
        let entries = [Text::from("A=1"), Text::from(String::from("B=\0"))];
        assert_eq!(environment(&entries).map_err(|problem| problem.pointer), Err("/process/env/1".into()));
    }
}
