//! The result of a comparison: the causes of the differences, what may be set aside, and the limits that were reached.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::cause::{Cause, Confidence};
use super::conclude::causes;
use super::finding::{Attribute, Finding, Node};
use super::limits::Limit;
use super::normalise::Normalisation;
use crate::artifact::Sha256;

/// One of the two artifacts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Side {
    /// Its path or name.
    pub name: String,
    /// Length in bytes; for a folder, of all its files.
    pub size: u64,
    /// Digest; `None` for folders, and for large files that differ unless digests were asked for.
    pub sha256: Option<Sha256>,
}

/// A reason why two artifacts differ, with all places that share it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootCause {
    /// The cause.
    pub cause: Cause,
    /// What the places have in common.
    pub key: String,
    /// The confidence in the least certain place.
    pub confidence: Confidence,
    /// Number of places.
    pub places: u64,
    /// Number of other places that only follow from these.
    pub follow: u64,
    /// The first of these places.
    pub example: Example,
    /// What a maintainer can do.
    pub fix: String,
}

/// A finding with the path of its node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Example {
    /// Path of the node.
    pub path: String,
    /// The place within the node.
    pub place: String,
    /// Released value.
    pub released: String,
    /// Rebuilt value.
    pub rebuilt: String,
}

/// A normalisation that was applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    /// The normalisation.
    pub name: Normalisation,
    /// Its version.
    pub version: u32,
    /// Number of differences that it sets aside.
    pub places: u64,
}

/// A limit that was reached, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitHit {
    /// The limit.
    pub limit: Limit,
    /// What exceeded it.
    pub what: String,
}

/// The outcome of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The same bytes.
    Identical,
    /// The same, except for what the listed normalisations set aside.
    Equivalent,
    /// They differ.
    Different,
}

impl Outcome {
    /// Its name in reports.
    pub fn word(self) -> &'static str {
        match self {
            Self::Identical => "identical",
            Self::Equivalent => "equivalent",
            Self::Different => "different",
        }
    }
}

/// Where and why two artifacts differ. `docs/schema/comparison.schema.json` describes its JSON form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comparison {
    /// Form of this document; 1.
    pub version: u32,
    /// The conclusion.
    pub outcome: Outcome,
    /// The released side.
    pub released: Side,
    /// The rebuilt side.
    pub rebuilt: Side,
    /// The causes, the most important one first.
    pub causes: Vec<RootCause>,
    /// Normalisations that set something aside, by name; for `equivalent`, they set everything aside.
    pub normalisations: Vec<Applied>,
    /// Limits that were reached: anything beyond them was not compared.
    pub limits: Vec<LimitHit>,
    /// Where the artifacts differ; none if they are identical.
    pub tree: Option<Node>,
}

impl Comparison {
    /// The result before any difference is found.
    pub(super) fn identical(released: Side, rebuilt: Side) -> Self {
        Self {
            version: 1,
            outcome: Outcome::Identical,
            released,
            rebuilt,
            causes: Vec::new(),
            normalisations: Vec::new(),
            limits: Vec::new(),
            tree: None,
        }
    }

    /// Attributes changes of content with knowledge from outside the two files, and concludes the causes again.
    /// `reason` gets each node with its path. This never sets anything aside.
    pub fn attribute(&mut self, reason: Attribute) {
        let Some(tree) = &mut self.tree else { return };
        tree.attribute("", reason);
        self.causes = causes(tree);
    }

    /// The causes that no normalisation set aside, each once, with the confidence of its most certain finding.
    /// Findings that only follow from others count only if there are no others.
    pub fn open_causes(&self) -> Vec<(Cause, Confidence)> {
        let aside = |finding: &Finding| {
            let own = finding.normalisation;
            self.normalisations
                .iter()
                .any(|applied| Some(applied.name) == own)
        };
        let (mut causes, mut following) = (BTreeMap::new(), BTreeMap::new());
        if let Some(tree) = &self.tree {
            tree.each("", &mut |_, node| {
                for finding in node.findings.iter().filter(|finding| !aside(finding)) {
                    let kind = if finding.follows {
                        &mut following
                    } else {
                        &mut causes
                    };
                    let sure = kind.entry(finding.cause).or_insert(finding.confidence);
                    *sure = finding.confidence.max(*sure);
                }
            });
        }
        if causes.is_empty() { following } else { causes }
            .into_iter()
            .collect()
    }
}
