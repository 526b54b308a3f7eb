//! The command line: parses, calls, prints.
//!
//! Each command has a file or a folder of its name; `run` is the table of them. `context` has the options of all
//! commands, `options` those that several share. `output` prints every result, `failure` ends every failed command.

#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

mod audit;
mod child;
mod compare;
mod container;
mod context;
mod doctor;
mod evidence;
mod export;
mod failure;
mod gate;
mod inspect;
mod interrupt;
mod key;
mod log;
#[cfg(test)]
mod named;
mod options;
mod output;
mod plan;
mod prove;
mod queue;
mod rebuild;
mod serve;
mod signing;
mod store;
mod suggest;
mod verify;
mod worker;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

use crate::progress::Progress;
use crate::text;
pub(crate) use context::{Common, Context};
use failure::{Code, Failure};
#[doc(hidden)]
pub use gate::READERS;

const EXAMPLES: &str = "\
Examples:
  rebuilder rebuild deb:base-files                    rebuild a Debian package, current version
  rebuilder rebuild deb:jq --out jq-run               keep plan, log, outputs and report in ./jq-run
  rebuilder rebuild pypi:idna==3.10                   rebuild a wheel from its sdist
  rebuilder rebuild tool --provenance FILE --recipe rust-cargo
                                                      rebuild a file from its SLSA provenance
  rebuilder inspect tool --provenance FILE            verify and explain the evidence only
  rebuilder prove                                     find what the build in this folder depends on
  rebuilder plan pypi:idna==3.10 --out plan.json      stop after planning
  rebuilder rebuild --plan plan.json --offline        replay a plan from the store
  rebuilder verify app.tar.gz --attestation DIR --policy quorum.toml
                                                      check that independent parties agree on a file
  rebuilder gate wheel *.whl --policy quorum.toml     check whether these may be installed
  rebuilder audit run list.txt --jobs 2               rebuild a list of packages, resumable
  rebuilder compare released.deb rebuilt.deb          show where and why two files differ
  rebuilder doctor                                    check what works on this machine

Exit codes:
  0 reproduced   1 not reproduced   2 usage or configuration   3 refused before building
  4 inconclusive (inputs unavailable, build failed, timed out)   5 a public log forked or shrank
  6 a package regressed   70 internal error   130 interrupted   143 terminated";

/// Rebuild released packages from pinned inputs, compare the bytes and sign the verdict.
#[derive(Parser)]
#[command(name = "rebuilder", version, max_term_width = 100, after_help = EXAMPLES)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Rebuild a released artifact, compare it and sign the verdict
    Rebuild(Box<rebuild::RebuildArgs>),
    /// Find what a project's build depends on, before a release
    Prove(Box<prove::ProveArgs>),
    /// Rebuild many packages, and report which are reproduced and why the others are not
    #[command(subcommand)]
    Audit(audit::Command),
    /// Verify the evidence for an artifact and pin every input of its rebuild
    Plan(plan::PlanArgs),
    /// Verify and explain the evidence for released files, without building
    Inspect(inspect::InspectArgs),
    /// Show where and why two files or folders differ
    Compare(compare::CompareArgs),
    /// Compare several parties' attestations of a file and check a quorum
    Verify(verify::VerifyArgs),
    /// Check packages against a quorum before they are installed
    #[command(subcommand)]
    Gate(gate::Command),
    /// Export the evidence for a rebuild as one archive, or check such an archive
    #[command(subcommand)]
    Evidence(evidence::Command),
    /// Write signed runs in the layout that another project's readers expect
    #[command(subcommand)]
    Export(export::Command),
    /// Check a saved run and sign its verdict
    Attest(signing::AttestArgs),
    /// Run the service that checks and signs the runs of workers, and that alone can use the key
    Signer(signing::SignerArgs),
    /// Run the server that gives jobs to workers and receives their runs
    Serve(serve::ServeArgs),
    /// Take jobs from a server, rebuild, and send the runs back
    Worker(worker::WorkerArgs),
    /// Queue jobs for workers, and show their results
    Queue(queue::QueueArgs),
    /// Check a log of signatures, or publish, prove, watch or withdraw its entries
    #[command(subcommand)]
    Log(log::Command),
    /// Create, list, rotate and revoke signing keys
    #[command(subcommand)]
    Key(key::Command),
    /// Lock, build, list and use the containers that builds run in
    #[command(subcommand)]
    Container(container::Command),
    /// Locate and check the store of fetched files
    #[command(subcommand)]
    Store(store::Command),
    /// Check which sandbox backends work here, and how to fix those that do not
    Doctor,
    /// Print shell completions
    Completions {
        /// Shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    #[command(hide = true)]
    Man,
}

