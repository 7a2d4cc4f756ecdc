//! Which process of strace's listing is which of the trace: by its number, or by the clone that has made it. May touch: the views
//! of traces.

use crate::listing::{Call, Listing};
use crate::outcome::Lane;
use crate::trace::Entry;

const HOST: u8 = Lane::Host as u8;

/// One process for both sides.
pub struct Pair {
    pub theirs: Option<i32>,
    pub ours: Option<i32>,
    pub lane: u8,
    /// It is the first process of its command.
    pub is_first: bool,
}

/// All processes of both sides.
pub fn pairs(listing: &Listing, own: &[&Entry]) -> Vec<Pair> {
    let (theirs, mut ours) = (listing.pids(), Vec::new());
    for entry in own {
        if !ours.contains(&entry.pid) {
            ours.push(entry.pid);
        }
    }
    let mut both: Vec<(i32, i32)> = theirs.iter().filter(|pid| ours.contains(pid)).map(|pid| (*pid, *pid)).collect();
    if let ([first, ..], [own, ..], true) = (theirs.as_slice(), ours.as_slice(), both.is_empty()) {
        both.push((*first, *own));
    }
    // A child has the number that its maker knows: in a pid namespace, or in another run, it is another for each side.
    let mut next = 0;
    while let Some((parent, own_parent)) = both.get(next).copied() {
        next += 1;
        let made = listing.calls.iter().filter(|call| call.pid == parent).filter_map(Call::makes);
        let own_made = own.iter().filter(|entry| entry.pid == own_parent).filter_map(|entry| child(entry));
        for (child, own_child) in made.zip(own_made) {
            let free = |pid: &i32| !both.iter().any(|(other, _)| other == pid);
            if both.iter().any(|(_, other)| *other == own_child) || !ours.contains(&own_child) {
                continue;
            }
            let known = Some(child).filter(|pid| theirs.contains(pid));
            if let Some(pid) = known.or_else(|| theirs.iter().copied().find(free)).filter(free) {
                both.push((pid, own_child));
            }
        }
    }
    let lane = |pid: i32| own.iter().find(|entry| entry.pid == pid).map_or(HOST, |entry| entry.r.lane);
    let pair = |(theirs, ours): &(i32, i32)| Pair {
        theirs: Some(*theirs),
        ours: Some(*ours),
        lane: lane(*ours),
        is_first: lane(*ours) == HOST,
    };
    let mut all: Vec<Pair> = both.iter().map(pair).collect();
    let single = |theirs: Option<i32>, ours: Option<i32>, lane: u8| Pair { theirs, ours, lane, is_first: false };
    let programs = programs(listing, own, &both);
    for pid in theirs.iter().filter(|pid| !both.iter().any(|(other, _)| other == *pid)) {
        all.push(single(Some(*pid), None, if programs.contains(pid) { Lane::Program as u8 } else { HOST }));
    }
    for pid in ours.iter().filter(|pid| !both.iter().any(|(_, other)| other == *pid)) {
        all.push(single(None, Some(*pid), lane(*pid)));
    }
    all
}

fn child(entry: &Entry) -> Option<i32> {
    (entry.r.name().starts_with("clone") && entry.r.ret > 0).then_some(entry.r.ret as i32)
}

/// The processes that begin after a process of ours has executed a program: that program has made them.
fn programs(listing: &Listing, own: &[&Entry], both: &[(i32, i32)]) -> Vec<i32> {
    let executes = |entry: &&Entry| entry.r.name().starts_with("execve") && entry.r.ret == 0;
    let become_another: Vec<i32> = both
        .iter()
        .filter(|(_, ours)| own.iter().rfind(|entry| entry.pid == *ours).is_some_and(executes))
        .map(|(theirs, _)| *theirs)
        .collect();
    let mut running = false;
    let mut seen: Vec<i32> = both.iter().map(|(theirs, _)| *theirs).collect();
    let mut all = Vec::new();
    for call in &listing.calls {
        if !seen.contains(&call.pid) {
            seen.push(call.pid);
            if running {
                all.push(call.pid);
            }
        }
        running |= call.name.starts_with("execve") && become_another.contains(&call.pid);
    }
    all
}
