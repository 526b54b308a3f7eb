//! `rebuilder container …`: locks, builds, lists and enters the containers that builds run in.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand as Sub;
use serde_json::json;

use super::Context;
use super::failure::Failure;
use super::options::sandbox::BackendChoice;
use super::output;
use crate::container;
use crate::plan::{Limits, quote};
use crate::progress::ProgressBar;
use crate::sandbox::embedded::Embedded;
use crate::sandbox::{ExitReason, Input, Job, KeepMode, MachineView, Sandbox};
use crate::store::{StoreError, write_atomically};
use crate::text::plural;

#[derive(Sub)]
pub(crate) enum Command {
    /// Resolve a container's packages against today's signed archive, and write its lock
    Lock {
        /// Name of the definition, such as bookworm-build
        name: String,
        /// Folder to write NAME.lock to [default: the folder of --containers, or ./containers]
        #[arg(long, value_name = "DIR")]
        to: Option<PathBuf>,
    },
    /// Build a container's root from its lock, or reuse the existing one
    Build {
        /// Name of the definition, such as bookworm-build
        name: String,
        /// Rebuild it even if it exists
        #[arg(long)]
        again: bool,
    },
    /// Run a command in a container as a build is run: without the network or this machine's files, in a temporary
    /// layer
    Run(RunArgs),
    /// List the containers
    List,
}

/// What to run, and in which container.
#[derive(clap::Args)]
pub(crate) struct RunArgs {
    /// Name of the definition, such as bookworm-build
    name: String,
    /// Sandbox backend
    #[arg(long, value_enum, default_value_t = BackendChoice::Auto, help_heading = "Sandbox")]
    backend: BackendChoice,
    /// Folder for the files that the command leaves in /out; must be empty
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    out: Option<PathBuf>,
    /// File to make visible in /inputs; may be repeated
    #[arg(long, value_name = "FILE")]
    input: Vec<PathBuf>,
    /// Stop the command after this many seconds
    #[arg(
        long,
        value_name = "SECONDS",
        help_heading = "Sandbox",
        default_value_t = 3600
    )]
    timeout: u64,
    /// Print the exact bytes of the command's output, rather than show control and invisible characters as <U+001B> and
    /// so on
    #[arg(long, help_heading = "Output")]
    raw_log: bool,
    /// Record in FILE which process wrote, read, renamed or removed which file, as one JSON object per line
    #[arg(
        long,
        value_name = "FILE",
        help_heading = "Output",
        conflicts_with = "backend"
    )]
    trace: Option<PathBuf>,
    /// Command and its arguments
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

