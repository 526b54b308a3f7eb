//! Lists of digests: `SHA256SUMS` as Guix builders of a release sign them one by one, and Nix's `.narinfo`.
//!
//! A list says only "this file came out with these bytes". Whose list it is, a detached signature beside it tells
//! (`docs/verify.md` describes the layout); a `.narinfo` carries its own.
//!
//! A text counts as a list only where every line is understood. A digest in prose may stand there for any reason, and
//! "do not use" is one of them.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::apt;
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
    /// The first comment that is more than a heading, with its line: only people can tell what it says of the files.
    pub remark: Option<(usize, String)>,
}

/// A text that is no list.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum HashListError {
    #[error("line {0} is no digest and file name")]
    Line(usize),
    #[error("line {line} ({text:?}) is a comment that only people understand")]
    Remark { line: usize, text: String },
    #[error("line {line} gives {name:?} another digest than a line before it")]
    Contradiction { line: usize, name: String },
    #[error("its field {0:?} is not one that such a file has")]
    Unknown(String),
    #[error("it is neither a list of digests nor a Debian control file with Checksums-Sha256 or SHA256")]
    NoList,
    #[error("it has more than {LINES} lines")]
    TooLong,
    #[error("its {0} is missing or malformed")]
    Field(&'static str),
}

impl HashList {
    /// Whether the first line looks like that of a list: a SHA-2 digest, blanks, a name; or BSD's form.
    pub fn is_one(text: &str) -> bool {
        let mut lines = text.lines().filter(|line| !is_comment(line));
        lines.next().is_some_and(|line| entry(line, None).is_some())
    }

    /// Reads the output of `sha256sum`, `sha512sum` or `shasum --tag`; lines that begin with `#` are comments.
    pub fn parse(text: &str) -> Result<Self, HashListError> {
        let mut entries: Vec<Descriptor> = Vec::new();
        let mut seen: BTreeMap<(String, String), String> = BTreeMap::new();
        let (mut remarks, mut algorithm) = (Vec::new(), None);
        for (number, line) in text.lines().enumerate() {
            if number >= LINES {
                return Err(HashListError::TooLong);
            }
            let number = number.saturating_add(1);
            if is_comment(line) {
                let comment = line.trim().trim_start_matches('#').trim();
                algorithm = heading(comment).or(algorithm);
                if !comment.is_empty() {
                    remarks.push((number, comment.to_owned()));
                }
                continue;
            }
            let entry = entry(line, algorithm).ok_or(HashListError::Line(number))?;
            let name = entry.name.clone().unwrap_or_default();
            for (algorithm, digits) in &entry.digest {
                // Two readers could take the one digest or the other.
                let known = seen.insert((name.clone(), algorithm.clone()), digits.clone());
                if known.is_some_and(|known| known != *digits) {
                    return Err(HashListError::Contradiction { line: number, name });
                }
            }
            entries.push(entry);
        }
        let remark = remarks
            .into_iter()
            .find(|(_, comment)| !is_plain(comment, &entries));
        Ok(Self {
            entries,
            own: None,
            remark,
        })
    }

    /// Reads a text that someone signed: a list, or one of Debian's control files, and nothing besides.
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

    /// Whether everything in it is understood.
    pub fn understood(&self) -> Result<(), HashListError> {
        match &self.remark {
            None => Ok(()),
            Some((line, text)) => Err(HashListError::Remark {
                line: *line,
                text: text.chars().take(120).collect(),
            }),
        }
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
            remark: None,
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

/// One line: `DIGEST  NAME` and `DIGEST *NAME` as coreutils write it, `ALGORITHM (NAME) = DIGEST` as BSD and OpenSSL do.
fn entry(line: &str, heading: Option<&'static str>) -> Option<Descriptor> {
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
    // Weak digests stand beside the others in some lists; nothing is ever compared with them.
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
        // A label that does not fit its digest is a mistake; a heading may be of an earlier part.
        Some(_) if line.contains('(') && heading.is_none() => return None,
        _ => of_length,
    };
    let name = name.trim().trim_start_matches("./");
    let fine = digits.bytes().all(|digit| digit.is_ascii_hexdigit()) && is_harmless(name);
    fine.then(|| descriptor(name, algorithm, digits))
}

/// The algorithms that lists name, and the lengths of their digests in hexadecimal digits.
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

fn algorithm(label: &str) -> Option<&'static str> {
    let folded = super::json::folded(label);
    let known = ALGORITHMS.iter().find(|(name, ..)| *name == folded);
    known.map(|(_, algorithm, _)| *algorithm)
}

fn length(algorithm: &str) -> usize {
    let known = ALGORITHMS.iter().find(|(_, name, _)| *name == algorithm);
    known.map_or(0, |(.., length)| *length)
}

/// The algorithm that a comment announces, as in Gentoo's `# SHA512 HASH`.
fn heading(comment: &str) -> Option<&'static str> {
    let (label, rest) = comment.split_once(' ').unwrap_or((comment, ""));
    let kind = ["", "hash", "hashes", "sum", "sums", "checksums", "digests"];
    algorithm(label).filter(|_| kind.contains(&rest.to_lowercase().as_str()))
}

