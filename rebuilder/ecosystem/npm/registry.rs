//! What the registry has for one version: metadata, tarball, attestations.

use serde::de::DeserializeOwned;

use super::address;
use crate::artifact::{Digests, PinnedFile, Subject};
use crate::ecosystem::released::{artifact, keep};
use crate::ecosystem::{PlanError, Release};
use crate::evidence::assess::Artifact;
use crate::evidence::document::Document;
use crate::evidence::json::member;
use crate::evidence::npm::{self, REGISTRY, Version};
use crate::evidence::{Claim, Question, Standing};
use crate::inspect;
use crate::store::{Blob, FetchError, Fetcher, StoreError};
use crate::text::redacted;

/// Maximum number of bytes of the registry's answer about one version, and about all of them.
pub(super) const METADATA_LIMIT: u64 = 64 << 20;
/// Maximum number of bytes of a tarball.
const TARBALL_LIMIT: u64 = 1 << 30;

/// The claims about a version, without planning anything.
pub(super) async fn lookup(fetcher: &Fetcher, subject: &Subject) -> Result<Release, PlanError> {
    let found = find(fetcher, subject, None, true).await?;
    Ok(Release {
        artifacts: vec![found.artifact],
        besides: Vec::new(),
        claims: found.claims,
        documents: found.documents,
        sources: Vec::new(),
        published: None,
    })
}

/// Everything that is known about a version before planning.
pub(super) struct Found {
    pub subject: Subject,
    /// The registry's metadata; `None` if only a local file is known.
    pub version: Option<Version>,
    pub artifact: Artifact,
    pub file: PinnedFile,
    pub claims: Vec<Claim>,
    pub documents: Vec<Document>,
}

/// Fetches the tarball and its metadata from the registry; a local file replaces both if the registry does not have
/// the version.
pub(super) async fn find(
    fetcher: &Fetcher,
    subject: &Subject,
    local: Option<Artifact>,
    ask_for_attestations: bool,
) -> Result<Found, PlanError> {
    let wanted = subject.version.clone().unwrap_or_else(|| "latest".into());
    let (version, mut artifact, file, claim) = tarball_of(fetcher, subject, &wanted, local).await?;
    let mut claims = vec![claim];
    if let Some(version) = &version {
        claims.extend(address::claim(fetcher, version).await);
    }
    let subject = Subject {
        version: subject
            .version
            .clone()
            .or(version.as_ref().map(|version| version.version.clone())),
        ..subject.clone()
    };
    artifact.purl = Some(subject.purl());
    let mut documents = Vec::new();
    if ask_for_attestations {
        match attestations(fetcher, &subject).await {
            Ok(found) => documents = found,
            Err(reason) => claims.push(Claim {
                question: Question::Provenance,
                ..self::claim("attestations of the registry".into(), Standing::Missing, reason)
            }),
        }
    }
    Ok(Found {
        subject,
        version,
        artifact,
        file,
        claims,
        documents,
    })
}

