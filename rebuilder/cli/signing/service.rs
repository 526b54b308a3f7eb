//! `rebuilder signer`: the service that signs, and the users who may ask it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use crate::artifact::PinnedImage;
use crate::cli::failure::Failure;
use crate::cli::key::{inventory, signer_log};
use crate::cli::options::evidence::TrustArgs;
use crate::cli::options::log::LogArgs;
use crate::cli::options::signing::KeyArgs;
use crate::cli::{Common, Context, child, config_folder, output, suggest};
use crate::inspect::InspectionRequest;
use crate::plan::Recipe;
use crate::public_log::{LogPolicy, Publication, Witnesses};
use crate::report;
use crate::signer::{Admission, Door, Service};
use crate::store::Fetcher;
use crate::text::plural;

#[derive(Args)]
pub(crate) struct SignerArgs {
    /// Socket to listen on
    #[arg(long, value_name = "SOCKET", default_value = "/run/rebuilder-signer/socket")]
    socket: PathBuf,
    /// Group that may open the socket, by name or number [default: only the workers, through an access control list]
    #[arg(long, value_name = "GROUP")]
    socket_group: Option<String>,
    /// User whose runs are signed, by name or number; may be repeated [default: the current user]
    #[arg(long, value_name = "USER")]
    worker: Vec<String>,
    /// User that runs "rebuilder serve" and hands in the runs of its workers, which it tells apart by their tokens, by
    /// name or number; may be repeated
    #[arg(long, value_name = "USER")]
    relay: Vec<String>,
    /// Folder that contains runs; may be repeated
    #[arg(long, value_name = "DIR", required = true)]
    runs: Vec<PathBuf>,
    /// Number of distinct workers (users) that must report the same outcome
    #[arg(long, value_name = "COUNT", default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=16))]
    agree: u8,
    /// Recipe whose steps a plan may have, in addition to the built-in recipes; may be repeated
    #[arg(long, value_name = "FILE")]
    recipe: Vec<PathBuf>,
    /// Image that a plan may use even if no provenance names it, as NAME@sha256:DIGEST; may be repeated
    #[arg(long, value_name = "IMAGE")]
    image: Vec<String>,
    /// Also sign runs that did not find a build that produces the released bytes; this is evidence neither for nor
    /// against them
    #[arg(long)]
    attest_negative: bool,
    /// Maximum disk space for copies of one worker's runs, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 8192)]
    worker_disk: u32,
    /// Name of the build machine, for the attestations
    #[arg(long, value_name = "NAME")]
    host: Option<String>,
    /// Log of all requests and replies [default: $XDG_CONFIG_HOME/rebuilder/signer.jsonl]
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// Publish all signed statements to a public log in this folder
    #[arg(long, value_name = "DIR", requires = "public_log_origin")]
    public_log: Option<PathBuf>,
    /// Name of the public log: its address without the scheme, such as example.com/verdicts
    #[arg(long, value_name = "NAME", requires = "public_log")]
    public_log_origin: Option<String>,
    /// Witnesses of the public log, and how many must sign it (c2sp.org/tlog-policy)
    #[arg(long, value_name = "FILE", requires = "public_log")]
    public_log_witnesses: Option<PathBuf>,
    /// Exit when standard input is closed, which happens when the parent process exits
    #[arg(long, hide = true)]
    tied: bool,
    #[command(flatten)]
    key: KeyArgs,
    #[command(flatten)]
    trust: TrustArgs,
    #[command(flatten)]
    log_form: LogArgs,
}

impl SignerArgs {
    /// The public log for signed statements.
    fn publication(&self, log: &Path, fetcher: &Fetcher) -> Result<Option<Publication>, Failure> {
        let (Some(folder), Some(origin)) = (&self.public_log, &self.public_log_origin) else {
            return Ok(None);
        };
        let witnesses = match &self.public_log_witnesses {
            None => None,
            Some(path) => Some(Witnesses {
                policy: LogPolicy::read(path)?,
                fetcher: fetcher.clone(),
            }),
        };
        Ok(Some(Publication {
            folder: folder.clone(),
            origin: origin.clone(),
            kept: config_folder()?,
            logs: vec![log.to_owned()],
            adopt: false,
            witnesses,
        }))
    }

    fn recipes(&self) -> Result<Vec<Recipe>, Failure> {
        self.recipe.iter().map(|path| suggest::recipe(path)).collect()
    }

    fn images(&self) -> Result<Vec<PinnedImage>, Failure> {
        let image = |text: &String| PinnedImage::parse(text, None);
        let images: Result<_, _> = self.image.iter().map(image).collect();
        images.map_err(|error| Failure::usage(error.to_string()))
    }

