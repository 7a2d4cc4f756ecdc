//! config.json's `linux.resources` as lines for the files of a cgroup (config-linux.md, "Control groups"; the kernel's
//! admin-guide/cgroup-v2.rst). `update` takes the same document. A pure function. May touch: types.
//!
//! Engines send 0 for what they leave as it is; only for `pids.limit` 0 is a limit. What only cgroup version 1 had is
//! refused where it asks for something.

use super::weight::weight;
pub use crate::host::cgroup::Setting;
use crate::plan::c;
use crate::spec::{Problem, Resources, Value, escaped};
use alloc::ffi::CString;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// The first setting of each controller that there has to be.
pub fn controllers(settings: &[Setting]) -> Vec<&Setting> {
    let mut first: Vec<&Setting> = Vec::new();
    for setting in settings {
        let name = setting.controller();
        // The files that every cgroup has are of none.
        if name != "cgroup" && !setting.optional && first.iter().all(|s| s.controller() != name) {
            first.push(setting);
        }
    }
    first
}

/// The cgroups above one, from the hierarchy's root on, which is `.`.
pub fn above(path: &str) -> Result<Vec<CString>, &'static str> {
    let ends = path.match_indices('/').map(|(at, _)| &path[..at]);
    core::iter::once(".").chain(ends).map(c).collect()
}

/// The settings, in the order in which they are to be written, and where in the document they stand.
struct Settings<'a> {
    base: &'a str,
    all: Vec<Setting>,
}

