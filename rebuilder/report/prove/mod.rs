//! Reports of a proof for people and other tools. Its JSON is the proof itself.

mod annotations;
mod badge;
mod html;
mod junit;
mod markdown;
mod sarif;
mod terminal;

pub use annotations::annotations;
pub(super) use badge::draw;
pub use badge::{badge, endpoint};
pub use html::html;
pub use junit::junit;
pub use markdown::markdown;
pub use sarif::sarif;
pub use terminal::terminal;

use crate::compare::{Comparison, RootCause};
use crate::prove::attribute::Line;
use crate::prove::{Explained, Proof, ProvenCulprit, Randomness, Varied};
use crate::text::plural;

/// Maximum number of listed places of a culprit.
const PLACES: usize = 8;
/// Maximum number of causes of a culprit that are shown.
const CAUSES: usize = 4;

/// The conclusion, in a sentence.
pub fn headline(proof: &Proof) -> String {
    let name = &proof.project.name;
    let varied = proof.varied.len();
    if proof.reproducible {
        let count = proof.outputs.len();
        let stay = if count == 1 { "stays" } else { "stay" };
        let whatever = match varied {
            1 => "if 1 thing varies".to_owned(),
            _ => format!("whichever of {varied} things vary"),
        };
        return format!(
            "{name} is reproducible: {} {stay} the same {whatever}",
            plural(count, "output")
        );
    }
    let mut parts = Vec::new();
    if !proof.culprits.is_empty() {
        parts.push(format!(
            "{} of {} varied",
            plural(proof.culprits.len(), "culprit"),
            plural(varied, "thing")
        ));
    }
    if proof.random.is_some() {
        parts.push("random differences".to_owned());
    }
    format!("{name} is not reproducible: {}", parts.join(", and "))
}

/// A culprit in words: each knob with its two values.
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

/// A line of the project that a culprit comes from.
struct Origin<'a> {
    line: &'a Line,
    /// The output that it wrote, with the member in it. Empty if it only read the varied value.
    member: String,
    sentence: String,
}

/// The lines it comes from, each once.
fn origins(explained: Option<&Explained>) -> Vec<Origin<'_>> {
    let mut seen = std::collections::BTreeSet::new();
    let mut all = Vec::new();
    let Some(explained) = explained else { return all };
    for one in &explained.attributions {
        let line = one.line.as_ref();
        let Some(line) = line.filter(|line| seen.insert((&line.file, line.line))) else {
            continue;
        };
        let member = format!("{}/{}", one.output, one.member);
        all.push(Origin {
            line,
            member: member.trim_end_matches('/').to_owned(),
            sentence: one.sentence(),
        });
    }
    all.extend(explained.askers.iter().map(|asker| Origin {
        line: &asker.line,
        member: String::new(),
        sentence: asker.sentence(),
    }));
    all
}

/// The first causes of all differing files.
fn causes(files: &[Comparison]) -> impl Iterator<Item = &RootCause> {
    files.iter().flat_map(|file| &file.causes).take(CAUSES)
}

/// The cost, in a sentence.
fn cost(proof: &Proof) -> String {
    let cost = &proof.cost;
    let more = cost.explained.map_or_else(String::new, |spent| {
        format!(
            ", and {} in {:.0} s to explain and patch the culprits",
            plural(spent.builds, "more build"),
            spent.seconds
        )
    });
    format!("{} in {:.0} s{more}", plural(cost.builds, "build"), cost.seconds)
}
