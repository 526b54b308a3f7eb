//! Judging one piece of evidence against the artifacts at hand: is it well signed, by whom, and is it about them?
//!
//! The three answers are kept apart. A good signature on other bytes, on another name, or on some of the outputs
//! only is a standing of its own, and what cannot be checked is never taken for good.

mod signature;

use std::path::PathBuf;
use std::str::FromStr as _;

use jiff::Timestamp;
use packageurl::PackageUrl;
use serde::Serialize;

use super::document::{Document, Kind};
use super::dsse::Envelope;
use super::hash_list::HashList;
use super::link::Link;
use super::sigstore::{Content, Identity, Unverified};
use super::slsa::Provenance;
use super::statement::{Descriptor, DigestMatch, Statement, predicate};
use super::trust::Trust;
use super::{Claim, Question, Standing, custody, openpgp};
use crate::artifact::Digests;
pub use signature::Signed;

/// Something released, whose bytes are known.
#[derive(Debug, Clone)]
pub struct Artifact {
    /// File name.
    pub name: String,
    /// Package URL, where it is known.
    pub purl: Option<String>,
    /// What its bytes are.
    pub digests: Digests,
    /// Where its bytes are; none where only the digest is known.
    pub path: Option<PathBuf>,
}

/// Who signed a piece of evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Signer {
    /// What people call it: an identity, or the name of a key.
    pub name: String,
    /// The certificate's claims, for keyless signatures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity: Option<Identity>,
    /// The keys, for the others.
    pub fingerprints: Vec<String>,
    /// What whoever trusts these keys calls them; never taken from the evidence.
    #[serde(skip)]
    pub keys: Vec<String>,
}

/// One piece of evidence, judged.
#[derive(Debug, Clone, Serialize)]
pub struct Assessment {
    /// The finding.
    #[serde(flatten)]
    pub claim: Claim,
    /// Who signed, where that was verified.
    pub signer: Option<Signer>,
    /// When a log or a timestamp authority first saw the signature.
    pub signed_at: Option<Timestamp>,
    /// What was stated.
    #[serde(skip)]
    pub statement: Option<Statement>,
    /// The same as provenance, where it is one.
    #[serde(skip)]
    pub provenance: Option<Provenance>,
    /// Type of the predicate, where there is one.
    #[serde(rename = "predicateType", skip_serializing_if = "Option::is_none")]
    pub predicate_type: Option<String>,
    /// File that it came from.
    pub origin: String,
}

/// Judges one piece of evidence.
pub fn assess(document: &Document, artifacts: &[Artifact], trust: &Trust) -> Assessment {
    let mut assessment = match &document.kind {
        Kind::Bundle(bundle) => assess_bundle(bundle, artifacts, trust),
        Kind::KeyBundle { hint, envelope } => {
            let signed = signature::verify_key_bundle(hint, envelope, trust);
            assess_envelope(envelope, signed, artifacts)
        }
        Kind::Envelope(envelope) => {
            let signed = signature::verify_envelope(envelope, trust);
            assess_envelope(envelope, signed, artifacts)
        }
        Kind::Statement(statement) => {
            let signed = Signed::not(Standing::Unsigned, "nobody signed it");
            assess_statement(statement.clone(), signed, artifacts)
        }
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
        Kind::Link(link) => {
            let claim = format!("an in-toto link of the step {:?}", link.name);
            about_files(&claim, &link.subjects(), who(document, trust), artifacts)
        }
        Kind::HashList(list) => {
            let claim = format!("a list of {} digests", list.entries.len());
            about_files(&claim, &list.entries, who(document, trust), artifacts)
        }
    };
    assessment.claim.document = Some(document.digest);
    assessment.origin.clone_from(&document.origin);
    assessment
}

/// What a piece of evidence states, whoever's word it is.
pub enum Stated {
    /// An in-toto statement.
    Statement(Box<Statement>),
    /// An in-toto link.
    Link(Box<Link>),
    /// A list of digests.
    HashList(Box<HashList>),
    /// A signature over a file's bytes alone, or something that nobody can use; and why.
    Nothing(String),
}

