//! The causes that were found, each once, as notes in the file of the program's calls. A record of a refused call refers to
//! its cause; the cause counts its calls. May touch: the recorder.

use super::refused::{By, Cause, Refusal};
use crate::outcome::Lane;
use crate::sorted;
use syscalls::Call;
use syscalls::record::{self, ASKED, Record, WHY};

/// So many causes are told apart.
const MOST: usize = 256;

/// The tags of a note's texts, beside those of all records.
const CURE: u8 = 0x30;
const OPENS: u8 = 0x31;
const BY: u8 = 0x32;
const CALL: u8 = 0x33;
const PROGRAM: u8 = 0x34;

#[derive(Default)]
pub struct Notes(Vec<Note>);

struct Note {
    hash: u64,
    place: u32,
    why: u32,
}

/// The call that is the first of a cause.
pub struct First<'a> {
    pub tid: i32,
    /// As the views of a trace show it.
    pub call: &'a str,
    pub program: &'a str,
}

impl Notes {
    /// Counts a call that was refused for this cause. Returns the place of the cause's text; 0: it has none.
    pub fn count(&mut self, cause: &Cause, first: First) -> u32 {
        let hash = hash(cause);
        if let Some(note) = self.0.iter().find(|note| note.hash == hash) {
            record::count_up(note.place);
            return note.why;
        }
        if self.0.len() == MOST {
            return 0;
        }
        let pointer = format!("\0{}", cause.pointer);
        let texts = [
            (WHY, cause.what.as_str()),
            (ASKED, &pointer),
            (CURE, &cause.cure),
            (OPENS, &cause.opens),
            (BY, &serde_json::to_string(&cause.by).unwrap_or_default()),
            (CALL, first.call),
            (PROGRAM, first.program),
        ];
        let Some((place, why)) = record::note(Call::CAUSE, Lane::Program as u8, first.tid, &texts) else {
            return 0;
        };
        record::count_up(place);
        self.0.push(Note { hash, place, why });
        why
    }
}

/// FNV-1a of all texts of a cause.
fn hash(cause: &Cause) -> u64 {
    let texts = [&cause.pointer, &cause.what, &cause.cure, &cause.opens];
    let bytes = texts.iter().flat_map(|text| text.bytes().chain([0]));
    bytes
        .chain([cause.by as u8])
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

/// The causes in the files of a trace, the most frequent first.
pub fn refusals(pieces: &[Vec<u8>]) -> Vec<Refusal> {
    let mut all = Vec::new();
    for bytes in pieces {
        let records = record::offsets(bytes).filter_map(|at| Record::read(bytes, at));
        all.extend(records.filter(|r| r.call == Call::CAUSE).filter_map(|r| refusal(&r)));
    }
    sorted::by(&mut all, |a: &Refusal, b: &Refusal| a.count > b.count);
    all
}

fn refusal(r: &Record) -> Option<Refusal> {
    let text = |tag: u8| r.blob(tag).map_or(String::new(), |blob| String::from_utf8_lossy(blob.bytes).into_owned());
    let by: By = serde_json::from_str(&text(BY)).ok()?;
    let pointer = r.asked().map_or(String::new(), |(pointer, _)| pointer.into());
    let cause = Cause { by, pointer, what: text(WHY), cure: text(CURE), opens: text(OPENS) };
    let count = u32::try_from(r.ret).unwrap_or(u32::MAX);
    Some(Refusal { cause, count, call: text(CALL), tid: r.pid, program: text(PROGRAM) })
}
