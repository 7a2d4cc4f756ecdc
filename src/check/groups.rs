//! The container's cgroup: whether it can be made, and has the controllers that its limits need. May touch: the cgroup
//! hierarchy.

use super::host::hierarchy;
use super::rows::Rows;
use crate::cause::cgroup;
use crate::plan::cgroup::limits::Setting;
use core::ffi::CStr;

/// With so much memory a container can be built.
const ENOUGH: u64 = 512 << 10;

/// `optional`: a container without limits does without it.
pub fn make(at: &str, path: &CStr, optional: bool, group: &mut Option<String>, rows: &mut Rows) {
    let at = if at.is_empty() { "/linux/cgroupsPath" } else { at };
    // Where no hierarchy is mounted, a look would mount one.
    if hierarchy().is_none() {
        return;
    }
    let path = path.to_string_lossy().into_owned();
    match cgroup::planned(&path, &[]) {
        None => {
            rows.ok(at, "group", &[&path]);
            *group = Some(path);
        }
        Some(_) if optional => rows.not_needed(at, "group", &[&path]),
        Some(found) => rows.found(at, found),
    }
}

/// A limit needs the controller that has its file, and a value that the file takes.
pub fn limit(group: &Option<String>, setting: &Setting, rows: &mut Rows) {
    let controller = setting.controller();
    let Some(path) = group.as_ref().filter(|_| !setting.optional && !matches!(controller, "cgroup" | "")) else {
        return;
    };
    let at = setting.from.as_str();
    if let Some(found) = cgroup::planned(path, &[controller.into()]).or_else(|| cgroup::limit_planned(path, setting)) {
        return rows.found(at, found);
    }
    let (file, value) = (setting.file.to_string_lossy(), String::from_utf8_lossy(&setting.value));
    let number = value.parse().unwrap_or(u64::MAX);
    match cgroup::lower_above(path, setting) {
        _ if file == "memory.max" && number < ENOUGH => rows.unsure(at, "memory", &[&value]),
        _ if file == "pids.max" && number < 2 => rows.unsure(at, "pids", &[&value]),
        Some((above, has)) => rows.unsure(at, "above", &[&file, &value, &above, &has]),
        None => rows.ok(at, "controller", &[controller]),
    }
}
