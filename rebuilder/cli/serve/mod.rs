//! `rebuilder serve …`: the server, what runs beside it on one machine (`embedded`), its `tokens`, and the trail of what
//! operators changed.

mod embedded;
mod tokens;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use ipnet::IpNet;
use serde_json::json;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::failure::Failure;
use super::options::log::LogArgs;
use super::options::memory::MemoryArgs;
use super::{Common, Context, output};
use crate::attest::{Extra, Public};
use crate::queue::Queue;
use crate::server::{Artifacts, Bounds, Handing, Reading, Server, ServerError};
use embedded::{Beside, Prepared};
use tokens::TokenCommand;

#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct ServeArgs {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    memory: MemoryArgs,
}

impl ServeArgs {
    /// Whether the user asks for the server itself.
    pub(crate) fn serves(&self) -> bool {
        self.command.is_none()
    }
}

#[derive(Args)]
struct ServerArgs {
    /// Address to listen on; other machines must connect through a TLS proxy
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8030")]
    listen: SocketAddr,
    /// Place for artifacts: a folder, or s3://BUCKET/PREFIX [default: a folder in the store]
    #[arg(long, value_name = "PLACE")]
    artifacts: Option<String>,
    /// Time for which a worker may be silent before its jobs are given to others, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 60.0, value_parser = seconds)]
    lease: f64,
    /// Maximum amount of data that one worker may send in a day, in MiB; this includes logs and repeated uploads
    #[arg(long, value_name = "MIB", default_value_t = 102_400, value_parser = clap::value_parser!(u64).range(1..=1 << 40))]
    daily: u64,
    /// Time for which an artifact is kept if no verdict names it, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 86_400.0, value_parser = seconds)]
    unnamed: f64,
    /// Run a worker and a signer beside the server, which is all that one machine needs
    #[arg(long, conflicts_with_all = ["signer", "runs"], help_heading = "One machine")]
    embedded: bool,
    /// Number of jobs at the same time
    #[arg(long, value_name = "COUNT", default_value_t = 1, requires = "embedded", help_heading = "One machine", value_parser = clap::value_parser!(u32).range(1..=256))]
    jobs: u32,
    /// Socket of the signer that receives the runs
    #[arg(
        long,
        value_name = "SOCKET",
        env = "REBUILDER_SIGNER",
        hide_env_values = true,
        help_heading = "Signing"
    )]
    signer: Option<PathBuf>,
    /// Folder where the signer reads runs [default: the store's runs/]
    #[arg(long, value_name = "DIR", requires = "signer", help_heading = "Signing")]
    runs: Option<PathBuf>,
    /// Also hand in runs that did not find a build that produces the released bytes
    #[arg(long, help_heading = "Signing")]
    attest_negative: bool,
    /// Also sign an in-toto link for each released file, as rebuilderd does
    #[arg(long, help_heading = "Signing")]
    links: bool,
    /// Let everyone read results, logs and the queue; without this, readers need a token with the scope read
    #[arg(long, help_heading = "Reading")]
    public: bool,
    /// Let these readers also follow the logs of running builds. Credentials are removed as lines arrive; one that only the
    /// whole log reveals is removed at the end
    #[arg(long, help_heading = "Reading")]
    live_logs: bool,
    /// Requests per second that a reader without a token may make, on average; 0 for no limit
    #[arg(long, value_name = "COUNT", default_value_t = 20, help_heading = "Reading")]
    rate: u32,
    /// Address or network of a TLS proxy on another machine or in another container: the last address in its
    /// X-Forwarded-For is the reader. A proxy on this machine needs no option; may be repeated
    #[arg(long, value_name = "ADDRESS", help_heading = "Reading", value_parser = network)]
    trusted_proxy: Vec<IpNet>,
    /// Public key of the signer in PEM, for clients that verify links; may be repeated, the current key first
    #[arg(long, value_name = "FILE", help_heading = "Reading")]
    public_key: Vec<PathBuf>,
    #[command(flatten)]
    log: LogArgs,
}

