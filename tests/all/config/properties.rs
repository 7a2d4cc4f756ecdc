//! `features --table` against the list of all properties, and against what becomes of a config.json that sets each of them;
//! `features` and `state` against the specification's schemas; the configurations that engines wrote.

use crate::bundle::Bundle;
use crate::namespaces::give;
use crate::{Failed, Outcome, area, ensure, same};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

pub fn cases() -> Vec<Trial> {
    area(
        "properties",
        &[
            ("the_table_has_every_property", complete),
            ("the_table_says_what_happens", true_to_fact),
            ("features_and_state_fit_their_schemas", schemas),
            ("configurations_of_engines_run", engines),
        ],
    )
}

/// What the tests bring: `real` is what engines wrote; `schema` is the specification's schemas (1.3 and newer, Apache-2.0),
/// and every property that a Linux runtime meets, as a pointer.
fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/all").join(name)
}

pub fn table(bundle: &Bundle) -> Result<Vec<(bool, String)>, Failed> {
    let text = bundle.call(&["features", "--table"])?.ok()?.out;
    let row = |line: &str| {
        let (word, rest) = line.split_once(' ')?;
        let pointer = rest.trim().split(": ").next()?;
        Some((word == "works", pointer.to_owned()))
    };
    Ok(text.lines().filter_map(row).collect())
}

fn complete() -> Outcome {
    let bundle = Bundle::plain()?;
    let list = fs::read_to_string(data("schema/linux-properties.txt"))?;
    let rows = table(&bundle)?;
    let ours: Vec<&str> = rows.iter().map(|(_, pointer)| pointer.as_str()).collect();
    same("properties", ours, list.split_whitespace().collect())?;
    bundle.clean()
}

/// A document in which every property asks for something that this machine could give.
pub fn sample(bundle: &Bundle) -> Value {
    let map = json!([{"containerID": 0, "hostID": 100000, "size": 65536}]);
    let hook = json!([{"path": "/bin/true", "args": ["true"], "env": ["A=1"], "timeout": 5}]);
    let device = json!([{"major": 8, "minor": 1, "rate": 1000000}]);
    let weight = json!([{"major": 8, "minor": 1, "weight": 100, "leafWeight": 100}]);
    json!({
        "ociVersion": "1.3.0",
        "hooks": {"prestart": hook, "createRuntime": hook, "createContainer": hook, "startContainer": hook, "poststart": hook, "poststop": hook},
        "annotations": {"a": "b"},
        "hostname": "name",
        "domainname": "domain",
        "mounts": [{"source": bundle.path("").to_string_lossy(), "destination": "/tmp", "options": ["bind"], "type": "bind", "uidMappings": map, "gidMappings": map}],
        "root": {"path": "rootfs", "readonly": true},
        "process": {
            "args": ["true"], "commandLine": "true", "consoleSize": {"height": 24, "width": 80}, "cwd": "/", "env": ["A=1"], "terminal": true,
            "user": {"uid": 1, "gid": 1, "umask": 18, "additionalGids": [5], "username": "x"},
            "capabilities": {"bounding": ["CAP_KILL"], "permitted": ["CAP_KILL"], "effective": ["CAP_KILL"], "inheritable": ["CAP_KILL"], "ambient": ["CAP_KILL"]},
            "apparmorProfile": "p", "oomScoreAdj": 5, "selinuxLabel": "l", "noNewPrivileges": true,
            "ioPriority": {"class": "IOPRIO_CLASS_BE", "priority": 3},
            "scheduler": {"policy": "SCHED_DEADLINE", "nice": 0, "priority": 0, "flags": ["SCHED_FLAG_RECLAIM"], "runtime": 1000000, "deadline": 2000000, "period": 3000000},
            "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 100, "soft": 50}],
            "execCPUAffinity": {"initial": "0", "final": "0"},
        },
        "linux": {
            "devices": [{"type": "c", "path": "/dev/x", "fileMode": 438, "major": 1, "minor": 3, "uid": 0, "gid": 0}],
            "netDevices": {"eth9": {"name": "eth0"}},
            "uidMappings": map, "gidMappings": map,
            "namespaces": [{"type": "network", "path": "/proc/1/ns/net"}, {"type": "mount"}, {"type": "uts"}, {"type": "user"}, {"type": "time"}],
            "resources": {
                "unified": {"memory.high": "1000000"},
                "devices": [{"allow": true, "type": "c", "major": 1, "minor": 3, "access": "r"}],
                "pids": {"limit": 10},
                "blockIO": {"weight": 100, "leafWeight": 100, "throttleReadBpsDevice": device, "throttleWriteBpsDevice": device, "throttleReadIOPSDevice": device, "throttleWriteIOPSDevice": device, "weightDevice": weight},
                "cpu": {"cpus": "0", "mems": "0", "period": 100000, "quota": 10000, "burst": 10, "realtimePeriod": 1000, "realtimeRuntime": 100, "shares": 100, "idle": 1},
                "hugepageLimits": [{"pageSize": "2MB", "limit": 2097152}],
                "memory": {"kernel": 1000000, "kernelTCP": 1000000, "limit": 100000000, "reservation": 1000000, "swap": 200000000, "swappiness": 10, "disableOOMKiller": true, "useHierarchy": true, "checkBeforeUpdate": true},
                "network": {"classID": 5, "priorities": [{"name": "eth0", "priority": 5}]},
                "rdma": {"mlx5_0": {"hcaHandles": 3, "hcaObjects": 100}},
            },
            "cgroupsPath": "/a/b",
            "rootfsPropagation": "slave",
            "seccomp": {
                "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 1, "flags": ["SECCOMP_FILTER_FLAG_LOG"], "listenerPath": "/run/agent", "listenerMetadata": "x",
                "architectures": ["SCMP_ARCH_X86_64"],
                "syscalls": [{"names": ["read"], "action": "SCMP_ACT_ERRNO", "errnoRet": 5, "args": [{"index": 1, "value": 5, "valueTwo": 5, "op": "SCMP_CMP_MASKED_EQ"}]}],
            },
            "sysctl": {"net.ipv4.ip_forward": "1"},
            "maskedPaths": ["/proc/kcore"],
            "readonlyPaths": ["/proc/sys"],
            "mountLabel": "l",
            "intelRdt": {"closID": "x", "schemata": ["L3:0=f"], "l3CacheSchema": "L3:0=f", "memBwSchema": "MB:0=10", "enableMonitoring": true},
            "memoryPolicy": {"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_STATIC_NODES"]},
            "personality": {"domain": "LINUX", "flags": []},
            "timeOffsets": {"boottime": {"secs": 1, "nanosecs": 1}, "monotonic": {"secs": 1, "nanosecs": 1}},
        },
        "vm": {
            "hypervisor": {"path": "/q", "parameters": ["-x"]},
            "kernel": {"path": "/k", "parameters": ["quiet"], "initrd": "/i"},
            "image": {"path": "/r", "format": "raw"},
            "hwConfig": {
                "deviceTree": "/d", "vcpus": 2, "memory": 268435456, "dtdevs": ["/soc/x"],
                "iomems": [{"firstGFN": 1, "firstMFN": 2, "nrMFNs": 3}], "irqs": [5],
            },
        },
    })
}

