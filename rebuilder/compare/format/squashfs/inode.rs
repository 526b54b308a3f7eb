//! Inodes, to which the names in folders refer.

use std::collections::HashMap;
use std::io;

use super::tables::{Numbers, Superblock, Tables};
use crate::compare::format::image::invalid;
use crate::compare::format::path_text;
use crate::compare::stored::Type;

/// Stands for a missing fragment or missing attributes.
const NONE: u32 = u32::MAX;

#[derive(Debug)]
pub(super) struct Inode {
    pub mode: u16,
    pub owner: u32,
    pub group: u32,
    pub time: u32,
    pub number: u32,
    pub links: Option<u32>,
    /// Index of its list of extended attributes, if there is one.
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
        /// Places of headers in the listing, for lookups: offset, block, and the first name after it.
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
    /// Stored size of each block; 0 for a block of zeros.
    pub blocks: Vec<u32>,
    /// The fragment block with its end, and the offset in it.
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

    /// The type number that names in folders have for it.
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

/// All inodes, by their offset in the table.
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
    let specific = match form {
        1 | 8 => folder(rest, form == 8)?,
        2 | 9 => file(rest, form == 9, superblock)?,
        3..=7 => other(rest, form, false)?,
        10..=14 => other(rest, form.saturating_sub(7), true)?,
        _ => return Err(invalid("an inode of SquashFS of an unknown form")),
    };
    Ok(Inode {
        mode,
        owner,
        group,
        time,
        number,
        links: specific.links,
        xattrs: specific.xattrs.filter(|index| *index != NONE),
        kind: specific.kind,
    })
}

/// The fields of one kind of inode, after the common ones.
struct Specific {
    kind: Kind,
    links: Option<u32>,
    xattrs: Option<u32>,
}

fn folder(rest: &mut Numbers, is_long: bool) -> io::Result<Specific> {
    if !is_long {
        let (block, links, length, offset) = (rest.u32()?, rest.u32()?, rest.u16()?, rest.u16()?);
        let kind = Kind::Folder {
            listing: reference(block, offset),
            length: length.into(),
            parent: rest.u32()?,
            index: Vec::new(),
        };
        return Ok(Specific {
            kind,
            links: Some(links),
            xattrs: None,
        });
    }
    let (links, length, block, parent) = (rest.u32()?, rest.u32()?, rest.u32()?, rest.u32()?);
    let (count, offset, xattrs) = (rest.u16()?, rest.u16()?, rest.u32()?);
    Ok(Specific {
        kind: Kind::Folder {
            listing: reference(block, offset),
            length,
            parent,
            index: (0..count).map(|_| entry(rest)).collect::<io::Result<_>>()?,
        },
        links: Some(links),
        xattrs: Some(xattrs),
    })
}

fn file(rest: &mut Numbers, is_long: bool, superblock: &Superblock) -> io::Result<Specific> {
    let (mut sparse, mut links, mut xattrs) = (0, None, None);
    let (start, size, fragment, offset);
    if is_long {
        (start, size, sparse) = (rest.u64()?, rest.u64()?, rest.u64()?);
        links = Some(rest.u32()?);
        (fragment, offset) = (rest.u32()?, rest.u32()?);
        xattrs = Some(rest.u32()?);
    } else {
        start = rest.u32()?.into();
        (fragment, offset) = (rest.u32()?, rest.u32()?);
        size = rest.u32()?.into();
    }
    let kind = Kind::File(File {
        size,
        start,
        blocks: blocks(rest, size, fragment, superblock)?,
        fragment: (fragment != NONE).then_some((fragment, offset)),
        sparse,
    });
    Ok(Specific { kind, links, xattrs })
}

/// Links, devices, pipes and sockets: types 3 to 7.
fn other(rest: &mut Numbers, form: u16, is_long: bool) -> io::Result<Specific> {
    let links = Some(rest.u32()?);
    let kind = match form {
        3 => {
            let length = rest.u32()?;
            Kind::Link(path_text(
                rest.take(usize::try_from(length).unwrap_or(usize::MAX))?,
            ))
        }
        4 | 5 => Kind::Device {
            is_block: form == 4,
            number: rest.u32()?,
        },
        6 => Kind::Fifo,
        _ => Kind::Socket,
    };
    let xattrs = if is_long { Some(rest.u32()?) } else { None };
    Ok(Specific { kind, links, xattrs })
}

fn reference(block: u32, offset: u16) -> u64 {
    u64::from(block) << 16 | u64::from(offset)
}

fn entry(rest: &mut Numbers) -> io::Result<(u32, u32, String)> {
    let (offset, block, length) = (rest.u32()?, rest.u32()?, rest.u32()?);
    let length = usize::try_from(length).unwrap_or(usize::MAX).saturating_add(1);
    Ok((offset, block, path_text(rest.take(length)?)))
}

/// Sizes of a file's own blocks; the last, short one may be in a fragment.
fn blocks(rest: &mut Numbers, size: u64, fragment: u32, superblock: &Superblock) -> io::Result<Vec<u32>> {
    let block = u64::from(superblock.block_size);
    let count = if fragment == NONE {
        size.div_ceil(block)
    } else {
        size.checked_div(block).unwrap_or(0)
    };
    // Each size takes four bytes of the table, so a wrong file size exceeds the table.
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    let mut bytes = Numbers(rest.take(count.saturating_mul(4))?);
    (0..count).map(|_| bytes.u32()).collect()
}
