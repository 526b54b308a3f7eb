//! The evidence bundle: everything that is known about one rebuild in one archive, for auditors.
//!
//! ```text
//!  run, attestations, policy ──▶ contents ──▶ archive (tar.gz, manifest first) ──▶ check, offline
//!                                sbom, cdxa, controls
//! ```
//!
//! The same inputs give the same archive, byte for byte, but for the time at which parties were held against each other.
//! `docs/evidence.md` shows how to check one by hand.

mod archive;
mod check;
mod contents;
mod controls;
mod declarations;
mod sbom;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use archive::{read, write};
pub use check::{Check, Outcome, check};
pub use contents::{Material, collect};
pub use declarations::Assessor;

use crate::artifact::Sha256;

/// First folder of every path in the archive.
const FOLDER: &str = "evidence";
/// The list of everything else.
const MANIFEST: &str = "manifest.json";
/// Most bytes of one file that is read into memory, and of all of them.
const FILE_LIMIT: u64 = 256 << 20;
const WHOLE_LIMIT: u64 = 1 << 30;

/// What is in an archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Form of this document; 1.
    pub version: u32,
    /// Package URL of what was rebuilt.
    pub subject: String,
    /// The run.
    pub run: String,
    /// The verdict.
    pub verdict: String,
    /// When the run ended; the time of every file.
    pub created: jiff::Timestamp,
    /// Every file but this one and its signature.
    pub files: Vec<Listed>,
}

/// A file in an archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// Path below the archive's folder.
    pub path: String,
    /// What it is.
    pub what: String,
    /// SHA-256.
    pub sha256: Sha256,
    /// Bytes.
    pub size: u64,
}

/// A file before it is written.
#[derive(Debug, Clone)]
pub struct File {
    /// Path below the archive's folder.
    pub path: String,
    /// What it is.
    pub what: &'static str,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// An evidence bundle that cannot be made or read.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[allow(missing_docs)]
pub enum DossierError {
    #[error("cannot read {path} of the run")]
    #[diagnostic(help("give the folder that \"rebuilder rebuild --out\" wrote"))]
    Run { path: PathBuf, source: std::io::Error },
    #[error("{path} is not what it should be: {reason}")]
    Invalid { path: PathBuf, reason: String },
    #[error("no run in {runs} is about {artifact}")]
    #[diagnostic(help("rebuild it first, or give the run's folder"))]
    NoRun { runs: PathBuf, artifact: String },
    #[error("cannot read the evidence bundle {path}")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{path} is no evidence bundle: {reason}")]
    NotOne { path: PathBuf, reason: String },
    #[error(transparent)]
    #[diagnostic(transparent)]
    Attest(#[from] crate::attest::AttestError),
    #[error(transparent)]
    #[diagnostic(transparent)]
    Store(#[from] crate::store::StoreError),
    #[error(transparent)]
    #[diagnostic(transparent)]
    Gather(#[from] crate::agreement::GatherError),
    #[error(transparent)]
    #[diagnostic(transparent)]
    Key(#[from] crate::attest::KeyError),
}
