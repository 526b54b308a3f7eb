//! The files that refer to a manifest, by its registry (OCI distribution spec 1.1, "Listing Referrers").

use oci_client::manifest::OciManifest;
use serde::Deserialize;

use super::registry::Registry;
use super::{Blob, FetchError, Fetcher, StoreError};
use crate::artifact::{PinnedImage, Sha256};
use crate::progress::ProgressBar;

/// Maximum number of bytes of a list of referrers.
const INDEX_LIMIT: u64 = 4 << 20;
/// Maximum number of referrers that are read; the others are counted.
const MOST_REFERRERS: usize = 64;
/// Maximum number of files that are read of one referrer.
const MOST_LAYERS: usize = 8;

/// The files that refer to a manifest.
#[derive(Debug, Default)]
pub struct Referrers {
    /// The files, each with the digest of the manifest that lists it.
    pub files: Vec<(Sha256, Blob)>,
    /// Number of referrers that were listed but not read.
    pub unread: usize,
}

/// A list of referrers; only the fields that are needed, as registries add others.
#[derive(Deserialize)]
pub(super) struct Index {
    manifests: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    digest: String,
}

impl Fetcher {
    /// Fetches the files of at most `limit` bytes that refer to an image; none if the registry knows no referrers.
    ///
    /// If the registry does not have the endpoint, it is asked for the tag that the specification names instead
    /// (`sha256-HEX`). What cosign stores under the tag `sha256-HEX.att` is read too.
    pub async fn referrers(&self, image: &PinnedImage, limit: u64) -> Result<Referrers, FetchError> {
        if self.is_offline() {
            return Err(FetchError::Offline {
                name: image.to_string(),
            });
        }
        let registry = Registry::new(self, image)?;
        let places = [
            format!("referrers/sha256:{}", image.digest),
            format!("manifests/sha256-{}", image.digest),
        ];
        let mut found = Referrers::default();
        for place in places {
            let Some(sealed) = registry.find(&place, INDEX_LIMIT).await? else {
                continue;
            };
            let path = sealed.unkept().path;
            let bytes = std::fs::read(&path).map_err(StoreError::io("read", &path))?;
            let index: Index = serde_json::from_slice(&bytes).map_err(|error| {
                registry.broken(&format!("its list of referrers cannot be read: {error}"))
            })?;
            found.unread = index.manifests.len().saturating_sub(MOST_REFERRERS);
            for entry in index.manifests.iter().take(MOST_REFERRERS) {
                let manifest = registry.digest(&entry.digest)?;
                let OciManifest::Image(listed) = registry.manifest(manifest).await? else {
                    continue;
                };
                let beyond = listed.layers.len().saturating_sub(MOST_LAYERS);
                found.unread = found.unread.saturating_add(beyond);
                for layer in listed.layers.iter().take(MOST_LAYERS) {
                    let blob = registry.blob(layer, limit, &ProgressBar::hidden()).await?;
                    found.files.push((manifest, blob));
                }
            }
            break;
        }
        let tag = format!("manifests/sha256-{}.att", image.digest);
        if let Some(sealed) = registry.find(&tag, INDEX_LIMIT).await? {
            let path = sealed.unkept().path;
            let bytes = std::fs::read(&path).map_err(StoreError::io("read", &path))?;
            let listed = serde_json::from_slice(&bytes);
            let listed: OciManifest = listed.map_err(|error| {
                registry.broken(&format!("its manifest of attestations cannot be read: {error}"))
            })?;
            if let OciManifest::Image(listed) = listed {
                found.unread = found
                    .unread
                    .saturating_add(listed.layers.len().saturating_sub(MOST_REFERRERS));
                for layer in listed.layers.iter().take(MOST_REFERRERS) {
                    let blob = registry.blob(layer, limit, &ProgressBar::hidden()).await?;
                    found.files.push((sealed.sha256, blob));
                }
            }
        }
        Ok(found)
    }
}
