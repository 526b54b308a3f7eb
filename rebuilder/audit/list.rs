//! A list of subjects: a text file with one package URL or short form per line.

use std::path::Path;

use super::ResultLine;
use crate::artifact::{Subject, SubjectError};
use crate::reader::{Reader, as_file};
use crate::text;

/// A list that cannot be used.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum ListError {
    #[error("cannot read the list {path}")]
    Read { path: String, source: std::io::Error },
    #[error("{}", wrong_lines(path, lines))]
    #[diagnostic(help(
        "one package URL or short form (deb:NAME, pypi:NAME==VERSION, …) per line; # begins a comment"
    ))]
    Lines {
        path: String,
        /// The lines, with their numbers from 1.
        lines: Vec<(usize, SubjectError)>,
    },
    #[error("{path} lists no packages")]
    Empty { path: String },
}

/// Maximum number of wrong lines that one message shows.
const LINES_SHOWN: usize = 20;

/// Names all wrong lines at once, so that the user can correct them together.
fn wrong_lines(path: &str, lines: &[(usize, SubjectError)]) -> String {
    if let [(line, error)] = lines {
        return format!("line {line} of {path}: {error}");
    }
    let shown: Vec<_> = lines
        .iter()
        .take(LINES_SHOWN)
        .map(|(line, error)| format!("line {line} of {path}: {error}"))
        .collect();
    let more = text::and_more(lines.len().saturating_sub(LINES_SHOWN));
    format!(
        "{} of {path} cannot be used\n{}{more}",
        text::plural(lines.len(), "line"),
        shown.join("\n")
    )
}

/// The subjects of a list, each once, with the text that names it in the list.
pub fn read(path: &Path) -> Result<Vec<(String, Subject)>, ListError> {
    let name = path.display().to_string();
    let text =
        crate::bounded::read_text(path, crate::bounded::DOCUMENT).map_err(|source| ListError::Read {
            path: name.clone(),
            source,
        })?;
    let mut subjects: Vec<(String, Subject)> = Vec::new();
    let mut wrong = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        // Text after the name is the list author's own remark.
        let text = line.split_whitespace().next().unwrap_or(line).to_owned();
        let subject: Subject = match text.parse() {
            Ok(subject) => subject,
            Err(error) => {
                wrong.push((number, error));
                continue;
            }
        };
        if subjects.iter().all(|(known, _)| *known != text) {
            subjects.push((text, subject));
        }
    }
    if !wrong.is_empty() {
        return Err(ListError::Lines {
            path: name,
            lines: wrong,
        });
    }
    if subjects.is_empty() {
        return Err(ListError::Empty { path: name });
    }
    Ok(subjects)
}

/// Entry points for fuzzing.
pub const READERS: &[Reader] = &[
    ("list", |bytes| as_file(bytes, |path| drop(read(path)))),
    ("audit-result", |bytes| {
        drop(serde_json::from_slice::<ResultLine>(bytes));
    }),
];
