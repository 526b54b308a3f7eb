//! Combines the reasons for single lines.

use std::collections::{HashMap, HashSet};

use super::pairs::Pair;
use crate::compare::cause::{Cause, Confidence, Reason};

type Counts = HashMap<(Cause, String), usize>;

/// A substitution that is the only difference in several lines is proven; substitutions that contradict each other are
/// dropped. `complete` says that nothing but these pairs of lines differs.
pub(super) fn agree(pairs: &mut [Pair], complete: bool) {
    drop_contradictions(pairs);
    let counts = counts(pairs);
    let places = |reason: &Reason| {
        counts
            .get(&(reason.cause, reason.key.clone()))
            .copied()
            .unwrap_or(0)
    };
    for reason in reasons(pairs) {
        // A pair of folders that is certain in one line is the reason in the others too.
        if reason.cause == Cause::BuildPath && places(reason) > 0 {
            reason.confidence = reason.confidence.max(Confidence::Likely);
        }
    }
    let explained = complete && pairs.iter().all(Pair::is_explained);
    for reason in reasons(pairs) {
        let substitutes = matches!(
            reason.cause,
            Cause::BuildPath | Cause::BuildHost | Cause::SourceRevision
        );
        if explained && substitutes && places(reason) > 1 && reason.key.contains(" → ") {
            reason.confidence = Confidence::Proven;
        }
        // Typography and decimal marks must change in the whole file; otherwise someone changed them.
        let whole =
            ["quotes and dashes", "characters beyond ASCII", "decimal mark"].contains(&reason.key.as_str());
        if !explained && reason.cause == Cause::Locale && whole {
            reason.confidence = Confidence::Possible;
        }
    }
}

fn reasons(pairs: &mut [Pair]) -> impl Iterator<Item = &mut Reason> {
    pairs.iter_mut().flat_map(|pair| &mut pair.reasons)
}

/// The number of pairs in which each reason is more than possible.
fn counts(pairs: &[Pair]) -> Counts {
    let mut counts = Counts::new();
    let sure = pairs
        .iter()
        .flat_map(|pair| &pair.reasons)
        .filter(|reason| reason.confidence > Confidence::Possible);
    for reason in sure {
        let count = counts.entry((reason.cause, reason.key.clone())).or_default();
        *count = count.saturating_add(1);
    }
    counts
}

/// A host has only one other name on the other side; a second one is a change that someone made.
fn drop_contradictions(pairs: &mut [Pair]) {
    let substitution = |reason: &Reason| {
        let (from, to) = reason.key.split_once(" → ")?;
        (reason.cause == Cause::BuildHost).then(|| (from.to_owned(), to.to_owned()))
    };
    let mut names: [HashMap<String, String>; 2] = Default::default();
    let mut contradicted: HashSet<String> = HashSet::new();
    for (from, to) in pairs
        .iter()
        .flat_map(|pair| &pair.reasons)
        .filter_map(substitution)
    {
        let [onward, back] = &mut names;
        let other = onward
            .insert(from.clone(), to.clone())
            .is_some_and(|other| other != to);
        let others = back.insert(to, from.clone()).is_some_and(|other| other != from);
        if other || others {
            contradicted.insert(from);
        }
    }
    for pair in pairs {
        let is_contradicted = |(from, _): (String, String)| contradicted.contains(&from);
        if pair.reasons.iter().filter_map(substitution).any(is_contradicted) {
            pair.reasons.clear();
        }
    }
}
