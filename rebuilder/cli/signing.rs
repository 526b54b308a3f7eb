//! `rebuilder attest`, `rebuilder signer` and `rebuilder log`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::failure::{Code, Failure};
use super::key::{KeyArgs, inventory, own_log, signer_log};
use super::{Common, Context, output};
use crate::artifact::PinnedImage;
use crate::attest::log::{Anchor, Log};
use crate::attest::{self, Office};
use crate::cli::options::evidence::{TrustArgs, statement};
use crate::evidence::document;
use crate::inspect::Case;
use crate::plan::Recipe;
use crate::report;
use crate::run::RunFolder;
use crate::signer::{self, Door, Questioner, Reply, Service};
use crate::text::plural;

#[derive(Args)]
pub(crate) struct AttestArgs {
    /// Folder of the run
    run: PathBuf,
    #[command(flatten)]
    key: KeyArgs,
    /// Let the service that listens on SOCKET check and sign the run
    #[arg(
        long,
        help_heading = "Signing",
        value_name = "SOCKET",
        env = "REBUILDER_SIGNER",
        hide_env_values = true,
        conflicts_with = "key"
    )]
    signer: Option<PathBuf>,
    /// Log of signatures to append to [default: $XDG_CONFIG_HOME/rebuilder/signatures.jsonl]
    #[arg(long, value_name = "FILE", help_heading = "Signing")]
    log: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct SignerArgs {
    /// Socket to listen on
    #[arg(long, value_name = "SOCKET", default_value = "/run/rebuilder-signer/socket")]
    socket: PathBuf,
    /// Group that may open the socket, by name or number [default: only the workers, by an access list]
    #[arg(long, value_name = "GROUP")]
    socket_group: Option<String>,
    /// User whose runs are signed, by name or number; may be repeated [default: the current user]
    #[arg(long, value_name = "USER")]
    worker: Vec<String>,
    /// Folder that contains runs; may be repeated
    #[arg(long, value_name = "DIR", required = true)]
    runs: Vec<PathBuf>,
    /// Number of distinct workers (users) that must report the same outcome
    #[arg(long, value_name = "COUNT", default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=16))]
    agree: u8,
    /// Recipe whose steps a plan may have, besides the built-in recipes; may be repeated
    #[arg(long, value_name = "FILE")]
    recipe: Vec<PathBuf>,
    /// Image that a plan may use even if no provenance names it, as NAME@sha256:DIGEST; may be repeated
    #[arg(long, value_name = "IMAGE")]
    image: Vec<String>,
    /// Maximum disk space for copies of one worker's runs, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 8192)]
    worker_disk: u32,
    /// Name of the build machine, for the attestations
    #[arg(long, value_name = "NAME")]
    host: Option<String>,
    /// Log of all requests and replies [default: $XDG_CONFIG_HOME/rebuilder/signer.jsonl]
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    #[command(flatten)]
    key: KeyArgs,
    #[command(flatten)]
    trust: TrustArgs,
}

#[derive(Subcommand)]
pub(crate) enum LogCommand {
    /// Check that no entry was changed, removed or inserted
    Verify {
        /// Log to check [default: $XDG_CONFIG_HOME/rebuilder/signer.jsonl]
        log: Option<PathBuf>,
        /// Attestation that must be in the log, at the entry that it names; may be repeated
        #[arg(long, value_name = "FILE")]
        attestation: Vec<PathBuf>,
    },
}