pub(crate) async fn run(context: &Context, command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Lock { name, to } => lock(context, &name, to).await?,
        Command::Build { name, again } => build(context, &name, again).await?,
        Command::Run(args) => return execute(context, &args).await,
        Command::List => list(context)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs one command; its exit status becomes this program's.
async fn execute(context: &Context, args: &RunArgs) -> Result<ExitCode, Failure> {
    let embedded = Embedded::new(&context.store)?;
    let backend: Box<dyn Sandbox> = match &args.trace {
        Some(events) => Box::new(embedded.traced(events)),
        None => args.backend.open(context, &embedded).await?,
    };
    let (_, root) = container::build(&args.name, context.workshop(&embedded)).await?;
    let scratch = context.store.scratch()?;
    let (log, layers) = (scratch.path().join("log"), root.layers());
    let wanted = args.out.as_deref();
    let outputs = wanted.map_or_else(|| scratch.path().join("out"), Path::to_owned);
    std::fs::create_dir_all(&outputs).map_err(StoreError::io("make the folder", &outputs))?;
    let words: Vec<_> = args.command.iter().map(|word| quote(word)).collect();
    let job = Job {
        root: &layers,
        inputs: args
            .input
            .iter()
            .map(|path| Input {
                name: file_name(path),
                path: path.clone(),
            })
            .collect(),
        script: format!("exec {}", words.join(" ")),
        env: [
            ("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
            ("LC_ALL", "C.UTF-8"),
            ("TZ", "UTC"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into(),
        hostname: "localhost".into(),
        umask: 0o022,
        limits: Limits {
            seconds: args.timeout,
            ..Limits::default()
        },
        view: MachineView::default(),
        keep: KeepMode::Outputs,
        outputs: &outputs,
        log: &log,
    };
    let outcome = backend.run(&job, &ProgressBar::hidden()).await;
    if let Ok(text) = std::fs::File::open(&log) {
        output::print_log(text, args.raw_log)?;
    }
    embedded.remove_now(scratch.path())?;
    match outcome?.ended {
        ExitReason::Exited(code) => Ok(ExitCode::from(u8::try_from(code).unwrap_or(1))),
        other => Err(Failure::inconclusive(format!("the command {other}"))),
    }
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

async fn lock(context: &Context, name: &str, to: Option<PathBuf>) -> Result<(), Failure> {
    let folder = to
        .or(context.catalog.folder().map(PathBuf::from))
        .unwrap_or_else(|| "containers".into());
    // Before the archive is resolved, which takes minutes.
    std::fs::create_dir_all(&folder).map_err(|error| {
        Failure::usage(format!("cannot create the folder {}: {error}", folder.display()))
            .with_help("name a folder that you can write to with --to")
    })?;
    let sandbox = Embedded::new(&context.store)?;
    let lock = container::lock(name, context.workshop(&sandbox)).await?;
    let path = folder.join(format!("{name}.lock"));
    write_atomically(
        &path,
        lock.to_toml(name)
            .map_err(|error| Failure::internal(format!("cannot write the lock of {name}: {error}")))?
            .as_bytes(),
    )?;
    if context.json {
        output::print_json(
            &json!({"path": path, "packages": lock.packages.len(), "tree": lock.tree, "digest": lock.digest()}),
        )
    } else {
        let mut screen = output::screen();
        screen.say(format_args!(
            "{}: {}, tree sha256:{}",
            path.display(),
            plural(lock.packages.len(), "package"),
            lock.tree
        ));
        output::print(&screen)
    }
}

async fn build(context: &Context, name: &str, again: bool) -> Result<(), Failure> {
    let sandbox = Embedded::new(&context.store)?;
    if again {
        let lock = context.catalog.lock(name)?;
        sandbox.remove_now(&context.store.root(lock.digest()))?;
    }
    let (lock, root) = container::build(name, context.workshop(&sandbox)).await?;
    if context.json {
        output::print_json(
            &json!({"name": name, "lock": root.lock, "tree": root.contents.digest, "packages": lock.packages.len(),
                   "entries": root.contents.entries, "bytes": root.contents.bytes, "path": root.path}),
        )
    } else {
        let mut screen = output::screen();
        screen.say(format_args!("{name}: tree sha256:{}", root.contents.digest));
        screen.say(format_args!(
            "  {}, {}, {} MB",
            plural(lock.packages.len(), "package"),
            plural(root.contents.entries, "entry"),
            root.contents.bytes / 1_000_000
        ));
        screen.say(format_args!("  {}", root.path.display()));
        output::print(&screen)
    }
}

fn list(context: &Context) -> Result<(), Failure> {
    let describe = |name: &String| {
        let definition = context.catalog.definition(name).ok()?;
        let lock = context.catalog.lock(name).ok();
        let made = lock
            .as_ref()
            .is_some_and(|lock| container::is_made(&context.store, lock));
        Some((
            name.clone(),
            definition.description,
            lock.map(|lock| lock.packages.len()),
            made,
        ))
    };
    let known: Vec<_> = context.catalog.names().iter().filter_map(describe).collect();
    if context.json {
        let rows: Vec<_> = known
            .iter()
            .map(|(name, description, packages, made)| json!({"name": name, "description": description, "packages": packages, "made": made}))
            .collect();
        return output::print_json(&rows);
    }
    let mut screen = output::screen();
    for (name, description, packages, made) in known {
        let state = match (packages, made) {
            (None, _) => "not locked".to_owned(),
            (Some(count), false) => format!("{}, not built", plural(count, "package")),
            (Some(count), true) => format!("{}, built", plural(count, "package")),
        };
        screen.say(format_args!("{name}  {description}  ({state})"));
    }
    output::print(&screen)
}
