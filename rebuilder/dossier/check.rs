//! Checking an evidence bundle again, offline: every digest, every conclusion, every signature.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Serialize;
use serde_json::Value;

use super::contents::{payload, without_cost};
use super::{Contents, DossierError, MANIFEST, Manifest, sbom};
use crate::agreement;
use crate::artifact::Sha256;
use crate::evidence::Standing;
use crate::evidence::assess;
use crate::evidence::document;
use crate::evidence::trust::Trust;
use crate::plan::Plan;
use crate::policy::Policy;
use crate::rebuild::Record;

/// One thing that was checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What.
    pub check: &'static str,
    /// What came of it.
    pub outcome: Outcome,
    /// What was found.
    pub finding: String,
}

/// What came of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It holds.
    Holds,
    /// Nothing was there to check it with.
    Open,
    /// It does not hold.
    Fails,
}

struct Checks(Vec<Check>);

impl Checks {
    fn add(&mut self, check: &'static str, holds: bool, finding: impl Into<String>) {
        let outcome = if holds { Outcome::Holds } else { Outcome::Fails };
        self.push(check, outcome, finding);
    }

    fn push(&mut self, check: &'static str, outcome: Outcome, finding: impl Into<String>) {
        self.0.push(Check {
            check,
            outcome,
            finding: finding.into(),
        });
    }
}

/// Checks everything in an archive that was read; `trust` is what its reader believes beforehand.
pub fn check(
    path: &Path,
    contents: &Contents,
    trust: &Trust,
) -> Result<(Manifest, Vec<Check>), DossierError> {
    let files = &contents.documents;
    let invalid = |reason: String| DossierError::NotOne {
        path: path.to_owned(),
        reason,
    };
    let get = |name: &str| {
        files
            .get(name)
            .ok_or_else(|| invalid(format!("{name} is missing")))
    };
    let manifest: Manifest =
        serde_json::from_slice(get(MANIFEST)?).map_err(|error| invalid(format!("{MANIFEST}: {error}")))?;
    let mut checks = Checks(Vec::new());
    whole(&manifest, &contents.digests, &mut checks);

    let plan: Plan =
        serde_json::from_slice(get("plan.json")?).map_err(|error| invalid(format!("plan.json: {error}")))?;
    let record: Record = serde_json::from_slice(get("record.json")?)
        .map_err(|error| invalid(format!("record.json: {error}")))?;
    checks.add(
        "the record is of this plan",
        record.plan == plan.digest(),
        format!("sha256:{}", record.plan),
    );
    for (name, expected) in [("build.log", record.log), ("report.html", record.report)] {
        let found = Sha256::of(get(name)?);
        checks.add(
            "log and report are the run's",
            found == expected,
            format!("{name} sha256:{found}"),
        );
    }
    let concluded = record.concluded(&plan);
    checks.add(
        "the verdict follows from plan and digests",
        concluded == record.verdict && record.verdict.to_string() == manifest.verdict,
        concluded.to_string(),
    );
    for (name, digest) in contents
        .digests
        .iter()
        .filter(|(name, _)| name.starts_with("rebuilt/"))
    {
        let output = name.trim_start_matches("rebuilt/");
        let wanted = record
            .outputs
            .iter()
            .find(|it| it.name == output)
            .and_then(|it| it.rebuilt);
        checks.add(
            "rebuilt files are what the record says",
            wanted == Some(*digest),
            output,
        );
    }
    materials(&plan, files, &mut checks);
    attestation(&record, &plan, files, trust, &mut checks);
    signature(MANIFEST, "manifest.sigstore.json", files, trust, &mut checks);
    parties(&plan, files, trust, &mut checks)?;
    pointers(contents, &mut checks);
    Ok((manifest, checks.0))
}

