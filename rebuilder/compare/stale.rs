//! Lines in lists of checksums that are the same on both sides although the named file differs: they are wrong on one
//! side.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::io::{self, Read as _};

use super::both::Both;
use super::cause::{Cause, Confidence};
use super::claims::{Claim, Files, NAMESAKE, with_digest};
use super::file::{LONGEST_SIGNATURE, is_signature};
use super::finding::{Finding, Node, Presence};
use super::format::FormatReader;
use super::limits::Meter;
use super::package::{Checksums, File, Lines, Within};
use super::source::Source;

/// Maximum number of bytes of all lists of one side that are read.
const LONGEST: u64 = 24 << 20;

/// An archive whose members were compared.
pub(super) struct Listing<'a> {
    pub path: &'a str,
    pub format: &'static dyn FormatReader,
    pub sides: Both<&'a Source>,
    pub meter: &'a Meter,
    pub within: Within<'a>,
}

/// A finding for each such line. `names` are those of members that both sides have, by position.
pub(super) fn lines(
    listing: &Listing,
    nodes: &[(usize, Node)],
    names: &HashMap<usize, String>,
) -> Vec<Finding> {
    let differing = differing(nodes.iter().map(|(_, node)| node));
    let is_list = |path: &str| listing.list(path).is_some() || is_vendored(path);
    if differing.is_empty() || !(listing.within.has_list() || names.values().any(|name| is_list(name))) {
        return Vec::new();
    }
    // An unreadable list could not be compared either, which is reported.
    let Ok(lists) = listing.sides.try_map(|source| listing.read(source)) else {
        return Vec::new();
    };
    let mut findings = Vec::new();
    for (path, released) in &lists.released {
        if is_vendored(path) && lists.rebuilt.get(path) == Some(released) {
            findings.extend(vendored(path, released, &differing));
        }
        let (Some(rebuilt), Some(list)) = (lists.rebuilt.get(path), listing.list(path)) else {
            continue;
        };
        let folder = path.rsplit_once('/').map(|(folder, _)| folder);
        let folder = folder.filter(|_| list.files == Files::Beside);
        let differs = |file: &str| {
            if file == NAMESAKE {
                return with_digest(path).is_some_and(|of| differing.contains(of));
            }
            let file = file.strip_prefix("./").unwrap_or(file);
            folder.map_or_else(
                || differing.contains(file),
                |folder| differing.contains(format!("{folder}/{file}").as_str()),
            )
        };
        findings.extend(unchanged(
            path,
            Both::new(released, rebuilt),
            list.claims,
            &differs,
        ));
    }
    findings
}

/// A finding for each signature that is the same on both sides although the file beside it that it signs differs.
pub(super) fn signatures(
    listing: &Listing,
    nodes: &[(usize, Node)],
    names: &HashMap<usize, String>,
) -> Vec<Finding> {
    const ENDINGS: [&str; 8] = [
        ".asc",
        ".gpg",
        ".minisig",
        ".p7s",
        ".sig",
        ".sign",
        ".sigstore",
        ".sigstore.json",
    ];
    let differing = differing(nodes.iter().map(|(_, node)| node));
    let signs = |name: &str, ending: &str| name.strip_suffix(ending).is_some_and(|of| differing.contains(of));
    let is_stale = |name: &str| !differing.contains(name) && ENDINGS.iter().any(|ending| signs(name, ending));
    let stale: HashSet<&str> = names
        .values()
        .map(String::as_str)
        .filter(|name| is_stale(name))
        .collect();
    if stale.is_empty() {
        return Vec::new();
    }
    let mut findings = Vec::new();
    let walked = listing
        .format
        .walk(listing.sides.released, &listing.meter.apart(), &mut |member| {
            if stale.contains(member.path.as_str()) {
                let mut bytes = Vec::new();
                member
                    .content
                    .take((LONGEST_SIGNATURE as u64).saturating_add(1))
                    .read_to_end(&mut bytes)?;
                findings.extend(is_signature(&bytes).then(|| signature(&member.path)));
            }
            Ok(true)
        });
    // An archive that cannot be read is reported.
    walked.map_or_else(|_| Vec::new(), |_| findings)
}

