//! Fetches images by digest from their registry into the store. The manifest names the configuration and the layers by
//! digest, so the one digest that a plan pins covers them all.
//!
//! Others name the registry, its token service, and the hosts that it redirects to, so each of them goes through
//! [`Word`](super::address::Word) as every other address does.

mod attached;

use oci_client::Reference;
use oci_client::manifest::{OciDescriptor, OciManifest};
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};
use serde::Deserialize;
use url::Url;

use super::address::{AddressTrust, Barred};
use super::blobs::Sealed;
use super::download::{Ask, RequestFailure, deadline};
use super::fetch::NotGiven;
use super::{Blob, FetchError, Fetcher, StoreError};
use crate::artifact::{PinnedImage, Sha256};
use crate::progress::ProgressBar;

/// Maximum number of bytes of a manifest.
const MANIFEST_LIMIT: u64 = 4 << 20;
/// Maximum number of bytes of a configuration.
const CONFIG_LIMIT: u64 = 8 << 20;
/// Maximum number of bytes of an answer with a token.
const TOKEN_LIMIT: u64 = 1 << 20;
/// Maximum number of bytes of one layer, and of all layers together.
const LAYER_LIMIT: u64 = 32 << 30;
const IMAGE_LIMIT: u64 = 64 << 30;
/// Maximum number of layers; engines accept 127.
const MOST_LAYERS: usize = 256;
const ACCEPTED: &str = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, \
                        application/vnd.docker.distribution.manifest.v2+json, \
                        application/vnd.docker.distribution.manifest.list.v2+json";

/// The files of an image for this platform, checked.
#[derive(Debug, Clone)]
pub struct ImageFiles {
    /// Its configuration (OCI image spec, `config`).
    pub config: Blob,
    /// Its layers, lowest first, each with its media type.
    pub layers: Vec<(Blob, String)>,
}

impl Fetcher {
    /// Returns the files of an image for Linux on x86-64, from the store or fetched.
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
        let sizes = manifest.layers.iter().map(|layer| u64::try_from(layer.size).ok());
        let total = sizes.sum::<Option<u64>>().filter(|total| *total <= IMAGE_LIMIT);
        let total = total.filter(|_| manifest.layers.len() <= MOST_LAYERS);
        let total = total
            .ok_or_else(|| registry.broken("its layers are larger or more than those of any real one"))?;
        let bar = self.progress().bytes(format!("fetching {image}"), total);
        let mut layers = Vec::new();
        for layer in &manifest.layers {
            layers.push((
                registry.blob(layer, LAYER_LIMIT, &bar).await?,
                layer.media_type.clone(),
            ));
        }
        let config = registry.blob(&manifest.config, CONFIG_LIMIT, &bar).await?;
        bar.finish_and_clear();
        Ok(ImageFiles { config, layers })
    }
}

/// One repository of a registry.
pub(super) struct Registry<'a> {
    fetcher: &'a Fetcher,
    image: &'a PinnedImage,
    reference: Reference,
    base: Url,
    trust: AddressTrust,
    token: tokio::sync::Mutex<Option<String>>,
}

/// The answer of a token service (distribution spec, "token authentication").
#[derive(Deserialize)]
pub(super) struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

impl<'a> Registry<'a> {
    pub(super) fn new(fetcher: &'a Fetcher, image: &'a PinnedImage) -> Result<Self, FetchError> {
        let barred = |barred: Barred| FetchError::barred(&image.to_string(), barred);
        let (name, mapped) = fetcher.word().image(&image.repository).map_err(barred)?;
        let unusable = |reason: String| {
            let url = format!("docker://{name}");
            FetchError::unavailable(image.to_string(), url, NotGiven::Trouble(reason))
        };
        let reference = format!("{name}@sha256:{}", image.digest);
        let reference: Reference = reference.parse().map_err(|error| unusable(format!("{error}")))?;
        // Like other clients, use plain HTTP only for registries on this very machine.
        let host = reference.resolve_registry();
        let parse = |scheme: &str| Url::parse(&format!("{scheme}://{host}/"));
        let base = parse("https").map_err(|error| unusable(error.to_string()))?;
        let is_loopback = match base.host() {
            Some(url::Host::Ipv4(address)) => address.is_loopback(),
            Some(url::Host::Ipv6(address)) => address.is_loopback(),
            Some(url::Host::Domain(name)) => name == "localhost",
            None => false,
        };
        let base = if is_loopback {
            parse("http").map_err(|error| unusable(error.to_string()))?
        } else {
            base
        };
        let trust = if mapped {
            AddressTrust::Chosen
        } else {
            // A registry on this machine is admitted or barred for being there, not for plain HTTP.
            fetcher.word().admit(&base).map_err(barred)?
        };
        Ok(Self {
            fetcher,
            image,
            reference,
            base,
            trust,
            token: tokio::sync::Mutex::default(),
        })
    }

