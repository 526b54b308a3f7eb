//! Where two JSON values differ, by pointer (RFC 6901), and why.

use std::collections::HashMap;

use super::value::{Is, Member, Value, by_name};
use crate::compare::both::Both;
use crate::compare::cause::{Cause, Confidence};
use crate::compare::claims::{Claim, Claims};
use crate::compare::explain::{Context, explain};
use crate::compare::file::comparator::Leaf;
use crate::compare::finding::Finding;
use crate::compare::package::{File, JsonValue};

/// Maximum number of values that are explained individually.
const MOST_EXPLAINED: usize = 5000;
/// Longer pointers are shortened.
const LONGEST_POINTER: usize = 300;

pub(super) struct Differ<'a> {
    pub file: File<'a>,
    pub leaf: &'a mut Leaf,
    explained: usize,
    /// The first object whose members have another order, and the number of such objects.
    pub reordered: Option<(String, u64)>,
    /// Number of strings with the same meaning but different escapes.
    pub escapes: u64,
}

impl<'a> Differ<'a> {
    pub fn new(file: File<'a>, leaf: &'a mut Leaf) -> Self {
        Self {
            file,
            leaf,
            explained: 0,
            reordered: None,
            escapes: 0,
        }
    }

    pub fn values(&mut self, pointer: &str, old: &Value, new: &Value) {
        if old.raw == new.raw {
            return;
        }
        match (&old.is, &new.is) {
            (Is::Object(old), Is::Object(new)) => self.objects(pointer, old, new),
            (Is::Array(old), Is::Array(new)) if old.len() == new.len() => self.same_length(pointer, old, new),
            (Is::Array(old), Is::Array(new)) => self.other_length(pointer, old, new),
            (Is::Text(one), Is::Text(other)) if one == other => {
                self.escapes = self.escapes.saturating_add(1);
            }
            (Is::Text(one), Is::Text(other)) => {
                match (std::str::from_utf8(one), std::str::from_utf8(other)) {
                    (Ok(released), Ok(rebuilt)) => self.explain(pointer, released, rebuilt),
                    _ => self.content(pointer, old.raw, new.raw),
                }
            }
            (Is::Word, Is::Word) if old.kind() == new.kind() => self.explain(pointer, old.raw, new.raw),
            _ => {
                let told = |value: &Value| format!("{} {}", value.kind(), value.raw);
                self.content(pointer, &told(old), &told(new));
            }
        }
    }

    fn content(&mut self, pointer: &str, released: &str, rebuilt: &str) {
        self.leaf.add(Finding::new(pointer, released, rebuilt));
    }

