//! Everything that is known about artifacts before anything is built: two findings, the chain of custody, mutable
//! inputs, parties that control several links, and missing links.

use serde::Serialize;

use super::assess::assess_files;
use super::assessment::{Artifact, Assessment};
use super::custody::{self, Custody, Mutable, SharedBoundary, SourceFacts};
use super::document::Document;
use super::json::member;
use super::slsa::Provenance;
use super::statement::{Statement, predicate};
use super::trust::Trust;
use super::{Claim, Question, Standing, source_track};

/// The answer to one of the two questions.
#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    /// The standing as a whole: against the artifact if any claim is, otherwise that of the best claim.
    pub standing: Standing,
    /// Each claim.
    pub claims: Vec<Assessment>,
}

/// What an inspection found.
#[derive(Debug, Clone, Serialize)]
pub struct Inspection {
    /// Version of this document's form; 1.
    pub version: u32,
    /// What was inspected.
    pub artifacts: Vec<Inspected>,
    /// Other names that evidence gives these bytes than the ones that were asked for; the first thing to read.
    pub names: Vec<String>,
    /// Who released it?
    pub signature: Finding,
    /// Where did it come from?
    pub provenance: Finding,
    /// What else is stated about it?
    pub other: Finding,
    /// The chain from source to artifact, if provenance describes one.
    pub custody: Option<Custody>,
    /// Inputs that can change without their name changing.
    pub mutable: Vec<Mutable>,
    /// Parties that control several links.
    pub shared: Vec<SharedBoundary>,
    /// Links without evidence.
    pub missing: Vec<String>,
}

/// An artifact that was inspected.
#[derive(Debug, Clone, Serialize)]
pub struct Inspected {
    /// File name.
    pub name: String,
    /// Package URL, if it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub purl: Option<String>,
    /// SHA-256.
    pub sha256: crate::artifact::Sha256,
}

/// Assesses every document, and adds the claims that the ecosystem itself makes.
pub fn assess_all<'a>(
    documents: impl IntoIterator<Item = &'a Document>,
    artifacts: &[Artifact],
    trust: &Trust,
    others: Vec<Claim>,
) -> Vec<Assessment> {
    let mut all = assess_files(documents, artifacts, trust);
    source_track::bind(&mut all);
    all.extend(others.into_iter().map(Assessment::of_registry));
    all
}

/// The provenance to make a plan from: the first verified one that names enough to rebuild from, otherwise the first.
pub fn best_provenance(assessments: &[Assessment]) -> Option<(&Assessment, &Provenance)> {
    let mut found: Vec<_> = assessments
        .iter()
        .filter(|it| !it.claim.standing.is_against())
        .filter_map(|it| Some((it, it.provenance.as_ref()?)))
        .collect();
    found.sort_by_key(|(it, provenance)| (it.claim.standing, provenance.source.is_none()));
    found.first().copied()
}

/// Combines the assessments of artifacts into an inspection.
pub fn inspect(artifacts: &[Artifact], assessments: &[Assessment], facts: &SourceFacts) -> Inspection {
    let best = best_provenance(assessments).map(|(_, provenance)| provenance);
    let mut custody = best.map(|provenance| custody::custody(provenance, facts));
    if let Some(custody) = &mut custody {
        custody.reviews = reviews(assessments);
    }
    let mutable = best.map_or_else(Vec::new, |provenance| custody::mutable(provenance, facts));
    let shared = custody::shared(assessments, facts);
    let missing = custody::missing(assessments, custody.as_ref());
    Inspection {
        version: 1,
        artifacts: artifacts
            .iter()
            .map(|artifact| Inspected {
                name: artifact.name.clone(),
                purl: artifact.purl.clone(),
                sha256: artifact.digests.sha256,
            })
            .collect(),
        names: other_names(assessments),
        signature: finding(Question::Signature, assessments),
        provenance: finding(Question::Provenance, assessments),
        other: finding(Question::Other, assessments),
        custody,
        mutable,
        shared,
        missing,
    }
}

/// Other names that evidence gives the artifacts, each sentence once.
fn other_names(assessments: &[Assessment]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for it in assessments {
        if let Some(other) = &it.other_name {
            let sentence = format!("{}: {other} ({})", it.claim.claim, it.origin);
            if !names.contains(&sentence) {
                names.push(sentence);
            }
        }
    }
    names
}

fn finding(question: Question, assessments: &[Assessment]) -> Finding {
    let claims: Vec<_> = assessments
        .iter()
        .filter(|it| it.claim.question == question)
        .cloned()
        .collect();
    let standings = || claims.iter().map(|it| it.claim.standing);
    let against = standings().filter(|standing| standing.is_against()).max();
    Finding {
        standing: against.or(standings().min()).unwrap_or(Standing::Missing),
        claims,
    }
}

/// The reviewers of the source, if a verified statement about it names them.
fn reviews(assessments: &[Assessment]) -> Vec<String> {
    let verified = assessments.iter().filter_map(Assessment::verified);
    let statements = verified.filter_map(|it| it.0.statement.as_ref());
    statements
        .filter(|statement: &&Statement| statement.predicate_type == predicate::SOURCE_PROVENANCE)
        .flat_map(|statement| {
            let reviews = member(&statement.predicate, ["reviews"])
                .as_array()
                .cloned()
                .unwrap_or_default();
            reviews.into_iter().filter_map(|review| {
                let by = member(&review, ["reviewer"])
                    .as_str()
                    .or_else(|| member(&review, ["author"]).as_str())?;
                Some(format!(
                    "{by}: {}",
                    member(&review, ["state"]).as_str().unwrap_or("reviewed")
                ))
            })
        })
        .collect()
}

impl Inspection {
    fn all(&self) -> impl Iterator<Item = &Claim> {
        let findings = [&self.signature, &self.provenance, &self.other];
        findings
            .into_iter()
            .flat_map(|finding| &finding.claims)
            .map(|it| &it.claim)
    }

    /// Every claim, for the plan.
    pub fn claims(&self) -> Vec<Claim> {
        self.all().cloned().collect()
    }

    /// The claims that speak against the artifact.
    pub fn against(&self) -> Vec<&Claim> {
        self.all().filter(|claim| claim.standing.is_against()).collect()
    }
}
