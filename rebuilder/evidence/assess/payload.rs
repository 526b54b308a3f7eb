//! The content of a piece of evidence, and the verification of its signature.

use std::str::FromStr as _;

use super::signature::{not_what_was_signed, over_file, verify_signature};
use super::{names, signature, standing};
use crate::artifact::Digests;
use crate::evidence::assessment::Artifact;
use crate::evidence::document::{Document, Kind};
use crate::evidence::dsse::Envelope;
use crate::evidence::hash_list::{HashList, HashListError};
use crate::evidence::link::Link;
use crate::evidence::signed_content::SignedContent;
use crate::evidence::sigstore::Content;
use crate::evidence::statement::Statement;
use crate::evidence::trust::Trust;
use crate::evidence::{Signature, Unproven, Verified, openpgp};

/// The content of a piece of evidence, before its signature is verified.
pub enum Stated {
    /// An in-toto statement.
    Statement(Box<Statement>),
    /// An in-toto link.
    Link(Box<Link>),
    /// A list of digests.
    HashList(Box<HashList>),
    /// A signature over a file's bytes alone, or something unusable, with the reason.
    Nothing(String),
    /// Content of a known kind that cannot be read; and why.
    Malformed(String),
}

/// The content of a piece of evidence, and the good signature over exactly this content.
pub struct SignedPayload<'a> {
    /// What is stated.
    pub stated: &'a Stated,
    /// The signature over it.
    pub signature: Signature,
}

/// The result of verifying the signature of a payload.
pub type PayloadProof<'a> = Result<Verified<SignedPayload<'a>>, Unproven>;

/// The content of a piece of evidence, tied to the document that it was read from, so that the signature is verified
/// for exactly this content.
pub struct Payload<'a> {
    document: &'a Document,
    stated: Stated,
}

/// Reads the content of a piece of evidence; verifies nothing.
pub fn payload(document: &Document) -> Payload<'_> {
    Payload {
        document,
        stated: read(document),
    }
}

impl Payload<'_> {
    /// The content without proof: to look at, not to act on.
    pub fn unverified(&self) -> &Stated {
        &self.stated
    }

    /// Whether the subject's name must be the file's by the form of the document (PEP 740).
    pub fn names_the_file(&self) -> bool {
        matches!(&self.document.kind, Kind::Bundle(bundle) if bundle.is_pep740())
    }

    /// Verifies the signature over exactly this content; the signer must have been named beforehand.
    pub fn verify_signature(&self, trust: &Trust) -> PayloadProof<'_> {
        let signed = self.verify_any_signer(trust)?;
        if signed.signature.signer.named {
            Ok(signed)
        } else {
            Err(standing::unnamed(Verified(signed.0.signature)))
        }
    }

    /// Does the same for any signer, for callers that look the signer up among the parties that they know.
    pub fn verify_any_signer(&self, trust: &Trust) -> PayloadProof<'_> {
        let proof = match &self.document.kind {
            Kind::OpenPgpInline(text) => {
                let (proof, content) = signature::verify_inline(text, trust, "the signed text");
                match read_list(&content) {
                    Ok(list) if !matches!(&self.stated, Stated::HashList(own) if **own == list) => {
                        Err(not_what_was_signed())
                    }
                    _ => proof,
                }
            }
            _ => verify_signature(self.document, trust),
        };
        Ok(self.signed_by(proof?))
    }

    /// Does the same for a list with a detached signature; `file` is the list itself, as it is on disk.
    pub fn verify_detached(&self, signature: &Document, file: &Artifact, trust: &Trust) -> PayloadProof<'_> {
        // The content that was read must be what the signature is over.
        if file.digests.sha256 != self.document.digest {
            return Err(not_what_was_signed());
        }
        Ok(self.signed_by(over_file(signature, file, trust)?))
    }

    fn signed_by(&self, signature: Verified<Signature>) -> Verified<SignedPayload<'_>> {
        Verified(SignedPayload {
            stated: &self.stated,
            signature: signature.0,
        })
    }
}

/// The package of a file according to a statement, if the statement's signature is good and the file's name fits the
/// package.
pub fn named_package(document: &Document, file: &str, digests: &Digests, trust: &Trust) -> Option<String> {
    let statement = statement(document, trust).or_else(|| of_own_repository(document, trust))?;
    let mut names = statement
        .subjects_with(digests)
        .filter_map(|subject| subject.name.clone());
    names.find(|name| {
        let purl = packageurl::PackageUrl::from_str(name);
        purl.is_ok_and(|purl| names::may_be_of(&purl, file))
    })
}

