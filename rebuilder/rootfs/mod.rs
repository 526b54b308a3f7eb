//! Root filesystems as trees of files: unpacks them from bytes, names them by content, and removes them.
//!
//! Nothing here fetches anything or runs what it unpacks. Code that reads untrusted archives runs in the sandbox
//! helper.

#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

mod ar;
mod deb;
mod layers;
pub(crate) mod removal;
mod room;
mod seal;
mod tree;

pub use deb::{PackageFile, UnpackPlan, unpack};
#[doc(hidden)]
pub use layers::READERS;
pub use layers::{ImageConfig, LayerPlan, ending, unpack_layers};
#[doc(hidden)]
pub use removal::empty;
pub use seal::seal;
pub use tree::{Times, TreeContents, digest, normalise};

/// A tree that cannot be made or read.
#[derive(Debug, thiserror::Error)]
pub enum RootfsError {
    #[error("{document} of {package} is broken")]
    Package {
        package: String,
        document: &'static str,
        source: std::io::Error,
    },
    #[error("cannot create a root filesystem from the image {image}: {reason}")]
    Image { image: String, reason: String },
    #[error("cannot {what}")]
    Io { what: String, source: std::io::Error },
}

impl RootfsError {
    /// Whether the disk was full, rather than the input broken.
    pub(crate) fn is_no_space(&self) -> bool {
        match self {
            Self::Package { source, .. } | Self::Io { source, .. } => {
                matches!(
                    source.kind(),
                    std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded
                )
            }
            Self::Image { .. } => false,
        }
    }
}
