//! `linux.devices`: nodes to make; `linux.resources.devices`: rules for which devices may be used
//! (config-linux.md, "Devices", "Allowed Device list"). May touch: serde.

use super::rules::{id, one_of, path};
use super::schema::{At, Checked, schema};

schema! {
    Device, then numbers_fit {
        "type" kind: String => one_of(&["b", "c", "u", "p"], "must be c, b, u or p");
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
        "type" kind: String => one_of(&["", "a", "b", "c"], "must be a, b or c");
        "major" major: Option<i64> => number_or_any;
        "minor" minor: Option<i64> => number_or_any;
        /// Letters of `rwm`; empty, where it denies, is all of them.
        "access" access: String => letters;
    }
}

fn node_path(node: &str, at: &At) -> Checked {
    let odd = !node.starts_with('/') || node.ends_with('/') || node.split('/').any(|part| part == "..");
    at.refuse(odd, || format!("`{node}` must be an absolute path to a file, without `..`"))?;
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

/// Every interface takes 32 bits, though the kernel uses 12 for a major number and 20 for a minor one.
fn device_number(number: i64, least: i64, at: &At) -> Checked {
    at.refuse(number < least || number > i64::from(u32::MAX), || format!("{number} is no device number"))
}

/// -1 stands for any number.
fn number_or_any(number: &i64, at: &At) -> Checked {
    device_number(*number, -1, at)
}

fn letters(access: &str, at: &At) -> Checked {
    at.refuse(access.contains(|letter| !"rwm".contains(letter)), || format!("`{access}` may hold only r, w and m"))
}

/// An absent value must not give rights. runc and crun refuse it too.
fn access_is_given(rule: &DeviceRule, at: &At) -> Checked {
    let nothing = rule.allow && rule.access.is_empty();
    at.key("access").refuse(nothing, || "is missing: a rule that allows has to say what, with letters of rwm")
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
