//! A page of a given width: rows in two columns, and colours where a terminal shows them. May touch: types.

use crate::outcome::{Lane, OF_MACHINE};

/// What the page is shown on.
#[derive(Clone, Copy, Debug)]
pub struct Screen {
    pub width: usize,
    pub color: bool,
}

/// Columns without a terminal, and the least that two columns need.
pub const WIDE: usize = 100;
const NARROW: usize = 60;
/// Blanks between the columns.
const GAP: usize = 1;

/// How a text is coloured (console_codes(4), "ECMA-48 Select Graphic Rendition").
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Paint {
    Plain,
    /// The lanes.
    Host,
    Init,
    Bridge,
    Helper,
    /// Less important than the rest.
    Aside,
    /// A refusal that was to be expected, one that the command went on after, and the one that ended it.
    Expected,
    Odd,
    Fatal,
}

impl Paint {
    pub fn of_lane(lane: u8) -> Paint {
        match lane & !OF_MACHINE {
            lane if lane == Lane::Host as u8 => Paint::Host,
            lane if lane == Lane::Init as u8 => Paint::Init,
            lane if lane == Lane::Bridge as u8 => Paint::Bridge,
            _ => Paint::Helper,
        }
    }

    fn code(self) -> &'static str {
        match self {
            Paint::Plain => "",
            Paint::Host => "36",
            Paint::Init => "32",
            Paint::Bridge => "35",
            Paint::Helper => "34",
            Paint::Aside => "2",
            Paint::Expected | Paint::Odd => "33",
            Paint::Fatal => "1;31",
        }
    }
}

/// A row before it is laid out.
pub struct Row<'a> {
    /// What stands before the columns: a time, the number of the plan's line.
    pub margin: String,
    pub left: &'a str,
    pub right: &'a str,
    /// The left column may take a second row, and then the right one too.
    pub important: bool,
    pub paint: [Paint; 2],
}

impl Screen {
    /// The width of the left column, for a margin of that width.
    pub fn left(&self, margin: usize) -> usize {
        self.both(margin) * 44 / 100
    }

    fn right(&self, margin: usize) -> usize {
        self.both(margin) - self.left(margin)
    }

    fn both(&self, margin: usize) -> usize {
        self.width.max(NARROW).saturating_sub(margin + GAP).max(40)
    }

    /// Whether rows are dear: then a reason gives up its last clauses before it takes a second row.
    pub fn is_tight(&self) -> bool {
        self.width < WIDE
    }

    /// Writes a row: at most two rows of the page.
    pub fn row(&self, row: &Row, out: &mut String) {
        let margin = row.margin.chars().count();
        let left = fit(row.left, self.left(margin), 2);
        let width = self.right(margin);
        let most = if self.is_tight() && !row.important { left.len() } else { 2 };
        let right = fit(&whole_clauses(row.right, width, most.max(1)), width, most.max(1));
        for i in 0..left.len().max(right.len()) {
            let text = |column: &[String]| column.get(i).cloned().unwrap_or_default();
            let (left_text, right_text) = (text(&left), text(&right));
            let margin_text = if i == 0 { row.margin.clone() } else { " ".repeat(margin) };
            let gap = self.left(margin).saturating_sub(left_text.chars().count()) + GAP;
            self.painted(&margin_text, Paint::Aside, out);
            self.painted(&left_text, row.paint[0], out);
            if !right_text.is_empty() {
                out.push_str(&" ".repeat(gap));
                self.painted(&right_text, row.paint[1], out);
            }
            out.push('\n');
        }
    }

    /// A text over the whole width.
    pub fn line(&self, text: &str, paint: Paint, out: &mut String) {
        self.lines(text, 2, paint, out);
    }

    /// The same, in so many rows at most.
    pub fn lines(&self, text: &str, most: usize, paint: Paint, out: &mut String) {
        for row in fit(text, self.width.max(NARROW), most) {
            self.painted(&row, paint, out);
            out.push('\n');
        }
    }

    /// A heading.
    pub fn heading(&self, text: &str, lane: u8, out: &mut String) {
        let text = fit(text, self.width.max(NARROW), 1).concat();
        match self.color {
            true => out.push_str(&format!("\x1b[1;{}m{text}\x1b[0m\n", Paint::of_lane(lane).code())),
            false => out.push_str(&format!("{text}\n")),
        }
    }

    fn painted(&self, text: &str, paint: Paint, out: &mut String) {
        match self.color && paint != Paint::Plain && !text.trim().is_empty() {
            true => out.push_str(&format!("\x1b[{}m{text}\x1b[0m", paint.code())),
            false => out.push_str(text),
        }
    }
}

