//! CycloneDX attestations (CDXA) in a signed statement: a third party's claim that a release was rebuilt, as Adoptium's
//! verifiers and this tool write it.

use serde_json::Value;

use super::reading::{Aside, UNNAMED};
use super::testimony::{Kind, Reading, RebuildClaim};
use super::{Inputs, Reason};
use crate::evidence::assess::Artifact;
use crate::evidence::json::member;
use crate::evidence::nature::Nature;
use crate::evidence::statement::Statement;

/// Reads the declarations about an artifact that is the statement's subject.
pub(super) fn read(statement: &Statement, artifact: &Artifact) -> Result<Reading, Aside> {
    let declarations = member(&statement.predicate, ["declarations"]);
    let no_build = || {
        let why = format!(
            "it is {}, and declares no rebuild of it",
            Nature::Inventory.words()
        );
        (Reason::NoBuild, why)
    };
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let components = list(member(declarations, ["targets", "components"]));
    // As in statements: all digests that can be compared must be right.
    let is_it = |component: &Value| {
        let mut same = false;
        for hash in list(member(component, ["hashes"])) {
            let algorithm = member(&hash, ["alg"]).as_str().unwrap_or_default().to_lowercase();
            match (
                artifact.digests.get(&algorithm.replace('-', "")),
                member(&hash, ["content"]).as_str(),
            ) {
                (Some(own), Some(digits)) if own.eq_ignore_ascii_case(digits) => same = true,
                (Some(_), _) => return false,
                (None, _) => {}
            }
        }
        same
    };
    // Two components of one name are a contradiction, so neither is meant.
    let (own, others): (Vec<Value>, Vec<Value>) = components.into_iter().partition(is_it);
    let name = |component: &Value| member(component, ["bom-ref"]).clone();
    let others: Vec<Value> = others.iter().map(name).collect();
    let mut targets: Vec<Value> = own.iter().map(name).collect();
    targets.retain(|target| !others.contains(target));
    let mut said: Vec<RebuildClaim> = Vec::new();
    for claim in list(&declarations["claims"]) {
        let target = member(&claim, ["target"]);
        let about = target.is_string() && targets.contains(target);
        if let Some(says) = about.then(|| meaning(&claim, declarations)).flatten()
            && !said.contains(&says)
        {
            said.push(says);
        }
    }
    match said.as_slice() {
        [] => Err(no_build()),
        [says] => Ok(Reading {
            statement: Some(statement.digest),
            stated: member(&statement.predicate, ["metadata", "timestamp"])
                .as_str()
                .and_then(|time| time.parse().ok()),
            ..Reading::new(Kind::Declaration, says.clone(), Inputs::default())
        }),
        _ => Err((
            Reason::Unreadable,
            "its declarations contradict each other".into(),
        )),
    }
}

/// What a claim says about a rebuild by a third party. If its own attestation rates a claim below 1, it is not a claim
/// of the same bytes.
fn meaning(claim: &Value, declarations: &Value) -> Option<RebuildClaim> {
    let reference = &claim["bom-ref"];
    let assessors = declarations["assessors"].as_array()?;
    let independent = |name: &Value| {
        let mut own = assessors.iter().filter(|it| it["bom-ref"] == *name).peekable();
        name.is_string() && own.peek().is_some() && own.all(|it| it["thirdParty"] == true)
    };
    let ratings = declarations["attestations"]
        .as_array()?
        .iter()
        .filter(|attestation| independent(&attestation["assessor"]))
        .flat_map(|attestation| attestation["map"].as_array().into_iter().flatten())
        .filter(|entry| {
            let claims = entry["claims"].as_array();
            reference.is_string() && claims.is_some_and(|claims| claims.contains(reference))
        });
    // The lowest rating counts; one that is missing is none.
    let ratings: Vec<Option<f64>> = ratings
        .map(|entry| member(entry, ["conformance", "score"]).as_f64())
        .collect();
    if ratings.is_empty() {
        return None;
    }
    let whole = ratings
        .iter()
        .all(|score| score.is_some_and(|score| score >= 1.0));
    match claim["predicate"].as_str()? {
        "VERIFIED_REPRODUCIBLE_BUILD" if whole => Some(RebuildClaim::Same),
        "VERIFIED_EQUIVALENT_BUILD" if !ratings.iter().flatten().any(|score| *score <= 0.0) => {
            Some(RebuildClaim::Equivalent {
                rebuilt: None,
                normalisations: vec![UNNAMED.to_owned()],
            })
        }
        "REBUILD_DIFFERS" => Some(RebuildClaim::Differs { rebuilt: None }),
        _ => None,
    }
}
