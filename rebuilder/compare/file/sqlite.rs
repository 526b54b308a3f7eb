//! SQLite databases: counters and the version of the library in the header (sqlite.org/fileformat); the rest is bytes.

use super::bytes;
use super::comparator::{FileComparator, Leaf, Pair};
use crate::compare::cause::{Cause, Confidence};
use crate::compare::finding::Finding;

pub(super) struct Sqlite;

const MAGIC: &[u8] = b"SQLite format 3\0";
/// Bytes 24 to 28: how often the file was changed.
const CHANGE_COUNTER: usize = 24;
/// Bytes 92 to 96: the change counter when the version was written; then the version of the library.
const VERSION_VALID_FOR: usize = 92;
const VERSION: usize = 96;

impl FileComparator for Sqlite {
    fn example(&self) -> (&'static str, &'static [u8]) {
        ("x.db", MAGIC)
    }

    fn recognises(&self, pair: &Pair) -> bool {
        pair.begin_with(MAGIC)
    }

    fn compare(&self, pair: &Pair) -> Option<Leaf> {
        let mut leaf = Leaf::of("SQLite");
        let versions = (number(pair.released, VERSION)?, number(pair.rebuilt, VERSION)?);
        if versions.0 != versions.1 {
            let (released, rebuilt) = (version(versions.0), version(versions.1));
            let key = format!("SQLite {released} → {rebuilt}");
            leaf.add(
                Finding::new("version of the library", released, rebuilt)
                    .because(Cause::ToolVersion, Confidence::Proven)
                    .keyed(key),
            );
        }
        let counters = (
            number(pair.released, CHANGE_COUNTER)?,
            number(pair.rebuilt, CHANGE_COUNTER)?,
        );
        if counters.0 != counters.1 {
            leaf.add(
                Finding::new("change counter", counters.0.to_string(), counters.1.to_string())
                    .because(Cause::Order, Confidence::Possible)
                    .keyed("number of SQLite transactions"),
            );
        }
        let (released, rebuilt) = (blanked(pair.released)?, blanked(pair.rebuilt)?);
        if released != rebuilt {
            leaf.append(bytes::compare(&released, &rebuilt));
        }
        Some(leaf)
    }
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    let field = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_be_bytes(*field))
}

fn version(number: u32) -> String {
    let (major, minor, patch) = (number / 1_000_000, number / 1000 % 1000, number % 1000);
    format!("{major}.{minor}.{patch}")
}

/// The file without the numbers that were compared.
fn blanked(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut blanked = bytes.to_vec();
    for at in [CHANGE_COUNTER, VERSION_VALID_FOR, VERSION] {
        *blanked.get_mut(at..)?.first_chunk_mut()? = [0; 4];
    }
    Some(blanked)
}
