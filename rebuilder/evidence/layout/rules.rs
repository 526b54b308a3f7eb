//! The rules of a step about its materials and products (in-toto specification 1.0, 4.3.3 and 5.2.2).
//!
//! Rules are applied in order; each takes the files that it is about out of a queue, and files that are left at the
//! end are allowed. So rules without a `DISALLOW` at the end allow anything.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::fnmatch;
use crate::evidence::link::{Files, Link};

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Rule {
    /// These files are new.
    Create(String),
    /// These files existed before, and no longer do.
    Delete(String),
    /// These were changed.
    Modify(String),
    /// These may be there.
    Allow(String),
    /// None of these may be left in the queue.
    Disallow(String),
    /// This file must be left in the queue.
    Require(String),
    /// These are the same as those of another step.
    Match(Box<Match>),
}

/// `MATCH pattern [IN folder] WITH (MATERIALS | PRODUCTS) [IN folder] FROM step`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Match {
    pattern: String,
    here: String,
    with_products: bool,
    there: String,
    pub(super) from: String,
}

/// The files of a link that a list of rules is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    Materials,
    Products,
}

impl Rule {
    /// Reads one rule; the error is a sentence.
    pub(super) fn parse(value: &Value) -> Result<Self, String> {
        let words: Option<Vec<&str>> = value
            .as_array()
            .map(|words| words.iter().filter_map(Value::as_str).collect());
        let words = words.filter(|words| Some(words.len()) == value.as_array().map(Vec::len));
        let words = words.ok_or("a rule is not a list of words")?;
        let upper: Vec<String> = words.iter().map(|word| word.to_uppercase()).collect();
        let upper: Vec<&str> = upper.iter().map(String::as_str).collect();
        let rule = match (upper.as_slice(), words.as_slice()) {
            (["CREATE", _], [_, pattern]) => Self::Create((*pattern).to_owned()),
            (["DELETE", _], [_, pattern]) => Self::Delete((*pattern).to_owned()),
            (["MODIFY", _], [_, pattern]) => Self::Modify((*pattern).to_owned()),
            (["ALLOW", _], [_, pattern]) => Self::Allow((*pattern).to_owned()),
            (["DISALLOW", _], [_, pattern]) => Self::Disallow((*pattern).to_owned()),
            (["REQUIRE", _], [_, name]) => return Ok(Self::Require((*name).to_owned())),
            (["MATCH", ..], [_, rest @ ..]) => Self::Match(Box::new(matching(rest)?)),
            _ => return Err(format!("the rule {} is not one of in-toto's", words.join(" "))),
        };
        Ok(rule)
    }
}

/// Reads the words after `MATCH`.
fn matching(words: &[&str]) -> Result<Match, String> {
    let (pattern, words) = words.split_first().ok_or("a MATCH rule has no pattern")?;
    let (here, words) = folder(words);
    let broken = || {
        "a MATCH rule is not of the form MATCH pattern [IN folder] WITH MATERIALS|PRODUCTS [IN folder] FROM step".to_owned()
    };
    let [with, which, words @ ..] = words else {
        return Err(broken());
    };
    let (there, words) = folder(words);
    let [from, step] = words else {
        return Err(broken());
    };
    let with_products = match which.to_uppercase().as_str() {
        "PRODUCTS" => true,
        "MATERIALS" => false,
        _ => return Err(broken()),
    };
    if !with.eq_ignore_ascii_case("WITH") || !from.eq_ignore_ascii_case("FROM") {
        return Err(broken());
    }
    Ok(Match {
        pattern: (*pattern).to_owned(),
        here,
        with_products,
        there,
        from: (*step).to_owned(),
    })
}

