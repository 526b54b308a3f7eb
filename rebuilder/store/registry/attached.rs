//! Fetches what a registry keeps beside an image: signatures and attestations, in every way that is in use.
//!
//! These are the referrers API (OCI distribution spec 1.1), its fallback tag, cosign's tags, and the attestations in
//! the image's own index. A registry may leave anything out, so an empty answer proves nothing.

use std::collections::HashMap;

use reqwest::header::{HeaderMap, LINK};
use url::Url;

use super::{MANIFEST_LIMIT, Registry};
use crate::artifact::{PinnedImage, Sha256};
use crate::evidence::oci::{BLOB_LIMIT, Blobs, Descriptor, Images, Manifest, is_evidence, tag_of};
use crate::progress::ProgressBar;
use crate::store::download::RequestFailure;
use crate::store::{FetchError, Fetcher, StoreError};

/// Maximum number of manifests that are fetched for one image, and of bytes of all files together.
const MOST_ATTACHED: usize = 100;
const TOTAL_LIMIT: u64 = 128 << 20;
/// Maximum number of pages of an answer of the referrers API.
const MOST_PAGES: usize = 20;
/// The annotation of an image layout that holds a tag's name.
const TAG: &str = "org.opencontainers.image.ref.name";

impl Fetcher {
    /// Fetches an image's manifest, and all documents that its registry keeps beside the image, but not the image
    /// itself.
    pub async fn attached(&self, image: &PinnedImage) -> Result<Images, FetchError> {
        let registry = Registry::new(self, image)?;
        if self.is_offline() {
            return Err(FetchError::Offline {
                name: format!("what is attached to {image}"),
            });
        }
        let mut gathered = Gathered {
            registry: &registry,
            held: HashMap::new(),
            roots: Vec::new(),
            size: 0,
        };
        gathered.gather(image.digest).await?;
        let blobs = Blobs::Held(gathered.held);
        Images::walk(&image.to_string(), &blobs, &gathered.roots).map_err(|reason| registry.broken(&reason))
    }
}

struct Gathered<'a> {
    registry: &'a Registry<'a>,
    held: HashMap<Sha256, Vec<u8>>,
    roots: Vec<Descriptor>,
    size: u64,
}

