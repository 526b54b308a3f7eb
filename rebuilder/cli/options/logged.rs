//! Attestations that must be in a public log.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::Args;
use walkdir::WalkDir;

use super::evidence::statement;
use crate::agreement::LOG_PROOF;
use crate::artifact::Sha256;
use crate::bounded;
use crate::cli::failure::Failure;
use crate::cli::log::LogTrustArgs;
use crate::cli::output;
use crate::evidence::document;
use crate::public_log::{Entry, LogProof};
use crate::text::plural;

/// Proofs of public logs, and the keys whose logs are trusted.
#[derive(Args)]
pub(crate) struct LoggedArgs {
    /// Count only attestations that a proof in this file or folder shows to be in a public log; may be repeated
    #[arg(long, value_name = "FILE|DIR", help_heading = "Trust")]
    log_proof: Vec<PathBuf>,
    #[command(flatten)]
    trust: LogTrustArgs,
}

impl LoggedArgs {
    /// The files at these places whose statements are all proven to be in a log. If no proof is required, all files.
    pub(crate) fn only_logged(&self, places: Vec<PathBuf>) -> Result<Vec<PathBuf>, Failure> {
        if self.log_proof.is_empty() {
            return Ok(places);
        }
        let proven = self.proven()?;
        let (mut logged, mut others) = (Vec::new(), 0_usize);
        let all = places.iter().flat_map(|place| files(place));
        for file in all.filter(|file| !is_proof(file)) {
            // What cannot be read is told by the reader of attestations.
            let documents = document::read_file(&file).unwrap_or_default();
            let mut statements = documents.iter().map(statement);
            let all = statements.all(|found| found.is_some_and(|found| proven.contains(&found.digest)));
            if documents.is_empty() || !all {
                others = others.saturating_add(1);
            } else {
                logged.push(file);
            }
        }
        if others > 0 {
            output::note(&format!(
                "{} not counted: there is no proof that all their statements are in a public log",
                plural(others, "file")
            ));
        }
        Ok(logged)
    }

    /// Digests of the statements that valid proofs are about.
    fn proven(&self) -> Result<BTreeSet<Sha256>, Failure> {
        let policy = self.trust.policy()?;
        let mut proven = BTreeSet::new();
        for place in &self.log_proof {
            let named = place.is_file();
            let ours = |file: &PathBuf| named || is_proof(file);
            for file in files(place).filter(ours) {
                let text = bounded::read_text(&file, LogProof::LIMIT)
                    .map_err(|error| Failure::usage(format!("cannot read {}: {error}", file.display())))?;
                if let Entry::Verdict(verdict) = LogProof::parse(&text)?.verify(&policy)?.entry {
                    proven.insert(verdict.statement);
                    proven.extend(verdict.also.into_values());
                }
            }
        }
        Ok(proven)
    }
}

fn is_proof(file: &Path) -> bool {
    file.extension().is_some_and(|end| end == LOG_PROOF)
}

/// The file at this place, or the files in the folder.
fn files(place: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let entries = WalkDir::new(place).into_iter().flatten();
    entries
        .filter(|entry| entry.file_type().is_file())
        .map(walkdir::DirEntry::into_path)
}
