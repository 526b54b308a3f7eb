//! A comparison for people and for other programs: terminal, HTML, Markdown and SARIF.
//!
//! [`lines`] puts the parts into the order that all reports share. Each format decides how a line looks and how many it
//! shows.

mod html;
mod markdown;
mod sarif;
mod terminal;

use crate::compare::{
    Applied, Comparison, Excerpt, Finding, LimitHit, Node, Outcome, Presence, RootCause, Side,
};
use crate::text::plural;

pub use html::html;
pub(super) use html::part;
pub use markdown::markdown;
pub use sarif::sarif;
pub(super) use sarif::uri;
pub use terminal::terminal;
pub(super) use terminal::values_and_fix;

/// Maximum numbers of findings of one member, and of root causes, that a terminal or an issue shows.
const FINDINGS_SHOWN: usize = 3;
const CAUSES_SHOWN: usize = 12;

/// One line of a report.
enum Line<'a> {
    Verdict(Outcome),
    /// One of the two files, after its role.
    Side(&'static str, &'a Side),
    /// A root cause, after its number.
    Cause(usize, &'a RootCause),
    /// Root causes beyond [`CAUSES_SHOWN`].
    MoreCauses(usize),
    Limit(&'a LimitHit),
    /// All normalisations that were applied.
    SetAside(&'a [Applied]),
    Member(Member<'a>),
    /// The differing lines or bytes to look at first, after the path of their member.
    Excerpt(String, &'a Excerpt),
}

/// All lines of a report, in the order in which they are read.
fn lines(comparison: &Comparison) -> impl Iterator<Item = Line<'_>> {
    let sides = [
        ("released", &comparison.released),
        ("rebuilt", &comparison.rebuilt),
    ];
    let causes = (1..).zip(comparison.causes.iter().take(CAUSES_SHOWN));
    let more = comparison.causes.len().saturating_sub(CAUSES_SHOWN);
    let aside = Some(comparison.normalisations.as_slice()).filter(|applied| !applied.is_empty());
    std::iter::once(Line::Verdict(comparison.outcome))
        .chain(sides.map(|(word, side)| Line::Side(word, side)))
        .chain(causes.map(|(number, cause)| Line::Cause(number, cause)))
        .chain((more > 0).then_some(Line::MoreCauses(more)))
        .chain(comparison.limits.iter().map(Line::Limit))
        .chain(aside.map(Line::SetAside))
        .chain(members(comparison).map(Line::Member))
        .chain(worst(comparison).map(|(path, excerpt)| Line::Excerpt(path, excerpt)))
}

/// A member that differs.
struct Member<'a> {
    /// The number of members around it.
    depth: usize,
    /// Path from the two files; empty for themselves.
    path: String,
    node: &'a Node,
}

impl Member<'_> {
    /// The path, or the name of the two files themselves.
    fn name(&self) -> &str {
        if self.path.is_empty() {
            &self.node.name
        } else {
            &self.path
        }
    }
}

/// The two files and all members that differ, each before those inside of it.
fn members(comparison: &Comparison) -> impl Iterator<Item = Member<'_>> {
    let root = comparison.tree.as_ref().map(|node| Member {
        depth: 0,
        path: String::new(),
        node,
    });
    let mut left: Vec<_> = root.into_iter().collect();
    std::iter::from_fn(move || {
        let member = left.pop()?;
        left.extend(member.node.children.iter().rev().map(|node| Member {
            depth: member.depth.saturating_add(1),
            path: if member.path.is_empty() {
                node.name.clone()
            } else {
                format!("{}/{}", member.path, node.name)
            },
            node,
        }));
        Some(member)
    })
}

/// The excerpt of the member in which the first cause was found, or else the first excerpt.
fn worst(comparison: &Comparison) -> Option<(String, &Excerpt)> {
    let wanted = comparison.causes.first().map(|cause| cause.example.path.as_str());
    let mut first = None;
    for member in members(comparison) {
        let Some(excerpt) = member.node.excerpts.first() else {
            continue;
        };
        let found = (member.name().to_owned(), excerpt);
        if Some(member.path.as_str()) == wanted {
            return Some(found);
        }
        first.get_or_insert(found);
    }
    first
}

fn digest(side: &Side) -> String {
    match side.sha256 {
        Some(sha256) => format!("sha256:{sha256}, {}", plural(side.size, "byte")),
        None if side.size > 0 => plural(side.size, "byte"),
        None => "folder".to_owned(),
    }
}

/// What follows the title of a cause.
pub(super) fn summary(cause: &RootCause) -> String {
    let key = if cause.key.is_empty() {
        String::new()
    } else {
        format!(": {}", cause.key)
    };
    key + &counts(cause)
}

/// How often it was found, the confidence, and how many differences follow from it.
fn counts(cause: &RootCause) -> String {
    let follow = match cause.follow {
        0 => String::new(),
        1 => "; 1 difference follows".to_owned(),
        more => format!("; {more} differences follow"),
    };
    format!(
        ", {} ({}){follow}",
        plural(cause.places, "place"),
        cause.confidence.word()
    )
}

pub(super) fn set_aside(applied: &[Applied]) -> String {
    let texts: Vec<_> = applied
        .iter()
        .map(|applied| format!("{} v{} ({})", applied.name, applied.version, applied.places))
        .collect();
    texts.join(", ")
}

/// Format, sizes and the number of members that are the same, in a few words.
fn about(node: &Node) -> String {
    let size = match node.sizes {
        (Some(released), Some(rebuilt)) if released == rebuilt => plural(released, "byte"),
        (Some(released), Some(rebuilt)) => format!("{released} → {}", plural(rebuilt, "byte")),
        (Some(size), None) | (None, Some(size)) => plural(size, "byte"),
        (None, None) => String::new(),
    };
    let place = match node.presence {
        Presence::Both => String::new(),
        Presence::OnlyReleased => "only released".to_owned(),
        Presence::OnlyRebuilt => "only rebuilt".to_owned(),
    };
    let same = match node.same {
        0 => String::new(),
        1 => "1 member is the same".to_owned(),
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

/// The bytes as hexadecimal pairs, and the printable ones as text.
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
