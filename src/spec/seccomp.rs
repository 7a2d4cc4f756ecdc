//! `linux.seccomp`: which system calls the program may make (config-linux.md, "Seccomp"). May touch: serde.

use super::callers::{SOCKET_TOO_LONG, socket_fits};
use super::rules::{absolute, fits, one_of};
use super::schema::{At, Checked, Property, Row, schema};
use super::types::Text;
use serde::Deserialize;

schema! {
    Seccomp<'a>, then profile_fits {
        "defaultAction" default_action: String => one_of(&ACTIONS, "is no action of seccomp");
        "defaultErrnoRet" default_errno_ret: Option<u32>;
        /// An absent list is not an empty one: it stands for the default flags.
        "flags" flags: Option<Vec<String>> => one_of(&FILTER_FLAGS, "is no flag of seccomp(2)");
        "listenerPath" listener_path: Option<String>;
        "listenerMetadata" listener_metadata: Option<String>;
        "architectures" architectures: Vec<String> => architecture;
        "syscalls" rules: Vec<Rule<'a>>;
    }

    /// Calls by name, and what becomes of them if all conditions hold.
    Rule<'a>, then rule_fits {
        "names" names: Vec<Text<'a>> => fits(|name: &str| !name.is_empty(), "is empty: it names a call");
        "action" action: String => one_of(&ACTIONS, "is no action of seccomp");
        "errnoRet" errno_ret: Option<u32>;
        "args" args: Vec<Condition>;
    }
}

/// Not of `schema!`, whose properties may be absent: a condition without index, value or operator would mean another.
#[derive(Deserialize, Default, Debug, Clone)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    pub index: u32,
    pub value: u64,
    #[serde(default)]
    pub value_two: u64,
    pub op: String,
}

impl Property for Condition {
    const ROWS: &'static [Row] =
        &[Row::of::<u32>("index"), Row::of::<u64>("value"), Row::of::<u64>("valueTwo"), Row::of::<String>("op")];
    type Leaf = Self;

    fn each(&self, at: &At, rule: &dyn Fn(&Self, &At) -> Checked) -> Checked {
        rule(self, at)
    }

    fn check(&self, at: &At) -> Checked {
        let index = self.index;
        at.key("index").refuse(index > 5, || format!("{index} is no argument: a call has six, from 0"))?;
        one_of(&OPERATORS, "is no operator of seccomp")(&self.op, &at.key("op"))
    }
}

/// The actions, and what the kernel calls them (linux/seccomp.h).
#[rustfmt::skip]
pub const ACTIONS: [(&str, u32); 9] = [
    ("SCMP_ACT_ALLOW", libc::SECCOMP_RET_ALLOW), ("SCMP_ACT_ERRNO", libc::SECCOMP_RET_ERRNO),
    ("SCMP_ACT_KILL", libc::SECCOMP_RET_KILL), ("SCMP_ACT_KILL_PROCESS", libc::SECCOMP_RET_KILL_PROCESS),
    ("SCMP_ACT_KILL_THREAD", libc::SECCOMP_RET_KILL_THREAD), ("SCMP_ACT_LOG", libc::SECCOMP_RET_LOG),
    ("SCMP_ACT_NOTIFY", libc::SECCOMP_RET_USER_NOTIF), ("SCMP_ACT_TRACE", libc::SECCOMP_RET_TRACE),
    ("SCMP_ACT_TRAP", libc::SECCOMP_RET_TRAP),
];

pub const OPERATORS: [&str; 7] =
    ["SCMP_CMP_EQ", "SCMP_CMP_GE", "SCMP_CMP_GT", "SCMP_CMP_LE", "SCMP_CMP_LT", "SCMP_CMP_MASKED_EQ", "SCMP_CMP_NE"];

