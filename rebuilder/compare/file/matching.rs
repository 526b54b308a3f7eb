//! Which lines of two texts belong together.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::ops::Range;

use imara_diff::Diff;

use super::comparator::Leaf;
use crate::compare::cause::{Cause, Confidence};
use crate::compare::explain::skeleton;
use crate::compare::finding::Finding;
use crate::compare::order::sorted_by_locale;
use crate::compare::package;

/// The lines of both sides.
pub(super) struct Sides<'a> {
    pub released: Vec<Cow<'a, str>>,
    pub rebuilt: Vec<Cow<'a, str>>,
}

impl<'a> Sides<'a> {
    pub fn of(released: &'a [u8], rebuilt: &'a [u8]) -> Self {
        let lines = |text| {
            imara_diff::sources::byte_lines(text)
                .map(String::from_utf8_lossy)
                .collect()
        };
        Self {
            released: lines(released),
            rebuilt: lines(rebuilt),
        }
    }
}

/// The line at a place that a difference gave; empty beyond the end.
pub(super) fn line_at<'a>(lines: &'a [Cow<str>], at: usize) -> &'a str {
    lines.get(at).map_or("", |line| &**line)
}

/// How people count lines: from 1.
pub(super) fn line_number(at: usize) -> String {
    format!("line {}", at.saturating_add(1))
}

/// Differing lines, by their places.
#[derive(Default)]
pub(super) struct Changes {
    /// Lines that stand for each other: released, rebuilt.
    pub pairs: Vec<(usize, usize)>,
    /// Lines of the released side without a partner.
    pub removed: Vec<usize>,
    /// Lines of the rebuilt side without a partner.
    pub added: Vec<usize>,
    /// From the first differing line to the last, on both sides.
    span: Option<(Range<usize>, Range<usize>)>,
}

impl Changes {
    /// With `by_place`, lines of hunks that are equally long on both sides are pairs.
    pub fn of(diff: &Diff, by_place: bool) -> Self {
        let mut changes = Self::default();
        for hunk in diff.hunks() {
            let before = hunk.before.start as usize..hunk.before.end as usize;
            let after = hunk.after.start as usize..hunk.after.end as usize;
            let span = changes
                .span
                .get_or_insert_with(|| (before.clone(), after.clone()));
            (span.0.end, span.1.end) = (before.end, after.end);
            if by_place && before.len() == after.len() {
                changes.pairs.extend(before.zip(after));
            } else {
                changes.removed.extend(before);
                changes.added.extend(after);
            }
        }
        changes
    }
}

/// Lines that are on both sides, in other places.
pub(super) fn moved(leaf: &mut Leaf, known: &package::Text, sides: &Sides, changes: &mut Changes) {
    let Some(span) = &changes.span else { return };
    let all_removed: Vec<usize> = sorted(&changes.removed, changes.pairs.iter().map(|pair| pair.0));
    let all_added: Vec<usize> = sorted(&changes.added, changes.pairs.iter().map(|pair| pair.1));
    if texts(&sides.released, &all_removed) != texts(&sides.rebuilt, &all_added) {
        return;
    }
    let (Some(first_released), Some(first_rebuilt)) = (all_removed.first(), all_added.first()) else {
        return;
    };
    let by_locale = sorted_by_locale(
        sides.released.get(span.0.clone()).unwrap_or_default(),
        sides.rebuilt.get(span.1.clone()).unwrap_or_default(),
    );
    let (cause, confidence) = match by_locale {
        Some(_) => (Cause::Locale, Confidence::Likely),
        None => (Cause::Order, Confidence::Proven),
    };
    leaf.add(
        Finding::new(
            line_number(*first_released),
            line_at(&sides.released, *first_released).trim_end(),
            line_at(&sides.rebuilt, *first_rebuilt).trim_end(),
        )
        .because(cause, confidence)
        .keyed(by_locale.unwrap_or("lines"))
        .set_aside_by((known.moved)(&sides.released, &all_removed))
        .times(all_removed.len() as u64),
    );
    changes.pairs.clear();
    changes.removed.clear();
    changes.added.clear();
}

fn sorted(alone: &[usize], paired: impl Iterator<Item = usize>) -> Vec<usize> {
    let mut all: Vec<usize> = alone.iter().copied().chain(paired).collect();
    all.sort_unstable();
    all
}

/// The lines at these places, sorted. The last line of a file may lack its end.
fn texts<'a>(lines: &'a [Cow<str>], places: &[usize]) -> Vec<&'a str> {
    let mut texts: Vec<&str> = places
        .iter()
        .map(|at| line_at(lines, *at).trim_end_matches('\n'))
        .collect();
    texts.sort_unstable();
    texts
}

/// Pairs lines without a partner: those that are the same but for what builds leave behind, then those that are one
/// field with two values.
pub(super) fn match_alike(sides: &Sides, changes: &mut Changes) {
    match_by(sides, changes, |line| Some(skeleton(line)));
    match_by(sides, changes, |line| {
        let (name, _) = line.split_once(':')?;
        (!name.contains(' ')).then(|| name.to_owned())
    });
}

/// Pairs lines that have the same key, in their order.
fn match_by(sides: &Sides, changes: &mut Changes, key: impl Fn(&str) -> Option<String>) {
    let mut by_key: HashMap<String, Vec<usize>> = HashMap::new();
    for at in changes.added.iter().rev() {
        if let Some(key) = key(line_at(&sides.rebuilt, *at)) {
            by_key.entry(key).or_default().push(*at);
        }
    }
    let mut taken = HashSet::new();
    let pairs = &mut changes.pairs;
    changes.removed.retain(|at| {
        let own = key(line_at(&sides.released, *at));
        let partner = own.and_then(|own| by_key.get_mut(&own)?.pop());
        if let Some(partner) = partner {
            taken.insert(partner);
            pairs.push((*at, partner));
        }
        partner.is_none()
    });
    changes.added.retain(|at| !taken.contains(at));
}
