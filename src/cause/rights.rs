//! What a process may do: its ids, its capabilities, and whether a file's owner and mode let it (path_resolution(7),
//! capabilities(7)). May touch: system calls.

use super::scene::{Found, Scene};
use super::users::{self, Range};
use crate::host::procfs::field;
use crate::outcome::Lane;
use crate::plan::Op;
use crate::spec::{self, IdMapping, NamespaceKind, Spec};
use syscalls::{Call, Errno, Failed, Stat, Why};

/// Bits of a mode, for one class of users.
pub const EXECUTE: u32 = 1;
pub const READ: u32 = 4;

/// The name of the first user namespace (linux/proc_ns.h, PROC_USER_INIT_INO).
pub const FIRST: &str = "user:[4026531837]";

const ASK: Why = Why("a filter refuses the call whatever it asks for; the kernel refuses this in another way");

pub const SYS_ADMIN: u64 = 1 << 21;
const DAC_OVERRIDE: u64 = 1 << 1;
const DAC_READ_SEARCH: u64 = 1 << 2;

/// Who asks for a file, with ids as this process sees them, which are those that fstat(2) gives.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Person {
    pub uid: u32,
    pub gid: u32,
    pub groups: Vec<u32>,
    /// Effective ones, a bit each.
    pub capabilities: u64,
    /// Its user namespace; none if it is in ours.
    pub maps: Option<[Vec<Range>; 2]>,
}

impl Person {
    /// A process, as /proc tells it: `pid` 0 is this one.
    pub fn of(pid: i32) -> Option<Person> {
        let status = users::of_process(pid, "status")?;
        let ids = |key: &str| users_of(field(&status, key));
        let [uids, gids] = [ids("Uid"), ids("Gid")];
        let capabilities = u64::from_str_radix(field(&status, "CapEff"), 16).ok()?;
        let map = |name: &str| users::map_of(pid, name);
        let maps = match pid {
            0 => None,
            _ => map("uid_map").zip(map("gid_map")).map(|(uids, gids)| [uids, gids]),
        };
        // The fourth id is the one that counts for files.
        let (uid, gid) = (*uids.get(3)?, *gids.get(3)?);
        Some(Person { uid, gid, groups: ids("Groups"), capabilities, maps })
    }

    /// The program of a configuration, before there is a process. `None`: it joins a user namespace, or an id is not mapped.
    pub fn planned(spec: &Spec) -> Option<Person> {
        let (linux, process) = (&spec.linux, &spec.process);
        let ranges = |all: &Vec<IdMapping>| all.iter().map(Range::of).collect::<Vec<Range>>();
        let maps = match spec::namespace(linux, &NamespaceKind::User) {
            None => None,
            Some(one) if one.joined().is_some() => return None,
            Some(_) => Some([&linux.uid_mappings, &linux.gid_mappings].map(ranges)),
        };
        let of = |which: usize, id: u32| match &maps {
            None => Some(id),
            Some(maps) => users::outside(&maps[which], id),
        };
        let groups = process.user.additional_gids.iter().filter_map(|gid| of(1, *gid)).collect();
        let names = process.capabilities.effective.iter().filter(|name| process.capabilities.permitted.contains(name));
        let capabilities = names.filter_map(|name| spec::capability_number(name)).fold(0, |set, n| set | 1 << n);
        Some(Person { uid: of(0, process.user.uid)?, gid: of(1, process.user.gid)?, groups, capabilities, maps })
    }

    /// Whether it has a capability.
    pub fn has(&self, capability: u64) -> bool {
        self.capabilities & capability != 0
    }

    /// Whether it has a right over this file, which counts only if the owners have ids in its user namespace.
    fn has_over(&self, right: u64, stat: &Stat) -> bool {
        let mapped = |maps: &[Vec<Range>; 2]| {
            users::inside(&maps[0], stat.st_uid).is_some() && users::inside(&maps[1], stat.st_gid).is_some()
        };
        self.capabilities & right != 0 && self.maps.as_ref().is_none_or(mapped)
    }

    /// What the mode gives it: the class is the first that fits.
    fn class(&self, stat: &Stat) -> u32 {
        match stat {
            stat if stat.st_uid == self.uid => stat.st_mode >> 6 & 7,
            stat if stat.st_gid == self.gid || self.groups.contains(&stat.st_gid) => stat.st_mode >> 3 & 7,
            stat => stat.st_mode & 7,
        }
    }

    /// Whether owner and mode let it do this. An ACL can say otherwise, and a security module.
    pub fn may(&self, wanted: u32, stat: &Stat) -> bool {
        let is_dir = stat.st_mode & libc::S_IFMT == libc::S_IFDIR;
        if self.class(stat) & wanted == wanted {
            return true;
        }
        // A file that no user may execute is no program for root either.
        let some = wanted & EXECUTE == 0 || is_dir || stat.st_mode & 0o111 != 0;
        let searches = wanted & !(READ | EXECUTE) == 0 && (is_dir || wanted == READ);
        self.has_over(DAC_OVERRIDE, stat) && some || searches && self.has_over(DAC_READ_SEARCH, stat)
    }

