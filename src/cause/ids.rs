//! Why ids cannot be mapped or taken: ranges that the host does not lend (subuid(5)), ids without a mapping, groups that are denied
//! (user_namespaces(7)). May touch: plan types, system calls.

use super::path;
use super::program;
use super::rights::{self, Person};
use super::scene::{Found, Scene};
use super::users::{self, Range};
use crate::host::mountinfo::{self, Mount};
use crate::host::procfs::field;
use crate::outcome::Trouble;
use crate::plan::op::Users;
use crate::spec::{IdMapping, NamespaceKind, Spec, namespace};
use alloc::ffi::CString;
use syscalls::{At, Errno, Why};

const SETUID: u64 = 1 << 7;
const SETGID: u64 = 1 << 6;
const SETFCAP: u64 = 1 << 31;
/// The kernel takes a mapping in one write of less than a page.
const LONGEST: usize = 4096;
/// They map ids for an ordinary user, the first those of users (newuidmap(1)).
const HELPERS: [&str; 2] = ["/usr/bin/newuidmap", "/usr/bin/newgidmap"];

/// The lines that map ids, and those that take one.
pub fn of(scene: &Scene, op: &Users) -> Option<Found> {
    let spec = scene.spec?;
    match (op, scene.trouble) {
        (Users::MapIds { helpers: Some(_), .. }, Trouble::Hook(_)) => by_helpers(spec, scene.said),
        (Users::MapIds { helpers: Some(_), .. }, Trouble::Call(failed)) => {
            no_helper().or_else(|| HELPERS.iter().find_map(|path| program::of_host(path, Some(failed.errno))))
        }
        (Users::MapIds { helpers: None, .. }, Trouble::Call(failed)) => {
            users::foreign_proc().or_else(|| not_mapped(spec, failed.errno))
        }
        (Users::Ids { uid, gid } | Users::RootInside { uid, gid }, Trouble::Call(failed)) => {
            not_taken(scene, spec, [*uid, *gid], failed.errno)
        }
        (Users::Groups { gids, .. }, Trouble::Call(failed)) => no_groups(scene, gids, failed.errno),
        _ => None,
    }
}

/// Users and groups of a configuration: the pointer, the map of this process, the host's file, the mapping.
fn both<'s>(spec: &'s Spec) -> [(&'static str, &'static str, &'static str, &'s [IdMapping]); 2] {
    [
        ("/linux/uidMappings", "uid_map", "/etc/subuid", &spec.linux.uid_mappings),
        ("/linux/gidMappings", "gid_map", "/etc/subgid", &spec.linux.gid_mappings),
    ]
}

/// Why the mappings of a configuration would be refused, before anything is made. `None`: nothing is known against them.
pub fn planned(spec: &Spec, uid: u32) -> Option<Found> {
    if uid == 0 {
        let foreign = both(spec).into_iter().find_map(|(pointer, map, _, mappings)| {
            let ours = users::map_of(0, map)?;
            outside(pointer, &ours, mappings)
        });
        return foreign;
    }
    let own = Person::of(0).map_or([uid, uid], |person| [person.uid, person.gid]);
    let single = |mappings: &[IdMapping], own: u32| {
        mappings.len() <= 1 && mappings.iter().all(|m| m.size == 1 && m.host_id == own)
    };
    if both(spec).iter().zip(own).all(|((.., mappings), own)| single(mappings, own)) {
        return None;
    }
    no_helper().or_else(powerless).map(|found| found.at("/linux/uidMappings")).or_else(|| lent(spec))
}

/// Why the program's user or group cannot be taken where the container has no user namespace of its own.
pub fn unmapped(spec: &Spec) -> Option<Found> {
    let user = &spec.process.user;
    let own = namespace(&spec.linux, &NamespaceKind::User).is_none();
    let of = |name: &str, word: &str, key: &str, id: u32| {
        let map = users::map_of(0, name).filter(|map| own && users::outside(map, id).is_none());
        map.map(|_| Found::new("id not mapped", &[word, &format!("{id}"), ""]).at(format!("/process/user/{key}")))
    };
    of("uid_map", "user", "uid", user.uid).or_else(|| of("gid_map", "group", "gid", user.gid))
}

fn no_helper() -> Option<Found> {
    let missing = HELPERS.iter().find(|path| !path::exists_at(At::CWD, path))?;
    Some(Found::new("no mapping helpers", &[missing]))
}

/// Why a helper has no right to map ids.
fn powerless() -> Option<Found> {
    let status = users::of_process(0, "status").unwrap_or_default();
    if field(&status, "NoNewPrivs") == "1" {
        return Some(Found::new("helpers without rights", &[HELPERS[0]]));
    }
    HELPERS.iter().find_map(|path| powerless_file(path))
}

