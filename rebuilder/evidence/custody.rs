//! Chain of custody: from the source that a provenance names to the bytes, link by link, with what is missing,
//! what could have changed on the way, and where one party holds several links.

use serde::{Deserialize, Serialize};

use super::assessment::Assessment;
use super::identity::Identity;
use super::object_signature::ObjectSignature;
use super::slsa::{Build, Provenance};
use super::statement::Descriptor;
use super::workflow::Workflow;
use super::{Question, Standing};
use crate::artifact::pattern;

/// The links, as far as evidence names them.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Custody {
    /// Repository that the source is in.
    pub repository: Option<String>,
    /// Commit that was built.
    pub commit: Option<String>,
    /// Ref that pointed to it.
    #[serde(rename = "ref")]
    pub reference: Option<String>,
    /// What is known of the signature on the commit; none where the repository was not looked at.
    pub commit_signature: Option<ObjectSignature>,
    /// What is known of the signature on the tag; likewise.
    pub tag_signature: Option<ObjectSignature>,
    /// Reviews, where a statement about the source tells of them.
    pub reviews: Vec<String>,
    /// Builder.
    pub builder: Option<String>,
    /// Kind of build.
    pub build_type: Option<String>,
    /// Workflow or configuration that was run.
    pub workflow: Option<String>,
    /// What set it off.
    pub trigger: Option<String>,
    /// Run of the builder.
    pub invocation: Option<String>,
    /// Tools that were named.
    pub toolchain: Vec<String>,
    /// Inputs that the builder named, source included.
    pub dependencies: Vec<Descriptor>,
}

/// An input that others could change without the name changing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mutable {
    /// In what way.
    pub kind: MutableKind,
    /// What.
    pub what: String,
    /// Digest or commit that pins it all the same.
    pub pinned: Option<String>,
}

/// Ways in which an input can change under its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MutableKind {
    /// The source was named by a branch.
    BranchRef,
    /// The source was named by a tag, which can be moved.
    TagRef,
    /// The source was named without a commit.
    SourceWithoutCommit,
    /// An image was named by a tag without a digest.
    ImageTag,
    /// A step of the workflow runs an action that is not named by a commit.
    UnpinnedAction,
    /// The builder's own workflow is named by a branch or tag.
    BuilderRef,
    /// An input was named without any digest.
    WithoutDigest,
}

/// One party that holds several links of the chain, so that they do not vouch for each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharedBoundary {
    /// The party.
    pub party: String,
    /// The links that it holds.
    pub roles: Vec<String>,
    /// What follows.
    pub meaning: String,
}

/// What the source repository told, where it could be looked at.
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

/// Workflows that sign in the name of the builder that called them, which they read off its own token; see the
/// SLSA generators' "bring your own builder". Only at release tags.
const DELEGATORS: [&str; 2] = [
    "https://github.com/slsa-framework/slsa-github-generator/.github/workflows/delegator_generic_slsa3.yml@refs/tags/v*",
    "https://github.com/slsa-framework/slsa-github-generator/.github/workflows/delegator_lowperms-generic_slsa3.yml@refs/tags/v*",
];

