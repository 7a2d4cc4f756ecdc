//! `mounts` (config.md, "Mounts"). May touch: serde.

use super::rules::{path, text};
use super::schema::{At, Checked, Property, schema};
use super::types::Text;
use super::users::{IdMapping, check_mappings};

schema! {
    Mount<'a>, then mount_fits {
        "source" source: Option<Text<'a>> => path;
        "destination" destination: Text<'a> => path;
        "options" options: Vec<Text<'a>> => text;
        "type" kind: Text<'a> => path;
        "uidMappings" uid_mappings: Vec<IdMapping>;
        "gidMappings" gid_mappings: Vec<IdMapping>;
    }
}

fn mount_fits(mount: &Mount, at: &At) -> Checked {
    if !mount.uid_mappings.is_empty() || !mount.gid_mappings.is_empty() {
        check_mappings(&mount.uid_mappings, &mount.gid_mappings, at)?;
    }
    let destination = at.key("destination");
    destination.refuse(mount.destination.is_empty(), || "is missing: it says where in the container the mount goes")?;
    let has = |words: [&str; 2]| mount.options.iter().any(|option| words.contains(&&**option));
    let bind = mount.kind == "bind" || has(["bind", "rbind"]);
    let sourceless = mount.source.as_deref().is_none_or(str::is_empty);
    let wrong = bind && sourceless && !has(["remount", "remount"]);
    at.key("source").refuse(wrong, || "is missing or empty: it names what a bind mount shows")
}

/// Checks a mount that does not come from config.json.
pub fn check_mount(number: usize, mount: &Mount) -> Checked {
    mount.check(&At::ROOT.key("mounts").index(number))
}
