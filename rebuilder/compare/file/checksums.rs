//! Lists of digests of other files, paired by the file that they are of.

use std::collections::BTreeMap;

use super::comparator::Leaf;
use super::matching::{Changes, Sides, line_at, line_number};
use crate::compare::cause::{Cause, Confidence};
use crate::compare::finding::Finding;
use crate::compare::package::Checksums;

/// The lines of one file in both lists.
type Places = (Option<usize>, Option<usize>);

pub(super) fn compare(leaf: &mut Leaf, list: &Checksums, sides: &Sides, changes: &mut Changes) {
    // Lines for one file are told apart by their length if there may be several.
    let key = |line: &str| {
        let length = line.trim_end().len();
        Some(((list.file)(line)?, if list.several_kinds { length } else { 0 }))
    };
    let mut by_file: BTreeMap<(String, usize), Places> = BTreeMap::new();
    changes.removed.retain(|at| {
        key(line_at(&sides.released, *at))
            .is_none_or(|key| by_file.entry(key).or_default().0.replace(*at).is_some())
    });
    changes.added.retain(|at| {
        key(line_at(&sides.rebuilt, *at))
            .is_none_or(|key| by_file.entry(key).or_default().1.replace(*at).is_some())
    });
    for ((file, _), (released_at, rebuilt_at)) in by_file {
        let released = released_at.map_or("", |at| line_at(&sides.released, at).trim_end());
        let rebuilt = rebuilt_at.map_or("", |at| line_at(&sides.rebuilt, at).trim_end());
        let place = line_number(released_at.or(rebuilt_at).unwrap_or(0));
        if released == rebuilt {
            leaf.add(
                Finding::new(place, released, "another place")
                    .because(Cause::Order, Confidence::Proven)
                    .keyed("lines")
                    .set_aside_by(list.moved),
            );
            continue;
        }
        let mut finding = Finding::new(place, released, rebuilt)
            .because(Cause::Checksum, Confidence::Likely)
            .keyed("checksums of other files")
            .following()
            .set_aside_by(list.changed);
        finding.checksum_of = Some(file);
        leaf.findings.push(finding);
    }
}
