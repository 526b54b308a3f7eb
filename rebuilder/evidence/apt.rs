//! The signed chain of a Debian archive: `InRelease` → `Packages` and `Sources` → files.
//!
//! Formats: Debian repository format (wiki.debian.org/DebianRepository/Format) and deb822. An index counts
//! only when its digest stands in a verified `InRelease`, a file only when its digest stands in such an index.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use deb822_fast::{Deb822, Paragraph};
use serde::{Deserialize, Serialize};

use super::Verified;
use super::openpgp::{Keyring, OpenPgpError};
use crate::artifact::Sha256;
use crate::store::{Blob, FetchError, Fetcher, Material};

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
    /// Suite as it was asked for, such as `bookworm-security`.
    pub suite: String,
    /// When the archive made it.
    pub date: jiff::Timestamp,
    /// The day after which the archive wants it no longer used, where it names one.
    pub valid_until: Option<jiff::Timestamp>,
    /// Who signed it.
    pub signers: Vec<String>,
    /// Digest and place of the signed file itself.
    pub inrelease: Sha256,
    /// Base URLs of the archive, the snapshot of this very day last.
    pub bases: Vec<String>,
    files: Vec<(String, Sha256, u64)>,
}

/// What is wrong with an archive.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[allow(missing_docs)]
pub enum AptError {
    #[error(transparent)]
    #[diagnostic(transparent)]
    Signature(#[from] OpenPgpError),
    #[error(transparent)]
    #[diagnostic(transparent)]
    Fetch(#[from] FetchError),
    #[error("{document} lacks the field {field}, or the field is not valid")]
    #[diagnostic(help("the archive serves a broken index; try another mirror"))]
    Field { document: String, field: &'static str },
    #[error("the signed InRelease of {suite} names {found:?} as its suite")]
    #[diagnostic(help("the mirror served the file of another suite"))]
    WrongSuite { suite: String, found: String },
    #[error("cannot read {document}")]
    #[diagnostic(help("the archive serves a broken index; try another mirror"))]
    Read {
        document: String,
        source: std::io::Error,
    },
    #[error("{document} is not in deb822 form: {reason}")]
    #[diagnostic(help("the archive serves a broken index; try another mirror"))]
    Deb822 { document: String, reason: String },
}

impl AptError {
    /// Whether it speaks against the archive, rather than something being out of reach.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Signature(_) | Self::WrongSuite { .. } => true,
            Self::Fetch(error) => error.is_refusal(),
            _ => false,
        }
    }
}

const INRELEASE_LIMIT: u64 = 4 << 20;

/// Fetches and verifies the `InRelease` of each suite of `archive`.
pub async fn releases(
    fetcher: &Fetcher,
    archive: &Archive,
    keyring: &Keyring,
) -> Result<Vec<Verified<Release>>, AptError> {
    // Archives come from definitions of containers, which the user or this program wrote.
    for base in archive.mirrors.iter().chain(&archive.snapshot) {
        fetcher.choose(base.split('{').next().unwrap_or(base));
    }
    let mut releases = Vec::new();
    for suite in &archive.suites {
        let urls: Vec<_> = archive
            .mirrors
            .iter()
            .map(|mirror| format!("{mirror}/dists/{suite}/InRelease"))
            .collect();
        let name = format!("InRelease of {suite}");
        let read = |blob: &Blob| {
            let bytes = std::fs::read(&blob.path).map_err(|source| AptError::Read {
                document: name.clone(),
                source,
            })?;
            release(&bytes, blob.sha256, suite, archive, keyring)
        };
        let (release, _) = fetcher.get_unpinned(&name, &urls, INRELEASE_LIMIT, read).await?;
        releases.push(release);
    }
    Ok(releases)
}

/// Verifies one `InRelease` and reads what it vouches for.
fn release(
    inrelease: &[u8],
    digest: Sha256,
    suite: &str,
    archive: &Archive,
    keyring: &Keyring,
) -> Result<Verified<Release>, AptError> {
    let document = format!("InRelease of {suite}");
    let signed = keyring.verify(&document, inrelease)?;
    let paragraph = one_paragraph(&document, &signed.text)?;
    let field = |name: &'static str| {
        paragraph.get(name).ok_or(AptError::Field {
            document: document.clone(),
            field: name,
        })
    };
    // A mirror that hands out the (signed) file of another suite must not get away with it.
    let named = field("Codename")?;
    if named != suite && paragraph.get("Suite") != Some(suite) {
        return Err(AptError::WrongSuite {
            suite: suite.to_owned(),
            found: named.to_owned(),
        });
    }
    let date = parse_date(field("Date")?).ok_or(AptError::Field {
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
    /// The index `path` (such as `main/binary-amd64/Packages.xz`) as a pinned file; none where the suite has no such index.
    pub fn index(&self, path: &str) -> Option<Material> {
        let (_, sha256, size) = self.files.iter().find(|(name, ..)| name == path)?;
        let (folder, _) = path.rsplit_once('/').unwrap_or(("", path));
        let plain = |base: &String| format!("{base}/dists/{}/{path}", self.suite);
        let by_hash = |base: &String| format!("{base}/dists/{}/{folder}/by-hash/SHA256/{sha256}", self.suite);
        Some(Material {
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

    /// A file of the pool as a pinned file.
    pub fn pool_file(&self, path: &str, sha256: Sha256, size: u64) -> Material {
        Material {
            name: path.rsplit('/').next().unwrap_or(path).to_owned(),
            urls: self.bases.iter().map(|base| pool_url(base, path)).collect(),
            sha256,
            size,
        }
    }
}

/// Calls `each` for every paragraph of an index that lies decompressed at `plain`.
pub fn for_each_paragraph(
    plain: &Path,
    document: &str,
    mut each: impl FnMut(&Paragraph) -> Result<(), AptError>,
) -> Result<(), AptError> {
    let file = File::open(plain).map_err(|source| AptError::Read {
        document: document.to_owned(),
        source,
    })?;
    let reader = BufReader::with_capacity(1 << 17, file);
    for paragraph in Deb822::iter_paragraphs_from_reader(reader) {
        let paragraph = paragraph.map_err(|error| deb822(document, &error))?;
        each(&paragraph)?;
    }
    Ok(())
}

/// Writes an index, decompressed, to a new file.
pub fn decompress_to(index: &Blob, document: &str, to: &Path) -> Result<(), AptError> {
    let error = |source| AptError::Read {
        document: document.to_owned(),
        source,
    };
    let from = File::open(&index.path).map_err(error)?;
    let mut file = File::create_new(to).map_err(error)?;
    std::io::copy(&mut liblzma::read::XzDecoder::new(from), &mut file).map_err(error)?;
    Ok(())
}

/// The only paragraph of a control file.
pub fn one_paragraph(document: &str, text: &[u8]) -> Result<Paragraph, AptError> {
    let mut paragraphs = Deb822::iter_paragraphs_from_reader(text);
    match paragraphs.next() {
        Some(paragraph) => paragraph.map_err(|error| deb822(document, &error)),
        None => Err(AptError::Deb822 {
            document: document.to_owned(),
            reason: "it is empty".to_owned(),
        }),
    }
}

fn deb822(document: &str, error: &deb822_fast::Error) -> AptError {
    AptError::Deb822 {
        document: document.to_owned(),
        reason: error.to_string(),
    }
}

/// Reads the lines `DIGEST SIZE NAME` of a checksum field.
pub fn checksums(document: &str, field: &str) -> Result<Vec<(String, Sha256, u64)>, AptError> {
    let bad = || AptError::Field {
        document: document.to_owned(),
        field: "SHA256",
    };
    let mut files = Vec::new();
    for line in field.lines().filter(|line| !line.trim().is_empty()) {
        let mut words = line.split_whitespace();
        let (Some(digest), Some(size), Some(name), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(bad());
        };
        files.push((
            name.to_owned(),
            digest.parse().map_err(|_| bad())?,
            size.parse().map_err(|_| bad())?,
        ));
    }
    Ok(files)
}

/// The URL of a file of the pool below an archive's base URL.
pub fn pool_url(base: &str, path: &str) -> String {
    format!("{base}/{}", path.replace('%', "%25").replace('+', "%2B"))
}

/// A date as release files and `.buildinfo` write it.
pub fn parse_date(text: &str) -> Option<jiff::Timestamp> {
    // RFC 2822, with the zone written as "UTC", which is its obsolete form.
    let text = text.trim().replace(" UTC", " +0000");
    jiff::fmt::rfc2822::DateTimeParser::new()
        .relaxed_weekday(true)
        .parse_timestamp(&text)
        .ok()
}
