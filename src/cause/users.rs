//! Ids of users and groups, inside and outside of a user namespace (user_namespaces(7)); the host's files that lend ids to users
//! (subuid(5)). May touch: system calls.

use super::path;
use super::scene::Found;
use crate::host::procfs;
use crate::spec::IdMapping;
use serde::Serialize;

/// A line of an id map: so many ids from `inside` on are those from `outside` on.
#[derive(Serialize, Clone, Copy, PartialEq, Eq, Debug)]
pub struct Range {
    pub inside: u32,
    pub outside: u32,
    pub count: u32,
}

impl Range {
    pub fn of(mapping: &IdMapping) -> Range {
        Range { inside: mapping.container_id, outside: mapping.host_id, count: mapping.size }
    }
}

/// The lines of /proc/PID/uid_map or gid_map.
pub fn ranges(text: &str) -> Vec<Range> {
    let line = |line: &str| {
        let mut numbers = line.split_ascii_whitespace().map(|number| number.parse().ok());
        let [inside, outside, count] = [numbers.next()??, numbers.next()??, numbers.next()??];
        Some(Range { inside, outside, count })
    };
    text.lines().filter_map(line).collect()
}

/// The map of a process: `uid_map` or `gid_map`. `None`: it cannot be read, or is not written yet.
pub fn map_of(pid: i32, name: &str) -> Option<Vec<Range>> {
    let map = ranges(&of_process(pid, name)?);
    if map.is_empty() { None } else { Some(map) }
}

/// What a file of a process says: `pid` 0 is this one.
pub fn of_process(pid: i32, name: &str) -> Option<String> {
    path::text(procfs::open().ok()?.at(), &place(pid, name))
}

/// What a link of a process says, such as `user:[4026531837]`: `pid` 0 is this one.
pub fn link(pid: i32, name: &str) -> Option<String> {
    path::link(procfs::open().ok()?.at(), &place(pid, name))
}

/// Whether /proc shows another pid namespace than this process's: then its numbers are those of other processes.
pub fn foreign_proc() -> Option<Found> {
    let own = format!("{}", syscalls::record::own_pid());
    let there = path::link(procfs::open().ok()?.at(), "self")?;
    (own != there).then(|| Found::new("foreign proc", &[&own, &there]))
}

fn place(pid: i32, name: &str) -> String {
    if pid == 0 { format!("self/{name}") } else { format!("{pid}/{name}") }
}

/// A setting of the kernel's: what stands in a file below /proc/sys.
pub fn sysctl(path: &str) -> Option<u64> {
    let procfs = procfs::open().ok()?;
    path::text(procfs.at(), &format!("sys/{path}"))?.trim().parse().ok()
}

/// An id inside, as it is outside. `None`: it is not mapped.
pub fn outside(map: &[Range], id: u32) -> Option<u32> {
    let range = map.iter().find(|range| id >= range.inside && id - range.inside < range.count)?;
    range.outside.checked_add(id - range.inside)
}

/// An id outside, as it is inside.
pub fn inside(map: &[Range], id: u32) -> Option<u32> {
    let range = map.iter().find(|range| id >= range.outside && id - range.outside < range.count)?;
    range.inside.checked_add(id - range.outside)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_mapped_inward_and_outward() {
        let map = ranges("         0       1000          1\n         1     100000      65536\n");
        assert_eq!(map.len(), 2);
        assert_eq!((inside(&map, 1000), inside(&map, 100_010), inside(&map, 0)), (Some(0), Some(11), None));
        assert_eq!((outside(&map, 0), outside(&map, 11), outside(&map, 65537)), (Some(1000), Some(100_010), None));
        let last = [Range { inside: 0, outside: u32::MAX, count: 1 }];
        assert_eq!(inside(&last, u32::MAX), Some(0));
    }
}
