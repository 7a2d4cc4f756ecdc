//! config.json's `linux.seccomp` (config-linux.md, "Seccomp"): its types, and what of it can be wrong. May touch: serde.

use super::check::{Checked, no, no_nul};
use super::{Text, null_is_absent};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use serde::Deserialize;

#[derive(Deserialize, Default, Debug)]
#[serde(default, rename_all = "camelCase")]
pub struct Seccomp<'a> {
    pub default_action: String,
    pub default_errno_ret: Option<u32>,
    #[serde(deserialize_with = "null_is_absent")]
    pub architectures: Vec<String>,
    /// None at all is not an empty list: then the default flags count.
    pub flags: Option<Vec<String>>,
    pub listener_path: Option<String>,
    pub listener_metadata: Option<String>,
    #[serde(borrow, rename = "syscalls", deserialize_with = "null_is_absent")]
    pub rules: Vec<Rule<'a>>,
}

/// Calls by name, and what becomes of them if all conditions hold.
#[derive(Deserialize, Default, Debug)]
#[serde(default, rename_all = "camelCase")]
pub struct Rule<'a> {
    #[serde(borrow, deserialize_with = "null_is_absent")]
    pub names: Vec<Text<'a>>,
    pub action: String,
    pub errno_ret: Option<u32>,
    #[serde(deserialize_with = "null_is_absent")]
    pub args: Vec<Condition>,
}

/// A condition without index, value or operator would mean something else.
#[derive(Deserialize, Default, Debug, Clone)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    pub index: u32,
    pub value: u64,
    #[serde(default)]
    pub value_two: u64,
    pub op: String,
}

/// The actions, and what the kernel calls them (linux/seccomp.h).
pub const ACTIONS: [(&str, u32); 9] = [
    ("SCMP_ACT_ALLOW", 0x7fff_0000),
    ("SCMP_ACT_ERRNO", 0x0005_0000),
    ("SCMP_ACT_KILL", 0),
    ("SCMP_ACT_KILL_PROCESS", 0x8000_0000),
    ("SCMP_ACT_KILL_THREAD", 0),
    ("SCMP_ACT_LOG", 0x7ffc_0000),
    ("SCMP_ACT_NOTIFY", 0x7fc0_0000),
    ("SCMP_ACT_TRACE", 0x7ff0_0000),
    ("SCMP_ACT_TRAP", 0x0003_0000),
];

pub const OPERATORS: [&str; 7] =
    ["SCMP_CMP_EQ", "SCMP_CMP_GE", "SCMP_CMP_GT", "SCMP_CMP_LE", "SCMP_CMP_LT", "SCMP_CMP_MASKED_EQ", "SCMP_CMP_NE"];

/// The flags of seccomp(2), and their bits.
pub const FILTER_FLAGS: [(&str, u32); 4] = [
    ("SECCOMP_FILTER_FLAG_LOG", 2),
    ("SECCOMP_FILTER_FLAG_SPEC_ALLOW", 4),
    ("SECCOMP_FILTER_FLAG_TSYNC", 1),
    ("SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", 32),
];

/// Architectures whose calls are known here by number; then those that a filter may name, though no call of theirs can
/// ever be made on a machine that runs this program.
pub const ARCHES: [&str; 5] =
    ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32", "SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"];
pub const OTHER_ARCHES: [&str; 18] = [
    "SCMP_ARCH_LOONGARCH64",
    "SCMP_ARCH_M68K",
    "SCMP_ARCH_MIPS",
    "SCMP_ARCH_MIPS64",
    "SCMP_ARCH_MIPS64N32",
    "SCMP_ARCH_MIPSEL",
    "SCMP_ARCH_MIPSEL64",
    "SCMP_ARCH_MIPSEL64N32",
    "SCMP_ARCH_PARISC",
    "SCMP_ARCH_PARISC64",
    "SCMP_ARCH_PPC",
    "SCMP_ARCH_PPC64",
    "SCMP_ARCH_PPC64LE",
    "SCMP_ARCH_RISCV64",
    "SCMP_ARCH_S390",
    "SCMP_ARCH_S390X",
    "SCMP_ARCH_SH",
    "SCMP_ARCH_SHEB",
];

const AT: &str = "/linux/seccomp";

