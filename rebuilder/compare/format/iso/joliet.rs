//! The tree of Joliet, and other trees beside the primary one: further names for the same files.

use std::collections::HashSet;
use std::io::{self, Write as _};

use super::record::{Record, Susp};
use super::records;
use super::volume::Volume;
use crate::artifact::HashingWriter;
use crate::compare::cause::Cause;
use crate::compare::format::image::{Image, invalid};
use crate::compare::stored::{FieldKind, Fields, Value};

static FILES: FieldKind = FieldKind::new("files of another tree", Cause::Content);
static TIMES: FieldKind = FieldKind::new("times in another tree", Cause::Timestamp);

/// Adds the content of the tree, with files of the primary tree instead of blocks.
pub(super) fn tree(image: &mut Image, volume: &Volume, fields: &mut Fields) -> io::Result<()> {
    let susp = Susp {
        skip: None,
        block_size: volume.block_size,
    };
    let (mut digest, mut times) = (HashingWriter::new(io::sink()), HashingWriter::new(io::sink()));
    let (mut count, mut shown) = (0_u64, None);
    let root = Record::root(&volume.root, volume.block_size, image)?;
    let mut seen = HashSet::new();
    let mut waiting = vec![(String::new(), root)];
    while let Some((path, folder)) = waiting.pop() {
        if !seen.insert(folder.block) {
            return Err(invalid("a folder of a disc image that is in two places"));
        }
        let at = u64::from(folder.block).saturating_mul(volume.block_size);
        image.paths.insert(at, format!("{path}/"));
        for record in records(image, at, folder.size, susp)? {
            image.member()?;
            let name = name(&record.identifier, volume.is_joliet);
            let below = format!("{path}/{name}");
            for (kind, value) in &record.fields {
                if kind.cause == Cause::Timestamp {
                    writeln!(times, "{below:?} {value}")?;
                    shown.get_or_insert_with(|| value.clone());
                } else {
                    writeln!(digest, "{below:?} {} {value}", kind.name)?;
                }
            }
            let at = u64::from(record.block).saturating_mul(volume.block_size);
            let (is_folder, goes_on) = (record.is_folder, record.goes_on);
            if is_folder {
                let known = image.paths.get(&at).filter(|_| record.identifier.len() == 1);
                writeln!(digest, "{below:?} folder {known:?}")?;
                if !matches!(record.identifier[..], [0 | 1]) {
                    waiting.push((below, record));
                }
                continue;
            }
            count = count.saturating_add(1);
            let size = u64::from(record.size);
            let file = match image.paths.get(&at) {
                _ if size == 0 => "empty".into(),
                // As long as in the primary tree, where its bytes are compared.
                Some(path) if image.sizes.get(&at) == Some(&size) => format!("{path:?}"),
                _ => format!("{size} {}", image.digest(at, size)?.to_hex()),
            };
            writeln!(digest, "{below:?} {goes_on} {file}")?;
        }
    }
    let text = format!("{count} files, sha256 {}", digest.finish().1.to_hex());
    fields.push((&FILES, Value::Text(text)));
    fields.extend(shown.map(|value| (&TIMES, value)));
    let text = format!("sha256 {}", times.finish().1.to_hex());
    fields.push((&TIMES, Value::Text(text)));
    Ok(())
}

fn name(identifier: &[u8], is_joliet: bool) -> String {
    let units = identifier.chunks(2).map(|unit| match unit {
        [high, low] => u16::from_be_bytes([*high, *low]),
        _ => 0,
    });
    let text: Option<String> = char::decode_utf16(units)
        .collect::<Result<String, _>>()
        .ok()
        .filter(|_| is_joliet && identifier.len() > 1 && identifier.len().is_multiple_of(2));
    text.unwrap_or_else(|| format!("\\{}", identifier.escape_ascii()))
}
