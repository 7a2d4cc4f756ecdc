//! What a process may do: ids, groups, capabilities, no_new_privs, filters, limits. capabilities(7) has the rules. May touch: the
//! list of capabilities.

use super::change::{Change, Kind, SETS};
use super::deed::Deed;
use super::words::{flag, list, member, number};
use crate::sorted::Table;
use crate::spec::{CAPABILITIES, capability_number};

/// All capabilities that there are.
pub const ALL: u64 = (1 << CAPABILITIES.len()) - 1;

/// Places in [`SETS`].
const INHERITABLE: usize = 0;
const PERMITTED: usize = 1;
const EFFECTIVE: usize = 2;
const BOUNDING: usize = 3;
const AMBIENT: usize = 4;

/// An id that no call has told.
pub const UNKNOWN: u32 = u32::MAX;
/// What an id without a mapping shows as.
pub const OVERFLOW: u32 = 65534;

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rights {
    /// Real, effective and saved.
    pub uids: [u32; 3],
    pub gids: [u32; 3],
    /// None: no call has told them.
    pub groups: Option<Vec<u32>>,
    /// In the order of [`SETS`].
    pub capabilities: [u64; 5],
    pub keep_capabilities: bool,
    /// SECBIT_NOROOT: user 0 gets nothing for its number.
    pub no_root: bool,
    pub no_new_privs: bool,
    /// How many seccomp filters stand before each call.
    pub filters: u32,
    /// What was set with setrlimit: soft and hard.
    pub limits: Table<String, String>,
}

impl Default for Rights {
    /// Those of a process that no call has told about: root's.
    fn default() -> Rights {
        Rights {
            uids: [UNKNOWN; 3],
            gids: [UNKNOWN; 3],
            groups: None,
            capabilities: [0, ALL, ALL, ALL, 0],
            keep_capabilities: false,
            no_root: false,
            no_new_privs: false,
            filters: 0,
            limits: Table::default(),
        }
    }
}

impl Rights {
    /// In a new user namespace a process has all capabilities, and ids without a mapping.
    pub fn enter_user_namespace(&mut self) {
        self.capabilities = [0, ALL, ALL, ALL, 0];
        self.keep_capabilities = false;
        self.no_root = false;
    }

    /// What `execve` of a program without capabilities of its own leaves.
    pub fn execute(&mut self) {
        let [inheritable, permitted, _, bounding, ambient] = self.capabilities;
        let root = self.uids[0] == 0 || self.uids[1] == 0 || self.uids[1] == UNKNOWN;
        let mut gained = ambient;
        if root && !self.no_root {
            gained |= inheritable | bounding;
        }
        if self.no_new_privs {
            gained &= permitted;
        }
        let all = self.uids[1] == 0 || self.uids[1] == UNKNOWN;
        self.capabilities[PERMITTED] = gained;
        self.capabilities[EFFECTIVE] = if all && !self.no_root { gained } else { ambient };
        self.keep_capabilities = false;
        self.uids[2] = self.uids[1];
        self.gids[2] = self.gids[1];
    }

    /// What the change of user ids does to capabilities.
    fn change_uids(&mut self, now: [u32; 3]) {
        let before = self.uids.map(|id| if id == UNKNOWN { 0 } else { id });
        self.uids = now;
        if self.no_root {
            return;
        }
        if before.contains(&0) && !now.contains(&0) {
            self.capabilities[AMBIENT] = 0;
            if !self.keep_capabilities {
                self.capabilities[PERMITTED] = 0;
                self.capabilities[EFFECTIVE] = 0;
            }
        }
        if before[1] == 0 && now[1] != 0 {
            self.capabilities[EFFECTIVE] = 0;
        }
        if before[1] != 0 && now[1] == 0 {
            self.capabilities[EFFECTIVE] = self.capabilities[PERMITTED];
        }
    }

    /// Takes a call that is about rights. Whether it is one.
    pub fn take(&mut self, deed: &Deed) -> bool {
        match deed.name {
            "setresuid" | "setreuid" | "setuid" => {
                let now = ids(self.uids, deed, self.capabilities[EFFECTIVE] >> SETUID & 1 == 1);
                self.change_uids(now);
            }
            "setresgid" | "setregid" | "setgid" => {
                self.gids = ids(self.gids, deed, self.capabilities[EFFECTIVE] >> SETGID & 1 == 1);
            }
            "setgroups" => self.groups = Some(list(deed.arg(1)).iter().filter_map(|id| id.parse().ok()).collect()),
            "getgroups" if deed.result > 0 => {
                let told: Vec<u32> = list(deed.arg(1)).iter().filter_map(|id| id.parse().ok()).collect();
                self.groups.get_or_insert(told);
            }
            "getuid" => tell(&mut self.uids, 0, deed),
            "geteuid" => tell(&mut self.uids, 1, deed),
            "getgid" => tell(&mut self.gids, 0, deed),
            "getegid" => tell(&mut self.gids, 1, deed),
            "capset" => {
                for (set, name) in [(EFFECTIVE, "effective"), (PERMITTED, "permitted"), (INHERITABLE, "inheritable")] {
                    if let Some(text) = member(deed.arg(1), name) {
                        self.capabilities[set] = mask(text);
                    }
                }
                // The ambient set holds nothing that is not both permitted and inheritable.
                self.capabilities[AMBIENT] &= self.capabilities[PERMITTED] & self.capabilities[INHERITABLE];
            }
            "prctl" => return self.prctl(deed),
            "seccomp" if deed.arg(0).starts_with("SECCOMP_SET_MODE") => self.filters += 1,
            "prlimit64" if deed.arg(2) != "NULL" => self.limit(deed.arg(1), deed.arg(2)),
            "setrlimit" => self.limit(deed.arg(0), deed.arg(1)),
            _ => return false,
        }
        true
    }

