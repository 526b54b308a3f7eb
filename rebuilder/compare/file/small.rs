//! Formats of which only a few header fields tell a cause; the rest is compared as bytes.

use super::{Leaf, bytes};
use crate::compare::cause::{Cause, Confidence};
use crate::compare::finding::Finding;

/// SQLite databases: counters and the version of the library in the header (sqlite.org/fileformat).
pub(super) fn sqlite(released: &[u8], rebuilt: &[u8]) -> Option<Leaf> {
    let number = |bytes: &[u8], at: usize| -> Option<u32> {
        Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
    };
    let mut leaf = Leaf::of("SQLite");
    let (mut old, mut new) = (released.to_vec(), rebuilt.to_vec());
    let versions = (number(released, 96)?, number(rebuilt, 96)?);
    if versions.0 != versions.1 {
        let text = |version: u32| {
            format!(
                "{}.{}.{}",
                version / 1_000_000,
                version / 1000 % 1000,
                version % 1000
            )
        };
        let (a, b) = (text(versions.0), text(versions.1));
        let key = format!("SQLite {a} → {b}");
        leaf.add(
            Finding::new("version of the library", a, b)
                .because(Cause::ToolVersion, Confidence::Proven)
                .keyed(key),
        );
    }
    let counters = (number(released, 24)?, number(rebuilt, 24)?);
    if counters.0 != counters.1 {
        leaf.add(
            Finding::new("change counter", counters.0.to_string(), counters.1.to_string())
                .because(Cause::Order, Confidence::Possible)
                .keyed("number of SQLite transactions"),
        );
    }
    for range in [24..28, 92..100] {
        old[range.clone()].fill(0);
        new[range].fill(0);
    }
    rest(&mut leaf, &old, &new);
    Some(leaf)
}

/// Windows executables: time of linking and the checksum that follows (PE/COFF).
pub(super) fn pe(released: &[u8], rebuilt: &[u8]) -> Option<Leaf> {
    let number = |bytes: &[u8], at: usize| -> Option<u32> {
        Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
    };
    let at = usize::try_from(number(released, 0x3c)?).ok()?;
    if at != usize::try_from(number(rebuilt, 0x3c)?).ok()?
        || released.get(at..at + 4)? != b"PE\0\0"
        || rebuilt.get(at..at + 4)? != b"PE\0\0"
    {
        return None;
    }
    let mut leaf = Leaf::of("PE");
    let (mut old, mut new) = (released.to_vec(), rebuilt.to_vec());
    let times = (number(released, at + 8)?, number(rebuilt, at + 8)?);
    if times.0 != times.1 {
        let text = |seconds: u32| {
            jiff::Timestamp::from_second(i64::from(seconds))
                .map_or_else(|_| seconds.to_string(), |time| time.to_string())
        };
        leaf.add(
            Finding::new("time of linking", text(times.0), text(times.1))
                .because(Cause::Timestamp, Confidence::Likely)
                .keyed("time in PE headers"),
        );
        // The linker writes the same time into its debug and export folders.
        let (a, b) = (times.0.to_le_bytes(), times.1.to_le_bytes());
        for range in bytes::ranges(released, rebuilt) {
            let start = range.start / 4 * 4;
            if released.get(start..start + 4) == Some(&a) && rebuilt.get(start..start + 4) == Some(&b) {
                old[start..start + 4].fill(0);
                new[start..start + 4].fill(0);
            }
        }
    }
    let sums = (number(released, at + 88)?, number(rebuilt, at + 88)?);
    if sums.0 != sums.1 {
        leaf.add(
            Finding::new("checksum", format!("{:#x}", sums.0), format!("{:#x}", sums.1))
                .because(Cause::Checksum, Confidence::Proven)
                .keyed("checksum in PE headers")
                .following(),
        );
    }
    for range in [at + 8..at + 12, at + 88..at + 92] {
        old.get_mut(range.clone())?.fill(0);
        new.get_mut(range)?.fill(0);
    }
    rest(&mut leaf, &old, &new);
    Some(leaf)
}

fn rest(leaf: &mut Leaf, old: &[u8], new: &[u8]) {
    if old != new {
        let rest = bytes::compare(old, new);
        leaf.findings.extend(rest.findings);
        leaf.excerpts.extend(rest.excerpts);
    }
}