/// Words that say what a list is, and can say nothing else.
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

/// Whether a comment is a heading of the list: made of such words, algorithms, numbers, dates, and names that the
/// list's own files have.
fn is_plain(comment: &str, entries: &[Descriptor]) -> bool {
    let names: Vec<String> = entries
        .iter()
        .filter_map(|entry| entry.name.as_deref())
        .map(str::to_lowercase)
        .collect();
    let plain = |word: &str| {
        let word = word.to_lowercase();
        let number = word.starts_with(|c: char| c.is_ascii_digit() || c == 'v')
            && word
                .trim_start_matches('v')
                .chars()
                .all(|c| c.is_ascii_digit() || "-_.+:tz".contains(c))
            && word.contains(|c: char| c.is_ascii_digit());
        let of_file = || {
            names
                .iter()
                .any(|name| *name == word || name.rsplit('/').next() == Some(word.as_str()))
        };
        number || PLAIN.binary_search(&word.as_str()).is_ok() || algorithm(&word).is_some() || of_file()
    };
    comment
        .split(|c: char| c.is_whitespace() || ",;()[]=#~*".contains(c))
        .map(|word| word.trim_matches(|c: char| c.is_ascii_punctuation() && c != '_'))
        .filter(|word| !word.is_empty())
        .all(plain)
}

/// The fields of `.dsc` (deb-src-control), `.changes` (deb-changes) and `Release` files that have digests.
const DIGESTS: [&str; 2] = ["Checksums-Sha256", "SHA256"];
/// All others that such files have.
const FIELDS: [&str; 62] = [
    "Acquire-By-Hash",
    "Architecture",
    "Architectures",
    "Autobuild",
    "Binary",
    "Binary-Only",
    "Build-Conflicts",
    "Build-Conflicts-Arch",
    "Build-Conflicts-Indep",
    "Build-Depends",
    "Build-Depends-Arch",
    "Build-Depends-Indep",
    "Built-For-Profiles",
    "ButAutomaticUpgrades",
    "Changed-By",
    "Changelogs",
    "Changes",
    "Checksums-Sha1",
    "Checksums-Sha512",
    "Closes",
    "Codename",
    "Components",
    "Date",
    "Description",
    "Dgit",
    "Distribution",
    "Files",
    "Format",
    "Git-Tag-Info",
    "Git-Tag-Tagger",
    "Homepage",
    "Label",
    "Launchpad-Bugs-Fixed",
    "MD5Sum",
    "Maintainer",
    "No-Support-for-Architecture-all",
    "NotAutomatic",
    "Origin",
    "Package-List",
    "Package-Type",
    "SHA1",
    "SHA512",
    "Section",
    "Signed-By",
    "Snapshots",
    "Source",
    "Standards-Version",
    "Suite",
    "Testsuite",
    "Testsuite-Triggers",
    "Uploaders",
    "Urgency",
    "Valid-Until",
    "Vcs-Arch",
    "Vcs-Browser",
    "Vcs-Bzr",
    "Vcs-Cvs",
    "Vcs-Darcs",
    "Vcs-Git",
    "Vcs-Hg",
    "Vcs-Svn",
    "Version",
];

fn is_field(name: &str) -> bool {
    DIGESTS
        .iter()
        .chain(&FIELDS)
        .any(|known| known.eq_ignore_ascii_case(name))
}

/// Reads one of Debian's control files: one paragraph whose fields are all known, each once.
fn control_file(text: &str) -> Result<HashList, HashListError> {
    let mut seen: Vec<String> = Vec::new();
    for line in text.trim_end().lines() {
        if line.trim().is_empty() {
            return Err(HashListError::Unknown("(a second paragraph)".into()));
        }
        if line.starts_with([' ', '\t']) {
            continue;
        }
        let name = line.split_once(':').map_or(line, |(name, _)| name);
        let folded = name.to_lowercase();
        if !is_field(name) || seen.contains(&folded) {
            return Err(HashListError::Unknown(name.chars().take(60).collect()));
        }
        seen.push(folded);
    }
    let paragraph =
        apt::one_paragraph("the signed text", text.as_bytes()).map_err(|_| HashListError::NoList)?;
    let mut entries = Vec::new();
    for field in DIGESTS {
        let Some(files) = paragraph.get(field) else {
            continue;
        };
        for (name, sha256, _) in
            apt::checksums("the signed text", files).map_err(|_| HashListError::Field("checksum field"))?
        {
            if !is_harmless(&name) {
                return Err(HashListError::Field("checksum field"));
            }
            entries.push(descriptor(&name, "sha256", &sha256.to_hex()));
        }
    }
    Ok(HashList {
        entries,
        own: None,
        remark: None,
    })
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
            format!("Format: 3.0 (quilt)\nSource: tool\nVersion: 1\nChecksums-Sha256:\n {digits} 8 tool\n"),
            format!("Origin: Debian\nSuite: stable\nSHA256:\n {digits} 8 main/binary-amd64/Packages\n"),
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
        assert!(PLAIN.is_sorted(), "they are searched by halves");
    }
}
