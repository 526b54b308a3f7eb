//! JSON from an untrusted author: limited in size and depth, UTF-8, and with unique keys in each object.
//!
//! Two readers of a document with a repeated key may see different values, so a signed document could say one thing to
//! the verifier and another to the program that acts on it. Such documents are refused. For evidence, two spellings of
//! one name are refused as well, because many readers accept either of them.
//! holds of two spellings of one name, because many readers take either of them.

use std::collections::HashMap;
use std::fmt;

use serde::Deserialize as _;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// Maximum number of bytes of a document of evidence; the largest known real ones have 200 kB.
pub const SIZE_LIMIT: u64 = 16 << 20;

/// A document that is not acceptable JSON.
#[derive(Debug, thiserror::Error)]
pub enum JsonError {
    #[error("it is larger than {} MiB", SIZE_LIMIT >> 20)]
    TooLarge,
    #[error("it is not UTF-8 (at byte {0})")]
    NotUtf8(usize),
    #[error(
        "some readers treat {1:?} as {0:?}, so an object may not contain both, or one in the spelling of \
        the other"
    )]
    Spellings(String, String),
    #[error("{0}")]
    Malformed(#[from] serde_json::Error),
}

/// Reads one document. The parser limits nesting to 128 levels.
pub fn parse(bytes: &[u8]) -> Result<Value, JsonError> {
    if bytes.len() as u64 > SIZE_LIMIT {
        return Err(JsonError::TooLarge);
    }
    parse_own(bytes)
}

/// Does the same for a document of this program, whose size the caller has limited.
pub(crate) fn parse_own(bytes: &[u8]) -> Result<Value, JsonError> {
    let text = std::str::from_utf8(bytes).map_err(|error| JsonError::NotUtf8(error.valid_up_to()))?;
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = Strict::deserialize(&mut deserializer)?.0;
    deserializer.end()?;
    Ok(value)
}

/// Reads one document of evidence as [`parse`] does, but refuses objects that have a name in two spellings.
///
/// Go's readers ignore the case of any name, and readers of protocol buffers take `dsse_envelope` for `dsseEnvelope`.
pub fn parse_evidence(bytes: &[u8]) -> Result<Value, JsonError> {
    let value = parse(bytes)?;
    spelled_once(&value)?;
    Ok(value)
}

/// The value at a path of names; null if there is none, whatever form the document has.
pub(crate) fn member<'a, const DEPTH: usize>(value: &'a Value, path: [&str; DEPTH]) -> &'a Value {
    path.into_iter()
        .fold(value, |value, name| value.get(name).unwrap_or(&Value::Null))
}

/// Adds a member to an object that this program makes.
pub(crate) fn put(object: &mut Value, name: &str, value: Value) {
    if let Value::Object(members) = object {
        members.insert(name.to_owned(), value);
    }
}

/// The names that readers of evidence look for, in the spelling of [`folded`].
const NAMES: [&str; 62] = [
    "annotations",
    "attestationbundles",
    "attestations",
    "body",
    "builddefinition",
    "builder",
    "buildtype",
    "bundle",
    "byproducts",
    "canonicalizedbody",
    "certificate",
    "configsource",
    "configuration",
    "digest",
    "dsseenvelope",
    "entrypoint",
    "envelope",
    "environment",
    "externalparameters",
    "gitcommit",
    "hint",
    "id",
    "internalparameters",
    "invocation",
    "invocationid",
    "keyid",
    "materials",
    "mediatype",
    "messagedigest",
    "messagesignature",
    "metadata",
    "name",
    "outputs",
    "parameters",
    "payload",
    "payloadtype",
    "plan",
    "predicate",
    "predicatetype",
    "products",
    "publickey",
    "purl",
    "rawbytes",
    "resolveddependencies",
    "result",
    "rundetails",
    "sha1",
    "sha256",
    "sha384",
    "sha512",
    "sig",
    "signature",
    "signatures",
    "signed",
    "statement",
    "subject",
    "timestampverificationdata",
    "tlogentries",
    "transparencyentries",
    "uri",
    "verificationmaterial",
    "x509certificatechain",
];

