//! Pairs of lines and their reasons. The reason for one line must agree with the rest of the file.

use std::borrow::Cow;

use super::agree::agree;
use super::chunks;
use super::field::field_at;
use super::kind::Kind;
use super::long;
use super::order::{Shuffled, shuffled};
use super::requirement;
use crate::compare::cause::{Cause, Confidence, Reason};
use crate::compare::conclude::NAMES;
use crate::compare::explain::{Context, invisible_differ, invisible_spelled, is_in_script, suspect};
use crate::compare::file::comparator::Leaf;
use crate::compare::file::matching::{Changes, Sides, line_at, line_number};
use crate::compare::finding::Finding;
use crate::compare::package::{self, Field, File, Lines};

/// Maximum number of pairs of lines that are explained individually.
const MOST_EXPLAINED: usize = 20_000;
/// With this number of unexplained lines, the rest of the file counts as a change of content as well.
const MOST_UNEXPLAINED: usize = 200;

/// A pair of lines, and its findings.
pub(super) struct Pair {
    place: String,
    released: String,
    rebuilt: String,
    /// Empty if the difference is a change of content.
    pub reasons: Vec<Reason>,
    /// The key of the findings that are a change of content.
    key: &'static str,
    /// Findings that need no reason.
    known: Vec<Finding>,
}

/// Findings for pairs of lines, and for lines without a partner.
pub(super) fn explain(
    leaf: &mut Leaf,
    file: File,
    known: &package::Text,
    kind: Kind,
    sides: &Sides,
    changes: &Changes,
) {
    let mut pairs: Vec<Pair> = Vec::new();
    let mut unexplained: usize = 0;
    for (released, rebuilt) in &changes.pairs {
        // A file that was rewritten is a change of content; its lines need no reasons.
        if pairs.len() >= MOST_EXPLAINED || unexplained >= MOST_UNEXPLAINED {
            break;
        }
        let pair = Pair::of(file, known, kind, sides, (*released, *rebuilt));
        unexplained = unexplained.saturating_add(usize::from(!pair.is_explained()));
        pairs.push(pair);
    }
    let beyond = changes.pairs.len().saturating_sub(pairs.len()) as u64;
    let complete =
        beyond == 0 && changes.removed.is_empty() && changes.added.is_empty() && leaf.findings.is_empty();
    agree(&mut pairs, complete);
    for pair in pairs {
        pair.add_to(leaf);
    }
    for at in &changes.removed {
        let text = line_at(&sides.released, *at).trim_end();
        leaf.add(Finding::new(line_number(*at), invisible_spelled(text), ""));
    }
    for at in &changes.added {
        let text = line_at(&sides.rebuilt, *at).trim_end();
        leaf.add(Finding::new(line_number(*at), "", invisible_spelled(text)));
    }
    if beyond > 0 {
        leaf.add(Finding::new("lines beyond those read", "", "").times(beyond));
    }
}

impl Pair {
    fn of(file: File, known: &package::Text, kind: Kind, sides: &Sides, at: (usize, usize)) -> Self {
        let continued = matches!(known.lines, Lines::Fields);
        let (released, rebuilt) = (line_at(&sides.released, at.0), line_at(&sides.rebuilt, at.1));
        let old = field_at(&sides.released, at.0, continued);
        let new = field_at(&sides.rebuilt, at.1, continued);
        let same_field = !old.name.is_empty() && old.name == new.name;
        let name = if same_field { old.name } else { "" };
        let mut place = line_number(at.0);
        if same_field {
            place = format!("{place}, {name}");
        }
        let mut pair = Self {
            place,
            released: bare(released).to_owned(),
            rebuilt: bare(rebuilt).to_owned(),
            reasons: Vec::new(),
            key: "",
            known: Vec::new(),
        };
        pair.ends(kind, released, rebuilt);
        if pair.released == pair.rebuilt {
            return pair;
        }
        if invisible_differ(&pair.released, &pair.rebuilt) {
            pair.key = "invisible characters";
            return pair;
        }
        let comments = released.starts_with('#') && rebuilt.starts_with('#');
        let field = Field {
            name: if comments && !same_field { "#" } else { name },
            released: old.value,
            rebuilt: new.value,
            place: &pair.place,
        };
        if let Some(finding) = (known.known)(&field) {
            pair.known.push(finding);
            return pair;
        }
        let context = Context {
            field: name,
            meaning: file.meaning(name),
            code: kind.code,
            markup: kind.markup,
            script: kind.markup && begins_in_script(&sides.released, at.0),
            pins: kind.pins,
            record: kind.record,
            ..Context::default()
        };
        pair.find_reasons(kind, (old.value, new.value), context);
        pair
    }

    /// Compares trailing blanks and the line end.
    fn ends(&mut self, kind: Kind, released: &str, rebuilt: &str) {
        let ends = |line: &'_ str| line.get(bare(line).len()..).unwrap_or_default().to_owned();
        let (old, new) = (ends(released), ends(rebuilt));
        if old == new {
            return;
        }
        let newline = old.trim_end_matches('\n') == new.trim_end_matches('\n');
        let returns = old.contains('\r') || new.contains('\r');
        let key = match (newline, returns) {
            (true, _) => "final newline",
            (_, true) => "line ends",
            _ => "trailing blanks",
        };
        let aside = !kind.code && !kind.list && !kind.blanks_matter && !kind.markdown && !returns;
        let mut finding = Finding::new(
            self.place.clone(),
            old.escape_default().to_string(),
            new.escape_default().to_string(),
        );
        if aside {
            finding = finding.because(Cause::ToolVersion, Confidence::Likely);
        }
        self.known.push(finding.keyed(key));
    }

