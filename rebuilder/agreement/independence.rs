//! Which parties may be counted together: those that do not share any property in which the policy requires them to
//! differ.

use std::collections::BTreeMap;

use crate::policy::Independence;

/// Maximum number of steps of the search. After that, the best set so far counts, which never counts a party wrongly.
const STEPS: u32 = 200_000;

/// A party that could be counted.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// Its weight.
    pub weight: u32,
    /// Its role.
    pub role: String,
    /// The properties that it must not share, by kind; `None` if unstated.
    pub traits: Vec<(Independence, Option<Vec<String>>)>,
}

impl Candidate {
    /// What two candidates share, if anything.
    ///
    /// Unstated values may be the same, so two candidates that do not state a value share it. The toolchain is the
    /// exception, because most attestations do not state it.
    pub fn shares(&self, other: &Self) -> Option<Independence> {
        let mut pairs = self.traits.iter().zip(&other.traits);
        let shared = pairs.find(|((kind, own), (_, theirs))| match (own, theirs) {
            (Some(own), Some(theirs)) => own.iter().any(|value| theirs.contains(value)),
            (None, None) => *kind != Independence::Toolchain,
            _ => false,
        });
        shared.map(|((kind, _), _)| *kind)
    }
}

/// The candidates to count: a set that shares nothing and meets the requirements, or else the heaviest set.
pub fn choose(candidates: &[Candidate], threshold: u32, roles: &BTreeMap<String, u32>) -> Chosen {
    let mut order: Vec<Placed> = candidates.iter().enumerate().collect();
    order.sort_by_key(|(_, candidate)| std::cmp::Reverse(candidate.weight));
    let mut search = Search {
        threshold,
        roles,
        best: Chosen::default(),
        steps: 0,
    };
    search.from(&order, &mut Vec::new());
    search.best
}

/// The outcome of a search.
#[derive(Debug, Clone, Default)]
pub struct Chosen {
    /// Positions of the candidates.
    pub members: Vec<usize>,
    /// Their weight.
    pub weight: u32,
    /// Whether that is enough, including the roles.
    pub enough: bool,
}

/// A candidate and its position.
type Placed<'a> = (usize, &'a Candidate);

struct Search<'a> {
    threshold: u32,
    roles: &'a BTreeMap<String, u32>,
    best: Chosen,
    steps: u32,
}

impl Search<'_> {
    /// Tries every set with and without each open candidate, first with it.
    fn from<'a>(&mut self, open: &[Placed<'a>], taken: &mut Vec<Placed<'a>>) {
        self.steps = self.steps.saturating_add(1);
        let Some((next, later)) = open.split_first() else {
            return self.judge(taken);
        };
        let whole = weight(taken).saturating_add(weight(open));
        // Once enough are found, only a heavier set is worth looking for.
        let hopeless = self.best.enough && whole <= self.best.weight;
        if self.steps > STEPS || hopeless {
            return self.judge(taken);
        }
        let (_, candidate) = next;
        if taken.iter().all(|(_, other)| candidate.shares(other).is_none()) {
            taken.push(*next);
            self.from(later, taken);
            taken.pop();
        }
        self.from(later, taken);
    }

    fn judge(&mut self, taken: &[Placed]) {
        let weight = weight(taken);
        let of_role = |role: &String| taken.iter().filter(|(_, it)| it.role == *role).count();
        let roles = self
            .roles
            .iter()
            .all(|(role, wanted)| of_role(role) >= *wanted as usize);
        let enough = roles && weight >= self.threshold;
        if (enough, weight, taken.len()) > (self.best.enough, self.best.weight, self.best.members.len()) {
            self.best = Chosen {
                members: taken.iter().map(|(at, _)| *at).collect(),
                weight,
                enough,
            };
        }
    }
}

fn weight(candidates: &[Placed]) -> u32 {
    let weights = candidates.iter().map(|(_, candidate)| candidate.weight);
    weights.fold(0, u32::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(weight: u32, role: &str, organisation: &str, container: Option<&str>) -> Candidate {
        Candidate {
            weight,
            role: role.into(),
            traits: vec![
                (Independence::Organisation, Some(vec![organisation.into()])),
                (Independence::Container, container.map(|name| vec![name.into()])),
            ],
        }
    }

    #[test]
    fn finds_a_set_that_a_greedy_choice_would_miss() {
        // The heaviest conflicts with both others, which together are enough.
        let all = [
            candidate(2, "rebuilder", "a", Some("x")),
            candidate(2, "rebuilder", "a", Some("y")),
            candidate(2, "rebuilder", "b", Some("x")),
        ];
        let chosen = choose(&all, 4, &BTreeMap::new());
        assert!(chosen.enough);
        assert_eq!((chosen.weight, chosen.members.len()), (4, 2));
    }

    #[test]
    fn what_is_not_told_may_be_shared() {
        let all = [candidate(1, "r", "a", None), candidate(1, "r", "b", None)];
        assert_eq!(choose(&all, 2, &BTreeMap::new()).weight, 1);
        let told = [candidate(1, "r", "a", None), candidate(1, "r", "b", Some("x"))];
        assert!(choose(&told, 2, &BTreeMap::new()).enough);
    }

    proptest::proptest! {
        #[test]
        fn never_counts_two_that_share_something(
            parties in proptest::collection::vec((1_u32..4, 0_u8..4, 0_u8..4), 0..12),
        ) {
            let all: Vec<_> = parties
                .iter()
                .map(|(weight, organisation, container)| {
                    candidate(*weight, "r", &organisation.to_string(), Some(&container.to_string()))
                })
                .collect();
            let chosen = choose(&all, 3, &BTreeMap::new());
            for (at, a) in chosen.members.iter().enumerate() {
                for b in &chosen.members[at + 1..] {
                    proptest::prop_assert!(all[*a].shares(&all[*b]).is_none());
                }
            }
            let sum: u32 = chosen.members.iter().map(|at| all[*at].weight).sum();
            proptest::prop_assert_eq!(sum, chosen.weight);
        }
    }
}
