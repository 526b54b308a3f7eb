//! `rebuilder attest` and `rebuilder signer`, and the check of a signer's log.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::failure::{Code, Failure};
use super::key::{inventory, own_log, signer_log};
use super::options::evidence::{TrustArgs, statement};
use super::options::signing::{FormArgs, KeyArgs};
use super::{Common, Context, config_folder, output, suggest};
use crate::artifact::{PinnedImage, serialise};
use crate::attest::handover::{Handover, waiting};
use crate::attest::log::Log;
use crate::attest::predicate::OwnPredicate;
use crate::attest::{self, Attestor, Wanted};
use crate::evidence::document;
use crate::inspect::InspectionRequest;
use crate::public_log::{LogPolicy, Publication, Witnesses};
use crate::report;
use crate::run::RunFolder;
use crate::signer::{self, Admission, Door, Reply, Service};
use crate::store::Fetcher;
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
    /// Sign a run that found no build giving the released bytes too, as what it is: evidence neither for nor against them
    #[arg(long, help_heading = "Signing")]
    attest_negative: bool,
    #[command(flatten)]
    form: FormArgs,
    /// Sign another statement about a run about which this key signed one before
    #[arg(long, help_heading = "Signing", conflicts_with = "signer")]
    again: bool,
    /// Leave out a form that cannot say how the run ended, rather than sign nothing
    #[arg(long, hide = true)]
    only_fitting: bool,
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
    /// User of "rebuilder serve" who hands in the runs of its workers and tells them apart by their tokens, by name or number;
    /// may be repeated
    #[arg(long, value_name = "USER")]
    relay: Vec<String>,
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
    /// Sign runs that found no build giving the released bytes too, as what they are: evidence neither for nor against them
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
    /// Show everything that is signed in a public log in this folder
    #[arg(long, value_name = "DIR", requires = "public_log_origin")]
    public_log: Option<PathBuf>,
    /// Name of the public log: its address without the scheme, such as example.com/verdicts
    #[arg(long, value_name = "NAME", requires = "public_log")]
    public_log_origin: Option<String>,
    /// Witnesses of the public log, and how many must sign it (c2sp.org/tlog-policy)
    #[arg(long, value_name = "FILE", requires = "public_log")]
    public_log_witnesses: Option<PathBuf>,
    #[command(flatten)]
    key: KeyArgs,
    #[command(flatten)]
    trust: TrustArgs,
}

impl SignerArgs {
    /// Where what is signed is shown, and how.
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
}

pub(crate) async fn attest(args: &AttestArgs, json: bool) -> Result<ExitCode, Failure> {
    let (reply, failure) = match hand_over(args).await {
        Ok(reply) => {
            let failure = not_signed(&reply);
            (reply, failure)
        }
        Err(failure) => {
            let (reason, help) = (failure.message(), failure.help());
            (Handover::Refused { reason, help }, Some(failure))
        }
    };
    if json {
        let mut document = serialise::tree("the reply", &reply)?;
        if let Some(failure) = &failure {
            document["error"] = failure.document();
        }
        output::print_json(&document)?;
        return Ok(failure.map_or(ExitCode::SUCCESS, |failure| failure.report(false)));
    }
    match (reply, failure) {
        (_, Some(failure)) => Err(failure),
        (Handover::Signed { bundle, left_out, .. }, None) => {
            for reason in left_out {
                output::note(&reason);
            }
            let mut screen = output::screen();
            screen.say(bundle.display());
            output::print(&screen)?;
            Ok(ExitCode::SUCCESS)
        }
        (_, None) => Err(Failure::internal(
            "a reply without a signature or an error".into(),
        )),
    }
}