/// Reads what a piece of evidence states; believes nothing.
pub fn stated(document: &Document) -> Stated {
    let envelope = |envelope: &Envelope| match Statement::from_envelope(envelope) {
        Ok(statement) => Stated::Statement(Box::new(statement)),
        Err(error) => Stated::Nothing(format!("what was signed cannot be used: {error}")),
    };
    match &document.kind {
        Kind::Bundle(bundle) => match bundle.content() {
            Ok(Content::Envelope(inside)) => envelope(&inside),
            Ok(Content::Message(..)) => {
                Stated::Nothing("it signs a file, and says nothing of a build".into())
            }
            Err(error) => Stated::Nothing(error.to_string()),
        },
        Kind::Envelope(inside) | Kind::KeyBundle { envelope: inside, .. } => envelope(inside),
        Kind::Statement(statement) => Stated::Statement(Box::new(statement.clone())),
        Kind::Link(link) => Stated::Link(link.clone()),
        Kind::HashList(list) => Stated::HashList(list.clone()),
        Kind::OpenPgpInline(text) => signed_list(text),
        Kind::OpenPgpDetached(_) | Kind::Minisign(_) | Kind::Ssh(_) => {
            Stated::Nothing("it signs a file, and says nothing of a build".into())
        }
        Kind::BuildInfo(_) => {
            Stated::Nothing("a .buildinfo says what a build had, not that it was repeated".into())
        }
    }
}

/// A text with an OpenPGP signature around it, where that is a list of digests.
fn signed_list(text: &[u8]) -> Stated {
    let content = openpgp::read_unverified("the signed text", text).ok();
    let list = content.and_then(|(content, _)| HashList::parse(&String::from_utf8(content).ok()?).ok());
    match list {
        Some(list) if !list.entries.is_empty() => Stated::HashList(Box::new(list)),
        _ => Stated::Nothing("it signs a text, and says nothing of a build".into()),
    }
}

/// Whose word a piece of evidence is; what it is about is not asked.
pub fn who(document: &Document, trust: &Trust) -> Signed {
    let unsigned = || Signed::not(Standing::Unsigned, "nobody signed it");
    match &document.kind {
        Kind::Bundle(bundle) => signature::verify_bundle(bundle, trust).0,
        Kind::KeyBundle { hint, envelope } => signature::verify_key_bundle(hint, envelope, trust),
        Kind::Envelope(envelope) => signature::verify_envelope(envelope, trust),
        Kind::Link(link) => signature::verify_message(&link.signed, &link.signatures, trust),
        Kind::HashList(list) => match &list.own {
            Some((message, signatures)) => signature::verify_message(message, signatures, trust),
            None => unsigned(),
        },
        Kind::OpenPgpInline(text) => signature::verify_inline(text, trust, "the signed text").0,
        Kind::Statement(_) => unsigned(),
        _ => Signed::not(Standing::Unchecked, "it is a signature over a file's bytes"),
    }
}

/// Whether a piece of evidence calls its key by the name of one that is trusted.
pub fn names_trusted_key(document: &Document, trust: &Trust) -> bool {
    let names: Vec<&str> = match &document.kind {
        Kind::Bundle(bundle) => match bundle.key_hint() {
            Some(hint) => vec![hint],
            // A certificate is no name of a key: what is wrong with it is wrong.
            None => return true,
        },
        Kind::KeyBundle { hint, .. } => vec![hint],
        Kind::Envelope(envelope) => envelope
            .signatures
            .iter()
            .map(|(name, _)| name.as_str())
            .collect(),
        Kind::Link(link) => link.signatures.iter().map(|(name, _)| name.as_str()).collect(),
        _ => return true,
    };
    let keys = trust.plain_keys();
    keys.iter()
        .any(|(_, key)| names.iter().any(|name| key.is_called(name)))
}

/// Whose word a detached signature over a file is.
pub fn over_file(document: &Document, file: &Artifact, trust: &Trust) -> Signed {
    match &document.kind {
        Kind::OpenPgpDetached(bytes) => signature::openpgp_detached(bytes, file, trust),
        Kind::Minisign(signed) => signature::minisign(signed, file, trust),
        Kind::Ssh(signed) => signature::ssh(signed, file, trust),
        _ => Signed::not(
            Standing::Unchecked,
            "what lies beside it is no detached signature",
        ),
    }
}

/// A claim that files with these digests came out of something.
fn about_files(claim: &str, files: &[Descriptor], signed: Signed, artifacts: &[Artifact]) -> Assessment {
    let listed = |artifact: &&Artifact| {
        files
            .iter()
            .any(|file| file.matches(&artifact.digests) == DigestMatch::Same)
    };
    let covered = artifacts.iter().filter(listed).count();
    bound(
        Question::Other,
        claim.to_owned(),
        signed,
        covered,
        artifacts.len(),
    )
}

