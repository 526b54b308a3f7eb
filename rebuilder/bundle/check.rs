//! Checking an evidence bundle again, offline: every digest, every conclusion, every signature.
//!
//! Each document is read once and strictly, and what a signature vouches for is the very value that is compared. Every
//! member has its place; everything that follows from plan and record is derived again.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize as _, Serialize};
use serde_json::Value;

use super::attested;
use super::{
    ATTESTATION, Contents, BundleError, EQUIVALENCE, MANIFEST, Manifest, OUTPUTS, PREDICATE, SIGNATURE,
    SUMS, controls, sbom,
};
use crate::agreement::{self, Agreement, RebuildClaim};
use crate::artifact::Sha256;
use crate::artifact::serialise::SerialiseError;
use crate::attest::predicate::SignedManifest;
use crate::bundle::archive::sums;
use crate::bundle::attested::{differences, differences_of_equivalence};
use crate::bundle::contents::{claims, without_cost};
use crate::bundle::declarations::{Assessor, declarations};
use crate::evidence::assess::{self, Stated};
use crate::evidence::json::member;
use crate::evidence::statement::Statement;
use crate::evidence::trust::Trust;
use crate::evidence::{Standing, document, json};
use crate::plan::{Plan, PlanFileError};
use crate::policy::Policy;
use crate::run::{Page, Record, Verdict};

/// One thing that was checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What.
    pub check: &'static str,
    /// What came of it.
    pub outcome: CheckResult,
    /// What was found.
    pub finding: String,
}

/// What came of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CheckResult {
    /// It holds.
    Holds,
    /// Nothing was there to check it with.
    Open,
    /// It does not hold.
    Fails,
}

/// A bundle that was checked.
#[derive(Debug, Clone, Serialize)]
pub struct Checked {
    /// What it says of itself.
    pub manifest: Manifest,
    /// What the attestation in it says.
    pub attested: Option<Attested>,
    /// What came of each check.
    pub checks: Vec<Check>,
}

/// What an attestation says of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Attested {
    /// The verdict.
    pub verdict: &'static str,
    /// What it calls the files that it is about.
    pub subjects: Vec<String>,
    /// Whose word it is, where a signature by a key that is trusted is good.
    pub by: Option<String>,
}

impl Checked {
    /// Whether any check has this outcome.
    pub fn any(&self, outcome: CheckResult) -> bool {
        self.checks.iter().any(|check| check.outcome == outcome)
    }
}

struct Checks(Vec<Check>);

impl Checks {
    fn add(&mut self, check: &'static str, holds: bool, finding: impl Into<String>) {
        let outcome = if holds { CheckResult::Holds } else { CheckResult::Fails };
        self.push(check, outcome, finding);
    }

    fn push(&mut self, check: &'static str, outcome: CheckResult, finding: impl Into<String>) {
        self.0.push(Check {
            check,
            outcome,
            finding: finding.into(),
        });
    }
}

