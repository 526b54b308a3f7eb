//! What others say of the same files, and whether the bundle's conclusion follows from it.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use super::{CheckResult, Checks};
use crate::agreement::{self, Agreement, RebuildClaim};
use crate::bundle::contents::without_cost;
use crate::bundle::{BundleError, Manifest};
use crate::evidence::json;
use crate::evidence::trust::Trust;
use crate::plan::Plan;
use crate::policy::{Policy, PolicyError};
use crate::run::{Record, Verdict};
use crate::store::StoreError;

/// Attestations and policy of a bundle as files, for code that reads files.
pub(super) fn attestations(files: &BTreeMap<String, Vec<u8>>) -> Result<tempfile::TempDir, BundleError> {
    let folder = tempfile::tempdir().map_err(StoreError::io("write into", &std::env::temp_dir()))?;
    let io = || StoreError::io("write into", folder.path());
    std::fs::create_dir(folder.path().join("attestations")).map_err(io())?;
    for (name, bytes) in files {
        let wanted = ["attestations/", "policy/"]
            .iter()
            .any(|start| name.starts_with(start));
        if wanted {
            let path = folder.path().join(name);
            let parent = path.parent().unwrap_or(folder.path());
            std::fs::create_dir_all(parent)
                .and_then(|()| std::fs::write(&path, bytes))
                .map_err(io())?;
        }
    }
    Ok(folder)
}

/// No party that the reader trusts says that these files were not reproduced, if the record says that they were.
pub(super) fn dissent(
    plan: &Plan,
    record: &Record,
    folder: &Path,
    trust: &Trust,
    checks: &mut Checks,
) -> Result<(), BundleError> {
    if !matches!(record.verdict, Verdict::Reproduced | Verdict::Equivalent) {
        return Ok(());
    }
    let artifacts = plan.released();
    let (tallies, _) = agreement::gather(&[folder.join("attestations")], &artifacts, trust)?;
    for (artifact, tally) in artifacts.iter().zip(&tallies) {
        // An equivalent run attests the rebuilt files, which are not the released ones.
        let own = |testimony: &agreement::Testimony| {
            testimony.reading.kind == agreement::Kind::Rebuild
                && testimony.reading.invocation.as_ref() == Some(&record.id)
        };
        let other = tally.voices().flatten().find(|testimony| {
            // Anyone can sign without a key, and the bundle's author could add such attestations.
            testimony.signer.named
                && matches!(testimony.reading.says, RebuildClaim::Differs { .. })
                && !own(testimony)
        });
        if let Some(other) = other {
            let origin = other.origin.rsplit('/').next().unwrap_or_default();
            checks.push(
                "no party that you trust says otherwise",
                CheckResult::Fails,
                format!(
                    "{}: {} says that {} ({origin})",
                    artifact.name,
                    other.signer.name,
                    other.reading.says.sentence()
                ),
            );
        }
    }
    Ok(())
}

/// What is checked of the conclusion in the bundle.
const CHECK: &str = "the parties agree as the bundle says";

