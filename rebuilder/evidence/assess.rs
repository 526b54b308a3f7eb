//! Judging one piece of evidence against the artifacts at hand: is it well signed, by whom, and is it about them?
//!
//! The three answers are kept apart. A good signature on other bytes, on another name, or on some of the outputs
//! only is a standing of its own, and what cannot be checked is never taken for good.

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use std::str::FromStr as _;

use jiff::Timestamp;
use packageurl::PackageUrl;
use serde::Serialize;

use super::document::{Document, Kind};
use super::dsse::Envelope;
use super::sigstore::{Content, Identity, SigstoreSignature, Unverified};
use super::slsa::Provenance;
use super::statement::{DigestMatch, Statement, predicate};
use super::trust::{KeyMaterial, PublicKey, Trust, TrustedKey};
use super::{Claim, Question, Standing, custody, npm, openpgp};
use crate::artifact::Digests;

/// Most bytes of an artifact that are read into memory, for signatures that cannot be checked in a stream.
const MEMORY_LIMIT: u64 = 512 << 20;

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
    /// The key, for the others.
    pub fingerprints: Vec<String>,
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

/// A signature that was found good, or the reason why there is none.
struct Signed {
    standing: Standing,
    signer: Option<Signer>,
    when: Option<Timestamp>,
    /// Why it does not hold, or how far it goes.
    note: String,
}

impl Signed {
    fn not(standing: Standing, note: impl Into<String>) -> Self {
        Self {
            standing,
            signer: None,
            when: None,
            note: note.into(),
        }
    }

    fn by(signer: Signer, when: Option<Timestamp>, note: impl Into<String>) -> Self {
        Self {
            standing: Standing::Verified,
            signer: Some(signer),
            when,
            note: note.into(),
        }
    }
}