/// Checks everything in an archive that was read; `trust` is what its reader believes beforehand, and `page` makes the
/// page that the archive's own is compared with.
pub fn check(path: &Path, contents: &Contents, trust: &Trust, page: Page) -> Result<Checked, BundleError> {
    let files = &contents.documents;
    let invalid = |reason: String| BundleError::NotOne {
        path: path.to_owned(),
        reason,
    };
    let get = |name: &str| {
        files
            .get(name)
            .ok_or_else(|| invalid(format!("{name} is missing")))
    };
    let manifest: Manifest = exactly(MANIFEST, get(MANIFEST)?).map_err(invalid)?;
    let plan: Plan = exactly("plan.json", get("plan.json")?).map_err(invalid)?;
    as_read_from_disk(get("plan.json")?)?.map_err(|error| invalid(error.to_string()))?;
    let record: Record = exactly("record.json", get("record.json")?).map_err(invalid)?;
    let mut checks = Checks(Vec::new());
    whole(&manifest, contents, &mut checks);
    places(contents, &plan, &record, &mut checks);

    let plan_file = Sha256::of(get("plan.json")?);
    checks.add(
        "the record is of this plan",
        record.plan == plan.digest()? && record.plan == plan_file && record.subject == plan.subject,
        format!("sha256:{}", record.plan),
    );
    let log = Sha256::of(get("build.log")?);
    checks.add(
        "log and report are the run's",
        log == record.log,
        format!("sha256:{log}"),
    );
    let report = Sha256::of(get("report.html")?);
    if let Some(named) = record.report {
        checks.add(
            "log and report are the run's",
            report == named,
            format!("sha256:{report}"),
        );
    }
    let concluded = record.verdict_of(&plan);
    checks.add(
        "the verdict follows from plan and digests",
        concluded == record.verdict && record.verdict.to_string() == manifest.verdict,
        concluded.to_string(),
    );
    checks.add(
        "the manifest is of this run",
        manifest.version == 1
            && record.version == 1
            && manifest.subject == plan.subject
            && manifest.run == record.id
            && manifest.created == record.finished,
        manifest.run.clone(),
    );
    materials(&plan, files, &mut checks);
    let mut heard = attestation(&record, &plan, report, files, trust, &mut checks);
    equivalence(&record, report, files, trust, &mut checks);
    manifest_signature(&manifest, files, trust, &mut checks);
    let place = attestations(files)?;
    dissent(&plan, &record, place.path(), trust, &mut checks)?;
    let agreements = parties(&plan, &manifest, files, place.path(), trust, &mut checks)?;
    derived(
        &Run {
            manifest: &manifest,
            plan: &plan,
            record: &record,
            statement: heard.as_ref().map(|(_, statement)| statement),
            agreements: &agreements,
            page,
        },
        contents,
        &mut checks,
    )?;
    pointers(contents, &mut checks);
    Ok(Checked {
        manifest,
        attested: heard.take().map(|(attested, _)| attested),
        checks: checks.0,
    })
}

/// Reads a document of this tool: no key twice, and nothing in it that this tool would not write again.
fn exactly<T: DeserializeOwned + Serialize>(name: &str, bytes: &[u8]) -> Result<T, String> {
    let value = json::parse_own(bytes).map_err(|error| format!("{name}: {error}"))?;
    let read = T::deserialize(&value).map_err(|error| format!("{name}: {error}"))?;
    let again = serde_json::to_value(&read).map_err(|error| format!("{name}: {error}"))?;
    match unread(&value, &again) {
        Some(place) => Err(format!(
            "{name}: {place} is not read, or means something else to others"
        )),
        None => Ok(read),
    }
}

/// Whether a plan may be followed, by the rules of the one reader of plans.
fn as_read_from_disk(plan: &[u8]) -> Result<Result<Plan, PlanFileError>, BundleError> {
    let folder = std::env::temp_dir();
    let file = tempfile::NamedTempFile::new_in(&folder)
        .and_then(|file| std::fs::write(file.path(), plan).map(|()| file))
        .map_err(crate::store::StoreError::io("write into", &folder))?;
    Ok(Plan::read(file.path()))
}

/// The first place of a document that is not in another; what only the other one has are values by default.
fn unread(value: &Value, again: &Value) -> Option<String> {
    let below = |place: String, inner: String| {
        if inner.is_empty() {
            Some(place)
        } else {
            Some(format!("{place}.{inner}"))
        }
    };
    match (value, again) {
        (Value::Object(members), Value::Object(others)) => {
            members.iter().find_map(|(name, value)| match others.get(name) {
                None => Some(name.clone()),
                Some(other) => unread(value, other).and_then(|inner| below(name.clone(), inner)),
            })
        }
        (Value::Array(items), Value::Array(others)) if items.len() == others.len() => items
            .iter()
            .zip(others)
            .enumerate()
            .find_map(|(at, (item, other))| {
                unread(item, other).and_then(|inner| below(at.to_string(), inner))
            }),
        _ => (value != again).then(String::new),
    }
}