impl Gathered<'_> {
    async fn gather(&mut self, image: Sha256) -> Result<(), FetchError> {
        let manifest = self.pinned("manifests", image, MANIFEST_LIMIT).await?;
        let manifest = Manifest::parse(&manifest).map_err(|reason| self.registry.broken(&reason))?;
        self.root(image, "");
        for entry in manifest.manifests.iter().flatten() {
            if entry.annotation("vnd.docker.reference.type") == "attestation-manifest" {
                self.attachment(entry).await?;
            } else {
                let digest = self.digest(entry)?;
                self.pinned("manifests", digest, MANIFEST_LIMIT).await?;
            }
        }
        let referrers = if let Some(found) = self.referrers(image).await? {
            found
        } else {
            let index = self.tagged(&tag_of(image)).await?;
            let listed = index.map(|bytes| Manifest::parse(&bytes)).transpose();
            let listed = listed.map_err(|reason| self.registry.broken(&reason))?;
            listed.and_then(|index| index.manifests).unwrap_or_default()
        };
        for entry in &referrers {
            let digest = self.digest(entry)?;
            self.attachment(entry).await?;
            self.root(digest, "");
        }
        for ending in ["sig", "att"] {
            let tag = format!("{}.{ending}", tag_of(image));
            if let Some(bytes) = self.tagged(&tag).await? {
                let digest = Sha256::of(&bytes);
                self.layers(&bytes).await?;
                self.hold(digest, bytes)?;
                self.root(digest, &tag);
            }
        }
        Ok(())
    }

    fn digest(&self, entry: &Descriptor) -> Result<Sha256, FetchError> {
        entry.sha256().map_err(|reason| self.registry.broken(&reason))
    }

    fn root(&mut self, digest: Sha256, tag: &str) {
        let size = self.held.get(&digest).map_or(0, |bytes| bytes.len() as u64);
        self.roots.push(Descriptor::of(digest, size, [(TAG, tag)]));
    }

    /// Fetches an attached manifest, and those of its layers that are documents.
    async fn attachment(&mut self, entry: &Descriptor) -> Result<(), FetchError> {
        let digest = self.digest(entry)?;
        let bytes = self.pinned("manifests", digest, MANIFEST_LIMIT).await?;
        self.layers(&bytes).await
    }

    async fn layers(&mut self, manifest: &[u8]) -> Result<(), FetchError> {
        // An unreadable manifest is reported where it is judged.
        let Ok(manifest) = Manifest::parse(manifest) else {
            return Ok(());
        };
        let documents = manifest.layers.iter().flatten();
        for layer in documents.filter(|layer| is_evidence(&layer.media_type) && layer.size <= BLOB_LIMIT) {
            let digest = self.digest(layer)?;
            self.pinned("blobs", digest, layer.size).await?;
        }
        Ok(())
    }

    /// Fetches a file with this digest from the registry.
    async fn pinned(&mut self, kind: &str, digest: Sha256, limit: u64) -> Result<Vec<u8>, FetchError> {
        if let Some(bytes) = self.held.get(&digest) {
            return Ok(bytes.clone());
        }
        let path = format!("{kind}/sha256:{digest}");
        let found = self.ask(&path, limit).await?;
        let (bytes, _) = found.ok_or_else(|| self.registry.broken(&format!("it has no {path}")))?;
        let other = Sha256::of(&bytes);
        if other != digest {
            return Err(self.registry.differs(digest, other));
        }
        self.hold(digest, bytes.clone())?;
        Ok(bytes)
    }

    fn hold(&mut self, digest: Sha256, bytes: Vec<u8>) -> Result<(), FetchError> {
        self.size = self.size.saturating_add(bytes.len() as u64);
        if self.size > TOTAL_LIMIT || self.held.len() >= MOST_ATTACHED * 4 {
            return Err(self
                .registry
                .broken("more is attached to it than to any real image"));
        }
        self.held.insert(digest, bytes);
        Ok(())
    }

    async fn tagged(&self, tag: &str) -> Result<Option<Vec<u8>>, FetchError> {
        let found = self.ask(&format!("manifests/{tag}"), MANIFEST_LIMIT).await?;
        Ok(found.map(|(bytes, _)| bytes))
    }

    /// All pages of the referrers API; `None` if the registry does not have it.
    async fn referrers(&self, image: Sha256) -> Result<Option<Vec<Descriptor>>, FetchError> {
        let first = format!("referrers/sha256:{image}");
        let (mut path, mut all) = (first, Vec::new());
        for page in 0..MOST_PAGES {
            let Some((bytes, headers)) = self.ask(&path, MANIFEST_LIMIT).await? else {
                return if page == 0 {
                    Ok(None)
                } else {
                    Err(self.registry.broken("a page of its list of referrers is gone"))
                };
            };
            let index = Manifest::parse(&bytes).map_err(|reason| self.registry.broken(&reason))?;
            all.extend(index.manifests.unwrap_or_default());
            if all.len() > MOST_ATTACHED {
                break;
            }
            match self.next(&path, &headers) {
                Some(next) => path = next,
                None => return Ok(Some(all)),
            }
        }
        Err(self.registry.broken("its list of referrers has no end"))
    }

    /// The next page, which must belong to the same list (RFC 8288).
    fn next(&self, path: &str, headers: &HeaderMap) -> Option<String> {
        let link = headers.get(LINK)?.to_str().ok()?;
        let (target, rest) = link.trim().strip_prefix('<')?.split_once('>')?;
        let is_next = rest
            .split(';')
            .any(|part| matches!(part.trim(), "rel=\"next\"" | "rel=next"));
        let base = self.registry.base.join(&self.registry.path(path)).ok()?;
        let url: Url = base.join(target).ok()?;
        let list = path.split('?').next().unwrap_or_default();
        let same = url.origin() == base.origin() && url.path() == format!("/{}", self.registry.path(list));
        (is_next && same).then(|| format!("{list}?{}", url.query().unwrap_or_default()))
    }

    /// A file with its headers; `None` if the registry does not have it.
    async fn ask(&self, path: &str, limit: u64) -> Result<Option<(Vec<u8>, HeaderMap)>, FetchError> {
        let bar = ProgressBar::hidden();
        match self.registry.get_with_headers(path, limit, &bar).await {
            Ok((sealed, headers)) => {
                let path = sealed.unkept().path;
                let bytes = std::fs::read(&path).map_err(StoreError::io("read", &path))?;
                Ok(Some((bytes, headers)))
            }
            // Registries answer with either status for a tag or an endpoint that they do not have.
            Err(RequestFailure::Status(404 | 405)) => Ok(None),
            Err(failure) => Err(self.registry.failed(failure)),
        }
    }
}
