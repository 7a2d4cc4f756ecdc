//! The page of a comparison: a sign, the number of the line on each side, and words, below each other. May touch: text.

use super::words::merged;
use crate::outcome::visible;
use crate::say::out::wrapped;
use crate::trace::Screen;

/// Before the words: the sign, and two numbers.
const MARGIN: usize = 12;

pub struct Page {
    screen: Screen,
    pub out: String,
    heading: String,
    /// The reasons that the section has already.
    said: Vec<String>,
}

impl Page {
    pub fn new(screen: Screen) -> Page {
        Page { screen, out: String::new(), heading: String::new(), said: Vec::new() }
    }

    /// The names of both sides, and what each is.
    pub fn head(&mut self, sides: [String; 2]) {
        for (sign, side) in ["---", "+++"].into_iter().zip(sides) {
            self.line(&format!("{sign} {side}"), "1");
        }
    }

    /// Begins a section, unless it has begun.
    pub fn section(&mut self, heading: &str) {
        if self.heading != heading {
            self.heading = heading.into();
            self.said.clear();
            self.out.push('\n');
            self.line(heading, "1");
        }
    }

    /// A row of words, after a sign and numbers. Number 0 is none.
    pub fn row(&mut self, sign: char, numbers: [u16; 2], words: &str) {
        let code = match sign {
            '-' => "31",
            '+' => "32",
            _ => "",
        };
        let [first, second] = numbers.map(|number| if number == 0 { String::new() } else { number.to_string() });
        let mut margin = format!("{sign} {first:>4} {second:>4}");
        for row in wrapped(words, self.width(MARGIN)) {
            self.line(&format!("{margin:<MARGIN$}{row}"), code);
            margin.clear();
        }
    }

    /// A text below a row.
    pub fn below(&mut self, text: &str, code: &str) {
        for (i, row) in wrapped(text, self.width(MARGIN + 4)).iter().enumerate() {
            let indent = if i == 0 { MARGIN + 2 } else { MARGIN + 4 };
            self.line(&format!("{:indent$}{row}", ""), code);
        }
    }

    /// The words of both sides below a row, in one.
    pub fn both(&mut self, words: [&str; 2]) {
        self.below(&merged(words[0], words[1]), "");
    }

    /// The reason, unless the section has it already.
    pub fn why(&mut self, why: &str) {
        if !why.is_empty() && !self.said.iter().any(|said| said == why) {
            self.said.push(why.into());
            self.below(&visible(why), "2");
        }
    }

    /// The last words.
    pub fn end(&mut self, text: &str) {
        self.out.push('\n');
        for row in wrapped(text, self.width(0)) {
            self.line(&row, "2");
        }
    }

    fn width(&self, margin: usize) -> usize {
        self.screen.width.saturating_sub(margin).max(40)
    }

    /// A line of the page. Without a colour of its own, marks of what has gone and come have theirs.
    fn line(&mut self, text: &str, code: &str) {
        let marked = || {
            let gone = text.replace("[-", "\x1b[31m[-").replace("-]", "-]\x1b[0m");
            gone.replace("{+", "\x1b[32m{+").replace("+}", "+}\x1b[0m")
        };
        match (self.screen.color, code) {
            (false, _) => self.out.push_str(text),
            (true, "") => self.out.push_str(&marked()),
            (true, code) => self.out.push_str(&format!("\x1b[{code}m{text}\x1b[0m")),
        }
        self.out.push('\n');
    }
}

/// A number, and what is counted.
pub fn several(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// The pointers of both sides, or the one that they have in common.
pub fn pointers(from: [&str; 2]) -> String {
    match from {
        [one, other] if one == other || other.is_empty() => one.into(),
        ["", other] => other.into(),
        [one, other] => format!("{one}, {other}"),
    }
}
