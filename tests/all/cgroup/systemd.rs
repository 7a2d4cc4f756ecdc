//! The systemd driver, against a real systemd: scopes are made with their limits, known, and gone at the end. Only where
//! systemd is the first process, and outside of the view of the other cases: `scripts/lab --debian` boots such a machine.

use crate::bundle::{Bundle, Done, patiently};
use crate::cgroup::{cgroup, cgroup_of, read, script};
use crate::step::every::quit_each;
use crate::{Case, Failed, Outcome, ensure, same};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

const CASES: &[Case] = &[
    ("scope_with_limits", limits),
    ("run_leaves_nothing", run),
    ("by_the_bus", bus),
    ("names_by_default", default_names),
    ("slices_are_made_as_they_lie", slices),
    ("annotations_are_properties", annotations),
    ("update_tells_systemd", update),
    ("what_failed_before_is_forgotten", taken),
    ("processes_left_behind_end", left_behind),
    ("failure_stops_the_scope", failure),
    ("one_process_is_enough", one_process),
    ("hooks_while_init_waits", hooks),
    ("killed_at_any_moment", killed),
    ("q_at_each_seventh_line_of_step", stepped),
    ("no_systemd_is_named", nobody),
    ("its_answers_are_causes", answers),
    ("wrong_names_are_refused", wrong),
    ("without_root_by_the_users_manager", rootless),
];

/// `alone`: this area alone was asked for, and the view was not entered.
pub fn cases(alone: bool) -> Vec<Trial> {
    let missing = !alone || !Path::new("/run/systemd/private").exists();
    let trial = |(what, case): &Case| Trial::test(format!("systemd::{what}"), *case).with_ignored_flag(missing);
    CASES.iter().map(trial).collect()
}

const MIB: i64 = 1 << 20;

fn sleeper() -> Result<Bundle, Failed> {
    let mut bundle = script("echo > /tmp/ready; sleep 1000")?;
    let path = format!("machine.slice:nk:{}", bundle.id);
    bundle.set("/linux/cgroupsPath", json!(path))?;
    Ok(bundle)
}

fn create(bundle: &Bundle) -> Outcome {
    bundle.bundled(&["--systemd-cgroup", "create"])?.ok()?;
    bundle.call(&["start", &bundle.id])?.ok()?;
    patiently("the program", || Ok(bundle.rootfs("tmp/ready").exists()))
}

/// What systemd says of a unit.
fn property(unit: &str, name: &str) -> Result<String, Failed> {
    let done = Command::new("systemctl").args(["show", "--value", "-p", name, unit]).output()?;
    Ok(String::from_utf8_lossy(&done.stdout).trim().to_owned())
}

fn properties(unit: &str, wanted: &[(&str, &str)]) -> Outcome {
    for (name, value) in wanted {
        same(name, property(unit, name)?.as_str(), value)?;
    }
    Ok(())
}

/// Ends it, and nobody knows of it any more.
fn gone(bundle: Bundle, unit: &str) -> Outcome {
    bundle.call(&["kill", &bundle.id, "KILL"])?.ok()?;
    bundle.until("stopped")?;
    bundle.call(&["delete", &bundle.id])?.ok()?;
    not_there(unit)?;
    bundle.clean()
}

fn not_there(unit: &str) -> Outcome {
    same(unit, property(unit, "LoadState")?.as_str(), "not-found")
}

fn limited(bundle: &mut Bundle) -> Outcome {
    let limits = json!({
        "memory": {"limit": 64 * MIB, "swap": 96 * MIB, "reservation": 16 * MIB},
        "cpu": {"shares": 2048, "quota": 20000, "period": 50000, "cpus": "0", "mems": "0"},
        "pids": {"limit": 20},
        "blockIO": {"weight": 500},
    });
    if let (Value::Object(all), Value::Object(mut more)) = (&mut bundle.config["linux"]["resources"], limits) {
        all.append(&mut more);
    }
    Ok(())
}

