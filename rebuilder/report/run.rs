//! A run for people: a summary for the terminal and a page of HTML, both from the same record. Values are put in as they
//! are: [`crate::text`] makes them visible, in the lines of a screen and in what templates write.

pub mod agreement;
pub mod audit;
pub mod comparison;
pub mod inspection;

use askama::Template;

use crate::compare::Outcome;
use crate::evidence::{Claim, Question, Standing};
use crate::plan::{Origin, Plan, Role};
use crate::run::{Evidence, OutputResult, Record, Verdict};
use crate::text::{Screen, Style, plain};

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

/// The run as a page, for those that make it again; `None` if it cannot be made.
pub fn page(plan: &Plan, record: &Record) -> Option<String> {
    html(plan, record).ok()
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
    Ok(page.render()?)
}

/// The run as lines for a terminal; `colour` adds ANSI codes.
pub fn terminal(plan: &Plan, record: &Record, colour: bool) -> Screen {
    let mut out = Screen::new(colour);
    for claim in &plan.claims {
        let question = match claim.question {
            Question::Signature => "signature ",
            Question::Provenance => "provenance",
            Question::Other => "other     ",
        };
        out.line([
            Style::Dim.of(question),
            plain(format_args!(" {} {}", standing(claim.standing), claim.claim)),
        ]);
        if let Some(by) = &claim.by {
            out.say(format_args!("           by {by}"));
        }
        out.line([plain("           "), Style::Dim.of(&claim.meaning)]);
    }
    if record.evidence == Evidence::TakenFromPlan {
        let warning = "the claims above are the plan's; this run did not verify them again";
        out.line([Style::Yellow.of(warning)]);
    }
    for output in &record.outputs {
        let row = row(output);
        let mark = if output.reproduced() {
            Style::Green.of("=")
        } else if output.equivalent() {
            Style::Yellow.of("~")
        } else {
            Style::Red.of("!")
        };
        out.line([mark, plain(format_args!(" {}  {}", row.name, row.state))]);
        if !output.reproduced() {
            out.say(format_args!("    released sha256:{}", row.released));
            out.say(format_args!("    rebuilt  sha256:{}", row.rebuilt));
        }
        for note in row.notes.iter().take(NOTES_ON_TERMINAL) {
            out.say(format_args!("    {note}"));
        }
        if row.notes.len() > NOTES_ON_TERMINAL {
            let more = row.notes.len() - NOTES_ON_TERMINAL;
            out.say(format_args!("    and {more} more; report.html has them all"));
        }
    }
    if !record.not_compared.is_empty() {
        let title = "not compared (released nowhere, or not asked for):";
        out.line([
            Style::Dim.of(title),
            plain(format_args!(" {}", record.not_compared.join(", "))),
        ]);
    }
    if !record.not_enforced.is_empty() {
        out.line([
            Style::Yellow.of("limits not enforced on this machine:"),
            plain(format_args!(" {}", record.not_enforced.join(", "))),
        ]);
    }
    for found in record.credentials.iter().take(NOTES_ON_TERMINAL) {
        let line = found
            .line
            .map_or_else(String::new, |line| format!(", line {line}"));
        out.line([
            Style::Yellow.of("a credential:"),
            plain(format_args!(
                " {}{line} ({}){}",
                found.place,
                found.rule,
                and_more(found.more)
            )),
        ]);
    }
    if record.credentials.len() > NOTES_ON_TERMINAL {
        let more = record.credentials.len() - NOTES_ON_TERMINAL;
        out.say(format_args!("    and {more} more; report.html has them all"));
    }
    for what in record.not_searched.iter().take(NOTES_ON_TERMINAL) {
        out.line([
            Style::Yellow.of("not searched for credentials to its end:"),
            plain(format_args!(" {what}")),
        ]);
    }
    for attempt in &record.attempts {
        let mark = if attempt.chosen { "this run" } else { "" };
        let because = attempt.because.as_deref().unwrap_or("the first plan");
        let line = format!("attempt {}  {because}: {}  {mark}", attempt.number, attempt.ended);
        out.line([Style::Dim.of(line.trim_end())]);
    }
    let style = match record.verdict {
        Verdict::Reproduced => Style::Good,
        Verdict::Mismatch => Style::Bad,
        Verdict::Equivalent | Verdict::Inconclusive { .. } => Style::Open,
    };
    out.line([
        style.of(&record.verdict),
        plain(format_args!("  {}", plan.subject)),
    ]);
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

/// How many findings are counted and not told.
fn and_more(count: u64) -> String {
    if count == 0 {
        String::new()
    } else {
        format!(", and {count} more")
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
        name: output.name.clone(),
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
        .collect();
    if differs.outcome == Outcome::Equivalent {
        notes.push(format!(
            "set aside: {}",
            comparison::set_aside(&differs.normalisations)
        ));
    }
    notes
}
