//! `rebuilder log …`: the log of a signer, and the public log made from it.

mod publish;
mod read;

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::failure::Failure;
use super::key::{own_log, signer_log};
use super::options::evidence::statement;
use super::{Common, signing};
use crate::artifact::Sha256;
use crate::bounded;
use crate::evidence::document;
use crate::public_log::{LogPolicy, LogProof, NoteKey, Place};
use crate::run::RunFolder;

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Check that no entry was changed, removed or inserted
    Verify(VerifyArgs),
    /// Append signed statements to a public log, a folder that any web server can serve
    Publish(publish::PublishArgs),
    /// Print the key that verifies a public log
    Key(publish::KeyOfArgs),
    /// Write a proof that a public log has an entry about a run; it can be checked without the log
    Prove(read::ProveArgs),
    /// Check that a public log still has every entry that it showed before, and print the new ones
    Watch(read::WatchArgs),
    /// Write the last entries of a public log as an Atom feed
    Feed(read::FeedArgs),
    /// Withdraw a verdict with a further entry; the verdict stays in the log
    Withdraw(publish::WithdrawArgs),
}

#[derive(Args)]
pub(crate) struct VerifyArgs {
    /// Log to check: a file of a signer, the folder or URL of a public log, or a proof [default:
    /// $XDG_CONFIG_HOME/rebuilder/signer.jsonl]
    log: Option<String>,
    /// Attestation that must match the log entry that it names; may be repeated
    #[arg(long, value_name = "FILE")]
    attestation: Vec<PathBuf>,
    #[command(flatten)]
    trust: LogTrustArgs,
}

/// The keys whose logs are trusted.
#[derive(Args)]
#[command(next_help_heading = "Trust")]
pub(crate) struct LogTrustArgs {
    /// Key of a public log, as "rebuilder log key" prints it, or a file with it; may be repeated
    #[arg(
        long,
        value_name = "KEY|FILE",
        env = "REBUILDER_LOG_KEY",
        hide_env_values = true
    )]
    log_key: Vec<String>,
    /// Logs, witnesses and quorum of a public log (c2sp.org/tlog-policy)
    #[arg(long, value_name = "FILE")]
    log_policy: Option<PathBuf>,
}

impl LogTrustArgs {
    /// The signatures that a checkpoint must have.
    pub(crate) fn policy(&self) -> Result<LogPolicy, Failure> {
        let mut policy = match &self.log_policy {
            Some(path) => Some(LogPolicy::read(path)?),
            None => None,
        };
        for text in &self.log_key {
            let path = Path::new(text);
            let text = if path.is_file() {
                bounded::read_text(path, bounded::SHORT)
                    .map_err(|error| Failure::usage(format!("cannot read {}: {error}", path.display())))?
            } else {
                text.clone()
            };
            let key: NoteKey = text.parse()?;
            policy = Some(match policy {
                Some(policy) => policy.with_log(key),
                None => LogPolicy::of_log(key),
            });
        }
        policy.ok_or_else(|| {
            Failure::usage("cannot check a public log: its key is not known".into()).with_help(
                "name its key with --log-key, or a policy with --log-policy; the log's operator publishes \
                the key",
            )
        })
    }
}

pub(crate) async fn run(common: Common, command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Verify(args) => verify(common, args).await,
        Command::Publish(args) => publish::publish(common, &args),
        Command::Key(args) => publish::key(&common, &args),
        Command::Prove(args) => read::prove(common, args).await,
        Command::Watch(args) => read::watch(common, args).await,
        Command::Feed(args) => read::feed(common, args).await,
        Command::Withdraw(args) => publish::withdraw(&common, &args),
    }
}

async fn verify(common: Common, args: VerifyArgs) -> Result<ExitCode, Failure> {
    let json = common.json;
    let Some(text) = args.log else {
        return signing::verify_log(None, &args.attestation, json);
    };
    let path = PathBuf::from(&text);
    if is_url(&text) || path.is_dir() {
        let place = place(common, text)?;
        return read::verify_log(place, &args.trust, &args.attestation, json).await;
    }
    // A signer's log may be large; a proof begins with its name.
    let begin = std::fs::File::open(&path).map(|file| {
        let mut begin = Vec::new();
        let _ = file.take(64).read_to_end(&mut begin);
        begin
    });
    if begin.is_ok_and(|begin| LogProof::is_one(&begin)) {
        return read::verify_proof(&path, &args.trust, &args.attestation, json);
    }
    signing::verify_log(Some(path), &args.attestation, json)
}

fn is_url(text: &str) -> bool {
    text.starts_with("https://") || text.starts_with("http://")
}

/// The place of a log. The store is opened only for a log that is fetched.
fn place(common: Common, text: String) -> Result<Place, Failure> {
    if !is_url(&text) {
        return Ok(Place::Folder(text.into()));
    }
    let context = super::Context::open(common)?;
    Ok(Place::Url(text, Box::new(context.fetcher)))
}

/// Digests of the statements of a run, of a file with attestations, or the digest itself.
fn statements(text: &str) -> Result<Vec<Sha256>, Failure> {
    if let Some(digits) = text.strip_prefix("sha256:") {
        let digest = digits.parse();
        return Ok(vec![digest.map_err(|error| {
            Failure::usage(format!("{text} is not a digest of a statement: {error}"))
        })?]);
    }
    let path = Path::new(text);
    let files = if path.is_dir() {
        RunFolder::new(path).attestations()
    } else {
        vec![path.to_owned()]
    };
    let mut found = Vec::new();
    for file in files {
        let documents = document::read_file(&file)?;
        found.extend(
            documents
                .iter()
                .filter_map(statement)
                .map(|statement| statement.digest),
        );
    }
    if found.is_empty() {
        return Err(
            Failure::usage(format!("{text} does not contain a signed statement")).with_help(
                "name the folder of a signed run, its attestation, or sha256:DIGEST of the statement",
            ),
        );
    }
    Ok(found)
}

/// The logs that the user named, or the user's own logs that exist.
fn logs(named: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    if !named.is_empty() {
        if let Some(missing) = named.iter().find(|log| !log.is_file()) {
            return Err(Failure::usage(format!(
                "{} is not a log of signatures",
                missing.display()
            )));
        }
        return Ok(named.to_vec());
    }
    let own = [own_log()?, signer_log()?];
    let logs: Vec<_> = own.into_iter().filter(|log| log.exists()).collect();
    if logs.is_empty() {
        return Err(Failure::usage("no log of signatures exists yet".into())
            .with_help("sign a run first (\"rebuilder attest RUN\"), or name a log with --log"));
    }
    Ok(logs)
}
