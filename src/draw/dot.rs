//! Namespaces, the processes in them, and mounts as one graph in the language of graphviz: `dot -Tsvg` draws it. It shows the
//! moment at which the container's program begins; without a program, the end of the trace. May touch: the world.

use super::markup;
use crate::outcome::visible;
use crate::trace::{self, Piece};
use crate::world::milestones::milestones;
use crate::world::{Deed, KINDS, MNT, Mount, Process, World, wrapped};

/// Columns of text in a node.
const WIDE: usize = 44;

const HEAD: &str =
    "  graph [rankdir=LR, fontname=\"sans-serif\", fontsize=14, labelloc=t, labeljust=l, nodesep=0.12, ranksep=0.5];
  node [shape=plain, fontname=\"sans-serif\", fontsize=11];
  edge [color=\"#667788\", arrowsize=0.6, fontname=\"sans-serif\", fontsize=10, fontcolor=\"#445566\"];
";

/// The colours of a process, of a namespace that is not the host's, and of a mount: its own, of the host, read-only.
const PROCESS: &str = "#e8eef7";
const OWN: &str = "#cfe8d0";
const MADE: &str = "#ffffff";
const HOSTS: &str = "#fbe3c8";

/// The graph of a trace.
pub fn graph(name: &str, pieces: &[Piece]) -> String {
    let entries = trace::entries(pieces, false);
    let own = entries.iter().filter(|entry| !trace::is_added(entry));
    let deeds: Vec<Deed> = own.map(|entry| Deed::of(entry.pid, &entry.r)).collect();
    of_deeds(name, &deeds)
}

/// The graph of calls in the order in which they were made.
pub fn of_deeds(name: &str, deeds: &[Deed]) -> String {
    let found = milestones(deeds);
    let program = found.iter().find(|one| one.name == "program").and_then(|one| one.deeds.first());
    let last = program.map_or(deeds.len(), |place| place + 1);
    let mut world = World::default();
    for deed in &deeds[..last] {
        world.take(deed);
    }
    let when = if program.is_some() { "when its program begins" } else { "at the end of its trace" };
    let when = if world.is_full() { "as far as its calls are followed" } else { when };
    let mut text = format!("digraph container {{\n{HEAD}  label=\"{} {when}\";\n", quoted(name));
    let there: Vec<(i32, &Process)> = world.processes().filter(|(_, process)| is_shown(process)).collect();
    for (pid, process) in &there {
        text.push_str(&format!("  p{pid} [label=<{}>];\n", of_process(&world, *pid, process)));
        if there.iter().any(|(maker, _)| *maker == process.maker) {
            text.push_str(&format!("  p{} -> p{pid} [label=\"clones\", style=dashed];\n", process.maker));
        }
    }
    spaces(&world, &there, &mut text);
    mounts(&world, &there, &mut text);
    text.push_str("}\n");
    text
}

/// Threads, and processes that have ended, are left out.
fn is_shown(process: &Process) -> bool {
    process.ended.is_empty() && process.leader == 0
}

/// A row of a table, with a colour. `port`: where edges can begin.
fn row(text: &str, port: &str, colour: &str) -> String {
    let port = if port.is_empty() { String::new() } else { format!(" PORT=\"{port}\"") };
    let lines: Vec<String> = wrapped(text, WIDE).iter().map(|line| escaped(line)).collect();
    format!("<TR><TD ALIGN=\"LEFT\" BALIGN=\"LEFT\" BGCOLOR=\"{colour}\"{port}>{}</TD></TR>", lines.join("<BR/>"))
}

fn heading(text: &str, colour: &str) -> String {
    format!("<TR><TD ALIGN=\"LEFT\" BGCOLOR=\"{colour}\"><B>{}</B></TD></TR>", escaped(text))
}

fn table(rows: &[String]) -> String {
    format!(
        "<TABLE BORDER=\"0\" CELLBORDER=\"1\" CELLSPACING=\"0\" CELLPADDING=\"3\" COLOR=\"#667788\">{}</TABLE>",
        rows.concat()
    )
}

/// What a process has; a row for each namespace. A process with the host's alone is one of the runtime, and told in short.
fn of_process(world: &World, pid: i32, process: &Process) -> String {
    let mut rows = vec![heading(format!("process {pid} {}", process.program).trim_end(), PROCESS)];
    let own = |number: &u32| world.space(*number).is_some_and(|space| !space.is_hosts());
    if !process.spaces.iter().any(own) {
        rows.push(row("all namespaces: the host's", "", HOSTS));
        return table(&rows);
    }
    for [name, now] in world.facts(pid) {
        let word = name.strip_suffix(" namespace").unwrap_or("");
        match KINDS.split(' ').position(|known| known == word) {
            Some(kind) if own(&process.spaces[kind]) => rows.push(row(&name, word, OWN)),
            Some(_) => rows.push(row(&format!("{name}: the host's"), word, HOSTS)),
            // The root is the tree beside it.
            None if name == "root" => {}
            None => rows.push(row(&format!("{name}: {now}"), "", MADE)),
        }
    }
    table(&rows)
}

/// The namespaces that are not the host's, and who is in them.
fn spaces(world: &World, there: &[(i32, &Process)], text: &mut String) {
    let mut told: Vec<u32> = Vec::new();
    for (pid, process) in there {
        for (kind, word) in KINDS.split(' ').enumerate() {
            let number = process.spaces[kind];
            let Some(space) = world.space(number).filter(|space| !space.is_hosts()) else { continue };
            text.push_str(&format!("  p{pid}:{word} -> n{number};\n"));
            if told.contains(&number) {
                continue;
            }
            told.push(number);
            let from = match (space.maker, space.file.as_str()) {
                (maker, "") => format!("new, of process {maker}"),
                (_, file) => format!("joined: {file}"),
            };
            let mut rows = vec![heading(&format!("{word} namespace"), OWN), row(&from, "", OWN)];
            for (key, value) in space.settings.iter().filter(|(key, value)| *key != "outside" && !value.is_empty()) {
                rows.push(row(&format!("{key}: {}", value.replace('\n', ", ")), "", MADE));
            }
            text.push_str(&format!("  n{number} [label=<{}>];\n", table(&rows)));
        }
    }
}

/// The mounts of each mount namespace, as the first process in it sees them.
fn mounts(world: &World, there: &[(i32, &Process)], text: &mut String) {
    let mut told: Vec<u32> = Vec::new();
    for (pid, process) in there {
        let number = process.spaces[MNT];
        let own = world.space(number).is_some_and(|space| !space.is_hosts());
        if !own || told.contains(&number) {
            continue;
        }
        told.push(number);
        for branch in world.branches(*pid) {
            let Some(mount) = world.mount(branch.id) else { continue };
            let parent = match (branch.depth, mount.parent) {
                (0, _) | (_, None) => format!("n{number}"),
                (_, Some(parent)) => format!("m{parent}"),
            };
            text.push_str(&format!("  m{} [label=<{}>];\n", branch.id, of_mount(mount, &branch.path, branch.covered)));
            text.push_str(&format!("  {parent} -> m{};\n", branch.id));
        }
    }
}

/// A mount: its path, what lies there, its flags, the options of its file system.
fn of_mount(mount: &Mount, path: &str, covered: bool) -> String {
    let colour = if mount.is_hosts() { HOSTS } else { MADE };
    let mut flags = mount.flags.clone();
    if !mount.flags.contains(&"ro") {
        flags.insert(0, "rw");
    }
    // Private is what a mount is where nothing is said.
    flags.push(mount.propagation.word());
    flags.retain(|flag| !flag.is_empty() && *flag != "private");
    let mut rows = vec![heading(path, colour), row(&mount.what(), "", colour), row(&flags.join(" "), "", colour)];
    if !mount.data.is_empty() {
        rows.push(row(&mount.data.replace(',', ", "), "", colour));
    }
    if mount.more {
        rows.push(row("and what the host has mounted below", "", colour));
    }
    if covered {
        rows.push(row("covered by the next one", "", colour));
    }
    table(&rows)
}

/// A text in a label of the kind that is like HTML. Of names any character can come.
fn escaped(text: &str) -> String {
    // An empty cell is an error.
    markup::escaped(if text.is_empty() { " " } else { text })
}

/// A text in a string of that language.
fn quoted(text: &str) -> String {
    visible(text).replace('\\', "\\\\").replace('"', "\\\"")
}
