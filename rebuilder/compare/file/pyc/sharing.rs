//! Files with equal values but different bytes: which objects are shared, and how that is stored.

use super::value::{Kind, Tree};
use crate::compare::cause::{Cause, Confidence};
use crate::compare::finding::Finding;
use crate::compare::normalise::Normalisation;

/// How two trees of equal values differ.
#[derive(Debug, Default)]
struct Differences {
    /// One object on one side corresponds to two equal ones on the other.
    shared: bool,
    /// A string is interned on one side only.
    interned: bool,
    /// The elements of a set are written in another order.
    set_order: bool,
    /// Such a set contains only numbers, whose hashes are not random.
    number_order: bool,
}

const KEY: &str = "marshal references";

/// One finding for each kind of difference between two trees of equal values.
pub(super) fn compare(old: &Tree, new: &Tree) -> Vec<Finding> {
    let mut findings = beside(old, new);
    if findings.is_empty() {
        let count = |tree: &Tree| format!("{} objects", tree.objects.len());
        findings.push(
            Finding::new("marks of objects that are shared", count(old), count(new))
                .because(Cause::Randomness, Confidence::Proven)
                .keyed(KEY)
                .set_aside_by(Normalisation::PycReferences),
        );
    }
    findings
}

/// The differences of two trees besides their values.
pub(super) fn beside(old: &Tree, new: &Tree) -> Vec<Finding> {
    let Some(differences) = walk(old, new) else {
        return vec![Finding::new("code", "", "")];
    };
    let mut findings = Vec::new();
    let count = |tree: &Tree| format!("{} objects", tree.objects.len());
    let random = |place: &str, key: &str| {
        Finding::new(place, count(old), count(new))
            .because(Cause::Randomness, Confidence::Proven)
            .keyed(key)
    };
    if differences.set_order {
        findings.push(random(
            "order of the elements of sets",
            "order of sets in .pyc files",
        ));
    }
    if differences.number_order {
        findings.push(Finding::new(
            "order of the elements of sets of numbers",
            count(old),
            count(new),
        ));
    }
    if differences.shared && (old.has_mutable || new.has_mutable) {
        // A shared list is not the same as two lists; no compiler writes either.
        findings.push(Finding::new(
            "shared values that code can change",
            count(old),
            count(new),
        ));
    } else if differences.shared || differences.interned {
        findings.push(
            random("constants that are one object", KEY).set_aside_by(Normalisation::PycSharedConstants),
        );
    }
    findings
}

/// Walks both trees in parallel, visiting each object of the released side once.
fn walk(old: &Tree, new: &Tree) -> Option<Differences> {
    let mut differences = Differences::default();
    let mut partners: Vec<Option<usize>> = vec![None; old.objects.len()];
    let mut partners_of_new: Vec<Option<usize>> = vec![None; new.objects.len()];
    let mut open = vec![(old.root, new.root)];
    while let Some((released, rebuilt)) = open.pop() {
        let partner = partners.get_mut(released)?;
        let known = *partner;
        let other = partners_of_new.get_mut(rebuilt)?;
        differences.shared |= known.is_some_and(|known| known != rebuilt);
        differences.shared |= other.is_some_and(|known| known != released);
        if known.is_some() {
            continue;
        }
        *partner = Some(rebuilt);
        *other = Some(released);
        let (one, two) = (old.get(released)?, new.get(rebuilt)?);
        differences.interned |= one.interned != two.interned;
        if one.kind.is_set() && one.id != two.id {
            continue;
        }
        let (mut left, mut right) = (one.elements.clone(), two.elements.clone());
        if one.kind.is_set() {
            let same_order = left
                .iter()
                .map(|at| old.id(*at))
                .eq(right.iter().map(|at| new.id(*at)));
            if !same_order {
                let random = left.iter().any(|at| is_hashed_randomly(old, *at, DEEPEST));
                differences.set_order |= random;
                differences.number_order |= !random;
                left.sort_by_key(|at| old.id(*at));
                right.sort_by_key(|at| new.id(*at));
            }
        }
        open.extend(left.into_iter().zip(right));
    }
    Some(differences)
}

const DEEPEST: u32 = 4;

/// Whether the hash of a value differs between runs of Python: strings, and values with an address.
fn is_hashed_randomly(tree: &Tree, at: usize, depth: u32) -> bool {
    let (Some(object), Some(below)) = (tree.get(at), depth.checked_sub(1)) else {
        return false;
    };
    match object.kind {
        Kind::False | Kind::True | Kind::Int | Kind::Long | Kind::Float | Kind::Complex => false,
        Kind::Tuple | Kind::FrozenSet => object
            .elements
            .iter()
            .any(|element| is_hashed_randomly(tree, *element, below)),
        _ => true,
    }
}
