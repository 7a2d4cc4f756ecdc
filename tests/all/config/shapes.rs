//! The shape of config.json: at each place of the specification's schema every other kind of JSON value is refused, by that
//! place. serde's derived code would take a list for an object, field by field.

use crate::bundle::{Bundle, Done};
use crate::cgroup::{end, script, start};
use crate::config::properties::{forget, merge, only, sample, table, together};
use crate::exec::{exec, failed};
use crate::{Failed, Outcome, area, ensure, same};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use std::collections::BTreeSet;

pub fn cases() -> Vec<Trial> {
    area(
        "shapes",
        &[
            ("each_place_takes_one_kind_of_value", kinds),
            ("numbers_out_of_range", ranges),
            ("lists_that_serde_would_take_for_objects", lists),
            ("lists_for_objects_in_other_documents", other_documents),
            ("keys_are_escaped_in_places", escapes),
            ("twice_and_missing", twice),
            ("documents_that_are_no_objects", documents),
            ("versions", versions),
            ("empty_strings", empty),
            ("a_weight_or_rate_is_given", rates),
            ("a_size_without_a_terminal_does_not_count", console),
        ],
    )
}

/// What is for other systems, and not read here.
const NOT_READ: [&str; 2] = ["/process/commandLine", "/process/user/username"];

