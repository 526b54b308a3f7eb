//! The trees of a database (sqlite.org/fileformat, section 1.6): their entries in order, and the bytes that no entry has.

use std::borrow::Cow;
use std::ops::Range;

use super::{Database, HEADER, PAGES};
use crate::compare::file::bytes::window;
use crate::compare::file::regions::span;

/// Pages that were read, and what they have besides entries.
pub(super) struct Pages<'a> {
    bytes: &'a [u8],
    page: usize,
    /// Length of a page without its reserved bytes.
    usable: usize,
    /// Whether a page has a place in a tree or in the list of free pages.
    seen: Vec<bool>,
    pub rest: Rest,
}

/// Bytes that are not zero and belong to no entry.
#[derive(Default)]
pub(super) struct Rest {
    pub count: u64,
    pub first: Option<usize>,
}

/// A row of a table, or an entry of an index.
#[derive(PartialEq, Eq)]
pub(super) struct Entry<'a> {
    pub rowid: Option<i64>,
    pub payload: Cow<'a, [u8]>,
}

/// What comes next in a tree.
#[derive(PartialEq, Eq)]
pub(super) enum Next<'a> {
    Entry(Entry<'a>),
    End,
}

/// A page of a tree.
struct Node {
    /// Offset in the file.
    start: usize,
    is_table: bool,
    is_leaf: bool,
    cells: Vec<usize>,
    /// The last child of a page that is not a leaf.
    right: usize,
}

/// A cell without its payload.
struct Cell {
    child: Option<usize>,
    rowid: Option<i64>,
    /// Length of the payload in all, and of the part in the page, which begins at an offset in the file.
    payload: usize,
    local: Range<usize>,
    /// The first page with the rest of the payload.
    overflow: Option<usize>,
    /// Offset behind the cell.
    end: usize,
}

impl<'a> Pages<'a> {
    /// `None` if the header does not fit the file, or for a file with a map of pages (`auto_vacuum`).
    pub fn new(database: &Database<'a>) -> Option<Self> {
        const LARGEST_ROOT: usize = 52;
        /// The smallest usable length that the format allows.
        const SMALLEST: usize = 480;
        let bytes = database.bytes;
        let usable = database.page.checked_sub(usize::from(*bytes.get(20)?))?;
        let count = database.count();
        let fits = count.checked_mul(database.page)? == bytes.len()
            && database.number(PAGES).map(u64::from) == Some(count as u64)
            && database.number(LARGEST_ROOT) == Some(0)
            && window(bytes, 21, 3) == [64, 32, 32]
            && usable >= SMALLEST;
        fits.then(|| Self {
            bytes,
            page: database.page,
            usable,
            seen: vec![false; count],
            rest: Rest::default(),
        })
    }

    /// Marks a page, which must not have another place; returns its offset.
    fn take(&mut self, number: usize) -> Option<usize> {
        let nth = number.checked_sub(1)?;
        let seen = self.seen.get_mut(nth)?;
        if std::mem::replace(seen, true) {
            return None;
        }
        let start = nth.checked_mul(self.page)?;
        let end = start.checked_add(self.page)?;
        self.unused(start.checked_add(self.usable)?..end)?;
        Some(start)
    }

    pub fn all_seen(&self) -> bool {
        self.seen.iter().all(|seen| *seen)
    }

    /// Counts bytes that no entry has.
    fn unused(&mut self, range: Range<usize>) -> Option<()> {
        let start = range.start;
        let bytes = self.bytes.get(range)?;
        let count = bytes.iter().filter(|byte| **byte != 0).count();
        if count > 0 && self.rest.first.is_none() {
            let at = bytes.iter().position(|byte| *byte != 0)?;
            self.rest.first = start.checked_add(at);
        }
        self.rest.count = self.rest.count.saturating_add(count as u64);
        Some(())
    }

    fn number<const N: usize>(&self, at: usize) -> Option<usize> {
        let field = self.bytes.get(span(at, N)?)?;
        let fold = |sum: usize, byte: &u8| sum << 8 | usize::from(*byte);
        Some(field.iter().fold(0, fold))
    }

    /// A number of one to nine bytes, and the offset behind it.
    fn varint(&self, at: usize) -> Option<(u64, usize)> {
        let field = self.bytes.get(at..)?;
        varint(field).and_then(|(value, length)| Some((value, at.checked_add(length)?)))
    }

