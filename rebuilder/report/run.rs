//! One run, from its plan and its record.

use askama::Template;

use super::{ReportError, comparison};
use crate::artifact::Sha256;
use crate::compare::Outcome;
use crate::evidence::{Claim, Question, Standing};
use crate::plan::{Origin, Plan, Role};
use crate::run::failure::Failure;
use crate::run::{Evidence, OutputResult, Record, Verdict, undeclared};
use crate::text::{Screen, Style, and_more, plain, plural};

/// Maximum numbers of an output's notes, and of credentials, that a terminal shows.
const NOTES_SHOWN: usize = 12;

#[derive(Template)]
#[template(path = "report.html")]
struct Page<'a> {
    plan: &'a Plan,
    record: &'a Record,
    verdict: &'static str,
    reason: String,
    failure: Option<&'a Failure>,
    signature: Vec<&'a Claim>,
    provenance: Vec<&'a Claim>,
    other: Vec<&'a Claim>,
    outputs: Vec<OutputRow>,
    assumptions: Vec<(String, String, &'static str, String)>,
    sources: Vec<(String, String)>,
    dependencies: String,
}

struct OutputRow {
    name: String,
    state: &'static str,
    released: String,
    rebuilt: String,
    notes: Vec<String>,
    comparison: Option<String>,
}

/// The run as a page, for tools that render it again; `None` if that fails.
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
    let with_role = |role| plan.inputs.iter().filter(move |input| input.role == role);
    let page = Page {
        plan,
        record,
        verdict: record.verdict.word(),
        reason: match &record.verdict {
            Verdict::Inconclusive { stage, reason } => format!("stage {stage}: {reason}"),
            Verdict::NotReproduced => no_build_found(plan),
            _ => String::new(),
        },
        failure: record.failure.as_ref(),
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
        sources: with_role(Role::Source)
            .map(|input| (input.file.name.clone(), input.file.sha256.to_hex()))
            .collect(),
        dependencies: plural(with_role(Role::Dependency).count(), "build dependency"),
    };
    Ok(page.render()?)
}

/// The run as lines for a terminal; `colour` adds ANSI codes.
pub fn terminal(plan: &Plan, record: &Record, colour: bool) -> Screen {
    let mut out = Screen::new(colour);
    claims(plan, record, &mut out);
    for output in &record.outputs {
        one_output(output, &mut out);
    }
    if !record.not_compared.is_empty() {
        let title = "not compared (never released, or not requested):";
        let names = record.not_compared.join(", ");
        out.line([Style::Dim.of(title), plain(format_args!(" {names}"))]);
    }
    if !record.not_enforced.is_empty() {
        let title = "limits not enforced on this machine:";
        let names = record.not_enforced.join(", ");
        out.line([Style::Yellow.of(title), plain(format_args!(" {names}"))]);
    }
    credentials(record, &mut out);
    for attempt in &record.attempts {
        let mark = if attempt.chosen { "this run" } else { "" };
        let because = attempt.because.as_deref().unwrap_or("the first plan");
        let line = format!("attempt {}  {because}: {}  {mark}", attempt.number, attempt.ended);
        out.line([Style::Dim.of(line.trim_end())]);
    }
    let style = match record.verdict {
        Verdict::Reproduced => Style::Good,
        Verdict::Mismatch => Style::Bad,
        Verdict::Equivalent | Verdict::NotReproduced | Verdict::Inconclusive { .. } => Style::Open,
    };
    out.line([
        style.of(&record.verdict),
        plain(format_args!("  {}", plan.subject)),
    ]);
    if record.verdict == Verdict::NotReproduced {
        out.say(format_args!("    {}", no_build_found(plan)));
    }
    if let Some(failure) = &record.failure {
        no_conclusion(failure, &mut out);
    }
    out
}

/// The reason for the end of the run, the end of its log, and what to do.
fn no_conclusion(failure: &Failure, out: &mut Screen) {
    if !failure.last_lines.is_empty() {
        out.line([Style::Dim.of("    the last lines of build.log:")]);
    }
    for line in &failure.last_lines {
        out.line([plain("    | "), Style::Dim.of(line)]);
    }
    out.line([plain("    "), Style::Open.of(failure.sentence())]);
    if let Some(line) = &failure.line {
        out.say(format_args!("    the line that shows it: {line}"));
    }
    out.say(format_args!("    what to do: {}", failure.code.about().help));
}

fn claims(plan: &Plan, record: &Record, out: &mut Screen) {
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
        let warning = "the claims above are from the plan; this run did not verify them again";
        out.line([Style::Yellow.of(warning)]);
    }
}

fn one_output(output: &OutputResult, out: &mut Screen) {
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
    for note in row.notes.iter().take(NOTES_SHOWN) {
        out.say(format_args!("    {note}"));
    }
    not_shown(row.notes.len(), out);
}

fn credentials(record: &Record, out: &mut Screen) {
    for found in record.credentials.iter().take(NOTES_SHOWN) {
        let line = found
            .line
            .map_or_else(String::new, |line| format!(", line {line}"));
        let more = and_more(found.more);
        let place = format!(" {}{line} ({}){more}", found.place, found.rule);
        out.line([Style::Yellow.of("a credential:"), plain(place)]);
    }
    not_shown(record.credentials.len(), out);
    for what in record.not_searched.iter().take(NOTES_SHOWN) {
        let title = "not fully searched for credentials:";
        out.line([Style::Yellow.of(title), plain(format_args!(" {what}"))]);
    }
}

/// Counts the entries that the terminal does not show.
fn not_shown(count: usize, out: &mut Screen) {
    let more = count.saturating_sub(NOTES_SHOWN);
    if more > 0 {
        out.say(format_args!("    and {more} more; report.html has them all"));
    }
}

/// The assumptions that may be the reason why no build produces the released bytes.
fn no_build_found(plan: &Plan) -> String {
    let mut assumed: Vec<_> = undeclared(plan)
        .map(|assumption| assumption.what.as_str())
        .collect();
    assumed.dedup();
    format!(
        "no build was found that produces these bytes. This is not evidence against them: an undeclared \
        input may be the reason: {}",
        assumed.join(", ")
    )
}

/// The word and its colon, as a column.
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
    let text = |digest: Option<Sha256>| digest.map_or_else(|| "-".to_owned(), Sha256::to_hex);
    OutputRow {
        name: output.name.clone(),
        state: match (output.released, output.rebuilt) {
            _ if output.reproduced() => "bit for bit",
            _ if output.equivalent() => "equivalent",
            (Some(_), Some(_)) => "differs",
            (Some(_), None) => "not produced",
            (None, _) => "produced, but never released",
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
        let names = comparison::set_aside(&differs.normalisations);
        notes.push(format!("set aside: {names}"));
    }
    notes
}
