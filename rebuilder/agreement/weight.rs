//! The weight of a party in a quorum. A verifier's summary adds nothing to the attestations it was made from: it weighs
//! at most as much as the available attestations that it names, and only if the quorum asks for a verifier.

use std::collections::BTreeMap;

use super::RebuildClaim;
use super::stance::{Member, PartyStance};
use super::testimony::Testimony;
use crate::evidence::nature::Nature;
use crate::policy::{Party, Quorum};

/// The verified attestations of the parties that say that these bytes came out of a build, by digest.
pub(super) struct AtHand {
    /// By the SHA-256 of a file or of the statement in it: the party, and its weight.
    by_digest: BTreeMap<String, (String, u32)>,
}

impl AtHand {
    /// Those of some parties that `counts` does not take back.
    pub fn of(members: &[Member<'_>], quorum: &Quorum, counts: impl Fn(&Testimony, &Party) -> bool) -> Self {
        let mut by_digest = BTreeMap::new();
        for member in members {
            let party = &member.party;
            let asked = quorum.parties.is_empty() || quorum.parties.contains(&party.name);
            for testimony in member.testimonies.iter().filter(|_| asked) {
                let reading = &testimony.reading;
                let says_so = match &reading.says {
                    RebuildClaim::Same => true,
                    RebuildClaim::Equivalent { normalisations, .. } => normalisations
                        .iter()
                        .all(|name| quorum.equivalent_by.contains(name)),
                    RebuildClaim::Differs { .. } => false,
                };
                let is_build = reading.kind.nature() != Nature::Summary;
                if says_so && is_build && counts(testimony, party) {
                    let digests = [Some(testimony.document), reading.statement];
                    for digest in digests.into_iter().flatten() {
                        by_digest.insert(digest.to_hex(), (party.name.clone(), party.weight));
                    }
                }
            }
        }
        Self { by_digest }
    }

    /// The weight of a party, or why it has none.
    pub fn weight(&self, stance: &PartyStance<'_>, quorum: &Quorum) -> Result<u32, String> {
        let own = stance.party.weight;
        let reading = &stance.testimony.reading;
        if reading.kind.nature() != Nature::Summary {
            return Ok(own);
        }
        // That a verifier refuses a file is told with all of its weight.
        if matches!(reading.says, RebuildClaim::Differs { .. }) {
            return Ok(own);
        }
        if !quorum.roles.contains_key(&stance.party.role) {
            return Err(
                "a summary adds nothing to the attestations it was made from, and the quorum does not ask \
                for a verifier"
                    .into(),
            );
        }
        // Each party counts once, however many of its attestations the summary names.
        let parties: BTreeMap<&str, u32> = reading
            .made_from
            .iter()
            .filter_map(|digest| self.by_digest.get(digest))
            .filter(|(party, _)| *party != stance.party.name)
            .map(|(party, weight)| (party.as_str(), *weight))
            .collect();
        let inputs = parties.values().copied().fold(0, u32::saturating_add);
        if inputs == 0 {
            return Err(match reading.made_from.len() {
                1 => "the attestation that it was made from is not available and verified".to_owned(),
                count => format!(
                    "none of the {count} attestations that it was made from is available and verified"
                ),
            });
        }
        Ok(own.min(inputs))
    }
}
