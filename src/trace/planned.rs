//! The line of a plan that a record belongs to, where the plan is made anew. May touch: the recorder, the plan.

use super::piece::Piece;
use crate::plan::{Line, Plan};
use syscalls::record::Record;

/// The line of the plan that a record belongs to. Options of the command line can have moved the lines: of those that have the
/// record's stage and pointer, and the why of a record of this line, it is the nearest.
pub fn line_of<'p>(plan: &'p Plan, piece: &Piece, r: &Record, records: &[Record]) -> Option<&'p Line> {
    let of_line = |one: &&Record| one.line == r.line && one.lane == r.lane;
    let whys: Vec<&str> = records.iter().filter(of_line).map(Record::why).collect();
    let is_same = |line: &Line| {
        let place = (line.step as u16, line.stage + 1, line.from.as_str());
        place == (r.step, r.stage, piece.pointer(r)) && whys.contains(&line.why.0)
    };
    let same = (1..).zip(plan.lines()).filter(|(_, line)| is_same(line));
    let nearest = same.min_by_key(|(number, _)| r.line.abs_diff(*number));
    nearest.map(|(_, line)| line)
}
