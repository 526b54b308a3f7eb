//! Whether a finished run is what its record says: every digest, every comparison and the verdict once more.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::AttestError;
use crate::artifact::Sha256;
use crate::compare::{self, Chosen, Outcome};
use crate::plan::Plan;
use crate::run::{OutputResult, Page, Record, RunFolder};

/// A run whose files are what its record says, and whose verdict follows from them.
#[derive(Debug)]
pub struct VerifiedRun {
    /// The record.
    pub record: Record,
    /// The plan.
    pub plan: Plan,
    /// Digest of `record.json`.
    pub digest: Sha256,
    /// Digest of `report.html`.
    pub report: Sha256,
}

/// A run whose files were read and hashed already.
#[derive(Debug, Default)]
pub struct Digested {
    /// `record.json`.
    pub record: Vec<u8>,
    /// `plan.json`.
    pub plan: Vec<u8>,
    /// Digests of `build.log`, `report.html` and of each rebuilt output, by the path in the run.
    pub digests: BTreeMap<String, Sha256>,
}

/// Reads record and plan, recomputes the digest of every file that the record names, and concludes again.
pub fn verify_run(run: &RunFolder, page: Page) -> Result<VerifiedRun, AttestError> {
    let read = |path: &Path| {
        std::fs::read(path).map_err(|source| AttestError::Read {
            path: path.display().to_string(),
            source,
        })
    };
    let mut digested = Digested {
        record: read(&run.record())?,
        plan: read(&run.plan())?,
        digests: BTreeMap::new(),
    };
    let (record, _) = parsed(&digested)?;
    let outputs = record.outputs.iter().filter(|output| output.rebuilt.is_some());
    let outputs = outputs.map(|output| format!("rebuilt/{}", output.name));
    for name in ["build.log".to_owned(), "report.html".to_owned()]
        .into_iter()
        .chain(outputs)
    {
        let path = run.path().join(&name);
        let found = std::fs::File::open(&path).and_then(Sha256::of_reader);
        let (sha256, _) = found.map_err(|source| AttestError::Read {
            path: path.display().to_string(),
            source,
        })?;
        digested.digests.insert(name, sha256);
    }
    verify_digested(&digested, run, page)
}

fn parsed(digested: &Digested) -> Result<(Record, Plan), AttestError> {
    let invalid = |path: &str, source: std::io::Error| AttestError::Read {
        path: path.to_owned(),
        source,
    };
    let record: Record =
        serde_json::from_slice(&digested.record).map_err(|error| invalid("record.json", error.into()))?;
    let plan =
        Plan::parse(&digested.plan).map_err(|reason| invalid("plan.json", std::io::Error::other(reason)))?;
    Ok((record, plan))
}

/// The same for a run that was read already; `run` has both files of each equivalent pair.
pub fn verify_digested(digested: &Digested, run: &RunFolder, page: Page) -> Result<VerifiedRun, AttestError> {
    let (record, plan) = parsed(digested)?;
    let same = |path: &str, expected: Sha256, found: Option<&Sha256>| match found {
        Some(found) if *found == expected => Ok(()),
        found => Err(changed(
            path,
            expected.to_hex(),
            found.map_or_else(|| "nothing".into(), |found| found.to_hex()),
        )),
    };
    same("plan.json", record.plan, Some(&plan.digest()?))?;
    same("build.log", record.log, digested.digests.get("build.log"))?;
    for output in &record.outputs {
        let Some(rebuilt) = output.rebuilt else { continue };
        let path = format!("rebuilt/{}", output.name);
        same(&path, rebuilt, digested.digests.get(&path))?;
        compare_again(run, output)?;
    }
    let concluded = record.verdict_of(&plan);
    if concluded != record.verdict {
        return Err(changed(
            "record.json",
            concluded.to_string(),
            record.verdict.to_string(),
        ));
    }
    released_as_planned(&plan, &record)?;
    if plan.subject != record.subject {
        return Err(changed("record.json", plan.subject, record.subject));
    }
    let report = digested.digests.get("report.html");
    let report = *report.ok_or_else(|| changed("report.html", "a page".into(), "nothing".into()))?;
    let derived = || page(&plan, &record).map(Sha256::of);
    let expected = match record.report {
        Some(named) => Some(named),
        None if record.rebuilder == env!("CARGO_PKG_VERSION") => derived(),
        // The pages of other versions differ, and nothing that is signed follows from a page.
        None => Some(report),
    };
    same("report.html", expected.unwrap_or(Sha256::of("")), Some(&report))?;
    Ok(VerifiedRun {
        record,
        plan,
        digest: Sha256::of(&digested.record),
        report,
    })
}

/// If a record could call any file released, it could call an extra one reproduced; and each output is there once.
fn released_as_planned(plan: &Plan, record: &Record) -> Result<(), AttestError> {
    let told = |digest: Option<Sha256>| digest.map_or_else(|| "nothing".into(), Sha256::to_hex);
    let mut names = BTreeSet::new();
    for output in &record.outputs {
        let mut planned = plan.expected.iter();
        let planned = planned.find(|expected| expected.file.name == output.name);
        let expected = planned.map(|expected| expected.file.sha256);
        if output.released != expected || !names.insert(&output.name) {
            return Err(changed(
                "record.json",
                format!("{} released as {}, once", output.name, told(expected)),
                told(output.released),
            ));
        }
    }
    Ok(())
}

fn changed(path: &str, expected: String, found: String) -> AttestError {
    AttestError::Changed {
        path: path.to_owned(),
        expected,
        found,
    }
}

/// Repeats a comparison that called two files equivalent; both are in the run.
fn compare_again(run: &RunFolder, output: &OutputResult) -> Result<(), AttestError> {
    let Some(recorded) = output.differs.as_ref().filter(|_| output.equivalent()) else {
        return Ok(());
    };
    let path = run.released().join(&output.name);
    let names: Vec<_> = recorded
        .normalisations
        .iter()
        .map(|applied| applied.name.name())
        .collect();
    let changed = |found: String| AttestError::Changed {
        path: path.display().to_string(),
        expected: format!("equivalent by {}", names.join(", ")),
        found,
    };
    let options = compare::Options {
        normalise: Chosen::parse(&names.join(",")).map_err(|error| changed(error.to_string()))?,
        digests: true,
        ..compare::Options::default()
    };
    let found = compare::compare(&path, &run.rebuilt().join(&output.name), &options)
        .map_err(|error| changed(error.to_string()))?;
    let same = found.outcome == Outcome::Equivalent
        && found.released.sha256 == output.released
        && found.rebuilt.sha256 == output.rebuilt
        && found.normalisations == recorded.normalisations;
    if same {
        Ok(())
    } else {
        Err(changed(found.outcome.word().to_owned()))
    }
}
