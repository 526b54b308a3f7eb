//! A build as a row of a table.

use crate::compare::Cause;
use crate::queue::published::Build;

use super::time;

/// The cells of a build in tables.
pub(super) struct Row {
    pub(super) id: i64,
    /// The verdict, which is also a CSS class.
    pub(super) word: &'static str,
    /// The verdict in a cell of a history.
    pub(super) letter: &'static str,
    pub(super) package: String,
    pub(super) name: String,
    pub(super) version: String,
    /// Distribution, release and architecture.
    pub(super) place: String,
    pub(super) causes: String,
    pub(super) when: String,
    pub(super) machine: String,
    pub(super) signing: &'static str,
    pub(super) attestation: bool,
    pub(super) report: bool,
    pub(super) log: bool,
}

/// The verdicts, in the order of tables, with their letters.
pub(super) const VERDICTS: [(&str, &str); 5] = [
    ("reproduced", "R"),
    ("equivalent", "E"),
    ("not-reproduced", "N"),
    ("mismatch", "M"),
    ("inconclusive", "?"),
];

/// The verdict of a build among these; a refused build has no result either.
pub(super) fn verdict(word: &str) -> (&'static str, &'static str) {
    let known = VERDICTS.into_iter().find(|(known, _)| *known == word);
    let refused = (word == "refused").then_some(("refused", "?"));
    known.or(refused).unwrap_or(("inconclusive", "?"))
}

/// Maximum number of causes in a row.
const CAUSES: usize = 3;

impl Row {
    pub(super) fn of(build: &Build) -> Self {
        let (word, letter) = verdict(&build.verdict);
        let title = |name: &String| {
            let known = Cause::ALL.iter().find(|cause| cause.name() == name);
            known.map(|cause| cause.title())
        };
        let mut causes: Vec<_> = build.causes.iter().filter_map(title).collect();
        if causes.len() > CAUSES {
            causes.truncate(CAUSES);
            causes.push("and others");
        }
        let place = [&build.distribution, &build.release, &build.architecture];
        let place: Vec<_> = place
            .into_iter()
            .filter(|part| !part.is_empty())
            .map(String::as_str)
            .collect();
        Self {
            id: build.id,
            word,
            letter,
            package: build.package.clone(),
            name: build.name.clone(),
            version: build.version.clone(),
            place: place.join(" "),
            causes: causes.join(", "),
            when: when(build.finished),
            machine: machine(build.finished),
            signing: match build.signing.as_str() {
                "signed" => "signed",
                "due" => "not signed yet",
                "waits" => "waits for other workers to agree",
                "refused" => "the signer refused to sign it",
                _ => "not signed: a worker reported it",
            },
            attestation: build.attestation.is_some(),
            report: build.report.is_some(),
            log: build.log.is_some(),
        }
    }
}

/// A time for people, in UTC.
pub(super) fn when(milliseconds: i64) -> String {
    time(milliseconds).strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// A time for programs (RFC 3339).
pub(super) fn machine(milliseconds: i64) -> String {
    time(milliseconds).strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
