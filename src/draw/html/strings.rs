//! The texts of a page, each once: the data names them by their numbers. May touch: text.

use crate::outcome::visible;
use alloc::collections::BTreeMap;
use alloc::rc::Rc;

#[derive(Default)]
pub struct Strings {
    known: BTreeMap<Rc<str>, u32>,
    all: Vec<Rc<str>>,
}

impl Strings {
    /// The number of a text. Signs that hide or turn text are spelled out.
    pub fn number(&mut self, text: &str) -> u32 {
        self.add(&visible(text))
    }

    /// The same for a text of several lines.
    pub fn of_lines(&mut self, text: &str) -> u32 {
        let lines: Vec<_> = text.lines().map(visible).collect();
        self.add(&lines.join("\n"))
    }

    fn add(&mut self, text: &str) -> u32 {
        if let Some(number) = self.known.get(text) {
            return *number;
        }
        let (number, text): (u32, Rc<str>) = (self.all.len() as u32, text.into());
        self.known.insert(text.clone(), number);
        self.all.push(text);
        number
    }

    /// All texts, in the order of their numbers.
    pub fn all(&self) -> impl Iterator<Item = &str> {
        self.all.iter().map(|text| &**text)
    }
}

#[cfg(test)]
mod tests {
    use super::Strings;

    #[test]
    fn a_text_has_one_number_and_hides_nothing() {
        let mut strings = Strings::default();
        assert_eq!([strings.number("a"), strings.number("b\u{202e}\n"), strings.number("a")], [0, 1, 0]);
        assert_eq!(strings.of_lines("{\n\t1\u{7}\n}"), 2);
        assert_eq!(strings.all().collect::<Vec<_>>(), ["a", "b\\u{202e}\\n", "{\n\\t1\\u{7}\n}"]);
    }
}