    fn door(&self) -> Result<Door, Failure> {
        Ok(match &self.socket_group {
            Some(name) => Door::Group(group(name)?),
            None => Door::Workers,
        })
    }
}

pub(crate) async fn sign(common: Common, args: SignerArgs) -> Result<ExitCode, Failure> {
    // Only this user may read the files of the service: the log, its copies, its lock.
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o077));
    if args.tied {
        child::end_with_stdin();
    }
    for folder in &args.runs {
        folder_exists(folder)?;
    }
    let signer = args.key.open()?;
    let relays = users(&args.relay)?;
    let workers = workers(&args, &relays)?;
    let (trust, policy) = args.trust.open()?;
    let json = common.json;
    let context = Context::open(common)?;
    let quiet = context.progress.is_silent();
    let _telemetry = args
        .log_form
        .start("rebuilder-signer", quiet, &context.progress)?;
    let scratch = context.store.tmp();
    let (recipes, images, door) = (args.recipes()?, args.images()?, args.door()?);
    let log = args.log.clone().map_or_else(signer_log, Ok)?;
    let service = Service {
        publication: args.publication(&log, &context.fetcher)?,
        trouble: output::note,
        negatives: args.attest_negative,
        door,
        disk: u64::from(args.worker_disk) << 20,
        builder_id: args.key.named_builder(),
        host: args.host,
        log,
        inventory: inventory()?,
        page: report::page,
        workers,
        relays,
        runs: args.runs,
        scratch,
        needed: usize::from(args.agree),
        admission: Admission {
            fetcher: context.fetcher,
            catalog: context.catalog,
            case: InspectionRequest {
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
    let ready = || say_ready(json, &socket, &name);
    let told = told_to_end()?;
    tokio::select! {
        served = service.serve(&socket, ready) => served?,
        // Whoever asked for a signature and did not get it asks again.
        () = told => {}
    }
    Ok(ExitCode::SUCCESS)
}

/// Fails if there is no such folder, before anything else is asked of the user.
pub(super) fn folder_exists(folder: &Path) -> Result<(), Failure> {
    if folder.exists() {
        return Ok(());
    }
    let message = format!("cannot read {}: no such folder", folder.display());
    Err(Failure::usage(message).with_help("check the path"))
}

fn say_ready(json: bool, socket: &Path, key: &str) {
    if json {
        // If stdout is closed, the socket still tells the service manager that it listens.
        let _ = output::print_json(&json!({"listening": socket, "key": key}));
    } else {
        output::note(&format!("listening on {} with the key {key}", socket.display()));
    }
}

/// Ready when a signal tells the service to end. Signals are noticed from this call on.
fn told_to_end() -> Result<impl Future<Output = ()>, Failure> {
    let cannot = |error: std::io::Error| Failure::internal(format!("cannot wait for signals: {error}"));
    let (mut interrupt, mut terminate) = (
        signal(SignalKind::interrupt()).map_err(cannot)?,
        signal(SignalKind::terminate()).map_err(cannot)?,
    );
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// The users whose runs are signed. There must be enough of them to agree.
fn workers(args: &SignerArgs, relays: &BTreeSet<u32>) -> Result<BTreeSet<u32>, Failure> {
    let own = nix::unistd::getuid().as_raw();
    let mut workers: BTreeSet<u32> = if args.worker.is_empty() && relays.is_empty() {
        [own].into()
    } else {
        users(&args.worker)?
    };
    workers.extend(relays);
    // A relay has any number of workers.
    if relays.is_empty() && workers.len() < usize::from(args.agree) {
        return Err(Failure::usage(format!(
            "only {} may hand in runs, but {} must agree",
            plural(workers.len(), "worker"),
            args.agree
        ))
        .with_help("add workers with --worker, or accept one with --agree 1"));
    }
    Ok(workers)
}

fn users(names: &[String]) -> Result<BTreeSet<u32>, Failure> {
    names.iter().map(|name| user(name)).collect()
}

/// A user by name or number.
fn user(name: &str) -> Result<u32, Failure> {
    if let Ok(uid) = name.parse() {
        return Ok(uid);
    }
    let found = nix::unistd::User::from_name(name).ok().flatten();
    found
        .map(|user| user.uid.as_raw())
        .ok_or_else(|| Failure::usage(format!("cannot find the user {name:?}")))
}

/// A group by name or number.
fn group(name: &str) -> Result<u32, Failure> {
    if let Ok(gid) = name.parse() {
        return Ok(gid);
    }
    let found = nix::unistd::Group::from_name(name).ok().flatten();
    found
        .map(|group| group.gid.as_raw())
        .ok_or_else(|| Failure::usage(format!("cannot find the group {name:?}")))
}
