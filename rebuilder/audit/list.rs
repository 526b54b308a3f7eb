//! A list of subjects: a text file with one package URL or short form per line.

use std::path::Path;

use crate::artifact::{Subject, SubjectError};

/// A list that cannot be used.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[allow(missing_docs)]
pub enum ListError {
    #[error("cannot read the list {path}")]
    Read { path: String, source: std::io::Error },
    #[error("line {line} of {path}: {source}")]
    #[diagnostic(help(
        "one package URL or short form (deb:NAME, pypi:NAME==VERSION, …) per line; # begins a comment"
    ))]
    Line {
        path: String,
        line: usize,
        source: SubjectError,
    },
    #[error("{path} names no subject")]
    Empty { path: String },
}

/// The subjects of a list, each once, with the text that names it.
pub fn read(path: &Path) -> Result<Vec<(String, Subject)>, ListError> {
    let name = path.display().to_string();
    let text =
        crate::bounded::read_text(path, crate::bounded::DOCUMENT).map_err(|source| ListError::Read {
            path: name.clone(),
            source,
        })?;
    let mut subjects: Vec<(String, Subject)> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        // What follows the name is the list's own business.
        let text = line.split_whitespace().next().unwrap_or(line).to_owned();
        let subject: Subject = text.parse().map_err(|source| ListError::Line {
            path: name.clone(),
            line: index + 1,
            source,
        })?;
        if subjects.iter().all(|(known, _)| *known != text) {
            subjects.push((text, subject));
        }
    }
    if subjects.is_empty() {
        return Err(ListError::Empty { path: name });
    }
    Ok(subjects)
}
