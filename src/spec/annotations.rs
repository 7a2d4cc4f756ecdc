//! The annotations: how they are read, and those to which crun gives a meaning (crun(1), "Extensions to OCI"), which users of
//! podman set. An annotation is refused if without it the container would be another than the user asked for. May touch: serde.

use super::Spec;
use super::raw::{entries, property, string, unescaped, value};
use super::rules::one_of_these;
use super::schema::{At, Checked, Key, Property};
use crate::sorted;
use alloc::borrow::Cow;
use alloc::collections::BTreeMap;
use core::cmp::Ordering;
use core::fmt;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};

/// The beginning of all names to which crun gives a meaning.
pub const CRUN: &str = "run.oci.";
/// How the name of an annotation begins that sets a property of systemd's scope.
pub const SYSTEMD: &str = "org.systemd.property.";
/// The process keeps the groups of the caller.
const KEEP_GROUPS: &str = "run.oci.keep_original_groups";
/// The option of mount(8) by which a new file system gets its label.
const CONTEXT: &str = "run.oci.mount_context_type";
const CONTEXTS: [&str; 4] = ["context", "fscontext", "defcontext", "rootcontext"];
/// An unknown name of a system call in the seccomp profile is an error.
const UNKNOWN_CALL: &str = "run.oci.seccomp_fail_unknown_syscall";

/// The program's calls are recorded: those that the container refuses, or all. An engine has no option for that.
pub const WATCH: &str = "nano-sandbox.watch";
const WATCHES: [&str; 2] = ["refused", "all"];

/// Refused annotations, and what to use in their place.
const REFUSED: [(&str, &str); 9] = [
    ("run.oci.seccomp.receiver", "`linux.seccomp.listenerPath` says it"),
    ("run.oci.seccomp.plugins", "`linux.seccomp.listenerPath` names an agent"),
    ("run.oci.seccomp_bpf_data", "only `linux.seccomp` is loaded"),
    ("run.oci.systemd.force_cgroup_v1", "a bind mount of the hierarchy does it"),
    ("run.oci.systemd.subgroup", "the container's cgroup is the scope itself, as with an empty value"),
    ("run.oci.delegate-cgroup", "the container's cgroup is the one of `linux.cgroupsPath`"),
    ("run.oci.timens_offset", "`linux.timeOffsets` says it"),
    ("run.oci.pidfd_receiver", "--pidfd-socket says it"),
    ("run.oci.handler", "the program runs as it is"),
];

/// The annotations of a configuration. They can be long, and few of them mean anything to a runtime: only those are kept, beside
/// the text of all.
#[derive(Default, Debug, Clone)]
pub struct Annotations<'a> {
    /// Its first key, as long as no more was looked at.
    first: Option<Cow<'a, str>>,
    /// The object as it stands in the configuration.
    text: &'a str,
    /// Those with a meaning.
    known: Vec<(String, String)>,
    wrong: Option<Wrong>,
}

/// The first entry that is no annotation: its key, and what is wrong.
#[derive(Debug, Clone)]
struct Wrong {
    key: Option<String>,
    problem: String,
}

impl<'de: 'a, 'a> Deserialize<'de> for Annotations<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Annotations<'de>, D::Error> {
        from.deserialize_map(First)
    }
}

/// Finds out where the object stands: where its first key does. What the entries are is looked at later, in place.
struct First;

impl<'de> Visitor<'de> for First {
    type Value = Annotations<'de>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Annotations<'de>, A::Error> {
        let mut first = None;
        while let Some(Key(key)) = map.next_key()? {
            map.next_value::<IgnoredAny>()?;
            first.get_or_insert(key);
        }
        Ok(Annotations { first, ..Annotations::default() })
    }
}

impl Property for Annotations<'_> {
    const NULL: bool = true;
    const ENTRIES: bool = true;
    type Leaf = Self;

    fn each(&self, at: &At, rule: &dyn Fn(&Self, &At) -> Checked) -> Checked {
        rule(self, at)
    }

    fn check(&self, at: &At) -> Checked {
        match &self.wrong {
            Some(Wrong { key: Some(key), problem }) => at.key(key).no(problem.as_str()),
            Some(Wrong { key: None, problem }) => at.no(problem.as_str()),
            None => Ok(()),
        }
    }
}

