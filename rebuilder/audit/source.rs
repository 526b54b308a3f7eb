//! The subjects of a scheduled audit: a list, or what an index, a suite or a lock file names when the audit
//! runs.
//!
//! `KINDS` is the table of sources. A registry that does not answer is not taken for one without news: the
//! subjects that it named before stay on the list.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use futures_util::{StreamExt as _, stream};

use super::list::{self, ListError};
use crate::artifact::{Ecosystem, Subject};
use crate::bounded;
use crate::container::Catalog;
use crate::ecosystem::{self, PlanError, debian};
use crate::store::Fetcher;

/// A source from which no subjects could be read.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum SourceError {
    #[error(transparent)]
    #[diagnostic(transparent)]
    List(#[from] ListError),
    #[error(transparent)]
    #[diagnostic(transparent)]
    Plan(#[from] PlanError),
    #[error("cannot read {path}: {reason}")]
    #[diagnostic(help("name a lock file, or a text file with one package name per line"))]
    File { path: String, reason: String },
    #[error("{what} has no packages")]
    #[diagnostic(help("check the names, and --filter"))]
    Nothing { what: String },
    #[error("cannot use {text:?} as the source of an audit: another version of rebuilder wrote it")]
    #[diagnostic(help("add the audit again with \"rebuilder audit add\""))]
    Unknown { text: String },
}

/// Where subjects come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A text file with one subject per line.
    List(PathBuf),
    /// A text file with one name per line, each in its newest version.
    Newest {
        /// The registry.
        of: Ecosystem,
        /// The file.
        names: PathBuf,
    },
    /// The binary packages of a suite.
    Debian {
        /// The suite, such as `trixie`.
        suite: String,
        /// Pattern for the names of packages or of their sources.
        filter: String,
    },
    /// The packages that a lock file takes from its registry.
    Lock(PathBuf),
}

/// Reads what follows the word and the colon.
type Read = fn(&str) -> Option<Source>;

const LIST: &str = "list";
const DEBIAN: &str = "debian";
const LOCK: &str = "lock";

/// The words that name the kind of a source in the memory, before a colon. For the newest versions of packages, it is the
/// name of their registry.
const KINDS: [(&str, Read); 6] = [
    (LIST, |text| Some(Source::List(text.into()))),
    (Ecosystem::Pypi.name(), |text| newest(Ecosystem::Pypi, text)),
    (Ecosystem::Npm.name(), |text| newest(Ecosystem::Npm, text)),
    (Ecosystem::Crates.name(), |text| newest(Ecosystem::Crates, text)),
    (DEBIAN, |text| {
        let (suite, filter) = text.split_once('/')?;
        Some(Source::Debian {
            suite: suite.to_owned(),
            filter: filter.to_owned(),
        })
    }),
    (LOCK, |text| Some(Source::Lock(text.into()))),
];

#[allow(clippy::unnecessary_wraps, reason = "it is a row of the table")]
fn newest(of: Ecosystem, names: &str) -> Option<Source> {
    Some(Source::Newest {
        of,
        names: names.into(),
    })
}

/// The subjects that a source names now.
#[derive(Debug, Default)]
pub struct Found {
    /// The subjects, with the texts that name them.
    pub subjects: Vec<(String, Subject)>,
    /// What could not be looked up, and why; its earlier subjects stay.
    pub missed: Vec<String>,
}

/// Number of questions to a registry at the same time.
const PARALLEL: usize = 8;

impl Source {
    /// The text form, as the memory keeps it.
    pub fn text(&self) -> String {
        match self {
            Self::List(path) => format!("{LIST}:{}", path.display()),
            Self::Newest { of, names } => format!("{of}:{}", names.display()),
            Self::Debian { suite, filter } => format!("{DEBIAN}:{suite}/{filter}"),
            Self::Lock(path) => format!("{LOCK}:{}", path.display()),
        }
    }

    /// Reads the text form.
    pub fn parse(text: &str) -> Result<Self, SourceError> {
        let known = text.split_once(':').and_then(|(word, rest)| {
            let (_, read) = KINDS.iter().find(|(kind, _)| *kind == word)?;
            read(rest)
        });
        // Before there were other sources, the memory kept only the path of a list.
        let known = known.or_else(|| text.starts_with('/').then(|| Self::List(text.into())));
        known.ok_or_else(|| SourceError::Unknown {
            text: text.to_owned(),
        })
    }

    /// The subjects that the source names now. `before` has those that the audit named last.
    pub async fn subjects(
        &self,
        fetcher: &Fetcher,
        catalog: &Catalog,
        before: &[String],
    ) -> Result<Found, SourceError> {
        let found = match self {
            Self::List(path) => Found {
                subjects: list::read(path)?,
                missed: Vec::new(),
            },
            Self::Newest { of, names } => newest_of(*of, names, fetcher, before).await?,
            Self::Debian { suite, filter } => {
                of_subjects(debian::in_suite(fetcher, catalog, suite, filter).await?)
            }
            Self::Lock(path) => of_subjects(ecosystem::locked(path).map_err(unreadable(path))?),
        };
        if found.subjects.is_empty() && found.missed.is_empty() {
            return Err(SourceError::Nothing { what: self.text() });
        }
        Ok(found)
    }
}

