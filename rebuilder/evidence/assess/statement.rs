//! In-toto statements, tied to the artifacts by digest and name.

use super::files::about_files;
use super::release::{self, Named, is_release};
use super::resource::{Resource, resource};
use super::{names, predicates};
use crate::evidence::assessment::{Artifact, Assessment};
use crate::evidence::dsse::Envelope;
use crate::evidence::json::member;
use crate::evidence::link::Link;
use crate::evidence::signed_content::SignedContent;
use crate::evidence::slsa::Provenance;
use crate::evidence::statement::{Descriptor, Statement, predicate};
use crate::evidence::{Proof, Question, Signature, Standing, Unproven, Verified, custody};

pub(super) fn assess_envelope(
    envelope: &Envelope,
    proof: Proof,
    artifacts: &[Artifact],
    is_pep740: bool,
) -> Assessment {
    let error = match SignedContent::of(envelope) {
        Ok(SignedContent::Statement(statement)) => {
            return assess_statement(*statement, proof, artifacts, is_pep740);
        }
        Ok(SignedContent::Link(link)) => return assess_link(&link, proof, artifacts),
        Ok(SignedContent::Layout) => {
            let note =
                "it is an in-toto layout, which says how a product is to be made, and not that this one was";
            let claim = "an in-toto layout".to_owned();
            return Assessment::new(Question::Other, claim, not_understood(proof, note));
        }
        Err(error) => error,
    };
    let claim = format!("an envelope of type {:?}", envelope.payload_type);
    let note = format!("cannot use the signed content: {error}");
    let proof = match proof {
        // A payload that another program signed for its own purposes is not a fault of the file.
        proof if error.is_foreign() => not_understood(proof, &note),
        proof => malformed(proof, note),
    };
    Assessment::new(Question::Provenance, claim, proof)
}

/// Malformed content: it is refuted if a good signature is over it. What a stranger wrote beside a file is no fault of the
/// file.
fn malformed(proof: Proof, note: String) -> Proof {
    Err(match proof {
        Ok(_) => Unproven::Invalid(note),
        Err(Unproven::Invalid(why)) => Unproven::Invalid(format!("{note}; {why}")),
        Err(Unproven::Unsigned(why)) => Unproven::Unsigned(format!("{note}; {why}")),
        Err(unproven) => Unproven::Unverifiable(format!("{note}; {}", unproven.note())),
    })
}

/// The proof for a payload from which nothing can be concluded: a good signature becomes "not understood", a bad one
/// stays bad.
fn not_understood(proof: Proof, note: &str) -> Proof {
    match proof {
        Ok(signature) => {
            let note = format!("the signature is good, by {}, but {note}", signature.signer.name);
            Err(Unproven::NotUnderstood { signature, note })
        }
        Err(Unproven::Invalid(why)) => Err(Unproven::Invalid(format!("{note}; {why}"))),
        Err(unproven) => Err(Unproven::Unverifiable(format!("{note}; {}", unproven.note()))),
    }
}

/// Assesses a link, in an envelope or with its own signatures.
pub(super) fn assess_link(link: &Link, proof: Proof, artifacts: &[Artifact]) -> Assessment {
    let claim = Link::sentence(&link.name);
    about_files(Question::Other, claim, &link.subjects(), proof, artifacts, false)
}

pub(super) fn assess_statement(
    statement: Statement,
    mut proof: Proof,
    artifacts: &[Artifact],
    is_pep740: bool,
) -> Assessment {
    let kind = statement.predicate_type.clone();
    let (mut question, mut claim) = describe(&statement);
    let mut provenance = None;
    match Provenance::of(&statement) {
        Some(Ok(found)) => {
            question = Question::Provenance;
            claim = custody::sentence(&found);
            proof = proof.and_then(|signature| agreeing(signature, &found));
            provenance = Some(found);
        }
        Some(Err(error)) => {
            question = Question::Provenance;
            proof = malformed(proof, format!("cannot use the provenance: {error}"));
        }
        None => {}
    }
    if let Some(note) = predicates::unusable(&statement) {
        proof = proof.and_then(|signature| Err(Unproven::NotUnderstood { signature, note }));
    }
    if !is_known(&kind) {
        proof = proof.and_then(|signature| {
            let note = "the signature is good, but predicates of this type are not supported, so nothing relies on it".into();
            Err(Unproven::NotUnderstood { signature, note })
        });
    }
    let mut found = Assessment::new(question, claim, proof);
    bind_statement(&mut found, &statement, artifacts, is_pep740);
    found.predicate_type = Some(kind);
    found.statement = Some(statement);
    found.provenance = provenance;
    found
}

