//! The small files of an OCI layout, each compared with the digest that it is requested by.

use std::collections::HashMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::{Descriptor, OciError};
use crate::artifact::Sha256;
use crate::bounded::HeaderLimit;

/// Maximum number of bytes of a manifest or a document.
pub const BLOB_LIMIT: u64 = crate::evidence::json::SIZE_LIMIT;
/// Maximum number of bytes of an archive that are kept.
const KEPT_LIMIT: u64 = 128 << 20;
/// Maximum number of members of an archive.
const MOST_MEMBERS: usize = 100_000;

/// Files by digest, in a folder or in memory.
pub enum Blobs {
    /// The folder `blobs/sha256` of a layout.
    Folder(PathBuf),
    /// Files that were read from an archive or fetched from a registry.
    Held(HashMap<Sha256, Vec<u8>>),
}

impl Blobs {
    /// Reads one file; it must have the size and the digest of the descriptor.
    pub fn get(&self, descriptor: &Descriptor) -> Result<Vec<u8>, String> {
        let digest = descriptor.sha256()?;
        if descriptor.size > BLOB_LIMIT {
            return Err(format!("it is larger than {} MiB", BLOB_LIMIT >> 20));
        }
        let bytes = match self {
            Self::Held(held) => held.get(&digest).cloned().ok_or("it is not there")?,
            Self::Folder(folder) => {
                let path = folder.join("blobs/sha256").join(digest.to_hex());
                bounded(&path).map_err(|error| match error.kind() {
                    std::io::ErrorKind::NotFound => "it is not there".to_owned(),
                    _ => format!("it cannot be read: {error}"),
                })?
            }
        };
        if Sha256::of(&bytes) != digest {
            return Err("it has another digest than it is listed with".into());
        }
        if bytes.len() as u64 != descriptor.size {
            return Err("it has another size than it is listed with".into());
        }
        Ok(bytes)
    }
}

fn bounded(path: &Path) -> std::io::Result<Vec<u8>> {
    // A link could lead out of the layout.
    if !std::fs::symlink_metadata(path)?.is_file() {
        return Err(std::io::Error::other("it is not a plain file"));
    }
    let mut bytes = Vec::new();
    std::fs::File::open(path)?
        .take(BLOB_LIMIT + 1)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Whether a path is an OCI layout: a folder with the file `oci-layout`, or a tar archive that begins like one.
pub fn is_layout(path: &Path) -> bool {
    if path.is_dir() {
        return path.join("oci-layout").is_file();
    }
    let mut start = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(512).read_to_end(&mut start));
    read.is_ok()
        && start.get(257..262) == Some(b"ustar")
        && members(path, |name, _| name == "oci-layout").is_ok_and(|found| found)
}

/// Opens a layout; also returns its `index.json`.
pub(super) fn open(path: &Path) -> Result<(Blobs, Vec<u8>), OciError> {
    let unusable = |reason: String| OciError::Unusable {
        origin: path.display().to_string(),
        reason,
    };
    let (blobs, version, index) = if path.is_dir() {
        let read = |name: &str| {
            bounded(&path.join(name)).map_err(|source| OciError::Read {
                path: path.join(name),
                source,
            })
        };
        (
            Blobs::Folder(path.to_owned()),
            read("oci-layout")?,
            read("index.json")?,
        )
    } else {
        archived(path).map_err(unusable)?
    };
    let version: serde_json::Value =
        crate::evidence::json::parse(&version).map_err(|error| unusable(error.to_string()))?;
    if version.get("imageLayoutVersion").and_then(|it| it.as_str()) != Some("1.0.0") {
        return Err(unusable("its version is not 1.0.0".into()));
    }
    Ok((blobs, index))
}

/// Reads the small files of an archive, `oci-layout` and `index.json`.
fn archived(path: &Path) -> Result<(Blobs, Vec<u8>, Vec<u8>), String> {
    let (mut held, mut version, mut index) = (HashMap::new(), None, None);
    let mut kept = 0_u64;
    let mut twice = None;
    members(path, |name, bytes| {
        let Some(bytes) = bytes else {
            return false;
        };
        let known = match name {
            "oci-layout" => version.replace(bytes),
            "index.json" => index.replace(bytes),
            _ => {
                // Layers of file systems are not needed, and all documents are JSON.
                let digits = name
                    .strip_prefix("blobs/sha256/")
                    .and_then(|digits| digits.parse().ok());
                let is_json = bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
                if let (Some(digest), true) = (digits, is_json) {
                    kept = kept.saturating_add(bytes.len() as u64);
                    if kept <= KEPT_LIMIT {
                        held.insert(digest, bytes);
                    }
                }
                None
            }
        };
        if known.is_some() {
            twice = Some(name.to_owned());
        }
        false
    })?;
    if let Some(name) = twice {
        return Err(format!("it has {name} twice"));
    }
    if kept > KEPT_LIMIT {
        return Err(format!(
            "it has more than {} MiB of manifests and documents",
            KEPT_LIMIT >> 20
        ));
    }
    let version = version.ok_or("it has no oci-layout")?;
    Ok((Blobs::Held(held), version, index.ok_or("it has no index.json")?))
}

/// Passes the members of an archive to `found` until it returns true; small members with their bytes.
fn members(path: &Path, mut found: impl FnMut(&str, Option<Vec<u8>>) -> bool) -> Result<bool, String> {
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    let headers = HeaderLimit::default();
    let mut archive = tar::Archive::new(headers.over(std::io::BufReader::new(file)));
    let entries = headers.entries(&mut archive).map_err(|error| error.to_string())?;
    for (count, entry) in entries.enumerate() {
        let mut entry = entry.map_err(|error| error.to_string())?;
        if count >= MOST_MEMBERS {
            return Err(format!("it has more than {MOST_MEMBERS} members"));
        }
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let name = name.strip_prefix("./").unwrap_or(&name).to_owned();
        let size = entry.header().size().map_err(|error| error.to_string())?;
        let bytes = if size <= BLOB_LIMIT {
            let mut bytes = Vec::new();
            entry
                .by_ref()
                .take(BLOB_LIMIT)
                .read_to_end(&mut bytes)
                .map_err(|error| error.to_string())?;
            Some(bytes)
        } else {
            None
        };
        if found(&name, bytes) {
            return Ok(true);
        }
    }
    Ok(false)
}
