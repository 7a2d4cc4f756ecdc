//! Settings of the kernel for this container: sysctl, the out-of-memory score, labels, resctrl, and how its first
//! process is scheduled and where its memory lies. May touch: types and tables.

use super::create::{path, problem};
use super::op::{Labels, Namespaces, Process, Rdt, Slot};
use super::{Builder, Step};
use crate::spec::{
    IO_CLASSES, MEMORY_FLAGS, MEMORY_MODES, MOST_CPUS, POLICIES, Problem, SCHED_FLAGS, list, sysctl_path,
};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use syscalls::abi::SchedAttr;

/// Host: security modules that labels need.
pub fn modules(b: &mut Builder) {
    let labels = [
        ("/process/apparmorProfile", &b.spec.process.apparmor_profile, false),
        ("/process/selinuxLabel", &b.spec.process.selinux_label, true),
        ("/linux/mountLabel", &b.spec.linux.mount_label, true),
    ];
    for (at, label, selinux) in labels {
        if !label.is_empty() {
            b.from = at.into();
            b.host(
                Step::Sources,
                Labels::SecurityModule { selinux },
                "a label that no module enforces would be a promise without a keeper",
            );
        }
    }
}

/// Where a group of resctrl comes from that belongs to the container alone.
pub const OWN_RESCTRL: &str = "/linux/intelRdt";

/// Host: the group of resctrl that init is put into (resctrl(7); config-linux.md, "IntelRdt").
pub fn resctrl(b: &mut Builder) -> Result<(), Problem> {
    let Some(rdt) = &b.spec.linux.intel_rdt else {
        return Ok(());
    };
    // Without a name of its own the group is the container's, and ends with it.
    b.from = match rdt.clos_id {
        Some(_) => "/linux/intelRdt/closID".into(),
        None => OWN_RESCTRL.into(),
    };
    let name = rdt.clos_id.as_deref().unwrap_or(b.wish.id);
    let mut schemata: Vec<u8> = Vec::new();
    let schemas = [&rdt.l3_cache_schema, &rdt.mem_bw_schema];
    let texts = schemas.into_iter().flatten().chain(&rdt.schemata);
    for line in texts.flat_map(|text| text.lines()) {
        schemata.extend_from_slice(line.as_bytes());
        schemata.push(b'\n');
    }
    let group = path(&b.from.clone(), name.trim_start_matches('/'))?;
    let monitor = match rdt.enable_monitoring {
        true => Some(path("/linux/intelRdt", &format!("mon_groups/{}", b.wish.id))?),
        false => None,
    };
    let op = Rdt::Make { group: group.clone(), schemata, monitor: monitor.clone() };
    b.host(Step::Cgroup, op, "shares of cache and memory bandwidth are given to groups of processes");
    b.after_clone.push(b.line_of(
        Step::Cgroup,
        Rdt::Join { group, monitor },
        "all that init starts will be in the group too",
    ));
    Ok(())
}

/// Where the container's own procfs can be written to: the mount that the plan has just made, if nothing lies over
/// a part of it; otherwise one that nobody else can reach.
fn procfs(b: &mut Builder) -> Slot {
    let covered = |m: &super::Covered| m.path.starts_with("/proc/");
    let own = b.covered.iter().any(|m| m.slot == Some(Slot::PROC) && m.fresh);
    if !b.private_proc && (!own || b.covered.iter().any(covered)) {
        let from = core::mem::take(&mut b.from);
        b.init(
            Namespaces::PrivateProc,
            "files of procfs are written through a mount that nothing in the rootfs can redirect",
        );
        b.from = from;
        b.private_proc = true;
    }
    if b.private_proc {
        return Slot::PRIVATE_PROC;
    }
    Slot::PROC
}

/// Init, inside and before read-only paths: sysctl, and the out-of-memory score.
pub fn settings(b: &mut Builder) -> Result<(), Problem> {
    b.step = Step::Identity;
    for (key, value) in &b.spec.linux.sysctl {
        let at = format!("/linux/sysctl/{}", key.replace('~', "~0").replace('/', "~1"));
        b.from = at.clone();
        let base = procfs(b);
        let op = Namespaces::WriteProc {
            base,
            path: path(&at, &format!("sys/{}", sysctl_path(key)))?,
            text: value.as_bytes().to_vec(),
        };
        b.init(op, "a setting of a namespace of the container's own");
    }
    oom_score(b);
    Ok(())
}

/// Init: the out-of-memory score, where its file is init's own.
pub fn oom_score(b: &mut Builder) {
    let Some(score) = b.spec.process.oom_score_adj.filter(|_| !b.users.foreign()) else {
        return;
    };
    b.from = "/process/oomScoreAdj".into();
    let base = procfs(b);
    let op = Namespaces::WriteProc { base, path: c"self/oom_score_adj".into(), text: format!("{score}").into_bytes() };
    b.init(op, "who is ended first when memory runs out");
}

