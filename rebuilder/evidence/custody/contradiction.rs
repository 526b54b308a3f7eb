//! Whether a certificate and the provenance that it signed agree.

use crate::artifact::pattern;
use crate::evidence::identity::Identity;
use crate::evidence::slsa::Provenance;

/// Workflows that sign in the name of the builder that called them, which they read from their own token; see the SLSA
/// generators' "bring your own builder". Only at release tags.
const DELEGATORS: [&str; 2] = [
    "https://github.com/slsa-framework/slsa-github-generator/.github/workflows/delegator_generic_slsa3.yml@refs/tags/v*",
    "https://github.com/slsa-framework/slsa-github-generator/.github/workflows/delegator_lowperms-generic_slsa3.yml@refs/tags/v*",
];

/// Whether an identity is such a workflow.
pub fn is_delegator(identity: &Identity) -> bool {
    DELEGATORS
        .iter()
        .any(|delegator| pattern::fits(delegator, &identity.subject))
}

/// How a certificate and a statement contradict each other, if they do: then the statement names another signer or
/// place than the certificate does.
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
    // A builder that is a workflow must be the workflow that signed; any signer can write another workflow's name.
    if provenance.builder.contains("/.github/workflows/") && identity.subject.contains("/.github/workflows/")
    {
        let builder = provenance.builder.as_str();
        let named = identity.subject == builder
            || !builder.contains('@') && identity.subject.split('@').next() == Some(builder)
            || is_delegator(identity);
        if !named {
            return Some(format!(
                "the statement names the builder {builder}, but {} signed it",
                identity.subject
            ));
        }
    }
    None
}
