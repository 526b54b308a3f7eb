//! Statements about a revision of the source, rather than about the artifact: SLSA's source track.
//!
//! A verification summary with levels such as `SLSA_SOURCE_LEVEL_3` is about a commit. It counts for an artifact only
//! if verified provenance says that the artifact was built from that commit of that repository.

use serde_json::Value;

use super::assessment::Assessment;
use super::json::member;
use super::statement::{Descriptor, Statement, predicate};
use super::{Question, Standing};

/// The prefix of the source track's levels.
const LEVELS: &str = "SLSA_SOURCE_LEVEL_";

/// Ties statements about source revisions to the artifact, through the provenance among the assessments.
pub(super) fn bind(all: &mut [Assessment]) {
    let built: Vec<(String, String)> = all
        .iter()
        .filter_map(Assessment::verified)
        .filter_map(|it| it.0.provenance.as_ref()?.source.as_ref())
        .filter_map(|source| Some((normal(&source.repository), source.commit.clone()?)))
        .collect();
    for it in all.iter_mut() {
        let Some(revision) = it.statement.as_ref().and_then(revision) else {
            continue;
        };
        it.claim.question = Question::Other;
        it.claim.claim = revision.sentence();
        if it.claim.standing != Standing::Unverifiable {
            continue;
        }
        let named = it.signer().is_some_and(|signer| signer.named);
        let is_built = built.iter().any(|(repository, commit)| {
            *repository == revision.repository && revision.commits.contains(commit)
        });
        let (standing, meaning) = match (named, is_built) {
            (true, true) if revision.passed => (
                Standing::Verified,
                "it is about the commit that the verified provenance names as the source, and says nothing about the build".to_owned(),
            ),
            (true, true) => (
                Standing::Unverifiable,
                format!("the signature is good, but the result is {:?}", revision.result),
            ),
            (true, false) => (
                Standing::Unverifiable,
                "the signature is good, but no verified provenance says that the artifact was built from that revision".to_owned(),
            ),
            (false, _) => (
                Standing::Unverifiable,
                "it is about a revision of the source, and is not signed by anyone who was named beforehand".to_owned(),
            ),
        };
        (it.claim.standing, it.claim.meaning) = (standing, meaning);
    }
}

/// Whether a statement is about a revision of the source, rather than about files.
pub(super) fn is_of_source(statement: &Statement) -> bool {
    revision(statement).is_some()
}

/// A revision, and what a verifier found about it.
struct Revision {
    repository: String,
    commits: Vec<String>,
    verifier: String,
    result: String,
    passed: bool,
    levels: Vec<String>,
}

impl Revision {
    fn sentence(&self) -> String {
        let first = self.commits.first().map_or("", String::as_str);
        format!(
            "{} verified the source revision {} of {}: {} ({})",
            self.verifier,
            first.get(..12).unwrap_or(first),
            self.repository,
            self.result,
            self.levels.join(", ")
        )
    }
}

/// The revision that a summary is about; `None` if it is about files, or is not a summary of the source track.
fn revision(statement: &Statement) -> Option<Revision> {
    let is_commit = |subject: &Descriptor| {
        let git = |algorithm: &String| ["gitCommit", "sha1"].contains(&algorithm.as_str());
        subject.commit().is_some() && subject.digest.keys().all(git)
    };
    if statement.predicate_type != predicate::VSA || !statement.subject.iter().all(is_commit) {
        return None;
    }
    let stated = &statement.predicate;
    let text = |path: [&str; 1]| member(stated, path).as_str().unwrap_or("?").to_owned();
    let levels = member(stated, ["verifiedLevels"]).as_array();
    let levels: Vec<_> = levels
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect();
    let result = text(["verificationResult"]);
    // Only levels of the source track are about the source.
    let passed = result == "PASSED" && levels.iter().any(|level| level.starts_with(LEVELS));
    Some(Revision {
        repository: normal(&text(["resourceUri"])),
        commits: statement
            .subject
            .iter()
            .filter_map(Descriptor::commit)
            .map(str::to_owned)
            .collect(),
        verifier: member(stated, ["verifier", "id"])
            .as_str()
            .unwrap_or("?")
            .to_owned(),
        result,
        passed,
        levels,
    })
}

/// The canonical form of a repository's address.
fn normal(address: &str) -> String {
    let address = address.strip_prefix("git+").unwrap_or(address);
    let address = address.trim_end_matches('/');
    address.strip_suffix(".git").unwrap_or(address).to_lowercase()
}
