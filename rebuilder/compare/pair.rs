//! One pair of files, whatever they are: the same, or a node that says where they differ.

use std::collections::HashMap;
use std::io::{self, Read as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::cause::{Cause, Confidence};
use super::fields::{field_findings, member, order};
use super::file::{self, Leaf};
use super::finding::{Finding, LimitHit, Node, Presence};
use super::format::{self, FormatReader, HEAD};
use super::gzip;
use super::limits::{Hit, Limit, Meter, Metered};
use super::package::{self, FilePath, Within};
use super::partners;
use super::source::{Codec, Source};
use super::stored;
use super::walk::{self, Judged, Later, Row};
use crate::artifact::Sha256;

/// Two archives of one format, and where they stand.
#[derive(Clone, Copy)]
struct Archive<'a> {
    path: &'a str,
    format: &'static dyn FormatReader,
    within: Within,
    depth: u32,
}

/// One comparison: what its threads share.
pub(super) struct Comparer<'a> {
    pub meter: &'a Meter,
    pub limits: Mutex<Vec<LimitHit>>,
    /// How often members of both sides have one time; the newest tells what times were clamped to.
    pub times: Mutex<HashMap<i64, u64>>,
    nodes: AtomicU64,
}

/// Files smaller than this are read one after the other.
const WORTH_A_THREAD: u64 = 1 << 20;
/// Most members that get a node of their own for fields alone; beyond, they are counted.
const MOST_NODES: u64 = 100_000;

impl<'a> Comparer<'a> {
    pub fn new(meter: &'a Meter) -> Self {
        Self {
            meter,
            limits: Mutex::default(),
            times: Mutex::default(),
            nodes: AtomicU64::new(0),
        }
    }

    /// The pair's node; its findings are empty where the bytes turn out to be the same.
    pub fn pair(&self, path: &str, released: &Source, rebuilt: &Source, within: Within, depth: u32) -> Node {
        let name = path.rsplit('/').next().unwrap_or(path);
        let mut node = Node {
            name: name.to_owned(),
            sizes: (released.size(), rebuilt.size()),
            ..Node::default()
        };
        if depth == 0 {
            let error = Hit::error(
                Limit::Depth,
                format!("archives more than {} deep", self.meter.depth),
            );
            node.findings.push(self.unread("", &error));
            return node;
        }
        if let Err(error) = self.read(path, released, rebuilt, within, depth, &mut node) {
            node.findings.push(self.unread("", &error));
        }
        node
    }

    fn read(
        &self,
        path: &str,
        released: &Source,
        rebuilt: &Source,
        within: Within,
        depth: u32,
        node: &mut Node,
    ) -> io::Result<()> {
        if let (Source::Folder(_), Source::Folder(_)) = (released, rebuilt) {
            node.format = "folder".into();
            self.archive(path, format::folder(), [released, rebuilt], within, depth, node);
            return Ok(());
        }
        let (old, new) = (released.head(HEAD)?, rebuilt.head(HEAD)?);
        let codecs = (Codec::detect(&old), Codec::detect(&new));
        if codecs.0.is_some() || codecs.1.is_some() {
            return self.compressed(path, [released, rebuilt], codecs, within, depth, node);
        }
        match (format::detect(&old), format::detect(&new)) {
            (Some(format), Some(other)) if format.name() == other.name() => {
                node.format = format.name().into();
                let (released, rebuilt) = (
                    self.any_order(format, released)?,
                    self.any_order(format, rebuilt)?,
                );
                self.archive(path, format, [&released, &rebuilt], within, depth, node);
            }
            _ => {
                let leaf = self.leaf(path, released, rebuilt, node)?;
                node.format = leaf.format.into();
                node.findings.extend(leaf.findings);
                node.excerpts.extend(leaf.excerpts);
            }
        }
        Ok(())
    }

