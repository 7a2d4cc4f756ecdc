//! How the schema of config.json is written, a row a property:
//!
//!     schema! {
//!         /// A limit of setrlimit(2).
//!         Rlimit, then limits_fit {
//!             "type" kind: String => one_of(&RLIMITS, "is no resource limit of Linux");
//!             "hard" hard: u64;
//!             "soft" soft: u64;
//!         }
//!     }
//!
//! A row has the key in config.json, the field of the struct, and its type. `most` gives the length that a list may have,
//! `refused` the reason why the property does not work, `=>` the rule for each value. `then` names the rule between several
//! properties of the object. The rows become a struct, its reading with serde, its checks, and the lines of `features
//! --table`.
//! May touch: serde.

pub use crate::outcome::Problem;
use alloc::borrow::Cow;
use core::fmt;
use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, Visitor};

pub type Checked = Result<(), Problem>;

/// The place of a value: its key or index, and the place above it. Only a problem writes it out as a pointer.
#[derive(Clone, Copy)]
pub struct At<'a> {
    above: Option<&'a At<'a>>,
    part: Part<'a>,
    /// No string of the document has an escape, so none has a control character (RFC 8259, section 7).
    plain: bool,
}

#[derive(Clone, Copy)]
enum Part<'a> {
    Root,
    Key(&'a str),
    Index(usize),
}

impl At<'_> {
    pub const ROOT: At<'static> = At { above: None, part: Part::Root, plain: false };

    /// The root of a document.
    pub fn root_of(text: &str) -> At<'static> {
        At { plain: !text.as_bytes().contains(&b'\\'), ..At::ROOT }
    }

    pub fn key<'b>(&'b self, key: &'b str) -> At<'b> {
        At { above: Some(self), part: Part::Key(key), ..*self }
    }

    pub fn index(&self, index: usize) -> At<'_> {
        At { above: Some(self), part: Part::Index(index), ..*self }
    }

    /// Refuses a string with a NUL byte. Ten thousand variables are not searched where none can have one.
    pub fn without_nul(&self, text: &str) -> Checked {
        self.refuse(!self.plain && text.contains('\0'), || "holds a NUL byte")
    }

    pub fn pointer(&self) -> String {
        let above = self.above.map_or(String::new(), At::pointer);
        match self.part {
            Part::Root => above,
            Part::Key(key) => format!("{above}/{}", escaped(key)),
            Part::Index(index) => format!("{above}/{index}"),
        }
    }

    /// Refuses the value if it is wrong.
    pub fn refuse<P: Into<String>>(&self, wrong: bool, problem: impl FnOnce() -> P) -> Checked {
        if wrong { self.no(problem()) } else { Ok(()) }
    }

    /// Refuses a list that is too long.
    pub fn at_most(&self, most: usize, len: usize) -> Checked {
        self.refuse(len > most, || format!("has {len} entries: at most {most} are taken"))
    }

    /// Refuses the value.
    pub fn no<T>(&self, problem: impl Into<String>) -> Result<T, Problem> {
        Err(Problem { pointer: self.pointer(), problem: problem.into() })
    }
}

/// A key as a JSON pointer has it (RFC 6901).
pub fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// A property, as the table has it.
pub struct Row {
    pub key: &'static str,
    /// The properties of its object, or of each object in its list or map.
    pub inner: &'static [Row],
    /// It is a list or a map: `*` in a pointer stands for an entry.
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
    /// Null is the same as absent. Go writes null for an empty list or object.
    const NULL: bool = false;
    const ENTRIES: bool = false;
    const ROWS: &'static [Row] = &[];

    /// What a rule looks at: the value, or each value in a list or map.
    type Leaf: ?Sized;
    fn each(&self, at: &At, rule: &dyn Fn(&Self::Leaf, &At) -> Checked) -> Checked;

    /// Checks the rules of the rows inside.
    fn check(&self, _at: &At) -> Checked {
        Ok(())
    }

