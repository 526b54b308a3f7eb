//! A comparison for people and for other programs: terminal, HTML, markdown and SARIF from the same value.

use std::fmt::Write as _;

use askama::Template;
use serde_json::{Value, json};

use super::ReportError;
use crate::compare::{
    Applied, Cause, Comparison, Excerpt, Finding, Node, Outcome, Presence, RootCause, Side,
};
use crate::text::{Screen, Style, code, code_block, code_cell, plain, sarif_message, visible};

/// Most nodes that the terminal shows, and findings of each.
const NODES_ON_TERMINAL: usize = 24;
const FINDINGS_ON_TERMINAL: usize = 3;
const LINES_ON_TERMINAL: usize = 12;
/// Most nodes of a page, and root causes of any report.
const NODES_ON_PAGE: usize = 5000;
const CAUSES_SHOWN: usize = 12;
/// Most nodes in a markdown report, which is pasted into an issue.
const NODES_IN_MARKDOWN: usize = 40;

/// The comparison as lines for a terminal; `colour` adds ANSI codes.
pub fn terminal(comparison: &Comparison, colour: bool) -> Screen {
    let mut out = Screen::new(colour);
    let style = match comparison.outcome {
        Outcome::Identical => Style::Good,
        Outcome::Equivalent => Style::Open,
        Outcome::Different => Style::Bad,
    };
    out.line([style.of(comparison.outcome.word())]);
    for (word, side) in [
        ("released", &comparison.released),
        ("rebuilt ", &comparison.rebuilt),
    ] {
        out.line([
            plain(format_args!("  {word} {}  ", side.name)),
            Style::Dim.of(digest(side)),
        ]);
    }
    for (number, cause) in comparison.causes.iter().take(CAUSES_SHOWN).enumerate() {
        let style = if cause.cause == Cause::Content {
            Style::Bad
        } else {
            Style::Bold
        };
        out.line([
            plain(format_args!("{}. ", number + 1)),
            style.of(cause.cause.title()),
            plain(summary(cause)),
        ]);
        let example = &cause.example;
        out.line([
            plain(format_args!("   {}  ", example.path)),
            Style::Dim.of(&example.place),
        ]);
        if !(example.released.is_empty() && example.rebuilt.is_empty()) {
            for (style, mark, value) in [
                (Style::Red, "-", &example.released),
                (Style::Green, "+", &example.rebuilt),
            ] {
                out.line([plain("   "), style.of(mark), plain(format_args!(" {value}"))]);
            }
        }
        out.line([
            plain("   "),
            Style::Cyan.of("fix:"),
            plain(format_args!(" {}", cause.fix)),
        ]);
    }
    if comparison.causes.len() > CAUSES_SHOWN {
        let more = comparison.causes.len() - CAUSES_SHOWN;
        out.say(format_args!("and {more} more causes"));
    }
    for hit in &comparison.limits {
        out.line([
            Style::Yellow.of("limit"),
            plain(format_args!(" {}: {}", hit.limit.name(), hit.what)),
        ]);
    }
    if !comparison.normalisations.is_empty() {
        let names = set_aside(&comparison.normalisations);
        out.line([Style::Dim.of("set aside:"), plain(format_args!(" {names}"))]);
    }
    let Some(tree) = &comparison.tree else { return out };
    let mut left = NODES_ON_TERMINAL;
    let mut hidden = 0;
    branch(tree, 0, &mut left, &mut hidden, &mut out);
    if hidden > 0 {
        out.say(format_args!(
            "  and {hidden} more; --json and --write report.html have them all"
        ));
    }
    if let Some((path, excerpt)) = worst(comparison) {
        out.line([Style::Bold.of(path), plain(" "), Style::Dim.of(&excerpt.of)]);
        for line in excerpt_lines(excerpt).into_iter().take(LINES_ON_TERMINAL) {
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
    out
}

fn digest(side: &Side) -> String {
    match side.sha256 {
        Some(sha256) => format!("sha256:{sha256}, {} bytes", side.size),
        None if side.size > 0 => format!("{} bytes", side.size),
        None => "folder".to_owned(),
    }
}

/// What stands behind the title of a cause.
pub(super) fn summary(cause: &RootCause) -> String {
    let mut text = String::new();
    if !cause.key.is_empty() {
        let _ = write!(text, ": {}", cause.key);
    }
    text + &counts(cause)
}

/// How often it was found, how sure it is, and what follows from it.
fn counts(cause: &RootCause) -> String {
    let places = if cause.places == 1 { "place" } else { "places" };
    let mut text = format!(", {} {places} ({})", cause.places, cause.confidence.word());
    match cause.follow {
        0 => {}
        1 => text.push_str("; 1 difference follows"),
        more => {
            let _ = write!(text, "; {more} differences follow");
        }
    }
    text
}

pub(super) fn set_aside(applied: &[Applied]) -> String {
    let texts: Vec<_> = applied
        .iter()
        .map(|applied| format!("{} v{} ({})", applied.name, applied.version, applied.places))
        .collect();
    texts.join(", ")
}

fn branch(node: &Node, depth: usize, left: &mut usize, hidden: &mut usize, out: &mut Screen) {
    if *left == 0 {
        *hidden += 1;
    } else {
        *left -= 1;
        let indent = "  ".repeat(depth.min(8) + 1);
        out.line([
            plain(format_args!("{indent}{}  ", node.name)),
            Style::Dim.of(about(node)),
        ]);
        for finding in node.findings.iter().take(FINDINGS_ON_TERMINAL) {
            out.say(format_args!("{indent}  {}", one_line(finding)));
        }
        if node.findings.len() > FINDINGS_ON_TERMINAL {
            let more = node.findings.len() - FINDINGS_ON_TERMINAL;
            out.say(format_args!("{indent}  and {more} more"));
        }
    }
    for child in &node.children {
        branch(child, depth + 1, left, hidden, out);
    }
}

/// Format, sizes and what is the same, in a few words.
fn about(node: &Node) -> String {
    let size = match node.sizes {
        (Some(a), Some(b)) if a == b => format!("{a} bytes"),
        (Some(a), Some(b)) => format!("{a} → {b} bytes"),
        (Some(a), None) | (None, Some(a)) => format!("{a} bytes"),
        (None, None) => String::new(),
    };
    let place = match node.presence {
        Presence::Both => String::new(),
        Presence::OnlyReleased => "only released".to_owned(),
        Presence::OnlyRebuilt => "only rebuilt".to_owned(),
    };
    let same = match node.same {
        0 => String::new(),
        same => format!("{same} members are the same"),
    };
    let renamed = node
        .rebuilt_name
        .as_ref()
        .map(|name| format!("rebuilt as {name}"))
        .unwrap_or_default();
    let parts = [node.format.clone(), size, place, same, renamed];
    parts
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join(", ")
}

fn one_line(finding: &Finding) -> String {
    let cut = |text: &str| -> String {
        let mut cut: String = text.chars().take(60).collect();
        if cut.len() < text.len() {
            cut.push('…');
        }
        cut
    };
    let values = if finding.released.is_empty() && finding.rebuilt.is_empty() {
        String::new()
    } else {
        format!(": {} → {}", cut(&finding.released), cut(&finding.rebuilt))
    };
    let times = if finding.places > 1 {
        format!(" ×{}", finding.places)
    } else {
        String::new()
    };
    let follows = if finding.follows { ", follows" } else { "" };
    format!(
        "{}{values}  [{}{times}{follows}]",
        finding.place,
        finding.cause.name()
    )
}

/// The excerpt of the node that the first cause was found in, or the first there is.
fn worst(comparison: &Comparison) -> Option<(String, &Excerpt)> {
    let tree = comparison.tree.as_ref()?;
    let wanted = comparison.causes.first().map(|cause| cause.example.path.as_str());
    let (mut best, mut first) = (None, None);
    tree.each("", &mut |path, node| {
        if let Some(excerpt) = node.excerpts.first() {
            // The two files themselves have no path.
            let name = if path.is_empty() { &tree.name } else { path };
            let found = (name.to_owned(), excerpt);
            if Some(path) == wanted {
                best.get_or_insert(found);
            } else {
                first.get_or_insert(found);
            }
        }
    });
    best.or(first)
}

/// An excerpt as a unified diff.
fn excerpt_lines(excerpt: &Excerpt) -> Vec<String> {
    let mut lines = Vec::new();
    for hunk in &excerpt.hunks {
        lines.push(format!("@@ -{} +{} @@", hunk.released_from, hunk.rebuilt_from));
        lines.extend(hunk.released.iter().map(|line| format!("-{line}")));
        lines.extend(hunk.rebuilt.iter().map(|line| format!("+{line}")));
    }
    for range in &excerpt.bytes {
        lines.push(format!("@@ {:#x} @@", range.offset));
        lines.push(format!("-{}", hexdump(&range.released)));
        lines.push(format!("+{}", hexdump(&range.rebuilt)));
    }
    if excerpt.more > 0 {
        lines.push(format!("… and {} more", excerpt.more));
    }
    lines
}

/// Hexadecimal in pairs, and the bytes that can be printed.
fn hexdump(digits: &str) -> String {
    let bytes = hex::decode(digits).unwrap_or_default();
    let pairs: Vec<_> = bytes.chunks(2).map(hex::encode).collect();
    let text: String = bytes
        .iter()
        .map(|byte| {
            if byte.is_ascii_graphic() || *byte == b' ' {
                char::from(*byte)
            } else {
                '.'
            }
        })
        .collect();
    format!("{}  {text}", pairs.join(" "))
}

/// The comparison in markdown, short enough for an issue. Whatever comes out of the two files is code there.
pub fn markdown(comparison: &Comparison) -> String {
    let mut out = String::new();
    let name = comparison.released.name.rsplit('/').next().unwrap_or_default();
    let _ = writeln!(out, "## {}: {}\n", comparison.outcome.word(), code(name));
    let _ = writeln!(out, "| | | |\n|---|---|---|");
    for (word, side) in [
        ("released", &comparison.released),
        ("rebuilt", &comparison.rebuilt),
    ] {
        let _ = writeln!(out, "| {word} | {} | {} |", code_cell(&side.name), digest(side));
    }
    if !comparison.causes.is_empty() {
        let _ = writeln!(out, "\n### Why\n");
    }
    for cause in comparison.causes.iter().take(CAUSES_SHOWN) {
        let key = if cause.key.is_empty() {
            String::new()
        } else {
            format!(": {}", code(&cause.key))
        };
        let _ = writeln!(out, "1. **{}**{key}{}", cause.cause.title(), counts(cause));
        let example = &cause.example;
        let places = [&example.path, &example.place];
        let places: Vec<_> = places
            .into_iter()
            .filter(|place| !place.is_empty())
            .map(|place| code(place))
            .collect();
        let _ = writeln!(out, "   - {}", places.join(" "));
        if !(example.released.is_empty() && example.rebuilt.is_empty()) {
            let _ = writeln!(
                out,
                "   - {} → {}",
                code(&example.released),
                code(&example.rebuilt)
            );
        }
        let _ = writeln!(out, "   - fix: {}", cause.fix);
    }
    for hit in &comparison.limits {
        let _ = writeln!(out, "\nLimit {} was hit: {}.", hit.limit.name(), code(&hit.what));
    }
    if !comparison.normalisations.is_empty() {
        let _ = writeln!(
            out,
            "\nSet aside by named normalisations: {}.",
            set_aside(&comparison.normalisations)
        );
    }
    let Some(tree) = &comparison.tree else { return out };
    let _ = writeln!(
        out,
        "\n### Where\n\n<details><summary>Members that differ</summary>\n"
    );
    let (mut shown, mut hidden) = (0, 0);
    tree.each("", &mut |path, node| {
        if node.findings.is_empty() {
            return;
        }
        if shown == NODES_IN_MARKDOWN {
            hidden += 1;
            return;
        }
        shown += 1;
        let path = if path.is_empty() { &node.name } else { path };
        let _ = writeln!(out, "- {} {}", code(path), code(&about(node)));
        for finding in node.findings.iter().take(FINDINGS_ON_TERMINAL) {
            let _ = writeln!(out, "  - {}", code(&one_line(finding)));
        }
    });
    if hidden > 0 {
        let _ = writeln!(out, "- and {hidden} more");
    }
    let _ = writeln!(out, "\n</details>");
    if let Some((path, excerpt)) = worst(comparison) {
        let lines = excerpt_lines(excerpt);
        let block = code_block("diff", lines.iter().take(40).map(String::as_str));
        let _ = write!(out, "\n{} ({})\n\n{block}", code(&path), code(&excerpt.of));
    }
    out
}

/// The comparison as SARIF 2.1.0, one result for each root cause, for code scanning.
pub fn sarif(comparison: &Comparison) -> Value {
    let level = |cause: Cause, outcome: Outcome| match (cause, outcome) {
        (Cause::Content | Cause::Unread, _) => "error",
        (_, Outcome::Different) => "warning",
        _ => "note",
    };
    let rules: Vec<Value> = Cause::ALL
        .iter()
        .map(|cause| {
            json!({
                "id": cause.name(),
                "shortDescription": {"text": cause.title()},
                "help": {"text": cause.fix()}
            })
        })
        .collect();
    let results: Vec<Value> = comparison
        .causes
        .iter()
        .map(|cause| {
            let example = &cause.example;
            json!({
                "ruleId": cause.cause.name(),
                "ruleIndex": Cause::ALL.iter().position(|known| *known == cause.cause),
                "level": level(cause.cause, comparison.outcome),
                "message": {"text": sarif_message(&format!(
                    "{}{}. First at {} {}: {} → {}. {}",
                    cause.cause.title(), summary(cause), example.path, example.place, example.released, example.rebuilt, cause.fix
                ))},
                "occurrenceCount": cause.places.max(1),
                "locations": [{
                    "physicalLocation": {"artifactLocation": {"uri": uri(&comparison.released.name)}},
                    "logicalLocations": [{"fullyQualifiedName": visible(&example.path), "kind": "member"}]
                }],
                "properties": {"confidence": cause.confidence, "key": cause.key, "follow": cause.follow}
            })
        })
        .collect();
    let artifacts: Vec<Value> = [&comparison.released, &comparison.rebuilt]
        .into_iter()
        .map(|side| {
            json!({
                "location": {"uri": uri(&side.name)},
                "length": side.size,
                "hashes": side.sha256.map_or_else(|| json!({}), |sha256| json!({"sha-256": sha256}))
            })
        })
        .collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "rebuilder",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": rules
            }},
            "automationDetails": {"id": format!("compare/{}", comparison.outcome.word())},
            "artifacts": artifacts,
            "results": results
        }]
    })
}