    pub(super) fn broken(&self, reason: &str) -> FetchError {
        self.not_given(NotGiven::Trouble(reason.to_owned()))
    }

    fn not_given(&self, reason: NotGiven) -> FetchError {
        FetchError::unavailable(self.image.to_string(), self.reference.whole(), reason)
    }

    fn failed(&self, refusal: RequestFailure) -> FetchError {
        match refusal {
            RequestFailure::Barred(barred) => FetchError::barred(&self.image.to_string(), barred),
            RequestFailure::Store(error) => error.into(),
            RequestFailure::Status(status) => self.not_given(NotGiven::Status(status)),
            RequestFailure::Trouble(reason) => self.not_given(NotGiven::Trouble(reason)),
            RequestFailure::TooLarge => {
                self.broken("one of its files is larger than was said, or than any real one")
            }
        }
    }

    pub(super) fn digest(&self, text: &str) -> Result<Sha256, FetchError> {
        let digits = text
            .strip_prefix("sha256:")
            .and_then(|digits| digits.parse().ok());
        digits.ok_or_else(|| self.broken(&format!("it names {text:?}, which is not a SHA-256")))
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

    fn held(&self, digest: Sha256, limit: u64) -> Result<Option<Blob>, FetchError> {
        let held = self.fetcher.store().get(digest)?;
        if held.is_none() && self.fetcher.is_offline() {
            return Err(FetchError::Offline {
                name: self.image.to_string(),
            });
        }
        // The store has files of other kinds too, and a manifest may name any of them.
        match held {
            Some(blob) if blob.size > limit => Err(self.failed(RequestFailure::TooLarge)),
            held => Ok(held),
        }
    }

    pub(super) async fn manifest(&self, digest: Sha256) -> Result<OciManifest, FetchError> {
        let read = |blob: &Blob| {
            let bytes = blob.bytes()?;
            serde_json::from_slice(&bytes)
                .map_err(|error| self.broken(&format!("its manifest cannot be read: {error}")))
        };
        if let Some(blob) = self.held(digest, MANIFEST_LIMIT)? {
            return read(&blob);
        }
        let path = format!("manifests/sha256:{digest}");
        let sealed = self.get(&path, MANIFEST_LIMIT, &ProgressBar::hidden()).await?;
        if sealed.sha256 != digest {
            return Err(self.differs(digest, sealed.sha256));
        }
        let manifest = read(&sealed.unkept())?;
        self.fetcher.store().admit(sealed)?;
        Ok(manifest)
    }

    pub(super) async fn blob(
        &self,
        descriptor: &OciDescriptor,
        limit: u64,
        bar: &ProgressBar,
    ) -> Result<Blob, FetchError> {
        let digest = self.digest(&descriptor.digest)?;
        let size = u64::try_from(descriptor.size).ok().filter(|size| *size <= limit);
        let size = size.ok_or_else(|| self.broken("one of its files is larger than any real one"))?;
        if let Some(blob) = self.held(digest, size)? {
            bar.inc(blob.size);
            return Ok(blob);
        }
        let sealed = self.get(&format!("blobs/sha256:{digest}"), size, bar).await?;
        if sealed.sha256 != digest {
            return Err(self.differs(digest, sealed.sha256));
        }
        Ok(self.fetcher.store().admit(sealed)?)
    }

    /// Does the same; `None` if the repository does not have the file.
    pub(super) async fn find(&self, path: &str, limit: u64) -> Result<Option<Sealed>, FetchError> {
        match self.get_once(path, limit, &ProgressBar::hidden()).await {
            Ok((sealed, _)) => Ok(Some(sealed)),
            Err(RequestFailure::Status(404)) => Ok(None),
            Err(refusal) => Err(self.failed(refusal)),
        }
    }

    /// Fetches one file of the repository, of at most `limit` bytes.
    async fn get(&self, path: &str, limit: u64, bar: &ProgressBar) -> Result<Sealed, FetchError> {
        let got = self.get_with_headers(path, limit, bar).await;
        got.map(|(sealed, _)| sealed)
            .map_err(|refusal| self.failed(refusal))
    }

    /// Does the same, and returns the headers of the answer too.
    async fn get_with_headers(
        &self,
        path: &str,
        limit: u64,
        bar: &ProgressBar,
    ) -> Result<(Sealed, HeaderMap), RequestFailure> {
        let got = tokio::time::timeout(deadline(limit), self.get_once(path, limit, bar)).await;
        got.unwrap_or_else(|_| Err(RequestFailure::Trouble("it took too long".to_owned())))
    }

    fn path(&self, path: &str) -> String {
        format!("v2/{}/{path}", self.reference.repository())
    }

    async fn get_once(
        &self,
        path: &str,
        limit: u64,
        bar: &ProgressBar,
    ) -> Result<(Sealed, HeaderMap), RequestFailure> {
        let whole = self.path(path);
        let url = self
            .base
            .join(&whole)
            .map_err(|error| RequestFailure::Trouble(error.to_string()))?;
        let mut token = self.token.lock().await.clone();
        let mut asked = false;
        loop {
            let ask = Ask {
                accept: path.starts_with("manifests/").then_some(ACCEPTED),
                bearer: token.as_deref(),
            };
            let response = self.fetcher.request(&url, self.trust, ask).await?;
            if response.status() == StatusCode::UNAUTHORIZED && !asked {
                asked = true;
                token = Some(self.anonymous_token(response.headers()).await?);
                self.token.lock().await.clone_from(&token);
                continue;
            }
            if !response.status().is_success() {
                return Err(RequestFailure::Status(response.status().as_u16()));
            }
            let headers = response.headers().clone();
            return Ok((self.fetcher.receive(response, limit, bar).await?, headers));
        }
    }

    /// Requests a token without a login: what is rebuilt is public, but most registries require a token, from a
    /// service that they name.
    async fn anonymous_token(&self, headers: &HeaderMap) -> Result<String, RequestFailure> {
        let texts = headers.get_all(WWW_AUTHENTICATE).iter();
        let challenges = texts.filter_map(|text| http_auth::parse_challenges(text.to_str().ok()?).ok());
        let bearer = challenges
            .flatten()
            .find(|challenge| challenge.scheme.eq_ignore_ascii_case("bearer"));
        let closed = || RequestFailure::Status(StatusCode::UNAUTHORIZED.as_u16());
        let bearer = bearer.ok_or_else(closed)?;
        let param = |wanted: &str| {
            let found = bearer
                .params
                .iter()
                .find(|(name, _)| name.eq_ignore_ascii_case(wanted));
            found.map(|(_, value)| value.to_unescaped())
        };
        let realm = param("realm").and_then(|realm| Url::parse(&realm).ok());
        let mut realm =
            realm.ok_or_else(|| RequestFailure::Trouble("it names no place for tokens".to_owned()))?;
        let trust = self.fetcher.word().redirect(&self.base, self.trust, &realm);
        let trust = trust.map_err(RequestFailure::Barred)?;
        let scope = format!("repository:{}:pull", self.reference.repository());
        let service = param("service");
        realm
            .query_pairs_mut()
            .extend_pairs(service.map(|service| ("service", service)))
            .append_pair("scope", &scope);
        let response = self.fetcher.request(&realm, trust, Ask::default()).await?;
        if !response.status().is_success() {
            return Err(RequestFailure::Status(response.status().as_u16()));
        }
        let bar = ProgressBar::hidden();
        let sealed = self.fetcher.receive(response, TOKEN_LIMIT, &bar).await?;
        let path = sealed.unkept().path;
        let answer = std::fs::read(&path)
            .map_err(|error| RequestFailure::Store(StoreError::io("read", &path)(error)))?;
        let token: Token = serde_json::from_slice(&answer)
            .map_err(|_| RequestFailure::Trouble("its answer with a token cannot be read".to_owned()))?;
        token.token.or(token.access_token).ok_or_else(closed)
    }
}
