//! A comparison as lines for a terminal.

use super::{
    FINDINGS_SHOWN, Line, Member, about, digest, excerpt_lines, lines, one_line, set_aside, summary,
};
use crate::compare::{Cause, Comparison, Excerpt, Outcome, RootCause};
use crate::text::{Screen, Style, plain, plural};

/// Maximum numbers of members and of lines of the excerpt on a terminal.
const MEMBERS_SHOWN: usize = 24;
const EXCERPT_LINES: usize = 12;

/// The comparison as lines for a terminal; `colour` adds ANSI codes.
pub fn terminal(comparison: &Comparison, colour: bool) -> Screen {
    let mut out = Screen::new(colour);
    let (mut shown, mut hidden) = (0, 0);
    for line in lines(comparison) {
        if hidden > 0 && !matches!(line, Line::Member(_)) {
            more_members(&mut hidden, &mut out);
        }
        match line {
            Line::Verdict(outcome) => {
                let style = match outcome {
                    Outcome::Identical => Style::Good,
                    Outcome::Equivalent => Style::Open,
                    Outcome::Different => Style::Bad,
                };
                out.line([style.of(outcome.word())]);
            }
            Line::Side(word, side) => out.line([
                plain(format_args!("  {word:<8} {}  ", side.name)),
                Style::Dim.of(digest(side)),
            ]),
            Line::Cause(number, cause) => one_cause(number, cause, &mut out),
            Line::MoreCauses(count) => out.say(format_args!("and {}", plural(count, "more cause"))),
            Line::Limit(hit) => out.line([
                Style::Yellow.of("limit"),
                plain(format_args!(" {}: {}", hit.limit.name(), hit.what)),
            ]),
            Line::SetAside(applied) => out.line([
                Style::Dim.of("set aside:"),
                plain(format_args!(" {}", set_aside(applied))),
            ]),
            Line::Member(member) if shown < MEMBERS_SHOWN => {
                shown = shown.saturating_add(1);
                one_member(&member, &mut out);
            }
            Line::Member(_) => hidden = hidden.saturating_add(1),
            Line::Excerpt(path, excerpt) => one_excerpt(&path, excerpt, &mut out),
        }
    }
    more_members(&mut hidden, &mut out);
    out
}

fn one_cause(number: usize, cause: &RootCause, out: &mut Screen) {
    let style = if cause.cause == Cause::Content {
        Style::Bad
    } else {
        Style::Bold
    };
    out.line([
        plain(format_args!("{number}. ")),
        style.of(cause.cause.title()),
        plain(summary(cause)),
    ]);
    let example = &cause.example;
    out.line([
        plain(format_args!("   {}  ", example.path)),
        Style::Dim.of(&example.place),
    ]);
    values_and_fix(cause, "   ", out);
}

/// Both values of a cause's example, if it has any, and what to do about the cause.
pub(in crate::report) fn values_and_fix(cause: &RootCause, indent: &'static str, out: &mut Screen) {
    let example = &cause.example;
    if !(example.released.is_empty() && example.rebuilt.is_empty()) {
        for (style, mark, value) in [
            (Style::Red, "-", &example.released),
            (Style::Green, "+", &example.rebuilt),
        ] {
            out.line([plain(indent), style.of(mark), plain(format_args!(" {value}"))]);
        }
    }
    out.line([
        plain(indent),
        Style::Cyan.of("fix:"),
        plain(format_args!(" {}", cause.fix)),
    ]);
}

fn one_member(member: &Member, out: &mut Screen) {
    let node = member.node;
    let indent = "  ".repeat(member.depth.min(8).saturating_add(1));
    out.line([
        plain(format_args!("{indent}{}  ", node.name)),
        Style::Dim.of(about(node)),
    ]);
    for finding in node.findings.iter().take(FINDINGS_SHOWN) {
        out.say(format_args!("{indent}  {}", one_line(finding)));
    }
    let more = node.findings.len().saturating_sub(FINDINGS_SHOWN);
    if more > 0 {
        out.say(format_args!("{indent}  and {more} more"));
    }
}

/// Says once how many members are not shown.
fn more_members(hidden: &mut usize, out: &mut Screen) {
    if *hidden > 0 {
        out.say(format_args!(
            "  and {hidden} more; --json and --write report.html show all of them"
        ));
    }
    *hidden = 0;
}

fn one_excerpt(path: &str, excerpt: &Excerpt, out: &mut Screen) {
    out.line([Style::Bold.of(path), plain(" "), Style::Dim.of(&excerpt.of)]);
    for line in excerpt_lines(excerpt).into_iter().take(EXCERPT_LINES) {
        let style = if line.starts_with('-') {
            Style::Red
        } else if line.starts_with('+') {
            Style::Green
        } else {
            Style::Dim
        };
        let cut: String = line.chars().take(160).collect();
        out.excerpt("  ", &style.of(cut));
    }
}