/// The proof of a signature, if its certificate does not contradict the provenance.
fn agreeing(signature: Verified<Signature>, provenance: &Provenance) -> Proof {
    let identity = signature.signer.identity.as_ref();
    match identity.and_then(|identity| custody::contradiction(identity, provenance)) {
        Some(reason) => Err(Unproven::Invalid(reason)),
        None => Ok(signature),
    }
}

fn is_known(kind: &str) -> bool {
    [
        predicate::SLSA_V02,
        predicate::SLSA_V1,
        predicate::NPM_PUBLISH,
        predicate::PYPI_PUBLISH,
        predicate::VSA,
        predicate::TEST_RESULT,
        predicate::SOURCE_PROVENANCE,
        predicate::RELEASE_V01,
        predicate::RELEASE_V02,
        predicate::SLSA_V01,
        predicate::SVR,
        predicate::LINK,
    ]
    .contains(&kind)
}

/// Describes a statement by the type of its predicate.
fn describe(statement: &Statement) -> (Question, String) {
    let text = |key: &str| {
        member(&statement.predicate, [key])
            .as_str()
            .unwrap_or("?")
            .to_owned()
    };
    match statement.predicate_type.as_str() {
        predicate::NPM_PUBLISH => (
            Question::Signature,
            format!(
                "{} took {}@{} from its publisher",
                text("registry"),
                text("name"),
                text("version")
            ),
        ),
        predicate::PYPI_PUBLISH => (
            Question::Signature,
            "a trusted publisher of the project uploaded it (PEP 740)".into(),
        ),
        kind if is_release(kind) => (
            Question::Signature,
            match release::purl(statement) {
                Some(purl) => format!("it is part of the release {purl}"),
                None => "it is part of a release".into(),
            },
        ),
        predicate::VSA => {
            let verifier = member(&statement.predicate, ["verifier", "id"])
                .as_str()
                .unwrap_or("?");
            let levels = member(&statement.predicate, ["verifiedLevels"])
                .as_array()
                .into_iter()
                .flatten();
            let levels: Vec<_> = levels.filter_map(|level| level.as_str()).collect();
            (
                Question::Other,
                format!(
                    "{verifier} verified it: {} ({})",
                    text("verificationResult"),
                    levels.join(", ")
                ),
            )
        }
        predicate::TEST_RESULT => (Question::Other, format!("a test of it {}", text("result"))),
        predicate::SOURCE_PROVENANCE => (Question::Other, "how a revision of the source came to be".into()),
        other => predicates::describe(statement)
            .unwrap_or_else(|| (Question::Other, format!("a statement of type {other}"))),
    }
}

