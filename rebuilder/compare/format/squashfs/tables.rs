//! The superblock, and tables in metadata blocks: inodes, folders, fragments, ids, and extended attributes.

use std::collections::HashMap;
use std::io;

use super::block::Compressor;
use crate::compare::format::image::{Image, invalid};
use crate::compare::format::path_text;

/// Maximum number of bytes of an unpacked metadata block.
const METADATA: usize = 8192;
/// Maximum number of bytes of one table.
const LARGEST: usize = 64 << 20;
/// Stands for a missing table.
pub(super) const NONE: u64 = u64::MAX;

/// Reads numbers, one after another.
pub(super) struct Numbers<'a>(pub &'a [u8]);

impl<'a> Numbers<'a> {
    pub fn take(&mut self, length: usize) -> io::Result<&'a [u8]> {
        let (taken, rest) = self
            .0
            .split_at_checked(length)
            .ok_or_else(|| invalid("a table of SquashFS that ends too early"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let taken = self.take(N)?;
        taken.try_into().map_err(|_| invalid("a short number"))
    }

    pub fn u16(&mut self) -> io::Result<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub fn u32(&mut self) -> io::Result<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub fn u64(&mut self) -> io::Result<u64> {
        self.array().map(u64::from_le_bytes)
    }
}

/// The first 96 bytes of an image.
pub(super) struct Superblock {
    pub inodes: u32,
    pub time: u32,
    pub block_size: u32,
    pub fragments: u32,
    pub compressor: u16,
    pub flags: u16,
    ids: u16,
    pub root: u64,
    pub used: u64,
    id_table: u64,
    xattr_table: u64,
    inode_table: u64,
    folder_table: u64,
    fragment_table: u64,
    export_table: u64,
}

impl Superblock {
    pub const SIZE: u64 = 96;
    const COMPRESSOR_OPTIONS: u16 = 0x400;

    pub fn read(image: &mut Image) -> io::Result<Self> {
        let bytes = image.read(0, Self::SIZE)?;
        let mut numbers = Numbers(&bytes);
        numbers.take(4)?;
        let inodes = numbers.u32()?;
        let time = numbers.u32()?;
        let block_size = numbers.u32()?;
        let fragments = numbers.u32()?;
        let compressor = numbers.u16()?;
        let logarithm = numbers.u16()?;
        let flags = numbers.u16()?;
        let ids = numbers.u16()?;
        let version = numbers.u32()?;
        if version != 4
            || !(12..=20).contains(&logarithm)
            || Some(block_size) != 1_u32.checked_shl(logarithm.into())
        {
            return Err(invalid("a superblock of SquashFS that contradicts itself"));
        }
        let superblock = Self {
            inodes,
            time,
            block_size,
            fragments,
            compressor,
            flags,
            ids,
            root: numbers.u64()?,
            used: numbers.u64()?,
            id_table: numbers.u64()?,
            xattr_table: numbers.u64()?,
            inode_table: numbers.u64()?,
            folder_table: numbers.u64()?,
            fragment_table: numbers.u64()?,
            export_table: numbers.u64()?,
        };
        if superblock.used < Self::SIZE || !image.holds(0, superblock.used) {
            return Err(invalid("an image of SquashFS that is cut off"));
        }
        Ok(superblock)
    }
}

/// An unpacked table, and the offset in it of each metadata block, by the block's place after the start of the table.
#[derive(Default)]
pub(super) struct Table {
    pub bytes: Vec<u8>,
    starts: HashMap<u64, usize>,
}

impl Table {
    /// The offset of a reference: the upper bits are a block's place, and the lower 16 an offset in the block.
    pub fn place(&self, reference: u64) -> io::Result<usize> {
        self.starts
            .get(&(reference >> 16))
            .and_then(|start| start.checked_add(usize::try_from(reference & 0xffff).ok()?))
            .filter(|place| *place <= self.bytes.len())
            .ok_or_else(|| invalid("a reference of SquashFS that points to no block"))
    }

