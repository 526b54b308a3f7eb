//! Certificates of `rebuilder prove`: builds of one source produced the same bytes, whatever was varied.
//!
//! As with a run, every statement of the builder that can be checked is checked: the outputs of every build are in the
//! folder, and their digests are computed again before anything is signed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Component, Path};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::log::{Event, Log};
use super::predicate::{Builder, DigestSet, InTotoStatement, Reproducibility, Resource, ToolVersion};
use super::{AttestError, Attestor, Extras, Signed};
use crate::artifact::Sha256;
use crate::artifact::serialise;
use crate::bounded;

/// Name of the document in the folder of a proof.
pub const CERTIFICATE: &str = "certificate.json";
/// Name of the plan in it.
const PLAN: &str = "plan.json";
/// Type of the predicate.
pub const REPRODUCIBILITY: &str = "urn:rebuilder:predicate:reproducibility:v0.1";
/// Maximum number of builds of one certificate, and outputs of one build.
const MOST: usize = 4096;

/// The facts to be certified, as the process that built them recorded them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Certificate {
    /// Form of this document; 1.
    pub version: u32,
    /// Names this proof.
    pub id: String,
    /// Package URL of the project.
    pub subject: String,
    /// Digest of its source, as the archive that each build got.
    pub source: Sha256,
    /// The environment in which it was built.
    pub container: String,
    /// The sandbox.
    pub backend: String,
    /// What was varied, from what to what.
    pub survived: Vec<Survived>,
    /// What was not varied, and why.
    pub not_varied: Vec<NotTried>,
    /// The builds.
    pub builds: Vec<CertifiedBuild>,
}

/// Something that was varied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Survived {
    /// What.
    pub what: String,
    /// What the baseline has.
    pub baseline: String,
    /// What varied builds have.
    pub varied: String,
}

/// Something that was not varied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NotTried {
    /// What.
    pub what: String,
    /// Why.
    pub why: String,
}

/// A build, with the folder of its outputs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CertifiedBuild {
    /// Folder below that of the proof.
    pub outputs: String,
    /// What was varied.
    pub varied: Vec<String>,
}

impl Certificate {
    fn read(folder: &Path) -> Result<(Self, Sha256), AttestError> {
        let path = folder.join(CERTIFICATE);
        let error = |source| AttestError::Read {
            path: path.display().to_string(),
            source,
        };
        let bytes = bounded::read(&path, bounded::DOCUMENT).map_err(error)?;
        let read: Self = serde_json::from_slice(&bytes).map_err(|reason| error(reason.into()))?;
        Ok((read, Sha256::of(&bytes)))
    }

    /// The name and digest of each output, which follow from the builds themselves. The error is the reason why they do
    /// not.
    fn check(&self, folder: &Path) -> Result<BTreeMap<String, Sha256>, String> {
        let count = |varied: usize| {
            self.builds
                .iter()
                .filter(|build| build.varied.len() == varied)
                .count()
        };
        if self.builds.len() > MOST || count(0) < 2 {
            return Err("it does not have two builds of the baseline".into());
        }
        let everything = self.builds.iter().any(|build| {
            let mut survived = self.survived.iter();
            survived.all(|survived| build.varied.contains(&survived.what))
        });
        if self.survived.is_empty() || !everything {
            return Err("it has no build in which everything was varied".into());
        }
        let mut agreed: Option<BTreeMap<String, Sha256>> = None;
        let mut read = BTreeSet::new();
        for build in &self.builds {
            if !read.insert(inside(&build.outputs)?) {
                return Err(format!("two builds name {}", build.outputs));
            }
            let found = outputs(&folder.join(inside(&build.outputs)?))?;
            match &agreed {
                Some(agreed) if *agreed != found => {
                    return Err(format!(
                        "the outputs in {} are not those of the first build",
                        build.outputs
                    ));
                }
                Some(_) => {}
                None => agreed = Some(found),
            }
        }
        agreed
            .filter(|agreed| !agreed.is_empty())
            .ok_or_else(|| "its builds have no outputs".into())
    }
}

/// A path that cannot lead out of the folder.
fn inside(path: &str) -> Result<&Path, String> {
    let normal = |part| matches!(part, Component::Normal(_));
    let path = Path::new(path);
    if path.components().next().is_some() && path.components().all(normal) {
        return Ok(path);
    }
    Err(format!("{} is not a folder below it", path.display()))
}