/// The metadata of a version and its tarball, and whether the registry signed them; a local tarball takes precedence.
async fn tarball_of(
    fetcher: &Fetcher,
    subject: &Subject,
    wanted: &str,
    local: Option<Artifact>,
) -> Result<(Option<Version>, Artifact, PinnedFile, Claim), PlanError> {
    let url = format!("{REGISTRY}/{}/{wanted}", subject.name.replace('/', "%2f"));
    let name = format!("the metadata of {}@{wanted}", subject.name);
    let read = |blob: &Blob| read_json::<Version>(&subject.name, &url, blob);
    let metadata = fetcher
        .get_unpinned(&name, std::slice::from_ref(&url), METADATA_LIMIT, read)
        .await;
    match (metadata, local) {
        (Ok((version, received)), local) => {
            let (artifact, file) = match local {
                Some(artifact) => kept(fetcher, artifact)?,
                None => tarball(fetcher, &version).await?,
            };
            let claim = npm::registry_claim(&version, &artifact.digests, received.blob.sha256);
            Ok((Some(version), artifact, file, claim))
        }
        // An invalid answer is an error; an unreachable registry is not.
        (Err(error @ PlanError::Document { .. }), Some(_)) => Err(error),
        (Err(error), Some(artifact)) => {
            let claim = claim(
                "the registry's own signature".into(),
                Standing::Missing,
                format!("the registry could not be asked: {error}"),
            );
            let (artifact, file) = kept(fetcher, artifact)?;
            Ok((None, artifact, file, claim))
        }
        (Err(PlanError::Fetch(FetchError::NotFound { .. })), None) => Err(PlanError::Unknown {
            subject: format!("{}@{wanted}", subject.name),
            place: REGISTRY.into(),
            help: "check the name and the version; for a local tarball, name the file and its \
            --provenance"
                .into(),
        }),
        (Err(error), None) => Err(error),
    }
}

/// The registry's metadata of one version.
pub(super) async fn version(fetcher: &Fetcher, name: &str, version: &str) -> Result<Version, PlanError> {
    let url = format!("{REGISTRY}/{}/{version}", name.replace('/', "%2f"));
    let what = format!("the metadata of {name}@{version}");
    let read = |blob: &Blob| read_json(name, &url, blob);
    let (version, _) = fetcher
        .get_unpinned(&what, std::slice::from_ref(&url), METADATA_LIMIT, read)
        .await?;
    Ok(version)
}

/// When a version was published, as RFC 3339; `None` if the registry does not tell.
pub(super) async fn published(fetcher: &Fetcher, version: Option<&Version>) -> Option<String> {
    let version = version?;
    let packument = packument(fetcher, &version.name).await.ok()?;
    member(&packument, ["time", &version.version])
        .as_str()
        .map(str::to_owned)
}

/// The versions of a package that the registry has.
pub(super) async fn versions(fetcher: &Fetcher, name: &str) -> Result<Vec<String>, PlanError> {
    let packument = packument(fetcher, name).await?;
    let versions = member(&packument, ["versions"]).as_object();
    Ok(versions
        .into_iter()
        .flatten()
        .map(|(version, _)| version.clone())
        .collect())
}

/// Everything that the registry says about a package.
pub(super) async fn packument(fetcher: &Fetcher, name: &str) -> Result<serde_json::Value, PlanError> {
    let url = format!("{REGISTRY}/{}", name.replace('/', "%2f"));
    let what = format!("the versions of {name}");
    let read = |blob: &Blob| read_json::<serde_json::Value>(name, &url, blob);
    let (packument, _) = fetcher
        .get_unpinned(&what, std::slice::from_ref(&url), METADATA_LIMIT, read)
        .await?;
    Ok(packument)
}

fn claim(claim: String, standing: Standing, meaning: String) -> Claim {
    Claim {
        question: Question::Signature,
        claim,
        by: None,
        standing,
        meaning,
        document: None,
    }
}

/// A local file, kept in the store, so that the plan can be run after the file was deleted.
fn kept(fetcher: &Fetcher, artifact: Artifact) -> Result<(Artifact, PinnedFile), PlanError> {
    keep(fetcher, &artifact)?;
    let file = PinnedFile {
        name: artifact.name.clone(),
        urls: Vec::new(),
        sha256: artifact.digests.sha256,
        size: artifact.digests.size,
    };
    Ok((artifact, file))
}

/// Reads the registry's answer in the expected form.
pub(super) fn read_json<T: DeserializeOwned>(subject: &str, url: &str, blob: &Blob) -> Result<T, PlanError> {
    let bytes =
        crate::bounded::read(&blob.path, METADATA_LIMIT).map_err(StoreError::io("read", &blob.path))?;
    serde_json::from_slice(&bytes).map_err(|error| PlanError::Document {
        subject: subject.to_owned(),
        document: url.to_owned(),
        reason: error.to_string(),
    })
}

