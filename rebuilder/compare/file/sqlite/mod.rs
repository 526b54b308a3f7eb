//! SQLite databases (sqlite.org/fileformat): compares the fields of the header by name, and the rest page by page.
//!
//! The change counter and the version of the library do not affect the content of the tables. All other fields do, or
//! programs can read them, so they are content; so is the data that deleted rows leave in free pages. If the schema, the
//! rows and the entries of the indexes are all the same, only the physical order differs.

mod content;
#[cfg(test)]
mod tests;
mod tree;

use std::collections::HashSet;

use super::bytes::{excerpt, ranges, window};
use super::comparator::{FileComparator, Leaf, Pair};
use crate::compare::cause::{Cause, Confidence};
use crate::compare::finding::Finding;

pub(super) struct Sqlite;

const MAGIC: &[u8] = b"SQLite format 3\0";
const HEADER: usize = 100;
/// Offset of the counter of changes to the file.
const CHANGE_COUNTER: usize = 24;
const FIRST_FREE_PAGE: usize = 32;
const FREE_PAGES: usize = 36;
const PAGES: usize = 28;
/// Offset of the counter of changes to the schema.
const SCHEMA_COOKIE: usize = 40;
/// Offset of the change counter's value when the version was written; the number of pages in the header is valid only
/// if both are equal.
const VERSION_VALID_FOR: usize = 92;
/// Offset of the version of the library that last wrote the file.
const VERSION: usize = 96;

/// The other fields: offset, length and name.
const FIELDS: &[(usize, usize, &str)] = &[
    (16, 2, "size of pages"),
    (18, 1, "version for writers"),
    (19, 1, "version for readers"),
    (20, 1, "reserved bytes of each page"),
    (21, 3, "fractions of payload"),
    (PAGES, 4, "number of pages"),
    (FIRST_FREE_PAGE, 4, "first free page"),
    (FREE_PAGES, 4, "number of free pages"),
    (SCHEMA_COOKIE, 4, "schema cookie"),
    (44, 4, "schema format"),
    (48, 4, "size of the cache"),
    (52, 4, "largest root page"),
    (56, 4, "encoding of text"),
    (60, 4, "user version"),
    (64, 4, "incremental vacuum"),
    (68, 4, "application ID"),
    (72, 20, "reserved bytes of the header"),
];

impl FileComparator for Sqlite {
    fn example(&self) -> (&'static str, &'static [u8]) {
        ("x.db", MAGIC)
    }

    fn recognises(&self, pair: &Pair) -> bool {
        pair.begin_with(MAGIC)
    }

    fn compare(&self, pair: &Pair) -> Option<Leaf> {
        let (old, new) = (Database::read(pair.released)?, Database::read(pair.rebuilt)?);
        let mut leaf = Leaf::of("SQLite");
        versions(&mut leaf, &old, &new);
        counters(&mut leaf, &old, &new);
        let reordered = reordered(&mut leaf, &old, &new);
        for (at, length, name) in FIELDS {
            let (released, rebuilt) = (window(old.bytes, *at, *length), window(new.bytes, *at, *length));
            if released == rebuilt || reordered && [PAGES, FIRST_FREE_PAGE, FREE_PAGES].contains(at) {
                continue;
            }
            let finding = Finding::new(*name, told(released), told(rebuilt));
            leaf.add(if reordered && *at == SCHEMA_COOKIE {
                finding
                    .because(Cause::Order, Confidence::Proven)
                    .keyed("number of changes to the schema of SQLite databases")
            } else {
                finding.keyed("fields of SQLite headers")
            });
        }
        if !reordered {
            pages(&mut leaf, &old, &new);
        }
        Some(leaf)
    }
}

/// A big-endian number, or bytes that are too many for one.
fn told(bytes: &[u8]) -> String {
    if bytes.len() > 4 {
        return hex::encode(bytes);
    }
    let fold = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
    bytes.iter().fold(0, fold).to_string()
}

struct Database<'a> {
    bytes: &'a [u8],
    page: usize,
    free: HashSet<usize>,
}

impl<'a> Database<'a> {
    fn read(bytes: &'a [u8]) -> Option<Self> {
        bytes.get(..HEADER)?;
        let size = u16::from_be_bytes(*bytes.get(16..)?.first_chunk()?);
        // 65536 does not fit into the field.
        let page = if size == 1 { 1 << 16 } else { usize::from(size) };
        if !page.is_power_of_two() || page < 512 {
            return None;
        }
        let mut database = Self {
            bytes,
            page,
            free: HashSet::new(),
        };
        database.free = database.free_pages().unwrap_or_default();
        Some(database)
    }

    fn number(&self, at: usize) -> Option<u32> {
        let field = self.bytes.get(at..)?.first_chunk()?;
        Some(u32::from_be_bytes(*field))
    }