/// The provenance in a document, if a workflow signed it about its own repository.
fn of_own_repository(document: &Document, trust: &Trust) -> Option<Verified<Statement>> {
    let payload = payload(document);
    let signed = payload.verify_any_signer(trust).ok()?;
    let Stated::Statement(statement) = signed.stated else {
        return None;
    };
    let identity = signed.signature.signer.identity.as_ref()?;
    standing::is_of_own_repository(identity, statement).then(|| Verified((**statement).clone()))
}

/// The statement in a document, if its signature is good, whatever it is about.
fn statement(document: &Document, trust: &Trust) -> Option<Verified<Statement>> {
    match payload(document).verify_signature(trust).ok()?.stated {
        Stated::Statement(statement) => Some(Verified((**statement).clone())),
        _ => None,
    }
}

/// Reads the content of a piece of evidence; verifies nothing.
fn read(document: &Document) -> Stated {
    let envelope = |envelope: &Envelope| match SignedContent::of(envelope) {
        Ok(SignedContent::Statement(statement)) => Stated::Statement(statement),
        Ok(SignedContent::Link(link)) => Stated::Link(link),
        Ok(SignedContent::Layout) => {
            Stated::Nothing("an in-toto layout says how a product is to be made, not that one was".into())
        }
        Err(error) if error.is_foreign() => {
            Stated::Nothing(format!("cannot use the signed content: {error}"))
        }
        Err(error) => Stated::Malformed(format!("cannot use the signed content: {error}")),
    };
    match &document.kind {
        Kind::Bundle(bundle) => match bundle.content() {
            Ok(Content::Envelope(inside)) => envelope(&inside),
            Ok(Content::Message(..)) => {
                Stated::Nothing("it signs a file and says nothing about a build".into())
            }
            Err(error) => Stated::Nothing(error.to_string()),
        },
        Kind::Logged(logged) => envelope(&logged.envelope),
        Kind::Envelope(inside)
        | Kind::CloudBuild(inside)
        | Kind::KeyBundle { envelope: inside, .. }
        | Kind::Unproven { envelope: inside, .. } => envelope(inside),
        Kind::Statement(statement) => Stated::Statement(Box::new(statement.clone())),
        Kind::Link(link) => Stated::Link(link.clone()),
        Kind::HashList(list) => match list.understood() {
            Ok(()) => Stated::HashList(list.clone()),
            Err(error) => Stated::Nothing(error.to_string()),
        },
        Kind::OpenPgpInline(text) => signed_list(text),
        Kind::OpenPgpDetached(_)
        | Kind::Minisign(_)
        | Kind::Ssh(_)
        | Kind::Blob(_)
        | Kind::Certificate(_)
        | Kind::LogEntry(_)
        | Kind::Image(_) => Stated::Nothing("it signs a file and says nothing about a build".into()),
        Kind::Unreadable(found) => Stated::Nothing(found.why.clone()),
        Kind::Layout(_) => {
            Stated::Nothing("an in-toto layout says how a product is to be made, not that one was".into())
        }
        Kind::BuildInfo(_) => {
            Stated::Nothing("a .buildinfo records a build, not that the build was reproduced".into())
        }
    }
}

/// The list of digests in a text with an OpenPGP signature around it.
fn signed_list(text: &[u8]) -> Stated {
    let content = match openpgp::read_unverified("the signed text", text) {
        Ok((content, _)) => content,
        Err(error) => return Stated::Nothing(error.to_string()),
    };
    match read_list(&content) {
        Ok(list) => Stated::HashList(Box::new(list)),
        Err(error) => Stated::Nothing(format!("it signs a text that is not a list of digests: {error}")),
    }
}

/// Reads a list as rebuilders sign them. Debian's control files say who released a file, not that it was rebuilt.
fn read_list(content: &[u8]) -> Result<HashList, HashListError> {
    let list = HashList::parse(std::str::from_utf8(content).map_err(|_| HashListError::NoList)?)?;
    list.understood()?;
    if list.entries.is_empty() {
        return Err(HashListError::NoList);
    }
    Ok(list)
}
