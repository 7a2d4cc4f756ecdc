//! What `inspect` shows, as text: what is not isolated first, then each subject under its heading. May touch: everything below.

use super::inspect_layout::{Page, shown};
use crate::cause::users::{Range, inside};
use crate::explain::Book;
use crate::host::cgroup::size;
use crate::look::{Container, Differs, Facts, Mount, Node, Origin, Remains, Sharing, Users, note, words};
use crate::spec::CAPABILITIES;

pub use super::inspect_layout::width;

/// Of so many capabilities each is explained; of more, only the names are listed.
const EXPLAINED: usize = 8;

/// Of more calls than that only the number is shown: the JSON document has the names.
const CALLS: usize = 40;

/// The column of the values beside their names.
const VALUE: usize = 28;

pub fn container(container: &Container, width: usize) -> String {
    let mut page = Page::new(width);
    head(&mut page, container);
    not_isolated(&mut page, container);
    let facts = &container.facts;
    namespaces(&mut page, facts, width);
    mounts(&mut page, facts, width);
    users(&mut page, facts);
    capabilities(&mut page, facts);
    privileges(&mut page, facts);
    cgroup(&mut page, facts, width);
    devices(&mut page, facts, width);
    descriptors(&mut page, facts, width);
    process(&mut page, facts);
    limits(&mut page, facts, width);
    if !facts.hidden.is_empty() {
        page.heading("Not readable");
        page.paragraph(2, &format!("{} {}", note("hidden"), shown(&facts.hidden.join(", "))));
    }
    page.text
}

/// A name, and after it the value.
fn value(page: &mut Page, name: &str, value: &str) {
    page.row(&[(2, name), (VALUE, value)]);
}

fn head(page: &mut Page, container: &Container) {
    let Container { id, status, pid, .. } = container;
    page.heading(&format!("{id}: {status}, process {pid}"));
    page.paragraph(2, note(status));
    if container.mode == "vm" {
        page.paragraph(2, note("vm"));
    }
    for (name, text) in [
        ("created", &container.created),
        ("bundle", &container.bundle),
        ("configuration", &container.config),
        ("rootfs", &container.rootfs),
    ] {
        value(page, name, &shown(text));
    }
}

fn not_isolated(page: &mut Page, container: &Container) {
    page.heading(&format!("Not isolated ({})", container.not_isolated.len()));
    let none = container.not_isolated.is_empty();
    page.paragraph(2, if none { note("isolated") } else { note("brackets") });
    for one in &container.not_isolated {
        let what: Vec<String> = one.what.iter().map(|what| shown(what)).collect();
        let gap = if what.is_empty() { "" } else { ": " };
        page.paragraph(2, &format!("{}{gap}{}", one.name, what.join(", ")));
        page.paragraph(4, &one.means);
        page.paragraph(4, &format!("[{}; explain {}]", one.pointers.join(", "), one.explain));
    }
}

fn namespaces(page: &mut Page, facts: &Facts, width: usize) {
    page.heading("Namespaces");
    for one in &facts.namespaces {
        let shared = match one.sharing {
            Some(Sharing::Own) => "its own".into(),
            Some(Sharing::Host) => "the host's".into(),
            Some(Sharing::Containers) => format!("with {}", one.with.join(", ")),
            Some(Sharing::Joined) => "joined".into(),
            None => String::new(),
        };
        let pointer = one.pointer.as_deref().unwrap_or("");
        page.row(&[(2, one.kind), (12, &shown(&one.name)), (35, &shared), (width - 24, pointer)]);
    }
}

/// Options that nearly each mount has, and that hold nothing back.
const USUAL: [&str; 2] = ["relatime", "noatime"];

fn mounts(page: &mut Page, facts: &Facts, width: usize) {
    page.heading("Mounts");
    let all = &facts.mounts;
    let is_top = |mount: &&Mount| !all.iter().any(|other| other.id == mount.parent && other.id != mount.id);
    let mut next: Vec<(usize, &Mount)> = all.iter().filter(is_top).map(|mount| (0, mount)).collect();
    next.reverse();
    let mut seen = Vec::new();
    while let Some((depth, mount)) = next.pop() {
        if seen.contains(&mount.id) {
            continue;
        }
        seen.push(mount.id);
        one_mount(page, all, mount, depth, width);
        let below = all.iter().filter(|other| other.parent == mount.id && other.id != mount.id);
        next.extend(below.rev().map(|other| (depth + 1, other)));
    }
}

