//! Reads attestations from files and folders, on all processors; each is verified and dropped before the next one.

use std::path::{Path, PathBuf};
use std::time::Instant;

use rayon::iter::{ParallelBridge as _, ParallelIterator as _};
use serde::Serialize;
use walkdir::{DirEntry, WalkDir};

use super::reading;
use super::testimony::Testimony;
use super::{Reason, Tally};
use crate::artifact::Digests;
use crate::error::with_causes;
use crate::evidence::Unproven;
use crate::evidence::assess::{self, Artifact, Payload, PayloadProof, Stated};
use crate::evidence::document::{self, Document, Kind};
use crate::evidence::trust::Trust;

/// The cost of verifying.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Cost {
    /// Files read.
    pub files: u64,
    /// Attestations in them.
    pub attestations: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Wall time.
    pub seconds: f64,
}

/// A place that cannot be read at all.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("cannot read attestations from {path}")]
#[diagnostic(help("name a file, a folder, or a URL with a file of attestations"))]
pub struct GatherError {
    path: PathBuf,
    source: std::io::Error,
}

/// Extensions of detached signatures, which are read with their file.
const SIGNATURES: [&str; 5] = ["asc", "sig", "gpg", "minisig", "sshsig"];

/// Extension of a proof that a public log has an attestation.
pub const LOG_PROOF: &str = "tlog-proof";

/// Reads everything at `places`, and returns a tally for each artifact.
pub fn gather(
    places: &[PathBuf],
    artifacts: &[Artifact],
    trust: &Trust,
) -> Result<(Vec<Tally>, Cost), GatherError> {
    let started = Instant::now();
    for path in places {
        std::fs::metadata(path).map_err(|source| GatherError {
            path: path.clone(),
            source,
        })?;
    }
    // When a key was valid is decided later, with the reason.
    let mut trust = trust.clone();
    for key in &mut trust.keys {
        (key.valid_from, key.valid_until, key.revoked) = (None, None, None);
    }
    let files = places
        .iter()
        .flat_map(|path| WalkDir::new(path).follow_links(true));
    let empty = || (vec![Tally::default(); artifacts.len()], Cost::default());
    let (tallies, mut cost) = files
        .par_bridge()
        .fold(empty, |(mut tallies, mut cost), found| {
            if let Some(entry) = to_be_read(found, &mut tallies) {
                cost.files = cost.files.saturating_add(1);
                let length = entry.metadata().map_or(0, |meta| meta.len());
                cost.bytes = cost.bytes.saturating_add(length);
                let read = file(entry.path(), artifacts, &trust, &mut tallies);
                cost.attestations = cost.attestations.saturating_add(read);
            }
            (tallies, cost)
        })
        .reduce(empty, |(a, m), (b, n)| {
            let tallies = a.into_iter().zip(b).map(|(a, b)| a.merge(b));
            let cost = Cost {
                files: m.files.saturating_add(n.files),
                attestations: m.attestations.saturating_add(n.attestations),
                bytes: m.bytes.saturating_add(n.bytes),
                seconds: 0.0,
            };
            (tallies.collect(), cost)
        });
    cost.seconds = started.elapsed().as_secs_f64();
    Ok((tallies, cost))
}

/// A file that may contain attestations. If it cannot be read, it is recorded as ignored.
fn to_be_read(found: Result<DirEntry, walkdir::Error>, tallies: &mut [Tally]) -> Option<DirEntry> {
    match found {
        Ok(entry) if entry.file_type().is_dir() || is_signature(entry.path()) => None,
        // A pipe that the user names is read; one in a folder could block.
        Ok(entry) if entry.depth() > 0 && !entry.file_type().is_file() => {
            let reason = format!("{}: not a regular file", entry.path().display());
            unreadable(tallies, &reason);
            None
        }
        Ok(entry) => Some(entry),
        Err(error) => {
            unreadable(tallies, &error.to_string());
            None
        }
    }
}

fn unreadable(tallies: &mut [Tally], why: &str) {
    for tally in tallies {
        tally.set_aside(Reason::Unreadable, why.to_owned());
    }
}

fn is_signature(path: &Path) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str());
    // A proof that a log has an attestation says nothing by itself.
    if ending == Some(LOG_PROOF) {
        return true;
    }
    ending.is_some_and(|ending| SIGNATURES.contains(&ending)) && path.with_extension("").is_file()
}

