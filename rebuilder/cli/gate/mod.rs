//! `rebuilder gate`: whether packages may be installed, as an exit code.
//!
//! The gates run before an installer unpacks or runs anything. They need neither the sandbox nor, if the answers are kept,
//! the network, and then no async runtime either, so that a package costs milliseconds.

mod apt;
mod cargo;
mod gathering;
mod judge;
mod lock;
mod npm;
mod pip;
mod show;

use std::path::PathBuf;
use std::process::{Command as Program, ExitCode};

use clap::{Args, Subcommand};

use super::Common;
use super::failure::Failure;
use super::options::evidence::TrustArgs;
use crate::reader::{Reader, as_folder, as_text};
use judge::{Candidate, Judgement};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Check Debian packages
    Deb(FileArgs),
    /// Check wheels
    Wheel(FileArgs),
    /// Check npm tarballs, or run npm with packages that pass: rebuilder gate npm -- ci
    Npm(NpmArgs),
    /// Check .crate files
    Crate(FileArgs),
    /// Check what apt is about to install, as a DPkg::Pre-Install-Pkgs hook (protocol version 3 on stdin)
    Apt(ApplyArgs),
    /// Run pip, with wheels that pass: rebuilder gate pip -- install PACKAGE
    Pip(PipArgs),
    /// Run cargo, with crates that pass: rebuilder gate cargo -- build
    Cargo(CargoArgs),
}

/// The conditions on which a package passes.
#[derive(Args)]
pub(crate) struct ApplyArgs {
    /// Let a package pass if too few parties vouch for it, unless a trusted party speaks against it
    #[arg(long)]
    allow_unknown: bool,
    /// Count parties that report only equivalence, if there are not enough others
    #[arg(long)]
    allow_equivalent: bool,
    /// File or folder with attestations, in addition to those of the policy's sources; may be repeated
    #[arg(long, value_name = "FILE|DIR")]
    attestation: Vec<PathBuf>,
    #[command(flatten)]
    trust: TrustArgs,
}

#[derive(Args)]
pub(crate) struct FileArgs {
    /// Package files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    apply: ApplyArgs,
}

#[derive(Args)]
pub(crate) struct NpmArgs {
    /// Tarballs
    #[arg(value_name = "FILE", required_unless_present = "command")]
    files: Vec<PathBuf>,
    /// Path of npm
    #[arg(long, value_name = "PROGRAM", default_value = "npm")]
    npm: PathBuf,
    #[command(flatten)]
    apply: ApplyArgs,
    /// Arguments for npm: ci, or install with packages
    #[arg(last = true, conflicts_with = "files", value_name = "ARGUMENT")]
    command: Vec<String>,
}

#[derive(Args)]
pub(crate) struct PipArgs {
    /// Path of pip
    #[arg(long, value_name = "PROGRAM", default_value = "pip")]
    pip: PathBuf,
    #[command(flatten)]
    apply: ApplyArgs,
    /// Arguments for pip: install, its options and requirements
    #[arg(last = true, required = true, value_name = "ARGUMENT")]
    command: Vec<String>,
}

#[derive(Args)]
pub(crate) struct CargoArgs {
    /// Path of cargo
    #[arg(long, value_name = "PROGRAM", default_value = "cargo")]
    cargo: PathBuf,
    #[command(flatten)]
    apply: ApplyArgs,
    /// Arguments for cargo: build, check, test or another command that compiles a workspace
    #[arg(last = true, required = true, value_name = "ARGUMENT")]
    command: Vec<String>,
}

/// Runs a gate. It is not async: a step that has to wait creates its own runtime.
pub(crate) fn run(common: &Common, command: &Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Deb(args) => files(common, "deb", &[".deb"], args),
        Command::Wheel(args) => files(common, "wheel", &[".whl"], args),
        Command::Crate(args) => files(common, "crate", &[".crate"], args),
        Command::Npm(args) if args.command.is_empty() => {
            of_files(common, "npm", &[".tgz"], &args.files, &args.apply)
        }
        Command::Npm(args) => npm::run(common, args),
        Command::Apt(args) => apt::run(common, args),
        Command::Pip(args) => pip::run(common, args),
        Command::Cargo(args) => cargo::run(common, args),
    }
}

fn files(common: &Common, gate: &str, endings: &[&str], args: &FileArgs) -> Result<ExitCode, Failure> {
    of_files(common, gate, endings, &args.files, &args.apply)
}

fn of_files(
    common: &Common,
    gate: &str,
    endings: &[&str],
    files: &[PathBuf],
    apply: &ApplyArgs,
) -> Result<ExitCode, Failure> {
    let fits = |file: &PathBuf| {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        endings.iter().any(|ending| name.ends_with(ending))
    };
    if let Some(other) = files.iter().find(|file| !fits(file)) {
        let name = other.display();
        let ending = endings.concat();
        return Err(Failure::usage(format!(
            "cannot check {name}: \"gate {gate}\" takes files whose names end in {ending}"
        )));
    }
    let candidates: Vec<_> = files
        .iter()
        .map(|file| Candidate::file(file))
        .collect::<Result<_, _>>()?;
    let judgement = judge::judge(common, apply, candidates)?;
    show::result(common, gate, &judgement, apply.allow_unknown)?;
    Ok(judgement.code())
}

/// Shows a judgement. The client goes on if everything passes; otherwise, this returns the exit code.
fn stopped(
    common: &Common,
    gate: &str,
    apply: &ApplyArgs,
    judgement: &Judgement,
) -> Result<Option<ExitCode>, Failure> {
    show::result(common, gate, judgement, apply.allow_unknown)?;
    Ok((!judgement.passed()).then(|| judgement.code()))
}

/// Runs a client on this terminal until it exits. If stdout is reserved for one document, its output goes to stderr.
fn client(common: &Common, program: &mut Program) -> Result<ExitCode, Failure> {
    let name = program.get_program().to_string_lossy().into_owned();
    if common.json {
        program.stdout(std::io::stderr());
    }
    let status = program
        .status()
        .map_err(|error| Failure::usage(format!("cannot run {name}: {error}")))?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(ExitCode::from(code.unwrap_or(1)))
}

/// Runs a step of a client that must succeed, with its messages on stderr. Returns its stdout.
fn step(program: &mut Program, what: &str) -> Result<Vec<u8>, Failure> {
    let name = program.get_program().to_string_lossy().into_owned();
    program.stderr(std::process::Stdio::inherit());
    let output = program
        .output()
        .map_err(|error| Failure::usage(format!("cannot run {name}: {error}")))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    Err(
        Failure::inconclusive(format!("cannot {what}: {name} failed ({})", output.status))
            .with_help("nothing was installed; see its messages above"),
    )
}

/// For fuzzing.
pub const READERS: &[Reader] = &[
    ("gate-apt", |bytes| as_text(bytes, |text| drop(apt::read(text)))),
    ("gate-cargo", |bytes| {
        as_folder(bytes, "Cargo.lock", |folder| drop(cargo::candidates(folder, &[])));
    }),
    ("gate-npm", |bytes| {
        as_folder(bytes, "package-lock.json", npm::look_at);
    }),
    ("gate-npm-manifest", |bytes| {
        as_folder(bytes, "package.json", |folder| {
            let lock = r#"{"lockfileVersion": 3, "packages": {"": {}}}"#;
            if std::fs::write(folder.join("package-lock.json"), lock).is_ok() {
                npm::look_at(folder);
            }
        });
    }),
    ("gate-pip-file", |bytes| as_text(bytes, pip::look_at)),
    ("gate-pip-report", |bytes| {
        as_text(bytes, |text| drop(pip::report(text)));
    }),
];
