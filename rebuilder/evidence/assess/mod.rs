//! Judging one piece of evidence against the artifacts at hand: is it well signed, by whom, and is it about them?
//!
//! The three answers are kept apart. A good signature on other bytes, on another name, or on some of the outputs
//! only is a standing of its own, and what cannot be checked is never taken for good.

mod names;
mod signature;
mod standing;

use std::str::FromStr as _;

pub use super::Signer;
pub use super::assessment::{Artifact, Assessment};
use super::document::{Document, Kind};
use super::dsse::Envelope;
use super::hash_list::{HashList, HashListError};
use super::link::Link;
use super::sigstore::{Content, Unverified};
use super::slsa::Provenance;
use super::statement::{Descriptor, DigestMatch, Statement, predicate};
use super::trust::Trust;
use super::{Proof, Question, Signature, Standing, Unproven, Verified, custody, openpgp};
use crate::artifact::Digests;
use crate::evidence::json::member;

impl Assessment {
    /// Whether nothing was found yet that takes away from a good signature.
    fn is_verified(&self) -> bool {
        self.claim.standing == Standing::Verified
    }

    /// A claim that is worth less than its signature; the reason comes first in its meaning.
    fn lower(&mut self, standing: Standing, reason: &str) {
        self.claim.standing = standing;
        self.claim.meaning = format!("{reason}; {}", self.claim.meaning);
    }

    /// A verified claim is worth less if it covers only some of the artifacts, or none.
    fn cover(&mut self, covered: usize, all: usize) {
        if !self.is_verified() || all == 0 {
            return;
        }
        if covered == 0 {
            self.lower(Standing::SubjectMismatch, "it is about other bytes");
        } else if covered < all {
            let reason = format!("it covers {covered} of {all} artifacts");
            self.lower(Standing::Partial, &reason);
        }
    }

    /// What it calls the artifacts; another name is told in its meaning too, which plans and reports keep.
    fn name<'a>(&mut self, subjects: impl Iterator<Item = &'a Descriptor>, other_name: Option<String>) {
        self.subjects = names::labels(subjects);
        if let Some(other) = &other_name
            && !self.claim.meaning.contains(other.as_str())
        {
            self.claim.meaning = format!("{other}; {}", self.claim.meaning);
        }
        self.other_name = other_name;
    }
}

/// Judges one piece of evidence.
pub fn assess(document: &Document, artifacts: &[Artifact], trust: &Trust) -> Assessment {
    let mut assessment = match &document.kind {
        Kind::Bundle(bundle) => assess_bundle(bundle, artifacts, trust),
        Kind::KeyBundle { hint, envelope } => {
            let proof = signature::verify_key_bundle(hint, envelope, trust);
            assess_envelope(envelope, proof, artifacts, false)
        }
        Kind::Envelope(envelope) => {
            let proof = signature::verify_envelope(envelope, trust);
            assess_envelope(envelope, proof, artifacts, false)
        }
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
        Kind::Link(link) => {
            let claim = format!("an in-toto link of the step {:?}", link.name);
            let proof = verify_signature(document, trust);
            about_files(Question::Other, claim, &link.subjects(), proof, artifacts, false)
        }
        Kind::HashList(list) => assess_list(
            list,
            verify_signature(document, trust),
            artifacts,
            Question::Other,
        ),
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

fn unsigned() -> Unproven {
    Unproven::Unsigned("nobody signed it".to_owned())
}

fn not_what_was_signed() -> Unproven {
    Unproven::Invalid("what was read is not what was signed".to_owned())
}

/// What a piece of evidence states, and the good signature over exactly that.
pub struct SignedPayload<'a> {
    /// What is stated.
    pub stated: &'a Stated,
    /// Whose word it is.
    pub signature: Signature,
}

/// What the verification of a payload's signature comes to.
pub type PayloadProof<'a> = Result<Verified<SignedPayload<'a>>, Unproven>;

/// What a piece of evidence states, tied to the document that it was read from: whoever is asked whose word it is can
/// only be asked about this reading.
pub struct Payload<'a> {
    document: &'a Document,
    stated: Stated,
}

/// Reads what a piece of evidence states; believes nothing.
pub fn payload(document: &Document) -> Payload<'_> {
    Payload {
        document,
        stated: read(document),
    }
}