    /// An id of the process's own, as a configuration names it.
    pub fn user(&self) -> String {
        shown(self.maps.as_ref().map(|maps| &maps[0]), self.uid)
    }

    /// `0:0`: user and group of a file, as the process sees them.
    pub fn owners(&self, stat: &Stat) -> String {
        let map = |which: usize| self.maps.as_ref().map(|maps| &maps[which]);
        format!("{}:{}", shown(map(0), stat.st_uid), shown(map(1), stat.st_gid))
    }
}

/// An id as the process sees it. The kernel shows 65534 for one that has no mapping.
fn shown(map: Option<&Vec<Range>>, id: u32) -> String {
    let inside = map.map_or(Some(id), |map| users::inside(map, id));
    inside.map_or("(not mapped)".into(), |id| format!("{id}"))
}

fn users_of(field: &str) -> Vec<u32> {
    field.split_ascii_whitespace().filter_map(|id| id.parse().ok()).collect()
}

/// A mode without the kind of file: `0644`.
pub fn mode(stat: &Stat) -> String {
    format!("{:04o}", stat.st_mode & 0o7777)
}

/// Which capability a call needs: a line each, with the calls.
const NEEDS: &str = include_str!("needs.txt");

/// The capability that a call needs, for the use that this program makes of it.
pub fn needed(call: &str) -> Option<&'static str> {
    let line =
        |line: &'static str| line.split_once(": ").filter(|(_, calls)| calls.split(' ').any(|word| word == call));
    NEEDS.lines().find_map(line).map(|(name, _)| name)
}

/// What remains of EPERM where no look has found another cause: a capability that is missing, or a filter of an outer container.
pub fn of(scene: &Scene) -> Option<Found> {
    let failed = scene.failed()?;
    let call = failed.call.name();
    let pid = asking(scene)?;
    let missing = match failed.errno {
        Errno::EPERM if call == "prctl" => secured(scene, pid),
        Errno::EPERM => {
            let network = scene.line.is_some_and(|line| matches!(line.op, Op::Network(_)));
            let name = if network { Some("CAP_NET_ADMIN") } else { needed(call) };
            name.and_then(|name| lacking(pid, call, name).or_else(|| of_the_machine(pid, call, name)))
        }
        Errno::ENOSYS => None,
        _ => return None,
    };
    missing.or_else(|| filtered(pid, call, failed.call, failed.errno))
}

/// A call outside of any plan that only a filter can have refused.
pub fn outside(failed: Failed) -> Option<Found> {
    let refused = [Errno::EPERM, Errno::ENOSYS].contains(&failed.errno);
    let known = || syscalls::answer(failed.call, ASK).is_some();
    (refused && known()).then(|| filtered(0, failed.call.name(), failed.call, failed.errno)).flatten()
}

/// prctl(2) refuses what the runtime asks of it for want of a capability, or since the caller's securebits forbid it.
fn secured(scene: &Scene, pid: i32) -> Option<Found> {
    const DROP: u64 = libc::PR_CAPBSET_DROP as u64;
    const KEEP: u64 = libc::PR_SET_KEEPCAPS as u64;
    const AMBIENT: u64 = libc::PR_CAP_AMBIENT as u64;
    let args = scene.record()?.args;
    let outer = || filtered(pid, "prctl", Call::named("prctl"), Errno::EPERM);
    match args[0] {
        DROP => lacking(pid, "prctl", "CAP_SETPCAP"),
        KEEP => outer().or_else(|| Some(Found::new("securebits of a user", &[]))),
        AMBIENT => {
            let status = users::of_process(pid, "status")?;
            let held =
                |key: &str| u64::from_str_radix(field(&status, key), 16).is_ok_and(|set| set >> args[2] & 1 != 0);
            let allowed = args[2] < 64 && held("CapPrm") && held("CapInh");
            outer().or_else(|| allowed.then(|| Found::new("securebits of ambient capabilities", &[])))
        }
        _ => None,
    }
}

/// A capability that counts in the first user namespace alone, and this process is in another.
fn of_the_machine(pid: i32, doing: &str, capability: &str) -> Option<Found> {
    let alone = ["CAP_SYS_NICE", "CAP_SYS_RESOURCE", "CAP_BPF"].contains(&capability);
    let inner = || users::link(pid, "ns/user").is_some_and(|name| name != FIRST);
    (alone && inner()).then(|| Found::new("capability of the machine", &[doing, capability]))
}

/// The process that made the call: 0 is this one.
pub fn asking(scene: &Scene) -> Option<i32> {
    match scene.lane {
        Lane::Host => Some(0),
        Lane::Init if scene.pid != 0 => Some(scene.pid),
        _ => None,
    }
}

