//! Devices, limits and scheduling: what of the machine the program may take. May touch: types.

use super::namespaces::has_users;
use super::rules::Found;
use crate::spec::{DeviceRule, Spec};

pub fn look(spec: &Spec, found: &mut Found) {
    if !has_users(spec) {
        if let Some(pointer) = all_devices(spec) {
            found.add("all devices", pointer, "");
        }
        for (i, device) in spec.linux.devices.iter().enumerate() {
            let name = match (device.kind.as_str(), device.major, device.minor) {
                // Memory, and ports of the machine.
                ("b", ..) | ("c" | "u", Some(1), Some(1 | 2 | 4)) => "host devices",
                ("c" | "u", major, minor) if !is_usual(major, minor) => "other devices",
                _ => continue,
            };
            found.add(name, format!("/linux/devices/{i}"), device.path.as_str());
        }
    }
    limits(spec, found);
    if let Some(score) = spec.process.oom_score_adj.filter(|score| *score < 0) {
        found.add("spared by the OOM killer", "/process/oomScoreAdj", score.to_string());
    }
    let policy = spec.process.scheduler.as_ref().map_or("", |scheduler| &scheduler.policy);
    if matches!(policy, "SCHED_FIFO" | "SCHED_RR" | "SCHED_DEADLINE") {
        found.add("real-time scheduling", "/process/scheduler/policy", policy);
    }
}

/// Devices that every container has; and fuse and tun, where each opening stands for itself.
fn is_usual(major: Option<i64>, minor: Option<i64>) -> bool {
    matches!((major, minor), (Some(1), Some(3 | 5 | 7 | 8 | 9)) | (Some(5), Some(0..=2)) | (Some(10), Some(200 | 229)))
}

/// The rule that allows every device, or every one of a type, or the place where a rule is missing.
pub fn all_devices(spec: &Spec) -> Option<String> {
    let any = |number: Option<i64>| number.is_none_or(|number| number < 0);
    let all = |rule: &DeviceRule| matches!(rule.kind.as_str(), "" | "a") && any(rule.major) && any(rule.minor);
    let rules = &spec.linux.resources.devices;
    match rules.iter().rposition(all) {
        None => Some("/linux/resources/devices".into()),
        Some(i) if rules[i].allow => Some(format!("/linux/resources/devices/{i}")),
        Some(i) => {
            let opens = |rule: &DeviceRule| rule.allow && any(rule.major) && rule.access.contains(['r', 'w']);
            let later = rules.iter().skip(i + 1).position(opens)?;
            Some(format!("/linux/resources/devices/{}", i + 1 + later))
        }
    }
}

fn limits(spec: &Spec, found: &mut Found) {
    let resources = &spec.linux.resources;
    let above = |limit: Option<i64>| limit.is_some_and(|limit| limit > 0);
    let set = |file: &str| resources.unified.get(file).is_some_and(|value| !value.starts_with("max"));
    let memory = above(resources.memory.limit) || set("memory.max");
    // For processes alone 0 is a limit.
    let pids = resources.pids.limit.is_some_and(|limit| limit >= 0) || set("pids.max");
    let cpu = above(resources.cpu.quota) || resources.cpu.cpus.as_deref().is_some_and(|cpus| !cpus.is_empty());
    let missing = [("memory", memory), ("processes", pids), ("processor time", cpu || set("cpu.max"))];
    let missing: Vec<&str> = missing.iter().filter(|(_, set)| !set).map(|(word, _)| *word).collect();
    if !missing.is_empty() {
        found.add("no limits", "/linux/resources", missing.join(", "));
    }
}
