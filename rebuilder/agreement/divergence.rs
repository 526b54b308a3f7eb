//! The differences between the statements of several parties.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::inputs::Values;
use super::{Difference, Divergence, Group, Inputs};
use crate::policy::Aspect;

/// Maximum number of single values that are shown for one divergence.
const SHOWN: usize = 20;

/// Takes one aspect out of the inputs.
type Of<T> = fn(&Inputs) -> Option<&T>;

/// The inputs in which parties differ.
pub fn divergences(parties: &[(&str, &Inputs)]) -> Vec<Divergence> {
    let texts: [(Aspect, Of<String>); 3] = [
        (Aspect::Source, |inputs| inputs.source.as_ref()),
        (Aspect::Container, |inputs| inputs.container.as_ref()),
        (Aspect::Toolchain, |inputs| inputs.toolchain.as_ref()),
    ];
    let mut found = Vec::new();
    for (aspect, of) in texts {
        let said = parties
            .iter()
            .filter_map(|(party, inputs)| Some((*party, of(inputs)?.clone())));
        found.extend(differing(aspect.word(), said));
    }
    let lists: [(Aspect, Of<Values>); 2] = [
        (Aspect::Dependencies, |inputs| inputs.dependencies.as_ref()),
        (Aspect::Parameters, |inputs| inputs.parameters.as_ref()),
    ];
    for (aspect, of) in lists {
        let said: Vec<_> = parties
            .iter()
            .filter_map(|(party, inputs)| Some((*party, of(inputs)?)))
            .collect();
        let mut kinds: Vec<_> = said.iter().map(|(_, values)| values.kind.as_str()).collect();
        kinds.sort_unstable();
        kinds.dedup();
        // Only values of one kind can be compared.
        for kind in kinds {
            let same: Vec<_> = said.iter().filter(|(_, values)| values.kind == kind).collect();
            let word = |values: &Values| format!("{} values, sha256:{}", values.count, values.sha256.short());
            let texts = same.iter().map(|(party, values)| (*party, word(values)));
            if let Some(mut divergence) = differing(aspect.word(), texts) {
                let lists: Vec<_> = divergence
                    .groups
                    .iter()
                    .filter_map(|group| {
                        same.iter()
                            .find(|(party, _)| group.parties.iter().any(|name| name == party))
                    })
                    .map(|(_, values)| &values.listed)
                    .collect();
                divergence.differences = differences(&lists);
                found.push(divergence);
            }
        }
    }
    found
}

/// Groups parties by what they state; `None` if they all state the same.
pub fn differing<'a>(
    aspect: &'static str,
    said: impl Iterator<Item = (&'a str, String)>,
) -> Option<Divergence> {
    let mut groups: Vec<Group> = Vec::new();
    for (party, value) in said {
        match groups.iter_mut().find(|group| group.value == value) {
            Some(group) => group.parties.push(party.to_owned()),
            None => groups.push(Group {
                value,
                parties: vec![party.to_owned()],
            }),
        }
    }
    (groups.len() > 1).then(|| Divergence {
        aspect,
        groups,
        differences: Vec::new(),
    })
}

fn differences(lists: &[&Arc<BTreeMap<String, String>>]) -> Vec<Difference> {
    let mut names: Vec<_> = lists.iter().flat_map(|list| list.keys()).collect();
    names.sort_unstable();
    names.dedup();
    let row = |name: &String| Difference {
        name: name.clone(),
        values: lists.iter().map(|list| list.get(name).cloned()).collect(),
    };
    let rows = names.into_iter().map(row);
    let differ = |row: &Difference| {
        row.values
            .iter()
            .zip(row.values.iter().skip(1))
            .any(|(a, b)| a != b)
    };
    rows.filter(differ).take(SHOWN).collect()
}
