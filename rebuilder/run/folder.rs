//! Where the files of a run are.

use std::path::{Path, PathBuf};

/// The folder of a run, and the names of its files.
#[derive(Debug, Clone)]
pub struct RunFolder(PathBuf);

impl RunFolder {
    pub fn new(path: &Path) -> Self {
        Self(path.to_owned())
    }
    pub fn path(&self) -> &Path {
        &self.0
    }
    pub fn plan(&self) -> PathBuf {
        self.0.join("plan.json")
    }
    pub fn record(&self) -> PathBuf {
        self.0.join("record.json")
    }
    pub fn log(&self) -> PathBuf {
        self.0.join("build.log")
    }
    pub fn report(&self) -> PathBuf {
        self.0.join("report.html")
    }
    pub fn bundle(&self) -> PathBuf {
        self.0.join("attestation.sigstore.json")
    }
    /// Folder of the released files that were not reproduced bit for bit.
    pub fn released(&self) -> PathBuf {
        self.0.join("released")
    }
    pub fn equivalence(&self) -> PathBuf {
        self.0.join("equivalence.sigstore.json")
    }
    /// What the run attests, in the forms that are there.
    pub fn attestations(&self) -> Vec<PathBuf> {
        let bundles = [self.bundle(), self.equivalence()];
        let all = bundles
            .iter()
            .flat_map(|bundle| [bundle.clone(), Self::envelope(bundle)]);
        all.filter(|path| path.exists()).collect()
    }
    /// The file for the envelope alone of the bundle at `path`.
    pub fn envelope(path: &Path) -> PathBuf {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let stem = name.strip_suffix(".sigstore.json").unwrap_or(&name);
        path.with_file_name(format!("{stem}.intoto.jsonl"))
    }
    /// The result in the predicate for every outcome, on request.
    pub fn result(&self) -> PathBuf {
        self.0.join("rebuild-result.sigstore.json")
    }
    /// Folder of the in-toto links, on request.
    pub fn links(&self) -> PathBuf {
        self.0.join("links")
    }
    /// Folder of OSS Rebuild's statements, on request.
    pub fn oss_rebuild(&self) -> PathBuf {
        self.0.join("oss-rebuild")
    }
    /// Folder of the evidence that the user named, each file by its SHA-256; each check of the run verifies it again.
    pub fn documents(&self) -> PathBuf {
        self.0.join("documents")
    }
    /// Folder of the outputs.
    pub fn rebuilt(&self) -> PathBuf {
        self.0.join("rebuilt")
    }
}
