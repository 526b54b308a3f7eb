//! A batch: a table for the terminal, and an HTML page that links to every run.

use askama::Template;

use serde_json::Value;

use super::ReportError;
use crate::artifact::Sha256;
use crate::audit::{Change, Difference, NotDone, Regressed, ResultLine, Status, SubjectResult, Summary};
use crate::ledger::Spent;
use crate::memory::StoredAlarm;
use crate::text::{Screen, Style, column, plain, plural};

#[derive(Template)]
#[template(path = "audit.html")]
struct Page<'a> {
    summary: &'a Summary,
    total: String,
    rebuilt_now: String,
    not_done: Option<String>,
    rows: Vec<Row<'a>>,
    shares: Vec<(&'static str, f64, f64)>,
}

struct Row<'a> {
    line: &'a ResultLine,
    why: String,
}

/// The batch as one page. Links are relative to the batch's folder.
pub fn html(summary: &Summary) -> Result<String, ReportError> {
    let rows = summary.results.iter().map(|line| Row { line, why: why(line) });
    let page = Page {
        summary,
        total: plural(summary.total, "package"),
        rebuilt_now: plural(summary.rebuilt_now, "rebuild"),
        not_done: not_done(&summary.not_done),
        rows: rows.collect(),
        shares: shares(&summary.wall),
    };
    Ok(page.render()?)
}

/// Maximum number of alarms in a feed.
const FEED: usize = 100;

#[derive(Template)]
#[template(path = "feed.html")]
struct Feed<'a> {
    audit: &'a str,
    id: String,
    updated: String,
    entries: Vec<Entry>,
}

struct Entry {
    id: String,
    title: String,
    updated: String,
    content: String,
}

/// Alarms of an audit, the newest first, as an Atom feed (RFC 4287).
pub fn feed(audit: &str, alarms: &[StoredAlarm]) -> Result<String, ReportError> {
    let time = |at: i64| {
        jiff::Timestamp::from_millisecond(at)
            .unwrap_or_default()
            .to_string()
    };
    let id = format!("urn:rebuilder:audit:{}", Sha256::of(audit));
    let entries = alarms.iter().take(FEED).map(|alarm| {
        let document: Value = serde_json::from_str(&alarm.document).unwrap_or_default();
        let field = |name: &str| {
            let text = document.get(name).and_then(Value::as_str);
            text.unwrap_or_default().to_owned()
        };
        Entry {
            id: format!("{id}:alarm:{}", alarm.id),
            title: format!(
                "{} {} is {}",
                field("package"),
                field("version"),
                field("verdict")
            ),
            updated: time(alarm.made),
            content: crate::text::json_pretty(&document),
        }
    });
    let feed = Feed {
        audit,
        updated: time(alarms.first().map_or(0, |alarm| alarm.made)),
        entries: entries.collect(),
        id,
    };
    Ok(feed.render()?)
}

/// The batch as lines for a terminal; `colour` adds ANSI codes.
pub fn terminal(summary: &Summary, colour: bool) -> Screen {
    let mut out = Screen::new(colour);
    if summary.has_past {
        worse(&mut out, &summary.regressed);
    }
    alarms(&mut out, summary);
    not_reproduced(&mut out, &summary.results);
    counts(&mut out, summary);
    if let Some(words) = not_done(&summary.not_done) {
        out.gap();
        out.say(words);
    }
    if summary.rebuilt_now > 0 {
        times(&mut out, summary);
    }
    if summary.cost.run_bytes > 0 {
        out.say(format_args!("total cost: {}", summary.cost.sentence()));
    }
    out
}

/// The alarms, those that were withheld or taken back, and why receivers could not be told.
fn alarms(out: &mut Screen, summary: &Summary) {
    for alarm in &summary.alarms {
        out.line([Style::Red.of("alarm: "), plain(alarm.sentence())]);
    }
    for (word, alarms) in [
        ("withheld: ", &summary.withheld),
        ("taken back: ", &summary.taken_back),
    ] {
        for alarm in alarms {
            let told = format_args!("{}; {}", alarm.sentence(), alarm.why_not());
            out.line([Style::Yellow.of(word), plain(told)]);
        }
    }
    for reason in &summary.not_told {
        out.line([Style::Yellow.of("not told: "), plain(reason)]);
    }
}

/// Each subject that was not reproduced, and why.
fn not_reproduced(out: &mut Screen, results: &[ResultLine]) {
    for line in results
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
}

/// Number of subjects by verdict, and by first cause.
fn counts(out: &mut Screen, summary: &Summary) {
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
}