    /// A finding that something was not compared; a limit is noted for the whole comparison too.
    fn unread(&self, side: &str, error: &io::Error) -> Finding {
        if let Some(hit) = Hit::of(error) {
            let mut limits = self.limits.lock().unwrap_or_else(PoisonError::into_inner);
            let hit = LimitHit {
                limit: hit.limit,
                what: hit.what.clone(),
            };
            if !limits.contains(&hit) {
                limits.push(hit);
            }
        }
        let place = if side.is_empty() { "the file" } else { side };
        Finding::new(place, error.to_string(), "")
            .because(Cause::Unread, Confidence::Proven)
            .keyed(Hit::of(error).map_or("damaged", |hit| hit.limit.name()))
    }

    /// What a compressed file holds, and how it is compressed.
    fn compressed(
        &self,
        path: &str,
        sides: [&Source; 2],
        codecs: (Option<Codec>, Option<Codec>),
        within: Within,
        depth: u32,
        node: &mut Node,
    ) -> io::Result<()> {
        let [released, rebuilt] = sides;
        let open = |source: &Source, codec: Option<Codec>| {
            codec.map_or_else(|| source.clone(), |codec| source.decoded(codec))
        };
        let name = |codec: Option<Codec>| codec.map_or("none", Codec::name);
        let inner = self.pair(
            partners::without_compression(path),
            &open(released, codecs.0),
            &open(rebuilt, codecs.1),
            within,
            depth - 1,
        );
        let same = inner.is_same();
        node.format = if inner.format.is_empty() || same && inner.format == "bytes" {
            name(codecs.0.or(codecs.1)).to_owned()
        } else {
            format!("{}, {}", name(codecs.0.or(codecs.1)), inner.format)
        };
        node.findings = inner.findings;
        node.excerpts = inner.excerpts;
        node.children = inner.children;
        node.same = inner.same;
        if codecs.0 != codecs.1 {
            node.findings.push(
                Finding::new("compressor", name(codecs.0), name(codecs.1))
                    .because(Cause::Compression, Confidence::Proven)
                    .keyed(format!("{} → {}", name(codecs.0), name(codecs.1))),
            );
            return Ok(());
        }
        let Some(codec) = codecs.0 else { return Ok(()) };
        let mut skip = [0, 0];
        if codec == Codec::Gzip {
            let headers = [gzip::header(released)?, gzip::header(rebuilt)?];
            let found = field_findings("gzip", &headers[0].fields, &headers[1].fields, within);
            node.findings.extend(found);
            skip = [headers[0].length, headers[1].length];
        }
        if same && !equal_after(self.meter, [released, rebuilt], skip)? {
            node.findings
                .push(within.set_aside(gzip::compression(codec, released, rebuilt)?));
        }
        Ok(())
    }

    /// The members of two archives of one format.
    fn archive(
        &self,
        path: &str,
        format: &'static dyn FormatReader,
        sides: [&Source; 2],
        within: Within,
        depth: u32,
        node: &mut Node,
    ) {
        let within = within.and_in(&package::Archive {
            path,
            format: format.name(),
            source: sides[0],
        });
        let archive = Archive {
            path,
            format,
            within,
            depth,
        };
        let judge = |released: Row, rebuilt: Row| self.judge(archive, released, rebuilt);
        let mut walked = walk::walk(format, sides, self.meter, &judge);
        let names = ["released", "rebuilt"];
        let whole = walked.errors.iter().all(Option::is_none);
        for (side, error) in walked.errors.iter().enumerate() {
            if let Some(error) = error {
                node.findings.push(self.unread(names[side], error));
            }
        }
        partners::pair(format, sides, self.meter, &mut walked);
        let later = std::mem::take(&mut walked.later);
        let mut nodes = std::mem::take(&mut walked.nodes);
        self.second_walk(archive, sides, later, &mut nodes);
        if whole {
            let order = order(format, &walked, within);
            node.findings.extend(order);
            let [old, new] = &walked.fields;
            node.findings
                .extend(field_findings(format.name(), old, new, within));
            nodes.extend(only(walked.alone));
        }
        nodes.sort_by(|a, b| a.1.name.cmp(&b.1.name));
        node.same = walked.same;
        node.children = nodes.into_iter().map(|(_, node)| node).collect();
        format.settle(node);
        self.fold(node);
    }

