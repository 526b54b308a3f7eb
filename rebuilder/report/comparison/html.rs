//! A comparison as an HTML page without scripts.

use askama::Template;

use super::{Member, about, digest, hexdump, members, summary};
use crate::compare::{Applied, Cause, Comparison, Excerpt, Finding, RootCause};
use crate::report::ReportError;
use crate::text::plural;

/// Maximum number of members on a page.
const MEMBERS_SHOWN: usize = 5000;

#[derive(Template)]
#[template(path = "comparison.html")]
struct Page<'a> {
    comparison: &'a Comparison,
    part: Part<'a>,
}

#[derive(Template)]
#[template(path = "comparison-part.html")]
pub(in crate::report) struct Part<'a> {
    comparison: &'a Comparison,
    steps: Vec<Step>,
    hidden: usize,
}

/// The tree as a sequence, because templates cannot recurse.
enum Step {
    Open {
        name: String,
        about: String,
        worry: bool,
        /// Whether it is initially unfolded.
        open: bool,
        findings: Vec<Row>,
        diffs: Vec<Diff>,
    },
    Close,
}

struct Row {
    place: String,
    released: String,
    rebuilt: String,
    cause: &'static str,
    note: String,
}

/// Two columns.
struct Diff {
    of: String,
    rows: Vec<(String, String, String)>,
    more: u64,
}

/// The comparison as one self-contained page without scripts.
pub fn html(comparison: &Comparison) -> Result<String, ReportError> {
    let page = Page {
        comparison,
        part: part(comparison),
    };
    Ok(page.render()?)
}

/// What a page shows of one comparison.
pub(in crate::report) fn part(comparison: &Comparison) -> Part<'_> {
    let first = comparison.causes.first().map(|cause| cause.example.path.as_str());
    let (mut steps, mut open, mut shown, mut hidden) = (Vec::new(), 0, 0_usize, 0_usize);
    for member in members(comparison) {
        if shown == MEMBERS_SHOWN {
            hidden = hidden.saturating_add(1);
            continue;
        }
        shown = shown.saturating_add(1);
        // Those before it that it is not inside of end here.
        steps.extend((member.depth..open).map(|_| Step::Close));
        open = member.depth.saturating_add(1);
        steps.push(step(&member, first));
    }
    steps.extend((0..open).map(|_| Step::Close));
    Part {
        comparison,
        steps,
        hidden,
    }
}

impl Part<'_> {
    fn causes(&self) -> Vec<(&RootCause, String)> {
        let causes = self.comparison.causes.iter();
        causes.map(|cause| (cause, summary(cause))).collect()
    }

    /// The differences that were set aside, how often, and why that is safe.
    fn normalisations(&self) -> Vec<(&Applied, String, &'static str, &'static str)> {
        let applied = self.comparison.normalisations.iter();
        applied
            .map(|applied| {
                let places = plural(applied.places, "place");
                (
                    applied,
                    places,
                    applied.name.sets_aside(),
                    applied.name.safe_because(),
                )
            })
            .collect()
    }
}

/// A member; the path to the place of the first cause is unfolded.
fn step(member: &Member, first: Option<&str>) -> Step {
    let path = member.path.as_str();
    let leads = |first: &str| path.is_empty() || first == path || first.starts_with(&format!("{path}/"));
    let node = member.node;
    Step::Open {
        name: node.name.clone(),
        about: about(node),
        worry: node
            .findings
            .iter()
            .any(|finding| finding.cause == Cause::Content),
        open: first.is_some_and(leads),
        findings: node.findings.iter().map(row).collect(),
        diffs: node.excerpts.iter().map(diff).collect(),
    }
}

fn row(finding: &Finding) -> Row {
    let times = if finding.places > 1 {
        format!("{}, ", plural(finding.places, "place"))
    } else {
        String::new()
    };
    let follows = if finding.follows {
        ", a consequence of others"
    } else {
        ""
    };
    let aside = finding
        .normalisation
        .as_ref()
        .map(|name| format!(", {name}"))
        .unwrap_or_default();
    Row {
        place: finding.place.to_string(),
        released: finding.released.clone(),
        rebuilt: finding.rebuilt.clone(),
        cause: finding.cause.title(),
        note: format!("{times}{}{follows}{aside}", finding.confidence.word()),
    }
}

fn diff(excerpt: &Excerpt) -> Diff {
    let mut rows = Vec::new();
    for hunk in &excerpt.hunks {
        for line in 0..hunk.released.len().max(hunk.rebuilt.len()) {
            let text = |lines: &[String]| lines.get(line).cloned().unwrap_or_default();
            let number = format!(
                "{} | {}",
                hunk.released_from.saturating_add(line as u64),
                hunk.rebuilt_from.saturating_add(line as u64)
            );
            rows.push((number, text(&hunk.released), text(&hunk.rebuilt)));
        }
    }
    for range in &excerpt.bytes {
        rows.push((
            format!("{:#x}", range.offset),
            hexdump(&range.released),
            hexdump(&range.rebuilt),
        ));
    }
    Diff {
        of: excerpt.of.clone(),
        rows,
        more: excerpt.more,
    }
}