    /// Pages are numbered from 1.
    fn page(&self, number: usize) -> Option<&'a [u8]> {
        let start = number.checked_sub(1)?.checked_mul(self.page)?;
        let page = window(self.bytes, start, self.page);
        (!page.is_empty()).then_some(page)
    }

    fn count(&self) -> usize {
        self.bytes.len().div_ceil(self.page)
    }

    /// Whether readers trust the number of pages in the header.
    fn is_counted(&self) -> bool {
        self.number(CHANGE_COUNTER) == self.number(VERSION_VALID_FOR)
    }

    /// Walks the list of free pages: trunk pages, each with the number of the next one and a list of leaves.
    fn free_pages(&self) -> Option<HashSet<usize>> {
        let mut free = HashSet::new();
        let mut trunk = usize::try_from(self.number(FIRST_FREE_PAGE)?).ok()?;
        while trunk != 0 && free.insert(trunk) {
            let (words, _) = self.page(trunk)?.as_chunks::<4>();
            let mut words = words.iter().map(|word| u32::from_be_bytes(*word));
            trunk = usize::try_from(words.next()?).ok()?;
            let count = usize::try_from(words.next()?).ok()?;
            free.extend(words.take(count).filter_map(|leaf| usize::try_from(leaf).ok()));
        }
        Some(free)
    }

    /// The kind of a page, by its first byte (section 1.6).
    fn kind(&self, number: usize) -> &'static str {
        if self.free.contains(&number) {
            return "free pages";
        }
        let start = if number == 1 { HEADER } else { 0 };
        match self.page(number).and_then(|page| page.get(start)) {
            Some(2 | 10) => "pages of indexes",
            Some(5 | 13) => "pages of tables",
            Some(_) => "other pages",
            None => "missing pages",
        }
    }
}

fn versions(leaf: &mut Leaf, old: &Database, new: &Database) {
    let version = |database: &Database| {
        let number = database.number(VERSION).unwrap_or(0);
        let (major, minor, patch) = (number / 1_000_000, number / 1000 % 1000, number % 1000);
        format!("{major}.{minor}.{patch}")
    };
    if old.number(VERSION) == new.number(VERSION) {
        return;
    }
    let (released, rebuilt) = (version(old), version(new));
    let key = format!("SQLite {released} → {rebuilt}");
    leaf.add(
        Finding::new("version of the library", released, rebuilt)
            .because(Cause::ToolVersion, Confidence::Proven)
            .keyed(key),
    );
}

fn counters(leaf: &mut Leaf, old: &Database, new: &Database) {
    let counters = |database: &Database| {
        (
            database.number(CHANGE_COUNTER),
            database.number(VERSION_VALID_FOR),
        )
    };
    let (released, rebuilt) = (counters(old), counters(new));
    if released == rebuilt {
        return;
    }
    let told = |(counter, valid_for): (Option<u32>, Option<u32>)| {
        let (counter, valid_for) = (counter.unwrap_or(0), valid_for.unwrap_or(0));
        if counter == valid_for {
            counter.to_string()
        } else {
            format!("{counter}, the version is that of change {valid_for}")
        }
    };
    let finding = Finding::new("change counter", told(released), told(rebuilt));
    leaf.add(if old.is_counted() && new.is_counted() {
        finding
            .because(Cause::Order, Confidence::Proven)
            .keyed("number of SQLite transactions")
    } else {
        // Only on one side do readers trust the number of pages in the header.
        finding.keyed("fields of SQLite headers")
    });
}

/// Whether only the physical order of pages and of entries in them differs. Bytes that no entry has may be anything, so
/// they are content unless they are zeros.
fn reordered(leaf: &mut Leaf, old: &Database, new: &Database) -> bool {
    let same_pages = old.bytes.get(HEADER..) == new.bytes.get(HEADER..);
    if same_pages || old.page != new.page || !old.is_counted() || !new.is_counted() {
        return false;
    }
    let Some(same) = content::same(old, new) else {
        return false;
    };
    let count = |database: &Database| {
        let free = database.number(FREE_PAGES).unwrap_or(0);
        format!("{} pages, {free} of them free", database.count())
    };
    let hidden = same.rest.0.count > 0 || same.rest.1.count > 0;
    let confidence = if hidden {
        leaf.add(
            Finding::new(
                "bytes that belong to no row",
                content::told(old, &same.rest.0),
                content::told(new, &same.rest.1),
            )
            .keyed("bytes of SQLite databases that belong to no row"),
        );
        Confidence::Possible
    } else {
        Confidence::Proven
    };
    leaf.add(
        Finding::new("physical order", count(old), count(new))
            .because(Cause::Order, confidence)
            .keyed("physical order of SQLite databases; schema, rows and indexes are the same"),
    );
    true
}

/// Compares pages with the same number, without the header; one finding for each kind of page.
fn pages(leaf: &mut Leaf, old: &Database, new: &Database) {
    const KEY: &str = "pages of SQLite databases";
    if old.page != new.page {
        let size = |database: &Database| format!("{} bytes", database.bytes.len());
        leaf.add(Finding::new("pages of another size", size(old), size(new)).keyed(KEY));
        return;
    }
    let count = |database: &Database| format!("{} pages, {} bytes", database.count(), database.bytes.len());
    if old.bytes.len() != new.bytes.len() {
        leaf.add(Finding::new("length", count(old), count(new)).keyed(KEY));
    }
    let mut shown = false;
    for number in 1..=old.count().min(new.count()) {
        let (Some(released), Some(rebuilt)) = (old.page(number), new.page(number)) else {
            continue;
        };
        let skip = if number == 1 { HEADER } else { 0 };
        let (one, other) = (window(released, skip, old.page), window(rebuilt, skip, old.page));
        if one == other {
            continue;
        }
        let same = one.iter().zip(other).take_while(|(old, new)| old == new).count();
        let at = same.saturating_add(skip);
        let told = |page: &[u8], kind: &str| format!("{} in {kind}", hex::encode(window(page, at, 16)));
        leaf.add(
            Finding::new(
                format!("page {number} +{at:#x}"),
                told(released, old.kind(number)),
                told(rebuilt, new.kind(number)),
            )
            .keyed(format!("{} of SQLite databases", new.kind(number))),
        );
        if !shown && released.len() == rebuilt.len() {
            shown = true;
            let start = number.saturating_sub(1).saturating_mul(old.page) as u64;
            leaf.excerpts
                .push(excerpt(start, released, rebuilt, &ranges(released, rebuilt)));
        }
    }
}
