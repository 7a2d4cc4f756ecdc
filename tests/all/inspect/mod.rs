//! `inspect`: what it says of a container is what /proc says, and what the container sees itself; what is not isolated is
//! found, and told first.

pub mod hostile;

use crate::bundle::{Bundle, patiently, runtime};
use crate::cgroup::script;
use crate::users::{as_user, of_user};
use crate::{Failed, Outcome, area, ensure, same};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

pub fn cases() -> Vec<Trial> {
    area(
        "inspect",
        &[
            ("says_what_proc_says", proc),
            ("agrees_with_the_report_from_inside", inside),
            ("what_is_not_isolated_comes_first", open),
            ("each_mount_has_its_line", origins),
            ("a_place_that_is_a_link_has_its_line", links),
            ("shared_with_another_container", shared),
            ("ids_in_a_user_namespace", mapped),
            ("of_an_ordinary_user", rootless),
            ("limits_have_their_lines", limits),
            ("seccomp_by_what_is_done", seccomp),
            ("a_terminal_is_named", terminal),
            ("the_callers_terminal_is_not_isolated", callers_terminal),
            ("descriptors_that_leak", leaked),
            ("before_and_after", diff),
            ("created_paused_and_stopped", states),
            ("fits_into_its_columns", columns),
        ],
    )
}

/// The document of a container that is there.
pub fn document(bundle: &Bundle) -> Result<Value, Failed> {
    let out = bundle.call(&["inspect", "--format", "json", &bundle.id])?.ok()?.out;
    Ok(serde_json::from_str(&out)?)
}

/// The text of a container that is there.
pub fn text(bundle: &Bundle) -> Result<String, Failed> {
    Ok(bundle.call(&["inspect", &bundle.id])?.ok()?.out)
}

fn started(bundle: &Bundle) -> Outcome {
    bundle.bundled(&["run", "--detach"])?.ok().map(drop)
}

fn end(bundle: Bundle) -> Outcome {
    bundle.call(&["delete", "--force", &bundle.id])?.ok()?;
    bundle.clean()
}

fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn words(value: &Value, pointer: &str) -> Vec<String> {
    list(value, pointer).iter().filter_map(Value::as_str).map(String::from).collect()
}

/// The names of what is not isolated.
fn findings(document: &Value) -> Vec<String> {
    list(document, "/notIsolated").iter().filter_map(|one| one["name"].as_str()).map(String::from).collect()
}

fn finding<'a>(document: &'a Value, name: &str) -> Result<&'a Value, Failed> {
    let found = list(document, "/notIsolated").iter().find(|one| one["name"] == name);
    found.ok_or_else(|| format!("`{name}` is not found: {:?}", findings(document)).into())
}

/// A line of /proc/PID/status.
fn status(pid: &Value, key: &str) -> Result<String, Failed> {
    let text = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
    Ok(line.unwrap_or("").trim().into())
}

