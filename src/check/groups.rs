//! The container's cgroup: whether it can be made, and has the controllers that its limits need. May touch: the cgroup
//! hierarchy.

use super::host::hierarchy;
use super::rows::Rows;
use crate::cause::cgroup;
use crate::plan::cgroup::limits::Setting;
use core::ffi::CStr;

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

/// A limit needs the controller that has its file.
pub fn limit(group: &Option<String>, setting: &Setting, rows: &mut Rows) {
    let controller = setting.controller();
    let Some(path) = group.as_ref().filter(|_| !setting.optional && !matches!(controller, "cgroup" | "")) else {
        return;
    };
    match cgroup::planned(path, &[controller.into()]) {
        Some(found) => rows.found(&setting.from, found),
        None => rows.ok(&setting.from, "controller", &[controller]),
    }
}
