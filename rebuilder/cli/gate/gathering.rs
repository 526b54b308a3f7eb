//! The attestations of each package. A place that several packages share is read once for all of them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::ApplyArgs;
use crate::agreement::{self, Cost, Tally};
use crate::cli::failure::Failure;
use crate::discover::{self, Asked};
use crate::evidence::assess::Artifact;
use crate::evidence::trust::Trust;
use crate::store::Store;

/// The documents that were read about one artifact.
#[derive(Default)]
pub(super) struct Gathered {
    pub tally: Tally,
    pub cost: Cost,
    /// Files in the store, and the addresses that they came from.
    pub files: Vec<(PathBuf, String)>,
}

/// Reads the sources' documents about each artifact, and those that the user named for all.
///
/// The upgrade of a whole system has hundreds of packages, and a folder may contain a statement for each.
pub(super) fn gather(
    apply: &ApplyArgs,
    artifacts: &[Artifact],
    asked: &[Vec<Asked>],
    store: &Store,
    trust: &Trust,
) -> Result<Vec<Gathered>, Failure> {
    let mut all: Vec<Gathered> = Vec::new();
    let mut readers: BTreeMap<PathBuf, Vec<usize>> = BTreeMap::new();
    for (number, asked) in asked.iter().enumerate() {
        let files = discover::places(asked, store)?;
        let found = files.iter().map(|(path, _)| path);
        for path in found.chain(&apply.attestation) {
            let readers = readers.entry(path.clone()).or_default();
            if readers.last() != Some(&number) {
                readers.push(number);
            }
        }
        all.push(Gathered {
            files,
            ..Gathered::default()
        });
    }
    let mut groups: BTreeMap<Vec<usize>, Vec<PathBuf>> = BTreeMap::new();
    for (path, readers) in readers {
        groups.entry(readers).or_default().push(path);
    }
    for (readers, places) in groups {
        let about: Vec<_> = readers
            .iter()
            .filter_map(|&at| artifacts.get(at).cloned())
            .collect();
        let (tallies, cost) = agreement::gather(&places, &about, trust)?;
        for (at, tally) in readers.into_iter().zip(tallies) {
            if let Some(one) = all.get_mut(at) {
                one.tally = std::mem::take(&mut one.tally).merge(tally);
                add(&mut one.cost, cost);
            }
        }
    }
    Ok(all)
}

fn add(total: &mut Cost, more: Cost) {
    total.files = total.files.saturating_add(more.files);
    total.attestations = total.attestations.saturating_add(more.attestations);
    total.bytes = total.bytes.saturating_add(more.bytes);
    total.seconds += more.seconds;
}
