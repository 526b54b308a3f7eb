//! RPM packages: a lead, two headers of tags, then a compressed cpio archive (RPM file format, v3 and v4).

mod digests;
mod header;
mod tags;
#[cfg(test)]
mod tests;

use std::io::{self, Read, Seek, SeekFrom};

use header::Header;

use super::{FormatReader, Member, Visit, described, path_text};
use crate::compare::both::Both;
use crate::compare::cause::Cause;
use crate::compare::finding::{Finding, Node};
use crate::compare::limits::{Hit, Limit, Meter};
use crate::compare::pair::on_two_threads;
use crate::compare::source::Source;
use crate::compare::stale;
use crate::compare::stored::{FieldKind, Fields, Value};

pub(super) struct Rpm;

/// Today only `file` reads it.
static LEAD: FieldKind = FieldKind::new("lead", Cause::Content);
static PADDING: FieldKind = FieldKind::new("bytes between the headers", Cause::Content);

const PAYLOAD: &str = "payload";
const LEAD_SIZE: u64 = 96;
/// Maximum number of bytes of one header.
const LARGEST_HEADER: u64 = 256 << 20;

impl FormatReader for Rpm {
    fn name(&self) -> &'static str {
        "rpm"
    }

    fn example(&self) -> (&'static str, &'static [u8]) {
        ("x.rpm", b"\xed\xab\xee\xdb")
    }

    fn begins(&self, head: &[u8]) -> bool {
        head.starts_with(&[0xed, 0xab, 0xee, 0xdb])
    }

    fn streams(&self) -> bool {
        false
    }

    fn walk(&self, source: &Source, meter: &Meter, visit: Visit) -> io::Result<Fields> {
        let parts = Parts::read(source, meter)?;
        let mut fields = vec![(&LEAD, Value::Text(lead(&parts.lead)))];
        if parts.padding.iter().any(|byte| *byte != 0) {
            fields.push((&PADDING, Value::Text(described(&parts.padding))));
        }
        let texts = [
            ("signature", parts.signature.text(tags::of_signature)),
            ("header", parts.header.text(tags::of_header)),
        ];
        for (name, text) in texts {
            meter.member(name.len())?;
            let more = visit(Member {
                path: name.to_owned(),
                fields: Fields::new(),
                size: text.len() as u64,
                content: &mut text.as_bytes(),
                source: None,
            })?;
            if !more {
                return Ok(Fields::new());
            }
        }
        meter.member(7)?;
        let mut content = source.seekable()?;
        content.seek(SeekFrom::Start(parts.payload))?;
        visit(Member {
            path: PAYLOAD.to_owned(),
            fields: Fields::new(),
            size: parts.size.saturating_sub(parts.payload),
            content: &mut content,
            source: source.part(parts.payload, parts.size.saturating_sub(parts.payload)),
        })?;
        Ok(fields)
    }

    /// Digests and sizes that differ follow from the payload only if they are correct on each side.
    fn prove(&self, sides: Both<&Source>, meter: &Meter, node: &mut Node) {
        let faults = on_two_threads(sides, |side| digests::faults(side, meter));
        let Both {
            released: Ok(released),
            rebuilt: Ok(rebuilt),
        } = faults
        else {
            // An unreadable package is reported where it is compared.
            return;
        };
        let one_sided = released.symmetric_difference(&rebuilt);
        for fault in one_sided.take(MOST_FAULTS) {
            let told = |has: bool| if has { fault.as_str() } else { "" };
            node.findings.push(Finding::new(
                "digests and sizes in the headers",
                told(released.contains(fault)),
                told(rebuilt.contains(fault)),
            ));
        }
        let payload = node
            .children
            .iter()
            .any(|child| child.name == PAYLOAD && child.other_bytes);
        // The headers were read before.
        let stale = stale_signatures(sides, meter, payload).unwrap_or_default();
        node.findings.extend(stale);
    }
}

/// Signatures that are the same on both sides although they sign something else on each.
fn stale_signatures(sides: Both<&Source>, meter: &Meter, payload: bool) -> io::Result<Vec<Finding>> {
    /// Signatures of the header alone, and of header and payload.
    const TAGS: [(u32, bool); 4] = [(267, false), (268, false), (1002, true), (1005, true)];
    const OPEN_PGP: u32 = 278;
    let parts = sides.try_map(|side| Parts::read(side, &meter.apart()))?;
    let header = parts.released.header.bytes != parts.rebuilt.header.bytes;
    let signatures = parts.as_ref().map(|parts| &parts.signature);
    let mut same: Vec<u32> = Vec::new();
    for (tag, whole) in TAGS {
        let values = signatures.map(|own| own.binary(tag));
        same.extend(
            (values.released.is_some() && values.same() && (header || whole && payload)).then_some(tag),
        );
    }
    let values = signatures.map(|own| own.strings(OPEN_PGP));
    same.extend((!values.released.is_empty() && values.same() && header).then_some(OPEN_PGP));
    Ok(same
        .iter()
        .map(|tag| stale::signature(&format!("signature, tag {tag}")))
        .collect())
}

/// Maximum number of wrong digests that are reported individually.
const MOST_FAULTS: usize = 100;

fn invalid(reason: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason.to_owned())
}

/// The parts before the payload, and its place.
struct Parts {
    lead: Vec<u8>,
    signature: Header,
    padding: Vec<u8>,
    header: Header,
    payload: u64,
    size: u64,
}

impl Parts {
    fn read(source: &Source, meter: &Meter) -> io::Result<Self> {
        let mut reader = io::BufReader::new(source.seekable()?);
        let size = reader.seek(SeekFrom::End(0))?;
        reader.rewind()?;
        let lead = exactly(&mut reader, LEAD_SIZE, meter)?;
        let signature = Header::read(&mut reader, size, meter)?;
        let behind = signature.bytes.len() as u64;
        let filled = behind.next_multiple_of(8).saturating_sub(behind);
        let padding = exactly(&mut reader, filled, meter)?;
        let header = Header::read(&mut reader, size, meter)?;
        let payload = reader.stream_position()?;
        Ok(Self {
            lead,
            signature,
            padding,
            header,
            payload,
            size,
        })
    }
}

fn exactly(reader: &mut impl Read, size: u64, meter: &Meter) -> io::Result<Vec<u8>> {
    if size > LARGEST_HEADER {
        return Err(Hit::error(Limit::UnpackedBytes, "a header of more than 256 MiB"));
    }
    let mut bytes = Vec::new();
    reader.by_ref().take(size).read_to_end(&mut bytes)?;
    meter.unpacked(bytes.len() as u64)?;
    if (bytes.len() as u64) < size {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(bytes)
}

/// Version, type, architecture, name, system, and signature type.
fn lead(bytes: &[u8]) -> String {
    let numbers = |from: usize, to: usize| hex::encode(bytes.get(from..to).unwrap_or_default());
    let name = bytes.get(10..76).unwrap_or_default();
    let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
    let (name, behind) = name.split_at_checked(end).unwrap_or_default();
    let mut text = format!("{} {} {}", numbers(4, 10), path_text(name), numbers(76, 80));
    let reserved = bytes.get(80..).unwrap_or_default();
    if behind.iter().chain(reserved).any(|byte| *byte != 0) {
        text.push_str(&format!(", {} {}", hex::encode(behind), hex::encode(reserved)));
    }
    text
}
