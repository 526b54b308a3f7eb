//! Lists of digests of other files: lines are paired by the file that they are about. [`claims`] checks the digests
//! when everything has been compared.
//!
//! [`claims`]: crate::compare::claims

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};

use super::comparator::Leaf;
use super::matching::{Changes, Sides, line_at, line_number};
use crate::compare::cause::{Cause, Confidence};
use crate::compare::claims::{Claim, Claims};
use crate::compare::finding::Finding;
use crate::compare::package::Checksums;
use crate::compare::tree::clean;

/// Maximum number of lines that are compared with their files; the others are content.
const MOST_LINES: usize = 100_000;

/// The lines about one file in both lists.
type Places = (Option<usize>, Option<usize>);

pub(super) fn compare(leaf: &mut Leaf, list: &Checksums, sides: &Sides, changes: &mut Changes) {
    let old = Claimed::of(list, &sides.released, &changes.removed);
    let new = Claimed::of(list, &sides.rebuilt, &changes.added);
    for (released_at, rebuilt_at) in paired(&old, &new, changes) {
        let released = released_at.map_or("", |at| line_at(&sides.released, at).trim_end());
        let rebuilt = rebuilt_at.map_or("", |at| line_at(&sides.rebuilt, at).trim_end());
        let place = line_number(released_at.or(rebuilt_at).unwrap_or(0));
        if released == rebuilt {
            let moved = Finding::new(place, released, "another place");
            let repeated = [old.is_repeated(released_at), new.is_repeated(rebuilt_at)];
            leaf.add(if repeated.contains(&true) {
                moved.keyed("order of lines about one file")
            } else {
                moved
                    .because(Cause::Order, Confidence::Proven)
                    .keyed("lines")
                    .set_aside_by(list.moved)
            });
            continue;
        }
        let claims = Claims::new(old.at(released_at), new.at(rebuilt_at), list.files);
        let finding = Finding::new(place, released, rebuilt)
            .set_aside_by(list.changed)
            .claiming(claims);
        leaf.findings.push(finding);
    }
}

/// The claims of the differing lines of one side.
struct Claimed {
    /// By position.
    claims: HashMap<usize, Claim>,
    /// The files that several lines are about, by their clean paths.
    repeated: HashSet<String>,
}

impl Claimed {
    fn of(list: &Checksums, lines: &[Cow<str>], places: &[usize]) -> Self {
        let mut claims = (list.claims)(lines);
        let (mut files, mut repeated) = (HashSet::new(), HashSet::new());
        for claim in claims.iter().flatten() {
            let file = clean(&claim.file);
            if !files.insert(file.clone()) {
                repeated.insert(file.into_owned());
            }
        }
        drop(files);
        let own = places.iter().take(MOST_LINES);
        Self {
            claims: own
                .filter_map(|at| Some((*at, claims.get_mut(*at)?.take()?)))
                .collect(),
            repeated,
        }
    }

    fn at(&self, place: Option<usize>) -> Option<Claim> {
        place.and_then(|place| self.claims.get(&place)).cloned()
    }

    /// Whether another line is about the same file.
    fn is_repeated(&self, place: Option<usize>) -> bool {
        self.at(place)
            .is_some_and(|claim| self.repeated.contains(&*clean(&claim.file)))
    }
}

/// Pairs lines about the same file (and with the same algorithm, if there are several), and removes them from the
/// changes.
fn paired(old: &Claimed, new: &Claimed, changes: &mut Changes) -> Vec<Places> {
    let key = |claims: &Claimed, at: &usize| {
        let claim = claims.claims.get(at)?;
        Some((claim.file.clone(), claim.algorithm))
    };
    let mut by_file: BTreeMap<_, Places> = BTreeMap::new();
    changes
        .removed
        .retain(|at| key(old, at).is_none_or(|key| by_file.entry(key).or_default().0.replace(*at).is_some()));
    changes
        .added
        .retain(|at| key(new, at).is_none_or(|key| by_file.entry(key).or_default().1.replace(*at).is_some()));
    // The remaining lines of each side may be the same claim with another algorithm.
    let mut pairs: Vec<Places> = Vec::new();
    let mut alone: BTreeMap<String, (Vec<usize>, Vec<usize>)> = BTreeMap::new();
    for ((file, _), places) in by_file {
        match places {
            (Some(released), None) => alone.entry(file).or_default().0.push(released),
            (None, Some(rebuilt)) => alone.entry(file).or_default().1.push(rebuilt),
            both => pairs.push(both),
        }
    }
    for (released, rebuilt) in alone.into_values() {
        for index in 0..released.len().max(rebuilt.len()) {
            pairs.push((released.get(index).copied(), rebuilt.get(index).copied()));
        }
    }
    pairs.sort_unstable();
    pairs
}