fn powerless_file(path: &str) -> Option<Found> {
    let why = Why("the mapping helpers need rights that their callers do not have");
    let (_, file, stat) = path::find(path::host()?.at(), path)?;
    let on = syscalls::fstatfs(file.at(), why).ok()?;
    if on.f_flags as u64 & libc::ST_NOSUID != 0 {
        let text = users::of_process(0, "mountinfo").unwrap_or_default();
        let mounts: Vec<Mount> = text.lines().filter_map(mountinfo::understand).collect();
        let mount = mountinfo::covering(&mounts, |mount| &mount.target, path);
        return Some(Found::new("helper on nosuid", &[path, mount.map_or("/usr/bin", |mount| &mount.target)]));
    }
    let setuid = stat.st_mode & libc::S_ISUID != 0 && stat.st_uid == 0;
    let name = CString::new(path).ok()?;
    let capable = || syscalls::getxattr(&name, c"security.capability", &mut [0; 24], why).is_ok();
    (!setuid && !capable()).then(|| Found::new("helper of no rights", &[path]))
}

/// newuidmap(1) or newgidmap(1) has refused. `said`: their words.
fn by_helpers(spec: &Spec, said: &str) -> Option<Found> {
    if let Some(found) = users::foreign_proc().or_else(|| lent(spec)) {
        return Some(found);
    }
    if let Some(found) = powerless() {
        return Some(found);
    }
    let nameless = said.contains("Cannot determine your user name");
    let uid = Person::of(0).filter(|_| nameless).map(|person| format!("{}", person.uid));
    let named = uid.map(|uid| Found::new("helper without a name", &[&uid]));
    named.or_else(|| (!said.is_empty()).then(|| Found::new("mapping helpers", &[said])))
}

/// The first range of a configuration that the host's files do not lend to the caller. One's own id needs no line.
pub fn lent(spec: &Spec) -> Option<Found> {
    let person = Person::of(0)?;
    let user = user_name(person.uid);
    for ((pointer, _, file, mappings), own) in both(spec).into_iter().zip([person.uid, person.gid]) {
        let text = path::text(At::CWD, file).unwrap_or_default();
        let ranges = lines_of(&text, &user, person.uid);
        for (i, mapping) in mappings.iter().enumerate() {
            let is_own = mapping.size == 1 && mapping.host_id == own;
            let (first, size) = (u64::from(mapping.host_id), u64::from(mapping.size));
            let inside = |(start, count): &(u64, u64)| first >= *start && first + size <= start + count;
            if !is_own && !ranges.iter().any(inside) {
                if first == 0 {
                    let word = if pointer.ends_with("uidMappings") { "user" } else { "group" };
                    let found = Found::new("root not lent", &[word, &user, &format!("{own}"), file]);
                    return Some(found.at(format!("{pointer}/{i}")));
                }
                let values = [format!("{first}"), format!("{}", first + size - 1), format!("{size}")];
                let [first, last, size] = values.each_ref().map(String::as_str);
                let found = Found::new("ids not lent", &[first, last, &user, file, size]);
                return Some(found.at(format!("{pointer}/{i}")));
            }
        }
    }
    None
}

/// The ranges that a file lends to a user, by name or by number (subuid(5)): the first id, and how many.
fn lines_of(text: &str, name: &str, uid: u32) -> Vec<(u64, u64)> {
    let uid = format!("{uid}");
    let line = |line: &str| {
        let mut fields = line.split(':');
        let of = fields.next()?;
        (of == name || of == uid).then_some(())?;
        Some((fields.next()?.trim().parse().ok()?, fields.next()?.trim().parse().ok()?))
    };
    text.lines().filter_map(line).collect()
}

/// The name of a user of the host; its number if it has none.
fn user_name(uid: u32) -> String {
    let passwd = path::text(At::CWD, "/etc/passwd").unwrap_or_default();
    let name = passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then_some(name)
    });
    name.map_or_else(|| format!("{uid}"), String::from)
}

/// The kernel refuses the mappings that the runtime has written.
fn not_mapped(spec: &Spec, errno: Errno) -> Option<Found> {
    let person = Person::of(0)?;
    match errno {
        Errno::EINVAL => both(spec).into_iter().find_map(|(pointer, _, _, mappings)| too_long(pointer, mappings)),
        Errno::EPERM => {
            let foreign = both(spec).into_iter().find_map(|(pointer, map, _, mappings)| {
                let ours = users::map_of(0, map)?;
                outside(pointer, &ours, mappings)
            });
            foreign.or_else(|| no_right(spec, &person))
        }
        Errno::EACCES if users::sysctl("kernel/apparmor_restrict_unprivileged_userns") == Some(1) => {
            Some(Found::new("user namespaces by AppArmor", &[]))
        }
        _ => None,
    }
}

