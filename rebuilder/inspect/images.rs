//! Container images as what is inspected: in an OCI layout, or in a registry.

use std::path::{Path, PathBuf};

use crate::artifact::{PinnedImage, Sha256};
use crate::evidence::assess::Artifact;
use crate::evidence::document::{Document, DocumentError};
use crate::evidence::oci;
use crate::store::{FetchError, Fetcher};

/// Where an image is.
#[derive(Debug, Clone, PartialEq)]
pub enum ImagePlace {
    /// In an OCI layout, a folder or an archive of one; the digest says which image.
    Layout(PathBuf, Option<Sha256>),
    /// In a registry.
    Registry(PinnedImage),
}

/// An image that cannot be inspected.
#[derive(Debug, thiserror::Error)]
pub enum ImagePlaceError {
    #[error("cannot use {text:?} as an image: {reason}")]
    Name { text: String, reason: String },
    #[error(transparent)]
    Layout(#[from] DocumentError),
    #[error(transparent)]
    Fetch(#[from] FetchError),
}

impl ImagePlace {
    /// Reads `oci:PATH[@sha256:…]`, `docker://REGISTRY/NAME@sha256:…`, or the path of a folder that is an OCI layout; `None`
    /// if a text is neither.
    pub fn named(text: &str) -> Option<Result<Self, ImagePlaceError>> {
        let error = |reason: String| ImagePlaceError::Name {
            text: text.to_owned(),
            reason,
        };
        if text.starts_with("docker://") {
            let pinned = PinnedImage::parse(text, None);
            return Some(
                pinned
                    .map(Self::Registry)
                    .map_err(|it| error(it.reason().to_owned())),
            );
        }
        let Some(place) = text.strip_prefix("oci:") else {
            let path = Path::new(text);
            return (path.is_dir() && oci::is_layout(path)).then(|| Ok(Self::Layout(path.to_owned(), None)));
        };
        let (path, digest) = match place.rsplit_once("@sha256:") {
            Some((path, digits)) => match digits.parse() {
                Ok(digest) => (path, Some(digest)),
                Err(_) => return Some(Err(error("its digest is not a SHA-256".into()))),
            },
            None => (place, None),
        };
        Some(Ok(Self::Layout(PathBuf::from(path), digest)))
    }

    /// The image, and everything that lies with it.
    pub async fn look(&self, fetcher: &Fetcher) -> Result<(Artifact, Vec<Document>), ImagePlaceError> {
        let (images, digest) = match self {
            Self::Layout(path, digest) => (oci::images(path).map_err(DocumentError::from)?, *digest),
            Self::Registry(image) => (fetcher.attached(image).await?, Some(image.digest)),
        };
        let (mut artifact, documents) = images.choose(digest).map_err(DocumentError::from)?;
        if let Self::Registry(image) = self {
            // What evidence calls an image is its name in a registry, of which the last part is compared.
            let name = image.repository.rsplit('/').next().unwrap_or_default();
            name.clone_into(&mut artifact.name);
        }
        Ok((artifact, documents))
    }
}
