//! The pages of a server, made from published results. They need no scripts, and the templates escape every value from
//! outside.

mod chart;
mod overview;
mod rows;
mod trends;

use askama::Template;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::ReportError;
use super::prove::draw;
use crate::compare::Cause;
use crate::plan::Plan;
use crate::queue::published::{Build, Found, Open, Output};
use crate::text::plural;
use rows::Row;

pub use overview::{Overview, overview, state};
pub use trends::{Trends, causes_page, rates, shared};

/// The style of all pages.
pub const STYLE: &str = include_str!("../templates/site/site.css");
/// The script of the page of a job that runs; the page can be read without it.
pub const LIVE: &str = include_str!("../templates/site/live.js");

#[derive(Template)]
#[template(path = "site/package.html")]
struct PackagePage<'a> {
    package: &'a str,
    shown: Option<Row>,
    rows: Vec<Row>,
    count: String,
    badge: String,
}

/// The page of a package, from its builds, the newest first.
pub fn package(package: &str, builds: &[Build]) -> Result<String, ReportError> {
    let page = PackagePage {
        package,
        shown: shown(builds).map(Row::of),
        rows: builds.iter().map(Row::of).collect(),
        count: plural(builds.len(), "build"),
        badge: format!("{LABEL}: {}", word(builds).0),
    };
    Ok(page.render()?)
}

/// The build that represents a package: the one that the database shows for its newest subject.
fn shown(builds: &[Build]) -> Option<&Build> {
    let mut newest = builds.iter().filter(|build| build.newest);
    newest
        .clone()
        .find(|build| build.conclusive)
        .or_else(|| newest.next())
}

#[derive(Template)]
#[template(path = "site/build.html")]
struct BuildPage<'a> {
    row: Row,
    subject: &'a str,
    meaning: &'static str,
    reason: &'a str,
    begun: String,
    worker: &'a str,
    backend: &'a str,
    retries: String,
    causes: Vec<(&'static str, &'static str)>,
    outputs: Vec<OutputRow<'a>>,
    files: Vec<(&'static str, &'static str)>,
    inputs: Vec<(String, String)>,
}

struct OutputRow<'a> {
    id: i64,
    file: &'a str,
    status: &'static str,
    sha256: String,
    comparison: bool,
    link: bool,
}

/// The page of one build, with its plan if there is one.
pub fn build(build: &Build, outputs: &[Output], plan: Option<&Plan>) -> Result<String, ReportError> {
    let page = BuildPage {
        row: Row::of(build),
        subject: &build.subject,
        meaning: meaning(&build.verdict),
        reason: build.reason.as_deref().unwrap_or_default(),
        begun: rows::when(build.started),
        worker: if build.worker.is_empty() {
            "no worker"
        } else {
            &build.worker
        },
        backend: &build.backend,
        retries: match build.retries {
            0 => String::new(),
            count => plural(count, "other attempt"),
        },
        causes: causes(build),
        outputs: outputs.iter().map(OutputRow::of).collect(),
        files: files(build),
        inputs: plan.map(inputs).unwrap_or_default(),
    };
    Ok(page.render()?)
}

impl<'a> OutputRow<'a> {
    fn of(output: &'a Output) -> Self {
        Self {
            id: output.id,
            file: &output.file,
            status: output.status.word(),
            sha256: output.sha256.to_hex(),
            comparison: output.comparison.is_some(),
            link: output.link.is_some(),
        }
    }
}

/// Why the outputs differ, and what helps against it.
fn causes(build: &Build) -> Vec<(&'static str, &'static str)> {
    let known = |name: &String| Cause::ALL.iter().find(|cause| cause.name() == name);
    let causes = build.causes.iter().filter_map(known);
    causes.map(|cause| (cause.title(), cause.fix())).collect()
}

/// The files of the run that are there, and what each is.
fn files(build: &Build) -> Vec<(&'static str, &'static str)> {
    let all = [
        (
            "report.html",
            "the comparison, the claims and the assumptions",
            build.report.is_some(),
        ),
        (
            "attestation.sigstore.json",
            "the signed statement, a Sigstore bundle",
            build.attestation.is_some(),
        ),
        (
            "plan.json",
            "every input, pinned; you can replay it",
            build.plan.is_some(),
        ),
        ("record.json", "the worker's record", build.record.is_some()),
        ("build.log", "the output of the build", build.log.is_some()),
    ];
    let there = all.into_iter().filter(|(_, _, there)| *there);
    there.map(|(name, what, _)| (name, what)).collect()
}

/// The inputs that a plan pins, in a few lines; the report has all of them.
fn inputs(plan: &Plan) -> Vec<(String, String)> {
    let mut lines = vec![("Built in".to_owned(), plan.container.describe())];
    for git in &plan.git {
        let commit = git.source.commit.as_deref().unwrap_or("no commit");
        lines.push((
            "Source".to_owned(),
            format!("{} at {commit}", git.source.repository),
        ));
    }
    lines.push(("Inputs".to_owned(), plural(plan.inputs.len(), "pinned file")));
    for step in &plan.build.steps {
        lines.push(("Step".to_owned(), step.name.clone()));
    }
    let assumed = plan
        .assumptions
        .iter()
        .filter(|assumption| !assumption.is_declared());
    lines.extend(
        assumed.map(|assumption| (format!("Assumed: {}", assumption.what), assumption.value.clone())),
    );
    lines
}

