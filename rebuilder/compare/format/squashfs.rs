//! SquashFS 4: the superblock is read, and all behind it is one member, as bytes.
//!
//! Its blocks are compressed one by one, so a change of a file shows as content of that member, without the file's name.

use std::io::{self, Read as _, SeekFrom};

use super::{FormatReader, Member, Visit, settle_zeros, tail};
use crate::compare::cause::Cause;
use crate::compare::finding::Node;
use crate::compare::limits::{Meter, Metered};
use crate::compare::source::Source;
use crate::compare::stored::{FieldKind, Fields, Value};

pub(super) struct SquashFs;

static TIME: FieldKind = FieldKind::new("time of the file system", Cause::Timestamp);
static COMPRESSION: FieldKind = FieldKind::new("compressor", Cause::Compression);
static SUPERBLOCK: FieldKind = FieldKind::new("rest of the superblock", Cause::Content);
static AFTER: FieldKind = FieldKind::new("bytes after the end", Cause::Content);
static ZEROS: FieldKind = FieldKind::new("zeros at the end", Cause::ArchiveDialect);

const MAGIC: &[u8] = b"hsqs";
const SUPERBLOCK_SIZE: u64 = 96;

impl FormatReader for SquashFs {
    fn name(&self) -> &'static str {
        "SquashFS"
    }

    fn example(&self) -> (&'static str, &'static [u8]) {
        const EXAMPLE: &[u8] = b"hsqs\0\0\0\0\0\0\0\0\0\0\x02\0\0\0\0\0\x01\0\x11\0\0\0\0\0\x04\0\0\0";
        ("x.squashfs", EXAMPLE)
    }

    /// Little-endian, version 4.0.
    fn begins(&self, head: &[u8]) -> bool {
        head.starts_with(MAGIC) && head.get(28..32) == Some(&[4, 0, 0, 0])
    }

    fn streams(&self) -> bool {
        false
    }

    fn walk(&self, source: &Source, meter: &Meter, visit: Visit) -> io::Result<Fields> {
        let mut reader = source.seekable()?;
        let mut superblock = [0; 96];
        reader.read_exact(&mut superblock)?;
        let [_, _, _, _, _, _, _, _, a, b, c, d, ..] = superblock;
        let time = i64::from(u32::from_le_bytes([a, b, c, d]));
        let compressor = u64::from(u16::from_le_bytes([superblock[20], superblock[21]]));
        let used = superblock.get(40..48).and_then(|used| used.first_chunk());
        let used = used.map_or(0, |used| u64::from_le_bytes(*used));
        let size = reader.seek(SeekFrom::End(0))?;
        if !(SUPERBLOCK_SIZE..=size).contains(&used) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let length = used.saturating_sub(SUPERBLOCK_SIZE);
        reader.seek(SeekFrom::Start(SUPERBLOCK_SIZE))?;
        meter.member(0)?;
        let more = visit(Member {
            path: "[blocks and tables]".into(),
            fields: Fields::new(),
            size: length,
            content: &mut Metered {
                inner: reader.by_ref().take(length),
                meter,
            },
            source: source.part(SUPERBLOCK_SIZE, length),
        })?;
        if !more {
            return Ok(Fields::new());
        }
        reader.seek(SeekFrom::Start(used))?;
        let mut fields = tail(Metered { inner: reader, meter }, &AFTER, &ZEROS)?;
        fields.push((&TIME, Value::Time(time)));
        fields.push((&COMPRESSION, Value::Number(compressor)));
        let mut rest = superblock;
        for told in [8..12, 20..22] {
            if let Some(told) = rest.get_mut(told) {
                told.fill(0);
            }
        }
        fields.push((&SUPERBLOCK, Value::Text(hex::encode(rest))));
        Ok(fields)
    }

    fn settle(&self, node: &mut Node) {
        settle_zeros(node, &ZEROS);
    }
}

#[cfg(test)]
mod tests {
    use crate::compare::{Cause, Options, Outcome, compare_bytes};

    fn made(time: u32, contents: &[u8], used: usize) -> Vec<u8> {
        let mut superblock = vec![0; 96];
        superblock[..4].copy_from_slice(super::MAGIC);
        superblock[8..12].copy_from_slice(&time.to_le_bytes());
        superblock[28] = 4;
        superblock[40..48].copy_from_slice(&(96 + used as u64).to_le_bytes());
        superblock.extend(contents);
        superblock
    }

    #[test]
    fn only_the_time_of_the_superblock_is_one() {
        let cases: [(Vec<u8>, Cause); 5] = [
            (made(2, b"blocks\0\0", 6), Cause::Timestamp),
            (made(1, b"blocks\0\0\0", 6), Cause::ArchiveDialect),
            (made(2, b"blocky\0\0", 6), Cause::Content),
            (made(2, b"blocks\0x", 6), Cause::Content),
            (made(2, b"blocks\0\0", 5), Cause::Content),
        ];
        let plain = made(1, b"blocks\0\0", 6);
        for (changed, cause) in cases {
            let found = compare_bytes("x.squashfs", &plain, &changed, &Options::default());
            assert_eq!(
                (found.outcome, found.causes[0].cause),
                (Outcome::Different, cause)
            );
        }
    }
}