/// Every file that is listed is there as listed, and no other.
fn whole(manifest: &Manifest, contents: &Contents, checks: &mut Checks) {
    let own = [MANIFEST, SUMS, SIGNATURE];
    let listed: BTreeSet<_> = manifest.files.iter().map(|file| file.path.as_str()).collect();
    let extra: Vec<_> = contents
        .digests
        .keys()
        .filter(|name| !listed.contains(name.as_str()) && !own.contains(&name.as_str()))
        .collect();
    let wrong: Vec<_> = manifest
        .files
        .iter()
        .filter(|file| {
            contents.digests.get(&file.path) != Some(&file.sha256)
                || contents.sizes.get(&file.path) != Some(&file.size)
                || own.contains(&file.path.as_str())
        })
        .map(|file| &file.path)
        .collect();
    let once = listed.len() == manifest.files.len();
    let finding = if !once {
        "a file is listed twice".to_owned()
    } else if extra.is_empty() && wrong.is_empty() {
        format!("{} files", manifest.files.len())
    } else {
        format!("not as listed: {wrong:?}; not listed: {extra:?}")
    };
    checks.add(
        "every file is as the manifest lists it",
        once && extra.is_empty() && wrong.is_empty(),
        finding,
    );
    let documents = &contents.documents;
    let again = documents
        .get(MANIFEST)
        .map(|bytes| sums(manifest, Sha256::of(bytes)));
    checks.add(
        "the list for sha256sum is the manifest's",
        documents.get(SUMS).map(Vec::as_slice) == again.as_deref().map(str::as_bytes),
        SUMS,
    );
}

