//! Lines, and items in a line, that only have another order; in most texts that is a change.

use std::borrow::Cow;

use super::kind::Kind;
use crate::compare::both::Both;
use crate::compare::cause::{Cause, Confidence};
use crate::compare::file::comparator::Leaf;
use crate::compare::file::matching::{Changes, Sides, line_at, line_number};
use crate::compare::finding::Finding;
use crate::compare::normalise::Normalisation;
use crate::compare::order::sorted_by_locale;
use crate::compare::package;

/// Lines that both sides have, in different places.
pub(super) fn moved(
    leaf: &mut Leaf,
    known: &package::Text,
    kind: Kind,
    sides: &Sides,
    changes: &mut Changes,
) {
    let Some(span) = changes.span.clone() else { return };
    let all_removed = sorted(&changes.removed, changes.pairs.iter().map(|pair| pair.0));
    let all_added = sorted(&changes.added, changes.pairs.iter().map(|pair| pair.1));
    if texts(&sides.released, &all_removed) != texts(&sides.rebuilt, &all_added)
        || is_ended(&sides.released) != is_ended(&sides.rebuilt)
    {
        return;
    }
    let (Some(first_released), Some(first_rebuilt)) = (all_removed.first(), all_added.first()) else {
        return;
    };
    let finding = || {
        Finding::new(
            line_number(*first_released),
            line_at(&sides.released, *first_released).trim_end(),
            line_at(&sides.rebuilt, *first_rebuilt).trim_end(),
        )
        .times(all_removed.len() as u64)
    };
    let by_locale = sorted_by_locale(
        sides.released.get(span.0).unwrap_or_default(),
        sides.rebuilt.get(span.1).unwrap_or_default(),
    );
    let both = moved_lines(sides, &all_removed, &all_added);
    let normalisation = (known.moved)(both);
    let list = match known.lines {
        package::Lines::Checksums(list) => Some(list),
        _ => None,
    };
    let is_ambiguous = list.is_some_and(|list| both.any(|side| !side.are_about_single_files(list.claims)));
    let are_claims = list.is_some_and(|list| !is_ambiguous && both.all(|side| side.are_claims(list.claims)));
    match by_locale.filter(|_| !kind.code && !is_ambiguous) {
        Some(key) => leaf.add(
            finding()
                .because(Cause::Locale, Confidence::Likely)
                .keyed(key)
                .set_aside_by(normalisation),
        ),
        None if is_ambiguous => leaf.add(finding().keyed("order of lines about one file")),
        // Programs look up the line about a file by its name.
        None if are_claims => leaf.add(
            finding()
                .because(Cause::Order, Confidence::Proven)
                .keyed("lines")
                .set_aside_by(normalisation),
        ),
        None => add(leaf, kind, normalisation, finding),
    }
    changes.pairs.clear();
    changes.removed.clear();
    changes.added.clear();
}

/// Lines that moved although other lines differ too. What has the same text is reported here, and only here.
pub(super) fn crossed(
    leaf: &mut Leaf,
    known: &package::Text,
    kind: Kind,
    sides: &Sides,
    changes: &mut Changes,
) {
    let moved = changes.moved();
    let Some((released, rebuilt)) = moved.first() else {
        return;
    };
    let places: (Vec<usize>, Vec<usize>) = moved.iter().copied().unzip();
    let normalisation = (known.moved)(moved_lines(sides, &places.0, &places.1));
    let told =
        |lines: &[Cow<str>], at: usize| format!("{}: {}", line_number(at), line_at(lines, at).trim_end());
    add(leaf, kind, normalisation, || {
        Finding::new(
            line_number(*released),
            told(&sides.released, *released),
            told(&sides.rebuilt, *rebuilt),
        )
        .times(moved.len() as u64)
    });
    let differ = |pair: &(usize, usize)| line_at(&sides.released, pair.0) != line_at(&sides.rebuilt, pair.1);
    changes.pairs.retain(differ);
}

/// The lines at these places of the two sides.
fn moved_lines<'a>(
    sides: &'a Sides,
    released: &'a [usize],
    rebuilt: &'a [usize],
) -> Both<package::Moved<'a>> {
    let of = |lines, moved| package::Moved { lines, moved };
    Both::new(of(&sides.released, released), of(&sides.rebuilt, rebuilt))
}

/// Adds what another order of lines means: nothing in lists, and a change of content elsewhere.
fn add(leaf: &mut Leaf, kind: Kind, normalisation: Option<Normalisation>, finding: impl Fn() -> Finding) {
    if kind.list || normalisation.is_some() {
        leaf.add(
            finding()
                .because(Cause::Order, Confidence::Proven)
                .keyed("lines")
                .set_aside_by(normalisation),
        );
        return;
    }
    leaf.add(finding().keyed("order of lines"));
    if !kind.code {
        leaf.add(
            finding()
                .because(Cause::Order, Confidence::Possible)
                .keyed("lines"),
        );
    }
}

fn sorted(alone: &[usize], paired: impl Iterator<Item = usize>) -> Vec<usize> {
    let mut all: Vec<usize> = alone.iter().copied().chain(paired).collect();
    all.sort_unstable();
    all
}

/// Whether the last line has a line end.
fn is_ended(lines: &[Cow<str>]) -> bool {
    lines.last().is_none_or(|line| line.ends_with('\n'))
}

/// The lines at these positions, sorted. The last line of a file may lack its line end.
fn texts<'a>(lines: &'a [Cow<str>], places: &[usize]) -> Vec<&'a str> {
    let mut texts: Vec<&str> = places
        .iter()
        .map(|at| line_at(lines, *at).trim_end_matches('\n'))
        .collect();
    texts.sort_unstable();
    texts
}

/// The same items of a line in another order.
pub(super) enum Shuffled {
    /// A set in Python's notation: `{'a', 'b'}`. Its order has no meaning.
    Set,
    /// Words separated by commas or blanks; their order may have a meaning.
    List,
}

pub(super) fn shuffled(released: &str, rebuilt: &str) -> Option<Shuffled> {
    if let (Some(old), Some(new)) = (set(released), set(rebuilt))
        && old == new
    {
        return Some(Shuffled::Set);
    }
    let words = |line: &str| -> Vec<String> {
        let mut words: Vec<_> = line
            .split(|c: char| c.is_whitespace() || matches!(c, ',' | ';'))
            .filter(|word| !word.is_empty())
            .map(str::to_owned)
            .collect();
        words.sort_unstable();
        words
    };
    let old = words(released);
    (old.len() >= 2 && old == words(rebuilt)).then_some(Shuffled::List)
}

/// The text before a set, its items in order, and the text after it.
fn set(line: &str) -> Option<(&str, Vec<&str>, &str)> {
    let (head, rest) = line.split_once('{')?;
    let (inner, tail) = rest.split_once('}')?;
    let mut items: Vec<&str> = inner.split(", ").collect();
    let is_quoted = |item: &&str| {
        let mut chars = item.chars();
        let (first, last) = (chars.next(), chars.next_back());
        let inside = item.get(1..item.len().saturating_sub(1)).unwrap_or("'");
        first == last && matches!(first, Some('\'' | '"')) && !inside.contains(['\'', '"', '\\', '{'])
    };
    items.sort_unstable();
    let distinct = items.windows(2).all(|pair| pair.first() != pair.last());
    (items.len() >= 2 && distinct && items.iter().all(is_quoted)).then_some((head, items, tail))
}
