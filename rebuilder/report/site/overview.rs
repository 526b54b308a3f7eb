//! The first page: rates by ecosystem, results against releases, the last builds, and waiting jobs.

use std::collections::BTreeMap;

use askama::Template;

use super::rows::{self, Row, VERDICTS, verdict};
use crate::queue::published::{Build, Count, Open};
use crate::report::ReportError;
use crate::text::plural;

/// Width of a bar, in its own units.
const WIDTH: i64 = 1000;

#[derive(Template)]
#[template(path = "site/overview.html")]
struct OverviewPage {
    total: String,
    words: Vec<&'static str>,
    kinds: Vec<Kind>,
    negatives: Vec<Row>,
    latest: Vec<Row>,
    waiting: String,
    jobs: Vec<Job>,
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

/// The overview. `waiting` is the number of jobs that wait or run; `jobs` are the first of them.
pub fn overview(
    counts: &[Count],
    negatives: &[Build],
    latest: &[Build],
    (waiting, jobs): (i64, &[Open]),
) -> Result<String, ReportError> {
    let mut by_kind: BTreeMap<&str, BTreeMap<&'static str, i64>> = BTreeMap::new();
    for count in counts {
        let word = match verdict(&count.verdict).0 {
            "refused" => "inconclusive",
            word => word,
        };
        let cell = by_kind
            .entry(&count.ecosystem)
            .or_default()
            .entry(word)
            .or_default();
        *cell = cell.saturating_add(count.count);
    }
    let total = counts
        .iter()
        .map(|count| count.count)
        .fold(0, i64::saturating_add);
    let page = OverviewPage {
        total: plural(total, "package version"),
        words: VERDICTS.map(|(word, _)| word).to_vec(),
        kinds: by_kind
            .into_iter()
            .map(|(name, cells)| kind(name, &cells))
            .collect(),
        negatives: negatives.iter().map(Row::of).collect(),
        latest: latest.iter().map(Row::of).collect(),
        waiting: plural(waiting, "job"),
        jobs: jobs
            .iter()
            .map(|job| Job {
                id: job.id,
                subject: job.subject.clone(),
                state: match (&job.worker, job.state.as_str()) {
                    (Some(worker), "running") => format!("running on {worker}, attempt {}", job.attempt),
                    (_, "later") => "scheduled for later".to_owned(),
                    (_, state) => state.to_owned(),
                },
                when: rows::when(job.changed),
                machine: rows::machine(job.changed),
            })
            .collect(),
    };
    Ok(page.render()?)
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
