//! The claims of the archive and of the uploader about a package.

use std::path::Path;

use super::choose::Chosen;
use super::{Package, file_name};
use crate::apt::{AptError, Indexes, SourcePackage};
use crate::artifact::PinnedFile;
use crate::ecosystem::PlanError;
use crate::evidence::deb822;
use crate::evidence::openpgp::{self, Keyring};
use crate::evidence::{Claim, Question, Standing};
use crate::store::Blob;

/// Keyrings of Debian's developers, which this machine may have.
const DEVELOPER_KEYRINGS: [&str; 2] = [
    "/usr/share/keyrings/debian-keyring.gpg",
    "/usr/share/keyrings/debian-maintainers.gpg",
];

/// The .dsc of a source, and its other files.
pub(super) fn dsc_of<'a>(
    subject: &Package,
    source: &'a SourcePackage,
) -> Result<(&'a PinnedFile, &'a [PinnedFile]), PlanError> {
    let split = source.files.split_first();
    split.ok_or_else(|| subject.unreadable("the source package", "it has no .dsc"))
}

/// Checks that the .dsc lists exactly the files that the signed index lists, and assesses its own signature.
pub(super) fn check_dsc(subject: &Package, source: &SourcePackage, dsc: &Blob) -> Result<Claim, PlanError> {
    let (PinnedFile { name, .. }, others) = dsc_of(subject, source)?;
    let bytes = crate::bounded::read(&dsc.path, crate::bounded::DOCUMENT)
        .map_err(|error| subject.unreadable(name, &error.to_string()))?;
    let (text, issuers) =
        openpgp::read_unverified(name, &bytes).unwrap_or_else(|_| (bytes.clone(), Vec::new()));
    let paragraph = deb822::one_paragraph(name, &text).map_err(AptError::from)?;
    let listed = deb822::checksums(name, paragraph.get("Checksums-Sha256").unwrap_or_default())
        .map_err(AptError::from)?;
    for file in others {
        if !listed
            .iter()
            .any(|(other, sha256, size)| *other == file.name && *sha256 == file.sha256 && *size == file.size)
        {
            return Err(PlanError::Contradiction {
                subject: format!("{} {}", source.package, source.version),
                reason: format!("{name} and the signed Sources index disagree about {}", file.name),
            });
        }
    }
    let verified = DEVELOPER_KEYRINGS
        .iter()
        .filter(|path| Path::new(path).exists())
        .filter_map(|path| Keyring::read(Path::new(path)).ok())
        .find_map(|keyring| keyring.verify(name, &bytes).ok());
    let (by, standing, meaning) = match verified {
        Some(signed) => (
            Some(signed.signers.join(", ")),
            Standing::Verified,
            "a Debian developer signed this source; nothing about how the binary was built",
        ),
        None if issuers.is_empty() => (
            None,
            Standing::Missing,
            "the archive carries the source without its uploader's signature",
        ),
        None => (
            Some(issuers.join(", ")),
            Standing::Unverifiable,
            "no keyring of this machine has the uploader's key (the Debian package debian-keyring has it); the archive's own signature covers the source",
        ),
    };
    Ok(Claim {
        question: Question::Provenance,
        claim: format!("{name} is the source of {} {}", source.package, source.version),
        by,
        standing,
        meaning: meaning.into(),
        document: Some(dsc.sha256),
    })
}

pub(super) fn claims(indexes: &Indexes, chosen: &Chosen, dsc: Claim) -> Vec<Claim> {
    let release = indexes.release(chosen.named.release);
    let stale = release
        .valid_until
        .filter(|until| *until < jiff::Timestamp::now());
    let stale = stale
        .map(|until| format!("; the release file was valid until {until} and is stale"))
        .unwrap_or_default();
    vec![
        Claim {
            question: Question::Signature,
            claim: format!("the archive's suite {} of {} holds {}", release.suite, release.date, file_name(&chosen.named)),
            by: Some(release.signers.join(", ")),
            standing: Standing::Verified,
            meaning: format!(
                "the archive released these bytes, through InRelease, Packages and SHA-256; not that they come from the named source{stale}"
            ),
            document: Some(release.inrelease),
        },
        Claim {
            question: Question::Provenance,
            claim: format!("{} was built from the source {} {}", chosen.named.package, chosen.named.source, chosen.named.source_version),
            by: Some(release.signers.join(", ")),
            standing: Standing::Verified,
            meaning: "the signed index says so; no signed document records the toolchain, so current versions are used".into(),
            document: Some(release.inrelease),
        },
        dsc,
    ]
}