/// Reads `IN folder`, if that comes next; the folder gets a slash at its end.
fn folder<'a>(words: &'a [&'a str]) -> (String, &'a [&'a str]) {
    match words {
        [word, folder, rest @ ..] if word.eq_ignore_ascii_case("IN") => {
            (format!("{}/", folder.trim_end_matches('/')), rest)
        }
        _ => (String::new(), words),
    }
}

/// Applies rules to a link; the error names the broken rule and the file. `others` are the links of the other steps.
pub(super) fn apply(
    rules: &[Rule],
    of: Of,
    link: &Link,
    others: &BTreeMap<String, Link>,
) -> Result<(), String> {
    let files = match of {
        Of::Materials => &link.materials,
        Of::Products => &link.products,
    };
    let mut queue: BTreeSet<&str> = files.keys().map(String::as_str).collect();
    for rule in rules {
        let is_of = |wanted: &str, name: &str| fnmatch::fits(wanted, name);
        let (before, after) = (&link.materials, &link.products);
        match rule {
            Rule::Create(it) => queue.retain(|name| {
                !(is_of(it, name) && after.contains_key(*name) && !before.contains_key(*name))
            }),
            Rule::Delete(it) => queue.retain(|name| {
                !(is_of(it, name) && before.contains_key(*name) && !after.contains_key(*name))
            }),
            Rule::Modify(it) => queue.retain(|name| {
                let both = before.get(*name).zip(after.get(*name));
                !(is_of(it, name) && both.is_some_and(|(before, after)| before != after))
            }),
            Rule::Allow(it) => queue.retain(|name| !is_of(it, name)),
            Rule::Disallow(it) => {
                if let Some(name) = queue.iter().find(|name| is_of(it, name)) {
                    return Err(format!("DISALLOW {it}: {name} is there"));
                }
            }
            Rule::Require(name) => {
                if !queue.contains(name.as_str()) {
                    return Err(format!("REQUIRE {name}: it is not there"));
                }
            }
            Rule::Match(it) => {
                let other = others
                    .get(&it.from)
                    .ok_or_else(|| format!("there is no link of the step {:?}", it.from))?;
                let there: &Files = if it.with_products {
                    &other.products
                } else {
                    &other.materials
                };
                queue.retain(|name| !it.takes(name, files, there));
            }
        }
    }
    Ok(())
}

impl Match {
    /// Whether the rule is about this file, and the other step has it with the same bytes.
    fn takes(&self, name: &str, here: &Files, there: &Files) -> bool {
        let Some(inside) = name.strip_prefix(self.here.as_str()) else {
            return false;
        };
        let other = format!("{}{inside}", self.there);
        fnmatch::fits(&self.pattern, inside)
            && here
                .get(name)
                .zip(there.get(&other))
                .is_some_and(|(own, other)| !own.is_empty() && own == other)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn files(list: &[(&str, &str)]) -> Files {
        let digest = |text: &str| [("sha256".to_owned(), text.to_owned())].into();
        list.iter()
            .map(|(name, text)| ((*name).to_owned(), digest(text)))
            .collect()
    }

    fn link(materials: &[(&str, &str)], products: &[(&str, &str)]) -> Link {
        Link {
            name: "step".into(),
            materials: files(materials),
            products: files(products),
            signatures: Vec::new(),
            openpgp: Vec::new(),
            signed: Vec::new(),
        }
    }

    // One long table.
    #[test]
    fn rules_take_files_out_of_the_queue_in_their_order() {
        let before = link(&[], &[("src/a", "1"), ("b", "2")]);
        let step = link(
            &[("a", "1"), ("b", "2"), ("old", "0")],
            &[("a", "9"), ("b", "2"), ("new", "3")],
        );
        let others = [("write".to_owned(), before)].into();
        let none = json!(["DISALLOW", "*"]);
        for (rules, of, expected) in [
            (
                json!([["CREATE", "new"], ["MODIFY", "a"], ["ALLOW", "b"], none]),
                Of::Products,
                Ok(()),
            ),
            (
                json!([["CREATE", "*"], ["MODIFY", "*"], none]),
                Of::Products,
                Err("b is there"),
            ),
            (json!([["create", "*"]]), Of::Products, Ok(())),
            (
                json!([["DELETE", "*"], ["ALLOW", "a"], ["ALLOW", "b"], none]),
                Of::Materials,
                Ok(()),
            ),
            (
                json!([
                    ["MATCH", "*", "WITH", "PRODUCTS", "FROM", "write"],
                    ["DISALLOW", "b"]
                ]),
                Of::Materials,
                Ok(()),
            ),
            (
                json!([
                    ["MATCH", "a", "WITH", "PRODUCTS", "FROM", "write"],
                    ["DISALLOW", "a"]
                ]),
                Of::Materials,
                Err("a is there"),
            ),
            (
                json!([
                    ["MATCH", "a", "WITH", "PRODUCTS", "IN", "src", "FROM", "write"],
                    ["DISALLOW", "a"]
                ]),
                Of::Materials,
                Ok(()),
            ),
            (
                json!([
                    ["MATCH", "a", "WITH", "PRODUCTS", "IN", "src", "FROM", "write"],
                    ["DISALLOW", "a"]
                ]),
                Of::Products,
                Err("a is there"),
            ),
            (
                json!([
                    ["MATCH", "b", "WITH", "MATERIALS", "FROM", "write"],
                    ["DISALLOW", "b"]
                ]),
                Of::Materials,
                Err("b is there"),
            ),
            (
                json!([["MATCH", "b", "WITH", "PRODUCTS", "FROM", "other"]]),
                Of::Materials,
                Err("no link of the step"),
            ),
            (json!([["REQUIRE", "b"]]), Of::Products, Ok(())),
            (
                json!([["ALLOW", "b"], ["REQUIRE", "b"]]),
                Of::Products,
                Err("REQUIRE b"),
            ),
            (json!([none]), Of::Products, Err("is there")),
        ] {
            let parsed: Vec<_> = rules
                .as_array()
                .unwrap()
                .iter()
                .map(|rule| Rule::parse(rule).unwrap())
                .collect();
            let found = apply(&parsed, of, &step, &others);
            match expected {
                Ok(()) => assert_eq!(found, Ok(()), "{rules}"),
                Err(words) => assert!(found.clone().unwrap_err().contains(words), "{rules}: {found:?}"),
            }
        }
        for rule in [
            json!(["ALLOW"]),
            json!(["ALLOW", 1]),
            json!(["PERMIT", "*"]),
            json!(["MATCH", "a", "WITH", "PRODUCTS", "FROM"]),
            json!(["MATCH", "a", "WITH", "THINGS", "FROM", "s"]),
            json!("ALLOW *"),
        ] {
            assert!(Rule::parse(&rule).is_err(), "{rule}");
        }
    }
}
