//! Two compressed files: what they hold, and how it is compressed.

use std::io::{self, Read as _};

use super::both::Both;
use super::cause::{Cause, Confidence};
use super::fields::field_findings;
use super::file;
use super::finding::{Finding, Node};
use super::gzip;
use super::limits::{Meter, Metered};
use super::pair::{At, Comparer};
use super::partners;
use super::source::{Codec, Source};

impl Comparer<'_> {
    /// What compressed files hold, and how it is compressed; one of them may be plain.
    pub fn compressed(
        &self,
        at: At,
        sides: Both<&Source>,
        codecs: Both<Option<Codec>>,
        node: &mut Node,
    ) -> io::Result<()> {
        let open = |source: &Source, codec: Option<Codec>| {
            codec.map_or_else(|| source.clone(), |codec| source.decoded(codec))
        };
        let opened = Both::new(
            open(sides.released, codecs.released),
            open(sides.rebuilt, codecs.rebuilt),
        );
        let path = partners::without_compression(at.path);
        let inner = self.pair(at.inside(path), opened.as_ref());
        let same = inner.is_same();
        let name = |codec: Option<Codec>| codec.map_or("none", Codec::name);
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
        let Some(codec) = codecs.released.filter(|_| codecs.same()) else {
            let (released, rebuilt) = (name(codecs.released), name(codecs.rebuilt));
            node.findings.push(
                Finding::new("compressor", released, rebuilt)
                    .because(Cause::Compression, Confidence::Proven)
                    .keyed(format!("{released} → {rebuilt}")),
            );
            return Ok(());
        };
        let mut skip = Both::new(0, 0);
        if codec == Codec::Gzip {
            let headers = sides.try_map(gzip::header)?;
            let fields = headers.as_ref().map(|header| &header.fields);
            node.findings
                .extend(field_findings(codec.name(), fields, at.within));
            skip = headers.map(|header| header.length);
        }
        if same && !equal_after(self.meter, sides, skip)? {
            let finding = gzip::compression(codec, sides)?;
            node.findings.push(at.within.set_aside(finding));
        }
        Ok(())
    }
}

/// How much of a source is read at once.
const PIECE: usize = 1 << 16;

/// Whether two sources are equal behind the headers that were compared already.
fn equal_after(meter: &Meter, sides: Both<&Source>, skip: Both<u64>) -> io::Result<bool> {
    let left = |source: &Source, skip: u64| source.size().map(|size| size.saturating_sub(skip));
    let lengths = Both::new(
        left(sides.released, skip.released),
        left(sides.rebuilt, skip.rebuilt),
    );
    if lengths.all(|length| length.is_some()) && !lengths.same() {
        return Ok(false);
    }
    let open = |source: &Source, skip: u64| -> io::Result<_> {
        let inner = source.open()?;
        let mut reader = Metered { inner, meter };
        io::copy(&mut reader.by_ref().take(skip), &mut io::sink())?;
        Ok(reader)
    };
    let mut released = open(sides.released, skip.released)?;
    let mut rebuilt = open(sides.rebuilt, skip.rebuilt)?;
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
