//! `linux.devices`: nodes that are made; `linux.resources.devices`: rules for which devices may be used
//! (config-linux.md, "Devices", "Allowed Device list"). May touch: serde.

use super::rules::{id, path};
use super::schema::{At, Checked, schema};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

schema! {
    Device, then numbers_fit {
        "type" kind: String => node_type;
        "path" path: String => node_path;
        "fileMode" file_mode: Option<u32>;
        "major" major: Option<i64>;
        "minor" minor: Option<i64>;
        "uid" uid: Option<u32> => id;
        "gid" gid: Option<u32> => id;
    }

    #[derive(Clone)]
    DeviceRule, then access_is_given {
        "allow" allow: bool;
        /// `a`, `b` or `c`; empty is `a`.
        "type" kind: String => rule_type;
        "major" major: Option<i64> => number_or_any;
        "minor" minor: Option<i64> => number_or_any;
        /// Letters of `rwm`; empty, where it denies, is all of them.
        "access" access: String => letters;
    }
}

fn node_type(kind: &str, at: &At) -> Checked {
    if matches!(kind, "b" | "c" | "u" | "p") { Ok(()) } else { at.no(format!("`{kind}` must be c, b, u or p")) }
}

fn node_path(node: &str, at: &At) -> Checked {
    if !node.starts_with('/') || node.ends_with('/') || node.split('/').any(|part| part == "..") {
        return at.no(format!("`{node}` must be an absolute path to a file, without `..`"));
    }
    path(node, at)
}

fn numbers_fit(device: &Device, at: &At) -> Checked {
    for (key, number) in [("major", device.major), ("minor", device.minor)] {
        let at = at.key(key);
        match number {
            None if device.kind != "p" => return at.no("is missing: only a fifo has no numbers"),
            Some(number) => device_number(number, 0, &at)?,
            None => {}
        }
    }
    Ok(())
}

/// Every interface takes 32 bits, though the kernel uses 12 and 20.
fn device_number(number: i64, least: i64, at: &At) -> Checked {
    match number < least || number > i64::from(u32::MAX) {
        true => at.no(format!("{number} is no device number")),
        false => Ok(()),
    }
}

/// -1 stands for any number.
fn number_or_any(number: &i64, at: &At) -> Checked {
    device_number(*number, -1, at)
}

fn rule_type(kind: &str, at: &At) -> Checked {
    if matches!(kind, "" | "a" | "b" | "c") { Ok(()) } else { at.no(format!("`{kind}` must be a, b or c")) }
}

fn letters(access: &str, at: &At) -> Checked {
    match access.chars().all(|letter| "rwm".contains(letter)) {
        true => Ok(()),
        false => at.no(format!("`{access}` may hold only r, w and m")),
    }
}

/// An absent value must not give rights. runc and crun refuse it too.
fn access_is_given(rule: &DeviceRule, at: &At) -> Checked {
    match rule.allow && rule.access.is_empty() {
        true => at.key("access").no("is missing: a rule that allows has to say what, with letters of rwm"),
        false => Ok(()),
    }
}

/// No path twice.
pub fn paths_differ(devices: &[Device], at: &At) -> Checked {
    let mut seen: Vec<&str> = Vec::new();
    for (i, device) in devices.iter().enumerate() {
        if seen.contains(&device.path.as_str()) {
            return at.index(i).key("path").no(format!("repeats {}", device.path));
        }
        seen.push(&device.path);
    }
    Ok(())
}
