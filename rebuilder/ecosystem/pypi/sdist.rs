//! The build system that a source distribution declares: the `[build-system]` table of PEP 518.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use serde::{Deserialize, Serialize};

/// The backend and its requirements.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct BuildSystem {
    #[serde(default)]
    pub requires: Vec<String>,
    #[serde(default = "legacy_backend")]
    pub build_backend: String,
    #[serde(default)]
    pub backend_path: Vec<String>,
}

impl BuildSystem {
    /// Whether the backend's hook may require more than `pyproject.toml` does (PEP 517); poetry-core's never does.
    pub(super) fn may_ask_for_more(&self) -> bool {
        !self.build_backend.starts_with("poetry.core.")
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Pyproject {
    build_system: Option<BuildSystem>,
}

fn legacy_backend() -> String {
    "setuptools.build_meta:__legacy__".to_owned()
}

impl Default for BuildSystem {
    /// The default of PEP 517 for projects that declare nothing.
    fn default() -> Self {
        Self {
            requires: vec!["setuptools".into(), "wheel".into()],
            build_backend: legacy_backend(),
            backend_path: Vec::new(),
        }
    }
}

const UNPACKED_LIMIT: u64 = 512 << 20;
const PYPROJECT_LIMIT: u64 = 4 << 20;

/// Reads the build system of a source distribution; the second value says whether the project declares one.
pub(super) fn build_system(name: &str, path: &Path) -> io::Result<(BuildSystem, bool)> {
    match pyproject(name, path)? {
        Some(text) => read(&text),
        None => Ok((BuildSystem::default(), false)),
    }
}

/// Reads the build system of a `pyproject.toml`; the second value says whether it declares one.
pub(super) fn read(text: &str) -> io::Result<(BuildSystem, bool)> {
    let pyproject: Pyproject = toml::from_str(text).map_err(io::Error::other)?;
    Ok(match pyproject.build_system {
        Some(mut system) => {
            if system.build_backend == legacy_backend() && system.requires.is_empty() {
                system.requires = BuildSystem::default().requires;
            }
            (system, true)
        }
        None => (BuildSystem::default(), false),
    })
}

/// The text of the top folder's `pyproject.toml`.
fn pyproject(name: &str, path: &Path) -> io::Result<Option<String>> {
    let is_it = |path: &str| {
        path.split('/')
            .filter(|part| *part != ".")
            .skip(1)
            .eq(["pyproject.toml"])
    };
    let mut text = String::new();
    let file = io::BufReader::new(File::open(path)?);
    if name.ends_with(".zip") {
        let mut archive = zip::ZipArchive::new(file)?;
        for index in 0..archive.len() {
            let entry = archive.by_index(index)?;
            if is_it(&entry.name()?) {
                entry.take(PYPROJECT_LIMIT).read_to_string(&mut text)?;
                return Ok(Some(text));
            }
        }
        return Ok(None);
    }
    // The tar reader holds whole names in memory, however long they claim to be.
    let unpacked = flate2::read::MultiGzDecoder::new(file).take(UNPACKED_LIMIT);
    let mut archive = tar::Archive::new(unpacked);
    for entry in archive.entries()? {
        let entry = entry?;
        if is_it(&entry.path()?.to_string_lossy()) {
            entry.take(PYPROJECT_LIMIT).read_to_string(&mut text)?;
            return Ok(Some(text));
        }
    }
    Ok(None)
}