fn check_action(at: &str, action: &str, errno: Option<u32>, errno_at: &str) -> Checked {
    if !ACTIONS.iter().any(|(name, _)| *name == action) {
        return no(at, format!("`{action}` is no action of seccomp"));
    }
    match errno {
        Some(_) if !matches!(action, "SCMP_ACT_ERRNO" | "SCMP_ACT_TRACE") => {
            no(errno_at, format!("is for SCMP_ACT_ERRNO and SCMP_ACT_TRACE, not for {action}"))
        }
        Some(errno) if action == "SCMP_ACT_ERRNO" && errno > 4095 => {
            no(errno_at, format!("{errno} is no errno: the largest is 4095"))
        }
        Some(data) if data > 0xffff => no(errno_at, format!("{data} has more than 16 bits")),
        _ => Ok(()),
    }
}

pub fn check(seccomp: &Seccomp) -> Checked {
    check_action(
        &format!("{AT}/defaultAction"),
        &seccomp.default_action,
        seccomp.default_errno_ret,
        &format!("{AT}/defaultErrnoRet"),
    )?;
    for (i, arch) in seccomp.architectures.iter().enumerate() {
        let known = |list: &[&str]| list.contains(&arch.as_str());
        if !known(&ARCHES) && !known(&OTHER_ARCHES) {
            return no(format!("{AT}/architectures/{i}"), format!("`{arch}` is no architecture of seccomp"));
        }
    }
    for (i, flag) in seccomp.flags.iter().flatten().enumerate() {
        if !FILTER_FLAGS.iter().any(|(name, _)| name == flag) {
            return no(format!("{AT}/flags/{i}"), format!("`{flag}` is no flag of seccomp(2)"));
        }
    }
    let mut notifies = seccomp.default_action == "SCMP_ACT_NOTIFY";
    if notifies {
        return no(format!("{AT}/defaultAction"), "SCMP_ACT_NOTIFY would also hold the calls that start the program");
    }
    for (i, rule) in seccomp.rules.iter().enumerate() {
        check_rule(&format!("{AT}/syscalls/{i}"), rule)?;
        notifies |= rule.action == "SCMP_ACT_NOTIFY";
    }
    check_listener(seccomp, notifies)
}

fn check_rule(at: &str, rule: &Rule) -> Checked {
    check_action(&format!("{at}/action"), &rule.action, rule.errno_ret, &format!("{at}/errnoRet"))?;
    if rule.names.is_empty() {
        return no(format!("{at}/names"), "is missing or empty");
    }
    if let Some(j) = rule.names.iter().position(|name| name.is_empty()) {
        return no(format!("{at}/names/{j}"), "is empty: it names a call");
    }
    for (j, condition) in rule.args.iter().enumerate() {
        let at = format!("{at}/args/{j}");
        if condition.index > 5 {
            return no(format!("{at}/index"), format!("{} is no argument: a call has six, from 0", condition.index));
        }
        if !OPERATORS.contains(&condition.op.as_str()) {
            return no(format!("{at}/op"), format!("`{}` is no operator of seccomp", condition.op));
        }
    }
    let execve = |name: &Text| matches!(&**name, "execve" | "exit_group");
    match rule.names.iter().position(execve) {
        // The listener is told by the runtime; a call that itself waits for it would wait for ever.
        Some(j) if rule.action == "SCMP_ACT_NOTIFY" && rule.args.is_empty() => {
            no(format!("{at}/names/{j}"), "with SCMP_ACT_NOTIFY the program could never be started")
        }
        _ => Ok(()),
    }
}

fn check_listener(seccomp: &Seccomp, notifies: bool) -> Checked {
    let path = seccomp.listener_path.as_deref().unwrap_or("");
    if path.is_empty() {
        if notifies {
            return no(format!("{AT}/listenerPath"), "is missing: SCMP_ACT_NOTIFY asks whoever listens there");
        }
        if seccomp.listener_metadata.is_some() {
            return no(format!("{AT}/listenerMetadata"), "is for whoever listens at listenerPath, which is missing");
        }
        let waits = |flag: &String| flag.ends_with("WAIT_KILLABLE_RECV");
        return match seccomp.flags.iter().flatten().position(waits) {
            Some(i) => no(format!("{AT}/flags/{i}"), "is for SCMP_ACT_NOTIFY, which no rule has"),
            None => Ok(()),
        };
    }
    if !path.starts_with('/') {
        return no(format!("{AT}/listenerPath"), format!("`{path}` must be an absolute path"));
    }
    if !super::socket_fits(path) {
        return no(format!("{AT}/listenerPath"), super::SOCKET_TOO_LONG);
    }
    no_nul(|| format!("{AT}/listenerPath"), path)
}