fn one_mount(page: &mut Page, all: &[Mount], mount: &Mount, depth: usize, width: usize) {
    let above = all.iter().find(|other| other.id == mount.parent && other.id != mount.id);
    // A name below the mount above it is told from there on.
    let rest = above.and_then(|above| mount.target.strip_prefix(above.target.trim_end_matches('/')));
    let name = match rest.map(|rest| rest.trim_start_matches('/')) {
        Some("") => "(over it)",
        Some(rest) => rest,
        None => &mount.target,
    };
    let mut options = mount.options.clone();
    options.retain(|word| !USUAL.contains(&word.as_str()));
    let origin = match (mount.origin, &mount.pointer) {
        (Some(Origin::Below), Some(pointer)) => format!("below {pointer}"),
        (_, Some(pointer)) => pointer.clone(),
        (Some(Origin::Device), None) => "default device".into(),
        (Some(Origin::Later), None) => "made later".into(),
        _ => String::new(),
    };
    let column = 2 + 2 * depth.min(8);
    let (kind, text) = (shown(&mount.kind), shown(&options.join(" ")));
    page.row(&[(column, &shown(name)), (27, &kind), (36, &text), (width - 24, &origin)]);
    let asked = matches!(mount.origin, Some(Origin::Configuration | Origin::Later));
    if let Some(host) = mount.host.as_ref().filter(|_| asked) {
        page.paragraph(column + 2, &format!("the host's {}", shown(host)));
    }
}

fn users(page: &mut Page, facts: &Facts) {
    page.heading("Users");
    let Users { uids, gids, groups, uid_map, gid_map, .. } = &facts.users;
    for (name, ids, map) in [("user", uids, uid_map), ("group", gids, gid_map), ("further groups", groups, gid_map)] {
        // The first is the real id; the second, which the kernel goes by, differs only in programs with a setuid bit.
        let ids = if name == "further groups" { &ids[..] } else { ids.get(1..2).unwrap_or_default() };
        let words = ids.iter().map(|outside| match inside(map, *outside) {
            Some(inside) if inside == *outside => inside.to_string(),
            Some(inside) => format!("{inside} ({outside} outside)"),
            None => format!("not mapped ({outside} outside)"),
        });
        let words: Vec<String> = words.collect();
        value(page, name, &if words.is_empty() { "none".into() } else { words.join(", ") });
    }
    for (name, map) in [("user ids", uid_map), ("group ids", gid_map)] {
        let same = |range: &Range| range.inside == range.outside;
        let words: Vec<String> = match map.iter().all(same) {
            true => vec![note("same-ids").into()],
            false => map
                .iter()
                .map(|range| match range.count {
                    1 => format!("{} inside is {} outside", range.inside, range.outside),
                    count => format!("{} inside is {} outside, and so on for {count} ids", range.inside, range.outside),
                })
                .collect(),
        };
        value(page, name, &words.join("; "));
    }
    if !facts.users.may_set_groups {
        value(page, "setgroups", "denied");
    }
}

fn capabilities(page: &mut Page, facts: &Facts) {
    page.heading("Capabilities");
    let sets = facts.capabilities.sets();
    let book = Book::read();
    let mut told: Vec<&str> = Vec::new();
    for (i, (_, set)) in sets.iter().enumerate() {
        if sets[..i].iter().any(|(_, other)| other == set) {
            continue;
        }
        let alike: Vec<&str> = sets[i..].iter().filter(|(_, other)| other == set).map(|(name, _)| *name).collect();
        let count = if set.is_empty() { "none".into() } else { set.len().to_string() };
        page.paragraph(2, &format!("{}: {count}", alike.join(", ")));
        if set.len() > EXPLAINED {
            page.paragraph(4, &briefly(&set.join(" ")));
            continue;
        }
        for capability in *set {
            let known = book.find(capability).first().map_or("", |entry| entry.sentence());
            let sentence = if told.contains(capability) { "" } else { known };
            told.push(capability);
            page.row(&[(4, capability), (VALUE, sentence)]);
        }
    }
}

fn privileges(page: &mut Page, facts: &Facts) {
    page.heading("Privileges");
    value(page, "no_new_privs", if facts.no_new_privileges { "on" } else { "off" });
    value(page, "securebits", note("securebits"));
    value(page, "label", &shown(facts.label.as_deref().unwrap_or("none")));
    let seccomp = &facts.seccomp;
    let filters = if seccomp.filters > 0 { format!(", {} installed", seccomp.filters) } else { String::new() };
    value(page, "seccomp", &format!("{}{filters}", seccomp.mode));
    let Some(profile) = &seccomp.profile else {
        return value(page, "", note("no-profile"));
    };
    value(page, "", note("filter-shown"));
    let errno = |errno: &Option<String>| errno.as_ref().map_or(String::new(), |errno| format!(" {errno}"));
    let rest = format!("{}{} [{}]", profile.default_action, errno(&profile.default_errno), profile.pointer);
    value(page, "  any other call", &rest);
    for action in &profile.actions {
        for (list, with) in [(&action.calls, ""), (&action.conditional, ", with certain arguments")] {
            if list.is_empty() {
                continue;
            }
            let count = format!("  {} call{}", list.len(), if list.len() == 1 { "" } else { "s" });
            let names = if list.len() <= CALLS { format!(": {}", list.join(" ")) } else { String::new() };
            value(page, &count, &format!("{}{}{with}{names}", action.action, errno(&action.errno)));
        }
    }
}

