//! pip with a gate: pip resolves without building anything, each wheel is checked by its digest, and pip installs
//! exactly these wheels offline.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use serde::Deserialize;

use super::judge::{self, Candidate};
use super::{PipArgs, client, step, stopped};
use crate::artifact::{Digests, Sha256};
use crate::cli::Common;
use crate::cli::failure::Failure;
use crate::store::{Store, StoreError};

mod arguments;
mod file;
mod requirement;
mod settings;

use arguments::{Arguments, Phase};

/// pip's report of an installation (its version 1).
#[derive(Deserialize)]
struct Report {
    version: String,
    install: Vec<Planned>,
}

#[derive(Deserialize)]
struct Planned {
    download_info: Download,
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Download {
    url: String,
    #[serde(default)]
    archive_info: Option<Archive>,
}

#[derive(Deserialize)]
struct Archive {
    #[serde(default)]
    hashes: std::collections::BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Metadata {
    name: String,
    version: String,
}

/// A wheel that pip is about to install.
pub(super) struct Wheel {
    name: String,
    version: String,
    file: String,
    url: String,
    sha256: Sha256,
}

pub(super) fn run(common: &Common, args: &PipArgs) -> Result<ExitCode, Failure> {
    let settings = settings::read(&args.pip)?;
    let given = Arguments::read(&args.command, &settings)?;
    let store = Store::open(common.store.clone())?;
    let folder = store.temporary_folder()?;
    let wheels = resolve(args, &given, folder.path())?;
    if wheels.is_empty() {
        if !common.quiet {
            crate::cli::output::note("gate pip: everything is already installed");
        }
        return Ok(ExitCode::SUCCESS);
    }
    let candidates = wheels.iter().map(candidate).collect();
    let judgement = judge::judge(common, &args.apply, candidates)?;
    if let Some(code) = stopped(common, "pip", &args.apply, &judgement)? {
        return Ok(code);
    }
    install(common, args, &given, &wheels, folder.path())
}

/// What pip would install. Only wheels are allowed: to resolve a source distribution, pip runs its code.
fn resolve(args: &PipArgs, given: &Arguments, folder: &Path) -> Result<Vec<Wheel>, Failure> {
    let report = &folder.join("report.json");
    let mut pip = command(args, "install");
    pip.args(given.of(Phase::Resolve))
        .args(["--dry-run", "--only-binary", ":all:", "--no-input", "--quiet"])
        .args(["--disable-pip-version-check", "--report"])
        .arg(report);
    // pip reads what the gate has read, not the user's files.
    for (option, name, lines) in [
        ("--requirement", "requirements.txt", &given.requirements),
        ("--constraint", "constraints.txt", &given.constraints),
    ] {
        if !lines.is_empty() {
            pip.arg(option).arg(write(folder, name, lines)?);
        }
    }
    step(
        &mut pip,
        "resolve the requirements with wheels only (source distributions run code before they can be \
        checked)",
    )?;
    let text =
        crate::bounded::read_text(report, crate::bounded::PLAN).map_err(StoreError::io("read", report))?;
    self::report(&text)
}

/// The wheels in pip's report.
pub(super) fn report(text: &str) -> Result<Vec<Wheel>, Failure> {
    let report: Report = serde_json::from_str(text)
        .map_err(|error| Failure::inconclusive(format!("cannot read pip's report: {error}")))?;
    if report.version != "1" {
        return Err(Failure::inconclusive(format!(
            "cannot read pip's report: its version is {:?}, not \"1\"",
            report.version
        )));
    }
    report.install.into_iter().map(wheel).collect()
}

/// pip without settings of the environment or the configuration.
fn command(args: &PipArgs, word: &str) -> Command {
    let mut pip = Command::new(&args.pip);
    settings::hide(&mut pip);
    pip.arg(word);
    pip
}

fn write(folder: &Path, name: &str, lines: &[String]) -> Result<PathBuf, StoreError> {
    let path = folder.join(name);
    std::fs::write(&path, lines.join("\n") + "\n").map_err(StoreError::io("write", &path))?;
    Ok(path)
}

fn wheel(planned: Planned) -> Result<Wheel, Failure> {
    let Metadata { name, version } = planned.metadata;
    let url = planned.download_info.url;
    let refused = |why: &str| {
        Failure::refused(
            format!("cannot check {name} {version}: {why}"),
            "require a released wheel of it".to_owned(),
        )
    };
    let usual = |text: &str| {
        !text.is_empty()
            && text
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "._-+!".contains(c))
    };
    if !usual(&name) || !usual(&version) {
        return Err(refused("its name and version are not valid for a Python package"));
    }
    let archive = planned.download_info.archive_info;
    let digest = archive.and_then(|archive| archive.hashes.get("sha256").cloned());
    let digest = digest.ok_or_else(|| refused("it is not an archive with a SHA-256"))?;
    let sha256 = digest
        .try_into()
        .map_err(|_| refused("the SHA-256 in pip's report is invalid"))?;
    let path = url.split(['?', '#']).next().unwrap_or_default();
    let file = path.rsplit('/').next().unwrap_or_default();
    let file = percent_encoding::percent_decode_str(file)
        .decode_utf8_lossy()
        .into_owned();
    if !file.ends_with(".whl") {
        return Err(refused("it is not a wheel"));
    }
    Ok(Wheel {
        name,
        version,
        file,
        url,
        sha256,
    })
}

fn candidate(wheel: &Wheel) -> Candidate {
    let text = format!("pypi:{}=={}", wheel.name, wheel.version);
    match text.parse::<crate::artifact::Subject>() {
        Ok(package) => Candidate::named(&package, wheel.file.clone(), Digests::known(wheel.sha256)),
        Err(error) => Candidate::unknown(text, error.to_string()),
    }
}

/// Fetches the wheels that were checked, each by its digest, and installs them without the network.
fn install(
    common: &Common,
    args: &PipArgs,
    given: &Arguments,
    wheels: &[Wheel],
    folder: &Path,
) -> Result<ExitCode, Failure> {
    let direct = |wheel: &Wheel| given.names_url(&wheel.url);
    let fetched = wheels.iter().map(|wheel| {
        let place = if direct(wheel) {
            format!(" @ {}", wheel.url)
        } else {
            format!("=={}", wheel.version)
        };
        format!("{}{place} --hash=sha256:{}", wheel.name, wheel.sha256)
    });
    let fetched = write(folder, "fetched.txt", &fetched.collect::<Vec<_>>())?;
    let wheelhouse = folder.join("wheels");
    let mut pip = command(args, "download");
    pip.args(given.of(Phase::Download))
        .args(["--no-deps", "--require-hashes", "--only-binary", ":all:"])
        .args(["--no-input", "--quiet", "--disable-pip-version-check", "--dest"])
        .arg(&wheelhouse)
        .arg("--requirement")
        .arg(&fetched);
    step(&mut pip, "fetch the wheels that were checked")?;
    let pinned = wheels
        .iter()
        .map(|wheel| format!("{}=={} --hash=sha256:{}", wheel.name, wheel.version, wheel.sha256));
    let pinned = write(folder, "pinned.txt", &pinned.collect::<Vec<_>>())?;
    let mut pip = command(args, "install");
    pip.args(given.of(Phase::Install))
        .args([
            "--no-deps",
            "--require-hashes",
            "--only-binary",
            ":all:",
            "--no-index",
        ])
        .args(["--no-input", "--disable-pip-version-check", "--find-links"])
        .arg(&wheelhouse)
        .arg("--requirement")
        .arg(&pinned);
    client(common, &mut pip)
}

/// Reads a file of requirements.
pub(super) fn look_at(text: &str) {
    for line in file::read(text).unwrap_or_default() {
        if let file::Line::Requirement(text, _) = line {
            requirement::read(&text);
        }
    }
}
