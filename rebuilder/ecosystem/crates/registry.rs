//! crates.io: what its index says of a crate's versions.
//!
//! The index is not signed. Its checksums prove that the bytes are those that the registry hands out today, and
//! nothing about who made them.

use jiff::Timestamp;
use serde::Deserialize;

use crate::artifact::Sha256;
use crate::evidence::{Claim, Question, Standing};
use crate::store::{Blob, FetchError, Fetcher};

/// Where the index is; see "Index Format" in the Cargo book.
pub const INDEX: &str = "https://index.crates.io";
/// Where the crates are.
const DOWNLOADS: &str = "https://static.crates.io/crates";
const INDEX_LIMIT: u64 = 16 << 20;

/// One version, as the index describes it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Version {
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
    /// When it was published, where the index says so.
    #[serde(default, rename = "pubtime")]
    pub published: Option<Timestamp>,
}

/// A crate's page in the index.
#[derive(Debug, Clone)]
pub struct Page {
    /// Its versions, in the order of publication.
    pub versions: Vec<Version>,
    /// Digest of the page.
    pub sha256: Sha256,
}

/// A page that cannot be had or read.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[allow(missing_docs)]
pub enum CratesError {
    #[error(transparent)]
    #[diagnostic(transparent)]
    Fetch(#[from] FetchError),
    #[error("line {line} of the index page of {name} cannot be read: {reason}")]
    #[diagnostic(help("the index or the mirror in front of it is not in the form of crates.io"))]
    Page {
        name: String,
        line: usize,
        reason: String,
    },
}

/// Fetches and reads the page of a crate.
pub async fn page(fetcher: &Fetcher, name: &str) -> Result<Page, CratesError> {
    let url = format!("{INDEX}/{}", path(name));
    let bad = |line: usize, reason: String| CratesError::Page {
        name: name.to_owned(),
        line,
        reason,
    };
    let read = |blob: &Blob| {
        let text = std::fs::read_to_string(&blob.path).map_err(|error| bad(0, error.to_string()))?;
        let lines = text.lines().enumerate().filter(|(_, line)| !line.is_empty());
        let versions = lines.map(|(at, line)| {
            serde_json::from_str(line).map_err(|error| bad(at.saturating_add(1), error.to_string()))
        });
        Ok::<_, CratesError>(Page {
            versions: versions.collect::<Result<_, CratesError>>()?,
            sha256: blob.sha256,
        })
    };
    let what = format!("the index page of {name}");
    let (page, _) = fetcher.get_unpinned(&what, &[url], INDEX_LIMIT, read).await?;
    Ok(page)
}

/// Where a crate stands in the index: by the length of its name and its first letters.
fn path(name: &str) -> String {
    let name = name.to_lowercase();
    match name.len() {
        1 | 2 => format!("{}/{name}", name.len()),
        3 => format!("3/{}/{name}", &name[..1]),
        _ => format!("{}/{}/{name}", &name[..2], &name[2..4]),
    }
}

/// File name and address of a crate.
pub fn download(name: &str, version: &str) -> (String, String) {
    let file = format!("{name}-{version}.crate");
    let url = format!("{DOWNLOADS}/{name}/{file}");
    (file, url)
}

/// What the index claims of a version.
pub fn claim(page: &Page, version: &Version) -> Claim {
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
            "the registry hands out {}-{}.crate with this SHA-256{when}",
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
