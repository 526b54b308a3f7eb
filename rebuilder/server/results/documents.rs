//! The documents of our own API. Their schemas are in its OpenAPI document.

// The names are those of the fields in JSON.
#![allow(clippy::struct_field_names)]

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::queue::published::{Build, Cluster, Found, Open, Output, Reason, Regression, Span};
use crate::server::answer::some;

/// A time in RFC 3339, from milliseconds since 1970.
fn time(milliseconds: i64) -> String {
    Timestamp::from_millisecond(milliseconds)
        .unwrap_or_default()
        .to_string()
}

/// What went wrong (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Problem {
    /// The status in words.
    pub(super) title: String,
    /// The status of the answer.
    #[schema(minimum = 400, maximum = 599)]
    pub(super) status: u16,
    /// What it is about.
    pub(super) detail: String,
}

/// Why a build differs from its release.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Cause {
    /// Name of the cause, as docs/causes.md explains it.
    cause: String,
    /// What all places of the cause have in common.
    shared: String,
    /// Value in the release, if it is a version.
    released: Option<String>,
    /// Value in the rebuild, if it is a version.
    rebuilt: Option<String>,
}

impl From<Reason> for Cause {
    fn from(reason: Reason) -> Self {
        Self {
            released: some(&reason.released),
            rebuilt: some(&reason.rebuilt),
            cause: reason.cause,
            shared: reason.shared,
        }
    }
}

/// A build that ended.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct BuildSummary {
    /// Number of the build, which is that of its job.
    id: i64,
    /// Package URL.
    subject: String,
    /// Package URL without version and qualifiers.
    package: String,
    ecosystem: String,
    /// Name of a distribution's release.
    release: Option<String>,
    architecture: String,
    name: String,
    version: Option<String>,
    /// Name of the source package.
    source: String,
    /// What is concluded, as docs/verdicts.md explains it.
    verdict: String,
    /// The same in rebuilderd's words: GOOD, BAD, FAIL or UNKWN.
    status: String,
    /// Why nothing was concluded.
    reason: Option<String>,
    /// Names of the causes, the most important first.
    causes: Vec<String>,
    /// When the build began, in RFC 3339.
    #[schema(format = DateTime)]
    started: String,
    /// When the build ended, in RFC 3339.
    #[schema(format = DateTime)]
    finished: String,
    /// What the signer said: no (nobody signs), due, waits, signed or refused.
    signing: String,
    /// Whether it is the one to show of its subject.
    newest: bool,
    /// Address of the build in this API.
    href: String,
}

impl From<&Build> for BuildSummary {
    fn from(build: &Build) -> Self {
        Self {
            id: build.id,
            subject: build.subject.clone(),
            package: build.package.clone(),
            ecosystem: build.ecosystem.clone(),
            release: some(&build.release),
            architecture: build.architecture.clone(),
            name: build.name.clone(),
            version: some(&build.version),
            source: build.source.clone(),
            verdict: build.verdict.clone(),
            status: build.status.word().into(),
            reason: build.reason.clone(),
            causes: build.causes.clone(),
            started: time(build.started),
            finished: time(build.finished),
            signing: build.signing.clone(),
            newest: build.newest,
            href: format!("{}/builds/{}", super::BASE, build.id),
        }
    }
}

/// A file of a build.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct File {
    name: String,
    /// SHA-256 in hexadecimal.
    sha256: String,
    /// Address of the file.
    href: String,
}

/// A released file that was built again.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ReleasedFile {
    file: String,
    /// Where it was released.
    url: Option<String>,
    /// SHA-256 of the release in hexadecimal.
    sha256: String,
    /// GOOD, BAD or UNKWN.
    status: String,
    /// Address of the differences, as text.
    differences: Option<String>,
    /// Address of its in-toto link.
    link: Option<String>,
}

/// A build with everything that is known of it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct BuildDetail {
    #[serde(flatten)]
    summary: BuildSummary,
    worker: Option<String>,
    /// What ran it.
    backend: Option<String>,
    /// Attempts before this one.
    retries: i64,
    /// Why it differs.
    reasons: Vec<Cause>,
    files: Vec<File>,
    released_files: Vec<ReleasedFile>,
}

