//! Whether the signer of a good signature is trusted for the claim.
//!
//! Anyone with an e-mail address or a repository can sign without a key, so a good keyless signature shows only who
//! signed. It counts if the user or the policy named the signer. Of all other signers, only the workflow that a
//! provenance is about can speak for itself, and only about what it was built from. A registry or a forge can state
//! what it has published.

use serde_json::Value;

use super::Assessment;
use super::release::{self, is_release};
use crate::evidence::identity::Identity;
use crate::evidence::slsa::Provenance;
use crate::evidence::statement::{Statement, predicate};
use crate::evidence::{Signature, Signer, Standing, Unproven, Verified, custody, npm};

/// A service that gives identities to its workflows: its issuer, and the beginning of its repositories' addresses.
const WORKFLOWS: [(&str, &str); 2] = [
    (
        "https://token.actions.githubusercontent.com",
        "https://github.com/",
    ),
    ("https://gitlab.com", "https://gitlab.com/"),
];
/// Builders that are GitHub itself, which certifies its workflows.
const GITHUB_BUILDERS: [&str; 2] = [
    "https://github.com/actions/runner",
    "https://github.com/Attestations/GitHubHostedActions@v1",
];
/// The identity that signs releases on GitHub.
const GITHUB_RELEASES: &str = "https://dotcom.releases.github.com";
const UNNAMED: &str = "no expected signer was configured";

/// Lowers the standing of a claim whose signature does not count for it.
pub(super) fn settle(assessment: &mut Assessment, publisher: Option<&Value>) {
    if !matches!(assessment.claim.standing, Standing::Verified | Standing::Partial) {
        return;
    }
    let Some(signature) = &assessment.signature else {
        return;
    };
    if let Err(why) = counts(signature, assessment, publisher) {
        assessment.claim.standing = Standing::Unverifiable;
        assessment.claim.meaning = note(&signature.signer, &why);
    }
}

/// The proof for a good signature whose signer was not named beforehand.
pub(super) fn unnamed(signature: Verified<Signature>) -> Unproven {
    let note = note(&signature.signer, UNNAMED);
    Unproven::UnnamedSigner { signature, note }
}

fn note(signer: &Signer, why: &str) -> String {
    format!("the signature is good, by {}, but {why}", signer.name)
}

/// Whether a signer is trusted for this claim; the error says why not.
fn counts(
    signature: &Verified<Signature>,
    assessment: &Assessment,
    publisher: Option<&Value>,
) -> Result<(), String> {
    let signer = &signature.signer;
    let kind = assessment.predicate_type.as_deref().unwrap_or_default();
    let identity = signer.identity.as_ref();
    match kind {
        predicate::NPM_PUBLISH => {
            let statement = assessment.statement.as_ref();
            let registry = statement.and_then(|it| it.predicate.get("registry")?.as_str());
            if is_npm(registry.unwrap_or_default()) {
                let own = matches!(signer.keys.as_slice(), [key] if *key == npm::SIGNER);
                return own.then_some(()).ok_or_else(|| {
                    "only the registry's own key can attest what the registry accepted".into()
                });
            }
        }
        // Other registries sign with keys and identities that the user names.
        kind if is_release(kind) && !of_registry(assessment) => {
            return identity
                .is_some_and(|identity| is_github(identity, signer.named))
                .then_some(())
                .ok_or_else(|| "only GitHub can attest what is part of a GitHub release".into());
        }
        predicate::PYPI_PUBLISH => {
            let published = |identity| publisher.is_some_and(|publisher| is_publisher(identity, publisher));
            return match identity {
                Some(identity) if signer.named || published(identity) => Ok(()),
                Some(_) if publisher.is_none() => Err(format!(
                    "{UNNAMED}, and the index was not asked for the project's publishers"
                )),
                _ => Err("the signer is not the publisher that the index names".into()),
            };
        }
        _ => {}
    }
    if signer.named {
        return Ok(());
    }
    match (identity, &assessment.provenance) {
        (Some(identity), Some(provenance)) => speaks_for_itself(identity, provenance),
        _ => Err(UNNAMED.into()),
    }
}

/// Whether a release statement names a release in a registry, rather than one on GitHub or none.
fn of_registry(assessment: &Assessment) -> bool {
    let purl = assessment.statement.as_ref().and_then(release::purl);
    purl.is_some_and(|purl| purl.ty() != "github")
}

/// Whether a statement is provenance that a workflow signed about its own repository.
pub(super) fn is_of_own_repository(identity: &Identity, statement: &Statement) -> bool {
    let provenance = Provenance::of(statement).and_then(Result::ok);
    provenance.is_some_and(|provenance| speaks_for_itself(identity, &provenance).is_ok())
}

/// Whether a workflow signed a statement about its own repository and builder; the error says why not.
fn speaks_for_itself(identity: &Identity, provenance: &Provenance) -> Result<(), String> {
    let Some((_, forge)) = workflow(identity) else {
        return Err(UNNAMED.into());
    };
    let repository = identity.repository.as_deref().unwrap_or_default();
    let Some(source) = &provenance.source else {
        return Err(format!(
            "{UNNAMED}, and it names no source that the certificate could confirm"
        ));
    };
    if !source.repository.eq_ignore_ascii_case(repository) {
        return Err(format!("{UNNAMED}, and the certificate is for {repository}"));
    }
    if let Some(reason) = custody::contradiction(identity, provenance) {
        return Err(reason);
    }
    let builder = provenance.builder.as_str();
    let hosted = !builder.ends_with("/github-hosted") || identity.runner.as_deref() != Some("self-hosted");
    let own = within(builder, repository)
        || if forge == "https://github.com/" {
            let of_github = GITHUB_BUILDERS.iter().any(|known| within(builder, known));
            // The check for a contradiction has compared the builder with that workflow.
            of_github || builder.starts_with(forge) && builder.contains("/.github/workflows/")
        } else {
            false
        };
    if own && hosted {
        return Ok(());
    }
    Err(format!(
        "{UNNAMED}, and the certificate does not prove that {builder} built it"
    ))
}

