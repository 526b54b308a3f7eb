//! Debian's control files (deb822): paragraphs of fields, the form of release files, `.dsc` and `.buildinfo`.

use deb822_fast::{Deb822, Paragraph};

use crate::artifact::Sha256;

/// A control file that cannot be read.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum Deb822Error {
    #[error("{document} lacks the field {field}, or the field is not valid")]
    Field { document: String, field: &'static str },
    #[error("{document} is not in deb822 form: {reason}")]
    Form { document: String, reason: String },
}

impl Deb822Error {
    /// The parser's error about a document.
    pub fn of(document: &str, error: &deb822_fast::Error) -> Self {
        Self::Form {
            document: document.to_owned(),
            reason: error.to_string(),
        }
    }
}

/// The only paragraph of a control file.
pub fn one_paragraph(document: &str, text: &[u8]) -> Result<Paragraph, Deb822Error> {
    let mut paragraphs = Deb822::iter_paragraphs_from_reader(text);
    match paragraphs.next() {
        Some(paragraph) => paragraph.map_err(|error| Deb822Error::of(document, &error)),
        None => Err(Deb822Error::Form {
            document: document.to_owned(),
            reason: "it is empty".to_owned(),
        }),
    }
}

/// Reads the lines `DIGEST SIZE NAME` of a checksum field.
pub fn checksums(document: &str, field: &str) -> Result<Vec<(String, Sha256, u64)>, Deb822Error> {
    let bad = || Deb822Error::Field {
        document: document.to_owned(),
        field: "SHA256",
    };
    let mut files = Vec::new();
    for line in field.lines().filter(|line| !line.trim().is_empty()) {
        let mut words = line.split_whitespace();
        let (Some(digest), Some(size), Some(name), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(bad());
        };
        files.push((
            name.to_owned(),
            digest.parse().map_err(|_| bad())?,
            size.parse().map_err(|_| bad())?,
        ));
    }
    Ok(files)
}

/// A date as release files and `.buildinfo` write it.
pub fn parse_date(text: &str) -> Option<jiff::Timestamp> {
    // RFC 2822, with the zone written as "UTC", which is its obsolete form.
    let text = text.trim().replace(" UTC", " +0000");
    jiff::fmt::rfc2822::DateTimeParser::new()
        .relaxed_weekday(true)
        .parse_timestamp(&text)
        .ok()
}
