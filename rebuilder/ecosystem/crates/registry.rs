//! crates.io: a crate's versions, according to its index.
//!
//! The index is not signed. Its checksums prove that the bytes are those that the registry serves today, but not who
//! made them.

use jiff::Timestamp;
use serde::Deserialize;

use super::lockfile;
use super::package::{self, Package};
use super::publisher;
use crate::artifact::{Ecosystem, PinnedFile, Sha256, Subject};
use crate::ecosystem::released::artifact;
use crate::ecosystem::{PlanError, RegistryError, Release};
use crate::evidence::{Claim, Question, Standing};
use crate::store::{Blob, FetchError, Fetcher};

/// Address of the index; see "Index Format" in the Cargo book.
const INDEX: &str = "https://index.crates.io";
/// Address of the crates.
const DOWNLOADS: &str = "https://static.crates.io/crates";
const INDEX_LIMIT: u64 = 16 << 20;

/// One version, according to the index.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[allow(clippy::struct_field_names)]
pub(super) struct Version {
    /// Name, as it was published.
    pub name: String,
    /// Version.
    #[serde(rename = "vers")]
    pub version: String,
    /// SHA-256 of the crate.
    #[serde(rename = "cksum")]
    pub checksum: Sha256,
    /// Whether its owners withdrew it.
    #[serde(default)]
    pub yanked: bool,
    /// When it was published, if the index tells.
    #[serde(default, rename = "pubtime")]
    pub published: Option<Timestamp>,
}

/// A crate's page in the index.
#[derive(Debug, Clone)]
pub(super) struct Page {
    /// Its versions, in the order of publication.
    pub versions: Vec<Version>,
    /// Digest of the page.
    pub sha256: Sha256,
}

/// The claims about a crate, without planning anything.
pub(super) async fn lookup(fetcher: &Fetcher, subject: &Subject) -> Result<Release, PlanError> {
    let (page, version) = find(fetcher, subject).await?;
    let (file, blob, package, mut claims) = released(fetcher, &page, &version).await?;
    claims.push(publisher::claim(fetcher, &version, package.commit.as_deref()).await);
    Ok(Release {
        artifacts: vec![artifact(Some(purl(&version)), &file, &blob)?],
        besides: Vec::new(),
        claims,
        documents: Vec::new(),
        sources: Vec::new(),
        published: version.published,
    })
}

/// The index page, and the version that the subject names.
pub(super) async fn find(fetcher: &Fetcher, subject: &Subject) -> Result<(Page, Version), PlanError> {
    let unknown = |what: String, help: String| PlanError::Unknown {
        subject: what,
        place: INDEX.into(),
        help,
    };
    let page = self::page(fetcher, &subject.name)
        .await
        .map_err(|error| match error {
            RegistryError::Fetch(FetchError::NotFound { .. }) => {
                unknown(subject.name.clone(), "check the crate's name".into())
            }
            other => other.into(),
        })?;
    let parse = |version: &Version| semver::Version::parse(&version.version).ok();
    let fits = |version: &&Version| match &subject.version {
        Some(wanted) => version.version == *wanted,
        None => !version.yanked && parse(version).is_some_and(|version| version.pre.is_empty()),
    };
    let newest = page
        .versions
        .iter()
        .filter(fits)
        .max_by_key(|version| parse(version))
        .cloned();
    let newest = newest.ok_or_else(|| {
        let last: Vec<_> = page
            .versions
            .iter()
            .rev()
            .take(5)
            .map(|version| version.version.clone())
            .collect();
        let version = subject.version.as_deref().unwrap_or_default();
        unknown(
            format!("{} {version}", subject.name).trim_end().to_owned(),
            format!("its newest versions are {}", last.join(", ")),
        )
    })?;
    Ok((page, newest))
}

