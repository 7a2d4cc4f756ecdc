//! How the schema of config.json is written, a row a property:
//!
//!     schema! {
//!         /// A limit of setrlimit(2).
//!         Rlimit, then limits_fit {
//!             "type" kind: String => one_of(&RLIMITS);
//!             "hard" hard: u64;
//!             "soft" soft: u64;
//!         }
//!     }
//!
//! A row has the key in config.json, the field, its type, the rule for each value after `=>`, and the reason after
//! `refused` if the property does not work. `then` names the rule between several properties of an object. From these
//! rows come the struct that serde fills, its checks, and the table of `features --table`. May touch: serde.

pub use crate::outcome::Problem;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;
use core::ops::Deref;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
pub use serde_json::Value;

pub type Checked = Result<(), Problem>;

/// The place of a value: keys and indices up to the root. It becomes a pointer only for a problem.
#[derive(Clone, Copy)]
pub struct At<'a> {
    above: Option<&'a At<'a>>,
    part: Part<'a>,
}

#[derive(Clone, Copy)]
enum Part<'a> {
    Root,
    Key(&'a str),
    Index(usize),
}

impl At<'_> {
    pub const ROOT: At<'static> = At { above: None, part: Part::Root };

    pub fn key<'b>(&'b self, key: &'b str) -> At<'b> {
        At { above: Some(self), part: Part::Key(key) }
    }

    pub fn index(&self, index: usize) -> At<'_> {
        At { above: Some(self), part: Part::Index(index) }
    }

    pub fn pointer(&self) -> String {
        let above = self.above.map_or(String::new(), At::pointer);
        match self.part {
            Part::Root => above,
            Part::Key(key) => format!("{above}/{}", escaped(key)),
            Part::Index(index) => format!("{above}/{index}"),
        }
    }

    /// The problem of this value.
    pub fn no<T>(&self, problem: impl Into<String>) -> Result<T, Problem> {
        Err(Problem { pointer: self.pointer(), problem: problem.into() })
    }
}

/// A key as a JSON pointer has it (RFC 6901).
pub fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// A property, for the table.
pub struct Row {
    pub key: &'static str,
    /// The properties of its object, or of the objects in its list or map.
    pub inner: &'static [Row],
    /// It is a list or a map: `*` stands for an entry.
    pub entries: bool,
    /// Why it is refused; empty: it works.
    pub refused: &'static str,
}

impl Row {
    pub const fn of<T: Property>(key: &'static str) -> Row {
        Row { key, inner: T::ROWS, entries: T::ENTRIES, refused: "" }
    }
}

/// The type of a property.
pub trait Property {
    /// Engines write null for an empty list or object: it is the same as an absent one.
    const NULL: bool = false;
    const ENTRIES: bool = false;
    const ROWS: &'static [Row] = &[];

    /// What a rule looks at: the value itself, or each one in a list.
    type Leaf: ?Sized;
    fn each(&self, at: &At, rule: &dyn Fn(&Self::Leaf, &At) -> Checked) -> Checked;

    /// Checks what the rows inside say.
    fn check(&self, _at: &At) -> Checked {
        Ok(())
    }

    /// For a row with a reason.
    fn refuse(&self, _at: &At, _reason: &str) -> Checked {
        Ok(())
    }
}

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

leaves! { bool => bool, u16 => u16, u32 => u32, u64 => u64, i32 => i32, i64 => i64, String => str }

/// Types that hold others: the way to each of them.
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

/// An object whose entries keep the order of the document.
#[derive(Debug)]
pub struct Entries<T>(pub Vec<(String, T)>);

impl<T> Default for Entries<T> {
    fn default() -> Entries<T> {
        Entries(Vec::new())
    }
}

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

/// A value that counts only beside another: it is kept as it stands, and read when it counts.
#[derive(Debug)]
pub struct Later<T>(pub Value, PhantomData<T>);

impl<T> Default for Later<T> {
    fn default() -> Later<T> {
        Later(Value::Null, PhantomData)
    }
}

impl<T: Property> Property for Later<T> {
    const ROWS: &'static [Row] = T::ROWS;
    type Leaf = Value;