    /// Marks the free pages: trunk pages, which list leaves. Returns their number.
    pub fn free(&mut self, first: usize) -> Option<usize> {
        let (mut trunk, mut total) = (first, 0_usize);
        while trunk != 0 {
            let start = self.take(trunk)?;
            let end = start.checked_add(self.usable)?;
            let (next, count) = (self.number::<4>(start)?, self.number::<4>(start.checked_add(4)?)?);
            let list = start.checked_add(8)?..start.checked_add(8)?.checked_add(count.checked_mul(4)?)?;
            (list.end <= end).then_some(())?;
            for at in list.clone().step_by(4) {
                let leaf = self.take(self.number::<4>(at)?)?;
                self.unused(leaf..leaf.checked_add(self.usable)?)?;
            }
            self.unused(list.end..end)?;
            total = total.checked_add(count)?.checked_add(1)?;
            trunk = next;
        }
        Some(total)
    }

    /// Reads a page of a tree, and accounts for all of its bytes.
    fn node(&mut self, number: usize) -> Option<Node> {
        let start = self.take(number)?;
        let end = start.checked_add(self.usable)?;
        let header = start.checked_add(if number == 1 { HEADER } else { 0 })?;
        let (is_table, is_leaf) = match self.bytes.get(header)? {
            2 => (false, false),
            5 => (true, false),
            10 => (false, true),
            13 => (true, true),
            _ => return None,
        };
        let field = |at: usize| header.checked_add(at);
        let count = self.number::<2>(field(3)?)?;
        // 65536 does not fit into the field.
        let content = match self.number::<2>(field(5)?)? {
            0 => 1 << 16,
            offset => offset,
        };
        let content = start.checked_add(content)?;
        let fragments = usize::from(*self.bytes.get(field(7)?)?);
        let right = if is_leaf { 0 } else { self.number::<4>(field(8)?)? };
        let pointers = field(if is_leaf { 8 } else { 12 })?;
        let array = pointers..pointers.checked_add(count.checked_mul(2)?)?;
        (array.end <= content && content <= end).then_some(())?;
        let mut node = Node {
            start,
            is_table,
            is_leaf,
            cells: Vec::with_capacity(count),
            right,
        };
        let mut used = Vec::with_capacity(count);
        for at in array.clone().step_by(2) {
            let cell = start.checked_add(self.number::<2>(at)?)?;
            node.cells.push(cell);
            // A cell has at least four bytes, so that it can become a free block.
            let behind = self.cell(&node, cell)?.end.max(cell.checked_add(4)?);
            used.push(cell..behind);
        }
        let mut block = self.number::<2>(field(1)?)?;
        while block != 0 {
            let at = start.checked_add(block)?;
            let (next, size) = (self.number::<2>(at)?, self.number::<2>(at.checked_add(2)?)?);
            let whole = at..at.checked_add(size)?;
            (size >= 4 && whole.end <= end && (next == 0 || next > block)).then_some(())?;
            self.unused(at.checked_add(4)?..whole.end)?;
            used.push(whole);
            block = next;
        }
        used.sort_unstable_by_key(|range| range.start);
        let (mut behind, mut gaps) = (content, 0_usize);
        for range in used {
            let gap = range.start.checked_sub(behind)?;
            self.unused(behind..range.start)?;
            gaps = gaps.checked_add(gap)?;
            behind = range.end;
        }
        gaps = gaps.checked_add(end.checked_sub(behind)?)?;
        self.unused(behind..end)?;
        self.unused(array.end..content)?;
        (gaps == fragments).then_some(node)
    }

    /// The parts of a cell at an offset in the file.
    fn cell(&self, node: &Node, at: usize) -> Option<Cell> {
        let end = node.start.checked_add(self.usable)?;
        let (child, at) = if node.is_leaf {
            (None, at)
        } else {
            (Some(self.number::<4>(at)?), at.checked_add(4)?)
        };
        if node.is_table && !node.is_leaf {
            let (key, behind) = self.varint(at)?;
            return (behind <= end).then_some(Cell {
                child,
                rowid: Some(key.cast_signed()),
                payload: 0,
                local: behind..behind,
                overflow: None,
                end: behind,
            });
        }
        let (length, at) = self.varint(at)?;
        let payload = usize::try_from(length).ok()?;
        // Each byte is in some page.
        (payload <= self.bytes.len()).then_some(())?;
        let (rowid, at) = if node.is_table {
            let (rowid, at) = self.varint(at)?;
            (Some(rowid.cast_signed()), at)
        } else {
            (None, at)
        };
        let local = at..at.checked_add(self.local(payload, node.is_table)?)?;
        let overflow = if local.len() < payload {
            Some(self.number::<4>(local.end)?)
        } else {
            None
        };
        let behind = local.end.checked_add(if overflow.is_some() { 4 } else { 0 })?;
        (behind <= end).then_some(Cell {
            child,
            rowid,
            payload,
            local,
            overflow,
            end: behind,
        })
    }

