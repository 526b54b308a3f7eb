//! Assesses one piece of evidence against the artifacts: is its signature good, who signed it, and is it about them?
//!
//! The three answers are kept apart. A good signature on other bytes, on another name, or on only some of the outputs
//! has its own standing, and evidence that cannot be verified never counts as good.

mod bind;
mod bundle_lines;
mod files;
mod names;
mod payload;
mod predicates;
mod release;
mod resource;
mod signature;
mod simple_signing;
mod standing;
mod statement;

pub use bundle_lines::Ignored;
use files::{assess_buildinfo, assess_list, openpgp_inline, over_bytes, signs_nothing};
pub use payload::{Payload, PayloadProof, SignedPayload, Stated, named_package, payload};
pub use resource::{Resource, resource};
pub use signature::names_trusted_key;
use signature::{unsigned, verify_signature};
use statement::{assess_envelope, assess_link, assess_statement};

pub use super::Signer;
pub use super::assessment::{Artifact, Assessment};
use super::document::{Document, Kind};
use super::sigstore::{Content, Unverified};
use super::statement::{Descriptor, DigestMatch};
use super::trust::Trust;
use super::{Question, Unproven};

/// Assesses one piece of evidence.
pub fn assess(document: &Document, artifacts: &[Artifact], trust: &Trust) -> Assessment {
    let mut assessment = assess_kind(document, artifacts, trust);
    let publisher = match &document.kind {
        Kind::Bundle(bundle) => bundle.publisher(),
        _ => None,
    };
    standing::settle(&mut assessment, publisher);
    assessment.claim.document = Some(document.digest);
    assessment.origin.clone_from(&document.origin);
    assessment
}

/// Why a log entry alone proves nothing.
const NO_ENVELOPE: &str = "it is a log entry, and none of the given envelopes belongs to it";

/// Why a layout is not evidence.
const POLICY: &str = "it is a policy, not evidence; name it as the layout of a rule";

/// Assesses a document by its kind, before the signer is considered: one arm for each kind.
fn assess_kind(document: &Document, artifacts: &[Artifact], trust: &Trust) -> Assessment {
    match &document.kind {
        Kind::Bundle(bundle) => assess_bundle(bundle, artifacts, trust),
        Kind::KeyBundle { hint, envelope } => {
            let proof = signature::verify_key_bundle(hint, envelope, trust);
            assess_envelope(envelope, proof, artifacts, false)
        }
        Kind::Envelope(envelope) => {
            let proof = signature::verify_envelope(envelope, trust);
            assess_envelope(envelope, proof, artifacts, false)
        }
        Kind::CloudBuild(envelope) => {
            let proof = verify_signature(document, trust);
            assess_envelope(envelope, proof, artifacts, false)
        }
        Kind::Logged(logged) => {
            let proof = verify_signature(document, trust);
            assess_envelope(&logged.envelope, proof, artifacts, false)
        }
        Kind::Layout(_) => Assessment::new(
            Question::Other,
            "an in-toto layout".into(),
            Err(Unproven::Unverifiable(POLICY.into())),
        ),
        Kind::LogEntry(entry) => Assessment::new(
            Question::Other,
            format!("an entry of a transparency log ({})", entry.kind),
            Err(Unproven::Unverifiable(NO_ENVELOPE.into())),
        ),
        Kind::Statement(statement) => assess_statement(statement.clone(), Err(unsigned()), artifacts, false),
        Kind::OpenPgpDetached(signature) => over_bytes("OpenPGP", artifacts, |artifact| {
            signature::openpgp_detached(signature, artifact, trust)
        }),
        Kind::OpenPgpInline(text) => openpgp_inline(text, artifacts, trust),
        Kind::Minisign(signature) => over_bytes("minisign", artifacts, |artifact| {
            signature::minisign(signature, artifact, trust)
        }),
        Kind::Ssh(signature) => over_bytes("SSH", artifacts, |artifact| {
            signature::ssh(signature, artifact, trust)
        }),
        Kind::BuildInfo(info) => assess_buildinfo(info, artifacts, trust),
        Kind::Link(link) => assess_link(link, verify_signature(document, trust), artifacts),
        Kind::Unreadable(found) => Assessment::new(
            found.question(&document.origin),
            found
                .what
                .clone()
                .unwrap_or_else(|| "evidence that cannot be read".into()),
            Err(Unproven::Unverifiable(found.why.clone())),
        ),
        Kind::HashList(list) => assess_list(
            list,
            verify_signature(document, trust),
            artifacts,
            Question::Other,
        ),
        Kind::Blob(signed) => over_bytes("cosign's", artifacts, |artifact| {
            signature::blob(signed, artifact, trust)
        }),
        Kind::Certificate(certificate) => signs_nothing(certificate),
        Kind::Image(signed) => simple_signing::assess_image(signed, artifacts, trust),
        Kind::Unproven { envelope, reason } => assess_envelope(
            envelope,
            Err(Unproven::Unverifiable(reason.clone())),
            artifacts,
            false,
        ),
    }
}

