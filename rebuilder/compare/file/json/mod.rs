//! JSON: values by pointer (RFC 6901), so that a changed value is told from another order or another layout.

mod repeated;

use serde_json::Value;

use crate::compare::cause::{Cause, Confidence};
use crate::compare::explain::{Context, explain};
use crate::compare::file::comparator::{FileComparator, Leaf, Pair};
use crate::compare::file::text;
use crate::compare::finding::Finding;
use crate::compare::package::{File, JsonValue};

pub(super) struct Json;

const LARGEST: usize = 8 << 20;
const DEEPEST: u32 = 64;

impl FileComparator for Json {
    fn example(&self) -> (&'static str, &'static [u8]) {
        ("x.json", b"{")
    }

    fn recognises(&self, pair: &Pair) -> bool {
        let looks = |text: &[u8]| {
            let first = text.iter().find(|byte| !byte.is_ascii_whitespace());
            text.len() <= LARGEST && matches!(first, Some(b'{' | b'['))
        };
        looks(pair.released) && looks(pair.rebuilt) && pair.are_texts()
    }

    fn compare(&self, pair: &Pair) -> Option<Leaf> {
        let (released, rebuilt) = (pair.released, pair.rebuilt);
        let old: Value = serde_json::from_slice(released).ok()?;
        let new: Value = serde_json::from_slice(rebuilt).ok()?;
        if repeated::names(released) || repeated::names(rebuilt) {
            return None;
        }
        let mut leaf = Leaf::of("JSON");
        if old == new {
            let (old, new) = (without_space(released), without_space(rebuilt));
            let (cause, key) = if old.len() == new.len() && old != new {
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
            differ(&mut leaf, pair.file, "", &old, &new, DEEPEST);
        }
        leaf.excerpts.extend(text::excerpt(released, rebuilt));
        Some(leaf)
    }
}

/// The text without white space: what is left of layout is order.
fn without_space(text: &[u8]) -> Vec<u8> {
    text.iter()
        .copied()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect()
}

type Object = serde_json::Map<String, Value>;

fn differ(leaf: &mut Leaf, file: File, pointer: &str, old: &Value, new: &Value, depth: u32) {
    let Some(below) = depth.checked_sub(1) else {
        return value(leaf, file, pointer, old, new);
    };
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => objects(leaf, file, pointer, old, new, below),
        (Value::Array(old), Value::Array(new)) if old.len() == new.len() => {
            arrays(leaf, file, pointer, old, new, below);
        }
        (old, new) => value(leaf, file, pointer, old, new),
    }
}

fn objects(leaf: &mut Leaf, file: File, pointer: &str, old: &Object, new: &Object, depth: u32) {
    // A size beside a digest follows from what the digest is of.
    let described = matches!(
        (old.get("digest"), new.get("digest")),
        (Some(old), Some(new)) if old != new
    );
    for (key, value) in old {
        let below = format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"));
        match new.get(key) {
            Some(other) if other != value && described && key == "size" => leaf.add(
                Finding::new(below, value.to_string(), other.to_string())
                    .because(Cause::Checksum, Confidence::Likely)
                    .keyed("sizes of other blobs of the image")
                    .following(),
            ),
            Some(other) if other != value => differ(leaf, file, &below, value, other, depth),
            Some(_) => {}
            None => leaf.add(Finding::new(below, value.to_string(), "")),
        }
    }
    for (key, value) in new.iter().filter(|(key, _)| !old.contains_key(*key)) {
        leaf.add(Finding::new(format!("{pointer}/{key}"), "", value.to_string()));
    }
}

fn arrays(leaf: &mut Leaf, file: File, pointer: &str, old: &[Value], new: &[Value], depth: u32) {
    let texts = |list: &[Value]| list.iter().map(Value::to_string).collect::<Vec<_>>();
    let (old_texts, new_texts) = (texts(old), texts(new));
    let sorted = |texts: &[String]| {
        let mut texts = texts.to_vec();
        texts.sort();
        texts
    };
    if sorted(&old_texts) == sorted(&new_texts) {
        let list = |texts: &[String]| format!("[{}]", texts.join(","));
        leaf.add(
            Finding::new(pointer, list(&old_texts), list(&new_texts))
                .because(Cause::Order, Confidence::Proven)
                .keyed("elements of JSON arrays"),
        );
        return;
    }
    let pairs = old.iter().zip(new).enumerate();
    for (index, (old, new)) in pairs.filter(|(_, (old, new))| old != new) {
        differ(leaf, file, &format!("{pointer}/{index}"), old, new, depth);
    }
}

fn value(leaf: &mut Leaf, file: File, pointer: &str, old: &Value, new: &Value) {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let (released, rebuilt) = (text(old), text(new));
    let known = file.value(&JsonValue {
        pointer,
        released: &released,
        rebuilt: &rebuilt,
    });
    if let Some(finding) = known {
        leaf.findings.push(finding);
        return;
    }
    let field = pointer
        .rsplit('/')
        .find(|part| part.parse::<u64>().is_err())
        .unwrap_or("");
    let parent = pointer.rsplit('/').nth(1).unwrap_or("");
    let context = Context {
        field,
        meaning: file.meaning(field),
        dependency: parent.to_ascii_lowercase().ends_with("dependencies"),
        ..Context::default()
    };
    let mut reasons = explain(&released, &rebuilt, context);
    if reasons.is_empty() {
        // A number means something by its field's name only.
        reasons = explain(
            &format!("{field}: {released}"),
            &format!("{field}: {rebuilt}"),
            context,
        );
    }
    if reasons.is_empty() {
        leaf.add(Finding::new(pointer, &released, &rebuilt));
    }
    for reason in &reasons {
        leaf.add_reason(pointer, &released, &rebuilt, reason);
    }
}