/// Every file that is listed is there as listed, and no other.
fn whole(manifest: &Manifest, digests: &BTreeMap<String, Sha256>, checks: &mut Checks) {
    let own = [MANIFEST, "SHA256SUMS", "manifest.sigstore.json"];
    let listed: BTreeSet<_> = manifest.files.iter().map(|file| file.path.as_str()).collect();
    let extra: Vec<_> = digests
        .keys()
        .filter(|name| !listed.contains(name.as_str()) && !own.contains(&name.as_str()))
        .collect();
    let wrong: Vec<_> = manifest
        .files
        .iter()
        .filter(|file| digests.get(&file.path) != Some(&file.sha256))
        .map(|file| &file.path)
        .collect();
    let finding = if extra.is_empty() && wrong.is_empty() {
        format!("{} files", manifest.files.len())
    } else {
        format!("not as listed: {wrong:?}; not listed: {extra:?}")
    };
    checks.add(
        "every file is as the manifest lists it",
        extra.is_empty() && wrong.is_empty(),
        finding,
    );
}

/// Both bills of materials have every input of the plan, and nothing else.
fn materials(plan: &Plan, files: &BTreeMap<String, Vec<u8>>, checks: &mut Checks) {
    let mut wanted: Vec<String> = sbom::parts(plan)
        .iter()
        .filter_map(|part| part.sha256)
        .map(Sha256::to_hex)
        .collect();
    wanted.extend(plan.expected.iter().map(|expected| expected.file.sha256.to_hex()));
    wanted.sort();
    for (name, list, digest) in [
        ("sbom/build.cdx.json", "/components", "/hashes/0/content"),
        ("sbom/build.spdx.json", "/packages", "/checksums/0/checksumValue"),
    ] {
        let document: Value = files
            .get(name)
            .and_then(|bytes| serde_json::from_slice(bytes).ok())
            .unwrap_or_default();
        let entries = document
            .pointer(list)
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        let digests = entries
            .iter()
            .filter_map(|entry| entry.pointer(digest)?.as_str().map(str::to_owned));
        let mut found: Vec<String> = digests.collect();
        found.sort();
        checks.add(
            "the bills of materials are the plan's",
            found == wanted,
            format!("{name}: {} parts", entries.len()),
        );
    }
}

/// What this rebuild attests is about this run, and signed.
fn attestation(
    record: &Record,
    plan: &Plan,
    files: &BTreeMap<String, Vec<u8>>,
    trust: &Trust,
    checks: &mut Checks,
) {
    let name = "attestations/rebuild.sigstore.json";
    let Some(bytes) = files.get(name) else {
        checks.push(
            "the rebuild is attested",
            Outcome::Open,
            "no attestation is in the bundle",
        );
        return;
    };
    let statement = payload(bytes).unwrap_or_default();
    let predicate = &statement["predicate"];
    let named = [
        &predicate["buildDefinition"]["internalParameters"]["plan"]["sha256"],
        &predicate["configuration"][0]["digest"]["sha256"],
    ];
    let digest = record.plan.to_hex();
    let about = named.iter().any(|found| found.as_str() == Some(&digest));
    let subjects: Vec<_> = statement["subject"].as_array().into_iter().flatten().collect();
    let known: BTreeSet<String> = plan
        .expected
        .iter()
        .map(|expected| expected.file.sha256)
        .chain(record.outputs.iter().filter_map(|output| output.rebuilt))
        .map(Sha256::to_hex)
        .collect();
    let right = !subjects.is_empty()
        && subjects.iter().all(|subject| {
            subject["digest"]["sha256"]
                .as_str()
                .is_some_and(|it| known.contains(it))
        });
    checks.add(
        "the attestation is about this run",
        about && right,
        format!("{} subjects", subjects.len()),
    );
    signature("the attestation of the rebuild", name, files, trust, checks);
}

/// Whether a trusted key signed something in the bundle.
fn signature(what: &str, name: &str, files: &BTreeMap<String, Vec<u8>>, trust: &Trust, checks: &mut Checks) {
    const CHECK: &str = "signed by a key that you trust";
    let Some(bytes) = files.get(name) else {
        checks.push(CHECK, Outcome::Open, format!("{what} is not signed"));
        return;
    };
    let documents = document::read(name, bytes).unwrap_or_default();
    let Some(document) = documents.first() else {
        checks.push(CHECK, Outcome::Fails, format!("{name} is no attestation"));
        return;
    };
    let signed = assess::who(document, trust);
    let by = signed
        .signer
        .map_or_else(String::new, |signer| format!(" by {}", signer.name));
    let outcome = match signed.standing {
        Standing::Verified => Outcome::Holds,
        Standing::Refuted | Standing::Elsewhere => Outcome::Fails,
        _ => Outcome::Open,
    };
    checks.push(
        CHECK,
        outcome,
        format!("{what}: {}{by} ({})", signed.standing.word(), signed.note),
    );
    if name == "manifest.sigstore.json" {
        let statement = payload(bytes).unwrap_or_default();
        let listed = files.get(MANIFEST).map(|bytes| Sha256::of(bytes).to_hex());
        let about = statement["subject"][0]["digest"]["sha256"].as_str() == listed.as_deref();
        checks.add("the signed manifest is this one", about, MANIFEST);
    }
}

