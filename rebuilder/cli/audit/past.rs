//! `rebuilder audit status|diff|memory`: earlier results.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::audit::{Change, Difference, Status, differences};
use crate::cli::failure::{Code, Failure};
use crate::cli::options::memory::MemoryArgs;
use crate::cli::{Context, output, suggest};
use crate::memory::{Audit, Memory, Outcome, Run};
use crate::report::audit as report;

#[derive(Args)]
pub(crate) struct StatusArgs {
    /// Name of an audit [default: all of them]
    audit: Option<String>,
    /// Count an equivalent result as reproduced
    #[arg(long)]
    allow_equivalent: bool,
    #[command(flatten)]
    memory: MemoryArgs,
}

#[derive(Args)]
pub(crate) struct DiffArgs {
    /// The older run, as AUDIT@RUN; RUN is a number, a date (the last run that began on that day or before), last or
    /// previous. AUDIT alone compares its last run with the one before
    #[arg(value_name = "AUDIT[@RUN]")]
    older: String,
    /// The newer run [default: the last run of the same audit]
    #[arg(value_name = "AUDIT@RUN")]
    newer: Option<String>,
    /// Count an equivalent result as reproduced
    #[arg(long)]
    allow_equivalent: bool,
    #[command(flatten)]
    memory: MemoryArgs,
}

#[derive(Subcommand)]
pub(crate) enum MemoryCommand {
    /// Undo the last migration of the database's schema, for the previous version of rebuilder
    Back(MemoryArgs),
}

pub(super) async fn status(context: &Context, args: StatusArgs) -> Result<ExitCode, Failure> {
    let memory = args.memory.open(context).await?;
    let audits = match &args.audit {
        Some(name) => vec![find(&memory, name).await?],
        None => memory.audits().await?,
    };
    let mut all = Vec::new();
    for audit in &audits {
        all.push(Status::of(&memory, audit, args.allow_equivalent).await?);
    }
    if context.json {
        output::print_json_pretty(&serde_json::json!({"audits": all}))?;
    } else {
        output::print(&report::standing(&all, output::colour()))?;
    }
    let regressed = all.iter().any(|status| !status.regressed.is_empty());
    Ok(regressed_or(regressed))
}

pub(super) async fn diff(context: &Context, args: DiffArgs) -> Result<ExitCode, Failure> {
    let memory = args.memory.open(context).await?;
    let (older, newer) = match (&args.newer, args.older.rsplit_once('@')) {
        (Some(newer), _) => (args.older.clone(), newer.clone()),
        (None, Some((audit, _))) => (args.older.clone(), format!("{audit}@last")),
        (None, None) => (format!("{}@previous", args.older), format!("{}@last", args.older)),
    };
    let (older, was) = results(&memory, &older).await?;
    let (newer, is) = results(&memory, &newer).await?;
    let all = differences(&was, &is, args.allow_equivalent);
    if context.json {
        let document = serde_json::json!({"older": older, "newer": newer, "differences": all});
        output::print_json_pretty(&document)?;
    } else {
        output::print(&report::changes(&older, &newer, &all, output::colour()))?;
    }
    let regressed = |it: &Difference| it.change == Change::Regressed;
    Ok(regressed_or(all.iter().any(regressed)))
}

pub(super) async fn memory(context: &Context, command: MemoryCommand) -> Result<ExitCode, Failure> {
    let MemoryCommand::Back(args) = command;
    let step = Memory::back(args.url(), &context.store).await?;
    if context.json {
        output::print_json_pretty(&serde_json::json!({"went_back": step}))?;
    } else {
        let mut screen = output::screen();
        screen.say(format_args!("undid migration {step} of the schema"));
        output::print(&screen)?;
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) fn regressed_or(regressed: bool) -> ExitCode {
    if regressed {
        ExitCode::from(Code::Regressed as u8)
    } else {
        ExitCode::SUCCESS
    }
}

/// The audit with this name, or in this folder.
pub(super) async fn find(memory: &Memory, name: &str) -> Result<Audit, Failure> {
    let all = memory.audits().await?;
    let folder = std::fs::canonicalize(name).ok();
    let folder = folder.map(|folder| folder.display().to_string());
    let found = all
        .iter()
        .find(|audit| audit.name == name || Some(&audit.name) == folder.as_ref());
    if let Some(found) = found {
        return Ok(found.clone());
    }
    let failure = Failure::usage(format!("there is no audit {name:?} in {}", memory.place()));
    let near = suggest::nearest(name, all.iter().map(|audit| audit.name.as_str()));
    Err(match near {
        Some(near) => failure.with_help(format!("did you mean {near:?}?")),
        None => failure.with_help("\"rebuilder audit status\" lists all audits"),
    })
}

/// The run that AUDIT@RUN names, in its normal form, and the newest results at its end.
async fn results(memory: &Memory, text: &str) -> Result<(String, Vec<Outcome>), Failure> {
    let Some((name, which)) = text.rsplit_once('@') else {
        let failure = Failure::usage(format!("{text:?} does not name a run"));
        return Err(
            failure.with_help("write AUDIT@RUN, for example nightly@12, nightly@2026-11-01 or nightly@last")
        );
    };
    let audit = find(memory, name).await?;
    let runs = memory.runs(&audit).await?;
    let Some(run) = chosen(&runs, which) else {
        let failure = Failure::usage(format!("there is no run {which:?} of the audit {name:?}"));
        return Err(failure.with_help(format!("\"rebuilder audit status {name}\" lists its runs")));
    };
    let outcomes = memory.as_of(&audit, run.number).await?;
    Ok((format!("{}@{}", audit.name, run.number), outcomes))
}

/// The run that a user names, from a list that begins with the oldest.
fn chosen<'a>(runs: &'a [Run], which: &str) -> Option<&'a Run> {
    match which {
        "last" => return runs.last(),
        "previous" => return runs.iter().rev().nth(1),
        _ => {}
    }
    if let Ok(number) = which.parse::<i64>() {
        return runs.iter().find(|run| run.number == number);
    }
    let day: Date = which.parse().ok()?;
    let after = TimeZone::UTC
        .to_timestamp(day.tomorrow().ok()?.at(0, 0, 0, 0))
        .ok()?;
    runs.iter().rev().find(|run| run.started < after.as_millisecond())
}
