//! The words for /init: what the kernel's command line asks for. May touch: nothing.

use crate::outcome::Error;
use syscalls::Reboot;

/// What the words ask for.
#[derive(PartialEq, Eq, Debug, Default)]
pub struct Wish {
    pub bundle: Option<String>,
    pub id: Option<String>,
    /// Options for the command line of this program.
    pub options: Vec<String>,
    pub debug: bool,
    pub status: Option<String>,
}

/// Reads a value. The error says what to write.
type Take = fn(&mut Wish, &str) -> Result<(), &'static str>;

/// The words, without the `nk.` before them; whether a value has to follow; and what they ask for.
const WORDS: [(&str, bool, Take); 6] = [
    ("bundle", true, |wish, value| {
        wish.bundle = Some(value.into());
        Ok(())
    }),
    ("id", true, |wish, value| {
        wish.id = Some(value.into());
        Ok(())
    }),
    ("trace", false, |wish, value| {
        let text = if value.is_empty() { "--trace".into() } else { format!("--trace={value}") };
        wish.options.push(text);
        Ok(())
    }),
    ("log-level", true, |wish, value| {
        wish.debug = value.eq_ignore_ascii_case("debug");
        wish.options.push(format!("--log-level={value}"));
        Ok(())
    }),
    ("status", true, |wish, value| {
        wish.status = Some(value.into());
        Ok(())
    }),
    ("end", true, |_, value| match end(value) {
        Some(_) => Ok(()),
        None => Err("write poweroff, reboot or halt"),
    }),
];

/// The values of nk.end.
const ENDS: [(&str, Reboot); 3] = [
    ("poweroff", Reboot::LINUX_REBOOT_CMD_POWER_OFF),
    ("reboot", Reboot::LINUX_REBOOT_CMD_RESTART),
    ("halt", Reboot::LINUX_REBOOT_CMD_HALT),
];

fn end(value: &str) -> Option<Reboot> {
    ENDS.iter().find(|(name, _)| *name == value).map(|(_, command)| *command)
}

/// The words of the kernel's command line. Quotes hold blanks together, as the kernel reads them.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for c in line.trim_end_matches(['\n', '\0']).chars() {
        match c {
            '"' => quoted = !quoted,
            c if c.is_ascii_whitespace() && !quoted => words.push(String::new()),
            c => words.last_mut().into_iter().for_each(|word| word.push(c)),
        }
    }
    words
}

/// How the machine shall end. This is read first: the machine also ends so if another word is wrong.
pub fn ending(line: &str) -> Option<Reboot> {
    words(line).iter().rev().find_map(|word| end(word.strip_prefix("nk.end=")?))
}

/// Reads the words that begin with `nk.`
pub fn understand(line: &str) -> Result<Wish, Error> {
    let mut wish = Wish::default();
    for word in words(line) {
        let Some(own) = word.strip_prefix("nk.") else {
            continue;
        };
        let (name, value) = own.split_once('=').unwrap_or((own, ""));
        let wrong = |what: &str| {
            let text = format!("the kernel's command line: nk.{name}: {what}");
            Error::Usage(text.escape_debug().collect())
        };
        match WORDS.iter().find(|(known, ..)| *known == name) {
            None => return Err(wrong(&unknown())),
            Some((_, true, _)) if value.is_empty() => return Err(wrong("a value is needed after =")),
            Some((.., take)) => take(&mut wish, value).map_err(wrong)?,
        }
    }
    Ok(wish)
}

fn unknown() -> String {
    let names: Vec<&str> = WORDS.iter().map(|(name, ..)| *name).collect();
    format!("there is no such word; those that there are: nk.{}", names.join(", nk."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::say::error;

    fn wish(line: &str) -> Wish {
        understand(line).unwrap_or_else(|error| panic!("{line}: {}", error::line(&error)))
    }

    #[test]
    fn the_kernels_line() {
        let wish = wish(
            "console=ttyS0 quiet nk.bundle=/b nk.trace=json \"nk.id=a b\" nk.status=\"/dev/tty S1\" nk.log-level=Debug nk.trace nk.end=halt nkx=1\n",
        );
        assert_eq!(wish.bundle.as_deref(), Some("/b"));
        assert_eq!(wish.id.as_deref(), Some("a b"));
        assert_eq!(wish.status.as_deref(), Some("/dev/tty S1"));
        assert!(wish.debug);
        assert_eq!(wish.options, ["--trace=json", "--log-level=Debug", "--trace"]);
    }

    #[test]
    fn how_it_ends() {
        assert_eq!(ending("quiet nk.trace=json"), None);
        assert_eq!(ending("nk.end=sleep"), None);
        let restart = Some(Reboot::LINUX_REBOOT_CMD_RESTART);
        assert_eq!(ending("nk.end=poweroff nk.bundel=/x nk.end=reboot\n"), restart);
    }

    #[test]
    fn wrong_words_are_named() {
        for (line, named) in [
            ("quiet nk.bundel=/x", "nk.bundel: there is no such word"),
            ("nk.", "nk.: there is no such word"),
            ("nk.bundle", "nk.bundle: a value is needed"),
            ("nk.id=", "nk.id: a value is needed"),
            ("nk.end=sleep", "nk.end: write poweroff, reboot or halt"),
        ] {
            match understand(line) {
                Err(error) => assert!(error::line(&error).contains(named), "{line}: {}", error::line(&error)),
                Ok(wish) => panic!("{line}: {wish:?}"),
            }
        }
    }
}
