//! Whether a finished run is what its record says: every digest, every comparison and the verdict once more.

use std::path::Path;

use super::AttestError;
use crate::artifact::Sha256;
use crate::compare::{self, Chosen, Outcome};
use crate::plan::Plan;
use crate::rebuild::{OutputResult, Record, RunFolder};

/// A run whose files are what its record says, and whose verdict follows from them.
#[derive(Debug)]
pub struct Examined {
    /// The record.
    pub record: Record,
    /// The plan.
    pub plan: Plan,
    /// Digest of `record.json`.
    pub digest: Sha256,
}

/// Reads record and plan, recomputes the digest of every file that the record names, and concludes again.
pub fn examine(run: &RunFolder) -> Result<Examined, AttestError> {
    let read = |path: &Path| {
        std::fs::read(path).map_err(|source| AttestError::Read {
            path: path.display().to_string(),
            source,
        })
    };
    let parse_error = |path: &Path, error: serde_json::Error| AttestError::Read {
        path: path.display().to_string(),
        source: error.into(),
    };
    let record_bytes = read(&run.record())?;
    let record: Record =
        serde_json::from_slice(&record_bytes).map_err(|error| parse_error(&run.record(), error))?;
    let plan_bytes = read(&run.plan())?;
    let plan: Plan = serde_json::from_slice(&plan_bytes).map_err(|error| parse_error(&run.plan(), error))?;
    let same = |path: &Path, expected: Sha256, found: Sha256| {
        if expected == found {
            return Ok(());
        }
        let (expected, found) = (expected.to_hex(), found.to_hex());
        Err(AttestError::Changed {
            path: path.display().to_string(),
            expected,
            found,
        })
    };
    same(&run.plan(), record.plan, plan.digest())?;
    for (path, expected) in [(run.log(), record.log), (run.report(), record.report)] {
        let file = std::fs::File::open(&path);
        let (found, _) = file
            .and_then(Sha256::of_reader)
            .map_err(|source| AttestError::Read {
                path: path.display().to_string(),
                source,
            })?;
        same(&path, expected, found)?;
    }
    for output in &record.outputs {
        let Some(rebuilt) = output.rebuilt else { continue };
        let path = run.rebuilt().join(&output.name);
        let (found, _) = std::fs::File::open(&path)
            .and_then(Sha256::of_reader)
            .map_err(|source| AttestError::Read {
                path: path.display().to_string(),
                source,
            })?;
        same(&path, rebuilt, found)?;
        compare_again(run, output)?;
    }
    let concluded = record.concluded(&plan);
    if concluded != record.verdict {
        return Err(AttestError::Changed {
            path: run.record().display().to_string(),
            expected: concluded.to_string(),
            found: record.verdict.to_string(),
        });
    }
    if plan.subject != record.subject {
        return Err(AttestError::Changed {
            path: run.record().display().to_string(),
            expected: plan.subject,
            found: record.subject,
        });
    }
    Ok(Examined {
        record,
        plan,
        digest: Sha256::of(&record_bytes),
    })
}

/// Makes a comparison again that called two files equivalent; both lie in the run.
fn compare_again(run: &RunFolder, output: &OutputResult) -> Result<(), AttestError> {
    let Some(recorded) = output.differs.as_ref().filter(|_| output.equivalent()) else {
        return Ok(());
    };
    let path = run.released().join(&output.name);
    let names: Vec<_> = recorded
        .normalisations
        .iter()
        .map(|applied| applied.name.as_str())
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
