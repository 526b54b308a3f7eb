//! npm with a gate: the lock file says which tarballs there will be, npm fetches them into its cache without running
//! anything, each is checked, and `npm ci --offline` installs exactly these.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::judge::{self, Candidate};
use super::{NpmArgs, client, lock, step, stopped};
use crate::artifact::Digests;
use crate::bounded;
use crate::cli::Common;
use crate::cli::failure::Failure;
use crate::evidence::npm;
use crate::store::{StoreError, write_atomically};

/// Tarballs that npm is asked for at once.
const AT_ONCE: usize = 50;
/// Most bytes of a lock file.
const LOCK_LIMIT: u64 = 64 << 20;

/// `package-lock.json`, versions 2 and 3.
#[derive(Deserialize)]
struct Lock {
    #[serde(rename = "lockfileVersion")]
    version: u32,
    #[serde(default)]
    packages: BTreeMap<String, Entry>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Entry {
    name: Option<String>,
    version: Option<String>,
    resolved: Option<String>,
    integrity: Option<String>,
    link: bool,
    #[serde(rename = "inBundle")]
    in_bundle: bool,
    optional: bool,
    os: Vec<String>,
    cpu: Vec<String>,
}

/// A tarball that npm is about to install.
struct Tarball {
    name: String,
    version: String,
    /// Its address; lock files may leave those of the usual registry out.
    url: Option<String>,
    integrity: String,
}

/// The files that resolving changes, as they were.
struct Before(Vec<(PathBuf, Option<Vec<u8>>)>);

impl Before {
    fn of(names: &[&str]) -> Self {
        let read = |name: &&str| {
            (
                PathBuf::from(name),
                bounded::read(Path::new(name), LOCK_LIMIT).ok(),
            )
        };
        Self(names.iter().map(read).collect())
    }

    fn restore(&self) -> Result<(), StoreError> {
        for (path, bytes) in &self.0 {
            match bytes {
                Some(bytes) => write_atomically(path, bytes)?,
                None => drop(std::fs::remove_file(path)),
            }
        }
        Ok(())
    }
}

pub(super) fn run(common: &Common, args: &NpmArgs) -> Result<ExitCode, Failure> {
    let words: Vec<_> = args.command.iter().map(String::as_str).collect();
    let before = Before::of(&["package.json", "package-lock.json"]);
    let options: Vec<&str> = match words.as_slice() {
        ["ci" | "clean-install", options @ ..] => {
            // A bare word would be taken for a package.
            if let Some(other) = options.iter().find(|word| !word.starts_with("--")) {
                return Err(Failure::usage(format!(
                    "cannot run npm ci: it takes no {other:?}"
                )));
            }
            options.to_vec()
        }
        ["install" | "i" | "add", rest @ ..] => {
            for word in rest {
                named(word)?;
            }
            let mut npm = Command::new(&args.npm);
            npm.arg("install").args(rest).args([
                "--package-lock-only",
                "--ignore-scripts",
                "--no-audit",
                "--no-fund",
            ]);
            step(&mut npm, "resolve the packages")?;
            rest.iter().filter(|word| installs(word)).copied().collect()
        }
        _ => {
            return Err(Failure::usage(
                "cannot run this command of npm: the gate is for \"npm ci\" and \"npm install\"".into(),
            ));
        }
    };
    let outcome = checked(common, args, &options);
    // What is refused is not left in the project's files either.
    if !matches!(outcome, Ok((true, _))) {
        before.restore()?;
    }
    outcome.map(|(_, code)| code)
}

/// Whether everything passed, and the exit code.
fn checked(common: &Common, args: &NpmArgs, options: &[&str]) -> Result<(bool, ExitCode), Failure> {
    let (tarballs, mut candidates) = locked()?;
    let cache = fetch(args, &tarballs)?;
    for tarball in &tarballs {
        candidates.push(candidate(tarball, &cache));
    }
    if !candidates.is_empty() {
        let judgement = judge::judge(common, &args.apply, candidates)?;
        if let Some(code) = stopped(common, "npm", &args.apply, &judgement)? {
            return Ok((false, code));
        }
    }
    let mut npm = Command::new(&args.npm);
    npm.arg("ci")
        .args(options)
        .args(["--offline", "--no-audit", "--no-fund"]);
    Ok((true, client(common, &mut npm)?))
}

/// A package that npm finds by its name: to resolve all others it runs git, or packs a folder.
fn named(word: &str) -> Result<(), Failure> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || "@/._-~^<>=|*+ ".contains(c);
    let scoped = word.starts_with('@');
    let slashes = word.matches('/').count();
    let plain = word.chars().all(is_name) && !word.starts_with(['.', '/', '~']);
    if word.starts_with('-') || (plain && slashes == usize::from(scoped)) {
        return Ok(());
    }
    Err(Failure::usage(format!(
        "cannot check {word:?}: only packages of a registry can be checked"
    ))
    .with_help("install a released package by its name"))
}

/// Options of `npm install` that `npm ci` takes too.
fn installs(word: &str) -> bool {
    [
        "--omit",
        "--include",
        "--ignore-scripts",
        "--legacy-peer-deps",
        "--workspace",
    ]
    .iter()
    .any(|name| word.starts_with(name))
}