impl Payload<'_> {
    /// What is stated, whoever's word it is: to look at, not to act on.
    pub fn unverified(&self) -> &Stated {
        &self.stated
    }

    /// Whether its form says that the subject's name is the file's (PEP 740).
    pub fn names_the_file(&self) -> bool {
        matches!(&self.document.kind, Kind::Bundle(bundle) if bundle.is_pep740())
    }

    /// Verifies the signature over exactly what is stated; its signer must have been named beforehand.
    pub fn verify_signature(&self, trust: &Trust) -> PayloadProof<'_> {
        let signed = self.verify_any_signer(trust)?;
        if signed.signature.signer.named {
            Ok(signed)
        } else {
            Err(standing::unnamed(Verified(signed.0.signature)))
        }
    }

    /// The same, whoever signed: for callers that look the signer up among the parties that they know.
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
        self.signed_by(proof?)
    }

    /// The same for a list with a detached signature; `file` is the list itself, as it lies on the disk.
    pub fn verify_detached(&self, signature: &Document, file: &Artifact, trust: &Trust) -> PayloadProof<'_> {
        // What was read must be what the signature is over.
        if file.digests.sha256 != self.document.digest {
            return Err(not_what_was_signed());
        }
        self.signed_by(over_file(signature, file, trust)?)
    }

    fn signed_by(&self, signature: Verified<Signature>) -> PayloadProof<'_> {
        Ok(Verified(SignedPayload {
            stated: &self.stated,
            signature: signature.0,
        }))
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
    let payload = payload(document);
    let signed = payload.verify_any_signer(trust).ok()?;
    let Stated::Statement(statement) = signed.stated else {
        return None;
    };
    let identity = signed.signature.signer.identity.as_ref()?;
    standing::is_of_own_repository(identity, statement).then(|| Verified((**statement).clone()))
}

/// The statement in a document, if a signature over it is good; what it is about is not asked.
fn statement(document: &Document, trust: &Trust) -> Option<Verified<Statement>> {
    match payload(document).verify_signature(trust).ok()?.stated {
        Stated::Statement(statement) => Some(Verified((**statement).clone())),
        _ => None,
    }
}

