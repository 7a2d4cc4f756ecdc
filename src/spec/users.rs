//! `process.user`, and the mappings of ids (config.md, "User"; config-linux.md, "User namespace mappings").
//! May touch: serde.

use super::rules::{fits, id};
use super::schema::{At, Checked, schema};
use super::types::Ignored;

schema! {
    User {
        "uid" uid: u32 => id;
        "gid" gid: u32 => id;
        "umask" umask: Option<u32> => fits(|mask: &u32| *mask <= 0o777, "must be at most 511 (octal 777)");
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
    let len = mappings.len();
    at.refuse(len > MOST_MAPPINGS, || format!("has {len} entries: the kernel takes at most {MOST_MAPPINGS}"))?;
    for (i, m) in mappings.iter().enumerate() {
        let place = at.index(i);
        place.key("size").refuse(m.size == 0, || "is 0: nothing would be mapped")?;
        let more = m.size - 1;
        for (side, first) in [("containerID", m.container_id), ("hostID", m.host_id)] {
            let over = first.checked_add(more).is_none();
            place.key(side).refuse(over, || format!("{first} and {more} more go beyond the last id"))?;
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
    let mapped = |mappings: &[IdMapping], name: &str, id: u32, at: At| {
        let known = mappings.iter().any(|m| id >= m.container_id && id - m.container_id < m.size);
        at.refuse(!known, || format!("{id} is not mapped by /linux/{name}Mappings"))
    };
    mapped(uids, "uid", user.uid, at.key("uid"))?;
    mapped(gids, "gid", user.gid, at.key("gid"))?;
    let others = at.key("additionalGids");
    let mut numbered = user.additional_gids.iter().enumerate();
    numbered.try_for_each(|(i, gid)| mapped(gids, "gid", *gid, others.index(i)))
}
