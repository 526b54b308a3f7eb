//! Testimonies by signer: different ones are kept, repeated ones are counted.
//!
//! Bounded, so that a folder of any size can be read: a signer's different testimonies and the examples of what was set
//! aside are kept up to a number each.

use std::collections::BTreeMap;

use super::inputs::Fingerprint;
use super::{Kind, Reason, RebuildClaim, SetAside, Testimony};

/// Maximum number of different testimonies of one signer that are kept.
const TESTIMONIES: usize = 64;
/// Maximum number of examples of one reason.
const EXAMPLES: usize = 5;

/// What was gathered about one artifact.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    voices: BTreeMap<String, BTreeMap<Key, Testimony>>,
    aside: BTreeMap<Reason, (u64, Vec<String>)>,
}

/// Testimonies that are equal in all of this are counted as one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    claim: RebuildClaim,
    inputs: Fingerprint,
    kind: Kind,
    builder: Option<String>,
}

impl Tally {
    /// Takes a verified testimony.
    pub fn add(&mut self, testimony: Testimony) {
        let signer = signer(&testimony);
        let reading = &testimony.reading;
        let key = Key {
            claim: reading.says.clone(),
            inputs: reading.inputs.fingerprint(),
            kind: reading.kind,
            builder: reading.builder.clone(),
        };
        self.keep(signer, key, testimony);
    }

    fn keep(&mut self, signer: String, key: Key, testimony: Testimony) {
        let voice = self.voices.entry(signer).or_default();
        match voice.get_mut(&key) {
            Some(known) => {
                let times = known.times.saturating_add(testimony.times);
                // The newest represents all; among equals the smallest digest, so that order does not matter.
                let newer = (testimony.time(), std::cmp::Reverse(testimony.document))
                    > (known.time(), std::cmp::Reverse(known.document));
                if newer {
                    *known = testimony;
                }
                known.times = times;
            }
            None => {
                voice.insert(key, testimony);
            }
        }
        if voice.len() > TESTIMONIES {
            // Contradictions are what must not be lost, so the oldest agreement goes.
            let oldest = voice
                .iter()
                .filter(|(key, _)| key.claim == RebuildClaim::Same)
                .min_by_key(|(_, testimony)| testimony.time())
                .or_else(|| voice.iter().min_by_key(|(_, testimony)| testimony.time()));
            if let Some(key) = oldest.map(|(key, _)| key.clone()) {
                voice.remove(&key);
            }
        }
    }

    /// Takes note of something that does not count.
    pub fn set_aside(&mut self, reason: Reason, example: String) {
        self.note(reason, 1, vec![example]);
    }

    /// The same, of something that was said several times.
    pub fn set_aside_times(&mut self, reason: Reason, times: u64, example: String) {
        self.note(reason, times, vec![example]);
    }

    fn note(&mut self, reason: Reason, count: u64, examples: Vec<String>) {
        let (known, kept) = self.aside.entry(reason).or_default();
        *known = known.saturating_add(count);
        kept.extend(examples);
        kept.sort();
        kept.dedup();
        kept.truncate(EXAMPLES);
    }

    /// Takes everything from another one.
    #[must_use]
    pub fn merge(mut self, other: Self) -> Self {
        for (signer, voice) in other.voices {
            for (key, testimony) in voice {
                self.keep(signer.clone(), key, testimony);
            }
        }
        for (reason, (count, examples)) in other.aside {
            self.note(reason, count, examples);
        }
        self
    }

    /// The testimonies of each signer.
    pub fn voices(&self) -> impl Iterator<Item = Vec<&Testimony>> {
        self.voices.values().map(|voice| voice.values().collect())
    }

    /// What does not count.
    pub fn aside(&self) -> Vec<SetAside> {
        let entries = self.aside.iter();
        entries
            .map(|(reason, (count, examples))| SetAside {
                reason: *reason,
                meaning: reason.meaning(),
                count: *count,
                examples: examples.clone(),
            })
            .collect()
    }
}

/// What tells signers apart: their keys, or the identity in the certificate.
fn signer(testimony: &Testimony) -> String {
    match &testimony.signer.identity {
        Some(identity) => format!("{identity}"),
        None => testimony.signer.fingerprints.join(" "),
    }
}
