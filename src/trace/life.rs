//! The records of a trace in the order in which a person reads them. The lanes run at the same time, and chance mixes their
//! calls. Here each lane goes on until it waits for another one: for a message, for a process to begin or to become another
//! program. May touch: the recorder.

use super::names::{Named, Names};
use super::piece::{Next, Piece, each};
use crate::host::patience::GOES_ON;
use crate::outcome::{Lane, OF_MACHINE};
use crate::plan::show::lane_name;
use crate::plan::{self, Step};
use alloc::collections::{BTreeMap, BTreeSet};
use syscalls::record::{RETURNED, Record};
use syscalls::{Call, Errno};

/// A record, and what the records before it tell about it.
pub struct Entry<'a> {
    pub piece: &'a Piece<'a>,
    pub r: Record<'a>,
    pub pid: i32,
    pub named: Named,
    /// The name of the stage of its line; empty: it belongs to no line.
    pub stage: String,
    /// Its refusal ended the command.
    pub ended: bool,
    /// So many calls before it, and after it, have no record.
    pub missing: [u32; 2],
}

impl Entry<'_> {
    /// Whether a word of the tables fits: a lane, a step, `@STAGE`, a source file or the beginning of its path, `0` for what belongs
    /// to no line of the plan, `=CALL`, `!CALL` for another call.
    pub fn is_at(&self, word: &str) -> bool {
        let r = &self.r;
        let (sign, rest) = word.split_at(word.len().min(1));
        match sign {
            "@" => self.stage == rest,
            "=" => r.call.name() == rest,
            "!" => r.call.name() != rest,
            "0" => r.line == 0,
            _ if word.contains(['/', '.']) => r.source().file.starts_with(word),
            _ => [lane_name(r.lane), self.step()].contains(&word),
        }
    }

    /// Whether it belongs to whatever was done before: it closes a descriptor that went out of use, or tells what was done.
    pub fn is_aside(&self) -> bool {
        let file = self.r.source().file;
        if self.is_programs() {
            return false;
        }
        let told = match self.r.call.name() {
            "exit_group" => file == "main.rs",
            "ppoll" => self.r.why() == GOES_ON.0,
            "write" if file == "perform/files.rs" => (1..=2).contains(&self.r.args[0]),
            _ => file.starts_with("say/"),
        };
        told || self.r.line == 0 && file.starts_with("syscalls/")
    }

    /// Whether it is no call: a signal that a process of the program got, or how it ended.
    pub fn is_event(&self) -> bool {
        self.r.call == Call::EVENT
    }

    /// Whether the container's program made the call.
    pub fn is_programs(&self) -> bool {
        self.r.lane & !OF_MACHINE == Lane::Program as u8
    }

    /// Whether it was made in a machine of its own.
    pub fn is_machines(&self) -> bool {
        self.r.lane & OF_MACHINE != 0
    }

    pub fn step(&self) -> &'static str {
        Step::of(self.r.step).text().0
    }

    /// Why the kernel refused the call, if it did.
    pub fn refused(&self) -> Option<Errno> {
        Errno::of(self.r.ret).filter(|_| self.r.state == RETURNED)
    }

    /// Whether it is a futex call of this kind: FUTEX_WAIT, FUTEX_WAKE.
    fn is_futex(&self, op: i32) -> bool {
        self.r.call.name() == "futex" && self.r.args[1] == op as u64
    }

    /// Whether it waits for a word of memory.
    pub fn waits_for_word(&self) -> bool {
        self.is_futex(libc::FUTEX_WAIT)
    }

    /// When the call returned; when it was made, if it has not returned.
    pub fn returned(&self) -> u64 {
        self.r.start_ns.saturating_add(self.r.duration_ns)
    }
}

/// How many calls were made, those without a record too.
pub fn made(all: &[Entry]) -> usize {
    all.iter().map(|entry| usize::from(!entry.is_event()) + entry.missing.iter().sum::<u32>() as usize).sum()
}

/// The records of a trace, one after the other, as entries.
#[derive(Default)]
pub struct Reader {
    names: Names,
    missing: u32,
}

impl Reader {
    /// An entry of a record. `root`: the rootfs gets the name `rootfs`, and what lies below it the paths of the container.
    pub fn entry<'a>(&mut self, piece: &'a Piece<'a>, r: Record<'a>, root: bool) -> Entry<'a> {
        let pid = piece.pid(&r);
        let stage = plan::stage(r.lane, r.stage).map_or(String::new(), |(name, _)| name);
        let opens_root = root && r.call.name() == "open_tree" && ["rootfs", "rootfs-source"].contains(&stage.as_str());
        let named = self.names.follow(pid, &r, opens_root);
        let ended = piece.ended_by() == Some(r.at);
        Entry { piece, r, pid, named, stage, ended, missing: [core::mem::take(&mut self.missing), 0] }
    }
}

