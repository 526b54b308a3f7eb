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
    let place = manifest(rest);
    let mut cargo = Command::new(&args.cargo);
    cargo
        .args(["metadata", "--no-deps", "--format-version", "1", "--locked"])
        .args(&place);
    let answer = step(&mut cargo, "find the workspace")?;
    let workspace: Workspace = serde_json::from_slice(&answer)
        .map_err(|error| Failure::inconclusive(format!("cannot read cargo's metadata: {error}")))?;
    let mut cargo = Command::new(&args.cargo);
    step(cargo.args(["fetch", "--locked"]).args(&place), "fetch the crates")?;
    let candidates = candidates(&workspace.workspace_root)?;
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

/// The option with the manifest, if it is given.
fn manifest(rest: &[String]) -> Vec<String> {
    let own = rest.iter().take_while(|word| *word != "--");
    let mut own = own.skip_while(|word| !word.starts_with("--manifest-path"));
    match own.next() {
        Some(word) if word.contains('=') => vec![word.clone()],
        Some(word) => std::iter::once(word).chain(own.next()).cloned().collect(),
        None => Vec::new(),
    }
}

/// Every package in the lock file that is not in the workspace.
pub(super) fn candidates(root: &Path) -> Result<Vec<Candidate>, Failure> {
    let path = root.join("Cargo.lock");
    let unusable = |reason: String| Failure::usage(format!("cannot use {}: {reason}", path.display()));
    let text = bounded::read_text(&path, bounded::PLAN).map_err(|error| unusable(error.to_string()))?;
    let lock: Lock = toml::from_str(&text).map_err(|error| unusable(error.to_string()))?;
    let caches = caches();
    let foreign = lock.package.iter().filter(|package| package.source.is_some());
    Ok(foreign.map(|package| candidate(package, &caches)).collect())
}

/// The folders in which cargo keeps `.crate` files, one for each registry.
fn caches() -> Vec<PathBuf> {
    let home = std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(std::env::home_dir()?.join(".cargo")));
    let cache = home.unwrap_or_default().join("registry/cache");
    let entries = std::fs::read_dir(cache).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

fn candidate(locked: &Locked, caches: &[PathBuf]) -> Candidate {
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
    let file = format!("{}-{}.crate", locked.name, locked.version);
    let kept = caches.iter().map(|cache| cache.join(&file));
    let digests = kept.filter_map(|path| {
        let file = std::fs::File::open(path).ok()?;
        Digests::of_reader(file).ok()
    });
    // Two registries may have crates of one name; every file that cargo might take must be the one.
    let digests: Vec<_> = digests.collect();
    match digests.first() {
        None => unknown("cargo's cache does not have its .crate file"),
        Some(first) if digests.iter().all(|one| one.sha256 == checksum) => {
            Candidate::named(&package, file, first.clone())
        }
        Some(_) => unknown("the file in cargo's cache does not have the digest in the lock file"),
    }
}
