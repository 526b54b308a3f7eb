//! From a verdict and the documents of its run to rows: no effects, and the same rows each time.

use std::collections::BTreeSet;
use std::str::FromStr as _;

use packageurl::PackageUrl;

use super::Pages;
use crate::artifact::{Sha256, Subject};
use crate::compare::{Cause, RootCause};
use crate::plan::{Expected, Plan, Role};
use crate::queue::published::{Build, EndedJob, Output, Reason, Status};
use crate::queue::wire::RunFile;
use crate::run::failure::{FailureCode, Fault};
use crate::run::{OutputResult, Record, Verdict};

/// Maximum length of a reason, in characters, and maximum number of causes of one build.
const REASON: usize = 500;
const CAUSES: usize = 12;
/// Most reasons of one build, and the longest text in one, in characters.
const REASONS: usize = 50;
const VALUE: usize = 200;

/// What a worker handed in of a run, where each fits the other.
#[derive(Debug)]
pub(super) struct Documents {
    pub(super) plan: Plan,
    pub(super) record: Record,
}

impl Documents {
    /// Reads both; a verdict that does not follow from them is not read.
    pub(super) fn read(record: &[u8], plan: &[u8]) -> Result<Self, String> {
        let record: Record =
            serde_json::from_slice(record).map_err(|error| format!("invalid record: {error}"))?;
        let plan: Plan = serde_json::from_slice(plan).map_err(|error| format!("invalid plan: {error}"))?;
        if plan.digest().ok() != Some(record.plan) || plan.subject != record.subject {
            return Err("the record is about another plan".into());
        }
        let record = record.in_present_form(&plan);
        if record.verdict_of(&plan) != record.verdict {
            return Err("the verdict does not follow from the record".into());
        }
        Ok(Self { plan, record })
    }
}

/// What a package URL says.
struct Named {
    name: String,
    version: String,
    release: String,
    architecture: Option<String>,
}

impl Named {
    fn of(purl: &str) -> Self {
        let Ok(purl) = PackageUrl::from_str(purl) else {
            return Self {
                name: purl.to_owned(),
                version: String::new(),
                release: String::new(),
                architecture: None,
            };
        };
        let qualifier = |key: &str| {
            let mut all = purl.qualifiers().iter();
            all.find_map(|(name, value)| (name == key).then(|| value.to_string()))
        };
        // In Debian the namespace is the distribution; elsewhere it is a part of the name.
        let name = match purl.namespace().filter(|_| purl.ty() != "deb") {
            Some(namespace) => format!("{namespace}/{}", purl.name()),
            None => purl.name().to_owned(),
        };
        Self {
            name,
            version: purl.version().unwrap_or_default().to_owned(),
            release: qualifier("distro").unwrap_or_default(),
            architecture: qualifier("arch"),
        }
    }
}

/// The rows of an ended job. `documents` are those of its run, `None` if it had none, or why they cannot be used.
pub(super) fn read(
    ended: &EndedJob,
    documents: Result<Option<Documents>, String>,
    pages: &Pages,
) -> (Build, Vec<Reason>, Vec<Output>) {
    let mut build = without_run(ended);
    let documents = match documents {
        Ok(Some(documents)) => documents,
        Ok(None) => return (build, Vec::new(), Vec::new()),
        Err(reason) => {
            build.verdict = "inconclusive".into();
            build.status = Status::Unknown;
            build.reason = Some(short(&format!(
                "the documents of the worker cannot be used: {reason}"
            )));
            return (build, Vec::new(), Vec::new());
        }
    };
    let Documents { plan, mut record } = documents;
    // A record can be large, and is looked at once for each released file.
    let compared = std::mem::take(&mut record.outputs);
    let (plan, record) = (&plan, &record);
    describe(&mut build, ended, plan, record);
    build.report = pages.report;
    let reasons = reasons(&mut build, &compared);
    let outputs = plan.expected.iter().map(|expected| {
        let place = compared
            .iter()
            .position(|output| output.name == expected.file.name);
        let output = place.and_then(|place| compared.get(place));
        let status = status_of(plan, record, expected, output);
        Output {
            status: counting(ended, status),
            comparison: place.and_then(|place| pages.comparisons.get(place).copied().flatten()),
            link: digest_of(&ended.signed, &format!("links/{}.link", expected.file.name)),
            ..released(&build, expected)
        }
    });
    let outputs = outputs.collect();
    (build, reasons, outputs)
}

