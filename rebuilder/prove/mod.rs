//! Whether a project's build produces the same bytes wherever and whenever it runs; and if not, what it depends on.
//!
//! ```text
//!  folder ──▶ project ──▶ plan ──▶ builds ──▶ search ──▶ culprits ──▶ attribution ──▶ remedy
//!            (input)     (lock)   (vary)    (which knobs)  (compare)   (who wrote it)  (tried)
//! ```
//!
//! The same source is built several times in the sandbox, each time with other [`Knob`]s turned. Everything that the
//! plan pins stays the same, so what differs follows from the knobs, or from plain randomness.

#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

mod against;
pub mod attribute;
mod build;
mod checkout;
mod difference;
mod error;
mod explain;
pub mod fix;
mod folder;
pub mod input;
pub mod knob;
mod oracle;
mod proof;
mod provide;
pub mod search;
mod source;
mod vary;
mod workbench;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use crate::compare::Comparison;
use crate::progress::Progress;
use crate::sandbox::Output;
use oracle::BuildOracle;

pub use against::{Against, against};
pub use build::Builds;
pub use difference::Difference;
pub use error::ProveError;
pub use explain::{Attempt, Effort, Explained, Fixed, ProvenFix, Spent, explain_all};
pub use folder::keep;
pub use knob::{Knob, Variation};
pub use proof::{Cost, NotVaried, Proof, ProvenCulprit, ProvenProject, Randomness, Varied};
pub use provide::{Place, prove_project};
pub use search::{Odds, bound};

/// The result of one build.
#[derive(Debug, Clone)]
pub struct Outputs {
    /// What was turned.
    pub variation: Variation,
    /// Folder with the output files; it lives as long as the [`Builds`].
    pub folder: PathBuf,
    /// The files in it, by name.
    pub files: Vec<Output>,
    /// The log of the build.
    pub log: PathBuf,
    /// Seconds that it took.
    pub seconds: f64,
    /// What ended it, if it failed.
    pub failed: Option<String>,
}

/// A smallest set of knobs that changes the outputs: each alone, or all of them together.
#[derive(Debug, Clone)]
pub struct Culprit {
    /// Its knobs; more than one if it takes all of them together. None for plain randomness.
    pub knobs: Vec<Knob>,
    /// Baseline against varied, for each output that differs.
    pub files: Vec<Comparison>,
    /// Names of outputs that only one of the two builds has.
    pub unpaired: Vec<String>,
    /// The build with just these knobs turned.
    pub varied: Outputs,
}

/// The question to answer.
#[derive(Debug, Clone)]
pub struct Question {
    /// The knobs to turn, in the order of [`Knob::ALL`].
    pub knobs: Vec<Knob>,
    /// Whether to end with the first culprit.
    pub first_only: bool,
    /// Number of baseline builds from which to estimate the odds of a random difference.
    pub repeats: usize,
}

/// The answer.
pub struct Answer {
    /// The document.
    pub proof: Proof,
    /// Its culprits, with the builds that show them.
    pub culprits: Vec<Culprit>,
    /// All builds, the baseline first.
    pub builds: Vec<Arc<Outputs>>,
}

/// Builds the project as often as necessary to know which knobs change its outputs.
async fn prove(builds: &Builds<'_>, question: &Question, progress: &Progress) -> Result<Answer, ProveError> {
    let begun = Instant::now();
    let (knobs, not_varied) = possible(&question.knobs, builds.backend());
    let mut oracle = BuildOracle::new(builds, knobs.len(), progress.clone());
    let options = search::Options {
        first_only: question.first_only,
        repeats: question.repeats,
    };
    let found = search::search(&knobs, &mut oracle, options).await?;
    let culprits: Vec<_> = found
        .culprits
        .iter()
        .filter_map(|set| culprit(&oracle, set))
        .collect();
    let proof = Proof::of(
        builds,
        &oracle,
        &found,
        (&knobs, not_varied),
        begun.elapsed().as_secs_f64(),
    );
    Ok(Answer {
        proof,
        culprits,
        builds: oracle.made().to_vec(),
    })
}

/// The knobs that a backend can turn, and why it cannot turn the others.
fn possible(wanted: &[Knob], backend: &str) -> (Vec<Knob>, Vec<NotVaried>) {
    let mut knobs = Vec::new();
    let mut not = Vec::new();
    for knob in Knob::ALL {
        match knob.why_not(backend) {
            _ if !wanted.contains(knob) => not.push(NotVaried::new(knob.name(), "not requested")),
            None => knobs.push(*knob),
            Some(why) => not.push(NotVaried::new(knob.name(), &why)),
        }
    }
    not.extend(
        knob::NOT_VARIED
            .iter()
            .map(|(what, why)| NotVaried::new(what, why)),
    );
    (knobs, not)
}

fn culprit(oracle: &BuildOracle<'_>, set: &BTreeSet<Knob>) -> Option<Culprit> {
    let variation: Variation = set.iter().copied().collect();
    let (outputs, difference) = oracle.of(&variation)?;
    Some(Culprit {
        knobs: set.iter().copied().collect(),
        files: difference.files.clone(),
        unpaired: difference.unpaired.clone(),
        varied: Outputs::clone(outputs),
    })
}