/// The value at a pointer whose `*` is the first entry of a list, or any key.
fn at<'a>(value: &'a Value, pointer: &str) -> Option<&'a Value> {
    pointer.split('/').skip(1).try_fold(value, |value, key| match value {
        Value::Array(list) => list.first(),
        Value::Object(map) if key == "*" => map.values().next(),
        value => value.get(key),
    })
}

/// A document that holds of this value only what leads to the pointer; and where that is, `*` resolved.
pub fn only(value: &Value, pointer: &str) -> Option<(Value, String)> {
    let Some((key, rest)) = pointer.strip_prefix('/').map(|p| p.split_once('/').unwrap_or((p, ""))) else {
        return Some((value.clone(), String::new()));
    };
    let rest = if rest.is_empty() { String::new() } else { format!("/{rest}") };
    match value {
        Value::Array(list) => {
            let (inner, at) = only(list.first()?, &rest)?;
            Some((json!([inner]), format!("/0{at}")))
        }
        Value::Object(map) => {
            let key = if key == "*" { map.keys().next()? } else { key };
            let (inner, at) = only(map.get(key)?, &rest)?;
            Some((json!({key: inner}), format!("/{key}{at}")))
        }
        _ => None,
    }
}

/// How much of the document goes together: one property alone would often be an error of its own.
pub fn together(pointer: &str) -> String {
    let parts: Vec<&str> = pointer.split('/').collect();
    let len = match parts.get(1..) {
        Some(["linux", "resources", ..]) => 4,
        Some(["process" | "linux" | "hooks" | "root", _, ..]) => 3,
        _ => 2,
    };
    parts[..parts.len().min(len)].join("/")
}

/// Takes away what is at the pointer, `*` being the first entry of a list.
pub fn forget(value: &mut Value, pointer: &str) {
    let Some((above, key)) = pointer.rsplit_once('/') else {
        return;
    };
    let place = above.replace('*', "0");
    if let Some(Value::Object(map)) = value.pointer_mut(&place) {
        map.remove(key);
    }
}