fn proc() -> Outcome {
    let bundle = script("exec sleep 1000")?;
    started(&bundle)?;
    let there = bundle.state()?["pid"].clone();
    patiently("the program", || Ok(fs::read(format!("/proc/{there}/cmdline"))?.starts_with(b"sleep")))?;
    let document = document(&bundle)?;
    let pid = &document["pid"];
    same("pid", pid, &there)?;
    let kinds = [("mount", "mnt"), ("network", "net")];
    for one in list(&document, "/namespaces") {
        let kind = one["kind"].as_str().unwrap_or("");
        let file = kinds.iter().find(|(word, _)| *word == kind).map_or(kind, |(_, file)| file);
        let read =
            |pid: &str| fs::read_link(format!("/proc/{pid}/ns/{file}")).map(|link| json!(link.to_string_lossy()));
        let theirs = read(&pid.to_string())?;
        same(kind, &one["name"], &theirs)?;
        let whose = if theirs == read("thread-self")? { "host" } else { "own" };
        same(kind, &one["sharing"], &json!(whose))?;
    }
    ensure!(list(&document, "/namespaces").len() == 8, "{document}");
    let mountinfo = fs::read_to_string(format!("/proc/{pid}/mountinfo"))?;
    let targets: Vec<String> = mountinfo.lines().filter_map(|line| line.split(' ').nth(4)).map(String::from).collect();
    let told: Vec<String> =
        list(&document, "/mounts").iter().filter_map(|m| m["target"].as_str()).map(String::from).collect();
    same("mounts", told, targets)?;
    for (set, key) in [("bounding", "CapBnd"), ("permitted", "CapPrm"), ("effective", "CapEff"), ("ambient", "CapAmb")]
    {
        let bits = u64::from_str_radix(&status(pid, key)?, 16)?;
        let told = words(&document, &format!("/capabilities/{set}"));
        ensure!(told.len() as u32 == bits.count_ones(), "{set}: {told:?}, {bits:x}");
    }
    same("no_new_privs", &document["noNewPrivileges"], &json!(status(pid, "NoNewPrivs")? == "1"))?;
    let read = |name: &str| fs::read_link(format!("/proc/{pid}/{name}")).map(|link| json!(link.to_string_lossy()));
    same("executable", &document["process"]["executable"], &read("exe")?)?;
    same("directory", &document["process"]["directory"], &read("cwd")?)?;
    same("arguments", words(&document, "/process/arguments"), vec!["sleep".into(), "1000".into()])?;
    let numbers: Vec<&Value> = list(&document, "/descriptors").iter().map(|one| &one["number"]).collect();
    same("descriptors", numbers, vec![&json!(0), &json!(1), &json!(2)])?;
    let limits = fs::read_to_string(format!("/proc/{pid}/limits"))?;
    for (line, limit) in limits.lines().skip(1).zip(list(&document, "/limits")) {
        let pair = format!("{} {}", limit["soft"].as_str().unwrap_or(""), limit["hard"].as_str().unwrap_or(""));
        let told = line.split_whitespace().collect::<Vec<_>>().join(" ");
        ensure!(told.contains(&pair), "{limit}: {line}");
    }
    ensure!(words(&document, "/process/environment").iter().any(|name| name == "NK_TEST"), "{document}");
    ensure!(!document.to_string().contains(&format!("NK_TEST={}", bundle.id)), "a value of a variable is told");
    end(bundle)
}

/// The rows of the report that the program itself gives as `inside`.
fn rows(report: &str) -> Vec<(String, String)> {
    let mut rows: Vec<(String, String)> = Vec::new();
    for line in report.lines() {
        let (name, value) = line.split_at_checked(16).unwrap_or((line, ""));
        match (name.trim(), rows.last_mut()) {
            ("", Some((_, last))) => last.push_str(&format!(" {}", value.trim())),
            (name, _) => rows.push((name.into(), value.trim().into())),
        }
    }
    rows
}

