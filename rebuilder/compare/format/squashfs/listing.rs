//! The listing of a folder: runs of names, with references to their inodes.

use std::io;

use super::Walk;
use super::inode::{Inode, Kind};
use super::tables::Numbers;
use crate::compare::format::image::invalid;
use crate::compare::format::path_text;

/// A name in a folder.
pub(super) struct Entry {
    pub name: String,
    pub place: usize,
}

/// What the names after one header share: the block of their inodes, and a base inode number.
#[derive(Clone, Copy)]
struct Run {
    block: u32,
    number: u32,
}

const CONTRADICTION: &str = "a name of SquashFS that contradicts its inode or its folder";

impl Walk<'_, '_> {
    /// The names in a folder, which must be in the order that readers rely on.
    pub(super) fn entries(&mut self, folder: &Inode) -> io::Result<Vec<Entry>> {
        let Kind::Folder {
            listing,
            length,
            index,
            ..
        } = &folder.kind
        else {
            return Ok(Vec::new());
        };
        let length = stored_length(*length)?;
        if length == 0 && !index.is_empty() {
            return Err(invalid("an index of an empty folder"));
        }
        if length == 0 {
            return Ok(Vec::new());
        }
        let table = &self.tables.folders;
        let start = table.place(*listing)?;
        let end = start.saturating_add(length);
        let bytes = table.bytes.get(start..end);
        let mut rest = Numbers(bytes.ok_or_else(|| invalid("a folder of SquashFS beyond its table"))?);
        self.listed.push((start, end));
        let mut indexed = index.iter().peekable();
        let mut entries: Vec<Entry> = Vec::new();
        let mut last: Option<&[u8]> = None;
        while !rest.0.is_empty() {
            let offset = length.saturating_sub(rest.0.len());
            let count = rest.u32()?;
            let run = Run {
                block: rest.u32()?,
                number: rest.u32()?,
            };
            for nth in 0..=count {
                let (name, place) = self.name(&mut rest, run)?;
                // Readers use binary search for names.
                if last.is_some_and(|last| last >= name) {
                    return Err(invalid(CONTRADICTION));
                }
                last = Some(name);
                let name = path_text(name);
                if nth == 0
                    && let Some((at, block, first)) = indexed.peek()
                    && usize::try_from(*at).is_ok_and(|at| at == offset)
                {
                    if *first != name || !table.is_in(*block, start.saturating_add(offset)) {
                        return Err(invalid("an index of a folder that names something else"));
                    }
                    indexed.next();
                }
                entries.push(Entry { name, place });
            }
        }
        if indexed.next().is_some() {
            return Err(invalid("an index of a folder that points to no header"));
        }
        Ok(entries)
    }

    /// The next name of a run, and the place of its inode.
    fn name<'n>(&self, rest: &mut Numbers<'n>, run: Run) -> io::Result<(&'n [u8], usize)> {
        let (at, difference, kind) = (rest.u16()?, rest.u16()?, rest.u16()?);
        let length = usize::from(rest.u16()?).saturating_add(1);
        let name = rest.take(length)?;
        let place = self
            .tables
            .inodes
            .place(u64::from(run.block) << 16 | u64::from(at))?;
        let inode = self.inode(place)?;
        let own = run
            .number
            .wrapping_add_signed(i32::from(difference.cast_signed()));
        let is_name = !matches!(name, b"." | b"..") && !name.contains(&b'/') && !name.contains(&0);
        if own != inode.number || kind != inode.kind.number() || !is_name {
            return Err(invalid(CONTRADICTION));
        }
        Ok((name, place))
    }
}

/// Length of a listing in bytes. The stored length counts three more, for `.` and `..`, which are not stored.
fn stored_length(length: u32) -> io::Result<usize> {
    length
        .checked_sub(3)
        .and_then(|length| usize::try_from(length).ok())
        .ok_or_else(|| invalid("a folder of SquashFS of a size that none has"))
}