/// The value of a file of a cgroup in words.
fn measure(file: &str, value: &str) -> String {
    let number = value.parse::<u64>().ok();
    match (file, value, number) {
        (_, "max", _) => "no limit".into(),
        ("cpu.max", value, _) => match value.split_once(' ') {
            Some(("max", _)) => "no limit".into(),
            Some((quota, period)) => format!("{quota} of each {period} microseconds"),
            None => value.into(),
        },
        (_, _, Some(number)) if file.starts_with("memory.") || file.starts_with("hugetlb.") => size(number),
        ("cpu.stat", _, Some(number)) => format!("{}.{:03} s", number / 1_000_000, number / 1000 % 1000),
        ("cpu.idle", "0", _) => "no".into(),
        (_, "", _) => "as above it".into(),
        (_, value, _) => value.into(),
    }
}

fn cgroup(page: &mut Page, facts: &Facts, width: usize) {
    page.heading("Cgroup");
    let group = &facts.cgroup;
    if group.limits.is_empty() && group.used.is_empty() {
        page.paragraph(2, &format!("{} Its process is in {}", note("no-cgroup"), shown(&group.path)));
        return;
    }
    value(page, "path", &shown(&group.path));
    for limit in &group.limits {
        let pointer = limit.pointer.as_deref().unwrap_or("");
        let text = shown(&measure(&limit.file, &limit.value));
        page.row(&[(2, words(&limit.file)), (VALUE, &text), (width - 32, pointer)]);
    }
    for used in &group.used {
        value(page, words(&used.file), &measure(&used.file, &used.value.to_string()));
    }
}

fn devices(page: &mut Page, facts: &Facts, width: usize) {
    page.heading("Devices");
    let devices = &facts.devices;
    if let Some(why) = devices.unseen {
        page.paragraph(2, &format!("Not looked at. {why}"));
    }
    let (harmless, others): (Vec<&Node>, Vec<&Node>) =
        devices.nodes.iter().partition(|node| node.is_harmless() && node.pointer.is_none());
    let names: Vec<String> = harmless.iter().map(|node| shown(node.path.trim_start_matches("/dev/"))).collect();
    if !names.is_empty() {
        value(page, "default, in /dev", &names.join(" "));
    }
    for node in others {
        let text = format!("{} {}:{}, mode {}", node.kind, node.major, node.minor, node.mode);
        page.row(&[(2, &shown(&node.path)), (VALUE, &text), (width - 24, node.pointer.as_deref().unwrap_or(""))]);
    }
    page.paragraph(
        2,
        match devices.decided {
            Some(true) => note("decided"),
            Some(false) => note("undecided"),
            None => note("decided-unknown"),
        },
    );
    for rule in &devices.rules {
        let verb = if rule.allow { "allow" } else { "deny" };
        page.row(&[(4, verb), (11, &format!("{} {}", rule.device, rule.access)), (width - 32, &rule.pointer)]);
    }
}

fn descriptors(page: &mut Page, facts: &Facts, width: usize) {
    page.heading("Descriptors of the first process");
    for one in &facts.descriptors {
        let mut words = vec![one.kind];
        if one.outside {
            words.push("opened outside");
        }
        if one.close_on_exec {
            words.push("closed by execve");
        }
        page.row(&[(2, &one.number.to_string()), (6, &shown(&one.target)), (width / 2, &words.join(", "))]);
    }
}

fn process(page: &mut Page, facts: &Facts) {
    page.heading("Process");
    let program = &facts.process;
    let text = |text: &Option<String>| shown(text.as_deref().unwrap_or("?"));
    value(page, "program", &text(&program.executable));
    let arguments: Vec<String> = program.arguments.iter().map(|word| shown(word)).collect();
    value(page, "arguments", &arguments.join(" "));
    value(page, "working directory", &text(&program.directory));
    value(page, "root", &text(&program.root));
    value(page, "umask", &program.umask);
    value(page, "terminal", facts.terminal.as_deref().unwrap_or("none"));
    let names: Vec<String> = program.environment.iter().map(|name| shown(name)).collect();
    value(page, "environment", &format!("{} ({})", names.join(" "), note("values").trim_end_matches('.')));
    let interfaces: Vec<String> = facts.interfaces.iter().map(|name| shown(name)).collect();
    value(page, "network interfaces", &if interfaces.is_empty() { "none".into() } else { interfaces.join(" ") });
    let scheduling = &facts.scheduling;
    let priority = if scheduling.priority > 0 { format!(", priority {}", scheduling.priority) } else { String::new() };
    value(page, "scheduling", &format!("{}, nice {}{priority}", scheduling.policy, scheduling.nice));
    value(page, "processors", &scheduling.processors);
    value(page, "memory nodes", &scheduling.nodes);
    let oom = &facts.oom;
    value(page, "when memory runs out", &format!("score {}, adjusted by {}", oom.score, oom.adjustment));
}

