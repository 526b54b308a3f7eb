//! What `package-lock.json` makes npm install. The reader misses nothing that npm would take from elsewhere.

use std::collections::BTreeMap;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::Value;

use super::super::judge::Candidate;
use super::super::lock;
use super::manifest;
use super::platform::Platform;
use crate::bounded;
use crate::cli::failure::Failure;

/// Maximum size of a lock file, in bytes.
pub(super) const LIMIT: u64 = 64 << 20;

/// `package-lock.json`, versions 2 and 3.
#[derive(Deserialize)]
struct Lock {
    #[serde(rename = "lockfileVersion")]
    version: u32,
    /// Without it, npm would use the older list `dependencies`, which lacks some of the fields that are checked here.
    packages: BTreeMap<String, Entry>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Entry {
    name: Option<String>,
    version: Option<String>,
    pub resolved: Option<String>,
    integrity: Option<String>,
    pub link: bool,
    #[serde(rename = "inBundle")]
    in_bundle: bool,
    #[serde(rename = "bundleDependencies", alias = "bundledDependencies")]
    bundle: Value,
    #[serde(rename = "hasShrinkwrap", alias = "_hasShrinkwrap")]
    has_shrinkwrap: Value,
    optional: bool,
    os: Value,
    cpu: Value,
    libc: Value,
    #[serde(flatten)]
    pub wants: manifest::Wants,
}

/// A tarball that npm is about to install.
pub(super) struct Tarball {
    pub name: String,
    pub version: String,
    /// Its address; a lock file may leave it out for the usual registry.
    pub url: Option<String>,
    pub integrity: String,
    /// Its SHA-512, in hexadecimal digits.
    pub digest: String,
}

/// The place of an entry of the lock file.
enum Place<'a> {
    Project,
    /// A folder of the project, relative to it.
    Folder(&'a str),
    /// The name of a package, by its folder.
    Package(&'a str),
}

fn unusable(reason: impl std::fmt::Display) -> Failure {
    Failure::usage(format!("cannot use package-lock.json: {reason}"))
        .with_help("run it in the project's folder; \"npm install --package-lock-only\" makes the file")
}

/// The tarballs that the lock file in a project's folder names, and the entries that no party can vouch for.
pub(super) fn read(project: &Path) -> Result<(Vec<Tarball>, Vec<Candidate>), Failure> {
    let text = bounded::read_text(&project.join("package-lock.json"), LIMIT).map_err(unusable)?;
    let lock: Lock = serde_json::from_str(&text).map_err(unusable)?;
    if !matches!(lock.version, 2 | 3) {
        return Err(unusable(format!("version {} is not supported", lock.version)));
    }
    let platform = Platform::own();
    let (mut tarballs, mut unknown) = (Vec::new(), Vec::new());
    for (key, entry) in &lock.packages {
        let place = place(key).ok_or_else(|| unusable(format!("npm does not write the path {key:?}")))?;
        let found = match place {
            Place::Project => Ok(None),
            Place::Folder(folder) => entry.own_folder(project, folder).map(|()| None),
            Place::Package(_) if entry.link => {
                let target = entry.resolved.as_deref().unwrap_or_default();
                own_folder(project, target).map(|()| None)
            }
            Place::Package(_) if entry.is_bundled(key, &lock.packages) => Ok(None),
            Place::Package(_) if !entry.runs(&platform) => Ok(None),
            Place::Package(folder) => entry.tarball(folder).map(Some),
        };
        match found {
            Ok(found) => tarballs.extend(found),
            Err(why) => unknown.push(Candidate::unknown(entry.label(key), why)),
        }
    }
    unknown.extend(manifest::unchecked(project, &lock.packages)?);
    Ok((tarballs, unknown))
}

/// The folders of the project that the lock file names, if it can be read.
pub(super) fn folders(project: &Path) -> Vec<String> {
    let text = bounded::read_text(&project.join("package-lock.json"), LIMIT).unwrap_or_default();
    let lock: Option<Lock> = serde_json::from_str(&text).ok();
    let keys = lock.into_iter().flat_map(|lock| lock.packages.into_keys());
    keys.filter(|key| own_folder(project, key).is_ok()).collect()
}

/// Reads the key of an entry: a path as npm writes it.
fn place(key: &str) -> Option<Place<'_>> {
    if key.is_empty() {
        return Some(Place::Project);
    }
    if key.contains(|c: char| c == '\\' || c.is_control()) {
        return None;
    }
    let parts: Vec<_> = key.split('/').collect();
    let Some((_, inside)) = key.rsplit_once("node_modules/") else {
        return (!parts.contains(&"node_modules")).then_some(Place::Folder(key));
    };
    let named = |part: &&str| !part.is_empty() && !part.starts_with('.') && *part != "node_modules";
    let plain = parts.iter().all(|part| !matches!(*part, "" | "." | ".."));
    let names: Vec<_> = inside.split('/').collect();
    let is_name = match names.as_slice() {
        [name] => named(name) && !name.starts_with('@'),
        [scope, name] => scope.len() > 1 && scope.starts_with('@') && named(name) && !name.starts_with('@'),
        _ => false,
    };
    let folders = parts.iter().rev().nth(names.len()) == Some(&"node_modules");
    (plain && is_name && folders).then_some(Place::Package(inside))
}

/// Whether a folder is the user's own: below the project, once links are followed, and not an installed package.
pub(super) fn own_folder(project: &Path, folder: &str) -> Result<(), String> {
    let outside = || format!("{folder:?} is not a folder of the project");
    let plain = !folder.is_empty()
        && folder
            .split('/')
            .all(|part| !matches!(part, "" | "." | ".." | "node_modules"));
    let (Ok(project), Ok(real)) = (project.canonicalize(), project.join(folder).canonicalize()) else {
        return Err(outside());
    };
    let inside = real.strip_prefix(&project).is_ok_and(|path| {
        path.components().next().is_some() && path.components().all(|part| part.as_os_str() != "node_modules")
    });
    // npm fetches a folder that is missing.
    if plain && inside && real.join("package.json").is_file() {
        Ok(())
    } else {
        Err(outside())
    }
}

impl Entry {
    fn label(&self, key: &str) -> String {
        let inside = key.rsplit_once("node_modules/").map_or(key, |(_, inside)| inside);
        let name = self.name.as_deref().unwrap_or(inside);
        format!("npm:{name}@{}", self.version.as_deref().unwrap_or_default())
    }

