//! Headers of compressed files: what they say beside the bytes that they hold.

use std::io::{self, Read};

use super::both::Both;
use super::cause::{Cause, Confidence};
use super::finding::Finding;
use super::normalise::Normalisation;
use super::source::{Codec, Source};
use super::stored::{FieldKind, Fields, Value};

/// The normalisations that are for headers of gzip alone.
pub(super) const NORMALISATIONS: &[Normalisation] = &[
    Normalisation::GzipMisc,
    Normalisation::GzipName,
    Normalisation::GzipTime,
];

static TIME: FieldKind = FieldKind::by("time in the header", Cause::Timestamp, Normalisation::GzipTime);
static NAME: FieldKind = FieldKind::by(
    "name in the header",
    Cause::ArchiveDialect,
    Normalisation::GzipName,
);
static LEVEL: FieldKind = FieldKind::by(
    "level in the header",
    Cause::Compression,
    Normalisation::GzipCompression,
);
static SYSTEM: FieldKind = FieldKind::by(
    "operating system in the header",
    Cause::Compression,
    Normalisation::GzipMisc,
);
static OTHER: FieldKind = FieldKind::by(
    "flags, comment and extra fields",
    Cause::ArchiveDialect,
    Normalisation::GzipMisc,
);

/// The header of the first gzip member (RFC 1952).
pub(super) struct Header {
    pub fields: Fields,
    pub length: u64,
}

/// Longest header that is read.
const LONGEST: u64 = 1 << 17;

pub(super) fn header(source: &Source) -> io::Result<Header> {
    let mut bytes = Vec::new();
    source.open()?.take(LONGEST).read_to_end(&mut bytes)?;
    let mut decoder = flate2::bufread::GzDecoder::new(bytes.as_slice());
    // The header is read by the first read.
    let _ = decoder.read(&mut [0; 1]);
    let header = decoder.header().ok_or(io::ErrorKind::InvalidData)?;
    let text = |bytes: Option<&[u8]>| bytes.map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    let mut fields: Fields = vec![
        (&TIME, Value::Time(i64::from(header.mtime()))),
        (&SYSTEM, Value::Number(u64::from(header.operating_system()))),
        (
            &LEVEL,
            Value::Number(u64::from(bytes.get(8).copied().unwrap_or(0))),
        ),
    ];
    if let Some(name) = text(header.filename()) {
        fields.push((&NAME, Value::Text(name)));
    }
    let flags = bytes.get(3).copied().unwrap_or(0);
    let extra = header.extra().unwrap_or_default();
    // The bit for the name says no more than the name.
    let flags = flags & !8;
    if flags != 0 || !extra.is_empty() {
        let comment = text(header.comment()).unwrap_or_default();
        fields.push((
            &OTHER,
            Value::Text(format!("{flags:#x} {comment} {}", hex::encode(extra))),
        ));
    }
    // Ten bytes; then the length of the extra field and the field itself; two texts with their ends; a checksum.
    let parts = [
        (header.extra(), 2),
        (header.filename(), 1),
        (header.comment(), 1),
        ((flags & 2 != 0).then_some(&[][..]), 2),
    ];
    let length = parts.into_iter().fold(10_u64, |length, (part, more)| {
        let own = part.map_or(0, |part| (part.len() as u64).saturating_add(more));
        length.saturating_add(own)
    });
    Ok(Header { fields, length })
}

/// The same bytes, compressed in another way: with what is known of how.
pub(super) fn compression(codec: Codec, sides: Both<&Source>) -> io::Result<Finding> {
    let described = sides.try_map(|side| described(codec, side))?;
    let threads = described.as_ref().map(|side| side.threads);
    let text = |side: Described, source: &Source| {
        let size = source.size().map(|size| format!("{size} bytes"));
        format!("{}{}", size.unwrap_or_default(), side.text)
    };
    let finding = Finding::new(
        "compressed bytes",
        text(described.released, sides.released),
        text(described.rebuilt, sides.rebuilt),
    )
    .set_aside_by(codec.normalisation());
    let name = codec.name();
    Ok(match (threads.released, threads.rebuilt) {
        (Some(released), Some(rebuilt)) if released != rebuilt => finding
            .because(Cause::Compression, Confidence::Likely)
            .keyed(format!("{name}: {released} → {rebuilt}")),
        _ => finding
            .because(Cause::Compression, Confidence::Proven)
            .keyed(format!("{name}: the same bytes, compressed otherwise")),
    })
}

struct Described {
    text: String,
    /// How the stream is cut for threads, if that shows.
    threads: Option<&'static str>,
}

fn described(codec: Codec, source: &Source) -> io::Result<Described> {
    let head = source.head(64)?;
    let plain = |text: String| Described { text, threads: None };
    Ok(match codec {
        // Block headers carry sizes only when xz ran with threads (xz-file-format 3.1.2).
        Codec::Xz => {
            let sized = head.get(13).is_some_and(|flags| flags & 0xc0 != 0);
            let check = match head.get(7) {
                Some(0) => "no check",
                Some(1) => "CRC32",
                Some(4) => "CRC64",
                Some(10) => "SHA-256",
                _ => "unknown check",
            };
            Described {
                text: format!(
                    ", {check}, {}",
                    if sized {
                        "sized blocks"
                    } else {
                        "blocks without sizes"
                    }
                ),
                threads: Some(if sized { "blocks for threads" } else { "one thread" }),
            }
        }
        Codec::Zstd => plain(
            head.get(4)
                .map_or_else(String::new, |flags| format!(", frame descriptor {flags:#04x}")),
        ),
        Codec::Bzip2 => plain(head.get(3).map_or_else(String::new, |level| {
            format!(", block size {}", char::from(*level))
        })),
        Codec::Gzip => {
            let empty_blocks = sync_points(source)?;
            Described {
                text: if empty_blocks {
                    ", cut in pieces".into()
                } else {
                    String::new()
                },
                threads: Some(if empty_blocks {
                    "pieces for threads"
                } else {
                    "one thread"
                }),
            }
        }
        Codec::Lzma => plain(String::new()),
    })
}

/// Whether there are empty stored blocks in the first megabytes, as compressors with threads leave them (pigz).
fn sync_points(source: &Source) -> io::Result<bool> {
    const LOOKED_AT: u64 = 4 << 20;
    let mut bytes = Vec::new();
    source.open()?.take(LOOKED_AT).read_to_end(&mut bytes)?;
    Ok(bytes.windows(4).any(|window| window == [0, 0, 0xff, 0xff]))
}
