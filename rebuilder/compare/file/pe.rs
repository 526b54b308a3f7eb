//! Windows executables: the time of linking and the checksum that follows (PE/COFF); the rest is bytes.

use super::bytes;
use super::comparator::{FileComparator, Leaf, Pair};
use crate::compare::cause::{Cause, Confidence};
use crate::compare::finding::Finding;

pub(super) struct Pe;

/// Where the DOS header says where the PE header begins.
const PE_OFFSET: usize = 0x3c;
/// Within the PE header.
const TIME: usize = 8;
const CHECKSUM: usize = 88;

impl FileComparator for Pe {
    fn example(&self) -> (&'static str, &'static [u8]) {
        ("x.exe", b"MZ")
    }

    fn recognises(&self, pair: &Pair) -> bool {
        pair.begin_with(b"MZ")
    }

    fn compare(&self, pair: &Pair) -> Option<Leaf> {
        let at = header(pair.released)?;
        if header(pair.rebuilt)? != at {
            return None;
        }
        let mut leaf = Leaf::of("PE");
        let (mut released, mut rebuilt) = (pair.released.to_vec(), pair.rebuilt.to_vec());
        let time_at = at.checked_add(TIME)?;
        let times = (word(&released, time_at)?, word(&rebuilt, time_at)?);
        if times.0 != times.1 {
            let text = |word| {
                let seconds = u32::from_le_bytes(word);
                jiff::Timestamp::from_second(i64::from(seconds))
                    .map_or_else(|_| seconds.to_string(), |time| time.to_string())
            };
            leaf.add(
                Finding::new("time of linking", text(times.0), text(times.1))
                    .because(Cause::Timestamp, Confidence::Likely)
                    .keyed("time in PE headers"),
            );
            // The linker writes the same time into its debug and export folders.
            for range in bytes::ranges(pair.released, pair.rebuilt) {
                let start = range.start & !3;
                if word(&released, start) == Some(times.0) && word(&rebuilt, start) == Some(times.1) {
                    blank(&mut released, start)?;
                    blank(&mut rebuilt, start)?;
                }
            }
        }
        let sum_at = at.checked_add(CHECKSUM)?;
        let sums = (word(&released, sum_at)?, word(&rebuilt, sum_at)?);
        if sums.0 != sums.1 {
            let text = |word| format!("{:#x}", u32::from_le_bytes(word));
            leaf.add(
                Finding::new("checksum", text(sums.0), text(sums.1))
                    .because(Cause::Checksum, Confidence::Proven)
                    .keyed("checksum in PE headers")
                    .following(),
            );
        }
        for place in [time_at, sum_at] {
            blank(&mut released, place)?;
            blank(&mut rebuilt, place)?;
        }
        if released != rebuilt {
            leaf.append(bytes::compare(&released, &rebuilt));
        }
        Some(leaf)
    }
}

/// Where the PE header begins.
fn header(bytes: &[u8]) -> Option<usize> {
    let at = usize::try_from(u32::from_le_bytes(word(bytes, PE_OFFSET)?)).ok()?;
    bytes.get(at..)?.starts_with(b"PE\0\0").then_some(at)
}

fn word(bytes: &[u8], at: usize) -> Option<[u8; 4]> {
    bytes.get(at..)?.first_chunk().copied()
}

fn blank(bytes: &mut [u8], at: usize) -> Option<()> {
    *bytes.get_mut(at..)?.first_chunk_mut()? = [0; 4];
    Some(())
}
