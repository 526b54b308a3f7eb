//! Checking an evidence bundle again, offline: every digest, every conclusion, every signature.
//!
//! Each document is read once and strictly, and what a signature vouches for is the very value that is compared. Every
//! member has its place; everything that follows from plan and record is derived again.

mod derived;
mod files;
mod form;
mod parties;
mod signatures;

use std::path::Path;

use serde::Serialize;

use self::derived::{Run, derived, pointers};
use self::files::{materials, places, whole};
use self::form::{as_read_from_disk, exactly};
use self::parties::{attestations, dissent, parties};
use self::signatures::{attestation, equivalence, manifest_signature};
use super::{BundleError, Contents, MANIFEST, Manifest};
use crate::artifact::Sha256;
use crate::evidence::trust::Trust;
use crate::plan::Plan;
use crate::run::{Page, Record};

/// One thing that was checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What.
    pub check: &'static str,
    /// The result.
    pub outcome: CheckResult,
    /// What was found.
    pub finding: String,
}

/// The result of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CheckResult {
    /// It holds.
    Holds,
    /// It could not be checked.
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
    /// The result of each check.
    pub checks: Vec<Check>,
}

/// What an attestation says of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Attested {
    /// The verdict.
    pub verdict: &'static str,
    /// What it calls the files that it is about.
    pub subjects: Vec<String>,
    /// Who signed it, if the signature verifies with a trusted key.
    pub by: Option<String>,
}

impl Checked {
    /// Whether any check has this result.
    pub fn any(&self, outcome: CheckResult) -> bool {
        self.checks.iter().any(|check| check.outcome == outcome)
    }
}

struct Checks(Vec<Check>);

impl Checks {
    fn add(&mut self, check: &'static str, holds: bool, finding: impl Into<String>) {
        let outcome = if holds {
            CheckResult::Holds
        } else {
            CheckResult::Fails
        };
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

    let digests = RunDigests {
        plan: Sha256::of(get("plan.json")?),
        log: Sha256::of(get("build.log")?),
        report: Sha256::of(get("report.html")?),
    };
    let report = digests.report;
    of_one_run(&manifest, &plan, &record, &digests, &mut checks)?;
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

/// Digests of a run's files, as they are in the archive.
struct RunDigests {
    plan: Sha256,
    log: Sha256,
    report: Sha256,
}

/// Whether manifest, plan, record, log and page are of one run, and the verdict follows from it.
fn of_one_run(
    manifest: &Manifest,
    plan: &Plan,
    record: &Record,
    digests: &RunDigests,
    checks: &mut Checks,
) -> Result<(), BundleError> {
    checks.add(
        "the record is about this plan",
        record.plan == plan.digest()? && record.plan == digests.plan && record.subject == plan.subject,
        format!("sha256:{}", record.plan),
    );
    checks.add(
        "log and report belong to the run",
        digests.log == record.log,
        format!("sha256:{}", digests.log),
    );
    if let Some(named) = record.report {
        checks.add(
            "log and report belong to the run",
            digests.report == named,
            format!("sha256:{}", digests.report),
        );
    }
    let concluded = record.verdict_of(plan);
    checks.add(
        "the verdict follows from plan and digests",
        concluded == record.verdict && record.verdict.to_string() == manifest.verdict,
        concluded.to_string(),
    );
    checks.add(
        "the manifest is about this run",
        manifest.version == 1
            && [1, 2].contains(&record.version)
            && manifest.subject == plan.subject
            && manifest.run == record.id
            && manifest.created == record.finished,
        manifest.run.clone(),
    );
    Ok(())
}
