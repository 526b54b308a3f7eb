//! The forms of what is signed: what is signed besides our own statement, and the files that signed things are written to.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::link::{self, UnsignedLink};
use super::{AttestError, Signer, SignerInfo, VerifiedRun, oss_rebuild, result};
use crate::artifact::Sha256;
use crate::artifact::serialise;
use crate::run::RunFolder;
use crate::store::write_atomically;

/// What a signed statement is written in; the signature in both is the same.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// A Sigstore bundle (v0.3).
    #[default]
    Bundle,
    /// A DSSE envelope in a line, which is a bundle of in-toto attestations with one of them.
    Dsse,
    /// Both, beside each other.
    Both,
}

/// What is signed on request, besides the statement in our own form.
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
}

/// Everything on request that is to be signed.
#[derive(Default)]
pub(super) struct Unsigned {
    result: Option<Vec<u8>>,
    links: BTreeMap<String, UnsignedLink>,
    oss_rebuild: BTreeMap<String, Vec<Vec<u8>>>,
}

impl Unsigned {
    pub(super) fn of(
        verified: &VerifiedRun,
        info: &SignerInfo,
        extras: &BTreeSet<Extra>,
    ) -> Result<Self, AttestError> {
        let mut all = Self::default();
        for extra in extras {
            match extra {
                Extra::Link => all.links = link::links(verified, info)?,
                Extra::Rebuild => {
                    let statement = result::result(verified, info)?;
                    all.result = Some(serialise::compact("the result", &statement)?);
                }
                Extra::OssRebuild => {
                    for (name, pair) in oss_rebuild::statements(verified, info)? {
                        let pair = pair.iter().map(|it| serialise::compact("the statement", it));
                        all.oss_rebuild.insert(name, pair.collect::<Result<_, _>>()?);
                    }
                }
            }
        }
        Ok(all)
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
        let mut signed = Extras::default();
        signed.result = self.result.map(|bytes| signer.bundle(&bytes)).transpose()?;
        for (name, link) in self.links {
            signed.links.insert(name, link::sign(link, signer)?);
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

/// The envelope of a bundle, as one line.
fn envelope(bundle: &Value) -> Result<Vec<u8>, AttestError> {
    // Without the certificate in the bundle, nobody could verify it.
    if !bundle["verificationMaterial"]["publicKey"].is_object() {
        return Err(AttestError::NoForm {
            form: "a plain DSSE envelope",
            reason: "it was signed without a key, and the certificate is only in the bundle".into(),
        });
    }
    let mut line = serialise::compact("the envelope", &bundle["dsseEnvelope"])?;
    line.push(b'\n');
    Ok(line)
}

/// The file for the envelope of the bundle at `path`.
pub(super) fn beside(path: &Path) -> PathBuf {
    let text = path.as_os_str().to_string_lossy();
    match text.strip_suffix(".sigstore.json") {
        Some(stem) => PathBuf::from(format!("{stem}.intoto.jsonl")),
        None => {
            let mut name = path.as_os_str().to_owned();
            name.push(".intoto.jsonl");
            PathBuf::from(name)
        }
    }
}

/// Writes a bundle to `path`, its envelope beside that, or both; gives the first of them.
pub(super) fn write_in(path: &Path, bundle: &Value, format: Format) -> Result<PathBuf, AttestError> {
    let plain = match format {
        Format::Bundle => None,
        Format::Dsse | Format::Both => Some(envelope(bundle)?),
    };
    if let Some(line) = plain {
        write_atomically(&beside(path), &line)?;
    }
    if format == Format::Dsse {
        return Ok(beside(path));
    }
    write_atomically(path, &serialise::pretty("the bundle", bundle)?)?;
    Ok(path.to_owned())
}

/// The same where a user names the very file: an envelope alone goes there too.
pub(super) fn write_as(path: &Path, bundle: &Value, format: Format) -> Result<(), AttestError> {
    match format {
        Format::Dsse => Ok(write_atomically(path, &envelope(bundle)?)?),
        Format::Bundle | Format::Both => write_in(path, bundle, format).map(drop),
    }
}
