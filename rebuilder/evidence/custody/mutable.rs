//! Inputs that can change without their name changing.

use serde::{Deserialize, Serialize};

use super::SourceFacts;
use crate::evidence::slsa::Provenance;
use crate::evidence::workflow::Workflow;

/// An input that others could change without a change of its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mutable {
    /// How it can change.
    pub kind: MutableKind,
    /// The input.
    pub what: String,
    /// A digest or commit that pins it nevertheless.
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

/// Inputs of a build whose names do not pin them.
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
