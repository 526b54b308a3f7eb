//! A proof as SARIF 2.1.0, for code scanning: one result for each culprit, at the line of the project that it comes from.

use serde_json::{Value, json};

use super::{Origin, causes, headline, odds, origins, title, values};
use crate::compare::Comparison;
use crate::prove::{Explained, Knob, Proof};
use crate::report::comparison::uri;
use crate::text::{sarif_message, visible};

/// The rule for differences that no knob causes.
const RANDOM: &str = "randomness";

/// The proof as SARIF 2.1.0.
pub fn sarif(proof: &Proof) -> Value {
    let mut rules: Vec<Value> = Knob::ALL
        .iter()
        .map(|knob| {
            json!({
                "id": knob.name(),
                "shortDescription": {"text": format!("the outputs depend on {knob}")},
                "help": {"text": knob.advice()}
            })
        })
        .collect();
    rules.push(json!({
        "id": RANDOM,
        "shortDescription": {"text": "the outputs differ although nothing was varied"},
        "help": {"text": "derive identifiers from the input, and do not let the order in which parallel \
        work ends matter"}
    }));
    let mut results: Vec<Value> = proof
        .culprits
        .iter()
        .map(|culprit| {
            let first = culprit.knobs.first().map_or(RANDOM, |knob| knob.name());
            let text = format!(
                "{} changes the outputs ({}){}",
                title(culprit),
                values(culprit).collect::<Vec<_>>().join("; "),
                culprit
                    .fails
                    .as_ref()
                    .map_or_else(String::new, |reason| format!(". The build fails: {reason}"))
            );
            let explained = proof.explained(&culprit.knobs);
            result(first, &text, &culprit.files, culprit.places.iter(), explained)
        })
        .collect();
    results.extend(proof.random.as_ref().map(|random| {
        result(
            RANDOM,
            &odds(random),
            &random.files,
            random.places.iter(),
            proof.explained(&[]),
        )
    }));
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "rebuilder",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": rules
            }},
            "automationDetails": {"id": "prove/"},
            "properties": {"conclusion": visible(&headline(proof))},
            "results": results
        }]
    })
}

fn result<'a>(
    rule: &str,
    text: &str,
    files: &[Comparison],
    places: impl Iterator<Item = &'a String> + Clone,
    explained: Option<&Explained>,
) -> Value {
    let mut message = format!("{text}.");
    let by = origins(explained);
    for one in &by {
        message += &format!(" {}.", one.sentence);
    }
    for cause in causes(files) {
        message += &format!(
            " {}: {} → {}. {}.",
            cause.cause.title(),
            cause.example.released,
            cause.example.rebuilt,
            cause.fix
        );
    }
    let fix = explained.and_then(|explained| explained.fix.as_ref());
    if let Some(fix) = fix {
        message += &format!(" {}: {}.", fix.result, fix.does.join(", "));
    }
    let mut locations: Vec<Value> = by.iter().map(location).collect();
    if locations.is_empty() {
        // What shows results by place shows none without one.
        let place = places.clone().next().map_or("", |place| output(place));
        locations.push(json!({"physicalLocation": {"artifactLocation": {"uri": uri(place)}}}));
    }
    let related = locations.split_off(1);
    json!({
        "ruleId": rule,
        "level": "error",
        "message": {"text": sarif_message(&message)},
        "locations": locations,
        "relatedLocations": related,
        "properties": {
            "places": places.map(|place| visible(place).into_owned()).collect::<Vec<_>>(),
            "patch": fix.map(|fix| &fix.patch)
        }
    })
}

/// A line of the project, with the member of the output that it wrote.
fn location(one: &Origin<'_>) -> Value {
    let line = one.line;
    let mut location = json!({
        "physicalLocation": {
            "artifactLocation": {"uri": uri(&line.file), "uriBaseId": "%SRCROOT%"},
            "region": {"startLine": line.line, "snippet": {"text": visible(&line.text)}}
        },
        "message": {"text": sarif_message(&one.sentence)}
    });
    if let Some(fields) = location.as_object_mut().filter(|_| !one.member.is_empty()) {
        let member = json!([{"fullyQualifiedName": visible(&one.member), "kind": "member"}]);
        fields.insert("logicalLocations".to_owned(), member);
    }
    location
}

/// The output of a place.
fn output(place: &str) -> &str {
    place.split(':').next().unwrap_or(place)
}
