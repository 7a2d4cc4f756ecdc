//! What /proc says of one process (proc(5)): ids, capabilities, descriptors, limits and the rest. May touch: system calls,
//! procfs.

use super::cgroup::Group;
use super::devices::Devices;
use super::mounts::{self, Mount};
use super::namespaces::{self, Namespace};
use super::proc::Proc;
use super::seccomp::Profile;
use crate::cause::users::{Range, ranges};
use crate::host::procfs::field;
use crate::sorted;
use crate::spec;
use alloc::ffi::CString;
use serde::Serialize;
use syscalls::{Errno, Result, Why};

/// What is known of a process, and of what it is in.
#[derive(Serialize, Default)]
#[serde(rename_all = "camelCase")]
pub struct Facts {
    pub namespaces: Vec<Namespace>,
    pub mounts: Vec<Mount>,
    pub users: Users,
    pub capabilities: Capabilities,
    pub no_new_privileges: bool,
    pub seccomp: Filters,
    pub cgroup: Group,
    pub devices: Devices,
    pub descriptors: Vec<Descriptor>,
    /// The terminal that controls it; none if no terminal does.
    pub terminal: Option<String>,
    pub process: Program,
    pub limits: Vec<Limit>,
    pub scheduling: Scheduling,
    pub oom: Oom,
    /// What a security module calls it; none without such a module.
    pub label: Option<String>,
    pub interfaces: Vec<String>,
    /// What this user may not read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hidden: Vec<String>,
}

#[derive(Serialize, Default)]
#[serde(rename_all = "camelCase")]
pub struct Users {
    /// As the caller sees them: real, effective, saved and of file systems.
    pub uids: Vec<u32>,
    pub gids: Vec<u32>,
    pub groups: Vec<u32>,
    pub uid_map: Vec<Range>,
    pub gid_map: Vec<Range>,
    /// False: the kernel forbids it to set its groups.
    pub may_set_groups: bool,
}

#[derive(Serialize, Default, Clone, PartialEq, Eq)]
pub struct Capabilities {
    pub bounding: Vec<&'static str>,
    pub permitted: Vec<&'static str>,
    pub effective: Vec<&'static str>,
    pub inheritable: Vec<&'static str>,
    pub ambient: Vec<&'static str>,
}

impl Capabilities {
    pub fn sets(&self) -> [(&'static str, &[&'static str]); 5] {
        [
            ("bounding", &self.bounding),
            ("permitted", &self.permitted),
            ("effective", &self.effective),
            ("inheritable", &self.inheritable),
            ("ambient", &self.ambient),
        ]
    }
}

#[derive(Serialize, Default)]
pub struct Filters {
    /// `none`, `strict` or `filter`.
    pub mode: &'static str,
    pub filters: u32,
    /// The configuration's profile; none if there is none.
    pub profile: Option<Profile>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    pub number: u32,
    /// A path, or the kernel's name for what has none.
    pub target: String,
    pub kind: &'static str,
    /// execve closes it.
    pub close_on_exec: bool,
    /// The file lies on a mount that is none of the process's: it was opened outside, and handed on.
    pub outside: bool,
}

#[derive(Serialize, Default)]
pub struct Program {
    pub executable: Option<String>,
    pub arguments: Vec<String>,
    /// The working directory.
    pub directory: Option<String>,
    pub root: Option<String>,
    pub umask: String,
    /// The names of the variables: values can be secret.
    pub environment: Vec<String>,
}

#[derive(Serialize, PartialEq, Eq)]
pub struct Limit {
    pub name: &'static str,
    pub soft: String,
    pub hard: String,
    /// Where config.json asks for it.
    pub pointer: Option<String>,
}

#[derive(Serialize, Default)]
pub struct Scheduling {
    pub policy: &'static str,
    pub nice: i32,
    pub priority: u32,
    pub processors: String,
    pub nodes: String,
}

#[derive(Serialize, Default)]
pub struct Oom {
    /// From -1000, never chosen, to 1000, chosen first.
    pub adjustment: i32,
    pub score: i32,
}

/// Everything that /proc says of a process.
pub fn facts(proc: &Proc) -> Result<Facts> {
    let why = Why("the kernel tells there what the process may do");
    let status = proc.text(c"status", why)?.unwrap_or_default();
    let mounts = mounts::of(proc)?;
    let mut facts = Facts {
        namespaces: namespaces::of(proc)?,
        users: users(proc, &status)?,
        capabilities: capabilities(&status),
        no_new_privileges: field(&status, "NoNewPrivs") == "1",
        seccomp: filters(&status),
        descriptors: descriptors(proc, &mounts)?,
        process: program(proc, &status)?,
        limits: limits(proc)?,
        oom: oom(proc)?,
        label: label(proc)?,
        interfaces: interfaces(proc)?,
        mounts,
        ..Facts::default()
    };
    scheduling(proc, &status, &mut facts)?;
    facts.cgroup.path = cgroup_path(proc)?;
    facts.hidden = proc.hidden();
    Ok(facts)
}

