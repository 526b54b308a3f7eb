//! Entries of the transparency log Rekor, for envelopes with a certificate and without an entry.
//!
//! `POST /api/v1/log/entries/retrieve` with what the envelope's uploader may have proposed. What the log answers is kept
//! behind the envelopes in one file, and judged like any other evidence.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::{Asked, Given, MOST_STATEMENTS, STATEMENT_LIMIT, Silence, Subject, cache, token, told};
use crate::artifact::Sha256;
use crate::bounded;
use crate::evidence::document::{self, Document, Kind};
use crate::evidence::json;
use crate::evidence::rekor::{Entry, question};
use crate::policy::{SourceKind, StatementSource};
use crate::store::{Fetcher, Request};
use crate::text::plural;

/// Asks the transparency logs among the sources about each of some files that needs it. Gives the file, and what was
/// answered: what is found is the same file with the entries behind it.
pub async fn ask_logs(
    fetcher: &Fetcher,
    sources: &[StatementSource],
    subjects: &[Subject],
    files: &[PathBuf],
) -> Vec<(PathBuf, Asked)> {
    let about = |source: &&StatementSource| {
        let mut all = subjects.iter();
        source.kind == SourceKind::Rekor && all.any(|subject| source.is_about(&subject.names()))
    };
    let logs: Vec<_> = sources.iter().filter(about).collect();
    let mut all = Vec::new();
    for file in files.iter().filter(|_| !logs.is_empty()) {
        let Some(open) = Open::read(file) else {
            continue;
        };
        for source in &logs {
            let asked = open.ask(fetcher, source).await;
            let found = !asked.found.is_empty();
            all.push((file.clone(), asked));
            if found {
                break;
            }
        }
    }
    all
}

/// A file with envelopes whose log entries are not at hand.
struct Open {
    name: String,
    text: String,
    subject: Subject,
    questions: Vec<Value>,
    /// Whether each envelope is in one line, so that entries can follow in others.
    in_lines: bool,
}

impl Open {
    fn read(path: &Path) -> Option<Self> {
        let bytes = bounded::read(path, json::SIZE_LIMIT).ok()?;
        let name = path.display().to_string();
        let documents = document::read(&name, &bytes).ok()?;
        let envelopes = || document::lone_envelopes(&documents);
        let questions: Vec<_> = envelopes().filter_map(question).take(MOST_STATEMENTS).collect();
        let in_lines = |text: &String| !text.contains('\n');
        if questions.is_empty() {
            return None;
        }
        Some(Self {
            in_lines: envelopes().filter_map(|it| it.text.as_ref()).all(in_lines),
            name,
            subject: Subject::of_bytes(Sha256::of(&bytes)),
            text: String::from_utf8(bytes).ok()?,
            questions,
        })
    }

    async fn ask(&self, fetcher: &Fetcher, source: &StatementSource) -> Asked {
        let (store, now) = (fetcher.store(), Timestamp::now());
        if let Some(kept) = cache::kept(source, &self.subject, store, now) {
            return kept;
        }
        let patience = Duration::from_secs(source.timeout_seconds.into());
        let given = tokio::time::timeout(patience, self.given(fetcher, source)).await;
        let given = given.unwrap_or_else(|_| {
            let seconds = source.timeout_seconds;
            Err(Silence::NoAnswer(format!("it did not answer within {seconds} s")))
        });
        let told = told(source, &self.subject, given, now);
        if !fetcher.is_offline() {
            cache::keep(source, &self.subject, store, &told);
        }
        told
    }

    async fn given(&self, fetcher: &Fetcher, source: &StatementSource) -> Result<Given, Silence> {
        if !self.in_lines {
            let reason = format!("the envelope in {} is written over several lines", self.name);
            return Err(Silence::NotAsked(reason));
        }
        let base = source.address();
        let token = token(source)?;
        fetcher.choose(base);
        let url = format!("{base}/api/v1/log/entries/retrieve");
        let request = Request {
            name: "the log entry",
            url: &url,
            accept: Some("application/json"),
            token: token.as_deref(),
            limit: STATEMENT_LIMIT,
        };
        let patience = Duration::from_secs(source.timeout_seconds.into());
        let mut whole = self.text.trim_end().to_owned();
        let before = logged(&document::read(&self.name, whole.as_bytes()).unwrap_or_default());
        for question in &self.questions {
            let sent = ("application/json", question.to_string());
            let posted = fetcher.post(request, sent, patience).await?;
            let answer = match posted.status {
                200 => answer(&posted.body).map_err(Silence::NoAnswer)?,
                404 => None,
                status => return Err(Silence::NoAnswer(format!("HTTP status {status}"))),
            };
            if let Some(line) = answer {
                whole.push('\n');
                whole.push_str(&line);
            }
        }
        let mut given = Given::default();
        let documents = document::read(&self.name, whole.as_bytes()).unwrap_or_default();
        let found = logged(&documents).saturating_sub(before);
        if found > 0 {
            let blob = fetcher.store().keep(whole.as_bytes())?;
            given.documents.push((format!("{url} for {}", self.name), blob));
        }
        let stray = documents
            .iter()
            .filter(|it| matches!(it.kind, Kind::LogEntry(_)))
            .count();
        if stray > 0 {
            given.says.push(format!(
                "{} of other envelopes, which count for nothing",
                plural(stray, "entry")
            ));
        }
        Ok(given)
    }
}

fn logged(documents: &[Document]) -> usize {
    documents
        .iter()
        .filter(|it| matches!(it.kind, Kind::Logged(_)))
        .count()
}

/// The log's answer in one line: a list of entries by their ids. None if it has none.
pub(super) fn answer(bytes: &[u8]) -> Result<Option<String>, String> {
    let value = json::parse_evidence(bytes).map_err(|error| error.to_string())?;
    let all = value.as_array().ok_or("its answer is not a list of entries")?;
    if let Some(other) = all.iter().find(|it| !Entry::are(it)) {
        let kind = if other.is_object() { "an object" } else { "a value" };
        return Err(format!("its answer has {kind} that is not an entry of the log"));
    }
    for entries in all {
        Entry::read_all(entries)?;
    }
    Ok((!all.is_empty()).then(|| value.to_string()))
}