    fn judge(&self, archive: Archive, released: Row, rebuilt: Row) -> Judged {
        if let Some(time) = stored::time(&released.fields)
            && stored::time(&rebuilt.fields) == Some(time)
        {
            let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
            if times.len() < 10_000 {
                *times.entry(time).or_default() += 1;
            }
        }
        if released.same_bytes(&rebuilt) {
            let node = member(archive.format.name(), &released, &rebuilt, archive.within);
            return if node.is_same() {
                Judged::Same
            } else {
                Judged::Node(Box::new(node))
            };
        }
        if released.source.is_none() || rebuilt.source.is_none() {
            return Judged::Later(Box::new(Later { released, rebuilt }));
        }
        Judged::Node(Box::new(self.member(archive, &released, &rebuilt)))
    }

    /// A pair of members whose bytes differ and are at hand.
    fn member(&self, archive: Archive, released: &Row, rebuilt: &Row) -> Node {
        let mut node = member(archive.format.name(), released, rebuilt, archive.within);
        let full = format!("{}/{}", archive.path, released.path);
        if let (Some(old), Some(new)) = (&released.source, &rebuilt.source) {
            let content = self.pair(&full, old, new, archive.within, archive.depth - 1);
            node.format = content.format;
            node.findings.extend(content.findings);
            node.excerpts = content.excerpts;
            node.children = content.children;
            node.same = content.same;
        }
        node.findings
            .retain(|finding| finding.place.field().is_none_or(|kind| !kind.follows_contents));
        if node.findings.is_empty() && node.children.is_empty() {
            let digest = |row: &Row| row.sha256().map(Sha256::to_hex).unwrap_or_default();
            node.findings
                .push(Finding::new("bytes", digest(released), digest(rebuilt)));
        }
        node
    }

    /// Reads again what was not at hand, in as few walks as there are sizes of members: all small ones in one.
    fn second_walk(
        &self,
        archive: Archive,
        sides: [&Source; 2],
        later: Vec<Later>,
        nodes: &mut Vec<(usize, Node)>,
    ) {
        if later.is_empty() {
            return;
        }
        let mut wanted: [HashMap<usize, Option<Source>>; 2] = Default::default();
        for pair in &later {
            for (side, row) in [&pair.released, &pair.rebuilt].into_iter().enumerate() {
                if row.source.is_none() {
                    wanted[side].insert(row.index, None);
                }
            }
        }
        let format = archive.format;
        let [first, second] = &mut wanted;
        let fetched = std::thread::scope(|scope| {
            let other = scope.spawn(|| walk::fetch(format, sides[0], self.meter, first));
            let own = walk::fetch(format, sides[1], self.meter, second);
            [
                other.join().unwrap_or_else(|_| Err(io::ErrorKind::Other.into())),
                own,
            ]
        });
        for mut pair in later {
            let place = pair.released.index;
            for (side, row) in [&mut pair.released, &mut pair.rebuilt].into_iter().enumerate() {
                if row.source.is_none() {
                    row.source = wanted[side].remove(&row.index).flatten();
                }
            }
            let mut node = self.member(archive, &pair.released, &pair.rebuilt);
            for error in fetched.iter().filter_map(|result| result.as_ref().err()) {
                if pair.released.source.is_none() || pair.rebuilt.source.is_none() {
                    node.findings.push(self.unread("", error));
                }
            }
            nodes.push((place, node));
        }
    }