/// A path as a relative or `file:` URI reference.
fn uri(path: &str) -> String {
    let encoded: String = path
        .bytes()
        .map(|byte| {
            if byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'.' | b'_' | b'~' | b'+' | b'@')
            {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect();
    if encoded.starts_with('/') {
        format!("file://{encoded}")
    } else {
        encoded
    }
}

#[derive(Template)]
#[template(path = "comparison.html")]
struct Page<'a> {
    comparison: &'a Comparison,
    part: Part<'a>,
}

#[derive(Template)]
#[template(path = "comparison-part.html")]
pub(super) struct Part<'a> {
    comparison: &'a Comparison,
    steps: Vec<Step>,
    hidden: usize,
}

/// The tree as a sequence, as templates do not recur.
enum Step {
    Open {
        name: String,
        about: String,
        worry: bool,
        /// Whether it is unfolded at first.
        open: bool,
        findings: Vec<Row>,
        diffs: Vec<Diff>,
    },
    Close,
}

struct Row {
    place: String,
    released: String,
    rebuilt: String,
    cause: &'static str,
    note: String,
}

/// Two columns.
struct Diff {
    of: String,
    rows: Vec<(String, String, String)>,
    more: u64,
}

/// The comparison as one self-contained page; it needs no script.
pub fn html(comparison: &Comparison) -> Result<String, ReportError> {
    let page = Page {
        comparison,
        part: part(comparison),
    };
    Ok(page.render()?)
}

