//! Asks the sources that a policy names for statements of others about an artifact.
//!
//! ```text
//!  artifact ──▶ Subject ──▶ each source, in parallel ──▶ Asked (found N, none, no answer) ──▶ files for `agreement`
//!                           cached, with a time limit
//! ```
//!
//! Nothing is judged here. What was found are files that are read and verified as files given by hand are; what a server
//! says beside them without a signature is told, and counts for nothing. A source that does not answer is never taken
//! for one that has nothing.

#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

mod bundles;
mod cache;
mod github;
mod indexes;
mod oci;
mod pieces;
mod readers;
mod rebuilderd;
mod rekor;
mod subject;

use std::path::PathBuf;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::artifact::Sha256;
use crate::policy::{SourceKind, StatementSource};
use crate::store::{Blob, FetchError, Fetcher, Store, StoreError};
use crate::text::{plural, redacted};

#[doc(hidden)]
pub use readers::READERS;
pub use rekor::ask_logs;
pub use subject::Subject;

/// Maximum number of sources that are asked at the same time.
const PARALLEL: usize = 16;
/// Maximum number of statements of one answer that are read; how many more there are is said.
const MOST_STATEMENTS: usize = 64;
/// Maximum number of bytes of one statement, or of one answer that holds several.
const STATEMENT_LIMIT: u64 = 8 << 20;

/// What one source was asked, and what it answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// The source, as the policy calls it.
    pub source: String,
    /// How it is asked.
    pub kind: SourceKind,
    /// Its address, or its folder.
    pub address: String,
    /// What it answered.
    pub answer: Answer,
    /// Why there is no answer, or why it was not asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The statements that were found.
    pub found: Vec<Found>,
    /// What it says without a signature, and what of its answer was not read. It counts for nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub says: Vec<String>,
    /// When it was asked.
    pub time: Timestamp,
    /// Whether this is a kept answer.
    #[serde(default)]
    pub cached: bool,
}

/// The kinds of answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// It has statements.
    Found,
    /// It has none.
    None,
    /// It did not answer, or not in a form that can be read.
    NoAnswer,
    /// It cannot be asked about this artifact.
    NotAsked,
}

/// A statement that a source gave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Found {
    /// Where it was.
    pub address: String,
    /// Digest of its bytes in the store; none for folders, whose files are read where they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Sha256>,
}

/// What is known at once, and which sources must be asked for the rest.
pub struct Prepared<'a> {
    /// One entry for each source, in the order of the policy; `None` where it must be asked.
    known: Vec<Option<Asked>>,
    sources: Vec<&'a StatementSource>,
    subject: Subject,
}

/// What a source gave, before it is told.
#[derive(Default)]
struct Given {
    documents: Vec<(String, Blob)>,
    says: Vec<String>,
    /// Statements that it has, but that cannot be had or read.
    unread: u64,
}

/// Why a source gave nothing.
enum Silence {
    /// It is not a source for this artifact.
    NotAsked(String),
    /// It did not answer.
    NoAnswer(String),
}

impl From<FetchError> for Silence {
    fn from(error: FetchError) -> Self {
        Self::NoAnswer(crate::error::with_causes(&error))
    }
}

impl From<StoreError> for Silence {
    fn from(error: StoreError) -> Self {
        Self::NoAnswer(crate::error::with_causes(&error))
    }
}

/// One question to one source.
struct Asking<'a> {
    fetcher: &'a Fetcher,
    source: &'a StatementSource,
    subject: &'a Subject,
    base: String,
    token: Option<String>,
}

/// Looks the answers up that are kept and fresh; it neither waits nor uses the network.
pub fn prepare<'a>(
    sources: &'a [StatementSource],
    subject: Subject,
    store: &Store,
    now: Timestamp,
) -> Prepared<'a> {
    let names = subject.names();
    // Logs have no statements; they are asked for the entries of those that are found.
    let asked = |source: &&StatementSource| source.kind != SourceKind::Rekor && source.is_about(&names);
    let sources: Vec<_> = sources.iter().filter(asked).collect();
    let known = sources.iter().map(|source| {
        if source.kind == SourceKind::Folder {
            return Some(bundles::folder(source, now));
        }
        cache::kept(source, &subject, store, now)
    });
    Prepared {
        known: known.collect(),
        sources,
        subject,
    }
}

impl Prepared<'_> {
    /// Whether nobody has to be asked.
    pub fn is_complete(&self) -> bool {
        self.known.iter().all(Option::is_some)
    }

    /// What is known, without asking; a source that would have to be asked has not answered.
    pub fn offline(self) -> Vec<Asked> {
        let now = Timestamp::now();
        let reason = "the store has no earlier answer of this source, and the run is offline";
        let both = self.known.into_iter().zip(&self.sources);
        both.map(|(known, source)| {
            let silence = || {
                told(
                    source,
                    &self.subject,
                    Err(Silence::NoAnswer(reason.to_owned())),
                    now,
                )
            };
            known.unwrap_or_else(silence)
        })
        .collect()
    }
}

