//! The outputs of the baseline against files that are about to be published.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Answer, Outputs, ProveError};
use crate::compare::{self, Comparison, Options};

/// A file that is about to be published, and the output that stands for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Against {
    /// The file.
    pub file: String,
    /// Name of the output; none if the build left nothing of that name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// The file as released, the output as rebuilt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comparison: Option<Comparison>,
}

impl Against {
    /// Whether the output has the very bytes of the file.
    pub fn is_same(&self) -> bool {
        let outcome = self.comparison.as_ref().map(|comparison| comparison.outcome);
        outcome == Some(compare::Outcome::Identical)
    }
}

/// Compares files with the baseline's outputs, which are found by name; a single file with the only output in any case.
pub fn against(answer: &Answer, files: &[PathBuf]) -> Result<Vec<Against>, ProveError> {
    let baseline = answer.builds.first().ok_or(ProveError::NoOutput)?;
    files
        .iter()
        .map(|file| one(baseline, file, files.len() == 1))
        .collect()
}

fn one(baseline: &Outputs, file: &Path, only: bool) -> Result<Against, ProveError> {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let named = baseline.files.iter().find(|output| output.name == name);
    let sole = baseline
        .files
        .first()
        .filter(|_| only && baseline.files.len() == 1);
    let Some(output) = named.or(sole) else {
        return Ok(Against {
            file: file.display().to_string(),
            output: None,
            comparison: None,
        });
    };
    let options = Options {
        digests: true,
        ..Options::default()
    };
    let comparison = compare::compare(file, &baseline.folder.join(&output.name), &options)?;
    Ok(Against {
        file: file.display().to_string(),
        output: Some(output.name.clone()),
        comparison: Some(comparison),
    })
}
