//! `rebuilder log publish`, `key` and `withdraw`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use jiff::Timestamp;
use serde_json::json;

use super::{logs, statements};
use crate::artifact::Sha256;
use crate::attest::log::{Event, Log};
use crate::cli::failure::Failure;
use crate::cli::options::signing::KeyArgs;
use crate::cli::{Common, Context, config_folder, output};
use crate::public_log::{LogPolicy, NoteKey, Publication, Witnesses};
use crate::text::plural;

#[derive(Args)]
pub(crate) struct PublishArgs {
    /// Folder of the public log; created if it does not exist
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    #[command(flatten)]
    name: NameArgs,
    /// Log of signatures to publish; may be repeated [default: the user's own logs]
    #[arg(long, value_name = "FILE")]
    log: Vec<PathBuf>,
    /// Witnesses to ask for a signature, and how many must sign before the log is published (c2sp.org/tlog-policy)
    #[arg(long, value_name = "FILE")]
    witnesses: Option<PathBuf>,
    /// Continue a log as its checkpoint shows it, if the record of its size and root was lost
    #[arg(long)]
    adopt: bool,
    #[command(flatten)]
    key: KeyArgs,
}

#[derive(Args)]
pub(crate) struct KeyOfArgs {
    #[command(flatten)]
    name: NameArgs,
    #[command(flatten)]
    key: KeyArgs,
}

/// The name of a log.
#[derive(Args)]
pub(crate) struct NameArgs {
    /// Name of the public log: its address without the scheme, such as example.com/verdicts
    #[arg(
        long,
        value_name = "NAME",
        env = "REBUILDER_LOG_ORIGIN",
        hide_env_values = true
    )]
    origin: String,
}

#[derive(Args)]
pub(crate) struct WithdrawArgs {
    /// Folder of the run, its attestation, or sha256:DIGEST of the statement
    what: String,
    /// Reason; it is public
    #[arg(long, value_name = "TEXT")]
    because: String,
    /// Log of signatures that has its entry; may be repeated [default: the user's own logs]
    #[arg(long, value_name = "FILE")]
    log: Vec<PathBuf>,
}

pub(crate) fn publish(common: Common, args: &PublishArgs) -> Result<ExitCode, Failure> {
    let json = common.json;
    let witnesses = match &args.witnesses {
        None => None,
        Some(path) => Some(Witnesses {
            policy: LogPolicy::read(path)?,
            fetcher: Context::open(common)?.fetcher,
        }),
    };
    let publication = Publication {
        folder: args.to.clone(),
        origin: args.name.origin.clone(),
        kept: config_folder()?,
        logs: logs(&args.log)?,
        adopt: args.adopt,
        witnesses,
    };
    let signer = args.key.open()?;
    let published = tokio::task::block_in_place(|| publication.publish(signer.as_ref()))?;
    if json {
        output::print_json(&published)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut screen = output::screen();
    screen.say(format_args!(
        "{}: {} added, {} in all; root {}",
        published.origin,
        plural(published.added, "entry"),
        published.size,
        published.root
    ));
    screen.say(format_args!("verified by {}", published.log_key));
    if !published.cosigned.is_empty() {
        screen.say(format_args!(
            "signed by the witnesses {}",
            published.cosigned.join(", ")
        ));
    }
    output::print(&screen)?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn key(common: &Common, args: &KeyOfArgs) -> Result<ExitCode, Failure> {
    let signer = args.key.open_any()?;
    let public = signer
        .public()
        .ok_or_else(|| Failure::usage("cannot show a key: keyless signing does not have one".into()))?;
    let key = NoteKey::of_log(&args.name.origin, public)?.to_string();
    if common.json {
        output::print_json(&json!({"log_key": key}))?;
    } else {
        let mut screen = output::screen();
        screen.say(key);
        output::print(&screen)?;
    }
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn withdraw(common: &Common, args: &WithdrawArgs) -> Result<ExitCode, Failure> {
    let wanted = statements(&args.what)?;
    let because = args.because.trim();
    if because.is_empty() {
        return Err(Failure::usage("cannot withdraw without a reason".into()));
    }
    for path in logs(&args.log)? {
        // Nobody else writes into it until the line is there.
        let mut log = Log::open(&path)?;
        let mut found: Option<(String, String, Sha256)> = None;
        let mut already = false;
        Log::each(&path, |line| match line.event {
            Event::Signed {
                run,
                subject,
                statement,
                also,
                ..
            } if wanted.contains(&statement) || also.values().any(|other| wanted.contains(other)) => {
                found = Some((run, subject, statement));
                already = false;
            }
            Event::Withdrawn { statement, .. } => {
                already |= found.as_ref().is_some_and(|(.., signed)| *signed == statement);
            }
            _ => {}
        })?;
        let Some((run, subject, statement)) = found else {
            continue;
        };
        if !already {
            let event = Event::Withdrawn {
                run,
                subject: subject.clone(),
                reason: because.to_owned(),
                statement,
            };
            log.append(event, Timestamp::now())?;
        }
        return told(common.json, &subject, statement, already);
    }
    Err(Failure::usage(format!(
        "cannot withdraw {}: no log has an entry about it",
        args.what
    ))
    .with_help("only a signed verdict can be withdrawn; name the log that has its entry with --log"))
}

fn told(json: bool, subject: &str, statement: Sha256, already: bool) -> Result<ExitCode, Failure> {
    if json {
        output::print_json(
            &json!({"withdrawn_statement": statement, "subject": subject, "already": already}),
        )?;
    } else {
        let mut screen = output::screen();
        let word = if already {
            "was withdrawn before"
        } else {
            "withdrawn"
        };
        screen.say(format_args!(
            "{word}: the verdict about {subject}, statement sha256:{statement}"
        ));
        if !already {
            screen.say("run \"rebuilder log publish\" to make it public");
        }
        output::print(&screen)?;
    }
    Ok(ExitCode::SUCCESS)
}