/// A name without what readers ignore: case, and the separators of words.
pub(super) fn folded(name: &str) -> String {
    let mut folded = case_folded(name);
    folded.retain(|c| !matches!(c, '_' | '-'));
    folded
}

/// A text without case, as Go's `encoding/json` compares names: "s" also matches "\u{17f}", and "k" matches
/// "\u{212a}".
///
/// Lower case, upper case and lower case again joins everything that Unicode's simple folding joins, and a little more
/// ("ss" and "\u{df}"), which only refuses names that nobody uses.
pub(super) fn case_folded(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    text.chars()
        .flat_map(char::to_lowercase)
        .flat_map(char::to_uppercase)
        .flat_map(char::to_lowercase)
        .collect()
}

/// Refuses an object in which two names are the same to other readers: by case, or, for names that evidence uses, by
/// the separators of words. A known name with letters that only some readers take for its own is refused even alone.
fn spelled_once(value: &Value) -> Result<(), JsonError> {
    match value {
        Value::Array(items) => items.iter().try_for_each(spelled_once),
        Value::Object(members) => {
            let mut seen: HashMap<String, &str> = HashMap::with_capacity(members.len());
            for (name, value) in members {
                spelled_once(value)?;
                let plain = folded(name);
                let is_known = NAMES.binary_search(&plain.as_str()).is_ok();
                if is_known && !name.is_ascii() {
                    return Err(JsonError::Spellings(plain, name.clone()));
                }
                let folded = if is_known { plain } else { case_folded(name) };
                if let Some(other) = seen.insert(folded, name) {
                    return Err(JsonError::Spellings(other.to_owned(), name.clone()));
                }
            }
            Ok(())
        }
        _ => Ok(()),
    }
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
                let message = format!("the key {key:?} occurs twice in one object");
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
            (br#"{"a":1,"a":2}"#, "occurs twice"),
            (br#"{"x":{"a":1,"\u0061":2}}"#, "occurs twice"),
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

    #[test]
    fn refuses_two_spellings_of_one_name() {
        assert!(NAMES.is_sorted(), "they are searched by halves");
        for (text, expected) in [
            (r#"{"payload":1,"Payload":2}"#, false),
            (r#"{"dsseEnvelope":1,"dsse_envelope":2}"#, false),
            (r#"[{"a":{"subject":1,"SUBJECT":2}}]"#, false),
            (r#"{"digest":{"sha256":"a","SHA-256":"b"}}"#, false),
            (r#"{"predicateType":1,"predicate_\u0074ype":2}"#, false),
            // Go folds these two, although only the first looks like the name.
            (r#"{"subject":1,"\u017fubject":2}"#, false),
            ("{\"\u{17f}ubject\":1}", false),
            ("{\"digest\":{\"sha256\":1,\"\u{17f}ha256\":2}}", false),
            ("{\"digest\":1,\"dige\u{17f}t\":2}", false),
            ("{\"key\":1,\"\u{212a}ey\":2}", false),
            // Names that the author chose count too.
            (r#"{"workflow":{"repository":1,"Repository":2}}"#, false),
            (r#"{"path":1,"PATH":2}"#, false),
            ("{\"\u{3c3}\":1,\"\u{3c2}\":2}", false),
            ("{\"\u{df}\":1,\"\u{1e9e}\":2}", false),
            (r#"{"a_b":1,"ab":2}"#, true),
            ("{\"stra\u{df}e\":1,\"strand\":2}", true),
            (r#"{"payload":1,"payloadType":2}"#, true),
        ] {
            assert_eq!(parse_evidence(text.as_bytes()).is_ok(), expected, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn reads_what_any_reader_reads(numbers in proptest::collection::btree_map("[a-z]{1,4}", -9_i64..9, 0..6)) {
            let value = serde_json::json!({"list": [numbers, null, 1.5, "text", true]});
            proptest::prop_assert_eq!(parse(value.to_string().as_bytes()).unwrap(), value);
        }
    }
}
