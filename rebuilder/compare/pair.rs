//! Compares one pair of files of any kind: they are the same, or a node says where they differ.

use std::collections::HashMap;
use std::io::{self, Read as _};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Mutex, PoisonError};

use super::again::materialise;
use super::both::{Both, Which};
use super::cause::{Cause, Confidence};
use super::comparison::LimitHit;
use super::compressed::UpTo;
use super::file::{self, Leaf};
use super::finding::{Finding, Node};
use super::format::{self, FormatReader, HEAD};
use super::limits::{Hit, Limit, Meter, Metered};
use super::package::{File, FilePath, Within};
use super::source::{Codec, Source};

/// The place of a pair in the comparison.
#[derive(Clone, Copy)]
pub(super) struct At<'a> {
    pub path: &'a str,
    pub within: Within<'a>,
    /// Number of further levels of archives that may be entered.
    pub depth: u32,
}

impl<'a> At<'a> {
    /// The place of a pair inside this one.
    pub fn inside<'b>(self, path: &'b str) -> At<'b>
    where
        'a: 'b,
    {
        At {
            path,
            within: self.within,
            depth: self.depth.saturating_sub(1),
        }
    }
}

/// One comparison: the state that its threads share.
pub(super) struct Comparer<'a> {
    pub meter: &'a Meter,
    pub limits: Mutex<Vec<LimitHit>>,
    /// How often members of both sides have each time; the newest one tells what times were clamped to.
    pub times: Mutex<HashMap<i64, u64>>,
    /// Number of nodes.
    pub nodes: AtomicU64,
    /// Whether the whole is one package whose times were clamped to SOURCE_DATE_EPOCH.
    pub clamped: AtomicBool,
}

/// Smaller files are read one after the other.
const WORTH_A_THREAD: u64 = 1 << 20;

impl<'a> Comparer<'a> {
    pub fn new(meter: &'a Meter) -> Self {
        Self {
            meter,
            limits: Mutex::default(),
            times: Mutex::default(),
            nodes: AtomicU64::new(0),
            clamped: AtomicBool::new(false),
        }
    }

    /// The node of a pair; it has no findings if the bytes are the same.
    pub fn pair(&self, at: At, sides: Both<&Source>) -> Node {
        let sizes = sides.map(Source::size);
        let mut node = Node {
            name: FilePath::new(at.path).name.to_owned(),
            sizes: (sizes.released, sizes.rebuilt),
            ..Node::default()
        };
        let read = if at.depth == 0 {
            let what = format!("archives more than {} deep", self.meter.depth);
            Err(Hit::error(Limit::Depth, what))
        } else {
            self.read(at, sides, &mut node)
        };
        if let Err(error) = read {
            node.findings.push(self.unread("the file", &error));
        }
        node
    }

    fn read(&self, at: At, sides: Both<&Source>, node: &mut Node) -> io::Result<()> {
        if sides.all(|side| matches!(side, Source::Folder(_))) {
            node.format = "folder".into();
            self.archive(at, format::folder(), sides, node);
            return Ok(());
        }
        let heads = sides.try_map(|side| side.head(HEAD))?;
        let codecs = heads.as_ref().map(|head| Codec::detect(head));
        if codecs.any(|codec| codec.is_some()) && self.compressed(at, sides, codecs, node)? {
            return Ok(());
        }
        let formats = Both::new((sides.released, &heads.released), (sides.rebuilt, &heads.rebuilt))
            .try_map(|(source, head)| format::find(source, head))?;
        if let (Some(format), Some(other)) = (formats.released, formats.rebuilt)
            && format.name() == other.name()
        {
            node.format = format.name().into();
            let opened = sides.map(|side| self.any_order(format, side));
            match (opened.released, opened.rebuilt) {
                (Ok(old), Ok(new)) => self.archive(at, format, Both::new(&old, &new), node),
                (old, new) => {
                    let errors = Both::new(old.err(), new.err());
                    let leaf = self.readable_part(sides, errors, node)?;
                    node.findings.extend(leaf.findings);
                    node.excerpts.extend(leaf.excerpts);
                }
            }
            return Ok(());
        }
        let leaf = self.leaf(at, sides, node)?;
        node.format = leaf.format.into();
        node.findings.extend(leaf.findings);
        node.excerpts.extend(leaf.excerpts);
        let names = heads.as_ref().map(|head| format::not_unpacked(head));
        let both = names.released.filter(|_| names.released == names.rebuilt);
        if let Some(name) = both.filter(|_| !node.findings.is_empty()) {
            node.format = name.into();
            node.findings.push(
                Finding::new(format!("members of {name}"), "not unpacked", "not unpacked")
                    .because(Cause::Unread, Confidence::Proven)
                    .keyed("formats whose bytes are compared, but not their members"),
            );
        }
        Ok(())
    }

