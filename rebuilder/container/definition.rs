//! `containers/NAME.toml`: what a container should contain, and where definitions are looked for.

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
use crate::reader::Reader;
use crate::store::Fetcher;

/// One container definition.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// A one-line description.
    pub description: String,
    /// The root, made of Debian packages.
    pub debian: Debian,
}

/// Which packages to take from which Debian archives.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Debian {
    /// Debian architecture, such as `amd64`.
    pub arch: String,
    /// File below `keyrings/` beside the definition, or an absolute path on this machine.
    pub keyring: String,
    /// Packages besides the essential ones.
    pub packages: Vec<String>,
    /// The archives, in order of preference.
    pub archives: Vec<Archive>,
}

/// Definitions, locks and keyrings: those of the user's folder before the built-in ones.
pub struct Catalog {
    folder: Option<PathBuf>,
    indexes: tokio::sync::Mutex<HashMap<String, Arc<Indexes>>>,
}

/// The folder `containers/`, compiled into the binary.
static BUILT_IN: include_dir::Dir<'_> = include_dir::include_dir!("$CARGO_MANIFEST_DIR/containers");

impl Catalog {
    /// A catalog of the definitions in `folder`, and of the built-in ones.
    pub fn new(folder: Option<PathBuf>) -> Self {
        Self {
            folder,
            indexes: tokio::sync::Mutex::default(),
        }
    }

    /// The folder that new locks are written to, if the user named one.
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
        Ok(BUILT_IN.get_file(name).map(|file| file.contents().to_vec()))
    }

    /// Names of all definitions.
    pub fn names(&self) -> Vec<String> {
        let built_in = BUILT_IN.files().map(|file| file.path().display().to_string());
        let mut names: Vec<String> = built_in.collect();
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

    /// The verified indexes of a definition's archives, sources included; they are read once.
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

/// Entry points for fuzzing.
pub const READERS: &[Reader] = &[
    ("container", |bytes| drop(parse::<Definition>("x", bytes))),
    ("container-lock", |bytes| {
        if let Ok(lock) = parse::<Lock>("x", bytes) {
            lock.materials();
            let text = lock.to_toml("x").unwrap_or_default();
            assert_eq!(parse::<Lock>("x", text.as_bytes()).ok(), Some(lock));
        }
    }),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_binary_carries_the_whole_folder() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("containers");
        let entries = walkdir::WalkDir::new(&folder).into_iter().flatten();
        let mut count = 0;
        for entry in entries.filter(|entry| entry.file_type().is_file()) {
            let name = entry.path().strip_prefix(&folder).unwrap();
            let carried = BUILT_IN.get_file(name).unwrap().contents();
            assert!(carried == fs::read(entry.path()).unwrap(), "{}", name.display());
            count += 1;
        }
        assert!(count > 0);
    }

    #[test]
    fn every_built_in_container_is_defined_and_locked() {
        let catalog = Catalog::new(None);
        for name in catalog.names() {
            catalog.lock(&name).unwrap();
        }
    }
}