/// Where null is as good as nothing: Go writes it for a slice, a map or a pointer that is nil. Everywhere else it is a value of
/// the wrong kind.
const TAKES_NULL: &str = "
/annotations /domainname /hooks /hostname /vm /vm/hypervisor /vm/hypervisor/parameters /vm/kernel/parameters /vm/kernel/initrd
/vm/hwConfig/dtdevs /vm/hwConfig/iomems /vm/hwConfig/irqs /vm/image /vm/image/format /vm/hwConfig /vm/hwConfig/deviceTree /vm/hwConfig/vcpus /vm/hwConfig/memory
/hooks/createContainer /hooks/createRuntime /hooks/poststart /hooks/poststop /hooks/prestart /hooks/startContainer
/hooks/createContainer/*/args /hooks/createContainer/*/env /hooks/createContainer/*/timeout
/hooks/createRuntime/*/args /hooks/createRuntime/*/env /hooks/createRuntime/*/timeout /hooks/poststart/*/args
/hooks/poststart/*/env /hooks/poststart/*/timeout /hooks/poststop/*/args /hooks/poststop/*/env
/hooks/poststop/*/timeout /hooks/prestart/*/args /hooks/prestart/*/env /hooks/prestart/*/timeout
/hooks/startContainer/*/args /hooks/startContainer/*/env /hooks/startContainer/*/timeout
/linux/cgroupsPath /linux/devices /linux/devices/*/fileMode /linux/devices/*/gid /linux/devices/*/uid /linux/gidMappings
/linux/intelRdt /linux/intelRdt/closID /linux/intelRdt/l3CacheSchema /linux/intelRdt/memBwSchema /linux/intelRdt/schemata
/linux/maskedPaths /linux/memoryPolicy /linux/memoryPolicy/flags /linux/mountLabel /linux/namespaces/*/path /linux/netDevices
/linux/netDevices/*/name /linux/personality /linux/personality/flags /linux/readonlyPaths /linux/resources
/linux/resources/blockIO /linux/resources/blockIO/leafWeight /linux/resources/blockIO/throttleReadBpsDevice
/linux/resources/blockIO/throttleReadIOPSDevice /linux/resources/blockIO/throttleWriteBpsDevice
/linux/resources/blockIO/throttleWriteIOPSDevice /linux/resources/blockIO/weight /linux/resources/blockIO/weightDevice
/linux/resources/blockIO/weightDevice/*/leafWeight /linux/resources/cpu /linux/resources/cpu/burst /linux/resources/cpu/cpus
/linux/resources/cpu/idle /linux/resources/cpu/mems /linux/resources/cpu/period /linux/resources/cpu/quota
/linux/resources/cpu/realtimePeriod /linux/resources/cpu/realtimeRuntime /linux/resources/cpu/shares /linux/resources/devices
/linux/resources/devices/*/major /linux/resources/devices/*/minor /linux/resources/hugepageLimits /linux/resources/memory
/linux/resources/memory/checkBeforeUpdate /linux/resources/memory/disableOOMKiller /linux/resources/memory/kernel
/linux/resources/memory/kernelTCP /linux/resources/memory/reservation /linux/resources/memory/swap
/linux/resources/memory/swappiness /linux/resources/memory/useHierarchy /linux/resources/network
/linux/resources/network/classID /linux/resources/network/priorities /linux/resources/network/priorities/*/name
/linux/resources/network/priorities/*/priority /linux/resources/pids /linux/resources/pids/limit /linux/resources/rdma
/linux/resources/rdma/*/hcaHandles /linux/resources/rdma/*/hcaObjects /linux/resources/unified /linux/rootfsPropagation
/linux/seccomp /linux/seccomp/architectures /linux/seccomp/defaultErrnoRet /linux/seccomp/flags /linux/seccomp/listenerMetadata
/linux/seccomp/syscalls /linux/seccomp/syscalls/*/args /linux/seccomp/syscalls/*/errnoRet /linux/sysctl /linux/timeOffsets
/linux/uidMappings /mounts /mounts/*/options /process/apparmorProfile /process/capabilities /process/capabilities/ambient
/process/capabilities/bounding /process/capabilities/effective /process/capabilities/inheritable /process/capabilities/permitted
/process/consoleSize /process/env /process/execCPUAffinity /process/ioPriority /process/oomScoreAdj /process/rlimits
/process/scheduler /process/scheduler/flags /process/selinuxLabel /process/terminal /process/user /process/user/additionalGids
/process/user/umask
";

fn kind(value: &Value) -> u8 {
    match value {
        Value::Null => 0,
        Value::Bool(_) => 1,
        Value::Number(_) => 2,
        Value::String(_) => 3,
        Value::Array(_) => 4,
        Value::Object(_) => 5,
    }
}

/// All places: those of the table, and what lies around them.
fn places(bundle: &Bundle) -> Result<BTreeSet<String>, Failed> {
    let mut all = BTreeSet::new();
    for (_, pointer) in table(bundle)? {
        let mut place = pointer.as_str();
        while !place.is_empty() {
            all.insert(place.to_owned());
            place = &place[..place.rfind('/').unwrap_or(0)];
        }
    }
    Ok(all)
}

/// A configuration in which this place has a good value, what goes with it included; and the pointer to it.
fn with_place(good: &Value, full: &Value, refused: &[String], place: &str) -> Option<(Value, String)> {
    let mut config = good.clone();
    let (alone, pointer) = only(full, place)?;
    let group = together(place);
    let group = if place.len() < group.len() { place } else { &group };
    if !matches!(group, "/linux" | "/process" | "/linux/resources") {
        merge(&mut config, &only(full, group)?.0);
    }
    let holds = |a: &str, b: &str| format!("{b}/").starts_with(&format!("{a}/"));
    let around = |other: &str| holds(place, other) || holds(other, place);
    if group == "/linux/namespaces" {
        for key in ["uidMappings", "gidMappings"] {
            config["linux"][key] = full["linux"][key].clone();
        }
    }
    for other in refused.iter().filter(|other| !around(other)) {
        forget(&mut config, other);
    }
    if config.pointer(&pointer).is_none() {
        merge(&mut config, &alone);
    }
    if place.contains("consoleSize") {
        config["process"]["terminal"] = json!(true);
    }
    Some((config, pointer))
}

/// The properties that are refused whatever they ask for.
fn refused(bundle: &Bundle) -> Result<Vec<String>, Failed> {
    let rows = table(bundle)?.into_iter();
    Ok(rows.filter(|row| !row.0).map(|row| row.1).collect())
}

fn planned(bundle: &mut Bundle, config: &Value) -> Result<Done, Failed> {
    bundle.config = config.clone();
    bundle.bundled_plan()
}

fn kinds() -> Outcome {
    let mut bundle = Bundle::plain()?;
    let (good, full) = (bundle.config.clone(), sample(&bundle));
    let refused = refused(&bundle)?;
    let (mut wrong, mut null_taken) = (Vec::new(), BTreeSet::new());
    for place in places(&bundle)? {
        if NOT_READ.contains(&place.as_str()) {
            continue;
        }
        let Some((config, pointer)) = with_place(&good, &full, &refused, &place) else {
            wrong.push(format!("{place} is not in the sample"));
            continue;
        };
        let own = kind(config.pointer(&pointer).unwrap_or(&Value::Null));
        for value in [json!(null), json!(true), json!(7), json!("x"), json!([]), json!({})] {
            if kind(&value) == own {
                continue;
            }
            let mut config = config.clone();
            let Some(here) = config.pointer_mut(&pointer) else {
                continue;
            };
            *here = value.clone();
            let done = planned(&mut bundle, &config)?;
            let at = |place: &str| done.says(place);
            // As good as absent, which may be missed beside it.
            let beside = || at(&pointer[..=pointer.rfind('/').unwrap_or(0)]);
            if value.is_null() && done.status == 0 {
                null_taken.insert(place.clone());
            } else if value.is_null() && done.status == 1 && beside() {
                continue;
            } else if done.status != 1 || !done.says(&format!("{pointer}: is ")) || !done.err.contains(", must be ") {
                wrong.push(format!("{place}: {value}: {}{}", done.status, done.err.trim()));
            }
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    let wanted: BTreeSet<String> = TAKES_NULL.split_whitespace().map(String::from).collect();
    same("where null is taken", null_taken, wanted)?;
    bundle.clean()
}

fn ranges() -> Outcome {
    let mut bundle = Bundle::plain()?;
    let (good, full) = (bundle.config.clone(), sample(&bundle));
    let refused = refused(&bundle)?;
    for place in places(&bundle)? {
        if NOT_READ.contains(&place.as_str()) {
            continue;
        }
        let Some((config, pointer)) = with_place(&good, &full, &refused, &place) else {
            continue;
        };
        if !config.pointer(&pointer).is_some_and(Value::is_number) {
            continue;
        }
        for value in [json!(1.5), json!(1e300), json!(-1e300)] {
            let mut config = config.clone();
            if let Some(here) = config.pointer_mut(&pointer) {
                *here = value.clone();
            }
            let done = planned(&mut bundle, &config)?;
            ensure!(done.status == 1 && done.says(&format!("{pointer}: ")), "{pointer}: {value}: {done:?}");
        }
    }
    bundle.clean()
}

/// Each names fields in the order in which a runtime may have them.
fn lists() -> Outcome {
    let mut bundle = Bundle::plain()?;
    for (pointer, value) in [
        ("/root", json!(["rootfs", true])),
        ("/process/user", json!([1000, 1000])),
        ("/process/consoleSize", json!([1, 2])),
        ("/process/capabilities", json!([])),
        ("/process/rlimits/0", json!(["RLIMIT_NOFILE", 1024, 1024])),
        ("/process/execCPUAffinity", json!(7)),
        ("/process/execCPUAffinity", json!(["0"])),
        ("/hooks", json!([])),
        ("/mounts/0", json!(["/proc", "proc", "proc", []])),
        ("/linux/namespaces/0", json!(["mount"])),
        ("/linux/resources", json!([])),
        ("/linux/resources/devices/0", json!([true])),
        ("/linux/seccomp", json!(["SCMP_ACT_ALLOW"])),
        ("/linux/memoryPolicy", json!(["MPOL_LOCAL", "", []])),
    ] {
        let good = bundle.config.clone();
        bundle.set("/process/terminal", json!(pointer.ends_with("Size")))?;
        bundle.set(pointer, value.clone())?;
        for words in ["run", "create"] {
            let done = bundle.bundled(&[words])?.refused(&format!(" {pointer}: is "))?;
            ensure!(done.err.contains("must be an object"), "{value}: {done:?}");
        }
        bundle.config = good;
    }
    bundle.clean()
}

/// The resources of `update`, the process of `exec`, and the state's own document.
fn other_documents() -> Outcome {
    let bundle = script("sleep 1000")?;
    start(&bundle)?;
    let path = bundle.path("document.json");
    let file = path.to_string_lossy().into_owned();
    for (resources, words) in [
        (json!({"devices": [[true]]}), " /devices/0: is a list, must be an object"),
        (json!({"devices": {}}), " /devices: is an object, must be a list"),
        (json!({"devices": [{"major": "1"}]}), " /devices/0/major: is a string, must be a number"),
        (json!({"memory": []}), " /memory: "),
        (json!({"pids": {"limit": "7"}}), " /pids/limit: "),
        (json!([]), " holds no JSON object"),
    ] {
        std::fs::write(&path, resources.to_string())?;
        let done = bundle.call(&["update", "--resources", &file, &bundle.id])?;
        done.refused(words)?;
    }
    let process = json!({"args": ["true"], "cwd": "/", "capabilities": [["CAP_KILL"]]});
    std::fs::write(&path, process.to_string())?;
    let words = format!("{file} /capabilities: is a list, must be an object");
    failed(exec(&bundle, &["--process", &file], &[])?, &words)?;
    let state = bundle.state_root().join(&bundle.id).join("state.json");
    let good = std::fs::read_to_string(&state)?;
    let saved: Value = serde_json::from_str(&good)?;
    let values: Vec<&Value> = saved.as_object().into_iter().flat_map(|map| map.values()).collect();
    std::fs::write(&state, json!(values).to_string())?;
    bundle.call(&["state", &bundle.id])?.refused("is a list, must be an object")?;
    std::fs::write(&state, good)?;
    end(bundle)
}

fn escapes() -> Outcome {
    let mut bundle = Bundle::plain()?;
    bundle.set("/annotations", json!({"a/b~c \"d\"": 7}))?;
    let words = " /annotations/a~1b~0c \"d\": is a number, must be a string";
    bundle.bundled(&["run"])?.refused(words)?;
    bundle.clean()
}

fn twice() -> Outcome {
    let bundle = Bundle::plain()?;
    let good = bundle.config.to_string();
    let here = bundle.path("").to_string_lossy().into_owned();
    for (from, to, words) in [
        ("\"cwd\":", "\"cwd\":\"/tmp\",\"cwd\":", " /process/cwd: is there twice"),
        ("{", "{\"root\":null,", " /root: is there twice"),
    ] {
        std::fs::write(bundle.path("config.json"), good.replacen(from, to, 1))?;
        bundle.call(&["plan", "--bundle", &here])?.refused(words)?;
    }
    bundle.clean()
}

fn documents() -> Outcome {
    let bundle = Bundle::plain()?;
    let here = bundle.path("").to_string_lossy().into_owned();
    for text in ["[]", "7", "null", "\"x\"", "true", "[{}]", "", "{", "{}x", "{\"a\":}"] {
        std::fs::write(bundle.path("config.json"), text)?;
        let done = bundle.call(&["plan", "--bundle", &here])?.refused("config.json")?;
        same("lines", done.messages(), 1)?;
    }
    bundle.clean()
}

/// semver.org, 2.0.0, in its own grammar.
fn versions() -> Outcome {
    let mut bundle = Bundle::plain()?;
    for good in ["1.0.0", "1.10.0", "1.2.0-rc.1", "1.2.0-0a.b-c", "1.2.0+001", "1.2.0-a+b.-"] {
        bundle.set("/ociVersion", json!(good))?;
        bundle.bundled_plan()?.ok()?;
    }
    for bad in [
        "",
        "1",
        "1.0",
        "1.0.0.0",
        "01.2.0",
        "1.02.0",
        "1.2.00",
        "1.2.0-",
        "1.2.0-01",
        "1.2.0-a..b",
        "1.2.0+",
        "1.2.0+a+b",
        "1.2.0-ä",
        " 1.2.0",
        "v1.2.0",
        "1.2.x",
        "2.0.0",
        "0.9.0",
        "-1.0.0",
        "1..0",
    ] {
        bundle.set("/ociVersion", json!(bad))?;
        bundle.bundled_plan()?.refused(" /ociVersion: ")?;
    }
    bundle.clean()
}

/// A string that names something is not empty.
fn empty() -> Outcome {
    let mut bundle = Bundle::plain()?;
    let bind = |more: Value| {
        let mut mount = json!({"destination": "/tmp", "type": "bind"});
        merge(&mut mount, &more);
        json!([mount])
    };
    let rule = |rule: Value| json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]});
    let good = bundle.config.clone();
    for (at, value, place) in [
        ("/mounts", bind(json!({})), "/mounts/0/source"),
        ("/mounts", bind(json!({"source": ""})), "/mounts/0/source"),
        ("/mounts", bind(json!({"source": null})), "/mounts/0/source"),
        ("/mounts", bind(json!({"type": "none", "options": ["rbind"]})), "/mounts/0/source"),
        ("/mounts", bind(json!({"type": "", "options": ["ro", "bind"]})), "/mounts/0/source"),
        ("/mounts", bind(json!({"destination": "", "source": "/"})), "/mounts/0/destination"),
        ("/root/path", json!(""), "/root/path"),
        ("/process/cwd", json!(""), "/process/cwd"),
        ("/process/args", json!([""]), "/process/args/0"),
        ("/process/env", json!(["A=1", ""]), "/process/env/1"),
        ("/process/env", json!(["=1"]), "/process/env/0"),
        ("/process/rlimits/0/type", json!(""), "/process/rlimits/0/type"),
        ("/process/scheduler", json!({"policy": ""}), "/process/scheduler/policy"),
        ("/process/scheduler", json!({}), "/process/scheduler/policy"),
        ("/process/ioPriority", json!({"priority": 1}), "/process/ioPriority/class"),
        ("/hooks", json!({"poststop": [{"path": ""}]}), "/hooks/poststop/0/path"),
        ("/hooks", json!({"poststop": [{}]}), "/hooks/poststop/0/path"),
        ("/hooks", json!({"poststop": [{"path": "/bin/true", "env": [""]}]}), "/hooks/poststop/0/env/0"),
        ("/annotations", json!({"": "x"}), "/annotations"),
        ("/linux/namespaces/0/type", json!(""), "/linux/namespaces/0/type"),
        ("/linux/namespaces/0", json!({}), "/linux/namespaces/0/type"),
        ("/linux/maskedPaths", json!([""]), "/linux/maskedPaths/0"),
        ("/linux/readonlyPaths", json!([""]), "/linux/readonlyPaths/0"),
        ("/linux/devices", json!([{"type": "p", "path": ""}]), "/linux/devices/0/path"),
        ("/linux/devices", json!([{"path": "/dev/x"}]), "/linux/devices/0/type"),
        ("/linux/sysctl", json!({"net.ipv4.ip_forward": ""}), "/linux/sysctl/net.ipv4.ip_forward"),
        ("/linux/sysctl", json!({"": "1"}), "/linux/sysctl/"),
        ("/linux/netDevices", json!({"": {}}), "/linux/netDevices/"),
        ("/linux/netDevices", json!({"e": {"name": ""}}), "/linux/netDevices/e/name"),
        ("/linux/personality", json!({}), "/linux/personality/domain"),
        ("/linux/memoryPolicy", json!({"mode": ""}), "/linux/memoryPolicy/mode"),
        ("/linux/intelRdt", json!({"closID": ""}), "/linux/intelRdt/closID"),
        ("/linux/intelRdt", json!({"schemata": [""]}), "/linux/intelRdt/schemata/0"),
        ("/linux/timeOffsets", json!({"": {}}), "/linux/timeOffsets/"),
        (
            "/linux/seccomp",
            rule(json!({"names": ["read", ""], "action": "SCMP_ACT_KILL"})),
            "/linux/seccomp/syscalls/0/names/1",
        ),
        (
            "/linux/seccomp",
            rule(json!({"names": ["read"], "action": "SCMP_ACT_KILL", "args": [{"index": 0, "op": "SCMP_CMP_EQ"}]})),
            "/linux/seccomp/syscalls/0/args/0/value",
        ),
        (
            "/linux/seccomp",
            json!({"defaultAction": "SCMP_ACT_ALLOW", "architectures": [""]}),
            "/linux/seccomp/architectures/0",
        ),
        (
            "/linux/resources/hugepageLimits",
            json!([{"pageSize": "", "limit": 0}]),
            "/linux/resources/hugepageLimits/0/pageSize",
        ),
        ("/linux/resources/unified", json!({"memory.high": ""}), "/linux/resources/unified/memory.high"),
        ("/linux/resources/rdma", json!({"": {"hcaHandles": 1}}), "/linux/resources/rdma/"),
    ] {
        bundle.config = good.clone();
        bundle.set(at, value.clone())?;
        let done = bundle.bundled_plan()?;
        ensure!(done.status == 1 && done.says(&format!("{place}: ")), "{at} {value}: {done:?}");
    }
    // As good as none: Go leaves no empty string out that is no pointer.
    bundle.config = good;
    for at in ["/hostname", "/domainname", "/linux/cgroupsPath", "/linux/rootfsPropagation", "/linux/mountLabel"] {
        bundle.set(at, json!(""))?;
    }
    bundle.set("/process/apparmorProfile", json!(""))?;
    bundle.set("/process/selinuxLabel", json!(""))?;
    bundle.set("/linux/namespaces/0/path", json!(""))?;
    bundle.set("/process/args", json!(["true", ""]))?;
    bundle.set("/process/env/-", json!("EMPTY="))?;
    bundle.bundled(&["run"])?.ok()?;
    bundle.clean()
}

fn rates() -> Outcome {
    let mut bundle = Bundle::plain()?;
    for key in [
        "weightDevice",
        "throttleReadBpsDevice",
        "throttleWriteBpsDevice",
        "throttleReadIOPSDevice",
        "throttleWriteIOPSDevice",
    ] {
        let what = if key == "weightDevice" { "weight" } else { "rate" };
        let device = json!({"major": 8, "minor": 0});
        bundle.set("/linux/resources/blockIO", json!({key: [device]}))?;
        let words = format!(" /linux/resources/blockIO/{key}/0/{what}: is missing");
        bundle.bundled_plan()?.refused(&words)?;
        bundle.set("/linux/resources/blockIO", json!({key: [7]}))?;
        let words = format!(" /linux/resources/blockIO/{key}/0: is a number, must be an object");
        bundle.bundled_plan()?.refused(&words)?;
    }
    bundle.clean()
}

fn console() -> Outcome {
    let mut bundle = Bundle::plain()?;
    for size in [json!({"height": 70000}), json!([1]), json!("x"), json!({"width": -1})] {
        for terminal in [json!(false), Value::Null] {
            bundle.set("/process/terminal", terminal)?;
            bundle.set("/process/consoleSize", size.clone())?;
            bundle.bundled(&["run"])?.ok()?;
        }
        bundle.set("/process/terminal", json!(true))?;
        bundle.bundled(&["run"])?.refused(" /process/consoleSize")?;
    }
    bundle.clean()
}