/// The set in which a process lacks a capability: `pid` 0 is this one. `None`: it has it.
pub fn lacking(pid: i32, doing: &str, capability: &str) -> Option<Found> {
    let bit = 1 << spec::capability_number(capability)?;
    let status = users::of_process(pid, "status")?;
    let has = |key: &str| u64::from_str_radix(field(&status, key), 16).is_ok_and(|set| set & bit != 0);
    let set = match () {
        () if has("CapEff") => return None,
        () if !has("CapBnd") => "bounding",
        () if !has("CapPrm") => "permitted",
        () => "effective",
    };
    // From execve root has all of its bounding set, unless these bits are set, or no_new_privs.
    let uid = field(&status, "Uid").split_ascii_whitespace().nth(1);
    let gains = field(&status, "NoNewPrivs") != "1";
    if pid == 0 && set == "permitted" && uid == Some("0") && gains {
        return Some(Found::new("securebits of root", &[doing, capability]));
    }
    let who = if pid == 0 { "the runtime" } else { "the container's first process" };
    Some(Found::new("capability missing", &[doing, capability, set, who]))
}

/// A process is under a seccomp filter that this runtime has not set, and that answers the call with this errno.
pub fn filtered(pid: i32, doing: &str, call: Call, errno: Errno) -> Option<Found> {
    // The filter of the configuration is the last thing before execve.
    let has = |pid: i32| users::of_process(pid, "status").is_some_and(|status| field(&status, "Seccomp") == "2");
    let refuses = || syscalls::answer(call, ASK).is_none_or(|answer| answer == errno);
    (has(pid) && has(0) && refuses()).then(|| Found::new("outer filter", &[doing]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use syscalls::{At, AtFlags, Why};

    /// A file of these owners and this mode.
    fn stat(mode: u32, uid: u32, gid: u32) -> Stat {
        let found = syscalls::newfstatat(At::CWD, c"/", AtFlags::NONE, Why("a test"));
        let mut stat = found.unwrap_or_else(|failed| panic!("{failed:?}"));
        (stat.st_mode, stat.st_uid, stat.st_gid) = (mode, uid, gid);
        stat
    }

    fn person(uid: u32, capabilities: u64) -> Person {
        Person { uid, gid: uid, groups: Vec::from([50]), capabilities, maps: None }
    }

    #[test]
    fn the_first_class_that_fits_decides() {
        const FILE: u32 = libc::S_IFREG;
        for (mode, uid, gid, wanted) in [
            (0o700, 7, 1, true),
            (0o077, 7, 1, false),
            (0o010, 1, 7, true),
            (0o707, 1, 7, false),
            (0o010, 1, 50, true),
            (0o001, 1, 1, true),
            (0o770, 1, 1, false),
        ] {
            assert_eq!(person(7, 0).may(EXECUTE, &stat(FILE | mode, uid, gid)), wanted, "{mode:o} {uid} {gid}");
        }
    }

    #[test]
    fn rights_count_where_the_kernel_counts_them() {
        let (file, dir) = (|mode| stat(libc::S_IFREG | mode, 1, 1), |mode| stat(libc::S_IFDIR | mode, 1, 1));
        let (all, search) = (person(7, DAC_OVERRIDE), person(7, DAC_READ_SEARCH));
        assert!(all.may(EXECUTE, &file(0o100)) && !all.may(EXECUTE, &file(0o600)) && all.may(EXECUTE, &dir(0)));
        assert!(search.may(EXECUTE, &dir(0)) && !search.may(EXECUTE, &file(0o100)) && search.may(READ, &file(0)));
        let maps = Some([(); 2].map(|()| Vec::from([Range { inside: 0, outside: 100, count: 10 }])));
        let mapped = Person { maps, ..all };
        assert!(!mapped.may(EXECUTE, &file(0o100)) && mapped.may(EXECUTE, &stat(libc::S_IFREG | 0o100, 105, 100)));
        assert_eq!(mapped.owners(&stat(libc::S_IFREG, 105, 1)), "5:(not mapped)");
    }

    #[test]
    fn the_kernel_refuses_what_no_caller_may_ask() {
        for (name, errno) in [
            ("mount", Errno::EFAULT),
            ("umount2", Errno::EINVAL),
            ("clone3", Errno::E2BIG),
            ("openat2", Errno::E2BIG),
            ("unshare", Errno::EINVAL),
            ("setns", Errno::EBADF),
            ("setresuid", Errno(0)),
        ] {
            assert_eq!(syscalls::answer(Call::find(name).unwrap_or(Call::CLONE3), ASK), Some(errno), "{name}");
        }
        assert_eq!(syscalls::answer(Call::EXECVE, ASK), None);
    }

    #[test]
    fn needs_name_capabilities_and_calls() {
        for line in NEEDS.lines() {
            let (name, calls) = line.split_once(": ").unwrap_or_default();
            assert!(spec::capability_number(name).is_some(), "{name}");
            assert!(
                calls.split(' ').all(|call| (0..500).any(|number| syscalls::Call(number).name() == call)),
                "{calls}"
            );
        }
        assert_eq!((needed("setgroups"), needed("read")), (Some("CAP_SETGID"), None));
    }
}
