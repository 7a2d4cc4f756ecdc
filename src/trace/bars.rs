//! Bars in text: of blocks where the terminal has them, of `#` where it has not. May touch: the environment.

use crate::host::environment;

/// What bars are made of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ink {
    Blocks,
    Ascii,
}

/// Blocks of one eighth to seven eighths of a column.
const EIGHTHS: &str = "▏▎▍▌▋▊▉";

impl Ink {
    /// Blocks in a locale of UTF-8, unless NO_COLOR asks for plain text.
    pub fn of_environment() -> Ink {
        let set = |name: &str| environment(name).filter(|word| !word.is_empty());
        // In this order they decide about characters (locale(7)).
        let locale = set("LC_ALL").or_else(|| set("LC_CTYPE")).or_else(|| set("LANG")).unwrap_or_default();
        let locale = locale.to_ascii_lowercase();
        match set("NO_COLOR").is_none() && (locale.ends_with("utf-8") || locale.ends_with("utf8")) {
            true => Ink::Blocks,
            false => Ink::Ascii,
        }
    }

    /// A bar of at most `width` columns. What is more than nothing is seen.
    pub fn bar(self, part: u64, whole: u64, width: usize) -> String {
        let parts = if self == Ink::Blocks { 8 } else { 1 };
        let long = part.saturating_mul((width * parts) as u64).saturating_add(whole / 2) / whole.max(1);
        let long = (long as usize).clamp(usize::from(part > 0), width * parts);
        match self {
            Ink::Ascii => "#".repeat(long),
            Ink::Blocks => {
                let rest = EIGHTHS.chars().nth((long % 8).wrapping_sub(1));
                "█".repeat(long / 8) + &rest.map_or(String::new(), String::from)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Ink;

    #[test]
    fn bars_are_as_long_as_their_part() {
        let bar = |ink: Ink, part| ink.bar(part, 80, 10);
        assert_eq!([0, 1, 8, 12, 80, 90].map(|part| bar(Ink::Ascii, part).len()), [0, 1, 1, 2, 10, 10]);
        assert_eq!([0, 1, 9, 80].map(|part| bar(Ink::Blocks, part)), ["", "▏", "█▏", "██████████"]);
        assert_eq!(Ink::Ascii.bar(5, 0, 3), "###");
    }
}