/// The same conclusion follows from the attestations and the policy in the bundle; returns what was concluded again.
pub(super) fn parties(
    plan: &Plan,
    manifest: &Manifest,
    files: &BTreeMap<String, Vec<u8>>,
    folder: &Path,
    trust: &Trust,
    checks: &mut Checks,
) -> Result<Again, BundleError> {
    let nothing = |policy| Again {
        policy,
        agreements: Vec::new(),
    };
    let Some(stored) = files.get("agreement.json") else {
        if files.keys().any(|name| name.starts_with("policy/")) {
            let finding = "the bundle has a policy, but no conclusion from it";
            checks.push(CHECK, CheckResult::Fails, finding);
        }
        return Ok(nothing(Policy::BuiltIn));
    };
    let policy = match policy(files, folder) {
        Ok(policy) => policy,
        Err(error) => {
            checks.push(CHECK, CheckResult::Fails, error.to_string());
            return Ok(nothing(Policy::BuiltIn));
        }
    };
    let stored = match conclusions(stored) {
        Ok(stored) => stored,
        Err(finding) => {
            checks.push(CHECK, CheckResult::Fails, finding);
            return Ok(nothing(policy));
        }
    };
    let trust = with_keys(trust, &policy);
    let artifacts = plan.released();
    let (tallies, cost) = agreement::gather(&[folder.join("attestations")], &artifacts, &trust)?;
    if stored.len() != artifacts.len() {
        let finding = format!("{} conclusions for {} files", stored.len(), artifacts.len());
        checks.push(CHECK, CheckResult::Fails, finding);
    }
    let mut agreements = Vec::new();
    for ((artifact, tally), stored) in artifacts.iter().zip(&tallies).zip(&stored) {
        let Some(then) = time_of(stored, manifest) else {
            let name = &artifact.name;
            let finding = format!("{name}: its time is not between the end of the run and now");
            checks.push(CHECK, CheckResult::Fails, finding);
            continue;
        };
        match agreement::conclude(artifact, tally, &trust, &policy, then, cost) {
            Ok(again) => {
                let finding = format!("{}: {} ({})", artifact.name, again.verdict.word(), again.reason);
                checks.add(CHECK, is_same(&again, stored), finding);
                agreements.push(again);
            }
            Err(error) => checks.push(CHECK, CheckResult::Fails, error.to_string()),
        }
    }
    Ok(Again { policy, agreements })
}

/// The conclusions in `agreement.json`, or why it cannot be read.
fn conclusions(bytes: &[u8]) -> Result<Vec<Value>, String> {
    match json::parse_own(bytes) {
        Ok(Value::Array(stored)) => Ok(stored),
        Ok(_) => Ok(Vec::new()),
        Err(error) => Err(format!("agreement.json: {error}")),
    }
}

/// The policy in the bundle.
fn policy(files: &BTreeMap<String, Vec<u8>>, folder: &Path) -> Result<Policy, PolicyError> {
    if files.contains_key("policy/policy.toml") {
        return Policy::read(&folder.join("policy/policy.toml"));
    }
    Ok(Policy::BuiltIn)
}

/// What the reader believes, and the keys of the policy.
fn with_keys(trust: &Trust, policy: &Policy) -> Trust {
    match policy {
        Policy::File(file) => trust.clone().with(file.keys()),
        _ => trust.clone(),
    }
}

/// Whether a conclusion is the one that is stored, but for what it cost.
fn is_same(again: &Agreement, stored: &Value) -> bool {
    let found = without_cost(&serde_json::json!([again]));
    essence(found.get(0).unwrap_or(&Value::Null)) == essence(stored)
}

/// The time as of which a conclusion is drawn: an attestation that is too old now was not then. None if that is before the
/// end of the run, or in the future.
fn time_of(stored: &Value, manifest: &Manifest) -> Option<jiff::Timestamp> {
    let then: jiff::Timestamp = stored["time"].as_str()?.parse().ok()?;
    (then >= manifest.created && then <= jiff::Timestamp::now()).then_some(then)
}

/// What was concluded again, and by which policy.
pub(super) struct Again {
    pub policy: Policy,
    pub agreements: Vec<Agreement>,
}

/// What a conclusion says, without where its files lay.
fn essence(agreement: &Value) -> Value {
    let of = |value: &Value, names: &[&str]| -> Value {
        let pairs = names
            .iter()
            .map(|name| ((*name).to_owned(), value[*name].clone()));
        Value::Object(pairs.collect())
    };
    let parties = agreement["parties"].as_array().into_iter().flatten();
    let party = [
        "party",
        "role",
        "organisation",
        "says",
        "weight",
        "counted",
        "signer",
        "builder",
        "kind",
        "subject",
        "time",
        "attestation",
        "times",
        "inputs",
    ];
    serde_json::json!({
        // Both forms say the same about what is compared here.
        "known": agreement["version"].as_u64().is_some_and(|version| [1, 2].contains(&version)),
        "whole": of(agreement, &["artifact", "time", "verdict", "weight", "divergences"]),
        "quorum": of(&agreement["quorum"], &["digest", "threshold", "roles", "independent"]),
        "parties": parties.map(|it| of(it, &party)).collect::<Vec<_>>()
    })
}