    /// Whether the block at that place after the table's start contains an offset.
    pub fn is_in(&self, block: u32, place: usize) -> bool {
        self.starts
            .get(&u64::from(block))
            .is_some_and(|start| (*start..start.saturating_add(METADATA)).contains(&place))
    }
}

/// Names and values of extended attributes.
pub(super) type Attributes = Vec<(String, Vec<u8>)>;

/// The tables of an image.
pub(super) struct Tables {
    pub options: Vec<u8>,
    pub inodes: Table,
    pub folders: Table,
    /// Place and stored size of each fragment block.
    pub fragments: Vec<(u64, u32)>,
    pub ids: Vec<u32>,
    /// References to inodes by number, if the image has them.
    pub export: Option<Vec<u64>>,
    pub xattrs: Vec<Attributes>,
}

pub(super) struct Reader<'a, 'b> {
    pub image: &'a mut Image<'b>,
    pub compressor: Compressor,
    /// Places of the tables after the folder table.
    begins: Vec<u64>,
}

impl<'a, 'b> Reader<'a, 'b> {
    pub fn new(image: &'a mut Image<'b>, compressor: Compressor) -> Self {
        Self {
            image,
            compressor,
            begins: Vec::new(),
        }
    }

    pub fn tables(&mut self, superblock: &Superblock) -> io::Result<Tables> {
        let options = if superblock.flags & Superblock::COMPRESSOR_OPTIONS == 0 {
            Vec::new()
        } else {
            self.block(Superblock::SIZE)?.0
        };
        let fragments = self.entries(superblock.fragment_table, superblock.fragments.into(), 16)?;
        let ids = self.entries(superblock.id_table, superblock.ids.into(), 4)?;
        let export = if superblock.export_table == NONE {
            None
        } else {
            let entries = self.entries(superblock.export_table, superblock.inodes.into(), 8)?;
            let mut numbers = Numbers(&entries);
            Some(
                (0..superblock.inodes)
                    .map(|_| numbers.u64())
                    .collect::<io::Result<_>>()?,
            )
        };
        let xattrs = if superblock.xattr_table == NONE {
            Vec::new()
        } else {
            self.xattrs(superblock.xattr_table)?
        };
        let behind = |begin: &&u64| **begin >= superblock.folder_table;
        let end = self.begins.iter().filter(behind).min();
        let end = end.copied().unwrap_or(superblock.used);
        let mut numbers = Numbers(&fragments);
        let fragments = (0..superblock.fragments)
            .map(|_| match (numbers.u64()?, numbers.u32()?, numbers.u32()?) {
                (start, size, 0) => Ok((start, size)),
                _ => Err(invalid("a fragment of SquashFS with a field that has no meaning")),
            })
            .collect::<io::Result<_>>()?;
        let mut numbers = Numbers(&ids);
        Ok(Tables {
            options,
            inodes: self.run(superblock.inode_table, superblock.folder_table)?,
            folders: self.run(superblock.folder_table, end)?,
            fragments,
            ids: (0..superblock.ids)
                .map(|_| numbers.u32())
                .collect::<io::Result<_>>()?,
            export,
            xattrs,
        })
    }

    /// Reads a metadata block; returns the place after it too.
    fn block(&mut self, at: u64) -> io::Result<(Vec<u8>, u64)> {
        const PLAIN: u16 = 0x8000;
        let header = Numbers(&self.image.read(at, 2)?).u16()?;
        let length = u64::from(header & !PLAIN);
        let start = at
            .checked_add(2)
            .ok_or_else(|| invalid("a block beyond the image"))?;
        let packed = self.image.read(start, length)?;
        let bytes = match header & PLAIN {
            0 => self.compressor.decode(&packed, METADATA)?,
            _ => packed,
        };
        if bytes.is_empty() || bytes.len() > METADATA {
            return Err(invalid("a metadata block of SquashFS of a size that none has"));
        }
        Ok((bytes, start.saturating_add(length)))
    }

    /// Reads the blocks from one place to another.
    fn run(&mut self, from: u64, to: u64) -> io::Result<Table> {
        let mut table = Table::default();
        let mut at = from;
        while at < to {
            table.starts.insert(at.saturating_sub(from), table.bytes.len());
            let (bytes, next) = self.block(at)?;
            table.bytes.extend(bytes);
            if table.bytes.len() > LARGEST {
                return Err(invalid("a very large table of SquashFS"));
            }
            at = next;
        }
        if at != to {
            return Err(invalid("tables of SquashFS that run into each other"));
        }
        Ok(table)
    }

    /// Reads entries of equal size from the blocks in a list of places.
    fn entries(&mut self, at: u64, count: u64, size: u64) -> io::Result<Vec<u8>> {
        if at == NONE {
            return if count == 0 {
                Ok(Vec::new())
            } else {
                Err(invalid("a table of SquashFS that is missing"))
            };
        }
        let length = count.saturating_mul(size);
        if length > LARGEST as u64 {
            return Err(invalid("a very large table of SquashFS"));
        }
        self.begins.push(at);
        let places = self
            .image
            .read(at, length.div_ceil(METADATA as u64).saturating_mul(8))?;
        let mut numbers = Numbers(&places);
        let mut table = Vec::new();
        while (table.len() as u64) < length {
            if table.len() % METADATA != 0 {
                return Err(invalid("a short block within a table of SquashFS"));
            }
            let place = numbers.u64()?;
            self.begins.push(place);
            table.extend(self.block(place)?.0);
        }
        if table.len() as u64 != length {
            return Err(invalid("a table of SquashFS that is longer than it says"));
        }
        Ok(table)
    }