/// Judges one piece of evidence.
pub fn assess(document: &Document, artifacts: &[Artifact], trust: &Trust) -> Assessment {
    let mut assessment = match &document.kind {
        Kind::Bundle(bundle) => assess_bundle(bundle, artifacts, trust),
        Kind::Envelope(envelope) => {
            let signed = verify_envelope(envelope, trust);
            assess_envelope(envelope, signed, artifacts)
        }
        Kind::Statement(statement) => {
            let signed = Signed::not(Standing::Unsigned, "nobody signed it");
            assess_statement(statement.clone(), signed, artifacts)
        }
        Kind::OpenPgpDetached(signature) => over_bytes("OpenPGP", artifacts, |artifact| {
            openpgp_detached(signature, artifact, trust)
        }),
        Kind::OpenPgpInline(text) => openpgp_inline(text, artifacts, trust),
        Kind::Minisign(signature) => over_bytes("minisign", artifacts, |artifact| {
            minisign(signature, artifact, trust)
        }),
        Kind::Ssh(signature) => over_bytes("SSH", artifacts, |artifact| ssh(signature, artifact, trust)),
        Kind::BuildInfo(info) => assess_buildinfo(info, artifacts, trust),
    };
    assessment.claim.document = Some(document.digest);
    assessment.origin.clone_from(&document.origin);
    assessment
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

// Signatures

fn assess_bundle(bundle: &Unverified, artifacts: &[Artifact], trust: &Trust) -> Assessment {
    let (signed, content) = verify_bundle(bundle, trust);
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

fn verify_bundle(bundle: &Unverified, trust: &Trust) -> (Signed, Option<Content>) {
    let Some(hint) = bundle.key_hint() else {
        return match trust.sigstore.verify(bundle, None) {
            Ok(signature) => {
                let SigstoreSignature {
                    identity,
                    times,
                    content,
                    ..
                } = signature.into_inner();
                let identity = identity.unwrap_or_else(|| Identity::named("(no name in the certificate)"));
                (keyless(identity, times.first().copied(), trust), Some(content))
            }
            Err(error) => (refuted(&error), None),
        };
    };
    let registry = npm::registry_keys();
    let known = registry.iter().chain(&trust.keys);
    let plain: Vec<(&TrustedKey, &PublicKey)> = known
        .filter_map(|key| match &key.material {
            KeyMaterial::Plain(plain) => Some((key, plain)),
            _ => None,
        })
        .collect();
    // A hint names no key for sure, so where it fits none, each is tried.
    let mut candidates: Vec<_> = plain.iter().filter(|(_, key)| key.is_called(hint)).collect();
    if candidates.is_empty() {
        candidates = plain
            .iter()
            .filter(|(key, _)| key.name != registry[0].name)
            .collect();
    }
    if candidates.is_empty() {
        let note = format!("it was signed with the key {hint:?}, which is not known here");
        return (Signed::not(Standing::Unchecked, note), bundle.content().ok());
    }
    if !bundle.is_logged() {
        return match bundle.content() {
            Ok(Content::Envelope(envelope)) => {
                let keys: Vec<_> = candidates.iter().map(|(key, plain)| (*key, *plain)).collect();
                let signed = verify_with(&envelope, &keys, 1);
                (signed, Some(Content::Envelope(envelope)))
            }
            Ok(content) => (
                Signed::not(Standing::Refuted, "no transparency log vouches for it"),
                Some(content),
            ),
            Err(error) => (refuted(&error), None),
        };
    }
    let mut last = None;
    for (key, plain) in candidates {
        match trust.sigstore.verify(bundle, Some(plain)) {
            Ok(signature) => {
                let signature = signature.into_inner();
                let when = signature.times.first().copied();
                let signed = within_window(
                    key,
                    &plain.fingerprint().to_hex(),
                    when,
                    "a transparency log has seen it",
                );
                return (signed, Some(signature.content));
            }
            Err(error) => last = Some(error),
        }
    }
    let note = last.map_or_else(String::new, |error| error.to_string());
    (Signed::not(Standing::Refuted, note), bundle.content().ok())
}

fn refuted(error: &dyn std::fmt::Display) -> Signed {
    Signed::not(Standing::Refuted, error.to_string())
}

fn keyless(identity: Identity, when: Option<Timestamp>, trust: &Trust) -> Signed {
    let name = identity.to_string();
    if !trust.identities.is_empty() && !trust.identities.iter().any(|wanted| wanted.fits(&identity)) {
        let wanted: Vec<_> = trust.identities.iter().map(ToString::to_string).collect();
        return Signed::not(
            Standing::Refuted,
            format!(
                "the signature is good, but by {name}, where {} was expected",
                wanted.join(" or ")
            ),
        );
    }
    let note = if trust.identities.is_empty() {
        "certificate, log and time are good; nothing said beforehand who should have signed"
    } else {
        "certificate, log and time are good, and it is who was expected"
    };
    let signer = Signer {
        name,
        identity: Some(identity),
        fingerprints: Vec::new(),
    };
    Signed::by(signer, when, note)
}

/// A good signature of `key`, which counts only for so long.
fn within_window(key: &TrustedKey, fingerprint: &str, when: Option<Timestamp>, note: &str) -> Signed {
    let moment = when.unwrap_or_else(Timestamp::now);
    if let Some(reason) = key.refusal(moment) {
        let reason = match when {
            Some(_) => reason,
            None => format!("{reason}, and nothing shows that the signature is older"),
        };
        return Signed::not(Standing::Refuted, reason);
    }
    let signer = Signer {
        name: key.name.clone(),
        identity: None,
        fingerprints: vec![format!("sha256:{fingerprint}")],
    };
    Signed::by(signer, when, note)
}

fn verify_envelope(envelope: &Envelope, trust: &Trust) -> Signed {
    let keys = trust.plain_keys();
    if keys.is_empty() {
        let names: Vec<_> = envelope
            .signatures
            .iter()
            .map(|(keyid, _)| format!("{keyid:?}"))
            .collect();
        let note = format!(
            "it was signed with plain keys ({}), and none was named to check them with",
            if names.is_empty() {
                "none at all".to_owned()
            } else {
                names.join(", ")
            }
        );
        return Signed::not(Standing::Unchecked, note);
    }
    verify_with(envelope, &keys, trust.threshold)
}

fn verify_with(envelope: &Envelope, keys: &[(&TrustedKey, &PublicKey)], threshold: usize) -> Signed {
    let now = Timestamp::now();
    let alive: Vec<_> = keys
        .iter()
        .filter(|(key, _)| key.refusal(now).is_none())
        .collect();
    let plain: Vec<_> = alive.iter().map(|(_, plain)| *plain).collect();
    match envelope.clone().verify(&plain, threshold) {
        Ok(signed) => {
            let names: Vec<_> = signed
                .signers
                .iter()
                .map(|at| alive[*at].0.name.clone())
                .collect();
            let signer = Signer {
                name: names.join(", "),
                identity: None,
                fingerprints: signed
                    .signers
                    .iter()
                    .map(|at| format!("sha256:{}", plain[*at].fingerprint()))
                    .collect(),
            };
            Signed::by(
                signer,
                None,
                "the signature is good; no log or timestamp shows when it was made",
            )
        }
        Err(error) => {
            let expired: Vec<_> = keys.iter().filter_map(|(key, _)| key.refusal(now)).collect();
            let expired = if expired.is_empty() {
                String::new()
            } else {
                format!("; {}", expired.join("; "))
            };
            Signed::not(Standing::Refuted, format!("{error}{expired}"))
        }
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

fn open(artifact: &Artifact) -> Result<File, Signed> {
    let path = artifact.path.as_ref().ok_or_else(|| {
        Signed::not(
            Standing::Unchecked,
            "the artifact's bytes are not here to check it over",
        )
    })?;
    File::open(path)
        .map_err(|error| Signed::not(Standing::Unchecked, format!("cannot read the artifact: {error}")))
}

fn in_memory(artifact: &Artifact) -> Result<Vec<u8>, Signed> {
    let mut bytes = Vec::new();
    open(artifact)?
        .take(MEMORY_LIMIT + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Signed::not(Standing::Unchecked, format!("cannot read the artifact: {error}")))?;
    if bytes.len() as u64 > MEMORY_LIMIT {
        let note = "the artifact is too large for a signature that must be checked over it whole";
        return Err(Signed::not(Standing::Unchecked, note));
    }
    Ok(bytes)
}

fn good_key(key: &TrustedKey, note: String) -> Signed {
    if let Some(reason) = key.refusal(Timestamp::now()) {
        return Signed::not(Standing::Refuted, reason);
    }
    let signer = Signer {
        name: key.name.clone(),
        identity: None,
        fingerprints: key.fingerprints(),
    };
    Signed::by(signer, None, note)
}

fn openpgp_detached(signature: &[u8], artifact: &Artifact, trust: &Trust) -> Signed {
    let mut reasons = Vec::new();
    for key in &trust.keys {
        let KeyMaterial::OpenPgp(keyring) = &key.material else {
            continue;
        };
        let file = match open(artifact) {
            Ok(file) => file,
            Err(signed) => return signed,
        };
        match keyring.verify_detached(&artifact.name, signature, file) {
            Ok(signers) => return good_key(key, format!("the signature is good, by {}", signers.join(", "))),
            Err(error) => reasons.push(error.to_string()),
        }
    }
    if reasons.is_empty() {
        return match openpgp::issuers(&artifact.name, signature) {
            Ok(issuers) => Signed::not(
                Standing::Unchecked,
                format!("it names the key {}, which is not known here", issuers.join(", ")),
            ),
            Err(error) => refuted(&error),
        };
    }
    Signed::not(Standing::Refuted, reasons.join("; "))
}

/// A signed list of digests, such as `SHA256SUMS`: it is about the artifacts that it lists.
fn openpgp_inline(text: &[u8], artifacts: &[Artifact], trust: &Trust) -> Assessment {
    let (signed, content) = verify_inline(text, trust, "the signed text");
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

/// Verifies an inline-signed text with the trusted certificates; second, the text, even where nobody vouches for it.
fn verify_inline(text: &[u8], trust: &Trust, what: &str) -> (Signed, Vec<u8>) {
    let mut reasons = Vec::new();
    for key in &trust.keys {
        if let KeyMaterial::OpenPgp(keyring) = &key.material {
            match keyring.verify(what, text) {
                Ok(signed) => {
                    let note = format!("the signature is good, by {}", signed.signers.join(", "));
                    return (good_key(key, note), signed.into_inner().text);
                }
                Err(error) => reasons.push(error.to_string()),
            }
        }
    }
    match openpgp::read_unverified(what, text) {
        Err(error) => (refuted(&error), Vec::new()),
        Ok((content, issuers)) if reasons.is_empty() => {
            let note = format!("it names the key {}, which is not known here", issuers.join(", "));
            (Signed::not(Standing::Unchecked, note), content)
        }
        Ok((content, _)) => (Signed::not(Standing::Refuted, reasons.join("; ")), content),
    }
}

fn minisign(signature: &minisign_verify::Signature, artifact: &Artifact, trust: &Trust) -> Signed {
    let keys = trust.keys.iter().filter_map(|key| match &key.material {
        KeyMaterial::Minisign(public, _) => Some((key, public)),
        _ => None,
    });
    let mut result = Signed::not(Standing::Unchecked, "no minisign key was named to check it with");
    for (key, public) in keys {
        match minisign_with(public, signature, artifact) {
            Ok(()) => {
                let comment: String = signature
                    .trusted_comment()
                    .chars()
                    .filter(|c| !c.is_control())
                    .collect();
                return good_key(
                    key,
                    format!("the signature is good; its signed comment: {comment}"),
                );
            }
            Err(signed) => result = signed,
        }
    }
    result
}

fn minisign_with(
    public: &minisign_verify::PublicKey,
    signature: &minisign_verify::Signature,
    artifact: &Artifact,
) -> Result<(), Signed> {
    let bad = |error: minisign_verify::Error| Signed::not(Standing::Refuted, format!("minisign: {error}"));
    if let Ok(mut verifier) = public.verify_stream(signature) {
        let mut file = open(artifact)?;
        let mut buffer = vec![0; 1 << 16];
        loop {
            match file.read(&mut buffer) {
                Ok(0) => return verifier.finalize().map_err(bad),
                Ok(count) => verifier.update(&buffer[..count]),
                Err(error) => {
                    return Err(Signed::not(
                        Standing::Unchecked,
                        format!("cannot read the artifact: {error}"),
                    ));
                }
            }
        }
    }
    // The older form is over the bytes themselves, which takes them whole.
    public.verify(&in_memory(artifact)?, signature, true).map_err(bad)
}

fn ssh(signature: &ssh_key::SshSig, artifact: &Artifact, trust: &Trust) -> Signed {
    // Signatures made for other purposes (git commits, e-mail) must not pass for releases.
    if signature.namespace() != "file" {
        return Signed::not(
            Standing::Refuted,
            format!(
                "it was made for the purpose {:?}, not for a file",
                signature.namespace()
            ),
        );
    }
    let keys = trust.keys.iter().filter_map(|key| match &key.material {
        KeyMaterial::Ssh(public) => Some((key, public)),
        _ => None,
    });
    let bytes = match in_memory(artifact) {
        Ok(bytes) => bytes,
        Err(signed) => return signed,
    };
    let own = ssh_key::PublicKey::new(signature.public_key().clone(), "");
    let own = own.fingerprint(ssh_key::HashAlg::Sha256);
    let mut result = Signed::not(
        Standing::Unchecked,
        format!("it was made with the key {own}, which is not known here"),
    );
    for (key, public) in keys {
        match public.verify("file", &bytes, signature) {
            Ok(()) => return good_key(key, "the signature is good".to_owned()),
            Err(error) => {
                result = Signed::not(
                    Standing::Refuted,
                    format!("SSH: {error} (it was made with {own})"),
                );
            }
        }
    }
    result
}

// Statements

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
        let named: Vec<_> = statement
            .subject
            .iter()
            .take(3)
            .map(super::statement::Descriptor::label)
            .collect();
        let comparable = artifacts.iter().any(|artifact| {
            let other = |subject: &super::statement::Descriptor| {
                subject.matches(&artifact.digests) == DigestMatch::Other
            };
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
        Some(text) => verify_inline(text, trust, "the .buildinfo").0,
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