fn limits() -> Outcome {
    let mut bundle = sleeper()?;
    limited(&mut bundle)?;
    create(&bundle)?;
    let unit = format!("nk-{}.scope", bundle.id);
    let path = format!("/sys/fs/cgroup/machine.slice/{unit}");
    same("cgroup", cgroup(&bundle)?.to_string_lossy().as_ref(), path.as_str())?;
    properties(
        &unit,
        &[
            ("ActiveState", "active"),
            ("Slice", "machine.slice"),
            ("Delegate", "yes"),
            ("MemoryMax", "67108864"),
            ("MemorySwapMax", "33554432"),
            ("MemoryLow", "16777216"),
            ("CPUWeight", "174"),
            ("CPUQuotaPerSecUSec", "400ms"),
            ("CPUQuotaPeriodUSec", "50ms"),
            ("AllowedCPUs", "0"),
            ("AllowedMemoryNodes", "0"),
            ("TasksMax", "20"),
        ],
    )?;
    let files = [
        ("memory.max", "67108864"),
        ("memory.swap.max", "33554432"),
        ("memory.low", "16777216"),
        ("cpu.max", "20000 50000"),
        ("cpuset.cpus", "0"),
        ("pids.max", "20"),
    ];
    for (file, value) in files {
        same(file, read(&bundle, file)?.as_str(), value)?;
    }
    let weight = read(&bundle, "cpu.weight")?;
    let reload = Command::new("systemctl").arg("daemon-reload").status()?;
    ensure!(reload.success(), "daemon-reload");
    same("cpu.weight", read(&bundle, "cpu.weight")?, weight)?;
    for (file, value) in files {
        same(file, read(&bundle, file)?.as_str(), value)?;
    }
    gone(bundle, &unit)
}

fn run() -> Outcome {
    let mut bundle = Bundle::shell("exit 7")?;
    bundle.set("/linux/cgroupsPath", json!("system.slice:nk:once"))?;
    for manager in [&["--systemd-cgroup"][..], &["--cgroup-manager", "systemd"]] {
        let done = bundle.bundled(&[manager, &["run"]].concat())?;
        same("status", done.status, 7)?;
        not_there("nk-once.scope")?;
    }
    bundle.clean()
}

fn with(bundle: &Bundle, name: &str, value: &str, words: &[&str]) -> Result<Done, Failed> {
    bundle.write_config()?;
    let here = bundle.path("");
    let mut command = bundle.command(words)?;
    command.args(["--bundle", here.to_string_lossy().trim_end_matches('/')]).arg(&bundle.id).env(name, value);
    bundle.finish(command)
}

/// Through the bus: it is greeted, and asked for signals.
fn bus() -> Outcome {
    let bundle = sleeper()?;
    let address = "unix:path=/run/dbus/system_bus_socket,guid=0";
    let words = ["--systemd-cgroup", "create"];
    with(&bundle, "DBUS_SYSTEM_BUS_ADDRESS", address, &words)?.ok()?;
    let state = std::fs::read_to_string(bundle.state_root().join(&bundle.id).join("state.json"))?;
    ensure!(state.contains("system_bus_socket"), "{state}");
    let unit = format!("nk-{}.scope", bundle.id);
    properties(&unit, &[("ActiveState", "active")])?;
    gone(bundle, &unit)
}

fn default_names() -> Outcome {
    let mut bundle = sleeper()?;
    bundle.remove("/linux/cgroupsPath")?;
    create(&bundle)?;
    let unit = format!("nk-{}.scope", bundle.id);
    properties(&unit, &[("Slice", "system.slice")])?;
    gone(bundle, &unit)?;
    let mut bundle = sleeper()?;
    bundle.set("/linux/cgroupsPath", json!("::a+b"))?;
    create(&bundle)?;
    let unit = "a\\x2bb.scope";
    properties(unit, &[("Slice", "system.slice"), ("ActiveState", "active")])?;
    gone(bundle, unit)
}

fn slices() -> Outcome {
    let mut bundle = sleeper()?;
    let path = format!("nka-nkb.slice:nk:{}", bundle.id);
    bundle.set("/linux/cgroupsPath", json!(path))?;
    create(&bundle)?;
    let unit = format!("nk-{}.scope", bundle.id);
    let wanted = format!("/sys/fs/cgroup/nka.slice/nka-nkb.slice/{unit}");
    same("cgroup", cgroup(&bundle)?.to_string_lossy().as_ref(), wanted.as_str())?;
    gone(bundle, &unit)
}

