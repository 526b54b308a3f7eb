//! The Python Package Index: the files of a project, according to the simple index (PEP 503, 691, 700).
//!
//! The index is not signed. Its digests prove that the bytes are those that the registry serves today, but not who
//! made them.

use std::collections::BTreeSet;
use std::str::FromStr as _;

use jiff::Timestamp;
use pep440_rs::{Version, VersionSpecifiers};
use serde::Deserialize;

use super::interpreter::Series;
use crate::artifact::{PinnedFile, Sha256};
use crate::ecosystem::RegistryError;
use crate::evidence::document::Document;
use crate::evidence::{Claim, Question, Standing};
use crate::inspect;
use crate::store::{Blob, FetchError, Fetcher};
use crate::text::plural;

/// Address of the index.
pub(super) const INDEX: &str = "https://pypi.org/simple";
/// Endings of source distributions.
pub(super) const SOURCES: [&str; 5] = [".tar.gz", ".zip", ".tar.bz2", ".tgz", ".tar.xz"];
/// The largest page of a real project has about 10 MiB.
const PAGE_LIMIT: u64 = 32 << 20;
const ATTESTATIONS_LIMIT: u64 = 4 << 20;

/// A project's page.
#[derive(Debug, Clone)]
pub(super) struct Project {
    /// Normalised name.
    pub name: String,
    /// Files, in the index's order.
    pub files: Vec<ReleasedFile>,
    /// The page itself.
    pub page: Blob,
}

/// One file of a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ReleasedFile {
    /// Version in the file's name.
    pub version: Version,
    /// Whether it is a wheel rather than a source distribution.
    pub wheel: bool,
    /// Name, URL, digest, size.
    pub file: PinnedFile,
    /// When it was uploaded.
    pub uploaded: Timestamp,
    /// Whether its maintainers withdrew it (PEP 592).
    pub yanked: bool,
    /// Python versions that it supports, according to its metadata.
    pub requires_python: Option<VersionSpecifiers>,
    /// Address of its attestations (PEP 740), if the index has any.
    pub provenance: Option<String>,
}

/// How well a wheel fits the machines that run builds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fitness {
    /// For any platform; by its tag, for Python 2 only.
    PureOld,
    /// With compiled code for our platform.
    Native,
    /// For any Python 3 on any platform.
    Pure,
}

#[derive(Deserialize)]
struct Page {
    files: Vec<PageFile>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct PageFile {
    filename: String,
    url: String,
    hashes: std::collections::BTreeMap<String, String>,
    size: Option<u64>,
    upload_time: Option<Timestamp>,
    #[serde(default)]
    yanked: serde_json::Value,
    requires_python: Option<String>,
    provenance: Option<String>,
}

/// Fetches and reads the page of a project.
pub(super) async fn project(fetcher: &Fetcher, name: &str) -> Result<Project, RegistryError> {
    let url = format!("{INDEX}/{name}/");
    let bad = |reason: String| RegistryError::Answer {
        document: format!("the index page of {name}"),
        reason,
        help: "the index, or the mirror in front of it, must offer application/vnd.pypi.simple.v1+json (PEP 691)",
    };
    let read_page = |blob: &Blob| {
        let bytes = blob.bytes().map_err(FetchError::from)?;
        read(name, &bytes).map_err(bad)
    };
    let what = format!("the index page of {name}");
    let (files, received) = fetcher.get_unpinned(&what, &[url], PAGE_LIMIT, read_page).await?;
    Ok(Project {
        name: name.to_owned(),
        files,
        page: received.blob,
    })
}

/// The usable files on the page of a project.
pub(super) fn read(project: &str, page: &[u8]) -> Result<Vec<ReleasedFile>, String> {
    let page: Page = serde_json::from_slice(page).map_err(|error| error.to_string())?;
    let mut names = BTreeSet::new();
    let twice = page
        .files
        .iter()
        .find(|file| !names.insert(file.filename.as_str()));
    if let Some(twice) = twice {
        return Err(format!("it names {} twice", twice.filename));
    }
    let files = page.files.into_iter();
    Ok(files.filter_map(|file| released(project, file)).collect())
}

/// A file with everything that is needed; others (eggs, installers, files without digest or time) are left out.
fn released(project: &str, file: PageFile) -> Option<ReleasedFile> {
    // The name becomes a part of paths and of shell text.
    if !is_plain(&file.filename) {
        return None;
    }
    let sha256: Sha256 = file.hashes.get("sha256")?.parse().ok()?;
    let (version, wheel) = version_of(project, &file.filename)?;
    Some(ReleasedFile {
        version,
        wheel,
        uploaded: file.upload_time?,
        yanked: !matches!(
            file.yanked,
            serde_json::Value::Bool(false) | serde_json::Value::Null
        ),
        requires_python: file
            .requires_python
            .and_then(|text| VersionSpecifiers::from_str(&text).ok()),
        provenance: file.provenance,
        file: PinnedFile {
            name: file.filename,
            urls: vec![file.url],
            sha256,
            size: file.size?,
        },
    })
}

/// Whether a file name has only characters of names and versions (PEP 427, 440 and 625).
fn is_plain(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._+!-".contains(&byte);
    name.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_') && name.bytes().all(plain)
}

/// The version in the name of a wheel (binary distribution format) or source distribution (PEP 625 and older).
fn version_of(project: &str, file_name: &str) -> Option<(Version, bool)> {
    if let Some(stem) = file_name.strip_suffix(".whl") {
        let version = stem.split('-').nth(1)?;
        return Some((Version::from_str(version).ok()?, true));
    }
    let stem = SOURCES.iter().find_map(|ending| file_name.strip_suffix(ending))?;
    // The name may contain dashes: the version is what follows the project's name, however it is spelt.
    let wanted = normalised(project);
    stem.match_indices('-')
        .filter_map(|(at, dash)| Some((stem.get(..at)?, stem.get(at..)?.strip_prefix(dash)?)))
        .filter(|(name, _)| normalised(name) == wanted)
        .find_map(|(_, version)| Version::from_str(version).ok())
        .map(|version| (version, false))
}

fn normalised(name: &str) -> String {
    name.parse::<pep508_rs::PackageName>()
        .map_or_else(|_| name.to_lowercase(), |name| name.to_string())
}

impl ReleasedFile {
    /// Whether it supports this version of Python.
    pub fn runs_on(&self, python: &Version) -> bool {
        self.requires_python
            .as_ref()
            .is_none_or(|wanted| wanted.contains(python))
    }