/// How long this run took, and for what.
fn times(out: &mut Screen, summary: &Summary) {
    out.gap();
    out.say(format_args!(
        "{} rebuilt in {:.1} s by {}; builds or downloads ran {:.1} % of the time",
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

/// The regressions, after their number.
fn worse(out: &mut Screen, regressed: &[Regressed]) {
    let style = if regressed.is_empty() {
        Style::Dim
    } else {
        Style::Red
    };
    out.line([style.of(format_args!("regressed: {}", regressed.len()))]);
    for it in regressed {
        let version = it.version.as_ref().map(|version| format!(" ({version})"));
        out.say(format_args!(
            "  {}{}: {} in run {}, {} in run {}",
            it.subject,
            version.unwrap_or_default(),
            it.was,
            it.was_in,
            it.is,
            it.is_in
        ));
    }
}

/// The subjects that were not rebuilt again, and why; `None` if all were.
fn not_done(not_done: &NotDone) -> Option<String> {
    let mut parts = Vec::new();
    let mut add = |count: usize, one: &str, many: &str| {
        if count > 0 {
            let verb = if count == 1 { one } else { many };
            parts.push(format!("{} {verb}", plural(count, "package")));
        }
    };
    add(not_done.has_verdict, "has a verdict", "have a verdict");
    add(
        not_done.same_failure,
        "would fail as it did",
        "would fail as they did",
    );
    add(
        not_done.later,
        "will be tried again later",
        "will be tried again later",
    );
    if parts.is_empty() {
        return None;
    }
    let next = not_done.next.map(|next| format!(", from {} on", minute(next)));
    Some(format!(
        "not rebuilt: {}{} (to rebuild them, use --again, --again=inconclusive or --older-than)",
        parts.join(", "),
        next.unwrap_or_default()
    ))
}

fn minute(at: jiff::Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// The state of audits.
pub fn standing(all: &[Status], colour: bool) -> Screen {
    let mut out = Screen::new(colour);
    if all.is_empty() {
        out.say("no audits yet; start one with \"rebuilder audit run LIST\"");
    }
    for (number, status) in all.iter().enumerate() {
        if number > 0 {
            out.gap();
        }
        out.line([
            Style::Bold.of(&status.audit),
            plain(format_args!(" in {}", status.folder)),
        ]);
        worse(&mut out, &status.regressed);
        let mut counts: Vec<_> = status
            .verdicts
            .iter()
            .map(|(verdict, count)| format!("{count} {verdict}"))
            .collect();
        if status.untried > 0 {
            counts.push(format!("{} not tried yet", status.untried));
        }
        out.say(format_args!(
            "{}: {}",
            plural(status.subjects, "package"),
            counts.join(", ")
        ));
        for (failure, count) in &status.failures {
            out.say(format_args!("  {count} {failure}"));
        }
        let next = status
            .not_due
            .next
            .map(|next| format!("; next: {}", minute(next)));
        out.say(format_args!(
            "due now: {}{}",
            status.due,
            next.unwrap_or_default()
        ));
        for run in status.runs.iter().rev().take(RUNS_SHOWN).rev() {
            let ended = match run.ended {
                Some(ended) => format!("to {}", minute(ended)),
                None => "interrupted or still running".to_owned(),
            };
            let rebuilds = plural(usize::try_from(run.rebuilds).unwrap_or_default(), "rebuild");
            out.say(format_args!(
                "  run {:>3}  {} {ended}, {rebuilds}",
                run.number,
                minute(run.started)
            ));
        }
    }
    out
}

/// The message that an audit was scheduled.
pub fn scheduled(name: &str, subjects: usize, next: jiff::Timestamp) -> Screen {
    let mut out = Screen::new(false);
    let packages = plural(subjects, "package");
    out.say(format_args!(
        "scheduled {name} ({packages}); its next run is on {}",
        minute(next)
    ));
    out.say("\"rebuilder audit tick\" runs the audits that are due; with --forever, it checks each minute");
    out
}

/// Number of newest runs that the terminal shows for each audit.
const RUNS_SHOWN: usize = 10;

/// The changes between two runs.
pub fn changes(older: &str, newer: &str, all: &[Difference], colour: bool) -> Screen {
    let mut out = Screen::new(colour);
    let count = |change: Change| all.iter().filter(|it| it.change == change).count();
    let regressed = count(Change::Regressed);
    let style = if regressed == 0 { Style::Dim } else { Style::Red };
    out.line([style.of(format_args!("regressed: {regressed}"))]);
    out.say(format_args!(
        "{older} to {newer}: {}",
        plural(all.len(), "difference")
    ));
    for it in all {
        let side = |word: &Option<String>| word.clone().unwrap_or_else(|| "absent".to_owned());
        out.say(format_args!(
            "{:<16} {}: {}, then {}",
            it.change.words(),
            it.subject,
            side(&it.was),
            side(&it.is)
        ));
    }
    out
}

/// Names, seconds and percentages of the stages that took the time.
fn shares(spent: &Spent) -> Vec<(&'static str, f64, f64)> {
    let all = [
        ("build commands", spent.build),
        ("installing dependencies", spent.setup),
        ("resolvers", spent.resolve),
        ("downloads", spent.download),
        ("waiting for other builds", spent.wait),
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
