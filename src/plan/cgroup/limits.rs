//! config.json's `linux.resources` as lines for the files of a cgroup (config-linux.md, "Control groups"; the kernel's
//! admin-guide/cgroup-v2.rst). `update` takes the same document. A pure function. May touch: types.
//!
//! Engines send 0 for what they leave as it is; only for `pids.limit` 0 is a limit.

use super::weight::weight;
pub use crate::host::cgroup::Setting;
use crate::plan::text::c;
use crate::spec::{BlockIo, Cpu, HugepageLimit, Memory, Problem, Rdma, Resources, escaped};
use alloc::collections::BTreeMap;
use alloc::ffi::CString;

/// The first setting of each controller that has to exist.
pub fn controllers(settings: &[Setting]) -> Vec<&Setting> {
    let mut first: Vec<&Setting> = Vec::new();
    for setting in settings {
        let name = setting.controller();
        // Every cgroup has the files that begin with `cgroup`: they belong to no controller.
        if name != "cgroup" && !setting.optional && first.iter().all(|s| s.controller() != name) {
            first.push(setting);
        }
    }
    first
}

/// The cgroups above a cgroup, from the hierarchy's root on, which is `.`.
pub fn above(path: &str) -> Result<Vec<CString>, Problem> {
    let ends = path.match_indices('/').map(|(at, _)| &path[..at]);
    core::iter::once(".").chain(ends).map(|path| c("/linux/cgroupsPath", path)).collect()
}

/// The settings, in the order in which they are to be written, and where in the document they stand.
struct Settings<'a> {
    base: &'a str,
    all: Vec<Setting>,
}

/// What `resources`, found at the JSON pointer `base`, asks of a cgroup.
pub fn limits(resources: &Resources, base: &str) -> Result<Vec<Setting>, Problem> {
    let mut s = Settings { base, all: Vec::new() };
    s.memory(&resources.memory)?;
    s.cpu(&resources.cpu)?;
    s.block_io(&resources.block_io)?;
    s.huge_pages(&resources.hugepage_limits)?;
    s.rdma(&resources.rdma)?;
    if let Some(limit) = resources.pids.limit {
        s.set("/pids/limit", "pids.max", &max(limit))?;
    }
    s.unified(&resources.unified)?;
    Ok(s.all)
}

/// -1, and what is less, is no limit.
fn max(limit: i64) -> String {
    match limit {
        ..0 => "max".into(),
        _ => limit.to_string(),
    }
}

/// `blockIO.weight`, from 10 to 1000, as io.weight has it: from 1 to 10000.
fn io_weight(weight: i64) -> i64 {
    1 + (weight - 10) * 9999 / 990
}

/// 0 asks for nothing.
fn wanted(number: Option<i64>) -> Option<i64> {
    number.filter(|number| *number != 0)
}

/// The numbers of a block device, as the files have them before a value.
fn block_device(major: Option<i64>, minor: Option<i64>) -> String {
    format!("{}:{} ", major.unwrap_or(0), minor.unwrap_or(0))
}