    /// A folder of the project must not have an address: npm would fetch from it.
    fn own_folder(&self, project: &Path, folder: &str) -> Result<(), String> {
        if self.link || self.resolved.is_some() || self.integrity.is_some() {
            return Err("a folder of the project cannot have an address".to_owned());
        }
        own_folder(project, folder)
    }

    /// Whether it is part of another tarball: a package above it lists bundled packages, and it has no address itself.
    fn is_bundled(&self, key: &str, all: &BTreeMap<String, Self>) -> bool {
        if !self.in_bundle || self.resolved.is_some() || self.integrity.is_some() {
            return false;
        }
        let mut above = key;
        while let Some((parent, _)) = above.rsplit_once("/node_modules/") {
            above = parent;
            let bundles = |entry: &Self| match &entry.bundle {
                Value::Bool(all) => *all,
                Value::Array(list) => !list.is_empty(),
                _ => false,
            };
            let Some(entry) = all.get(parent).filter(|_| parent.contains("node_modules/")) else {
                continue;
            };
            if bundles(entry) && !entry.link && entry.tarball(parent).is_ok() {
                return true;
            }
        }
        false
    }

    /// Whether npm installs it here. npm skips an optional package for another system.
    fn runs(&self, platform: &Platform) -> bool {
        !self.optional || platform.fits(&self.os, &self.cpu, &self.libc)
    }

    /// The tarball, or why no party can vouch for it.
    fn tarball(&self, folder: &str) -> Result<Tarball, String> {
        let inside = folder
            .rsplit_once("node_modules/")
            .map_or(folder, |(_, inside)| inside);
        let name = self.name.clone().unwrap_or_else(|| inside.to_owned());
        let version = self.version.clone().unwrap_or_default();
        // npm would take such a name for an address, an option, or a range of versions.
        let is_exact = version.starts_with(|c: char| c.is_ascii_digit())
            && version.split('.').count() >= 3
            && version
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || ".-+".contains(c));
        if lock::package(&format!("npm:{name}@{version}")).is_err() || !is_exact || is_archive(&name) {
            return Err("its name and version are not valid for a package of npm".to_owned());
        }
        if !matches!(self.has_shrinkwrap, Value::Null | Value::Bool(false)) {
            return Err("npm takes its dependencies from a lock file inside the tarball".to_owned());
        }
        if let Some(url) = &self.resolved {
            let is_http = ["https://", "http://"]
                .iter()
                .any(|scheme| url.starts_with(scheme));
            // With a fragment npm takes some addresses for repositories.
            if !is_http || url.contains(|c: char| c == '#' || c.is_whitespace() || c.is_control()) {
                return Err("it does not come from a registry".to_owned());
            }
        }
        let integrity = self.integrity.clone().unwrap_or_default();
        let digest = sha512(&integrity).ok_or("the lock file has no SHA-512 for it, or more than one")?;
        Ok(Tarball {
            name,
            version,
            url: self.resolved.clone(),
            integrity,
            digest,
        })
    }
}

/// The only SHA-512 of an integrity (W3C SRI), in hexadecimal digits. If there are several, npm accepts any of them.
fn sha512(integrity: &str) -> Option<String> {
    let mut strong = integrity
        .split_whitespace()
        .filter(|one| !one.starts_with("sha1-"));
    let (only, None) = (strong.next()?, strong.next()) else {
        return None;
    };
    let digest = STANDARD.decode(only.strip_prefix("sha512-")?).ok()?;
    (digest.len() == 64).then(|| hex::encode(digest))
}

/// Whether npm resolves this in a registry: a version, a range, a tag, or another name there.
pub(super) fn is_registry(spec: &str) -> bool {
    let spec = spec.trim();
    let spec = match spec.get(..4) {
        Some(alias) if alias.eq_ignore_ascii_case("npm:") => {
            let name = spec.get(4..).unwrap_or_default();
            let bare = name.strip_prefix('@').and_then(|rest| rest.split_once('/'));
            let bare = bare.map_or(name, |(_, bare)| bare);
            bare.split_once('@').map_or(bare, |(_, spec)| spec)
        }
        _ => spec,
    };
    !spec.starts_with('.') && !spec.contains(['/', '\\', ':', '%', '#']) && !is_archive(spec)
}

/// Whether npm reads the text as the name of a file.
pub(super) fn is_archive(text: &str) -> bool {
    let text = text.trim().to_ascii_lowercase();
    [".tgz", ".tar.gz", ".tar"].iter().any(|end| text.ends_with(end))
}
