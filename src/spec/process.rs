//! `process`, and the parts of `linux` that are about the process (config.md, "process"; config-linux.md, "Personality",
//! "Memory Policy"): the words of the specification with the kernel's numbers. May touch: serde.

use super::read::read;
use super::rules::{LONGEST_LIST, absolute, between, list, one_of, one_of_these, text, variable};
use super::schema::{At, Checked, Problem, schema};
use super::types::{Ignored, Later, Text, Word};
use super::users::User;

schema! {
    Process<'a>, then program_is_given {
        "args" args: Vec<String> => text;
        "commandLine" command_line: Ignored;
        /// It counts only with a terminal: [`Process::window`] reads it.
        "consoleSize" console_size: Later<ConsoleSize>;
        "cwd" cwd: String => absolute;
        "env" env: Vec<Text<'a>> => variable;
        "terminal" terminal: Option<bool>;
        "user" user: User;
        "capabilities" capabilities: Capabilities;
        "apparmorProfile" apparmor_profile: Word => text;
        "oomScoreAdj" oom_score_adj: Option<i64> => between(-1000..=1000);
        "selinuxLabel" selinux_label: Word => text;
        "ioPriority" io_priority: Option<IoPriority>;
        "noNewPrivileges" no_new_privileges: bool;
        "scheduler" scheduler: Option<Scheduler>;
        "rlimits" rlimits: Vec<Rlimit>;
        "execCPUAffinity" exec_cpu_affinity: Option<ExecCpuAffinity>;
    }

    /// The size of the terminal's window, in characters.
    #[derive(Clone, Copy)]
    ConsoleSize {
        "height" height: u16;
        "width" width: u16;
    }

    /// The five sets.
    Capabilities {
        "bounding" bounding: Vec<String>, most LONGEST_LIST;
        "permitted" permitted: Vec<String>, most LONGEST_LIST;
        "effective" effective: Vec<String>, most LONGEST_LIST;
        "inheritable" inheritable: Vec<String>, most LONGEST_LIST;
        "ambient" ambient: Vec<String>, most LONGEST_LIST;
    }

    IoPriority {
        "class" class: String => one_of_these(&IO_CLASSES);
        "priority" priority: i64 => between(0..=7);
    }

    Scheduler, then parameters_fit {
        "policy" policy: String => policy;
        "nice" nice: i32 => between(-20..=19);
        "priority" priority: i32;
        "flags" flags: Vec<String> => one_of(&SCHED_FLAGS, "is no flag of sched_setattr");
        /// These three are for SCHED_DEADLINE, in nanoseconds.
        "runtime" runtime: u64;
        "deadline" deadline: u64;
        "period" period: u64;
    }

    Rlimit, then limits_fit {
        "hard" hard: u64;
        "soft" soft: u64;
        "type" kind: String => one_of(&RLIMITS, "is no resource limit of Linux");
    }

    /// The processors on which `exec` begins, and those on which its program runs: lists as of cpuset(7).
    ExecCpuAffinity {
        "initial" initial: String => processors;
        "final" last: String => processors;
    }

    MemoryPolicy, then nodes_fit {
        "mode" mode: String => one_of_these(&MEMORY_MODES);
        /// A list as in `0-3,7`.
        "nodes" nodes: String;
        "flags" flags: Vec<String> => one_of(&MEMORY_FLAGS, "is no flag of set_mempolicy");
    }

    Personality {
        "domain" domain: String => one_of(&["LINUX", "LINUX32"], "must be LINUX or LINUX32");
        "flags" flags: Vec<String> => no_flag;
    }
}

impl Process<'_> {
    /// The size that config.json gives the terminal's window; zeros if there is no terminal or no size.
    pub fn window(&self) -> Result<ConsoleSize, Problem> {
        let size = &self.console_size.0;
        if self.terminal != Some(true) || size.is_null() {
            return Ok(ConsoleSize::default());
        }
        read(&size.to_string())
            .map_err(|problem| Problem { pointer: format!("/process/consoleSize{}", problem.pointer), ..problem })
    }
}

fn program_is_given(process: &Process, at: &At) -> Checked {
    let args = at.key("args");
    match process.args.first() {
        None => return args.no("is missing or empty: its first entry is the program"),
        Some(program) if program.is_empty() => return args.index(0).no("is empty: it names the program"),
        Some(_) => {}
    }
    process.window()?;
    let at = at.key("rlimits");
    for (i, limit) in process.rlimits.iter().enumerate() {
        if let Some(first) = process.rlimits[..i].iter().position(|other| other.kind == limit.kind) {
            return at.index(i).no(format!("repeats {} of {}", limit.kind, at.index(first).pointer()));
        }
    }
    Ok(())
}