impl Settings<'_> {
    /// A setting without which the cgroup would not be what was asked for.
    fn set(&mut self, place: &str, file: &str, value: &str) -> Result<(), Problem> {
        let from = format!("{}{place}", self.base);
        let (file, value) = (c(&from, file)?, value.as_bytes().to_vec());
        self.all.push(Setting { file, value, instead: None, optional: false, from });
        Ok(())
    }

    /// Whether the last setting may be left out where the kernel has no such file.
    fn or_nothing(&mut self, optional: bool) {
        if let Some(last) = self.all.last_mut() {
            last.optional = optional;
        }
    }

    fn memory(&mut self, memory: &Memory) -> Result<(), Problem> {
        let (limit, swap) = (wanted(memory.limit), wanted(memory.swap));
        // The specification counts memory and swap together, the kernel each.
        let swap = match (limit, swap) {
            (Some(..0), None) | (_, Some(..0)) => Some(-1),
            (Some(limit), Some(both)) => Some(both - limit),
            _ => None,
        };
        if let Some(swap) = swap {
            self.set("/memory/swap", "memory.swap.max", &max(swap))?;
            // A kernel without swap has no file, and needs none for these two.
            self.or_nothing(swap <= 0);
        }
        if let Some(low) = wanted(memory.reservation) {
            self.set("/memory/reservation", "memory.low", &max(low))?;
        }
        if let Some(limit) = limit {
            self.set("/memory/limit", "memory.max", &max(limit))?;
        }
        Ok(())
    }

    fn cpu(&mut self, cpu: &Cpu) -> Result<(), Problem> {
        if let Some(idle) = cpu.idle {
            self.set("/cpu/idle", "cpu.idle", &idle.to_string())?;
            self.or_nothing(idle == 0);
        }
        // An idle cgroup runs when no other does: the kernel gives it no weight.
        if let Some(shares) = wanted(cpu.shares).filter(|_| cpu.idle != Some(1)) {
            self.set("/cpu/shares", "cpu.weight", &weight(shares.unsigned_abs()).to_string())?;
        }
        let (quota, period) = (wanted(cpu.quota), wanted(cpu.period));
        let value = match (quota.map(max), period) {
            (None, None) => None,
            // A quota alone leaves the period as it is.
            (Some(quota), None) => Some(quota),
            (quota, Some(period)) => Some(format!("{} {period}", quota.as_deref().unwrap_or("max"))),
        };
        if let Some(value) = value {
            let place = if quota.is_some() { "/cpu/quota" } else { "/cpu/period" };
            // A burst may never be more than the quota, so the old burst goes first.
            if cpu.burst.is_some() {
                self.set("/cpu/burst", "cpu.max.burst", "0")?;
            }
            self.set(place, "cpu.max", &value)?;
        }
        if let Some(burst) = cpu.burst {
            self.set("/cpu/burst", "cpu.max.burst", &burst.to_string())?;
            self.or_nothing(burst == 0);
        }
        for (place, file, list) in [("/cpu/cpus", "cpuset.cpus", &cpu.cpus), ("/cpu/mems", "cpuset.mems", &cpu.mems)] {
            if let Some(list) = list.as_deref().filter(|list| !list.is_empty()) {
                self.set(place, file, list)?;
            }
        }
        Ok(())
    }

    fn block_io(&mut self, io: &BlockIo) -> Result<(), Problem> {
        if let Some(weight) = wanted(io.weight) {
            self.io_weight("/blockIO/weight", "", weight)?;
        }
        for (i, device) in io.weight_device.iter().enumerate() {
            if let Some(weight) = wanted(device.weight) {
                let place = format!("/blockIO/weightDevice/{i}/weight");
                self.io_weight(&place, &block_device(device.major, device.minor), weight)?;
            }
        }
        for (key, word, list) in [
            ("throttleReadBpsDevice", "rbps", &io.read_bps),
            ("throttleWriteBpsDevice", "wbps", &io.write_bps),
            ("throttleReadIOPSDevice", "riops", &io.read_iops),
            ("throttleWriteIOPSDevice", "wiops", &io.write_iops),
        ] {
            for (i, device) in list.iter().enumerate() {
                // 0 takes a limit away, as in the block layer's files.
                let rate = max(wanted(device.rate).unwrap_or(-1));
                let number = block_device(device.major, device.minor);
                self.set(&format!("/blockIO/{key}/{i}"), "io.max", &format!("{number}{word}={rate}"))?;
            }
        }
        Ok(())
    }

    /// The scheduler BFQ has a file of its own, with the specification's scale.
    fn io_weight(&mut self, place: &str, device: &str, weight: i64) -> Result<(), Problem> {
        self.set(place, "io.bfq.weight", &format!("{device}{weight}"))?;
        let other = format!("{device}{}", io_weight(weight)).into_bytes();
        if let Some(last) = self.all.last_mut() {
            last.instead = Some((c"io.weight".into(), other));
        }
        Ok(())
    }

    fn huge_pages(&mut self, limits: &[HugepageLimit]) -> Result<(), Problem> {
        for (i, limit) in limits.iter().enumerate() {
            let place = format!("/hugepageLimits/{i}/limit");
            let size = limit.page_size.as_deref().unwrap_or("");
            let bytes = max(limit.limit.unwrap_or(-1));
            // A reservation above its limit fails when it is asked for; use above its limit ends in SIGBUS.
            self.set(&place, &format!("hugetlb.{size}.rsvd.max"), &bytes)?;
            self.or_nothing(true);
            self.set(&place, &format!("hugetlb.{size}.max"), &bytes)?;
        }
        Ok(())
    }

    fn rdma(&mut self, devices: &BTreeMap<String, Rdma>) -> Result<(), Problem> {
        for (device, limit) in devices {
            let mut line = device.clone();
            for (word, number) in [("hca_handle", limit.hca_handles), ("hca_object", limit.hca_objects)] {
                if let Some(number) = number {
                    line.push_str(&format!(" {word}={}", max(number)));
                }
            }
            self.set(&format!("/rdma/{}", escaped(device)), "rdma.max", &line)?;
        }
        Ok(())
    }

    /// Files by name, as they are.
    fn unified(&mut self, files: &BTreeMap<String, String>) -> Result<(), Problem> {
        for (file, text) in files {
            // The kernel takes one line a write.
            for line in text.split('\n').filter(|line| !line.is_empty()) {
                self.set(&format!("/unified/{}", escaped(file)), file, line)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_of_devices_have_two_files() {
        let text = r#"{"blockIO": {"weightDevice": [{"major": 8, "minor": 16, "weight": 500}]}}"#;
        let resources: Resources = serde_json::from_str(text).unwrap_or_default();
        let all = limits(&resources, "/x").unwrap_or_default();
        let one = all.first().map(|s| (s.file.as_c_str(), &s.value[..], s.instead.clone()));
        let instead = (c"io.weight".into(), b"8:16 4950".to_vec());
        assert_eq!(one, Some((c"io.bfq.weight", &b"8:16 500"[..], Some(instead))));
        assert_eq!(all.first().map(|s| &s.from[..]), Some("/x/blockIO/weightDevice/0/weight"));
    }
}