/// The finding for a signature that both sides have, and that is right on one of them at most.
pub(super) fn signature(path: &str) -> Finding {
    Finding::new(path, "the same", "the same")
        .because(Cause::Content, Confidence::Proven)
        .keyed("a signature that is the same for two different files")
}

/// Whether the file is cargo's list of checksums for a vendored crate.
fn is_vendored(path: &str) -> bool {
    path.rsplit('/').next() == Some(".cargo-checksum.json")
}

/// The files of such a list that differ although the list does not.
fn vendored(path: &str, list: &[u8], differing: &HashSet<&str>) -> Vec<Finding> {
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let list: serde_json::Value = serde_json::from_slice(list).unwrap_or_default();
    let files = list.get("files").and_then(serde_json::Value::as_object);
    let stale = files.into_iter().flatten().filter(|(file, _)| {
        let whole = format!("{folder}/{file}");
        differing.contains(whole.trim_start_matches('/'))
    });
    stale
        .map(|(file, digest)| {
            let line = format!("{file}: {digest}");
            Finding::new(path, line.as_str(), line.as_str())
                .because(Cause::Content, Confidence::Proven)
                .keyed("a checksum that is the same for two different files")
        })
        .collect()
}

/// Members of both sides whose bytes differ, by path.
pub(super) fn differing<'a>(nodes: impl Iterator<Item = &'a Node>) -> HashSet<&'a str> {
    let is_pair = |node: &&Node| node.presence == Presence::Both && node.rebuilt_name.is_none();
    nodes
        .filter(is_pair)
        .filter(|node| node.other_bytes)
        .map(|node| node.name.as_str())
        .collect()
}

/// A finding for each line that two lists share, if the file that it names differs.
pub(super) fn unchanged(
    place: &str,
    sides: Both<&Vec<u8>>,
    claims: fn(&[Cow<str>]) -> Vec<Option<Claim>>,
    differs: &dyn Fn(&str) -> bool,
) -> Vec<Finding> {
    let lines = |text| <[u8]>::split_inclusive(text, |byte| *byte == b'\n');
    let rebuilt: HashSet<&[u8]> = lines(sides.rebuilt).collect();
    let same = lines(sides.released).filter(|line| rebuilt.contains(line));
    let text: Vec<Cow<str>> = same.map(String::from_utf8_lossy).collect();
    text.iter()
        .zip(claims(&text))
        .filter(|(_, claim)| claim.as_ref().is_some_and(|claim| differs(&claim.file)))
        .map(|(line, _)| {
            Finding::new(place, line.trim_end(), line.trim_end())
                .because(Cause::Content, Confidence::Proven)
                .keyed("a checksum that is the same for two different files")
        })
        .collect()
}

impl Listing<'_> {
    /// What is known about a member that lists other members.
    fn list(&self, path: &str) -> Option<Checksums> {
        let whole = format!("{}/{path}", self.path);
        match File::new(&whole, self.within).text().lines {
            Lines::Checksums(list) if !matches!(list.files, Files::Part(_)) => Some(list),
            _ => None,
        }
    }

    /// The lists of one side, by path.
    fn read(&self, source: &Source) -> io::Result<HashMap<String, Vec<u8>>> {
        let (mut found, mut room) = (HashMap::new(), LONGEST);
        self.format.walk(source, &self.meter.apart(), &mut |member| {
            if self.list(&member.path).is_some() || is_vendored(&member.path) {
                let mut bytes = Vec::new();
                member.content.take(room).read_to_end(&mut bytes)?;
                room = room.saturating_sub(bytes.len() as u64);
                found.insert(member.path, bytes);
            }
            Ok(true)
        })?;
        Ok(found)
    }
}
