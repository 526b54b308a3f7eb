//! `rebuilder log prove`, `watch`, and `verify` of public logs and proofs.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::{LogTrustArgs, place, statements};
use crate::artifact::Sha256;
use crate::bounded;
use crate::cli::failure::Failure;
use crate::cli::options::evidence::statement;
use crate::cli::{Common, output};
use crate::evidence::document;
use crate::public_log::{Entry, LogProof, OpenLog, Place, PublicLogError, Seen, watched_name};
use crate::report;
use crate::run::RunFolder;
use crate::store::{Store, write_atomically};
use crate::text::{Screen, plural};

#[derive(Args)]
pub(crate) struct ProveArgs {
    /// Folder of the run, its attestation, or sha256:DIGEST of the statement
    what: String,
    /// Public log: its folder or URL
    #[arg(long, value_name = "DIR|URL")]
    from: String,
    /// File to write [default: beside the attestation]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    trust: LogTrustArgs,
}

#[derive(Args)]
pub(crate) struct WatchArgs {
    /// Public log: its URL or folder
    #[arg(value_name = "URL|DIR")]
    log: String,
    #[command(flatten)]
    trust: LogTrustArgs,
}

#[derive(Args)]
pub(crate) struct FeedArgs {
    /// Public log: its folder or URL
    #[arg(value_name = "DIR|URL")]
    log: String,
    /// File to write
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
    /// Number of entries
    #[arg(long, value_name = "COUNT", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=1000))]
    entries: u64,
    #[command(flatten)]
    trust: LogTrustArgs,
}