    /// How many bytes of a payload are in the page of its cell.
    fn local(&self, payload: usize, is_table: bool) -> Option<usize> {
        let share = |of: usize| {
            self.usable
                .checked_sub(12)?
                .checked_mul(of)?
                .checked_div(255)?
                .checked_sub(23)
        };
        let most = if is_table {
            self.usable.checked_sub(35)?
        } else {
            share(64)?
        };
        if payload <= most {
            return Some(payload);
        }
        let least = share(32)?;
        let beyond = payload
            .checked_sub(least)?
            .checked_rem(self.usable.checked_sub(4)?)?;
        let wanted = least.checked_add(beyond)?;
        Some(if wanted <= most { wanted } else { least })
    }

    /// The whole payload of a cell, with the pages that continue it.
    fn payload(&mut self, cell: &Cell) -> Option<Cow<'a, [u8]>> {
        let local = self.bytes.get(cell.local.clone())?;
        let Some(mut next) = cell.overflow else {
            return Some(Cow::Borrowed(local));
        };
        let mut whole = local.to_vec();
        while whole.len() < cell.payload {
            let start = self.take(next)?;
            let end = start.checked_add(self.usable)?;
            let from = start.checked_add(4)?;
            let left = cell.payload.checked_sub(whole.len())?;
            let to = from.checked_add(left)?.min(end);
            whole.extend_from_slice(self.bytes.get(from..to)?);
            self.unused(to..end)?;
            next = self.number::<4>(start)?;
        }
        (next == 0).then_some(Cow::Owned(whole))
    }
}

/// A number of one to nine bytes, and its length.
pub(super) fn varint(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut value = 0_u64;
    for nth in 0..8 {
        let byte = *bytes.get(nth)?;
        value = value << 7 | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return Some((value, nth.checked_add(1)?));
        }
    }
    Some((value << 8 | u64::from(*bytes.get(8)?), 9))
}

/// Goes through a tree in the order of its keys.
pub(super) struct Cursor {
    stack: Vec<(Node, Step)>,
    /// No row in front of the next one has a larger number.
    last: Option<i64>,
}

/// What comes next in a page.
#[derive(Clone, Copy)]
enum Step {
    /// The child of the cell, or of the end.
    Child(usize),
    /// The cell itself.
    Cell(usize),
}

impl Cursor {
    pub fn new(pages: &mut Pages, root: usize) -> Option<Self> {
        let node = pages.node(root)?;
        let step = Step::first(&node);
        Some(Self {
            stack: vec![(node, step)],
            last: None,
        })
    }

    /// Whether it goes through the rows of a table; otherwise through an index, or a table without row numbers.
    pub fn is_table(&self) -> bool {
        self.stack.first().is_some_and(|(node, _)| node.is_table)
    }

    /// The next entry; `None` if the tree is damaged.
    pub fn next<'a>(&mut self, pages: &mut Pages<'a>) -> Option<Next<'a>> {
        /// Deeper than any tree that SQLite reads.
        const DEEPEST: usize = 32;
        loop {
            let depth = self.stack.len();
            let is_table = self.is_table();
            let Some((node, step)) = self.stack.last_mut() else {
                return Some(Next::End);
            };
            match *step {
                Step::Child(nth) => {
                    let child = match node.cells.get(nth) {
                        Some(at) => pages.cell(node, *at)?.child?,
                        None => node.right,
                    };
                    *step = Step::Cell(nth);
                    let child = pages.node(child)?;
                    (child.is_table == is_table && depth < DEEPEST).then_some(())?;
                    let first = Step::first(&child);
                    self.stack.push((child, first));
                }
                Step::Cell(nth) => {
                    let Some(at) = node.cells.get(nth) else {
                        self.stack.pop();
                        continue;
                    };
                    let cell = pages.cell(node, *at)?;
                    let behind = nth.checked_add(1)?;
                    let has_entry = node.is_leaf || !node.is_table;
                    *step = if node.is_leaf {
                        Step::Cell(behind)
                    } else {
                        Step::Child(behind)
                    };
                    self.order(cell.rowid, has_entry)?;
                    if has_entry {
                        let payload = pages.payload(&cell)?;
                        return Some(Next::Entry(Entry {
                            rowid: cell.rowid,
                            payload,
                        }));
                    }
                }
            }
        }
    }

    /// Checks that row numbers increase, and that a page between two others has a number between theirs.
    fn order(&mut self, rowid: Option<i64>, is_row: bool) -> Option<()> {
        let Some(rowid) = rowid else { return Some(()) };
        let fits = self
            .last
            .is_none_or(|last| rowid > last || !is_row && rowid == last);
        self.last = Some(rowid);
        fits.then_some(())
    }
}

impl Step {
    fn first(node: &Node) -> Self {
        if node.is_leaf {
            Self::Cell(0)
        } else {
            Self::Child(0)
        }
    }
}