/// Name and digest of each file in a folder.
fn outputs(folder: &Path) -> Result<BTreeMap<String, Sha256>, String> {
    let error = |error: std::io::Error| format!("cannot read {}: {error}", folder.display());
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).map_err(error)?.take(MOST) {
        let entry = entry.map_err(error)?;
        if !entry.file_type().map_err(error)?.is_file() {
            return Err(format!("{} is not a regular file", entry.path().display()));
        }
        let (digest, _) = File::open(entry.path())
            .and_then(Sha256::of_reader)
            .map_err(error)?;
        found.insert(entry.file_name().to_string_lossy().into_owned(), digest);
    }
    Ok(found)
}

/// Whether a folder has a proof rather than a run.
pub fn is_certificate(folder: &Path) -> bool {
    folder.join(CERTIFICATE).is_file()
}

/// Checks the builds of a certificate again, and signs their result.
pub fn certify(folder: &Path, attestor: &Attestor<'_>) -> Result<Signed, AttestError> {
    let (certificate, record) = Certificate::read(folder)?;
    let outputs = certificate
        .check(folder)
        .map_err(|reason| AttestError::Inconclusive { reason })?;
    let plan = folder.join(PLAN);
    let plan = bounded::read(&plan, bounded::PLAN).map_err(|source| AttestError::Read {
        path: plan.display().to_string(),
        source,
    })?;
    let mut log = Log::open(attestor.log)?;
    let own = || format!("urn:rebuilder:{}", attestor.signer.name());
    let builder = Builder {
        id: Some(attestor.builder_id.clone().unwrap_or_else(own)),
        version: Some(ToolVersion::of(env!("CARGO_PKG_VERSION"))),
    };
    let subjects = outputs
        .iter()
        .map(|(name, digest)| Resource::named(name, *digest))
        .collect();
    let predicate = Reproducibility {
        builder,
        subject: certificate.subject.clone(),
        source: DigestSet::sha256(certificate.source),
        plan: DigestSet::sha256(Sha256::of(&plan)),
        container: certificate.container,
        backend: certificate.backend,
        builds: certificate.builds.len(),
        survived: certificate.survived,
        not_varied: certificate.not_varied,
        log: log.anchor(),
    };
    let statement = InTotoStatement::<_, Resource>::new(subjects, REPRODUCIBILITY, predicate).tree()?;
    let bytes = serialise::compact("the certificate", &statement)?;
    let bundle = attestor.signer.bundle(&bytes)?;
    let event = Event::Signed {
        run: certificate.id,
        subject: certificate.subject,
        plan: Sha256::of(&plan),
        record,
        verdict: "reproducible".into(),
        statement: Sha256::of(&bytes),
        // What was built is nobody's release.
        released: Vec::new(),
        key: attestor.signer.name(),
        workers: Vec::new(),
        place: None,
        also: BTreeMap::new(),
    };
    // The line is on the disk before the signature leaves this process.
    log.append(event, Timestamp::now())?;
    Ok(Signed {
        statement,
        bundle,
        equivalence: None,
        extras: Extras::default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate() -> Certificate {
        let build = |name: &str, varied: &[&str]| CertifiedBuild {
            outputs: name.to_owned(),
            varied: varied.iter().map(|text| (*text).to_owned()).collect(),
        };
        let survived = |what: &str| Survived {
            what: what.to_owned(),
            baseline: "a".into(),
            varied: "b".into(),
        };
        Certificate {
            version: 1,
            id: "id".into(),
            subject: "pkg:generic/x".into(),
            source: Sha256::of("source"),
            container: "c".into(),
            backend: "embedded".into(),
            survived: vec![survived("umask"), survived("clock")],
            not_varied: Vec::new(),
            builds: vec![build("1", &[]), build("2", &[]), build("3", &["clock", "umask"])],
        }
    }

    #[test]
    fn only_builds_that_are_there_and_agree_are_certified() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["1", "2", "3"] {
            fs::create_dir(folder.path().join(name)).unwrap();
            fs::write(folder.path().join(name).join("out"), "same").unwrap();
        }
        let good = certificate();
        let found = good.check(folder.path()).unwrap();
        assert_eq!(found, BTreeMap::from([("out".to_owned(), Sha256::of("same"))]));

        let mut bad = certificate();
        bad.builds.remove(0);
        assert!(bad.check(folder.path()).unwrap_err().contains("two builds"));
        let mut bad = certificate();
        bad.builds[2].varied.pop();
        assert!(bad.check(folder.path()).unwrap_err().contains("everything"));
        for odd in ["../1", "/tmp", ""] {
            let mut bad = certificate();
            bad.builds[1].outputs = odd.into();
            assert!(bad.check(folder.path()).is_err(), "{odd:?}");
        }
        fs::write(folder.path().join("3/out"), "other").unwrap();
        assert!(good.check(folder.path()).unwrap_err().contains("first build"));
    }
}
