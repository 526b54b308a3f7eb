//! Lists of digests: `SHA256SUMS` as Guix builders of a release sign them one by one, and Nix's `.narinfo`.
//!
//! A list says only "this file came out with these bytes". Whose list it is, a detached signature beside it tells
//! (`docs/verify.md` describes the layout); a `.narinfo` carries its own.
//!
//! A text counts as a list only where every line is understood. A digest in prose may stand there for any reason, and
//! "do not use" is one of them.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::deb822;
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
    /// The first line that says more than digests and names: only people can tell what it says of the files.
    pub remark: Option<(usize, String)>,
}

/// A text that is no list.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum HashListError {
    #[error("line {0} is no digest and file name")]
    Line(usize),
    #[error("line {line} ({text:?}) says something that only people understand")]
    Remark { line: usize, text: String },
    #[error("its text has the word {0:?}, and only people can tell what that says of the files")]
    Warning(String),
    #[error("it has a character that some readers take for the end of a line, and others do not")]
    Control,
    #[error("its field {field:?} is missing, or is not what {form} have there")]
    Form { form: &'static str, field: &'static str },
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
                // Two readers could take the one digest or the other.
                let known = seen.insert((name.clone(), algorithm.clone()), digits.clone());
                if known.is_some_and(|known| known != *digits) {
                    return Err(HashListError::Contradiction { line: number, name });
                }
            }
            entries.push(entry);
        }
        // What the words of names say is only known when all names are.
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
    line.trim().is_empty() || line.starts_with(['#', ';'])
}

fn is_digits(word: &str) -> bool {
    word.len() >= 32 && word.bytes().all(|digit| digit.is_ascii_hexdigit())
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

/// Most parts that the path of a line may have.
const PARTS: usize = 8;

/// Whether the folders of a path are only folders: a signer can write a sentence before the last slash.
pub(super) fn is_plain_path(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').collect();
    let (_, folders) = parts.split_last().unwrap_or((&"", &[]));
    let plain = |part: &&str| {
        let conservative = |c: char| c.is_ascii_alphanumeric() || "._+~-".contains(c);
        !part.is_empty()
            && **part != *"."
            && **part != *".."
            && part.len() <= 64
            && part.chars().all(conservative)
    };
    parts.len() <= PARTS && folders.iter().all(plain)
}

/// Words with which a signer takes a file back or warns of it. No list of them is whole, which is why comments, folders
/// and fields are held to forms besides.
const WARNINGS: [&str; 73] = [
    "advisory",
    "avoid",
    "backdoor",
    "backdoored",
    "bad",
    "banned",
    "beware",
    "blacklist",
    "blacklisted",
    "blocked",
    "blocklist",
    "bogus",
    "broken",
    "compromise",
    "compromised",
    "corrupt",
    "corrupted",
    "counterfeit",
    "danger",
    "dangerous",
    "defective",
    "denied",
    "deny",
    "denylist",
    "deprecated",
    "donotinstall",
    "donotuse",
    "dontuse",
    "exploited",
    "fake",
    "forged",
    "hacked",
    "harmful",
    "infected",
    "insecure",
    "invalid",
    "leaked",
    "malicious",
    "malware",
    "malwares",
    "poisoned",
    "quarantine",
    "quarantined",
    "recalled",
    "rejected",
    "repudiated",
    "retracted",
    "revocation",
    "revocations",
    "revoke",
    "revoked",
    "rogue",
    "rootkit",
    "scam",
    "spyware",
    "stolen",
    "suspicious",
    "tainted",
    "tampered",
    "trojan",
    "trojaned",
    "unauthorised",
    "unauthorized",
    "unsafe",
    "untrusted",
    "untrustworthy",
    "virus",
    "vuln",
    "vulnerabilities",
    "vulnerability",
    "vulnerable",
    "withdrawn",
    "yanked",
];

/// Words of a text one after the other, and what they warn of.
struct Words<'a> {
    /// Words that all files have in their names, such as "deny" of `cargo-deny`: whoever asked for one of them knows.
    own: &'a BTreeSet<String>,
    last: [String; 2],
}

