//! `rebuilder container …`

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand as Sub;
use serde_json::json;

use super::failure::Failure;
use super::{BackendChoice, Context};
use crate::container;
use crate::sandbox::embedded::Embedded;
use crate::sandbox::{Ended, Input, Job, Keep, Limits, quote};
use crate::store::{StoreError, write_atomically};

#[derive(Sub)]
pub(crate) enum Command {
    /// Resolve a container's packages against the signed archive of today, and write its lock
    Lock {
        /// Name of the definition, such as bookworm-build
        name: String,
        /// Folder to write NAME.lock to [default: the folder of --containers, else ./containers]
        #[arg(long, value_name = "DIR")]
        to: Option<PathBuf>,
    },
    /// Make a container's root from its lock, or find it made
    Build {
        /// Name of the definition, such as bookworm-build
        name: String,
        /// Make it again even where it is there
        #[arg(long)]
        again: bool,
    },
    /// Run a command in a container as a build would: no network, throw-away layer, nothing of this machine
    Run {
        /// Name of the definition, such as bookworm-build
        name: String,
        /// What runs it
        #[arg(long, value_enum, default_value_t = BackendChoice::Auto)]
        backend: BackendChoice,
        /// Folder for what the command leaves in /out; must be empty
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
        /// Files to show at /inputs
        #[arg(long, value_name = "FILE")]
        input: Vec<PathBuf>,
        /// Stop it after this many seconds
        #[arg(long, value_name = "SECONDS", default_value_t = 3600)]
        timeout: u64,
        /// The command and its arguments
        #[arg(last = true, required = true)]
        command: Vec<String>,
    },
    /// List known containers
    List,
}

pub(crate) async fn run(context: &Context, command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Lock { name, to } => lock(context, &name, to).await?,
        Command::Build { name, again } => build(context, &name, again).await?,
        Command::Run {
            name,
            backend,
            out,
            input,
            timeout,
            command,
        } => {
            return execute(context, &name, backend, out, &input, timeout, &command).await;
        }
        Command::List => list(context),
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs one command; its exit status becomes ours.
async fn execute(
    context: &Context,
    name: &str,
    backend: BackendChoice,
    out: Option<PathBuf>,
    inputs: &[PathBuf],
    timeout: u64,
    command: &[String],
) -> Result<ExitCode, Failure> {
    let embedded = Embedded::new(&context.store)?;
    let backend = backend.open(context, &embedded).await?;
    let (_, root) = container::build(
        name,
        &context.catalog,
        &context.fetcher,
        &embedded,
        &context.progress,
    )
    .await?;
    let scratch = context.store.scratch()?;
    let (log, layers) = (scratch.path().join("log"), root.layers());
    let outputs = out.unwrap_or_else(|| scratch.path().join("out"));
    std::fs::create_dir_all(&outputs).map_err(StoreError::io("make the folder", &outputs))?;
    let words: Vec<_> = command.iter().map(|word| quote(word)).collect();
    let job = Job {
        root: &layers,
        inputs: inputs
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
            seconds: timeout,
            ..Limits::default()
        },
        keep: Keep::Outputs,
        outputs: &outputs,
        log: &log,
    };
    let outcome = backend.run(&job, &indicatif::ProgressBar::hidden()).await;
    if let Ok(mut text) = std::fs::File::open(&log) {
        // A reader that went away early is no error.
        let _ = std::io::copy(&mut text, &mut std::io::stdout());
    }
    embedded.remove_now(scratch.path())?;
    match outcome?.ended {
        Ended::Exited(code) => Ok(ExitCode::from(u8::try_from(code).unwrap_or(1))),
        other => Err(Failure::inconclusive(format!("the command {other}"))),
    }
}

fn file_name(path: &std::path::Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

async fn lock(context: &Context, name: &str, to: Option<PathBuf>) -> Result<(), Failure> {
    let sandbox = Embedded::new(&context.store)?;
    let lock = container::lock(
        name,
        &context.catalog,
        &context.fetcher,
        &sandbox,
        &context.progress,
    )
    .await?;
    let folder = to
        .or(context.catalog.folder().map(PathBuf::from))
        .unwrap_or_else(|| "containers".into());
    let path = folder.join(format!("{name}.lock"));
    write_atomically(&path, lock.to_toml(name)?.as_bytes())?;
    if context.json {
        println!(
            "{}",
            json!({"path": path, "packages": lock.packages.len(), "tree": lock.tree, "digest": lock.digest()})
        );
    } else {
        println!(
            "{}: {} packages, tree sha256:{}",
            path.display(),
            lock.packages.len(),
            lock.tree
        );
    }
    Ok(())
}

async fn build(context: &Context, name: &str, again: bool) -> Result<(), Failure> {
    let sandbox = Embedded::new(&context.store)?;
    if again {
        let lock = context.catalog.lock(name)?;
        sandbox.remove_now(&context.store.root(lock.digest()))?;
    }
    let (lock, root) = container::build(
        name,
        &context.catalog,
        &context.fetcher,
        &sandbox,
        &context.progress,
    )
    .await?;
    if context.json {
        println!(
            "{}",
            json!({"name": name, "lock": root.lock, "tree": root.contents.digest, "packages": lock.packages.len(),
                   "entries": root.contents.entries, "bytes": root.contents.bytes, "path": root.path})
        );
    } else {
        println!("{name}: tree sha256:{}", root.contents.digest);
        println!(
            "  {} packages, {} entries, {} MB",
            lock.packages.len(),
            root.contents.entries,
            root.contents.bytes / 1_000_000
        );
        println!("  {}", root.path.display());
    }
    Ok(())
}

fn list(context: &Context) {
    let describe = |name: &String| {
        let definition = context.catalog.definition(name).ok()?;
        let lock = context.catalog.lock(name).ok();
        let made = lock
            .as_ref()
            .is_some_and(|lock| context.store.root(lock.digest()).join("receipt.json").exists());
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
        println!("{}", json!(rows));
        return;
    }
    for (name, description, packages, made) in known {
        let state = match (packages, made) {
            (None, _) => "not locked".to_owned(),
            (Some(count), false) => format!("{count} packages, not made yet"),
            (Some(count), true) => format!("{count} packages, made"),
        };
        println!("{name}  {description}  ({state})");
    }
}