fn inside() -> Outcome {
    let mut bundle = script("/nk-runtime inside; exec sleep 1000")?;
    crate::bundle::copy_program(runtime(), bundle.rootfs("nk-runtime"))?;
    let net = |one: &Value| one["type"] != "network";
    let namespaces: Vec<Value> = list(&bundle.config, "/linux/namespaces").iter().filter(|n| net(n)).cloned().collect();
    bundle.set("/linux/namespaces", json!(namespaces))?;
    let links: Vec<String> = ["cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"]
        .iter()
        .filter_map(|kind| fs::read_link(format!("/proc/thread-self/ns/{kind}")).ok())
        .map(|link| link.to_string_lossy().into_owned())
        .collect();
    bundle.set("/process/env/-", json!(format!("NK_OUTSIDE={}", links.join(" "))))?;
    bundle.write_config()?;
    let here = bundle.path("").to_string_lossy().into_owned();
    let running = bundle.start(bundle.command(&["run", "--bundle", &here, &bundle.id])?)?;
    patiently("the report", || Ok(running.said().0.contains("mounts")))?;
    patiently("the program after it", || {
        let running = bundle.state_root().join(&bundle.id).exists() && bundle.status()? == "running";
        Ok(running && words(&document(&bundle)?, "/process/arguments").first().is_some_and(|word| word == "sleep"))
    })?;
    let (document, report) = (document(&bundle)?, running.said().0);
    let rows = rows(&report);
    let row = |name: &str| rows.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value.as_str());
    let has = |row: &str, word: &str| row.split([' ', ',', ';', ':', '(', ')', '[', ']']).any(|one| one == word);
    // The report has the names that /proc has.
    for one in list(&document, "/namespaces") {
        let kind = one["name"].as_str().and_then(|name| name.split(':').next()).unwrap_or("");
        let (own, shared) = row("namespaces").split_once("shared").unwrap_or(("", ""));
        let side = if one["sharing"] == "host" { shared } else { own };
        ensure!(has(side, kind), "{kind} is {}: {report}", one["sharing"]);
    }
    let capabilities: BTreeSet<String> =
        row("capabilities").split_whitespace().filter(|word| word.starts_with("CAP_")).map(String::from).collect();
    same("capabilities", capabilities, words(&document, "/capabilities/effective").into_iter().collect())?;
    ensure!(row("no new privs").starts_with(['1', 'y', 'o']) == (document["noNewPrivileges"] == true), "{report}");
    ensure!(row("user").contains(&format!("uid {}", document["users"]["uids"][1])), "{report}");
    let rows_of_mounts = ["mounts", "read-only", "masked"].map(row).join(" ");
    let told: BTreeSet<&str> = rows_of_mounts.split([' ', ',']).filter(|word| word.starts_with('/')).collect();
    let targets = list(&document, "/mounts").iter().filter_map(|mount| mount["target"].as_str()).collect();
    same("mounts", told, targets)?;
    for node in list(&document, "/devices/nodes").iter().filter_map(|node| node["path"].as_str()) {
        let name = node.trim_start_matches("/dev/");
        ensure!(has(row("/dev"), name), "{name}: {report}");
    }
    for name in words(&document, "/interfaces") {
        ensure!(has(row("interfaces"), &name), "{name}: {report}");
    }
    for number in list(&document, "/descriptors").iter().map(|one| one["number"].to_string()) {
        ensure!(has(row("descriptors"), &number), "{number}: {report}");
    }
    bundle.call(&["kill", &bundle.id, "KILL"])?.ok()?;
    bundle.wait(running)?;
    bundle.clean()
}

fn open() -> Outcome {
    let mut bundle = script("exec sleep 1000")?;
    for name in ["data", "engine"] {
        fs::create_dir(bundle.path(name))?;
    }
    fs::write(bundle.path("engine/docker.sock"), "")?;
    bundle.remove("/hostname")?;
    bundle.set("/linux/namespaces", json!([{"type": "mount"}]))?;
    bundle.capable(&json!(["CAP_SYS_ADMIN", "CAP_NET_ADMIN", "CAP_CHOWN"]))?;
    bundle.set("/process/noNewPrivileges", json!(false))?;
    bundle.set("/linux/maskedPaths", json!([]))?;
    bundle.set("/linux/readonlyPaths", json!([]))?;
    bundle.set("/linux/resources", json!({"devices": [{"allow": true, "access": "rwm"}]}))?;
    bundle.set("/linux/devices", json!([{"type": "b", "path": "/dev/disk", "major": 7, "minor": 0}]))?;
    let text_of = |name: &str| bundle.path(name).to_string_lossy().into_owned();
    let data = json!({"destination": "/data", "type": "bind", "source": text_of("data"), "options": ["bind"]});
    let engine = text_of("engine/docker.sock");
    let socket = json!({"destination": "/e.sock", "type": "bind", "source": engine, "options": ["bind", "ro"]});
    let root = json!({"destination": "/host", "type": "bind", "source": "/", "options": ["bind", "ro"]});
    let quiet = ["proc", "tmpfs", "devpts"];
    let mut mounts: Vec<Value> = list(&bundle.config, "/mounts").to_vec();
    mounts.retain(|mount| quiet.iter().any(|kind| mount["type"] == *kind));
    let first = mounts.len();
    mounts.extend([data, socket, root]);
    bundle.set("/mounts", json!(mounts))?;
    started(&bundle)?;
    let document = document(&bundle)?;
    let found = findings(&document);
    for name in [
        "engine socket",
        "host root",
        "user namespace",
        "CAP_SYS_ADMIN",
        "CAP_NET_ADMIN",
        "host devices",
        "all devices",
        "writable host mount",
        "pid namespace",
        "network namespace",
        "ipc namespace",
        "cgroup namespace",
        "uts namespace",
        "writable /proc/sys",
        "unmasked /proc",
        "no seccomp",
        "new privileges",
    ] {
        ensure!(found.iter().any(|one| one == name), "`{name}` is not found: {found:?}");
    }
    ensure!(found.iter().all(|name| name != "CAP_CHOWN" && name != "mount namespace"), "{found:?}");
    same("the worst", found.first().map(String::as_str), Some("engine socket"))?;
    let lines = |name: &str| finding(&document, name).map(|one| one["pointers"].clone());
    same("writable host mount", lines("writable host mount")?, json!([format!("/mounts/{first}")]))?;
    same("engine socket", lines("engine socket")?, json!([format!("/mounts/{}", first + 1)]))?;
    same("host root", lines("host root")?, json!([format!("/mounts/{}", first + 2)]))?;
    same("host devices", lines("host devices")?, json!(["/linux/devices/0"]))?;
    let text = text(&bundle)?;
    let place = |words: &str| text.find(words).ok_or_else(|| format!("no `{words}`: {text}"));
    ensure!(place("Not isolated (")? < place("\nNamespaces\n")?, "{text}");
    end(bundle)
}