impl<'a> Words<'a> {
    fn new(own: &'a BTreeSet<String>) -> Self {
        let last = [String::new(), String::new()];
        Self { own, last }
    }

    /// The first warning in some more text.
    fn warning(&mut self, text: &str) -> Option<String> {
        // What stands before each name in BSD's form is no word of the text.
        for word in words(text).filter(|word| word != "sha") {
            let [first, second] = &self.last;
            let negated = (first == "do" && matches!(second.as_str(), "not" | "nt"))
                || matches!(second.as_str(), "dont" | "never")
                || (first == "don" && second == "t");
            let asks = [
                "use", "install", "trust", "run", "download", "release", "ship", "deploy",
            ];
            if negated && asks.contains(&word.as_str()) {
                return Some(format!("not {word}"));
            }
            if WARNINGS.binary_search(&word.as_str()).is_ok() && !self.own.contains(&word) {
                return Some(word);
            }
            self.last.swap(0, 1);
            self.last[1] = word;
        }
        None
    }
}

fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !c.is_alphabetic())
        .filter(|word| !word.is_empty())
        .map(super::json::case_folded)
}

/// The warning that a text has, where it has one.
pub(super) fn warning(text: &str) -> Option<String> {
    Words::new(&BTreeSet::new()).warning(text)
}

