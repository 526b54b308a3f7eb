//! The documents of rebuilderd's API, as its clients' types have them: where its OpenAPI file says otherwise, the types are
//! right.

use serde::{Serialize, Serializer};

use crate::artifact::Subject;
use crate::queue::published::{Build, Open, Output, Status};
use crate::server::answer::some;

/// A time without a zone, which is UTC, from milliseconds since 1970. Clients fail on one with a zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Time(pub(super) i64);

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let time = jiff::Timestamp::from_millisecond(self.0).unwrap_or_default();
        to.collect_str(&jiff::tz::Offset::UTC.to_datetime(time))
    }
}

/// A list, and how many records there are on all its pages.
#[derive(Debug, Serialize)]
pub(super) struct List<T> {
    pub(super) total: i64,
    pub(super) records: Vec<T>,
}

#[derive(Debug, Serialize)]
pub(super) struct BinaryPackage {
    id: i64,
    name: String,
    version: String,
    distribution: String,
    release: Option<String>,
    component: Option<String>,
    architecture: String,
    url: String,
    status: &'static str,
    build_id: i64,
    artifact_id: i64,
    /// Numbers of what there is to read, which is below the artifact's.
    diffoscope_log_id: Option<i64>,
    attestation_log_id: Option<i64>,
    last_seen: Time,
    seen_in_last_sync: bool,
}

impl From<Output> for BinaryPackage {
    fn from(output: Output) -> Self {
        Self {
            id: output.id,
            release: some(&output.release),
            component: some(&output.component),
            status: output.status.word(),
            build_id: output.build,
            artifact_id: output.id,
            diffoscope_log_id: output.comparison.map(|_| output.id),
            attestation_log_id: output.link.map(|_| output.id),
            last_seen: Time(output.finished),
            seen_in_last_sync: true,
            name: output.name,
            version: output.version,
            distribution: output.distribution,
            architecture: output.architecture,
            url: output.url,
        }
    }
}

#[derive(Debug, Serialize)]
pub(super) struct SourcePackage {
    id: i64,
    name: String,
    version: String,
    distribution: String,
    release: Option<String>,
    status: &'static str,
    build_id: i64,
    last_seen: Time,
    seen_in_last_sync: bool,
}

impl From<Build> for SourcePackage {
    fn from(build: Build) -> Self {
        Self {
            id: build.id,
            name: build.source,
            version: build.version,
            distribution: build.distribution,
            release: some(&build.release),
            // A package is good, bad or unknown; only a build can fail.
            status: match build.status {
                Status::Fail => Status::Unknown.word(),
                other => other.word(),
            },
            build_id: build.id,
            last_seen: Time(build.finished),
            seen_in_last_sync: true,
        }
    }
}

#[derive(Debug, Serialize)]
pub(super) struct Rebuild {
    id: i64,
    name: String,
    version: String,
    distribution: String,
    release: Option<String>,
    architecture: String,
    backend: String,
    retries: i64,
    started_at: Time,
    built_at: Time,
    status: &'static str,
}

impl From<Build> for Rebuild {
    fn from(build: Build) -> Self {
        Self {
            id: build.id,
            name: build.source,
            version: build.version,
            backend: build.distribution.clone(),
            distribution: build.distribution,
            release: some(&build.release),
            architecture: build.architecture,
            retries: build.retries,
            started_at: Time(build.started),
            built_at: Time(build.finished),
            status: build.status.word(),
        }
    }
}

#[derive(Debug, Serialize)]
pub(super) struct Artifact {
    id: i64,
    name: String,
    has_diffoscope: bool,
    has_attestation: bool,
    status: &'static str,
}

impl From<Output> for Artifact {
    fn from(output: Output) -> Self {
        Self {
            id: output.id,
            name: output.name,
            has_diffoscope: output.comparison.is_some(),
            has_attestation: output.link.is_some(),
            status: output.status.word(),
        }
    }
}

#[derive(Debug, Serialize)]
pub(super) struct QueuedJob {
    id: i64,
    name: String,
    version: String,
    distribution: String,
    release: Option<String>,
    architecture: String,
    backend: String,
    url: String,
    next_retry: Option<Time>,
    /// Lower ones go first there, higher ones here.
    priority: i64,
    queued_at: Time,
    started_at: Option<Time>,
}

impl From<Open> for QueuedJob {
    fn from(job: Open) -> Self {
        let subject = job.subject.parse::<Subject>().ok();
        let of = |pick: fn(&Subject) -> Option<&str>| {
            subject.as_ref().and_then(pick).unwrap_or_default().to_owned()
        };
        let distribution = of(|subject| Some(subject.ecosystem.name()));
        let architecture = of(|subject| subject.qualifier("arch"));
        Self {
            id: job.id,
            name: subject
                .as_ref()
                .map_or_else(|| job.subject.clone(), |subject| subject.name.clone()),
            version: of(|subject| subject.version.as_deref()),
            backend: distribution.clone(),
            distribution,
            release: some(&of(|subject| subject.qualifier("distro"))),
            architecture: [architecture, job.architecture, "all".into()]
                .into_iter()
                .find(|one| !one.is_empty())
                .unwrap_or_default(),
            url: subject.map_or_else(|| job.subject.clone(), |subject| subject.purl()),
            next_retry: (job.state == "later").then_some(Time(job.run_at)),
            priority: job.priority.saturating_neg(),
            queued_at: Time(job.created),
            started_at: (job.state == "running").then_some(Time(job.changed)),
        }
    }
}

