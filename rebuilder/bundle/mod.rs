//! The evidence bundle: everything that is known about one rebuild in one archive, for auditors.
//!
//! ```text
//!  run, attestations, policy ──▶ contents ──▶ archive (tar.gz, manifest first) ──▶ check, offline
//!                                sbom, cdxa, controls
//! ```
//!
//! The same inputs give the same archive, byte for byte, except for the time at which parties were compared.
//! `docs/evidence.md` shows how to check one by hand.

#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

mod archive;
mod attested;
mod check;
mod contents;
mod controls;
mod declarations;
mod evidence_kind;
mod sbom;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use archive::{read, write};
pub use check::{Attested, Check, CheckResult, Checked, check};
pub use contents::{Material, collect};
pub use declarations::Assessor;

use crate::artifact::Sha256;
use crate::artifact::serialise::SerialiseError;
use crate::attest::predicate::SignedManifest;

/// First folder of every path in the archive.
const FOLDER: &str = "evidence";
/// The list of everything else.
const MANIFEST: &str = "manifest.json";
/// The same for `sha256sum --check`, and the signature over the list.
const SUMS: &str = "SHA256SUMS";
const SIGNATURE: &str = "manifest.sigstore.json";
/// What a signature over the list says it is.
const PREDICATE: &str = "urn:rebuilder:predicate:evidence-bundle:v1";
/// What this rebuild attests.
const ATTESTATION: &str = "attestations/rebuild.sigstore.json";
const EQUIVALENCE: &str = "attestations/equivalence.sigstore.json";
/// Folders with outputs, which are hashed and never kept in memory.
const OUTPUTS: [&str; 2] = ["rebuilt/", "released/"];
/// Maximum number of bytes of one document, of all documents, and of a whole archive.
const DOCUMENT_LIMIT: u64 = 256 << 20;
const DOCUMENTS_LIMIT: u64 = 1 << 30;
const WHOLE_LIMIT: u64 = 64 << 30;

/// What is in an archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
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
    /// Version of this tool that derived the bills of materials, the declarations and the controls.
    #[serde(default)]
    pub rebuilder: String,
    /// Every file but this one and its signature.
    pub files: Vec<ListedFile>,
}

impl Manifest {
    /// What is said of it where it is signed.
    fn signed(&self) -> SignedManifest {
        SignedManifest {
            subject: self.subject.clone(),
            run: self.run.clone(),
            verdict: self.verdict.clone(),
        }
    }
}

/// A file in an archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedFile {
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
    /// Where its bytes are.
    pub content: Content,
}

/// Bytes of a file: documents are small, outputs are not.
#[derive(Debug, Clone)]
pub enum Content {
    /// In memory.
    Document(Vec<u8>),
    /// In a file on disk.
    Output(PathBuf),
}

/// An archive that was read: its documents, and the digest of everything.
#[derive(Debug, Default)]
pub struct Contents {
    /// Documents by their paths below the archive's folder.
    pub documents: BTreeMap<String, Vec<u8>>,
    /// Digests of all files, outputs included.
    pub digests: BTreeMap<String, Sha256>,
    /// Their lengths in bytes.
    pub sizes: BTreeMap<String, u64>,
}

/// An evidence bundle that cannot be made or read.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum BundleError {
    #[error("cannot read {path} of the run")]
    #[diagnostic(help("name the folder that \"rebuilder rebuild --out\" wrote"))]
    Run { path: PathBuf, source: std::io::Error },
    #[error("cannot use {path}: {reason}")]
    Invalid { path: PathBuf, reason: String },
    #[error("no run in {runs} is about {artifact}")]
    #[diagnostic(help("rebuild it first, or name the run's folder"))]
    NoRun { runs: PathBuf, artifact: String },
    #[error("cannot read the evidence bundle {path}")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("cannot write the evidence bundle {path}")]
    #[diagnostic(help("check its disk space and permissions, or name another file with --out"))]
    Write { path: PathBuf, source: std::io::Error },
    #[error("{path} is not an evidence bundle: {reason}")]
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
    #[error(transparent)]
    #[diagnostic(transparent)]
    Serialise(#[from] SerialiseError),
}
