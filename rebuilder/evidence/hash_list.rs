//! Lists of digests: `SHA256SUMS` as Guix builders of a release sign them one by one, and Nix's `.narinfo`.
//!
//! A list says only "this file came out with these bytes". Whose list it is, a detached signature beside it tells
//! (`docs/verify.md` describes the layout); a `.narinfo` carries its own.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::statement::{Descriptor, is_harmless};

/// Most lines that a list may have.
const LINES: usize = 1_000_000;

/// Signatures, each with the name of its key.
pub type Signatures = Vec<(String, Vec<u8>)>;

/// A list, as read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HashList {
    /// The files and their digests.
    pub entries: Vec<Descriptor>,
    /// The bytes that its own signatures are over, and the signatures with the names of their keys; for `.narinfo`.
    pub own: Option<(Vec<u8>, Signatures)>,
}

/// A text that is no list.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum HashListError {
    #[error("line {0} is no digest and file name")]
    Line(usize),
    #[error("it has more than {LINES} lines")]
    TooLong,
    #[error("its {0} is missing or malformed")]
    Field(&'static str),
}

impl HashList {
    /// Whether the first line looks like that of a list: a SHA-2 digest, blanks, a name; or BSD's form.
    pub fn is_one(text: &str) -> bool {
        let mut lines = text.lines().filter(|line| !is_comment(line));
        lines.next().is_some_and(|line| entry(line).is_some())
    }

    /// Reads the output of `sha256sum`, `sha512sum` or `shasum --tag`; lines that begin with `#` are comments.
    pub fn parse(text: &str) -> Result<Self, HashListError> {
        let mut entries = Vec::new();
        for (number, line) in text.lines().enumerate() {
            if number >= LINES {
                return Err(HashListError::TooLong);
            }
            if !is_comment(line) {
                entries.push(entry(line).ok_or(HashListError::Line(number + 1))?);
            }
        }
        Ok(Self { entries, own: None })
    }

    /// Whether a text is a `.narinfo`.
    pub fn is_narinfo(text: &str) -> bool {
        text.starts_with("StorePath: ") && text.contains("\nNarHash: ")
    }

    /// Reads a `.narinfo`: the file that it is about is the store path's NAR.
    pub fn parse_narinfo(text: &str) -> Result<Self, HashListError> {
        let fields = || text.lines().filter_map(|line| line.split_once(": "));
        let field = |name: &'static str| {
            let found = fields().find(|(key, _)| *key == name);
            found.map(|(_, value)| value).ok_or(HashListError::Field(name))
        };
        let (path, size) = (field("StorePath")?, field("NarSize")?);
        let hash = field("NarHash")?;
        let digits = hash
            .strip_prefix("sha256:")
            .ok_or(HashListError::Field("NarHash"))?;
        let digest = if digits.len() == 64 {
            digits.to_ascii_lowercase()
        } else {
            let bytes = nix_base32::from_nix_base32(digits).filter(|bytes| bytes.len() == 32);
            hex::encode(bytes.ok_or(HashListError::Field("NarHash"))?)
        };
        let (folder, name) = path.rsplit_once('/').ok_or(HashListError::Field("StorePath"))?;
        let references = field("References").unwrap_or_default();
        let references: Vec<_> = references
            .split_whitespace()
            .map(|reference| format!("{folder}/{reference}"))
            .collect();
        // What Nix signs (`ValidPathInfo::fingerprint`).
        let signed = format!("1;{path};{hash};{size};{}", references.join(","));
        let signatures = fields()
            .filter(|(key, _)| *key == "Sig")
            .filter_map(|(_, value)| {
                let (name, signature) = value.split_once(':')?;
                Some((name.to_owned(), STANDARD.decode(signature).ok()?))
            });
        Ok(Self {
            entries: vec![descriptor(&format!("{name}.nar"), "sha256", &digest)],
            own: Some((signed.into_bytes(), signatures.collect())),
        })
    }
}

fn is_comment(line: &str) -> bool {
    line.trim().is_empty() || line.starts_with('#')
}

fn descriptor(name: &str, algorithm: &str, digits: &str) -> Descriptor {
    Descriptor {
        name: Some(name.to_owned()),
        uri: None,
        digest: BTreeMap::from([(algorithm.to_owned(), digits.to_ascii_lowercase())]),
    }
}

fn entry(line: &str) -> Option<Descriptor> {
    let (digits, name) = if let Some((head, digits)) = line.split_once(" = ") {
        // `SHA256 (name) = digest`
        (digits, head.split_once(" (")?.1.strip_suffix(')')?)
    } else {
        let (digits, name) = line.split_once(' ')?;
        (digits, name.strip_prefix(['*', ' ']).unwrap_or(name))
    };
    let algorithm = match digits.len() {
        64 => "sha256",
        96 => "sha384",
        128 => "sha512",
        _ => return None,
    };
    let name = name.trim().trim_start_matches("./");
    let fine = digits.bytes().all(|digit| digit.is_ascii_hexdigit()) && is_harmless(name);
    fine.then(|| descriptor(name, algorithm, digits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_usual_forms_and_nothing_else() {
        let digits = "ab".repeat(32);
        for line in [
            format!("{digits}  dist/a.tar.gz"),
            format!("{} *dist/a.tar.gz", digits.to_uppercase()),
            format!("SHA256 (dist/a.tar.gz) = {digits}"),
        ] {
            let list = HashList::parse(&format!("# by hand\n{line}\n\n")).unwrap();
            assert_eq!(
                list.entries,
                [descriptor("dist/a.tar.gz", "sha256", &digits)],
                "{line}"
            );
            assert!(HashList::is_one(&line));
        }
        for (text, line) in [
            ("hello world".to_owned(), 1),
            (format!("{digits}  a\n{digits}"), 2),
            (format!("{digits}  ../../etc/passwd"), 1),
            (format!("{}  a", &digits[2..]), 1),
        ] {
            let error = HashList::parse(&text).unwrap_err();
            assert!(
                matches!(error, HashListError::Line(found) if found == line),
                "{text}: {error}"
            );
        }
    }
}