fn limits_fit(limit: &Rlimit, at: &At) -> Checked {
    let Rlimit { soft, hard, .. } = limit;
    at.key("soft").refuse(soft > hard, || format!("{soft} is above the hard limit {hard}"))
}

/// The greatest number of a processor or a memory node that can be named.
pub const MOST_CPUS: u32 = 1023;

fn processors(text: &str, at: &At) -> Checked {
    let problem = || format!("`{}` is no list of processors, like 0-3,7", text.escape_default());
    at.refuse(list(text, MOST_CPUS).is_none(), problem)
}

fn policy(word: &str, at: &At) -> Checked {
    match word {
        "SCHED_ISO" => at.no("SCHED_ISO is reserved: no kernel has it"),
        word => one_of(&POLICIES, "is no scheduling policy of Linux")(word, at),
    }
}

/// Which policy takes which parameters: sched_setattr(2), sched(7).
fn parameters_fit(s: &Scheduler, at: &At) -> Checked {
    let fair = matches!(s.policy.as_str(), "SCHED_OTHER" | "SCHED_BATCH");
    let real_time = matches!(s.policy.as_str(), "SCHED_FIFO" | "SCHED_RR");
    let deadline = s.policy == "SCHED_DEADLINE";
    for (key, set, taken, policies) in [
        ("nice", s.nice != 0, fair, "SCHED_OTHER and SCHED_BATCH"),
        ("priority", s.priority != 0, real_time, "SCHED_FIFO and SCHED_RR"),
        ("runtime", s.runtime != 0, deadline, "SCHED_DEADLINE"),
        ("deadline", s.deadline != 0, deadline, "SCHED_DEADLINE"),
        ("period", s.period != 0, deadline, "SCHED_DEADLINE"),
    ] {
        at.key(key).refuse(set && !taken, || format!("is for {policies}, not for {}", s.policy))?;
    }
    let problem = || format!("{} is not between 1 and 99, as {} wants it", s.priority, s.policy);
    at.key("priority").refuse(real_time && !(1..=99).contains(&s.priority), problem)?;
    // A period of 0 stands for the deadline (sched(7)).
    let period = if s.period == 0 { s.deadline } else { s.period };
    let ordered = 1024 <= s.runtime && s.runtime <= s.deadline && s.deadline <= period;
    at.refuse(deadline && !ordered, || "SCHED_DEADLINE wants 1024 <= runtime <= deadline <= period, in nanoseconds")
}

fn nodes_fit(p: &MemoryPolicy, at: &At) -> Checked {
    let at = at.key("nodes");
    let Some(nodes) = list(&p.nodes, MOST_CPUS) else {
        return at.no(format!("`{}` is no list of nodes: 0-3,7 is one", p.nodes));
    };
    match p.mode.as_str() {
        "MPOL_DEFAULT" | "MPOL_LOCAL" if !nodes.is_empty() => at.no(format!("{} takes none", p.mode)),
        "MPOL_DEFAULT" | "MPOL_LOCAL" | "MPOL_PREFERRED" => Ok(()),
        _ if nodes.is_empty() => at.no(format!("{} needs some", p.mode)),
        _ => Ok(()),
    }
}

fn no_flag(flag: &str, at: &At) -> Checked {
    at.no(format!("`{flag}` is not supported: the specification defines no flags"))
}

