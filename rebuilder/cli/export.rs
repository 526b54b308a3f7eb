//! `rebuilder export …`: signed runs in the layouts that other projects' readers expect.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::json;

use super::failure::Failure;
use super::{Common, output};
use crate::attest;
use crate::run::RunFolder;
use crate::store::Store;

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Copy OSS Rebuild's statements of runs into the folders of its bucket
    OssRebuild(OssRebuildArgs),
}

#[derive(Args)]
pub(crate) struct OssRebuildArgs {
    /// Folder for ECOSYSTEM/PACKAGE/VERSION/ARTIFACT/rebuild.intoto.jsonl
    folder: PathBuf,
    /// Folder of a run that was signed with --predicate oss-rebuild; may be repeated [default: all such runs in the store]
    #[arg(long, value_name = "DIR")]
    run: Vec<PathBuf>,
}

pub(crate) fn run(common: Common, command: &Command) -> Result<ExitCode, Failure> {
    let Command::OssRebuild(args) = command;
    let files = if args.run.is_empty() {
        let store = Store::open(common.store)?;
        let mut runs = store.finished_runs();
        runs.retain(|run| run.oss_rebuild().is_dir());
        attest::lay_out(&store.runs(), &runs, &args.folder)?
    } else {
        let runs: Vec<_> = args.run.iter().map(|path| RunFolder::new(path)).collect();
        let first = args.run.first().map_or(&args.folder, |path| path);
        attest::lay_out(first, &runs, &args.folder)?
    };
    if common.json {
        output::print_json(&json!({"version": 1, "files": files}))?;
    } else {
        let mut screen = output::screen();
        for file in &files {
            screen.say(file.display());
        }
        output::print(&screen)?;
    }
    Ok(ExitCode::SUCCESS)
}
