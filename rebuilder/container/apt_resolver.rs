//! Asking Debian's own resolver, inside the sandbox, against the indexes that were verified outside it.
//!
//! apt sees the very index files whose digests are in the signed release files, has no network, and only
//! names files; their digests are then looked up in the same indexes, so nothing rests on what it prints.

use std::collections::{BTreeMap, BTreeSet};

use super::Root;
use crate::apt::AptError;
use crate::apt::{Binary, Indexes};
use crate::ledger::Work;
use crate::plan::{INPUTS, OUT, quote};
use crate::progress::Progress;
use crate::sandbox::embedded::{Embedded, QueryOutput};
use crate::sandbox::{Input, SandboxError};
use crate::store::{Blob, Fetcher};

/// Dependencies that cannot be resolved.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum ResolveError {
    #[error("apt cannot resolve {what}: {reason}")]
    #[diagnostic(help("a dependency was removed from the archive; use an older snapshot"))]
    Unsatisfied { what: String, reason: String },
    #[error(transparent)]
    #[diagnostic(transparent)]
    Apt(#[from] AptError),
    #[error(transparent)]
    #[diagnostic(transparent)]
    Sandbox(#[from] SandboxError),
}

/// apt, asked about one root and one set of indexes.
pub struct AptResolver<'a> {
    /// The root that it runs in, and whose installed packages count.
    pub root: &'a Root,
    /// What it may choose from.
    pub indexes: &'a Indexes,
    /// Where it runs.
    pub sandbox: &'a Embedded,
    /// The store behind it.
    pub fetcher: &'a Fetcher,
    /// Where progress goes.
    pub progress: &'a Progress,
}

impl AptResolver<'_> {
    /// What `apt-get install NAMES` would fetch.
    pub async fn install(&self, names: &[&str]) -> Result<Vec<Binary>, ResolveError> {
        let words: Vec<_> = names.iter().map(|name| quote(name)).collect();
        let command = format!("install {}", words.join(" "));
        self.ask(&command, &names.join(" "), Vec::new()).await
    }

    /// What `apt-get build-dep` would fetch for the source package of this `.dsc`.
    pub async fn build_dependencies(&self, source: &str, dsc: &Blob) -> Result<Vec<Binary>, ResolveError> {
        let input = Input {
            name: "package.dsc".into(),
            path: dsc.path.clone(),
        };
        self.ask(&format!("build-dep {INPUTS}/package.dsc"), source, vec![input])
            .await
    }

    async fn ask(
        &self,
        command: &str,
        what: &str,
        mut inputs: Vec<Input>,
    ) -> Result<Vec<Binary>, ResolveError> {
        let bar = self.progress.stage(format!("solving the dependencies of {what}"));
        inputs.extend(self.lists()?);
        let root = self.root.layers();
        let reply = self.sandbox.query(&root, inputs, script(command), &bar).await?;
        self.fetcher.ledger().ended(Work::Resolve, reply.took);
        if !reply.ended.succeeded() || reply.file("failed").is_some() {
            return Err(ResolveError::Unsatisfied {
                what: what.to_owned(),
                reason: reason(&reply),
            });
        }
        let paths = pool_paths(&reply.text("uris"), self.indexes);
        let found = self
            .indexes
            .binaries(|paragraph| paragraph.get("Filename").is_some_and(|path| paths.contains(path)))?;
        bar.finish_and_clear();
        let mut unique: BTreeMap<String, Binary> = BTreeMap::new();
        for binary in found {
            unique.entry(binary.path.clone()).or_insert(binary);
        }
        match paths.iter().find(|path| !unique.contains_key(*path)) {
            Some(path) => Err(ResolveError::Unsatisfied {
                what: what.to_owned(),
                reason: format!("it names {path}, which is in no verified index"),
            }),
            None => Ok(unique.into_values().collect()),
        }
    }

    /// The verified indexes under the names by which apt finds them, and the list of sources that has them.
    fn lists(&self) -> Result<Vec<Input>, SandboxError> {
        let mut inputs = Vec::new();
        let mut sources = String::new();
        for file in self.indexes.package_files() {
            let release = self.indexes.release(file.release);
            let base = release.bases.first().map_or("http://localhost", String::as_str);
            let base = base.split_once("://").map_or(base, |(_, rest)| rest);
            let (component, _) = file.path.split_once('/').unwrap_or((&file.path, ""));
            sources.push_str(&format!(
                "deb [trusted=yes] http://{base} {} {component}\n",
                release.suite
            ));
            // apt finds an index by a name made of its address.
            let path = file.path.trim_end_matches(".xz");
            let name = format!("{base}/dists/{}/{path}", release.suite)
                .replace('_', "%5f")
                .replace('/', "_");
            inputs.push(Input {
                name: format!("lists/{name}"),
                path: file.plain.clone(),
            });
        }
        inputs.push(Input {
            name: "sources.list".into(),
            path: self.fetcher.store().keep(sources.as_bytes())?.path,
        });
        Ok(inputs)
    }
}

fn script(command: &str) -> String {
    format!(
        "mkdir -p /tmp/lists/partial /var/cache/apt/archives/partial\n\
         ln -s {INPUTS}/lists/* /tmp/lists/\n\
         apt-get -y --print-uris --no-install-recommends --no-install-suggests --only-source \
         -o Dir::Etc::SourceList={INPUTS}/sources.list -o Dir::Etc::SourceParts=/dev/null -o Dir::State::Lists=/tmp/lists \
         -o APT::Sandbox::User=root -o Acquire::Languages=none {command} > {OUT}/uris 2> {OUT}/errors || touch {OUT}/failed\n"
    )
}

/// Why apt finds no solution: its lines that tell of packages, or the end of the log.
fn reason(reply: &QueryOutput) -> String {
    let errors = format!("{}{}", reply.text("errors"), reply.text("uris"));
    let telling: Vec<_> = errors
        .lines()
        .map(str::trim)
        .filter(|line| line.starts_with("E:") || line.contains("Depends:") || line.contains("but it"))
        .collect();
    if telling.is_empty() {
        reply.log()
    } else {
        telling.join("; ")
    }
}

/// The pool paths in the output of `apt-get --print-uris`: lines of `'URI' FILE SIZE DIGEST`.
fn pool_paths(text: &str, indexes: &Indexes) -> BTreeSet<String> {
    let bases: Vec<_> = indexes
        .releases
        .iter()
        .filter_map(|release| {
            release
                .bases
                .first()?
                .split_once("://")
                .map(|(_, rest)| format!("http://{rest}/"))
        })
        .collect();
    text.lines()
        .filter_map(|line| line.strip_prefix('\'')?.split_once('\'').map(|(uri, _)| uri))
        .filter_map(|uri| bases.iter().find_map(|base| uri.strip_prefix(base.as_str())))
        .map(|path| {
            path.replace("%2b", "+")
                .replace("%7e", "~")
                .replace("%3a", ":")
                .replace("%25", "%")
        })
        .collect()
}
