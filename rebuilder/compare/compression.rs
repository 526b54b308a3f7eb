//! Finds out how the same bytes were compressed in two ways, as far as the files show it.

use std::io::{self, Read as _};

use super::both::Both;
use super::cause::{Cause, Confidence};
use super::finding::Finding;
use super::source::{Codec, Source};

/// The finding for the same bytes compressed in two ways, with what is known about each.
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
    /// How the stream was split for threads, if that is visible.
    threads: Option<&'static str>,
}

fn described(codec: Codec, source: &Source) -> io::Result<Described> {
    let head = source.head(64)?;
    let plain = |text: String| Described { text, threads: None };
    Ok(match codec {
        // Block headers have sizes only if xz ran with threads (xz-file-format 3.1.2).
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
        Codec::Lz4 => plain(
            head.get(4)
                .map_or_else(String::new, |flags| format!(", frame flags {flags:#04x}")),
        ),
        Codec::Lzip => plain(
            head.get(5)
                .map_or_else(String::new, |size| format!(", dictionary {size:#04x}")),
        ),
        Codec::Lzma => plain(String::new()),
    })
}

/// Whether the first megabytes contain empty stored blocks, as compressors with threads leave them (pigz).
fn sync_points(source: &Source) -> io::Result<bool> {
    const LOOKED_AT: u64 = 4 << 20;
    let mut bytes = Vec::new();
    source.open()?.take(LOOKED_AT).read_to_end(&mut bytes)?;
    Ok(bytes.windows(4).any(|window| window == [0, 0, 0xff, 0xff]))
}