/// The service whose workflow an identity is, if issuer, name and repository all belong to it.
fn workflow(identity: &Identity) -> Option<(&'static str, &'static str)> {
    let repository = identity.repository.as_deref()?;
    let of = |(issuer, forge): &(&str, &str)| {
        identity.issuer == *issuer && repository.starts_with(forge) && identity.subject.starts_with(forge)
    };
    WORKFLOWS.into_iter().find(of)
}

/// Whether an address is `whole`, or below it.
fn within(address: &str, whole: &str) -> bool {
    let rest = address.strip_prefix(whole);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether an address is that of npm's registry, however it is written.
fn is_npm(registry: &str) -> bool {
    let registry = registry.to_lowercase();
    registry.contains("npmjs.") || registry.contains("npmjs:")
}

/// Whether an identity is GitHub's own for releases; another instance's counts only if it was named.
fn is_github(identity: &Identity, named: bool) -> bool {
    let issuer = identity.issuer.as_str();
    let certified = issuer.is_empty() || issuer == WORKFLOWS[0].0;
    let instance = identity
        .subject
        .strip_prefix("https://")
        .and_then(|host| host.strip_suffix(".releases.github.com"))
        .is_some_and(|name| !name.is_empty() && !name.contains(['/', '@', '?', '#', '\\']));
    instance && (named || certified && identity.subject == GITHUB_RELEASES)
}

/// Whether an identity is the publisher that the index names (`publisher` in PEP 740).
fn is_publisher(identity: &Identity, publisher: &Value) -> bool {
    let text = |name: &str| publisher.get(name).and_then(Value::as_str).unwrap_or_default();
    let of_workflow = |kind: usize, file: &str, separator: &str| {
        let Some((issuer, forge)) = WORKFLOWS.get(kind).copied() else {
            return false;
        };
        let repository = format!("{forge}{}", text("repository"));
        let own = identity.repository.as_deref().unwrap_or_default();
        let place = format!("{repository}{separator}{file}@").to_lowercase();
        let named = identity
            .workflow
            .as_ref()
            .unwrap_or(&identity.subject)
            .to_lowercase();
        workflow(identity) == Some((issuer, forge))
            && !text("repository").is_empty()
            && !file.is_empty()
            && own.eq_ignore_ascii_case(&repository)
            && named.starts_with(&place)
    };
    match text("kind") {
        "GitHub" => of_workflow(0, text("workflow"), "/.github/workflows/"),
        "GitLab" => of_workflow(1, text("workflow_filepath"), "//"),
        "Google" => {
            identity.issuer == "https://accounts.google.com"
                && !text("email").is_empty()
                && identity.subject == text("email")
        }
        _ => false,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    fn identity(subject: &str, issuer: &str, repository: Option<&str>) -> Identity {
        Identity {
            issuer: issuer.into(),
            repository: repository.map(str::to_owned),
            ..Identity::named(subject)
        }
    }

    #[test]
    fn a_workflow_is_one_only_if_issuer_name_and_repository_say_so() {
        let (github, gitlab) = (WORKFLOWS[0].0, WORKFLOWS[1].0);
        let own = "https://github.com/a/b/.github/workflows/r.yml@refs/tags/v1";
        let repository = Some("https://github.com/a/b");
        for (subject, issuer, repository, expected) in [
            (own, github, repository, true),
            (own, "https://accounts.google.com", repository, false),
            (own, gitlab, repository, false),
            (own, github, None, false),
            ("mallory@evil.example", github, repository, false),
            (own, github, Some("https://github.com.evil.example/a/b"), false),
        ] {
            let identity = identity(subject, issuer, repository);
            assert_eq!(workflow(&identity).is_some(), expected, "{subject} {issuer}");
        }
    }

    #[test]
    fn a_publisher_is_the_one_that_the_index_names() {
        let own = "https://github.com/a/b/.github/workflows/r.yml@refs/tags/v1";
        let identity = identity(own, WORKFLOWS[0].0, Some("https://github.com/a/b"));
        for (publisher, expected) in [
            (
                json!({"kind": "GitHub", "repository": "a/b", "workflow": "r.yml"}),
                true,
            ),
            (
                json!({"kind": "GitHub", "repository": "A/b", "workflow": "r.yml"}),
                true,
            ),
            (
                json!({"kind": "GitHub", "repository": "a/c", "workflow": "r.yml"}),
                false,
            ),
            (
                json!({"kind": "GitHub", "repository": "a/b", "workflow": "x.yml"}),
                false,
            ),
            (json!({"kind": "GitHub", "repository": "a/b"}), false),
            (
                json!({"kind": "GitLab", "repository": "a/b", "workflow": "r.yml"}),
                false,
            ),
            (json!({}), false),
            (Value::Null, false),
        ] {
            assert_eq!(is_publisher(&identity, &publisher), expected, "{publisher}");
        }
    }

    #[test]
    fn a_release_on_github_is_githubs_to_state() {
        for (subject, issuer, named, expected) in [
            (GITHUB_RELEASES, "", false, true),
            (GITHUB_RELEASES, "https://accounts.google.com", false, false),
            ("mallory@evil.example", "", true, false),
            ("https://acme.releases.github.com", "", false, false),
            ("https://acme.releases.github.com", "", true, true),
            ("https://evil.example/x.releases.github.com", "", true, false),
        ] {
            assert_eq!(
                is_github(&identity(subject, issuer, None), named),
                expected,
                "{subject}"
            );
        }
    }
}
