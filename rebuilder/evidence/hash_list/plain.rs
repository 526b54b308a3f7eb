//! Plain lists, as `sha256sum`, `sha512sum` and `shasum --tag` write them.

use std::collections::{BTreeMap, BTreeSet};

use super::heading::{heading, is_heading};
use super::words::{Words, common_words, is_plain_path};
use super::{HashList, HashListError, descriptor};
use crate::evidence::json::folded;
use crate::evidence::statement::{Descriptor, is_harmless};

/// Maximum number of lines of a list.
pub(super) const LINES: usize = 1_000_000;

impl HashList {
    /// Whether the first line looks like that of a list: a SHA-2 digest, blanks, and a name; or BSD's form.
    pub fn is_one(text: &str) -> bool {
        let mut lines = text.lines().filter(|line| !is_comment(line));
        lines.next().is_some_and(|line| entry(line, None).is_some())
    }

    /// Reads the output of `sha256sum`, `sha512sum` or `shasum --tag`; lines that begin with `#` are comments.
    pub fn parse(text: &str) -> Result<Self, HashListError> {
        let mut entries: Vec<Descriptor> = Vec::new();
        let mut seen: BTreeMap<(String, String), String> = BTreeMap::new();
        let (mut comments, mut remarks, mut algorithm) = (Vec::new(), Vec::new(), None);
        for (number, line) in text.lines().enumerate() {
            if number >= LINES {
                return Err(HashListError::TooLong);
            }
            let number = number.saturating_add(1);
            if is_comment(line) {
                let comment = line.trim().trim_start_matches(['#', ';']).trim();
                algorithm = heading(comment).or(algorithm);
                if !comment.is_empty() || line.contains(char::is_control) {
                    comments.push((number, comment.to_owned()));
                }
                continue;
            }
            let entry = entry(line, algorithm).ok_or(HashListError::Line(number))?;
            let name = entry.name.clone().unwrap_or_default();
            if !is_plain_path(&name) {
                remarks.push((number, line.to_owned()));
            }
            for (algorithm, digits) in &entry.digest {
                // Two readers could take different digests.
                let known = seen.insert((name.clone(), algorithm.clone()), digits.clone());
                if known.is_some_and(|known| known != *digits) {
                    return Err(HashListError::Contradiction { line: number, name });
                }
            }
            entries.push(entry);
        }
        // The words that all names share are known only when all names are.
        let names = || entries.iter().filter_map(|entry| entry.name.as_deref());
        let files: BTreeSet<&str> = names().map(file_name).collect();
        let of_all = common_words(files.iter().copied());
        let mut said = Words::new(&of_all);
        for (number, line) in text.lines().enumerate() {
            // The digest itself has letters, but no words.
            let words = line.split_whitespace().filter(|word| !is_digits(word));
            if let Some(word) = words.into_iter().find_map(|word| said.warning(word)) {
                remarks.push((number, format!("{}: {word}", line.trim())));
                break;
            }
        }
        remarks.extend(
            comments
                .into_iter()
                .filter(|(_, comment)| !is_heading(comment, &files)),
        );
        let remark = remarks.into_iter().min();
        Ok(Self {
            entries,
            own: None,
            remark,
        })
    }
}

pub(super) fn is_comment(line: &str) -> bool {
    line.trim().is_empty() || line.starts_with(['#', ';'])
}

pub(super) fn is_digits(word: &str) -> bool {
    word.len() >= 32 && word.bytes().all(|digit| digit.is_ascii_hexdigit())
}

pub(super) fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

/// Reads one line: `DIGEST  NAME` or `DIGEST *NAME` from coreutils, `ALGORITHM (NAME) = DIGEST` from BSD and OpenSSL.
pub(super) fn entry(line: &str, heading: Option<&'static str>) -> Option<Descriptor> {
    let (label, digits, name) = match line.split_once('(') {
        Some((label, rest)) if algorithm(label.trim_end()).is_some() => {
            let (name, digits) = rest.rsplit_once(')')?;
            let digits = digits.trim_start().strip_prefix('=')?.trim();
            (algorithm(label.trim_end()), digits, name)
        }
        _ => {
            let (digits, name) = line.split_once(' ')?;
            (heading, digits, name.strip_prefix(['*', ' ']).unwrap_or(name))
        }
    };
    // Some lists have weak digests beside the others; they are never compared with anything.
    let of_length = match digits.len() {
        32 => "md5",
        40 => "sha1",
        56 => "sha224",
        64 => "sha256",
        96 => "sha384",
        128 => "sha512",
        _ => return None,
    };
    let algorithm = match label {
        Some(label) if length(label) == digits.len() => label,
        // A label that does not fit its digest is a mistake; a heading may belong to an earlier part.
        Some(_) if line.contains('(') && heading.is_none() => return None,
        _ => of_length,
    };
    let name = name.trim();
    let name = name.strip_prefix("./").unwrap_or(name);
    let fine = digits.bytes().all(|digit| digit.is_ascii_hexdigit()) && is_harmless(name);
    fine.then(|| descriptor(name, algorithm, digits))
}