    fn objects(&mut self, pointer: &str, old: &[Member], new: &[Member]) {
        let (released, rebuilt) = (by_name(old), by_name(new));
        let names = |members: &'_ [Member]| {
            members
                .iter()
                .map(|member| member.raw_name.to_owned())
                .collect::<Vec<_>>()
        };
        let same_names = released
            .iter()
            .map(|member| &member.name)
            .eq(rebuilt.iter().map(|member| &member.name));
        if same_names
            && !old
                .iter()
                .map(|member| &member.name)
                .eq(new.iter().map(|member| &member.name))
        {
            if order_matters(self.file.path.name, pointer) {
                self.content(pointer, &names(old).join(", "), &names(new).join(", "));
            } else {
                let (_, count) = self.reordered.get_or_insert_with(|| (pointer.to_owned(), 0));
                *count = count.saturating_add(1);
            }
        }
        let described = self.described(pointer, &released, &rebuilt);
        let (mut released, mut rebuilt) = (released.as_slice(), rebuilt.as_slice());
        while let Some(name) = first_name(released, rebuilt) {
            let (old, new);
            (old, released) = split_off(released, &name);
            (new, rebuilt) = split_off(rebuilt, &name);
            let below = below(pointer, &String::from_utf8_lossy(&name));
            match (old, new) {
                ([old], [new]) => {
                    self.escapes = self
                        .escapes
                        .saturating_add(u64::from(old.raw_name != new.raw_name));
                    let is_of_blob = matches!(&*name, b"digest" | b"size");
                    match described.clone().filter(|_| is_of_blob) {
                        Some(_) if old.value.raw == new.value.raw => {}
                        Some(claims) => self
                            .leaf
                            .findings
                            .push(Finding::new(below, told(&old.value), told(&new.value)).claiming(claims)),
                        None => self.values(&below, &old.value, &new.value),
                    }
                }
                _ => self.repeated(&below, old, new),
            }
        }
    }

    /// What two objects claim about a blob by a digest and a size, if both of them do so. A size follows from the same
    /// file as the digest beside it.
    fn described<'m>(
        &self,
        pointer: &str,
        released: &[&'m Member<'m>],
        rebuilt: &[&'m Member<'m>],
    ) -> Option<Claims> {
        let only = |members: &[&'m Member<'m>], name: &[u8]| {
            let mut own = members.iter().filter(|member| member.name.as_ref() == name);
            let value = &own.next()?.value;
            own.next().is_none().then_some(value)
        };
        let digests = Both::new(told(only(released, b"digest")?), told(only(rebuilt, b"digest")?));
        if digests.same() {
            return None;
        }
        let known = self.file.value(&JsonValue {
            pointer: &below(pointer, "digest"),
            released: digests.released,
            rebuilt: digests.rebuilt,
        });
        let claims = known?.claims?;
        let sized =
            |claim: Option<Claim>, members: &[&'m Member<'m>]| claim?.sized(only(members, b"size")?.raw);
        Some(Claims::new(
            Some(sized(claims.sides.released, released)?),
            Some(sized(claims.sides.rebuilt, rebuilt)?),
            claims.files,
        ))
    }

    /// Members with one name, of which some side has none or several.
    fn repeated(&mut self, pointer: &str, old: &[&Member], new: &[&Member]) {
        let same = |(old, new): (&&Member, &&Member)| old.value.means_the_same(&new.value);
        if old.len() == new.len() && old.iter().zip(new).all(same) {
            for (old, new) in old.iter().zip(new) {
                self.values(pointer, &old.value, &new.value);
            }
            return;
        }
        let told = |members: &[&Member]| {
            let values: Vec<_> = members.iter().map(|member| member.value.raw).collect();
            values.join(", then ")
        };
        let (released, rebuilt) = (told(old), told(new));
        self.content(pointer, &released, &rebuilt);
    }

    fn same_length(&mut self, pointer: &str, old: &[Value], new: &[Value]) {
        if is_permutation(old, new) {
            let list = |values: &[Value]| {
                let raw: Vec<_> = values.iter().map(|value| value.raw).collect();
                format!("[{}]", raw.join(","))
            };
            let finding = Finding::new(pointer, list(old), list(new));
            self.leaf
                .add(finding.keyed("order of the elements of a JSON array"));
            return;
        }
        for (index, (old, new)) in old.iter().zip(new).enumerate() {
            if old.raw != new.raw {
                self.values(&below(pointer, &index.to_string()), old, new);
            }
        }
    }

    /// Two arrays of different lengths, without their common beginning and end.
    fn other_length(&mut self, pointer: &str, old: &[Value], new: &[Value]) {
        let common = |pairs: &mut dyn Iterator<Item = (&Value, &Value)>| {
            pairs.take_while(|(old, new)| old.means_the_same(new)).count()
        };
        let first = common(&mut old.iter().zip(new));
        let most = old.len().min(new.len()).saturating_sub(first);
        let last = common(&mut old.iter().rev().zip(new.iter().rev()).take(most));
        let middle = |values: &[Value]| {
            let end = values.len().saturating_sub(last);
            let left: Vec<_> = values
                .get(first..end)
                .unwrap_or_default()
                .iter()
                .map(|value| value.raw)
                .collect();
            left.join(", ")
        };
        let (released, rebuilt) = (middle(old), middle(new));
        self.content(&below(pointer, &first.to_string()), &released, &rebuilt);
    }

    /// Two strings, or two numbers.
    fn explain(&mut self, pointer: &str, released: &str, rebuilt: &str) {
        self.explained = self.explained.saturating_add(1);
        if self.explained > MOST_EXPLAINED {
            return self.content("values beyond those read", released, rebuilt);
        }
        let known = self.file.value(&JsonValue {
            pointer,
            released,
            rebuilt,
        });
        if let Some(finding) = known {
            self.leaf.findings.push(finding);
            return;
        }
        let field = pointer
            .rsplit('/')
            .find(|part| part.parse::<u64>().is_err())
            .unwrap_or("");
        let parent = pointer.rsplit('/').nth(1).unwrap_or("");
        let context = Context {
            field,
            meaning: self.file.meaning(field),
            // A program may read the value, so builds need not have left it.
            code: true,
            dependency: parent.to_ascii_lowercase().ends_with("dependencies")
                && !is_manifest(self.file.path.name),
            ..Context::default()
        };
        let reasons = explain(released, rebuilt, context);
        // A date among other words is a part of the statement.
        let in_words = reasons.iter().any(|reason| reason.cause == Cause::Timestamp)
            && !tells_time(field)
            && [released, rebuilt].into_iter().any(has_words);
        if in_words {
            self.content(pointer, released, rebuilt);
        }
        for mut reason in reasons.iter().cloned() {
            if in_words {
                reason.confidence = Confidence::Possible;
            }
            self.leaf.add_reason(pointer, released, rebuilt, &reason);
        }
        if !reasons.is_empty() {
            return;
        }
        self.content(pointer, released, rebuilt);
        // Together with the name of its field, the value may be one that builds leave behind, or a setting.
        let named = |value: &str| format!("{field}: {value}");
        for mut reason in explain(&named(released), &named(rebuilt), context) {
            reason.confidence = Confidence::Possible;
            self.leaf.add_reason(pointer, released, rebuilt, &reason);
        }
    }
}

