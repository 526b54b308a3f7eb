//! `rebuilder audit …`: rebuilds many packages; `past` shows earlier results, `schedule` does it again and again.

mod past;
mod schedule;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Subcommand, ValueEnum};
use jiff::{SignedDuration, Timestamp};

use super::failure::{Code, Failure};
use super::options::alarm::AlarmArgs;
use super::options::evidence::EvidenceArgs;
use super::options::memory::MemoryArgs;
use super::options::normalise::NormaliseArgs;
use super::options::search::AttemptArgs;
use super::options::signing::{SigningArgs, SigningChoice};
use super::rebuild::{Signature, write_page};
use super::{Context, output, suggest};
use crate::artifact::Subject;
use crate::audit::{Again, Asked, Auditor, Finish, SignAlarm, Summary, Watch};
use crate::compare;
use crate::container::Catalog;
use crate::ecosystem::hints::Hints;
use crate::ecosystem::oss_rebuild;
use crate::memory::Memory;
use crate::plan::Plan;
use crate::report::audit as report;
use crate::run::{Record, RunFolder};
use crate::sandbox::embedded::Embedded;
use crate::store::{StoreError, write_atomically};
use crate::text;

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Rebuild the packages of a list that are due, several at a time; resumes if it was stopped
    Run(Box<RunArgs>),
    /// Schedule an audit
    Add(schedule::AddArgs),
    /// Remove an audit's schedule, but keep its results
    Remove(schedule::RemoveArgs),
    /// Run the scheduled audits that are due, once or forever
    Tick(Box<schedule::TickArgs>),
    /// Show the state of audits: verdicts, regressions, what is due, and the runs
    Status(past::StatusArgs),
    /// Show what changed between two runs
    Diff(past::DiffArgs),
    /// Maintain the database of audits
    #[command(subcommand)]
    Memory(past::MemoryCommand),
}

#[derive(Args)]
pub(crate) struct RunArgs {
    /// Text file with one package URL or short form per line; # starts a comment
    list: PathBuf,
    /// Rebuild packages that were rebuilt before: all of them, or only those without a verdict
    #[arg(
        long,
        value_name = "WHICH",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "all",
        help_heading = "Memory"
    )]
    again: Option<AgainArg>,
    /// Rebuild packages again if their last rebuild is older than this, for example 30d (h hours, d days, w weeks)
    #[arg(long, value_name = "AGE", value_parser = age, help_heading = "Memory")]
    older_than: Option<SignedDuration>,
    #[command(flatten)]
    work: WorkArgs,
    /// Folder for results.jsonl, summary.json, index.html and the runs [default: a folder in the store's audits/ with
    /// the name of the list]
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    out: Option<PathBuf>,
}

/// How any audit is run.
#[derive(Args)]
pub(crate) struct WorkArgs {
    /// Number of builds at the same time; meanwhile, half as many other packages are planned or compared [default: the
    /// number of processors]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: Option<u16>,
    /// Folder with build definitions of OSS Rebuild (its definitions/), which give the source and the tool versions of
    /// the subjects they cover
    #[arg(long, value_name = "DIR", help_heading = "Plan")]
    oss_rebuild: Option<PathBuf>,
    #[command(flatten)]
    memory: MemoryArgs,
    #[command(flatten)]
    alarms: AlarmArgs,
    #[command(flatten)]
    evidence: EvidenceArgs,
    #[command(flatten)]
    attempts: AttemptArgs,
    #[command(flatten)]
    signing: SigningArgs,
    #[command(flatten)]
    normalise: NormaliseArgs,
}

pub(crate) async fn run(context: &Context, command: Command) -> Result<ExitCode, Failure> {
    let args = match command {
        Command::Run(args) => *args,
        Command::Add(args) => return schedule::add(context, args).await,
        Command::Remove(args) => return schedule::remove(context, args).await,
        Command::Tick(args) => return Box::pin(schedule::tick(context, *args)).await,
        Command::Status(args) => return past::status(context, args).await,
        Command::Diff(args) => return past::diff(context, args).await,
        Command::Memory(command) => return past::memory(context, command).await,
    };
    let subjects = suggest::list(&args.list)?;
    let (name, folder) = place(context, args.out, &args.list)?;
    let memory = args.work.memory.open(context).await?;
    let asked = Asked {
        name: &name,
        subjects: &subjects,
        folder: &folder,
        again: args.again.map(Again::from),
        redo_before: args.older_than.map(before).transpose()?,
        allow_equivalent: args.work.normalise.allow_equivalent,
    };
    let summary = work(context, &args.work, &asked, &memory).await?;
    memory.close().await;
    if context.json {
        output::print_json_pretty(&summary)?;
    } else {
        let mut screen = report::terminal(&summary, output::colour());
        screen.gap();
        screen.say(folder.join("index.html").display());
        output::print(&screen)?;
    }
    let equivalent = asked.allow_equivalent;
    Ok(if !summary.regressed.is_empty() {
        ExitCode::from(Code::Regressed as u8)
    } else if summary.all_good(equivalent) {
        ExitCode::SUCCESS
    } else if summary.any_bad(equivalent) {
        ExitCode::from(1)
    } else {
        ExitCode::from(Code::Inconclusive as u8)
    })
}

