//! `rebuilder audit add|remove|tick`: scheduled audits.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{ArgGroup, Args};
use jiff::{SignedDuration, Timestamp};
use tracing::Instrument as _;

use super::{WorkArgs, age, before, past, work};
use crate::artifact::{Ecosystem, Subject};
use crate::audit::{Asked, Source, Status, next_after};
use crate::cli::failure::Failure;
use crate::cli::options::log::LogArgs;
use crate::cli::options::memory::MemoryArgs;
use crate::cli::{Context, output, suggest};
use crate::container::Catalog;
use crate::memory::{Memory, Schedule};
use crate::report::audit as report;
use crate::store::StoreError;

#[derive(Args)]
pub(crate) struct AddArgs {
    /// Name of the audit
    name: String,
    #[command(flatten)]
    source: SourceArgs,
    /// Cron expression in UTC
    #[arg(long, value_name = "CRON", default_value = "30 2 * * *")]
    schedule: String,
    /// In each run, also rebuild packages whose last rebuild is older than this, for example 30d
    #[arg(long, value_name = "AGE", value_parser = age)]
    older_than: Option<SignedDuration>,
    #[command(flatten)]
    memory: MemoryArgs,
}

/// What an audit is about; it is looked up again for each run.
#[derive(Args)]
#[group(skip)]
#[command(next_help_heading = "Packages", group = ArgGroup::new("source").required(true))]
struct SourceArgs {
    /// Text file with one package URL or short form per line
    #[arg(long, value_name = "FILE", group = "source")]
    list: Option<PathBuf>,
    /// Binary packages of a suite of Debian, in their newest versions
    #[arg(long, value_name = "SUITE", group = "source")]
    debian: Option<String>,
    /// Only packages whose name, or whose source's name, matches this; * stands for any text
    #[arg(
        long,
        value_name = "PATTERN",
        requires = "debian",
        default_value = "*",
        hide_default_value = true
    )]
    filter: String,
    /// Text file with one project of PyPI per line, each in its newest version
    #[arg(long, value_name = "FILE", group = "source")]
    pypi_top: Option<PathBuf>,
    /// Text file with one package of npm per line, each in its newest version
    #[arg(long, value_name = "FILE", group = "source")]
    npm: Option<PathBuf>,
    /// Text file with one crate per line, each in its newest version
    #[arg(long, value_name = "FILE", group = "source")]
    crates: Option<PathBuf>,
    /// What a lock file takes from its registry: Cargo.lock, package-lock.json, npm-shrinkwrap.json, yarn.lock,
    /// pnpm-lock.yaml or requirements*.txt
    #[arg(long, value_name = "FILE", group = "source")]
    lock: Option<PathBuf>,
}

impl SourceArgs {
    fn read(self) -> Result<Source, Failure> {
        let absolute = |path: PathBuf| path.canonicalize().map_err(StoreError::io("open", &path));
        let newest = |of, path: PathBuf| absolute(path).map(|names| Source::Newest { of, names });
        let files = [
            self.list.map(|path| absolute(path).map(Source::List)),
            self.lock.map(|path| absolute(path).map(Source::Lock)),
            self.pypi_top.map(|path| newest(Ecosystem::Pypi, path)),
            self.npm.map(|path| newest(Ecosystem::Npm, path)),
            self.crates.map(|path| newest(Ecosystem::Crates, path)),
        ];
        if let Some(source) = files.into_iter().flatten().next() {
            return Ok(source?);
        }
        let suite = self.debian.unwrap_or_default();
        if suite.is_empty() || suite.contains('/') {
            return Err(Failure::usage(format!("{suite:?} is not the name of a suite")));
        }
        Ok(Source::Debian {
            suite,
            filter: self.filter,
        })
    }
}

#[derive(Args)]
pub(crate) struct RemoveArgs {
    /// Name of the audit
    name: String,
    #[command(flatten)]
    memory: MemoryArgs,
}

/// What a source has now; what could not be looked up is told.
async fn subjects(
    context: &Context,
    source: &Source,
    before: &[String],
) -> Result<Vec<(String, Subject)>, Failure> {
    // This one says what mistaken lines may have meant.
    if let Source::List(path) = source {
        return suggest::list(path);
    }
    let catalog = Catalog::new(context.catalog.folder().map(Path::to_owned));
    let found = source.subjects(&context.fetcher, &catalog, before).await?;
    for missed in &found.missed {
        output::note(&format!("cannot look up {missed}"));
    }
    if found.subjects.is_empty() {
        return Err(Failure::inconclusive(format!(
            "cannot look up any package of {}",
            source.text()
        )));
    }
    Ok(found.subjects)
}

#[derive(Args)]
pub(crate) struct TickArgs {
    /// Run forever, and check each minute what is due
    #[arg(long)]
    forever: bool,
    #[command(flatten)]
    work: WorkArgs,
    #[command(flatten)]
    log: LogArgs,
}

