//! The layout of OSS Rebuild's bucket, which its readers expect: `ECOSYSTEM/PACKAGE/VERSION/ARTIFACT/rebuild.intoto.jsonl`.
//!
//! Nothing is signed here: the statements of a run were signed with it, and are copied byte by byte.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::oss_rebuild::REBUILD_TYPE;
use crate::artifact::Sha256;
use crate::evidence::assess::{self, Stated};
use crate::evidence::document;
use crate::evidence::json::{SIZE_LIMIT, member};
use crate::evidence::statement::Statement;
use crate::run::{Record, RunFolder};
use crate::store::{StoreError, write_atomically};

/// Name of each file in the bucket.
const NAME: &str = "rebuild.intoto.jsonl";

/// A run that cannot be laid out.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum LayoutError {
    #[error("cannot export {from}: it has no statements in OSS Rebuild's form")]
    #[diagnostic(help("sign a run with \"rebuilder attest RUN --predicate oss-rebuild\" first"))]
    None { from: PathBuf },
    #[error("cannot use {path}: {reason}")]
    #[diagnostic(help("sign the run again with \"rebuilder attest RUN --predicate oss-rebuild\""))]
    Unfit { path: PathBuf, reason: String },
    #[error("cannot write {path}: it already exists, with other content")]
    #[diagnostic(help("a published statement is never overwritten; move it away, or name another folder"))]
    Exists { path: PathBuf },
    #[error(transparent)]
    #[diagnostic(transparent)]
    Store(#[from] StoreError),
}

/// Copies the statements of runs to their places below `to`; gives these places. Of several runs of one release, the last
/// one counts. `from` is where the runs are from, for the error if there are no statements.
pub fn lay_out(from: &Path, runs: &[RunFolder], to: &Path) -> Result<Vec<PathBuf>, LayoutError> {
    // Every file is checked before the first one is written.
    let mut copies = BTreeMap::new();
    for run in runs {
        let found = statements(run)?;
        let record = crate::bounded::read(&run.record(), crate::bounded::PLAN);
        let record = record.map_err(|error| unfit(&run.record(), error))?;
        let record: Record = serde_json::from_slice(&record).map_err(|error| unfit(&run.record(), error))?;
        for path in found {
            let bytes = crate::bounded::read(&path, SIZE_LIMIT).map_err(|error| unfit(&path, error))?;
            copies.insert(to.join(place(&path, &bytes, &record)?).join(NAME), bytes);
        }
    }
    if copies.is_empty() {
        return Err(LayoutError::None {
            from: from.to_owned(),
        });
    }
    for (place, bytes) in &copies {
        match crate::bounded::read(place, SIZE_LIMIT) {
            Ok(known) if known == *bytes => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            _ => return Err(LayoutError::Exists { path: place.clone() }),
        }
    }
    for (place, bytes) in &copies {
        if let Some(folder) = place.parent() {
            std::fs::create_dir_all(folder).map_err(StoreError::io("make", folder))?;
        }
        write_atomically(place, bytes)?;
    }
    Ok(copies.into_keys().collect())
}

/// The files of one run; there is at least one.
fn statements(run: &RunFolder) -> Result<Vec<PathBuf>, LayoutError> {
    let entries = std::fs::read_dir(run.oss_rebuild()).into_iter().flatten();
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.retain(|path| path.to_string_lossy().ends_with(".intoto.jsonl"));
    files.sort();
    if files.is_empty() {
        let from = run.path().to_owned();
        return Err(LayoutError::None { from });
    }
    Ok(files)
}

fn unfit(path: &Path, reason: impl std::fmt::Display) -> LayoutError {
    LayoutError::Unfit {
        path: path.to_owned(),
        reason: reason.to_string(),
    }
}

/// The folder of a file, as its own statement of the rebuild names it; it must be about this run.
fn place(path: &Path, bytes: &[u8], record: &Record) -> Result<PathBuf, LayoutError> {
    let documents = document::read(&path.display().to_string(), bytes).map_err(|error| unfit(path, error))?;
    let statements = documents
        .iter()
        .filter_map(|document| match assess::payload(document).unverified() {
            Stated::Statement(statement) => Some((**statement).clone()),
            _ => None,
        });
    let is_rebuild = |statement: &Statement| {
        member(&statement.predicate, ["buildDefinition", "buildType"]) == REBUILD_TYPE
    };
    let mut rebuilds = statements.filter(is_rebuild);
    let (Some(rebuild), None) = (rebuilds.next(), rebuilds.next()) else {
        return Err(unfit(path, "it does not have one statement of a rebuild"));
    };
    let external = member(&rebuild.predicate, ["buildDefinition", "externalParameters"]);
    let text = |name: &str| external[name].as_str().unwrap_or_default();
    let artifact = text("artifact");
    let digest = rebuild
        .subject
        .first()
        .and_then(|subject| subject.digest.get("sha256"));
    let is_of_run = record
        .outputs
        .iter()
        .any(|output| output.name == artifact && output.rebuilt.map(Sha256::to_hex).as_ref() == digest);
    let invocation = member(&rebuild.predicate, ["runDetails", "metadata", "invocationId"]);
    if !is_of_run || *invocation != Value::String(record.id.clone()) {
        return Err(unfit(path, "it is about another run"));
    }
    let (ecosystem, package) = (text("ecosystem"), text("package"));
    // Scopes of npm are folders there; areas of Debian are not.
    let package = match ecosystem {
        "npm" => package.split('/').map(str::to_owned).collect(),
        "debian" => vec![package.replace('/', "~")],
        _ => vec![package.to_owned()],
    };
    let mut folder = PathBuf::from(ecosystem);
    for part in package
        .iter()
        .map(String::as_str)
        .chain([text("version"), artifact])
    {
        let plain = |byte: char| !byte.is_control() && !['/', '\\'].contains(&byte);
        if part.is_empty() || part.starts_with('.') || !part.chars().all(plain) {
            return Err(unfit(path, format!("{part:?} cannot be the name of a folder")));
        }
        folder.push(part);
    }
    Ok(folder)
}
