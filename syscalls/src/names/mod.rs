//! System calls by name, and their numbers on five architectures.

mod table;

use table::NAMES;
pub use table::{NONE, NUMBERS};

/// Where each name ends.
static ENDS: [u16; NUMBERS.len()] = ends();

const fn ends() -> [u16; NUMBERS.len()] {
    let names = NAMES.as_bytes();
    let mut ends = [names.len() as u16; NUMBERS.len()];
    let (mut row, mut at) = (0, 0);
    while at < names.len() {
        if names[at] == b' ' {
            ends[row] = at as u16;
            row += 1;
        }
        at += 1;
    }
    ends
}

/// Where the name in a row of [`NUMBERS`] begins and ends.
const fn span(row: usize) -> (usize, usize) {
    let start = if row == 0 { 0 } else { ENDS[row - 1] as usize + 1 };
    (start, ENDS[row] as usize)
}

/// The name in a row of [`NUMBERS`]. Rows are in the order of the names.
pub const fn name(row: usize) -> &'static [u8] {
    let (start, end) = span(row);
    let (_, rest) = NAMES.as_bytes().split_at(start);
    rest.split_at(end - start).0
}

/// Whether that is the name in a row.
pub fn is(row: usize, word: &str) -> bool {
    let (start, end) = span(row);
    NAMES.as_bytes().get(start..end) == Some(word.as_bytes())
}