    fn prctl(&mut self, deed: &Deed) -> bool {
        let on = deed.arg(1) != "0";
        let capability = |i: usize| capability_number(deed.arg(i)).map_or(0, |number| 1 << number);
        match deed.arg(0) {
            "PR_CAPBSET_DROP" => self.capabilities[BOUNDING] &= !capability(1),
            "PR_CAPBSET_READ" if deed.result == 0 => self.capabilities[BOUNDING] &= !capability(1),
            "PR_SET_KEEPCAPS" => self.keep_capabilities = on,
            "PR_SET_SECUREBITS" => {
                self.no_root = flag(deed.arg(1), "SECBIT_NOROOT");
                self.keep_capabilities = flag(deed.arg(1), "SECBIT_KEEP_CAPS");
            }
            "PR_SET_NO_NEW_PRIVS" => self.no_new_privs = on,
            "PR_SET_SECCOMP" => self.filters += 1,
            "PR_CAP_AMBIENT" => match deed.arg(1) {
                "PR_CAP_AMBIENT_RAISE" => self.capabilities[AMBIENT] |= capability(2),
                "PR_CAP_AMBIENT_LOWER" => self.capabilities[AMBIENT] &= !capability(2),
                "PR_CAP_AMBIENT_CLEAR_ALL" => self.capabilities[AMBIENT] = 0,
                _ => return false,
            },
            _ => return false,
        }
        true
    }

    fn limit(&mut self, name: &str, value: &str) {
        let part = |name| member(value, name).unwrap_or("?");
        self.limits.insert(name.into(), format!("{} {}", part("rlim_cur"), part("rlim_max")));
    }

    /// What has changed since `before`.
    pub fn changes(&self, before: &Rights, pid: i32) -> Vec<Change> {
        let mut all = Vec::new();
        let mut put = |key: &str, now: String| all.push(Change::new(Kind::Right, pid, key, Some(now)));
        if self.uids != before.uids {
            put("user", shown_ids(&self.uids));
        }
        if self.gids != before.gids {
            put("group", shown_ids(&self.gids));
        }
        if self.groups != before.groups {
            put("groups", self.shown_groups());
        }
        for (set, name) in SETS.split(' ').enumerate() {
            if self.capabilities[set] != before.capabilities[set] {
                put(name, shown(self.capabilities[set]));
            }
        }
        if self.no_new_privs != before.no_new_privs {
            put("no_new_privs", "1".into());
        }
        if self.filters != before.filters {
            put("seccomp filters", self.filters.to_string());
        }
        for (name, value) in self.limits.iter().filter(|(name, value)| before.limits.get(name) != Some(value)) {
            put(name, value.clone());
        }
        all
    }

    pub fn shown_groups(&self) -> String {
        let Some(groups) = &self.groups else { return "?".into() };
        let all: Vec<String> = groups.iter().map(u32::to_string).collect();
        if all.is_empty() { "none".into() } else { all.join(" ") }
    }
}

const SETGID: u32 = 6;
const SETUID: u32 = 7;

/// One number where all are the same; otherwise real, effective and saved.
pub fn shown_ids(ids: &[u32; 3]) -> String {
    let one = |id: &u32| if *id == UNKNOWN { "?".into() } else { id.to_string() };
    match ids {
        [real, effective, saved] if real == effective && effective == saved => one(real),
        _ => ids.iter().map(one).collect::<Vec<_>>().join(" "),
    }
}

/// `none`, `all`, `all but ...`, or the names.
pub fn shown(set: u64) -> String {
    let names = |set: u64| {
        let all = CAPABILITIES.iter().enumerate().filter(|(number, _)| set >> number & 1 == 1);
        all.map(|(_, name)| name.trim_start_matches("CAP_")).collect::<Vec<_>>().join(" ")
    };
    match (set, ALL & !set) {
        (0, _) => "none".into(),
        (_, 0) => "all".into(),
        (_, missing) if missing.count_ones() < 4 => format!("all but {}", names(missing)),
        _ => names(set),
    }
}

/// A set of capabilities from their names.
pub fn of_names(names: &[&str]) -> u64 {
    names.iter().filter_map(|name| capability_number(name)).fold(0, |all, number| all | 1 << number)
}

/// `1<<CAP_KILL|1<<CAP_CHOWN`, or a number.
fn mask(text: &str) -> u64 {
    let bit = |word: &str| match word.trim().strip_prefix("1<<") {
        Some(name) => capability_number(name).map_or(0, |number| 1 << number),
        None => number(word.trim()).map_or(0, |bits| bits as u64),
    };
    text.split('|').map(bit).fold(0, |all, bit| all | bit) & ALL
}

/// The ids after a call that sets them. `all`: the process may set each of them.
fn ids(before: [u32; 3], deed: &Deed, all: bool) -> [u32; 3] {
    let given = |i: usize| number(deed.arg(i)).and_then(|id| u32::try_from(id).ok()).filter(|id| *id != u32::MAX);
    match deed.args.len() {
        3 => core::array::from_fn(|i| given(i).unwrap_or(before[i])),
        2 => {
            let (real, effective) = (given(0).unwrap_or(before[0]), given(1).unwrap_or(before[1]));
            let saved = if given(0).is_some() || effective != before[0] { effective } else { before[2] };
            [real, effective, saved]
        }
        _ => match (given(0), all) {
            (Some(id), true) => [id; 3],
            (Some(id), false) => [before[0], id, before[2]],
            (None, _) => before,
        },
    }
}

/// A call has told an id that none had told before.
fn tell(ids: &mut [u32; 3], place: usize, deed: &Deed) {
    if ids[place] == UNKNOWN {
        ids[place] = deed.result as u32;
    }
}
