//! What crates.io records of a release by trusted publishing: the repository, the commit and the run that published
//! it.
//!
//! The registry verified a token of the CI service, and returns its data in the field `trustpub_data` of its API,
//! whose form is not stable. Nothing of this is signed.

use serde::Deserialize;
use serde_json::Value;

use super::registry::Version;
use crate::artifact::git_source::GitSource;
use crate::ecosystem::PlanError;
use crate::evidence::trusted_publisher::{API, Publisher};
use crate::store::{Blob, Fetcher};

const ANSWER_LIMIT: u64 = 4 << 20;

/// A release by a CI service that the registry trusts.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TrustedRelease {
    pub source: GitSource,
    /// The run or job.
    pub run: String,
}

#[derive(Deserialize)]
struct Answer {
    version: Described,
}

#[derive(Deserialize)]
struct Described {
    #[serde(default)]
    trustpub_data: Value,
}

/// Reads the API's answer about a version; `None` if it was not published in this way, or by an unknown service.
pub(super) fn read(text: &str) -> Result<Option<TrustedRelease>, String> {
    let answer: Answer = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let Some(publisher) = Publisher::read(&answer.version.trustpub_data) else {
        return Ok(None);
    };
    let source = GitSource::new(&publisher.repository(), None, Some(publisher.commit()));
    let source = source.map_err(|error| error.to_string())?;
    let run = publisher.number().to_owned();
    Ok(Some(TrustedRelease { source, run }))
}

/// Asks the registry. A registry or mirror without this API is not an error: most releases have no such data.
pub(super) async fn find(fetcher: &Fetcher, version: &Version) -> Option<TrustedRelease> {
    let url = format!("{API}/{}/{}", version.name, version.version);
    let what = format!("what crates.io says of {} {}", version.name, version.version);
    let read_answer = |blob: &Blob| {
        let bad = |reason: String| PlanError::Document {
            subject: version.name.clone(),
            document: url.clone(),
            reason,
        };
        let text = String::from_utf8(blob.bytes()?).map_err(|error| bad(error.to_string()))?;
        read(&text).map_err(bad)
    };
    let urls = std::slice::from_ref(&url);
    let answer = fetcher.get_unpinned(&what, urls, ANSWER_LIMIT, read_answer).await;
    answer.ok().and_then(|(found, _)| found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_run_that_published_a_version() {
        let commit = "ab".repeat(20);
        let answer = |data: &str| format!(r#"{{"version":{{"num":"1.0.0","trustpub_data":{data}}}}}"#);
        let github = format!(r#"{{"provider":"github","repository":"o/r","run_id":"17","sha":"{commit}"}}"#);
        let gitlab =
            format!(r#"{{"provider":"gitlab","project_path":"g/s/r","job_id":"4","sha":"{commit}"}}"#);
        for (data, expected) in [
            (github.as_str(), Some(("https://github.com/o/r", "17"))),
            (&gitlab, Some(("https://gitlab.com/g/s/r", "4"))),
            (r#"{"provider":"elsewhere","sha":"0"}"#, None),
            ("null", None),
        ] {
            let found = read(&answer(data)).unwrap();
            let found = found.as_ref();
            let seen = found.map(|found| (found.source.repository.as_str(), found.run.as_str()));
            assert_eq!(seen, expected, "{data}");
            assert!(found.is_none_or(|found| found.source.commit.as_deref() == Some(&*commit)));
        }
        // git could take an invalid commit name for something else.
        for data in [
            github.replace(&commit, "--upload-pack=x"),
            github.replace("o/r", "o/r?x"),
        ] {
            assert!(read(&answer(&data)).is_err(), "{data}");
        }
        assert!(read("<html>").is_err());
    }
}
