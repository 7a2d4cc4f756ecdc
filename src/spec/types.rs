//! The types that a property can have: those of Rust and serde, and a few for the habits of engines. May touch: serde.

use super::schema::{At, Checked, Property, Row};
use alloc::borrow::Cow;
use alloc::collections::BTreeMap;
use core::fmt;
use core::marker::PhantomData;
use core::ops::Deref;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

/// Types that hold no other property, and what a rule sees of them.
macro_rules! leaves {
    ($($type:ty => $leaf:ty),*) => { $(
        impl Property for $type {
            type Leaf = $leaf;

            fn each(&self, at: &At, rule: &dyn Fn(&$leaf, &At) -> Checked) -> Checked {
                rule(self, at)
            }
        }
    )* };
}
pub(super) use leaves;

leaves! {
    bool => bool, u16 => u16, u32 => u32, u64 => u64, i32 => i32, i64 => i64, String => str, Text<'_> => str,
    Ignored => Ignored
}

/// Types that hold others, and the way to each of them.
macro_rules! holders {
    ($($type:ty, $entries:literal: |$all:ident, $at:ident, $visit:ident| $walk:expr;)*) => { $(
        impl<T: Property> Property for $type {
            const NULL: bool = true;
            const ENTRIES: bool = $entries;
            const ROWS: &'static [Row] = T::ROWS;
            type Leaf = T::Leaf;

            fn each(&self, $at: &At, rule: &dyn Fn(&T::Leaf, &At) -> Checked) -> Checked {
                let ($all, $visit) = (self, |value: &T, at: &At| value.each(at, rule));
                $walk
            }

            fn check(&self, $at: &At) -> Checked {
                // A type without rows has no rules inside: a long list of strings is not walked.
                if T::ROWS.is_empty() {
                    return Ok(());
                }
                let ($all, $visit) = (self, T::check);
                $walk
            }
        }
    )* };
}

holders! {
    Option<T>, false: |all, at, visit| all.iter().try_for_each(|value| visit(value, at));
    Vec<T>, true: |all, at, visit| all.iter().enumerate().try_for_each(|(i, value)| visit(value, &at.index(i)));
    BTreeMap<String, T>, true: |all, at, visit| all.iter().try_for_each(|(key, value)| visit(value, &at.key(key)));
    Entries<T>, true: |all, at, visit| all.0.iter().try_for_each(|(key, value)| visit(value, &at.key(key)));
}

/// A string of config.json that is copied only if it has escapes. A profile names hundreds of calls, and an engine lists
/// many mounts: to copy each string would be most of the work of reading them.
#[derive(Deserialize, Default, Clone, PartialEq, Eq, Debug)]
#[serde(transparent)]
pub struct Text<'a>(#[serde(borrow)] pub Cow<'a, str>);

impl Text<'_> {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// One that is not copied stands in our source, or as it is in JSON, which has no such byte (RFC 8259, section 7).
    pub fn may_hold_nul(&self) -> bool {
        matches!(self.0, Cow::Owned(_))
    }
}

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<'a, T: Into<Cow<'a, str>>> From<T> for Text<'a> {
    fn from(text: T) -> Text<'a> {
        Text(text.into())
    }
}

impl PartialEq<str> for Text<'_> {
    fn eq(&self, other: &str) -> bool {
        **self == *other
    }
}

impl PartialEq<&str> for Text<'_> {
    fn eq(&self, other: &&str) -> bool {
        **self == **other
    }
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self)
    }
}

/// A string, for which engines may write null.
#[derive(Deserialize, Default, Debug)]
#[serde(transparent)]
pub struct Word(String);

impl Property for Word {
    const NULL: bool = true;
    type Leaf = str;

    fn each(&self, at: &At, rule: &dyn Fn(&str, &At) -> Checked) -> Checked {
        rule(self, at)
    }
}

impl Deref for Word {
    type Target = String;

    fn deref(&self) -> &String {
        &self.0
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self)
    }
}

/// An object whose entries keep the order of the document.
#[derive(Default, Debug)]
pub struct Entries<T>(pub Vec<(String, T)>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Entries<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Entries<T>, D::Error> {
        deserializer.deserialize_map(Collect(PhantomData))
    }
}

struct Collect<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Collect<T> {
    type Value = Entries<T>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries<T>, A::Error> {
        let mut all = Vec::new();
        while let Some(entry) = map.next_entry()? {
            all.push(entry);
        }
        Ok(Entries(all))
    }
}

/// A value that counts only if another property is set. It is kept unread until then.
#[derive(Deserialize, Default, Debug)]
#[serde(from = "Value", bound = "")]
pub struct Later<T>(pub Value, PhantomData<T>);

impl<T> From<Value> for Later<T> {
    fn from(value: Value) -> Later<T> {
        Later(value, PhantomData)
    }
}

impl<T: Property> Property for Later<T> {
    const ROWS: &'static [Row] = T::ROWS;
    type Leaf = Value;

    fn each(&self, at: &At, rule: &dyn Fn(&Value, &At) -> Checked) -> Checked {
        rule(&self.0, at)
    }
}

/// A property that has no meaning for a container of Linux.
#[derive(Deserialize, Default, PartialEq, Eq, PartialOrd, Debug)]
#[serde(from = "IgnoredAny")]
pub struct Ignored;

impl From<IgnoredAny> for Ignored {
    fn from(_: IgnoredAny) -> Ignored {
        Ignored
    }
}

/// A property that is refused if it asks for anything. For what they leave as it is, engines write 0, a negative number,
/// false, or an empty value: none of them is greater than the default.
#[derive(Deserialize, Default, Debug)]
#[serde(transparent)]
pub struct Refused<T>(T);

impl<T: Default + PartialOrd> Property for Refused<T> {
    const NULL: bool = true;
    type Leaf = T;

    fn each(&self, at: &At, rule: &dyn Fn(&T, &At) -> Checked) -> Checked {
        rule(&self.0, at)
    }

    fn refuse(&self, at: &At, reason: &str) -> Checked {
        at.refuse(self.0 > T::default(), || format!("is {reason}"))
    }
}
