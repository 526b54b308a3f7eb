//! What crates.io says about the workflow that published a version: `trustpub_data` (RFC 3691, trusted publishing).
//!
//! The registry checked an identity token of that workflow when it accepted the crate, and states that without a
//! signature. This is the registry's evidence of who published the crate, not of how it was built.

use serde::Deserialize;
use serde_json::Value;

use super::json::{self, member};
use super::{Claim, Question, Standing};
use crate::artifact::Sha256;

/// The endpoint that returns it; see "Get crate version" in the registry's OpenAPI description.
pub const API: &str = "https://crates.io/api/v1/crates";

/// A workflow, as `trustpub_data` names it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "provider", rename_all = "lowercase")]
pub enum Publisher {
    Github {
        repository: String,
        run_id: String,
        sha: String,
    },
    Gitlab {
        project_path: String,
        job_id: String,
        sha: String,
    },
}

impl Publisher {
    /// Reads `trustpub_data`; `None` if its form is not supported.
    pub fn read(data: &Value) -> Option<Self> {
        Self::deserialize(data).ok()
    }

    /// The address of the repository.
    pub fn repository(&self) -> String {
        match self {
            Self::Github { repository, .. } => format!("https://github.com/{repository}"),
            Self::Gitlab { project_path, .. } => format!("https://gitlab.com/{project_path}"),
        }
    }

    /// The number of the run or job.
    pub fn number(&self) -> &str {
        match self {
            Self::Github { run_id: number, .. } | Self::Gitlab { job_id: number, .. } => number,
        }
    }

    /// The address of the run or job.
    fn run(&self) -> String {
        let of_service = match self {
            Self::Github { .. } => "actions/runs",
            Self::Gitlab { .. } => "-/jobs",
        };
        format!("{}/{of_service}/{}", self.repository(), self.number())
    }

    /// The commit, as the registry states it.
    pub fn commit(&self) -> &str {
        match self {
            Self::Github { sha, .. } | Self::Gitlab { sha, .. } => sha,
        }
    }

    fn is_plain(&self) -> bool {
        let (repository, run, sha) = (self.repository(), self.run(), self.commit());
        let path = |text: &str| {
            text.chars()
                .all(|c| c.is_ascii_alphanumeric() || "-._/:".contains(c))
        };
        path(&repository)
            && path(&run)
            && !repository.contains("..")
            && [40, 64].contains(&sha.len())
            && sha.bytes().all(|byte| byte.is_ascii_hexdigit())
    }
}

/// The claim that follows from the registry's answer for one version; `commit` is the one that the crate itself names.
pub fn claim(answer: &[u8], name: &str, version: &str, checksum: Sha256, commit: Option<&str>) -> Claim {
    let of = |standing, claim: String, meaning: &str| Claim {
        question: Question::Provenance,
        claim,
        by: Some(API.to_owned()),
        standing,
        meaning: meaning.to_owned(),
        document: Some(Sha256::of(answer)),
    };
    let unread = |reason: &str| {
        of(
            Standing::Unverifiable,
            format!("the registry says who published {name} {version}"),
            reason,
        )
    };
    let Ok(answer) = json::parse_evidence(answer) else {
        return unread("its answer is not JSON that has one meaning");
    };
    let version_of = member(&answer, ["version"]);
    let text = |member_name: &'static str| member(version_of, [member_name]).as_str();
    if text("crate") != Some(name) || text("num") != Some(version) {
        return unread("its answer is about another version");
    }
    if text("checksum") != Some(checksum.to_hex().as_str()) {
        return of(
            Standing::SubjectMismatch,
            format!("the registry says who published {name} {version}"),
            "it is about other bytes: the registry's two answers give different checksums",
        );
    }
    let data = member(version_of, ["trustpub_data"]);
    if data.is_null() {
        return of(
            Standing::Missing,
            format!("the registry names no workflow that published {name} {version}"),
            "it was published with a token of a person's account, or before the registry kept this",
        );
    }
    let publisher = Publisher::read(data).filter(|publisher| is_whole(data) && publisher.is_plain());
    let Some(publisher) = publisher else {
        return unread("its trustpub_data has a form that is not supported");
    };
    let sha = publisher.commit();
    let claimed = format!("{} published it, at commit {sha}", publisher.run());
    match commit {
        Some(own) if !own.eq_ignore_ascii_case(sha) => of(
            Standing::Unsigned,
            claimed,
            &format!(
                "the registry says so, and does not sign it; but the crate says that it was packed from commit {own}"
            ),
        ),
        _ => of(
            Standing::Unsigned,
            claimed,
            "the registry saw an identity token of that workflow, and says so without a signature; this shows who published, not how it was built",
        ),
    }
}

/// Whether the members are provider, repository, run and commit and no others, whose meaning would not be known.
fn is_whole(data: &Value) -> bool {
    data.as_object().is_some_and(|members| members.len() == 4)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    // One long table.
    #[test]
    fn the_registrys_word_is_about_one_version_and_its_bytes() {
        let checksum = Sha256::of("crate");
        let sha = "0123456789012345678901234567890123456789";
        let github = json!({"provider": "github", "repository": "o/r", "run_id": "7", "sha": sha});
        let answer = |changes: Value| {
            let mut version =
                json!({"crate": "c", "num": "1.0.0", "checksum": checksum.to_hex(), "trustpub_data": github});
            for (name, value) in changes.as_object().unwrap() {
                version[name] = value.clone();
            }
            json!({"version": version}).to_string()
        };
        let gitlab = json!({"provider": "gitlab", "project_path": "g/p", "job_id": "8", "sha": sha});
        for (changes, commit, standing, words) in [
            (json!({}), None, Standing::Unsigned, "o/r/actions/runs/7"),
            (json!({}), Some(sha), Standing::Unsigned, "without a signature"),
            (json!({}), Some("f"), Standing::Unsigned, "packed from commit f"),
            (
                json!({"trustpub_data": gitlab}),
                None,
                Standing::Unsigned,
                "gitlab.com/g/p/-/jobs/8",
            ),
            (
                json!({"trustpub_data": null}),
                None,
                Standing::Missing,
                "no workflow",
            ),
            (
                json!({"trustpub_data": {"provider": "x"}}),
                None,
                Standing::Unverifiable,
                "form",
            ),
            (
                json!({"trustpub_data": {"provider": "github", "repository": "o/r\u{1b}", "run_id": "7", "sha": sha}}),
                None,
                Standing::Unverifiable,
                "form",
            ),
            (
                json!({"num": "1.0.1"}),
                None,
                Standing::Unverifiable,
                "another version",
            ),
            (
                json!({"checksum": "00"}),
                None,
                Standing::SubjectMismatch,
                "other bytes",
            ),
        ] {
            let found = claim(answer(changes.clone()).as_bytes(), "c", "1.0.0", checksum, commit);
            assert_eq!(found.standing, standing, "{changes}");
            assert!(
                format!("{} {}", found.claim, found.meaning).contains(words),
                "{found:?}"
            );
        }
        assert_eq!(
            claim(b"x", "c", "1.0.0", checksum, None).standing,
            Standing::Unverifiable
        );
    }
}
