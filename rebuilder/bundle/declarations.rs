//! CycloneDX attestations (CDXA): the verdict as a third party's claim with its evidence, in the shape that Adoptium's
//! verifiers of Temurin releases use.

use serde_json::{Value, json};

use super::{Manifest, sbom};
use crate::artifact::Sha256;
use crate::artifact::serialise::SerialiseError;
use crate::evidence::json::put;
use crate::plan::Plan;
use crate::run::{Record, Verdict};

/// Who states it.
#[derive(Debug, Clone)]
pub struct Assessor {
    /// Name of the organisation, or of the key.
    pub name: String,
    /// Where to find it.
    pub url: Option<String>,
}

/// The claim that follows from a verdict; `None` if it is inconclusive.
fn predicate(verdict: &Verdict) -> Option<(&'static str, f64, &'static str)> {
    match verdict {
        Verdict::Reproduced => Some((
            "VERIFIED_REPRODUCIBLE_BUILD",
            1.0,
            "every released file was reproduced bit for bit",
        )),
        Verdict::Equivalent => Some((
            "VERIFIED_EQUIVALENT_BUILD",
            0.5,
            "every released file was reproduced, except for differences that the named normalisations set \
            aside",
        )),
        Verdict::Mismatch => Some(("REBUILD_DIFFERS", 0.0, "released files were not reproduced")),
        // No claim for or against the files follows from these.
        Verdict::NotReproduced | Verdict::Inconclusive { .. } => None,
    }
}

/// The document; `digest` is that of `record.json`.
pub(super) fn declarations(
    plan: &Plan,
    record: &Record,
    manifest: &Manifest,
    assessor: &Assessor,
    digest: Sha256,
) -> Result<Option<Value>, SerialiseError> {
    let Some((claim, score, reason)) = predicate(&record.verdict) else {
        return Ok(None);
    };
    let targets = sbom::released(plan);
    let reasoning = format!("{reason}; plan sha256:{}", record.plan);
    let claims = claims(&targets, claim, &reasoning);
    let references: Vec<_> = claims.iter().map(|claim| claim["bom-ref"].clone()).collect();
    let evidence = |name: &str, property: &str, file: &str, sha256: Sha256| {
        json!({
            "bom-ref": name,
            "propertyName": property,
            "description": format!("{file} of this evidence bundle, sha256:{sha256}"),
            "created": record.finished,
            "data": [{"name": file, "contents": {"url": file}, "classification": "public"}]
        })
    };
    let organisation = organisation(assessor);
    let affirmation = affirmation(assessor, &organisation, plan);
    Ok(Some(json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": sbom::urn(&[b"cdxa", plan.canonical()?.as_slice(), record.id.as_bytes()]),
        "version": 1,
        "metadata": {
            "timestamp": manifest.created,
            "tools": {"components": [{"type": "application", "name": "rebuilder", "version": env!("CARGO_PKG_VERSION")}]}
        },
        "declarations": {
            "assessors": [{"bom-ref": "assessor", "thirdParty": true, "organization": organisation}],
            "attestations": [{
                "summary": format!("rebuild of {}: {}", plan.title(), manifest.verdict),
                "assessor": "assessor",
                "map": [{
                    "requirement": "requirement-rebuild",
                    "claims": references,
                    "conformance": {"score": score, "rationale": reason}
                }]
            }],
            "claims": claims,
            "evidence": [
                evidence("evidence-log", "VERIFICATION_LOG", "build.log", record.log),
                evidence("evidence-record", "VERIFICATION_RECORD", "record.json", digest)
            ],
            "targets": {"components": targets},
            "affirmation": affirmation
        },
        "definitions": {"standards": [standard()]}
    })))
}

/// What is claimed to be met.
fn standard() -> Value {
    json!({
        "bom-ref": "standard-rebuild",
        "name": "independent rebuild",
        "version": "1",
        "description": "released files are reproduced bit for bit from pinned public inputs, without a network",
        "requirements": [{"bom-ref": "requirement-rebuild", "identifier": "REBUILD-1", "title": "the released files are reproduced"}]
    })
}

/// One claim for each target.
fn claims(targets: &[Value], predicate: &str, reasoning: &str) -> Vec<Value> {
    let claim = |(number, target): (usize, &Value)| {
        json!({
            "bom-ref": format!("claim-{number}"),
            "target": target["bom-ref"],
            "predicate": predicate,
            "reasoning": reasoning,
            "evidence": ["evidence-log", "evidence-record"]
        })
    };
    targets.iter().enumerate().map(claim).collect()
}

fn organisation(assessor: &Assessor) -> Value {
    let mut organisation = json!({"name": assessor.name});
    if let Some(url) = &assessor.url {
        put(&mut organisation, "url", json!([url]));
    }
    organisation
}

/// What the assessor stands for; signatories need an address.
fn affirmation(assessor: &Assessor, organisation: &Value, plan: &Plan) -> Value {
    let statement = format!(
        "{} rebuilt {} independently of its publisher",
        assessor.name,
        plan.title()
    );
    let mut affirmation = json!({"statement": statement});
    if let Some(url) = &assessor.url {
        let signatories = json!([{
            "organization": organisation,
            "externalReference": {"type": "website", "url": url}
        }]);
        put(&mut affirmation, "signatories", signatories);
    }
    affirmation
}
