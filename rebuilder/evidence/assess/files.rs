//! Evidence that names files, or that is over the bytes of one: lists, build records, links and detached signatures.

use super::names;
use super::signature::{self, not_what_was_signed, unsigned};
use crate::evidence::assessment::{Artifact, Assessment};
use crate::evidence::blob_signature::Certificate;
use crate::evidence::buildinfo::BuildInfo;
use crate::evidence::hash_list::HashList;
use crate::evidence::statement::{Descriptor, DigestMatch};
use crate::evidence::trust::Trust;
use crate::evidence::{Proof, Question, Standing, Unproven};
use crate::text::plural;

/// Assesses a claim about files with these digests; in a list, a digest is about the file that its line names.
pub(super) fn about_files(
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

/// Assesses a list of digests, whose lines must name the files.
pub(super) fn assess_list(
    list: &HashList,
    proof: Proof,
    artifacts: &[Artifact],
    question: Question,
) -> Assessment {
    let claim = format!("a list of {}", plural(list.entries.len(), "digest"));
    // A `.narinfo` names a store path; its file has no name.
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

/// Assesses a signature over a file's bytes: it is about exactly those artifacts that it verifies for.
pub(super) fn over_bytes(
    kind: &str,
    artifacts: &[Artifact],
    verify: impl Fn(&Artifact) -> Proof,
) -> Assessment {
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

/// Assesses a certificate without its signature.
pub(super) fn signs_nothing(certificate: &Certificate) -> Assessment {
    let claim = format!("a certificate for {}", certificate.name());
    let note = "it signs nothing by itself; give the signature that belongs to it as well";
    Assessment::new(Question::Other, claim, Err(Unproven::Unverifiable(note.into())))
}

/// Assesses a text with a signature around it. A list of digests, such as `SHA256SUMS`, is about the files that it
/// names. Any other text may mention a digest for any reason, so it is not a signature of the file.
pub(super) fn openpgp_inline(text: &[u8], artifacts: &[Artifact], trust: &Trust) -> Assessment {
    let (proof, content) = signature::verify_inline(text, trust, "the signed text");
    let error = match HashList::of_signed(&content) {
        Ok(list) => return assess_list(&list, proof, artifacts, Question::Signature),
        Err(error) => error,
    };
    let claim = "an OpenPGP-signed text, which is not a signature of the file".to_owned();
    let proof = proof.and_then(|signature| {
        let note = format!(
            "{}, but the text is not a list of digests, so it does not show that its signer released the file: {error}",
            signature.note
        );
        Err(Unproven::NotUnderstood { signature, note })
    });
    Assessment::new(Question::Signature, claim, proof)
}

pub(super) fn assess_buildinfo(info: &BuildInfo, artifacts: &[Artifact], trust: &Trust) -> Assessment {
    let mut proof = match &info.inline {
        Some(text) => {
            let (proof, content) = signature::verify_inline(text, trust, "the .buildinfo");
            // The record that was read first counts only if it is the text that was signed.
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
        "built from the Debian source {} {} with {} installed",
        info.source,
        info.version,
        plural(info.installed.len(), "package")
    );
    if covered == 0 && !artifacts.is_empty() && matches!(proof, Err(Unproven::Unsigned(_))) {
        proof = Err(Unproven::SubjectMismatch("it is about other files".into()));
    }
    about_files(Question::Provenance, claim, &files, proof, artifacts, true)
}
