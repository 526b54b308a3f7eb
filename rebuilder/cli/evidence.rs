//! `rebuilder evidence …`: exports a run as one archive for auditors, and checks such an archive.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde_json::json;

use super::failure::{Code, Failure};
use super::options::evidence::TrustArgs;
use super::options::signing::KeyArgs;
use super::{Common, output, suggest};
use crate::agreement;
use crate::artifact::Sha256;
use crate::bundle;
use crate::bundle::{Assessor, BundleError, CheckResult, Material};
use crate::plan::Plan;
use crate::policy::Policy;
use crate::report;
use crate::run::RunFolder;
use crate::store::Store;
use crate::text::{Style, plain, plural};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Write everything about a rebuild to one archive: plan, log, verdict, attestations, policy, bills of materials
    /// and controls
    Export(ExportArgs),
    /// Check an archive of evidence, offline
    Verify(VerifyArgs),
}

#[derive(Args)]
pub(crate) struct ExportArgs {
    /// Folder of a run, or a released file, whose newest run in the store is exported
    subject: PathBuf,
    /// Archive to write
    #[arg(
        long,
        value_name = "FILE",
        help_heading = "Output",
        default_value = "evidence.tar.gz"
    )]
    out: PathBuf,
    /// File or folder with attestations of other parties about the same files; may be repeated
    #[arg(long, value_name = "FILE|DIR")]
    attestation: Vec<PathBuf>,
    /// Include the rebuilt files, and the released files that differ from them
    #[arg(long)]
    with_outputs: bool,
    /// Organisation that states the verdict in the CycloneDX attestation [default: the builder.id]
    #[arg(long, value_name = "NAME")]
    organisation: Option<String>,
    /// Website of the organisation
    #[arg(long, value_name = "URL", requires = "organisation")]
    organisation_url: Option<String>,
    /// Sign the list of contents
    #[arg(long, help_heading = "Signing")]
    sign: bool,
    #[command(flatten)]
    key: KeyArgs,
    #[command(flatten)]
    trust: TrustArgs,
}

#[derive(Args)]
pub(crate) struct VerifyArgs {
    /// Archive to check
    archive: PathBuf,
    #[command(flatten)]
    trust: TrustArgs,
}

pub(crate) fn run(common: Common, command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Export(args) => export(common, args),
        Command::Verify(args) => verify(&common, &args),
    }
}

fn export(common: Common, args: ExportArgs) -> Result<ExitCode, Failure> {
    let json = common.json;
    let store = Store::open(common.store)?;
    let run = if args.subject.is_dir() {
        RunFolder::new(&args.subject)
    } else {
        newest_run(&args.subject, &store)?
    };
    let signer = if args.sign { Some(args.key.open()?) } else { None };
    let (trust, policy) = args.trust.open_with_keys()?;
    let mut agreements = Vec::new();
    if let Policy::File(_) = policy {
        let plan = Plan::read(&run.plan())?;
        let artifacts = plan.released();
        let own = run.attestations().into_iter();
        let places: Vec<_> = own.chain(args.attestation.clone()).collect();
        let (tallies, cost) = agreement::gather(&places, &artifacts, &trust)?;
        for (artifact, tally) in artifacts.iter().zip(&tallies) {
            agreements.push(agreement::conclude(
                artifact,
                tally,
                &trust,
                &policy,
                Timestamp::now(),
                cost,
            )?);
        }
    }
    let material = Material {
        run,
        attestations: args.attestation,
        policy: &policy,
        agreements,
        store: Some(&store),
        assessor: args.organisation.map(|name| Assessor {
            name,
            url: args.organisation_url,
        }),
        page: report::page,
        with_outputs: args.with_outputs,
    };
    let (files, manifest) = bundle::collect(&material)?;
    let manifest = bundle::write(&args.out, files, manifest, signer.as_deref())?;
    let size = std::fs::metadata(&args.out).map_or(0, |meta| meta.len());
    if json {
        output::print_json(&json!({"archive": args.out, "size": size, "manifest": manifest}))?;
    } else {
        let mut screen = output::screen();
        screen.say(format_args!(
            "{}  {}, {}: {}, {}",
            args.out.display(),
            plural(manifest.files.len(), "file"),
            plural(size, "byte"),
            manifest.subject,
            manifest.verdict
        ));
        output::print(&screen)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The newest run in the store of a released file.
fn newest_run(artifact: &Path, store: &Store) -> Result<RunFolder, Failure> {
    if !artifact.exists() {
        return Err(suggest::missing_file(artifact));
    }
    let digest: Sha256 = std::fs::File::open(artifact)
        .and_then(Sha256::of_reader)
        .map_err(crate::store::StoreError::io("read", artifact))?
        .0;
    let none = || BundleError::NoRun {
        runs: store.runs(),
        artifact: artifact.display().to_string(),
    };
    Ok(store.newest_run(digest).ok_or_else(none)?)
}

fn verify(common: &Common, args: &VerifyArgs) -> Result<ExitCode, Failure> {
    let files = bundle::read(&args.archive)?;
    // Only keys that the user names count. Keys in the archive prove nothing, since whoever made it chose them.
    let (trust, _) = args.trust.open_with_keys()?;
    let checked = bundle::check(&args.archive, &files, &trust, report::page)?;
    if common.json {
        output::print_json(&output::with(json!(checked), [("version", json!(1))]))?;
    } else {
        let mut screen = output::screen();
        let manifest = &checked.manifest;
        // A refused bundle must not be shown under the verdict that its maker wrote into it.
        if checked.any(CheckResult::Fails) {
            let says = checked.attested.as_ref().map_or_else(String::new, |attested| {
                format!(", and the attestation in it says {:?}", attested.verdict)
            });
            screen.line([
                plain(format_args!("{}: ", manifest.subject)),
                Style::Bad.of("refused"),
                plain(format_args!("; the bundle says {:?}{says}", manifest.verdict)),
            ]);
        } else {
            screen.say(format_args!("{}: {}", manifest.subject, manifest.verdict));
        }
        if let Some(attested) = &checked.attested {
            screen.say(format_args!("about {}", attested.subjects.join(", ")));
        }
        for check in &checked.checks {
            let mark = match check.outcome {
                CheckResult::Holds => Style::Good.of("+"),
                CheckResult::Open => Style::Open.of("?"),
                CheckResult::Fails => Style::Bad.of("!"),
            };
            screen.line([mark, plain(format_args!(" {}: {}", check.check, check.finding))]);
        }
        output::print(&screen)?;
    }
    Ok(ExitCode::from(if checked.any(CheckResult::Fails) {
        Code::Refused as u8
    } else if checked.any(CheckResult::Open) {
        Code::Inconclusive as u8
    } else {
        0
    }))
}
