//! `rebuilder audit …`

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Subcommand};

use super::failure::{Code, Failure};
use super::options::evidence::EvidenceArgs;
use super::options::normalise::NormaliseArgs;
use super::options::search::AttemptArgs;
use super::options::signing::{SigningArgs, SigningChoice};
use super::rebuild::{Signature, write_page};
use super::{Context, output, suggest};
use crate::artifact::Subject;
use crate::audit::{Auditor, Finish};
use crate::compare;
use crate::container::Catalog;
use crate::ecosystem::hints::Hints;
use crate::ecosystem::oss_rebuild;
use crate::plan::Plan;
use crate::report::audit as report;
use crate::run::{Record, RunFolder};
use crate::sandbox::embedded::Embedded;
use crate::store::write_atomically;
use crate::text;

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Rebuild every subject of a list, several at a time; resumes after it was stopped
    Run(RunArgs),
}

#[derive(Args)]
pub(crate) struct RunArgs {
    /// Text file with one package URL or short form per line; # starts a comment
    list: PathBuf,
    /// Number of rebuilds at the same time [default: the number of processors]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: Option<u16>,
    /// Folder with build definitions of OSS Rebuild (its definitions/), for the source and versions of subjects that are
    /// in it
    #[arg(long, value_name = "DIR", help_heading = "Plan")]
    oss_rebuild: Option<PathBuf>,
    #[command(flatten)]
    evidence: EvidenceArgs,
    #[command(flatten)]
    attempts: AttemptArgs,
    #[command(flatten)]
    signing: SigningArgs,
    #[command(flatten)]
    normalise: NormaliseArgs,
    /// Folder for results.jsonl, summary.json, index.html and the runs [default: the one in the store's audits/ with
    /// the list's name]
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    out: Option<PathBuf>,
}

pub(crate) async fn run(context: &Context, command: Command) -> Result<ExitCode, Failure> {
    let Command::Run(args) = command;
    let subjects = suggest::list(&args.list)?;
    let signer = args.signing.choose()?;
    let folder = args.out.unwrap_or_else(|| default_folder(context, &args.list));
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let auditor = Auditor {
        fetcher: context.fetcher.clone(),
        catalog: Catalog::new(context.catalog.folder().map(Path::to_owned)),
        embedded: Embedded::new(&context.store)?,
        case: args.evidence.open()?,
        compare: compare::Options {
            normalise: args.normalise.normalise,
            ..compare::Options::default()
        },
        hints: hints(args.oss_rebuild.as_deref(), &subjects)?,
        attempts: args.attempts.limit(),
        jobs: args.jobs.map_or(processors, usize::from),
        finish: finish(signer),
    };
    let bar = context.progress.count("rebuilding", subjects.len() as u64);
    let summary = Arc::new(auditor).run(&subjects, &folder, &bar).await?;
    bar.finish_and_clear();
    write_atomically(&folder.join("index.html"), report::html(&summary)?.as_bytes())?;
    let document = text::json_pretty(&summary) + "\n";
    write_atomically(&folder.join("summary.json"), document.as_bytes())?;
    if context.json {
        output::print_json_pretty(&summary)?;
    } else {
        let mut screen = report::terminal(&summary, output::colour());
        screen.gap();
        screen.say(folder.join("index.html").display());
        output::print(&screen)?;
    }
    let equivalent = args.normalise.allow_equivalent;
    Ok(if summary.all_good(equivalent) {
        ExitCode::SUCCESS
    } else if summary.any_bad(equivalent) {
        ExitCode::from(1)
    } else {
        ExitCode::from(Code::Inconclusive as u8)
    })
}

fn default_folder(context: &Context, list: &Path) -> PathBuf {
    let name = list.file_stem().unwrap_or_default();
    context.store.audits().join(name)
}

/// Hints for the subjects that OSS Rebuild has definitions for.
fn hints(folder: Option<&Path>, subjects: &[(String, Subject)]) -> Result<BTreeMap<String, Hints>, Failure> {
    let mut all = BTreeMap::new();
    for (text, subject) in subjects {
        if let Some(path) = folder.and_then(|folder| oss_rebuild::find(folder, subject)) {
            all.insert(text.clone(), oss_rebuild::read(&path)?);
        }
    }
    Ok(all)
}

/// Writes the page of a run, and signs what can be signed.
fn finish(signer: SigningChoice) -> Finish {
    Box::new(move |run: &RunFolder, plan: &Plan, record: &Record| {
        write_page(run, plan, record).map_err(|failure| failure.message())?;
        match signer.sign(run, record) {
            // A run that waits can be handed in again once other workers have the same outcome.
            Ok(Signature::Waits(why)) => Err(why),
            Ok(Signature::Bundle(_) | Signature::No(_)) => Ok(()),
            Err(failure) => Err(failure.message()),
        }
    })
}