/// Init, with all privileges still there: scheduling, memory, personality, labels.
pub fn process(b: &mut Builder) -> Result<(), Problem> {
    scheduler(b);
    if let Some(priority) = &b.spec.process.io_priority {
        b.from = "/process/ioPriority".into();
        let class = IO_CLASSES.iter().position(|c| *c == priority.class);
        let class = class.map_or(0, |i| i as u32 + 1);
        let value = class << 13 | priority.priority as u32;
        rightful(b, Process::IoPriority { value }, "how urgent its disk accesses are, beside those of others");
    }
    if let Some(policy) = &b.spec.linux.memory_policy {
        b.from = "/linux/memoryPolicy".into();
        let mode = MEMORY_MODES.iter().position(|m| *m == policy.mode);
        let flags = MEMORY_FLAGS.iter().filter(|(name, _)| policy.flags.iter().any(|f| f == name));
        let mode = flags.fold(mode.unwrap_or(0) as u32, |mode, (_, bit)| mode | bit);
        let nodes = bits(list(&policy.nodes, 1023));
        b.init(Process::MemoryPolicy { mode, nodes }, "from which memory nodes its pages come");
    }
    if let Some(personality) = &b.spec.linux.personality {
        b.from = "/linux/personality".into();
        const PER_LINUX32: u32 = 8;
        let persona = if personality.domain == "LINUX32" { PER_LINUX32 } else { 0 };
        b.init(Process::Personality { persona }, "which machine uname(2) tells it that it runs on");
    }
    labels(b)
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

/// The processors of a list, unless it names none.
pub fn affinity(text: &str) -> Option<Process> {
    let cpus = bits(list(text, MOST_CPUS));
    (!cpus.is_empty()).then_some(Process::Affinity { cpus })
}

/// A line that may need a right over the machine: init's, or, where init has left such rights, the host's, for init.
fn rightful(b: &mut Builder, op: Process, why: &'static str) {
    if !b.users.leaves_rights() {
        b.init(op, why);
        return;
    }
    let step = match b.wish.joins {
        Some(_) => Step::Exec,
        None => Step::Start,
    };
    let line = b.line_of(step, op, why);
    b.before_go.push(line);
}

fn scheduler(b: &mut Builder) {
    let Some(s) = &b.spec.process.scheduler else {
        return;
    };
    b.from = "/process/scheduler".into();
    let policy = POLICIES.iter().find(|(name, _)| *name == s.policy);
    let bits = SCHED_FLAGS.iter().enumerate();
    let bits = bits.filter(|(_, name)| s.flags.iter().any(|f| f == *name));
    let attr = SchedAttr {
        size: size_of::<SchedAttr>() as u32,
        policy: policy.map_or(0, |(_, number)| *number),
        flags: bits.fold(0, |set, (i, _)| set | 1 << i),
        nice: s.nice,
        priority: s.priority as u32,
        runtime: s.runtime,
        deadline: s.deadline,
        period: s.period,
        // The specification has the flags that name them, and no values: the least, as in runc.
        util_min: 0,
        util_max: 0,
    };
    rightful(b, Process::Scheduler { attr }, "what is scheduled how it is from the first instruction on");
}

/// Labels are for the next execve: the kernel keeps them until then.
fn labels(b: &mut Builder) -> Result<(), Problem> {
    let process = &b.spec.process;
    if !process.apparmor_profile.is_empty() {
        let at = "/process/apparmorProfile";
        b.from = at.into();
        let base = procfs(b);
        let op = Namespaces::WriteProc {
            base,
            path: c"thread-self/attr/apparmor/exec".into(),
            text: format!("exec {}", b.spec.process.apparmor_profile).into_bytes(),
        };
        b.init(op, "the profile confines the program from execve on");
    }
    if !b.spec.process.selinux_label.is_empty() {
        let at = "/process/selinuxLabel";
        b.from = at.into();
        let base = procfs(b);
        let op = Namespaces::WriteProc {
            base,
            path: c"thread-self/attr/exec".into(),
            text: b.spec.process.selinux_label.as_bytes().to_vec(),
        };
        b.init(op, "the program runs under this label from execve on");
    }
    Ok(())
}

/// SELinux labels what a process makes as that process; until execve this one is the runtime.
pub fn key_label(b: &mut Builder) {
    let label = &b.spec.process.selinux_label;
    if label.is_empty() {
        return;
    }
    let op = Namespaces::WriteProc {
        base: Slot::HOST_PROC,
        path: c"thread-self/attr/keycreate".into(),
        text: label.as_bytes().to_vec(),
    };
    b.from = "/process/selinuxLabel".into();
    b.init(op, "the keyring to come is the program's, and labelled so");
    b.from = String::new();
}

/// The `context` option that gives a new file system its label.
pub fn mount_label(b: &Builder, kind: &str, data: &mut String) -> Result<(), Problem> {
    let label = &b.spec.linux.mount_label;
    if label.is_empty() || !matches!(kind, "tmpfs" | "ramfs" | "devpts" | "overlay" | "shm") {
        return Ok(());
    }
    if label.contains('"') {
        return Err(problem("/linux/mountLabel", "holds a quote, which no label does"));
    }
    if !data.is_empty() {
        data.push(',');
    }
    data.push_str(&format!("{}=\"{label}\"", b.spec.context_option()));
    Ok(())
}