impl<'a> Annotations<'a> {
    /// Those of an object in valid JSON, which the text begins with.
    pub fn of(text: &'a str) -> Annotations<'a> {
        let mut all = Annotations { text: value(text), ..Annotations::default() };
        all.wrong = all.look().err();
        all
    }

    /// Finds the object in the document that this was read of.
    pub fn find(&mut self, document: &'a str) {
        let begin = match self.first.take() {
            None => return,
            // A part of the document: before it are a quote, perhaps blanks, and the brace.
            Some(Cow::Borrowed(key)) => {
                let at = (key.as_ptr() as usize).wrapping_sub(document.as_ptr() as usize + 1);
                document.get(..at).and_then(|before| before.rfind('{'))
            }
            Some(Cow::Owned(_)) => None,
        };
        let text = begin.and_then(|at| document.get(at..));
        *self = Annotations::of(text.or_else(|| property(document, "annotations")).unwrap_or_default());
    }

    /// Checks all entries, and keeps those with a meaning.
    fn look(&mut self) -> Result<(), Wrong> {
        for (key, value) in entries(self.text) {
            let name = unescaped(key)
                .ok_or_else(|| Wrong { key: None, problem: format!("has the key {key}, which {NO_TEXT}") })?;
            let wrong = |problem| Wrong { key: Some(name.clone().into()), problem };
            if name.is_empty() {
                return Err(Wrong { key: None, problem: "has an empty key".into() });
            }
            if let Some(kind) = kind(value) {
                return Err(wrong(format!("is {kind}, must be a string")));
            }
            if !is_text(value) {
                return Err(wrong(NO_TEXT.into()));
            }
            if KNOWN.iter().any(|begin| name.starts_with(begin)) {
                let value = unescaped(value).ok_or_else(|| wrong(NO_TEXT.into()))?.into();
                // Of several with one name the last counts.
                match self.known.iter_mut().find(|(old, _)| *old == name) {
                    Some((_, old)) => *old = value,
                    None => self.known.push((name.into(), value)),
                }
            }
        }
        Ok(())
    }

    /// The value of one with a meaning.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.known.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Those with a meaning.
    pub fn known(&self) -> impl Iterator<Item = (&str, &str)> {
        self.known.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// Whether a text is an object of annotations and nothing else.
    pub fn is_whole(&self, text: &str) -> bool {
        self.wrong.is_none() && text.starts_with('{') && text.ends_with('}') && self.text == text
    }

    /// The object as it stands in the configuration; empty: there is none.
    pub fn text(&self) -> &'a str {
        self.text
    }

    /// Shows all in the order of their names, as they are written: `key` and `value` have their quotes. Of several with one
    /// name the last counts. To keep a number for each takes less memory than a map of them.
    pub fn each_written<E>(&self, mut show: impl FnMut(&str, &str) -> Result<(), E>) -> Result<(), E> {
        let at = |part: &str| part.as_ptr() as usize - self.text.as_ptr() as usize;
        let mut places: Vec<u32> = Vec::with_capacity(entries(self.text).count());
        places.extend(entries(self.text).map(|(key, _)| at(key) as u32));
        let from = |place: u32| self.text.get(place as usize..).unwrap_or_default();
        let name = |place: u32| string(from(place)).and_then(unescaped).unwrap_or_default();
        let before = |a: &u32, b: &u32| match name(*a).cmp(&name(*b)) {
            Ordering::Equal => a < b,
            order => order == Ordering::Less,
        };
        // Engines write them in order, and a heap needs many looks.
        if !places.is_sorted_by(before) {
            sorted::by(&mut places, before);
        }
        for (i, place) in places.iter().enumerate() {
            if places.get(i + 1).is_none_or(|next| name(*next) != name(*place)) {
                entries(from(*place)).next().map_or(Ok(()), |(key, value)| show(key, value))?;
            }
        }
        Ok(())
    }

    /// All of them, each without its escapes.
    pub fn copied(&self) -> BTreeMap<String, String> {
        let mut all = BTreeMap::new();
        let _ = self.each_written(|key, value| {
            let text = |written| unescaped(written).unwrap_or_default().into_owned();
            all.insert(text(key), text(value));
            Ok::<(), ()>(())
        });
        all
    }

    /// The object in one line; empty if it holds nothing.
    pub fn json(&self) -> String {
        let mut json = String::new();
        let _ = self.each_written(|key, value| {
            json.push(if json.is_empty() { '{' } else { ',' });
            [key, ":", value].iter().for_each(|part| json.push_str(part));
            Ok::<(), ()>(())
        });
        if !json.is_empty() {
            json.push('}');
        }
        json
    }
}

const NO_TEXT: &str = "holds half of a pair of UTF-16, which is no text";

/// The names that mean something begin so.
const KNOWN: [&str; 3] = [CRUN, "nano-sandbox.", SYSTEMD];

/// What a value is that is no string.
fn kind(value: &str) -> Option<&'static str> {
    match value.as_bytes().first()? {
        b'"' => None,
        b'{' => Some("an object"),
        b'[' => Some("a list"),
        b't' | b'f' => Some("true or false"),
        b'n' => Some("null"),
        _ => Some("a number"),
    }
}

