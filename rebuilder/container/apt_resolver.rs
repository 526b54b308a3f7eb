//! Asks Debian's own resolver, inside the sandbox, with the indexes that were verified outside it.
//!
//! apt reads the very index files whose digests are in the signed release files, has no network, and only names files.
//! Their digests are then looked up in the same indexes, so nothing depends on what apt prints. The same question
//! about the same root and indexes has the same answer, so answers are kept.

use std::collections::{BTreeMap, BTreeSet};

use super::Root;
use crate::apt::{AptError, Binary, Indexes};
use crate::artifact::Sha256;
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

/// A resolver that asks apt about one root and one set of indexes.
pub struct AptResolver<'a> {
    /// The root that apt runs in, and whose installed packages count.
    pub root: &'a Root,
    /// The packages that apt may choose from.
    pub indexes: &'a Indexes,
    /// The sandbox that apt runs in.
    pub sandbox: &'a Embedded,
    /// The fetcher, and the store behind it.
    pub fetcher: &'a Fetcher,
    /// Where progress goes.
    pub progress: &'a Progress,
}

/// A version of a binary package that must be used even if there is a newer one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pin {
    /// Name of the binary package.
    pub package: String,
    /// Its version.
    pub version: String,
    /// Whether the root has another version, which must be replaced.
    pub replaces: bool,
}

/// The whole question to apt: everything that the answer depends on.
struct Question {
    script: String,
    sources: String,
    preferences: String,
    /// Name and digest of each file that apt reads besides the indexes.
    files: Vec<(String, Sha256)>,
}

/// Changed if another version of this program would read another answer out of apt's output.
const FORM: u32 = 1;

impl Question {
    /// The digest that names the answer; `indexes` are the digests of the binary indexes, in their order.
    fn key(&self, root: Sha256, indexes: impl Iterator<Item = Sha256>) -> Sha256 {
        let mut text = format!("apt {FORM}\n{root}\n");
        for digest in indexes {
            text.push_str(&format!("{digest}\n"));
        }
        for (name, digest) in &self.files {
            text.push_str(&format!("{name} {digest}\n"));
        }
        for part in [&self.script, &self.sources, &self.preferences] {
            text.push_str(&format!("{}\n", Sha256::of(part)));
        }
        Sha256::of(text)
    }
}

impl AptResolver<'_> {
    /// What `apt-get install NAMES` would fetch.
    pub async fn install(&self, names: &[&str]) -> Result<Vec<Binary>, ResolveError> {
        let words: Vec<_> = names.iter().map(|name| quote(name)).collect();
        // A name that begins with a dash is not an option.
        let command = format!("install -- {}", words.join(" "));
        self.ask(&[command], &names.join(" "), None, &[]).await
    }

    /// What `apt-get build-dep` would fetch for the source package of this `.dsc` if some versions are pinned, and the
    /// pinned versions that replace others in the root.
    pub async fn build_dependencies(
        &self,
        source: &str,
        dsc: &Blob,
        pins: &[Pin],
    ) -> Result<Vec<Binary>, ResolveError> {
        let mut commands = vec![format!("build-dep {INPUTS}/{DSC}")];
        let replaced: Vec<_> = pins
            .iter()
            .filter(|pin| pin.replaces)
            .map(|pin| quote(&format!("{}={}", pin.package, pin.version)))
            .collect();
        if !replaced.is_empty() {
            commands.push(format!("install -- {}", replaced.join(" ")));
        }
        self.ask(&commands, source, Some(dsc), pins).await
    }

    async fn ask(
        &self,
        commands: &[String],
        what: &str,
        dsc: Option<&Blob>,
        pins: &[Pin],
    ) -> Result<Vec<Binary>, ResolveError> {
        let question = Question {
            script: script(commands),
            sources: self.sources(),
            preferences: preferences(pins),
            files: dsc.iter().map(|dsc| (DSC.to_owned(), dsc.sha256)).collect(),
        };
        let store = self.fetcher.store();
        let indexes = self.indexes.package_files().iter();
        let key = question.key(self.root.contents.digest, indexes.map(|index| index.file.sha256));
        let known = store.derived(key).and_then(|bytes| String::from_utf8(bytes).ok());
        let paths = if let Some(known) = known {
            known.lines().map(str::to_owned).collect()
        } else {
            let paths = self.answer(&question, what, dsc).await?;
            let lines: Vec<_> = paths.iter().map(String::as_str).collect();
            store
                .keep_derived(key, lines.join("\n").as_bytes())
                .map_err(AptError::from)?;
            paths
        };
        let found = self.indexes.binaries(|row| paths.contains(row.path))?;
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

    /// The pool paths that apt names.
    async fn answer(
        &self,
        question: &Question,
        what: &str,
        dsc: Option<&Blob>,
    ) -> Result<BTreeSet<String>, ResolveError> {
        let bar = self.progress.stage(format!("solving the dependencies of {what}"));
        let mut inputs = self.lists().await?;
        let store = self.fetcher.store();
        for (name, text) in [
            ("sources.list", &question.sources),
            ("preferences", &question.preferences),
        ] {
            inputs.push(Input {
                name: name.into(),
                path: store.keep(text.as_bytes()).map_err(AptError::from)?.path,
            });
        }
        inputs.extend(dsc.map(|dsc| Input {
            name: DSC.into(),
            path: dsc.path.clone(),
        }));
        let root = self.root.layers();
        let asked = self.sandbox.query(&root, inputs, question.script.clone(), &bar);
        let reply = asked.await?;
        self.fetcher.ledger().ended(Work::Resolve, reply.took);
        if !reply.ended.succeeded() || reply.file("failed").is_some() {
            return Err(ResolveError::Unsatisfied {
                what: what.to_owned(),
                reason: reason(&reply),
            });
        }
        bar.finish_and_clear();
        Ok(pool_paths(&reply.text("uris"), self.indexes))
    }

    /// Base address, suite, component and path of each verified index; the base address has no scheme.
    fn places(&self) -> impl Iterator<Item = (&str, &str, &str, &str)> {
        self.indexes.package_files().iter().map(|file| {
            let release = self.indexes.release(file.release);
            let base = release.bases.first().map_or("http://localhost", String::as_str);
            let base = base.split_once("://").map_or(base, |(_, rest)| rest);
            let (component, _) = file.path.split_once('/').unwrap_or((&file.path, ""));
            (base, release.suite.as_str(), component, file.path.as_str())
        })
    }

    /// A `sources.list` that names the verified indexes.
    fn sources(&self) -> String {
        let lines = self.places().map(|(base, suite, component, _)| {
            format!("deb [trusted=yes] http://{base} {suite} {component}\n")
        });
        lines.collect()
    }

    /// The verified indexes under the file names that apt derives from their addresses.
    async fn lists(&self) -> Result<Vec<Input>, ResolveError> {
        let plain = self.indexes.plain(self.fetcher).await?;
        let named = self.places().zip(plain).map(|((base, suite, _, path), plain)| {
            let path = path.trim_end_matches(".xz");
            let name = format!("{base}/dists/{suite}/{path}")
                .replace('_', "%5f")
                .replace('/', "_");
            Input {
                name: format!("lists/{name}"),
                path: plain.clone(),
            }
        });
        Ok(named.collect())
    }
}

