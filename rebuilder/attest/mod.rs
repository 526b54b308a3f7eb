//! The second, independent attestation: signed statements about a run.
//!
//! Signing is a step of its own, in a separate process (`rebuilder attest`, or the service in [`crate::signer`]): it
//! reads the saved run again ([`verify_run`]), recomputes every digest, and only then touches the key. Each signature
//! is a line in a [`log`]. Nothing that runs builds ever holds the key.

#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

mod certificate;
mod forms;
pub mod handover;
pub mod key;
mod layout;
mod link;
pub mod log;
mod oss_rebuild;
pub(crate) mod predicate;
mod regression;
mod result;
#[cfg(test)]
mod samples;
mod statement;
mod verify;
mod vouched;

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde_json::Value;

pub use certificate::{
    CERTIFICATE, Certificate, CertifiedBuild, NotTried, REPRODUCIBILITY, Survived, certify, is_certificate,
};
pub use forms::{Extra, Extras, Format, Wanted, read_bundle};
pub use key::{Algorithm, FileKey, Inventory, KeyError, Public, Reference, Signer};
pub use layout::{LayoutError, lay_out};
pub use predicate::{BUILD_TYPE, EQUIVALENCE_TYPE};
pub use regression::{REGRESSION, sign_regression};
pub(crate) use statement::attempts;
pub use statement::{SignerInfo, equivalence, statement};
pub use verify::{Digested, VerifiedRun, verify_digested, verify_run};
pub use vouched::{Agreeing, Named, Vouched};

use crate::artifact::Sha256;
use crate::artifact::serialise::{self, SerialiseError};
use crate::plan::Plan;
use crate::run::{Page, Record, RunFolder, Verdict};
use crate::store::StoreError;
use forms::{Unsigned, write_as, write_in};
use log::{Anchor, Event, Log, LogError, SignedBefore};

/// A run that cannot be attested.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum AttestError {
    #[error(transparent)]
    #[diagnostic(transparent)]
    Key(#[from] KeyError),
    #[error("cannot read {path} of the run")]
    #[diagnostic(help("name the folder that \"rebuilder rebuild --out\" wrote"))]
    Read { path: String, source: std::io::Error },
    #[error("{path} of the run does not match the record: expected {expected}, found {found}")]
    #[diagnostic(help("the run was changed after it ended; nothing was signed"))]
    Changed {
        path: String,
        expected: String,
        found: String,
    },
    #[error("no build was found that produces the released bytes, but an undeclared input may be the reason")]
    #[diagnostic(help(
        "to sign this result as it is, use --attest-negative; only a difference with all inputs declared is \
        signed as a failure"
    ))]
    NotReproduced,
    #[error(
        "the run is from an earlier version, which called it a mismatch although an undeclared input may be \
        the reason"
    )]
    #[diagnostic(help("rebuild it again"))]
    OldNegative,
    #[error("the run is inconclusive: {reason}")]
    #[diagnostic(help("an inconclusive run is recorded, but never signed"))]
    Inconclusive { reason: String },
    #[error("cannot sign the alarm: {reason}")]
    #[diagnostic(help("an alarm is signed together with the run that it is about"))]
    Alarm { reason: String },
    #[error("cannot write {form}: {reason}")]
    #[diagnostic(help("leave this form out; the others can express the result"))]
    NoForm { form: &'static str, reason: String },
    #[error("the key {key} already signed another statement about this run")]
    #[diagnostic(help(
        "other options or another version lead to another statement; use the same ones, or sign this \
        statement too with --again"
    ))]
    SignedOtherwise { key: String },
    #[error(transparent)]
    #[diagnostic(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    #[diagnostic(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    #[diagnostic(transparent)]
    Serialise(#[from] SerialiseError),
}

/// What was signed about a run.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct Signed {
    /// The statement.
    pub statement: Value,
    /// The same as a Sigstore bundle.
    pub bundle: Value,
    /// The statement of equivalence as a bundle, if that is the verdict.
    pub equivalence: Option<Value>,
    /// What was asked for besides.
    #[serde(default, skip_serializing_if = "Extras::is_empty")]
    pub extras: Extras,
}

/// The party that signs, and what it says of itself.
pub struct Attestor<'a> {
    /// The key.
    pub signer: &'a dyn Signer,
    /// `builder.id`; `None` for one that is derived from the key.
    pub builder_id: Option<String>,
    /// The machine that builds; `None` if it is not to be told.
    pub host: Option<String>,
    /// Path of the log of signatures.
    pub log: &'a Path,
    /// Whether a run that found no build is signed too.
    pub negatives: bool,
    /// The predicates that are signed in addition.
    pub wanted: Wanted,
    /// Whether another statement is signed about a run about which the key signed one before.
    pub again: bool,
}

/// Another user's run, with what the signer knows of it.
pub struct Handed {
    /// What the signer verified itself.
    pub vouched: Vouched,
    /// Workers whose runs agree, this one included.
    pub workers: Vec<String>,
    /// The line of the log by which it was handed in; the statement names it as its place.
    pub place: Anchor,
}