/// Runs the command that the arguments name.
pub fn main() -> ExitCode {
    std::panic::set_hook(Box::new(|panic| {
        output::note(&format!("internal error: {panic}"));
    }));
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    let json = cli.common.json;
    // An install hook does not wait for what only builds need.
    if let Command::Gate(command) = &cli.command {
        return gate::run(&cli.common, command).unwrap_or_else(|failure| failure.report(json));
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            return Failure::internal(format!("cannot start the async runtime: {error}")).report(false);
        }
    };
    let store = cli.common.store.clone();
    // Services end in their own way: they finish what they have begun.
    let own_end = matches!(&cli.command, Command::Worker(_) | Command::Signer(_))
        || matches!(&cli.command, Command::Serve(args) if args.serves());
    let listened = (!own_end).then(|| interrupt::listen(json));
    let signal = async {
        match listened {
            Some(signal) => signal.await,
            None => std::future::pending().await,
        }
    };
    // On a worker thread: a helper process dies with the thread that started it, and this thread lives to the end.
    let outcome = runtime.block_on(async {
        let mut work = tokio::spawn(run(cli));
        tokio::select! {
            done = &mut work => {
                Some(done.unwrap_or_else(|error| Err(Failure::internal(format!("internal error: task panicked: {error}")))))
            }
            () = signal => {
                // Waiting work is dropped together with its build; computing work gets some time to see the signal.
                work.abort();
                let _ = tokio::time::timeout(interrupt::FOR_WORK, work).await;
                None
            }
        }
    });
    match outcome {
        Some(Ok(code)) => interrupt::finish(runtime, code),
        // An end that a signal caused is reported as such.
        Some(Err(failure)) if interrupt::code().is_none() => {
            let code = failure.report(json);
            interrupt::finish(runtime, code)
        }
        _ => {
            // Ends all running work first, so that only files are left to sweep. Threads that compute are not waited for.
            runtime.shutdown_timeout(interrupt::FOR_THREADS);
            interrupt::clean(store);
            interrupt::end(json)
        }
    }
}

/// Prints help as clap makes it. An error repeats arguments, which may be names of files that others chose.
fn usage(error: &clap::Error) -> ExitCode {
    let code = ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(Code::Usage as u8));
    let help = error.kind() == clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand;
    if help || !error.use_stderr() {
        // It is not an error if the reader closed the pipe early.
        let _ = error.print();
        return code;
    }
    // Clap removes control codes when it writes without colour; in its error about visible arguments all are kept.
    let visible = std::env::args_os().map(|word| text::visible(&word.to_string_lossy()).into_owned());
    let again = Cli::try_parse_from(visible).err();
    let text = again.as_ref().unwrap_or(error).render().to_string();
    output::error(text.strip_prefix("error: ").unwrap_or(&text), None);
    code
}

async fn run(cli: Cli) -> Result<ExitCode, Failure> {
    match cli.command {
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "rebuilder", &mut script);
            output::print_own(&script)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Man => {
            let mut page = Vec::new();
            clap_mangen::Man::new(Cli::command())
                .render(&mut page)
                .map_err(|error| Failure::internal(error.to_string()))?;
            output::print_own(&page)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Gate(command) => gate::run(&cli.common, &command),
        Command::Key(command) => key::run(&cli.common, &command),
        Command::Verify(args) => verify::verify(cli.common, args).await,
        Command::Evidence(command) => evidence::run(cli.common, command),
        Command::Export(command) => export::run(cli.common, &command),
        Command::Attest(args) => signing::attest(&args, cli.common.json).await,
        Command::Signer(args) => signing::sign(cli.common, args).await,
        Command::Log(command) => log::run(cli.common, command).await,
        Command::Serve(args) => Box::pin(serve::run(cli.common, args)).await,
        Command::Worker(args) => worker::run(cli.common, args).await,
        Command::Queue(args) => queue::run(&Context::open(cli.common)?, args).await,
        Command::Rebuild(args) => rebuild::rebuild(&Context::open(cli.common)?, *args).await,
        Command::Prove(args) => prove::run(&Context::open(cli.common)?, *args).await,
        Command::Audit(command) => Box::pin(audit::run(&Context::open(cli.common)?, command)).await,
        Command::Plan(args) => plan::plan(&Context::open(cli.common)?, args).await,
        Command::Compare(args) => {
            let (json, progress) = (cli.common.json, Progress::new(cli.common.quiet));
            // It computes and reads the disk, so it runs on a blocking thread.
            tokio::task::spawn_blocking(move || compare::run(&args, json, &progress))
                .await
                .unwrap_or_else(|error| {
                    Err(Failure::internal(format!(
                        "internal error: task panicked: {error}"
                    )))
                })
        }
        Command::Inspect(args) => inspect::inspect(&Context::open(cli.common)?, args).await,
        Command::Container(command) => container::run(&Context::open(cli.common)?, command).await,
        Command::Store(command) => store::run(&Context::open(cli.common)?, &command),
        Command::Doctor => doctor::run(&Context::open(cli.common)?).await,
    }
}

/// `$XDG_CONFIG_HOME/rebuilder`.
pub(crate) fn config_folder() -> Result<PathBuf, Failure> {
    use etcetera::BaseStrategy as _;
    etcetera::base_strategy::Xdg::new()
        .map(|places| places.config_dir().join("rebuilder"))
        .map_err(|_| Failure::usage("cannot determine the home directory; set XDG_CONFIG_HOME".into()))
}

/// Exit status for a verdict.
pub(crate) fn exit_code(verdict: &crate::run::Verdict, allow_equivalent: bool) -> ExitCode {
    use crate::run::Verdict;
    match verdict {
        Verdict::Reproduced => ExitCode::SUCCESS,
        Verdict::Equivalent if allow_equivalent => ExitCode::SUCCESS,
        Verdict::Equivalent | Verdict::Mismatch | Verdict::NotReproduced => ExitCode::from(1),
        Verdict::Inconclusive { .. } => ExitCode::from(Code::Inconclusive as u8),
    }
}