    fn find_reasons(&mut self, kind: Kind, values: (&str, &str), context: Context) {
        const REQUIREMENTS: [&str; 3] = ["requires-dist", "requires", "setup-requires-dist"];
        if REQUIREMENTS.contains(&context.field.to_ascii_lowercase().as_str())
            && requirement::same(values.0, values.1)
        {
            let reason = Reason::new(Cause::ToolVersion, "spelling of requirements", Confidence::Proven);
            self.reasons = vec![reason];
            return;
        }
        let in_header = |line: &str| {
            line.starts_with('#') || line.starts_with('"') && line.ends_with("\\n\"") && line.contains(": ")
        };
        if kind.catalogue && !(in_header(&self.released) && in_header(&self.rebuilt)) {
            return;
        }
        for name in chunks::renamed(&self.released, &self.rebuilt) {
            let mut finding = Finding::new(
                self.place.clone(),
                long::differing(&self.released, &self.rebuilt).0,
                "",
            )
            .because(Cause::Checksum, Confidence::Likely)
            .keyed(NAMES)
            .following();
            finding.rebuilt = long::differing(&self.released, &self.rebuilt).1;
            finding.checksum_of = Some(name);
            self.known.push(finding);
        }
        if self.known.iter().any(|finding| finding.checksum_of.is_some()) {
            return;
        }
        if self.released.len().max(self.rebuilt.len()) > long::LONG {
            self.reasons = long::explain(&self.released, &self.rebuilt, context);
            return;
        }
        // First the value alone: a name with digits in it is not a version.
        if !context.field.is_empty() {
            self.reasons = suspect(values.0, values.1, context);
        }
        if self.reasons.is_empty() {
            self.reasons = suspect(&self.released, &self.rebuilt, context);
        }
        if self.reasons.is_empty() && !kind.code {
            let order = |confidence| vec![Reason::new(Cause::Order, "words of a line", confidence)];
            self.reasons = match shuffled(&self.released, &self.rebuilt) {
                Some(Shuffled::Set) => order(Confidence::Likely),
                Some(Shuffled::List) => order(Confidence::Possible),
                None => Vec::new(),
            };
        }
    }

    /// Whether the whole difference has a reason that is more than possible.
    pub fn is_explained(&self) -> bool {
        let sure = |reason: &Reason| reason.confidence > Confidence::Possible;
        let fine = self.known.iter().all(|finding| finding.cause != Cause::Content);
        let same = self.released == self.rebuilt && !self.known.is_empty();
        let known =
            !self.known.is_empty() && self.reasons.is_empty() && self.key.is_empty() && self.is_known();
        fine && (same || known || !self.reasons.is_empty() && self.reasons.iter().all(sure))
    }

    /// Whether a finding describes the whole difference of the lines, apart from their ends.
    fn is_known(&self) -> bool {
        const ENDS: [&str; 3] = ["final newline", "line ends", "trailing blanks"];
        self.known
            .iter()
            .any(|finding| !ENDS.contains(&finding.key.as_str()))
    }

    fn add_to(self, leaf: &mut Leaf) {
        let differ = self.released != self.rebuilt;
        let content = differ
            && !self.is_known()
            && (self.reasons.is_empty()
                || self
                    .reasons
                    .iter()
                    .any(|reason| reason.confidence == Confidence::Possible));
        let (released, rebuilt) = if self.released.len().max(self.rebuilt.len()) > long::LONG {
            long::differing(&self.released, &self.rebuilt)
        } else {
            (self.released, self.rebuilt)
        };
        let (released, rebuilt) = (invisible_spelled(&released), invisible_spelled(&rebuilt));
        if content {
            leaf.add(Finding::new(self.place.clone(), released.clone(), rebuilt.clone()).keyed(self.key));
        }
        for reason in &self.reasons {
            leaf.add_reason(&self.place, &released, &rebuilt, reason);
        }
        for finding in self.known {
            if finding.checksum_of.is_some() {
                leaf.findings.push(finding);
            } else {
                leaf.add(finding);
            }
        }
    }
}

/// Whether a line of markup begins within a script.
fn begins_in_script(lines: &[Cow<str>], at: usize) -> bool {
    const FARTHEST: usize = 2000;
    let before = lines.get(..at).unwrap_or_default();
    // A line without such an element says nothing; both answers are then those of the lines before it.
    let told = |line: &Cow<str>| {
        let (outside, inside) = (is_in_script(line, false), is_in_script(line, true));
        (outside == inside).then_some(inside)
    };
    before.iter().rev().take(FARTHEST).find_map(told).unwrap_or(false)
}

/// A line without trailing blanks and its line end.
fn bare(line: &str) -> &str {
    line.trim_end_matches([' ', '\t', '\r', '\n'])
}