/// Reads what a piece of evidence states; believes nothing.
fn read(document: &Document) -> Stated {
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
fn verify_signature(document: &Document, trust: &Trust) -> Proof {
    match &document.kind {
        Kind::Bundle(bundle) => signature::verify_bundle(bundle, trust).0,
        Kind::KeyBundle { hint, envelope } => signature::verify_key_bundle(hint, envelope, trust),
        Kind::Envelope(envelope) => signature::verify_envelope(envelope, trust),
        Kind::Link(link) => signature::verify_message(&link.signed, &link.signatures, trust),
        Kind::HashList(list) => match &list.own {
            Some((message, signatures)) => signature::verify_message(message, signatures, trust),
            None => Err(unsigned()),
        },
        Kind::OpenPgpInline(text) => signature::verify_inline(text, trust, "the signed text").0,
        Kind::Statement(_) => Err(unsigned()),
        _ => Err(Unproven::Unverifiable(
            "it is a signature over a file's bytes".into(),
        )),
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
fn over_file(document: &Document, file: &Artifact, trust: &Trust) -> Proof {
    match &document.kind {
        Kind::OpenPgpDetached(bytes) => signature::openpgp_detached(bytes, file, trust),
        Kind::Minisign(signed) => signature::minisign(signed, file, trust),
        Kind::Ssh(signed) => signature::ssh(signed, file, trust),
        _ => Err(Unproven::Unverifiable(
            "what lies beside it is no detached signature".into(),
        )),
    }
}

/// A claim about files with these digests; in a list, a digest is about the file that its line names.
fn about_files(
    question: Question,
    claim: String,
    files: &[Descriptor],
    proof: Proof,
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
    let mut found = Assessment::new(question, claim, proof);
    if let Some(other) = other_name
        .as_ref()
        .filter(|_| covered == 0 && found.is_verified())
    {
        found.lower(Standing::SubjectMismatch, other);
    }
    found.cover(covered, artifacts.len());
    found.name(
        listed.iter().flat_map(|(_, files)| files.iter().copied()),
        other_name,
    );
    found
}

/// A list of digests, whose lines must name the files.
fn assess_list(list: &HashList, proof: Proof, artifacts: &[Artifact], question: Question) -> Assessment {
    let claim = format!("a list of {} digests", list.entries.len());
    // A `.narinfo` names a store path, and its file has no name of its own.
    let by_name = list.own.is_none();
    let proof = match (list.understood(), proof) {
        (Err(error), Ok(signature)) => {
            let note = format!("{}, but nothing relies on it: {error}", signature.note);
            Err(Unproven::NotUnderstood { signature, note })
        }
        (_, proof) => proof,
    };
    about_files(question, claim, &list.entries, proof, artifacts, by_name)
}

fn assess_bundle(bundle: &Unverified, artifacts: &[Artifact], trust: &Trust) -> Assessment {
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

/// Judges a signature that is over a file's bytes: it is about exactly the artifacts that it verifies for.
fn over_bytes(kind: &str, artifacts: &[Artifact], verify: impl Fn(&Artifact) -> Proof) -> Assessment {
    let claim = format!("{kind} signature over the file's bytes");
    let proofs: Vec<_> = artifacts.iter().map(&verify).collect();
    let good = proofs.iter().filter(|proof| proof.is_ok()).count();
    let standing = |proof: &Proof| match proof {
        Ok(_) => Standing::Verified,
        Err(unproven) => unproven.standing(),
    };
    let telling = proofs
        .into_iter()
        .min_by_key(standing)
        .unwrap_or_else(|| Err(Unproven::Unverifiable("no artifact was given".into())));
    let mut found = Assessment::new(Question::Signature, claim, telling);
    found.cover(good, artifacts.len());
    found
}

/// A text with a signature around it: a list of digests, such as `SHA256SUMS`, is about the files that it names. Any
/// other text may hold a digest for any reason, so it is no signature of the file.
fn openpgp_inline(text: &[u8], artifacts: &[Artifact], trust: &Trust) -> Assessment {
    let (proof, content) = signature::verify_inline(text, trust, "the signed text");
    let error = match HashList::of_signed(&content) {
        Ok(list) => return assess_list(&list, proof, artifacts, Question::Signature),
        Err(error) => error,
    };
    let claim = "an OpenPGP-signed text, which is not a signature of the file".to_owned();
    let proof = proof.and_then(|signature| {
        let note = format!(
            "{}, but the text is no list of digests: {error}; so it does not say that its signer released the file",
            signature.note
        );
        Err(Unproven::NotUnderstood { signature, note })
    });
    Assessment::new(Question::Signature, claim, proof)
}

fn assess_envelope(envelope: &Envelope, proof: Proof, artifacts: &[Artifact], is_pep740: bool) -> Assessment {
    match Statement::from_envelope(envelope) {
        Ok(statement) => assess_statement(statement, proof, artifacts, is_pep740),
        Err(error) => Assessment::new(
            Question::Provenance,
            format!("an envelope of type {:?}", envelope.payload_type),
            Err(Unproven::Invalid(format!(
                "what was signed cannot be used: {error}"
            ))),
        ),
    }
}

fn assess_statement(
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
            let note = format!("the provenance cannot be used: {error}");
            proof = Err(Unproven::Invalid(note));
        }
        None => {}
    }
    if !is_known(&kind) {
        proof = proof.and_then(|signature| {
            let note = "the signature is good; what a predicate of this type means is not known here, so nothing relies on it".into();
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

/// The signature, if its certificate does not contradict the provenance that it is over.
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
    let refused = covered.iter().find_map(|(artifact, subjects)| {
        names::other_package(subjects, artifact).or_else(|| {
            let other = is_file_name.then(|| names::other_distribution(subjects, artifact))?;
            other.map(|other| format!("{other}, and by PEP 740 that name is part of what was signed"))
        })
    });
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
}

/// What a statement is worth in which no subject has the digests of an artifact, and why.
fn other_bytes(statement: &Statement, artifacts: &[Artifact]) -> (Standing, String) {
    let comparable = artifacts.iter().any(|artifact| {
        let other = |subject: &Descriptor| subject.matches(&artifact.digests) == DigestMatch::Other;
        statement.subject.iter().any(other)
    });
    if comparable {
        let named: Vec<_> = statement.subject.iter().take(3).map(Descriptor::label).collect();
        let note = format!("it is about other bytes ({})", named.join(", "));
        (Standing::SubjectMismatch, note)
    } else {
        let note = "its digests are of kinds that cannot be compared here";
        (Standing::Unverifiable, note.to_owned())
    }
}

fn assess_buildinfo(info: &super::buildinfo::BuildInfo, artifacts: &[Artifact], trust: &Trust) -> Assessment {
    let mut proof = match &info.inline {
        Some(text) => {
            let (proof, content) = signature::verify_inline(text, trust, "the .buildinfo");
            // What was read before is what counts only if it is what was signed.
            if info.is_of(&content) {
                proof
            } else {
                Err(not_what_was_signed())
            }
        }
        None => Err(unsigned()),
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
    if covered == 0 && !artifacts.is_empty() && matches!(proof, Err(Unproven::Unsigned(_))) {
        proof = Err(Unproven::SubjectMismatch("it is about other files".into()));
    }
    about_files(Question::Provenance, claim, &files, proof, artifacts, true)
}