/// Name of the `.dsc` among the inputs.
const DSC: &str = "package.dsc";

fn script(commands: &[String]) -> String {
    let mut script = format!(
        "mkdir -p /tmp/lists/partial /var/cache/apt/archives/partial\n\
         ln -s {INPUTS}/lists/* /tmp/lists/\n"
    );
    for command in commands {
        script.push_str(&format!(
            "apt-get -y --print-uris --allow-downgrades --no-install-recommends --no-install-suggests --only-source \
             -o Dir::Etc::SourceList={INPUTS}/sources.list -o Dir::Etc::SourceParts=/dev/null -o Dir::State::Lists=/tmp/lists \
             -o Dir::Etc::Preferences={INPUTS}/preferences -o Dir::Etc::PreferencesParts=/dev/null \
             -o APT::Sandbox::User=root -o Acquire::Languages=none {command} >> {OUT}/uris 2>> {OUT}/errors || touch {OUT}/failed\n"
        ));
    }
    script
}

/// apt's preferences: a priority above 1000 lets an older version replace a newer one.
fn preferences(pins: &[Pin]) -> String {
    let stanzas = pins.iter().map(|pin| {
        format!(
            "Package: {}\nPin: version {}\nPin-Priority: 1001\n\n",
            pin.package, pin.version
        )
    });
    stanzas.collect()
}

/// Why apt found no solution: its lines about packages, or the end of the log.
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

#[cfg(test)]
mod tests {
    use super::*;

    /// An answer is found again only for the same question about the same root and indexes.
    #[test]
    fn whatever_an_answer_follows_from_is_in_its_key() {
        let digest = |text: &str| Sha256::of(text);
        let question = |command: &str, base: &str, version: &str, dsc: &str| Question {
            script: script(&[command.to_owned()]),
            sources: format!("deb http://{base} bookworm main\n"),
            preferences: preferences(&[Pin {
                package: "perl".into(),
                version: version.into(),
                replaces: false,
            }]),
            files: vec![(DSC.to_owned(), digest(dsc))],
        };
        let key = |question: &Question, root: &str, indexes: &[&str]| {
            question.key(digest(root), indexes.iter().map(|text| digest(text)))
        };
        let asked = || question("build-dep x", "mirror", "5.36", "dsc");
        let keys = [
            key(&asked(), "root", &["a", "b"]),
            key(&asked(), "another root", &["a", "b"]),
            key(&asked(), "root", &["a"]),
            key(&asked(), "root", &["b", "a"]),
            key(
                &question("install x", "mirror", "5.36", "dsc"),
                "root",
                &["a", "b"],
            ),
            key(
                &question("build-dep x", "other", "5.36", "dsc"),
                "root",
                &["a", "b"],
            ),
            key(
                &question("build-dep x", "mirror", "5.37", "dsc"),
                "root",
                &["a", "b"],
            ),
            key(
                &question("build-dep x", "mirror", "5.36", "other"),
                "root",
                &["a", "b"],
            ),
        ];
        assert_eq!(keys.iter().collect::<BTreeSet<_>>().len(), keys.len());
        assert_eq!(keys.first(), Some(&key(&asked(), "root", &["a", "b"])));
    }
}
