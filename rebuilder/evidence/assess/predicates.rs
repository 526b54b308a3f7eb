//! What statements of less usual types say: releases of registries, results of verifiers, links.

use std::str::FromStr as _;

use packageurl::PackageUrl;
use serde_json::Value;

use crate::evidence::Question;
use crate::evidence::assessment::Artifact;
use crate::evidence::json::member;
use crate::evidence::statement::{Statement, predicate};

/// What a statement says, if it is of one of these types.
pub(super) fn describe(statement: &Statement) -> Option<(Question, String)> {
    let text = |path: &[&str]| {
        let value = path.iter().fold(&statement.predicate, |value, name| {
            value.get(name).unwrap_or(&Value::Null)
        });
        value.as_str().unwrap_or("?").to_owned()
    };
    Some(match statement.predicate_type.as_str() {
        predicate::RELEASE => (
            Question::Signature,
            format!("it is part of the release {}", text(&["purl"])),
        ),
        predicate::SVR => (
            Question::Other,
            format!(
                "{} verified it: {}",
                text(&["verifier", "id"]),
                properties(statement)
            ),
        ),
        predicate::LINK => (
            Question::Other,
            format!("an in-toto link of the step {:?}", text(&["name"])),
        ),
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

/// Why a statement of one of these types cannot be used, if it cannot: what its specification demands is not there.
pub(super) fn unusable(statement: &Statement) -> Option<String> {
    let stated = &statement.predicate;
    let missing = |name: &str| {
        Some(format!(
            "its predicate has no {name}, which its specification demands"
        ))
    };
    match statement.predicate_type.as_str() {
        predicate::RELEASE => {
            let purl = member(stated, ["purl"])
                .as_str()
                .and_then(|text| PackageUrl::from_str(text).ok());
            match purl {
                None => missing("package URL"),
                Some(purl) if purl.version().is_none() => missing("package URL with a version"),
                Some(_) => None,
            }
        }
        predicate::SVR if !member(stated, ["verifier", "id"]).is_string() => missing("verifier.id"),
        predicate::SVR if !member(stated, ["properties"]).is_array() => missing("properties"),
        predicate::LINK if !member(stated, ["name"]).is_string() => missing("name"),
        _ => None,
    }
}

/// In one sentence, if a statement says that an artifact is released as another package than the one asked for.
pub(super) fn other_release(statement: &Statement, artifact: &Artifact) -> Option<String> {
    let wanted = artifact
        .purl
        .as_deref()
        .filter(|_| statement.predicate_type == predicate::RELEASE)?;
    let wanted = PackageUrl::from_str(wanted).ok()?;
    let named = PackageUrl::from_str(member(&statement.predicate, ["purl"]).as_str()?).ok()?;
    let parts = |purl: &PackageUrl<'_>| {
        (
            purl.ty().to_owned(),
            purl.namespace().map(str::to_owned),
            purl.name().to_owned(),
            purl.version().map(str::to_owned),
        )
    };
    (parts(&named) != parts(&wanted)).then(|| format!("it says that these bytes are {named}, not {wanted}"))
}