/// Every file is one that a bundle has, and what is named by a digest or a record is what is meant there.
fn places(contents: &Contents, plan: &Plan, record: &Record, checks: &mut Checks) {
    const KNOWN: [&str; 17] = [
        MANIFEST,
        SUMS,
        SIGNATURE,
        ATTESTATION,
        EQUIVALENCE,
        "plan.json",
        "record.json",
        "report.html",
        "build.log",
        "claims.json",
        "agreement.json",
        "sbom/build.cdx.json",
        "sbom/build.spdx.json",
        "cdxa.json",
        "cost.json",
        "controls.json",
        "controls.md",
    ];
    let claimed: BTreeSet<String> = plan
        .claims
        .iter()
        .filter_map(|claim| claim.document)
        .map(|digest| format!("documents/sha256-{digest}"))
        .collect();
    let mut strange = Vec::new();
    for (name, digest) in &contents.digests {
        let folder = name.split_inclusive('/').next().unwrap_or_default();
        let is_output = OUTPUTS.contains(&folder);
        if is_output {
            let output = name.strip_prefix(folder).unwrap_or_default();
            let mut outputs = record.outputs.iter().filter(|it| it.name == output);
            let wanted = match (outputs.next(), outputs.next()) {
                (Some(only), None) if folder == OUTPUTS[0] => only.rebuilt,
                (Some(only), None) => only.released,
                _ => None,
            };
            checks.add(
                if folder == OUTPUTS[0] {
                    "rebuilt files are what the record says"
                } else {
                    "released files are what the record says"
                },
                wanted == Some(*digest),
                output,
            );
            continue;
        }
        let known = KNOWN.contains(&name.as_str())
            || name.starts_with("attestations/others/")
            || name.starts_with("policy/")
            || claimed.contains(name) && *name == format!("documents/sha256-{digest}");
        if !known {
            strange.push(name.as_str());
        }
    }
    checks.add(
        "every file has its place",
        strange.is_empty(),
        if strange.is_empty() {
            format!("{} files", contents.digests.len())
        } else {
            format!("nothing in a bundle is called {strange:?}")
        },
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
            .and_then(|bytes| json::parse_own(bytes).ok())
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

/// What a bundle of the archive states, and whether a trusted key signed that very statement.
///
/// Who signed is a check of its own; the statement comes back whoever did, so that what speaks against the bundle is
/// seen without a key, and with the word whether it may speak for it.
fn signed_statement(
    what: &str,
    name: &str,
    bytes: &[u8],
    trust: &Trust,
    checks: &mut Checks,
) -> Option<(Statement, Option<String>)> {
    let document = match document::read_bundle(name, bytes) {
        Ok(document) => document,
        Err(error) => {
            checks.push(SIGNED, CheckResult::Fails, error.to_string());
            return None;
        }
    };
    let heard = assess::hear(&document);
    let (signed, verified) = heard.vouch(trust);
    let by = signed.signer.as_ref().map(|signer| signer.name.clone());
    let outcome = match signed.standing {
        Standing::Verified => CheckResult::Holds,
        Standing::Refuted | Standing::Elsewhere => CheckResult::Fails,
        _ => CheckResult::Open,
    };
    checks.push(
        SIGNED,
        outcome,
        format!(
            "{what}: {}{} ({})",
            signed.standing.word(),
            by.as_deref().map_or_else(String::new, |by| format!(" by {by}")),
            signed.note
        ),
    );
    match verified {
        Some(stated) => match &**stated {
            Stated::Statement(statement) => Some(((**statement).clone(), by)),
            _ => None,
        },
        None => match heard.unverified() {
            Stated::Statement(statement) => Some(((**statement).clone(), None)),
            _ => None,
        },
    }
}

const SIGNED: &str = "signed by a key that you trust";

/// A check of what a statement says: it fails whoever signed it, and holds only by a signature that is good.
fn said(check: &'static str, differences: &[String], by: Option<&String>, good: String, checks: &mut Checks) {
    match (differences, by) {
        ([], Some(_)) => checks.push(check, CheckResult::Holds, good),
        ([], None) => checks.push(
            check,
            CheckResult::Open,
            format!("{good}; no key that you trust says so"),
        ),
        (several, _) => checks.push(check, CheckResult::Fails, several.join("; ")),
    }
}

/// What this rebuild attests is about this run, says the same as the rest of the bundle, and is signed.
fn attestation(
    record: &Record,
    plan: &Plan,
    report: Sha256,
    files: &BTreeMap<String, Vec<u8>>,
    trust: &Trust,
    checks: &mut Checks,
) -> Option<(Attested, Statement)> {
    const CHECK: &str = "the attestation is about this run";
    let Some(bytes) = files.get(ATTESTATION) else {
        checks.push(
            "the rebuild is attested",
            CheckResult::Open,
            "no attestation is in the bundle",
        );
        return None;
    };
    let found = signed_statement(
        "the attestation of the rebuild",
        ATTESTATION,
        bytes,
        trust,
        checks,
    );
    let Some((statement, by)) = found else {
        checks.push(CHECK, CheckResult::Fails, "it holds no statement that can be read");
        return None;
    };
    let differences = differences(&statement, plan, record, report);
    let good = format!("{} subjects, as in plan and record", statement.subject.len());
    said(CHECK, &differences, by.as_ref(), good, checks);
    let verdict = attested::verdict(&statement, record).ok()?;
    let attested = Attested {
        verdict,
        subjects: statement
            .subject
            .iter()
            .map(|subject| subject.label().to_owned())
            .collect(),
        by,
    };
    Some((attested, statement))
}

/// The statement of equivalence says the same as the record, and is there only where that is the verdict.
fn equivalence(
    record: &Record,
    report: Sha256,
    files: &BTreeMap<String, Vec<u8>>,
    trust: &Trust,
    checks: &mut Checks,
) {
    const CHECK: &str = "the statement of equivalence is about this run";
    let Some(bytes) = files.get(EQUIVALENCE) else {
        return;
    };
    match signed_statement("the statement of equivalence", EQUIVALENCE, bytes, trust, checks) {
        Some((statement, by)) => {
            let differences = differences_of_equivalence(&statement, record, report);
            let good = format!("{} files", statement.subject.len());
            said(CHECK, &differences, by.as_ref(), good, checks);
        }
        None => checks.push(CHECK, CheckResult::Fails, "it holds no statement that can be read"),
    }
}

/// The manifest is signed, as a manifest, and this one.
fn manifest_signature(
    manifest: &Manifest,
    files: &BTreeMap<String, Vec<u8>>,
    trust: &Trust,
    checks: &mut Checks,
) {
    const CHECK: &str = "the signed manifest is this one";
    let Some(bytes) = files.get(SIGNATURE) else {
        checks.push(SIGNED, CheckResult::Open, "manifest.json is not signed");
        return;
    };
    let Some((statement, by)) = signed_statement(MANIFEST, SIGNATURE, bytes, trust, checks) else {
        checks.push(CHECK, CheckResult::Fails, "it holds no statement that can be read");
        return;
    };
    let own = files.get(MANIFEST).map(|bytes| Sha256::of(bytes).to_hex());
    let about = match statement.subject.as_slice() {
        [only] => {
            only.name.as_deref() == Some(MANIFEST)
                && only.digest.len() == 1
                && only.digest.get("sha256") == own.as_ref()
        }
        _ => false,
    };
    let mut differences = Vec::new();
    if statement.predicate_type != PREDICATE {
        differences.push(format!(
            "a statement of type {} is no signature of a list",
            statement.predicate_type
        ));
    }
    if !about {
        differences.push(format!(
            "it is about {}",
            statement.subject.first().map_or("nothing", |it| it.label())
        ));
    }
    let named = SignedManifest::deserialize(&statement.predicate);
    if named.ok() != Some(manifest.signed()) {
        differences.push("it names another package, run or verdict".to_owned());
    }
    said(CHECK, &differences, by.as_ref(), MANIFEST.to_owned(), checks);
}

/// Attestations and policy of a bundle as files, for those who read files.
fn attestations(files: &BTreeMap<String, Vec<u8>>) -> Result<tempfile::TempDir, BundleError> {
    let folder =
        tempfile::tempdir().map_err(crate::store::StoreError::io("write into", &std::env::temp_dir()))?;
    let io = || crate::store::StoreError::io("write into", folder.path());
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

/// Nobody whom the reader trusts says of these files that something else came out, where the record says that they did.
fn dissent(
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
        // An equivalent run attests what came out, which is not what was released.
        let own = |answer: &agreement::Testimony| {
            answer.reading.kind == agreement::Kind::Rebuild
                && answer.reading.invocation.as_ref() == Some(&record.id)
        };
        let other = tally.voices().flatten().find(|answer| {
            // Anyone can sign without a key, and the bundle's author can put in whatever they sign.
            answer.signer.named && matches!(answer.reading.says, RebuildClaim::Differs { .. }) && !own(answer)
        });
        if let Some(other) = other {
            let origin = other.origin.rsplit('/').next().unwrap_or_default();
            checks.push(
                "nobody whom you trust says otherwise",
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

/// The same conclusion follows from the attestations and the policy in the bundle; gives what was concluded again.
fn parties(
    plan: &Plan,
    manifest: &Manifest,
    files: &BTreeMap<String, Vec<u8>>,
    folder: &Path,
    trust: &Trust,
    checks: &mut Checks,
) -> Result<Again, BundleError> {
    const CHECK: &str = "the parties agree as the bundle says";
    let nothing = |policy| Again {
        policy,
        agreements: Vec::new(),
    };
    let with_policy = files.contains_key("policy/policy.toml");
    let Some(stored) = files.get("agreement.json") else {
        let policy = files.keys().any(|name| name.starts_with("policy/"));
        if policy {
            checks.push(
                CHECK,
                CheckResult::Fails,
                "there is a policy, and no conclusion by it",
            );
        }
        return Ok(nothing(Policy::BuiltIn));
    };
    let policy = if with_policy {
        Policy::read(&folder.join("policy/policy.toml"))
    } else {
        Ok(Policy::BuiltIn)
    };
    let policy = match policy {
        Ok(policy) => policy,
        Err(error) => {
            checks.push(CHECK, CheckResult::Fails, error.to_string());
            return Ok(nothing(Policy::BuiltIn));
        }
    };
    let stored = match json::parse_own(stored) {
        Ok(Value::Array(stored)) => stored,
        Ok(_) => Vec::new(),
        Err(error) => {
            checks.push(CHECK, CheckResult::Fails, format!("agreement.json: {error}"));
            return Ok(nothing(policy));
        }
    };
    let trust = match &policy {
        Policy::File(file) => trust.clone().with(file.keys()),
        _ => trust.clone(),
    };
    let artifacts = plan.released();
    let (tallies, cost) = agreement::gather(&[folder.join("attestations")], &artifacts, &trust)?;
    if stored.len() != artifacts.len() {
        let finding = format!("{} conclusions for {} files", stored.len(), artifacts.len());
        checks.push(CHECK, CheckResult::Fails, finding);
    }
    let mut agreements = Vec::new();
    for ((artifact, tally), stored) in artifacts.iter().zip(&tallies).zip(&stored) {
        // As of then: what is old by now was not when it was concluded.
        let then: Option<jiff::Timestamp> = stored["time"].as_str().and_then(|text| text.parse().ok());
        let then = then.filter(|then| *then >= manifest.created && *then <= jiff::Timestamp::now());
        let Some(then) = then else {
            checks.push(
                CHECK,
                CheckResult::Fails,
                format!("{}: not between the run's end and now", artifact.name),
            );
            continue;
        };
        match agreement::conclude(artifact, tally, &trust, &policy, then, cost) {
            Ok(again) => {
                let found = without_cost(&serde_json::json!([again]));
                let found = found.get(0).unwrap_or(&Value::Null);
                checks.add(
                    CHECK,
                    essence(found) == essence(stored),
                    format!("{}: {} ({})", artifact.name, again.verdict.word(), again.reason),
                );
                agreements.push(again);
            }
            Err(error) => checks.push(CHECK, CheckResult::Fails, error.to_string()),
        }
    }
    Ok(Again { policy, agreements })
}

/// What was concluded again, and by which policy.
struct Again {
    policy: Policy,
    agreements: Vec<Agreement>,
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
        "whole": of(agreement, &["version", "artifact", "time", "verdict", "weight", "divergences"]),
        "quorum": of(&agreement["quorum"], &["digest", "threshold", "roles", "independent"]),
        "parties": parties.map(|it| of(it, &party)).collect::<Vec<_>>()
    })
}

/// A run, as far as the rest of a bundle follows from it.
struct Run<'a> {
    manifest: &'a Manifest,
    plan: &'a Plan,
    record: &'a Record,
    statement: Option<&'a Statement>,
    agreements: &'a Again,
    page: Page,
}

/// What follows from plan, record and attestation is derived again, and must be the same.
fn derived(run: &Run, contents: &Contents, checks: &mut Checks) -> Result<(), SerialiseError> {
    const CHECK: &str = "what follows from the run is as it follows";
    let Run {
        manifest,
        plan,
        record,
        ..
    } = run;
    let files = &contents.documents;
    let read = |name: &str| files.get(name).and_then(|bytes| json::parse_own(bytes).ok());
    let own = env!("CARGO_PKG_VERSION");
    let mut compare = |name: &str, by: &str, same: bool| {
        let (outcome, finding) = match (same, by == own) {
            (true, _) => (CheckResult::Holds, name.to_owned()),
            (false, true) => (CheckResult::Fails, format!("{name} says something else")),
            // Another version may have derived it in another way; that is not for this one to say.
            (false, false) => (
                CheckResult::Open,
                format!("{name} was made by rebuilder {by:?}, and this is {own}"),
            ),
        };
        checks.push(CHECK, outcome, finding);
    };
    let by = manifest.rebuilder.as_str();
    compare("claims.json", by, read("claims.json") == Some(claims(plan)));
    compare(
        "sbom/build.cdx.json",
        by,
        read("sbom/build.cdx.json") == Some(sbom::cyclonedx(plan, manifest)?),
    );
    compare(
        "sbom/build.spdx.json",
        by,
        read("sbom/build.spdx.json") == Some(sbom::spdx(plan, manifest)?),
    );
    let cdxa = read("cdxa.json");
    let organisation = cdxa
        .as_ref()
        .and_then(|it| member(it, ["declarations", "assessors"]).get(0))
        .map(|assessor| assessor["organization"].clone())
        .unwrap_or_default();
    let assessor = Assessor {
        name: member(&organisation, ["name"])
            .as_str()
            .unwrap_or_default()
            .to_owned(),
        url: member(&organisation, ["url"])[0].as_str().map(str::to_owned),
    };
    let digest = contents.digests.get("record.json").copied();
    let again = match digest {
        Some(digest) => declarations(plan, record, manifest, &assessor, digest)?,
        None => None,
    };
    compare(
        "cdxa.json",
        by,
        cdxa == again && files.contains_key("cdxa.json") == again.is_some(),
    );
    let page = (run.page)(plan, record);
    compare(
        "report.html",
        &record.rebuilder,
        files.get("report.html").map(Vec::as_slice) == page.as_deref().map(str::as_bytes),
    );
    cost(run, contents, &mut compare);
    let listed = manifest.files.iter().map(|file| file.path.clone());
    let facts = controls::Facts {
        files: listed.filter(|path| !path.starts_with("controls.")).collect(),
        plan,
        record,
        statement: run.statement,
        agreements: &run.agreements.agreements,
        policy: run.agreements.policy.file(),
    };
    let map = controls::map(&facts);
    compare(
        "controls.json",
        by,
        read("controls.json") == serde_json::to_value(&map).ok(),
    );
    compare(
        "controls.md",
        by,
        files.get("controls.md").map(Vec::as_slice) == Some(controls::markdown(&map).as_bytes()),
    );
    Ok(())
}

/// What it cost, as far as the bundle can tell.
fn cost(run: &Run, contents: &Contents, compare: &mut impl FnMut(&str, &str, bool)) {
    let stored = contents.documents.get("cost.json");
    let stored: Option<crate::run::Cost> = stored.and_then(|bytes| exactly("cost.json", bytes).ok());
    let size = |name: &str| contents.sizes.get(name).copied().unwrap_or(0);
    let inputs = run
        .plan
        .materials()
        .iter()
        .map(|material| material.size)
        .fold(0, u64::saturating_add);
    let same = stored.is_some_and(|cost| {
        cost.seconds.to_bits() == run.record.timings.total.to_bits()
            && cost.build_seconds.to_bits() == run.record.timings.build.to_bits()
            && cost.attestation_bytes == size(ATTESTATION).saturating_add(size(EQUIVALENCE))
            && cost.input_bytes == inputs
    });
    compare("cost.json", &run.manifest.rebuilder, same);
}

/// Every control points at something that is there.
fn pointers(contents: &Contents, checks: &mut Checks) {
    let files = &contents.documents;
    let map: Value = files
        .get("controls.json")
        .and_then(|bytes| json::parse_own(bytes).ok())
        .unwrap_or_default();
    let controls = map.as_array().cloned().unwrap_or_default();
    let evidence = controls
        .iter()
        .flat_map(|control| control["evidence"].as_array().cloned().unwrap_or_default());
    let dangling: Vec<_> = evidence
        .filter_map(|pointer| member(&pointer, ["file"]).as_str().map(str::to_owned))
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
