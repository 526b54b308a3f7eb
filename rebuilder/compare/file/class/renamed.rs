//! Synthetic methods that compilers number in another order: `lambda$main$0`, `access$100`.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::LazyLock;

use regex::Regex;

use super::facts::{About, Class, Member};
use super::pool::METHOD;

/// A name with a number from the compiler.
static NUMBERED: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"^(lambda\$(?:[A-Za-z0-9_]+\$)*|access\$)\d+$").ok());

/// Renames synthetic methods in the released class like those in the rebuilt one, if a single renaming maps each to
/// one with the same code; returns the first pair of names, and the number of pairs.
pub(super) fn rename(old: &mut Class, new: &Class) -> Option<(String, String, u64)> {
    let pattern = NUMBERED.as_ref()?;
    let own = |class: &Class| -> HashSet<String> {
        numbered(class, pattern)
            .map(|member| name(member).to_owned())
            .collect()
    };
    let (released, rebuilt) = (own(old), own(new));
    if released.is_empty() || released.len() != rebuilt.len() {
        return None;
    }
    let by_body = |class: &Class, names: &HashSet<String>| -> Option<BTreeMap<Vec<String>, String>> {
        let mut by_body = BTreeMap::new();
        let unique = numbered(class, pattern).all(|member| {
            by_body
                .insert(body(member, &class.name, names), name(member).to_owned())
                .is_none()
        });
        unique.then_some(by_body)
    };
    let (mut one, other) = (by_body(old, &released)?, by_body(new, &rebuilt)?);
    let mut names: HashMap<String, String> = HashMap::new();
    for (body, rebuilt) in other {
        names.insert(one.remove(&body)?, rebuilt);
    }
    names.retain(|released, rebuilt| released != rebuilt);
    let count = names.len() as u64;
    let first = names
        .iter()
        .min()
        .map(|(released, rebuilt)| (released.clone(), rebuilt.clone()))?;
    let class = old.name.clone();
    for member in &mut old.members {
        if let Some(other) = names.get(name(member)) {
            member.name = member.name.replacen(name(member), other, 1);
        }
        for text in &mut member.instructions {
            *text = references(text, &class, |name| names.get(name).cloned());
        }
    }
    Some((first.0, first.1, count))
}

/// The text, with references to methods of this class renamed.
fn references(text: &str, class: &str, rename: impl Fn(&str) -> Option<String>) -> String {
    let mut parts = text.split(METHOD);
    let mut renamed = parts.next().unwrap_or_default().to_owned();
    let own = format!("class {class}");
    for part in parts {
        let is_own = renamed.ends_with(&own);
        renamed.push_str(METHOD);
        let (name, rest) = part.split_once(':').unwrap_or((part, ""));
        match rename(name).filter(|_| is_own) {
            Some(other) => renamed.push_str(&format!("{other}:{rest}")),
            None => renamed.push_str(part),
        }
    }
    renamed
}

fn numbered<'a>(class: &'a Class, pattern: &Regex) -> impl Iterator<Item = &'a Member> {
    let is_numbered = |member: &Member| pattern.is_match(name(member));
    class
        .members
        .iter()
        .filter(move |member| member.is_synthetic && is_numbered(member))
}

/// Its name without its type.
fn name(member: &Member) -> &str {
    let name = member.name.strip_prefix("method ").unwrap_or(&member.name);
    name.split(':').next().unwrap_or_default()
}

/// The code of a method, without the numbers of these names.
fn body(member: &Member, class: &str, names: &HashSet<String>) -> Vec<String> {
    let stem = |name: &str| {
        names
            .contains(name)
            .then(|| format!("{}#", name.trim_end_matches(|c: char| c.is_ascii_digit())))
    };
    let own = stem(name(member)).map(|stem| member.name.replacen(name(member), &stem, 1));
    let meant = member.facts.iter().filter(|fact| fact.about != About::Debug);
    own.into_iter()
        .chain(meant.map(|fact| format!("{} {}", fact.place, fact.value)))
        .chain(
            member
                .instructions
                .iter()
                .map(|text| references(text, class, stem)),
        )
        .collect()
}
