//! `rebuilder worker`: takes jobs from a server until it is told to stop.

use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser as _};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::failure::Failure;
use super::options::log::LogArgs;
use super::{Cli, Common, Context, child, output};
use crate::artifact::Subject;
use crate::queue::wire::{Resources, Task};
use crate::store::{PendingRun, StoreError};
use crate::worker::{Client, Rebuild, Stop, Worker};

#[derive(Args)]
pub(crate) struct WorkerArgs {
    /// Address of the server
    #[arg(long, value_name = "URL", env = "REBUILDER_SERVER")]
    server: String,
    /// File that contains the token from "rebuilder serve token add" [default: systemd's credential "token"]
    #[arg(
        long,
        value_name = "FILE",
        env = "REBUILDER_TOKEN_FILE",
        hide_env_values = true
    )]
    token_file: Option<PathBuf>,
    /// Send the token unencrypted to a server on another machine
    #[arg(long)]
    plain_http: bool,
    /// Number of jobs at the same time
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=256))]
    jobs: u32,
    /// Time for which running jobs may continue after SIGTERM, in seconds; then they are given back. A second SIGTERM
    /// gives them back at once
    #[arg(long, value_name = "SECONDS", default_value_t = 3600)]
    drain: u32,
    /// Memory for all jobs together, in MiB [default: all]
    #[arg(long, value_name = "MIB", help_heading = "Resources")]
    offer_memory: Option<u32>,
    /// Disk space for all jobs together, in MiB [default: what is free now]
    #[arg(long, value_name = "MIB", help_heading = "Resources")]
    offer_disk: Option<u32>,
    /// Number of processors for all jobs together [default: all]
    #[arg(long, value_name = "COUNT", help_heading = "Resources")]
    offer_cores: Option<u32>,
    /// Exit when standard input is closed, which happens when the parent process exits
    #[arg(long, hide = true)]
    tied: bool,
    /// Options of "rebuilder rebuild" for each job, such as --policy FILE
    #[arg(last = true, value_name = "OPTIONS")]
    rebuild: Vec<OsString>,
    // At the end: a heading holds until the next one.
    #[command(flatten)]
    log: LogArgs,
}

pub(crate) async fn run(common: Common, args: WorkerArgs) -> Result<ExitCode, Failure> {
    if args.tied {
        child::end_with_stdin();
    }
    let options = common.options();
    let context = Context::open(common)?;
    let quiet = context.progress.is_silent();
    let _telemetry = args.log.start("rebuilder-worker", quiet, &context.progress)?;
    let token = token(args.token_file)?;
    let client = Client::new(&args.server, token.trim(), args.plain_http)?;
    let more = args.rebuild;
    // A wrong option is told now, and not by each job.
    let probe = Task::Rebuild {
        subject: "pypi:name==1".into(),
        attempts: None,
    };
    let words = words(&options, &more, &probe, Path::new("out")).map_err(Failure::usage)?;
    if let Err(error) = Cli::try_parse_from([OsString::from("rebuilder")].into_iter().chain(words)) {
        let reason = error.to_string();
        return Err(
            Failure::usage(format!("cannot use the options for each job: {}", reason.trim())).with_help(
                "after --, give options of \"rebuilder rebuild\" that do not name the subject, the \
            output or a key",
            ),
        );
    }
    let rebuild: Rebuild = Box::new(move |task, out| {
        let mut command = child::command().map_err(|failure| failure.message())?;
        command.args(self::words(&options, &more, task, out)?);
        Ok(command)
    });
    let machine = machine(&context);
    // What a worker leaves that is killed, the next one removes.
    let folder = PendingRun::new(&context.store)?;
    let worker = Worker {
        client,
        slots: args.jobs,
        offer: Resources {
            memory: args.offer_memory.map_or(machine.memory, i64::from),
            disk: args.offer_disk.map_or(machine.disk, i64::from),
            cores: args.offer_cores.map_or(machine.cores, i64::from),
        },
        folder: folder.path().to_owned(),
        drain: Duration::from_secs(u64::from(args.drain)),
        rebuild,
        progress: context.progress.clone(),
    };
    output::note(&format!("taking jobs from {}", args.server));
    worker.work(stop()?).await?;
    Ok(ExitCode::SUCCESS)
}

/// The words after `rebuilder` for one job.
fn words(common: &[OsString], more: &[OsString], task: &Task, out: &Path) -> Result<Vec<OsString>, String> {
    let Task::Rebuild { subject, attempts } = task else {
        return Err("this version does not support this kind of job".into());
    };
    // What a server says is a package, and never an option or a file.
    let subject: Subject = subject.parse().map_err(|error| format!("{error}"))?;
    let mut words: Vec<OsString> = common.to_vec();
    words.extend([
        "--json".into(),
        "--quiet".into(),
        "rebuild".into(),
        subject.purl().into(),
    ]);
    words.extend([
        "--out".into(),
        out.as_os_str().to_owned(),
        "--unsigned".into(),
        "--tied".into(),
    ]);
    if let Some(attempts) = attempts {
        words.extend(["--attempts".into(), attempts.to_string().into()]);
    }
    words.extend(more.iter().cloned());
    Ok(words)
}

fn token(file: Option<PathBuf>) -> Result<String, Failure> {
    let credential = || Some(Path::new(&std::env::var_os("CREDENTIALS_DIRECTORY")?).join("token"));
    let path = file.or_else(credential).ok_or_else(|| {
        Failure::usage("no token was given".into()).with_help(
            "\"rebuilder serve token add NAME\" on the server prints one; name its file with --token-file",
        )
    })?;
    let meta = std::fs::metadata(&path).map_err(StoreError::io("read", &path))?;
    if meta.permissions().mode() & 0o007 != 0 {
        let path = path.display();
        return Err(
            Failure::usage(format!("cannot use the token in {path}: every user can read it"))
                .with_help(format!("run \"chmod 600 {path}\"")),
        );
    }
    Ok(crate::bounded::read_text(&path, crate::bounded::SHORT).map_err(StoreError::io("read", &path))?)
}

/// The resources of this machine, in mebibytes and processors.
fn machine(context: &Context) -> Resources {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kibibytes = total.and_then(|rest| rest.split_whitespace().next()?.parse::<i64>().ok());
    Resources {
        memory: kibibytes.map_or(0, |kibibytes| kibibytes / 1024),
        disk: i64::try_from(context.store.free() >> 20).unwrap_or(i64::MAX),
        cores: std::thread::available_parallelism()
            .map_or(1, |cores| i64::try_from(cores.get()).unwrap_or(1)),
    }
}

/// Follows signals: the first one drains the worker, the second one ends it.
fn stop() -> Result<watch::Receiver<Stop>, Failure> {
    let (tell, told) = watch::channel(Stop::No);
    let failed = |error: std::io::Error| Failure::internal(format!("cannot wait for signals: {error}"));
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    tokio::spawn(async move {
        for stop in [Stop::Drain, Stop::Now] {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if stop == Stop::Drain {
                output::note("taking no more jobs; waiting for the running ones");
            }
            let _ = tell.send(stop);
        }
        // Held, so that the receiver goes on to see the last word.
        tell.closed().await;
    });
    Ok(told)
}