/// Asks the sources that have to be asked, several at a time, about several artifacts.
///
/// Each has the time that the policy gives it. Answers are kept.
pub async fn ask(fetcher: &Fetcher, all: Vec<Prepared<'_>>) -> Vec<Vec<Asked>> {
    let (mut asked, mut open) = (Vec::new(), Vec::new());
    for (which, prepared) in all.into_iter().enumerate() {
        for (at, (known, source)) in prepared.known.iter().zip(&prepared.sources).enumerate() {
            if known.is_none() {
                open.push((which, at, (*source).clone(), prepared.subject.clone()));
            }
        }
        asked.push(prepared.known);
    }
    let answers = stream::iter(open).map(|(which, at, source, subject)| async move {
        let told = one(fetcher, &source, &subject).await;
        (which, at, told)
    });
    let mut answers = answers.buffer_unordered(PARALLEL);
    while let Some((which, at, told)) = answers.next().await {
        if let Some(place) = asked.get_mut(which).and_then(|list| list.get_mut(at)) {
            *place = Some(told);
        }
    }
    asked
        .into_iter()
        .map(|list| list.into_iter().flatten().collect())
        .collect()
}

async fn one(fetcher: &Fetcher, source: &StatementSource, subject: &Subject) -> Asked {
    let patience = Duration::from_secs(source.timeout_seconds.into());
    let given = tokio::time::timeout(patience, given(fetcher, source, subject)).await;
    let given = given.unwrap_or_else(|_| {
        let seconds = source.timeout_seconds;
        Err(Silence::NoAnswer(format!("it did not answer within {seconds} s")))
    });
    let told = told(source, subject, given, Timestamp::now());
    cache::keep(source, subject, fetcher.store(), &told);
    told
}

async fn given(fetcher: &Fetcher, source: &StatementSource, subject: &Subject) -> Result<Given, Silence> {
    let base = subject.address(source).map_err(Silence::NotAsked)?;
    let token = token(source)?;
    // The user wrote the policy, or chose it, so these addresses are the user's own.
    fetcher.choose(&base);
    let asking = Asking {
        fetcher,
        source,
        subject,
        base,
        token,
    };
    match source.kind {
        SourceKind::Rebuilderd => rebuilderd::ask(&asking).await,
        SourceKind::OssRebuild => bundles::oss_rebuild(&asking).await,
        SourceKind::Pypi => indexes::pypi(&asking).await,
        SourceKind::Npm => indexes::npm(&asking).await,
        SourceKind::Github => github::ask(&asking).await,
        SourceKind::Oci => oci::ask(&asking).await,
        SourceKind::Bundles => bundles::by_digest(&asking).await,
        SourceKind::Folder | SourceKind::Rekor => Ok(Given::default()),
    }
}

/// The token in the variable that the policy names.
fn token(source: &StatementSource) -> Result<Option<String>, Silence> {
    let Some(name) = &source.token_env else {
        return Ok(None);
    };
    let value = std::env::var(name).ok().filter(|value| !value.trim().is_empty());
    let value = value.ok_or_else(|| {
        Silence::NoAnswer(format!(
            "the variable {name} does not contain a token \
    for it"
        ))
    })?;
    Ok(Some(value.trim().to_owned()))
}

fn told(
    source: &StatementSource,
    subject: &Subject,
    given: Result<Given, Silence>,
    time: Timestamp,
) -> Asked {
    let address = subject
        .address(source)
        .unwrap_or_else(|_| source.address().to_owned());
    let mut asked = Asked {
        source: source.name.clone(),
        kind: source.kind,
        address: redacted(&address),
        answer: Answer::None,
        reason: None,
        found: Vec::new(),
        says: Vec::new(),
        time,
        cached: false,
    };
    match given {
        // It has something, so it must not be taken for a source that has nothing.
        Ok(given) if given.documents.is_empty() && given.unread > 0 => {
            let what = plural(given.unread, "statement");
            asked.answer = Answer::NoAnswer;
            asked.reason = Some(format!("none of its statements can be read ({what})"));
            asked.says = given.says;
        }
        Ok(given) => {
            asked.found = given
                .documents
                .into_iter()
                .map(|(address, blob)| Found {
                    address: redacted(&address),
                    sha256: Some(blob.sha256),
                })
                .collect();
            if !asked.found.is_empty() {
                asked.answer = Answer::Found;
            }
            asked.says = given.says;
        }
        Err(Silence::NotAsked(reason)) => {
            (asked.answer, asked.reason) = (Answer::NotAsked, Some(reason));
        }
        Err(Silence::NoAnswer(reason)) => {
            (asked.answer, asked.reason) = (Answer::NoAnswer, Some(redacted(&reason)));
        }
    }
    asked
}

/// The files with what was found, and the addresses that they came from.
pub fn places(asked: &[Asked], store: &Store) -> Result<Vec<(PathBuf, String)>, StoreError> {
    let mut places: Vec<(PathBuf, String)> = Vec::new();
    for found in asked.iter().flat_map(|asked| &asked.found) {
        let path = match found.sha256 {
            None => PathBuf::from(&found.address),
            Some(digest) => match store.get(digest)? {
                Some(blob) => blob.path,
                // It was there a moment ago: `agreement` will say that it cannot be read.
                None => continue,
            },
        };
        if !places.iter().any(|(known, _)| *known == path) {
            places.push((path, found.address.clone()));
        }
    }
    Ok(places)
}