fn annotations() -> Outcome {
    let mut bundle = sleeper()?;
    let annotations = json!({
        "org.systemd.property.TimeoutStopSec": "uint64 7",
        "org.systemd.property.Description": "'of the configuration'",
    });
    bundle.set("/annotations", annotations)?;
    create(&bundle)?;
    let unit = format!("nk-{}.scope", bundle.id);
    let wanted = [("TimeoutStopUSec", "7s"), ("Description", "of the configuration")];
    properties(&unit, &wanted)?;
    gone(bundle, &unit)?;
    let mut bundle = sleeper()?;
    bundle.set("/annotations", json!({"org.systemd.property.A": "what"}))?;
    bundle
        .bundled(&["--systemd-cgroup", "create"])?
        .refused("/annotations/org.systemd.property.A: `what` is no value")?;
    let mut bundle = sleeper()?;
    bundle.set("/annotations", json!({"org.systemd.property.Frobs": "true"}))?;
    bundle.bundled(&["--systemd-cgroup", "create"])?.refused("systemd says: Cannot set property Frobs")?;
    bundle.clean()
}

fn update() -> Outcome {
    let bundle = sleeper()?;
    create(&bundle)?;
    let unit = format!("nk-{}.scope", bundle.id);
    let words = ["update", "--memory", "50331648", "--pids-limit", "30", &bundle.id];
    bundle.call(&words)?.ok()?;
    properties(&unit, &[("MemoryMax", "50331648"), ("TasksMax", "30")])?;
    same("memory.max", read(&bundle, "memory.max")?.as_str(), "50331648")?;
    gone(bundle, &unit)
}

/// A unit of that name that has failed gives way, one that is running does not.
fn taken() -> Outcome {
    let bundle = sleeper()?;
    let unit = format!("nk-{}.scope", bundle.id);
    let service = format!("--unit={unit}");
    let mut running = Command::new("systemd-run").args(["--quiet", "--scope", &service, "sleep", "1000"]).spawn()?;
    patiently("the other scope", || Ok(property(&unit, "ActiveState")? == "active"))?;
    bundle.bundled(&["--systemd-cgroup", "create"])?.refused("org.freedesktop.systemd1.UnitExists")?;
    properties(&unit, &[("ActiveState", "active")])?;
    running.kill()?;
    running.wait()?;
    patiently("its end", || Ok(property(&unit, "LoadState")? == "not-found"))?;
    create(&bundle)?;
    gone(bundle, &unit)
}

/// Without a pid namespace nothing ends with init.
fn left_behind() -> Outcome {
    let mut bundle = script("sleep 1000 & echo > /tmp/ready")?;
    bundle.set("/linux/cgroupsPath", json!(format!("machine.slice:nk:{}", bundle.id)))?;
    let namespaces = &mut bundle.config["linux"]["namespaces"];
    if let Some(all) = namespaces.as_array_mut() {
        all.retain(|namespace| namespace["type"] != "pid");
    }
    create(&bundle)?;
    bundle.until("stopped")?;
    let unit = format!("nk-{}.scope", bundle.id);
    bundle.call(&["delete", "--force", &bundle.id])?.ok()?;
    not_there(&unit)?;
    bundle.clean()
}

fn failure() -> Outcome {
    let mut bundle = sleeper()?;
    bundle.set("/process/args", json!(["/there/is/no/such"]))?;
    bundle.bundled(&["--systemd-cgroup", "create"])?.refused("no such file")?;
    not_there(&format!("nk-{}.scope", bundle.id))?;
    bundle.clean()
}

/// Who makes the scope does not count.
fn one_process() -> Outcome {
    let mut bundle = Bundle::reporter(&["--sleep"])?;
    bundle.set("/linux/resources/pids", json!({"limit": 1}))?;
    bundle.set("/linux/cgroupsPath", json!(format!("machine.slice:nk:{}", bundle.id)))?;
    bundle.bundled(&["--systemd-cgroup", "run", "-d"])?.ok()?;
    let unit = format!("nk-{}.scope", bundle.id);
    properties(&unit, &[("TasksMax", "1"), ("TasksCurrent", "1")])?;
    gone(bundle, &unit)
}