/// The released crate, and the two claims about it: the registry's and its own.
pub(super) async fn released(
    fetcher: &Fetcher,
    page: &Page,
    version: &Version,
) -> Result<(PinnedFile, Blob, Package, Vec<Claim>), PlanError> {
    let (name, url) = download(&version.name, &version.version);
    let file = lockfile::pin(fetcher, "the index", name, url, version.checksum).await?;
    let blob = fetcher.get(&file).await?;
    let package = package::read(&blob.path).map_err(|error| PlanError::Document {
        subject: file.name.clone(),
        document: "Cargo.toml".into(),
        reason: error,
    })?;
    let mut claims = vec![claim(page, version)];
    let (claim, standing, meaning) = match &package.commit {
        Some(commit) => (
            format!(
                "{} was packed from commit {commit}{}",
                file.name,
                if package.dirty { ", with changes" } else { "" }
            ),
            Standing::Unsigned,
            "its own .cargo_vcs_info.json says so; the rebuild finds out whether the crate comes from that commit",
        ),
        None => (
            format!("{} names no commit", file.name),
            Standing::Missing,
            "it was packed outside a checkout, or by a cargo that did not record the commit",
        ),
    };
    claims.push(Claim {
        question: Question::Provenance,
        claim,
        by: None,
        standing,
        meaning: meaning.into(),
        document: Some(file.sha256),
    });
    Ok((file, blob, package, claims))
}

/// Package URL of a version.
pub(super) fn purl(version: &Version) -> String {
    Subject::new(Ecosystem::Crates, &version.name, Some(&version.version)).purl()
}

/// Fetches and reads the page of a crate.
async fn page(fetcher: &Fetcher, name: &str) -> Result<Page, RegistryError> {
    let url = format!("{INDEX}/{}", path(name));
    let bad = |line: usize, reason: String| RegistryError::Answer {
        document: format!("line {line} of the index page of {name}"),
        reason,
        help: "the index, or the mirror in front of it, must have the format of crates.io's index",
    };
    let read_page = |blob: &Blob| {
        let bytes = blob.bytes().map_err(FetchError::from)?;
        let text = String::from_utf8(bytes).map_err(|error| bad(0, error.to_string()))?;
        Ok::<_, RegistryError>(Page {
            versions: read(&text).map_err(|(line, reason)| bad(line, reason))?,
            sha256: blob.sha256,
        })
    };
    let what = format!("the index page of {name}");
    let (page, _) = fetcher
        .get_unpinned(&what, &[url], INDEX_LIMIT, read_page)
        .await?;
    Ok(page)
}

/// The versions on an index page, one a line; the error names the line, counted from 1.
pub(super) fn read(text: &str) -> Result<Vec<Version>, (usize, String)> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.is_empty());
    lines
        .map(|(at, line)| {
            serde_json::from_str(line).map_err(|error| (at.saturating_add(1), error.to_string()))
        })
        .collect()
}

/// The path of a crate in the index: by the length of its name and its first letters.
fn path(name: &str) -> String {
    let name = name.to_lowercase();
    match name.len() {
        1 | 2 => format!("{}/{name}", name.len()),
        3 => format!("3/{}/{name}", &name[..1]),
        _ => format!("{}/{}/{name}", &name[..2], &name[2..4]),
    }
}

/// File name and address of a crate.
pub(in crate::ecosystem) fn download(name: &str, version: &str) -> (String, String) {
    let file = format!("{name}-{version}.crate");
    let url = format!("{DOWNLOADS}/{name}/{file}");
    (file, url)
}

/// The index's claim about a version.
fn claim(page: &Page, version: &Version) -> Claim {
    let when = version
        .published
        .map_or_else(String::new, |time| format!(", published {time}"));
    let yanked = if version.yanked {
        "; its owners withdrew (yanked) it"
    } else {
        ""
    };
    Claim {
        question: Question::Signature,
        claim: format!(
            "the registry serves {}-{}.crate with this SHA-256{when}",
            version.name, version.version
        ),
        by: Some(INDEX.to_owned()),
        standing: Standing::Unsigned,
        meaning: format!(
            "a registry's hash is not a signature: it shows that these are the registry's bytes, not who made them{yanked}"
        ),
        document: Some(page.sha256),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_page_of_names_of_any_length() {
        for (name, expected) in [
            ("a", "1/a"),
            ("ab", "2/ab"),
            ("Log", "3/l/log"),
            ("itoa", "it/oa/itoa"),
            ("unicode-ident", "un/ic/unicode-ident"),
        ] {
            assert_eq!(path(name), expected);
        }
    }
}