pub(crate) async fn attest(args: &AttestArgs, json: bool) -> Result<ExitCode, Failure> {
    let run = RunFolder::new(&args.run);
    let signed = if let Some(socket) = &args.signer {
        by_service(socket, &run).await?
    } else {
        let signer = args.key.open()?;
        let log = args.log.clone().map_or_else(own_log, Ok)?;
        let office = Office {
            signer: signer.as_ref(),
            builder_id: args.key.named_builder(),
            host: None,
            log: &log,
        };
        tokio::task::block_in_place(|| attest::attest(&args.run, &office, report::page))?
    };
    if json {
        output::print_json(&json!({"attestation": run.bundle(), "statement": signed.statement}))?;
    } else {
        let mut screen = output::screen();
        screen.say(run.bundle().display());
        output::print(&screen)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Lets a service check and sign a run.
async fn by_service(socket: &Path, run: &RunFolder) -> Result<attest::Signed, Failure> {
    match signer::ask(socket, run.path()).await? {
        Reply::Signed(signed) => {
            signed.write(run)?;
            Ok(*signed)
        }
        Reply::Waiting {
            agree,
            needed,
            otherwise,
        } => Err(Failure::inconclusive(format!(
            "the signer holds the run and waits: {agree} of {needed} workers had this outcome, {otherwise} another one"
        ))),
        Reply::Refused { reason } => Err(Failure::refused(
            format!("the signer refuses the run: {reason}"),
            "nothing was signed; the signer's log has the same".into(),
        )),
    }
}

pub(crate) async fn sign(common: Common, args: SignerArgs) -> Result<ExitCode, Failure> {
    // Everything that the service makes is its own: the log, its copies, its lock.
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o077));
    let signer = args.key.open()?;
    let own = nix::unistd::getuid().as_raw();
    let workers: BTreeSet<u32> = if args.worker.is_empty() {
        [own].into()
    } else {
        args.worker
            .iter()
            .map(|name| user(name))
            .collect::<Result<_, _>>()?
    };
    if workers.len() < usize::from(args.agree) {
        return Err(Failure::usage(format!(
            "{} users may ask, and {} must agree; name more with --worker, or take the word of one with --agree 1",
            workers.len(),
            args.agree
        )));
    }
    let (trust, policy) = args.trust.open()?;
    let json = common.json;
    let context = Context::open(common)?;
    let scratch = context.store.path().join("tmp");
    let mut recipes = Vec::new();
    for path in &args.recipe {
        recipes.push(Recipe::read(path)?);
    }
    let mut images = Vec::new();
    for text in &args.image {
        let image = PinnedImage::parse(text, None).map_err(|error| Failure::usage(error.to_string()))?;
        images.push(image);
    }
    let door = match &args.socket_group {
        Some(name) => Door::Group(group(name)?),
        None => Door::Workers,
    };
    let service = Service {
        door,
        disk: u64::from(args.worker_disk) << 20,
        builder_id: args.key.named_builder(),
        host: args.host,
        log: args.log.map_or_else(signer_log, Ok)?,
        inventory: inventory()?,
        page: report::page,
        workers,
        runs: args.runs,
        scratch,
        needed: usize::from(args.agree),
        questioner: Questioner {
            fetcher: context.fetcher,
            catalog: context.catalog,
            case: Case {
                documents: Vec::new(),
                trust,
                policy,
            },
            recipes,
            images,
        },
        signer,
    };
    let (socket, name) = (args.socket, service.signer.name());
    let ready = || {
        if json {
            // Whoever started the service waits for the socket, if not for this line.
            let _ = output::print_json(&json!({"listening": socket, "key": name}));
        } else {
            output::note(&format!("listening on {} with the key {name}", socket.display()));
        }
    };
    service.serve(&socket, ready).await?;
    Ok(ExitCode::SUCCESS)
}

/// A user by name or number.
fn user(name: &str) -> Result<u32, Failure> {
    if let Ok(uid) = name.parse() {
        return Ok(uid);
    }
    let found = nix::unistd::User::from_name(name).ok().flatten();
    found
        .map(|user| user.uid.as_raw())
        .ok_or_else(|| Failure::usage(format!("there is no user {name:?}")))
}

/// A group by name or number.
fn group(name: &str) -> Result<u32, Failure> {
    if let Ok(gid) = name.parse() {
        return Ok(gid);
    }
    let found = nix::unistd::Group::from_name(name).ok().flatten();
    found
        .map(|group| group.gid.as_raw())
        .ok_or_else(|| Failure::usage(format!("there is no group {name:?}")))
}

pub(crate) fn log(command: &LogCommand, json: bool) -> Result<ExitCode, Failure> {
    let LogCommand::Verify { log, attestation } = command;
    let path = log.clone().map_or_else(signer_log, Ok)?;
    let mut wanted = Vec::new();
    for file in attestation {
        let documents = document::read_file(file)?;
        for statement in documents.iter().filter_map(statement) {
            wanted.push((
                statement.digest,
                anchor(&statement.predicate),
                file.display().to_string(),
            ));
        }
    }
    let checked = Log::verify(&path, &wanted)?;
    if json {
        output::print_json(&checked)?;
    } else {
        let mut screen = output::screen();
        let events: Vec<_> = checked
            .events
            .iter()
            .map(|(event, count)| format!("{count} {event}"))
            .collect();
        screen.say(format_args!(
            "log intact: {} ({}); head sha256:{}",
            plural(checked.lines, "entry"),
            events.join(", "),
            checked.head
        ));
        if !wanted.is_empty() {
            screen.say(format_args!(
                "matched with the log: {}",
                plural(checked.attestations, "attestation")
            ));
        }
        output::print(&screen)?;
    }
    Ok(ExitCode::from(if checked.lines == 0 {
        Code::Inconclusive as u8
    } else {
        0
    }))
}

/// The place in a log that a statement names.
fn anchor(predicate: &Value) -> Option<Anchor> {
    let provenance = &predicate["buildDefinition"]["internalParameters"]["signingLog"];
    let negative = &predicate["configuration"][0]["annotations"]["signingLog"];
    let found = if provenance.is_object() {
        provenance
    } else {
        negative
    };
    serde_json::from_value(found.clone()).ok()
}
