//! Alarms as statements: a release that is not reproduced, although what came before it was.
//!
//! What can be checked is checked, as for every statement about a run: the run's files, its comparisons and its verdict.
//! The rest is what the audit remembers, and the statement says so.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::log::{Anchor, Event, Log};
use super::predicate::{Builder, DigestSet, InTotoStatement, ToolVersion};
use super::statement::{OWN, released};
use super::{AttestError, Attestor, Extras, Format, Signed, VerifiedRun, verify_run, write_as};
use crate::artifact::serialise;
use crate::artifact::{Sha256, Subject};
use crate::plan::Expected;
use crate::run::{Page, RunFolder, Verdict};

/// Type of the predicate.
pub const REGRESSION: &str = "urn:rebuilder:predicate:regression:v1";
/// Name of the bundle in the run's folder.
const BUNDLE: &str = "regression.sigstore.json";

/// The subjects are the released files that are not reproduced.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Regression {
    /// Who found it, and with what.
    builder: Builder,
    /// The run, as the signer verified it.
    run: RegressedRun,
    /// What the audit tells its receivers.
    stated: Value,
    /// Where in the signer's log the signature is.
    log: Anchor,
}

/// A run that was verified.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct RegressedRun {
    id: String,
    subject: String,
    verdict: String,
    plan: DigestSet,
    record: DigestSet,
}

/// What of an alarm must agree with the run.
#[derive(Deserialize)]
struct Stated {
    package: String,
    version: String,
    verdict: String,
    worth: String,
}

/// Why an alarm does not belong to the run.
fn contradiction(stated: &Stated, verified: &VerifiedRun) -> Option<String> {
    let record = &verified.record;
    let (run, package) = (
        record.subject.parse::<Subject>(),
        stated.package.parse::<Subject>(),
    );
    let (Ok(run), Ok(package)) = (run, package) else {
        return Some("it names no package".into());
    };
    let is_about = (run.ecosystem, &run.name, run.version.as_ref())
        == (package.ecosystem, &package.name, Some(&stated.version));
    let word = record.verdict.word();
    let is_bad = matches!(record.verdict, Verdict::Mismatch | Verdict::NotReproduced);
    if !is_about {
        Some(format!(
            "it is about {} {}, the run is about {}",
            stated.package, stated.version, record.subject
        ))
    } else if !is_bad || stated.verdict != word {
        Some(format!("it says {}, the run is {word}", stated.verdict))
    } else if !matches!(stated.worth.as_str(), "confirmed" | "unstable") {
        Some(format!("it was not raised: {}", stated.worth))
    } else if record.clone().in_present_form(&verified.plan).verdict != record.verdict {
        Some("the run is from an earlier version".into())
    } else {
        None
    }
}

/// What is said of the run, beside the alarm itself.
fn predicate(run: &VerifiedRun, stated: Value, attestor: &Attestor<'_>, log: Anchor) -> Regression {
    let own = || format!("urn:rebuilder:{}", attestor.signer.name());
    Regression {
        builder: Builder {
            id: Some(attestor.builder_id.clone().unwrap_or_else(own)),
            version: Some(ToolVersion::of(OWN)),
        },
        run: RegressedRun {
            id: run.record.id.clone(),
            subject: run.record.subject.clone(),
            verdict: run.record.verdict.word().to_owned(),
            plan: DigestSet::sha256(run.record.plan),
            record: DigestSet::sha256(run.digest),
        },
        stated,
        log,
    }
}

/// The released files that were not reproduced.
fn not_reproduced(run: &VerifiedRun) -> Vec<&Expected> {
    let is_reproduced = |expected: &&Expected| {
        let mut outputs = run.record.outputs.iter();
        outputs.any(|output| output.name == expected.file.name && output.reproduced())
    };
    let (passed, failed): (Vec<_>, Vec<_>) = run.plan.expected.iter().partition(is_reproduced);
    // If every released file is right, the build made an extra one.
    if failed.is_empty() { passed } else { failed }
}

/// Checks the run that an alarm is about, and signs the alarm; returns the path of the bundle, which is in the run's folder.
pub fn sign_regression(
    folder: &Path,
    alarm: &[u8],
    attestor: &Attestor<'_>,
    page: Page,
) -> Result<(Signed, PathBuf), AttestError> {
    let unreadable = |error: serde_json::Error| AttestError::Read {
        path: "the alarm".into(),
        source: error.into(),
    };
    let value: Value = serde_json::from_slice(alarm).map_err(unreadable)?;
    let stated = Stated::deserialize(&value).map_err(unreadable)?;
    let run = RunFolder::new(folder);
    let verified = verify_run(&run, page)?;
    if let Some(reason) = contradiction(&stated, &verified) {
        return Err(AttestError::Alarm { reason });
    }
    let record = &verified.record;
    let mut log = Log::open(attestor.log)?;
    let predicate = predicate(&verified, value, attestor, log.anchor());
    let subjects = not_reproduced(&verified);
    let digests: Vec<Sha256> = subjects.iter().map(|expected| expected.file.sha256).collect();
    let subjects = subjects.into_iter().map(released).collect();
    let statement = InTotoStatement::new(subjects, REGRESSION, predicate).tree()?;
    let bytes = serialise::compact("the alarm", &statement)?;
    let bundle = attestor.signer.bundle(&bytes)?;
    let event = Event::Signed {
        // It is another statement than the one about the run itself.
        run: format!("regression:{}", record.id),
        subject: record.subject.clone(),
        plan: record.plan,
        record: verified.digest,
        verdict: "regression".into(),
        statement: Sha256::of(&bytes),
        key: attestor.signer.name(),
        workers: Vec::new(),
        place: None,
        also: BTreeMap::new(),
        released: digests,
    };
    // The line is on the disk before the signature leaves this process.
    log.append(event, Timestamp::now())?;
    let path = folder.join(BUNDLE);
    write_as(&path, &bundle, Format::Bundle)?;
    let signed = Signed {
        statement,
        bundle,
        equivalence: None,
        extras: Extras::default(),
    };
    Ok((signed, path))
}
