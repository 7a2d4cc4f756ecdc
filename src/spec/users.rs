//! `process.user`, and the mappings of ids (config.md, "User"; config-linux.md, "User namespace mappings").
//! May touch: serde.

use super::rules::id;
use super::schema::{At, Checked, Ignored, schema};
use alloc::format;
use alloc::vec::Vec;

schema! {
    User {
        "uid" uid: u32 => id;
        "gid" gid: u32 => id;
        "umask" umask: Option<u32> => permissions;
        "additionalGids" additional_gids: Vec<u32> => id;
        "username" username: Ignored;
    }

    /// A range of ids: `size` of them, from `container_id` inside and `host_id` outside.
    #[derive(Clone, Copy, PartialEq, Eq)]
    IdMapping {
        "containerID" container_id: u32;
        "hostID" host_id: u32;
        "size" size: u32;
    }
}

fn permissions(mask: &u32, at: &At) -> Checked {
    if *mask > 0o777 { at.no("must be at most 511 (octal 777)") } else { Ok(()) }
}

/// The kernel takes this many lines of a mapping (user_namespaces(7)).
const MOST_MAPPINGS: usize = 340;

/// Mappings of both kinds or of none, none empty, and no id twice on either side.
pub fn check_mappings(uids: &[IdMapping], gids: &[IdMapping], at: &At) -> Checked {
    if uids.is_empty() != gids.is_empty() {
        let missing = if uids.is_empty() { "uidMappings" } else { "gidMappings" };
        return at.key(missing).no("is missing: users and groups are mapped together");
    }
    ranges_fit(uids, &at.key("uidMappings"))?;
    ranges_fit(gids, &at.key("gidMappings"))
}

fn ranges_fit(mappings: &[IdMapping], at: &At) -> Checked {
    if mappings.len() > MOST_MAPPINGS {
        return at.no(format!("has {} entries: the kernel takes at most {MOST_MAPPINGS}", mappings.len()));
    }
    for (i, m) in mappings.iter().enumerate() {
        let place = at.index(i);
        if m.size == 0 {
            return place.key("size").no("is 0: nothing would be mapped");
        }
        for (side, first) in [("containerID", m.container_id), ("hostID", m.host_id)] {
            if first.checked_add(m.size - 1).is_none() {
                return place.key(side).no(format!("{first} and {} more go beyond the last id", m.size - 1));
            }
        }
        let overlap = |a: u32, b: u32, len: u32| a < b.saturating_add(len) && b < a.saturating_add(m.size);
        let meets =
            |o: &IdMapping| overlap(m.container_id, o.container_id, o.size) || overlap(m.host_id, o.host_id, o.size);
        if let Some(j) = mappings[..i].iter().position(meets) {
            return place.no(format!("overlaps {}", at.index(j).pointer()));
        }
    }
    Ok(())
}

/// In a new user namespace the process can only have ids that are mapped.
pub fn ids_are_mapped(user: &User, uids: &[IdMapping], gids: &[IdMapping], at: &At) -> Checked {
    let mapped = |mappings: &[IdMapping], name: &str, id: u32, at: At| match mappings
        .iter()
        .any(|m| id >= m.container_id && id - m.container_id < m.size)
    {
        true => Ok(()),
        false => at.no(format!("{id} is not mapped by /linux/{name}Mappings")),
    };
    mapped(uids, "uid", user.uid, at.key("uid"))?;
    mapped(gids, "gid", user.gid, at.key("gid"))?;
    let others = at.key("additionalGids");
    let mut numbered = user.additional_gids.iter().enumerate();
    numbered.try_for_each(|(i, gid)| mapped(gids, "gid", *gid, others.index(i)))
}
