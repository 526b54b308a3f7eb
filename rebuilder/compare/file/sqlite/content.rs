//! Whether two databases have the same content in another physical order.

use super::tree::{Cursor, Next, Pages, Rest, varint};
use super::{Database, FIRST_FREE_PAGE, FREE_PAGES};
use crate::compare::file::bytes::window;

/// What two databases with the same content have besides it.
pub(super) struct Same {
    pub rest: (Rest, Rest),
}

/// Compares the schema row by row, and what each row of it stands for entry by entry. `None` if anything differs, if a
/// page belongs to nothing or to two things, or if a file is damaged.
pub(super) fn same(old: &Database, new: &Database) -> Option<Same> {
    let mut sides = (Pages::new(old)?, Pages::new(new)?);
    for (released, rebuilt) in schema(&mut sides)? {
        entries(&mut sides, (released, rebuilt))?;
    }
    for (database, pages) in [(old, &mut sides.0), (new, &mut sides.1)] {
        let field = |at: usize| usize::try_from(database.number(at)?).ok();
        let count = pages.free(field(FIRST_FREE_PAGE)?)?;
        (field(FREE_PAGES)? == count && pages.all_seen()).then_some(())?;
    }
    Some(Same {
        rest: (sides.0.rest, sides.1.rest),
    })
}

/// The first page of each table and index on both sides, if all else in the schema is the same. Row numbers of the schema
/// itself are not compared: VACUUM counts them anew.
fn schema((old, new): &mut (Pages, Pages)) -> Option<Vec<(usize, usize)>> {
    let (mut own, mut other) = (Cursor::new(old, 1)?, Cursor::new(new, 1)?);
    (own.is_table() && other.is_table()).then_some(())?;
    let mut roots = Vec::new();
    loop {
        match (own.next(old)?, other.next(new)?) {
            (Next::End, Next::End) => return Some(roots),
            (Next::Entry(own), Next::Entry(other)) => {
                let (released, rebuilt) = (Object::read(&own.payload)?, Object::read(&other.payload)?);
                (released.columns == rebuilt.columns).then_some(())?;
                match (released.root, rebuilt.root) {
                    // A view, a trigger or a virtual table.
                    (0, 0) => {}
                    (0, _) | (_, 0) => return None,
                    pair => roots.push(pair),
                }
            }
            _ => return None,
        }
    }
}

/// Compares two trees.
fn entries((old, new): &mut (Pages, Pages), roots: (usize, usize)) -> Option<()> {
    let (mut own, mut other) = (Cursor::new(old, roots.0)?, Cursor::new(new, roots.1)?);
    (own.is_table() == other.is_table()).then_some(())?;
    loop {
        let (own, other) = (own.next(old)?, other.next(new)?);
        if own != other {
            return None;
        }
        if own == Next::End {
            return Some(());
        }
    }
}

/// A row of the schema.
struct Object<'a> {
    /// Kind, name, table, nothing in place of the first page, and the statement: each with its type.
    columns: [(u64, &'a [u8]); 5],
    root: usize,
}

impl<'a> Object<'a> {
    fn read(record: &'a [u8]) -> Option<Self> {
        const ROOT: usize = 3;
        let (length, mut at) = varint(record)?;
        let (mut types, mut values) = record.split_at_checked(usize::try_from(length).ok()?)?;
        types = types.get(at..)?;
        let mut columns = [(0, &[][..]); 5];
        for column in &mut columns {
            let kind;
            (kind, at) = varint(types)?;
            types = types.get(at..)?;
            let length = usize::try_from(width(kind)?).ok()?;
            let value;
            (value, values) = values.split_at_checked(length)?;
            *column = (kind, value);
        }
        let (kind, value) = std::mem::take(columns.get_mut(ROOT)?);
        let root = match kind {
            0 | 8 => 0,
            9 => 1,
            1..=6 => {
                let fold = |sum: usize, byte: &u8| sum << 8 | usize::from(*byte);
                (value.len() <= 4).then(|| value.iter().fold(0, fold))?
            }
            _ => return None,
        };
        (types.is_empty() && values.is_empty()).then_some(Self { columns, root })
    }
}

/// Number of bytes of a value of a type (section 2.1).
fn width(kind: u64) -> Option<u64> {
    Some(match kind {
        0 | 8 | 9 => 0,
        1..=4 => kind,
        5 => 6,
        6 | 7 => 8,
        10 | 11 => return None,
        kind => kind.checked_sub(12)?.checked_div(2)?,
    })
}

/// The bytes that no row has, for reports.
pub(super) fn told(database: &Database, rest: &Rest) -> String {
    let Some(first) = rest.first else {
        return "none".to_owned();
    };
    let shown = hex::encode(window(database.bytes, first, 16));
    format!("{}, from {first:#x}: {shown}", rest.count)
}