impl BuildDetail {
    pub(super) fn of(build: &Build, reasons: Vec<Reason>, outputs: &[Output]) -> Self {
        let files = [
            ("report.html", build.report),
            ("attestation.sigstore.json", build.attestation),
            ("plan.json", build.plan),
            ("record.json", build.record),
            ("build.log", build.log),
        ];
        let file = |(name, digest): (&str, Option<crate::artifact::Sha256>)| {
            Some(File {
                name: name.into(),
                sha256: digest?.to_hex(),
                href: format!("/builds/{}/{name}", build.id),
            })
        };
        let below = |output: &Output, name: &str| {
            format!("/api/v1/builds/{}/artifacts/{}/{name}", build.id, output.id)
        };
        let released = |output: &Output| ReleasedFile {
            file: output.file.clone(),
            url: some(&output.url),
            sha256: output.sha256.to_hex(),
            status: output.status.word().into(),
            differences: output.comparison.map(|_| below(output, "diffoscope")),
            link: output.link.map(|_| below(output, "attestation")),
        };
        Self {
            summary: build.into(),
            worker: some(&build.worker),
            backend: some(&build.backend),
            retries: build.retries,
            reasons: reasons.into_iter().map(Cause::from).collect(),
            files: files.into_iter().filter_map(file).collect(),
            released_files: outputs.iter().map(released).collect(),
        }
    }
}

/// Builds, the newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Builds {
    pub(super) builds: Vec<BuildSummary>,
    /// Address of the next page, if there may be one.
    pub(super) next: Option<String>,
}

/// A package that was built here.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Package {
    /// Package URL without version and qualifiers.
    package: String,
    /// How many builds of it ended.
    builds: i64,
}

impl From<Found> for Package {
    fn from(found: Found) -> Self {
        Self {
            package: found.package,
            builds: found.builds,
        }
    }
}

/// What a search found.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Packages {
    pub(super) packages: Vec<Package>,
    /// Whether there are more than are listed.
    pub(super) more: bool,
}

/// How many of the builds to show have a verdict.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Count {
    pub(super) ecosystem: String,
    pub(super) verdict: String,
    pub(super) count: i64,
}

/// How many builds ended in a week, by verdict or cause.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct WeekCount {
    /// The Monday on which the week begins.
    #[schema(format = Date)]
    week: String,
    ecosystem: String,
    /// A verdict, or the name of a cause.
    word: String,
    count: i64,
}

impl From<&crate::queue::published::Rate> for WeekCount {
    fn from(rate: &crate::queue::published::Rate) -> Self {
        Self {
            week: time(Span::Week.begin(rate.number)).chars().take(10).collect(),
            ecosystem: rate.ecosystem.clone(),
            word: rate.word.clone(),
            count: rate.count,
        }
    }
}

/// Rates, now and over time.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Rates {
    /// By the newest conclusion about each package version.
    pub(super) present: Vec<Count>,
    /// Builds of the last half year, by verdict.
    pub(super) verdicts: Vec<WeekCount>,
    /// Builds of the last half year, by cause; a build may have several.
    pub(super) causes: Vec<WeekCount>,
}

/// A reason that packages share.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SharedCause {
    #[serde(flatten)]
    cause: Cause,
    packages: i64,
    builds: i64,
}

impl From<&Cluster> for SharedCause {
    fn from(cluster: &Cluster) -> Self {
        Self {
            cause: cluster.reason.clone().into(),
            packages: cluster.packages,
            builds: cluster.builds,
        }
    }
}

/// Reasons that packages share, the most common first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SharedCauses {
    pub(super) causes: Vec<SharedCause>,
}

/// A package version that does not reproduce any more.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RegressionSummary {
    package: String,
    version: String,
    verdict: String,
    /// What the alarm is worth: confirmed or unstable.
    worth: String,
    /// The version that was good before.
    last_good: String,
    audit: String,
    #[schema(format = DateTime)]
    found: String,
}

impl From<Regression> for RegressionSummary {
    fn from(found: Regression) -> Self {
        Self {
            package: found.package,
            version: found.version,
            verdict: found.verdict,
            worth: found.worth,
            last_good: found.good,
            audit: found.audit,
            found: time(found.at),
        }
    }
}

/// Regressions that audits found, the newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Regressions {
    pub(super) regressions: Vec<RegressionSummary>,
}

/// A job that waits or runs.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Job {
    id: i64,
    subject: String,
    /// ready, later or running.
    state: String,
    worker: Option<String>,
    attempt: i64,
    #[schema(format = DateTime)]
    created: String,
    /// When its state changed.
    #[schema(format = DateTime)]
    changed: String,
}

impl From<Open> for Job {
    fn from(job: Open) -> Self {
        Self {
            id: job.id,
            subject: job.subject,
            state: job.state,
            worker: job.worker,
            attempt: job.attempt,
            created: time(job.created),
            changed: time(job.changed),
        }
    }
}

/// Jobs that wait or run, the oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Jobs {
    /// How many there are on all pages.
    pub(super) total: i64,
    pub(super) jobs: Vec<Job>,
    /// Address of the next page, if there may be one.
    pub(super) next: Option<String>,
}
