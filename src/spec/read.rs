//! Reads documents with serde, strictly: no list passes for an object (serde's derived code would take its entries as
//! fields), and an error names the place of the value. May touch: serde.

use super::schema::{Problem, escaped};
use super::types::Text;
use alloc::borrow::Cow;
use core::cell::RefCell;
use core::fmt;
use core::str::Utf8Error;
use serde::Deserialize;
use serde::de::value::{BorrowedStrDeserializer, StrDeserializer};
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::de::StrRead;

/// Reads a whole document.
pub fn read<'de, T: Deserialize<'de>>(text: &'de str) -> Result<T, Problem> {
    whole(text, |json| T::deserialize(json))
}

/// The same for one that is large: it is never moved.
pub fn read_in_place<'de, T: Deserialize<'de> + Default>(text: &'de str) -> Result<Box<T>, Problem> {
    whole(text, |json| {
        let mut document = empty::<T>();
        T::deserialize_in_place(json, &mut document).map(|()| document)
    })
}

#[inline(never)] // made on the stack and moved: the reading after it does not need that stack
fn empty<T: Default>() -> Box<T> {
    Box::default()
}

type Json<'p, 'j, 'de> = Strict<'p, 'de, &'j mut serde_json::Deserializer<StrRead<'de>>>;

/// The places of its values are kept only if it is wrong: then it is read again.
fn whole<'de, T>(text: &'de str, take: impl Fn(Json<'_, '_, 'de>) -> serde_json::Result<T>) -> Result<T, Problem> {
    let mut place = Place::default();
    loop {
        let mut json = serde_json::Deserializer::from_str(text);
        let document = take(Strict { inner: &mut json, place: &place });
        match document.and_then(|document| json.end().map(|()| document)) {
            Ok(document) => return Ok(document),
            Err(error) if place.kept => return Err(problem(&error, &place)),
            Err(_) => place.kept = true,
        }
    }
}

/// A key or an index.
enum Part<'de> {
    Key(Cow<'de, str>),
    Index(usize),
}

/// The path from the document's root to the value that is being read: after an error, the wrong value.
#[derive(Default)]
struct Place<'de> {
    kept: bool,
    parts: RefCell<Vec<Part<'de>>>,
}

impl<'de> Place<'de> {
    fn within<T, E>(&self, part: Part<'de>, read: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        if !self.kept {
            return read();
        }
        self.parts.borrow_mut().push(part);
        let done = read()?;
        self.parts.borrow_mut().pop();
        Ok(done)
    }

    fn pointer(&self) -> String {
        let mut pointer = String::new();
        for part in self.parts.borrow().iter() {
            match part {
                Part::Key(key) => pointer.push_str(&format!("/{}", escaped(key))),
                Part::Index(i) => pointer.push_str(&format!("/{i}")),
            }
        }
        pointer
    }
}

/// JSON is UTF-8, and this text is not.
pub fn no_text(text: &[u8], error: &Utf8Error) -> Problem {
    let good = text.get(..error.valid_up_to()).unwrap_or_default();
    let line = 1 + good.iter().filter(|byte| **byte == b'\n').count();
    let column = 1 + good.iter().rev().take_while(|byte| **byte != b'\n').count();
    Problem { pointer: String::new(), problem: format!("line {line} column {column}: is not UTF-8") }
}

/// Puts an error of serde into words about the value.
fn problem(error: &serde_json::Error, place: &Place) -> Problem {
    let sentence = error.to_string();
    let (sentence, _) = sentence.rsplit_once(" at line ").unwrap_or((&sentence, ""));
    let mut pointer = place.pointer();
    for (words, problem) in [("duplicate field `", "is there twice"), ("missing field `", "is missing")] {
        if let Some(key) = sentence.strip_prefix(words) {
            pointer.push_str(&format!("/{}", escaped(key.trim_end_matches('`'))));
            return Problem { pointer, problem: problem.into() };
        }
    }
    let told = sentence
        .strip_prefix("invalid type: ")
        .or(sentence.strip_prefix("invalid value: "))
        .and_then(|told| told.rsplit_once(", expected "));
    match told {
        Some((is, expected)) => Problem { pointer, problem: misfit(is, expected) },
        None => Problem {
            pointer: String::new(),
            problem: format!("line {} column {}: {sentence}", error.line(), error.column()),
        },
    }
}