    /// How well it fits a machine with this CPython on 64-bit Linux; `None` if it does not run there, or is not a wheel.
    /// Wheels for every platform that Python 2 made may run on Python 3, but not the reverse.
    pub fn fitness(&self, (major, minor): Series) -> Option<Fitness> {
        let (_, tags) = self.file.name.strip_suffix(".whl")?.split_once('-')?;
        let mut tags = tags.rsplit('-');
        let (platform, abi, python) = (tags.next()?, tags.next()?, tags.next()?);
        if platform == "any" {
            let has = |start| python.split('.').any(|tag| tag.starts_with(start));
            let fitness = if has("py3") {
                Fitness::Pure
            } else {
                Fitness::PureOld
            };
            return (abi == "none" && (major != 2 || has("py2"))).then_some(fitness);
        }
        if major == 2 {
            return None;
        }
        let linux = platform
            .split('.')
            .any(|tag| tag.starts_with("manylinux") && tag.ends_with("_x86_64"));
        let built_for = python
            .strip_prefix("cp3")
            .and_then(|minor| minor.parse::<u64>().ok());
        let stable = abi == "abi3" && built_for.is_some_and(|oldest| oldest <= minor);
        let own = abi.strip_prefix("cp3").map(|abi| abi.trim_end_matches('m'));
        let own = own.is_some_and(|own| own.parse() == Ok(minor));
        let fits = abi == "none" && python.contains("py3") || own || stable;
        (linux && fits).then_some(Fitness::Native)
    }
}

/// The attestations (PEP 740) that the index has for a file; second, the claim that replaces them if there are none.
pub(super) async fn attestations(fetcher: &Fetcher, file: &ReleasedFile) -> (Vec<Document>, Option<Claim>) {
    let claim = |claim: String, standing, meaning: String| Claim {
        question: Question::Provenance,
        claim,
        by: None,
        standing,
        meaning,
        document: None,
    };
    let Some(url) = &file.provenance else {
        let absent = claim(
            format!("the index offers no attestation (PEP 740) for {}", file.file.name),
            Standing::Missing,
            "no signed document names its source and build".into(),
        );
        return (Vec::new(), Some(absent));
    };
    let name = format!("the attestations of {}", file.file.name);
    let read = |blob: &Blob| inspect::read_documents(url, blob);
    let read = fetcher
        .get_unpinned(&name, std::slice::from_ref(url), ATTESTATIONS_LIMIT, read)
        .await;
    match read {
        Ok((documents, _)) => (documents, None),
        Err(reason) => {
            let offered = format!("the index offers attestations (PEP 740) for {}", file.file.name);
            let unread = claim(
                offered,
                Standing::Unverifiable,
                format!("they could not be read: {reason}"),
            );
            (Vec::new(), Some(unread))
        }
    }
}

/// The index's claims about a wheel, the source distribution and the other wheels beside it.
pub(super) fn claims(
    project: &Project,
    wheel: &ReleasedFile,
    sdist: Option<&ReleasedFile>,
    attestation: Option<Claim>,
) -> Vec<Claim> {
    let page = Some(project.page.sha256);
    let mut claims = vec![Claim {
        question: Question::Signature,
        claim: format!(
            "the registry serves {} with this SHA-256, uploaded {}",
            wheel.file.name, wheel.uploaded
        ),
        by: Some(INDEX.to_owned()),
        standing: Standing::Unsigned,
        meaning: format!(
            "a registry's hash is not a signature: it shows that these are the registry's bytes, not who made them{}",
            if wheel.yanked {
                "; the maintainers withdrew (yanked) it"
            } else {
                ""
            }
        ),
        document: page,
    }];
    claims.extend(sdist.map(|sdist| Claim {
        question: Question::Provenance,
        claim: format!("{} is the source of version {}", sdist.file.name, sdist.version),
        by: Some(INDEX.to_owned()),
        standing: Standing::Unsigned,
        meaning:
            "same project, same version; the rebuild finds out whether the wheel was built from it".into(),
        document: page,
    }));
    claims.extend(attestation);
    let is_other = |file: &&ReleasedFile| {
        file.wheel && file.version == wheel.version && file.file.name != wheel.file.name
    };
    let others: Vec<_> = project.files.iter().filter(is_other).collect();
    claims.extend(others.first().map(|first| Claim {
        question: Question::Other,
        claim: format!(
            "version {} has {}, such as {}",
            wheel.version,
            plural(others.len(), "other wheel"),
            first.file.name
        ),
        by: Some(INDEX.to_owned()),
        standing: Standing::Unsigned,
        meaning: "pip may install one of them instead, and this rebuild says nothing about it".into(),
        document: page,
    }));
    claims
}

#[cfg(test)]
impl ReleasedFile {
    /// A file with this name and these supported versions of Python.
    pub fn of_test(name: &str, requires_python: &str, day: &str) -> Self {
        let text = format!(
            r#"{{"filename": "{name}", "url": "u", "hashes": {{"sha256": "{}"}}, "size": 1,
                "requires-python": "{requires_python}", "upload-time": "{day}T00:00:00Z"}}"#,
            "0".repeat(64)
        );
        released("a", serde_json::from_str(&text).unwrap()).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_which_wheels_run_here() {
        for (name, expected) in [
            ("a-1-py3-none-any.whl", Some(Fitness::Pure)),
            ("a-1-py2.py3-none-any.whl", Some(Fitness::Pure)),
            ("a-1-py2-none-any.whl", Some(Fitness::PureOld)),
            (
                "a-1-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
                Some(Fitness::Native),
            ),
            ("a-1-cp37-abi3-manylinux_2_28_x86_64.whl", Some(Fitness::Native)),
            ("a-1-py3-none-manylinux_2_17_x86_64.whl", Some(Fitness::Native)),
            ("a-1-cp312-cp312-manylinux_2_17_x86_64.whl", None),
            ("a-1-cp311-cp311-musllinux_1_1_x86_64.whl", None),
            ("a-1-cp311-cp311-macosx_11_0_arm64.whl", None),
            ("a-1.tar.gz", None),
        ] {
            let text = format!(
                r#"{{"filename": "{name}", "url": "u", "hashes": {{"sha256": "{}"}}, "size": 1, "upload-time": "2024-01-01T00:00:00Z"}}"#,
                "0".repeat(64)
            );
            let file = released("a", serde_json::from_str(&text).unwrap()).unwrap();
            assert_eq!(file.fitness((3, 11)), expected, "{name}");
        }
    }

