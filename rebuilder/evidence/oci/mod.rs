//! Signatures and attestations of container images, as registries and OCI layouts keep them beside the image.
//!
//! There are three ways: manifests whose `subject` is the image (OCI distribution spec 1.1, referrers), tags made from
//! the image's digest (cosign's `sha256-HEX.sig` and `.att`, and the fallback of the referrers API), and manifests in
//! the image's own index (BuildKit's `attestation-manifest`). The place of a document proves nothing: its signed
//! content names the image that it is about.

mod blobs;
mod layer;
mod walk;

use std::path::PathBuf;

pub use blobs::{BLOB_LIMIT, Blobs, is_layout};
use serde::Deserialize;
pub use walk::{Attached, Images, images};

use super::document::Document;
use super::json;
use crate::artifact::Sha256;

/// Maximum number of manifests that are read, and of layers of one manifest.
const MOST_MANIFESTS: usize = 1000;
const MOST_LAYERS: usize = 128;
/// Maximum depth of nested indexes.
const MOST_NESTED: usize = 4;

/// A layout, or a registry's answer, that cannot be used.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum OciError {
    #[error("cannot read {path}")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("cannot use {origin} as an OCI layout: {reason}")]
    #[diagnostic(help(
        "an OCI layout is a folder, or a tar archive of one, with the files oci-layout and index.json; \
        create one with \"skopeo copy docker://IMAGE oci:FOLDER\""
    ))]
    Unusable { origin: String, reason: String },
}

/// A part of an image, by digest (OCI image spec, descriptor).
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// Media type.
    #[serde(default)]
    pub media_type: String,
    /// `sha256:` and hexadecimal digits.
    pub digest: String,
    /// Length in bytes.
    pub size: u64,
    /// Annotations.
    #[serde(default)]
    annotations: Option<std::collections::BTreeMap<String, String>>,
}

impl Descriptor {
    /// The descriptor of a manifest, with annotations.
    pub fn of<const N: usize>(digest: Sha256, size: u64, annotations: [(&str, &str); N]) -> Self {
        let annotations = annotations.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Self {
            media_type: String::new(),
            digest: format!("sha256:{digest}"),
            size,
            annotations: Some(annotations.into()),
        }
    }

    /// The value of an annotation; empty if there is none.
    pub fn annotation(&self, name: &str) -> &str {
        let found = self.annotations.as_ref().and_then(|all| all.get(name));
        found.map_or("", String::as_str)
    }

    /// The SHA-256 digest.
    pub fn sha256(&self) -> Result<Sha256, String> {
        let digits = self
            .digest
            .strip_prefix("sha256:")
            .and_then(|digits| digits.parse().ok());
        digits.ok_or_else(|| format!("{:?} is not a SHA-256", self.digest))
    }
}

/// A manifest of an image, or an index of several (OCI image spec).
#[derive(Debug, Clone, Deserialize)]
pub struct Manifest {
    /// Manifests that an index lists.
    pub manifests: Option<Vec<Descriptor>>,
    /// Layers of an image.
    pub layers: Option<Vec<Descriptor>>,
    /// The manifest that this one is attached to.
    pub subject: Option<Descriptor>,
}

impl Manifest {
    /// Reads a manifest; another reader must not be able to take an image's for an index.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let value = json::parse_evidence(bytes).map_err(|error| error.to_string())?;
        let read: Self = serde_json::from_value(value).map_err(|error| error.to_string())?;
        match (&read.manifests, &read.layers) {
            (Some(_), Some(_)) => Err("it is an index and an image at once".into()),
            (None, None) => Err("it is neither an index nor an image".into()),
            _ => Ok(read),
        }
    }
}

/// Whether a layer of this type is evidence, rather than part of a file system.
pub fn is_evidence(media_type: &str) -> bool {
    layer::FORMS
        .iter()
        .any(|(known, _)| media_type.starts_with(known))
}

/// The tag under which a registry keeps what belongs to an image, without its suffix.
pub fn tag_of(image: Sha256) -> String {
    format!("sha256-{image}")
}

/// Puts an image's name in front of the origins of its documents.
pub fn named(documents: &mut [Document], name: &str) {
    for document in documents {
        document.origin = format!("{name}: {}", document.origin);
    }
}
