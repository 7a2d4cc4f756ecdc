//! The sets of capabilities (capabilities(7)): which one of the configuration lacks a capability. May touch: the spec, the book.

use super::process::{Rights, Stopped};
use super::texts::cause;
use super::types::{By, Cause};
use crate::explain;
use crate::spec::capability_number;

/// Which set of the configuration lacks the capability. `None`: the configuration gave it, and the program gave it up.
pub fn missing(stopped: &Stopped, rights: &Rights, capability: &str) -> Option<Cause> {
    let process = &stopped.confinement.spec.process;
    let sets = &process.capabilities;
    let bit = 1u64 << capability_number(capability)?;
    let has = |set: &[String]| set.iter().any(|name| name == capability);
    let begun_as_root = process.user.uid == 0;
    let is_root = stopped.inside("uid_map", rights.user) == Some(0);
    // A program that has left user 0 would have left the capability, too.
    if begun_as_root && !is_root && rights.permitted == 0 {
        return None;
    }
    let set = match rights.bounding & bit == 0 {
        true if has(&sets.bounding) => return None,
        true => "bounding",
        false if rights.permitted & bit != 0 => return None,
        // execve gives root all of the bounding set; with no_new_privs only what was permitted before.
        false if begun_as_root && is_root && rights.no_new_privileges && !has(&sets.permitted) => "permitted",
        false if begun_as_root || has(&sets.ambient) && has(&sets.inheritable) && has(&sets.permitted) => return None,
        false => "ambient",
    };
    let wanted: &[(&str, &[String])] = match begun_as_root {
        true => &[("bounding", &sets.bounding), ("permitted", &sets.permitted), ("effective", &sets.effective)],
        // A set-user-id program of root has what the bounding set has.
        false if is_root && !rights.no_new_privileges => &[("bounding", &sets.bounding)],
        false => &[
            ("bounding", &sets.bounding),
            ("permitted", &sets.permitted),
            ("effective", &sets.effective),
            ("inheritable", &sets.inheritable),
            ("ambient", &sets.ambient),
        ],
    };
    let names: Vec<&str> = wanted.iter().filter(|(_, names)| !has(names)).map(|(set, _)| *set).collect();
    let opens = explain::opens(capability).unwrap_or_default();
    let values = [stopped.name, capability, set, &names.join(", "), &opens];
    let pointer = format!("/process/capabilities/{set}");
    Some(cause(By::Capability, &format!("capability {set}"), pointer, &values))
}
