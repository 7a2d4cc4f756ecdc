//! The records that come out of a machine. Its clock is not the host's, and its lanes are not the host's: here both become what the
//! host's views show. May touch: everything below.

use crate::frames::{Damage, Hello, VERSION};
use crate::state::{recorder, traces};

/// Where this program keeps its state in the machine, and there the records of containers that are gone.
pub const ROOT: &str = "/run/nano-sandbox";
pub const KEPT: &str = "/run/nano-sandbox/.traces";

/// How the machine's clock stands to the host's.
#[derive(Default)]
pub struct Clocks {
    /// How often the machine has answered.
    pub answers: u32,
    /// The shortest time that an answer took, and how far the machine's clock was ahead then, in nanoseconds.
    best: Option<(u64, i64)>,
}

impl Clocks {
    /// The answer to a HELLO that was sent at `asked`.
    pub fn answered(&mut self, hello: Hello, asked: u64, now: u64) -> Result<(), Damage> {
        if hello.version != VERSION || asked > now {
            return Err(Damage::Payload(101));
        }
        self.answers = self.answers.saturating_add(1);
        let took = now - asked;
        let middle = asked + took / 2;
        if self.best.is_none_or(|(best, _)| took < best) {
            self.best = Some((took, hello.clock.wrapping_sub(middle) as i64));
        }
        Ok(())
    }

    /// By how much the machine's clock is ahead.
    pub fn ahead(&self) -> i64 {
        self.best.map_or(0, |(_, ahead)| ahead)
    }

    /// The machine's clock.
    pub fn machines(&self, now: u64) -> u64 {
        now.wrapping_add(self.ahead() as u64)
    }
}

/// The files with the records of a container that is there.
pub fn living(id: &str) -> Vec<String> {
    [traces::TRACE, traces::FAILED, traces::OLD, traces::LATER]
        .iter()
        .map(|name| format!("{ROOT}/{id}/{}", name.to_string_lossy()))
        .collect()
}

/// The same for the last one of that id that is gone. `listing`: the names of `KEPT`.
pub fn kept(listing: &[u8], id: &str) -> Vec<String> {
    let names = listing.split(|byte| *byte == 0).filter_map(|name| core::str::from_utf8(name).ok());
    let stem = |name: &str| name.split('~').next().map(String::from);
    let all: Vec<&str> = names.filter(|name| !name.contains('/') && !name.ends_with("~config")).collect();
    let ours = |name: &&&str| stem(name).is_some_and(|stem| stem.split_once('-').is_some_and(|(_, of)| of == id));
    let newest = all.iter().filter(ours).filter_map(|name| stem(name)).max();
    let newest = all.iter().filter(|name| newest.is_some() && stem(name) == newest);
    newest.take(8).map(|name| format!("{KEPT}/{name}")).collect()
}

/// A file of records has room after those that are there, which is empty: whether a part of that room has come.
pub fn is_enough(bytes: &[u8]) -> bool {
    const SOME: usize = 4096;
    let rest = recorder::used(bytes).and_then(|used| bytes.get(used..));
    rest.is_some_and(|rest| rest.len() >= SOME && rest.iter().all(|byte| *byte == 0))
}

/// The records as those of the host, but for their lanes, which say that they are the machine's.
pub fn as_the_hosts(mut bytes: Vec<u8>, ahead: i64) -> Vec<u8> {
    recorder::of_machine(&mut bytes, ahead);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quickest_answer_tells_how_the_clocks_stand() {
        let mut clocks = Clocks::default();
        let hello = |clock| Hello { version: VERSION, clock };
        assert_eq!(clocks.answered(hello(5_000), 1_000_000, 9_000_000), Ok(()));
        assert_eq!(clocks.answered(hello(6_000), 9_000_000, 9_000_200), Ok(()));
        assert_eq!(clocks.answered(hello(9_000), 9_100_000, 9_200_000), Ok(()));
        assert_eq!(clocks.ahead(), 6_000 - 9_000_100);
        assert_eq!(clocks.machines(9_000_100), 6_000);
        // A time that has not come, and another version.
        assert!(clocks.answered(hello(1), 2, 1).is_err());
        assert!(clocks.answered(Hello { version: 2, clock: 1 }, 1, 2).is_err());
    }

    #[test]
    fn the_newest_trace_of_the_container_is_found() {
        let names = [
            "0000000000000002-a",
            "0000000000000002-a~2",
            "0000000000000002-a~config",
            "0000000000000001-a",
            "0000000000000003-b",
            "../../0000000000000004-a",
        ];
        let listing = &names.join("\0").into_bytes();
        let found = kept(listing, "a");
        assert_eq!(found, [format!("{KEPT}/0000000000000002-a"), format!("{KEPT}/0000000000000002-a~2")]);
        assert!(kept(b"", "a").is_empty());
        let dashes = kept(b"0000000000000002-a-b\0", "a-b");
        assert_eq!(dashes, [format!("{KEPT}/0000000000000002-a-b")]);
    }
}
