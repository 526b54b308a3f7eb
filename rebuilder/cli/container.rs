//! `rebuilder container …`

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand as Sub;
use serde_json::json;

use super::Context;
use super::failure::Failure;
use crate::container;
use crate::sandbox::embedded::Embedded;
use crate::store::write_atomically;

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
    /// List known containers
    List,
}

pub(crate) async fn run(context: &Context, command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Lock { name, to } => lock(context, &name, to).await?,
        Command::Build { name, again } => build(context, &name, again).await?,
        Command::List => list(context),
    }
    Ok(ExitCode::SUCCESS)
}

async fn lock(context: &Context, name: &str, to: Option<PathBuf>) -> Result<(), Failure> {
    let sandbox = Embedded::new(&context.store)?;
    let lock = container::lock(name, &context.catalog, &context.fetcher, &sandbox, &context.progress).await?;
    let folder = to.or(context.catalog.folder().map(PathBuf::from)).unwrap_or_else(|| "containers".into());
    let path = folder.join(format!("{name}.lock"));
    write_atomically(&path, lock.to_toml(name)?.as_bytes())?;
    if context.json {
        println!("{}", json!({"path": path, "packages": lock.packages.len(), "tree": lock.tree, "digest": lock.digest()}));
    } else {
        println!("{}: {} packages, tree sha256:{}", path.display(), lock.packages.len(), lock.tree);
    }
    Ok(())
}

async fn build(context: &Context, name: &str, again: bool) -> Result<(), Failure> {
    let sandbox = Embedded::new(&context.store)?;
    if again {
        let lock = context.catalog.lock(name)?;
        sandbox.remove_now(&context.store.root(lock.digest()))?;
    }
    let (lock, root) = container::build(name, &context.catalog, &context.fetcher, &sandbox, &context.progress).await?;
    if context.json {
        println!(
            "{}",
            json!({"name": name, "lock": root.lock, "tree": root.contents.digest, "packages": lock.packages.len(),
                   "entries": root.contents.entries, "bytes": root.contents.bytes, "path": root.path})
        );
    } else {
        println!("{name}: tree sha256:{}", root.contents.digest);
        println!("  {} packages, {} entries, {} MB", lock.packages.len(), root.contents.entries, root.contents.bytes / 1_000_000);
        println!("  {}", root.path.display());
    }
    Ok(())
}

fn list(context: &Context) {
    let describe = |name: &String| {
        let definition = context.catalog.definition(name).ok()?;
        let lock = context.catalog.lock(name).ok();
        let made = lock.as_ref().is_some_and(|lock| context.store.root(lock.digest()).join("receipt.json").exists());
        Some((name.clone(), definition.description, lock.map(|lock| lock.packages.len()), made))
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
