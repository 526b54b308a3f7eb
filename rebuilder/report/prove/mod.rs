//! What a proof says, for people and for other tools: terminal, Markdown and JUnit. The JSON is the proof itself.

mod annotations;
mod badge;
mod junit;
mod markdown;
mod terminal;

pub use annotations::annotations;
pub(super) use badge::draw;
pub use badge::{badge, endpoint};
pub use junit::junit;
pub use markdown::markdown;
pub use terminal::terminal;

use crate::compare::{Comparison, RootCause};
use crate::prove::{Proof, ProvenCulprit, Randomness, Varied};
use crate::text::plural;

/// Most places of a culprit that are listed.
const PLACES: usize = 8;
/// Most causes of a culprit that are shown.
const CAUSES: usize = 4;

/// The conclusion, in a sentence.
pub fn headline(proof: &Proof) -> String {
    let name = &proof.project.name;
    let varied = proof.varied.len();
    if proof.reproducible {
        let count = proof.outputs.len();
        let stay = if count == 1 { "stays" } else { "stay" };
        return format!(
            "{name} is reproducible: {} {stay} the same whichever of {varied} things vary",
            plural(count, "output")
        );
    }
    let mut parts = Vec::new();
    if !proof.culprits.is_empty() {
        parts.push(format!(
            "{} of {varied} things varied",
            plural(proof.culprits.len(), "culprit")
        ));
    }
    if proof.random.is_some() {
        parts.push("random differences".to_owned());
    }
    format!("{name} is not reproducible: {}", parts.join(", and "))
}

/// What a culprit is, in words: each knob with its two values.
fn title(culprit: &ProvenCulprit) -> String {
    let names: Vec<_> = culprit.knobs.iter().map(|knob| knob.name()).collect();
    let together = if names.len() > 1 { " (only together)" } else { "" };
    format!("{}{together}", names.join(" and "))
}

/// The values of a culprit's knobs.
fn values(culprit: &ProvenCulprit) -> impl Iterator<Item = String> {
    culprit.knobs.iter().map(|knob| {
        let Varied { baseline, varied, .. } = Varied::of(*knob);
        format!("{knob}: {baseline} → {varied}")
    })
}

/// The odds of a random difference, in words.
fn odds(random: &Randomness) -> String {
    let odds = random.odds;
    format!(
        "{} of {} differ from the first, although nothing was varied",
        odds.differing,
        plural(odds.of, "more build")
    )
}

/// The first causes of all differing files.
fn causes(files: &[Comparison]) -> impl Iterator<Item = &RootCause> {
    files.iter().flat_map(|file| &file.causes).take(CAUSES)
}

/// What it took, in a sentence.
fn cost(proof: &Proof) -> String {
    let cost = &proof.cost;
    format!("{} in {:.0} s", plural(cost.builds, "build"), cost.seconds)
}
