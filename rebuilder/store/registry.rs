//! Images by digest, from their registry into the store: the manifest names configuration and layers by digest,
//! so the one digest that a plan pins covers them all.

use futures_util::StreamExt as _;
use oci_client::client::{ClientConfig, ClientProtocol};
use oci_client::manifest::{OciDescriptor, OciManifest};
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, Reference};
use std::io::Write as _;

use super::fetch::FetchError;
use super::{Blob, Fetcher, StoreError};
use crate::artifact::{PinnedImage, Sha256};

/// Most bytes of a manifest or a configuration.
const MANIFEST_LIMIT: usize = 4 << 20;
/// Most bytes that one layer may have.
const LAYER_LIMIT: i64 = 32 << 30;
const ACCEPTED: [&str; 4] = [
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
];

/// The files that make up an image for this platform, checked.
#[derive(Debug, Clone)]
pub struct ImageFiles {
    /// Its configuration (OCI image spec, `config`).
    pub config: Blob,
    /// Its layers, lowest first, each with its media type.
    pub layers: Vec<(Blob, String)>,
}

impl Fetcher {
    /// Brings an image for Linux on x86-64 into the store, or finds it there.
    pub async fn image(&self, image: &PinnedImage) -> Result<ImageFiles, FetchError> {
        let registry = Registry::new(self, image)?;
        let mut manifest = registry.manifest(image.digest).await?;
        if let OciManifest::ImageIndex(index) = &manifest {
            let fits = |entry: &&oci_client::manifest::ImageIndexEntry| {
                entry.platform.as_ref().is_some_and(|platform| {
                    platform.os.to_string() == "linux" && platform.architecture.to_string() == "amd64"
                })
            };
            let entry = index.manifests.iter().find(fits);
            let entry = entry.ok_or_else(|| registry.broken("it has no image for linux/amd64"))?;
            manifest = registry.manifest(registry.digest(&entry.digest)?).await?;
        }
        let OciManifest::Image(manifest) = manifest else {
            return Err(registry.broken("its index lists another index"));
        };
        let total = manifest
            .layers
            .iter()
            .map(|layer| u64::try_from(layer.size).unwrap_or(0))
            .sum();
        let bar = self.progress().bytes(format!("fetching {image}"), total);
        let mut layers = Vec::new();
        for layer in &manifest.layers {
            layers.push((registry.blob(layer, &bar).await?, layer.media_type.clone()));
        }
        let config = registry.blob(&manifest.config, &bar).await?;
        bar.finish_and_clear();
        Ok(ImageFiles { config, layers })
    }
}

/// One repository of a registry.
struct Registry<'a> {
    fetcher: &'a Fetcher,
    image: &'a PinnedImage,
    reference: Reference,
    client: Client,
}

impl<'a> Registry<'a> {
    fn new(fetcher: &'a Fetcher, image: &'a PinnedImage) -> Result<Self, FetchError> {
        let address = fetcher.rewrite(&format!("docker://{}", image.repository));
        let name = address.strip_prefix("docker://").unwrap_or(&address);
        let reference = format!("{name}@sha256:{}", image.digest);
        let unusable = |reason: String| FetchError::Unavailable {
            name: image.to_string(),
            attempts: vec![(address.clone(), reason)],
        };
        let reference: Reference = reference.parse().map_err(|error| unusable(format!("{error}")))?;
        // Like every client, plain HTTP for registries on this very machine only.
        let host = reference.resolve_registry().to_owned();
        let is_loopback = ["127.", "localhost", "[::1]"]
            .iter()
            .any(|start| host.starts_with(start));
        let protocol = if is_loopback {
            ClientProtocol::Http
        } else {
            ClientProtocol::Https
        };
        let client = Client::new(ClientConfig {
            protocol,
            ..ClientConfig::default()
        });
        Ok(Self {
            fetcher,
            image,
            reference,
            client,
        })
    }

    fn broken(&self, reason: &str) -> FetchError {
        FetchError::Unavailable {
            name: self.image.to_string(),
            attempts: vec![(self.reference.whole(), reason.to_owned())],
        }
    }

    fn digest(&self, text: &str) -> Result<Sha256, FetchError> {
        let digits = text
            .strip_prefix("sha256:")
            .and_then(|digits| digits.parse().ok());
        digits.ok_or_else(|| self.broken(&format!("it names {text:?}, which is no SHA-256")))
    }

    fn differs(&self, expected: Sha256, found: Sha256) -> FetchError {
        FetchError::Differs {
            name: self.image.to_string(),
            what: "SHA-256",
            expected: expected.to_hex(),
            found: found.to_hex(),
            url: self.reference.whole(),
        }
    }

    fn held(&self, digest: Sha256) -> Result<Option<Blob>, FetchError> {
        let held = self.fetcher.store().get(digest)?;
        if held.is_none() && self.fetcher.is_offline() {
            return Err(FetchError::Offline {
                name: self.image.to_string(),
            });
        }
        Ok(held)
    }

    /// Nobody logs in: what is rebuilt is public.
    async fn authenticate(&self) {
        let registry = self.reference.resolve_registry();
        self.client
            .store_auth_if_needed(registry, &RegistryAuth::Anonymous)
            .await;
    }

    async fn manifest(&self, digest: Sha256) -> Result<OciManifest, FetchError> {
        let blob = if let Some(blob) = self.held(digest)? {
            blob
        } else {
            self.authenticate().await;
            let reference = self.reference.clone_with_digest(format!("sha256:{digest}"));
            let pulled = self
                .client
                .pull_manifest_raw(&reference, &RegistryAuth::Anonymous, &ACCEPTED)
                .await;
            let (bytes, _) = pulled.map_err(|error| self.broken(&error.to_string()))?;
            let found = Sha256::of(&bytes);
            if found != digest {
                return Err(self.differs(digest, found));
            }
            if bytes.len() > MANIFEST_LIMIT {
                return Err(self.broken("its manifest is larger than any real one"));
            }
            self.fetcher.store().keep(&bytes[..])?
        };
        let bytes = std::fs::read(&blob.path).map_err(StoreError::io("read", &blob.path))?;
        serde_json::from_slice(&bytes)
            .map_err(|error| self.broken(&format!("its manifest cannot be read: {error}")))
    }

    async fn blob(
        &self,
        descriptor: &OciDescriptor,
        bar: &crate::progress::ProgressBar,
    ) -> Result<Blob, FetchError> {
        let digest = self.digest(&descriptor.digest)?;
        if !(0..=LAYER_LIMIT).contains(&descriptor.size) {
            return Err(self.broken("one of its layers is larger than any real one"));
        }
        if let Some(blob) = self.held(digest)? {
            bar.inc(blob.size);
            return Ok(blob);
        }
        self.authenticate().await;
        let stream = self.client.pull_blob_stream(&self.reference, descriptor).await;
        let mut stream = stream.map_err(|error| self.broken(&error.to_string()))?.stream;
        let mut incoming = self.fetcher.store().incoming()?;
        let mut room = u64::try_from(descriptor.size).unwrap_or(0);
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.map_err(|error| self.broken(&error.to_string()))?;
            room = room
                .checked_sub(chunk.len() as u64)
                .ok_or_else(|| self.broken("one of its layers is larger than its manifest says"))?;
            bar.inc(chunk.len() as u64);
            let path = self.fetcher.store().path();
            incoming
                .write_all(&chunk)
                .map_err(StoreError::io("write into", path))?;
        }
        let sealed = incoming.seal();
        if sealed.sha256 != digest {
            return Err(self.differs(digest, sealed.sha256));
        }
        Ok(self.fetcher.store().admit(sealed)?)
    }
}
