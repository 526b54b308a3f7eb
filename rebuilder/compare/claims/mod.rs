//! Lists of checksums, compared with the files that they name.
//!
//! A line follows from its file if its digest and its size are those of the file, on each side, whatever form it is
//! written in. Everything else in such a list is content.

#[cfg(test)]
mod tests;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::compare::both::{Both, Which};
use crate::compare::cause::{Cause, Confidence};
use crate::compare::finding::{Finding, Node};
use crate::compare::limits::Meter;
use crate::compare::pair::on_two_threads;
use crate::compare::recompute::{Digests, Wanted, recompute};
use crate::compare::source::Source;

/// The algorithm of a digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Algorithm {
    Md5,
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

impl Algorithm {
    const ALL: [Self; 6] = [
        Self::Md5,
        Self::Sha1,
        Self::Sha224,
        Self::Sha256,
        Self::Sha384,
        Self::Sha512,
    ];

    /// Its name without dashes, in lower case.
    pub fn name(self) -> &'static str {
        match self {
            Self::Md5 => "md5",
            Self::Sha1 => "sha1",
            Self::Sha224 => "sha224",
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
        }
    }

    /// Length of its digests, in bytes.
    fn length(self) -> usize {
        match self {
            Self::Md5 => 16,
            Self::Sha1 => 20,
            Self::Sha224 => 28,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    /// Reads a name such as `sha256`, `SHA-256` or `Sha256`.
    pub fn named(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase().replace('-', "");
        Self::ALL.into_iter().find(|known| known.name() == name)
    }

    fn of_length(bytes: usize) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.length() == bytes)
    }
}

/// The claim of one line about one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Claim {
    pub file: String,
    pub algorithm: Algorithm,
    digest: Vec<u8>,
    size: Option<u64>,
}

impl Claim {
    /// A digest in hexadecimal; its length tells the algorithm.
    pub fn hex(file: &str, digits: &str) -> Option<Self> {
        let digest = hex::decode(digits).ok()?;
        let algorithm = Algorithm::of_length(digest.len())?;
        Some(Self::new(file, algorithm, digest))
    }

    /// A digest in base64 or hexadecimal.
    pub fn of(file: &str, algorithm: Algorithm, text: &str) -> Option<Self> {
        let length = algorithm.length();
        let is_digest = |digest: &Vec<u8>| digest.len() == length;
        let from_hex = || hex::decode(text).ok().filter(is_digest);
        let digest = base64_decoded(text).filter(is_digest).or_else(from_hex)?;
        Some(Self::new(file, algorithm, digest))
    }

    /// Adds the size of the file, in decimal.
    pub fn sized(self, size: &str) -> Option<Self> {
        let plain = size.bytes().all(|byte| byte.is_ascii_digit());
        let size = Some(size.parse().ok().filter(|_| plain)?);
        Some(Self { size, ..self })
    }

    fn new(file: &str, algorithm: Algorithm, digest: Vec<u8>) -> Self {
        Self {
            file: file.to_owned(),
            algorithm,
            digest,
            size: None,
        }
    }

    /// What is wrong with the claim, if this is the file.
    fn fault(&self, file: Option<&Digests>) -> Option<String> {
        let name = if self.file == NAMESAKE {
            "the file beside it"
        } else {
            &self.file
        };
        let Some(file) = file else {
            return Some(format!("{name} is not there, or more than once"));
        };
        if self.size.is_some_and(|size| size != file.size) {
            return Some(format!("{name} has {} bytes", file.size));
        }
        let algorithm = self.algorithm.name();
        let Some(digest) = file.get(self.algorithm) else {
            return Some(format!("no {algorithm} of {name} was computed"));
        };
        (digest != self.digest).then(|| format!("{name} has {algorithm} {}", hex::encode(digest)))
    }
}

/// Base64 in either alphabet, with padding or without it.
fn base64_decoded(text: &str) -> Option<Vec<u8>> {
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    [alphabet::URL_SAFE, alphabet::STANDARD]
        .iter()
        .find_map(|alphabet| GeneralPurpose::new(alphabet, config).decode(text).ok())
}

/// Stands for the file that a list is named after, such as `x.jar` for `x.jar.sha256`.
pub(super) const NAMESAKE: &str = "";

/// The file that has its digest in a file of that name.
pub(super) fn with_digest(list: &str) -> Option<&str> {
    let (file, ending) = list.rsplit_once('.')?;
    let is_named = |algorithm: &Algorithm| ending.eq_ignore_ascii_case(algorithm.name());
    (!file.is_empty() && !file.ends_with('/') && Algorithm::ALL.iter().any(is_named)).then_some(file)
}

/// Where the files of a list are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Files {
    /// In the archive of the list; paths begin at its top.
    Archive,
    /// In the folder of the list.
    Beside,
    /// In another archive of the package, such as `data.tar`.
    Part(&'static str),
}

/// The claims of both sides about one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Claims {
    pub sides: Both<Option<Claim>>,
    pub files: Files,
}