/// The words that all of these names have.
fn common_words<'a>(mut names: impl Iterator<Item = &'a str>) -> BTreeSet<String> {
    let mut common: BTreeSet<String> = names.next().map(|name| words(name).collect()).unwrap_or_default();
    for name in names {
        if common.is_empty() {
            break;
        }
        let own: BTreeSet<String> = words(name).collect();
        common.retain(|word| own.contains(word));
    }
    common
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
    let name = name.trim();
    let name = name.strip_prefix("./").unwrap_or(name);
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
    // Other readers know these in ASCII only.
    let folded = super::json::folded(label.is_ascii().then_some(label)?);
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

/// Whether a comment is a heading as programs write them: of an algorithm, of a file with its size (`NAME: 123 bytes`),
/// or made of the words above, algorithms, versions and dates. Names are none of these: a list may have files that are
/// called "do", "not" and "use".
fn is_heading(comment: &str, files: &BTreeSet<&str>) -> bool {
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

/// The fields that have the digests.
const DIGESTS: [&str; 2] = ["Checksums-Sha256", "SHA256"];

/// One of Debian's forms of control files.
struct Form {
    /// For people.
    name: &'static str,
    /// Fields that it always has; of those in one entry, one is enough.
    required: &'static [&'static [&'static str]],
    /// All others that it may have.
    others: &'static [&'static str],
    /// What `Format` says, where it has one.
    formats: &'static [&'static str],
}

/// `.dsc` (deb-src-control).
const DSC: Form = Form {
    name: ".dsc files",
    required: &[
        &["Format"],
        &["Source"],
        &["Binary"],
        &["Version"],
        &["Checksums-Sha256"],
    ],
    others: &[
        "Architecture",
        "Autobuild",
        "Build-Conflicts",
        "Build-Conflicts-Arch",
        "Build-Conflicts-Indep",
        "Build-Depends",
        "Build-Depends-Arch",
        "Build-Depends-Indep",
        "Checksums-Sha1",
        "Checksums-Sha512",
        "Dgit",
        "Files",
        "Git-Tag-Info",
        "Git-Tag-Tagger",
        "Homepage",
        "Maintainer",
        "Original-Maintainer",
        "Package-List",
        "Package-Type",
        "Section",
        "Standards-Version",
        "Testsuite",
        "Testsuite-Triggers",
        "Uploaders",
        "Vcs-Arch",
        "Vcs-Browser",
        "Vcs-Bzr",
        "Vcs-Cvs",
        "Vcs-Darcs",
        "Vcs-Git",
        "Vcs-Hg",
        "Vcs-Svn",
    ],
    formats: &[
        "1.0",
        "2.0",
        "3.0 (native)",
        "3.0 (quilt)",
        "3.0 (git)",
        "3.0 (bzr)",
        "3.0 (custom)",
    ],
};

/// `.changes` (deb-changes).
const CHANGES: Form = Form {
    name: ".changes files",
    required: &[
        &["Format"],
        &["Date"],
        &["Source"],
        &["Version"],
        &["Distribution"],
        &["Changes"],
        &["Checksums-Sha256"],
    ],
    others: &[
        "Architecture",
        "Binary",
        "Binary-Only",
        "Built-For-Profiles",
        "Changed-By",
        "Checksums-Sha1",
        "Checksums-Sha512",
        "Closes",
        "Description",
        "Files",
        "Launchpad-Bugs-Fixed",
        "Maintainer",
        "Original-Maintainer",
        "Urgency",
    ],
    formats: &["1.8"],
};

/// `Release` and `InRelease` of an archive.
const RELEASE: Form = Form {
    name: "Release files",
    required: &[&["Suite", "Codename"], &["Date"], &["SHA256"]],
    others: &[
        "Acquire-By-Hash",
        "Architectures",
        "ButAutomaticUpgrades",
        "Changelogs",
        "Components",
        "Description",
        "Label",
        "MD5Sum",
        "No-Support-for-Architecture-all",
        "NotAutomatic",
        "Origin",
        "SHA1",
        "SHA512",
        "Signed-By",
        "Snapshots",
        "Valid-Until",
        "Version",
    ],
    formats: &[],
};

/// `.buildinfo` (deb-buildinfo).
const BUILDINFO: Form = Form {
    name: ".buildinfo files",
    required: &[
        &["Format"],
        &["Source"],
        &["Version"],
        &["Checksums-Sha256"],
        &["Installed-Build-Depends"],
    ],
    others: &[
        "Architecture",
        "Binary",
        "Binary-Only-Changes",
        "Build-Architecture",
        "Build-Date",
        "Build-Kernel-Version",
        "Build-Origin",
        "Build-Path",
        "Build-Tainted-By",
        "Checksums-Md5",
        "Checksums-Sha1",
        "Checksums-Sha512",
        "Environment",
    ],
    formats: &["1.0"],
};

impl Form {
    fn has(&self, field: &str) -> bool {
        let required = self.required.iter().copied().flatten();
        required.chain(self.others).any(|known| *known == field)
    }
}

fn is_field(name: &str) -> bool {
    [DSC, CHANGES, RELEASE]
        .iter()
        .any(|form| form.has(&known_case(name)))
}

/// A field's name as the manuals write it; case does not matter in them.
fn known_case(name: &str) -> String {
    let forms = [&DSC, &CHANGES, &RELEASE, &BUILDINFO];
    let known = forms
        .iter()
        .flat_map(|form| form.required.iter().copied().flatten().chain(form.others));
    let mut known = known.filter(|known| known.eq_ignore_ascii_case(name));
    known
        .next()
        .map_or_else(|| name.to_owned(), |name| (*name).to_owned())
}

/// The fields of the one paragraph that a control file has, each once.
fn fields(text: &str) -> Result<Vec<(String, String)>, HashListError> {
    if text.chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
        return Err(HashListError::Control);
    }
    let mut fields: Vec<(String, String)> = Vec::new();
    for line in text.trim_end().lines() {
        if line.trim().is_empty() {
            return Err(HashListError::Unknown("(a second paragraph)".into()));
        }
        if line.starts_with([' ', '\t']) {
            let (_, value) = fields.last_mut().ok_or(HashListError::NoList)?;
            value.push('\n');
            value.push_str(line.trim());
            continue;
        }
        let unknown = || HashListError::Unknown(line.chars().take(60).collect());
        let (name, value) = line.split_once(':').ok_or_else(unknown)?;
        let name = known_case(name);
        if fields.iter().any(|(known, _)| *known == name) {
            return Err(HashListError::Unknown(name));
        }
        fields.push((name, value.trim().to_owned()));
    }
    Ok(fields)
}

/// Whether a field's value looks as such values do.
type Shape = fn(&str) -> bool;