impl Capabilities {
    fn sets(&self) -> [(&'static str, &Vec<String>); 5] {
        [
            ("bounding", &self.bounding),
            ("effective", &self.effective),
            ("permitted", &self.permitted),
            ("inheritable", &self.inheritable),
            ("ambient", &self.ambient),
        ]
    }

    /// Which capabilities are left out, and why: names that no kernel knows, each reported once, and those that another set
    /// must hold too (config.md, "Linux Process"). True: engines write it often.
    pub fn warnings(&self) -> Vec<(bool, String)> {
        let (mut words, mut unknown) = (Vec::new(), Vec::new());
        for (set, names) in self.sets() {
            for (i, name) in names.iter().enumerate() {
                let Some((usual, missing)) = self.missing(set, name) else {
                    continue;
                };
                if capability_number(name).is_none() {
                    if unknown.contains(&name) {
                        continue;
                    }
                    unknown.push(name);
                }
                let at = format!("/process/capabilities/{set}/{i}");
                words.push((usual, format!("{at}: `{name}` is left out: it is {missing}")));
            }
        }
        words
    }

    /// Why a capability of a set is not given, if it is not; and whether engines write that often.
    fn missing(&self, set: &str, name: &String) -> Option<(bool, &'static str)> {
        let permitted = || self.permitted.contains(name);
        let bounding = || self.bounding.contains(name);
        let inheritable = || self.inheritable.contains(name) && bounding();
        let missing = match set {
            _ if capability_number(name).is_none() => "no capability",
            "effective" if !permitted() => "not permitted",
            "inheritable" if !bounding() => "not in the bounding set",
            // Engines and `runc spec` write this, since they gave up the inheritable set (CVE-2022-24769).
            "ambient" if self.inheritable.is_empty() => return Some((true, "not inheritable")),
            "ambient" if !(permitted() && inheritable()) => "not both permitted and inheritable",
            _ => return None,
        };
        Some((false, missing))
    }
}

pub fn capability_number(name: &str) -> Option<u32> {
    CAPABILITIES.iter().position(|known| *known == name).map(|i| i as u32)
}

pub fn rlimit_number(name: &str) -> Option<u32> {
    RLIMITS.iter().position(|known| *known == name).map(|i| i as u32)
}

/// In the kernel's order (linux/capability.h): the index is the number.
#[rustfmt::skip]
pub const CAPABILITIES: [&str; 41] = [
    "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_SETGID",
    "CAP_SETUID", "CAP_SETPCAP", "CAP_LINUX_IMMUTABLE", "CAP_NET_BIND_SERVICE", "CAP_NET_BROADCAST", "CAP_NET_ADMIN",
    "CAP_NET_RAW", "CAP_IPC_LOCK", "CAP_IPC_OWNER", "CAP_SYS_MODULE", "CAP_SYS_RAWIO", "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE", "CAP_SYS_PACCT", "CAP_SYS_ADMIN", "CAP_SYS_BOOT", "CAP_SYS_NICE", "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME", "CAP_SYS_TTY_CONFIG", "CAP_MKNOD", "CAP_LEASE", "CAP_AUDIT_WRITE", "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP", "CAP_MAC_OVERRIDE", "CAP_MAC_ADMIN", "CAP_SYSLOG", "CAP_WAKE_ALARM", "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ", "CAP_PERFMON", "CAP_BPF", "CAP_CHECKPOINT_RESTORE",
];

/// In the kernel's order (asm-generic/resource.h): the index is the number.
#[rustfmt::skip]
pub const RLIMITS: [&str; 16] = [
    "RLIMIT_CPU", "RLIMIT_FSIZE", "RLIMIT_DATA", "RLIMIT_STACK", "RLIMIT_CORE", "RLIMIT_RSS", "RLIMIT_NPROC",
    "RLIMIT_NOFILE", "RLIMIT_MEMLOCK", "RLIMIT_AS", "RLIMIT_LOCKS", "RLIMIT_SIGPENDING", "RLIMIT_MSGQUEUE",
    "RLIMIT_NICE", "RLIMIT_RTPRIO", "RLIMIT_RTTIME",
];

/// The scheduling policies (config.md, "scheduler"), with the kernel's numbers (linux/sched.h).
#[rustfmt::skip]
pub const POLICIES: [(&str, u32); 6] = [
    ("SCHED_OTHER", libc::SCHED_OTHER as u32), ("SCHED_FIFO", libc::SCHED_FIFO as u32),
    ("SCHED_RR", libc::SCHED_RR as u32), ("SCHED_BATCH", libc::SCHED_BATCH as u32),
    ("SCHED_IDLE", libc::SCHED_IDLE as u32), ("SCHED_DEADLINE", libc::SCHED_DEADLINE as u32),
];

/// Their flags: the index is the bit.
#[rustfmt::skip]
pub const SCHED_FLAGS: [&str; 7] = [
    "SCHED_FLAG_RESET_ON_FORK", "SCHED_FLAG_RECLAIM", "SCHED_FLAG_DL_OVERRUN", "SCHED_FLAG_KEEP_POLICY",
    "SCHED_FLAG_KEEP_PARAMS", "SCHED_FLAG_UTIL_CLAMP_MIN", "SCHED_FLAG_UTIL_CLAMP_MAX",
];

/// I/O priority classes: the index and one is the number (linux/ioprio.h).
pub const IO_CLASSES: [&str; 3] = ["IOPRIO_CLASS_RT", "IOPRIO_CLASS_BE", "IOPRIO_CLASS_IDLE"];

/// Memory policies: the index is the number (linux/mempolicy.h).
#[rustfmt::skip]
pub const MEMORY_MODES: [&str; 7] = [
    "MPOL_DEFAULT", "MPOL_PREFERRED", "MPOL_BIND", "MPOL_INTERLEAVE", "MPOL_LOCAL", "MPOL_PREFERRED_MANY",
    "MPOL_WEIGHTED_INTERLEAVE",
];

/// Their flags, with the kernel's bits.
pub const MEMORY_FLAGS: [(&str, u32); 3] = [
    ("MPOL_F_NUMA_BALANCING", libc::MPOL_F_NUMA_BALANCING as u32),
    ("MPOL_F_RELATIVE_NODES", libc::MPOL_F_RELATIVE_NODES as u32),
    ("MPOL_F_STATIC_NODES", libc::MPOL_F_STATIC_NODES as u32),
];
