//! Inodes: what a name in a folder stands for.

use std::collections::HashMap;
use std::io;

use super::tables::{Numbers, Superblock, Tables};
use crate::compare::format::image::invalid;
use crate::compare::format::path_text;
use crate::compare::stored::Type;

/// What stands in place of a fragment or of attributes that are not there.
const NONE: u32 = u32::MAX;

#[derive(Debug)]
pub(super) struct Inode {
    pub mode: u16,
    pub owner: u32,
    pub group: u32,
    pub time: u32,
    pub number: u32,
    pub links: Option<u32>,
    /// Index of its list of extended attributes.
    pub xattrs: Option<u32>,
    pub kind: Kind,
}

#[derive(Debug)]
pub(super) enum Kind {
    Folder {
        /// A reference into the table of folders.
        listing: u64,
        length: u32,
        parent: u32,
        /// Where the headers of a listing are, for lookups: offset, block, and the first name behind.
        index: Vec<(u32, u32, String)>,
    },
    File(File),
    Link(String),
    Device {
        is_block: bool,
        number: u32,
    },
    Fifo,
    Socket,
}

#[derive(Debug, Clone)]
pub(super) struct File {
    pub size: u64,
    pub start: u64,
    /// Size of each block as it is stored; 0 for one of zeros.
    pub blocks: Vec<u32>,
    /// Which block of fragments has its end, and where.
    pub fragment: Option<(u32, u32)>,
    pub sparse: u64,
}

impl Kind {
    pub fn what(&self) -> Type {
        match self {
            Self::Folder { .. } => Type::Folder,
            Self::File(_) => Type::File,
            Self::Link(_) => Type::SymbolicLink,
            Self::Device { is_block: true, .. } => Type::BlockDevice,
            Self::Device { is_block: false, .. } => Type::CharacterDevice,
            Self::Fifo => Type::Fifo,
            Self::Socket => Type::Socket,
        }
    }

    /// The number that names in folders have for it.
    pub fn number(&self) -> u16 {
        match self {
            Self::Folder { .. } => 1,
            Self::File(_) => 2,
            Self::Link(_) => 3,
            Self::Device { is_block: true, .. } => 4,
            Self::Device { is_block: false, .. } => 5,
            Self::Fifo => 6,
            Self::Socket => 7,
        }
    }
}

/// All inodes, by their place in their table.
pub(super) fn all(tables: &Tables, superblock: &Superblock) -> io::Result<HashMap<usize, Inode>> {
    let whole = tables.inodes.bytes.len();
    let mut rest = Numbers(&tables.inodes.bytes);
    let mut inodes = HashMap::new();
    while !rest.0.is_empty() {
        let place = whole.saturating_sub(rest.0.len());
        inodes.insert(place, inode(&mut rest, tables, superblock)?);
    }
    if inodes.len() as u64 != u64::from(superblock.inodes) {
        return Err(invalid("another number of inodes than the superblock says"));
    }
    Ok(inodes)
}

fn inode(rest: &mut Numbers, tables: &Tables, superblock: &Superblock) -> io::Result<Inode> {
    let (form, mode) = (rest.u16()?, rest.u16()?);
    let id = |index: u16| {
        let id = tables.ids.get(usize::from(index)).copied();
        id.ok_or_else(|| invalid("an owner that is not in the table of ids"))
    };
    let (owner, group) = (id(rest.u16()?)?, id(rest.u16()?)?);
    let (time, number) = (rest.u32()?, rest.u32()?);
    let is_long = form > 7;
    let (mut links, mut xattrs) = (None, None);
    let kind = match form {
        1 => {
            let block = rest.u32()?;
            links = Some(rest.u32()?);
            let length = u32::from(rest.u16()?);
            let offset = rest.u16()?;
            Kind::Folder {
                listing: reference(block, offset),
                length,
                parent: rest.u32()?,
                index: Vec::new(),
            }
        }
        8 => {
            links = Some(rest.u32()?);
            let (length, block, parent) = (rest.u32()?, rest.u32()?, rest.u32()?);
            let (count, offset) = (rest.u16()?, rest.u16()?);
            xattrs = Some(rest.u32()?);
            Kind::Folder {
                listing: reference(block, offset),
                length,
                parent,
                index: (0..count).map(|_| entry(rest)).collect::<io::Result<_>>()?,
            }
        }
        2 => {
            let (start, fragment, offset) = (u64::from(rest.u32()?), rest.u32()?, rest.u32()?);
            let size = u64::from(rest.u32()?);
            Kind::File(File {
                size,
                start,
                blocks: blocks(rest, size, fragment, superblock)?,
                fragment: (fragment != NONE).then_some((fragment, offset)),
                sparse: 0,
            })
        }
        9 => {
            let (start, size, sparse) = (rest.u64()?, rest.u64()?, rest.u64()?);
            links = Some(rest.u32()?);
            let (fragment, offset) = (rest.u32()?, rest.u32()?);
            xattrs = Some(rest.u32()?);
            Kind::File(File {
                size,
                start,
                blocks: blocks(rest, size, fragment, superblock)?,
                fragment: (fragment != NONE).then_some((fragment, offset)),
                sparse,
            })
        }
        3 | 10 => {
            links = Some(rest.u32()?);
            let length = rest.u32()?;
            let target = rest.take(usize::try_from(length).unwrap_or(usize::MAX))?;
            if is_long {
                xattrs = Some(rest.u32()?);
            }
            Kind::Link(path_text(target))
        }
        4 | 5 | 11 | 12 => {
            links = Some(rest.u32()?);
            let number = rest.u32()?;
            if is_long {
                xattrs = Some(rest.u32()?);
            }
            let is_block = matches!(form, 4 | 11);
            Kind::Device { is_block, number }
        }
        6 | 7 | 13 | 14 => {
            links = Some(rest.u32()?);
            if is_long {
                xattrs = Some(rest.u32()?);
            }
            if matches!(form, 6 | 13) {
                Kind::Fifo
            } else {
                Kind::Socket
            }
        }
        _ => return Err(invalid("an inode of SquashFS of an unknown form")),
    };
    Ok(Inode {
        mode,
        owner,
        group,
        time,
        number,
        links,
        xattrs: xattrs.filter(|index| *index != NONE),
        kind,
    })
}

fn reference(block: u32, offset: u16) -> u64 {
    u64::from(block) << 16 | u64::from(offset)
}

fn entry(rest: &mut Numbers) -> io::Result<(u32, u32, String)> {
    let (offset, block, length) = (rest.u32()?, rest.u32()?, rest.u32()?);
    let length = usize::try_from(length).unwrap_or(usize::MAX).saturating_add(1);
    Ok((offset, block, path_text(rest.take(length)?)))
}

/// Sizes of the blocks that are a file's own: the last, short one may be in a fragment.
fn blocks(rest: &mut Numbers, size: u64, fragment: u32, superblock: &Superblock) -> io::Result<Vec<u32>> {
    let block = u64::from(superblock.block_size);
    let count = if fragment == NONE {
        size.div_ceil(block)
    } else {
        size.checked_div(block).unwrap_or(0)
    };
    // Each takes four bytes of the table, so that a size that is not true ends the table too early.
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    let mut bytes = Numbers(rest.take(count.saturating_mul(4))?);
    (0..count).map(|_| bytes.u32()).collect()
}