/// Refuses a text that has not the fields of its form, or whose fields say more than they are for.
fn of_form(form: &Form, fields: &[(String, String)]) -> Result<(), HashListError> {
    let field = |name: &str| {
        let found = fields.iter().find(|(known, _)| known == name);
        found
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    };
    if let Some((name, _)) = fields.iter().find(|(name, _)| !form.has(name)) {
        return Err(HashListError::Unknown(name.chars().take(60).collect()));
    }
    let wrong = |field: &'static str| HashListError::Form {
        form: form.name,
        field,
    };
    for names in form.required {
        if !names.iter().any(|name| field(name).is_some()) {
            return Err(wrong(names.first().copied().unwrap_or_default()));
        }
    }
    if field("Format").is_some_and(|format| !form.formats.contains(&format)) {
        return Err(wrong("Format"));
    }
    let shapes: [(&'static str, Shape); 7] = [
        ("Source", is_source),
        ("Binary", is_packages),
        ("Version", is_version),
        ("Date", is_date),
        ("Suite", is_token),
        ("Codename", is_token),
        ("Distribution", is_token),
    ];
    for (name, shape) in shapes {
        if field(name).is_some_and(|value| !shape(value)) {
            return Err(wrong(name));
        }
    }
    let listed = fields
        .iter()
        .filter(|(name, _)| DIGESTS.contains(&name.as_str()))
        .flat_map(|(_, value)| value.lines())
        .filter_map(|line| line.split_whitespace().last());
    let listed: Vec<&str> = listed.collect();
    if listed.iter().any(|path| !is_plain_path(path)) {
        return Err(HashListError::Field("checksum field"));
    }
    let of_all = common_words(listed.iter().map(|path| file_name(path)));
    let mut said = Words::new(&of_all);
    for (_, value) in fields {
        // Words of one field do not go on in the next.
        said.last = Default::default();
        let mut words = value.split_whitespace().filter(|word| !is_digits(word));
        if let Some(word) = words.find_map(|word| said.warning(word)) {
            return Err(HashListError::Warning(word));
        }
    }
    Ok(())
}

/// A package, as policy 5.6.1 has it.
fn is_package(name: &str) -> bool {
    name.len() <= 128
        && name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "+-.".contains(c))
}

/// `NAME`, or `NAME (VERSION)` where the binaries have another version.
fn is_source(value: &str) -> bool {
    match value.split_once(' ') {
        None => is_package(value),
        Some((name, rest)) => {
            let version = rest.strip_prefix('(').and_then(|rest| rest.strip_suffix(')'));
            is_package(name) && version.is_some_and(is_version)
        }
    }
}

fn is_packages(value: &str) -> bool {
    let names = value.split(|c: char| c.is_whitespace() || c == ',');
    names.filter(|name| !name.is_empty()).all(is_package)
}

fn is_version(value: &str) -> bool {
    value.starts_with(|c: char| c.is_ascii_digit())
        && value
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || ".+:~-".contains(c))
}

/// As RFC 5322 has it: `Sat, 11 Jul 2026 09:58:59 UTC`.
fn is_date(value: &str) -> bool {
    const WORDS: [&str; 23] = [
        "mon", "tue", "wed", "thu", "fri", "sat", "sun", "jan", "feb", "mar", "apr", "may", "jun", "jul",
        "aug", "sep", "oct", "nov", "dec", "utc", "gmt", "z", "t",
    ];
    value.contains(|c: char| c.is_ascii_digit())
        && value.len() <= 40
        && value
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || " ,:+-".contains(c))
        && value
            .split(|c: char| !c.is_ascii_alphabetic())
            .filter(|word| !word.is_empty())
            .all(|word| WORDS.contains(&word.to_ascii_lowercase().as_str()))
}

fn is_token(value: &str) -> bool {
    value.len() <= 64
        && value
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "._/+~-".contains(c))
}

/// Refuses a record of a build that says more than such a record does.
pub(super) fn is_buildinfo(text: &[u8]) -> Result<(), HashListError> {
    let text = std::str::from_utf8(text).map_err(|_| HashListError::NoList)?;
    of_form(&BUILDINFO, &fields(text)?)
}

