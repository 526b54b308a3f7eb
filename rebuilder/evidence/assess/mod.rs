//! Judging one piece of evidence against the artifacts at hand: is it well signed, by whom, and is it about them?
//!
//! The three answers are kept apart. A good signature on other bytes, on another name, or on some of the outputs
//! only is a standing of its own, and what cannot be checked is never taken for good.

mod names;
mod signature;
mod standing;

use std::path::PathBuf;
use std::str::FromStr as _;

use jiff::Timestamp;
use serde::Serialize;

use super::document::{Document, Kind};
use super::dsse::Envelope;
use super::hash_list::{HashList, HashListError};
use super::link::Link;
use super::sigstore::{Content, Identity, Unverified};
use super::slsa::Provenance;
use super::statement::{Descriptor, DigestMatch, Statement, predicate};
use super::trust::Trust;
use super::{Claim, Question, Standing, Verified, custody, openpgp};
use crate::artifact::Digests;
use crate::evidence::json::member;
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
    /// Whether the user or the policy named that key or identity beforehand; anyone else's signature says who signed, and
    /// not that it is who should have.
    #[serde(skip)]
    pub named: bool,
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
    /// What the evidence itself calls the files that it is about, where their digests are those of the artifacts.
    pub subjects: Vec<String>,
    /// In one sentence, where it calls them otherwise than they were asked for.
    #[serde(rename = "otherName", skip_serializing_if = "Option::is_none")]
    pub other_name: Option<String>,
    /// File that it came from.
    pub origin: String,
}

/// Judges one piece of evidence.
pub fn assess(document: &Document, artifacts: &[Artifact], trust: &Trust) -> Assessment {
    let mut assessment = match &document.kind {
        Kind::Bundle(bundle) => assess_bundle(bundle, artifacts, trust),
        Kind::KeyBundle { hint, envelope } => {
            let signed = signature::verify_key_bundle(hint, envelope, trust);
            assess_envelope(envelope, signed, artifacts, false)
        }
        Kind::Envelope(envelope) => {
            let signed = signature::verify_envelope(envelope, trust);
            assess_envelope(envelope, signed, artifacts, false)
        }
        Kind::Statement(statement) => {
            let signed = Signed::not(Standing::Unsigned, "nobody signed it");
            assess_statement(statement.clone(), signed, artifacts, false)
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
            let question = Question::Other;
            about_files(
                question,
                claim,
                &link.subjects(),
                who(document, trust),
                artifacts,
                false,
            )
        }
        Kind::HashList(list) => assess_list(list, who(document, trust), artifacts, Question::Other),
    };
    let publisher = match &document.kind {
        Kind::Bundle(bundle) => bundle.publisher(),
        _ => None,
    };
    standing::settle(&mut assessment, publisher);
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

/// What a piece of evidence states, tied to the document that it was read from: whoever is asked whose word it is can
/// only be asked about this reading.
pub struct Heard<'a> {
    document: &'a Document,
    stated: Stated,
}

/// Reads what a piece of evidence states; believes nothing.
pub fn hear(document: &Document) -> Heard<'_> {
    Heard {
        document,
        stated: stated(document),
    }
}

impl Heard<'_> {
    /// What is stated, whoever's word it is: to look at, not to act on.
    pub fn unverified(&self) -> &Stated {
        &self.stated
    }

    /// Whether its form says that the subject's name is the file's (PEP 740).
    pub fn names_the_file(&self) -> bool {
        matches!(&self.document.kind, Kind::Bundle(bundle) if bundle.is_pep740())
    }

    /// Whose word it is; second, what is stated, where a signature over exactly that is good and of someone who was named
    /// beforehand.
    pub fn vouch(&self, trust: &Trust) -> (Signed, Option<Verified<&Stated>>) {
        let (signed, verified) = self.vouch_whoever(trust);
        match signed.signer.as_ref().map(|signer| signer.named) {
            Some(false) if signed.standing == Standing::Verified => (standing::unnamed(signed), None),
            _ => (signed, verified),
        }
    }

    /// The same, whoever signed: for callers that look the signer up among the parties that they know.
    pub fn vouch_whoever(&self, trust: &Trust) -> (Signed, Option<Verified<&Stated>>) {
        let signed = match &self.document.kind {
            Kind::OpenPgpInline(text) => {
                let (signed, content) = signature::verify_inline(text, trust, "the signed text");
                match read_list(&content) {
                    Ok(list) if !matches!(&self.stated, Stated::HashList(own) if **own == list) => {
                        Signed::not(Standing::Refuted, "what was read is not what was signed")
                    }
                    _ => signed,
                }
            }
            _ => who(self.document, trust),
        };
        self.verified_by(signed)
    }

    /// The same for a list with a detached signature; `file` is the list itself, as it lies on the disk.
    pub fn vouch_beside(
        &self,
        signature: &Document,
        file: &Artifact,
        trust: &Trust,
    ) -> (Signed, Option<Verified<&Stated>>) {
        // What was read must be what the signature is over.
        let signed = if file.digests.sha256 == self.document.digest {
            over_file(signature, file, trust)
        } else {
            Signed::not(Standing::Refuted, "what was read is not what was signed")
        };
        self.verified_by(signed)
    }

    fn verified_by(&self, signed: Signed) -> (Signed, Option<Verified<&Stated>>) {
        let verified = (signed.standing == Standing::Verified).then_some(Verified(&self.stated));
        (signed, verified)
    }
}

