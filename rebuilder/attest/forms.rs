//! The forms of signed documents: those that are signed in addition to our own statement, and their files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::link::{self, UnsignedLink};
use super::{AttestError, KeyError, Signer, SignerInfo, VerifiedRun, key, oss_rebuild, result};
use crate::artifact::Sha256;
use crate::artifact::serialise;
use crate::evidence::dsse::Envelope;
use crate::evidence::json::{SIZE_LIMIT, member};
use crate::run::RunFolder;
use crate::store::write_atomically;

/// The forms in which a signed statement is written; the signature in both is the same.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// A Sigstore bundle (v0.3).
    #[default]
    Bundle,
    /// Only a DSSE envelope, in one line.
    Dsse,
    /// Both, next to each other.
    Both,
}

impl Format {
    /// Refuses a signer whose signatures have no such form, before anything is signed.
    pub fn check(self, signer: &dyn Signer) -> Result<(), AttestError> {
        if self == Self::Bundle || signer.public().is_some() {
            return Ok(());
        }
        Err(no_envelope())
    }
}

fn no_envelope() -> AttestError {
    AttestError::NoForm {
        form: "a plain DSSE envelope",
        reason: "only the bundle of a keyless signature has its certificate".into(),
    }
}

/// Documents that are signed on request, in addition to our own statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Extra {
    /// An in-toto link for each released file, as rebuilderd signs them.
    #[serde(rename = "link")]
    Link,
    /// The result in the predicate that `docs/rebuild-predicate.md` proposes.
    #[serde(rename = "rebuild/v0.1")]
    Rebuild,
    /// OSS Rebuild's two statements for each released file.
    #[serde(rename = "oss-rebuild")]
    OssRebuild,
}

/// The documents that are requested in addition to the statement.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    pub extras: BTreeSet<Extra>,
    /// Whether forms that cannot express the result are left out, rather than that nothing is signed.
    pub only_fitting: bool,
}

/// What was signed on request.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Extras {
    /// The result of the rebuild as a bundle.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
    /// A link for each released file, by its name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub links: BTreeMap<String, Value>,
    /// Bundles of OSS Rebuild's statements about each released file, by its name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub oss_rebuild: BTreeMap<String, Vec<Value>>,
    /// Requested forms that cannot express the result, with the reasons.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<String>,
}

/// Everything on request that is to be signed.
#[derive(Default)]
pub(super) struct Unsigned {
    result: Option<Vec<u8>>,
    links: BTreeMap<String, UnsignedLink>,
    oss_rebuild: BTreeMap<String, Vec<Vec<u8>>>,
    left_out: Vec<String>,
}

impl Unsigned {
    /// All requested documents. If only fitting ones are requested, the others are left out with the reason.
    pub(super) fn of(
        verified: &VerifiedRun,
        info: &SignerInfo,
        wanted: &Wanted,
        signer: &dyn Signer,
    ) -> Result<Self, AttestError> {
        let mut all = Self::default();
        for extra in &wanted.extras {
            match all.add(*extra, verified, info, signer) {
                Err(error @ (AttestError::NoForm { .. } | AttestError::Key(KeyError::NotEd25519 { .. })))
                    if wanted.only_fitting =>
                {
                    all.left_out.push(error.to_string());
                }
                done => done?,
            }
        }
        Ok(all)
    }

    fn add(
        &mut self,
        extra: Extra,
        verified: &VerifiedRun,
        info: &SignerInfo,
        signer: &dyn Signer,
    ) -> Result<(), AttestError> {
        match extra {
            Extra::Link => {
                link::public(signer)?;
                self.links = link::links(verified, info)?;
            }
            Extra::Rebuild => {
                let statement = result::result(verified, info)?;
                self.result = Some(serialise::compact("the result", &statement)?);
            }
            Extra::OssRebuild => {
                Format::Dsse.check(signer)?;
                for (name, pair) in oss_rebuild::statements(verified, info)? {
                    let pair = pair.iter().map(|it| serialise::compact("the statement", it));
                    self.oss_rebuild.insert(name, pair.collect::<Result<_, _>>()?);
                }
            }
        }
        Ok(())
    }

    /// The digest of each thing that is signed, by a name for the log.
    pub(super) fn digests(&self) -> BTreeMap<String, Sha256> {
        let result = self.result.iter();
        let result = result.map(|bytes| ("rebuild/v0.1".to_owned(), Sha256::of(bytes)));
        let links = self.links.iter();
        let links = links.map(|(name, link)| (format!("link {name}"), Sha256::of(&link.bytes)));
        let pairs = self.oss_rebuild.iter().flat_map(|(name, pair)| {
            let numbered = pair.iter().zip(1..);
            numbered.map(move |(bytes, number)| (format!("oss-rebuild {number} {name}"), Sha256::of(bytes)))
        });
        result.chain(links).chain(pairs).collect()
    }

    pub(super) fn sign(self, signer: &dyn Signer) -> Result<Extras, AttestError> {
        let mut signed = Extras {
            left_out: self.left_out,
            ..Extras::default()
        };
        signed.result = self.result.map(|bytes| signer.bundle(&bytes)).transpose()?;
        for (name, link) in self.links {
            signed.links.insert(name, link::sign(&link, signer)?);
        }
        for (name, pair) in self.oss_rebuild {
            let pair = pair.iter().map(|bytes| signer.bundle(bytes));
            signed.oss_rebuild.insert(name, pair.collect::<Result<_, _>>()?);
        }
        Ok(signed)
    }
}