/// Reads one of Debian's control files: one paragraph that has what one of the forms has, and nothing besides.
fn control_file(text: &str) -> Result<HashList, HashListError> {
    let fields = fields(text)?;
    let has = |name: &str| fields.iter().any(|(known, _)| known == name);
    let form = if has("SHA256") {
        RELEASE
    } else if has("Changes") || has("Distribution") {
        CHANGES
    } else {
        DSC
    };
    of_form(&form, &fields)?;
    let mut entries = Vec::new();
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    for (_, files) in fields.iter().filter(|(name, _)| DIGESTS.contains(&name.as_str())) {
        for (name, sha256, _) in
            deb822::checksums("the signed text", files).map_err(|_| HashListError::Field("checksum field"))?
        {
            if !is_harmless(&name) || !is_plain_path(&name) {
                return Err(HashListError::Field("checksum field"));
            }
            let digest = sha256.to_hex();
            let known = seen.insert(name.clone(), digest.clone());
            if known.is_some_and(|known| known != digest) {
                return Err(HashListError::Field("checksum field"));
            }
            entries.push(descriptor(&name, "sha256", &digest));
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
        assert!(PLAIN.is_sorted(), "they are searched by halves");
        assert!(WARNINGS.is_sorted(), "they are searched by halves");
    }

    #[test]
    fn no_line_of_a_list_carries_a_message() {
        let (digits, zeros) = ("ab".repeat(32), "0".repeat(64));
        for path in [
            "tool",
            "./tool",
            "dist/tool",
            "release/linux-x86_64/v1.0+deb~1/tool",
            "a/b/c/d/e/f/g/tool",
        ] {
            let text = format!("{digits}  {path}\n");
            let list = HashList::of_signed(text.as_bytes()).unwrap();
            let shown = path.strip_prefix("./").unwrap_or(path);
            assert_eq!(list.entries[0].name.as_deref(), Some(shown));
            let text = format!("SHA256 ({path}) = {digits}\n");
            assert!(HashList::of_signed(text.as_bytes()).is_ok(), "{text}");
        }
        for path in [
            "REVOKED DO NOT USE/tool",
            "known-malware/tool",
            "MALWARE/tool",
            "Compromised_2026/tool",
            "dist/bad/tool",
            "x.vulnerable.y/tool",
            "infected2/tool",
            "blocked/tool",
            "deny/tool",
            "do-not-use/tool",
            "do/not/use/tool",
            "donotuse/tool",
            "dont.install/tool",
            "revo\u{212a}ed/tool",
            "mal\u{200b}ware/tool",
            "this is not ours/tool",
            "a\"b/tool",
            "a//tool",
            "./././tool",
            "a/./tool",
            "a/b/c/d/e/f/g/h/tool",
        ] {
            for text in [
                format!("{digits}  {path}\n"),
                format!("{digits} *{path}\n"),
                format!("SHA256 ({path}) = {digits}\n"),
                format!("{digits}  tool\n{zeros}  {path}\n"),
            ] {
                assert!(HashList::of_signed(text.as_bytes()).is_err(), "{text}");
            }
        }
        for text in [
            // What the other lines say counts too.
            format!("{digits}  tool\n{zeros}  tool-is-malware\n"),
            format!("{digits}  tool\n{zeros}  do-not-use\n"),
            format!(
                "{zeros}  do\n{}  not\n{}  use\n{digits}  tool\n",
                "1".repeat(64),
                "2".repeat(64)
            ),
            format!(
                "SHA256 (do) = {zeros}\nSHA256 (not) = {zeros}\nSHA256 (use) = {zeros}\nSHA256 (tool) = {digits}\n"
            ),
            // Names of files are no words of comments.
            format!("{zeros}  ours\n{digits}  tool\n# ours, tool\n"),
            format!("# tool\n{digits}  tool\n"),
            format!("# tool: fine\n{digits}  tool\n"),
            format!("# other: 12 bytes\n{digits}  tool\n"),
            format!("# tool: 12 bytes, not ours\n{digits}  tool\n"),
            format!("; do not use\n{digits}  tool\n"),
            format!("# release\rnot ours\n{digits}  tool\n"),
            format!("# \u{202e}sdaolnwod\n{digits}  tool\n"),
        ] {
            assert!(HashList::of_signed(text.as_bytes()).is_err(), "{text}");
        }
        // A label that only some readers take for SHA256.
        assert!(HashList::parse(&format!("\u{17f}ha256 (tool) = {digits}\n")).is_err());
    }

    #[test]
    fn debians_files_have_the_fields_of_their_form() {
        let digits = "ab".repeat(32);
        let dsc = format!(
            "Format: 3.0 (quilt)\nSource: tool\nBinary: tool, tool-doc\nArchitecture: any all\nVersion: 1:1.0-1\n\
             Maintainer: A B <a@example.org>\nBuild-Depends: debhelper-compat (= 13)\n\
             Checksums-Sha256:\n {digits} 8 tool\nFiles:\n {} 8 tool\n",
            "0".repeat(32)
        );
        let changes = format!(
            "Format: 1.8\nDate: Tue, 24 Nov 2026 00:00:00 +0000\nSource: tool\nBinary: tool\nArchitecture: source amd64\n\
             Version: 1.0-1\nDistribution: unstable\nUrgency: medium\nDescription:\n tool - does things\n\
             Changes:\n tool (1.0-1) unstable; urgency=medium\n .\n   * New release.\nChecksums-Sha256:\n {digits} 8 tool\n"
        );
        let release = format!(
            "Origin: Debian\nLabel: Debian\nSuite: stable\nCodename: bookworm\nDate: Sat, 11 Jul 2026 09:58:59 UTC\n\
             Description: Debian 12.5\nSHA256:\n {digits} 8 main/binary-amd64/Packages\n"
        );
        let info = format!(
            "Format: 1.0\nSource: tool (1.0-1)\nBinary: tool\nVersion: 1.0-1+b1\nChecksums-Sha256:\n {digits} 8 tool\n\
             Build-Origin: Debian\nInstalled-Build-Depends:\n gcc (= 12.2)\nEnvironment:\n LANG=\"C\"\n"
        );
        let counts = |text: &str| {
            if text.contains("Installed-") {
                is_buildinfo(text.as_bytes()).is_ok()
            } else {
                HashList::of_signed(text.as_bytes()).is_ok()
            }
        };
        let mut bad: Vec<String> = vec![
            format!("Source: tool\nDescription: MALWARE do not use\nChecksums-Sha256:\n {digits} 8 tool\n"),
            format!("Origin: known malware feed\nSuite: stable\nSHA256:\n {digits} 8 tool\n"),
            format!("Source: tool\nChecksums-Sha256:\n {digits} 8 tool\n"),
            format!("SHA256:\n {digits} 8 tool\n"),
        ];
        for (text, required) in [
            (&dsc, &["Format", "Source", "Binary", "Version"][..]),
            (
                &changes,
                &["Format", "Date", "Source", "Version", "Distribution", "Changes"],
            ),
            (&release, &["Date"]),
            (&info, &["Format", "Source", "Version"]),
        ] {
            assert!(counts(text), "{text}");
            for field in required {
                bad.push(text.replacen(&format!("{field}:"), "X-Other:", 1));
                bad.push(text.replacen(&format!("{field}:"), &format!("{field}: do not use "), 1));
                bad.push(text.replacen(&format!("{field}:"), &format!("{field}: malware "), 1));
            }
            for more in [
                "Comment: not ours\n",
                "X-Status: fine\n",
                "Description: MALWARE\n",
                "Origin: known malware feed\n",
                "Build-Origin: REVOKED\n",
                "Changes:\n Do not\n use.\n",
                "Uploaders: This Is Compromised\n",
                "Source: tool\n",
                "\nDo: not use\n",
            ] {
                bad.push(format!("{text}{more}"));
                bad.push(format!("{more}{text}"));
            }
            bad.push(text.replace('\n', "\r\n"));
            bad.push(
                text.replacen("8 tool", "8 malware/tool", 1)
                    .replacen("8 main/", "8 malware/", 1),
            );
            bad.push(
                text.replacen("8 tool", "8 a|b/tool", 1)
                    .replacen("8 main/", "8 a|b/", 1),
            );
        }
        bad.push(changes.replacen("New release.", "This release is compromised.", 1));
        bad.push(changes.replacen("does things", "do not use", 1));
        bad.push(release.replacen("Debian 12.5", "vulnerable files", 1));
        bad.push(dsc.replacen("3.0 (quilt)", "3.0 (revoked)", 1));
        for text in bad {
            assert!(!counts(&text), "{text}");
        }
    }
}
