//! What a process has, as lines of text: its mounts as a tree, its namespaces, its rights. May touch: the state.

use super::change::SETS;
use super::mounts::Place;
use super::process::{KINDS, MNT};
use super::rights::{shown, shown_ids};
use super::state::World;
use crate::outcome::visible;
use crate::sorted;

/// One mount of a tree.
pub struct Branch {
    /// How many mounts it hangs below.
    pub depth: usize,
    /// The mount's number.
    pub id: u32,
    /// Its path, as the process sees it; above the root of the process: as its namespace has it.
    pub path: String,
    /// Another mount lies on top of all of it.
    pub covered: bool,
}

/// A text in lines of so many columns, parted at blanks.
pub fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.into()),
        }
    }
    lines
}

/// Names and what they are now, in two columns. What does not fit goes on below itself.
pub fn rows(pairs: &[[String; 2]], width: usize) -> Vec<String> {
    let longest = pairs.iter().map(|[name, _]| name.chars().count()).max().unwrap_or(0);
    let column = longest.min(width / 2) + 2;
    let mut lines = Vec::new();
    for [name, now] in pairs {
        let (name, now) = (visible(name), visible(now));
        let parts = wrapped(&now, width.saturating_sub(column).max(20));
        let mut left = name.as_ref();
        // A name that is too long has a line of its own.
        if name.chars().count() + 2 > column {
            lines.push(name.to_string());
            left = "";
        }
        for part in parts {
            lines.push(format!("{left:column$}{part}").trim_end().into());
            left = "";
        }
    }
    lines
}

impl World {
    /// The mounts that a process can reach, each after the one that it hangs in.
    pub fn branches(&self, pid: i32) -> Vec<Branch> {
        let Some(standing) = self.standing(pid) else { return Vec::new() };
        let mut all = Vec::new();
        self.branch(standing.root.mount, 0, &standing.root, &mut all);
        all
    }

    fn branch(&self, id: u32, depth: usize, root: &Place, all: &mut Vec<Branch>) {
        let Some(mount) = self.forest.get(id) else { return };
        let place = Place::root(id);
        let path = match id == root.mount {
            true => Some("/".into()),
            false => self.forest.path(&place, root),
        };
        if let Some(path) = path {
            let covered = id != root.mount && self.forest.top(place.clone()) != place;
            all.push(Branch { depth, id, path, covered });
        }
        let mut below: Vec<u32> = mount.children.clone();
        let at = |id: &u32| self.forest.get(*id).map_or("", |mount| mount.at.as_str());
        sorted::by(&mut below, |a, b| at(a) < at(b));
        for id in below {
            self.branch(id, depth + 1, root, all);
        }
    }

    /// The mounts of a process as lines: paths, each below the one that it hangs in, and what lies there.
    pub fn tree(&self, pid: i32) -> Vec<[String; 2]> {
        let words = |branch: Branch| {
            let text = self.forest.get(branch.id).map_or(String::new(), |mount| mount.words());
            let text = if branch.covered { format!("{text} (covered)") } else { text };
            [format!("{:1$}{2}", "", 2 * branch.depth, branch.path), text]
        };
        self.branches(pid).into_iter().map(words).collect()
    }

    /// What a process has besides its mounts: a name and what it is now.
    pub fn facts(&self, pid: i32) -> Vec<[String; 2]> {
        let Some(process) = self.process(pid) else { return Vec::new() };
        let mut all: Vec<[String; 2]> = Vec::new();
        let mut put = |name: &str, now: String| all.push([name.into(), now]);
        for (kind, word) in KINDS.split(' ').enumerate() {
            put(&format!("{word} namespace"), self.of_space(pid, kind));
        }
        if let Some(standing) = self.standing(pid) {
            put("root", self.forest.whole_path(&standing.root));
            put("cwd", self.name(pid, &standing.cwd).to_string());
        }
        put("cgroup", process.cgroup.clone());
        put("user", shown_ids(&process.rights.uids));
        put("group", shown_ids(&process.rights.gids));
        put("groups", process.rights.shown_groups());
        for (set, name) in SETS.split(' ').enumerate() {
            put(name, shown(process.rights.capabilities[set]));
        }
        put("no_new_privs", u8::from(process.rights.no_new_privs).to_string());
        put("seccomp filters", process.rights.filters.to_string());
        for (name, value) in process.rights.limits.iter() {
            put(name, value.clone());
        }
        for (fd, (_, object)) in self.files(pid).into_iter().flat_map(|files| files.iter()) {
            put(&format!("descriptor {fd}"), object.name.to_string());
        }
        all.retain(|[_, now]| !now.is_empty());
        all
    }

    /// A namespace of a process in words, with what belongs to it.
    fn of_space(&self, pid: i32, kind: usize) -> String {
        let number = self.process(pid).map_or(0, |process| process.spaces[kind]);
        let Some(space) = self.space(number) else { return String::new() };
        let mut text = match (space.is_hosts(), space.file.as_str()) {
            (true, _) => String::from("the host's"),
            (false, "") => "its own".into(),
            (false, file) => format!("joined: {file}"),
        };
        let settings =
            space.settings.iter().filter(|(key, value)| *key != "outside" && kind != MNT && !value.is_empty());
        for (key, value) in settings {
            text.push_str(&format!(", {key} {}", value.replace('\n', ", ")));
        }
        text
    }
}