    #[test]
    fn only_plain_file_names_are_taken() {
        for (name, expected) in [
            ("a-1.0-py3-none-any.whl", true),
            ("a_b.c-1!1.0+local-py3-none-any.whl", true),
            ("a-1.0.tar.gz", true),
            ("_a-1.0.tar.gz", true),
            ("-a-1.0.tar.gz", false),
            (".a-1.0.tar.gz", false),
            ("../a-1.0.tar.gz", false),
            ("a b-1.0-py3-none-any.whl", false),
            ("a$(id)-1.0-py3-none-any.whl", false),
            ("a'-1.0-py3-none-any.whl", false),
            ("a\n-1.0-py3-none-any.whl", false),
            ("\u{e4}-1.0-py3-none-any.whl", false),
        ] {
            assert_eq!(is_plain(name), expected, "{name}");
            let file = serde_json::json!({
                "filename": name, "url": "u", "hashes": {"sha256": "0".repeat(64)}, "size": 1,
                "upload-time": "2024-01-01T00:00:00Z"
            });
            let page = serde_json::json!({"files": [file]}).to_string();
            let found = read("a", page.as_bytes()).unwrap();
            assert!(expected || found.is_empty(), "{name}");
        }
    }

    #[test]
    fn finds_the_version_in_file_names() {
        for (project, file, expected) in [
            ("idna", "idna-3.10-py3-none-any.whl", Some(("3.10", true))),
            ("idna", "idna-3.10.tar.gz", Some(("3.10", false))),
            (
                "google-auth",
                "google-auth-2.23.4.tar.gz",
                Some(("2.23.4", false)),
            ),
            (
                "jaraco-classes",
                "jaraco.classes-3.3.0.tar.gz",
                Some(("3.3.0", false)),
            ),
            (
                "zope-interface",
                "zope.interface-5.0-1.zip",
                Some(("5.0.post1", false)),
            ),
            ("idna", "idna-3.10.win32.exe", None),
            ("idna", "other-3.10.tar.gz", None),
        ] {
            let found = version_of(project, file).map(|(version, wheel)| (version.to_string(), wheel));
            assert_eq!(
                found,
                expected.map(|(version, wheel)| (version.to_owned(), wheel)),
                "{file}"
            );
        }
    }
}
