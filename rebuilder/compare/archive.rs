//! Two archives of one format: members that differ, members of one side only, and fields of the archives themselves.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use super::again::{self, Wanted};
use super::both::{Both, Which};
use super::cause::{Cause, Confidence};
use super::fields::{field_findings, keep_owners, member, order};
use super::file::{LONGEST_SIGNATURE, is_signature};
use super::finding::{Finding, Node, Presence};
use super::format::FormatReader;
use super::front;
use super::package::{self, Enclosing};
use super::pair::{At, Comparer, on_two_threads};
use super::partners;
use super::row::Row;
use super::source::Source;
use super::stale;
use super::stored;
use super::tree;
use super::walk::{self, Judged, Later};
use crate::artifact::Sha256;

/// Two archives of one format, and where they are.
#[derive(Clone, Copy)]
struct Archive<'a> {
    at: At<'a>,
    format: &'static dyn FormatReader,
}

/// Most members that get a node of their own for fields alone; beyond, they are counted.
const MOST_NODES: u64 = 100_000;
/// Of an archive with too many nodes, so many are kept.
const KEPT_NODES: usize = 1000;
/// Most times that are remembered.
const MOST_TIMES: usize = 10_000;

impl Comparer<'_> {
    /// The members of two archives of one format.
    pub fn archive(&self, at: At, format: &'static dyn FormatReader, sides: Both<&Source>, node: &mut Node) {
        let known = package::Archive::read(format, sides.released, self.meter);
        let enclosing = Enclosing::new(at.path, &known, at.within);
        let within = if matches!(sides.released, Source::Folder(_)) {
            at.within
        } else {
            enclosing.within()
        };
        if at.depth == self.meter.depth {
            self.clamped.store(within.clamps_times(), Ordering::Relaxed);
        }
        let at = At { within, ..at };
        let archive = Archive { at, format };
        let judge = |released: Row, rebuilt: Row| self.judge(archive, released, rebuilt);
        let mut walked = walk::walk(format, sides, self.meter, &judge);
        for (which, error) in walked.errors.as_ref().each() {
            let unread = error.as_ref().map(|error| self.unread_side(which, error));
            node.findings.extend(unread);
        }
        partners::pair(format, sides, self.meter, within, &mut walked);
        let later = std::mem::take(&mut walked.later);
        let mut nodes = std::mem::take(&mut walked.nodes);
        self.second_walk(archive, sides, later, &mut nodes);
        let listing = stale::Listing {
            path: at.path,
            format,
            sides,
            meter: self.meter,
            within,
        };
        node.findings
            .extend(stale::lines(&listing, &nodes, &walked.names));
        keep_owners(&mut nodes, format, &walked, within);
        if walked.errors.as_ref().all(Option::is_none) {
            node.findings.extend(tree::ambiguous(walked.outlines.as_ref()));
            node.findings.extend(order(format, &walked, within));
            node.findings.extend(front::findings(walked.fronts.as_ref()));
            let fields = walked.fields.as_ref();
            node.findings
                .extend(field_findings(format.name(), fields, within));
        }
        // A walk that ended early may not have come to a partner.
        let complete = walked.errors.as_ref().map(Option::is_none);
        let mut alone = walked.alone;
        for (which, complete) in complete.each() {
            if !complete {
                alone.of_mut(which.other()).clear();
            }
        }
        nodes.extend(self.only(archive, sides, alone));
        nodes.sort_by(|(_, one), (_, next)| one.name.cmp(&next.name));
        node.same = walked.same;
        node.children = nodes.into_iter().map(|(_, node)| node).collect();
        if !node.is_same() {
            format.prove(sides, self.meter, node);
        }
        format.settle(node);
        let settling = package::Settling {
            format,
            sides,
            meter: self.meter,
        };
        package::settle(enclosing.kind(), &settling, node);
        self.fold(node);
    }

    fn judge(&self, archive: Archive, released: Row, rebuilt: Row) -> Judged {
        if let Some(time) = stored::time(&released.fields)
            && stored::time(&rebuilt.fields) == Some(time)
        {
            let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
            if times.len() < MOST_TIMES {
                let count = times.entry(time).or_default();
                *count = count.saturating_add(1);
            }
        }
        if released.same_bytes(&rebuilt) {
            let node = member(archive.format.name(), &released, &rebuilt, archive.at.within);
            return if node.is_same() {
                Judged::Same
            } else {
                Judged::Node(Box::new(node))
            };
        }
        let unread = Both::new(released.unread(), rebuilt.unread());
        if unread.any(|reason| reason.is_some()) {
            let mut node = member(archive.format.name(), &released, &rebuilt, archive.at.within);
            let told = unread.map(|reason| reason.unwrap_or("readable"));
            let finding = Finding::new("contents", told.released, told.rebuilt);
            node.findings.push(
                finding
                    .because(Cause::Unread, Confidence::Proven)
                    .keyed("damaged"),
            );
            return Judged::Node(Box::new(node));
        }
        if released.source.is_none() || rebuilt.source.is_none() {
            return Judged::Later(Box::new(Later { released, rebuilt }));
        }
        Judged::Node(Box::new(self.member(archive, &released, &rebuilt)))
    }

    /// A pair of members whose bytes differ and are at hand.
    fn member(&self, archive: Archive, released: &Row, rebuilt: &Row) -> Node {
        let mut node = member(archive.format.name(), released, rebuilt, archive.at.within);
        if let (Some(old), Some(new)) = (&released.source, &rebuilt.source) {
            let path = format!("{}/{}", archive.at.path, released.path);
            let content = self.pair(archive.at.inside(&path), Both::new(old, new));
            node.format = content.format;
            node.findings.extend(content.findings);
            node.excerpts = content.excerpts;
            node.children = content.children;
            node.same = content.same;
        }
        node.other_bytes = true;
        node.findings
            .retain(|finding| finding.place.field().is_none_or(|kind| !kind.follows_contents));
        if node.findings.is_empty() && node.children.is_empty() {
            let digest = |row: &Row| row.sha256().map(Sha256::to_hex).unwrap_or_default();
            node.findings
                .push(Finding::new("bytes", digest(released), digest(rebuilt)));
        }
        node
    }

    /// That one side was not read to its end.
    fn unread_side(&self, which: Which, error: &std::io::Error) -> Finding {
        let mut finding = self.unread(which.name(), error);
        if which == Which::Rebuilt {
            std::mem::swap(&mut finding.released, &mut finding.rebuilt);
        }
        finding
    }

    /// Reads again what was not at hand, in one walk of each side.
    fn second_walk(
        &self,
        archive: Archive,
        sides: Both<&Source>,
        later: Vec<Later>,
        nodes: &mut Vec<(usize, Node)>,
    ) {
        if later.is_empty() {
            return;
        }
        let mut wanted: Both<Wanted> = Both::default();
        for pair in &later {
            for (which, row) in Both::new(&pair.released, &pair.rebuilt).each() {
                if row.source.is_none() {
                    wanted.of_mut(which).insert(row.index, None);
                }
            }
        }
        let jobs = Both::new(
            (sides.released, &mut wanted.released),
            (sides.rebuilt, &mut wanted.rebuilt),
        );
        let fetched = on_two_threads(jobs, |(source, wanted)| {
            again::fetch(archive.format, source, self.meter, wanted)
        });
        for mut pair in later {
            for (which, row) in Both::new(&mut pair.released, &mut pair.rebuilt).each() {
                if row.source.is_none() {
                    row.source = wanted.of_mut(which).remove(&row.index).flatten();
                }
            }
            let mut node = self.member(archive, &pair.released, &pair.rebuilt);
            if pair.released.source.is_none() || pair.rebuilt.source.is_none() {
                for (which, end) in fetched.as_ref().each() {
                    let unread = end.as_ref().err().map(|error| self.unread_side(which, error));
                    node.findings.extend(unread);
                }
            }
            nodes.push((pair.released.index, node));
        }
    }

    /// Beyond so many nodes, members that differ in fields alone are counted in their archive.
    fn fold(&self, node: &mut Node) {
        let own = node.children.len() as u64;
        let before = self.nodes.fetch_add(own, Ordering::Relaxed);
        if before.saturating_add(own) < MOST_NODES {
            return;
        }
        let mut folded: Vec<Finding> = Vec::new();
        let mut kept = Vec::new();
        for child in std::mem::take(&mut node.children) {
            let small = child.children.is_empty() && child.excerpts.is_empty();
            if !small || kept.len() < KEPT_NODES {
                kept.push(child);
                continue;
            }
            for finding in child.findings {
                let same = folded.iter_mut().find(|other| {
                    other.key == finding.key
                        && other.cause == finding.cause
                        && other.normalisation == finding.normalisation
                });
                match same {
                    Some(other) => other.places = other.places.saturating_add(finding.places),
                    None => folded.push(Finding {
                        place: format!("{}: {}", child.name, finding.place).into(),
                        ..finding
                    }),
                }
            }
        }
        node.children = kept;
        node.findings.extend(folded);
    }

    /// Nodes for members of one side only.
    fn only(&self, archive: Archive, sides: Both<&Source>, alone: Both<Vec<Row>>) -> Vec<(usize, Node)> {
        let mut nodes = Vec::new();
        for (which, mut rows) in alone.each() {
            self.read_small(archive, sides.of(which), &mut rows);
            for row in rows {
                let (presence, sizes, released, rebuilt) = match which {
                    Which::Released => (Presence::OnlyReleased, (Some(row.size), None), "there", "missing"),
                    Which::Rebuilt => (Presence::OnlyRebuilt, (None, Some(row.size)), "missing", "there"),
                };
                let mut finding =
                    Finding::new("presence", released, rebuilt).keyed("members on one side only");
                let path = format!("{}/{}", archive.at.path, row.path);
                let file = package::File::new(&path, archive.at.within);
                if is_small(&row)
                    && let Some(source) = &row.source
                    && source
                        .head(LONGEST_SIGNATURE)
                        .is_ok_and(|bytes| is_signature(&bytes))
                {
                    finding = finding
                        .because(Cause::Signature, Confidence::Likely)
                        .keyed("signatures on one side only")
                        .set_aside_by(file.signature());
                }
                let node = Node {
                    name: row.path,
                    presence,
                    sizes,
                    findings: vec![finding],
                    ..Node::default()
                };
                nodes.push((row.index, node));
            }
        }
        nodes
    }

    /// Reads again what may be a signature and was not kept. What cannot be read is not one.
    fn read_small(&self, archive: Archive, source: &Source, rows: &mut [Row]) {
        let lost = |row: &&mut Row| row.source.is_none() && is_small(row);
        let mut wanted: Wanted = rows
            .iter_mut()
            .filter(lost)
            .map(|row| (row.index, None))
            .collect();
        if wanted.is_empty() || again::fetch(archive.format, source, self.meter, &mut wanted).is_err() {
            return;
        }
        for row in rows {
            if let Some(source) = wanted.remove(&row.index) {
                row.source = source;
            }
        }
    }
}

