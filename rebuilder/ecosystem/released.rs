//! Released files on this machine.

use super::PlanError;
use crate::artifact::{Digests, PinnedFile};
use crate::evidence::assess::Artifact;
use crate::plan::Expected;
use crate::store::{Blob, Fetcher, StoreError};

/// A released file that is in the store.
pub(super) fn artifact(purl: Option<String>, file: &PinnedFile, blob: &Blob) -> Result<Artifact, PlanError> {
    let digests = std::fs::File::open(&blob.path).and_then(Digests::of_reader);
    Ok(Artifact {
        name: file.name.clone(),
        purl,
        digests: digests.map_err(StoreError::io("read", &blob.path))?,
        path: Some(blob.path.clone()),
    })
}

/// The released files that a plan expects.
pub(super) fn artifacts(expected: &[Expected], blobs: &[Blob]) -> Result<Vec<Artifact>, PlanError> {
    let both = expected.iter().zip(blobs);
    both.map(|(expected, blob)| artifact(Some(expected.purl.clone()), &expected.file, blob))
        .collect()
}

/// Keeps a local file in the store, so that the plan can be run after the file was deleted.
pub(super) fn keep(fetcher: &Fetcher, artifact: &Artifact) -> Result<(), PlanError> {
    if let Some(path) = &artifact.path {
        let file = std::fs::File::open(path).map_err(StoreError::io("read", path))?;
        fetcher.store().keep(file)?;
    }
    Ok(())
}