fn assessment(question: Question, claim: String, signed: Signed) -> Assessment {
    Assessment {
        claim: Claim {
            question,
            claim,
            by: signed.signer.as_ref().map(|signer| signer.name.clone()),
            standing: signed.standing,
            meaning: signed.note,
            document: None,
        },
        signer: signed.signer,
        signed_at: signed.when,
        statement: None,
        provenance: None,
        predicate_type: None,
        origin: String::new(),
    }
}

fn assess_bundle(bundle: &Unverified, artifacts: &[Artifact], trust: &Trust) -> Assessment {
    let (signed, content) = signature::verify_bundle(bundle, trust);
    match content {
        Some(Content::Envelope(envelope)) => assess_envelope(&envelope, signed, artifacts),
        Some(Content::Message(algorithm, digest)) => {
            let fits =
                |artifact: &&Artifact| artifact.digests.get(algorithm).is_some_and(|own| own == digest);
            let covered: Vec<_> = artifacts.iter().filter(fits).collect();
            let claim = format!("a Sigstore signature over {algorithm}:{digest}");
            bound(Question::Signature, claim, signed, covered.len(), artifacts.len())
        }
        None => assessment(
            Question::Provenance,
            format!("a Sigstore bundle ({})", bundle.media_type()),
            signed,
        ),
    }
}

/// Judges a signature that is over a file's bytes: it is about exactly the artifacts that it verifies for.
fn over_bytes(kind: &str, artifacts: &[Artifact], verify: impl Fn(&Artifact) -> Signed) -> Assessment {
    let results: Vec<_> = artifacts.iter().map(&verify).collect();
    let good = results
        .iter()
        .filter(|signed| signed.standing == Standing::Verified)
        .count();
    let claim = format!("{kind} signature over the file's bytes");
    let telling = results
        .into_iter()
        .min_by_key(|signed| signed.standing)
        .unwrap_or_else(|| Signed::not(Standing::Unchecked, "no artifact was given"));
    if good > 0 {
        return bound(Question::Signature, claim, telling, good, artifacts.len());
    }
    assessment(Question::Signature, claim, telling)
}

/// A signed list of digests, such as `SHA256SUMS`: it is about the artifacts that it lists.
fn openpgp_inline(text: &[u8], artifacts: &[Artifact], trust: &Trust) -> Assessment {
    let (signed, content) = signature::verify_inline(text, trust, "the signed text");
    let listed = |artifact: &&Artifact| {
        let digests = ["sha256", "sha384", "sha512"].map(|name| artifact.digests.get(name));
        String::from_utf8_lossy(&content)
            .split(|c: char| !c.is_ascii_alphanumeric())
            .any(|word| digests.iter().flatten().any(|own| own.eq_ignore_ascii_case(word)))
    };
    let covered = artifacts.iter().filter(listed).count();
    let claim = "OpenPGP-signed text that lists digests".to_owned();
    bound(Question::Signature, claim, signed, covered, artifacts.len())
}

fn assess_envelope(envelope: &Envelope, signed: Signed, artifacts: &[Artifact]) -> Assessment {
    match Statement::from_envelope(envelope) {
        Ok(statement) => assess_statement(statement, signed, artifacts),
        Err(error) => {
            let note = format!("what was signed cannot be used: {error}");
            assessment(
                Question::Provenance,
                format!("an envelope of type {:?}", envelope.payload_type),
                Signed::not(Standing::Refuted, note),
            )
        }
    }
}

fn assess_statement(statement: Statement, mut signed: Signed, artifacts: &[Artifact]) -> Assessment {
    let kind = statement.predicate_type.clone();
    let (mut question, mut claim) = describe(&statement);
    let mut provenance = None;
    let read = Provenance::of(&statement);
    if read.is_some() {
        question = Question::Provenance;
    }
    match read {
        Some(Ok(found)) => {
            claim = custody::sentence(&found);
            let identity = signed.signer.as_ref().and_then(|signer| signer.identity.as_ref());
            if let Some(reason) = identity.and_then(|identity| custody::contradiction(identity, &found)) {
                signed = Signed::not(Standing::Refuted, reason);
            }
            provenance = Some(found);
        }
        Some(Err(error)) => {
            signed = Signed::not(
                Standing::Refuted,
                format!("the provenance cannot be used: {error}"),
            );
        }
        None => {}
    }
    if signed.standing == Standing::Verified && !is_known(&kind) {
        signed.standing = Standing::Unchecked;
        signed.note = "the signature is good; what a predicate of this type means is not known here, so nothing relies on it".into();
    }
    let mut assessment = bind_statement(question, claim, signed, &statement, artifacts);
    assessment.predicate_type = Some(kind);
    assessment.statement = Some(statement);
    assessment.provenance = provenance;
    assessment
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
        predicate::GITHUB_RELEASE,
    ]
    .contains(&kind)
}

