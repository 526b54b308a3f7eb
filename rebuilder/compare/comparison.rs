//! What a comparison concludes: the causes of what differs, what may be set aside, and the limits that were hit.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::cause::{Cause, Confidence};
use super::conclude::causes;
use super::finding::{Attribute, Finding, Node};
use super::limits::Limit;
use super::normalise::Normalisation;
use crate::artifact::Sha256;

/// One of the two files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Side {
    /// Its path or name.
    pub name: String,
    /// Length in bytes; of a folder, of all its files.
    pub size: u64,
    /// Digest; none for folders, and for large files that differ unless digests were asked for.
    pub sha256: Option<Sha256>,
}

/// Why two artifacts differ, with every place that has the same reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootCause {
    /// The class.
    pub cause: Cause,
    /// What the places share.
    pub key: String,
    /// The least sure of them.
    pub confidence: Confidence,
    /// How many places.
    pub places: u64,
    /// How many other places only follow.
    pub follow: u64,
    /// Where the first of them is.
    pub example: Example,
    /// What a maintainer can do.
    pub fix: String,
}

/// A finding with the path of its node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Example {
    /// Path of the node.
    pub path: String,
    /// Where in it.
    pub place: String,
    /// Released value.
    pub released: String,
    /// Rebuilt value.
    pub rebuilt: String,
}

/// A normalisation that was needed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    /// Which.
    pub name: Normalisation,
    /// Its version.
    pub version: u32,
    /// How many differences it sets aside.
    pub places: u64,
}

/// A limit that was hit, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitHit {
    /// Which.
    pub limit: Limit,
    /// What went beyond it.
    pub what: String,
}

/// What a comparison concludes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Bit for bit.
    Identical,
    /// The same but for what the listed normalisations set aside.
    Equivalent,
    /// They differ.
    Different,
}

impl Outcome {
    /// The word in reports.
    pub fn word(self) -> &'static str {
        match self {
            Self::Identical => "identical",
            Self::Equivalent => "equivalent",
            Self::Different => "different",
        }
    }
}

/// Two artifacts, where and why they differ. `docs/schema/comparison.schema.json` describes its JSON.
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
    /// Why they differ, the one to look at first.
    pub causes: Vec<RootCause>,
    /// Normalisations that set something aside, in order of name; for `equivalent` these are all of it.
    pub normalisations: Vec<Applied>,
    /// Limits that were hit: what is beyond them was not compared.
    pub limits: Vec<LimitHit>,
    /// Where they differ; none if they are identical.
    pub tree: Option<Node>,
}

impl Comparison {
    /// Before anything was found to differ.
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

    /// Attributes changes of content by what is known beyond the two files, and concludes the causes again. `reason` gets
    /// each node with its path. Nothing that was not set aside is set aside by it.
    pub fn attribute(&mut self, reason: Attribute) {
        let Some(tree) = &mut self.tree else { return };
        tree.attribute("", reason);
        self.causes = causes(tree);
    }

    /// The causes of what no normalisation set aside, each once and with the surest of its findings; of what only
    /// follows from something else only if there is nothing else.
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