/// The digest of a file, by its path in a run.
fn digest_of(files: &[RunFile], name: &str) -> Option<Sha256> {
    files
        .iter()
        .find(|file| file.path == name)
        .map(|file| file.sha256)
}

/// Fills in what plan and record say of a build.
fn describe(build: &mut Build, ended: &EndedJob, plan: &Plan, record: &Record) {
    let named = Named::of(&record.subject);
    record.subject.clone_into(&mut build.subject);
    build.package = package(&record.subject);
    build.ecosystem = plan.ecosystem.name().into();
    build.distribution.clone_from(&build.ecosystem);
    build.source = source(plan).unwrap_or_else(|| named.name.clone());
    (build.name, build.version, build.release) = (named.name, named.version, named.release);
    if let Some(architecture) = named.architecture {
        build.architecture = architecture;
    }
    build.verdict = word(&record.verdict).into();
    build.conclusive = !matches!(record.verdict, Verdict::Inconclusive { .. });
    build.status = counting(ended, status(record));
    if let Verdict::Inconclusive { stage, reason } = &record.verdict {
        build.reason = Some(short(&format!("{stage}: {reason}")));
    }
    build.started = record.started.as_millisecond();
    build.finished = record.finished.as_millisecond();
    record.backend.clone_into(&mut build.backend);
    build.record = digest_of(&ended.run, "record.json");
    build.plan = digest_of(&ended.run, "plan.json");
    build.log = digest_of(&ended.run, "build.log").filter(|log| *log == record.log);
    build.attestation = digest_of(&ended.signed, "attestation.sigstore.json");
}

/// The reasons why the outputs of a build differ; names the causes in its row.
fn reasons(build: &mut Build, compared: &[OutputResult]) -> Vec<Reason> {
    let mut reasons = BTreeSet::new();
    for output in compared {
        for cause in output.differs.iter().flat_map(|differs| &differs.causes) {
            let name = cause.cause.name();
            if build.causes.len() < CAUSES && !build.causes.iter().any(|known| known == name) {
                build.causes.push(name.into());
            }
            if reasons.len() < REASONS {
                reasons.insert(reason(cause));
            }
        }
    }
    reasons.into_iter().collect()
}

/// What a cause has in common with that of other builds.
fn reason(found: &RootCause) -> Reason {
    let is_versions = matches!(
        found.cause,
        Cause::ToolVersion | Cause::DependencyVersion | Cause::GoBuildInformation
    );
    let value = |text: &str| {
        if is_versions {
            text.chars().take(VALUE).collect()
        } else {
            String::new()
        }
    };
    Reason {
        cause: found.cause.name().into(),
        shared: found.key.chars().take(VALUE).collect(),
        released: value(&found.example.released),
        rebuilt: value(&found.example.rebuilt),
    }
}

/// The row of a released file of which nothing is said yet.
fn released(build: &Build, expected: &Expected) -> Output {
    let named = Named::of(&expected.purl);
    let file = &expected.file;
    let url = file.urls.first().cloned().unwrap_or_default();
    Output {
        id: 0,
        build: build.id,
        distribution: build.distribution.clone(),
        release: if named.release.is_empty() {
            build.release.clone()
        } else {
            named.release
        },
        component: component(&url),
        architecture: named.architecture.unwrap_or_else(|| build.architecture.clone()),
        name: named.name,
        version: named.version,
        file: file.name.clone(),
        url,
        sha256: file.sha256,
        status: Status::Unknown,
        comparison: None,
        attestation: build.attestation,
        link: None,
        finished: build.finished,
        conclusive: build.conclusive,
    }
}

/// The row of a job that left no run.
fn without_run(ended: &EndedJob) -> Build {
    let subject = ended.subject.parse::<Subject>();
    let subject = subject.map_or_else(|_| ended.subject.clone(), |subject| subject.purl());
    let named = Named::of(&subject);
    let asked = Some(ended.architecture.clone()).filter(|asked| !asked.is_empty());
    let failed = ended.reason.as_deref().is_some_and(is_of_the_build);
    Build {
        id: ended.job,
        package: package(&subject),
        ecosystem: ended.ecosystem.clone(),
        distribution: ended.ecosystem.clone(),
        release: named.release,
        // What is for no particular processor is called so in Debian, and in the addresses of its rebuilders.
        architecture: named.architecture.or(asked).unwrap_or_else(|| "all".into()),
        source: named.name.clone(),
        name: named.name,
        version: named.version,
        subject,
        verdict: ended.verdict.clone(),
        status: if ended.verdict == "inconclusive" && failed {
            Status::Fail
        } else {
            Status::Unknown
        },
        reason: ended.reason.as_deref().map(short),
        causes: Vec::new(),
        retries: ended.attempt.saturating_sub(1).max(0),
        started: ended.at,
        finished: ended.at,
        worker: ended.worker.clone(),
        backend: String::new(),
        signing: ended.signing.clone(),
        record: None,
        plan: None,
        report: None,
        log: None,
        attestation: None,
        conclusive: false,
        newest: false,
    }
}