fn unreadable(path: &Path) -> impl FnOnce(String) -> SourceError {
    move |reason| SourceError::File {
        path: path.display().to_string(),
        reason,
    }
}

fn of_subjects(all: Vec<Subject>) -> Found {
    let mut known = HashSet::new();
    let named = all.into_iter().map(|subject| (subject.purl(), subject));
    Found {
        subjects: named.filter(|(text, _)| known.insert(text.clone())).collect(),
        missed: Vec::new(),
    }
}

/// The newest version of each name in a file.
async fn newest_of(
    of: Ecosystem,
    path: &Path,
    fetcher: &Fetcher,
    before: &[String],
) -> Result<Found, SourceError> {
    let text =
        bounded::read_text(path, bounded::DOCUMENT).map_err(|error| unreadable(path)(error.to_string()))?;
    let prefix = of.purl_type().unwrap_or_default();
    let mut names = Vec::new();
    let mut known = HashSet::new();
    for line in text.lines().map(str::trim) {
        let Some(name) = line
            .split_whitespace()
            .next()
            .filter(|name| !name.starts_with('#'))
        else {
            continue;
        };
        let named: Result<Subject, _> = format!("pkg:{prefix}/{}", name.replace('@', "%40")).parse();
        let named = named.map_err(|error| unreadable(path)(error.to_string()))?;
        if known.insert(named.purl()) {
            names.push(named);
        }
    }
    let asked = names.into_iter().map(|named| async move {
        let newest = ecosystem::newest(fetcher, &named).await;
        (named, newest)
    });
    let answers: Vec<_> = stream::iter(asked).buffered(PARALLEL).collect().await;
    let mut found = Found::default();
    for (named, newest) in answers {
        match newest {
            Ok(newest) => found.subjects.push((newest.purl(), newest)),
            Err(error) => {
                found
                    .missed
                    .push(format!("{}: {}", named.name, crate::error::with_causes(&error)));
                let same = |subject: &Subject| subject.ecosystem == of && subject.name == named.name;
                let known = before
                    .iter()
                    .filter_map(|text| Some((text.clone(), text.parse().ok()?)));
                found.subjects.extend(known.filter(|(_, subject)| same(subject)));
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_memory_gives_back_the_source_that_it_was_told() {
        let newest = |of| Source::Newest {
            of,
            names: "/a b".into(),
        };
        for source in [
            Source::List("/a:b".into()),
            newest(Ecosystem::Pypi),
            newest(Ecosystem::Npm),
            newest(Ecosystem::Crates),
            Source::Debian {
                suite: "trixie".into(),
                filter: "lib*/x".into(),
            },
            Source::Lock("/Cargo.lock".into()),
        ] {
            assert_eq!(Source::parse(&source.text()).unwrap(), source);
        }
        let earlier = Source::parse("/a/list.txt").unwrap();
        assert_eq!(earlier, Source::List("/a/list.txt".into()));
        assert!(Source::parse("elsewhere:/a").is_err());
    }

    #[test]
    fn lock_files_name_what_their_registry_has() {
        let folder = tempfile::tempdir().unwrap();
        for (name, text, expected) in [
            (
                "Cargo.lock",
                "[[package]]\nname = \"own\"\nversion = \"1.0.0\"\n\n[[package]]\nname = \"itoa\"\nversion = \"1.0.11\"\n\
                 source = \"registry+https://github.com/rust-lang/crates.io-index\"\n",
                &["pkg:cargo/itoa@1.0.11"][..],
            ),
            (
                "requirements-all.txt",
                "# all\nidna==3.10 \\\n    --hash=sha256:00\nA_b[extra]==1.0 ; python_version > '3'\n-r other.txt\nc>=1\n",
                &["pkg:pypi/idna@3.10", "pkg:pypi/a-b@1.0"],
            ),
            (
                "package-lock.json",
                r#"{"packages": {"": {}, "node_modules/@a/b": {"version": "1.0.0", "integrity": "sha512-AA==",
                   "resolved": "https://registry.npmjs.org/@a/b/-/b-1.0.0.tgz"}}}"#,
                &["pkg:npm/%40a/b@1.0.0"],
            ),
        ] {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            let found: Vec<_> = ecosystem::locked(&path)
                .unwrap()
                .iter()
                .map(Subject::purl)
                .collect();
            assert_eq!(found, expected, "{name}");
        }
        let other = folder.path().join("other.toml");
        std::fs::write(&other, "").unwrap();
        assert!(ecosystem::locked(&other).is_err());
    }
}
