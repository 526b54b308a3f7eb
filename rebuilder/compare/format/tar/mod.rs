//! tar: POSIX ustar and pax, GNU, and earlier forms.
//!
//! The reader works block by block and accounts for each byte: values ([`fields`]), their spelling ([`header`],
//! [`extension`]), contents ([`sparse`]), and bytes without a meaning, which are content.

mod extension;
mod fields;
mod header;
mod kinds;
mod names;
mod number;
mod pax;
mod pax_fields;
mod reader;
#[cfg(test)]
mod samples;
mod short;
mod sparse;
#[cfg(test)]
mod tests;

use std::io::{self, Read};

use header::{BLOCK, Block, Checksum, Header};
use kinds::{AFTER, BETWEEN, COMMENT, HIDDEN, HOLES, ZEROS};
use pax_fields::{Globals, Pax, bounded};
use reader::{Blocks, Extended, Next};

use super::{FormatReader, Member, Visit, described, settle_zeros, tail};
use crate::compare::finding::Node;
use crate::compare::limits::{Hit, Limit, Meter, Metered};
use crate::compare::normalise::Normalisation;
use crate::compare::source::Source;
use crate::compare::stored::{Fields, Value};

pub(super) struct Tar;

impl FormatReader for Tar {
    fn name(&self) -> &'static str {
        "tar"
    }

    fn example(&self) -> (&'static str, &'static [u8]) {
        ("x.tar", b"")
    }

    fn normalisations(&self) -> &'static [Normalisation] {
        &[
            Normalisation::TarDeviceNumber,
            Normalisation::TarFileMode,
            Normalisation::TarFileOrder,
            Normalisation::TarHeaders,
            Normalisation::TarOwners,
            Normalisation::TarSparse,
            Normalisation::TarTime,
            Normalisation::TarXattrs,
        ]
    }

    fn order(&self) -> Option<Normalisation> {
        Some(Normalisation::TarFileOrder)
    }

    fn begins(&self, head: &[u8]) -> bool {
        let block = head
            .first_chunk::<BLOCK>()
            .filter(|block| block.first() != Some(&0));
        // The checksum distinguishes old archives without magic from other files.
        block.is_some_and(|block| Header::new(block).checksum() != Checksum::Wrong)
    }

    fn streams(&self) -> bool {
        true
    }

    fn walk(&self, source: &Source, meter: &Meter, visit: Visit) -> io::Result<Fields> {
        let inner = Metered {
            inner: io::BufReader::with_capacity(1 << 17, source.open()?),
            meter,
        };
        let mut walk = Walk {
            blocks: Blocks::new(inner),
            source,
            meter,
            globals: Globals::default(),
            archive: Fields::new(),
            between: Vec::new(),
        };
        loop {
            let next = reader::next(&mut walk.blocks)?;
            walk.global_headers(&next.extended)?;
            let Some(header) = next.header else {
                return walk.end(&next);
            };
            if !walk.member(&header, &next.extended, visit)? {
                return Ok(Fields::new());
            }
        }
    }

    fn settle(&self, node: &mut Node) {
        settle_zeros(node, &ZEROS);
    }
}

/// Maximum number of fields of global headers that are kept; ordinary archives have three.
const MOST_GLOBAL: usize = 1000;

/// The state of reading an archive.
struct Walk<'a, R> {
    blocks: Blocks<R>,
    source: &'a Source,
    meter: &'a Meter,
    globals: Globals,
    /// Fields of the archive itself.
    archive: Fields,
    /// The padding of the last member.
    between: Vec<u8>,
}

