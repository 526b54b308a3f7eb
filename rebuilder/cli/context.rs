//! What every command works with: the options of all commands, and what is opened from them.

use std::path::PathBuf;

use clap::Args;

use super::failure::Failure;
use crate::container::{Catalog, Workshop};
use crate::progress::Progress;
use crate::sandbox::embedded::Embedded;
use crate::store::{AllowedHost, Fetcher, GitMirror, MirrorMap, Store};

/// Options of every command.
#[derive(Args, Clone)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Common {
    /// Folder for fetched files, roots and scratch space [default: $XDG_DATA_HOME/rebuilder]
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        env = "REBUILDER_STORE",
        hide_env_values = true
    )]
    pub(super) store: Option<PathBuf>,
    /// Folder with container definitions and locks, searched before the built-in ones
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        env = "REBUILDER_CONTAINERS",
        hide_env_values = true
    )]
    pub(super) containers: Option<PathBuf>,
    /// Fetch addresses that begin with PREFIX from URL instead (http, https or file; docker for images); may be
    /// repeated
    #[arg(
        long,
        global = true,
        value_name = "PREFIX=URL",
        env = "REBUILDER_MIRROR",
        hide_env_values = true,
        value_delimiter = ' '
    )]
    pub(super) mirror: Vec<MirrorMap>,
    /// Fetch git repositories whose address begins with PREFIX from PLACE instead (a folder or URL); may be repeated
    #[arg(
        long,
        global = true,
        value_name = "PREFIX=PLACE",
        env = "REBUILDER_GIT_MIRROR",
        hide_env_values = true,
        value_delimiter = ' '
    )]
    pub(super) git_mirror: Vec<GitMirror>,
    /// Allow addresses in indexes, lock files and provenance to point to HOST even if it is not public; may be repeated
    #[arg(
        long,
        global = true,
        value_name = "HOST[:PORT]",
        env = "REBUILDER_ALLOW_HOST",
        hide_env_values = true,
        value_delimiter = ' '
    )]
    pub(super) allow_host: Vec<AllowedHost>,
    /// Use only what is in the store, never the network
    #[arg(long, global = true)]
    pub(super) offline: bool,
    /// Show no progress, only results and errors
    #[arg(short, long, global = true)]
    pub(super) quiet: bool,
    /// Print one JSON document on stdout (docs/schema/ describes it)
    #[arg(long, global = true)]
    pub(super) json: bool,
}

impl Common {
    /// The same options for a child process of this program, except for those about printing.
    pub(super) fn options(&self) -> Vec<std::ffi::OsString> {
        let mut options: Vec<std::ffi::OsString> = Vec::new();
        let folders = [("--store", &self.store), ("--containers", &self.containers)];
        for (name, folder) in folders {
            if let Some(folder) = folder {
                options.extend([name.into(), folder.into()]);
            }
        }
        let mut repeated = |name: &str, values: Vec<String>| {
            options.extend(values.into_iter().flat_map(|value| [name.into(), value.into()]));
        };
        repeated("--mirror", self.mirror.iter().map(ToString::to_string).collect());
        repeated(
            "--git-mirror",
            self.git_mirror.iter().map(ToString::to_string).collect(),
        );
        repeated(
            "--allow-host",
            self.allow_host.iter().map(ToString::to_string).collect(),
        );
        if self.offline {
            options.push("--offline".into());
        }
        options
    }
}

/// The resources that commands use, opened from the common options.
pub(crate) struct Context {
    pub store: Store,
    pub fetcher: Fetcher,
    pub catalog: Catalog,
    pub progress: Progress,
    pub json: bool,
}

impl Context {
    /// The tools that planning and running need.
    pub(super) fn workshop<'a>(&'a self, sandbox: &'a Embedded) -> Workshop<'a> {
        Workshop {
            fetcher: &self.fetcher,
            catalog: &self.catalog,
            sandbox,
            progress: &self.progress,
        }
    }

    /// Opens the store, and what fetches into it.
    pub(super) fn open(common: Common) -> Result<Self, Failure> {
        let progress = Progress::new(common.quiet);
        let store = Store::open(common.store)?;
        let fetcher = Fetcher::new(&store, common.mirror, common.offline, progress.clone())
            .with_git_mirrors(common.git_mirror)
            .with_allowed_hosts(common.allow_host);
        Ok(Self {
            store,
            fetcher,
            catalog: Catalog::new(common.containers),
            progress,
            json: common.json,
        })
    }
}
