//! Archive formats: a table of readers, one for each format behind [`FormatReader`].
//!
//! A reader accounts for every byte of its format: contents of members, fields with a meaning, and bytes that have
//! none. A comparison could not see bytes that a reader left out.

mod ar;
mod cpio;
mod folder;
mod image;
mod iso;
mod rpm;
mod squashfs;
mod tar;
mod zip;

use std::io::{self, Read, Write as _};

use super::both::Both;
use super::finding::Node;
use super::limits::Meter;
use super::normalise::Normalisation;
use super::source::Source;
use super::stored::{FieldKind, Fields, Value};
use crate::artifact::{HashingWriter, Sha256};

/// One member, as a walk reaches it.
pub(super) struct Member<'a> {
    /// Cleaned by [`super::tree::clean`] if all readers of the format do that; the original spelling is then a field.
    pub path: String,
    /// A [`Value::Type`] tells what is unpacked (a file, if there is none), and a [`Value::Target`] the target of a
    /// link.
    pub fields: Fields,
    /// Length of its bytes, according to the format.
    pub size: u64,
    pub content: &'a mut dyn Read,
    /// The same bytes, if they can be read again without a walk.
    pub source: Option<Source>,
}

/// Called for each member in stored order; returns whether to continue.
pub(super) type Visit<'a> = &'a mut dyn FnMut(Member) -> io::Result<bool>;

/// Reads one archive format.
pub(super) trait FormatReader: Sync {
    /// Name for reports.
    fn name(&self) -> &'static str;
    /// The name and the first bytes of such a file, for tests and fuzzing.
    fn example(&self) -> (&'static str, &'static [u8]);
    /// The normalisations that only this format has.
    fn normalisations(&self) -> &'static [Normalisation] {
        &[]
    }
    /// The normalisation for members in another order, if the order does not change the unpacked tree.
    fn order(&self) -> Option<Normalisation> {
        None
    }
    /// Whether its unpackers need a folder before its content.
    fn folders_first(&self) -> bool {
        false
    }
    /// Whether these are the first bytes of such a file.
    fn begins(&self, head: &[u8]) -> bool;
    /// Whether the end of a file shows that it has this format, whatever its beginning is.
    fn ends(&self, _source: &Source) -> io::Result<bool> {
        Ok(false)
    }
    /// Whether it reads from a stream; other formats need bytes that can be read in any order.
    fn streams(&self) -> bool;
    /// Walks the members, and returns the fields of the archive itself.
    fn walk(&self, source: &Source, meter: &Meter, visit: Visit) -> io::Result<Fields>;
    /// Reads both archives again, if only that can tell what a difference follows from.
    fn prove(&self, _sides: Both<&Source>, _meter: &Meter, _node: &mut Node) {}
    /// Adjusts findings that depend on all members of an archive.
    fn settle(&self, _node: &mut Node) {}
}

/// Number of first bytes that distinguish the formats; disc images have a system area before their first descriptor.
pub(super) const HEAD: usize = (32 << 10) + 6;

/// The first format that recognises a file is used.
static FORMATS: &[&dyn FormatReader] = &[
    &ar::Ar,
    &zip::Zip,
    &rpm::Rpm,
    &cpio::Cpio,
    &tar::Tar,
    &iso::Iso,
    &squashfs::SquashFs,
];

/// The archive format that begins with `head`.
pub(super) fn detect(head: &[u8]) -> Option<&'static dyn FormatReader> {
    FORMATS.iter().copied().find(|format| format.begins(head))
}

