//! npm with a gate: the lock file names the tarballs, npm fetches them into its cache without running anything, each is
//! checked, and `npm ci --offline` installs from a cache that contains only these.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use super::judge::{self, Candidate};
use super::{NpmArgs, client, step, stopped};
use crate::artifact::{Digests, Subject};
use crate::bounded;
use crate::cli::Common;
use crate::cli::failure::Failure;
use crate::ecosystem;
use crate::evidence::npm;
use crate::store::{Store, StoreError, write_atomically};

mod lock;
mod manifest;
mod options;
mod platform;
#[cfg(test)]
mod tests;

use lock::Tarball;
use options::Request;
use platform::Platform;

/// Number of tarballs that npm is asked for at once.
const AT_ONCE: usize = 50;
/// The files that say what is installed.
const FILES: [&str; 4] = ["package.json", "package-lock.json", SHRINKWRAP, "yarn.lock"];
const SHRINKWRAP: &str = "npm-shrinkwrap.json";

/// The files that resolving changes, as they were before.
#[derive(PartialEq, Eq)]
struct Before(Vec<(PathBuf, Option<Vec<u8>>)>);

impl Before {
    fn read() -> Result<Self, Failure> {
        let mut paths = FILES.map(PathBuf::from).to_vec();
        // npm writes into the manifest of a workspace that it is given.
        let folders = lock::folders(Path::new("."));
        paths.extend(
            folders
                .iter()
                .map(|folder| Path::new(folder).join("package.json")),
        );
        let read = |path: PathBuf| match bounded::read(&path, lock::LIMIT) {
            Ok(bytes) => Ok((path, Some(bytes))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok((path, None)),
            Err(error) => Err(Failure::usage(format!("cannot read {}: {error}", path.display()))),
        };
        Ok(Self(paths.into_iter().map(read).collect::<Result<_, _>>()?))
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

/// npm, with everything spelled out that its settings could change about what it installs, and where.
struct Npm<'a> {
    args: &'a NpmArgs,
    fixed: Vec<String>,
}

impl<'a> Npm<'a> {
    fn new(args: &'a NpmArgs) -> Self {
        // The command line comes before the environment and every .npmrc.
        let mut fixed: Vec<String> = [
            "--no-global",
            "--location=user",
            "--no-force",
            "--no-install-links",
        ]
        .map(str::to_owned)
        .to_vec();
        fixed.extend(Platform::own().options());
        if !args.apply.allow_unknown {
            // What is in a repository cannot be checked, so that npm need not run git.
            fixed.push("--git=/dev/null".to_owned());
        }
        Self { args, fixed }
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut npm = Command::new(&self.args.npm);
        npm.args(words).args(&self.fixed);
        npm
    }

    /// npm uses the nearest folder above that looks like a project, or the project of a workspace.
    fn is_at_home(&self) -> Result<(), Failure> {
        let answer = step(&mut self.command(&["prefix"]), "find npm's folder")?;
        let answer = String::from_utf8_lossy(&answer);
        let project = PathBuf::from(answer.trim_end_matches('\n'));
        let own = Path::new(".").canonicalize().ok();
        if own.is_some() && project.canonicalize().ok() == own {
            return Ok(());
        }
        Err(Failure::usage(format!(
            "cannot run npm here: it would install into {}",
            project.display()
        ))
        .with_help("run it in the folder of the project, where its package.json is"))
    }
}

pub(super) fn run(common: &Common, args: &NpmArgs) -> Result<ExitCode, Failure> {
    let request = Request::read(&args.command)?;
    no_shrinkwrap()?;
    let npm = Npm::new(args);
    npm.is_at_home()?;
    let before = Before::read()?;
    let outcome = attempt(common, &npm, &request);
    // What is refused is not left in the project's files either.
    if request.resolve.is_some() && !matches!(outcome, Ok((true, _))) {
        before.restore()?;
    }
    outcome.map(|(_, code)| code)
}

/// npm reads this file instead of `package-lock.json`.
fn no_shrinkwrap() -> Result<(), Failure> {
    if Path::new(SHRINKWRAP).symlink_metadata().is_err() {
        return Ok(());
    }
    Err(Failure::usage(format!(
        "cannot check this project: npm would install from {SHRINKWRAP}, not from package-lock.json"
    ))
    .with_help(format!("rename {SHRINKWRAP} to package-lock.json")))
}

/// Whether everything passed, and the exit code.
fn attempt(common: &Common, npm: &Npm<'_>, request: &Request) -> Result<(bool, ExitCode), Failure> {
    if let Some(words) = &request.resolve {
        let mut resolve = npm.command(&["install"]);
        resolve
            .args([
                "--package-lock-only",
                "--ignore-scripts",
                "--no-audit",
                "--no-fund",
            ])
            .args(words);
        step(&mut resolve, "resolve the packages")?;
        no_shrinkwrap()?;
    }
    let files = Before::read()?;
    let store = Store::open(common.store.clone())?;
    let cache = store.temporary_folder()?;
    let (tarballs, mut candidates) = lock::read(Path::new("."))?;
    let logs = fetch(npm, &tarballs, cache.path())?;
    for tarball in &tarballs {
        candidates.push(candidate(tarball, cache.path()));
    }
    if !candidates.is_empty() {
        let judgement = judge::judge(common, &npm.args.apply, candidates)?;
        if let Some(code) = stopped(common, "npm", &npm.args.apply, &judgement)? {
            return Ok((false, code));
        }
    }
    if Before::read()? != files {
        return Err(Failure::inconclusive(
            "cannot install: the project's files changed while they were checked".to_owned(),
        )
        .with_help("run it again, and do not change the project until it ends"));
    }
    let option = |name: &str, path: &Path| {
        let mut option = std::ffi::OsString::from(name);
        option.push(path);
        option
    };
    let mut install = npm.command(&["ci"]);
    install
        .args(&request.install)
        .args(["--offline", "--no-audit", "--no-fund"])
        // Nothing is in this cache but what was checked.
        .arg(option("--cache=", cache.path()))
        .arg(option("--logs-dir=", &logs));
    Ok((true, client(common, &mut install)?))
}

/// Has npm fetch the tarballs into its cache, with the user's settings, and copies them to a cache that contains
/// nothing else. Returns the folder for npm's logs.
fn fetch(npm: &Npm<'_>, tarballs: &[Tarball], cache: &Path) -> Result<PathBuf, Failure> {
    let answer = step(&mut npm.command(&["config", "get", "cache"]), "find npm's cache")?;
    let usual = PathBuf::from(String::from_utf8_lossy(&answer).trim_end_matches('\n'));
    let add = |specs: &[String], option: Option<&Path>| {
        for specs in specs.chunks(AT_ONCE) {
            let mut add = npm.command(&["cache", "add", "--loglevel=error", "--ignore-scripts"]);
            if let Some(cache) = option {
                add.arg("--cache").arg(cache);
            }
            step(add.arg("--").args(specs), "fetch the tarballs")?;
        }
        Ok::<_, Failure>(())
    };
    let is_missing = |tarball: &&Tarball| kept(tarball, &usual).is_none_or(|path| !path.exists());
    let missing = tarballs.iter().filter(is_missing);
    let missing: Vec<_> = missing.filter_map(|tarball| tarball.url.clone()).collect();
    add(&missing, None)?;
    // Without an address, npm needs the registry's document of the package as well.
    let named = tarballs.iter().filter(|tarball| tarball.url.is_none());
    let named: Vec<_> = named
        .map(|tarball| format!("{}@{}", tarball.name, tarball.version))
        .collect();
    add(&named, Some(cache))?;
    for tarball in tarballs {
        if let (Some(from), Some(to)) = (kept(tarball, &usual), kept(tarball, cache))
            && from.exists()
            && !to.exists()
        {
            let folder = to.parent().unwrap_or(cache);
            std::fs::create_dir_all(folder).map_err(StoreError::io("make", folder))?;
            std::fs::copy(&from, &to).map_err(StoreError::io("copy", &from))?;
        }
    }
    Ok(usual.join("_logs"))
}

/// The path of the tarball in a cache of npm, which keeps files by their digest.
fn kept(tarball: &Tarball, cache: &Path) -> Option<PathBuf> {
    let hex = &tarball.digest;
    let (first, rest) = (hex.get(..2)?, hex.get(2..4)?);
    let content = cache.join("_cacache/content-v2/sha512");
    Some(content.join(first).join(rest).join(hex.get(4..)?))
}

fn candidate(tarball: &Tarball, cache: &Path) -> Candidate {
    let package = match super::lock::package(&format!("npm:{}@{}", tarball.name, tarball.version)) {
        Ok(package) => package,
        Err(unknown) => return unknown,
    };
    let unknown = |why: &str| Candidate::unknown(package.purl(), why);
    let digests = kept(tarball, cache)
        .and_then(|path| std::fs::File::open(path).ok())
        .and_then(|file| Digests::of_reader(file).ok());
    let Some(digests) = digests else {
        return unknown("the registry's file does not have the digest in the lock file");
    };
    if !npm::fits_integrity(&tarball.integrity, &digests) {
        return unknown("the file in npm's cache does not have the digest in the lock file");
    }
    // Neither npm nor the registry compares the names: a lock file could give a package the name of another one.
    let path = kept(tarball, cache).unwrap_or_default();
    let own = tarball.name.rsplit('/').next().unwrap_or_default();
    let file = format!("{own}-{}.tgz", tarball.version);
    match ecosystem::read_off_as(&path, &file) {
        Some(inside) if is_same(&inside, &package) => Candidate::named(&package, file, digests),
        Some(inside) => unknown(&format!(
            "its package.json says {}, which is another package",
            inside.purl()
        )),
        None => unknown("its package.json cannot be read, or has no valid name and version"),
    }
}

/// Whether a manifest names a package of the registry, which leaves out what a version need not have (`v1.0.0+build`).
fn is_same(inside: &Subject, package: &Subject) -> bool {
    let version = |subject: &Subject| {
        let version = subject.version.clone().unwrap_or_default();
        let version = version.trim_start_matches(['v', '=', ' ']);
        version.split('+').next().unwrap_or_default().to_owned()
    };
    inside.name == package.name && version(inside) == version(package)
}

/// Reads the lock file and the manifests in a folder.
pub(super) fn look_at(project: &Path) {
    drop(lock::read(project));
}