/// All records in the order of their calls.
pub fn entries<'a>(pieces: &'a [Piece<'a>], root: bool) -> Vec<Entry<'a>> {
    let mut reader = Reader::default();
    let mut all: Vec<Entry> = Vec::new();
    each(pieces, |next| match next {
        Next::Missing(calls) => reader.missing += calls,
        Next::Record(piece, r) => all.push(reader.entry(piece, r, root)),
    });
    if let Some(entry) = all.last_mut() {
        entry.missing[1] = reader.missing;
    }
    all
}

/// Puts records into the order of reading.
pub fn read_in_order(all: Vec<Entry>) -> Vec<Entry> {
    let waits = waits(&all);
    let mut lanes: BTreeMap<i32, Vec<usize>> = BTreeMap::new();
    for (i, entry) in all.iter().enumerate() {
        lanes.entry(entry.pid).or_default().push(i);
    }
    // Where each lane stands.
    let mut next: BTreeMap<i32, usize> = lanes.keys().map(|pid| (*pid, 0)).collect();
    let mut shown = vec![false; all.len()];
    let mut order = Vec::with_capacity(all.len());
    let mut born = None;
    let mut now = all.first().map_or(0, |first| first.pid);
    while order.len() < all.len() {
        let ahead = |pid: i32| lanes.get(&pid)?.get(*next.get(&pid)?).copied();
        let mut at = match ahead(now) {
            Some(at) => at,
            // The lane has ended. The next one is that which could go on first.
            None => {
                let could = |at: &usize| waits[*at].map_or(all[*at].r.start_ns, |other| all[other].r.start_ns);
                let Some(first) = lanes.keys().filter_map(|pid| ahead(*pid)).min_by_key(could) else { break };
                first
            }
        };
        // In a damaged trace lanes could wait for each other: then the oldest record goes first.
        for _ in 0..lanes.len() {
            match waits[at].filter(|other| !shown[*other]).and_then(|other| ahead(all[other].pid)) {
                Some(other) => at = other,
                None => break,
            }
        }
        now = all[at].pid;
        *next.entry(now).or_default() += 1;
        shown[at] = true;
        order.push(at);
        // What a clone has made is told before its maker goes on with another line.
        let child = all[at].r.ret as i32;
        if all[at].r.call.name() == "clone3" && next.get(&child) == Some(&0) {
            born = Some(child);
        }
        let ahead = lanes.get(&now).zip(next.get(&now)).and_then(|(lane, at)| lane.get(*at));
        if ahead.is_none_or(|ahead| all[*ahead].r.line != all[at].r.line) {
            now = born.take().unwrap_or(now);
        }
    }
    let mut all: Vec<Option<Entry>> = all.into_iter().map(Some).collect();
    order.into_iter().filter_map(|at| all[at].take()).collect()
}

/// For each record the one of another process that it waited for: that which has made its process, or which has said what it heard.
pub fn heard(all: &[Entry]) -> Vec<Option<usize>> {
    // The first record of each process, and who made it.
    let mut made: BTreeMap<i32, usize> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    let mut heard = vec![None; all.len()];
    for (i, entry) in all.iter().enumerate() {
        let begins = seen.insert(entry.pid);
        heard[i] = match entry.r.call.name() {
            _ if begins => made.get(&entry.pid).copied(),
            "read" | "recvmsg" | "ppoll" if entry.named.wire > 0 => spoken(all, i),
            _ if entry.waits_for_word() => spoken(all, i),
            _ => None,
        };
        if entry.r.call.name() == "clone3" && entry.r.ret > 0 {
            made.insert(entry.r.ret as i32, i);
        }
    }
    heard
}

/// For each record the one of another process without which its call could not have ended, in the order of reading.
fn waits(all: &[Entry]) -> Vec<Option<usize>> {
    let mut waits = heard(all);
    // Init says that it waits before the host goes on. So the line of its wait stands there, and the lines after it come later.
    let mut heard: BTreeMap<i32, (u16, Option<usize>)> = BTreeMap::new();
    for (i, entry) in all.iter().enumerate().filter(|(_, entry)| entry.r.lane & !OF_MACHINE != Lane::Host as u8) {
        let is_wait = entry.r.call.name() == "read" || entry.waits_for_word();
        let goes_on = !is_wait && heard.get(&entry.pid).is_some_and(|(line, _)| *line == entry.r.line);
        let before = if goes_on { None } else { heard.remove(&entry.pid).and_then(|(_, other)| other) };
        if is_wait {
            heard.insert(entry.pid, (entry.r.line, waits[i].take()));
        }
        waits[i] = waits[i].max(before);
    }
    // A wait that went on in turns ends with the last of them.
    let mut later: BTreeMap<i32, (u16, Option<usize>)> = BTreeMap::new();
    let is_turn = |entry: &Entry| entry.r.call.name() == "ppoll" || entry.waits_for_word();
    for (i, entry) in all.iter().enumerate().rev().filter(|(_, entry)| is_turn(entry)) {
        let over = entry.r.ret == 0 && !entry.waits_for_word() || entry.refused() == Some(Errno::ETIMEDOUT);
        let turn = later.get(&entry.pid).filter(|(line, _)| over && *line == entry.r.line);
        waits[i] = turn.map_or(waits[i], |(_, other)| *other);
        later.insert(entry.pid, (entry.r.line, waits[i]));
    }
    waits
}

/// The newest record, made before call `at` ended, by which another process has spoken through the same wire or by the same
/// word; or by which it has become another program, since that closes its end, and clears its word.
fn spoken(all: &[Entry], at: usize) -> Option<usize> {
    let waiting = &all[at];
    let word = waiting.waits_for_word();
    let is_host = waiting.r.lane & !OF_MACHINE == Lane::Host as u8;
    let speaks = |other: &Entry| match other.r.call.name() {
        "write" | "sendmsg" => !word && other.named.wire == waiting.named.wire,
        "futex" => word && other.is_futex(libc::FUTEX_WAKE) && other.r.args[0] == waiting.r.args[0],
        "execve" | "exit_group" => waiting.r.call.name() == "ppoll" || word && is_host,
        _ => false,
    };
    // Records are in the order of their begin.
    let end = if waiting.r.state == RETURNED { waiting.returned() } else { u64::MAX };
    let before = all.partition_point(|other| other.r.start_ns < end);
    let mut others = all[..before].iter().enumerate().rev();
    others.find(|(_, other)| other.pid != waiting.pid && speaks(other)).map(|(i, _)| i)
}
