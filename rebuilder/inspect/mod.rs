//! One inspection before the gate: documents, keys and policy in, findings and decision out.

#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

mod images;

pub use images::{ImagePlace, ImagePlaceError};
use serde::Serialize;

use crate::evidence::assess::Artifact;
use crate::evidence::custody::SourceFacts;
use crate::evidence::document::{self, Document};
use crate::evidence::git_signature::{self, ObjectSignature};
use crate::evidence::inspection::{self, Inspection};
use crate::evidence::slsa::Provenance;
use crate::evidence::statement::Statement;
use crate::evidence::trust::{Trust, TrustError};
use crate::evidence::workflow::Workflow;
use crate::evidence::{Claim, Standing};
use crate::policy::{self, Decision, Policy};
use crate::store::{Blob, Checkout, FetchError, Fetcher, GitError};
use crate::text::redacted;

/// What an inspection starts from.
pub struct InspectionRequest {
    /// Evidence, unverified.
    pub documents: Vec<Document>,
    /// What the user trusts, without the policy's keys.
    pub trust: Trust,
    /// What the evidence must show.
    pub policy: Policy,
}

/// The findings, and what the policy decides about them.
#[derive(Debug, Serialize)]
pub struct GateReport {
    /// The findings.
    #[serde(flatten)]
    pub inspection: Inspection,
    /// The decision.
    pub policy: Decision,
    /// The provenance that a plan may be made from.
    #[serde(skip)]
    pub provenance: Option<Provenance>,
    /// Who declared it, and whether that was verified, for the plan.
    #[serde(skip)]
    pub declared_by: String,
    /// The statement that contains it.
    #[serde(skip)]
    pub statement: Option<Statement>,
    /// The workflow file at the commit that it names.
    #[serde(skip)]
    pub workflow: Option<Workflow>,
    /// The source that it names, if it is available.
    #[serde(skip)]
    pub source: Option<Checkout>,
    /// Why the source is not available, if it is not.
    #[serde(skip)]
    pub no_source: Option<GitError>,
}

impl InspectionRequest {
    /// No evidence of the user's own, the public-good Sigstore instance, the built-in policy.
    pub fn usual() -> Result<Self, TrustError> {
        Ok(Self {
            documents: Vec::new(),
            trust: Trust::public_good()?,
            policy: Policy::BuiltIn,
        })
    }

    /// Everyone who may be trusted for some artifact: the user's keys and all of the policy's.
    pub fn everyone(&self) -> Trust {
        match &self.policy {
            Policy::File(file) => file.everyone(self.trust.clone()),
            _ => self.trust.clone(),
        }
    }

    /// Assesses all evidence about some artifacts, checks the source that it names, and asks the policy.
    ///
    /// `others` are claims that an ecosystem has checked by itself, `more` is evidence that a registry offers. A source
    /// that is unavailable is a missing link, not an error.
    pub async fn inspect(
        &self,
        artifacts: &[Artifact],
        others: Vec<Claim>,
        more: &[Document],
        fetcher: &Fetcher,
    ) -> GateReport {
        let names = policy::names(artifacts);
        let trust = self.policy.trusting(self.trust.clone(), &names);
        let documents: Vec<_> = self.documents.iter().chain(more).collect();
        let mut assessments = inspection::assess_all(documents.iter().copied(), artifacts, &trust, others);
        self.policy.leave_to_layout(&names, &documents, &mut assessments);
        let best = inspection::best_provenance(&assessments);
        let provenance = best.map(|(_, provenance)| provenance.clone());
        let declared_by = best.map_or_else(String::new, |(assessment, provenance)| {
            let standing = assessment.claim.standing.word();
            format!("the provenance ({standing}), by {}", provenance.builder)
        });
        let statement = best.and_then(|(assessment, _)| assessment.statement.clone());
        let (mut source, mut no_source) = (None, None);
        let mut facts = SourceFacts::default();
        if let Some(provenance) = &provenance
            && let Some(named) = provenance.source.as_ref().filter(|named| named.commit.is_some())
        {
            match fetcher.git(named).await {
                Ok(checkout) => {
                    facts = source_facts(&checkout, provenance.workflow.as_deref(), &trust);
                    source = Some(checkout);
                }
                Err(error) => no_source = Some(error),
            }
        }
        let mut inspection = inspection::inspect(artifacts, &assessments, &facts);
        inspection.shared.extend(self.policy.shared_keys());
        let mut policy = self.policy.decide(&names, &inspection);
        policy
            .checks
            .extend(self.policy.layout_checks(&names, &documents, artifacts));
        GateReport {
            inspection,
            policy,
            provenance,
            declared_by,
            statement,
            workflow: facts.workflow,
            source,
            no_source,
        }
    }
}

/// What a commit in the store shows about itself.
fn source_facts(checkout: &Checkout, workflow: Option<&str>, trust: &Trust) -> SourceFacts {
    let commit = checkout.commit_object().ok();
    let tag = checkout.tag_object().map(|(object, here)| {
        let signature = git_signature::of_tag(&object, trust);
        if here {
            return signature;
        }
        ObjectSignature {
            standing: Standing::SubjectMismatch,
            note: "the tag now points to another commit".into(),
            ..signature
        }
    });
    let file = workflow.and_then(|path| checkout.file(path).ok().flatten());
    SourceFacts {
        commit: commit.map(|object| git_signature::of_commit(&object, trust)),
        tag,
        workflow: file.and_then(|bytes| Workflow::parse(&String::from_utf8_lossy(&bytes))),
    }
}

/// Reads evidence that was fetched, before it is kept.
pub fn read_documents(url: &str, blob: &Blob) -> Result<Vec<Document>, FetchError> {
    let bytes = blob.bytes()?;
    document::read_from_registry(url, &bytes).map_err(|error| FetchError::Unreadable {
        name: "the evidence".to_owned(),
        url: redacted(url),
        reason: error.to_string(),
    })
}
