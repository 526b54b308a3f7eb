//! The chain of custody from the source that a provenance names to the bytes, link by link: what is missing, what
//! could have changed on the way, and which party controls several links.

mod contradiction;
mod mutable;
mod shared;

pub use contradiction::{contradiction, is_delegator};
pub use mutable::{Mutable, MutableKind, mutable};
use serde::Serialize;
pub use shared::{SharedBoundary, shared};

use super::assessment::Assessment;
use super::object_signature::ObjectSignature;
use super::slsa::{Build, Provenance};
use super::statement::Descriptor;
use super::workflow::Workflow;
use super::{Question, Standing};

/// The links of the chain, as far as evidence names them.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Custody {
    /// Repository that the source is in.
    pub repository: Option<String>,
    /// Commit that was built.
    pub commit: Option<String>,
    /// Ref that pointed to the commit.
    #[serde(rename = "ref")]
    pub reference: Option<String>,
    /// The signature on the commit; `None` if the repository was not checked.
    pub commit_signature: Option<ObjectSignature>,
    /// The signature on the tag; `None` as above.
    pub tag_signature: Option<ObjectSignature>,
    /// Reviews that a statement about the source records.
    pub reviews: Vec<String>,
    /// Builder.
    pub builder: Option<String>,
    /// Kind of build.
    pub build_type: Option<String>,
    /// Workflow or configuration that was run.
    pub workflow: Option<String>,
    /// The event that started the build.
    pub trigger: Option<String>,
    /// Id of the builder's run.
    pub invocation: Option<String>,
    /// Tools that the provenance names.
    pub toolchain: Vec<String>,
    /// Inputs that the builder named, including the source.
    pub dependencies: Vec<Descriptor>,
}

/// What the source repository shows, if it could be checked.
#[derive(Debug, Clone, Default)]
pub struct SourceFacts {
    /// Signature on the commit.
    pub commit: Option<ObjectSignature>,
    /// Signature on the tag.
    pub tag: Option<ObjectSignature>,
    /// The workflow file at the commit.
    pub workflow: Option<Workflow>,
}

/// A provenance in one sentence.
pub fn sentence(provenance: &Provenance) -> String {
    let source = match &provenance.source {
        None => "an unnamed source".to_owned(),
        Some(source) => {
            let commit = source
                .commit
                .as_deref()
                .map_or_else(String::new, |commit| format!(" at {}", &commit[..12]));
            let reference = source
                .reference
                .as_deref()
                .map_or_else(String::new, |name| format!(" ({name})"));
            format!("{}{commit}{reference}", source.repository)
        }
    };
    format!("built by {} from {source}", provenance.builder)
}

/// The chain that a provenance and its repository describe.
pub fn custody(provenance: &Provenance, facts: &SourceFacts) -> Custody {
    let source = provenance.source.as_ref();
    let mut toolchain = Vec::new();
    match &provenance.build {
        Build::ContainerBased { image, .. } => toolchain.push(format!("image {image}")),
        Build::SlsaNode { node_version, .. } if !node_version.is_empty() => {
            toolchain.push(format!("node {node_version}"));
        }
        _ => {}
    }
    if let Some(version) = facts
        .workflow
        .as_ref()
        .and_then(|workflow| workflow.node_version.as_ref())
    {
        toolchain.push(format!("node {version} (workflow)"));
    }
    Custody {
        repository: source.map(|source| source.repository.clone()),
        commit: source.and_then(|source| source.commit.clone()),
        reference: source.and_then(|source| source.reference.clone()),
        commit_signature: facts.commit.clone(),
        tag_signature: facts.tag.clone(),
        reviews: Vec::new(),
        builder: Some(provenance.builder.clone()),
        build_type: Some(provenance.build_type.clone()),
        workflow: provenance.workflow.clone(),
        trigger: provenance.trigger.clone(),
        invocation: provenance.invocation.clone(),
        toolchain,
        dependencies: provenance.materials.clone(),
    }
}

/// Links for which there is no evidence.
pub fn missing(assessments: &[Assessment], custody: Option<&Custody>) -> Vec<String> {
    let has = |question| {
        let mut verified = assessments.iter().filter_map(Assessment::verified);
        verified.any(|it| it.claim.question == question)
    };
    let mut missing = Vec::new();
    if !has(Question::Signature) {
        missing.push("a valid release signature".to_owned());
    }
    if !has(Question::Provenance) {
        missing.push("valid provenance".to_owned());
    }
    let Some(custody) = custody else {
        return missing;
    };
    let mut need = |is_there: bool, what: &str| {
        if !is_there {
            missing.push(what.to_owned());
        }
    };
    need(custody.commit.is_some(), "the commit that was built");
    match &custody.commit_signature {
        None => need(
            false,
            "a check of the source repository (commit and tag signatures, workflow)",
        ),
        Some(signature) => need(
            signature.standing != Standing::Missing,
            "a signature on the commit",
        ),
    }
    need(!custody.reviews.is_empty(), "a review of the source");
    need(!custody.toolchain.is_empty(), "the versions of the build tools");
    need(custody.dependencies.len() > 1, "the build's dependencies");
    missing
}