/// Whether no half of a pair of UTF-16 stands alone in a string with escapes.
fn is_text(written: &str) -> bool {
    let mut first = false;
    let mut rest = written;
    while let Some(at) = rest.find('\\') {
        let (before, from) = rest.split_at(at);
        let unit = from.get(2..6).filter(|_| from.as_bytes().get(1) == Some(&b'u'));
        let unit = unit.map_or(0, |digits| u16::from_str_radix(digits, 16).unwrap_or(0));
        let second = (0xdc00..0xe000).contains(&unit);
        if second != (first && before.is_empty()) || first && !second {
            return false;
        }
        first = (0xd800..0xdc00).contains(&unit);
        rest = from.get(if unit == 0 { 2 } else { 6 }..).unwrap_or_default();
    }
    !first
}

impl Spec<'_> {
    /// crun's rule: any value but "0".
    fn annotated(&self, name: &str) -> bool {
        self.annotations.get(name).is_some_and(|value| value != "0")
    }

    pub fn keeps_groups(&self) -> bool {
        self.annotated(KEEP_GROUPS)
    }

    pub fn fails_on_unknown_calls(&self) -> bool {
        self.annotated(UNKNOWN_CALL)
    }

    /// Whether all calls of the program are recorded, or those that are refused; `None`: none is.
    pub fn watches_all(&self) -> Option<bool> {
        self.annotations.get(WATCH).map(|word| word == "all")
    }

    pub fn context_option(&self) -> &str {
        self.annotations.get(CONTEXT).unwrap_or("context")
    }

    /// Refuses annotations that ask for what cannot be done.
    pub fn check_annotations(&self) -> Checked {
        let at = At::ROOT.key("annotations");
        for (name, instead) in REFUSED {
            if let Some(value) = self.annotations.get(name).filter(|value| !value.is_empty()) {
                return at.key(name).no(format!("`{value}` is not supported: {instead}"));
            }
        }
        if let Some(word) = self.annotations.get(WATCH) {
            one_of_these(&WATCHES)(word, &at.key(WATCH))?;
        }
        let context = self.context_option();
        one_of_these(&CONTEXTS)(context, &at.key(CONTEXT))
    }

    /// Warnings about annotations that are ignored, and about the property that an annotation overrides.
    pub fn annotation_warnings(&self) -> impl Iterator<Item = String> {
        let hooks = ["run.oci.hooks.stdout", "run.oci.hooks.stderr"];
        let hooks = hooks.into_iter().filter(|name| self.annotations.get(name).is_some());
        let hooks = hooks
            .map(|name| format!("/annotations/{name}: is passed over: if a hook fails, the error shows what it wrote"));
        let left = self.keeps_groups() && !self.process.user.additional_gids.is_empty();
        let groups = format!(
            "/process/user/additionalGids: are left out: the annotation {KEEP_GROUPS} keeps the caller's groups"
        );
        hooks.chain(left.then_some(groups))
    }
}
