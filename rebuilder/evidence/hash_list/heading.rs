//! Recognises comments in lists that are only headings.

use std::collections::BTreeSet;

use super::plain::algorithm;

/// The algorithm that a comment announces, as in Gentoo's `# SHA512 HASH`.
pub(super) fn heading(comment: &str) -> Option<&'static str> {
    let (label, rest) = comment.split_once(' ').unwrap_or((comment, ""));
    let kind = ["", "hash", "hashes", "sum", "sums", "checksums", "digests"];
    algorithm(label).filter(|_| kind.contains(&rest.to_lowercase().as_str()))
}

/// Words that only describe a list, and cannot say anything about its files.
const PLAIN: [&str; 74] = [
    "a",
    "amd64",
    "an",
    "and",
    "android",
    "archive",
    "archives",
    "arm64",
    "at",
    "bin",
    "binaries",
    "binary",
    "build",
    "builds",
    "by",
    "bytes",
    "checksum",
    "checksums",
    "cli",
    "compressed",
    "created",
    "darwin",
    "date",
    "digest",
    "digests",
    "download",
    "downloads",
    "file",
    "files",
    "for",
    "from",
    "generated",
    "gui",
    "hand",
    "hash",
    "hashes",
    "image",
    "images",
    "in",
    "installer",
    "installers",
    "iso",
    "linux",
    "list",
    "macos",
    "made",
    "md5sum",
    "of",
    "on",
    "package",
    "packages",
    "release",
    "released",
    "releases",
    "script",
    "sha1sum",
    "sha256sum",
    "sha256sums",
    "sha384sum",
    "sha512sum",
    "sha512sums",
    "shasum",
    "shasums",
    "source",
    "sources",
    "sum",
    "sums",
    "tarball",
    "tarballs",
    "the",
    "utc",
    "version",
    "windows",
    "with",
];

/// Whether a comment is a heading in one of the usual forms: an algorithm, a file with its size (`NAME: 123 bytes`),
/// or only words from [`PLAIN`], algorithms, versions and dates. File names are not allowed as words: a list may have
/// files called "do", "not" and "use".
pub(super) fn is_heading(comment: &str, files: &BTreeSet<&str>) -> bool {
    if comment.chars().any(char::is_control) || comment.chars().count() > 120 {
        return false;
    }
    if heading(comment).is_some() {
        return true;
    }
    if let Some((name, size)) = comment.rsplit_once(": ") {
        let digits = size.strip_suffix(" bytes").unwrap_or_default();
        if !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit()) {
            return files.contains(name);
        }
    }
    let plain = |word: &str| {
        if !word.is_ascii() {
            return false;
        }
        let word = word.to_ascii_lowercase();
        let rest = word.strip_prefix('v').unwrap_or(&word);
        let number = rest.starts_with(|c: char| c.is_ascii_digit())
            && rest.len() <= 32
            && rest.chars().all(|c| c.is_ascii_digit() || "-_.+:tz".contains(c));
        number || PLAIN.binary_search(&word.as_str()).is_ok() || algorithm(&word).is_some()
    };
    comment
        .split(|c: char| c.is_whitespace() || ",;()[]=#~*".contains(c))
        .map(|word| word.trim_matches(|c: char| c.is_ascii_punctuation() && c != '_'))
        .filter(|word| !word.is_empty())
        .all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_sorted() {
        assert!(PLAIN.is_sorted(), "they are searched by halves");
    }
}