/// Whether it is short enough to be a signature.
fn is_small(row: &Row) -> bool {
    (1..=LONGEST_SIGNATURE as u64).contains(&row.size)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use crate::compare::{Cause, Comparison, Options, Outcome, compare_bytes};

    fn zipped(entries: &[(&str, &[u8])], method: zip::CompressionMethod) -> Vec<u8> {
        let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        let options = zip::write::SimpleFileOptions::default().compression_method(method);
        for (name, data) in entries {
            let written = writer.start_file(*name, options).map(|()| writer.write_all(data));
            assert!(matches!(written, Ok(Ok(()))));
        }
        writer
            .finish()
            .map(std::io::Cursor::into_inner)
            .unwrap_or_default()
    }

    fn tarred(entries: &[(&str, tar::EntryType, &str)], time: u64) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (path, kind, data) in entries {
            let mut header = tar::Header::new_ustar();
            header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
            header.set_entry_type(*kind);
            header.set_mode(0o755);
            header.set_mtime(time);
            if kind.is_hard_link() || kind.is_symlink() {
                header.set_size(0);
                assert!(header.set_link_name(data).is_ok());
            } else {
                header.set_size(data.len() as u64);
            }
            header.set_cksum();
            let data = if header.size().is_ok_and(|size| size > 0) {
                *data
            } else {
                ""
            };
            assert!(builder.append(&header, data.as_bytes()).is_ok());
        }
        builder.into_inner().unwrap_or_default()
    }

    fn compared(name: &str, released: &[u8], rebuilt: &[u8]) -> Comparison {
        compare_bytes(name, released, rebuilt, &Options::default())
    }

    fn told(comparison: &Comparison) -> Vec<(Cause, &str)> {
        let causes = comparison.causes.iter();
        causes
            .map(|cause| (cause.cause, cause.example.place.as_str()))
            .collect()
    }

    #[test]
    fn the_order_of_a_tar_archive_is_set_aside_only_if_it_makes_the_same_tree() {
        use tar::EntryType::{Directory, Link, Regular, Symlink};
        let (d, x, l) = (("d", Directory, ""), ("d/x", Regular, "1"), ("l", Symlink, "d"));
        let (y, link, y_again) = (("y", Regular, "2"), ("z", Link, "y"), ("./y", Regular, "3"));
        let good = tarred(&[d, x, l, y, link], 5);
        let moved = compared("a.tar", &good, &tarred(&[y, link, l, d, x], 6));
        assert_eq!(moved.outcome, Outcome::Equivalent, "{:?}", moved.tree);
        let early = compared("a.tar", &good, &tarred(&[link, y, l, d, x], 6));
        assert_eq!(told(&early)[0], (Cause::Content, "order of members"));
        let repeated = compared("a.tar", &good, &tarred(&[d, x, l, y, link, y_again], 6));
        let place = "paths that unpackers read differently";
        assert!(
            told(&repeated).contains(&(Cause::AmbiguousArchive, place)),
            "{:?}",
            repeated.causes
        );
        let (slash, none) = (("f/", Regular, ""), ("f", Regular, ""));
        let found = compared("a.tar", &tarred(&[none], 5), &tarred(&[slash], 6));
        assert_eq!(told(&found)[0], (Cause::Content, "type"));
    }

    #[test]
    fn members_that_are_looked_for_at_their_place() {
        use zip::CompressionMethod::{Deflated, Stored};
        let (kind, file) = (
            ("mimetype", b"application/epub+zip" as &[u8]),
            ("a", b"a" as &[u8]),
        );
        let good = zipped(&[kind, file], Stored);
        let late = compared("a.epub", &good, &zipped(&[file, kind], Stored));
        assert_eq!(told(&late)[0], (Cause::Content, "place of mimetype"));
        let packed = compared("a.epub", &good, &zipped(&[kind, file], Deflated));
        assert_eq!(
            told(&packed)[0],
            (Cause::Content, "compression"),
            "{:?}",
            packed.tree
        );
        let manifest = ("META-INF/MANIFEST.MF", b"x" as &[u8]);
        let good = zipped(&[manifest, file], Stored);
        let late = compared("a.jar", &good, &zipped(&[file, manifest], Stored));
        assert_eq!(told(&late)[0], (Cause::Content, "place of META-INF/MANIFEST.MF"));
    }

    #[test]
    fn a_damaged_member_is_told_and_the_others_are_compared() {
        let entries = |last| [("a", b"one" as &[u8]), ("b", b"two"), ("c", last)];
        let good = zipped(&entries(b"three"), zip::CompressionMethod::Stored);
        let mut damaged = zipped(&entries(b"four!"), zip::CompressionMethod::Stored);
        let at = damaged
            .windows(3)
            .position(|bytes| bytes == b"two")
            .unwrap_or_default();
        damaged[at] ^= 1;
        let found = compared("a.zip", &good, &damaged);
        let text = format!("{:?}", found.tree);
        assert!(text.contains("b: 3 bytes with CRC-32"), "{text}");
        assert!(text.contains(r#"name: "c""#), "{text}");
    }
}