/// What `resources`, found at the JSON pointer `base`, asks of a cgroup.
pub fn limits(resources: &Resources, base: &str) -> Result<Vec<Setting>, Problem> {
    let mut s = Settings { base, all: Vec::new() };
    for (place, group) in [
        ("/memory", &resources.memory),
        ("/cpu", &resources.cpu),
        ("/blockIO", &resources.block_io),
        ("/network", &resources.network),
        ("/pids", &resources.pids),
    ] {
        if !group.is_null() {
            s.object(place, group)?;
        }
    }
    s.memory(&resources.memory)?;
    s.cpu(&resources.cpu)?;
    s.block_io(&resources.block_io)?;
    s.huge_pages(&resources.hugepage_limits)?;
    s.rdma(&resources.rdma)?;
    s.version_1("/network/classID", &resources.network["classID"])?;
    let at = "/network/priorities";
    for (i, entry) in s.list(at, &resources.network["priorities"])?.iter().enumerate() {
        let place = format!("{at}/{i}");
        s.object(&place, entry)?;
        for key in ["name", "priority"] {
            s.version_1(&format!("{at}/{i}/{key}"), &entry[key])?;
        }
    }
    if let Some(limit) = s.number("/pids/limit", &resources.pids, "limit")? {
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

impl Settings<'_> {
    fn no<T>(&self, place: &str, problem: impl Into<String>) -> Result<T, Problem> {
        Err(Problem { pointer: format!("{}{place}", self.base), problem: problem.into() })
    }

    /// The number at `parent`'s `key`. `None`: it is not there, or null.
    fn number(&self, place: &str, parent: &Value, key: &str) -> Result<Option<i64>, Problem> {
        match &parent[key] {
            Value::Null => Ok(None),
            value => match value.as_i64() {
                Some(number) => Ok(Some(number)),
                None => self.no(place, format!("`{value}` is no whole number of 64 bits")),
            },
        }
    }

    /// The same, which has to be there.
    fn given(&self, place: &str, parent: &Value, key: &str) -> Result<i64, Problem> {
        match self.number(place, parent, key)? {
            Some(number) => Ok(number),
            None => self.no(place, "is missing"),
        }
    }

    fn object(&self, place: &str, value: &Value) -> Result<(), Problem> {
        match value {
            Value::Object(_) => Ok(()),
            value => self.no(place, format!("`{value}` is no object")),
        }
    }

    /// True or false; absent and null are false.
    fn flag(&self, place: &str, value: &Value) -> Result<(), Problem> {
        match value {
            Value::Null | Value::Bool(_) => Ok(()),
            value => self.no(place, format!("`{value}` must be true or false")),
        }
    }

    /// The same, of which 0 asks for nothing.
    fn wanted(&self, place: &str, parent: &Value, key: &str) -> Result<Option<i64>, Problem> {
        let number = self.number(place, parent, key)?;
        Ok(number.filter(|number| *number != 0))
    }

    fn text<'v>(&self, place: &str, parent: &'v Value, key: &str) -> Result<&'v str, Problem> {
        match &parent[key] {
            Value::Null => Ok(""),
            Value::String(text) => Ok(text),
            value => self.no(place, format!("`{value}` is no text")),
        }
    }

    fn list<'v>(&self, place: &str, value: &'v Value) -> Result<&'v [Value], Problem> {
        match value {
            Value::Null => Ok(&[]),
            Value::Array(list) if list.len() <= crate::spec::LONGEST_LIST => Ok(list),
            Value::Array(_) => self.no(place, "has more entries than anybody needs"),
            value => self.no(place, format!("`{value}` is no list")),
        }
    }

    /// A setting without which the cgroup would not be what was asked for.
    fn set(&mut self, place: &str, file: &str, value: &str) -> Result<(), Problem> {
        let Ok(name) = c(file) else {
            return self.no(place, "holds a NUL byte");
        };
        self.all.push(Setting {
            file: name,
            value: value.as_bytes().to_vec(),
            instead: None,
            optional: false,
            from: format!("{}{place}", self.base),
        });
        Ok(())
    }

    /// The last setting may be left away where the kernel has no such file.
    fn or_nothing(&mut self, optional: bool) {
        if let Some(last) = self.all.last_mut() {
            last.optional = optional;
        }
    }

    fn version_1(&self, place: &str, value: &Value) -> Result<(), Problem> {
        let nothing = match value {
            Value::Null | Value::Bool(false) => true,
            Value::Number(number) => number.as_i64().is_some_and(|number| number <= 0),
            _ => false,
        };
        match nothing {
            true => Ok(()),
            false => self.no(place, "is of cgroup version 1, which is not supported"),
        }
    }

    fn memory(&mut self, memory: &Value) -> Result<(), Problem> {
        for key in ["kernel", "kernelTCP", "swappiness", "disableOOMKiller"] {
            self.version_1(&format!("/memory/{key}"), &memory[key])?;
        }
        for key in ["useHierarchy", "checkBeforeUpdate"] {
            self.flag(&format!("/memory/{key}"), &memory[key])?;
        }
        let limit = self.wanted("/memory/limit", memory, "limit")?;
        let swap = self.wanted("/memory/swap", memory, "swap")?;
        // The specification counts memory and swap together, the kernel each.
        let swap = match (limit, swap) {
            (Some(..0), None) | (_, Some(..0)) => Some(-1),
            (_, None) => None,
            (Some(limit @ 0..), Some(both)) if both >= limit => Some(both - limit),
            (Some(0..), Some(both)) => {
                let problem = format!("{both} is memory and swap together: less than memory/limit");
                return self.no("/memory/swap", problem);
            }
            _ => {
                let problem = "counts memory and swap together: it needs memory/limit beside it";
                return self.no("/memory/swap", problem);
            }
        };
        if let Some(swap) = swap {
            self.set("/memory/swap", "memory.swap.max", &max(swap))?;
            // A kernel without swap has no file, and needs none for these two.
            self.or_nothing(swap <= 0);
        }
        if let Some(low) = self.wanted("/memory/reservation", memory, "reservation")? {
            self.set("/memory/reservation", "memory.low", &max(low))?;
        }
        if let Some(limit) = limit {
            self.set("/memory/limit", "memory.max", &max(limit))?;
        }
        Ok(())
    }

    fn cpu(&mut self, cpu: &Value) -> Result<(), Problem> {
        for key in ["realtimePeriod", "realtimeRuntime"] {
            self.version_1(&format!("/cpu/{key}"), &cpu[key])?;
        }
        let idle = self.number("/cpu/idle", cpu, "idle")?;
        let shares = self.wanted("/cpu/shares", cpu, "shares")?;
        if !matches!(idle, None | Some(0 | 1)) {
            return self.no("/cpu/idle", "must be 0 or 1");
        }
        if let Some(idle) = idle {
            self.set("/cpu/idle", "cpu.idle", &idle.to_string())?;
            self.or_nothing(idle == 0);
        }
        match shares {
            Some(..0) => return self.no("/cpu/shares", "must be more than 0"),
            Some(shares) if idle != Some(1) => {
                let weight = weight(shares.unsigned_abs());
                self.set("/cpu/shares", "cpu.weight", &weight.to_string())?;
            }
            // What is idle runs when nothing else does: the kernel gives it no weight.
            _ => {}
        }
        let quota = self.wanted("/cpu/quota", cpu, "quota")?;
        let period = self.wanted("/cpu/period", cpu, "period")?;
        let burst = self.number("/cpu/burst", cpu, "burst")?;
        let value = match (quota.map(max), period) {
            (None, None) => None,
            // A quota alone leaves the period as it is.
            (Some(quota), None) => Some(quota),
            (quota, Some(period)) => Some(format!("{} {period}", quota.as_deref().unwrap_or("max"))),
        };
        if let Some(value) = value {
            let place = if quota.is_some() { "/cpu/quota" } else { "/cpu/period" };
            // A burst may never be more than the quota: the old one steps aside first.
            if burst.is_some() {
                self.set("/cpu/burst", "cpu.max.burst", "0")?;
            }
            self.set(place, "cpu.max", &value)?;
        }
        if let Some(burst) = burst {
            self.set("/cpu/burst", "cpu.max.burst", &burst.to_string())?;
            self.or_nothing(burst == 0);
        }
        for (key, file) in [("cpus", "cpuset.cpus"), ("mems", "cpuset.mems")] {
            let place = format!("/cpu/{key}");
            let list = self.text(&place, cpu, key)?;
            if !list.bytes().all(|b| b.is_ascii_digit() || b",- \n".contains(&b)) {
                return self.no(&place, format!("`{list}` is no list such as 0-3,7"));
            }
            if !list.is_empty() {
                self.set(&place, file, list)?;
            }
        }
        Ok(())
    }

    fn block_io(&mut self, io: &Value) -> Result<(), Problem> {
        self.version_1("/blockIO/leafWeight", &io["leafWeight"])?;
        if let Some(weight) = self.wanted("/blockIO/weight", io, "weight")? {
            self.io_weight("/blockIO/weight", "", weight)?;
        }
        let at = "/blockIO/weightDevice";
        for (i, device) in self.list(at, &io["weightDevice"])?.iter().enumerate() {
            let place = format!("{at}/{i}");
            self.object(&place, device)?;
            self.version_1(&format!("{place}/leafWeight"), &device["leafWeight"])?;
            let number = self.device(&place, device)?;
            let place = format!("{place}/weight");
            match self.given(&place, device, "weight")? {
                0 => {}
                weight => self.io_weight(&place, &number, weight)?,
            }
        }
        for (key, word) in [
            ("throttleReadBpsDevice", "rbps"),
            ("throttleWriteBpsDevice", "wbps"),
            ("throttleReadIOPSDevice", "riops"),
            ("throttleWriteIOPSDevice", "wiops"),
        ] {
            let at = format!("/blockIO/{key}");
            for (i, device) in self.list(&at, &io[key])?.iter().enumerate() {
                let place = format!("{at}/{i}");
                self.object(&place, device)?;
                let number = self.device(&place, device)?;
                // 0 takes a limit away, as the block layer's files had it.
                let rate = match self.given(&format!("{place}/rate"), device, "rate")? {
                    0 => max(-1),
                    rate => max(rate),
                };
                self.set(&place, "io.max", &format!("{number}{word}={rate}"))?;
            }
        }
        Ok(())
    }

    /// The numbers of a block device, as the files have them in front of a value.
    fn device(&self, place: &str, device: &Value) -> Result<String, Problem> {
        let part = |key: &str| {
            let place = format!("{place}/{key}");
            match self.number(&place, device, key)? {
                Some(number @ 0..=0xf_ffff) => Ok(number),
                _ => self.no(&place, "must be the number of a block device"),
            }
        };
        Ok(format!("{}:{} ", part("major")?, part("minor")?))
    }

    /// The scheduler BFQ has a file of its own, with the specification's scale.
    fn io_weight(&mut self, place: &str, device: &str, weight: i64) -> Result<(), Problem> {
        if !(10..=1000).contains(&weight) {
            return self.no(place, format!("{weight} must be from 10 to 1000"));
        }
        self.set(place, "io.bfq.weight", &format!("{device}{weight}"))?;
        let other = format!("{device}{}", io_weight(weight)).into_bytes();
        if let Some(last) = self.all.last_mut() {
            last.instead = Some((c"io.weight".into(), other));
        }
        Ok(())
    }

    fn huge_pages(&mut self, limits: &Value) -> Result<(), Problem> {
        for (i, limit) in self.list("/hugepageLimits", limits)?.iter().enumerate() {
            let place = format!("/hugepageLimits/{i}");
            self.object(&place, limit)?;
            let size = self.text(&format!("{place}/pageSize"), limit, "pageSize")?;
            let digits = ["KB", "MB", "GB"].iter().find_map(|unit| size.strip_suffix(unit)).unwrap_or("");
            if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
                let problem = format!("`{size}` is no size of a page such as 2MB");
                return self.no(&format!("{place}/pageSize"), problem);
            }
            let place = format!("{place}/limit");
            let bytes = max(self.given(&place, limit, "limit")?);
            // What is reserved fails when it is asked for; what is only used ends in SIGBUS.
            self.set(&place, &format!("hugetlb.{size}.rsvd.max"), &bytes)?;
            self.or_nothing(true);
            self.set(&place, &format!("hugetlb.{size}.max"), &bytes)?;
        }
        Ok(())
    }

    fn rdma(&mut self, devices: &Value) -> Result<(), Problem> {
        let Value::Object(devices) = devices else {
            return match devices {
                Value::Null => Ok(()),
                value => self.no("/rdma", format!("`{value}` is no object")),
            };
        };
        for (device, limit) in devices {
            let place = format!("/rdma/{}", escaped(device));
            self.object(&place, limit)?;
            let mut line = device.clone();
            for (key, word) in [("hcaHandles", "hca_handle"), ("hcaObjects", "hca_object")] {
                if let Some(number) = self.number(&format!("{place}/{key}"), limit, key)? {
                    line.push_str(&format!(" {word}={}", max(number)));
                }
            }
            let odd = device.is_empty() || device.contains(char::is_whitespace);
            if odd || line == *device {
                return self.no(&place, "must be a device with hcaHandles or hcaObjects");
            }
            self.set(&place, "rdma.max", &line)?;
        }
        Ok(())
    }

    /// Files by name, as they are. Those that say who is in the cgroup, or end it, are the runtime's.
    fn unified(&mut self, files: &Value) -> Result<(), Problem> {
        let Value::Object(files) = files else {
            return match files {
                Value::Null => Ok(()),
                value => self.no("/unified", format!("`{value}` is no object")),
            };
        };
        const OURS: [&str; 6] = ["procs", "threads", "kill", "freeze", "type", "subtree_control"];
        for (file, value) in files {
            let place = format!("/unified/{}", escaped(file));
            let ours = file.strip_prefix("cgroup.").is_some_and(|f| OURS.contains(&f));
            if ours || file.contains('/') || !file.contains('.') || file.starts_with('.') {
                let problem = "must be a file of a cgroup, and none of those by which it is governed";
                return self.no(&place, problem);
            }
            let Value::String(text) = value else {
                return self.no(&place, format!("`{value}` is no text"));
            };
            if text.trim().is_empty() {
                return self.no(&place, "is empty: nothing would be written");
            }
            // The kernel takes one line a write.
            for line in text.split('\n').filter(|line| !line.is_empty()) {
                self.set(&place, file, line)?;
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
