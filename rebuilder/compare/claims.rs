//! What lists of checksums claim of the files beside them, held against these files.
//!
//! A line follows from its file if its digest and its size are those of the file, on each side, in whatever form it is
//! written. Everything else in such a list is content.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::both::{Both, Which};
use super::cause::{Cause, Confidence};
use super::finding::{Finding, Node};
use super::limits::Meter;
use super::pair::on_two_threads;
use super::recompute::{Digests, Wanted, recompute};
use super::source::Source;

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

    /// `sha256`, `SHA-256`, `Sha256`.
    pub fn named(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase().replace('-', "");
        Self::ALL.into_iter().find(|known| known.name() == name)
    }

    fn of_length(bytes: usize) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.length() == bytes)
    }
}

/// What one line claims of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Claim {
    pub file: String,
    pub algorithm: Algorithm,
    digest: Vec<u8>,
    size: Option<u64>,
}

impl Claim {
    /// A digest in hexadecimal digits; its length tells the algorithm.
    pub fn hex(file: &str, digits: &str) -> Option<Self> {
        let digest = hex::decode(digits).ok()?;
        let algorithm = Algorithm::of_length(digest.len())?;
        Some(Self::new(file, algorithm, digest))
    }

    /// A digest in base64 or in hexadecimal digits.
    pub fn of(file: &str, algorithm: Algorithm, text: &str) -> Option<Self> {
        let length = algorithm.length();
        let is_digest = |digest: &Vec<u8>| digest.len() == length;
        let from_hex = || hex::decode(text).ok().filter(is_digest);
        let digest = base64_decoded(text).filter(is_digest).or_else(from_hex)?;
        Some(Self::new(file, algorithm, digest))
    }

    /// With the size of the file, in bytes.
    pub fn sized(self, size: u64) -> Self {
        let size = Some(size);
        Self { size, ..self }
    }

    fn new(file: &str, algorithm: Algorithm, digest: Vec<u8>) -> Self {
        let file = file.trim_start_matches("./").trim_start_matches('/').to_owned();
        let size = None;
        Self {
            file,
            algorithm,
            digest,
            size,
        }
    }