/// What a page shows of one comparison.
pub(super) fn part(comparison: &Comparison) -> Part<'_> {
    let (mut steps, mut left, mut hidden) = (Vec::new(), NODES_ON_PAGE, 0);
    let worst = comparison.causes.first().map(|cause| cause.example.path.clone());
    if let Some(tree) = &comparison.tree {
        unfold(tree, "", worst.as_deref(), &mut steps, &mut left, &mut hidden);
    }
    Part {
        comparison,
        steps,
        hidden,
    }
}

impl Part<'_> {
    fn causes(&self) -> Vec<(&RootCause, String)> {
        self.comparison
            .causes
            .iter()
            .map(|cause| (cause, summary(cause)))
            .collect()
    }

    fn normalisations(&self) -> Vec<(&Applied, &'static str, &'static str)> {
        let applied = self.comparison.normalisations.iter();
        applied
            .map(|applied| (applied, applied.name.sets_aside(), applied.name.safe_because()))
            .collect()
    }
}

fn unfold(
    node: &Node,
    path: &str,
    worst: Option<&str>,
    steps: &mut Vec<Step>,
    left: &mut usize,
    hidden: &mut usize,
) {
    if *left == 0 {
        *hidden += 1;
        return;
    }
    *left -= 1;
    let leads =
        worst.is_some_and(|worst| worst == path || worst.starts_with(&format!("{path}/")) || path.is_empty());
    let row = |finding: &Finding| Row {
        place: finding.place.to_string(),
        released: finding.released.clone(),
        rebuilt: finding.rebuilt.clone(),
        cause: finding.cause.title(),
        note: {
            let times = if finding.places > 1 {
                format!("{} places, ", finding.places)
            } else {
                String::new()
            };
            let follows = if finding.follows {
                ", follows from others"
            } else {
                ""
            };
            let aside = finding
                .normalisation
                .as_ref()
                .map(|name| format!(", {name}"))
                .unwrap_or_default();
            format!("{times}{}{follows}{aside}", finding.confidence.word())
        },
    };
    steps.push(Step::Open {
        name: node.name.clone(),
        about: about(node),
        worry: node
            .findings
            .iter()
            .any(|finding| finding.cause == Cause::Content),
        open: leads,
        findings: node.findings.iter().map(row).collect(),
        diffs: node.excerpts.iter().map(diff).collect(),
    });
    for child in &node.children {
        let below = if path.is_empty() {
            child.name.clone()
        } else {
            format!("{path}/{}", child.name)
        };
        unfold(child, &below, worst, steps, left, hidden);
    }
    steps.push(Step::Close);
}

fn diff(excerpt: &Excerpt) -> Diff {
    let mut rows = Vec::new();
    for hunk in &excerpt.hunks {
        for line in 0..hunk.released.len().max(hunk.rebuilt.len()) {
            let text = |lines: &[String]| lines.get(line).cloned().unwrap_or_default();
            let number = format!(
                "{} | {}",
                hunk.released_from.saturating_add(line as u64),
                hunk.rebuilt_from.saturating_add(line as u64)
            );
            rows.push((number, text(&hunk.released), text(&hunk.rebuilt)));
        }
    }
    for range in &excerpt.bytes {
        rows.push((
            format!("{:#x}", range.offset),
            hexdump(&range.released),
            hexdump(&range.rebuilt),
        ));
    }
    Diff {
        of: excerpt.of.clone(),
        rows,
        more: excerpt.more,
    }
}