/// Says what a value is and what it must be, out of serde's descriptions of both.
fn misfit(is: &str, expected: &str) -> String {
    let range = match expected {
        "u16" => Some((0, u64::from(u16::MAX))),
        "u32" => Some((0, u64::from(u32::MAX))),
        "u64" => Some((0, u64::MAX)),
        "i32" => Some((i64::from(i32::MIN), i32::MAX as u64)),
        "i64" => Some((i64::MIN, i64::MAX as u64)),
        _ => None,
    };
    let must = match expected {
        _ if range.is_some() => "a number",
        "a string" => "a string",
        "a boolean" => "true or false",
        "a sequence" => "a list",
        _ => "an object",
    };
    let number = is.strip_prefix("integer `").map(|n| n.trim_end_matches('`'));
    if let Some((from, to)) = range
        && (number.is_some() || is.starts_with("floating point"))
    {
        let shown = match number {
            Some(number) => format!("is {number}"),
            None => "is no whole number, or too large a one".into(),
        };
        return format!("{shown}, must be a whole number from {from} to {to}");
    }
    let kinds = [
        ("null", "null"),
        ("boolean", "true or false"),
        ("integer", "a number"),
        ("floating point", "a number"),
        ("string", "a string"),
        ("sequence", "a list"),
    ];
    let kind = kinds.iter().find(|(word, _)| is.starts_with(word));
    let kind = kind.map_or("an object", |(_, kind)| kind);
    format!("is {kind}, must be {must}")
}

/// A deserializer, visitor or seed of serde that keeps the place.
struct Strict<'p, 'de, X> {
    inner: X,
    place: &'p Place<'de>,
}

macro_rules! pass {
    ($($name:ident)*) => { $(
        fn $name<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
            self.inner.$name(Strict { inner: visitor, place: self.place })
        }
    )* };
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Strict<'_, 'de, D> {
    type Error = D::Error;

    pass! { deserialize_any deserialize_map deserialize_option deserialize_ignored_any }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf unit unit_struct newtype_struct seq
        tuple tuple_struct enum identifier
    }

    /// serde_json would take a list as well.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.deserialize_map(visitor)
    }
}

macro_rules! plain {
    ($($name:ident: $type:ty),*) => { $(
        fn $name<E: de::Error>(self, value: $type) -> Result<V::Value, E> {
            self.inner.$name(value)
        }
    )* };
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Strict<'_, 'de, V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        self.inner.expecting(f)
    }

    plain! {
        visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64, visit_str: &str,
        visit_borrowed_str: &'de str, visit_string: String
    }

    fn visit_unit<E: de::Error>(self) -> Result<V::Value, E> {
        self.inner.visit_unit()
    }

    fn visit_none<E: de::Error>(self) -> Result<V::Value, E> {
        self.inner.visit_none()
    }

    fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
        let place = self.place;
        self.inner.visit_some(Strict { inner, place })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        self.inner.visit_seq(Entries { inner, place: self.place, next: 0 })
    }

    fn visit_map<A: MapAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        self.inner.visit_map(Keys { inner, place: self.place, key: Cow::Borrowed("") })
    }
}

impl<'de, T: DeserializeSeed<'de>> DeserializeSeed<'de> for Strict<'_, 'de, T> {
    type Value = T::Value;

    fn deserialize<D: Deserializer<'de>>(self, inner: D) -> Result<T::Value, D::Error> {
        let place = self.place;
        self.inner.deserialize(Strict { inner, place })
    }
}

/// The entries of a list.
struct Entries<'p, 'de, A> {
    inner: A,
    place: &'p Place<'de>,
    next: usize,
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Entries<'_, 'de, A> {
    type Error = A::Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, A::Error> {
        let (inner, place) = (&mut self.inner, self.place);
        self.next += 1;
        place.within(Part::Index(self.next - 1), || inner.next_element_seed(Strict { inner: seed, place }))
    }
}

/// The keys of an object.
struct Keys<'p, 'de, A> {
    inner: A,
    place: &'p Place<'de>,
    key: Cow<'de, str>,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Keys<'_, 'de, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        let Some(Text(key)) = self.inner.next_key()? else {
            return Ok(None);
        };
        self.key = key;
        match &self.key {
            Cow::Borrowed(key) => seed.deserialize(BorrowedStrDeserializer::new(key)),
            Cow::Owned(key) => seed.deserialize(StrDeserializer::new(key)),
        }
        .map(Some)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, A::Error> {
        let (inner, place) = (&mut self.inner, self.place);
        let key = core::mem::take(&mut self.key);
        place.within(Part::Key(key), || inner.next_value_seed(Strict { inner: seed, place }))
    }
}