/// Hands a run over to the key or to the service that holds it.
async fn hand_over(args: &AttestArgs) -> Result<Handover, Failure> {
    let run = RunFolder::new(&args.run);
    let signed = if let Some(socket) = &args.signer {
        match signer::ask(socket, run.path(), args.form.extras()).await? {
            Reply::Signed(signed) => *signed,
            Reply::Waiting {
                agree,
                needed,
                otherwise,
            } => {
                return Ok(Handover::Waits {
                    agree,
                    needed,
                    otherwise,
                });
            }
            Reply::Refused { reason } => {
                return Ok(Handover::Refused {
                    reason: format!("the signer refuses the run: {reason}"),
                    help: Some("nothing was signed; the signer's log says the same".into()),
                });
            }
        }
    } else {
        let signer = args.key.open()?;
        let log = args.log.clone().map_or_else(own_log, Ok)?;
        let attestor = Attestor {
            signer: signer.as_ref(),
            builder_id: args.key.named_builder(),
            host: None,
            log: &log,
            negatives: args.attest_negative,
            wanted: Wanted {
                extras: args.form.extras(),
                only_fitting: args.only_fitting,
            },
            again: args.again,
        };
        args.form.format().check(signer.as_ref())?;
        tokio::task::block_in_place(|| {
            if attest::is_certificate(&args.run) {
                attest::certify(&args.run, &attestor)
            } else {
                attest::attest(&args.run, &attestor, report::page)
            }
        })?
    };
    Ok(Handover::Signed {
        bundle: signed.write(&run, args.form.format())?,
        statement: signed.statement,
        left_out: signed.extras.left_out,
    })
}

/// The failure that a reply without a signature is for the user.
fn not_signed(reply: &Handover) -> Option<Failure> {
    match reply {
        Handover::Signed { .. } => None,
        Handover::Waits {
            agree,
            needed,
            otherwise,
        } => Some(Failure::inconclusive(waiting(*agree, *needed, *otherwise))),
        Handover::Refused { reason, help } => {
            Some(Failure::refused(reason.clone(), help.clone().unwrap_or_default()))
        }
    }
}

pub(crate) async fn sign(common: Common, args: SignerArgs) -> Result<ExitCode, Failure> {
    // Only this user may read the files of the service: the log, its copies, its lock.
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o077));
    let signer = args.key.open()?;
    let relays: BTreeSet<u32> = args
        .relay
        .iter()
        .map(|name| user(name))
        .collect::<Result<_, _>>()?;
    let workers = workers(&args, &relays)?;
    let (trust, policy) = args.trust.open()?;
    let json = common.json;
    let context = Context::open(common)?;
    let scratch = context.store.tmp();
    let mut recipes = Vec::new();
    for path in &args.recipe {
        recipes.push(suggest::recipe(path)?);
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
    let ready = || {
        if json {
            // If stdout is closed, the socket still tells the service manager that it listens.
            let _ = output::print_json(&json!({"listening": socket, "key": name}));
        } else {
            output::note(&format!("listening on {} with the key {name}", socket.display()));
        }
    };
    service.serve(&socket, ready).await?;
    Ok(ExitCode::SUCCESS)
}

/// The users whose runs are signed; enough of them to agree.
fn workers(args: &SignerArgs, relays: &BTreeSet<u32>) -> Result<BTreeSet<u32>, Failure> {
    let own = nix::unistd::getuid().as_raw();
    let mut workers: BTreeSet<u32> = if args.worker.is_empty() && relays.is_empty() {
        [own].into()
    } else {
        args.worker
            .iter()
            .map(|name| user(name))
            .collect::<Result<_, _>>()?
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

/// Checks the log of a signer.
pub(super) fn verify_log(
    log: Option<PathBuf>,
    attestation: &[PathBuf],
    json: bool,
) -> Result<ExitCode, Failure> {
    let path = log.map_or_else(signer_log, Ok)?;
    let mut wanted = Vec::new();
    for file in attestation {
        let documents = document::read_file(file)?;
        for statement in documents.iter().filter_map(statement) {
            let name = file.display().to_string();
            let own = OwnPredicate::read(&statement)
                .map_err(|error| Failure::usage(format!("cannot read the attestation {name}: {error}")))?;
            wanted.push((statement.digest, own.and_then(|own| own.signing_log()), name));
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