fn origins() -> Outcome {
    let mut bundle = script("mount -t tmpfs mine /tmp; exec sleep 1000")?;
    bundle.set("/root/readonly", json!(true))?;
    bundle.capable(&json!(["CAP_SYS_ADMIN"]))?;
    started(&bundle)?;
    patiently("the program's own mount", || Ok(document(&bundle)?.to_string().contains("\"mine\"")))?;
    let document = document(&bundle)?;
    for mount in list(&document, "/mounts") {
        let Some(target) = mount["target"].as_str() else { return Err("no target".into()) };
        if target == "/tmp" {
            same(target, &mount["origin"], &json!("later"))?;
            continue;
        }
        let pointer = mount["pointer"].as_str().ok_or_else(|| format!("no line: {mount}"))?;
        let line = bundle.config.pointer(pointer).ok_or_else(|| format!("no such line: {mount}"))?;
        let place = if line.is_string() { line } else { &line["destination"] };
        let wanted = if target == "/" { &bundle.config["root"]["path"] } else { &mount["target"] };
        same(target, place, wanted)?;
    }
    end(bundle)
}

/// A name of the rootfs that is a link: the kernel tells the place that it leads to.
fn links() -> Outcome {
    let mut bundle = script("exec sleep 1000")?;
    fs::create_dir_all(bundle.rootfs("run/here"))?;
    fs::create_dir_all(bundle.rootfs("var"))?;
    std::os::unix::fs::symlink("../run", bundle.rootfs("var/run"))?;
    bundle.set("/mounts/-", json!({"destination": "/var/run/here", "type": "tmpfs", "source": "tmpfs"}))?;
    started(&bundle)?;
    let document = document(&bundle)?;
    let mount = list(&document, "/mounts").iter().find(|mount| mount["target"] == "/run/here");
    let number = list(&bundle.config, "/mounts").len() - 1;
    same("line", mount.map(|mount| &mount["pointer"]), Some(&json!(format!("/mounts/{number}"))))?;
    end(bundle)
}

fn shared() -> Outcome {
    let mut other = script("exec sleep 1000")?;
    // The host is looked at from this bundle on, so it is the one that ends clean.
    let bundle = script("exec sleep 1000")?;
    started(&bundle)?;
    let pid = bundle.state()?["pid"].to_string();
    let namespaces = list(&other.config, "/linux/namespaces").iter().map(|one| match one["type"].as_str() {
        Some("network") => json!({"type": "network", "path": format!("/proc/{pid}/ns/net")}),
        _ => one.clone(),
    });
    let namespaces: Vec<Value> = namespaces.collect();
    other.set("/linux/namespaces", json!(namespaces))?;
    other.write_config()?;
    let here = other.path("").to_string_lossy().into_owned();
    let run = |words: &[&str]| -> Result<(), Failed> {
        let mut command = Command::new(runtime());
        command.arg("--root").arg(bundle.state_root()).args(words).current_dir("/");
        other.finish(command)?.ok().map(drop)
    };
    run(&["run", "--detach", "--bundle", &here, &other.id])?;
    let document = document(&bundle)?;
    let network = list(&document, "/namespaces").iter().find(|one| one["kind"] == "network");
    let network = network.ok_or("no network namespace")?;
    same("sharing", (&network["sharing"], &network["with"]), (&json!("containers"), &json!([other.id])))?;
    finding(&document, "other containers")?;
    ensure!(text(&bundle)?.contains(&format!("with {}", other.id)), "the text does not name it");
    run(&["delete", "--force", &other.id])?;
    let alone = self::document(&bundle)?;
    let network = list(&alone, "/namespaces").iter().find(|one| one["kind"] == "network");
    same("sharing", network.map(|one| &one["sharing"]), Some(&json!("own")))?;
    end(bundle)
}