    /// A finding that something was not compared; a limit is also noted for the whole comparison.
    pub fn unread(&self, place: &str, error: &io::Error) -> Finding {
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
        Finding::new(place, error.to_string(), "")
            .because(Cause::Unread, Confidence::Proven)
            .keyed(Hit::of(error).map_or("damaged", |hit| hit.limit.name()))
    }

    /// A finding that one side was not read, or not to its end.
    pub fn unread_side(&self, which: Which, error: &io::Error) -> Finding {
        let mut finding = self.unread(which.name(), error);
        if which == Which::Rebuilt {
            std::mem::swap(&mut finding.released, &mut finding.rebuilt);
        }
        finding
    }

    /// Opens a source from its beginning, and counts the bytes.
    pub fn open(&self, source: &Source) -> io::Result<Metered<'a, Box<dyn io::Read + Send>>> {
        Ok(Metered {
            inner: source.open()?,
            meter: self.meter,
        })
    }

    /// The bytes for a reader that needs them in any order.
    fn any_order(&self, format: &dyn FormatReader, source: &Source) -> io::Result<Source> {
        const IN_MEMORY: usize = 32 << 20;
        if format.streams() || source.seekable().is_ok() {
            return Ok(source.clone());
        }
        materialise(&mut self.open(source)?, IN_MEMORY)
    }

    /// Compares two files that are not archives.
    fn leaf(&self, at: At, sides: Both<&Source>, node: &mut Node) -> io::Result<Leaf> {
        let large = sides.all(|side| side.size().is_none_or(|size| size > WORTH_A_THREAD));
        let read = if large {
            on_two_threads(sides, |side| self.load(side))
        } else {
            sides.map(|side| self.load(side))
        };
        let (released, rebuilt) = match (read.released, read.rebuilt) {
            (Ok(released), Ok(rebuilt)) => (released, rebuilt),
            (old, new) => return self.readable_part(sides, Both::new(old.err(), new.err()), node),
        };
        if let (Some(released), Some(rebuilt)) = (released, rebuilt) {
            node.sizes = (Some(released.len() as u64), Some(rebuilt.len() as u64));
            if released == rebuilt {
                return Ok(Leaf {
                    format: "bytes",
                    ..Leaf::default()
                });
            }
            return Ok(file::compare(File::new(at.path, at.within), &released, &rebuilt));
        }
        let mut readers = sides.try_map(|side| self.open(side).map(UpTo::new))?;
        let (leaf, released, rebuilt) = file::stream(&mut readers.released, &mut readers.rebuilt)?;
        let errors = readers.map(|reader| reader.error);
        if errors.as_ref().any(Option::is_some) {
            return self.readable_part(sides, errors, node);
        }
        node.sizes = (Some(released), Some(rebuilt));
        Ok(leaf)
    }

    /// All bytes, if there are not too many to be read whole.
    fn load(&self, source: &Source) -> io::Result<Option<Vec<u8>>> {
        let size = source.size();
        if size.is_some_and(|size| size > file::LARGEST) {
            return Ok(None);
        }
        let mut bytes = Vec::with_capacity(usize::try_from(size.unwrap_or(0)).unwrap_or(0));
        let one_more = file::LARGEST.saturating_add(1);
        self.open(source)?.take(one_more).read_to_end(&mut bytes)?;
        Ok(Some(bytes).filter(|bytes| bytes.len() as u64 <= file::LARGEST))
    }
}

/// Does the same work for both sides at the same time.
pub(super) fn on_two_threads<I: Send, T: Send>(
    sides: Both<I>,
    work: impl Fn(I) -> io::Result<T> + Sync,
) -> Both<io::Result<T>> {
    let Both { released, rebuilt } = sides;
    std::thread::scope(|scope| {
        let other = scope.spawn(|| work(released));
        let rebuilt = work(rebuilt);
        let released = other
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("a thread panicked")));
        Both::new(released, rebuilt)
    })
}