    fn each(&self, at: &At, rule: &dyn Fn(&Value, &At) -> Checked) -> Checked {
        rule(&self.0, at)
    }
}

impl<'de, T> Deserialize<'de> for Later<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Later<T>, D::Error> {
        Ok(Later(Value::deserialize(deserializer)?, PhantomData))
    }
}

/// A property that has no meaning for a container of Linux.
#[derive(Default, Debug)]
pub struct Ignored;

leaves! { Ignored => Ignored }

impl<'de> Deserialize<'de> for Ignored {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Ignored, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Ignored)
    }
}

/// A property that is refused if it asks for anything.
#[derive(Default, Debug)]
pub struct Refused(bool);

impl<'de> Deserialize<'de> for Refused {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Refused, D::Error> {
        Value::deserialize(deserializer).map(|value| Refused(asks(&value)))
    }
}

impl Property for Refused {
    type Leaf = Refused;

    fn each(&self, at: &At, rule: &dyn Fn(&Refused, &At) -> Checked) -> Checked {
        rule(self, at)
    }

    fn refuse(&self, at: &At, reason: &str) -> Checked {
        if self.0 { at.no(format!("is {reason}")) } else { Ok(()) }
    }
}

/// Null, false, numbers up to 0, and what is empty ask for nothing. Engines write them for what they leave as it is.
fn asks(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(yes) => *yes,
        Value::Number(number) => number.as_i64().is_none_or(|number| number > 0),
        Value::String(text) => !text.is_empty(),
        Value::Array(list) => list.iter().any(asks),
        Value::Object(map) => map.values().any(asks),
    }
}

/// A string for which engines write null as well.
#[derive(serde::Deserialize, Default, Debug)]
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

/// Reads the value of a property.
pub fn value<'de, D: Deserializer<'de>, T: Property + Deserialize<'de> + Default>(from: D) -> Result<T, D::Error> {
    match T::NULL {
        true => Ok(Option::deserialize(from)?.unwrap_or_default()),
        false => T::deserialize(from),
    }
}

/// The reason of a row, if it has one.
pub const fn reason(given: &[&'static str]) -> &'static str {
    match given {
        [reason] => reason,
        _ => "",
    }
}

/// The rows of objects, as the head of this file describes them.
macro_rules! schema {
    ($(
        $(#[$about:meta])*
        $name:ident $(<$life:lifetime>)? $(, then $together:path)? {
            $(
                $(#[$note:meta])*
                $key:literal $field:ident: $type:ty $(, refused $reason:expr)? $(=> $rule:expr)?;
            )*
        }
    )*) => { $(
        $(#[$about])*
        #[derive(serde::Deserialize, Default, Debug)]
        #[serde(default)]
        pub struct $name $(<$life>)? {
            $(
                $(#[$note])*
                #[serde(rename = $key, deserialize_with = "crate::spec::schema::value")]
                pub $field: $type,
            )*
        }

        const _: () = {
            use crate::spec::schema::{At, Checked, Property, Row, reason};

            impl $(<$life>)? Property for $name $(<$life>)? {
                const NULL: bool = true;
                const ROWS: &'static [Row] = &[$(Row { refused: reason(&[$($reason)?]), ..Row::of::<$type>($key) }),*];
                type Leaf = Self;

                fn each(&self, at: &At, rule: &dyn Fn(&Self, &At) -> Checked) -> Checked {
                    rule(self, at)
                }

                fn check(&self, at: &At) -> Checked {
                    $(
                        let place = at.key($key);
                        self.$field.check(&place)?;
                        $(self.$field.each(&place, &$rule)?;)?
                        $(self.$field.refuse(&place, $reason)?;)?
                    )*
                    $($together(self, at)?;)?
                    Ok(())
                }
            }
        };
    )* };
}
pub(super) use schema;

/// All properties below some rows, in their order: the pointer, and why it is refused.
pub fn table(rows: &'static [Row], above: &str, all: &mut Vec<(String, &'static str)>) {
    for row in rows {
        let pointer = format!("{above}/{}", row.key);
        let inside = if row.entries { format!("{pointer}/*") } else { pointer.clone() };
        all.push((pointer, row.refused));
        table(row.inner, &inside, all);
    }
}