/// What subjects with an artifact's digests are called; second, in one sentence, where that is not what it was asked for.
pub fn called(subjects: &[Descriptor], artifact: &Artifact) -> (Vec<String>, Option<String>) {
    let same = |subject: &&Descriptor| subject.matches(&artifact.digests) == DigestMatch::Same;
    let same: Vec<_> = subjects.iter().filter(same).collect();
    (
        names::labels(same.iter().copied()),
        names::differs(&same, artifact),
    )
}

/// The package that a statement says a file is of, where a signature over that is good and the file's name is like one of
/// that package's.
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

/// The provenance in a document, if the workflow that signed it says it of its own repository.
fn of_own_repository(document: &Document, trust: &Trust) -> Option<Verified<Statement>> {
    let heard = hear(document);
    let (signed, stated) = heard.vouch_whoever(trust);
    let Stated::Statement(statement) = stated?.into_inner() else {
        return None;
    };
    let identity = signed.signer?.identity?;
    standing::is_of_own_repository(&identity, statement).then(|| Verified((**statement).clone()))
}

/// The statement in a document, if a signature over it is good; what it is about is not asked.
fn statement(document: &Document, trust: &Trust) -> Option<Verified<Statement>> {
    match hear(document).vouch(trust).1?.into_inner() {
        Stated::Statement(statement) => Some(Verified((**statement).clone())),
        _ => None,
    }
}

/// Reads what a piece of evidence states; believes nothing.
fn stated(document: &Document) -> Stated {
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
        Kind::HashList(list) => match list.understood() {
            Ok(()) => Stated::HashList(list.clone()),
            Err(error) => Stated::Nothing(error.to_string()),
        },
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
    let content = match openpgp::read_unverified("the signed text", text) {
        Ok((content, _)) => content,
        Err(error) => return Stated::Nothing(error.to_string()),
    };
    match read_list(&content) {
        Ok(list) => Stated::HashList(Box::new(list)),
        Err(error) => Stated::Nothing(format!("it signs a text that is no list of digests: {error}")),
    }
}

/// A list as rebuilders sign them; Debian's control files say who released a file, not that it was built again.
fn read_list(content: &[u8]) -> Result<HashList, HashListError> {
    let list = HashList::parse(std::str::from_utf8(content).map_err(|_| HashListError::NoList)?)?;
    list.understood()?;
    if list.entries.is_empty() {
        return Err(HashListError::NoList);
    }
    Ok(list)
}

