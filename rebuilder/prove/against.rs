//! Compares files that are about to be published with the outputs of the baseline.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Answer, Outputs, ProveError};
use crate::compare::{self, Comparison, Options};

/// A file that is about to be published, and its output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Against {
    /// The file.
    pub file: String,
    /// Name of the output; `None` if the build has no output with that name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// The comparison; the file is the released side, the output the rebuilt one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comparison: Option<Comparison>,
}

impl Against {
    /// Whether the output has the bytes of the file.
    pub fn is_same(&self) -> bool {
        let outcome = self.comparison.as_ref().map(|comparison| comparison.outcome);
        outcome == Some(compare::Outcome::Identical)
    }
}

/// Compares files with the baseline's outputs of the same name. A single file is compared with a single output whatever
/// their names.
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
