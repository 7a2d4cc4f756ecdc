//! The lines of a plan that the calls of a page belong to: what the plan says of them, what asked for them, and that piece of the
//! configuration. May touch: the views of traces, the plan.

use super::meanings::Meanings;
use super::strings::Strings;
use super::traced::Page;
use crate::plan::{self, Line, Step};
use crate::trace::{Entry, Piece, line_of};
use alloc::collections::BTreeMap;
use serde_json::Value;
use syscalls::record::Record;

/// So many lines are quoted of what the configuration says at a pointer.
const QUOTED: usize = 40;

/// A line: its number, or 0; its words; what its stage does; what asked for it; what else decided about it; whether
/// `exec` was asked, and not the configuration.
type Row = (u16, u32, u32, u32, u32, u8);

/// The rows of one trace, while they are gathered.
pub struct Lines<'a> {
    trace: &'a Page<'a>,
    /// The records of the container's creation.
    creation: Vec<Record<'a>>,
    places: BTreeMap<(usize, u16, u8, u8, &'a str), usize>,
    pub rows: Vec<Row>,
    /// Pieces of the configuration by their pointers.
    pub config: Vec<(u32, u32)>,
}

impl<'a> Lines<'a> {
    pub fn new(trace: &'a Page<'a>) -> Lines<'a> {
        let creation = trace.pieces.first().map_or(Vec::new(), Piece::records);
        Lines { trace, creation, places: BTreeMap::new(), rows: Vec::new(), config: Vec::new() }
    }

    /// The place of the row that a call belongs to.
    pub fn of(&mut self, entry: &Entry<'a>, strings: &mut Strings, meanings: &mut Meanings) -> usize {
        let (piece, r): (&Piece<'a>, _) = (entry.piece, &entry.r);
        let pointer = piece.pointer(r);
        let number = self.place_of(piece);
        let key = (number, r.line, r.lane, r.stage, pointer);
        if let Some(place) = self.places.get(&key) {
            return *place;
        }
        let of_exec = r.step == Step::Exec as u16 && pointer.starts_with("/process");
        if !of_exec {
            self.quote(pointer, strings, meanings);
        }
        let stage = plan::stage(r.lane, r.stage).map_or("", |(_, text)| text.trim());
        let words = self.line(number, entry).map_or(String::new(), Line::words);
        self.rows.push((
            r.line,
            strings.number(&words),
            strings.number(stage),
            strings.number(pointer),
            strings.number(piece.decided(r).text()),
            of_exec.into(),
        ));
        self.places.insert(key, self.rows.len() - 1);
        self.rows.len() - 1
    }

    /// The line of the plan. Only that of the container's creation can be made anew.
    fn line(&self, piece: usize, entry: &Entry) -> Option<&'a Line> {
        let plan = self.trace.plan.filter(|_| piece == 0 && entry.r.line > 0)?;
        line_of(plan, entry.piece, &entry.r, &self.creation)
    }

    fn place_of(&self, piece: &Piece) -> usize {
        self.trace.pieces.iter().position(|one| core::ptr::eq(one, piece)).unwrap_or(0)
    }

    /// Keeps what the configuration says at a pointer.
    fn quote(&mut self, pointer: &str, strings: &mut Strings, meanings: &mut Meanings) {
        let number = strings.number(pointer);
        if pointer.is_empty() || self.config.iter().any(|(known, _)| *known == number) {
            return;
        }
        meanings.of_pointer(pointer);
        let value = self.trace.config.and_then(|config| config.pointer(pointer));
        if let Some(text) = value.and_then(quoted) {
            self.config.push((number, strings.of_lines(&text)));
        }
    }
}

/// A piece of the configuration, in lines of JSON.
fn quoted(value: &Value) -> Option<String> {
    let text = serde_json::to_string_pretty(value).ok()?;
    let mut lines: Vec<&str> = text.lines().take(QUOTED).collect();
    if text.lines().nth(QUOTED).is_some() {
        lines.push("...");
    }
    Some(lines.join("\n"))
}