/// The keys in these files, in the form that rebuilderd's clients read.
fn keys(files: &[PathBuf]) -> Result<Vec<String>, Failure> {
    let key = |path: &PathBuf| {
        let text = crate::bounded::read_text(path, crate::bounded::SHORT);
        let text = text.map_err(|error| error.to_string());
        let key = text.and_then(|text| {
            let key = Public::from_pem(&text).and_then(|key| key.in_toto_pem());
            key.ok_or_else(|| {
                "it is not an Ed25519 public key in PEM; \"rebuilder key public\" prints one".into()
            })
        });
        key.map_err(|reason| {
            Failure::usage(format!("cannot use the public key {}: {reason}", path.display()))
        })
    };
    files.iter().map(key).collect()
}

/// An address, or a network such as 10.0.0.0/8.
fn network(text: &str) -> Result<IpNet, String> {
    let address = || text.parse::<IpAddr>().ok().map(IpNet::from);
    let network = text.parse().ok().or_else(address);
    network.ok_or_else(|| "write an address such as 10.0.0.1, or a network such as 10.0.0.0/24".to_owned())
}

pub(crate) fn seconds(text: &str) -> Result<f64, String> {
    let value: f64 = text.parse().map_err(|_| "write a number of seconds".to_owned())?;
    if (0.2..=86_400.0).contains(&value) {
        Ok(value)
    } else {
        Err("must be between 0.2 and 86400 seconds".into())
    }
}

#[derive(Subcommand)]
enum Command {
    /// Create, list and revoke the tokens of workers and readers
    #[command(subcommand)]
    Token(TokenCommand),
    /// Show who changed tokens, jobs and limits, newest first
    Trail {
        /// Only entries with a lower number
        #[arg(long, value_name = "ENTRY")]
        before: Option<i64>,
        /// Maximum number of entries to show
        #[arg(long, value_name = "COUNT", default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..=1000))]
        count: i64,
    },
}

pub(crate) async fn run(common: Common, args: ServeArgs) -> Result<ExitCode, Failure> {
    let options = common.options();
    let context = &Context::open(common)?;
    let queue = args.memory.queue(context).await?;
    match args.command {
        Some(Command::Token(command)) => tokens::run(context, &queue, command).await,
        Some(Command::Trail { before, count }) => trail(context, &queue, before, count).await,
        None => serve(context, queue, args.server, options).await,
    }
}

/// Runs the server, and what is beside it, until a signal or until one of them ends.
async fn serve(
    context: &Context,
    queue: Queue,
    args: ServerArgs,
    options: Vec<OsString>,
) -> Result<ExitCode, Failure> {
    let quiet = context.progress.is_silent();
    let _telemetry = args.log.start("rebuilder-serve", quiet, &context.progress)?;
    if !args.embedded && args.signer.is_none() && (args.attest_negative || args.links) {
        return Err(
            Failure::usage("cannot sign more statements: the server has no signer".into())
                .with_help("name a signer with --signer, or use --embedded"),
        );
    }
    let prepared = if args.embedded {
        let wanted = (args.jobs, args.attest_negative);
        let log = args.log.options();
        Some(Prepared::new(context, &queue, (options, log), wanted).await?)
    } else {
        None
    };
    let cannot = |source| ServerError::Listen {
        address: args.listen.to_string(),
        source,
    };
    let signals = (
        signal(SignalKind::interrupt()).map_err(cannot)?,
        signal(SignalKind::terminate()).map_err(cannot)?,
    );
    let listener = tokio::net::TcpListener::bind(args.listen).await.map_err(cannot)?;
    let address = listener.local_addr().map_err(cannot)?;
    let socket = prepared.as_ref().map(Prepared::socket);
    let place = args
        .artifacts
        .clone()
        .unwrap_or_else(|| context.store.artifacts().display().to_string());
    let server = server(context, queue, &args, &place, socket)?;
    let ready = |address: SocketAddr| {
        if context.json {
            // If stdout is closed, the address still answers.
            let _ = output::print_json(&json!({"listening": address, "artifacts": place}));
        } else {
            output::note(&format!("listening on http://{address}, artifacts in {place}"));
        }
    };
    let (end, ending) = tokio::sync::oneshot::channel::<()>();
    let serving = server.serve(listener, ready, async move {
        // The other end is held until then.
        let _ = ending.await;
    });
    let beside = prepared.map(|prepared| prepared.start(address)).transpose()?;
    until_end(serving, beside, signals, end).await
}