#[derive(Debug, Serialize)]
pub(super) struct Worker {
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) address: String,
    pub(super) status: Option<String>,
    pub(super) last_ping: Time,
    pub(super) is_online: bool,
}

#[derive(Debug, Default, Serialize)]
pub(super) struct Rebuilds {
    pub(super) good: i64,
    pub(super) bad: i64,
    pub(super) fail: i64,
    pub(super) unknown: i64,
}

#[derive(Debug, Default, Serialize)]
pub(super) struct Jobs {
    pub(super) running: i64,
    pub(super) available: i64,
    pub(super) pending: i64,
}

#[derive(Debug, Serialize)]
pub(super) struct Dashboard {
    pub(super) rebuilds: Rebuilds,
    pub(super) jobs: Jobs,
}

#[derive(Debug, Serialize)]
pub(super) struct PublicKeys<'a> {
    /// The first is the one that clients take.
    pub(super) current: &'a [String],
}

/// A released file in version 0, where a component is called a suite.
#[derive(Debug, Serialize)]
pub(super) struct PkgRelease {
    name: String,
    version: String,
    status: &'static str,
    distro: String,
    suite: String,
    architecture: String,
    artifact_url: String,
    build_id: i64,
    built_at: Time,
    has_diffoscope: bool,
    has_attestation: bool,
}

impl From<Output> for PkgRelease {
    fn from(output: Output) -> Self {
        Self {
            status: output.status.word(),
            build_id: output.build,
            built_at: Time(output.finished),
            has_diffoscope: output.comparison.is_some(),
            has_attestation: output.link.is_some(),
            name: output.name,
            version: output.version,
            distro: output.distribution,
            suite: output.component,
            architecture: output.architecture,
            artifact_url: output.url,
        }
    }
}

#[derive(Debug, Default, Serialize)]
pub(super) struct Suite {
    pub(super) good: i64,
    pub(super) unknown: i64,
    pub(super) bad: i64,
}

/// A job in version 0.
#[derive(Debug, Serialize)]
pub(super) struct QueueItem {
    id: i64,
    pkgbase: PkgGroup,
    version: String,
    queued_at: Time,
    /// Always empty: who the workers are is not public.
    worker_id: Option<i64>,
    started_at: Option<Time>,
    last_ping: Option<Time>,
}

/// What a job is about in version 0.
#[derive(Debug, Serialize)]
struct PkgGroup {
    name: String,
    version: String,
    distro: String,
    /// Empty in a queue, as rebuilderd has it too.
    suite: String,
    architecture: String,
    input_url: Option<String>,
    /// Always empty: what was released is looked up when the job is planned.
    artifacts: [(); 0],
}

impl QueueItem {
    /// `last_ping` is when its worker was last heard from.
    pub(super) fn new(job: Open, last_ping: Option<Time>) -> Self {
        let job = QueuedJob::from(job);
        Self {
            id: job.id,
            version: job.version.clone(),
            queued_at: job.queued_at,
            worker_id: None,
            last_ping: last_ping.filter(|_| job.started_at.is_some()),
            started_at: job.started_at,
            pkgbase: PkgGroup {
                name: job.name,
                version: job.version,
                distro: job.distribution,
                suite: String::new(),
                architecture: job.architecture,
                input_url: some(&job.url),
                artifacts: [],
            },
        }
    }
}

#[derive(Debug, Serialize)]
pub(super) struct QueueList {
    pub(super) now: Time,
    pub(super) queue: Vec<QueueItem>,
}

/// A worker in version 0.
#[derive(Debug, Serialize)]
pub(super) struct OldWorker {
    key: String,
    addr: String,
    status: Option<String>,
    last_ping: Time,
    online: bool,
}

impl From<Worker> for OldWorker {
    fn from(worker: Worker) -> Self {
        Self {
            key: worker.name,
            addr: worker.address,
            status: worker.status,
            last_ping: worker.last_ping,
            online: worker.is_online,
        }
    }
}

#[derive(Debug, Serialize)]
pub(super) struct OldDashboard {
    pub(super) suites: std::collections::BTreeMap<String, Suite>,
    /// The jobs that run.
    pub(super) active_builds: Vec<QueueItem>,
    pub(super) queue_length: i64,
    pub(super) now: Time,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_no_zone() {
        for (time, written) in [
            (1_777_636_800_123, "\"2026-05-01T12:00:00.123\""),
            (1_777_636_800_000, "\"2026-05-01T12:00:00\""),
        ] {
            assert_eq!(serde_json::to_string(&Time(time)).unwrap(), written);
        }
    }
}