impl Claims {
    pub fn new(released: Option<Claim>, rebuilt: Option<Claim>, files: Files) -> Self {
        let sides = Both::new(released, rebuilt);
        Self { sides, files }
    }

    /// The file, by its name on the released side, or on the rebuilt side if only that has it.
    pub fn file(&self) -> Option<&str> {
        let claim = self.sides.released.as_ref().or(self.sides.rebuilt.as_ref());
        claim.map(|claim| claim.file.as_str())
    }
}

/// Recomputes every digest that a finding is about, and notes whether the finding follows from its file.
pub(super) fn verify(root: &mut Node, sides: Both<&Source>, meter: &Meter) {
    let mut wanted: Both<Wanted> = Both::default();
    let mut any = false;
    each_claim(root, &mut Vec::new(), &mut |_, paths, claims| {
        any = true;
        for (which, paths) in paths.each() {
            let claim = claims.sides.of(which).as_ref();
            let file = claim.map_or_else(|| claims.file(), |claim| Some(claim.file.as_str()));
            if let Some(target) = file.and_then(|file| target(&paths, claims.files, file)) {
                let algorithm = claim.map(|claim| claim.algorithm);
                wanted.of_mut(which).want(&target, algorithm);
            }
        }
    });
    if !any {
        return;
    }
    let jobs = Both::new(
        (sides.released, &mut wanted.released),
        (sides.rebuilt, &mut wanted.rebuilt),
    );
    let ends = on_two_threads(jobs, |(source, wanted)| recompute(source, wanted, meter));
    let errors = ends.map(|end| end.err().map(|error| error.to_string()));
    each_claim(root, &mut Vec::new(), &mut |finding, paths, claims| {
        for (which, paths) in paths.each() {
            if let Some(error) = errors.of(which) {
                let why = format!("{} file: {error}", which.name());
                *finding = std::mem::replace(finding, Finding::new("", "", ""))
                    .because(Cause::Unread, Confidence::Proven)
                    .keyed("checksums that could not be recomputed")
                    .set_aside_by(None);
                refuse(finding, &why);
                return;
            }
            if let Some(fault) = fault(claims, which, &paths, wanted.of(which)) {
                finding.cause = Cause::Content;
                finding.key = "a checksum that is not that of its file".into();
                refuse(finding, &format!("{}: {fault}", which.name()));
                return;
            }
        }
        finding.confidence = Confidence::Proven;
    });
}

fn refuse(finding: &mut Finding, why: &str) {
    finding.confidence = Confidence::Proven;
    finding.follows = false;
    finding.normalisation = None;
    finding.place = format!("{}; {why}", finding.place).into();
}

/// What is wrong with the claim on one side.
fn fault(claims: &Claims, which: Which, paths: &[String], wanted: &Wanted) -> Option<String> {
    let found = |file: &str| target(paths, claims.files, file).and_then(|target| wanted.found(&target));
    if let Some(claim) = claims.sides.of(which) {
        return claim.fault(found(&claim.file));
    }
    let file = claims.file()?;
    let unlisted = target(paths, claims.files, file).is_some_and(|target| wanted.is_there(&target));
    unlisted.then(|| format!("nothing is said of {file}, which is there"))
}

/// The path to a file, through nested archives.
fn target(list: &[String], files: Files, file: &str) -> Option<Vec<String>> {
    let (own, archives) = list.split_last()?;
    let file = file.strip_prefix("./").unwrap_or(file);
    let mut way = archives.to_vec();
    match files {
        Files::Archive => way.push(file.to_owned()),
        Files::Beside if file == NAMESAKE => way.push(with_digest(own)?.to_owned()),
        Files::Beside => {
            let folder = own.rsplit_once('/').map_or("", |(folder, _)| folder);
            let separator = if folder.is_empty() { "" } else { "/" };
            way.push(format!("{folder}{separator}{file}"));
        }
        Files::Part(part) => {
            way.pop()?;
            way.extend([Wanted::part(part), file.to_owned()]);
        }
    }
    Some(way)
}

type Visit<'a> = &'a mut dyn FnMut(&mut Finding, Both<Vec<String>>, &Claims);

/// Calls `visit` for each finding with claims, with the path to its list on each side.
fn each_claim(node: &mut Node, way: &mut Vec<(String, String)>, visit: Visit) {
    for finding in &mut node.findings {
        if let Some(claims) = finding.claims.take() {
            let released = way.iter().map(|(released, _)| released.clone()).collect();
            let rebuilt = way.iter().map(|(_, rebuilt)| rebuilt.clone()).collect();
            visit(finding, Both::new(released, rebuilt), &claims);
            finding.claims = Some(claims);
        }
    }
    for child in &mut node.children {
        let rebuilt = child.rebuilt_name.clone().unwrap_or_else(|| child.name.clone());
        way.push((child.name.clone(), rebuilt));
        each_claim(child, way, visit);
        way.pop();
    }
}
