//! cargo with a gate: `cargo fetch` gets the crates without running any of their code, each is checked by the digest in
//! the lock file, and the command then runs offline.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use serde::Deserialize;

use super::judge::{self, Candidate};
use super::{CargoArgs, client, lock, step, stopped};
use crate::artifact::{Digests, Sha256};
use crate::bounded;
use crate::cli::Common;
use crate::cli::failure::Failure;

/// Commands of cargo that compile only what the lock file names.
const COMMANDS: [&str; 13] = [
    "build", "b", "check", "c", "test", "t", "run", "r", "bench", "doc", "d", "clippy", "rustc",
];

/// `Cargo.lock`; other fields are not needed.
#[derive(Deserialize)]
struct Lock {
    #[serde(default)]
    package: Vec<Locked>,
}

#[derive(Deserialize)]
struct Locked {
    name: String,
    version: String,
    source: Option<String>,
    checksum: Option<String>,
}

#[derive(Deserialize)]
struct Workspace {
    workspace_root: PathBuf,
    packages: Vec<Found>,
}

/// A package, and where cargo compiles it from.
#[derive(Deserialize)]
pub(super) struct Found {
    name: String,
    version: String,
    source: Option<String>,
    manifest_path: PathBuf,
}

pub(super) fn run(common: &Common, args: &CargoArgs) -> Result<ExitCode, Failure> {
    let Some((command, rest)) = args.command.split_first() else {
        return Err(Failure::usage("cannot run cargo: no command is given".into()));
    };
    if !COMMANDS.contains(&command.as_str()) {
        return Err(Failure::usage(format!(
            "cannot run cargo {command} with the gate: it may fetch other crates"
        ))
        .with_help(
            "use build, check, test, run, bench, doc, clippy or rustc in a workspace with a Cargo.lock",
        ));
    }
    let settings = settings(rest)?;
    let mut cargo = Command::new(&args.cargo);
    step(
        cargo.args(["fetch", "--locked"]).args(&settings),
        "fetch the crates",
    )?;
    let mut cargo = Command::new(&args.cargo);
    cargo
        .args([
            "metadata",
            "--format-version",
            "1",
            "--all-features",
            "--locked",
            "--offline",
        ])
        .args(&settings);
    let answer = step(&mut cargo, "find the workspace and its crates")?;
    let workspace: Workspace = serde_json::from_slice(&answer)
        .map_err(|error| Failure::inconclusive(format!("cannot read cargo's metadata: {error}")))?;
    let candidates = candidates(&workspace.workspace_root, &workspace.packages)?;
    if !candidates.is_empty() {
        let judgement = judge::judge(common, &args.apply, candidates)?;
        if let Some(code) = stopped(common, "cargo", &args.apply, &judgement)? {
            return Ok(code);
        }
    }
    let mut cargo = Command::new(&args.cargo);
    client(
        common,
        cargo.arg(command).args(["--offline", "--locked"]).args(rest),
    )
}

/// The options that say which workspace it is, and where crates come from: every step needs them.
fn settings(rest: &[String]) -> Result<Vec<String>, Failure> {
    let mut found = Vec::new();
    let mut own = rest.iter().take_while(|word| *word != "--");
    while let Some(word) = own.next() {
        let (name, value) = word
            .split_once('=')
            .map_or((word.as_str(), None), |(name, value)| (name, Some(value)));
        match name {
            "--manifest-path" | "--config" => {
                found.push(word.clone());
                found.extend(own.next().filter(|_| value.is_none()).cloned());
            }
            // The gate would read another lock file than cargo.
            "--lockfile-path" => {
                return Err(Failure::usage(
                    "cannot use --lockfile-path with the gate, which reads the workspace's Cargo.lock".into(),
                ));
            }
            _ => {}
        }
    }
    Ok(found)
}

/// Every package in the lock file that is not in the workspace.
pub(super) fn candidates(root: &Path, found: &[Found]) -> Result<Vec<Candidate>, Failure> {
    let path = root.join("Cargo.lock");
    let unusable = |reason: String| Failure::usage(format!("cannot use {}: {reason}", path.display()));
    let text = bounded::read_text(&path, bounded::PLAN).map_err(|error| unusable(error.to_string()))?;
    let lock: Lock = toml::from_str(&text).map_err(|error| unusable(error.to_string()))?;
    let home = home();
    let foreign = lock.package.iter().filter(|package| package.source.is_some());
    Ok(foreign.map(|package| candidate(package, &home, found)).collect())
}

/// cargo's own folder.
fn home() -> PathBuf {
    let home = std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(std::env::home_dir()?.join(".cargo")))
        .unwrap_or_default();
    home.canonicalize().unwrap_or(home)
}

/// The folders in which cargo keeps `.crate` files, one for each registry.
fn caches(home: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(home.join("registry/cache"))
        .into_iter()
        .flatten()
        .flatten();
    entries.map(|entry| entry.path()).collect()
}

/// The folder with the `.crate` file that cargo unpacked into the folder of this manifest; none if it was not unpacked from
/// one, as with vendored sources, which take the place of a registry in cargo's settings.
fn unpacked_from(manifest: &Path, home: &Path) -> Option<PathBuf> {
    let manifest = manifest.canonicalize().ok()?;
    let inside = manifest.strip_prefix(home.join("registry/src")).ok()?;
    let parts: Vec<_> = inside.components().collect();
    match parts.as_slice() {
        [registry, _, _] => Some(home.join("registry/cache").join(registry)),
        _ => None,
    }
}

fn candidate(locked: &Locked, home: &Path, found: &[Found]) -> Candidate {
    let text = format!("crate:{}@{}", locked.name, locked.version);
    let package = match lock::package(&text) {
        Ok(package) => package,
        Err(unknown) => return unknown,
    };
    let unknown = |why: &str| Candidate::unknown(package.purl(), why);
    let source = locked.source.as_deref().unwrap_or_default();
    if !source.starts_with("registry+") && !source.starts_with("sparse+") {
        return unknown("it does not come from a registry");
    }
    let checksum = locked.checksum.clone();
    let Some(checksum) = checksum.and_then(|digits| Sha256::try_from(digits).ok()) else {
        return unknown("the lock file has no SHA-256 for it");
    };
    let is_it = |found: &&Found| {
        (&found.name, &found.version) == (&locked.name, &locked.version) && found.source.is_some()
    };
    let mut places = Vec::new();
    for found in found.iter().filter(is_it) {
        let Some(cache) = unpacked_from(&found.manifest_path, home) else {
            let folder = found.manifest_path.parent().unwrap_or(&found.manifest_path);
            return unknown(&format!(
                "cargo compiles it from {}, not from the registry's .crate file",
                folder.display()
            ));
        };
        places.push(cache);
    }
    // Two registries may have crates of one name; every file that cargo might take must be the one.
    if places.is_empty() {
        places = caches(home);
    }
    let file = format!("{}-{}.crate", locked.name, locked.version);
    let kept = places.iter().map(|cache| cache.join(&file));
    let digests = kept.filter_map(|path| {
        let file = std::fs::File::open(path).ok()?;
        Digests::of_reader(file).ok()
    });
    let digests: Vec<_> = digests.collect();
    match digests.first() {
        None => unknown("cargo's cache does not have its .crate file"),
        Some(first) if digests.iter().all(|one| one.sha256 == checksum) => {
            Candidate::named(&package, file, first.clone())
        }
        Some(_) => unknown("the file in cargo's cache does not have the digest in the lock file"),
    }
}