fn true_to_fact() -> Outcome {
    let mut bundle = Bundle::plain()?;
    let full = sample(&bundle);
    let good = bundle.config.clone();
    let mut wrong = Vec::new();
    let rows = table(&bundle)?;
    let refused: Vec<&str> = rows.iter().filter(|r| !r.0).map(|r| r.1.as_str()).collect();
    for (works, pointer) in &rows {
        let (works, pointer) = (*works, pointer.clone());
        if at(&full, &pointer).is_none() {
            wrong.push(format!("{pointer} is not in the sample"));
            continue;
        }
        bundle.config = good.clone();
        let needs = ["timeOffsets", "uidMappings", "gidMappings", "namespaces"];
        if needs.iter().any(|word| pointer.starts_with(&format!("/linux/{word}"))) {
            for key in ["namespaces", "uidMappings", "gidMappings"] {
                bundle.set(&format!("/linux/{key}"), full["linux"][key].clone())?;
            }
        }
        if works {
            let group = together(&pointer);
            if let Some(value) =
                at(&full, &group).filter(|_| group != "/linux" && group != "/process" && group != "/linux/resources")
            {
                merge(&mut bundle.config, &nested(&group, value));
            }
            // What is refused is asked for alone, further down.
            for pointer in refused.iter().filter(|p| p.starts_with("/linux/resources/") || p.starts_with("/vm/")) {
                forget(&mut bundle.config, pointer);
            }
            let done = bundle.bundled_plan()?;
            if done.status != 0 {
                wrong.push(format!("{pointer} should work: {}", done.err.trim()));
            }
            continue;
        }
        let Some((value, place)) = only(&full, &pointer) else {
            wrong.push(format!("{pointer}: no way to set it alone"));
            continue;
        };
        if pointer.starts_with("/vm/") {
            bundle.set("/vm", json!({"kernel": full["vm"]["kernel"]}))?;
        }
        merge(&mut bundle.config, &value);
        let done = bundle.bundled_plan()?;
        if done.status != 1 || !done.err.contains(&format!(" {place}")) {
            wrong.push(format!("{pointer} should be refused: {done:?}"));
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    bundle.clean()
}

/// The value below objects with these keys.
fn nested(pointer: &str, value: &Value) -> Value {
    let keys = pointer.split('/').skip(1).collect::<Vec<_>>();
    keys.iter().rev().fold(value.clone(), |value, key| json!({*key: value}))
}

pub fn merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from.clone(),
    }
}

impl Bundle {
    /// `plan` of this bundle: what is refused before anything is made is refused here too.
    pub fn bundled_plan(&self) -> Result<crate::bundle::Done, Failed> {
        self.write_config()?;
        let here = self.path("").to_string_lossy().into_owned();
        self.call(&["plan", "--bundle", &here])
    }
}

/// Fails unless the document fits the schema, whose references are files beside it.
fn fits(schema: &str, document: &Value) -> Outcome {
    let folder = data("schema");
    let read = |name: &str| -> Result<Value, Failed> { Ok(serde_json::from_slice(&fs::read(folder.join(name))?)?) };
    let mut problems = Vec::new();
    check(&read(schema)?, schema, document, "", &read, &mut problems)?;
    ensure!(problems.is_empty(), "{schema}: {}", problems.join("\n"));
    Ok(())
}

/// As much of JSON Schema as those files use: references, types, required, enums, patterns of maps, lists.
fn check(
    schema: &Value,
    file: &str,
    value: &Value,
    at: &str,
    read: &dyn Fn(&str) -> Result<Value, Failed>,
    problems: &mut Vec<String>,
) -> Outcome {
    if let Some(reference) = schema["$ref"].as_str() {
        let (name, place) = reference.split_once('#').unwrap_or((reference, ""));
        let name = if name.is_empty() { file } else { name };
        let whole = read(name)?;
        let target = whole.pointer(place).ok_or_else(|| format!("{reference}: no such definition"))?;
        return check(target, name, value, at, read, problems);
    }
    let is = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(n) if n.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let allowed: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(all) => all.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let number = is == "integer" && allowed.contains(&"number");
    if !(allowed.is_empty() || allowed.contains(&is) || number) {
        problems.push(format!("{at}: {is}, not {allowed:?}"));
    }
    if let Some(list) = schema["enum"].as_array().filter(|list| !list.contains(value)) {
        problems.push(format!("{at}: {value} is none of {list:?}"));
    }
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if value.get(name).is_none() {
            problems.push(format!("{at}/{name} is missing"));
        }
    }
    for all in schema["allOf"].as_array().into_iter().flatten() {
        check(all, file, value, at, read, problems)?;
    }
    for (key, inner) in value.as_object().into_iter().flatten() {
        if let Some(known) = schema["properties"].get(key) {
            check(known, file, inner, &format!("{at}/{key}"), read, problems)?;
        }
    }
    for (i, inner) in value.as_array().into_iter().flatten().enumerate() {
        if !schema["items"].is_null() {
            check(&schema["items"], file, inner, &format!("{at}/{i}"), read, problems)?;
        }
    }
    Ok(())
}