pub(super) async fn add(context: &Context, args: AddArgs) -> Result<ExitCode, Failure> {
    if args.name.contains(['/', '@']) || args.name.starts_with('.') {
        let failure = Failure::usage(format!("cannot call an audit {:?}", args.name));
        return Err(failure.with_help("a name cannot contain / or @, or begin with a full stop"));
    }
    let next = next_after(&args.schedule, Timestamp::now())?;
    let source = args.source.read()?;
    let subjects = subjects(context, &source, &[]).await?;
    let memory = args.memory.open(context).await?;
    let folder = context.store.audits().join(&args.name);
    let now = Timestamp::now().as_millisecond();
    let audit = memory
        .audit(&args.name, &folder.display().to_string(), now)
        .await?;
    let older_than = args
        .older_than
        .map(|age| i64::try_from(age.as_millis()).unwrap_or(i64::MAX));
    let schedule = Schedule {
        audit,
        list: source.text(),
        cron: args.schedule,
        older_than,
        next_at: next.as_millisecond(),
    };
    memory.schedule(&schedule).await?;
    if context.json {
        let document = serde_json::json!({"scheduled": args.name, "subjects": subjects.len(), "next": next});
        output::print_json_pretty(&document)?;
    } else {
        output::print(&report::scheduled(&args.name, subjects.len(), next))?;
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn remove(context: &Context, args: RemoveArgs) -> Result<ExitCode, Failure> {
    let memory = args.memory.open(context).await?;
    let audit = past::find(&memory, &args.name).await?;
    if !memory.unschedule(&audit).await? {
        return Err(Failure::usage(format!(
            "the audit {:?} has no schedule",
            args.name
        )));
    }
    if context.json {
        output::print_json_pretty(&serde_json::json!({"removed": args.name}))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// How often `--forever` checks what is due.
const PAUSE: Duration = Duration::from_mins(1);

pub(super) async fn tick(context: &Context, args: TickArgs) -> Result<ExitCode, Failure> {
    let quiet = context.progress.is_silent();
    let _telemetry = args.log.start("rebuilder-audit", quiet, &context.progress)?;
    let memory = args.work.memory.open(context).await?;
    if !args.forever {
        let (documents, regressed) = Box::pin(once(context, &args.work, &memory)).await?;
        if context.json {
            output::print_json_pretty(&serde_json::json!({"ticked": documents}))?;
        }
        return Ok(past::regressed_or(regressed));
    }
    loop {
        // What goes wrong with one audit is told, and tried again in a minute: nobody is there to start it again.
        if let Err(failure) = Box::pin(once(context, &args.work, &memory)).await {
            output::error(&failure.message(), failure.help().as_deref());
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Runs the audits that are due. Returns the summaries, and whether any subject regressed.
async fn once(
    context: &Context,
    args: &WorkArgs,
    memory: &Memory,
) -> Result<(Vec<serde_json::Value>, bool), Failure> {
    let equivalent = args.normalise.allow_equivalent;
    let (mut documents, mut regressed, mut failed) = (Vec::new(), false, None);
    for schedule in memory.schedules().await? {
        let status = Status::of(memory, &schedule.audit, equivalent).await?;
        let now = Timestamp::now();
        let on_time = schedule.next_at <= now.as_millisecond();
        // A run that was interrupted goes on, and what waited long enough is tried again; what was never tried waits for
        // the first run.
        let interrupted = status.runs.last().is_some_and(|run| run.ended.is_none());
        if !on_time && !interrupted && status.due == status.untried {
            continue;
        }
        match Box::pin(run(context, args, memory, &schedule, on_time)).await {
            Ok(summary) => {
                regressed |= !summary.regressed.is_empty();
                if context.json {
                    documents.push(serde_json::json!(summary));
                } else {
                    output::print(&report::terminal(&summary, output::colour()))?;
                }
            }
            // The other audits are not its fault.
            Err(failure) if failure.is_interrupted() => return Err(failure),
            Err(failure) => failed = Some(failure),
        }
    }
    match failed {
        Some(failure) => Err(failure),
        None => Ok((documents, regressed)),
    }
}

async fn run(
    context: &Context,
    args: &WorkArgs,
    memory: &Memory,
    schedule: &Schedule,
    on_time: bool,
) -> Result<crate::audit::Summary, Failure> {
    let listed = memory.listed(&schedule.audit).await?;
    context.fetcher.forget_indexes();
    let subjects = subjects(context, &Source::parse(&schedule.list)?, &listed).await?;
    let folder = context.store.audits().join(&schedule.audit.name);
    let older_than = schedule
        .older_than
        .filter(|_| on_time)
        .map(SignedDuration::from_millis);
    let asked = Asked {
        name: &schedule.audit.name,
        subjects: &subjects,
        folder: &folder,
        again: None,
        redo_before: older_than.map(before).transpose()?,
        allow_equivalent: args.normalise.allow_equivalent,
    };
    let span = tracing::info_span!("audit", audit = asked.name);
    let summary = work(context, args, &asked, memory)
        .instrument(span.clone())
        .await?;
    span.in_scope(|| {
        let (rebuilt, regressed) = (summary.rebuilt_now, summary.regressed.len());
        tracing::info!(rebuilt, regressed, "audit ended");
    });
    if on_time {
        // Only now: a run that was killed is still due.
        let next = next_after(&schedule.cron, Timestamp::now())?;
        let next = Schedule {
            next_at: next.as_millisecond(),
            ..schedule.clone()
        };
        memory.schedule(&next).await?;
    }
    Ok(summary)
}
