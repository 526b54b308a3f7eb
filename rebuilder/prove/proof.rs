//! The answer as a document: whether the outputs survive all variations, or what changes them.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::against::Against;
use super::build::Builds;
use super::difference::Difference;
use super::explain::{Explained, Fixed, Spent};
use super::knob::{Knob, Variation};
use super::oracle::BuildOracle;
use super::search::{Found, Odds, bound};
use crate::artifact::Sha256;
use crate::compare::{Cause, Comparison};
use crate::plan::Assumption;
use crate::sandbox::Output;

/// The document; `docs/schema/prove.schema.json` describes its JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Proof {
    /// Form of this document; 1.
    pub version: u32,
    /// Whether no variation changes any output, and builds do not differ by chance.
    pub reproducible: bool,
    /// What was built.
    pub project: ProvenProject,
    /// What was varied, with both values.
    pub varied: Vec<Varied>,
    /// What was not varied, and why.
    pub not_varied: Vec<NotVaried>,
    /// The outputs of the baseline.
    pub outputs: Vec<Output>,
    /// Smallest sets of knobs that change the outputs.
    pub culprits: Vec<ProvenCulprit>,
    /// Differences between builds of the baseline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub random: Option<Randomness>,
    /// The explanation of each culprit, and a patch that was tried.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub explained: Vec<Explained>,
    /// All patches that helped, together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fixed: Option<Fixed>,
    /// Whether builds have shown that everything except the culprits changes nothing.
    pub complete: bool,
    /// Files that are about to be published, against the outputs of the baseline.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub against: Vec<Against>,
    /// What it cost.
    pub cost: Cost,
}

/// The project.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProvenProject {
    /// Its name.
    pub name: String,
    /// Its kind, or the file that says how it is built.
    pub kind: String,
    /// Digest of its source, as the archive that each build got.
    pub source: Sha256,
    /// The container in which it was built.
    pub container: String,
    /// The sandbox.
    pub backend: String,
    /// Whether the clock of the baseline was stopped.
    pub clock_held: bool,
    /// The assumptions about its build.
    pub assumptions: Vec<Assumption>,
}

/// A knob with its two values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Varied {
    /// The knob.
    pub knob: Knob,
    /// What the baseline has.
    pub baseline: String,
    /// What varied builds have.
    pub varied: String,
}

impl Varied {
    /// The values of a knob.
    pub fn of(knob: Knob) -> Self {
        Self {
            knob,
            baseline: knob.baseline().to_owned(),
            varied: knob.varied().to_owned(),
        }
    }
}

/// Something that was not varied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotVaried {
    /// What.
    pub what: String,
    /// Why.
    pub why: String,
}

impl NotVaried {
    pub(super) fn new(what: &str, why: &str) -> Self {
        Self {
            what: what.to_owned(),
            why: why.to_owned(),
        }
    }
}

/// A smallest set of knobs, and what it changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProvenCulprit {
    /// The knobs; more than one if it takes all of them together.
    pub knobs: Vec<Knob>,
    /// The error of the build, if it fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fails: Option<String>,
    /// Each differing place, as the path of the innermost file or member.
    pub places: BTreeSet<String>,
    /// The differing outputs: those of the baseline as released, those of the varied build as rebuilt.
    pub files: Vec<Comparison>,
    /// Outputs that only one of the two builds left.
    pub unpaired: Vec<String>,
    /// Number of identical outputs.
    pub same: usize,
}

/// Builds that differ although nothing was varied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Randomness {
    /// How often.
    pub odds: Odds,
    /// Where; what knobs change there is not known.
    pub places: BTreeSet<String>,
    /// The differing outputs of two such builds.
    pub files: Vec<Comparison>,
    /// Outputs that only one of the two builds left.
    pub unpaired: Vec<String>,
}

/// What it took.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// Number of builds so far.
    pub builds: usize,
    /// The maximum number of builds for these culprits.
    pub bound: usize,
    /// Seconds of all builds, in parallel or not.
    pub seconds: f64,
    /// The additional cost of explaining the culprits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explained: Option<Spent>,
}

impl Proof {
    /// The patches that helped, as one; empty if none did.
    pub fn patch(&self) -> &str {
        self.fixed.as_ref().map_or("", |fixed| fixed.patch.as_str())
    }

    /// The explanation of a culprit, if its build was watched. Plain randomness has no knobs.
    pub fn explained(&self, knobs: &[Knob]) -> Option<&Explained> {
        self.explained.iter().find(|explained| explained.knobs == knobs)
    }

    /// Whether the outputs survive every variation and match the files that are about to be published.
    pub fn is_good(&self) -> bool {
        self.reproducible && self.against.iter().all(Against::is_same)
    }

    pub(super) fn of(
        builds: &Builds<'_>,
        oracle: &BuildOracle<'_>,
        found: &Found<Knob>,
        (knobs, not_varied): (&[Knob], Vec<NotVaried>),
        seconds: f64,
    ) -> Self {
        let culprits: Vec<_> = found
            .culprits
            .iter()
            .filter_map(|set| proven(oracle, set))
            .collect();
        let random = found.random.map(|odds| {
            let difference = oracle
                .random()
                .map(|(_, difference)| Difference::clone(difference));
            let difference = difference.unwrap_or_default();
            Randomness {
                odds,
                places: oracle.noise().clone(),
                files: difference.files,
                unpaired: difference.unpaired,
            }
        });
        let count = found.culprits.iter().map(BTreeSet::len).sum();
        Self {
            version: 1,
            reproducible: culprits.is_empty() && random.is_none(),
            project: ProvenProject {
                name: builds.project.name.clone(),
                kind: builds.project.kind.clone(),
                source: builds.source(),
                container: builds.container(),
                backend: builds.backend().to_owned(),
                clock_held: builds.is_clock_held(),
                assumptions: builds.plan_assumptions().to_vec(),
            },
            varied: knobs.iter().map(|knob| Varied::of(*knob)).collect(),
            not_varied,
            outputs: oracle
                .baseline()
                .map(|baseline| baseline.files.clone())
                .unwrap_or_default(),
            culprits,
            random,
            explained: Vec::new(),
            fixed: None,
            complete: found.complete,
            against: Vec::new(),
            cost: Cost {
                builds: builds.count(),
                bound: bound(count, knobs.len()),
                seconds,
                explained: None,
            },
        }
    }
}

fn proven(oracle: &BuildOracle<'_>, set: &BTreeSet<Knob>) -> Option<ProvenCulprit> {
    let variation: Variation = set.iter().copied().collect();
    let (outputs, difference) = oracle.of(&variation)?;
    Some(ProvenCulprit {
        knobs: set.iter().copied().collect(),
        fails: outputs
            .failed
            .as_ref()
            .map(|reason| format!("{reason}; last output: {}", outputs.last_lines())),
        places: difference.places.clone(),
        files: advised(&difference.files, set),
        unpaired: difference.unpaired.clone(),
        same: difference.same,
    })
}

/// Comparisons whose advice is about the culprit, if the bytes alone do not show where they come from.
fn advised(files: &[Comparison], set: &BTreeSet<Knob>) -> Vec<Comparison> {
    let mut files = files.to_vec();
    let advice: Vec<_> = set.iter().map(|knob| knob.advice()).collect();
    let causes = files.iter_mut().flat_map(|file| &mut file.causes);
    for cause in causes.filter(|cause| cause.cause == Cause::Content) {
        cause.fix = advice.join("; or ");
    }
    files
}