/// A tarball with the integrity that `says` states, and its digests.
pub(super) async fn by_integrity(
    fetcher: &Fetcher,
    name: String,
    url: String,
    says: &str,
    integrity: &str,
) -> Result<(PinnedFile, Digests), PlanError> {
    let read = |blob: &Blob| {
        let digests = std::fs::File::open(&blob.path).and_then(Digests::of_reader);
        let digests = digests.map_err(StoreError::io("read", &blob.path))?;
        if npm::fits_integrity(integrity, &digests) {
            return Ok(digests);
        }
        Err(PlanError::Contradiction {
            subject: name.clone(),
            reason: format!(
                "{says} says {integrity}, but {} serves other bytes",
                redacted(&url)
            ),
        })
    };
    let (digests, _) = fetcher
        .get_unpinned(&name, std::slice::from_ref(&url), TARBALL_LIMIT, read)
        .await?;
    let file = PinnedFile {
        name,
        urls: vec![url],
        sha256: digests.sha256,
        size: digests.size,
    };
    Ok((file, digests))
}

async fn tarball(fetcher: &Fetcher, version: &Version) -> Result<(Artifact, PinnedFile), PlanError> {
    let url = version.dist.tarball.clone();
    let name = url.rsplit('/').next().unwrap_or_default().to_owned();
    let is_plain = !name.starts_with('.')
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-._~@+".contains(c));
    if !is_plain || !name.ends_with(".tgz") {
        return Err(PlanError::Document {
            subject: version.name.clone(),
            document: "the registry's metadata".into(),
            reason: format!("{:?} is not the address of a tarball", redacted(&url)),
        });
    }
    let integrity = version.dist.integrity.as_deref();
    let read = |blob: &Blob| {
        let digests = std::fs::File::open(&blob.path).and_then(Digests::of_reader);
        let digests = digests.map_err(StoreError::io("read", &blob.path))?;
        let contradiction = |reason: &str| PlanError::Contradiction {
            subject: name.clone(),
            reason: reason.to_owned(),
        };
        match integrity {
            Some(integrity) if npm::fits_integrity(integrity, &digests) => Ok(()),
            Some(_) => Err(contradiction(
                "the registry serves other bytes than its metadata says",
            )),
            // Old releases have no integrity; the file must at least be a tarball.
            None => {
                let file = std::fs::File::open(&blob.path).map_err(StoreError::io("read", &blob.path))?;
                let header = flate2::read::GzDecoder::new(file);
                header
                    .header()
                    .map(|_| ())
                    .ok_or_else(|| contradiction("the registry serves a file that is not a tarball"))
            }
        }
    };
    let ((), received) = fetcher
        .get_unpinned(&name, std::slice::from_ref(&url), TARBALL_LIMIT, read)
        .await?;
    let file = PinnedFile {
        name,
        urls: vec![url],
        sha256: received.blob.sha256,
        size: received.blob.size,
    };
    Ok((artifact(None, &file, &received.blob)?, file))
}

/// The attestations that the registry has for a version, or why there are none.
async fn attestations(fetcher: &Fetcher, subject: &Subject) -> Result<Vec<Document>, String> {
    let version = subject.version.as_deref().unwrap_or_default();
    let url = format!(
        "{REGISTRY}/-/npm/v1/attestations/{}@{version}",
        subject.name.replace('/', "%2f")
    );
    let read = |blob: &Blob| inspect::read_documents(&url, blob);
    let asked = fetcher
        .get_unpinned(
            "the attestations",
            std::slice::from_ref(&url),
            METADATA_LIMIT,
            read,
        )
        .await;
    match asked {
        Ok((documents, _)) => Ok(documents),
        Err(FetchError::NotFound { .. }) => Err("the registry keeps none for this version".to_owned()),
        Err(other) => Err(other.to_string()),
    }
}
