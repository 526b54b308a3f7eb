//! How the outputs of one build differ from those of another.

use std::collections::{BTreeMap, BTreeSet};

use super::{Outputs, ProveError};
use crate::compare::{self, Comparison, Node, Options, Presence};

/// The differences between two builds.
#[derive(Debug, Clone, Default)]
pub struct Difference {
    /// One comparison for each differing output that both builds have.
    pub files: Vec<Comparison>,
    /// Names of outputs that only one build has.
    pub unpaired: Vec<String>,
    /// Number of identical outputs.
    pub same: usize,
    /// Each differing place, as the path of the innermost file or member.
    pub places: BTreeSet<String>,
}

/// The place of a build that failed.
const FAILED: &str = "the build fails";

impl Difference {
    /// Compares the outputs of two builds.
    pub(super) fn between(one: &Outputs, other: &Outputs) -> Result<Self, ProveError> {
        let mut found = Self::default();
        if one.failed.is_some() || other.failed.is_some() {
            if one.failed.is_some() != other.failed.is_some() {
                found.places.insert(FAILED.into());
            }
            return Ok(found);
        }
        let named = |outputs: &Outputs| -> BTreeMap<String, _> {
            let files = outputs.files.iter();
            files.map(|file| (file.name.clone(), file.sha256)).collect()
        };
        let (ours, theirs) = (named(one), named(other));
        for (name, digest) in &ours {
            match theirs.get(name) {
                Some(same) if same == digest => found.same = found.same.saturating_add(1),
                Some(_) => {
                    let options = Options {
                        digests: true,
                        ..Options::default()
                    };
                    let comparison =
                        compare::compare(&one.folder.join(name), &other.folder.join(name), &options)?;
                    found.note(name, &comparison);
                    found.files.push(comparison);
                }
                None => found.unpaired.push(name.clone()),
            }
        }
        let extra = theirs.keys().filter(|name| !ours.contains_key(*name));
        found.unpaired.extend(extra.cloned());
        let unpaired = found
            .unpaired
            .iter()
            .map(|name| format!("{name} (only in one build)"));
        found.places.extend(unpaired);
        Ok(found)
    }

    /// Whether nothing differs.
    pub fn is_none(&self) -> bool {
        self.places.is_empty()
    }

    fn note(&mut self, name: &str, comparison: &Comparison) {
        let before = self.places.len();
        if let Some(tree) = &comparison.tree {
            tree.each("", &mut |path, node| {
                if is_place(node) {
                    self.places.insert(format!("{name}:{path}"));
                }
            });
        }
        if self.places.len() == before {
            self.places.insert(name.to_owned());
        }
    }
}

/// Whether a node differs itself, not only because of its members.
fn is_place(node: &Node) -> bool {
    node.presence != Presence::Both || node.findings.iter().any(|finding| !finding.follows)
}
