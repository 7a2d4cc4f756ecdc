//! A property that the specification knows and this runtime does not yet: its value is read only as far as to tell
//! whether it asks for anything. May touch: serde.

use alloc::format;
use alloc::string::String;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// Where below the property something is asked for: a JSON pointer's tail, empty for the property itself.
/// `None`: nothing; null, false, 0, and what is empty ask for nothing.
#[derive(Default, Debug)]
pub struct Unbuilt(pub Option<String>);

impl<'de> Deserialize<'de> for Unbuilt {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Unbuilt, D::Error> {
        deserializer.deserialize_any(Look)
    }
}

struct Look;

fn if_so<E>(asks: bool) -> Result<Unbuilt, E> {
    Ok(Unbuilt(asks.then(String::new)))
}

impl<'de> Visitor<'de> for Look {
    type Value = Unbuilt;

    fn expecting(&self, f: &mut core::fmt::Formatter) -> core::fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<Unbuilt, E> {
        if_so(false)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Unbuilt, E> {
        if_so(value)
    }

    fn visit_i64<E>(self, value: i64) -> Result<Unbuilt, E> {
        if_so(value != 0)
    }

    fn visit_u64<E>(self, value: u64) -> Result<Unbuilt, E> {
        if_so(value != 0)
    }

    fn visit_f64<E>(self, value: f64) -> Result<Unbuilt, E> {
        if_so(value != 0.0)
    }

    fn visit_str<E>(self, value: &str) -> Result<Unbuilt, E> {
        if_so(!value.is_empty())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Unbuilt, A::Error> {
        let (mut found, mut i) = (None, 0);
        while let Some(Unbuilt(inner)) = seq.next_element()? {
            found = found.or(inner.map(|tail| format!("/{i}{tail}")));
            i += 1;
        }
        Ok(Unbuilt(found))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Unbuilt, A::Error> {
        let mut found = None;
        while let Some((key, Unbuilt(inner))) = map.next_entry::<String, Unbuilt>()? {
            let key = key.replace('~', "~0").replace('/', "~1");
            found = found.or(inner.map(|tail| format!("/{key}{tail}")));
        }
        Ok(Unbuilt(found))
    }
}