/// The flags of seccomp(2), and their bits.
pub const FILTER_FLAGS: [(&str, u32); 4] = [
    ("SECCOMP_FILTER_FLAG_LOG", libc::SECCOMP_FILTER_FLAG_LOG as u32),
    ("SECCOMP_FILTER_FLAG_SPEC_ALLOW", libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW as u32),
    ("SECCOMP_FILTER_FLAG_TSYNC", libc::SECCOMP_FILTER_FLAG_TSYNC as u32),
    ("SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV as u32),
];

/// Architectures whose calls this program knows by number.
#[rustfmt::skip]
pub const ARCHES: [&str; 6] = [
    "SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32", "SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM", "SCMP_ARCH_RISCV64",
];
/// Architectures that a filter may name, though a machine that runs this program can make no call of theirs.
#[rustfmt::skip]
pub const OTHER_ARCHES: [&str; 17] = [
    "SCMP_ARCH_LOONGARCH64", "SCMP_ARCH_M68K", "SCMP_ARCH_MIPS", "SCMP_ARCH_MIPS64", "SCMP_ARCH_MIPS64N32",
    "SCMP_ARCH_MIPSEL", "SCMP_ARCH_MIPSEL64", "SCMP_ARCH_MIPSEL64N32", "SCMP_ARCH_PARISC", "SCMP_ARCH_PARISC64",
    "SCMP_ARCH_PPC", "SCMP_ARCH_PPC64", "SCMP_ARCH_PPC64LE", "SCMP_ARCH_S390", "SCMP_ARCH_S390X", "SCMP_ARCH_SH",
    "SCMP_ARCH_SHEB",
];

fn architecture(name: &str, at: &At) -> Checked {
    let known = ARCHES.contains(&name) || OTHER_ARCHES.contains(&name);
    at.refuse(!known, || format!("`{name}` is no architecture of seccomp"))
}

/// Whether the action takes this number.
fn errno_fits(action: &str, errno: Option<u32>, at: &At) -> Checked {
    match errno {
        Some(_) if !matches!(action, "SCMP_ACT_ERRNO" | "SCMP_ACT_TRACE") => {
            at.no(format!("is for SCMP_ACT_ERRNO and SCMP_ACT_TRACE, not for {action}"))
        }
        Some(errno) if action == "SCMP_ACT_ERRNO" && errno > 4095 => {
            at.no(format!("{errno} is no errno: the largest is 4095"))
        }
        Some(data) if data > 0xffff => at.no(format!("{data} has more than 16 bits")),
        _ => Ok(()),
    }
}

fn rule_fits(rule: &Rule, at: &At) -> Checked {
    errno_fits(&rule.action, rule.errno_ret, &at.key("errnoRet"))?;
    let names = at.key("names");
    names.refuse(rule.names.is_empty(), || "is missing or empty")?;
    let execve = |name: &Text| matches!(&**name, "execve" | "exit_group");
    match rule.names.iter().position(execve) {
        // The runtime hands over the listener later: until then these calls of its own would wait for ever.
        Some(j) if rule.action == "SCMP_ACT_NOTIFY" && rule.args.is_empty() => {
            names.index(j).no("with SCMP_ACT_NOTIFY the program could never be started")
        }
        _ => Ok(()),
    }
}

fn profile_fits(seccomp: &Seccomp, at: &At) -> Checked {
    errno_fits(&seccomp.default_action, seccomp.default_errno_ret, &at.key("defaultErrnoRet"))?;
    let all = seccomp.default_action == "SCMP_ACT_NOTIFY";
    at.key("defaultAction").refuse(all, || "SCMP_ACT_NOTIFY would also hold the calls that start the program")?;
    let place = at.key("listenerPath");
    let path = seccomp.listener_path.as_deref().unwrap_or("");
    if !path.is_empty() {
        absolute(path, &place)?;
        return place.refuse(!socket_fits(path), || SOCKET_TOO_LONG);
    }
    let notifies = seccomp.rules.iter().any(|rule| rule.action == "SCMP_ACT_NOTIFY");
    place.refuse(notifies, || "is missing: SCMP_ACT_NOTIFY asks the program that listens there")?;
    let (place, told) = (at.key("listenerMetadata"), seccomp.listener_metadata.is_some());
    place.refuse(told, || "is for the program that listens at listenerPath, which is missing")?;
    let waits = |flag: &String| flag.ends_with("WAIT_KILLABLE_RECV");
    match seccomp.flags.iter().flatten().position(waits) {
        Some(i) => at.key("flags").index(i).no("is for SCMP_ACT_NOTIFY, which no rule has"),
        None => Ok(()),
    }
}