/// What changes most while a container is made, in few calls: the rest is empty.
pub fn brief(proc: &Proc) -> Result<Facts> {
    let why = Why("the kernel tells there what the process may do");
    let status = proc.text(c"status", why)?.unwrap_or_default();
    let ids = |key: &str| field(&status, key).split_whitespace().map(number).collect();
    let mut facts = Facts {
        namespaces: namespaces::of(proc)?,
        users: Users { uids: ids("Uid"), gids: ids("Gid"), groups: ids("Groups"), ..Users::default() },
        capabilities: capabilities(&status),
        no_new_privileges: field(&status, "NoNewPrivs") == "1",
        seccomp: filters(&status),
        mounts: mounts::of(proc)?,
        process: Program {
            directory: proc.link(c"cwd", Why("the directory in which it works"))?,
            root: proc.link(c"root", Why("where its paths begin"))?,
            umask: field(&status, "Umask").into(),
            ..Program::default()
        },
        ..Facts::default()
    };
    facts.cgroup.path = cgroup_path(proc)?;
    facts.hidden = proc.hidden();
    Ok(facts)
}

fn number(text: &str) -> u32 {
    text.parse().unwrap_or(0)
}

fn users(proc: &Proc, status: &str) -> Result<Users> {
    let numbers = |key: &str| field(status, key).split_whitespace().map(number).collect();
    let why = Why("the ids inside and outside of its user namespace stand there");
    let map = |name| -> Result<Vec<Range>> { Ok(ranges(&proc.text(name, why)?.unwrap_or_default())) };
    let why = Why("where groups may not be set, membership of a group can hold a process back");
    let word = proc.text(c"setgroups", why)?.unwrap_or_default();
    Ok(Users {
        uids: numbers("Uid"),
        gids: numbers("Gid"),
        groups: numbers("Groups"),
        uid_map: map(c"uid_map")?,
        gid_map: map(c"gid_map")?,
        may_set_groups: word.trim() != "deny",
    })
}

/// The names of a set of capabilities, which the kernel writes as a hexadecimal number.
pub fn set_of(hex: &str) -> Vec<&'static str> {
    let bits = u64::from_str_radix(hex, 16).unwrap_or(0);
    let all = spec::CAPABILITIES.iter().enumerate();
    all.filter(|(i, _)| bits & 1 << i != 0).map(|(_, name)| *name).collect()
}

fn capabilities(status: &str) -> Capabilities {
    let set = |key: &str| set_of(field(status, key));
    Capabilities {
        bounding: set("CapBnd"),
        permitted: set("CapPrm"),
        effective: set("CapEff"),
        inheritable: set("CapInh"),
        ambient: set("CapAmb"),
    }
}

fn filters(status: &str) -> Filters {
    let mode = match field(status, "Seccomp") {
        "1" => "strict",
        "2" => "filter",
        _ => "none",
    };
    Filters { mode, filters: number(field(status, "Seccomp_filters")), profile: None }
}

/// What a descriptor is, by the beginning of the kernel's name for it.
const KINDS: [(&str, &str); 10] = [
    ("/dev/pts/", "terminal"),
    ("/dev/tty", "terminal"),
    ("/dev/console", "terminal"),
    ("/dev/", "device"),
    ("/", "file"),
    ("pipe:", "pipe"),
    ("socket:", "socket"),
    ("anon_inode:", "kernel object"),
    ("net:", "namespace"),
    ("mnt:", "namespace"),
];

fn descriptors(proc: &Proc, mounts: &[Mount]) -> Result<Vec<Descriptor>> {
    let why = Why("what a process holds open it can use, whatever its root is");
    let names = proc.names(c"fd", why)?.unwrap_or_default();
    let mut all = Vec::new();
    for name in names {
        let path = |folder: &str| CString::new(format!("{folder}/{name}")).unwrap_or_default();
        // The process may have closed it meanwhile; of the process that looks, the directory itself is one.
        let Some(target) = proc.link(&path("fd"), why)? else {
            continue;
        };
        let info = proc.text(&path("fdinfo"), Why("the flags of a descriptor, and its mount"))?.unwrap_or_default();
        let flags = u32::from_str_radix(field(&info, "flags"), 8).unwrap_or(0);
        let mount = number(field(&info, "mnt_id"));
        let kind = KINDS.iter().find(|(begin, _)| target.starts_with(begin)).map_or("other", |(_, kind)| kind);
        all.push(Descriptor {
            number: number(&name),
            kind,
            close_on_exec: flags & libc::O_CLOEXEC as u32 != 0,
            outside: target.starts_with('/') && !mounts.iter().any(|one| one.id == mount),
            target,
        });
    }
    sorted::by(&mut all, |a, b| a.number < b.number);
    Ok(all)
}

