//! The second, independent attestation: statements about a run, signed.
//!
//! Signing is a step of its own, in a process of its own (`rebuilder attest`): it reads the saved run again,
//! recomputes every digest, and only then touches the key. Nothing that runs builds ever holds the key.

mod key;
mod statement;

use std::path::Path;

use serde_json::{Value, json};

pub use key::{Algorithm, KeyError, SigningKey};
pub use statement::{BUILD_TYPE, EQUIVALENCE_TYPE, equivalence, statement};

use crate::artifact::Sha256;
use crate::compare::{self, Chosen, Outcome};
use crate::evidence::dsse::{self, Envelope};
use crate::rebuild::{OutputResult, Record, RunFolder};
use crate::store::{StoreError, write_atomically};

/// A run that cannot be attested.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[allow(missing_docs)]
pub enum AttestError {
    #[error(transparent)]
    #[diagnostic(transparent)]
    Key(#[from] KeyError),
    #[error("cannot read {path} of the run")]
    #[diagnostic(help("give the folder that \"rebuilder rebuild --out\" wrote"))]
    Read { path: String, source: std::io::Error },
    #[error("{path} of the run is not what the record says: expected {expected}, found {found}")]
    #[diagnostic(help("something changed the run after it ended; nothing was signed"))]
    Changed {
        path: String,
        expected: String,
        found: String,
    },
    #[error("the run is inconclusive: {reason}")]
    #[diagnostic(help("an inconclusive run is recorded, never signed; there is nothing to attest"))]
    Inconclusive { reason: String },
    #[error(transparent)]
    #[diagnostic(transparent)]
    Store(#[from] StoreError),
}

/// Checks a saved run against its own record, signs what follows from it, and writes the bundle beside it.
pub fn attest(folder: &Path, key: &SigningKey, builder_id: Option<&str>) -> Result<Value, AttestError> {
    let run = RunFolder::new(folder);
    let record = check(&run)?;
    let builder_id = builder_id.map_or_else(|| format!("urn:rebuilder:{}", key.fingerprint()), str::to_owned);
    let statement =
        statement(&record.1, &record.0, &builder_id).ok_or_else(|| AttestError::Inconclusive {
            reason: record.0.verdict.to_string(),
        })?;
    if let Some(equivalence) = equivalence(&record.1, &record.0, &builder_id) {
        write(&run.equivalence(), &equivalence, key)?;
    }
    write(&run.bundle(), &statement, key)?;
    Ok(statement)
}

fn write(path: &Path, statement: &Value, key: &SigningKey) -> Result<(), AttestError> {
    let bundle = bundle(&serde_json::to_vec(statement).unwrap_or_default(), key)?;
    let mut text = serde_json::to_vec_pretty(&bundle).unwrap_or_default();
    text.push(b'\n');
    Ok(write_atomically(path, &text)?)
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

/// Reads record and plan, and recomputes the digest of every file that the record names.
fn check(run: &RunFolder) -> Result<(Record, crate::plan::Plan), AttestError> {
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
    let record: Record =
        serde_json::from_slice(&read(&run.record())?).map_err(|error| parse_error(&run.record(), error))?;
    let plan_bytes = read(&run.plan())?;
    let plan: crate::plan::Plan =
        serde_json::from_slice(&plan_bytes).map_err(|error| parse_error(&run.plan(), error))?;
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
    Ok((record, plan))
}

/// A DSSE envelope (secure-systems-lab/dsse v1) in a Sigstore bundle v0.3, verified by a key known beforehand.
fn bundle(payload: &[u8], key: &SigningKey) -> Result<Value, KeyError> {
    let signature = key.sign(&dsse::pre_authentication(dsse::IN_TOTO, payload))?;
    let envelope = Envelope {
        payload_type: dsse::IN_TOTO.to_owned(),
        payload: payload.to_vec(),
        signatures: vec![(key.fingerprint().to_hex(), signature)],
    };
    Ok(json!({
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": {"publicKey": {"hint": key.fingerprint()}, "tlogEntries": []},
        "dsseEnvelope": envelope.to_value()
    }))
}
