//! The words for /init: what the kernel's command line and the image's settings ask for. May touch: types.

use crate::guest;
use crate::outcome::{Error, visible};
use syscalls::Reboot;

/// The file of the image with more words: command lines are short.
pub const SETTINGS: &str = "/etc/nk-runtime.conf";
const LINE: &str = "the kernel's command line";

/// What the words ask for.
#[derive(PartialEq, Eq, Debug, Default)]
pub struct Wish {
    /// Directories of bundles, in the order of their start.
    pub bundles: Vec<String>,
    pub id: Option<String>,
    /// Options for the command line of this program.
    pub options: Vec<String>,
    pub debug: bool,
    pub status: Option<String>,
    pub restart: Restart,
    /// A shell if something fails.
    pub rescue: bool,
    pub channel: Option<Way>,
    /// What is made before anything runs.
    pub guest: guest::Wish,
}

/// When a container that has ended starts again.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Restart {
    #[default]
    No,
    OnFailure,
    Always,
}

/// How a host reaches this machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    Virtio,
    /// The port at which this machine listens.
    Vsock(u32),
}

/// Reads a value. The error says what to write.
type Take = fn(&mut Wish, &str) -> Result<(), &'static str>;

/// The words, without the `nk.` before them; whether a value has to follow; and what they ask for.
const WORDS: [(&str, bool, Take); 9] = [
    ("bundle", true, |wish, value| {
        wish.bundles = value.split(',').map(String::from).collect();
        match wish.bundles.iter().any(String::is_empty) {
            true => Err("directories, with commas between them"),
            false => Ok(()),
        }
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
    ("restart", true, |wish, value| {
        let known = [("no", Restart::No), ("on-failure", Restart::OnFailure), ("always", Restart::Always)];
        let found = known.iter().find(|(name, _)| *name == value);
        wish.restart = found.ok_or("write no, on-failure or always")?.1;
        Ok(())
    }),
    (RESCUE, false, |wish, value| {
        wish.rescue = true;
        if value.is_empty() { Ok(()) } else { Err("it has no value") }
    }),
    ("channel", true, |wish, value| {
        let port = value.strip_prefix("vsock:").and_then(|port| port.parse().ok());
        wish.channel = match (value, port) {
            ("virtio", _) => Some(Way::Virtio),
            // VMADDR_PORT_ANY (vsock(7)) would be a port that the host does not know.
            (_, Some(port)) if port != u32::MAX => Some(Way::Vsock(port)),
            _ => return Err("write virtio or vsock:PORT"),
        };
        Ok(())
    }),
    ("end", true, |_, value| match end(value) {
        Some(_) => Ok(()),
        None => Err("write poweroff, reboot or halt"),
    }),
];

const RESCUE: &str = "rescue";

/// The values of nk.end.
const ENDS: [(&str, Reboot); 3] = [
    ("poweroff", Reboot::LINUX_REBOOT_CMD_POWER_OFF),
    ("reboot", Reboot::LINUX_REBOOT_CMD_RESTART),
    ("halt", Reboot::LINUX_REBOOT_CMD_HALT),
];

fn end(value: &str) -> Option<Reboot> {
    ENDS.iter().find(|(name, _)| *name == value).map(|(_, command)| *command)
}

/// The texts that have words. Those of the command line come last, and win.
pub struct Texts {
    /// Of the image.
    pub settings: String,
    pub line: String,
}

impl Texts {
    fn words(&self) -> impl DoubleEndedIterator<Item = (&'static str, String)> {
        let settings = self.settings.lines().map(str::trim);
        let settings = settings.filter(|line| !line.is_empty() && !line.starts_with('#'));
        let settings = settings.map(|word| (SETTINGS, word.to_string()));
        let line = words(&self.line).into_iter().map(|word| (LINE, word));
        settings.chain(line)
    }

    /// How the machine shall end. This is read first: the machine also ends so if another word is wrong.
    pub fn ending(&self) -> Option<Reboot> {
        self.words().rev().find_map(|(_, word)| end(word.strip_prefix("nk.end=")?))
    }

    /// Whether a rescue shell is wanted, if another word is wrong.
    pub fn rescue(&self) -> bool {
        self.words().any(|(_, word)| word.strip_prefix("nk.") == Some(RESCUE))
    }

    /// Reads the words that begin with `nk.`
    pub fn understand(&self) -> Result<Wish, Error> {
        let mut wish = Wish::default();
        for (place, word) in self.words() {
            let wrong = |what: &str| Error::Usage(visible(&format!("{place}: {what}")).into_owned());
            match word.strip_prefix("nk.") {
                Some(own) => take(&mut wish, own).map_err(|text| wrong(&text))?,
                // The kernel's line has words of others.
                None if place == LINE => guest::foreign(&mut wish.guest, &word),
                None => {
                    return Err(wrong(&format!("`{word}`: a word begins with nk., and each has a line of its own")));
                }
            }
        }
        Ok(wish)
    }
}

/// Takes one word.
fn take(wish: &mut Wish, own: &str) -> Result<(), String> {
    let (name, value) = own.split_once('=').unwrap_or((own, ""));
    let ours = WORDS.iter().find(|(known, ..)| *known == name);
    let taken = match (ours, guest::WORDS.iter().find(|(known, _)| *known == name)) {
        (None, None) => return Err(unknown(name)),
        (Some((_, true, _)), _) | (None, Some(_)) if value.is_empty() => Err("a value is needed after ="),
        (Some((.., take)), _) => take(wish, value),
        (None, Some((_, take))) => take(&mut wish.guest, value),
    };
    taken.map_err(|text| format!("nk.{name}: {text}"))
}

fn unknown(name: &str) -> String {
    let others = guest::WORDS.iter().map(|(name, _)| *name);
    let names: Vec<&str> = WORDS.iter().map(|(name, ..)| *name).chain(others).collect();
    format!("nk.{name}: there is no such word; those that there are: nk.{}", names.join(", nk."))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::say::error;

    fn texts(settings: &str, line: &str) -> Texts {
        Texts { settings: settings.into(), line: line.into() }
    }

    fn wish(settings: &str, line: &str) -> Wish {
        texts(settings, line).understand().unwrap_or_else(|error| panic!("{line}: {}", error::line(&error)))
    }

    #[test]
    fn the_kernels_line() {
        let wish = wish(
            "",
            "console=ttyS0 quiet nk.bundle=/b nk.trace=json \"nk.id=a b\" nk.status=\"/dev/tty S1\" nk.log-level=Debug nk.trace nk.end=halt nkx=1\n",
        );
        assert_eq!(wish.bundles, ["/b"]);
        assert_eq!(wish.id.as_deref(), Some("a b"));
        assert_eq!(wish.status.as_deref(), Some("/dev/tty S1"));
        assert!(wish.debug);
        assert_eq!(wish.options, ["--trace=json", "--log-level=Debug", "--trace"]);
        assert_eq!((wish.restart, wish.rescue, wish.channel), (Restart::No, false, None));
    }

    #[test]
    fn settings_of_the_image() {
        let settings = "# what runs\n\nnk.bundle=/a,/b\n  nk.restart=always\nnk.id=a b\nnk.end=halt\nnk.rescue";
        let own = wish(settings, "quiet");
        assert_eq!(own.bundles, ["/a", "/b"]);
        assert_eq!(own.id.as_deref(), Some("a b"));
        assert_eq!(own.restart, Restart::Always);
        assert!(own.rescue);
        // The command line wins.
        let line = "nk.bundle=/c nk.restart=on-failure nk.channel=vsock:1024 nk.end=reboot";
        let both = wish(settings, line);
        assert_eq!((both.bundles, both.restart), (vec!["/c".into()], Restart::OnFailure));
        assert_eq!(both.channel, Some(Way::Vsock(1024)));
        assert_eq!(texts(settings, line).ending(), Some(Reboot::LINUX_REBOOT_CMD_RESTART));
        assert_eq!(texts(settings, "").ending(), Some(Reboot::LINUX_REBOOT_CMD_HALT));
        assert!(texts(settings, "nk.nothing").rescue());
        assert!(!texts("# nk.rescue", "rescue nk.rescued").rescue());
    }

    #[test]
    fn how_it_ends() {
        assert_eq!(texts("", "quiet nk.trace=json").ending(), None);
        assert_eq!(texts("", "nk.end=sleep").ending(), None);
        let restart = Some(Reboot::LINUX_REBOOT_CMD_RESTART);
        assert_eq!(texts("", "nk.end=poweroff nk.bundel=/x nk.end=reboot\n").ending(), restart);
    }

    #[test]
    fn wrong_words_are_named() {
        for (settings, line, named) in [
            ("", "quiet nk.bundel=/x", "the kernel's command line: nk.bundel: there is no such word"),
            ("", "nk.", "nk.: there is no such word"),
            ("", "nk.bundle", "nk.bundle: a value is needed"),
            ("", "nk.bundle=/a,,/b", "nk.bundle: directories"),
            ("", "nk.id=", "nk.id: a value is needed"),
            ("", "nk.end=sleep", "nk.end: write poweroff, reboot or halt"),
            ("", "nk.restart=maybe", "nk.restart: write no, on-failure or always"),
            ("", "nk.rescue=yes", "nk.rescue: it has no value"),
            ("", "nk.channel=tcp", "nk.channel: write virtio or vsock:PORT"),
            ("", "nk.channel=vsock:", "nk.channel: write virtio or vsock:PORT"),
            ("", "nk.channel=vsock:4294967295", "nk.channel: write virtio or vsock:PORT"),
            ("bundle=/a", "", "/etc/nk-runtime.conf: `bundle=/a`: a word begins with nk."),
            ("nk.restart=maybe", "", "/etc/nk-runtime.conf: nk.restart: write"),
            ("nk.trace=x\u{1b}y\nnk.x\u{1b}", "", "nk.x\\u{1b}: there is no such word"),
        ] {
            match texts(settings, line).understand() {
                Err(error) => assert!(error::line(&error).contains(named), "{line}: {}", error::line(&error)),
                Ok(wish) => panic!("{line}: {wish:?}"),
            }
        }
    }
}
