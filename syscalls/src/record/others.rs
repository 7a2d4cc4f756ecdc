//! Records that a machine of another architecture has made, as this one's: there calls have other numbers, open(2) has other
//! flags, and the members of stat(2) lie elsewhere.

use super::{Entry, Head, MAGIC, entry_size, room};
use crate::arch::COLUMN;
use crate::arg::{Kind, NAMED};
use crate::call::Call;
use crate::flags::{Named, OpenFlags};
use core::mem::offset_of;

/// The byte of [`MAGIC`] that names the architecture.
const PLACE: usize = 2;
/// aarch64 in the table of calls: its flags are those of 32-bit ARM (asm/fcntl.h).
const ARM: [usize; 2] = [3, 4];

/// The column of the architecture that has made these records, if they are such.
pub fn made_by(bytes: &[u8]) -> Option<usize> {
    let mut word: [u8; 8] = bytes.first_chunk().copied()?;
    let column = word[PLACE];
    word[PLACE] = COLUMN as u8;
    (word == MAGIC.to_ne_bytes()).then_some(column.into())
}

/// Makes the records of one file this architecture's own.
pub fn as_own(bytes: &mut [u8]) {
    let Some(column) = made_by(bytes).filter(|column| *column != COLUMN) else {
        return;
    };
    let mut at = size_of::<Head>();
    while at < bytes.len() {
        let size = entry_size(bytes, at);
        if let Some(entry) = size.and_then(|size| bytes.get_mut(at..at + size)) {
            call(entry, column);
            arguments(entry, column);
        }
        at += size.unwrap_or(8);
    }
    // A file has the records of several commands, each with a head of its own.
    for at in 0..bytes.len().saturating_sub(7) {
        if made_by(&bytes[at..]) == Some(column) {
            bytes[at + PLACE] = COLUMN as u8;
        }
    }
}

fn call(entry: &mut [u8], column: usize) {
    const AT: usize = offset_of!(Entry, call);
    let Some(place) = entry.get_mut(AT..AT + 2) else { return };
    let number = u16::from_ne_bytes([place[0], place[1]]);
    if let Some(own) = Call::of_column(column, number) {
        place.copy_from_slice(&own.0.to_ne_bytes());
    }
}

fn arguments(entry: &mut [u8], column: usize) {
    const KINDS: usize = offset_of!(Entry, kinds);
    let Some(kinds) = entry.get(KINDS..).and_then(<[u8]>::first_chunk::<6>).copied() else { return };
    let argc = usize::from(entry[offset_of!(Entry, argc)]);
    for i in (0..argc).filter(|i| kinds[*i] == const { NAMED + OpenFlags::PLACE }) {
        let at = size_of::<Entry>() + 8 * i;
        put(entry, at, open_flags(number(entry, at), column));
    }
    let mut at = size_of::<Entry>() + 8 * argc;
    while let Some([tag, flags, a, b]) = entry.get(at..).and_then(<[u8]>::first_chunk::<4>).copied() {
        let len = usize::from(u16::from_ne_bytes([a, b]));
        let kind = kinds.get(usize::from(tag & 7)).and_then(|kind| Kind::of(*kind));
        match (kind, tag < super::WHY) {
            (Some(Kind::OpenHow), true) if len >= 8 => {
                put(entry, at + 4, open_flags(number(entry, at + 4), column));
            }
            (Some(Kind::Stat), true) if len >= 128 && COLUMN == 0 => stat(entry, at + 4),
            _ => {}
        }
        at += 4 + room(flags, len);
    }
}

/// Two pairs of bits have changed places: O_DIRECTORY and O_NOFOLLOW, O_DIRECT and O_LARGEFILE.
fn open_flags(flags: u64, column: usize) -> u64 {
    const PAIR: u64 = 0o140000;
    match ARM.contains(&column) == ARM.contains(&COLUMN) {
        true => flags,
        false => flags & !(PAIR | PAIR << 2) | (flags & PAIR) << 2 | flags >> 2 & PAIR,
    }
}

/// The members that all architectures but x86-64 have in one order (asm-generic/stat.h), as x86-64 has them.
fn stat(entry: &mut [u8], at: usize) {
    let [kind, owner, device] = [16, 24, 32].map(|place| number(entry, at + place));
    let (mode, links, group) = (kind & 0xffff_ffff, kind >> 32, owner >> 32);
    put(entry, at + 16, links);
    put(entry, at + 24, mode | owner << 32);
    put(entry, at + 32, group);
    put(entry, at + 40, device);
}

fn number(entry: &[u8], at: usize) -> u64 {
    entry.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |word| u64::from_ne_bytes(*word))
}

fn put(entry: &mut [u8], at: usize, number: u64) {
    if let Some(place) = entry.get_mut(at..at + 8) {
        place.copy_from_slice(&number.to_ne_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_change_places_and_come_back() {
        let own = (libc::O_DIRECTORY | libc::O_NOFOLLOW | libc::O_CLOEXEC) as u64;
        for column in [0, 3, 5] {
            assert_eq!(open_flags(open_flags(own, column), column), own);
        }
        if COLUMN != 3 {
            // asm/fcntl.h of arm64: O_DIRECTORY is 040000, O_NOFOLLOW 0100000.
            assert_eq!(open_flags(0o140000, 3), (libc::O_DIRECTORY | libc::O_NOFOLLOW) as u64);
            assert_eq!(open_flags(0o600000, 3) & !0o140000, 0);
        }
    }

    #[test]
    fn who_made_records_is_told_by_their_first_number() {
        let mut magic = MAGIC.to_ne_bytes();
        assert_eq!(made_by(&magic), Some(COLUMN));
        magic[PLACE] = 77;
        assert_eq!(made_by(&magic), Some(77));
        magic[0] ^= 1;
        assert_eq!(made_by(&magic), None);
        assert_eq!(made_by(&magic[1..]), None);
    }
}