    /// Lists of extended attributes, by the index that inodes refer to.
    fn xattrs(&mut self, at: u64) -> io::Result<Vec<Attributes>> {
        let header = self.image.read(at, 16)?;
        let mut numbers = Numbers(&header);
        let (start, count, unused) = (numbers.u64()?, numbers.u32()?, numbers.u32()?);
        if unused != 0 {
            return Err(invalid("a table of attributes with a field that has no meaning"));
        }
        let known = self.begins.len();
        let index = self.entries(at.saturating_add(16), count.into(), 16)?;
        let end = self.begins.get(known..).unwrap_or_default().iter().min().copied();
        self.begins.extend([at, start]);
        let values = self.run(start, end.unwrap_or(at))?;
        let mut numbers = Numbers(&index);
        let mut used = Vec::new();
        let mut lists = Vec::new();
        for _ in 0..count {
            let (reference, entries, size) = (numbers.u64()?, numbers.u32()?, numbers.u32()?);
            let place = values.place(reference)?;
            let mut list = Vec::new();
            let mut rest = Numbers(values.bytes.get(place..).unwrap_or_default());
            let before = rest.0.len();
            let mut told = 0_usize;
            for _ in 0..entries {
                let attribute = attribute(&mut rest, &values)?;
                told = told.saturating_add(attribute.counted);
                used.extend(attribute.elsewhere);
                list.push((attribute.name, attribute.value));
            }
            if told as u64 != u64::from(size) {
                return Err(invalid("attributes of SquashFS of another size than they say"));
            }
            used.push((place, place.saturating_add(before.saturating_sub(rest.0.len()))));
            lists.push(list);
        }
        if !covers(&mut used, values.bytes.len()) {
            return Err(invalid("bytes among the attributes of SquashFS that are of none"));
        }
        Ok(lists)
    }
}

/// Whether parts of a table cover it completely, without overlapping parts that differ.
pub(super) fn covers(parts: &mut Vec<(usize, usize)>, whole: usize) -> bool {
    parts.sort_unstable();
    parts.dedup();
    let mut end = 0;
    for (from, to) in parts {
        if *from != end {
            return false;
        }
        end = *to;
    }
    end == whole
}

struct Attribute {
    name: String,
    value: Vec<u8>,
    /// The length that a list counts for it: what the kernel reports to callers who ask for the length of name and
    /// value.
    counted: usize,
    /// The range of the table with the value, if that is not after the name.
    elsewhere: Option<(usize, usize)>,
}

fn attribute(rest: &mut Numbers, values: &Table) -> io::Result<Attribute> {
    const ELSEWHERE: u16 = 0x100;
    let (kind, length) = (rest.u16()?, rest.u16()?);
    let prefix = match kind & !ELSEWHERE {
        0 => "user.",
        1 => "trusted.",
        2 => "security.",
        _ => return Err(invalid("an attribute of SquashFS of an unknown kind")),
    };
    let name = rest.take(length.into())?;
    let mut value = sized(rest)?;
    let mut elsewhere = None;
    if kind & ELSEWHERE != 0 {
        let mut reference = Numbers(value);
        let place = values.place(reference.u64()?)?;
        let there = values.bytes.get(place..).unwrap_or_default();
        let mut behind = Numbers(there);
        value = sized(&mut behind)?;
        let length = there.len().saturating_sub(behind.0.len());
        elsewhere = Some((place, place.saturating_add(length)));
        if !reference.0.is_empty() {
            return Err(invalid("a reference to a value of SquashFS with bytes behind it"));
        }
    }
    let counted = [prefix.len(), name.len(), 1, value.len()];
    Ok(Attribute {
        name: format!("{prefix}{}", path_text(name)),
        value: value.to_vec(),
        counted: counted.iter().sum(),
        elsewhere,
    })
}

/// Reads bytes with a length before them.
fn sized<'a>(rest: &mut Numbers<'a>) -> io::Result<&'a [u8]> {
    let length = rest.u32()?;
    rest.take(usize::try_from(length).unwrap_or(usize::MAX))
}
