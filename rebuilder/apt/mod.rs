//! Debian archives: their signed indexes, fetched and read.
//!
//! `evidence` verifies what an archive signed; here it is fetched, decompressed and searched.

#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

mod indexes;
mod readers;
mod similar;
mod table;

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use deb822_fast::{Deb822, Paragraph};

use crate::bounded::AtMost;
use crate::evidence::Verified;
use crate::evidence::deb822::Deb822Error;
use crate::evidence::openpgp::Keyring;
use crate::evidence::release::{self, Archive, Release, ReleaseError};
use crate::store::{Blob, FetchError, Fetcher, StoreError};

pub use indexes::{Binary, Indexes, SourcePackage};
#[doc(hidden)]
pub use readers::READERS;
pub use table::BinaryRow;

/// What is wrong with an archive.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum AptError {
    #[error(transparent)]
    #[diagnostic(transparent)]
    Release(#[from] ReleaseError),
    #[error(transparent)]
    #[diagnostic(transparent)]
    Fetch(#[from] FetchError),
    #[error(transparent)]
    #[diagnostic(transparent)]
    Store(#[from] StoreError),
    #[error("cannot read {document}")]
    #[diagnostic(help("the archive serves a broken index; try another mirror"))]
    Read {
        document: String,
        source: std::io::Error,
    },
    #[error(transparent)]
    #[diagnostic(help("the archive serves a broken index; try another mirror"))]
    Index(#[from] Deb822Error),
}

impl AptError {
    /// Whether it speaks against the archive, rather than something being out of reach.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Release(ReleaseError::Signature(_) | ReleaseError::WrongSuite { .. }) => true,
            Self::Fetch(error) => error.is_refusal(),
            _ => false,
        }
    }
}

const INRELEASE_LIMIT: u64 = 4 << 20;

/// Fetches and verifies the `InRelease` of each suite of `archive`.
pub async fn releases(
    fetcher: &Fetcher,
    archive: &Archive,
    keyring: &Keyring,
) -> Result<Vec<Verified<Release>>, AptError> {
    // Archives come from definitions of containers, which the user or this program wrote.
    for base in archive.mirrors.iter().chain(&archive.snapshot) {
        fetcher.choose(base.split('{').next().unwrap_or(base));
    }
    let each = archive.suites.iter().map(|suite| async move {
        let urls: Vec<_> = archive
            .mirrors
            .iter()
            .map(|mirror| format!("{mirror}/dists/{suite}/InRelease"))
            .collect();
        let name = format!("InRelease of {suite}");
        let read = |blob: &Blob| {
            release::verify(&blob.bytes()?, blob.sha256, suite, archive, keyring).map_err(AptError::from)
        };
        let received = fetcher.get_unpinned(&name, &urls, INRELEASE_LIMIT, read).await;
        received.map(|(release, _)| release)
    });
    // The first suite that is wrong is told of, not the first to answer.
    futures_util::future::join_all(each).await.into_iter().collect()
}

/// Calls `each` for every paragraph of an index that is decompressed at `plain`.
pub fn for_each_paragraph(
    plain: &Path,
    document: &str,
    mut each: impl FnMut(&Paragraph) -> Result<(), AptError>,
) -> Result<(), AptError> {
    let file = File::open(plain).map_err(StoreError::io("read", plain))?;
    let reader = BufReader::with_capacity(1 << 17, file);
    for paragraph in Deb822::iter_paragraphs_from_reader(reader) {
        let paragraph = paragraph.map_err(|error| Deb822Error::of(document, &error))?;
        each(&paragraph)?;
    }
    Ok(())
}

/// Most bytes of one index; the largest of Debian has a few hundred million.
const INDEX: u64 = 2 << 30;

/// An index, decompressed.
fn plain(index: File) -> impl Read {
    AtMost::new(liblzma::read::XzDecoder::new(index), INDEX)
}

/// Writes an index, decompressed, to a new file.
pub fn decompress_to(index: &Blob, document: &str, to: &Path) -> Result<(), AptError> {
    let error = |source| AptError::Read {
        document: document.to_owned(),
        source,
    };
    let mut file = File::create_new(to).map_err(StoreError::io("write", to))?;
    std::io::copy(&mut plain(index.open()?), &mut file).map_err(error)?;
    Ok(())
}