fn meaning(verdict: &str) -> &'static str {
    match verdict {
        "reproduced" => "Every released file was reproduced bit for bit.",
        "equivalent" => "The files differ, but named normalisations set all differences aside.",
        "mismatch" => "The build produced other bytes, although all inputs were declared.",
        "not-reproduced" => {
            "No build was found that produces these bytes. An undeclared input may be the reason, so this \
            is evidence neither for nor against the release."
        }
        "refused" => "The evidence or the policy refused the build.",
        _ => "There is no result. This says nothing about the release.",
    }
}

#[derive(Template)]
#[template(path = "site/job.html")]
struct JobPage<'a> {
    id: i64,
    subject: &'a str,
    state: String,
    when: String,
    machine: String,
    running: bool,
    log: &'a str,
    offset: u64,
    cut: bool,
}

/// The page of a job that waits or runs. `log` is the log so far and where it ends, in bytes; `cut` if its begin is left out.
pub fn job(job: &Open, log: Option<(&str, u64, bool)>) -> Result<String, ReportError> {
    let (text, offset, cut) = log.unwrap_or_default();
    let page = JobPage {
        id: job.id,
        subject: &job.subject,
        state: state(job),
        when: rows::when(job.changed),
        machine: rows::machine(job.changed),
        running: log.is_some(),
        log: text,
        offset,
        cut,
    };
    Ok(page.render()?)
}

#[derive(Template)]
#[template(path = "site/search.html")]
struct SearchPage<'a> {
    query: &'a str,
    found: Vec<(&'a str, String)>,
    count: String,
    more: bool,
}

/// The results of a search; there may be more.
pub fn search(query: &str, found: &[Found], more: bool) -> Result<String, ReportError> {
    let page = SearchPage {
        query,
        count: plural(found.len(), "package"),
        found: found
            .iter()
            .map(|found| (found.package.as_str(), plural(found.builds, "build")))
            .collect(),
        more,
    };
    Ok(page.render()?)
}

#[derive(Template)]
#[template(path = "site/message.html")]
struct MessagePage<'a> {
    title: &'a str,
    text: &'a str,
}

/// A page with one message, such as that there is nothing to show.
pub fn message(title: &str, text: &str) -> Result<String, ReportError> {
    Ok(MessagePage { title, text }.render()?)
}

#[derive(Template)]
#[template(path = "site/builds.xml")]
struct Feed<'a> {
    of: &'a str,
    title: String,
    updated: String,
    rows: Vec<Row>,
}

/// The last builds, of one package or of all, as an Atom feed (RFC 4287).
pub fn feed(package: Option<&str>, builds: &[Build]) -> Result<String, ReportError> {
    let updated = builds.iter().map(|build| build.finished).max();
    let feed = Feed {
        of: package.unwrap_or("all"),
        title: package.map_or_else(|| "Builds".to_owned(), |package| format!("Builds of {package}")),
        updated: rows::machine(updated.unwrap_or(0)),
        rows: builds.iter().map(Row::of).collect(),
    };
    Ok(feed.render()?)
}

const LABEL: &str = "reproduced";

/// The word of a badge, and its colour by name and in hexadecimal. A build without a result is neither yes nor no.
fn word(builds: &[Build]) -> (&'static str, &'static str, &'static str) {
    let verdict = shown(builds).map_or("", |build| build.verdict.as_str());
    let counts = shown(builds).is_some_and(|build| matches!(build.signing.as_str(), "no" | "signed"));
    match verdict {
        "reproduced" if counts => ("yes", "brightgreen", "#217a31"),
        "mismatch" if counts => ("no", "red", "#c0392b"),
        "equivalent" if counts => ("equivalent", "yellow", "#8a5a00"),
        "reproduced" | "mismatch" | "equivalent" => ("not signed", "lightgrey", "#57606a"),
        "" => ("never built", "lightgrey", "#57606a"),
        _ => ("unknown", "lightgrey", "#57606a"),
    }
}

/// The badge of a package as SVG; its texts do not come from outside.
pub fn badge(builds: &[Build]) -> String {
    let (message, _, colour) = word(builds);
    draw(LABEL, message, colour)
}

/// The badge as the answer of an endpoint of shields.io.
pub fn badge_endpoint(builds: &[Build]) -> Value {
    let (message, colour, _) = word(builds);
    json!({"schemaVersion": 1, "label": LABEL, "message": message, "color": colour})
}

/// A time of the database, as text for people.
fn time(milliseconds: i64) -> Timestamp {
    Timestamp::from_millisecond(milliseconds).unwrap_or_default()
}