fn limits(page: &mut Page, facts: &Facts, width: usize) {
    page.heading("Limits of the process (soft, hard)");
    for limit in facts.limits.iter().filter(|limit| limit.pointer.is_some()) {
        let text = format!("{}, {}", limit.soft, limit.hard);
        page.row(&[(2, limit.name), (VALUE, &text), (width - 24, limit.pointer.as_deref().unwrap_or(""))]);
    }
    page.paragraph(2, note("others-as-caller"));
}

/// What is left of a container after its first process has ended.
pub fn remains(remains: &Remains, width: usize) -> String {
    let mut page = Page::new(width);
    page.heading(&format!("{}: {}", remains.id, remains.status));
    if remains.ended_meanwhile {
        page.paragraph(2, note("meanwhile"));
    }
    page.paragraph(2, note("stopped"));
    for (name, text) in [("bundle", &remains.bundle), ("configuration", &remains.config), ("rootfs", &remains.rootfs)] {
        value(&mut page, name, &shown(text));
    }
    if let Some(group) = &remains.cgroup {
        page.paragraph(2, &format!("{} {}", note("remains-cgroup"), shown(group)));
    }
    if !remains.processes.is_empty() {
        let all: Vec<String> = remains.processes.iter().map(i32::to_string).collect();
        page.paragraph(2, &format!("{} {}", note("remains-processes"), all.join(" ")));
    }
    if remains.poststop_hooks > 0 {
        page.paragraph(2, &format!("{} {}", note("remains-hooks"), remains.poststop_hooks));
    }
    page.paragraph(2, note("delete"));
    page.text
}

/// Subjects of which the host has many more: what the container does not have stands in one row.
const FOLDED: [&str; 4] = ["mounts", "devices", "network", "environment"];

/// So many names stand in such a row.
const NAMED: usize = 12;

/// Two columns: before and after.
pub fn differences(container: &Container, differs: &[Differs], width: usize) -> String {
    let mut page = Page::new(width);
    page.heading(&format!("{}: before and after", container.id));
    page.paragraph(2, note("diff"));
    if container.status == "created" {
        page.paragraph(2, note("created"));
    }
    let (middle, right) = (24, 24 + (width - 24) / 2);
    let mut subject = "";
    let mut at = 0;
    while let Some(one) = differs.get(at) {
        if one.subject != subject {
            subject = one.subject;
            page.gap();
            page.row(&[(0, subject), (middle, "before"), (right, "after")]);
        }
        let rest = &differs[at..];
        let gone = |next: &&Differs| next.subject == subject && next.after.is_empty() && FOLDED.contains(&subject);
        let names: Vec<String> = rest.iter().take_while(gone).map(|next| shown(&next.name)).collect();
        let alike =
            |next: &&Differs| next.subject == subject && (&next.before, &next.after) == (&one.before, &one.after);
        let (name, before, after, rows) = match (names.len(), subject) {
            (many @ 2.., _) => (format!("{many} more"), few(&names), note("not-there").into(), many),
            (_, "capabilities") => {
                let alike: Vec<&str> = rest.iter().take_while(alike).map(|next| next.name.as_str()).collect();
                (alike.join(", "), briefly(&one.before), briefly(&one.after), alike.len())
            }
            _ => (shown(&one.name), cell(&one.before), cell(&one.after), 1),
        };
        page.row(&[(2, &name), (middle, &before), (right, &after)]);
        at += rows;
    }
    page.text
}

fn cell(text: &str) -> String {
    let words = shown(text).replace(",relatime", "");
    if words.is_empty() { "-".into() } else { words }
}

/// The first of many names.
fn few(names: &[String]) -> String {
    let first = names.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(" ");
    match names.len().saturating_sub(NAMED) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}

/// A set of capabilities: of a large one, what it lacks.
fn briefly(names: &str) -> String {
    let has = |name: &&&str| names.split(' ').any(|own| own == **name);
    let (have, lack): (Vec<&str>, Vec<&str>) = CAPABILITIES.iter().partition(|name| has(name));
    match (have.len(), lack.len()) {
        (0, _) => "none".into(),
        (_, 0) => "all".into(),
        (many, few) if many > few => format!("all but {}", lack.join(" ")),
        _ => have.join(" "),
    }
}