/// What a statement says, by its predicate's type.
fn describe(statement: &Statement) -> (Question, String) {
    let text = |key: &str| statement.predicate[key].as_str().unwrap_or("?").to_owned();
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
        predicate::GITHUB_RELEASE => (Question::Signature, "it is part of a release on GitHub".into()),
        predicate::VSA => {
            let verifier = statement.predicate["verifier"]["id"].as_str().unwrap_or("?");
            let levels = statement.predicate["verifiedLevels"]
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
        other => (Question::Other, format!("a statement of type {other}")),
    }
}

/// Ties a statement to the artifacts by digest, then by name.
fn bind_statement(
    question: Question,
    claim: String,
    signed: Signed,
    statement: &Statement,
    artifacts: &[Artifact],
) -> Assessment {
    let covered: Vec<_> = artifacts
        .iter()
        .filter(|artifact| statement.subjects_with(&artifact.digests).next().is_some())
        .collect();
    if covered.is_empty() && !artifacts.is_empty() && !signed.standing.is_against() {
        let named: Vec<_> = statement.subject.iter().take(3).map(Descriptor::label).collect();
        let comparable = artifacts.iter().any(|artifact| {
            let other = |subject: &Descriptor| subject.matches(&artifact.digests) == DigestMatch::Other;
            statement.subject.iter().any(other)
        });
        let (standing, note) = if comparable {
            (
                Standing::Elsewhere,
                format!("it is about other bytes ({})", named.join(", ")),
            )
        } else {
            (
                Standing::Unchecked,
                "its digests are of kinds that cannot be compared here".to_owned(),
            )
        };
        return assessment(
            question,
            claim,
            Signed {
                standing,
                note,
                ..signed
            },
        );
    }
    for artifact in &covered {
        let subjects: Vec<_> = statement.subjects_with(&artifact.digests).collect();
        let Some(wanted) = artifact
            .purl
            .as_deref()
            .and_then(|text| PackageUrl::from_str(text).ok())
        else {
            continue;
        };
        let named = subjects
            .iter()
            .filter_map(|subject| PackageUrl::from_str(subject.name.as_deref()?).ok());
        let named: Vec<_> = named.collect();
        let same = |purl: &PackageUrl| {
            (purl.ty(), purl.namespace(), purl.name(), purl.version())
                == (wanted.ty(), wanted.namespace(), wanted.name(), wanted.version())
        };
        if !named.is_empty() && !named.iter().any(same) && !signed.standing.is_against() {
            let note = format!(
                "it is about these bytes under another name ({}, not {wanted})",
                named[0]
            );
            return assessment(
                question,
                claim,
                Signed {
                    standing: Standing::Elsewhere,
                    note,
                    ..signed
                },
            );
        }
    }
    bound(question, claim, signed, covered.len(), artifacts.len())
}

/// The finding for a claim that covers some of the artifacts.
fn bound(question: Question, claim: String, mut signed: Signed, covered: usize, all: usize) -> Assessment {
    if signed.standing == Standing::Verified && all > 0 {
        if covered == 0 {
            signed.standing = Standing::Elsewhere;
            signed.note = format!("it is about other bytes; {}", signed.note);
        } else if covered < all {
            signed.standing = Standing::Partial;
            signed.note = format!("it covers {covered} of {all} artifacts; {}", signed.note);
        }
    }
    assessment(question, claim, signed)
}

fn assess_buildinfo(info: &super::buildinfo::BuildInfo, artifacts: &[Artifact], trust: &Trust) -> Assessment {
    let signed = match &info.inline {
        Some(text) => signature::verify_inline(text, trust, "the .buildinfo").0,
        None => Signed::not(Standing::Unsigned, "nobody signed it"),
    };
    let listed = |artifact: &&Artifact| {
        info.files
            .iter()
            .any(|(_, sha256, _)| *sha256 == artifact.digests.sha256)
    };
    let covered = artifacts.iter().filter(listed).count();
    let claim = format!(
        "built from the Debian source {} {} with {} packages installed",
        info.source,
        info.version,
        info.installed.len()
    );
    let signed = if covered == 0 && !artifacts.is_empty() && signed.standing == Standing::Unsigned {
        Signed::not(Standing::Elsewhere, "it is about other files")
    } else {
        signed
    };
    bound(Question::Provenance, claim, signed, covered, artifacts.len())
}