fn too_long(pointer: &'static str, mappings: &[IdMapping]) -> Option<Found> {
    let len: usize = mappings.iter().map(|m| format!("{} {} {}\n", m.container_id, m.host_id, m.size).len()).sum();
    (len >= LONGEST).then(|| Found::new("mapping too long", &[&format!("{len}")]).at(pointer))
}

/// A range that is not part of the caller's own user namespace: it must lie in one line of the caller's map.
pub fn outside(pointer: &'static str, ours: &[Range], mappings: &[IdMapping]) -> Option<Found> {
    let whole = |m: &IdMapping| {
        let (first, size) = (m.host_id, u64::from(m.size));
        ours.iter().any(|r| first >= r.inside && u64::from(first - r.inside) + size <= u64::from(r.count))
    };
    let at = mappings.iter().position(|mapping| !whole(mapping))?;
    let IdMapping { host_id, size, .. } = mappings[at];
    let values = [format!("{host_id}"), format!("{}", u64::from(host_id) + u64::from(size) - 1)];
    Some(Found::new("ids of no user here", &values.each_ref().map(String::as_str)).at(format!("{pointer}/{at}")))
}

/// The caller may not map other ids than its own.
fn no_right(spec: &Spec, person: &Person) -> Option<Found> {
    for ((pointer, _, _, mappings), (own, right, name)) in
        both(spec).into_iter().zip([(person.uid, SETUID, "CAP_SETUID"), (person.gid, SETGID, "CAP_SETGID")])
    {
        let only_own = mappings.len() == 1 && mappings[0].size == 1 && mappings[0].host_id == own;
        if !only_own && !person.has(right) {
            return rights::lacking(0, "mapping other ids than its own", name).map(|found| found.at(pointer));
        }
        let zero = mappings.iter().position(|m| m.host_id == 0);
        if let Some(at) = zero.filter(|_| own != 0 && !person.has(SETFCAP)) {
            let found = rights::lacking(0, "mapping the host's id 0", "CAP_SETFCAP");
            return found.map(|found| found.at(format!("{pointer}/{at}")));
        }
    }
    None
}

/// The kernel refuses an id that the process is to take.
fn not_taken(scene: &Scene, spec: &Spec, ids: [u32; 2], errno: Errno) -> Option<Found> {
    if errno != Errno::EINVAL {
        return None;
    }
    let file = namespace(&spec.linux, &NamespaceKind::User).and_then(|one| one.joined()).unwrap_or("");
    for ((map, id), (word, key)) in ["uid_map", "gid_map"].into_iter().zip(ids).zip([("user", "uid"), ("group", "gid")])
    {
        let map = users::map_of(scene.pid, map)?;
        // The map as this process sees it: the inside numbers are the container's own.
        if users::outside(&map, id).is_none() {
            let file = if file.is_empty() { String::new() } else { format!(" {file}") };
            let found = Found::new("id not mapped", &[word, &format!("{id}"), &file]);
            return Some(found.at(format!("/process/user/{key}")));
        }
    }
    None
}

/// The kernel refuses the groups.
fn no_groups(scene: &Scene, gids: &[u32], errno: Errno) -> Option<Found> {
    match errno {
        Errno::EINVAL => {
            let map = users::map_of(scene.pid, "gid_map")?;
            let at = gids.iter().position(|gid| users::outside(&map, *gid).is_none())?;
            let found = Found::new("id not mapped", &["group", &format!("{}", gids[at]), ""]);
            Some(found.at(format!("/process/user/additionalGids/{at}")))
        }
        Errno::EPERM => {
            let word = users::of_process(scene.pid, "setgroups")?;
            let found = || Found::new("groups denied", &[]).at("/process/user/additionalGids");
            (word.trim() == "deny").then(found)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_lend_by_name_or_number() {
        let text = "a:1:2\nuser:100000:65536\nbroken:x:y\n1000:5:6\nuser:\n";
        assert_eq!(lines_of(text, "user", 1000), [(100_000, 65_536), (5, 6)]);
        assert_eq!(lines_of(text, "broken", 7), []);
    }

    #[test]
    fn a_range_lies_in_one_line_of_the_outer_map() {
        let ours = [Range { inside: 0, outside: 1000, count: 1 }, Range { inside: 1, outside: 100_000, count: 10 }];
        let of = |host_id, size| outside("/x", &ours, &[IdMapping { container_id: 0, host_id, size }]).is_some();
        assert_eq!([of(0, 1), of(1, 10), of(0, 2), of(1, 11), of(50, 1)], [false, false, true, true, true]);
    }
}
