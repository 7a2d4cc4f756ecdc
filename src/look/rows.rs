//! The facts of a process as lines, each with a name, so that two processes can be compared. May touch: types.

use super::mounts::Mount;
use super::process::Facts;
use crate::cause::users::Range;
use serde::Serialize;

/// A fact that two processes do not have alike. Empty: one of them has nothing of it.
#[derive(Serialize, Debug)]
pub struct Differs {
    pub subject: &'static str,
    pub name: String,
    pub before: String,
    pub after: String,
}

/// A fact: subject, name, value.
type Row = (&'static str, String, String);

/// What differs. `before`: the process that looks.
pub fn differences(before: &Facts, after: &Facts) -> Vec<Differs> {
    let (mut old, new) = (rows(before), rows(after));
    let mut all = Vec::new();
    for (subject, name, after) in new {
        let at = old.iter().position(|(s, n, _)| (*s, n) == (subject, &name));
        let before = at.map(|at| old.remove(at).2).unwrap_or_default();
        if before != after {
            all.push(Differs { subject, name, before, after });
        }
    }
    // What the container does not have at all comes after what it has, subject by subject.
    for (subject, name, before) in old.into_iter().filter(|(_, _, value)| !value.is_empty()) {
        let last = all.iter().rposition(|one| one.subject == subject).map_or(all.len(), |at| at + 1);
        all.insert(last, Differs { subject, name, before, after: String::new() });
    }
    all
}

fn rows(facts: &Facts) -> Vec<Row> {
    let mut all: Vec<Row> = Vec::new();
    let mut add = |subject, name: &str, value: String| all.push((subject, name.into(), value));
    for one in &facts.namespaces {
        // `pid:[4026531836]`: the number is enough beside the kind.
        let number = one.name.split(['[', ']']).nth(1).unwrap_or(&one.name);
        add("namespaces", one.kind, number.into());
    }
    let ids = |ids: &[u32]| ids.iter().map(u32::to_string).collect::<Vec<_>>().join(" ");
    let users = &facts.users;
    add("users", "uid", users.uids.get(1).map_or(String::new(), u32::to_string));
    add("users", "gid", users.gids.get(1).map_or(String::new(), u32::to_string));
    add("users", "groups", ids(&users.groups));
    add("users", "uid map", map(&users.uid_map));
    add("users", "gid map", map(&users.gid_map));
    for (name, set) in facts.capabilities.sets() {
        add("capabilities", name, set.join(" "));
    }
    add("privileges", "no_new_privs", yes(facts.no_new_privileges));
    add("privileges", "seccomp", facts.seccomp.mode.into());
    add("privileges", "label", facts.label.clone().unwrap_or_default());
    add("cgroup", "path", facts.cgroup.path.clone());
    for mount in &facts.mounts {
        add("mounts", &mount.target, one_line(mount));
    }
    for node in &facts.devices.nodes {
        add("devices", &node.path, format!("{} {}:{} {}", node.kind, node.major, node.minor, node.mode));
    }
    for name in &facts.interfaces {
        add("network", name, "there".into());
    }
    add("terminal", "controlling", facts.terminal.clone().unwrap_or_default());
    let program = &facts.process;
    add("process", "executable", program.executable.clone().unwrap_or_default());
    add("process", "directory", program.directory.clone().unwrap_or_default());
    add("process", "umask", program.umask.clone());
    for name in &program.environment {
        add("environment", name, "set".into());
    }
    for limit in &facts.limits {
        add("limits", limit.name, format!("{} {}", limit.soft, limit.hard));
    }
    let scheduling = &facts.scheduling;
    add("scheduling", "policy", scheduling.policy.into());
    add("scheduling", "nice", scheduling.nice.to_string());
    add("scheduling", "processors", scheduling.processors.clone());
    add("scheduling", "nodes", scheduling.nodes.clone());
    add("oom", "adjustment", facts.oom.adjustment.to_string());
    all
}

fn yes(yes: bool) -> String {
    if yes { "on".into() } else { "off".into() }
}

fn map(map: &[Range]) -> String {
    let range = |range: &Range| format!("{} -> {} ({})", range.inside, range.outside, range.count);
    map.iter().map(range).collect::<Vec<_>>().join(", ")
}

/// A mount without what a mount of the same kind has alike everywhere.
fn one_line(mount: &Mount) -> String {
    let part = if mount.root == "/" { String::new() } else { format!(" {}", mount.root) };
    format!("{} {}{part}", mount.kind, mount.options.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_is_told() {
        let of = |targets: &[(&str, &str)]| Facts {
            mounts: targets
                .iter()
                .map(|(target, kind)| Mount { target: (*target).into(), kind: (*kind).into(), ..Mount::default() })
                .collect(),
            ..Facts::default()
        };
        let (before, after) =
            (of(&[("/", "ext4"), ("/proc", "proc"), ("/home", "ext4")]), of(&[("/", "tmpfs"), ("/proc", "proc")]));
        let found = differences(&before, &after);
        let found: Vec<(&str, &str, &str)> =
            found.iter().map(|one| (one.name.as_str(), one.before.trim(), one.after.trim())).collect();
        assert_eq!(found, [("/", "ext4", "tmpfs"), ("/home", "ext4", "")]);
        assert!(differences(&after, &after).is_empty());
    }
}
