//! `containers/NAME.toml`: what a container should hold, and where definitions are looked for.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;

use super::ContainerError;
use crate::apt::Indexes;
use crate::evidence::openpgp::Keyring;
use crate::evidence::release::Archive;
use crate::plan::Lock;
use crate::store::Fetcher;

/// One definition.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// One line for people.
    pub description: String,
    /// A root made of Debian packages.
    pub debian: Debian,
}

/// What to take from which Debian archives.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Debian {
    /// Architecture.
    pub arch: String,
    /// File below `keyrings/` beside the definition, or an absolute path on this machine.
    pub keyring: String,
    /// Packages wanted besides the essential ones.
    pub packages: Vec<String>,
    /// Archives, the first one first.
    pub archives: Vec<Archive>,
}

/// The folders in which definitions, locks and keyrings are found: the user's before the built-in ones.
pub struct Catalog {
    folder: Option<PathBuf>,
    indexes: tokio::sync::Mutex<HashMap<String, Arc<Indexes>>>,
}

/// Files of `containers/` that the binary carries.
const BUILT_IN: &[(&str, &[u8])] = &[
    (
        "bookworm-build.toml",
        include_bytes!("../../containers/bookworm-build.toml"),
    ),
    (
        "bookworm-build.lock",
        include_bytes!("../../containers/bookworm-build.lock"),
    ),
    (
        "bookworm-python.toml",
        include_bytes!("../../containers/bookworm-python.toml"),
    ),
    (
        "bookworm-python.lock",
        include_bytes!("../../containers/bookworm-python.lock"),
    ),
    (
        "bookworm-go.toml",
        include_bytes!("../../containers/bookworm-go.toml"),
    ),
    (
        "bookworm-go.lock",
        include_bytes!("../../containers/bookworm-go.lock"),
    ),
    (
        "bookworm-node.toml",
        include_bytes!("../../containers/bookworm-node.toml"),
    ),
    (
        "bookworm-node.lock",
        include_bytes!("../../containers/bookworm-node.lock"),
    ),
    (
        "trixie-rust.toml",
        include_bytes!("../../containers/trixie-rust.toml"),
    ),
    (
        "trixie-rust.lock",
        include_bytes!("../../containers/trixie-rust.lock"),
    ),
    (
        "bookworm-python-native.toml",
        include_bytes!("../../containers/bookworm-python-native.toml"),
    ),
    (
        "bookworm-python-native.lock",
        include_bytes!("../../containers/bookworm-python-native.lock"),
    ),
    (
        "trixie-build.toml",
        include_bytes!("../../containers/trixie-build.toml"),
    ),
    (
        "trixie-build.lock",
        include_bytes!("../../containers/trixie-build.lock"),
    ),
    (
        "sid-build.toml",
        include_bytes!("../../containers/sid-build.toml"),
    ),
    (
        "sid-build.lock",
        include_bytes!("../../containers/sid-build.lock"),
    ),
    (
        "keyrings/debian-archive.gpg",
        include_bytes!("../../containers/keyrings/debian-archive.gpg"),
    ),
];

impl Catalog {
    /// Definitions of `folder`, then the built-in ones.
    pub fn new(folder: Option<PathBuf>) -> Self {
        Self {
            folder,
            indexes: tokio::sync::Mutex::default(),
        }
    }

    /// The folder that new locks are written to, where the user named one.
    pub fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    fn file(&self, name: &str) -> Result<Option<Vec<u8>>, ContainerError> {
        if let Some(folder) = &self.folder {
            let path = folder.join(name);
            match fs::read(&path) {
                Ok(bytes) => return Ok(Some(bytes)),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => {
                    let (path, reason) = (path.display().to_string(), error.to_string());
                    return Err(ContainerError::Invalid { path, reason });
                }
            }
        }
        Ok(BUILT_IN
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, bytes)| bytes.to_vec()))
    }

    /// Names of all definitions.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = BUILT_IN.iter().map(|(name, _)| (*name).to_owned()).collect();
        let entries = self
            .folder
            .as_deref()
            .and_then(|folder| fs::read_dir(folder).ok());
        names.extend(
            entries
                .into_iter()
                .flatten()
                .flatten()
                .map(|entry| entry.file_name().to_string_lossy().into_owned()),
        );
        let mut names: Vec<_> = names
            .iter()
            .filter_map(|name| name.strip_suffix(".toml"))
            .map(str::to_owned)
            .collect();
        names.sort();
        names.dedup();
        names
    }

    /// The definition called `name`.
    pub fn definition(&self, name: &str) -> Result<Definition, ContainerError> {
        let file = format!("{name}.toml");
        let bytes = self.file(&file)?.ok_or_else(|| ContainerError::Unknown {
            name: name.to_owned(),
            known: self.names().join(", "),
        })?;
        parse(&file, &bytes)
    }

    /// The lock of the container called `name`.
    pub fn lock(&self, name: &str) -> Result<Lock, ContainerError> {
        self.definition(name)?;
        let file = format!("{name}.lock");
        let bytes = self.file(&file)?.filter(|bytes| !bytes.is_empty());
        parse(
            &file,
            &bytes.ok_or_else(|| ContainerError::NotLocked {
                name: name.to_owned(),
            })?,
        )
    }

    /// The indexes of a definition's archives, sources included, verified; read once.
    pub async fn indexes(
        &self,
        fetcher: &Fetcher,
        name: &str,
        definition: &Debian,
    ) -> Result<Arc<Indexes>, ContainerError> {
        let mut known = self.indexes.lock().await;
        if let Some(indexes) = known.get(name) {
            return Ok(indexes.clone());
        }
        let keyring = self.keyring(definition)?;
        let loaded = Indexes::load(fetcher, &definition.archives, &keyring, &definition.arch, true).await?;
        let loaded = Arc::new(loaded);
        known.insert(name.to_owned(), loaded.clone());
        Ok(loaded)
    }

    /// The keyring that a definition names.
    pub fn keyring(&self, definition: &Debian) -> Result<Keyring, ContainerError> {
        let name = &definition.keyring;
        match self.file(&format!("keyrings/{name}"))? {
            Some(bytes) => Ok(Keyring::parse(name, &bytes)?),
            None => Ok(Keyring::read(Path::new(name))?),
        }
    }
}

pub(super) fn parse<T: serde::de::DeserializeOwned>(path: &str, bytes: &[u8]) -> Result<T, ContainerError> {
    let invalid = |reason: String| ContainerError::Invalid {
        path: path.to_owned(),
        reason,
    };
    let text = std::str::from_utf8(bytes).map_err(|error| invalid(error.to_string()))?;
    toml::from_str(text).map_err(|error| invalid(error.to_string()))
}
