//! `linux.resources`: what a cgroup is limited to (config-linux.md, "Control groups"; the kernel's
//! admin-guide/cgroup-v2.rst). `update` takes the same document. Engines send 0 for what they leave as it is; only for
//! `pids.limit` 0 is a limit. May touch: serde.

use super::devices::DeviceRule;
use super::rules::{LONGEST_LIST, fits};
use super::schema::{At, Checked, schema};
use super::types::Refused;
use alloc::collections::BTreeMap;

const V1: &str = "of cgroup version 1, which is not supported";

schema! {
    /// The limits of a cgroup's controllers.
    Resources, then keys_fit {
        "unified" unified: BTreeMap<String, String>;
        "devices" devices: Vec<DeviceRule>, most LONGEST_LIST;
        "pids" pids: Pids;
        "blockIO" block_io: BlockIo;
        "cpu" cpu: Cpu;
        "hugepageLimits" hugepage_limits: Vec<HugepageLimit>, most LONGEST_LIST;
        "memory" memory: Memory;
        "network" network: Network, refused V1;
        "rdma" rdma: BTreeMap<String, Rdma>;
    }

    Pids {
        "limit" limit: Option<i64>;
    }

    BlockIo {
        "weight" weight: Option<i64> => io_weight;
        "leafWeight" leaf_weight: Refused<i64>, refused V1;
        "throttleReadBpsDevice" read_bps: Vec<Throttle>, most LONGEST_LIST;
        "throttleWriteBpsDevice" write_bps: Vec<Throttle>, most LONGEST_LIST;
        "throttleReadIOPSDevice" read_iops: Vec<Throttle>, most LONGEST_LIST;
        "throttleWriteIOPSDevice" write_iops: Vec<Throttle>, most LONGEST_LIST;
        "weightDevice" weight_device: Vec<WeightDevice>, most LONGEST_LIST;
    }

    Throttle, then throttle_is_given {
        "major" major: Option<i64>;
        "minor" minor: Option<i64>;
        "rate" rate: Option<i64>;
    }

    WeightDevice, then weight_is_given {
        "major" major: Option<i64>;
        "minor" minor: Option<i64>;
        "weight" weight: Option<i64> => io_weight;
        "leafWeight" leaf_weight: Refused<i64>, refused V1;
    }

    Cpu {
        "cpus" cpus: Option<String> => cpu_list;
        "mems" mems: Option<String> => cpu_list;
        "period" period: Option<i64>;
        "quota" quota: Option<i64>;
        "burst" burst: Option<i64>;
        "realtimePeriod" realtime_period: Refused<i64>, refused V1;
        "realtimeRuntime" realtime_runtime: Refused<i64>, refused V1;
        "shares" shares: Option<i64> => fits(|n: &i64| *n >= 0, "must be more than 0");
        "idle" idle: Option<i64> => fits(|n: &i64| matches!(n, 0 | 1), "must be 0 or 1");
    }

    HugepageLimit, then limit_is_given {
        "pageSize" page_size: Option<String>;
        "limit" limit: Option<i64>;
    }

    Memory, then swap_fits {
        "kernel" kernel: Refused<i64>, refused V1;
        "kernelTCP" kernel_tcp: Refused<i64>, refused V1;
        "limit" limit: Option<i64>;
        "reservation" reservation: Option<i64>;
        /// The specification counts memory and swap together, the kernel each of them.
        "swap" swap: Option<i64>;
        "swappiness" swappiness: Refused<i64>, refused V1;
        "disableOOMKiller" disable_oom_killer: Refused<bool>, refused V1;
        "useHierarchy" use_hierarchy: Option<bool>;
        "checkBeforeUpdate" check_before_update: Option<bool>;
    }

    Network {
        "classID" class_id: Refused<i64>, refused V1;
        "priorities" priorities: Vec<NetworkPriority>, refused V1;
    }

    NetworkPriority {
        "name" name: Refused<String>, refused V1;
        "priority" priority: Refused<i64>, refused V1;
    }

    Rdma {
        "hcaHandles" hca_handles: Option<i64>;
        "hcaObjects" hca_objects: Option<i64>;
    }
}

/// 0 leaves the weight as it is.
fn io_weight(weight: &i64, at: &At) -> Checked {
    at.refuse(!matches!(weight, 0 | 10..=1000), || format!("{weight} must be from 10 to 1000"))
}

fn cpu_list(list: &str, at: &At) -> Checked {
    let known = list.bytes().all(|b| b.is_ascii_digit() || b",- \n".contains(&b));
    at.refuse(!known, || format!("`{list}` is no list such as 0-3,7"))
}

fn given(number: Option<i64>, key: &str, at: &At) -> Checked {
    at.key(key).refuse(number.is_none(), || "is missing")
}

fn block_device(major: Option<i64>, minor: Option<i64>, at: &At) -> Checked {
    for (key, number) in [("major", major), ("minor", minor)] {
        let known = matches!(number, Some(0..=0xf_ffff));
        at.key(key).refuse(!known, || "must be the number of a block device")?;
    }
    Ok(())
}

fn throttle_is_given(throttle: &Throttle, at: &At) -> Checked {
    block_device(throttle.major, throttle.minor, at)?;
    given(throttle.rate, "rate", at)
}

fn weight_is_given(device: &WeightDevice, at: &At) -> Checked {
    block_device(device.major, device.minor, at)?;
    given(device.weight, "weight", at)
}

fn limit_is_given(limit: &HugepageLimit, at: &At) -> Checked {
    let size = limit.page_size.as_deref().unwrap_or("");
    let digits = ["KB", "MB", "GB"].iter().find_map(|unit| size.strip_suffix(unit)).unwrap_or("");
    let odd = digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit());
    at.key("pageSize").refuse(odd, || format!("`{size}` is no size of a page such as 2MB"))?;
    given(limit.limit, "limit", at)
}

fn swap_fits(memory: &Memory, at: &At) -> Checked {
    let (at, limit, both) = (at.key("swap"), memory.limit.unwrap_or(0), memory.swap.unwrap_or(0));
    at.refuse(both > 0 && limit <= 0, || "counts memory and swap together: it needs memory/limit beside it")?;
    at.refuse(both > 0 && both < limit, || format!("{both} is memory and swap together: less than memory/limit"))
}

/// Files of a cgroup that the runtime itself writes: they move, freeze and kill its processes.
const OURS: [&str; 6] = ["procs", "threads", "kill", "freeze", "type", "subtree_control"];

/// Names of files and devices.
fn keys_fit(resources: &Resources, at: &At) -> Checked {
    let (unified, rdma) = (at.key("unified"), at.key("rdma"));
    for (file, text) in &resources.unified {
        let at = unified.key(file);
        let ours = file.strip_prefix("cgroup.").is_some_and(|f| OURS.contains(&f));
        let odd = file.contains(['/', '\0']) || !file.contains('.') || file.starts_with('.');
        at.refuse(ours || odd, || "must be a file of a cgroup, and none of those by which it is governed")?;
        at.refuse(text.trim().is_empty(), || "is empty: nothing would be written")?;
    }
    for (device, limit) in &resources.rdma {
        let odd = device.is_empty() || device.contains(char::is_whitespace);
        let odd = odd || limit.hca_handles.or(limit.hca_objects).is_none();
        rdma.key(device).refuse(odd, || "must be a device with hcaHandles or hcaObjects")?;
    }
    Ok(())
}
