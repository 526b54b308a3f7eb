//! Compares two compressed files: their content, and how it is compressed.

use std::io::{self, Read};

use super::both::Both;
use super::cause::{Cause, Confidence};
use super::compression::compression;
use super::fields::field_findings;
use super::file::{self, Leaf};
use super::finding::{Finding, Node};
use super::format::{self, FormatReader, HEAD};
use super::limits::{Hit, Meter, Metered};
use super::package;
use super::pair::{At, Comparer};
use super::partners;
use super::source::{Codec, Source};
use super::streams::Facts;

impl Comparer<'_> {
    /// Compares the content of compressed files, and how it is compressed; one of them may be plain. Returns false if
    /// they only begin like compressed files, so that they must be compared as something else.
    pub fn compressed(
        &self,
        at: At,
        sides: Both<&Source>,
        codecs: Both<Option<Codec>>,
        node: &mut Node,
    ) -> io::Result<bool> {
        let opened = self.opened(sides, codecs);
        let begins = opened.as_ref().map(|side| side.head(1).err());
        if begins.as_ref().any(Option::is_some) {
            return Ok(self.without_a_beginning(begins, codecs, node));
        }
        let path = partners::without_compression(at.path);
        let inner = self.pair(at.inside(path), opened.as_ref());
        let same = inner.is_same();
        let outer = name(codecs.released.or(codecs.rebuilt));
        node.format = if inner.format.is_empty() || same && inner.format == "bytes" {
            outer.to_owned()
        } else {
            format!("{outer}, {}", inner.format)
        };
        node.findings = inner.findings;
        node.excerpts = inner.excerpts;
        node.children = inner.children;
        node.same = inner.same;
        self.read_to_end(&opened, node);
        // A plain file has only content; a file that cannot be read to its end has a finding already.
        let none = Facts::default();
        let facts = |source: &Source| match source {
            Source::Decoded { .. } => source.facts().cloned(),
            _ => Some(none.clone()),
        };
        let (Some(released), Some(rebuilt)) = (facts(&opened.released), facts(&opened.rebuilt)) else {
            return Ok(true);
        };
        let facts = Both::new(released, rebuilt);
        node.findings
            .extend(self.streams(at, sides, opened.as_ref(), facts.as_ref())?);
        let Some(codec) = codecs.released.filter(|_| codecs.same()) else {
            let contents = facts.map(|mut facts| {
                facts.fields.retain(|(kind, _)| kind.cause == Cause::Content);
                facts.fields
            });
            node.findings
                .extend(field_findings(outer, contents.as_ref(), at.within));
            node.findings.push(another_codec(codecs));
            return Ok(true);
        };
        let fields = facts.as_ref().map(|facts| &facts.fields);
        node.findings.extend(field_findings(outer, fields, at.within));
        if same && !equal_streams(self.meter, sides, facts.as_ref())? {
            node.findings
                .push(at.within.set_aside(compression(codec, sides)?));
        }
        Ok(true)
    }

    /// Streams of a package whose installer tells them apart, or reads only the first of them.
    fn streams(
        &self,
        at: At,
        sides: Both<&Source>,
        opened: Both<&Source>,
        facts: Both<&Facts>,
    ) -> io::Result<Vec<Finding>> {
        let mut findings = Vec::new();
        let starts = facts.map(|facts| &facts.starts);
        let are_single = starts.all(|starts| starts.len() <= 1);
        if are_single || equal_streams(self.meter, sides, facts)? {
            return Ok(findings);
        }
        let formats = opened.map(|side| format::detect(&side.head(HEAD).ok()?));
        let kind = |format: Option<&'static dyn FormatReader>, side| {
            package::Archive::read(format?, side, self.meter).kind()
        };
        let package =
            kind(formats.released, opened.released).or_else(|| kind(formats.rebuilt, opened.rebuilt));
        if at.within.reads_first_stream(at.path) || package.is_some_and(|own| (own.first_stream)(None)) {
            let told = |starts: &Vec<Vec<u8>>| if starts.len() > 1 { "several" } else { "one" };
            findings.push(
                Finding::new("streams", told(starts.released), told(starts.rebuilt))
                    .keyed("streams behind the first, which the installer does not read"),
            );
        }
        let (Some(package), Some(format)) = (package, formats.released) else {
            return Ok(findings);
        };
        if let Some(parts) = package.streams {
            let told = starts.map(|starts| parts(starts).join(", "));
            if !told.same() {
                findings.push(
                    Finding::new("streams", told.released, told.rebuilt)
                        .keyed("streams that the installer tells apart"),
                );
            }
        }
        if let Some(repacked) = package.repacked_streams {
            let settling = package::Settling {
                format,
                sides: opened,
                meter: self.meter,
            };
            // A package that cannot be read in this way has no parts that its installer finds.
            match repacked(&settling) {
                Ok(more) => findings.extend(more),
                Err(error) => findings.push(Finding::new("streams", error.to_string(), error.to_string())),
            }
        }
        Ok(findings)
    }

    /// The content of the files, up to the limits; a plain file is its own content.
    fn opened(&self, sides: Both<&Source>, codecs: Both<Option<Codec>>) -> Both<Source> {
        let open = |source: &Source, codec: Option<Codec>| {
            let deadline = self.meter.deadline.clone();
            let decoded = |codec| source.decoded_up_to(codec, self.meter.share(), deadline);
            codec.map_or_else(|| source.clone(), decoded)
        };
        Both::new(
            open(sides.released, codecs.released),
            open(sides.rebuilt, codecs.rebuilt),
        )
    }

    /// Two files of which one cannot even be read to its first byte. Returns whether a limit is the reason; if one
    /// side can be read as compressed, the other is reported as damaged.
    fn without_a_beginning(
        &self,
        begins: Both<Option<io::Error>>,
        codecs: Both<Option<Codec>>,
        node: &mut Node,
    ) -> bool {
        let readable = begins.as_ref().map(Option::is_none);
        let plain = codecs.map(|codec| codec.is_none());
        let limit = begins
            .as_ref()
            .any(|error| error.as_ref().and_then(Hit::of).is_some());
        let none_is_compressed =
            (plain.released || !readable.released) && (plain.rebuilt || !readable.rebuilt);
        if limit || !none_is_compressed {
            for (which, error) in begins.each() {
                let unread = error.map(|error| self.unread_side(which, &error));
                node.findings.extend(unread);
            }
        }
        limit
    }

    /// Reads the rest of the contents that the comparison did not read, so that everything after them is known.
    fn read_to_end(&self, opened: &Both<Source>, node: &mut Node) {
        for (which, source) in opened.as_ref().each() {
            if source.facts().is_some() || !matches!(source, Source::Decoded { .. }) {
                continue;
            }
            let read = self
                .open(source)
                .and_then(|mut reader| io::copy(&mut reader, &mut io::sink()));
            let Err(error) = read else { continue };
            let finding = self.unread_side(which, &error);
            let told = node.findings.iter().any(|other| {
                other.cause == Cause::Unread
                    && (&other.released, &other.rebuilt) == (&finding.released, &finding.rebuilt)
            });
            if !told {
                node.findings.push(finding);
            }
        }
    }

    /// Two files of which at least one cannot be read to its end: the common readable part is compared. Beyond a
    /// limit, nothing more is read.
    pub fn readable_part(
        &self,
        sides: Both<&Source>,
        mut errors: Both<Option<io::Error>>,
        node: &mut Node,
    ) -> io::Result<Leaf> {
        let limit = errors
            .as_ref()
            .any(|error| error.as_ref().and_then(Hit::of).is_some());
        let mut leaf = Leaf::default();
        if !limit {
            let mut lengths = Both::new(0, 0);
            for (which, source) in sides.each() {
                let mut reader = UpTo::new(self.open(source)?);
                *lengths.of_mut(which) = io::copy(&mut reader, &mut io::sink())?;
                *errors.of_mut(which) = reader.error;
            }
            let both = lengths.released.min(lengths.rebuilt);
            let part = |source: &Source| self.open(source).map(|reader| reader.take(both));
            (leaf, ..) = file::stream(part(sides.released)?, part(sides.rebuilt)?)?;
        }
        for (which, error) in errors.as_ref().each() {
            let unread = error.as_ref().map(|error| self.unread_side(which, error));
            node.findings.extend(unread);
        }
        leaf.format = "bytes";
        Ok(leaf)
    }
}

