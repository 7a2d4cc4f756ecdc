//! What the calls of a trace make of the world, beside what the container shows from inside: mount by mount, namespaces, ids,
//! capabilities, descriptors. The graph of `trace --format dot` says the one, the reporter the other.

use crate::bundle::{Bundle, tool};
use crate::namespaces::in_user_namespace;
use crate::users::{USER, as_user, of_user};
use crate::{Failed, Outcome, area, ensure, everything, same};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

pub fn cases() -> Vec<Trial> {
    area(
        "world",
        &[
            ("is_the_containers", || root(Bundle::reporter(&[])?)),
            ("another_graph_disagrees", other_graphs),
            ("is_that_of_busybox", || root(of_repository("busybox")?)),
            ("is_that_of_everything", || root(reporting(everything::bundle()?)?)),
            ("is_that_of_joined_namespaces", || root(reporting(everything::joined()?)?)),
            ("is_that_of_copied_trees", || root(reporting(everything::copied()?)?)),
            ("is_that_of_a_user_namespace", || root(in_user_namespace(Bundle::reporter(&[])?)?)),
            ("is_that_of_binds", || root(binds()?)),
            ("is_that_of_host_namespaces", || root(host_namespaces()?)),
            ("is_that_without_root", without_root),
            ("graphviz_draws_it", drawn),
            ("a_hostile_name_stays_in_its_label", hostile),
            ("a_start_that_failed_has_a_graph", failed),
        ],
    )
}

/// The same container with the reporter as its program.
fn reporting(mut bundle: Bundle) -> Result<Bundle, Failed> {
    crate::bundle::copy_program(crate::bundle::example("reporter")?, bundle.rootfs("reporter"))?;
    bundle.set("/process/args", json!(["/reporter"]))?;
    Ok(bundle)
}

/// The configuration of a bundle in the repository.
fn of_repository(name: &str) -> Result<Bundle, Failed> {
    let mut bundle = Bundle::reporter(&[])?;
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("bundles").join(name).join("config.json");
    bundle.config = serde_json::from_str(&fs::read_to_string(path)?)?;
    bundle.set("/process/env/-", json!(format!("NK_TEST={}", bundle.id)))?;
    reporting(bundle)
}

