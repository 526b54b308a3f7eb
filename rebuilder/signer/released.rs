//! What was released, found out without the worker.

use jiff::Timestamp;

use super::SignerError;
use super::admission::Admission;
use crate::artifact::git_source::GitSource;
use crate::artifact::{PinnedFile, Sha256, Subject};
use crate::ecosystem;
use crate::evidence::Standing;
use crate::evidence::assess::{Artifact, assess};
use crate::evidence::document::Document;
use crate::evidence::inspection::Finding;
use crate::evidence::slsa::Provenance;
use crate::evidence::statement::{Descriptor, DigestMatch};
use crate::inspect::GateReport;
use crate::plan::Plan;

/// What was released, by the registry's word or by that of signed documents; never by the worker's.
pub struct Released {
    pub(super) subject: Option<Subject>,
    pub(super) artifacts: Vec<Artifact>,
    pub(super) sources: Vec<PinnedFile>,
    published: Option<Timestamp>,
    pub(super) judgement: GateReport,
}

impl Released {
    /// Length of a released file; `None` if only the worker says so.
    pub fn size(&self, sha256: Sha256) -> Option<u64> {
        let same = |artifact: &&Artifact| artifact.digests.sha256 == sha256;
        let found = self.artifacts.iter().find(same)?;
        (found.digests.size > 0).then_some(found.digests.size)
    }

    /// Provenance that was verified; a mere claim binds no one.
    pub(super) fn provenance(&self) -> Option<&Provenance> {
        let chosen = self.judgement.provenance.as_ref()?;
        let claims = &self.judgement.inspection.provenance.claims;
        let verified = claims
            .iter()
            .any(|it| it.claim.standing == Standing::Verified && it.provenance.as_ref() == Some(chosen));
        verified.then_some(chosen)
    }

    /// The commit that verified provenance names.
    pub(super) fn source(&self) -> Option<&GitSource> {
        let source = self.provenance()?.source.as_ref()?;
        source.commit.is_some().then_some(source)
    }

    /// The earliest moment at which it can have been rebuilt.
    pub(super) fn since(&self) -> Option<Timestamp> {
        let signed = self.judgement.inspection.provenance.claims.iter();
        let signed = signed
            .filter(|it| it.claim.standing == Standing::Verified)
            .filter_map(super::super::evidence::assessment::Assessment::signed_at);
        self.published.into_iter().chain(signed).min()
    }
}

impl Admission {
    /// Finds out without the worker what was released, and judges the evidence for it.
    pub async fn released(&self, plan: &Plan, documents: Vec<Document>) -> Result<Released, SignerError> {
        let Ok(subject) = plan.subject.parse::<Subject>() else {
            return self.by_documents(plan, documents).await;
        };
        let found = ecosystem::lookup(&self.fetcher, &self.catalog, &subject)
            .await
            .map_err(|error| SignerError::Registry(Box::new(error)))?;
        for wanted in &plan.released() {
            let same = |artifact: &&Artifact| artifact.digests.sha256 == wanted.digests.sha256;
            let mut released = found.artifacts.iter().chain(&found.besides);
            let Some(artifact) = released.find(same) else {
                return Err(SignerError::Plan(format!(
                    "expects {} with sha256:{}, which is not the file that was released as {}",
                    wanted.name, wanted.digests.sha256, plan.subject
                )));
            };
            if artifact.name != wanted.name || artifact.purl != wanted.purl {
                return Err(SignerError::Plan(format!(
                    "calls a file {} ({}), which was released as {} ({})",
                    wanted.name,
                    wanted.purl.as_deref().unwrap_or_default(),
                    artifact.name,
                    artifact.purl.as_deref().unwrap_or_default()
                )));
            }
        }
        if subject.purl() != plan.subject || subject.version.is_none() {
            return Err(SignerError::Plan(format!(
                "is about {}, which is not the registry's own name and version for it",
                plan.subject
            )));
        }
        let judgement = self
            .case
            .inspect(&found.artifacts, found.claims, &found.documents, &self.fetcher)
            .await;
        judgement.policy.gate(&plan.subject)?;
        Ok(Released {
            subject: Some(subject),
            artifacts: found.artifacts.into_iter().chain(found.besides).collect(),
            sources: found.sources,
            published: found.published,
            judgement,
        })
    }

    /// For what no registry lists: the signed documents that came with the run. Who carried them does not matter, for
    /// they are verified here, by what this signer trusts.
    async fn by_documents(&self, plan: &Plan, documents: Vec<Document>) -> Result<Released, SignerError> {
        let artifacts = plan.released();
        // Only documents by signers that this signer trusts choose a repository to be fetched.
        let names = crate::policy::names(&artifacts);
        let trust = self.case.policy.trusting(self.case.trust.clone(), &names);
        let counts = |document: &Document| {
            let standing = assess(document, &artifacts, &trust).claim.standing;
            standing == Standing::Verified || standing == Standing::Partial || standing.is_against()
        };
        let documents: Vec<Document> = documents.into_iter().filter(counts).collect();
        let judgement = self
            .case
            .inspect(&artifacts, Vec::new(), &documents, &self.fetcher)
            .await;
        let verified = |finding: &Finding| finding.standing == Standing::Verified;
        if !verified(&judgement.inspection.signature) && !verified(&judgement.inspection.provenance) {
            return Err(SignerError::Plan(format!(
                "is about {}, and no signed document that came with the run vouches for its digests",
                plan.subject
            )));
        }
        named_by_documents(&artifacts, &judgement)?;
        if artifacts.first().and_then(|first| first.purl.as_ref()) != Some(&plan.subject) {
            return Err(SignerError::Plan(format!(
                "is about {}, and expects something else",
                plan.subject
            )));
        }
        judgement.policy.gate(&plan.subject)?;
        Ok(Released {
            subject: None,
            artifacts,
            sources: Vec::new(),
            published: None,
            judgement,
        })
    }
}

/// Refuses files that verified statements call otherwise than the plan does.
fn named_by_documents(artifacts: &[Artifact], judgement: &GateReport) -> Result<(), SignerError> {
    // A package URL chooses the rule of a policy, so it must be the one that the file's own digest gives, or one that
    // a signed statement gives to that digest.
    let generic = |wanted: &Artifact| {
        let (name, sha256) = (&wanted.name, wanted.digests.sha256);
        format!("pkg:generic/{name}?checksum=sha256:{sha256}")
    };
    let verified = judgement.inspection.provenance.claims.iter();
    let statements: Vec<_> = verified
        .filter(|it| it.claim.standing == Standing::Verified)
        .filter_map(|it| it.statement.as_ref())
        .collect();
    for wanted in artifacts {
        let same = |it: &&Descriptor| it.matches(&wanted.digests) == DigestMatch::Same;
        let subjects: Vec<&Descriptor> = statements
            .iter()
            .flat_map(|statement| statement.subject.iter().filter(same))
            .collect();
        let names: Vec<_> = subjects.iter().filter_map(|it| it.file_name()).collect();
        if !names.is_empty() && !names.contains(&wanted.name.as_str()) {
            return Err(SignerError::Plan(format!(
                "calls a file {}, which was released as {}",
                wanted.name,
                names.join(" or ")
            )));
        }
        let purl = wanted.purl.clone().unwrap_or_default();
        let named = subjects.iter().any(|it| {
            [&it.name, &it.uri]
                .into_iter()
                .flatten()
                .any(|text| *text == purl)
        });
        if purl != generic(wanted) && !named {
            return Err(SignerError::Plan(format!(
                "calls {} {purl}, but no signed document does",
                wanted.name
            )));
        }
    }
    Ok(())
}
