//! What a released crate says about itself.

use std::path::Path;

use serde::Deserialize;

use super::age::{Age, Traces};
use super::file_metadata::FileMetadata;
use crate::artifact::{Sha256, git_source};
use crate::compare;

/// The parts of a released crate that planning needs.
#[derive(Debug)]
pub(super) struct Package {
    /// Commit in `.cargo_vcs_info.json`.
    pub commit: Option<String>,
    /// Whether that file says that the checkout had changes.
    pub dirty: bool,
    /// Folder of the package in its repository, if that file names one.
    pub folder: Option<String>,
    /// Addresses in `Cargo.toml`, the repository's first.
    pub addresses: Vec<String>,
    /// Its `Cargo.lock`.
    pub lock: Option<String>,
    /// The publisher's `Cargo.toml`, which cargo packs as `Cargo.toml.orig`.
    pub manifest: Option<String>,
    /// Its `rust-version`, such as `1.63`.
    pub rust_version: Option<String>,
    /// The releases of Rust that may have packed it.
    pub age: Age,
    /// What it records of the file system that it was packed on.
    pub metadata: FileMetadata,
    /// Whether the publisher's files have the time that cargo has given them only on Windows since Rust 1.63.
    pub older_time: bool,
    /// Its files: the path below its folder, the digest and the length of each.
    pub files: Vec<(String, Sha256, u64)>,
}

#[derive(Deserialize)]
struct VcsInfo {
    git: Git,
    path_in_vcs: Option<String>,
}

#[derive(Deserialize)]
struct Git {
    sha1: Option<String>,
    #[serde(default)]
    dirty: bool,
}

#[derive(Deserialize)]
struct Manifest {
    package: ManifestPackage,
}

#[derive(Deserialize)]
struct ManifestPackage {
    repository: Option<String>,
    homepage: Option<String>,
    #[serde(rename = "rust-version")]
    rust_version: Option<String>,
}

/// Whether a `Cargo.toml` is of this version of a crate. One that takes its version from the workspace is of none.
pub(super) fn is_of(manifest: &[u8], name: &str, version: &str) -> bool {
    version_of(manifest, name).is_some_and(|found| found.as_str() == Some(version))
}

/// The same, but one that takes its version from the workspace may be of any.
pub(super) fn may_be_of(manifest: &[u8], name: &str, version: &str) -> bool {
    version_of(manifest, name).is_some_and(|found| found.as_str().is_none_or(|found| found == version))
}

/// What a `Cargo.toml` of a crate has as its version.
fn version_of(manifest: &[u8], name: &str) -> Option<toml::Value> {
    let manifest = toml::from_str::<toml::Value>(&String::from_utf8_lossy(manifest)).ok()?;
    let package = manifest.get("package")?;
    let is_named = package.get("name")?.as_str() == Some(name);
    package.get("version").filter(|_| is_named).cloned()
}

/// Reads a `.crate`.
pub(super) fn read(path: &Path) -> Result<Package, String> {
    let text = |name: &str| -> Result<Option<String>, String> {
        let fits = |member: &str| member.split_once('/').is_some_and(|(_, rest)| rest == name);
        let found = compare::read_member(path, fits).map_err(|error| error.to_string())?;
        Ok(found.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    };
    let text_of_manifest = text("Cargo.toml")?.ok_or("it has no Cargo.toml")?;
    let manifest: Manifest = toml::from_str(&text_of_manifest).map_err(|error| error.to_string())?;
    let (lock, vcs_info) = (text("Cargo.lock")?, text(".cargo_vcs_info.json")?);
    let members = compare::list(path).map_err(|error| error.to_string())?;
    let members = members.as_deref().unwrap_or_default();
    let traces = Traces {
        files: Traces::with_times(members),
        manifest: &text_of_manifest,
        lock: lock.as_deref(),
        vcs_info: vcs_info.as_deref(),
    };
    let (age, older_time) = (traces.age(), traces.has_older_time());
    let below = |member: &compare::Member| {
        let (_, path) = member.path.split_once('/')?;
        Some((path.to_owned(), member.sha256, member.size))
    };
    let files = members.iter().filter_map(below).collect();
    let manifest_of_publisher = text("Cargo.toml.orig")?;
    let mut package = Package {
        commit: None,
        dirty: false,
        folder: None,
        addresses: [manifest.package.repository, manifest.package.homepage]
            .into_iter()
            .flatten()
            .collect(),
        rust_version: manifest.package.rust_version,
        lock,
        manifest: manifest_of_publisher,
        metadata: FileMetadata::of(members, &age),
        older_time,
        files,
        age,
    };
    if let Some(info) = vcs_info {
        let info: VcsInfo =
            serde_json::from_str(&info).map_err(|error| format!(".cargo_vcs_info.json: {error}"))?;
        package.commit = info.git.sha1;
        package.dirty = info.git.dirty;
        if let Some(path) = info.path_in_vcs {
            let folder = git_source::folder(&path).ok_or_else(|| {
                format!(
                    ".cargo_vcs_info.json: {path:?} is not a relative path inside a \
                repository"
                )
            })?;
            package.folder = Some(folder.to_owned());
        }
    }
    Ok(package)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_is_of_one_version_of_one_crate() {
        for (text, expected, may_be) in [
            ("[package]\nname = \"a\"\nversion = \"1.2.3\"\n", true, true),
            ("[package]\nname = \"b\"\nversion = \"1.2.3\"\n", false, false),
            (
                "[package]\nname = \"a\"\nversion = \"1.2.4\"\n[dependencies]\nc = \"1.2.3\"\n",
                false,
                false,
            ),
            ("[package]\nname = \"a\"\nversion.workspace = true\n", false, true),
            (
                "[package]\nname = \"b\"\nversion.workspace = true\n",
                false,
                false,
            ),
            ("[workspace]\n", false, false),
            ("not TOML: [", false, false),
        ] {
            assert_eq!(is_of(text.as_bytes(), "a", "1.2.3"), expected, "{text}");
            assert_eq!(may_be_of(text.as_bytes(), "a", "1.2.3"), may_be, "{text}");
        }
    }
}