/// Whether the name of a field says that it is a time.
fn tells_time(field: &str) -> bool {
    const TIMES: [&str; 8] = [
        "time",
        "date",
        "built",
        "build",
        "created",
        "generated",
        "modified",
        "updated",
    ];
    let field = field.to_ascii_lowercase();
    TIMES.iter().any(|time| field.contains(time))
}

/// Whether a text has words that are not part of a date: names of months, days and zones have at most nine letters and
/// begin with a capital.
fn has_words(text: &str) -> bool {
    text.split(|letter: char| !letter.is_alphabetic())
        .filter(|word| !word.is_empty())
        .any(|word| word.chars().count() > 9 || word.starts_with(char::is_lowercase))
}

/// Whether people write the file, and installers choose versions by it: a range in it does not show what was installed.
fn is_manifest(file: &str) -> bool {
    ["package.json", "bower.json", "composer.json"].contains(&file)
}

/// Node.js takes the first condition of `exports` and `imports` that holds, and TypeScript the first version.
fn order_matters(file: &str, pointer: &str) -> bool {
    const FIRST: [&str; 3] = ["/exports", "/imports", "/typesVersions"];
    file == "package.json" && FIRST.iter().any(|member| pointer.starts_with(member))
}

/// The smaller of the first names of two sorted lists.
fn first_name(old: &[&Member], new: &[&Member]) -> Option<Vec<u8>> {
    let names = old.first().into_iter().chain(new.first());
    names.map(|member| &member.name).min().map(|name| name.to_vec())
}

/// The members with that name at the beginning, and the rest.
fn split_off<'v, 'a, 'm>(
    members: &'v [&'m Member<'a>],
    name: &[u8],
) -> (&'v [&'m Member<'a>], &'v [&'m Member<'a>]) {
    let count = members
        .iter()
        .take_while(|member| member.name.as_ref() == name)
        .count();
    members.split_at_checked(count).unwrap_or_default()
}

fn below(pointer: &str, name: &str) -> String {
    if pointer.len() > LONGEST_POINTER {
        return pointer.to_owned();
    }
    let name: String = name.chars().take(LONGEST_POINTER).collect();
    format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"))
}

/// Whether two arrays have the same simple values, each the same number of times.
fn is_permutation(old: &[Value], new: &[Value]) -> bool {
    let is_single = |value: &Value| matches!(value.is, Is::Word | Is::Text(_));
    let is_same = old
        .iter()
        .map(|value| value.raw)
        .eq(new.iter().map(|value| value.raw));
    if is_same || !old.iter().chain(new).all(is_single) {
        return false;
    }
    let mut counts: HashMap<&str, i64> = HashMap::new();
    for (values, step) in [(old, 1), (new, -1)] {
        for value in values {
            let count = counts.entry(value.raw).or_default();
            *count = count.saturating_add(step);
        }
    }
    counts.values().all(|count| *count == 0)
}

/// The text of a string; other values as written.
fn told<'a>(value: &'a Value) -> &'a str {
    match &value.is {
        Is::Text(text) => std::str::from_utf8(text).unwrap_or(value.raw),
        _ => value.raw,
    }
}
