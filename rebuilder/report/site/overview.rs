//! The first page: rates by ecosystem, results against releases, the last builds, and waiting jobs.

use std::collections::BTreeMap;

use askama::Template;

use super::chart::Chart;
use super::rows::{self, Row, VERDICTS, verdict};
use super::trends::{Trends, class};
use crate::queue::published::{Build, Count, Open, Regression};
use crate::report::ReportError;
use crate::text::plural;

/// Width of a bar, in its own units.
const WIDTH: i64 = 1000;

#[derive(Template)]
#[template(path = "site/overview.html")]
struct OverviewPage {
    total: String,
    words: Vec<&'static str>,
    regressions: Vec<RegressionRow>,
    kinds: Vec<Kind>,
    chart: Chart,
    negatives: Vec<Row>,
    latest: Vec<Row>,
    waiting: String,
    jobs: Vec<Job>,
}

/// A result that should not be.
struct RegressionRow {
    word: &'static str,
    package: String,
    version: String,
    worth: String,
    audit: String,
    good: String,
    when: String,
    machine: String,
}

impl RegressionRow {
    fn of(found: &Regression) -> Self {
        Self {
            word: verdict(&found.verdict).0,
            package: found.package.clone(),
            version: found.version.clone(),
            worth: found.worth.clone(),
            audit: found.audit.clone(),
            good: found.good.clone(),
            when: rows::when(found.at),
            machine: rows::machine(found.at),
        }
    }
}

/// An ecosystem.
struct Kind {
    ecosystem: String,
    /// The bar in words.
    share: String,
    parts: Vec<Part>,
    cells: Vec<(&'static str, i64)>,
}

/// A part of its bar.
struct Part {
    word: &'static str,
    x: i64,
    width: i64,
}

struct Job {
    id: i64,
    subject: String,
    state: String,
    when: String,
    machine: String,
}

/// What the overview shows.
pub struct Overview<'a> {
    pub counts: &'a [Count],
    pub trends: &'a Trends,
    pub regressions: &'a [Regression],
    pub negatives: &'a [Build],
    pub latest: &'a [Build],
    /// How many jobs wait or run, and the first of them.
    pub waiting: i64,
    pub jobs: &'a [Open],
}

/// The first page.
pub fn overview(shown: &Overview) -> Result<String, ReportError> {
    let mut by_kind: BTreeMap<&str, BTreeMap<&'static str, i64>> = BTreeMap::new();
    for count in shown.counts {
        let kind = by_kind.entry(&count.ecosystem).or_default();
        let cell = kind.entry(class(&count.verdict)).or_default();
        *cell = cell.saturating_add(count.count);
    }
    let total = shown
        .counts
        .iter()
        .map(|count| count.count)
        .fold(0, i64::saturating_add);
    let page = OverviewPage {
        total: plural(total, "package version"),
        words: VERDICTS.map(|(word, _)| word).to_vec(),
        regressions: shown.regressions.iter().map(RegressionRow::of).collect(),
        chart: shown.trends.chart(),
        kinds: by_kind
            .into_iter()
            .map(|(name, cells)| kind(name, &cells))
            .collect(),
        negatives: shown.negatives.iter().map(Row::of).collect(),
        latest: shown.latest.iter().map(Row::of).collect(),
        waiting: plural(shown.waiting, "job"),
        jobs: shown
            .jobs
            .iter()
            .map(|job| Job {
                id: job.id,
                subject: job.subject.clone(),
                state: state(job),
                when: rows::when(job.changed),
                machine: rows::machine(job.changed),
            })
            .collect(),
    };
    Ok(page.render()?)
}

/// The state of a job in words.
pub fn state(job: &Open) -> String {
    match (&job.worker, job.state.as_str()) {
        (Some(worker), "running") => format!("running on {worker}, attempt {}", job.attempt),
        (_, "later") => "scheduled for later".to_owned(),
        (_, state) => state.to_owned(),
    }
}

fn kind(ecosystem: &str, counts: &BTreeMap<&'static str, i64>) -> Kind {
    let all = counts.values().copied().fold(0, i64::saturating_add).max(1);
    let cells = VERDICTS.map(|(word, _)| (word, counts.get(word).copied().unwrap_or(0)));
    let (mut parts, mut before) = (Vec::new(), 0_i64);
    let at = |count: i64| count.saturating_mul(WIDTH).checked_div(all).unwrap_or(0);
    for (word, count) in cells {
        let x = at(before);
        before = before.saturating_add(count);
        let width = at(before).saturating_sub(x);
        if count > 0 {
            parts.push(Part { word, x, width });
        }
    }
    let said = cells.iter().filter(|(_, count)| *count > 0);
    let said: Vec<_> = said.map(|(word, count)| format!("{count} {word}")).collect();
    Kind {
        ecosystem: ecosystem.to_owned(),
        share: said.join(", "),
        parts,
        cells: cells.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_has_no_gaps_and_ends_at_its_end() {
        let kind = kind(
            "pypi",
            &BTreeMap::from([("reproduced", 2), ("mismatch", 4), ("inconclusive", 1)]),
        );
        let parts: Vec<_> = kind
            .parts
            .iter()
            .map(|part| (part.word, part.x, part.width))
            .collect();
        assert_eq!(
            parts,
            [
                ("reproduced", 0, 285),
                ("mismatch", 285, 572),
                ("inconclusive", 857, 143)
            ]
        );
        assert_eq!(kind.share, "2 reproduced, 4 mismatch, 1 inconclusive");
    }
}