/// Waits for the end of the server. After a signal, or if a process beside the server ends, first the worker ends, then
/// the server, then the signer.
async fn until_end(
    serving: impl Future<Output = Result<(), ServerError>>,
    mut beside: Option<Beside>,
    (mut interrupt, mut terminate): (Signal, Signal),
    end: tokio::sync::oneshot::Sender<()>,
) -> Result<ExitCode, Failure> {
    let mut serving = std::pin::pin!(serving);
    let failed = tokio::select! {
        served = &mut serving => {
            served?;
            return Ok(ExitCode::SUCCESS);
        }
        _ = interrupt.recv() => None,
        _ = terminate.recv() => None,
        failure = one_ended(&mut beside) => Some(failure),
    };
    if let Some(beside) = &mut beside {
        tokio::select! {
            served = &mut serving => {
                served?;
                return Ok(ExitCode::SUCCESS);
            }
            () = beside.end_worker() => {}
        }
    }
    let _ = end.send(());
    serving.await?;
    if let Some(beside) = beside {
        beside.end().await;
    }
    match failed {
        Some(failure) => Err(failure),
        None => Ok(ExitCode::SUCCESS),
    }
}

/// Ready when a process beside the server has ended.
async fn one_ended(beside: &mut Option<Beside>) -> Failure {
    match beside {
        Some(beside) => beside.ended().await,
        None => std::future::pending().await,
    }
}

/// The server that the options ask for. `socket` is that of a signer beside it.
fn server(
    context: &Context,
    queue: Queue,
    args: &ServerArgs,
    place: &str,
    socket: Option<PathBuf>,
) -> Result<Server, Failure> {
    let reading = Reading {
        public: args.public,
        live_logs: args.live_logs,
        rate: NonZeroU32::new(args.rate),
        proxies: args.trusted_proxy.clone(),
        keys: keys(&args.public_key)?,
    };
    let handing = args.signer.clone().or(socket).map(|socket| Handing {
        socket,
        runs: args.runs.clone().unwrap_or_else(|| context.store.runs()),
        extras: if args.links {
            BTreeSet::from([Extra::Link])
        } else {
            BTreeSet::new()
        },
        negatives: args.attest_negative,
    });
    Ok(Server {
        queue,
        artifacts: Artifacts::open(place)?,
        lease: Duration::from_secs_f64(args.lease),
        scratch: context.store.tmp(),
        handing,
        reading,
        bounds: Bounds {
            daily: args.daily.saturating_mul(1 << 20),
            unnamed: Duration::from_secs_f64(args.unnamed),
        },
    })
}

async fn trail(
    context: &Context,
    queue: &Queue,
    before: Option<i64>,
    count: i64,
) -> Result<ExitCode, Failure> {
    let steps = queue.trail(before, count).await?;
    if context.json {
        output::print_json_pretty(&json!({"trail": steps}))?;
    } else {
        let mut screen = output::screen();
        for step in &steps {
            let at = jiff::Timestamp::from_millisecond(step.at).unwrap_or_default();
            screen.say(format_args!(
                "{}  {}  {}  {}  {}",
                step.id,
                at.strftime("%Y-%m-%d %H:%M:%S UTC"),
                step.who,
                step.action,
                step.what
            ));
        }
        output::print(&screen)?;
    }
    Ok(ExitCode::SUCCESS)
}