impl Attestor<'_> {
    /// Signs what follows from a run of the signer's own.
    pub fn sign(&self, verified: &VerifiedRun) -> Result<Signed, AttestError> {
        let mut log = Log::open(self.log)?;
        let before = if self.again {
            None
        } else {
            Log::signed(self.log, &verified.record.id, &self.signer.name())?
        };
        // Whatever is asked for about one run later, it is the same statement that it goes with.
        let place = before.as_ref().map(|before| before.place);
        let info = self.info(place.unwrap_or(log.anchor()), 0, None);
        let (signed, event) = self.bundles(verified, &info, Vec::new(), place, before.as_ref())?;
        // The line is on the disk before the signature leaves this process.
        log.append(event, Timestamp::now())?;
        Ok(signed)
    }

    /// Signs what follows from a run of another user. The log is not locked while the key signs.
    pub fn sign_handed(&self, verified: &VerifiedRun, handed: Handed) -> Result<Signed, AttestError> {
        let Handed {
            vouched,
            workers,
            place,
        } = handed;
        let info = self.info(place, workers.len(), Some(vouched));
        let (signed, event) = self.bundles(verified, &info, workers, Some(place), None)?;
        Log::open(self.log)?.append(event, Timestamp::now())?;
        Ok(signed)
    }

    fn info(&self, log: Anchor, workers: usize, vouched: Option<Vouched>) -> SignerInfo {
        let own = || format!("urn:rebuilder:{}", self.signer.name());
        SignerInfo {
            builder_id: self.builder_id.clone().unwrap_or_else(own),
            host: self.host.clone(),
            log,
            workers,
            vouched,
        }
    }

    /// Whether the verdict is one that is signed here.
    fn may_say(&self, record: &Record, plan: &Plan) -> Result<(), AttestError> {
        match &record.verdict {
            Verdict::NotReproduced if !self.negatives => Err(AttestError::NotReproduced),
            // Nobody is accused for what a guess of this tool may explain.
            verdict if record.clone().in_present_form(plan).verdict != *verdict => {
                Err(AttestError::OldNegative)
            }
            _ => Ok(()),
        }
    }

    fn bundles(
        &self,
        verified: &VerifiedRun,
        info: &SignerInfo,
        workers: Vec<String>,
        place: Option<Anchor>,
        before: Option<&SignedBefore>,
    ) -> Result<(Signed, Event), AttestError> {
        let VerifiedRun {
            plan, record, digest, ..
        } = verified;
        self.may_say(record, plan)?;
        let statement = statement(verified, info)?.ok_or_else(|| AttestError::Inconclusive {
            reason: record.verdict.to_string(),
        })?;
        let equivalence = equivalence(verified, info)?
            .map(|statement| serialise::compact("the statement of equivalence", &statement))
            .transpose()?;
        let bytes = serialise::compact("the statement", &statement)?;
        let unsigned = Unsigned::of(verified, info, &self.wanted, self.signer)?;
        let mut also = unsigned.digests();
        if let Some(equivalence) = &equivalence {
            also.insert("equivalence".to_owned(), Sha256::of(equivalence));
        }
        if before.is_some_and(|before| before.contradicts(*digest, Sha256::of(&bytes), &also)) {
            return Err(AttestError::SignedOtherwise {
                key: self.signer.name(),
            });
        }
        // Nothing is signed before everything that is to be signed is there.
        let bundle = self.signer.bundle(&bytes)?;
        let equivalence = equivalence.map(|bytes| self.signer.bundle(&bytes)).transpose()?;
        let extras = unsigned.sign(self.signer)?;
        let event = Event::Signed {
            run: record.id.clone(),
            subject: record.subject.clone(),
            plan: record.plan,
            record: *digest,
            verdict: record.verdict.to_string(),
            statement: Sha256::of(&bytes),
            key: self.signer.name(),
            workers,
            place,
            also,
            released: released(record),
        };
        let signed = Signed {
            statement,
            bundle,
            equivalence,
            extras,
        };
        Ok((signed, event))
    }
}

/// Digests of the released files that a run is about; none if there are more than a line should have.
fn released(record: &Record) -> Vec<Sha256> {
    const MOST: usize = 256;
    let released: Vec<_> = record
        .outputs
        .iter()
        .filter_map(|output| output.released)
        .collect();
    if released.len() > MOST {
        Vec::new()
    } else {
        released
    }
}

impl Signed {
    /// Writes everything beside the run that it is about; returns the path of the statement.
    pub fn write(&self, run: &RunFolder, format: Format) -> Result<PathBuf, AttestError> {
        self.extras.write(run, format)?;
        if let Some(equivalence) = &self.equivalence {
            write_in(&run.equivalence(), equivalence, format)?;
        }
        write_in(&run.bundle(), &self.bundle, format)
    }
}

/// Checks a saved run against its own record and signs what follows from it.
pub fn attest(folder: &Path, attestor: &Attestor<'_>, page: Page) -> Result<Signed, AttestError> {
    attestor.sign(&verify_run(&RunFolder::new(folder), page)?)
}

/// Signs any statement, and writes it to `path`.
pub fn write_signed(
    path: &Path,
    statement: &Value,
    signer: &dyn Signer,
    format: Format,
) -> Result<(), AttestError> {
    format.check(signer)?;
    let bundle = signer.bundle(&serialise::compact("the statement", statement)?)?;
    write_as(path, &bundle, format)
}