    /// What is wrong with it, if the file is this.
    fn fault(&self, file: Option<&Digests>) -> Option<String> {
        let name = &self.file;
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

/// Where the files of a list are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Files {
    /// In the archive of the list, with paths from its top.
    Archive,
    /// In the folder of the list.
    Beside,
    /// In another archive of the package, such as `data.tar`.
    Part(&'static str),
}

/// What both sides claim of one file.
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

    /// The file, by the name that the released side has for it.
    pub fn file(&self) -> Option<&str> {
        let claim = self.sides.released.as_ref().or(self.sides.rebuilt.as_ref());
        claim.map(|claim| claim.file.as_str())
    }
}

/// Recomputes every digest that a finding is about, and says of each whether it follows from its file.
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

/// What is wrong on one side.
fn fault(claims: &Claims, which: Which, paths: &[String], wanted: &Wanted) -> Option<String> {
    let found = |file: &str| target(paths, claims.files, file).and_then(|target| wanted.found(&target));
    if let Some(claim) = claims.sides.of(which) {
        return claim.fault(found(&claim.file));
    }
    let file = claims.file()?;
    let unlisted = target(paths, claims.files, file).is_some_and(|target| wanted.is_there(&target));
    unlisted.then(|| format!("nothing is said of {file}, which is there"))
}

/// The way to a file: members of archives in archives.
fn target(list: &[String], files: Files, file: &str) -> Option<Vec<String>> {
    let (own, archives) = list.split_last()?;
    let mut way = archives.to_vec();
    match files {
        Files::Archive => way.push(file.to_owned()),
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

/// Calls `visit` for each finding that has claims, with the way to its list on each side.
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

#[cfg(test)]
mod tests {
    use base64::prelude::BASE64_URL_SAFE_NO_PAD;
    use sha2::Digest as _;

    use super::*;
    use crate::compare::package::samples::{Sample, deb, sample, tar, zip};
    use crate::compare::{Comparison, Options, Outcome, compare_bytes};

    fn compared(released: &[u8], rebuilt: &[u8]) -> Comparison {
        compare_bytes("x", released, rebuilt, &Options::default())
    }

    fn first(found: &Comparison) -> Option<Cause> {
        found.causes.first().map(|cause| cause.cause)
    }

    fn sha256(bytes: &str) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(sha2::Sha256::digest(bytes))
    }

    /// A wheel with two files; METADATA has the lines of a field in some order, so that it may differ and be set aside.
    fn wheel(minute: u64, metadata: &str, record: &str) -> Vec<u8> {
        let mut files = vec![
            sample("x.py", "ok = 1\n"),
            sample("x-1.dist-info/WHEEL", "Wheel-Version: 1.0\n"),
            sample("x-1.dist-info/METADATA", metadata),
            sample("x-1.dist-info/RECORD", record),
        ];
        for file in &mut files {
            file.time = minute;
        }
        zip(&files)
    }

    #[test]
    fn lines_of_record_follow_from_their_files_alone() {
        let (one, other) = (
            "Name: x\nClassifier: a\nClassifier: b\n",
            "Name: x\nClassifier: b\nClassifier: a\n",
        );
        let line = |text: &str| format!("x-1.dist-info/METADATA,sha256={},{}\n", sha256(text), text.len());
        let hex = |text: &str| {
            let digest = hex::encode(sha2::Sha512::digest(text));
            format!("x-1.dist-info/METADATA,sha512={digest},{}\n", text.len())
        };
        let of_code = |text: &str| format!("x.py,sha256={},7\n", sha256(text));
        let good = line(one) + &of_code("ok = 1\n");
        let table = [
            (
                "as it should be",
                line(other) + &of_code("ok = 1\n"),
                Outcome::Equivalent,
            ),
            (
                "another order",
                of_code("ok = 1\n") + &line(other),
                Outcome::Equivalent,
            ),
            (
                "another algorithm",
                hex(other) + &of_code("ok = 1\n"),
                Outcome::Equivalent,
            ),
            ("not updated", hex(one) + &of_code("ok = 1\n"), Outcome::Different),
            ("a lie", line(other) + &of_code("evil = 1\n"), Outcome::Different),
            (
                "a size",
                line(other).replace(",3", ",4") + &of_code("ok = 1\n"),
                Outcome::Different,
            ),
            ("no digest", line(other) + "x.py,,\n", Outcome::Different),
            ("no line", line(other), Outcome::Different),
            (
                "a line too many",
                line(other) + &of_code("ok = 1\n") + &of_code("ok = 1\n").replace("x.py", "y.py"),
                Outcome::Different,
            ),
            (
                "twice",
                line(other) + &of_code("ok = 1\n") + &of_code("evil"),
                Outcome::Different,
            ),
        ];
        for minute in [0, 2] {
            for (name, record, wanted) in &table {
                let found = compared(&wheel(0, one, &good), &wheel(minute, other, record));
                assert_eq!(found.outcome, *wanted, "{name}: {:?}", found.causes);
                if *wanted == Outcome::Different {
                    assert_eq!(first(&found), Some(Cause::Content), "{name}");
                }
            }
        }
    }

    #[test]
    fn lines_of_md5sums_follow_from_files_of_the_package() {
        let pack = |text: &str, listed: &str, time: u64| {
            let digest = hex::encode(md5::Md5::digest(listed));
            let sums = format!("{digest}  usr/share/x\n{digest}  usr/share/y\n");
            let data = Sample {
                time,
                ..sample("./usr/share/x", text)
            };
            deb(
                &[sample("./md5sums", sums)],
                &[data.clone(), hard_link("./usr/share/y", &data)],
            )
        };
        let honest = pack("ok\n", "ok\n", 0);
        for time in [0, 55] {
            let found = compared(&honest, &pack("ok\n", "evil\n", time));
            assert_eq!(first(&found), Some(Cause::Content), "{:?}", found.causes);
            let found = compared(&honest, &pack("no\n", "no\n", time));
            let of = |cause| found.causes.iter().any(|own| own.cause == cause);
            assert!(of(Cause::Content) && !of(Cause::Checksum), "{:?}", found.causes);
            let places: u64 = found.causes.iter().map(|cause| cause.follow).sum();
            assert_eq!(places, 2, "both lines follow");
        }
    }

    fn hard_link(path: &str, target: &Sample) -> Sample {
        Sample {
            link: Some(target.path.clone()),
            ..sample(path, "")
        }
    }

    #[test]
    fn lists_lie_in_folders_of_archives_too() {
        let pack = |text: &str, listed: &str| {
            let digest = hex::encode(sha2::Sha256::digest(listed));
            let sums = format!("{digest}  a\n");
            tar(&[
                sample("dist/a", text),
                sample("dist/SHA256SUMS", sums),
                sample("a", "x"),
            ])
        };
        let found = compared(&pack("one\n", "one\n"), &pack("two\n", "two\n"));
        assert_eq!(found.causes.len(), 1, "{:?}", found.causes);
        let found = compared(&pack("one\n", "one\n"), &pack("two\n", "six\n"));
        assert_eq!(found.causes.len(), 2, "{:?}", found.causes);
        assert!(found.causes.iter().all(|cause| cause.cause == Cause::Content));
    }
}