/// Ties a statement to the artifacts by digest, then by name.
fn bind_statement(found: &mut Assessment, statement: &Statement, artifacts: &[Artifact], is_pep740: bool) {
    let covered: Vec<(&Artifact, Vec<&Descriptor>)> = artifacts
        .iter()
        .map(|artifact| (artifact, statement.subjects_with(&artifact.digests).collect()))
        .filter(|(_, subjects): &(_, Vec<_>)| !subjects.is_empty())
        .collect();
    let against = found.claim.standing.is_against();
    if covered.is_empty() && !artifacts.is_empty() && !against {
        (found.claim.standing, found.claim.meaning) = other_bytes(statement, artifacts);
        return;
    }
    let subjects = covered.iter().flat_map(|(_, subjects)| subjects.iter().copied());
    let is_file_name = is_pep740 || statement.predicate_type == predicate::PYPI_PUBLISH;
    // "the subject ... MUST" be one file, whose name and digest are compared (PEP 740).
    if is_file_name && statement.subject.len() != 1 && !against {
        let count = statement.subject.len();
        found.contradict(&format!(
            "it has {count} subjects, and PEP 740 allows exactly one"
        ));
        return;
    }
    for (artifact, subjects) in &covered {
        match release::named(statement, subjects, artifact) {
            Named::Contradiction(reason) if !against => {
                found.contradict(&reason);
                return;
            }
            Named::Incomplete(reason) if found.is_verified() => {
                let by = found.signer().map_or("?", |signer| signer.name.as_str());
                let meaning = format!("the signature is good, by {by}, but nothing relies on it: {reason}");
                (found.claim.standing, found.claim.meaning) = (Standing::Unverifiable, meaning);
            }
            _ => {}
        }
    }
    let refused = covered
        .iter()
        .find_map(|(artifact, subjects)| about_another(statement, subjects, artifact, is_file_name));
    if let Some(reason) = refused.filter(|_| !against) {
        found.claim.standing = Standing::SubjectMismatch;
        found.claim.meaning.clone_from(&reason);
        found.name(subjects, Some(reason));
        return;
    }
    let other_name = covered
        .iter()
        .find_map(|(artifact, subjects)| names::differs(subjects, artifact));
    found.cover(covered.len(), artifacts.len());
    found.name(subjects, other_name);
    let incomparable = covered
        .iter()
        .find_map(|(artifact, _)| match compared(statement, artifact)? {
            Resource::Incomparable(why) => Some(why),
            _ => None,
        });
    if let Some(why) = incomparable.filter(|_| !against) {
        found.claim.meaning = format!("{}; {why}", found.claim.meaning);
    }
}

/// Why a statement with an artifact's digest is still about something else: the names in it are not the artifact's.
fn about_another(
    statement: &Statement,
    subjects: &[&Descriptor],
    artifact: &Artifact,
    is_file_name: bool,
) -> Option<String> {
    let of_release = match release::named(statement, subjects, artifact) {
        Named::Other(reason) => Some(reason),
        _ => None,
    };
    let of_resource = match compared(statement, artifact) {
        Some(Resource::Other(reason)) => Some(reason),
        _ => None,
    };
    of_release
        .or(of_resource)
        .or_else(|| names::other_package(subjects, artifact))
        .or_else(|| names::swapped(&statement.subject, subjects, artifact))
        .or_else(|| {
            let other = is_file_name.then(|| names::other_distribution(subjects, artifact))?;
            other.map(|other| format!("{other}, and PEP 740 makes the name part of the signed content"))
        })
}

/// How the resource of a verifier's summary fits an artifact; `None` for any other statement.
fn compared(statement: &Statement, artifact: &Artifact) -> Option<Resource> {
    if statement.predicate_type != predicate::VSA {
        return None;
    }
    let stated = member(&statement.predicate, ["resourceUri"]).as_str();
    Some(match stated.filter(|text| !text.is_empty()) {
        Some(stated) => resource(stated, artifact),
        None => Resource::Incomparable(
            "it names no resource (resourceUri), which its specification demands".into(),
        ),
    })
}

/// The standing of a statement without a subject that has an artifact's digests, and the reason.
fn other_bytes(statement: &Statement, artifacts: &[Artifact]) -> (Standing, String) {
    let comparable = artifacts.iter().any(|artifact| {
        let other = |subject: &Descriptor| subject.names_other(&artifact.digests);
        statement.subject.iter().any(other)
    });
    if comparable {
        let named: Vec<_> = statement.subject.iter().take(3).map(Descriptor::label).collect();
        let note = format!("it is about other bytes ({})", named.join(", "));
        (Standing::SubjectMismatch, note)
    } else {
        let note = "its digests use algorithms that are not supported here, or are none";
        (Standing::Unverifiable, note.to_owned())
    }
}