fn schemas() -> Outcome {
    let bundle = Bundle::reporter(&["--sleep", "--quiet"])?;
    let features: Value = serde_json::from_str(&bundle.call(&["features"])?.ok()?.out)?;
    fits("features-schema.json", &features)?;
    ensure!(fits("features-schema.json", &json!({"mountOptions": 5})).is_err(), "the check takes anything");
    bundle.bundled(&["create"])?.ok()?;
    fits("state-schema.json", &bundle.state()?)?;
    bundle.call(&["start", &bundle.id])?.ok()?;
    fits("state-schema.json", &bundle.state()?)?;
    bundle.call(&["delete", "--force", &bundle.id])?.ok()?;
    bundle.clean()
}

/// What engines wrote, on a rootfs with busybox and with host paths of this case's own. Left out, by name: limits,
/// which this machine may not have the controllers for, and the label of a module that this kernel does not have.
fn engines() -> Outcome {
    let mut count = 0;
    for entry in fs::read_dir(data("real"))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !name.ends_with(".config.json") {
            continue;
        }
        let config: Value = serde_json::from_slice(&fs::read(&path)?)?;
        engine(&name, config).map_err(|failed| format!("{name}: {}", failed.message().unwrap_or("")))?;
        count += 1;
    }
    ensure!(count > 15, "only {count} configurations");
    Ok(())
}

fn engine(name: &str, config: Value) -> Outcome {
    let mut bundle = Bundle::plain()?;
    let token = bundle.config["process"]["env"].as_array().and_then(|all| all.last().cloned());
    bundle.config = config;
    bundle.set("/root/path", json!("rootfs"))?;
    let args = json!(["/bin/sh", "-c", "id -u > /dev/null && echo ran"]);
    bundle.set("/process/args", args)?;
    bundle.set("/process/cwd", json!("/"))?;
    if let Some(token) = token {
        bundle.set("/process/env/-", token)?;
    }
    if bundle.config["process"].get("apparmorProfile").is_some() {
        bundle.remove("/process/apparmorProfile")?;
    }
    // Raising limits is not allowed to this machine's root.
    if bundle.config["process"].get("rlimits").is_some() {
        bundle.remove("/process/rlimits")?;
    }
    if let Some(resources) = bundle.config["linux"]["resources"].as_object_mut() {
        resources.retain(|key, _| key == "devices");
    }
    bundle.set("/linux/cgroupsPath", json!(format!("/{}/group", bundle.id)))?;
    let id = bundle.id.clone();
    let first = &bundle.config["linux"]["uidMappings"][0]["hostID"];
    if let Some(owner) = first.as_u64() {
        give(&bundle.rootfs(""), owner as u32)?;
    }
    paths(&mut bundle)?;
    let done = bundle.bundled(&["run"])?;
    // A terminal ends lines so.
    let out = done.out.replace("\r\n", "\n");
    ensure!(done.status == 0 && out == "ran\n", "{name}: {done:?}");
    let _ = fs::remove_dir(format!("/sys/fs/cgroup/{id}"));
    bundle.clean()
}

/// Sources, hooks and namespaces of the machine that the configuration was written on.
fn paths(bundle: &mut Bundle) -> Outcome {
    let mounts = bundle.config["mounts"].as_array().cloned().unwrap_or_default();
    for (i, mount) in mounts.iter().enumerate() {
        let options = mount["options"].to_string();
        let bind = mount["type"] == "bind" || options.contains("bind\"");
        let source = mount["source"].as_str().unwrap_or("");
        if !bind || source.starts_with("/dev") || source.starts_with("/sys") || source.starts_with("/proc") {
            continue;
        }
        let own = bundle.path(&format!("source{i}"));
        let directory =
            !mount["destination"].as_str().unwrap_or("").rsplit('/').next().unwrap_or("").contains(['.', '-'])
                && !matches!(mount["destination"].as_str(), Some("/etc/hostname" | "/etc/hosts" | "/sbin/docker-init"));
        match directory {
            true => fs::create_dir_all(&own)?,
            false => fs::write(&own, "")?,
        }
        bundle.set(&format!("/mounts/{i}/source"), json!(own.to_string_lossy()))?;
    }
    for list in ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"] {
        for hook in bundle.config["hooks"].get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            *hook = json!({"path": "/bin/true"});
        }
    }
    for namespace in bundle.config["linux"]["namespaces"].as_array_mut().into_iter().flatten() {
        if let Some(namespace) = namespace.as_object_mut() {
            namespace.remove("path");
        }
    }
    Ok(())
}
