//! The folder of a proof: the document, the plan with the source, all builds, and the files for a certificate.

use std::fs;
use std::path::{Path, PathBuf};

use super::build::Builds;
use super::error::ProveError;
use super::knob::Variation;
use super::{Answer, Outputs, Proof};
use crate::artifact::{PinnedFile, Sha256};
use crate::attest::{CERTIFICATE, Certificate, CertifiedBuild, NotTried, Survived};
use crate::plan::Expected;
use crate::store::{StoreError, write_atomically};
use crate::text;

/// Names of the files.
const PROOF: &str = "proof.json";
const PLAN: &str = "plan.json";
const SOURCE: &str = "source.tar";

/// Writes everything to a new folder. If the project is reproducible, a certificate can be signed from it.
pub fn keep(builds: Builds<'_>, answer: &Answer, place: &Path) -> Result<(), ProveError> {
    let folder = builds.folder().to_owned();
    let write = |name: &str, bytes: &[u8]| write_atomically(&folder.join(name), bytes);
    write(PROOF, text::json_pretty(&answer.proof).as_bytes())?;
    let source = folder.join(SOURCE);
    fs::copy(&builds.packed().path, &source).map_err(StoreError::io("write", &source))?;
    if let Some(baseline) = answer.builds.first() {
        write(PLAN, &recorded(&builds, baseline)?)?;
    }
    if answer.proof.reproducible {
        let certificate = certificate(&builds, &answer.proof, &answer.builds);
        write(CERTIFICATE, text::json_pretty(&certificate).as_bytes())?;
    }
    builds.settle(place)
}

/// The plan of the baseline, which expects the baseline's outputs. The outputs are in the store for a replay.
fn recorded(builds: &Builds<'_>, baseline: &Outputs) -> Result<Vec<u8>, ProveError> {
    let mut plan = builds.plan(&Variation::baseline());
    let mut expected = Vec::new();
    for file in &baseline.files {
        let path = baseline.folder.join(&file.name);
        let bytes = fs::File::open(&path).map_err(StoreError::io("read", &path))?;
        builds.store().keep(bytes)?;
        expected.push(Expected {
            purl: plan.subject.clone(),
            file: PinnedFile {
                name: file.name.clone(),
                urls: Vec::new(),
                sha256: file.sha256,
                size: file.size,
            },
        });
    }
    plan.expected = expected;
    plan.canonical().map_err(|error| ProveError::Bug {
        reason: error.to_string(),
    })
}

fn certificate(builds: &Builds<'_>, proof: &Proof, made: &[std::sync::Arc<Outputs>]) -> Certificate {
    let inside = |folder: &PathBuf| {
        let below = folder.strip_prefix(builds.folder()).unwrap_or(folder);
        below.display().to_string()
    };
    let names = |variation: &Variation| variation.knobs().map(|knob| knob.name().to_owned()).collect();
    let mut certificate = Certificate {
        version: 1,
        id: String::new(),
        subject: format!("pkg:generic/{}", proof.project.name),
        source: proof.project.source,
        container: proof.project.container.clone(),
        backend: proof.project.backend.clone(),
        survived: proof
            .varied
            .iter()
            .map(|varied| Survived {
                what: varied.knob.name().to_owned(),
                baseline: varied.baseline.clone(),
                varied: varied.varied.clone(),
            })
            .collect(),
        not_varied: proof
            .not_varied
            .iter()
            .map(|not| NotTried {
                what: not.what.clone(),
                why: not.why.clone(),
            })
            .collect(),
        builds: made
            .iter()
            .map(|build| CertifiedBuild {
                outputs: inside(&build.folder),
                varied: names(&build.variation),
            })
            .collect(),
    };
    let outputs: Vec<_> = proof
        .outputs
        .iter()
        .map(|output| output.sha256.to_hex())
        .collect();
    certificate.id = Sha256::of(format!("{} {}", proof.project.source, outputs.join(" "))).to_hex();
    certificate
}
