//! Sections that are loaded when the program runs.

use std::ops::Range;

use super::image::{Image, Section};
use super::moves::Moves;
use super::{Pair, names_debug_file};
use crate::compare::cause::{Cause, Confidence};
use crate::compare::explain::Context;
use crate::compare::file::bytes::{self, excerpt, ranges, window};
use crate::compare::file::comparator::Leaf;
use crate::compare::file::strings;
use crate::compare::finding::Finding;

/// Compares these sections; returns whether any of them differs.
pub(super) fn compare(
    leaf: &mut Leaf,
    (old, new): (&Image, &Image),
    differing: &[Pair],
    folders: &[(String, String)],
    moves: &mut Moves,
) -> bool {
    let (mut any, mut explained) = (false, true);
    let mut left = Vec::new();
    let loaded = differing
        .iter()
        .filter(|pair| pair.0.loaded && !names_debug_file(pair));
    for (released, rebuilt) in loaded {
        any = true;
        let found = if released.executable {
            None
        } else {
            let context = Context {
                folders,
                ..Context::default()
            };
            strings::compare(&released.data, &rebuilt.data, context)
        };
        let Some(found) = found.filter(|found| !found.explained.is_empty()) else {
            left.push((*released, *rebuilt));
            continue;
        };
        super::add_strings(leaf, released, &found, |reason| reason);
        if !found.complete() {
            explained = false;
            left.push((*released, *rebuilt));
        }
        moves.set_strings(&released.name, released.nth, found);
    }
    for (released, rebuilt) in left {
        let differing = ranges(&released.data, &rebuilt.data);
        let difference = Difference {
            sides: (old, new),
            pair: (released, rebuilt),
            differing: &differing,
        };
        let moved =
            released.size == rebuilt.size && explained && moves.explain(released, rebuilt, &differing);
        leaf.add(difference.finding(moved));
        let mut shown = excerpt(0, &released.data, &rebuilt.data, &differing);
        shown.of = format!("bytes of {}", released.name);
        leaf.excerpts.push(shown);
    }
    any
}

/// A loaded section with differing bytes that are not explained as strings.
struct Difference<'a> {
    sides: (&'a Image<'a>, &'a Image<'a>),
    pair: Pair<'a>,
    differing: &'a [Range<usize>],
}

impl Difference<'_> {
    fn finding(&self, moved: bool) -> Finding {
        let bytes: usize = self.differing.iter().map(Range::len).sum();
        let (released, rebuilt) = self.pair;
        if moved {
            return self
                .shown(&format!("{bytes} bytes of addresses"))
                .because(Cause::MovedAddress, Confidence::Likely)
                .keyed("addresses in code and tables")
                .following();
        }
        self.shown(&format!(
            "{bytes} bytes, {} and {} in all",
            released.size, rebuilt.size
        ))
    }

    /// The first differing bytes, with the functions that they are in.
    fn shown(&self, note: &str) -> Finding {
        let first = self.differing.first().map_or(0, |range| range.start);
        let (own, other) = self.pair;
        let range = self.differing.first().cloned().unwrap_or(0..0);
        let texts = if own.data.len() == other.data.len() {
            bytes::shown(&own.data, &other.data, &range)
        } else {
            let hex = |data| hex::encode(window(data, first, 16));
            (hex(&own.data), hex(&other.data))
        };
        let shown = |image: &Image, section: &Section, text: String| match image
            .symbol_at(section.address.saturating_add(first as u64))
        {
            Some(name) => format!("{text} in {name}"),
            None => text,
        };
        Finding::new(
            format!("{} +{first:#x}, {note}", self.pair.0.name),
            shown(self.sides.0, own, texts.0),
            shown(self.sides.1, other, texts.1),
        )
    }
}
