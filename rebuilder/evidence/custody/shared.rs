//! Parties that control several links of a chain, so that these links do not confirm each other.

use serde::{Deserialize, Serialize};

use super::SourceFacts;
use crate::evidence::assessment::Assessment;
use crate::evidence::identity::Identity;
use crate::evidence::slsa::Provenance;
use crate::evidence::{Question, Signer, Verified};

/// One party that controls several links of the chain, so that these do not confirm each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharedBoundary {
    /// The party.
    pub party: String,
    /// The links that it controls.
    pub roles: Vec<String>,
    /// What follows.
    pub meaning: String,
}

/// Parties that control more than one link.
pub fn shared(assessments: &[Assessment], facts: &SourceFacts) -> Vec<SharedBoundary> {
    let good = |question| {
        let verified = assessments.iter().filter_map(Assessment::verified);
        verified.filter(move |it| it.claim.question == question)
    };
    let mut found = Vec::new();
    for signature in good(Question::Signature).filter_map(|it| it.0.signer()) {
        let provenances = good(Question::Provenance).filter_map(|it| it.0.signer());
        found.extend(provenances.filter_map(|provenance| signs_both(signature, provenance)));
    }
    for it in good(Question::Provenance) {
        found.extend(by_provenance(it));
    }
    if facts.commit.as_ref().is_some_and(|signature| signature.by_host) {
        found.push(SharedBoundary {
            party: "the repository's host".into(),
            roles: vec!["hosts the source".into(), "signed the commit".into()],
            meaning: "the host signed the commit: this proves that the commit was made on its site, not who made it".into(),
        });
    }
    found.dedup();
    found
}

fn signs_both(signature: &Signer, provenance: &Signer) -> Option<SharedBoundary> {
    let same_key = signature
        .fingerprints
        .iter()
        .any(|key| provenance.fingerprints.contains(key));
    let subject = |signer: &Signer| signer.identity.as_ref().map(|identity| identity.subject.clone());
    let same_identity = signature.identity.is_some() && subject(signature) == subject(provenance);
    (same_key || same_identity).then(|| SharedBoundary {
        party: signature.name.clone(),
        roles: vec!["signs the release".into(), "signs the provenance".into()],
        meaning: "signature and provenance are not independent: anyone who controls one can forge the other"
            .into(),
    })
}

/// Links that a verified provenance shows to be controlled by one party.
fn by_provenance(it: Verified<&Assessment>) -> Vec<SharedBoundary> {
    let identity = it.signer().and_then(|signer| signer.identity.as_ref());
    let (Some(provenance), Some(identity)) = (&it.provenance, identity) else {
        return Vec::new();
    };
    let Some(source) = &provenance.source else {
        return Vec::new();
    };
    let mut found = Vec::new();
    if identity.subject.starts_with(&format!("{}/", source.repository)) {
        found.push(SharedBoundary {
            party: source.repository.clone(),
            roles: vec![
                "controls the source".into(),
                "controls the workflow that builds and signs".into(),
            ],
            meaning:
                "anyone who can push to the repository can change both the source and the build that signs the provenance"
                    .into(),
        });
    }
    found.extend(one_host(&source.repository, provenance, identity));
    if identity.runner.as_deref() == Some("self-hosted") {
        found.push(SharedBoundary {
            party: identity.subject.clone(),
            roles: vec![
                "runs the builder on its own machine".into(),
                "signs the provenance".into(),
            ],
            meaning: "the maintainers run the builder themselves, so it only confirms their own word".into(),
        });
    }
    found
}

/// The host of both source and builder.
fn one_host(repository: &str, provenance: &Provenance, identity: &Identity) -> Option<SharedBoundary> {
    let host = |text: &str| url::Url::parse(text).ok()?.host_str().map(str::to_owned);
    let source_host = host(repository)?;
    if host(&provenance.builder).as_ref() != Some(&source_host) {
        return None;
    }
    let mut roles = vec!["hosts the source".to_owned(), "runs the builder".to_owned()];
    if identity.issuer.contains("githubusercontent.com") && source_host == "github.com" {
        roles.push("certifies the signer's identity".to_owned());
    }
    Some(SharedBoundary {
        party: source_host,
        roles,
        meaning: "one operator could forge the whole chain; only an independent rebuild can rule that out"
            .into(),
    })
}