    /// From its beginning, counted.
    fn open(&self, source: &Source) -> io::Result<Metered<'a, Box<dyn io::Read + Send>>> {
        Ok(Metered {
            inner: source.open()?,
            meter: self.meter,
        })
    }

    /// Bytes for a reader that needs them in any order.
    fn any_order(&self, format: &dyn FormatReader, source: &Source) -> io::Result<Source> {
        const IN_MEMORY: usize = 32 << 20;
        if format.streams() || source.seekable().is_ok() {
            return Ok(source.clone());
        }
        walk::materialise(&mut self.open(source)?, IN_MEMORY)
    }

    /// Two files that are no archives.
    fn leaf(&self, path: &str, released: &Source, rebuilt: &Source, node: &mut Node) -> io::Result<Leaf> {
        let load = |source: &Source| -> io::Result<Option<Vec<u8>>> {
            if source.size().is_some_and(|size| size > file::LARGEST) {
                return Ok(None);
            }
            let mut bytes = Vec::with_capacity(usize::try_from(source.size().unwrap_or(0)).unwrap_or(0));
            self.open(source)?
                .take(file::LARGEST + 1)
                .read_to_end(&mut bytes)?;
            Ok(Some(bytes).filter(|bytes| bytes.len() as u64 <= file::LARGEST))
        };
        let (old, new) = std::thread::scope(|scope| {
            let large = [released, rebuilt]
                .iter()
                .all(|side| side.size().is_none_or(|size| size > WORTH_A_THREAD));
            if !large {
                return (load(released), load(rebuilt));
            }
            let other = scope.spawn(|| load(released));
            let own = load(rebuilt);
            (
                other.join().unwrap_or_else(|_| Err(io::ErrorKind::Other.into())),
                own,
            )
        });
        if let (Some(old), Some(new)) = (old?, new?) {
            node.sizes = (Some(old.len() as u64), Some(new.len() as u64));
            if old == new {
                return Ok(Leaf {
                    format: "bytes",
                    ..Leaf::default()
                });
            }
            return Ok(file::compare(path, &old, &new));
        }
        let (leaf, old, new) = file::stream(self.open(released)?, self.open(rebuilt)?)?;
        node.sizes = (Some(old), Some(new));
        Ok(leaf)
    }

    /// Beyond so many nodes, members that differ in fields alone are counted in their archive.
    fn fold(&self, node: &mut Node) {
        let before = self
            .nodes
            .fetch_add(node.children.len() as u64, Ordering::Relaxed);
        if before + (node.children.len() as u64) < MOST_NODES {
            return;
        }
        let mut folded: Vec<Finding> = Vec::new();
        let mut kept = Vec::new();
        for child in std::mem::take(&mut node.children) {
            let small = child.children.is_empty() && child.excerpts.is_empty();
            if !small || (kept.len() as u64) < 1000 {
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
                    Some(other) => other.places += finding.places,
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
}

/// Nodes for members of one side only.
fn only(alone: [Vec<Row>; 2]) -> Vec<(usize, Node)> {
    let mut nodes = Vec::new();
    for (side, rows) in alone.into_iter().enumerate() {
        for row in rows {
            let (presence, a, b) = if side == 0 {
                (Presence::OnlyReleased, "there", "missing")
            } else {
                (Presence::OnlyRebuilt, "missing", "there")
            };
            let sizes = if side == 0 {
                (Some(row.size), None)
            } else {
                (None, Some(row.size))
            };
            let mut finding = Finding::new("presence", a, b).keyed("members on one side only");
            if package::added_by_signing(FilePath::new(&row.path)) {
                finding = finding.because(Cause::Signature, Confidence::Likely);
            }
            nodes.push((
                row.index,
                Node {
                    name: row.path,
                    presence,
                    sizes,
                    findings: vec![finding],
                    ..Node::default()
                },
            ));
        }
    }
    nodes
}

/// How much of a source is read at once.
const PIECE: usize = 1 << 16;

/// Whether two sources are equal behind the headers that were compared already.
fn equal_after(meter: &Meter, [released, rebuilt]: [&Source; 2], skip: [u64; 2]) -> io::Result<bool> {
    if let (Some(a), Some(b)) = (released.size(), rebuilt.size())
        && a - skip[0].min(a) != b - skip[1].min(b)
    {
        return Ok(false);
    }
    let open = |source: &Source, skip: u64| -> io::Result<Metered<Box<dyn io::Read + Send>>> {
        let inner = source.open()?;
        let mut reader = Metered { inner, meter };
        io::copy(&mut io::Read::take(&mut reader, skip), &mut io::sink())?;
        Ok(reader)
    };
    let (mut a, mut b) = (open(released, skip[0])?, open(rebuilt, skip[1])?);
    let (mut old, mut new) = (vec![0; PIECE], vec![0; PIECE]);
    loop {
        let (old, new) = (file::fill(&mut a, &mut old)?, file::fill(&mut b, &mut new)?);
        if old != new {
            return Ok(false);
        }
        if old.len() < PIECE {
            return Ok(true);
        }
    }
}