impl<R: Read> Walk<'_, R> {
    fn global_headers(&mut self, extended: &[Extended]) -> io::Result<()> {
        for one in extended
            .iter()
            .filter(|one| Header::new(&one.block).letter == b'g')
        {
            if self.archive.len() > MOST_GLOBAL {
                return Err(Hit::error(
                    Limit::Members,
                    "more than 1000 fields of global headers",
                ));
            }
            extension::global(one, &mut self.archive);
            for comment in self.globals.add(&one.body) {
                self.archive.push((&COMMENT, Value::Text(bounded(comment))));
            }
        }
        Ok(())
    }

    /// Reads one member; returns whether to continue.
    fn member(&mut self, block: &Block, extended: &[Extended], visit: Visit) -> io::Result<bool> {
        let header = Header::new(block);
        let pax = Pax::of(extended, &header);
        let mut entry = fields::entry(&header, extended, &pax, &self.globals);
        self.meter.member(entry.longest_name)?;
        if self.between.iter().any(|byte| *byte != 0) {
            entry
                .fields
                .push((&BETWEEN, Value::Text(described(&self.between))));
        }
        let start = self.blocks.position;
        let found = if header.letter == b'S' && header.magic == header::Magic::Gnu {
            Some(sparse::old_gnu(&header, &mut self.blocks)?)
        } else {
            sparse::pax(&pax, entry.stored, &mut self.blocks)?
        };
        let before = found.as_ref().map_or(0, |found| found.before_data.len() as u64);
        let left = entry.stored.saturating_sub(before);
        let mut data = self.blocks.by_ref().take(left);
        let mut expanded;
        let mut with_map;
        let (size, content, source): (u64, &mut dyn Read, _) = match &found {
            None => (entry.stored, &mut data, self.source.part(start, entry.stored)),
            Some(found) => {
                sparse_fields(found, &pax, &mut entry.fields);
                if let Some(map) = &found.map {
                    // The zeros of a sparse file are not in the archive, so they are counted when they are generated.
                    expanded = Metered {
                        inner: sparse::Expanded::new(&mut data, map),
                        meter: self.meter,
                    };
                    (map.size, &mut expanded, None)
                } else {
                    with_map = found.before_data.as_slice().chain(&mut data);
                    (entry.stored, &mut with_map, None)
                }
            }
        };
        let more = visit(Member {
            path: entry.path,
            fields: entry.fields,
            size,
            content,
            source,
        })?;
        if !more {
            return Ok(false);
        }
        io::copy(&mut data, &mut io::sink())?;
        if data.limit() > 0 {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the archive ends within a member",
            ));
        }
        self.between = self.blocks.padding(entry.stored)?;
        Ok(true)
    }

    /// Reads what follows the last member.
    fn end(mut self, next: &Next) -> io::Result<Fields> {
        if self.between.iter().any(|byte| *byte != 0) {
            self.archive
                .push((&BETWEEN, Value::Text(described(&self.between))));
        }
        for one in &next.extended {
            if Header::new(&one.block).letter != b'g' {
                let bytes = [&one.block, one.body.as_slice(), &one.padding].concat();
                let text = format!("an extended header without a member: {}", described(&bytes));
                self.archive.push((&HIDDEN, Value::Text(text)));
            }
        }
        let marker: &[u8] = if next.marked { &[0; BLOCK] } else { &[] };
        let rest = marker.chain(self.blocks.into_inner());
        self.archive.extend(tail(rest, &AFTER, &ZEROS)?);
        Ok(self.archive)
    }
}

fn sparse_fields(found: &sparse::Found, pax: &Pax, fields: &mut Fields) {
    if found.unused.iter().any(|byte| *byte != 0) {
        fields.push((
            &HIDDEN,
            Value::Text(format!("map of a sparse file: {}", described(&found.unused))),
        ));
    }
    if let Some(map) = &found.map {
        fields.push((
            &HOLES,
            Value::Text(format!("{}: {}", found.format, map.described())),
        ));
        return;
    }
    let records = pax
        .sparse
        .iter()
        .map(|(key, value)| format!("{key}={}", super::path_text(value)));
    let records: Vec<String> = records.collect();
    let text = format!("{}: {}", found.format, described(records.join("\n").as_bytes()));
    fields.push((&kinds::MEANING, Value::Text(text)));
}
