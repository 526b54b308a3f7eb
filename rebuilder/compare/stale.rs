//! Lines of a list of checksums that are the same on both sides, though the file that they name is not: they are wrong
//! on one side.

use std::borrow::Cow;
use std::collections::HashSet;
use std::io::{self, Read as _};

use super::both::Both;
use super::cause::{Cause, Confidence};
use super::finding::{Finding, Node, Presence};
use super::format::FormatReader;
use super::limits::Meter;
use super::package::{File, Lines, Within};
use super::source::Source;

/// Longest list that is read.
const LONGEST: u64 = 24 << 20;

/// An archive whose members were compared.
pub(super) struct Listing<'a> {
    pub path: &'a str,
    pub format: &'static dyn FormatReader,
    pub sides: Both<&'a Source>,
    pub meter: &'a Meter,
    pub within: Within<'a>,
}

/// A finding for each such line.
pub(super) fn lines(listing: &Listing, nodes: &[(usize, Node)]) -> Vec<Finding> {
    let differing: HashSet<&str> = nodes
        .iter()
        .filter(|(_, node)| other_bytes(node))
        .map(|(_, node)| node.name.as_str())
        .collect();
    if differing.is_empty() || !listing.within.has_list() {
        return Vec::new();
    }
    // What cannot be read here could not be compared either, and that is told.
    let lists = listing.sides.try_map(|source| listing.read(source));
    let Ok(Both {
        released: Some((path, released)),
        rebuilt: Some((_, rebuilt)),
    }) = lists
    else {
        return Vec::new();
    };
    let rebuilt: HashSet<&[u8]> = rebuilt.split_inclusive(|byte| *byte == b'\n').collect();
    let whole = format!("{}/{path}", listing.path);
    let Lines::Checksums(list) = File::new(&whole, listing.within).text().lines else {
        return Vec::new();
    };
    let same = released
        .split_inclusive(|byte| *byte == b'\n')
        .filter(|line| rebuilt.contains(line));
    let text: Vec<Cow<str>> = same.map(String::from_utf8_lossy).collect();
    text.iter()
        .zip((list.claims)(&text))
        .filter(|(_, claim)| {
            claim
                .as_ref()
                .is_some_and(|claim| differing.contains(claim.file.as_str()))
        })
        .map(|(line, _)| {
            Finding::new(path.clone(), line.trim_end(), line.trim_end())
                .because(Cause::Content, Confidence::Proven)
                .keyed("a checksum that is the same for two different files")
        })
        .collect()
}

impl Listing<'_> {
    /// The path and the bytes of the list of one side.
    fn read(&self, source: &Source) -> io::Result<Option<(String, Vec<u8>)>> {
        let mut found = None;
        self.format.walk(source, &self.meter.apart(), &mut |member| {
            if !self.within.is_list(&member.path) {
                return Ok(true);
            }
            let mut bytes = Vec::new();
            member.content.take(LONGEST).read_to_end(&mut bytes)?;
            found = Some((member.path, bytes));
            Ok(false)
        })?;
        Ok(found)
    }
}

/// Whether more than stored fields differ.
fn other_bytes(node: &Node) -> bool {
    let in_bytes = |finding: &Finding| finding.place.field().is_none_or(|kind| kind.follows_contents);
    node.presence == Presence::Both
        && node.rebuilt_name.is_none()
        && (!node.children.is_empty() || !node.excerpts.is_empty() || node.findings.iter().any(in_bytes))
}
