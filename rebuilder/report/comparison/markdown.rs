//! A comparison in Markdown, short enough to paste into an issue.

use std::fmt::Write as _;

use super::{FINDINGS_SHOWN, Line, Member, about, counts, digest, excerpt_lines, lines, one_line, set_aside};
use crate::compare::{Comparison, Excerpt, RootCause};
use crate::text::{code, code_block, code_cell};

/// Maximum numbers of listed members and of lines of the excerpt.
const MEMBERS_SHOWN: usize = 40;
const EXCERPT_LINES: usize = 40;

/// The comparison in Markdown. Everything from the two files is written as code.
pub fn markdown(comparison: &Comparison) -> String {
    let mut out = String::new();
    let mut members = Vec::new();
    let mut excerpt = None;
    for line in lines(comparison) {
        match line {
            Line::Verdict(outcome) => {
                let name = comparison.released.name.rsplit('/').next().unwrap_or_default();
                let _ = writeln!(out, "## {}: {}\n", outcome.word(), code(name));
                let _ = writeln!(out, "| | | |\n|---|---|---|");
            }
            Line::Side(word, side) => {
                let _ = writeln!(out, "| {word} | {} | {} |", code_cell(&side.name), digest(side));
            }
            Line::Cause(number, cause) => {
                if number == 1 {
                    let _ = writeln!(out, "\n### Why\n");
                }
                one_cause(cause, &mut out);
            }
            // An issue is about the first causes; the other reports have them all.
            Line::MoreCauses(_) => {}
            Line::Limit(hit) => {
                let _ = writeln!(
                    out,
                    "\nThe limit {} was reached: {}.",
                    hit.limit.name(),
                    code(&hit.what)
                );
            }
            Line::SetAside(applied) => {
                let names = set_aside(applied);
                let _ = writeln!(out, "\nSet aside by named normalisations: {names}.");
            }
            Line::Member(member) => members.push(member),
            Line::Excerpt(path, found) => excerpt = Some((path, found)),
        }
    }
    if !members.is_empty() {
        all_members(&members, &mut out);
    }
    if let Some((path, excerpt)) = excerpt {
        one_excerpt(&path, excerpt, &mut out);
    }
    out
}

fn one_cause(cause: &RootCause, out: &mut String) {
    let key = if cause.key.is_empty() {
        String::new()
    } else {
        format!(": {}", code(&cause.key))
    };
    let _ = writeln!(out, "1. **{}**{key}{}", cause.cause.title(), counts(cause));
    let example = &cause.example;
    let places: Vec<_> = [&example.path, &example.place]
        .into_iter()
        .filter(|place| !place.is_empty())
        .map(|place| code(place))
        .collect();
    let _ = writeln!(out, "   - {}", places.join(" "));
    if !(example.released.is_empty() && example.rebuilt.is_empty()) {
        let (released, rebuilt) = (code(&example.released), code(&example.rebuilt));
        let _ = writeln!(out, "   - {released} → {rebuilt}");
    }
    let _ = writeln!(out, "   - fix: {}", cause.fix);
}

/// The members that have findings of their own, folded.
fn all_members(members: &[Member], out: &mut String) {
    let _ = writeln!(
        out,
        "\n### Where\n\n<details><summary>Members that differ</summary>\n"
    );
    let found: Vec<_> = members
        .iter()
        .filter(|member| !member.node.findings.is_empty())
        .collect();
    for member in found.iter().take(MEMBERS_SHOWN) {
        let _ = writeln!(out, "- {} {}", code(member.name()), code(&about(member.node)));
        for finding in member.node.findings.iter().take(FINDINGS_SHOWN) {
            let _ = writeln!(out, "  - {}", code(&one_line(finding)));
        }
    }
    let more = found.len().saturating_sub(MEMBERS_SHOWN);
    if more > 0 {
        let _ = writeln!(out, "- and {more} more");
    }
    let _ = writeln!(out, "\n</details>");
}

fn one_excerpt(path: &str, excerpt: &Excerpt, out: &mut String) {
    let lines = excerpt_lines(excerpt);
    let block = code_block("diff", lines.iter().take(EXCERPT_LINES).map(String::as_str));
    let _ = write!(out, "\n{} ({})\n\n{block}", code(path), code(&excerpt.of));
}
