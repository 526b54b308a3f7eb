//! What a source distribution shows: the build system that it declares (the `[build-system]` table of PEP 518), its
//! setup script, and the packages that its own list names.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::requirement;

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
const TEXT_LIMIT: u64 = 4 << 20;

/// Reads the build system of a source distribution; the second value says whether the project declares one.
pub(super) fn build_system(name: &str, path: &Path) -> io::Result<(BuildSystem, bool)> {
    match top_file(name, path, "pyproject.toml")? {
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

/// The text of a file in the top folder.
pub(super) fn top_file(name: &str, path: &Path, wanted: &str) -> io::Result<Option<String>> {
    let mut found = None;
    each(name, path, &mut |member, content| {
        if found.is_none() && member == [wanted] {
            found = Some(text(content)?);
        }
        Ok(found.is_none())
    })?;
    Ok(found)
}

/// Packages that the list which setuptools put into a source distribution names at the top, although it holds no file
/// of them: the folder in which it was made had a folder of that name without files.
pub(super) fn empty_packages(name: &str, path: &Path) -> io::Result<Vec<String>> {
    let mut listed = String::new();
    let mut present = BTreeSet::new();
    each(name, path, &mut |member, content| {
        let below = match member {
            ["src" | "lib" | "python", below @ ..] => below,
            all => all,
        };
        match below {
            [info, "top_level.txt"] if info.ends_with(".egg-info") => listed = text(content)?,
            _ => {}
        }
        let tops = member.first().into_iter().chain(below.first());
        present.extend(tops.map(|part| part.trim_end_matches(".py").to_owned()));
        Ok(true)
    })?;
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let names = listed.lines().map(str::trim);
    let names = names.filter(|name| !name.is_empty() && name.chars().all(plain) && !present.contains(*name));
    Ok(names.map(str::to_owned).collect())
}

/// What the package requires when it is used, as its source distribution lists it.
pub(super) fn requirements(name: &str, path: &Path) -> io::Result<Vec<String>> {
    let (mut metadata, mut by_setuptools, mut for_pip) = (String::new(), String::new(), String::new());
    each(name, path, &mut |member, content| {
        match member {
            ["PKG-INFO"] => metadata = text(content)?,
            ["requirements.txt"] => for_pip = text(content)?,
            [.., info, "requires.txt"] if info.ends_with(".egg-info") && member.len() <= 3 => {
                by_setuptools = text(content)?;
            }
            _ => {}
        }
        Ok(true)
    })?;
    Ok(requirement::of_source(&metadata, &by_setuptools, &for_pip))
}

fn text(content: &mut dyn io::Read) -> io::Result<String> {
    let mut text = String::new();
    content.take(TEXT_LIMIT).read_to_string(&mut text)?;
    Ok(text)
}

/// What looks at a member: at the parts of its path below the top folder, and its content. It says whether to go on.
type Look<'a> = dyn FnMut(&[&str], &mut dyn io::Read) -> io::Result<bool> + 'a;

/// Shows the members of an archive, one after another.
fn each(name: &str, path: &Path, look: &mut Look<'_>) -> io::Result<()> {
    let parts = |path: &str| -> Vec<String> {
        let parts = path.split('/').filter(|part| !part.is_empty() && *part != ".");
        parts.skip(1).map(str::to_owned).collect()
    };
    let mut shown = |path: &str, content: &mut dyn io::Read| {
        let parts = parts(path);
        let parts: Vec<_> = parts.iter().map(String::as_str).collect();
        look(&parts, content)
    };
    let file = io::BufReader::new(File::open(path)?);
    if name.ends_with(".zip") {
        let mut archive = zip::ZipArchive::new(file)?;
        for index in 0..archive.len() {
            let mut entry = archive.by_index(index)?;
            let path = entry.name()?.into_owned();
            if !shown(&path, &mut entry)? {
                return Ok(());
            }
        }
        return Ok(());
    }
    // The tar reader holds whole names in memory, however long they claim to be.
    let unpacked = flate2::read::MultiGzDecoder::new(file).take(UNPACKED_LIMIT);
    let mut archive = tar::Archive::new(unpacked);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = entry.path()?.to_string_lossy().into_owned();
        if !shown(&path, &mut entry)? {
            return Ok(());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_without_files_is_known_from_the_list_alone() {
        for (names, expected) in [
            (&["a-1/a/__init__.py"][..], &["local"][..]),
            (&["a-1/src/a/__init__.py", "a-1/src/local/x.txt"], &[]),
            (&["a-1/a/__init__.py", "a-1/python/local.py"], &[]),
        ] {
            let file = tempfile::NamedTempFile::new().unwrap();
            let gzip = flate2::write::GzEncoder::new(file.reopen().unwrap(), flate2::Compression::fast());
            let mut tar = tar::Builder::new(gzip);
            let list = "a\nlocal\n../b\n\n";
            let members = names.iter().map(|name| (*name, ""));
            for (name, content) in members.chain([("a-1/src/a.egg-info/top_level.txt", list)]) {
                let mut header = tar::Header::new_gnu();
                header.set_size(u64::try_from(content.len()).unwrap());
                tar.append_data(&mut header, name, content.as_bytes()).unwrap();
            }
            tar.into_inner().unwrap().finish().unwrap();
            let found = empty_packages("a-1.tar.gz", file.path()).unwrap();
            assert_eq!(found, expected, "{names:?}");
            let top = top_file("a-1.tar.gz", file.path(), "setup.py").unwrap();
            assert_eq!(top, None);
        }
    }
}
