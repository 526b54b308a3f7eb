//! JSON: values by pointer (RFC 6901), so that a changed value is told from another order or another layout.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use super::Leaf;
use crate::compare::cause::{Cause, Confidence};
use crate::compare::explain::{Context, explain};
use crate::compare::finding::Finding;
use crate::compare::normalise::Normalisation;

const LARGEST: usize = 8 << 20;
const DEEPEST: u32 = 64;

/// None where either side is not JSON.
pub(super) fn compare(name: &str, released: &[u8], rebuilt: &[u8]) -> Option<Leaf> {
    let looks = |text: &[u8]| {
        let first = text.iter().find(|byte| !byte.is_ascii_whitespace());
        matches!(first, Some(b'{' | b'['))
    };
    if released.len().max(rebuilt.len()) > LARGEST || !looks(released) || !looks(rebuilt) {
        return None;
    }
    let old: Value = serde_json::from_slice(released).ok()?;
    let new: Value = serde_json::from_slice(rebuilt).ok()?;
    if repeated(released) || repeated(rebuilt) {
        return None;
    }
    let mut leaf = Leaf::of("JSON");
    if old == new {
        let (a, b) = (without_space(released), without_space(rebuilt));
        let (cause, key) = if a.len() == b.len() && a != b {
            (Cause::Order, "keys of JSON objects")
        } else {
            (Cause::ToolVersion, "layout of JSON")
        };
        leaf.add(
            Finding::new("the document", "same values", "same values")
                .because(cause, Confidence::Proven)
                .keyed(key),
        );
    } else {
        differ(&mut leaf, name, "", &old, &new, DEEPEST);
    }
    leaf.excerpts.extend(super::text::excerpt(released, rebuilt));
    Some(leaf)
}

/// The text without white space: what is left of layout is order.
fn without_space(text: &[u8]) -> Vec<u8> {
    text.iter()
        .copied()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect()
}

/// Whether some object has a name twice, of which a parsed value would keep one.
fn repeated(text: &[u8]) -> bool {
    struct Strict;
    impl<'de> serde::de::Visitor<'de> for Strict {
        type Value = ();
        fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
            f.write_str("JSON without repeated names")
        }
        fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
            let mut seen = std::collections::HashSet::new();
            while let Some(key) = map.next_key::<String>()? {
                if !seen.insert(key) {
                    return Err(serde::de::Error::custom("repeated"));
                }
                map.next_value::<Check>()?;
            }
            Ok(())
        }
        fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
            while seq.next_element::<Check>()?.is_some() {}
            Ok(())
        }
        fn visit_bool<E>(self, _: bool) -> Result<(), E> {
            Ok(())
        }
        fn visit_i64<E>(self, _: i64) -> Result<(), E> {
            Ok(())
        }
        fn visit_u64<E>(self, _: u64) -> Result<(), E> {
            Ok(())
        }
        fn visit_f64<E>(self, _: f64) -> Result<(), E> {
            Ok(())
        }
        fn visit_str<E>(self, _: &str) -> Result<(), E> {
            Ok(())
        }
        fn visit_unit<E>(self) -> Result<(), E> {
            Ok(())
        }
    }
    struct Check;
    impl<'de> serde::Deserialize<'de> for Check {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            deserializer.deserialize_any(Strict).map(|()| Self)
        }
    }
    serde_json::from_slice::<Check>(text).is_err()
}

fn differ(leaf: &mut Leaf, name: &str, pointer: &str, old: &Value, new: &Value, depth: u32) {
    match (old, new) {
        (Value::Object(a), Value::Object(b)) if depth > 0 => {
            // Sizes beside digests follow from what the digests are of.
            let described =
                a.get("digest") != b.get("digest") && a.contains_key("digest") && b.contains_key("digest");
            for (key, value) in a {
                let below = format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"));
                match b.get(key) {
                    Some(other) if other != value && described && key == "size" => leaf.add(
                        Finding::new(below, value.to_string(), other.to_string())
                            .because(Cause::Checksum, Confidence::Likely)
                            .keyed("sizes of other blobs of the image")
                            .following(),
                    ),
                    Some(other) if other != value => differ(leaf, name, &below, value, other, depth - 1),
                    Some(_) => {}
                    None => leaf.add(Finding::new(below, value.to_string(), "")),
                }
            }
            for (key, value) in b.iter().filter(|(key, _)| !a.contains_key(*key)) {
                leaf.add(Finding::new(format!("{pointer}/{key}"), "", value.to_string()));
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() && depth > 0 => {
            let sorted = |list: &[Value]| {
                let mut texts: Vec<_> = list.iter().map(Value::to_string).collect();
                texts.sort();
                texts
            };
            if sorted(a) == sorted(b) {
                leaf.add(
                    Finding::new(pointer, old.to_string(), new.to_string())
                        .because(Cause::Order, Confidence::Proven)
                        .keyed("elements of JSON arrays"),
                );
                return;
            }
            for (index, (a, b)) in a.iter().zip(b).enumerate().filter(|(_, (a, b))| a != b) {
                differ(leaf, name, &format!("{pointer}/{index}"), a, b, depth - 1);
            }
        }
        (old, new) => value(leaf, name, pointer, old, new),
    }
}

fn value(leaf: &mut Leaf, name: &str, pointer: &str, old: &Value, new: &Value) {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let (a, b) = (text(old), text(new));
    let field = pointer
        .rsplit('/')
        .find(|part| part.parse::<u64>().is_err())
        .unwrap_or("");
    if name == ".cargo_vcs_info.json" && pointer == "/git/sha1" {
        leaf.add(
            Finding::new(pointer, a, b)
                .because(Cause::SourceRevision, Confidence::Proven)
                .keyed("commit of the source")
                .set_aside_by(Normalisation::CargoVcsHash),
        );
        return;
    }
    // Names that are digests: of blobs (`sha256:…`), and of the files that `docker save` writes.
    if let (Some(old_name), Some(new_name)) = (blank_digest(&a), blank_digest(&b))
        && old_name == new_name
    {
        let mut finding = Finding::new(pointer, &a, &b)
            .because(Cause::Checksum, Confidence::Likely)
            .keyed("digests of other files of the image")
            .following();
        // What layers unpack to has no file of its own; the layer that it comes from is compared.
        if !pointer.contains("/diff_ids/") {
            finding.checksum_of = Some(a.trim_start_matches("sha256:").to_owned());
        }
        leaf.findings.push(finding);
        return;
    }
    let parent = pointer.rsplit('/').nth(1).unwrap_or("");
    let context = Context {
        field,
        dependency: parent.to_ascii_lowercase().ends_with("dependencies"),
        ..Context::default()
    };
    // A number means something by its field's name only.
    let named = format!("{field}: {b}");
    let reasons = match explain(&a, &b, context) {
        reasons if reasons.is_empty() => explain(&format!("{field}: {a}"), &named, context),
        reasons => reasons,
    };
    if reasons.is_empty() {
        leaf.add(Finding::new(pointer, a, b));
        return;
    }
    for reason in reasons {
        leaf.add_reason(pointer, &a, &b, &reason);
    }
}

/// The text without the one SHA-256 in it; none where it has none.
fn blank_digest(text: &str) -> Option<String> {
    static DIGEST: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"(?-u:\b)[0-9a-f]{64}(?-u:\b)").ok());
    let digest = DIGEST.as_ref()?;
    (digest.find_iter(text).count() == 1).then(|| digest.replace(text, "").into_owned())
}