/// Assesses pieces of evidence. In a file with several, those that are not about the artifacts are ignored if at least
/// one is.
pub fn assess_files<'a>(
    documents: impl IntoIterator<Item = &'a Document>,
    artifacts: &[Artifact],
    trust: &Trust,
) -> Vec<Assessment> {
    let documents = documents.into_iter();
    let found = documents.map(|document| (document, assess(document, artifacts, trust)));
    bundle_lines::about_these(found.collect(), artifacts)
}

/// The names of the subjects with an artifact's digests; second, a sentence if none of them is the name that was asked
/// for.
pub fn called(subjects: &[Descriptor], artifact: &Artifact) -> (Vec<String>, Option<String>) {
    let same = |subject: &&Descriptor| subject.matches(&artifact.digests) == DigestMatch::Same;
    let same: Vec<_> = subjects.iter().filter(same).collect();
    (
        names::labels(same.iter().copied()),
        names::differs(&same, artifact),
    )
}

/// Whether a subject's name is that of another package than the artifact's, or of a released file of another.
pub fn is_of_another_package(label: &str, artifact: &Artifact) -> bool {
    names::is_of_another(label, artifact)
}

/// A sentence if, by PEP 740, a statement is about another file: it must have one subject with the file's name.
pub fn other_distribution(subjects: &[Descriptor], artifact: &Artifact) -> Option<String> {
    if subjects.len() != 1 {
        return Some("it has several subjects, and PEP 740 allows exactly one".into());
    }
    names::other_distribution(&subjects.iter().collect::<Vec<_>>(), artifact)
}

fn assess_bundle(bundle: &Unverified, artifacts: &[Artifact], trust: &Trust) -> Assessment {
    // Each file is tried if neither the bundle nor a log names the file, or if a key signed the whole file.
    let by_file = bundle.names_no_file() || bundle.key_hint().is_some() && !bundle.is_logged();
    let is_message = !matches!(bundle.content(), Ok(Content::Envelope(_)));
    let named = matches!(bundle.content(), Ok(Content::Message(algorithm, digest))
        if !artifacts.iter().any(|artifact| artifact.digests.get(algorithm).is_some_and(|own| own == digest)));
    if by_file && is_message && !named {
        return over_bytes("Sigstore", artifacts, |artifact| {
            signature::over_artifact(bundle, artifact, trust)
        });
    }
    let (proof, content) = signature::verify_bundle(bundle, trust);
    match content {
        Some(Content::Envelope(envelope)) => assess_envelope(&envelope, proof, artifacts, bundle.is_pep740()),
        Some(Content::Message(algorithm, digest)) => {
            let fits =
                |artifact: &&Artifact| artifact.digests.get(algorithm).is_some_and(|own| own == digest);
            let claim = format!("a Sigstore signature over {algorithm}:{digest}");
            let mut found = Assessment::new(Question::Signature, claim, proof);
            found.cover(artifacts.iter().filter(fits).count(), artifacts.len());
            found
        }
        None => Assessment::new(
            Question::Provenance,
            format!("a Sigstore bundle ({})", bundle.media_type()),
            proof,
        ),
    }
}
