//! A run for people: a summary for the terminal and a page of HTML, both from the same record.

pub mod agreement;
pub mod audit;
pub mod comparison;
pub mod inspection;

use std::fmt::Write as _;

use askama::Template;

use crate::compare::Outcome;
use crate::evidence::{Claim, Question, Standing};
use crate::plan::{Origin, Plan, Role};
use crate::rebuild::{Evidence, OutputResult, Record, Verdict};

/// A page that cannot be rendered.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("cannot render the report")]
pub struct ReportError(#[from] askama::Error);

#[derive(Template)]
#[template(path = "report.html")]
struct Page<'a> {
    plan: &'a Plan,
    record: &'a Record,
    verdict: &'static str,
    reason: String,
    signature: Vec<&'a Claim>,
    provenance: Vec<&'a Claim>,
    other: Vec<&'a Claim>,
    outputs: Vec<OutputRow>,
    assumptions: Vec<(String, String, &'static str, String)>,
    sources: Vec<(String, String)>,
    dependencies: usize,
}

struct OutputRow {
    name: String,
    state: &'static str,
    released: String,
    rebuilt: String,
    notes: Vec<String>,
    comparison: Option<String>,
}

/// The run as one self-contained HTML page.
pub fn html(plan: &Plan, record: &Record) -> Result<String, ReportError> {
    let of = |question| {
        plan.claims
            .iter()
            .filter(|claim| claim.question == question)
            .collect()
    };
    let page = Page {
        plan,
        record,
        verdict: word(&record.verdict),
        reason: match &record.verdict {
            Verdict::Inconclusive { stage, reason } => format!("stage {stage}: {reason}"),
            _ => String::new(),
        },
        signature: of(Question::Signature),
        provenance: of(Question::Provenance),
        other: of(Question::Other),
        outputs: record
            .outputs
            .iter()
            .map(|output| {
                let part = output.differs.as_ref().map(comparison::part);
                let comparison = part.map(|part| part.render()).transpose()?;
                Ok(OutputRow {
                    comparison,
                    ..row(output)
                })
            })
            .collect::<Result<_, askama::Error>>()?,
        assumptions: plan
            .assumptions
            .iter()
            .map(|assumption| {
                let (kind, from) = origin(&assumption.origin);
                (
                    assumption.what.clone(),
                    assumption.value.clone(),
                    kind,
                    from.to_owned(),
                )
            })
            .collect(),
        sources: plan
            .inputs
            .iter()
            .filter(|input| input.role == Role::Source)
            .map(|input| (input.file.name.clone(), input.file.sha256.to_hex()))
            .collect(),
        dependencies: plan
            .inputs
            .iter()
            .filter(|input| input.role == Role::Dependency)
            .count(),
    };
    Ok(self::page(&page.render()?))
}

/// A rendered page without the control characters that names and values may carry.
fn page(text: &str) -> String {
    text.replace(|c: char| c.is_control() && c != '\n', "\u{fffd}")
}

/// Wraps text in the ANSI codes of a style, where `colour` says so.
pub(crate) fn painter(colour: bool) -> impl Fn(&str, &str) -> String {
    move |code, text| {
        if colour {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

/// The run as lines for a terminal; `colour` adds ANSI codes.
pub fn terminal(plan: &Plan, record: &Record, colour: bool) -> String {
    let paint = painter(colour);
    let mut out = String::new();
    for claim in &plan.claims {
        let question = match claim.question {
            Question::Signature => "signature ",
            Question::Provenance => "provenance",
            Question::Other => "other     ",
        };
        let _ = writeln!(
            out,
            "{} {} {}",
            paint("2", question),
            standing(claim.standing),
            plain(&claim.claim)
        );
        if let Some(by) = &claim.by {
            let _ = writeln!(out, "           by {}", plain(by));
        }
        let _ = writeln!(out, "           {}", paint("2", &plain(&claim.meaning)));
    }
    if record.evidence == Evidence::TakenFromPlan {
        let warning = "the claims above are the plan's; this run did not verify them again";
        let _ = writeln!(out, "{}", paint("33", warning));
    }
    for output in &record.outputs {
        let row = row(output);
        let mark = if output.reproduced() {
            paint("32", "=")
        } else if output.equivalent() {
            paint("33", "~")
        } else {
            paint("31", "!")
        };
        let _ = writeln!(out, "{mark} {}  {}", row.name, row.state);
        if !output.reproduced() {
            let _ = writeln!(out, "    released sha256:{}", row.released);
            let _ = writeln!(out, "    rebuilt  sha256:{}", row.rebuilt);
        }
        for note in row.notes.iter().take(NOTES_ON_TERMINAL) {
            let _ = writeln!(out, "    {note}");
        }
        if row.notes.len() > NOTES_ON_TERMINAL {
            let _ = writeln!(
                out,
                "    and {} more; report.html has them all",
                row.notes.len() - NOTES_ON_TERMINAL
            );
        }
    }
    if !record.not_compared.is_empty() {
        let _ = writeln!(
            out,
            "{} {}",
            paint("2", "not compared (released nowhere, or not asked for):"),
            record.not_compared.join(", ")
        );
    }
    if !record.not_enforced.is_empty() {
        let _ = writeln!(
            out,
            "{} {}",
            paint("33", "limits not enforced on this machine:"),
            record.not_enforced.join(", ")
        );
    }
    for found in record.credentials.iter().take(NOTES_ON_TERMINAL) {
        let line = found
            .line
            .map_or_else(String::new, |line| format!(", line {line}"));
        let _ = writeln!(
            out,
            "{} {}{line} ({})",
            paint("33", "a credential:"),
            plain(&found.place),
            found.rule
        );
    }
    if record.credentials.len() > NOTES_ON_TERMINAL {
        let more = record.credentials.len() - NOTES_ON_TERMINAL;
        let _ = writeln!(out, "    and {more} more; report.html has them all");
    }
    for attempt in &record.attempts {
        let mark = if attempt.chosen { "this run" } else { "" };
        let because = attempt.because.as_deref().unwrap_or("the first plan");
        let ended = plain(&attempt.ended);
        let line = format!("attempt {}  {}: {ended}  {mark}", attempt.number, plain(because));
        let _ = writeln!(out, "{}", paint("2", line.trim_end()));
    }
    let code = match record.verdict {
        Verdict::Reproduced => "1;32",
        Verdict::Mismatch => "1;31",
        Verdict::Equivalent | Verdict::Inconclusive { .. } => "1;33",
    };
    let _ = writeln!(
        out,
        "{}  {}",
        paint(code, &record.verdict.to_string()),
        plan.subject
    );
    out
}

const NOTES_ON_TERMINAL: usize = 12;

fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Reproduced => "reproduced",
        Verdict::Equivalent => "equivalent",
        Verdict::Mismatch => "mismatch",
        Verdict::Inconclusive { .. } => "inconclusive",
    }
}

/// The word with its colon, in a column of its own.
fn standing(standing: Standing) -> String {
    format!("{:<10}", format!("{}:", standing.word()))
}

fn origin(origin: &Origin) -> (&'static str, &str) {
    match origin {
        Origin::Declared(from) => ("declared", from),
        Origin::Inferred(from) => ("inferred", from),
        Origin::Convention(from) => ("convention", from),
        Origin::Tried(from) => ("tried", from),
    }
}

fn row(output: &OutputResult) -> OutputRow {
    let text = |digest: Option<crate::artifact::Sha256>| {
        digest.map_or_else(|| "-".to_owned(), crate::artifact::Sha256::to_hex)
    };
    OutputRow {
        name: plain(&output.name),
        state: match (output.released, output.rebuilt) {
            _ if output.reproduced() => "bit for bit",
            _ if output.equivalent() => "equivalent",
            (Some(_), Some(_)) => "differs",
            (Some(_), None) => "did not come out",
            (None, _) => "came out, but was never released",
        },
        released: text(output.released),
        rebuilt: text(output.rebuilt),
        notes: notes(output),
        comparison: None,
    }
}

/// An error with its causes on one line; a cause that is in the text already is left out.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let more = inner.to_string();
        if !text.contains(&more) {
            let _ = write!(text, ": {more}");
        }
        cause = inner.source();
    }
    text
}

/// Names come out of archives that anyone may have made; control characters would steer a terminal.
fn plain(text: &str) -> String {
    text.replace(char::is_control, "\u{fffd}")
}

/// Why an output differs, for a terminal: causes first, then how to see more.
fn notes(output: &OutputResult) -> Vec<String> {
    let Some(differs) = &output.differs else {
        return Vec::new();
    };
    let mut notes: Vec<String> = differs
        .causes
        .iter()
        .flat_map(|cause| {
            let example = &cause.example;
            let place = if example.path.is_empty() {
                String::new()
            } else {
                format!("{} ", example.path)
            };
            let values = if example.released.is_empty() && example.rebuilt.is_empty() {
                String::new()
            } else {
                format!(": {} → {}", example.released, example.rebuilt)
            };
            [
                format!("{}{}", cause.cause.title(), comparison::summary(cause)),
                format!("  {place}{}{values}", example.place),
            ]
        })
        .map(|note| plain(&note))
        .collect();
    if differs.outcome == Outcome::Equivalent {
        notes.push(format!(
            "set aside: {}",
            comparison::set_aside(&differs.normalisations)
        ));
    }
    notes
}