/// What held the scope ends although init, which has copies of the runtime's descriptors, waits for the hooks.
fn hooks() -> Outcome {
    let mut bundle = sleeper()?;
    let marks = json!([{"path": "/bin/sh", "args": ["sh", "-c", "cat > /dev/null"]}]);
    bundle.set("/hooks", json!({"prestart": marks, "createRuntime": marks, "createContainer": []}))?;
    create(&bundle)?;
    let unit = format!("nk-{}.scope", bundle.id);
    gone(bundle, &unit)
}

/// `run --step`, ended before and after systemd has made the scope: none is left.
fn stepped() -> Outcome {
    let mut bundle = sleeper()?;
    limited(&mut bundle)?;
    quit_each(&bundle, &["--systemd-cgroup"], 7)?;
    let unit = format!("nk-{}.scope", bundle.id);
    patiently("systemd forgets the scope", || Ok(not_there(&unit).is_ok()))?;
    bundle.clean()
}

/// No unit and no cgroup is left either, though the runtime ends between systemd's answer and its own next step.
fn killed() -> Outcome {
    let mut bundle = sleeper()?;
    limited(&mut bundle)?;
    bundle.write_config()?;
    let left = |bundle: &Bundle| {
        let unit = format!("nk-{}.scope", bundle.id);
        let state = bundle.state_root().join(&bundle.id);
        let group = Path::new("/sys/fs/cgroup/machine.slice").join(&unit);
        let mut all = Vec::new();
        all.extend(not_there(&unit).err().map(|_| unit));
        for path in [state, group].into_iter().filter(|path| path.exists()) {
            all.push(path.to_string_lossy().into_owned());
        }
        all
    };
    crate::cgroup::crowds::killed_each_time(&bundle, &["--systemd-cgroup"], left)?;
    bundle.clean()
}

fn nobody() -> Outcome {
    let bundle = sleeper()?;
    bundle.write_config()?;
    let here = bundle.path("");
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "sh", "-c", "mount -t tmpfs tmpfs /run; exec \"$@\"", "sh"])
        .arg(crate::bundle::runtime())
        .arg("--root")
        .arg(bundle.state_root())
        .args(["--systemd-cgroup", "create", "--bundle"])
        .arg(&here)
        .arg(&bundle.id);
    let done = bundle
        .finish(command)?
        .refused("no systemd listens at /run/systemd/private (ENOENT), /run/dbus/system_bus_socket (ENOENT)")?;
    same("lines", done.messages(), 1)?;
    ensure!(done.err.starts_with("nk-runtime: no systemd answers that could make the container's scope"), "{done:?}");
    ensure!(done.err.contains("\n  try: leave --systemd-cgroup out"), "{}", done.err);
    bundle.clean()
}

/// What systemd says to a scope that it does not make.
fn answers() -> Outcome {
    let mut bundle = sleeper()?;
    let says = |bundle: &Bundle, cause: &str, cure: &str| -> Outcome {
        let done = bundle.bundled(&["--systemd-cgroup", "create"])?;
        let is_first = done.err.starts_with(&format!("nk-runtime: {cause}"));
        ensure!(is_first && done.err.contains(&format!("\n  try: {cure}")), "wanted: {cause}: {done:?}");
        Ok(())
    };
    // Another unit has the name, and runs.
    let unit = format!("nk-{}.scope", bundle.id);
    let mut other = Command::new("systemd-run").args(["--scope", "--unit", &unit, "sleep", "1000"]).spawn()?;
    patiently("the other unit", || Ok(property(&unit, "ActiveState")? == "active"))?;
    says(&bundle, "systemd has a unit of that name already: ", "systemctl stop UNIT")?;
    Command::new("systemctl").args(["stop", &unit]).status()?;
    other.wait()?;
    bundle.set("/annotations", json!({"org.systemd.property.NoSuchThing": "true"}))?;
    says(
        &bundle,
        "this systemd does not know a property that the container needs: ",
        "leave that limit or annotation out",
    )?;
    bundle.set("/annotations", json!({"org.systemd.property.MemoryMin": "'many'"}))?;
    says(&bundle, "systemd refuses the container's scope: ", "systemctl status")?;
    bundle.clean()
}

