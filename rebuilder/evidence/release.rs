//! The signed chain of a Debian archive: `InRelease` → `Packages` and `Sources` → files.
//!
//! Formats: Debian repository format (wiki.debian.org/DebianRepository/Format) and deb822. An index counts only if its
//! digest is in a verified `InRelease`, and a file only if its digest is in such an index.

use serde::{Deserialize, Serialize};

use super::Verified;
use super::deb822::{Deb822Error, checksums, one_paragraph, parse_date};
use crate::artifact::PinnedFile;
use crate::artifact::Sha256;
use crate::evidence::openpgp::{Keyring, OpenPgpError};

/// One Debian archive: where it is, and which of its suites and components are used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Archive {
    /// Base URLs, tried in order.
    pub mirrors: Vec<String>,
    /// Base URL of the dated snapshot service, with `{timestamp}`; tried last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<String>,
    /// Suites, such as `bookworm` and `bookworm-updates`.
    pub suites: Vec<String>,
    /// Components, such as `main`.
    pub components: Vec<String>,
}

/// The content of a verified `InRelease`.
#[derive(Debug, Clone)]
pub struct Release {
    /// Suite, by the name that was asked for, such as `bookworm-security`.
    pub suite: String,
    /// When the archive created it.
    pub date: jiff::Timestamp,
    /// The time after which it must not be used any more, if the archive names one.
    pub valid_until: Option<jiff::Timestamp>,
    /// Its signers.
    pub signers: Vec<String>,
    /// Digest of the signed file itself.
    pub inrelease: Sha256,
    /// Base URLs of the archive; the snapshot of that day is last.
    pub bases: Vec<String>,
    files: Vec<(String, Sha256, u64)>,
}

/// An `InRelease` that cannot be trusted.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum ReleaseError {
    #[error(transparent)]
    #[diagnostic(transparent)]
    Signature(#[from] OpenPgpError),
    #[error("the signed InRelease of {suite} names {found:?} as its suite")]
    #[diagnostic(help("the mirror served the file of another suite; try another mirror"))]
    WrongSuite { suite: String, found: String },
    #[error(transparent)]
    #[diagnostic(help("the archive serves a broken index; try another mirror"))]
    Index(#[from] Deb822Error),
}

/// Verifies one `InRelease` and reads it.
pub fn verify(
    inrelease: &[u8],
    digest: Sha256,
    suite: &str,
    archive: &Archive,
    keyring: &Keyring,
) -> Result<Verified<Release>, ReleaseError> {
    let document = format!("InRelease of {suite}");
    let signed = keyring.verify(&document, inrelease)?;
    let paragraph = one_paragraph(&document, &signed.text)?;
    let field = |name: &'static str| {
        paragraph.get(name).ok_or(Deb822Error::Field {
            document: document.clone(),
            field: name,
        })
    };
    // A mirror must not be able to serve the (signed) file of another suite.
    let named = field("Codename")?;
    if named != suite && paragraph.get("Suite") != Some(suite) {
        return Err(ReleaseError::WrongSuite {
            suite: suite.to_owned(),
            found: named.to_owned(),
        });
    }
    let date = parse_date(field("Date")?).ok_or(Deb822Error::Field {
        document: document.clone(),
        field: "Date",
    })?;
    let timestamp = date.strftime("%Y%m%dT%H%M%SZ").to_string();
    let snapshot = archive
        .snapshot
        .iter()
        .map(|template| template.replace("{timestamp}", &timestamp));
    Ok(Verified(Release {
        suite: suite.to_owned(),
        date,
        valid_until: paragraph.get("Valid-Until").and_then(parse_date),
        signers: signed.signers.clone(),
        inrelease: digest,
        bases: archive.mirrors.iter().cloned().chain(snapshot).collect(),
        files: checksums(&document, field("SHA256")?)?,
    }))
}

impl Release {
    /// The index `path` (such as `main/binary-amd64/Packages.xz`) as a pinned file, if the suite has it.
    pub fn index(&self, path: &str) -> Option<PinnedFile> {
        let (_, sha256, size) = self.files.iter().find(|(name, ..)| name == path)?;
        let (folder, _) = path.rsplit_once('/').unwrap_or(("", path));
        let plain = |base: &String| format!("{base}/dists/{}/{path}", self.suite);
        let by_hash = |base: &String| format!("{base}/dists/{}/{folder}/by-hash/SHA256/{sha256}", self.suite);
        Some(PinnedFile {
            name: format!("{}/{path}", self.suite),
            urls: self
                .bases
                .iter()
                .map(by_hash)
                .chain(self.bases.iter().map(plain))
                .collect(),
            sha256: *sha256,
            size: *size,
        })
    }

    /// A file in the pool, as a pinned file.
    pub fn pool_file(&self, path: &str, sha256: Sha256, size: u64) -> PinnedFile {
        PinnedFile {
            name: path.rsplit('/').next().unwrap_or(path).to_owned(),
            urls: self.bases.iter().map(|base| pool_url(base, path)).collect(),
            sha256,
            size,
        }
    }
}

/// The URL of a file in the pool, below an archive's base URL.
pub fn pool_url(base: &str, path: &str) -> String {
    format!("{base}/{}", path.replace('%', "%25").replace('+', "%2B"))
}
