//! What is here: facts about this machine and the caller that a plan may depend on. May touch: the auxiliary vector, system
//! calls.

pub mod cgroup;
pub mod dbus;
pub mod input;
pub mod mountinfo;
pub mod patience;
pub mod procfs;
pub mod systemd;
pub mod time;

use crate::outcome::Error;
use syscalls::{At, Why};

/// The name of the machine's first user namespace, which has a fixed number (linux/proc_ns.h, PROC_USER_INIT_INO).
const FIRST: &[u8] = b"user:[4026531837]";

/// The value of an environment variable.
pub fn environment(name: &str) -> Option<&'static str> {
    syscalls::variable(name)?.to_str().ok()
}

/// A text of uname(2)'s.
pub fn text(field: &[libc::c_char]) -> String {
    field.iter().take_while(|c| **c != 0).map(|c| *c as u8 as char).collect()
}

/// What a plan may know of the caller.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Host {
    /// The effective user id of the caller (getauxval(3), AT_EUID): no system call.
    pub uid: u32,
    pub gid: u32,
    /// The caller is not in the machine's first user namespace: root is not the machine's root.
    pub nested: bool,
    /// The kernel forbids setting groups there, and in user namespaces below (user_namespaces(7), /proc/PID/setgroups).
    pub no_groups: bool,
    looked: bool,
}

impl Host {
    pub fn probe() -> Host {
        Host { uid: syscalls::auxv(libc::AT_EUID) as u32, gid: syscalls::auxv(libc::AT_EGID) as u32, ..Host::default() }
    }

    /// What stands before the path of a cgroup that is not named from the hierarchy's root: empty for root. An ordinary user's
    /// cgroup goes beside the caller's own one, which holds processes and so hands no controllers down (cgroup-v2.rst, "No
    /// Internal Process Constraint"). Empty, or a path that ends in `/`.
    pub fn cgroup_base(&self) -> String {
        if self.uid == 0 {
            return String::new();
        }
        let why = Why("the cgroups around the caller's own may be delegated to this user");
        let own = cgroup::read(At::CWD, c"/proc/self/cgroup", why).unwrap_or_default();
        let line = own.lines().find_map(|line| line.strip_prefix("0::/"));
        let above = line.and_then(|path| path.rsplit_once('/'));
        above.map_or_else(String::new, |(above, _)| format!("{above}/"))
    }

    /// Looks once whether root here is root of the machine. If neither the kernel's log nor /proc tells, it is.
    pub fn look(&mut self) {
        if core::mem::replace(&mut self.looked, true) {
            return;
        }
        // It costs less than the link of procfs, but a container's root may lack CAP_SYSLOG.
        let why = Why("it does nothing, and only root of the machine may: root of a user namespace has no devices");
        if self.uid == 0 && syscalls::syslog_open(why).is_ok() {
            return;
        }
        let why = Why("in a user namespace root may not make devices, and may have no cgroup");
        let mut link = [0u8; 40];
        let read = syscalls::readlinkat(At::CWD, c"/proc/self/ns/user", &mut link, why);
        self.nested = read.is_ok_and(|name| name != FIRST);
        if self.nested {
            let why = Why("a user namespace that an ordinary user has made denies groups as a rule");
            let word = cgroup::read(At::CWD, c"/proc/self/setgroups", why);
            self.no_groups = word.is_ok_and(|word| word.trim() == "deny");
        }
    }
}

/// The state root of the machine's root.
pub const STATE_ROOT: &str = "/run/nano-sandbox";

/// The directory for the state of all containers: `--root`, or the default for this user. An engine without root calls this
/// program as root of a user namespace, sometimes with HOME and sometimes without, so there XDG_RUNTIME_DIR counts.
pub fn root_path(
    given: Option<&str>,
    host: &mut Host,
    environment: impl Fn(&str) -> Option<&'static str>,
) -> Result<String, Error> {
    let runtime_dir = environment("XDG_RUNTIME_DIR").filter(|dir| dir.starts_with('/'));
    match (given, runtime_dir) {
        (Some(""), _) => return Err(Error::Usage("--root: a directory is needed".into())),
        (Some(path), _) => return Ok(path.into()),
        (None, Some(dir)) if host.uid == 0 => {
            host.look();
            if host.nested {
                return Ok(format!("{dir}/nano-sandbox"));
            }
        }
        _ => {}
    }
    if host.uid == 0 {
        return Ok(STATE_ROOT.into());
    }
    if let Some(home) = environment("HOME").filter(|home| home.starts_with('/')) {
        return Ok(format!("{home}/.local/share/nano-sandbox/run"));
    }
    match runtime_dir {
        Some(dir) => Ok(format!("{dir}/nano-sandbox")),
        None => Err(Error::Usage("neither HOME nor XDG_RUNTIME_DIR says where state belongs: use --root DIR".into())),
    }
}
