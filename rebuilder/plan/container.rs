//! The root of a plan, pinned: packages by a lock, or an image by its digest.

use serde::{Deserialize, Serialize};

use super::Lock;
use crate::artifact::PinnedFile;
use crate::artifact::{PinnedImage, Sha256};

/// Everything that a root is made from, so that a plan can be replayed after definitions and tags have moved on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum PinnedContainer {
    /// Debian packages.
    Packages {
        /// Name of the definition.
        name: String,
        /// The whole lock.
        lock: Lock,
    },
    /// An image in a registry.
    Image {
        /// Its name and digest.
        image: PinnedImage,
    },
}

impl PinnedContainer {
    /// Name for people.
    pub fn name(&self) -> String {
        match self {
            Self::Packages { name, .. } => name.clone(),
            Self::Image { image } => image.repository.clone(),
        }
    }

    /// The packages, if it is made of some.
    pub fn lock(&self) -> Option<&Lock> {
        match self {
            Self::Packages { lock, .. } => Some(lock),
            Self::Image { .. } => None,
        }
    }

    /// Digest of all that the root is made from.
    pub fn digest(&self) -> Sha256 {
        match self {
            Self::Packages { lock, .. } => lock.digest(),
            Self::Image { image } => image.digest,
        }
    }

    /// The files that are pinned one by one; an image's are pinned through its manifest.
    pub fn materials(&self) -> Vec<PinnedFile> {
        match self {
            Self::Packages { lock, .. } => lock.materials(),
            Self::Image { .. } => Vec::new(),
        }
    }

    /// What it is made of, in a sentence.
    pub fn describe(&self) -> String {
        match self {
            Self::Packages { name, lock } => {
                format!(
                    "the {} packages of the container {name} (tree {})",
                    lock.packages.len(),
                    lock.tree
                )
            }
            Self::Image { image } => format!("the image {image}"),
        }
    }
}