/// Does one run of an audit and writes the files of its folder.
async fn work(
    context: &Context,
    args: &WorkArgs,
    asked: &Asked<'_>,
    memory: &Memory,
) -> Result<Summary, Failure> {
    let signer = args.signing.clone().choose()?;
    let mut evidence = args.evidence.clone();
    evidence.fetch(&context.fetcher).await?;
    let watch = Watch {
        sign: signer.by.is_some().then(|| sign_alarms(signer.clone())),
        ..args.alarms.watch()?
    };
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let jobs = args.jobs.map_or(processors, usize::from);
    let auditor = Auditor {
        fetcher: context.fetcher.clone(),
        catalog: Catalog::new(context.catalog.folder().map(Path::to_owned)),
        embedded: Embedded::new(&context.store)?.limited_to(jobs),
        case: evidence.open()?,
        compare: compare::Options {
            normalise: args.normalise.normalise.clone(),
            ..compare::Options::default()
        },
        hints: hints(args.oss_rebuild.as_deref(), asked.subjects)?,
        attempts: args.attempts.limit(),
        jobs,
        finish: finish(signer),
        watch,
    };
    let bar = context.progress.count("rebuilding", asked.subjects.len() as u64);
    let summary = Box::pin(Arc::new(auditor).run(asked, memory, &bar)).await?;
    bar.finish_and_clear();
    if let Some(path) = &args.alarms.feed {
        write_feed(memory, asked.name, path).await?;
    }
    let folder = asked.folder;
    write_atomically(&folder.join("index.html"), report::html(&summary)?.as_bytes())?;
    let document = text::json_pretty(&summary) + "\n";
    write_atomically(&folder.join("summary.json"), document.as_bytes())?;
    Ok(summary)
}

/// Name and folder of a list's audit. If the user named a folder, the audit is known by that folder.
fn place(context: &Context, out: Option<PathBuf>, list: &Path) -> Result<(String, PathBuf), Failure> {
    let Some(folder) = out else {
        let name = list.file_stem().unwrap_or_default();
        let folder = context.store.audits().join(name);
        return Ok((name.to_string_lossy().into_owned(), folder));
    };
    std::fs::create_dir_all(&folder).map_err(StoreError::io("make the folder", &folder))?;
    let folder = folder.canonicalize().map_err(StoreError::io("open", &folder))?;
    Ok((folder.display().to_string(), folder))
}

/// Writes the feed of an audit's alarms.
async fn write_feed(memory: &Memory, name: &str, path: &Path) -> Result<(), Failure> {
    let audits = memory.audits().await?;
    let mut alarms = Vec::new();
    if let Some(audit) = audits.iter().find(|audit| audit.name == name) {
        alarms = memory.alarms(audit).await?;
    }
    write_atomically(path, report::feed(name, &alarms)?.as_bytes())?;
    Ok(())
}

/// The value of `--again`.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum AgainArg {
    /// All packages
    All,
    /// Packages without a verdict, without waiting until they are due
    Inconclusive,
}

impl From<AgainArg> for Again {
    fn from(argument: AgainArg) -> Self {
        match argument {
            AgainArg::All => Self::All,
            AgainArg::Inconclusive => Self::Inconclusive,
        }
    }
}

/// Parses an age as users write it.
fn age(text: &str) -> Result<SignedDuration, String> {
    let units = [("h", 1), ("d", 24), ("w", 7 * 24)];
    let mut read = units.iter().filter_map(|(unit, hours)| {
        let number: u16 = text.strip_suffix(unit)?.parse().ok()?;
        Some(SignedDuration::from_hours(
            i64::from(number).saturating_mul(*hours),
        ))
    });
    read.next()
        .ok_or_else(|| "write a number and h, d or w, for example 30d".to_owned())
}

/// The time at which this age began.
fn before(age: SignedDuration) -> Result<Timestamp, Failure> {
    Timestamp::now()
        .checked_sub(age)
        .map_err(|_| Failure::usage("cannot use --older-than: the age is too large".into()))
}

/// Hints for the subjects that have a definition of OSS Rebuild.
fn hints(folder: Option<&Path>, subjects: &[(String, Subject)]) -> Result<BTreeMap<String, Hints>, Failure> {
    let mut all = BTreeMap::new();
    for (text, subject) in subjects {
        if let Some(path) = folder.and_then(|folder| oss_rebuild::find(folder, subject)) {
            all.insert(text.clone(), oss_rebuild::read(&path)?);
        }
    }
    Ok(all)
}

/// Has alarms signed by the process that has the key.
fn sign_alarms(signer: SigningChoice) -> SignAlarm {
    Box::new(move |run: &RunFolder, alarm: &str| {
        let signed = tokio::task::block_in_place(|| signer.sign_alarm(run, alarm));
        signed.map_err(|failure| failure.message())
    })
}

/// Writes the page of a run, and signs the run if possible.
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