/// The name of a format whose members no reader here unpacks; its files are compared as bytes.
pub(super) fn not_unpacked(head: &[u8]) -> Option<&'static str> {
    const MARKS: [(usize, &[u8], &str); 4] = [
        (0, b"7z\xbc\xaf\x27\x1c", "7z"),
        (0, b"Rar!\x1a\x07", "RAR"),
        (0, b"MSCF\0\0\0\0", "cabinet"),
        // The first descriptor of a disc image that is not also one of ISO 9660.
        ((32 << 10) + 1, b"BEA01", "UDF"),
    ];
    let begins = |at: usize, mark: &[u8]| head.get(at..).is_some_and(|rest| rest.starts_with(mark));
    let mut known = MARKS.into_iter();
    known
        .find(|(at, mark, _)| begins(*at, mark))
        .map(|(_, _, name)| name)
}

/// The archive format of a file that begins with `head`, or that can be read in any order and ends like an archive.
pub(super) fn find(source: &Source, head: &[u8]) -> io::Result<Option<&'static dyn FormatReader>> {
    let begins = detect(head);
    if begins.is_some() || source.seekable().is_err() {
        return Ok(begins);
    }
    for format in FORMATS.iter().copied() {
        if format.ends(source)? {
            return Ok(Some(format));
        }
    }
    Ok(None)
}

/// A name and the first bytes of a file of each format.
pub(super) fn examples() -> impl Iterator<Item = (&'static str, &'static [u8])> {
    FORMATS.iter().map(|format| format.example())
}

/// The normalisations of the formats, by name.
pub(super) fn normalisations() -> impl Iterator<Item = (&'static str, &'static [Normalisation])> {
    FORMATS
        .iter()
        .map(|format| (format.name(), format.normalisations()))
}

/// The reader for folders, which are walked like archives.
pub(super) fn folder() -> &'static dyn FormatReader {
    &folder::Folder
}

/// A path as text; bytes that are not UTF-8 are escaped, so that different paths stay different.
fn path_text(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        // Text that looks like an escape is escaped too.
        for (at, part) in chunk.valid().split("\\x").enumerate() {
            text.push_str(if at == 0 { "" } else { "\\x5cx" });
            text.push_str(part);
        }
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}

/// Describes bytes without a meaning: length, digest, and the first of them.
fn described(bytes: &[u8]) -> String {
    let shown: String = bytes
        .iter()
        .take(24)
        .map(|byte| {
            if byte.is_ascii_graphic() {
                char::from(*byte)
            } else {
                '.'
            }
        })
        .collect();
    format!(
        "{} bytes, sha256 {}, {shown}",
        bytes.len(),
        Sha256::of(bytes).to_hex()
    )
}

/// Archives are padded with zeros to whole blocks, so the number of zeros follows from the sizes of members.
fn settle_zeros(node: &mut Node, zeros: &'static FieldKind) {
    let resized = node.children.iter().any(|child| child.sizes.0 != child.sizes.1);
    for finding in &mut node.findings {
        finding.follows |= resized && finding.place.is(zeros);
    }
}

/// Reads the rest of an archive after its end marker: the number of zeros, and any other bytes.
fn tail(mut rest: impl Read, hidden: &'static FieldKind, zeros: &'static FieldKind) -> io::Result<Fields> {
    const SHOWN: usize = 24;
    let mut buffer = vec![0; 1 << 16];
    let (mut padding, mut length) = (0_u64, 0_u64);
    let (mut first, mut digest) = (Vec::new(), HashingWriter::new(io::sink()));
    loop {
        let read = rest.read(&mut buffer)?;
        let mut bytes = buffer.get(..read).unwrap_or_default();
        if read == 0 {
            break;
        }
        if length == 0 {
            let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
            padding = padding.saturating_add(zeros as u64);
            bytes = bytes.get(zeros..).unwrap_or_default();
            first = bytes.iter().copied().take(SHOWN).collect();
        }
        length = length.saturating_add(bytes.len() as u64);
        digest.write_all(bytes)?;
    }
    let mut fields = vec![(zeros, Value::Number(padding))];
    if length > 0 {
        let digest = digest.finish().1.to_hex();
        let shown = path_text(&first);
        let text = format!("{length} bytes, sha256 {digest}, {shown}");
        fields.push((hidden, Value::Text(text)));
    }
    Ok(fields)
}