fn wrong() -> Outcome {
    let mut bundle = sleeper()?;
    for (path, words) in [
        ("/a/b", "must be slice:prefix:name"),
        ("a:b", "must be slice:prefix:name"),
        ("a:b:c:d", "must be slice:prefix:name"),
        ("a:b:c", "`a` is no name of a slice"),
        ("a--b.slice:b:c", "`a--b.slice` is no name of a slice"),
        ("a.slice:b:", "must name a scope"),
        ("a.slice:b:c.slice", "must name a scope"),
        ("a.slice:b:c d", "`b-c d.scope` is no name of a unit"),
    ] {
        bundle.set("/linux/cgroupsPath", json!(path))?;
        bundle
            .bundled(&["--systemd-cgroup", "create"])?
            .refused(&format!("/linux/cgroupsPath: {words}"))
            .or_else(|_| bundle.bundled(&["--systemd-cgroup", "create"])?.refused(words))?;
    }
    bundle.clean()
}

const USER: u32 = 1000;
const USERS: &str = "/run/user/1000/systemd/private";

/// Starts the manager of a user's before any case has mounts of its own, where what it mounts would not be seen.
pub fn prepare() {
    let _ = Command::new("loginctl").args(["enable-linger", "user"]).output();
    let _ = patiently("the user's systemd", || Ok(Path::new(USERS).exists()));
}

fn rootless() -> Outcome {
    ensure!(Path::new(USERS).exists(), "needs a user `user` and {USERS}");
    let mut bundle = Bundle::shell("echo > /tmp/ready; sleep 1000")?;
    let given = |path: &Path| -> Outcome {
        let done = Command::new("chown").args(["-R", "user:user"]).arg(path).status()?;
        ensure!(done.success(), "chown");
        Ok(())
    };
    let map = json!([{"containerID": 0, "hostID": USER, "size": 1}]);
    bundle.set("/linux/uidMappings", map.clone())?;
    bundle.set("/linux/gidMappings", map)?;
    bundle.set("/linux/namespaces/-", json!({"type": "user"}))?;
    bundle.set("/root/readonly", json!(false))?;
    bundle.set("/linux/resources", json!({"pids": {"limit": 20}, "memory": {"limit": 64 * MIB}}))?;
    bundle.set("/linux/cgroupsPath", json!(format!("user.slice:nk:{}", bundle.id)))?;
    if let Some(all) = bundle.config["linux"]["namespaces"].as_array_mut() {
        all.retain(|namespace| namespace["type"] != "network");
    }
    if let Some(all) = bundle.config["mounts"].as_array_mut() {
        all.retain(|mount| mount["destination"] != "/sys" && mount["destination"] != "/sys/fs/cgroup");
        for mount in all {
            if let Some(options) = mount["options"].as_array_mut() {
                options.retain(|option| !option.to_string().contains("gid="));
            }
        }
    }
    bundle.write_config()?;
    std::fs::create_dir_all(bundle.state_root())?;
    given(&bundle.path(""))?;
    let user = |words: &[&str]| -> Result<Done, Failed> {
        let mut command = bundle.command(words)?;
        command.uid(USER).gid(USER).env("XDG_RUNTIME_DIR", format!("/run/user/{USER}"));
        bundle.finish(command)
    };
    let here = bundle.path("").to_string_lossy().into_owned();
    let here = here.trim_end_matches('/');
    user(&["--systemd-cgroup", "create", "--bundle", here, &bundle.id])?.ok()?;
    user(&["start", &bundle.id])?.ok()?;
    patiently("the program", || Ok(bundle.rootfs("tmp/ready").exists()))?;
    // The state is this user's: root does not use it.
    let state = || -> Result<Value, Failed> { Ok(serde_json::from_str(&user(&["state", &bundle.id])?.ok()?.out)?) };
    let pid = state()?["pid"].as_i64().unwrap_or(0);
    let cgroups = std::fs::read_to_string(format!("/proc/{pid}/cgroup"))?;
    let wanted = format!("/user@{USER}.service/user.slice/nk-{}.scope\n", bundle.id);
    ensure!(cgroups.ends_with(&wanted), "{cgroups} should end in {wanted}");
    let limit = std::fs::read_to_string(cgroup_of(pid)?.join("pids.max"))?;
    same("pids.max", limit.trim(), "20")?;
    user(&["kill", &bundle.id, "KILL"])?.ok()?;
    patiently("its end", || Ok(state()?["status"] == "stopped"))?;
    user(&["delete", &bundle.id])?.ok()?;
    bundle.clean()
}