/// Whose word a piece of evidence is; what it is about is not asked.
fn who(document: &Document, trust: &Trust) -> Signed {
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
fn over_file(document: &Document, file: &Artifact, trust: &Trust) -> Signed {
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

/// A claim about files with these digests; in a list, a digest is about the file that its line names.
fn about_files(
    question: Question,
    claim: String,
    files: &[Descriptor],
    mut signed: Signed,
    artifacts: &[Artifact],
    by_name: bool,
) -> Assessment {
    let same = |artifact: &Artifact| -> Vec<&Descriptor> {
        let same = |file: &&Descriptor| file.matches(&artifact.digests) == DigestMatch::Same;
        files.iter().filter(same).collect()
    };
    let listed: Vec<_> = artifacts
        .iter()
        .map(|artifact| (artifact, same(artifact)))
        .filter(|(_, files)| !files.is_empty())
        .collect();
    let other_name = listed.iter().find_map(|(artifact, files)| {
        let in_folder = || by_name.then(|| names::in_folder(files, artifact)).flatten();
        names::differs(files, artifact).or_else(in_folder)
    });
    let covered = if by_name {
        let fits = |(artifact, files): &&(&Artifact, Vec<&Descriptor>)| {
            names::differs(files.as_slice(), artifact).is_none()
        };
        listed.iter().filter(fits).count()
    } else {
        listed.len()
    };
    if covered == 0
        && signed.standing == Standing::Verified
        && let Some(other) = &other_name
    {
        signed.standing = Standing::Elsewhere;
        signed.note = format!("{other}; {}", signed.note);
    }
    let subjects = names::labels(listed.iter().flat_map(|(_, files)| files.iter().copied()));
    named(
        bound(question, claim, signed, covered, artifacts.len()),
        subjects,
        other_name,
    )
}

/// The finding with what it calls the artifacts; another name stands in its meaning too, which plans and reports keep.
fn named(mut found: Assessment, subjects: Vec<String>, other_name: Option<String>) -> Assessment {
    if let Some(other) = &other_name
        && !found.claim.meaning.contains(other.as_str())
    {
        found.claim.meaning = format!("{other}; {}", found.claim.meaning);
    }
    Assessment {
        subjects,
        other_name,
        ..found
    }
}

/// A list of digests, whose lines must name the files.
fn assess_list(
    list: &HashList,
    mut signed: Signed,
    artifacts: &[Artifact],
    question: Question,
) -> Assessment {
    if let (Err(error), Standing::Verified) = (list.understood(), signed.standing) {
        signed.standing = Standing::Unchecked;
        signed.note = format!("{}, but nothing relies on it: {error}", signed.note);
    }
    let claim = format!("a list of {} digests", list.entries.len());
    // A `.narinfo` names a store path, and its file has no name of its own.
    about_files(
        question,
        claim,
        &list.entries,
        signed,
        artifacts,
        list.own.is_none(),
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
        subjects: Vec::new(),
        other_name: None,
        origin: String::new(),
    }
}

fn assess_bundle(bundle: &Unverified, artifacts: &[Artifact], trust: &Trust) -> Assessment {
    let (signed, content) = signature::verify_bundle(bundle, trust);
    match content {
        Some(Content::Envelope(envelope)) => {
            assess_envelope(&envelope, signed, artifacts, bundle.is_pep740())
        }
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

/// A text with a signature around it: a list of digests, such as `SHA256SUMS`, is about the files that it names. Any
/// other text may hold a digest for any reason, so it is no signature of the file.
fn openpgp_inline(text: &[u8], artifacts: &[Artifact], trust: &Trust) -> Assessment {
    let (mut signed, content) = signature::verify_inline(text, trust, "the signed text");
    match HashList::of_signed(&content) {
        Ok(list) => assess_list(&list, signed, artifacts, Question::Signature),
        Err(error) => {
            if signed.standing == Standing::Verified {
                signed.standing = Standing::Unchecked;
                signed.note = format!(
                    "{}, but the text is no list of digests: {error}; so it does not say that its signer released the file",
                    signed.note
                );
            }
            let claim = "an OpenPGP-signed text, which is not a signature of the file".to_owned();
            assessment(Question::Signature, claim, signed)
        }
    }
}

fn assess_envelope(
    envelope: &Envelope,
    signed: Signed,
    artifacts: &[Artifact],
    is_pep740: bool,
) -> Assessment {
    match Statement::from_envelope(envelope) {
        Ok(statement) => assess_statement(statement, signed, artifacts, is_pep740),
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

fn assess_statement(
    statement: Statement,
    mut signed: Signed,
    artifacts: &[Artifact],
    is_pep740: bool,
) -> Assessment {
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
    let mut assessment = bind_statement(question, claim, signed, &statement, artifacts, is_pep740);
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
        predicate::GITHUB_RELEASE => (Question::Signature, "it is part of a release on GitHub".into()),
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
    is_pep740: bool,
) -> Assessment {
    let covered: Vec<(&Artifact, Vec<&Descriptor>)> = artifacts
        .iter()
        .map(|artifact| (artifact, statement.subjects_with(&artifact.digests).collect()))
        .filter(|(_, subjects): &(_, Vec<_>)| !subjects.is_empty())
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
    let subjects = names::labels(covered.iter().flat_map(|(_, subjects)| subjects.iter().copied()));
    let is_file_name = is_pep740 || statement.predicate_type == predicate::PYPI_PUBLISH;
    let refused = covered.iter().find_map(|(artifact, subjects)| {
        names::other_package(subjects, artifact).or_else(|| {
            let other = is_file_name.then(|| names::other_distribution(subjects, artifact))?;
            other.map(|other| format!("{other}, and by PEP 740 that name is part of what was signed"))
        })
    });
    if let Some(note) = refused.as_ref().filter(|_| !signed.standing.is_against()) {
        let signed = Signed {
            standing: Standing::Elsewhere,
            note: note.clone(),
            ..signed
        };
        return named(assessment(question, claim, signed), subjects, refused);
    }
    let other_name = covered
        .iter()
        .find_map(|(artifact, subjects)| names::differs(subjects, artifact));
    let found = bound(question, claim, signed, covered.len(), artifacts.len());
    named(found, subjects, other_name)
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
        Some(text) => {
            let (signed, content) = signature::verify_inline(text, trust, "the .buildinfo");
            // What was read before is what counts only if it is what was signed.
            if info.is_of(&content) {
                signed
            } else {
                Signed::not(Standing::Refuted, "what was read is not what was signed")
            }
        }
        None => Signed::not(Standing::Unsigned, "nobody signed it"),
    };
    let files: Vec<Descriptor> = info
        .files
        .iter()
        .map(|(name, sha256, _)| Descriptor {
            name: Some(name.clone()),
            uri: None,
            digest: [("sha256".to_owned(), sha256.to_hex())].into(),
        })
        .collect();
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
    about_files(Question::Provenance, claim, &files, signed, artifacts, true)
}
