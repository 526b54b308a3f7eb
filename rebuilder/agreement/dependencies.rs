//! What is known about the files from which a rebuilt file was made, for `dependencyLevels` of a summary.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::gather::{GatherError, gather};
use super::summary::{SlsaVersion, level};
use super::{Agreement, PartyReport, conclude};
use crate::artifact::{Digests, Sha256};
use crate::evidence::assess::Artifact;
use crate::evidence::trust::Trust;
use crate::policy::Policy;

/// The number of dependencies at each level.
pub type DependencyLevels = BTreeMap<String, u64>;

/// The pinned files, except sources, that the counted parties name as inputs, each once. `None` if a party names none,
/// or more than were kept; then nothing is claimed about them.
fn named(agreement: &Agreement) -> Option<Vec<Artifact>> {
    let counted: Vec<&PartyReport> = agreement.parties.iter().filter(|party| party.counted).collect();
    let mut all: BTreeMap<Sha256, String> = BTreeMap::new();
    for party in &counted {
        let values = party.inputs.dependencies.as_ref()?;
        if values.count != values.listed.len() {
            return None;
        }
        for (name, digest) in values.listed.iter() {
            let sha256 = digest.strip_prefix("sha256:")?.to_owned().try_into().ok()?;
            all.entry(sha256).or_insert_with(|| name.clone());
        }
    }
    let artifact = |(sha256, name): (Sha256, String)| Artifact {
        // A name with folders is that of the place in the build; the file is its last part.
        name: name.rsplit('/').next().unwrap_or(&name).to_owned(),
        purl: None,
        digests: Digests::known(sha256),
        path: None,
    };
    (!counted.is_empty()).then(|| all.into_iter().map(artifact).collect())
}

/// Checks each dependency with the same attestations and the same policy as the file itself.
///
/// # Errors
///
/// If the attestations cannot be gathered.
pub fn dependency_levels(
    agreement: &Agreement,
    places: &[std::path::PathBuf],
    trust: &Trust,
    policy: &Policy,
    version: SlsaVersion,
    now: Timestamp,
) -> Result<Option<DependencyLevels>, GatherError> {
    let Some(dependencies) = named(agreement) else {
        return Ok(None);
    };
    let (tallies, cost) = gather(places, &dependencies, trust)?;
    let mut levels = DependencyLevels::new();
    for (dependency, tally) in dependencies.iter().zip(&tallies) {
        // A policy without a quorum for it has nothing to say.
        let known = conclude(dependency, tally, trust, policy, now, cost).ok();
        let level = known.and_then(|known| level(&known, version));
        let count = levels
            .entry(level.unwrap_or_else(|| UNEVALUATED.to_owned()))
            .or_default();
        *count = count.saturating_add(1);
    }
    Ok(Some(levels))
}

/// The level of a dependency about which nothing is claimed.
const UNEVALUATED: &str = "SLSA_BUILD_LEVEL_UNEVALUATED";