fn program(proc: &Proc, status: &str) -> Result<Program> {
    let words = |text: String| -> Vec<String> { text.split_terminator('\0').map(String::from).collect() };
    let arguments = proc.text(c"cmdline", Why("what the program was called with"))?.map(words);
    let why = Why("the names of variables; a value can be a secret, and is not kept");
    let environment = proc.text(c"environ", why)?.map(words).unwrap_or_default();
    let mut names: Vec<String> =
        environment.iter().filter_map(|one| one.split_once('=')).map(|(name, _)| name.into()).collect();
    sorted::sort(&mut names);
    names.dedup();
    Ok(Program {
        executable: proc.link(c"exe", Why("the program that runs there"))?,
        arguments: arguments.unwrap_or_default(),
        directory: proc.link(c"cwd", Why("the directory in which it works"))?,
        root: proc.link(c"root", Why("where its paths begin"))?,
        umask: field(status, "Umask").into(),
        environment: names,
    })
}

/// The columns of /proc/PID/limits: a name, two numbers or `unlimited`, a unit. The kernel writes them in the order of their
/// numbers.
fn limits(proc: &Proc) -> Result<Vec<Limit>> {
    let why = Why("the limits of the process alone (setrlimit(2))");
    let text = proc.text(c"limits", why)?.unwrap_or_default();
    let lines = text.lines().skip(1).zip(spec::RLIMITS);
    let column = |line: &str, begin, end| String::from(line.get(begin..end).unwrap_or("").trim());
    let limit = |(line, name)| Limit { name, soft: column(line, 26, 47), hard: column(line, 47, 68), pointer: None };
    Ok(lines.map(limit).collect())
}

/// Fields of /proc/PID/stat, counted after the name (proc_pid_stat(5)).
const TERMINAL: usize = 4;
const NICE: usize = 16;
const PRIORITY: usize = 37;
const POLICY: usize = 38;

fn scheduling(proc: &Proc, status: &str, facts: &mut Facts) -> Result<()> {
    let stat = proc.text(c"stat", Why("how it is scheduled, and which terminal controls it"))?.unwrap_or_default();
    // The name can hold any bytes.
    let fields: Vec<&str> = stat.rsplit_once(") ").map_or(Vec::new(), |(_, rest)| rest.split(' ').collect());
    let at = |at: usize| fields.get(at).copied().unwrap_or("");
    let policy = number(at(POLICY));
    facts.scheduling = Scheduling {
        policy: spec::POLICIES.iter().find(|(_, known)| *known == policy).map_or("", |(name, _)| name),
        nice: at(NICE).parse().unwrap_or(0),
        priority: number(at(PRIORITY)),
        processors: field(status, "Cpus_allowed_list").into(),
        nodes: field(status, "Mems_allowed_list").into(),
    };
    let device: i64 = at(TERMINAL).parse().unwrap_or(0);
    facts.terminal = (device != 0).then(|| terminal(device as u32));
    Ok(())
}

/// The name of a terminal, by its device number (admin-guide/devices.txt): 136 to 143 are those of devpts.
fn terminal(device: u32) -> String {
    let (major, minor) = (libc::major(device.into()), libc::minor(device.into()));
    match major {
        136..=143 => format!("/dev/pts/{}", minor + (major - 136) * 256),
        4 => format!("/dev/tty{minor}"),
        _ => format!("device {major}:{minor}"),
    }
}

fn oom(proc: &Proc) -> Result<Oom> {
    let why = Why("by this the kernel chooses what it kills when memory runs out");
    let read = |name| -> Result<i32> { Ok(proc.text(name, why)?.unwrap_or_default().trim().parse().unwrap_or(0)) };
    Ok(Oom { adjustment: read(c"oom_score_adj")?, score: read(c"oom_score")? })
}

/// Without a security module, the kernel refuses the read.
fn label(proc: &Proc) -> Result<Option<String>> {
    let why = Why("a security module such as AppArmor or SELinux judges the process by this label");
    match proc.text(c"attr/current", why) {
        Err(failed) if failed.errno == Errno::EINVAL => Ok(None),
        read => {
            Ok(read?.map(|text| text.trim_end_matches(['\0', '\n']).into()).filter(|text: &String| !text.is_empty()))
        }
    }
}

fn interfaces(proc: &Proc) -> Result<Vec<String>> {
    let why = Why("the interfaces of its network namespace");
    let text = proc.text(c"net/dev", why)?.unwrap_or_default();
    Ok(text.lines().filter_map(|line| line.split_once(':')).map(|(name, _)| name.trim().into()).collect())
}

fn cgroup_path(proc: &Proc) -> Result<String> {
    let why = Why("the cgroup that limits the process");
    let text = proc.text(c"cgroup", why)?.unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("0::"));
    Ok(line.unwrap_or("").into())
}

#[cfg(test)]
mod tests {
    use super::terminal;

    #[test]
    fn terminals_have_names() {
        assert_eq!(terminal(libc::makedev(136, 3) as u32), "/dev/pts/3");
        assert_eq!(terminal(libc::makedev(4, 1) as u32), "/dev/tty1");
        assert_eq!(terminal(libc::makedev(5, 1) as u32), "device 5:1");
    }
}
