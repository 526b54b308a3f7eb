//! Lists of digests: `SHA256SUMS`, as Guix builders sign them for a release, Debian's control files, and Nix's
//! `.narinfo`.
//!
//! A list says only "this file has these bytes". A detached signature beside it says whose list it is
//! (`docs/verify.md` describes the layout); a `.narinfo` and a signed control file carry their own.
//!
//! A text counts as a list only if every line is understood. A digest in prose may be there for any reason, for
//! example "do not use".

mod buildinfo;
mod changes;
mod control;
mod dsc;
mod heading;
mod narinfo;
mod plain;
mod release;
mod value;
mod words;

use std::collections::BTreeMap;

pub(super) use control::is_buildinfo;
use control::{control_file, is_field};
use plain::{LINES, entry, is_comment};
pub(super) use words::{is_plain_path, warning};

use super::statement::Descriptor;

/// Signatures, each with the name of its key.
pub type Signatures = Vec<(String, Vec<u8>)>;

/// A list that was read; its signatures are not verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HashList {
    /// The files and their digests.
    pub entries: Vec<Descriptor>,
    /// For `.narinfo`: the bytes that its own signatures are over, and the signatures with the names of their keys.
    pub own: Option<(Vec<u8>, Signatures)>,
    /// The first line that says more than digests and names, which only people can judge.
    pub remark: Option<(usize, String)>,
}

/// A text that is not a list.
#[derive(Debug, thiserror::Error)]
pub enum HashListError {
    #[error("line {0} is not a digest and a file name")]
    Line(usize),
    #[error("line {line} ({text:?}) cannot be interpreted by a program")]
    Remark { line: usize, text: String },
    #[error("its text contains the word {0:?}, but a program cannot tell what that means for the files")]
    Warning(String),
    #[error("it has a character that only some readers treat as the end of a line")]
    Control,
    #[error("its field {field:?} is missing, or its value is not valid in {form}")]
    Form { form: &'static str, field: &'static str },
    #[error("line {line} gives another digest for {name:?} than an earlier line")]
    Contradiction { line: usize, name: String },
    #[error("the field {0:?} is not allowed in such a file")]
    Unknown(String),
    #[error("it is neither a list of digests nor a Debian control file with Checksums-Sha256 or SHA256")]
    NoList,
    #[error("it has more than {LINES} lines")]
    TooLong,
    #[error("its {0} is missing or malformed")]
    Field(&'static str),
}

impl HashList {
    /// Reads a signed text that must be a list or one of Debian's control files, and nothing else.
    pub fn of_signed(text: &[u8]) -> Result<Self, HashListError> {
        let text = std::str::from_utf8(text).map_err(|_| HashListError::NoList)?;
        let first = text.lines().find(|line| !is_comment(line)).unwrap_or_default();
        let list = match first.split_once(':') {
            Some((field, _)) if entry(first, None).is_none() && is_field(field) => control_file(text)?,
            _ => Self::parse(text)?,
        };
        match list.understood() {
            Ok(()) if list.entries.is_empty() => Err(HashListError::NoList),
            Ok(()) => Ok(list),
            Err(error) => Err(error),
        }
    }

    /// Whether everything in the list is understood.
    pub fn understood(&self) -> Result<(), HashListError> {
        match &self.remark {
            None => Ok(()),
            Some((line, text)) => Err(HashListError::Remark {
                line: *line,
                text: text.chars().take(120).collect(),
            }),
        }
    }
}

fn descriptor(name: &str, algorithm: &str, digits: &str) -> Descriptor {
    Descriptor {
        name: Some(name.to_owned()),
        uri: None,
        digest: BTreeMap::from([(algorithm.to_owned(), digits.to_ascii_lowercase())]),
    }
}
