//! The one shape of a message about what went wrong, or how something ended. May touch: text.
//!
//! ```text
//!   nk-runtime: CAUSE (WHERE)
//!     step: what could not be done for that cause
//!     call: CALL = -1 EPERM (Operation not permitted), line 22 of the plan, in init
//!     why: the purpose of the call
//!     try: the cure
//!     more: commands that show more
//! ```
//! A log gets the same as one text: `CAUSE (WHERE); step: STEP; call: CALL; why: WHY; try: CURE`.

use crate::outcome::{bounded, middle, visible};

/// Bytes that a line of a message has at most, and a whole message that is one text.
const MOST: usize = 2048;
/// Characters of the first line.
const FIRST: usize = 200;
const NAME: &str = "nk-runtime: ";
/// To this length words are shortened to make the first line fit; and so many characters of it are left for the place.
const WORD: usize = 28;
const PLACE: usize = 90;

/// What is said of one matter.
pub struct Message {
    /// Half a sentence.
    pub cause: String,
    /// Where it stands: a property, an option, a file, a fact of the host. Empty: nowhere.
    pub place: String,
    /// A label and a text each. What has no text is left out.
    pub lines: Vec<(&'static str, String)>,
}

impl Message {
    /// For people: the first line, and each further one below it.
    pub fn text(&self) -> String {
        let mut text = self.first() + "\n";
        for (label, line) in self.told() {
            text.push_str(&format!("  {label}: {}\n", one_line(line)));
        }
        text
    }

    /// For logs: all of it in one line. The beginning is shortened rather than the end, where the cure is.
    pub fn one(&self) -> String {
        let [cause, place] = [&self.cause, &self.place].map(|part| bounded(&visible(part), MOST / 4).into_owned());
        let head = cause + &self.placed(&place);
        let lines: Vec<String> = self.told().map(|(label, line)| format!("; {label}: {}", visible(line))).collect();
        let cure = lines.iter().rposition(|line| line.starts_with("; try: ")).unwrap_or(lines.len());
        let (before, after) = lines.split_at(cure);
        let after = bounded(&after.concat(), MOST / 2).into_owned();
        bounded(&(head + &before.concat()), MOST - after.len()).into_owned() + &after
    }

    /// The cause and its place.
    pub fn brief(&self) -> String {
        one_line(&(self.cause.clone() + &self.placed(&self.place)))
    }

    /// The same, and the cure in a second line: for the trace.
    pub fn remark(&self) -> String {
        let cure = self.told().find(|(label, _)| *label == "try").map_or("", |(_, cure)| cure);
        let parts = [self.brief(), one_line(cure)];
        parts.join("\n").trim_end().into()
    }

    fn told(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.lines.iter().filter(|(_, line)| !line.is_empty()).map(|(label, line)| (*label, line.as_str()))
    }

    fn first(&self) -> String {
        let place = self.placed(&middle(&visible(&self.place), PLACE));
        let room = FIRST.saturating_sub(NAME.len() + place.chars().count());
        format!("{NAME}{}{place}", fitted(&visible(&self.cause), room))
    }

    fn placed(&self, place: &str) -> String {
        if place.is_empty() { String::new() } else { format!(" ({place})") }
    }
}

/// A text as one line of bounded length: what a message quotes of a document can have any length.
pub fn one_line(text: &str) -> String {
    bounded(&visible(text), MOST).into_owned()
}

/// A text in at most so many characters. Long words, such as paths, lose their middles first.
fn fitted(text: &str, most: usize) -> String {
    let mut text = text.to_string();
    while text.chars().count() > most {
        let excess = text.chars().count() - most;
        let longest = text.split(' ').max_by_key(|word| word.chars().count()).unwrap_or_default();
        let len = longest.chars().count();
        if len <= WORD {
            return middle(&text, most);
        }
        let shorter = middle(longest, WORD.max(len.saturating_sub(excess)));
        text = text.replacen(longest, &shorter, 1);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(cause: &str, place: &str) -> Message {
        let cure = "take it away".into();
        Message { cause: cause.into(), place: place.into(), lines: Vec::from([("call", String::new()), ("try", cure)]) }
    }

    #[test]
    fn the_first_line_fits_and_its_ends_stay() {
        let long = format!("cannot open /begin/{}/end: no such file", "x".repeat(500));
        for cause in ["short", &long, &"many words ".repeat(60), &"ä".repeat(400), "two\nlines"] {
            for place in ["", "config.json /mounts/3", &"/p".repeat(300)] {
                let first = message(cause, place).text().lines().next().unwrap_or_default().to_string();
                assert!(first.chars().count() <= FIRST, "{first}");
                assert_eq!(first.ends_with(')'), !place.is_empty(), "{first}");
            }
        }
        let first = message(&long, "p").first();
        assert!(first.contains("open /begin/x") && first.ends_with("x/end: no such file (p)"), "{first}");
    }

    #[test]
    fn a_message_is_lines_or_one_text() {
        let short = message("a thing is there", "config.json /x");
        assert_eq!(short.text(), "nk-runtime: a thing is there (config.json /x)\n  try: take it away\n");
        assert_eq!(short.one(), "a thing is there (config.json /x); try: take it away");
        let long = message(&"x".repeat(5000), "").one();
        assert!(long.len() <= MOST && long.ends_with("x; try: take it away"), "{long}");
    }

    #[test]
    fn what_is_bounded_is_whole_characters_and_stays_as_it_is() {
        for text in ["", "short", &"a".repeat(4000), &"ä𝄞".repeat(3000), &"\n".repeat(3000)] {
            for most in [100, 513, MOST] {
                let once = bounded(text, most);
                assert!(once.len() <= most);
                assert_eq!(bounded(&once, most), once);
                assert_eq!(once.contains(" bytes left out] "), text.len() > most);
            }
            let line = one_line(text);
            assert!(!line.contains('\n') && line.len() <= MOST);
            assert_eq!(one_line(&line), line);
        }
    }
}
