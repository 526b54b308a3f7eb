//! Lock files of npm (versions 1 to 3), Yarn (version 1) and pnpm (versions 5 to 9): tarballs and their integrity.

mod npm;
mod pnpm;
mod yarn;

use serde_json::Value;

use crate::artifact::Digests;
use crate::evidence::npm::REGISTRY;
use crate::text::redacted;
pub(super) use npm::{npm, npm_6};
pub(super) use pnpm::pnpm;
pub(super) use yarn::{yarn, yarn_file, yarn_requirements, yarn_versions};

/// One tarball that `npm ci` needs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct LockedPackage {
    /// Its address.
    pub url: String,
    /// Subresource integrity; older lock files have SHA-1 or nothing, and then the registry's integrity is used.
    pub integrity: String,
    /// Whether the installation continues without it.
    pub optional: bool,
}

impl LockedPackage {
    /// Whether the lock file pins it with a secure digest.
    pub fn is_pinned(&self) -> bool {
        let mut hashes = self.integrity.split_whitespace();
        hashes.any(|hash| {
            ["sha512-", "sha384-", "sha256-"]
                .iter()
                .any(|name| hash.starts_with(name))
        })
    }

    /// Name and version, if the address is in npm's registry.
    pub fn name_and_version(&self) -> Option<(String, String)> {
        let path = self
            .url
            .strip_prefix(REGISTRY)?
            .replace("%2f", "/")
            .replace("%2F", "/");
        let (name, file) = path.trim_start_matches('/').split_once("/-/")?;
        let base = name.rsplit('/').next()?;
        let version = file.strip_prefix(base)?.strip_prefix('-')?.strip_suffix(".tgz")?;
        Some((name.to_owned(), version.to_owned()))
    }
}

/// Mirrors of npm's registry that older lock files name.
const COPIES: [&str; 6] = [
    "http://registry.npmjs.org/",
    "https://registry.yarnpkg.com/",
    "http://registry.yarnpkg.com/",
    "https://registry.npmmirror.com/",
    "https://registry.npm.taobao.org/",
    "https://registry.nlark.com/",
];

/// The address in npm's registry, if the given one is in a mirror of it; digests are compared in any case.
fn at_registry(url: &str) -> String {
    let path = COPIES.iter().find_map(|copy| url.strip_prefix(copy));
    let path = path.map(|path| path.replacen("/download/", "/-/", usize::from(!path.contains("/-/"))));
    path.map_or_else(|| url.to_owned(), |path| format!("{REGISTRY}/{path}"))
}

/// One entry for each address. A lock file may name one tarball in many places, but not two tarballs with one address.
fn unique(mut found: Vec<LockedPackage>) -> Result<Vec<LockedPackage>, String> {
    found.sort();
    let mut unique: Vec<LockedPackage> = Vec::new();
    for package in found {
        match unique.last_mut() {
            // SHA-1 in one place and SHA-512 in another: several versions of npm wrote the file.
            Some(last)
                if last.url == package.url
                    && (last.integrity == package.integrity || last.is_pinned() != package.is_pinned()) =>
            {
                last.optional &= package.optional;
                if !last.is_pinned() {
                    last.integrity = package.integrity;
                }
            }
            Some(last) if last.url == package.url => {
                return Err(format!(
                    "it names {} twice, with different files",
                    redacted(&last.url)
                ));
            }
            _ => unique.push(package),
        }
    }
    Ok(unique)
}

/// The path of a tarball below its registry.
pub(super) fn registry_path(url: &str) -> String {
    let path = url.splitn(4, '/').nth(3).unwrap_or_default();
    path.replace("%2f", "/").replace("%2F", "/")
}

/// A tarball that is either pinned, or in npm's registry, whose integrity is then used.
fn fetchable(name: &str, url: &str, integrity: &str, optional: bool) -> Result<LockedPackage, String> {
    let package = LockedPackage {
        url: at_registry(url),
        integrity: integrity.to_owned(),
        optional,
    };
    let known = package.is_pinned() || package.name_and_version().is_some();
    if package.url.starts_with("https://") && known {
        return Ok(package);
    }
    Err(format!(
        "{name} comes from {:?}, and no integrity pins it",
        redacted(url)
    ))
}

/// Whether a package supports this platform; `!NAME` excludes one.
pub(super) fn fits(entry: &Value, key: &str, own: &str) -> bool {
    let Some(list) = entry[key].as_array() else {
        return true;
    };
    let names: Vec<_> = list.iter().filter_map(Value::as_str).collect();
    let excluded = names.iter().any(|name| name.strip_prefix('!') == Some(own));
    let only_exclusions = names.iter().all(|name| name.starts_with('!'));
    !excluded && (only_exclusions || names.contains(&own))
}

/// The path in npm's cache (cacache, content version 2) of content with this integrity.
pub(super) fn cache_place(digests: &Digests, integrity: &str) -> Option<String> {
    let algorithm = ["sha512", "sha384", "sha256"]
        .into_iter()
        .find(|name| integrity.contains(&format!("{name}-")))?;
    let digits = digests.get(algorithm)?;
    Some(format!(
        "{algorithm}/{}/{}/{}",
        &digits[..2],
        &digits[2..4],
        &digits[4..]
    ))
}

#[cfg(test)]
mod tests;
