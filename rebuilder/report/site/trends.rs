//! How rates and causes go over time, and reasons that packages share.

use std::collections::BTreeMap;

use askama::Template;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::chart::{Chart, day};
use super::rows::{Row, VERDICTS, verdict};
use crate::compare::Cause;
use crate::queue::published::{Build, Cluster, Rate, Reason, Span};
use crate::report::ReportError;
use crate::text::plural;

/// What pages over time show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trends {
    pub span: Span,
    /// The first and the last part of time.
    pub between: (i64, i64),
    /// By verdict.
    pub rates: Vec<Rate>,
    /// By cause.
    pub causes: Vec<Rate>,
}

/// The class of a verdict in charts; what was refused is not concluded either.
pub(super) fn class(word: &str) -> &'static str {
    match verdict(word).0 {
        "refused" => "inconclusive",
        word => word,
    }
}

fn classes() -> Vec<&'static str> {
    VERDICTS.iter().map(|(word, _)| *word).collect()
}

impl Trends {
    pub(super) fn chart(&self) -> Chart {
        Chart::stacked(self.span, self.between, &self.rates, &classes(), class)
    }

    /// The same for one ecosystem alone.
    fn only(&self, ecosystem: &str) -> Self {
        let of = |rates: &[Rate]| {
            let rates = rates.iter().filter(|rate| rate.ecosystem == ecosystem);
            rates.cloned().collect()
        };
        Self {
            rates: of(&self.rates),
            causes: of(&self.causes),
            ..*self
        }
    }
}

#[derive(Template)]
#[template(path = "site/rates.html")]
struct RatesPage<'a> {
    ecosystem: &'a str,
    ecosystems: Vec<&'a str>,
    chart: Chart,
    words: Vec<&'static str>,
    lines: Vec<(String, Vec<(&'static str, i64)>)>,
    causes: Vec<CauseLine>,
}

/// A cause over time.
struct CauseLine {
    title: &'static str,
    name: &'static str,
    builds: String,
    chart: Chart,
}

/// Rates over time, of one ecosystem if it is named, else of all.
pub fn rates(trends: &Trends, ecosystem: Option<&str>) -> Result<String, ReportError> {
    let mut ecosystems: Vec<_> = trends.rates.iter().map(|rate| rate.ecosystem.as_str()).collect();
    ecosystems.sort_unstable();
    ecosystems.dedup();
    let shown = ecosystem.map_or_else(|| trends.clone(), |name| trends.only(name));
    let mut lines: BTreeMap<i64, BTreeMap<&'static str, i64>> = BTreeMap::new();
    for rate in &shown.rates {
        let line = lines.entry(rate.number).or_default();
        let cell = line.entry(class(&rate.word)).or_default();
        *cell = cell.saturating_add(rate.count);
    }
    let lines = lines.into_iter().rev().map(|(number, cells)| {
        let cells = classes()
            .into_iter()
            .map(|word| (word, cells.get(word).copied().unwrap_or(0)));
        (day(shown.span, number), cells.collect())
    });
    let page = RatesPage {
        ecosystem: ecosystem.unwrap_or_default(),
        ecosystems,
        chart: shown.chart(),
        words: classes(),
        lines: lines.collect(),
        causes: causes(&shown),
    };
    Ok(page.render()?)
}

fn causes(trends: &Trends) -> Vec<CauseLine> {
    let mut lines: Vec<_> = Cause::ALL
        .iter()
        .filter_map(|cause| {
            let of = |rate: &&Rate| rate.word == cause.name();
            let rates: Vec<_> = trends.causes.iter().filter(of).cloned().collect();
            let count = rates.iter().map(|rate| rate.count).fold(0, i64::saturating_add);
            let chart = Chart::stacked(trends.span, trends.between, &rates, &["builds"], |_| "builds");
            let line = CauseLine {
                title: cause.title(),
                name: cause.name(),
                builds: plural(count, "build"),
                chart,
            };
            (count > 0).then_some((count, line))
        })
        .collect();
    lines.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
    lines.into_iter().map(|(_, line)| line).collect()
}

#[derive(Template)]
#[template(path = "site/causes.html")]
struct CausesPage {
    clusters: Vec<ClusterRow>,
}

struct ClusterRow {
    title: String,
    shared: String,
    versions: String,
    packages: String,
    builds: String,
    address: String,
}

fn title(cause: &str) -> &str {
    let known = Cause::ALL.iter().find(|known| known.name() == cause);
    known.map_or(cause, |known| known.title())
}

fn versions(reason: &Reason) -> String {
    if reason.released.is_empty() && reason.rebuilt.is_empty() {
        return String::new();
    }
    format!(
        "{} in the release, {} in the rebuild",
        reason.released, reason.rebuilt
    )
}

/// Where the builds are that differ for one reason.
fn address(reason: &Reason) -> String {
    let value = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    format!(
        "/causes/shared?cause={}&shared={}&released={}&rebuilt={}",
        value(&reason.cause),
        value(&reason.shared),
        value(&reason.released),
        value(&reason.rebuilt)
    )
}

/// Reasons that packages share.
pub fn causes_page(clusters: &[Cluster]) -> Result<String, ReportError> {
    let row = |cluster: &Cluster| ClusterRow {
        title: title(&cluster.reason.cause).to_owned(),
        shared: cluster.reason.shared.clone(),
        versions: versions(&cluster.reason),
        packages: plural(cluster.packages, "package"),
        builds: plural(cluster.builds, "build"),
        address: address(&cluster.reason),
    };
    let page = CausesPage {
        clusters: clusters.iter().map(row).collect(),
    };
    Ok(page.render()?)
}

#[derive(Template)]
#[template(path = "site/shared.html")]
struct SharedPage<'a> {
    title: &'a str,
    fix: &'static str,
    shared: &'a str,
    versions: String,
    rows: Vec<Row>,
    more: bool,
}

/// The builds that differ for one reason, of which there may be more.
pub fn shared(reason: &Reason, builds: &[Build], more: bool) -> Result<String, ReportError> {
    let known = Cause::ALL.iter().find(|known| known.name() == reason.cause);
    let page = SharedPage {
        title: title(&reason.cause),
        fix: known.map_or("", |cause| cause.fix()),
        shared: &reason.shared,
        versions: versions(reason),
        rows: builds.iter().map(Row::of).collect(),
        more,
    };
    Ok(page.render()?)
}
