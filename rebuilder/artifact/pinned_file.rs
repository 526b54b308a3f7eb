//! One file of the outside world, pinned by its digest.

use serde::{Deserialize, Serialize};

use super::Sha256;

/// A file that is pinned: what it is called, where it can be fetched, and which bytes it must be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PinnedFile {
    /// File name, without folders.
    pub name: String,
    /// Places to fetch it from, tried in order.
    pub urls: Vec<String>,
    /// Digest of its bytes.
    pub sha256: Sha256,
    /// Length in bytes.
    pub size: u64,
}