/// The text without its last clauses, as many as it takes to fit.
fn whole_clauses(text: &str, width: usize, rows: usize) -> String {
    let fits = |text: &str| wrapped(text, width).len() <= rows;
    let mut shorter = text;
    while !fits(shorter) {
        let end = ["; ", ": ", ", ", " ("].iter().filter_map(|mark| shorter.rfind(mark)).max();
        match end.filter(|end| shorter[..*end].chars().count() * 2 >= width) {
            Some(end) => shorter = &shorter[..end],
            None => return if shorter.len() < text.len() { shorter.into() } else { text.into() },
        }
    }
    shorter.into()
}

/// The text in at most so many rows. What does not fit is left out, and `...` says so.
pub fn fit(text: &str, width: usize, rows: usize) -> Vec<String> {
    let mut all = wrapped(text, width);
    if all.len() > rows {
        all.truncate(rows);
        if let Some(last) = all.last_mut() {
            let room = width.saturating_sub(3);
            let end = last.char_indices().nth(room).map_or(last.len(), |(end, _)| end);
            // Half a word says less than none.
            let whole = end == last.len();
            last.truncate(end);
            if let Some(blank) = last.rfind(' ').filter(|blank| !whole && end - blank < 12 && blank * 2 > end) {
                last.truncate(blank);
            }
            last.truncate(last.trim_end_matches([' ', ',', '|', '(', ':', ';']).len());
            last.push_str("...");
        }
    }
    all
}

/// The same with an end that is never left out.
pub fn fit_with(text: &str, end: &str, width: usize, rows: usize) -> String {
    let whole = format!("{text}{end}");
    if wrapped(&whole, width).len() <= rows {
        return whole;
    }
    let mut shorter = text;
    while let Some(cut) = shorter.rfind([' ', '|', '/', ',']).filter(|cut| *cut > 0) {
        shorter = &shorter[..cut];
        let cut = format!("{}...{end}", shorter.trim_end_matches([' ', ',', '|', '(', ':']));
        if wrapped(&cut, width).len() <= rows {
            return cut;
        }
    }
    whole
}

/// The text in rows, broken after a blank, a comma or a bar; a word that is too long is broken anywhere.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut rows = Vec::new();
    let mut rest = text;
    loop {
        let end = rest.char_indices().nth(width).map_or(rest.len(), |(end, _)| end);
        if end == rest.len() {
            break;
        }
        // A blank right after the row counts, too.
        let blank = if rest[end..].starts_with(' ') { Some(end) } else { rest[..end].rfind(' ').map(|at| at + 1) };
        // A path that begins here goes into the next row as a whole.
        let begins = |at: &usize| rest[..*at].ends_with([' ', '"']);
        let mark = rest[..end].rfind(['|', '/']).filter(|at| !begins(at)).map(|at| at + 1);
        let at = blank.max(mark).filter(|at| *at * 3 > end).unwrap_or(end);
        rows.push(rest[..at].trim_end().to_string());
        rest = rest[at..].trim_start();
    }
    if !rest.is_empty() || rows.is_empty() {
        rows.push(rest.to_string());
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_no_wider_than_the_page() {
        let text = "mount(\"devpts\", \"/dev/pts\", MS_NOSUID|NOEXEC|NODEV|STRICTATIME, \"newinstance\")";
        for width in 10..90 {
            let rows = wrapped(text, width);
            assert!(rows.iter().all(|row| row.chars().count() <= width), "{width}: {rows:?}");
            let whole = |text: &str| text.replace(' ', "");
            assert_eq!(whole(&rows.concat()), whole(text));
            let fitted = fit(text, width, 2);
            assert!(fitted.len() <= 2 && fitted.iter().all(|row| row.chars().count() <= width), "{width}: {fitted:?}");
        }
        assert_eq!(fit("", 10, 2), [""]);
        assert_eq!(fit("äöüäöüäöüäöü", 5, 1), ["äö..."]);
    }

    #[test]
    fn a_reason_gives_up_its_last_clauses_first() {
        let why = "the new root replaces the host's, which is then unmounted, so that no path leads back";
        assert_eq!(whole_clauses(why, 40, 1), "the new root replaces the host's");
        assert_eq!(whole_clauses(why, 90, 1), why);
        assert_eq!(whole_clauses("no clause here that could be left out at all", 20, 1).len(), 44);
    }
}