impl Extras {
    /// Whether nothing was asked for.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Writes everything into the run that it is about.
    pub(super) fn write(&self, run: &RunFolder, format: Format) -> Result<(), AttestError> {
        if let Some(result) = &self.result {
            write_in(&run.result(), result, format)?;
        }
        for (name, link) in &self.links {
            let path = below(&run.links(), name, "link")?;
            write_atomically(&path, &serialise::pretty("the link", link)?)?;
        }
        for (name, bundles) in &self.oss_rebuild {
            let mut lines = Vec::new();
            for bundle in bundles {
                lines.extend(envelope(bundle)?);
            }
            write_atomically(&below(&run.oss_rebuild(), name, "intoto.jsonl")?, &lines)?;
        }
        Ok(())
    }
}

/// `FOLDER/NAME.ENDING`; the name may be that of a signer's reply.
fn below(folder: &Path, name: &str, ending: &str) -> Result<PathBuf, AttestError> {
    let path = folder.join(format!("{name}.{ending}"));
    let is_plain = Path::new(name).file_name().is_some_and(|file| file == name);
    if !is_plain {
        return Err(AttestError::Read {
            path: name.to_owned(),
            source: std::io::Error::other("it is not the name of a file"),
        });
    }
    std::fs::create_dir_all(folder).map_err(|source| AttestError::Read {
        path: folder.display().to_string(),
        source,
    })?;
    Ok(path)
}

/// The envelope of a bundle, in one line.
fn envelope(bundle: &Value) -> Result<Vec<u8>, AttestError> {
    // Without the certificate in the bundle, nobody could verify it.
    if !member(bundle, ["verificationMaterial", "publicKey"]).is_object() {
        return Err(no_envelope());
    }
    let mut line = serialise::compact("the envelope", member(bundle, ["dsseEnvelope"]))?;
    line.push(b'\n');
    Ok(line)
}

/// Writes a bundle to `path`, its envelope next to it, or both; returns the first path. A form that already exists is
/// written again, so that all of them contain the same.
pub(super) fn write_in(path: &Path, bundle: &Value, format: Format) -> Result<PathBuf, AttestError> {
    let beside = RunFolder::envelope(path);
    let plain = (format != Format::Bundle || beside.exists()).then(|| envelope(bundle));
    if let Some(line) = plain.transpose()? {
        write_atomically(&beside, &line)?;
    }
    if format != Format::Dsse || path.exists() {
        write_atomically(path, &serialise::pretty("the bundle", bundle)?)?;
    }
    Ok(if format == Format::Dsse {
        beside
    } else {
        path.to_owned()
    })
}

/// The same where a user names the very file: an envelope alone goes there too.
pub(super) fn write_as(path: &Path, bundle: &Value, format: Format) -> Result<(), AttestError> {
    match format {
        Format::Dsse => Ok(write_atomically(path, &envelope(bundle)?)?),
        Format::Bundle => Ok(write_atomically(path, &serialise::pretty("the bundle", bundle)?)?),
        Format::Both => write_in(path, bundle, format).map(drop),
    }
}

/// The bundle at `path`, or that of the envelope next to it; `None` if neither exists.
pub fn read_bundle(path: &Path) -> Result<Option<Vec<u8>>, AttestError> {
    let read = |path: &Path| {
        crate::bounded::read(path, SIZE_LIMIT).map_err(|source| AttestError::Read {
            path: path.display().to_string(),
            source: std::io::Error::other(source),
        })
    };
    if path.exists() {
        return read(path).map(Some);
    }
    let beside = RunFolder::envelope(path);
    if !beside.exists() {
        return Ok(None);
    }
    let bytes = read(&beside)?;
    let unreadable = |error: &dyn std::fmt::Display| AttestError::Read {
        path: beside.display().to_string(),
        source: std::io::Error::other(error.to_string()),
    };
    let envelope = Envelope::parse(&bytes).map_err(|error| unreadable(&error))?;
    Ok(Some(serialise::pretty("the bundle", &key::bundle(&envelope))?))
}

#[cfg(test)]
mod tests {
    use super::super::Public;
    use super::*;

    /// A signer whose certificate is only in the bundle.
    struct WithoutKey;

    impl Signer for WithoutKey {
        fn public(&self) -> Option<&Public> {
            None
        }

        fn bundle(&self, _: &[u8]) -> Result<Value, KeyError> {
            panic!("it is asked to sign")
        }

        fn signature(&self, _: &[u8]) -> Result<Vec<u8>, KeyError> {
            panic!("it is asked to sign")
        }
    }

    #[test]
    fn what_has_no_envelope_is_not_signed_in_vain() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("summary");
        for format in [Format::Dsse, Format::Both] {
            let refused = super::super::write_signed(&path, &Value::Null, &WithoutKey, format);
            assert!(matches!(refused, Err(AttestError::NoForm { .. })), "{format:?}");
            assert!(!path.exists());
        }
    }
}