/// A reader that stops at the first error, and keeps it.
pub(super) struct UpTo<R> {
    inner: R,
    pub error: Option<io::Error>,
}

impl<R> UpTo<R> {
    pub fn new(inner: R) -> Self {
        Self { inner, error: None }
    }
}

impl<R: Read> Read for UpTo<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.error.is_some() {
            return Ok(0);
        }
        self.inner.read(buffer).or_else(|error| {
            if error.kind() == io::ErrorKind::Interrupted {
                return Err(error);
            }
            self.error = Some(error);
            Ok(0)
        })
    }
}

fn another_codec(codecs: Both<Option<Codec>>) -> Finding {
    let (released, rebuilt) = (name(codecs.released), name(codecs.rebuilt));
    Finding::new("compressor", released, rebuilt)
        .because(Cause::Compression, Confidence::Proven)
        .keyed(format!("{released} → {rebuilt}"))
}

fn name(codec: Option<Codec>) -> &'static str {
    codec.map_or("none", Codec::name)
}

/// Number of bytes that are read at once.
const PIECE: usize = 1 << 16;

/// Whether two files have equal streams, apart from the headers, which were compared already.
fn equal_streams(meter: &Meter, sides: Both<&Source>, facts: Both<&Facts>) -> io::Result<bool> {
    let lengths = facts.map(|facts| facts.end.saturating_sub(facts.header));
    if !lengths.same() {
        return Ok(false);
    }
    let open = |source: &Source, facts: &Facts| -> io::Result<_> {
        let inner = source.open()?;
        let mut reader = Metered { inner, meter };
        io::copy(&mut reader.by_ref().take(facts.header), &mut io::sink())?;
        Ok(reader.take(lengths.released))
    };
    let mut released = open(sides.released, facts.released)?;
    let mut rebuilt = open(sides.rebuilt, facts.rebuilt)?;
    let (mut old_buffer, mut new_buffer) = (vec![0; PIECE], vec![0; PIECE]);
    loop {
        let old = file::fill(&mut released, &mut old_buffer)?;
        let new = file::fill(&mut rebuilt, &mut new_buffer)?;
        if old != new {
            return Ok(false);
        }
        if old.len() < PIECE {
            return Ok(true);
        }
    }
}

#[cfg(test)]
mod tests;