/// The tarballs that the lock file names, and what in it nothing can speak for.
fn locked() -> Result<(Vec<Tarball>, Vec<Candidate>), Failure> {
    let path = Path::new("package-lock.json");
    let unusable = |reason: String| {
        Failure::usage(format!("cannot use package-lock.json: {reason}"))
            .with_help("run it in the project's folder; \"npm install --package-lock-only\" makes the file")
    };
    let text = bounded::read_text(path, LOCK_LIMIT).map_err(|error| unusable(error.to_string()))?;
    let lock: Lock = serde_json::from_str(&text).map_err(|error| unusable(error.to_string()))?;
    if !matches!(lock.version, 2 | 3) {
        return Err(unusable(format!("version {} is not supported", lock.version)));
    }
    let (mut tarballs, mut unknown) = (Vec::new(), Vec::new());
    for (path, entry) in lock.packages {
        // The project itself and its workspaces are the user's own, and bundled packages are inside of others.
        let Some((_, inside)) = path.rsplit_once("node_modules/") else {
            continue;
        };
        if entry.link || entry.in_bundle || !entry.runs_here() {
            continue;
        }
        let name = entry.name.clone().unwrap_or_else(|| inside.to_owned());
        let version = entry.version.clone().unwrap_or_default();
        let label = format!("npm:{name}@{version}");
        // npm would take such a name for an address, or an option.
        if lock::package(&label).is_err() {
            unknown.push(Candidate::unknown(
                label,
                "its name and version are not as npm's packages have them",
            ));
            continue;
        }
        match (entry.resolved, entry.integrity) {
            (Some(url), _) if !url.starts_with("http") => {
                unknown.push(Candidate::unknown(label, "it does not come from a registry"));
            }
            (url, Some(integrity)) if integrity.contains("sha512-") => tarballs.push(Tarball {
                name,
                version,
                url,
                integrity,
            }),
            _ => unknown.push(Candidate::unknown(label, "the lock file has no SHA-512 of it")),
        }
    }
    Ok((tarballs, unknown))
}

impl Entry {
    /// Whether npm installs it here; an optional package for another system stays away.
    fn runs_here(&self) -> bool {
        let fits = |list: &[String], own: &str| {
            let refused = list.iter().any(|item| item.strip_prefix('!') == Some(own));
            let mut wanted = list.iter().filter(|item| !item.starts_with('!')).peekable();
            !refused && (wanted.peek().is_none() || wanted.any(|item| item == own))
        };
        let cpu = match std::env::consts::ARCH {
            "x86_64" => "x64",
            "aarch64" => "arm64",
            "x86" => "ia32",
            other => other,
        };
        !self.optional || (fits(&self.os, "linux") && fits(&self.cpu, cpu))
    }
}

/// Has npm fetch the tarballs into its cache, with its own settings, and gives the folder of the cache.
fn fetch(args: &NpmArgs, tarballs: &[Tarball]) -> Result<PathBuf, Failure> {
    let mut npm = Command::new(&args.npm);
    let answer = step(npm.args(["config", "get", "cache"]), "find npm's cache")?;
    let cache = PathBuf::from(String::from_utf8_lossy(&answer).trim()).join("_cacache/content-v2");
    // Without an address, npm needs the registry's document of the package as well.
    let missing: Vec<_> = tarballs
        .iter()
        .filter(|tarball| tarball.url.is_none() || kept(tarball, &cache).is_none_or(|path| !path.exists()))
        .map(|tarball| {
            let named = || format!("{}@{}", tarball.name, tarball.version);
            tarball.url.clone().unwrap_or_else(named)
        })
        .collect();
    for specs in missing.chunks(AT_ONCE) {
        let mut npm = Command::new(&args.npm);
        npm.args(["cache", "add", "--loglevel=error", "--"]).args(specs);
        step(&mut npm, "fetch the tarballs")?;
    }
    Ok(cache)
}

/// Where npm's cache has the tarball: its files are found by their digest.
fn kept(tarball: &Tarball, cache: &Path) -> Option<PathBuf> {
    let mut all = tarball.integrity.split_whitespace();
    let digest = all.find_map(|one| one.strip_prefix("sha512-"))?;
    let digest = STANDARD.decode(digest.split('?').next()?).ok()?;
    let hex = hex::encode(digest);
    let (first, rest) = (hex.get(..2)?, hex.get(2..4)?);
    Some(cache.join("sha512").join(first).join(rest).join(hex.get(4..)?))
}

fn candidate(tarball: &Tarball, cache: &Path) -> Candidate {
    let package = match lock::package(&format!("npm:{}@{}", tarball.name, tarball.version)) {
        Ok(package) => package,
        Err(unknown) => return unknown,
    };
    let unknown = |why: &str| Candidate::unknown(package.purl(), why);
    let digests = kept(tarball, cache)
        .and_then(|path| std::fs::File::open(path).ok())
        .and_then(|file| Digests::of_reader(file).ok());
    let Some(digests) = digests else {
        return unknown("the registry gave other bytes than the lock file names");
    };
    if !npm::fits_integrity(&tarball.integrity, &digests) {
        return unknown("npm's cache has other bytes than the lock file names");
    }
    let own = tarball.name.rsplit('/').next().unwrap_or_default();
    let usual = format!("{own}-{}.tgz", tarball.version);
    let listed = tarball.url.as_deref().and_then(|url| {
        let path = url.split(['?', '#']).next()?;
        Some(path.rsplit('/').next()?.to_owned())
    });
    Candidate::named(&package, listed.unwrap_or(usual), digests)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_packages_of_registries_alone() {
        for word in ["left-pad", "left-pad@1.3.0", "@scope/name@^1.0.0", "--save-dev"] {
            assert!(named(word).is_ok(), "{word}");
        }
        for word in [
            "./folder",
            "../folder",
            "/tmp/a.tgz",
            "owner/repository",
            "git+https://h.example/r",
            "https://h.example/a.tgz",
            "github:owner/repository",
            "alias@npm:other",
            "name@file:folder",
        ] {
            assert!(named(word).is_err(), "{word}");
        }
    }
}