/// The same conclusion follows from the attestations and the policy in the bundle.
fn parties(
    plan: &Plan,
    files: &BTreeMap<String, Vec<u8>>,
    trust: &Trust,
    checks: &mut Checks,
) -> Result<(), DossierError> {
    const CHECK: &str = "the parties agree as the bundle says";
    let Some(stored) = files.get("agreement.json") else {
        return Ok(());
    };
    let stored: Value = serde_json::from_slice(stored).unwrap_or_default();
    let folder =
        tempfile::tempdir().map_err(crate::store::StoreError::io("write into", &std::env::temp_dir()))?;
    for (name, bytes) in files {
        let wanted = ["attestations/", "policy/"]
            .iter()
            .any(|start| name.starts_with(start));
        let plain = Path::new(name)
            .components()
            .all(|part| matches!(part, std::path::Component::Normal(_)));
        if wanted && plain {
            let path = folder.path().join(name);
            let parent = path.parent().unwrap_or(folder.path());
            let io = crate::store::StoreError::io("write into", folder.path());
            std::fs::create_dir_all(parent)
                .and_then(|()| std::fs::write(&path, bytes))
                .map_err(io)?;
        }
    }
    let policy = if files.contains_key("policy/policy.toml") {
        Policy::read(&folder.path().join("policy/policy.toml"))
    } else {
        Ok(Policy::BuiltIn)
    };
    let policy = match policy {
        Ok(policy) => policy,
        Err(error) => {
            checks.push(CHECK, Outcome::Fails, error.to_string());
            return Ok(());
        }
    };
    let trust = match &policy {
        Policy::File(file) => trust.clone().with(file.keys()),
        _ => trust.clone(),
    };
    let artifacts = plan.released();
    let (tallies, cost) = agreement::gather(&[folder.path().join("attestations")], &artifacts, &trust)?;
    for ((artifact, tally), stored) in artifacts
        .iter()
        .zip(&tallies)
        .zip(stored.as_array().into_iter().flatten())
    {
        // As of then: what is old by now was not when it was concluded.
        let then = stored["time"]
            .as_str()
            .and_then(|text| text.parse().ok())
            .unwrap_or_else(jiff::Timestamp::now);
        let again = agreement::conclude(artifact, tally, &trust, &policy, then, cost);
        let again = again
            .map(|it| without_cost(&serde_json::json!([it]))[0].clone())
            .unwrap_or_default();
        let same = again["verdict"] == stored["verdict"] && again["artifact"] == stored["artifact"];
        checks.add(
            CHECK,
            same,
            format!(
                "{}: {} ({})",
                artifact.name,
                text(&again["verdict"]),
                text(&again["reason"])
            ),
        );
    }
    Ok(())
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or("?").to_owned()
}

/// Every control points at something that is there.
fn pointers(contents: &Contents, checks: &mut Checks) {
    let files = &contents.documents;
    let map: Value = files
        .get("controls.json")
        .and_then(|bytes| serde_json::from_slice(bytes).ok())
        .unwrap_or_default();
    let controls = map.as_array().cloned().unwrap_or_default();
    let evidence = controls
        .iter()
        .flat_map(|control| control["evidence"].as_array().cloned().unwrap_or_default());
    let dangling: Vec<_> = evidence
        .filter_map(|pointer| pointer["file"].as_str().map(str::to_owned))
        .filter(|file| !contents.digests.contains_key(file))
        .collect();
    let without = controls
        .iter()
        .filter(|control| control["status"] == "no evidence")
        .count();
    checks.add(
        "controls point at what is there",
        dangling.is_empty() && !controls.is_empty(),
        format!("{} controls, {without} without evidence", controls.len()),
    );
}
