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
    let is_it = |component: &Value| {
        list(&component["hashes"]).iter().any(|hash| {
            hash["alg"] == "SHA-256"
                && hash["content"]
                    .as_str()
                    .is_some_and(|digits| digits.eq_ignore_ascii_case(&artifact.digests.sha256.to_hex()))
        })
    };
    let targets: Vec<Value> = components
        .into_iter()
        .filter(is_it)
        .map(|it| member(&it, ["bom-ref"]).clone())
        .collect();
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
        let mut all = assessors.iter();
        all.any(|it| it["bom-ref"] == *name && it["thirdParty"] == true)
    };
    let conforms = declarations["attestations"]
        .as_array()?
        .iter()
        .filter(|attestation| independent(&attestation["assessor"]))
        .flat_map(|attestation| attestation["map"].as_array().into_iter().flatten())
        .find(|entry| {
            let claims = entry["claims"].as_array();
            reference.is_string() && claims.is_some_and(|claims| claims.contains(reference))
        })?;
    let whole = member(conforms, ["conformance", "score"])
        .as_f64()
        .is_some_and(|score| score >= 1.0);
    match claim["predicate"].as_str()? {
        "VERIFIED_REPRODUCIBLE_BUILD" if whole => Some(RebuildClaim::Same),
        "VERIFIED_EQUIVALENT_BUILD" => Some(RebuildClaim::Equivalent {
            rebuilt: None,
            normalisations: vec![UNNAMED.to_owned()],
        }),
        "REBUILD_DIFFERS" => Some(RebuildClaim::Differs { rebuilt: None }),
        _ => None,
    }
}
