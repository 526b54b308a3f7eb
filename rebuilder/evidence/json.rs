//! JSON that anyone may have written: bounded in size and depth, UTF-8, and with each key once per object.
//!
//! Two readers of a document with a repeated key may see different values, so that a signed document could say
//! one thing to the verifier and another to whoever acts on it. Such documents are refused.

use std::fmt;

use serde::Deserialize as _;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// Most bytes that a document of evidence may have; the largest known real ones have 200 kB.
pub const SIZE_LIMIT: u64 = 16 << 20;

/// A document that is not acceptable JSON.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum JsonError {
    #[error("it has more than {} MiB", SIZE_LIMIT >> 20)]
    TooLarge,
    #[error("it is not UTF-8 (at byte {0})")]
    NotUtf8(usize),
    #[error("{0}")]
    Malformed(#[from] serde_json::Error),
}

/// Reads one document. Nesting is bounded by the parser, at 128 levels.
pub fn parse(bytes: &[u8]) -> Result<Value, JsonError> {
    if bytes.len() as u64 > SIZE_LIMIT {
        return Err(JsonError::TooLarge);
    }
    let text = std::str::from_utf8(bytes).map_err(|error| JsonError::NotUtf8(error.valid_up_to()))?;
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = Strict::deserialize(&mut deserializer)?.0;
    deserializer.end()?;
    Ok(value)
}

/// A value in which no object repeats a key.
struct Strict(Value);

impl<'de> serde::Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Self)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Strict(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            let Strict(value) = entries.next_value()?;
            if map.contains_key(&key) {
                let message = format!("the key {key:?} stands twice in one object");
                return Err(serde::de::Error::custom(message));
            }
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_two_readers_could_read_differently() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        let table: [(&[u8], &str); 6] = [
            (br#"{"a":1,"a":2}"#, "stands twice"),
            (br#"{"x":{"a":1,"\u0061":2}}"#, "stands twice"),
            (b"{\"a\":\"\xff\"}", "not UTF-8"),
            (b"{} {}", "trailing"),
            (b"{\"a\":", "EOF"),
            (deep.as_bytes(), "recursion limit"),
        ];
        for (bytes, expected) in table {
            let error = parse(bytes).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        let large = vec![b' '; usize::try_from(SIZE_LIMIT).unwrap() + 1];
        assert!(matches!(parse(&large), Err(JsonError::TooLarge)));
    }

    proptest::proptest! {
        #[test]
        fn reads_what_any_reader_reads(numbers in proptest::collection::btree_map("[a-z]{1,4}", -9_i64..9, 0..6)) {
            let value = serde_json::json!({"list": [numbers, null, 1.5, "text", true]});
            proptest::prop_assert_eq!(parse(value.to_string().as_bytes()).unwrap(), value);
        }
    }
}