/// Where certificate and statement contradict each other: whoever signed was not who or where the statement says.
pub fn contradiction(identity: &Identity, provenance: &Provenance) -> Option<String> {
    let source = provenance.source.as_ref();
    if let (Some(repository), Some(source)) = (&identity.repository, source)
        && !repository.eq_ignore_ascii_case(&source.repository)
    {
        return Some(format!(
            "the statement names the source {}, but a workflow of {repository} signed it",
            source.repository
        ));
    }
    let stated = source.and_then(|source| source.commit.as_ref());
    if let (Some(certified), Some(stated)) = (&identity.commit, stated)
        && !certified.eq_ignore_ascii_case(stated)
    {
        return Some(format!(
            "the statement names the commit {stated}, but the workflow that signed it ran at {certified}"
        ));
    }
    let is_github = provenance
        .builder
        .starts_with("https://github.com/actions/runner")
        || provenance.builder.contains("/.github/workflows/");
    if is_github && identity.repository.is_none() {
        return Some(format!(
            "the statement names the builder {}, which signs as a workflow, but {} signed it",
            provenance.builder, identity.subject
        ));
    }
    // A builder that is a workflow must be the workflow that signed; anyone can write another's name.
    if provenance.builder.contains("/.github/workflows/") && identity.subject.contains("/.github/workflows/")
    {
        let builder = provenance.builder.as_str();
        let named = identity.subject == builder
            || !builder.contains('@') && identity.subject.split('@').next() == Some(builder)
            || DELEGATORS
                .iter()
                .any(|delegator| pattern::fits(delegator, &identity.subject));
        if !named {
            return Some(format!(
                "the statement names the builder {builder}, but {} signed it",
                identity.subject
            ));
        }
    }
    None
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

/// Inputs of a build that were named by something that can change.
pub fn mutable(provenance: &Provenance, facts: &SourceFacts) -> Vec<Mutable> {
    let mut found = Vec::new();
    let mut add = |kind, what: String, pinned: Option<String>| found.push(Mutable { kind, what, pinned });
    if let Some(source) = &provenance.source {
        let name = |what: &str| format!("{what} of {}", source.repository);
        match (&source.commit, source.branch(), source.tag()) {
            (None, ..) => add(
                MutableKind::SourceWithoutCommit,
                name(source.reference.as_deref().unwrap_or("the source")),
                None,
            ),
            (commit, Some(branch), _) => add(
                MutableKind::BranchRef,
                name(&format!("branch {branch}")),
                commit.clone(),
            ),
            (commit, None, Some(tag)) => {
                add(MutableKind::TagRef, name(&format!("tag {tag}")), commit.clone());
            }
            _ => {}
        }
    }
    if let Some((_, at)) = provenance.builder.rsplit_once("@refs/") {
        add(MutableKind::BuilderRef, format!("builder workflow at {at}"), None);
    }
    for material in &provenance.materials {
        let uri = material.uri.as_deref().unwrap_or_default();
        let is_image =
            uri.starts_with("pkg:docker/") || uri.starts_with("docker://") || uri.starts_with("pkg:oci/");
        if material.digest.is_empty() {
            let kind = if is_image {
                MutableKind::ImageTag
            } else {
                MutableKind::WithoutDigest
            };
            add(kind, material.label().to_owned(), None);
        } else if is_image && !uri.contains("@sha256:") && !uri.contains("digest=") {
            let pinned = material
                .digest
                .iter()
                .next()
                .map(|(algorithm, digits)| format!("{algorithm}:{digits}"));
            add(MutableKind::ImageTag, uri.to_owned(), pinned);
        }
    }
    for uses in facts.workflow.iter().flat_map(Workflow::unpinned) {
        add(MutableKind::UnpinnedAction, uses.to_owned(), None);
    }
    found
}

/// Parties that hold more than one link.
pub fn shared(assessments: &[Assessment], facts: &SourceFacts) -> Vec<SharedBoundary> {
    let mut found = Vec::new();
    let good = |question| {
        let verified = assessments.iter().filter_map(Assessment::verified);
        verified.filter(move |it| it.claim.question == question)
    };
    for signature in good(Question::Signature).filter_map(|it| it.0.signer()) {
        for provenance in good(Question::Provenance).filter_map(|it| it.0.signer()) {
            let same_key = signature
                .fingerprints
                .iter()
                .any(|key| provenance.fingerprints.contains(key));
            let same_identity = signature.identity.is_some()
                && signature.identity.as_ref().map(|identity| &identity.subject)
                    == provenance.identity.as_ref().map(|identity| &identity.subject);
            if same_key || same_identity {
                found.push(SharedBoundary {
                    party: signature.name.clone(),
                    roles: vec!["signs the release".into(), "signs the provenance".into()],
                    meaning: "signature and provenance do not vouch for each other: whoever holds the one can make the other".into(),
                });
            }
        }
    }
    for it in good(Question::Provenance) {
        let (Some(provenance), Some(identity)) = (
            &it.provenance,
            it.signer().and_then(|signer| signer.identity.as_ref()),
        ) else {
            continue;
        };
        let Some(source) = &provenance.source else {
            continue;
        };
        if identity.subject.starts_with(&format!("{}/", source.repository)) {
            found.push(SharedBoundary {
                party: source.repository.clone(),
                roles: vec!["holds the source".into(), "holds the workflow that builds and signs".into()],
                meaning: "whoever can push to the repository can change the source and the build that vouches for it".into(),
            });
        }
        let host = |text: &str| {
            url::Url::parse(text)
                .ok()
                .and_then(|url| url.host_str().map(str::to_owned))
        };
        let source_host = host(&source.repository);
        if source_host.is_some() && source_host == host(&provenance.builder) {
            let mut roles = vec!["hosts the source".to_owned(), "runs the builder".to_owned()];
            if identity.issuer.contains("githubusercontent.com")
                && source_host.as_deref() == Some("github.com")
            {
                roles.push("vouches for the identity that signs".to_owned());
            }
            found.push(SharedBoundary {
                party: source_host.unwrap_or_default(),
                roles,
                meaning:
                    "one operator could forge the whole chain; an independent rebuild is what shows otherwise"
                        .into(),
            });
        }
        if identity.runner.as_deref() == Some("self-hosted") {
            found.push(SharedBoundary {
                party: identity.subject.clone(),
                roles: vec![
                    "runs the builder on its own machine".into(),
                    "signs the provenance".into(),
                ],
                meaning: "the builder is the maintainers' own: it vouches for itself".into(),
            });
        }
    }
    if facts.commit.as_ref().is_some_and(|signature| signature.by_host) {
        found.push(SharedBoundary {
            party: "the repository's host".into(),
            roles: vec!["hosts the source".into(), "signed the commit".into()],
            meaning: "the commit's signature is the host's own: it shows that the commit was made on its site, not who made it".into(),
        });
    }
    found.dedup();
    found
}

/// Links for which there is no evidence.
pub fn missing(assessments: &[Assessment], custody: Option<&Custody>) -> Vec<String> {
    let has = |question| {
        let mut verified = assessments.iter().filter_map(Assessment::verified);
        verified.any(|it| it.claim.question == question)
    };
    let mut missing = Vec::new();
    if !has(Question::Signature) {
        missing.push("a release signature that verifies".to_owned());
    }
    if !has(Question::Provenance) {
        missing.push("provenance that verifies".to_owned());
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
            "a look at the source repository (commit and tag signatures, workflow)",
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