/// The names of algorithms in lists, and the lengths of their digests in hexadecimal digits.
const ALGORITHMS: [(&str, &str, usize); 16] = [
    ("md5", "md5", 32),
    ("sha1", "sha1", 40),
    ("sha224", "sha224", 56),
    ("sha256", "sha256", 64),
    ("sha384", "sha384", 96),
    ("sha512", "sha512", 128),
    ("sha2256", "sha256", 64),
    ("sha2384", "sha384", 96),
    ("sha2512", "sha512", 128),
    ("sha3256", "sha3_256", 64),
    ("sha3512", "sha3_512", 128),
    ("rmd160", "ripemd160", 40),
    ("ripemd160", "ripemd160", 40),
    ("blake2b", "blake2b", 128),
    ("blake2s", "blake2s", 64),
    ("whirlpool", "whirlpool", 128),
];

pub(super) fn algorithm(label: &str) -> Option<&'static str> {
    // Other readers recognise these names only in ASCII.
    let folded = folded(label.is_ascii().then_some(label)?);
    let known = ALGORITHMS.iter().find(|(name, ..)| *name == folded);
    known.map(|(_, algorithm, _)| *algorithm)
}

fn length(algorithm: &str) -> usize {
    let known = ALGORITHMS.iter().find(|(_, name, _)| *name == algorithm);
    known.map_or(0, |(.., length)| *length)
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

    #[test]
    fn takes_the_lists_that_projects_sign_and_no_prose() {
        let digits = "ab".repeat(32);
        let long = "cd".repeat(64);
        let good = [
            format!("{digits}  tool-1.0.tar.gz\n{long}  other\n"),
            format!("# tool-1.0.iso: 12345 bytes\nSHA256 (tool-1.0.iso) = {digits}\n"),
            format!(
                "# SHA512 HASH\n{long}  tool\n# BLAKE2B HASH\n{}  tool\n",
                "ef".repeat(64)
            ),
            format!("{}  *x\n{digits} *tool\n", "0".repeat(32)),
            format!("SHA2-256(tool)= {digits}\n"),
            format!("# CLI\n#\n# by hand\n{digits}  tool\n"),
            format!("; Generated by sha256sum on 2026-01-01\n{digits}  ./tool\n"),
            format!("{digits}  cargo-deny-0.16-linux.tar.gz\n{long}  cargo-deny-0.16-macos.tar.gz\n"),
        ];
        for text in good {
            let list = HashList::of_signed(text.as_bytes());
            assert!(
                list.is_ok_and(|list| list
                    .entries
                    .iter()
                    .any(|it| it.digest.values().any(|it| *it == digits || *it == long))),
                "{text}"
            );
        }
        let bad = [
            format!("ADVISORY: the file with SHA-256 {digits} is MALWARE.\n"),
            format!("MALWARE (tool) = {digits}\n"),
            format!("Warning: do not use\nSHA256:\n {digits} 8 tool\n"),
            format!("SHA256:\n {digits} 8 tool\n\nThis one is bad.\n"),
            format!("Revoked:\n{digits}  tool\n"),
            format!("# revoked, do not use\n{digits}  tool\n"),
            format!("{digits}  tool\n# These files are not ours.\n"),
            format!("# {digits}  tool\n"),
            format!("{digits}  tool\n{}  tool\n", "00".repeat(32)),
            format!("{digits}\n"),
            format!("{{\"bad\": \"{digits}\"}}\n"),
            format!("- {digits}  tool\n"),
            format!("SHA512 (tool) = {digits}\n"),
            format!("\\{digits}  tool\n"),
            String::new(),
        ];
        for text in bad {
            assert!(HashList::of_signed(text.as_bytes()).is_err(), "{text}");
        }
    }
}
