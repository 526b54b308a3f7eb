//! What is being rebuilt: names of released artifacts and the digests that identify their bytes.
//!
//! Nothing here touches the network or the disk; `store` fetches, `evidence` verifies.

#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

mod digest;
mod ecosystem;
pub mod git_source;
#[cfg(feature = "full")]
mod image;
pub mod pattern;
mod pinned_file;
pub mod serialise;
mod subject;

pub use digest::{DigestError, Digests, HashingReader, HashingWriter, Sha256};
pub use ecosystem::Ecosystem;
#[cfg(feature = "full")]
pub use image::{ImageError, PinnedImage};
pub use pinned_file::PinnedFile;
pub use subject::{Subject, SubjectError};