    /// Refuses the value for the reason of its row, if it asks for anything.
    fn refuse(&self, _at: &At, _reason: &str) -> Checked {
        Ok(())
    }
}

/// A struct of the schema, as it is read: only from an object, each key once.
pub trait Object<'de>: Default {
    /// Reads the value of a key into its field.
    fn take<A: MapAccess<'de>>(&mut self, key: &str, map: &mut A, seen: &mut Seen) -> Result<(), A::Error>;
}

/// The keys that were read: a bit for each row.
pub type Seen = u64;

/// A key that is copied only if it has escapes.
#[derive(serde::Deserialize)]
#[serde(transparent)]
pub struct Key<'a>(#[serde(borrow)] pub Cow<'a, str>);

struct Fields<'a, T>(&'a mut T);

impl<'de, T: Object<'de>> Visitor<'de> for Fields<'_, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut seen = 0;
        while let Some(Key(key)) = map.next_key()? {
            self.0.take(&key, &mut map, &mut seen)?;
        }
        Ok(())
    }
}

/// Reads an object into one that has its defaults. Large ones are never moved.
pub fn fill<'de, T: Object<'de>, D: Deserializer<'de>>(object: &mut T, from: D) -> Result<(), D::Error> {
    from.deserialize_map(Fields(object))
}

/// Reads the value of a key into its field. `row`: the number of its row.
pub fn value<'de, A: MapAccess<'de>, T>(
    field: &mut T,
    map: &mut A,
    (key, row): (&'static str, u8),
    seen: &mut Seen,
) -> Result<(), A::Error>
where
    T: Property + Deserialize<'de>,
{
    if *seen & 1 << row != 0 {
        return Err(Error::duplicate_field(key));
    }
    *seen |= 1 << row;
    map.next_value_seed(Field(field))
}

/// A field to read into. Where null is the same as absent, it stays as it is then.
struct Field<'a, T>(&'a mut T);

impl<'de, T: Property + Deserialize<'de>> DeserializeSeed<'de> for Field<'_, T> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        match T::NULL {
            true => from.deserialize_option(self),
            false => T::deserialize_in_place(from, self.0),
        }
    }
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for Field<'_, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a value or null")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_none<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_some<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        T::deserialize_in_place(from, self.0)
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
                $key:literal $field:ident: $type:ty $(, most $most:expr)? $(, refused $reason:expr)? $(=> $rule:expr)?;
            )*
        }
    )*) => { $(
        $(#[$about])*
        #[derive(Default, Debug)]
        pub struct $name $(<$life>)? {
            $($(#[$note])* pub $field: $type,)*
        }

        const _: () = {
            use crate::spec::schema::{At, Checked, Object, Property, Row, Seen, fill, reason, value};
            use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess};

            /// The numbers of the rows.
            #[allow(non_camel_case_types)]
            enum Number { $($field),* }
            const _: () = assert!([$(Number::$field as u8),*].len() <= Seen::BITS as usize);

            impl<'de $(: $life, $life)?> Object<'de> for $name $(<$life>)? {
                fn take<A: MapAccess<'de>>(&mut self, key: &str, map: &mut A, seen: &mut Seen) -> Result<(), A::Error> {
                    match key {
                        $($key => value(&mut self.$field, map, ($key, Number::$field as u8), seen),)*
                        _ => map.next_value::<IgnoredAny>().map(drop),
                    }
                }
            }

            impl<'de $(: $life, $life)?> Deserialize<'de> for $name $(<$life>)? {
                fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                    let mut object = Self::default();
                    fill(&mut object, from).map(|()| object)
                }

                fn deserialize_in_place<D: Deserializer<'de>>(from: D, place: &mut Self) -> Result<(), D::Error> {
                    fill(place, from)
                }
            }

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
                        $(place.at_most($most, self.$field.len())?;)?
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