/// Binds of directories and files, with flags; two mounts at one place.
fn binds() -> Result<Bundle, Failed> {
    let mut bundle = Bundle::reporter(&[])?;
    fs::create_dir_all(bundle.path("data/inner"))?;
    fs::write(bundle.path("data/file"), "")?;
    let source = |name: &str| bundle.path(name).to_string_lossy().into_owned();
    let mounts = [
        json!({"destination": "/srv/one", "type": "bind", "source": source("data"), "options": ["bind", "ro", "nosuid"]}),
        json!({"destination": "/srv/two", "type": "bind", "source": source("data/inner"), "options": ["bind", "noexec", "nodev"]}),
        json!({"destination": "/srv/file", "type": "bind", "source": source("data/file"), "options": ["bind", "ro"]}),
        json!({"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["size=1m", "noexec"]}),
        json!({"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["size=2m", "ro"]}),
    ];
    for mount in mounts {
        bundle.set("/mounts/-", mount)?;
    }
    Ok(bundle)
}

fn host_namespaces() -> Result<Bundle, Failed> {
    let mut bundle = Bundle::reporter(&[])?;
    bundle.set("/linux/namespaces", json!([{"type": "mount"}, {"type": "pid"}]))?;
    bundle.remove("/hostname")?;
    Ok(bundle)
}

fn root(bundle: Bundle) -> Outcome {
    let report = bundle.report()?;
    let dot = bundle.call(&["trace", "--format", "dot", &bundle.id])?.ok()?.out;
    agree(&dot, &report).map_err(|failed| format!("{}\n{dot}", failed.message().unwrap_or("")))?;
    bundle.clean()
}

/// The comparison finds what is wrong.
fn other_graphs() -> Outcome {
    let bundle = Bundle::reporter(&[])?;
    let report = bundle.report()?;
    let dot = bundle.call(&["trace", "--format", "dot", &bundle.id])?.ok()?.out;
    agree(&dot, &report)?;
    let changed = [
        ("<B>/dev/shm</B>", "<B>/dev/shmem</B>"),
        (">mqueue<", ">tmpfs<"),
        (">/bus of proc<", ">/irq of proc<"),
        ("rw nosuid noexec", "rw nosuid"),
        (">rw<", ">ro<"),
        ("permitted: ", "permitted: CHOWN "),
        ("user: 0", "user: 1"),
        ("hostname: ", "hostname: x"),
        ("descriptor 2: ", "descriptor 3: "),
        (">net namespace<", ">net namespace: the host's<"),
        ("no_new_privs: 1", "no_new_privs: 0"),
    ];
    for (is, other) in changed {
        ensure!(dot.contains(is), "no {is} in {dot}");
        ensure!(agree(&dot.replacen(is, other, 1), &report).is_err(), "{other} in place of {is} is not found");
    }
    bundle.clean()
}

fn without_root() -> Outcome {
    let bundle = of_user(Bundle::reporter(&[])?)?;
    let here = bundle.path("").to_string_lossy().into_owned();
    let done = as_user(&bundle, &["run", "--bundle", &here, &bundle.id])?.ok()?;
    let report: Value = serde_json::from_str(&done.out)?;
    let dot = as_user(&bundle, &["trace", "--format", "dot", &bundle.id])?.ok()?.out;
    agree(&dot, &report).map_err(|failed| format!("{}\n{dot}", failed.message().unwrap_or("")))?;
    ensure!(dot.contains(&format!("uid_map: 0 {USER} 1")), "{dot}");
    bundle.clean()
}

/// A node of the graph: the rows of its label.
type Rows = Vec<String>;

/// What the graph says.
pub struct Graph {
    nodes: BTreeMap<String, Rows>,
    /// From a node's name, with its port, to another one.
    edges: Vec<(String, String)>,
}

impl Graph {
    /// Reads what `trace --format dot` has written.
    pub fn read(dot: &str) -> Graph {
        let (mut nodes, mut edges) = (BTreeMap::new(), Vec::new());
        for line in dot.lines().map(str::trim) {
            if let Some((name, label)) = line.split_once(" [label=<").filter(|(name, _)| !name.contains(' ')) {
                nodes.insert(name.to_string(), rows(label));
            } else if let Some((from, to)) = line.split_once(" -> ") {
                edges.push((from.into(), to.trim_end_matches(';').into()));
            }
        }
        Graph { nodes, edges }
    }

    /// The node of the process that executes this program.
    fn process(&self, program: &str) -> Result<(&str, &Rows), Failed> {
        let is = |rows: &&Rows| rows[0].starts_with("process ") && rows[0].ends_with(program);
        let found = self.nodes.iter().find(|(_, rows)| is(rows));
        let found = found.map(|(name, rows)| (name.as_str(), rows));
        found.ok_or_else(|| format!("no process executes {program}").into())
    }

    /// The nodes that lie below one, itself left out.
    fn below(&self, name: &str) -> Vec<&Rows> {
        let mut all = Vec::new();
        let mut next = vec![name.to_string()];
        while let Some(name) = next.pop() {
            for (_, to) in self.edges.iter().filter(|(from, _)| *from == name) {
                all.extend(self.nodes.get(to));
                next.push(to.clone());
            }
        }
        all
    }
}

/// The rows of a label: one a cell.
fn rows(label: &str) -> Rows {
    let cells = label.split("<TD").skip(1).filter_map(|cell| cell.split_once('>')?.1.split("</TD>").next());
    let plain = |cell: &str| {
        let text = cell.replace("<B>", "").replace("</B>", "").replace("<BR/>", " ");
        text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&")
    };
    cells.map(plain).collect()
}

/// The row with this name of a process.
fn row<'a>(rows: &'a Rows, name: &str) -> &'a str {
    rows.iter().find_map(|row| row.strip_prefix(name)?.strip_prefix(": ")).unwrap_or("")
}

/// The graph says what the report of the program says.
pub fn agree(dot: &str, report: &Value) -> Outcome {
    let graph = Graph::read(dot);
    let program = report["args"][0].as_str().unwrap_or("");
    let (name, process) = graph.process(program)?;
    rights(process, &report["status"])?;
    places(process, report)?;
    spaces(&graph, name, process, report)?;
    mounts(&graph, name, report)
}

fn rights(process: &Rows, status: &Value) -> Outcome {
    let field = |name: &str| status[name].as_str().unwrap_or("").to_string();
    for (row_name, field_name) in [("user", "Uid"), ("group", "Gid")] {
        let inside = field(field_name);
        let ids: Vec<&str> = inside.split_whitespace().take(3).collect();
        let one = ids.iter().all(|id| *id == ids[0]);
        same(row_name, row(process, row_name), &if one { ids[0].to_string() } else { ids.join(" ") })?;
    }
    let groups = field("Groups");
    let numbers = |text: &str| text.split_whitespace().map(String::from).collect::<BTreeSet<_>>();
    match row(process, "groups") {
        "none" => same("groups", groups.as_str(), "")?,
        "?" => {}
        told => same("groups", numbers(told), numbers(&groups))?,
    }
    for (set, field_name) in [
        ("inheritable", "CapInh"),
        ("permitted", "CapPrm"),
        ("effective", "CapEff"),
        ("bounding", "CapBnd"),
        ("ambient", "CapAmb"),
    ] {
        let inside = u64::from_str_radix(&field(field_name), 16)?;
        same(set, row(process, set).to_string(), capabilities(inside))?;
    }
    same("no_new_privs", row(process, "no_new_privs"), &field("NoNewPrivs"))?;
    same("filters", row(process, "seccomp filters"), &field("Seccomp_filters"))
}

/// A set as the graph shows it.
fn capabilities(set: u64) -> String {
    let all = (1u64 << NAMES.split(' ').count()) - 1;
    let names = |set: u64| {
        let named = NAMES.split(' ').enumerate().filter(|(number, _)| set >> number & 1 == 1);
        named.map(|(_, name)| name).collect::<Vec<_>>().join(" ")
    };
    match all & !set {
        _ if set == 0 => "none".into(),
        0 => "all".into(),
        missing if missing.count_ones() < 4 => format!("all but {}", names(missing)),
        _ => names(set),
    }
}

const NAMES: &str = "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE \
    NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE \
    SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL \
    SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE";

fn places(process: &Rows, report: &Value) -> Outcome {
    same("cwd", Some(row(process, "cwd")), report["cwd"].as_str())?;
    let numbers = |all: Vec<String>| all.into_iter().collect::<BTreeSet<_>>();
    let told = process.iter().filter_map(|row| row.strip_prefix("descriptor ")?.split(':').next().map(String::from));
    let inside = report["fds"].as_object().into_iter().flatten().map(|(number, _)| number.clone());
    same("descriptors", numbers(told.collect()), numbers(inside.collect()))
}

/// Which namespaces are the host's, and what belongs to those that are not.
fn spaces(graph: &Graph, name: &str, process: &Rows, report: &Value) -> Outcome {
    for kind in ["cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"] {
        let own = fs::read_link(format!("/proc/self/ns/{kind}"))?;
        let is_hosts = report["namespaces"][kind].as_str().map(Path::new) == Some(&own);
        let told = process.contains(&format!("{kind} namespace: the host's"));
        // One that was joined by its file may be the host's.
        let joined =
            graph.below(&format!("{name}:{kind}")).iter().any(|rows| rows.iter().any(|row| row.starts_with("joined")));
        ensure!(told == is_hosts || joined && is_hosts, "{kind}: the host's from inside: {is_hosts}, told: {told}");
    }
    let uts = graph.below(&format!("{name}:uts"));
    if let Some(told) = uts.first().map(|rows| row(rows, "hostname")).filter(|told| !told.is_empty()) {
        same("hostname", Some(told), report["hostname"].as_str())?;
    }
    let user = graph.below(&format!("{name}:user"));
    for map in ["uid_map", "gid_map"] {
        let inside: Vec<&str> = report["kernel"][map].as_str().unwrap_or("").split_whitespace().collect();
        if let Some(rows) = user.first() {
            let told: Vec<&str> = row(rows, map).split([' ', ',']).filter(|word| !word.is_empty()).collect();
            same(map, told, inside)?;
        }
    }
    let group = graph.below(&format!("{name}:cgroup"));
    let top = group.first().map_or("", |rows| row(rows, "root"));
    if let Some(below) = row(process, "cgroup").strip_prefix(top) {
        let inside = report["cgroup"].as_str().unwrap_or("");
        let path = inside.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or("");
        ensure!(below.is_empty() || path.trim_end_matches('/').ends_with(below), "cgroup: {below} is not {path}");
    }
    Ok(())
}

/// The flags of a mount that a call can set.
const FLAGS: [&str; 7] = ["ro", "nosuid", "nodev", "noexec", "noatime", "nodiratime", "nosymfollow"];

/// Mount by mount: path, type, what of it is shown, flags, propagation.
fn mounts(graph: &Graph, name: &str, report: &Value) -> Outcome {
    let mut told: Vec<&Rows> =
        graph.below(&format!("{name}:mnt")).into_iter().filter(|rows| rows[0].starts_with('/')).collect();
    let inside = report["mounts"].as_array().cloned().unwrap_or_default();
    for mount in &inside {
        let text = |key: &str| mount[key].as_str().unwrap_or("").to_string();
        let point = text("point");
        let place = told.iter().position(|rows| rows[0] == point && fits(rows, &text("fstype"), &text("root")));
        let Some(place) = place else {
            // What came with a recursive bind no call names.
            let above =
                graph.nodes.values().filter(|rows| rows.iter().any(|row| row == "and what the host has mounted below"));
            let mut above = above.filter(|rows| rows[0] != "/" && Path::new(&point).starts_with(&rows[0]));
            ensure!(above.next().is_some(), "no call has made the mount {mount}");
            continue;
        };
        let rows = told.remove(place);
        let words: BTreeSet<&str> = rows[2].split(' ').collect();
        let options = text("options");
        let options: BTreeSet<&str> = options.split(',').collect();
        let hosts = rows[1].ends_with(" of the host");
        for flag in FLAGS {
            let (is, says) = (options.contains(flag), words.contains(flag));
            // What the host's own mount has, its copies have.
            ensure!(is == says || hosts && is, "{point}: {flag} from inside: {is}, told: {says}: {mount} {rows:?}");
        }
        let spreads = text("propagation");
        let propagation = |word: &str| words.contains(word);
        ensure!(!propagation("shared") || spreads.contains("shared:"), "{mount} {rows:?}");
        ensure!(hosts || propagation("shared") || propagation("slave") || spreads.is_empty(), "{mount} {rows:?}");
        ensure!(!propagation("slave") || !spreads.contains("shared:"), "{mount} {rows:?}");
    }
    ensure!(told.is_empty(), "these are not there inside: {told:?}");
    Ok(())
}

/// Whether a mount of the graph shows this part of a file system of this type.
fn fits(rows: &Rows, kind: &str, root: &str) -> bool {
    let what = rows[1].as_str();
    match what.strip_suffix(" of the host") {
        // The file system of the host may begin anywhere above.
        Some(path) => root == "/" || path.ends_with(root.trim_end_matches("//deleted")),
        None => match what.split_once(" of ") {
            Some((part, of)) => (of, part) == (kind, root),
            None => (what, "/") == (kind, root),
        },
    }
}

fn drawn() -> Outcome {
    let bundle = Bundle::reporter(&["--quiet"])?;
    bundle.bundled(&["run"])?;
    let dot = bundle.call(&["trace", "--format", "dot", &bundle.id])?.ok()?.out;
    let svg = draw(&bundle, &dot)?;
    for word in ["process ", "/dev/pts", "mqueue", "mnt namespace", "NET_BIND_SERVICE"] {
        ensure!(svg.contains(word), "{word} is not in the picture");
    }
    bundle.clean()
}

/// The picture that graphviz makes of a graph. It says nothing on standard error.
fn draw(bundle: &Bundle, dot: &str) -> Result<String, Failed> {
    fs::write(bundle.path("graph.dot"), dot)?;
    let mut command = std::process::Command::new(tool("dot")?);
    command.args(["-Tsvg", "-o"]).arg(bundle.path("graph.svg")).arg(bundle.path("graph.dot"));
    bundle.finish(command)?.ok()?;
    Ok(fs::read_to_string(bundle.path("graph.svg"))?)
}

fn hostile() -> Outcome {
    let mut bundle = Bundle::reporter(&["--quiet"])?;
    let name = "/srv/<b>\"&amp;\\n\u{202e}\u{1b}[31m";
    let mount = json!({"destination": name, "type": "tmpfs", "source": "\"]; evil [label=x", "options": ["size=1m"]});
    bundle.set("/mounts/-", mount)?;
    bundle.set("/hostname", json!("<i>\"]; n9 -> n8"))?;
    let done = bundle.bundled(&["run"])?;
    same("status", done.status, 0)?;
    let dot = bundle.call(&["trace", "--format", "dot", &bundle.id])?.ok()?.out;
    ensure!(!dot.contains(['\u{1b}', '\u{202e}']), "{dot}");
    let svg = draw(&bundle, &dot)?;
    ensure!(!svg.contains("evil") && svg.contains("&lt;i&gt;"), "{svg}");
    bundle.clean()
}

fn failed() -> Outcome {
    let mut bundle = Bundle::plain()?;
    bundle.set("/process/args", json!(["/no/such/program"]))?;
    bundle.bundled(&["run"])?.refused("/no/such/program")?;
    let dot = bundle.call(&["trace", "--format", "dot", &bundle.id])?.ok()?.out;
    ensure!(dot.contains("at the end of its trace"), "{dot}");
    draw(&bundle, &dot)?;
    bundle.clean()
}