/// Reads one file, and returns the number of its attestations.
fn file(path: &Path, artifacts: &[Artifact], trust: &Trust, tallies: &mut [Tally]) -> u64 {
    let documents = match document::read_file(path) {
        Ok(documents) => documents,
        Err(error) => {
            unreadable(tallies, &with_causes(&error));
            return 1;
        }
    };
    for document in &documents {
        testimonies_of(path, document, artifacts, trust, tallies);
    }
    documents.len() as u64
}

fn testimonies_of(
    path: &Path,
    document: &Document,
    artifacts: &[Artifact],
    trust: &Trust,
    tallies: &mut [Tally],
) {
    if let Kind::Unreadable(found) = &document.kind {
        let example = format!("{}: {}", document.origin, found.why);
        for tally in tallies {
            tally.set_aside_times(Reason::Unreadable, found.lines.max(1) as u64, example.clone());
        }
        return;
    }
    let payload = assess::payload(document);
    // Reading is cheap and verifying is not, so a signature is only verified where it matters.
    let mut proof: Option<PayloadProof<'_>> = None;
    for (artifact, tally) in artifacts.iter().zip(tallies) {
        let aside = match reading::read(payload.unverified(), artifact) {
            Err(aside) => Some(aside),
            Ok(_) => named_otherwise(&payload, artifact).map(|other| (Reason::WrongSubject, other)),
        };
        if let Some((reason, why)) = aside {
            tally.set_aside(reason, format!("{}: {why}", document.origin));
            continue;
        }
        let signed = match proof.get_or_insert_with(|| vouch(path, document, &payload, trust)) {
            Ok(signed) => signed,
            Err(unproven) => {
                let why = format!("{}: {}", document.origin, unproven.note());
                tally.set_aside(set_aside_for(unproven, document, trust), why);
                continue;
            }
        };
        match reading::read(signed.stated, artifact) {
            Ok(reading) => tally.add(Testimony {
                reading,
                signer: signed.signature.signer.clone(),
                seen: signed.signature.when,
                document: document.digest,
                origin: document.origin.clone(),
                times: 1,
            }),
            Err((reason, why)) => tally.set_aside(reason, format!("{}: {why}", document.origin)),
        }
    }
}

/// In one sentence, if the form of a document makes the subject's name that of the file (PEP 740), and it is another.
fn named_otherwise(payload: &Payload<'_>, artifact: &Artifact) -> Option<String> {
    match payload.unverified() {
        Stated::Statement(statement) if payload.names_the_file() => {
            assess::other_distribution(&statement.subject, artifact)
        }
        _ => None,
    }
}

/// Why a statement without a proven signature does not count.
fn set_aside_for(unproven: &Unproven, document: &Document, trust: &Trust) -> Reason {
    match unproven {
        Unproven::Unsigned(_) => Reason::Unsigned,
        Unproven::Unverifiable(_) | Unproven::UnnamedSigner { .. } | Unproven::NotUnderstood { .. } => {
            Reason::UnknownSigner
        }
        Unproven::Invalid(_) if !assess::names_trusted_key(document, trust) => Reason::UnknownSigner,
        Unproven::Invalid(_) | Unproven::SubjectMismatch(_) => Reason::BadSignature,
    }
}

/// The signer. A list is signed by the signature next to it.
fn vouch<'a>(path: &Path, document: &Document, payload: &'a Payload<'_>, trust: &Trust) -> PayloadProof<'a> {
    if !matches!(&document.kind, Kind::HashList(list) if list.own.is_none()) {
        return payload.verify_any_signer(trust);
    }
    let beside = SIGNATURES
        .iter()
        .map(|ending| PathBuf::from(format!("{}.{ending}", path.display())));
    let Some(beside) = beside.into_iter().find(|path| path.is_file()) else {
        return payload.verify_any_signer(trust);
    };
    // One that cannot be read gives its reason, and the list is not called unsigned.
    let signatures = document::read_beside(&beside);
    let Some(digests) = std::fs::File::open(path).and_then(Digests::of_reader).ok() else {
        return payload.verify_any_signer(trust);
    };
    let list = Artifact {
        name: path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned(),
        purl: None,
        digests,
        path: Some(path.to_owned()),
    };
    match signatures.as_slice() {
        [
            Document {
                kind: Kind::Unreadable(found),
                ..
            },
        ] => Err(Unproven::Invalid(found.why.clone())),
        [signature] => payload.verify_detached(signature, &list, trust),
        _ => payload.verify_any_signer(trust),
    }
}
