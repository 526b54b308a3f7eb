//! A batch: a table for the terminal, and a page of HTML that links every run.

use askama::Template;

use super::ReportError;
use crate::audit::{ResultLine, SubjectResult, Summary};
use crate::ledger::Spent;
use crate::text::{Screen, Style, column, plain, plural};

#[derive(Template)]
#[template(path = "audit.html")]
struct Page<'a> {
    summary: &'a Summary,
    total: String,
    rebuilt_now: String,
    rows: Vec<Row<'a>>,
    shares: Vec<(&'static str, f64, f64)>,
}

struct Row<'a> {
    line: &'a ResultLine,
    why: String,
}

/// The batch as one page; links are relative to the batch's folder.
pub fn html(summary: &Summary) -> Result<String, ReportError> {
    let rows = summary.results.iter().map(|line| Row { line, why: why(line) });
    let page = Page {
        summary,
        total: plural(summary.total, "package"),
        rebuilt_now: plural(summary.rebuilt_now, "rebuild"),
        rows: rows.collect(),
        shares: shares(&summary.wall),
    };
    Ok(page.render()?)
}

/// The batch as lines for a terminal; `colour` adds ANSI codes.
pub fn terminal(summary: &Summary, colour: bool) -> Screen {
    let mut out = Screen::new(colour);
    for line in summary
        .results
        .iter()
        .filter(|line| line.outcome != SubjectResult::Reproduced)
    {
        let style = match line.outcome {
            SubjectResult::Mismatch { .. } | SubjectResult::Refused { .. } => Style::Red,
            _ => Style::Yellow,
        };
        let word = style.of(format_args!("{:<14}", line.outcome.word()));
        out.line([word, plain(format_args!(" {}", line.subject))]);
        out.line([plain("             "), Style::Dim.of(why(line))]);
    }
    let percent = |count: usize| 100.0 * ratio(count, summary.total);
    out.gap();
    out.say(format_args!("{:<28} {:>6} {:>7}", "verdict", "count", "share"));
    for (verdict, count) in &summary.verdicts {
        out.say(format_args!(
            "{} {count:>6} {:>6.1}%",
            column(verdict, 28),
            percent(*count)
        ));
    }
    out.say(format_args!("{:<28} {:>6}", "total", summary.total));
    if !summary.causes.is_empty() {
        let mut causes: Vec<_> = summary.causes.iter().collect();
        causes.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        out.gap();
        out.say(format_args!("{:<58} {:>6}", "first cause", "count"));
        for (cause, count) in causes {
            out.say(format_args!("{} {count:>6}", column(cause, 58)));
        }
    }
    if summary.rebuilt_now > 0 {
        out.gap();
        out.say(format_args!(
            "{} rebuilt in {:.1} s by {}; builds or downloads ran for {:.1} % of the time",
            plural(summary.rebuilt_now, "package"),
            summary.wall.total,
            plural(summary.jobs, "job"),
            100.0 * summary.share
        ));
        out.say(format_args!(
            "{:<28} {:>8} {:>7} {:>12} {:>7}",
            "seconds of", "wall", "", "jobs, summed", ""
        ));
        for ((name, wall, part), (_, jobs, of_jobs)) in
            shares(&summary.wall).into_iter().zip(shares(&summary.jobs_spent))
        {
            out.say(format_args!(
                "{name:<28} {wall:>8.1} {part:>6.1}% {jobs:>12.1} {of_jobs:>6.1}%"
            ));
        }
    }
    if summary.cost.run_bytes > 0 {
        out.say(format_args!("total cost: {}", summary.cost.sentence()));
    }
    out
}

/// Names, seconds and percent of what the time went into.
fn shares(spent: &Spent) -> Vec<(&'static str, f64, f64)> {
    let all = [
        ("build commands", spent.build),
        ("installing dependencies", spent.setup),
        ("resolvers", spent.resolve),
        ("downloads", spent.download),
        ("rebuilder itself", spent.own),
    ];
    let percent = |seconds: f64| {
        if spent.total > 0.0 {
            100.0 * seconds / spent.total
        } else {
            0.0
        }
    };
    all.into_iter()
        .map(|(name, seconds)| (name, seconds, percent(seconds)))
        .collect()
}

fn ratio(count: usize, total: usize) -> f64 {
    let float = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    if total == 0 {
        0.0
    } else {
        float(count) / float(total)
    }
}

/// Why a subject is not reproduced.
fn why(line: &ResultLine) -> String {
    match &line.outcome {
        SubjectResult::Reproduced => String::new(),
        SubjectResult::Equivalent { normalisations } => format!("set aside: {}", normalisations.join(", ")),
        SubjectResult::Mismatch { causes } | SubjectResult::NotReproduced { causes } if causes.is_empty() => {
            "only the digests were compared".to_owned()
        }
        SubjectResult::Mismatch { causes } | SubjectResult::NotReproduced { causes } => causes.join(", "),
        SubjectResult::Inconclusive {
            stage,
            reason,
            failure,
        } => match failure {
            Some(failure) => format!("{stage}: {reason} ({})", failure.sentence()),
            None => format!("{stage}: {reason}"),
        },
        SubjectResult::Refused { reason } => reason.clone(),
    }
}
