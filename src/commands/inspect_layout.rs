//! Lines of text in columns, as wide as the terminal. What a container has named is escaped first, so that no name of it
//! can forge a line. May touch: output.

use crate::outcome::visible;
use crate::say::out::{self, wrapped};

/// The columns of a page, at the least and at the most.
const NARROW: usize = 60;
const WIDE: usize = 110;

pub fn width() -> usize {
    out::columns(NARROW, WIDE)
}

/// A name as text.
pub fn shown(name: &str) -> String {
    visible(name).into_owned()
}

/// A page being written.
pub struct Page {
    pub text: String,
    width: usize,
}

impl Page {
    pub fn new(width: usize) -> Page {
        Page { text: String::new(), width }
    }

    /// An empty line, but not at the top.
    pub fn gap(&mut self) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
    }

    /// A heading, apart from what stands above.
    pub fn heading(&mut self, words: &str) {
        self.gap();
        self.text.push_str(&format!("{words}\n"));
    }

    /// A text from this column on, in as many lines as it takes.
    pub fn paragraph(&mut self, column: usize, text: &str) {
        self.row(&[(column, text)]);
    }

    /// Cells side by side: each begins in its column and goes on below itself. What is empty leaves its place empty.
    pub fn row(&mut self, cells: &[(usize, &str)]) {
        let mut blocks = Vec::new();
        for (i, (column, text)) in cells.iter().enumerate() {
            let end = cells.get(i + 1).map_or(self.width, |(next, _)| next.saturating_sub(1));
            blocks.push((*column, wrapped(text, end.saturating_sub(*column).max(1))));
        }
        let lines = blocks.iter().map(|(_, lines)| lines.len()).max().unwrap_or(0);
        for at in 0..lines {
            let mut line = String::new();
            for (column, lines) in &blocks {
                if let Some(part) = lines.get(at) {
                    let blanks = column.saturating_sub(line.chars().count());
                    line.extend(core::iter::repeat_n(' ', blanks));
                    line.push_str(part);
                }
            }
            self.text.push_str(line.trim_end());
            self.text.push('\n');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_stay_in_their_columns() {
        let mut page = Page::new(20);
        page.row(&[(2, "one two three"), (10, "four/five/six/seven"), (17, "x")]);
        assert_eq!(page.text, "  one two four/  x\n  three   five/\n          six/\n          seven\n");
    }

    #[test]
    fn a_name_forges_no_line() {
        assert_eq!(shown("a\nb\u{1b}[2J\u{202e}é"), "a\\nb\\u{1b}[2J\\u{202e}é");
    }

    #[test]
    fn no_width_makes_it_panic() {
        for width in 0..40 {
            let mut page = Page::new(width);
            page.row(&[(2, "é,,///wörter und mehr"), (8, ""), (12, "z")]);
        }
    }
}
