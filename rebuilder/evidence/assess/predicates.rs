//! Describes statements of rarer types: verification results, links.

use serde_json::Value;

use crate::evidence::Question;
use crate::evidence::json::member;
use crate::evidence::link::Link;
use crate::evidence::statement::{Statement, predicate};

/// Describes a statement of one of these types.
pub(super) fn describe(statement: &Statement) -> Option<(Question, String)> {
    let text = |path: &[&str]| {
        let value = path.iter().fold(&statement.predicate, |value, name| {
            value.get(name).unwrap_or(&Value::Null)
        });
        value.as_str().unwrap_or("?").to_owned()
    };
    Some(match statement.predicate_type.as_str() {
        predicate::SVR => (
            Question::Other,
            format!(
                "{} verified it: {}",
                text(&["verifier", "id"]),
                properties(statement)
            ),
        ),
        predicate::LINK => (Question::Other, Link::sentence(&text(&["name"]))),
        _ => return None,
    })
}

fn properties(statement: &Statement) -> String {
    let properties = member(&statement.predicate, ["properties"]).as_array();
    let words: Vec<_> = properties
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    if words.is_empty() {
        "it found no property".to_owned()
    } else {
        words.join(", ")
    }
}

/// Why a statement of one of these types cannot be used, if something that its specification requires is missing.
pub(super) fn unusable(statement: &Statement) -> Option<String> {
    let stated = &statement.predicate;
    let missing = |name: &str| {
        Some(format!(
            "its predicate has no {name}, which its specification demands"
        ))
    };
    match statement.predicate_type.as_str() {
        predicate::SVR if !member(stated, ["verifier", "id"]).is_string() => missing("verifier.id"),
        predicate::SVR if !member(stated, ["properties"]).is_array() => missing("properties"),
        predicate::LINK if !member(stated, ["name"]).is_string() => missing("name"),
        _ => None,
    }
}
