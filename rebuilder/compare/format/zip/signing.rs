//! The APK signing block, between the last entry and the directory (Android's APK Signature Scheme v2 and later).

use std::collections::BTreeSet;
use std::io;

use super::bytes::{Bytes, Numbers};
use super::signers::{self, Covered};
use crate::compare::cause::Cause;
use crate::compare::finding::Node;
use crate::compare::limits::Meter;
use crate::compare::normalise::Normalisation;
use crate::compare::stored::{FieldKind, Fields, Value};

static SIGNATURE: FieldKind = FieldKind::by(
    "APK signing block",
    Cause::Signature,
    Normalisation::ApkSigningBlock,
);
/// Compared to tell a signature that is the same for two different files; it differs with every other byte.
static COVERED: FieldKind = FieldKind::new("what the APK signing block signs", Cause::Content);
static OTHER: FieldKind = FieldKind::new("other data of the APK signing block", Cause::Content);

const MAGIC: &[u8] = b"APK Sig Block 42";
/// The alignment of a block with padding before it.
const PAGE: u64 = 4096;
/// Signatures of scheme 2, of the schemes 3 and 3.1, and source stamps.
const SECOND: u32 = 0x7109_871a;
const THIRD: [u32; 2] = [0xf053_68c0, 0x1b93_ad61];
const STAMPS: [u32; 2] = [0x2b09_189e, 0x6dff_800d];
const PADDING: u32 = 0x4272_6577;
const MOST_PAIRS: usize = 1000;

/// Fields of the signing block that ends at `to`; `None` if the range is anything else.
pub(super) fn block(
    bytes: &mut Bytes,
    (from, to): (u64, u64),
    end_record: u64,
    meter: &Meter,
) -> io::Result<Option<Fields>> {
    let Some(footer) = to.checked_sub(24).filter(|footer| *footer >= from) else {
        return Ok(None);
    };
    let last = bytes.read_at(footer, 24)?;
    let size = Numbers(&last).u64(0);
    let start = size.checked_add(8).and_then(|whole| to.checked_sub(whole));
    let Some(start) = start.filter(|start| *start >= from && last.ends_with(MAGIC)) else {
        return Ok(None);
    };
    let padding = start.saturating_sub(from);
    let padded =
        padding == 0 || padding < PAGE && start.is_multiple_of(PAGE) && bytes.is_zero(from, start)?;
    if !padded || Numbers(&bytes.read_at(start, 8)?).u64(0) != size {
        return Ok(None);
    }
    let mut fields = Fields::new();
    let mut at = start.saturating_add(8);
    let mut is_signed = false;
    let mut seen = BTreeSet::new();
    let covered = Covered {
        block: start,
        directory: to,
        end_record,
    };
    for _ in 0..MOST_PAIRS {
        if at == footer {
            if is_signed {
                // The end record has the place of the directory, which depends on the length of the block.
                let entries = bytes.described(0, from, meter)?;
                let directory = bytes.described(to, end_record, meter)?;
                fields.push((&COVERED, Value::Text(format!("{entries}; {directory}"))));
            }
            return Ok(Some(fields));
        }
        let head = bytes.read_at(at, 16)?;
        let (length, id) = (Numbers(&head).u64(0), Numbers(&head).u32(8));
        let value = at.saturating_add(12);
        let Some(end) = at.saturating_add(8).checked_add(length) else {
            return Ok(None);
        };
        if end > footer || end < value {
            return Ok(None);
        }
        let rest = end.saturating_sub(value);
        let is_list = rest >= 4 && u64::from(Numbers(&head).u32(12)) == rest.saturating_sub(4);
        is_signed |= id == SECOND || THIRD.contains(&id) || STAMPS.contains(&id);
        // Android uses the first pair of a number.
        let is_first = seen.insert(id);
        let known = is_first
            && match id {
                PADDING => bytes.is_zero(value, end)?,
                SECOND => signers::are_right(bytes, (value, end), false, covered, meter)?,
                id if THIRD.contains(&id) => signers::are_right(bytes, (value, end), true, covered, meter)?,
                id => STAMPS.contains(&id) && is_list,
            };
        let kind = if known { &SIGNATURE } else { &OTHER };
        let text = format!("{id:#010x}: {}", bytes.described(value, end, meter)?);
        fields.push((kind, Value::Text(text)));
        at = end;
    }
    Ok(None)
}

/// A signature that differs is told as such. One that is the same is wrong on one side, if what it signs differs.
pub(super) fn settle(node: &mut Node) {
    if node.findings.iter().any(|finding| finding.place.is(&SIGNATURE)) {
        node.findings.retain(|finding| !finding.place.is(&COVERED));
    }
    for finding in node
        .findings
        .iter_mut()
        .filter(|finding| finding.place.is(&COVERED))
    {
        "a signature that is the same for two different files".clone_into(&mut finding.key);
    }
}