fn short(text: &str) -> String {
    text.chars().take(REASON).collect()
}

/// A package URL without version and qualifiers.
fn package(purl: &str) -> String {
    let end = purl.find(['?', '#']).unwrap_or(purl.len());
    let front = purl.get(..end).unwrap_or(purl);
    // The scope of an npm package is written with %40.
    front.split('@').next().unwrap_or(front).to_owned()
}

/// The name of a Debian source package, from its description among the inputs.
fn source(plan: &Plan) -> Option<String> {
    let mut sources = plan.inputs.iter().filter(|input| input.role == Role::Source);
    sources.find_map(|input| {
        let (name, _) = input.file.name.strip_suffix(".dsc")?.split_once('_')?;
        Some(name.to_owned())
    })
}

/// The part of a Debian archive, such as `main`, from the address of a file in its pool.
fn component(url: &str) -> String {
    let mut parts = url.split('/').skip_while(|part| *part != "pool").skip(1);
    parts.next().unwrap_or_default().to_owned()
}

fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Reproduced => "reproduced",
        Verdict::Equivalent => "equivalent",
        Verdict::Mismatch => "mismatch",
        Verdict::NotReproduced => "not-reproduced",
        Verdict::Inconclusive { .. } => "inconclusive",
    }
}

fn status(record: &Record) -> Status {
    let code = record.failure.as_ref().map(|failure| failure.code);
    match &record.verdict {
        Verdict::Reproduced => Status::Good,
        Verdict::Mismatch => Status::Bad,
        Verdict::Inconclusive { .. } if code.is_some_and(is_failed_build) => Status::Fail,
        // Neither the same bytes, nor anything that accuses the release.
        _ => Status::Unknown,
    }
}

/// Whether a build ran and failed. If this tool has no plan for a package, that is not a failed build.
fn is_failed_build(code: FailureCode) -> bool {
    matches!(
        code,
        FailureCode::BuildFailed
            | FailureCode::SetupFailed
            | FailureCode::TestsFailed
            | FailureCode::MissingTool
            | FailureCode::NeedsNetwork
            | FailureCode::DependencyConflict
    )
}

/// The same from the reason that the queue keeps, `FAULT (CODE): MESSAGE`.
fn is_of_the_build(reason: &str) -> bool {
    let code = reason
        .strip_prefix(Fault::Build.word())
        .and_then(|rest| rest.strip_prefix(" ("))
        .and_then(|rest| rest.split_once(')'))
        .map(|(code, _)| code);
    FailureCode::ALL
        .into_iter()
        .any(|known| code == Some(known.about().name) && is_failed_build(known))
}

/// What is said of one released file: the conclusion of the run, if this file were all of it.
fn status_of(plan: &Plan, record: &Record, expected: &Expected, output: Option<&OutputResult>) -> Status {
    if matches!(record.verdict, Verdict::Inconclusive { .. }) {
        return Status::Unknown;
    }
    let plan = Plan {
        expected: vec![expected.clone()],
        ..plan.clone()
    };
    let alone = Record {
        outputs: output.cloned().into_iter().collect(),
        ..record.clone()
    };
    match alone.verdict_of(&plan) {
        Verdict::Reproduced => Status::Good,
        // One of the others may be what the run is accused of, or a file that was never released.
        Verdict::Mismatch if record.verdict == Verdict::Mismatch => Status::Bad,
        _ => Status::Unknown,
    }
}

/// If there is a signer, only results that it signed count.
fn counting(ended: &EndedJob, status: Status) -> Status {
    match ended.signing.as_str() {
        "no" | "signed" => status,
        _ if status == Status::Fail => status,
        _ => Status::Unknown,
    }
}