fn mapped() -> Outcome {
    let mut bundle = script("exec sleep 1000")?;
    bundle.set("/linux/namespaces/-", json!({"type": "user"}))?;
    let map = json!([{"containerID": 0, "hostID": 200_000, "size": 1000}]);
    bundle.set("/linux/uidMappings", map.clone())?;
    bundle.set("/linux/gidMappings", map)?;
    bundle.set("/process/user", json!({"uid": 5, "gid": 6, "additionalGids": [7]}))?;
    crate::namespaces::give(&bundle.rootfs(""), 200_000)?;
    fs::set_permissions(bundle.path(""), std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    started(&bundle)?;
    let document = document(&bundle)?;
    same("map", &document["users"]["uidMap"], &json!([{"inside": 0, "outside": 200_000, "count": 1000}]))?;
    same("uid", &document["users"]["uids"][1], &json!(200_005))?;
    ensure!(findings(&document).iter().all(|name| name != "user namespace"), "{:?}", findings(&document));
    let default = list(&document, "/mounts").iter().find(|mount| mount["target"] == "/dev/zero");
    same("/dev/zero", default.map(|mount| &mount["origin"]), Some(&json!("device")))?;
    let text = text(&bundle)?;
    for words in ["5 (200005 outside)", "7 (200007 outside)", "0 inside is 200000 outside"] {
        ensure!(text.contains(words), "no `{words}`: {text}");
    }
    end(bundle)
}

fn rootless() -> Outcome {
    let bundle = of_user(script("exec sleep 1000")?)?;
    let here = bundle.path("").to_string_lossy().into_owned();
    as_user(&bundle, &["run", "--detach", "--bundle", &here, &bundle.id])?.ok()?;
    let out = as_user(&bundle, &["inspect", "--format", "json", &bundle.id])?.ok()?.out;
    let document: Value = serde_json::from_str(&out)?;
    let user = list(&document, "/namespaces").iter().find(|one| one["kind"] == "user");
    same("user namespace", user.map(|one| &one["sharing"]), Some(&json!("own")))?;
    ensure!(list(&document, "/mounts").len() > 5 && list(&document, "/descriptors").len() == 3, "{document}");
    ensure!(document["hidden"].is_null(), "{}", document["hidden"]);
    as_user(&bundle, &["inspect", "--diff", &bundle.id])?.ok()?;
    as_user(&bundle, &["delete", "--force", &bundle.id])?.ok()?;
    bundle.clean()
}

fn limits() -> Outcome {
    let mut bundle = script("exec sleep 1000")?;
    bundle.set("/linux/resources", json!({"unified": {"cgroup.max.descendants": "5"}}))?;
    bundle.set("/process/rlimits", json!([{"type": "RLIMIT_CORE", "soft": 11, "hard": 22}]))?;
    bundle.set("/process/oomScoreAdj", json!(321))?;
    bundle.set("/process/scheduler", json!({"policy": "SCHED_BATCH", "nice": 3}))?;
    started(&bundle)?;
    let document = document(&bundle)?;
    let limit = list(&document, "/cgroup/limits").iter().find(|one| one["file"] == "cgroup.max.descendants");
    let limit = limit.ok_or_else(|| format!("no such limit: {}", document["cgroup"]))?;
    let pointer = "/linux/resources/unified/cgroup.max.descendants";
    same("cgroup", (&limit["value"], &limit["pointer"]), (&json!("5"), &json!(pointer)))?;
    let core = list(&document, "/limits").iter().find(|one| one["name"] == "RLIMIT_CORE").ok_or("no RLIMIT_CORE")?;
    let wanted = json!({"name": "RLIMIT_CORE", "soft": "11", "hard": "22", "pointer": "/process/rlimits/0"});
    same("RLIMIT_CORE", core, &wanted)?;
    same("oom", &document["oom"]["adjustment"], &json!(321))?;
    same(
        "policy",
        (&document["scheduling"]["policy"], &document["scheduling"]["nice"]),
        (&json!("SCHED_BATCH"), &json!(3)),
    )?;
    ensure!(document["cgroup"]["own"] == true, "{}", document["cgroup"]);
    end(bundle)
}

fn seccomp() -> Outcome {
    let mut bundle = script("exec sleep 1000")?;
    let rules = json!([
        {"names": ["reboot", "acct"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38},
        {"names": ["clone"], "action": "SCMP_ACT_ERRNO", "args": [{"index": 0, "value": 1 << 28, "op": "SCMP_CMP_EQ"}]},
    ]);
    bundle.set("/linux/seccomp", json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": rules}))?;
    started(&bundle)?;
    let document = document(&bundle)?;
    same("mode", &document["seccomp"]["mode"], &json!("filter"))?;
    let actions = &document["seccomp"]["profile"]["actions"];
    let wanted = json!([
        {"action": "SCMP_ACT_ERRNO", "errno": "ENOSYS", "calls": ["acct", "reboot"], "conditional": []},
        {"action": "SCMP_ACT_ERRNO", "errno": "EPERM", "calls": [], "conditional": ["clone"]},
    ]);
    same("actions", actions, &wanted)?;
    ensure!(findings(&document).iter().all(|name| name != "no seccomp"), "{document}");
    end(bundle)
}

fn terminal() -> Outcome {
    let mut bundle = script("exec sleep 1000")?;
    bundle.set("/process/terminal", json!(true))?;
    let socket = bundle.path("console");
    let console = crate::screen::console(&socket)?;
    bundle.bundled(&["run", "--detach", "--console-socket", &socket.to_string_lossy()])?.ok()?;
    let _screen = crate::screen::came(console)?;
    let document = document(&bundle)?;
    same("terminal", &document["terminal"], &json!("/dev/pts/0"))?;
    let console = list(&document, "/mounts").iter().find(|mount| mount["target"] == "/dev/console");
    same("console", console.map(|mount| &mount["origin"]), Some(&json!("console")))?;
    ensure!(findings(&document).iter().all(|name| name != "host terminal"), "{:?}", findings(&document));
    end(bundle)
}

/// Without a terminal of its own the program has that of its caller.
fn callers_terminal() -> Outcome {
    let bundle = script("exec sleep 1000")?;
    bundle.write_config()?;
    let here = bundle.path("").to_string_lossy().into_owned();
    let seat = crate::screen::Seat::take(&bundle, &bundle.command(&["run", "--bundle", &here, &bundle.id])?)?;
    let lives = || -> Result<bool, Failed> {
        Ok(bundle.state_root().join(&bundle.id).exists() && bundle.status()? == "running")
    };
    patiently("the program", || lives().or(Ok(false)))?;
    let document = document(&bundle)?;
    let terminal = &finding(&document, "host terminal")?["what"][0];
    ensure!(terminal.as_str().is_some_and(|name| name.starts_with("/dev/pts/")), "{terminal}");
    bundle.call(&["kill", &bundle.id, "KILL"])?.ok()?;
    seat.leave(137)?;
    bundle.clean()
}

/// A directory of the host's that the caller hands on: CVE-2024-21626 was one by mistake.
fn leaked() -> Outcome {
    let bundle = script("exec sleep 1000")?;
    bundle.write_config()?;
    let here = bundle.path("").to_string_lossy().into_owned();
    let mut command = Command::new("/bin/sh");
    let inner = "exec \"$0\" --root \"$1\" run --detach --preserve-fds 1 --bundle \"$2\" \"$3\" 3</etc";
    command.args(["-c", inner]).arg(runtime()).arg(bundle.state_root()).arg(&here).arg(&bundle.id);
    bundle.finish(command)?.ok()?;
    let document = document(&bundle)?;
    same("what", &finding(&document, "leaked descriptors")?["what"], &json!(["3: /etc"]))?;
    end(bundle)
}

fn diff() -> Outcome {
    let mut bundle = script("exec sleep 1000")?;
    bundle.set("/process/oomScoreAdj", json!(321))?;
    started(&bundle)?;
    let out = bundle.call(&["inspect", "--diff", "--format", "json", &bundle.id])?.ok()?.out;
    let document: Value = serde_json::from_str(&out)?;
    let row = |subject: &str, name: &str| {
        let all = list(&document, "/differs").iter();
        all.clone().find(|one| one["subject"] == subject && one["name"] == name).cloned()
    };
    let oom = row("oom", "adjustment").ok_or("no row for oom")?;
    let own = fs::read_to_string("/proc/self/oom_score_adj")?;
    same("oom", (&oom["before"], &oom["after"]), (&json!(own.trim()), &json!("321")))?;
    ensure!(row("namespaces", "pid").is_some() && row("namespaces", "time").is_none(), "{document}");
    let proc = row("mounts", "/proc/sys").ok_or("no row for /proc/sys")?;
    ensure!(proc["before"] == "" && proc["after"].as_str().is_some_and(|text| text.starts_with("proc ro")), "{proc}");
    for one in list(&document, "/differs") {
        ensure!(one["before"] != one["after"], "{one}");
    }
    let text = bundle.call(&["inspect", "--diff", &bundle.id])?.ok()?.out;
    ensure!(text.lines().any(|line| line.starts_with("capabilities ") && line.contains(" before ")), "{text}");
    end(bundle)
}

fn states() -> Outcome {
    let bundle = script("exec sleep 1000")?;
    bundle.bundled(&["create"])?.ok()?;
    ensure!(text(&bundle)?.contains("Its program has not begun"), "{}", text(&bundle)?);
    same("status", &document(&bundle)?["status"], &json!("created"))?;
    bundle.call(&["start", &bundle.id])?.ok()?;
    bundle.call(&["pause", &bundle.id])?.ok()?;
    same("status", &document(&bundle)?["status"], &json!("paused"))?;
    bundle.call(&["resume", &bundle.id])?.ok()?;
    bundle.call(&["kill", &bundle.id, "KILL"])?.ok()?;
    bundle.until("stopped")?;
    let gone = document(&bundle)?;
    same("status", (&gone["status"], &gone["endedMeanwhile"]), (&json!("stopped"), &json!(false)))?;
    ensure!(gone["cgroup"].as_str().is_some_and(|path| path.ends_with(&bundle.id)), "{gone}");
    ensure!(text(&bundle)?.contains("`delete` removes what is left"), "{}", text(&bundle)?);
    bundle.call(&["delete", &bundle.id])?.ok()?;
    bundle.call(&["inspect", &bundle.id])?.refused("container does not exist")?;
    bundle.clean()
}

/// Lines are as long as the terminal is wide, and no longer.
fn columns() -> Outcome {
    let bundle = script("exec sleep 1000")?;
    started(&bundle)?;
    for option in ["", "--diff"] {
        let words: Vec<&str> = ["inspect", option, &bundle.id].into_iter().filter(|word| !word.is_empty()).collect();
        let out = bundle.call(&words)?.ok()?.out;
        let long = out.lines().find(|line| line.chars().count() > 80);
        ensure!(long.is_none(), "{long:?}");
        for columns in [60, 100, 160] {
            let sized = format!("stty cols {columns}; exec \"$@\"");
            let mut command = Command::new("/bin/sh");
            command.args(["-c", &sized, "sh"]).arg(runtime()).arg("--root").arg(bundle.state_root()).args(&words);
            let shown = crate::screen::Seat::take(&bundle, &command)?.leave(0)?;
            let long = shown.lines().find(|line| line.trim_end().chars().count() > columns);
            ensure!(long.is_none() && shown.lines().count() > 20, "{columns}: {long:?}");
        }
    }
    end(bundle)
}
