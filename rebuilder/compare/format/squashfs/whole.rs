//! Fields of an image as a whole, and the check that all of it is used.

use std::collections::HashSet;
use std::io::{self, Write as _};

use super::content::stored;
use super::inode::Kind;
use super::tables::{Superblock, covers};
use super::{BLOCK_SIZE, COMPRESSOR, FLAGS, FS_TIME, HIDDEN, LAYOUT, LINKS, OPTIONS, PACKED, Walk};
use crate::artifact::HashingWriter;
use crate::compare::format::image::invalid;
use crate::compare::stored::{Fields, Value};

impl Walk<'_, '_> {
    /// Checks that every inode has a name, that every part of the folder table belongs to a folder, and that derived
    /// tables are correct.
    pub(super) fn everything_is_used(&mut self) -> io::Result<()> {
        if self.names.len() != self.inodes.len() {
            return Err(invalid("an inode of SquashFS without a name"));
        }
        let known = self.listed.len();
        if !covers(&mut self.listed, self.tables.folders.bytes.len()) || self.listed.len() != known {
            return Err(invalid("parts of a table of folders that are of none, or of two"));
        }
        let numbers: HashSet<u32> = self.inodes.values().map(|inode| inode.number).collect();
        if numbers.len() != self.inodes.len() {
            return Err(invalid("two inodes of SquashFS of one number"));
        }
        for (number, reference) in (1_u32..).zip(self.tables.export.iter().flatten()) {
            if self.inode(self.tables.inodes.place(*reference)?)?.number != number {
                return Err(invalid("a table of inodes that names others"));
            }
        }
        let used: HashSet<u32> = self.inodes.values().filter_map(|inode| inode.xattrs).collect();
        if used.len() != self.tables.xattrs.len() {
            return Err(invalid("extended attributes of SquashFS that are of no file"));
        }
        Ok(())
    }

    /// The fields of the image as a whole.
    pub(super) fn fields(&mut self, superblock: &Superblock) -> io::Result<Fields> {
        let mut fields: Fields = vec![
            (&FS_TIME, Value::Time(superblock.time.into())),
            (&COMPRESSOR, Value::Number(superblock.compressor.into())),
            (&BLOCK_SIZE, Value::Number(superblock.block_size.into())),
            (&FLAGS, Value::Text(format!("{:#x}", superblock.flags))),
            (&OPTIONS, Value::Text(hex::encode(&self.tables.options))),
            (&LAYOUT, Value::Text(self.layout()?)),
        ];
        // Sorted by path, so that both sides have the same order.
        let mut names: Vec<_> = self.names.iter().collect();
        names.sort_unstable_by_key(|(_, (path, _))| path);
        for (place, (path, names)) in names {
            let inode = self.inode(*place)?;
            let told = matches!(inode.kind, Kind::Folder { .. });
            if let Some(links) = inode.links.filter(|links| !told && links != names) {
                fields.push((&LINKS, Value::Text(format!("{path}: {links}"))));
            }
        }
        let between = self.hidden_in_fragments()?;
        for (place, size) in &self.tables.fragments {
            self.image.claim(*place, stored(*size))?;
        }
        // Bytes after the end are reported separately.
        let size = self.image.size();
        self.image
            .claim(superblock.used, size.saturating_sub(superblock.used))?;
        let hidden = self.image.unclaimed()?;
        let packed = self.image.digest(0, superblock.used)?;
        fields.push((&PACKED, Value::Text(packed.to_hex())));
        fields.extend(
            between
                .into_iter()
                .chain(hidden)
                .map(|text| (&HIDDEN, Value::Text(text))),
        );
        Ok(fields)
    }

    /// One digest of the order of parts: the data of files, their ends, and the inodes.
    fn layout(&mut self) -> io::Result<String> {
        let mut digest = HashingWriter::new(io::sink());
        self.places.sort_unstable();
        for (_, _, path) in &self.places {
            writeln!(digest, "{path}")?;
        }
        self.places.sort_unstable_by(|a, b| (a.1, &a.2).cmp(&(b.1, &b.2)));
        for (_, fragment, path) in &self.places {
            writeln!(digest, "{:?} {path}", fragment.map(|(index, _)| index))?;
        }
        let mut numbers: Vec<_> = self
            .names
            .iter()
            .filter_map(|(place, (path, _))| Some((self.inodes.get(place)?.number, *place, path)))
            .collect();
        numbers.sort_unstable();
        for (_, _, path) in &numbers {
            writeln!(digest, "{path}")?;
        }
        numbers.sort_unstable_by_key(|(_, place, _)| *place);
        for (_, _, path) in &numbers {
            writeln!(digest, "{path}")?;
        }
        Ok(format!("parts at {}", digest.finish().1.to_hex()))
    }

    /// Length and digest of the bytes in fragment blocks that belong to no file.
    fn hidden_in_fragments(&mut self) -> io::Result<Option<String>> {
        self.ends.sort_unstable();
        let (mut hidden, mut length) = (HashingWriter::new(io::sink()), 0_u64);
        let mut ends = self.ends.iter().peekable();
        for index in 0..u32::try_from(self.tables.fragments.len()).unwrap_or(u32::MAX) {
            let whole = self.blocks.borrow_mut().fragment(index)?;
            self.meter.unpacked(whole.len() as u64)?;
            let mut seen = 0;
            let mut note = |part: Option<&[u8]>| {
                let part = part.unwrap_or_default();
                length = length.saturating_add(part.len() as u64);
                hidden.write_all(part)
            };
            while let Some((_, from, to)) = ends.next_if(|(of, _, _)| *of == index) {
                let from = usize::try_from(*from).unwrap_or(usize::MAX);
                note(whole.get(seen..from))?;
                seen = seen.max(usize::try_from(*to).unwrap_or(usize::MAX));
            }
            note(whole.get(seen..))?;
        }
        let digest = hidden.finish().1.to_hex();
        Ok((length > 0).then(|| format!("{length} bytes in fragments, sha256 {digest}")))
    }
}
