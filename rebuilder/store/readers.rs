//! Readers of what image registries and git servers send.

use oci_client::manifest::OciManifest;

use super::git;
use super::referrers::Index;
use super::registry::Token;
use crate::reader::{Reader, as_text};

/// Entry points for fuzzing.
pub const READERS: &[Reader] = &[
    ("image-manifest", |bytes| {
        drop(serde_json::from_slice::<OciManifest>(bytes));
    }),
    ("image-referrers", |bytes| {
        drop(serde_json::from_slice::<Index>(bytes));
    }),
    ("image-token", |bytes| {
        drop(serde_json::from_slice::<Token>(bytes));
    }),
    ("image-challenge", |bytes| {
        as_text(bytes, |text| drop(http_auth::parse_challenges(text)));
    }),
    ("git-tree", git::read_tree),
];