pub(super) async fn feed(common: Common, args: FeedArgs) -> Result<ExitCode, Failure> {
    let json = common.json;
    let policy = args.trust.policy()?;
    let mut log = OpenLog::open(place(common, args.log)?, &policy).await?;
    let entries = log.last(args.entries).await?;
    let feed = report::feed::atom(&log.checkpoint.head.origin, &entries)?;
    write_atomically(&args.to, feed.as_bytes())?;
    if json {
        output::print_json(&json!({"feed": args.to, "entries": entries.len()}))?;
    } else {
        let mut screen = output::screen();
        screen.say(args.to.display());
        output::print(&screen)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Checks a whole public log.
pub(super) async fn verify_log(
    place: Place,
    trust: &LogTrustArgs,
    attestations: &[PathBuf],
    json: bool,
) -> Result<ExitCode, Failure> {
    let policy = trust.policy()?;
    let wanted = wanted(attestations)?;
    let mut log = OpenLog::open(place, &policy).await?;
    let whole = log.verify_all().await?;
    for (statement, name) in &wanted {
        log.prove(&[*statement], name).await?;
    }
    if json {
        output::print_json(&whole)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut screen = output::screen();
    let counts: Vec<_> = whole
        .entries
        .iter()
        .map(|(word, count)| format!("{count} {word}"))
        .collect();
    screen.say(format_args!(
        "public log intact: {}, {}{}; root {}",
        whole.origin,
        plural(whole.size, "entry"),
        if counts.is_empty() {
            String::new()
        } else {
            format!(" ({})", counts.join(", "))
        },
        whole.root
    ));
    if whole.withdrawn > 0 {
        screen.say(format_args!("{} withdrawn", plural(whole.withdrawn, "verdict")));
    }
    say_witnesses(&mut screen, &whole.cosigned);
    if !wanted.is_empty() {
        screen.say(format_args!(
            "in the log: {}",
            plural(wanted.len(), "attestation")
        ));
    }
    output::print(&screen)?;
    Ok(ExitCode::SUCCESS)
}

/// Checks a proof, without the log.
pub(super) fn verify_proof(
    path: &Path,
    trust: &LogTrustArgs,
    attestations: &[PathBuf],
    json: bool,
) -> Result<ExitCode, Failure> {
    let policy = trust.policy()?;
    let text = bounded::read_text(path, LogProof::LIMIT)
        .map_err(|error| Failure::usage(format!("cannot read {}: {error}", path.display())))?;
    let proven = LogProof::parse(&text)?.verify(&policy)?;
    for (statement, name) in wanted(attestations)? {
        if !proven.entry.signs(&statement) {
            return Err(PublicLogError::NotIn {
                log: path.display().to_string(),
                what: name,
            }
            .into());
        }
    }
    let head = &proven.checkpoint.head;
    if json {
        output::print_json(&json!({
            "origin": head.origin, "index": proven.index, "size": head.size, "proven": proven.entry,
            "cosigned": proven.checkpoint.witnesses()
        }))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut screen = output::screen();
    screen.say(format_args!(
        "proven: entry {} of {} in {}",
        proven.index, head.size, head.origin
    ));
    let names: Vec<_> = proven
        .checkpoint
        .cosigned
        .iter()
        .map(|(name, _)| name.clone())
        .collect();
    say_witnesses(&mut screen, &names);
    say_entry(&mut screen, proven.index, Some(&proven.entry));
    output::print(&screen)?;
    Ok(ExitCode::SUCCESS)
}

/// The statements that must be in a log, with their names for people.
fn wanted(attestations: &[PathBuf]) -> Result<Vec<(Sha256, String)>, Failure> {
    let mut wanted = Vec::new();
    for file in attestations {
        for statement in document::read_file(file)?.iter().filter_map(statement) {
            wanted.push((statement.digest, file.display().to_string()));
        }
    }
    Ok(wanted)
}

pub(super) async fn prove(common: Common, args: ProveArgs) -> Result<ExitCode, Failure> {
    let json = common.json;
    let policy = args.trust.policy()?;
    let wanted = statements(&args.what)?;
    let out = match (args.out, Path::new(&args.what)) {
        (Some(out), _) => out,
        (None, run) if run.is_dir() => proof_beside(&RunFolder::new(run).bundle()),
        (None, file) if file.is_file() => proof_beside(file),
        (None, _) => {
            return Err(Failure::usage(
                "cannot write the proof: name a file with --out".into(),
            ));
        }
    };
    let mut log = OpenLog::open(place(common, args.from)?, &policy).await?;
    let proof = log.prove(&wanted, &args.what).await?;
    // What is handed out holds without the log.
    let proven = proof.verify(&policy)?;
    write_atomically(&out, proof.text().as_bytes())?;
    if json {
        output::print_json(&json!({"proof": out, "index": proven.index, "size": log.size()}))?;
    } else {
        let mut screen = output::screen();
        screen.say(out.display());
        output::print(&screen)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// `NAME.tlog-proof` for an attestation called `NAME.sigstore.json`.
fn proof_beside(attestation: &Path) -> PathBuf {
    let name = attestation.file_name().unwrap_or_default().to_string_lossy();
    let ends = [".sigstore.json", ".intoto.jsonl", ".json"];
    let stem = ends
        .iter()
        .find_map(|end| name.strip_suffix(end))
        .unwrap_or(&name);
    attestation.with_file_name(format!("{stem}.tlog-proof"))
}

pub(super) async fn watch(common: Common, args: WatchArgs) -> Result<ExitCode, Failure> {
    let json = common.json;
    let policy = args.trust.policy()?;
    let store = Store::open(common.store.clone())?;
    let mut log = OpenLog::open(place(common, args.log)?, &policy).await?;
    let name = watched_name(&log.checkpoint.head.origin, &log.checkpoint.key);
    // Two visits at once would print the same entries.
    let _turn = store.exclusive(&format!("watch-{name}"))?;
    let visit = log.visit(&store.watched(name)).await?;
    if json {
        output::print_json(&visit)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut screen = output::screen();
    let since = match visit.before {
        None => "first visit".to_owned(),
        Some(before) => format!(
            "still begins with the {} of the last visit",
            plural(before, "entry")
        ),
    };
    screen.say(format_args!(
        "{}: {}, {since}; {} new",
        visit.origin,
        plural(visit.size, "entry"),
        visit.new.len()
    ));
    say_witnesses(&mut screen, &visit.cosigned);
    for Seen { index, says } in &visit.new {
        say_entry(&mut screen, *index, says.as_ref());
    }
    if visit.left > 0 {
        screen.say(format_args!(
            "{} left for the next visit",
            plural(visit.left, "entry")
        ));
    }
    output::print(&screen)?;
    Ok(ExitCode::SUCCESS)
}

fn say_witnesses(screen: &mut Screen, names: &[String]) {
    if !names.is_empty() {
        screen.say(format_args!("signed by the witnesses {}", names.join(", ")));
    }
}

fn say_entry(screen: &mut Screen, index: u64, entry: Option<&Entry>) {
    match entry {
        Some(Entry::Verdict(verdict)) => screen.say(format_args!(
            "{index:>8}  {}  {}  {}  statement sha256:{}",
            verdict.time, verdict.verdict, verdict.subject, verdict.statement
        )),
        Some(Entry::Withdrawal(withdrawal)) => screen.say(format_args!(
            "{index:>8}  {}  withdrawn  {}  statement sha256:{}: {}",
            withdrawal.time, withdrawal.subject, withdrawal.statement, withdrawal.because
        )),
        None => screen.say(format_args!("{index:>8}  an entry that this version cannot read")),
    }
}
