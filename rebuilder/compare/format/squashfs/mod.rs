//! SquashFS 4.0, little-endian (the kernel's `Documentation/filesystems/squashfs.rst`).
//!
//! Members are what a mount shows. Every byte of the image belongs to a block of a file, or to a table whose entries
//! are all used; a structure that contradicts itself is an error, and bytes that nothing refers to are content.
//! Readers of files do not see the places of parts and their compression, so both are reported for the image as a
//! whole.

mod block;
mod content;
mod inode;
mod listing;
mod tables;
#[cfg(test)]
mod tests;
mod whole;

use std::cell::RefCell;
use std::collections::HashMap;
use std::io::{self, SeekFrom};

use super::image::{Image, invalid};
use super::{FormatReader, Member, Visit, tail};
use crate::compare::cause::Cause;
use crate::compare::finding::{Finding, Node};
use crate::compare::limits::{Hit, Limit, Meter, Metered};
use crate::compare::source::Source;
use crate::compare::stored::{FieldKind, Fields, Type, Value};
use block::Compressor;
use content::{Blocks, Content, stored};
use inode::{File, Inode, Kind};
use listing::Entry;
use tables::{Reader, Superblock, Tables};

pub(super) struct SquashFs;

static FS_TIME: FieldKind = FieldKind::new("time of the file system", Cause::Timestamp);
static COMPRESSOR: FieldKind = FieldKind::new("compressor", Cause::Compression);
static BLOCK_SIZE: FieldKind = FieldKind::new("size of blocks", Cause::ArchiveDialect);
static FLAGS: FieldKind = FieldKind::new("flags", Cause::ArchiveDialect);
static OPTIONS: FieldKind = FieldKind::new("options of the compressor", Cause::Compression);
static PACKED: FieldKind = FieldKind::new("compressed form", Cause::Compression);
static LAYOUT: FieldKind = FieldKind::new("where parts of the image are", Cause::ArchiveDialect);
static HIDDEN: FieldKind = FieldKind::new("bytes that nothing refers to", Cause::Content);
static AFTER: FieldKind = FieldKind::new("bytes after the end", Cause::Content);
static ZEROS: FieldKind = FieldKind::new("zeros at the end", Cause::ArchiveDialect);

static TYPE: FieldKind = FieldKind::new("type", Cause::Content);
static TARGET: FieldKind = FieldKind::new("target of the link", Cause::Content);
static DEVICE: FieldKind = FieldKind::new("device", Cause::Content);
static MODE: FieldKind = FieldKind::new("mode", Cause::Permissions);
static OWNER: FieldKind = FieldKind::new("owner", Cause::Ownership);
static GROUP: FieldKind = FieldKind::new("group", Cause::Ownership);
static TIME: FieldKind = FieldKind::new("time", Cause::Timestamp);
static LINKS: FieldKind = FieldKind::new("number of links", Cause::ArchiveDialect);
static ATTRIBUTE: FieldKind = FieldKind::new("extended attribute", Cause::Content);
static SPARSE: FieldKind = FieldKind::new("bytes that are not stored", Cause::ArchiveDialect);

const MAGIC: &[u8] = b"hsqs";
/// Maximum depth of nested folders.
const DEEPEST: usize = 128;

impl FormatReader for SquashFs {
    fn name(&self) -> &'static str {
        "SquashFS"
    }

    fn example(&self) -> (&'static str, &'static [u8]) {
        const EXAMPLE: &[u8] = b"hsqs\0\0\0\0\0\0\0\0\0\0\x02\0\0\0\0\0\x01\0\x11\0\0\0\0\0\x04\0\0\0";
        ("x.squashfs", EXAMPLE)
    }

    fn begins(&self, head: &[u8]) -> bool {
        head.starts_with(MAGIC) && head.get(28..32) == Some(&[4, 0, 0, 0])
    }

    fn streams(&self) -> bool {
        false
    }

    fn walk(&self, source: &Source, meter: &Meter, visit: Visit) -> io::Result<Fields> {
        let mut image = Image::open(source, meter)?;
        let superblock = Superblock::read(&mut image)?;
        let compressor = Compressor::of(superblock.compressor)?;
        let tables = Reader::new(&mut image, compressor).tables(&superblock)?;
        let inodes = inode::all(&tables, &superblock)?;
        let blocks = RefCell::new(Blocks {
            reader: source.seekable()?,
            compressor,
            block_size: superblock.block_size,
            fragments: tables.fragments.clone(),
            last: None,
        });
        let mut walk = Walk {
            image,
            meter,
            tables: &tables,
            inodes: &inodes,
            blocks: &blocks,
            names: HashMap::new(),
            listed: Vec::new(),
            ends: Vec::new(),
            places: Vec::new(),
        };
        if !walk.tree(&superblock, visit)? {
            return Ok(Fields::new());
        }
        walk.everything_is_used()?;
        let mut fields = walk.fields(&superblock)?;
        let mut reader = source.seekable()?;
        reader.seek(SeekFrom::Start(superblock.used))?;
        fields.extend(tail(Metered { inner: reader, meter }, &AFTER, &ZEROS)?);
        Ok(fields)
    }

    /// Different packing is reported only if nothing else explains it; images are padded to whole blocks.
    fn settle(&self, node: &mut Node) {
        let has =
            |finding: &Finding, kinds: &[&'static FieldKind]| kinds.iter().any(|kind| finding.place.is(kind));
        let resized = node.children.iter().any(|child| child.sizes.0 != child.sizes.1);
        let repacked = node.findings.iter().any(|finding| has(finding, &[&PACKED]));
        let own = |finding: &Finding| !has(finding, &[&PACKED, &LAYOUT, &ZEROS]);
        let differs = !node.children.is_empty() || node.findings.iter().any(own);
        for finding in &mut node.findings {
            finding.follows |= differs && has(finding, &[&PACKED])
                || resized && has(finding, &[&LAYOUT])
                || repacked && has(finding, &[&ZEROS]);
        }
    }
}

struct Walk<'a, 'm> {
    image: Image<'m>,
    meter: &'m Meter,
    tables: &'a Tables,
    inodes: &'a HashMap<usize, Inode>,
    blocks: &'a RefCell<Blocks>,
    /// Path of each inode's first name, by the inode's place, and the number of its names.
    names: HashMap<usize, (String, u32)>,
    /// Ranges of the folder table that are listings.
    listed: Vec<(usize, usize)>,
    /// Ranges of fragment blocks that are ends of files.
    ends: Vec<(u32, u64, u64)>,
    /// The place of each file's data, and its path.
    places: Vec<Place>,
}

/// The place of a file's data, its fragment with the offset in it, and its path.
type Place = (u64, Option<(u32, u32)>, String);

/// A folder that is still to be read.
struct Folder<'a> {
    path: String,
    inode: &'a Inode,
    depth: usize,
}

impl<'a> Walk<'a, '_> {
    fn inode(&self, place: usize) -> io::Result<&'a Inode> {
        let inode = self.inodes.get(&place);
        inode.ok_or_else(|| invalid("a reference of SquashFS to something else than an inode"))
    }

    /// Visits everything in the root; returns false if the visit is over.
    fn tree(&mut self, superblock: &Superblock, visit: Visit) -> io::Result<bool> {
        let place = self.tables.inodes.place(superblock.root)?;
        self.names.insert(place, (String::new(), 1));
        let root = self.inode(place)?;
        let Kind::Folder { parent, .. } = root.kind else {
            return Err(invalid("a root of SquashFS that is not a folder"));
        };
        // The root's parent is a number that no inode has.
        if u64::from(parent) != u64::from(superblock.inodes).saturating_add(1) {
            return Err(invalid("a root of SquashFS that has a parent"));
        }
        if !self.member("/".to_owned(), root, None, visit)? {
            return Ok(false);
        }
        let mut waiting = vec![Folder {
            path: String::new(),
            inode: root,
            depth: 0,
        }];
        while let Some(folder) = waiting.pop() {
            let mut below = Vec::new();
            for Entry { name, place } in self.entries(folder.inode)? {
                let inode = self.inode(place)?;
                let path = if folder.path.is_empty() {
                    name
                } else {
                    format!("{}/{name}", folder.path)
                };
                let first = self.names.get(&place).map(|(path, _)| path.clone());
                let names = self.names.entry(place).or_insert_with(|| (path.clone(), 0));
                names.1 = names.1.saturating_add(1);
                if let Kind::Folder { parent, .. } = inode.kind {
                    if first.is_some() || parent != folder.inode.number {
                        return Err(invalid("a folder of SquashFS that is in two places"));
                    }
                    if folder.depth > DEEPEST {
                        return Err(Hit::error(Limit::Depth, "very deep folders in an image"));
                    }
                    below.push(Folder {
                        path: path.clone(),
                        inode,
                        depth: folder.depth.saturating_add(1),
                    });
                    if !self.member(format!("{path}/"), inode, None, visit)? {
                        return Ok(false);
                    }
                } else if !self.member(path, inode, first, visit)? {
                    return Ok(false);
                }
            }
            waiting.extend(below.into_iter().rev());
        }
        Ok(true)
    }

    /// Visits one member; `first` is the path of an earlier name of the same file.
    fn member(
        &mut self,
        path: String,
        inode: &Inode,
        first: Option<String>,
        visit: Visit,
    ) -> io::Result<bool> {
        self.meter.member(path.len())?;
        let mut fields = self.fields_of(inode)?;
        match &inode.kind {
            Kind::Link(target) => fields.push((&TARGET, Value::Target(target.clone()))),
            Kind::Device { number, .. } => fields.push((&DEVICE, Value::Number((*number).into()))),
            Kind::File(file) if first.is_none() => {
                self.claim(file, &path)?;
                if file.sparse > 0 {
                    fields.push((&SPARSE, Value::Number(file.sparse)));
                }
                return visit(Member {
                    path,
                    fields,
                    size: file.size,
                    content: &mut Metered {
                        inner: Content::new(self.blocks, file),
                        meter: self.meter,
                    },
                    source: None,
                });
            }
            _ => {}
        }
        if let Some(first) = first {
            fields = vec![
                (&TYPE, Value::Type(Type::HardLink)),
                (&TARGET, Value::Target(first)),
            ];
        }
        visit(Member {
            path,
            fields,
            size: 0,
            content: &mut io::empty(),
            source: None,
        })
    }

    /// The fields that every inode has, and its extended attributes.
    fn fields_of(&self, inode: &Inode) -> io::Result<Fields> {
        let mut fields: Fields = vec![
            (&TYPE, Value::Type(inode.kind.what())),
            (&MODE, Value::Mode(u32::from(inode.mode))),
            (&OWNER, Value::Number(inode.owner.into())),
            (&GROUP, Value::Number(inode.group.into())),
            (&TIME, Value::Time(inode.time.into())),
        ];
        if let (Kind::Folder { .. }, Some(links)) = (&inode.kind, inode.links) {
            fields.push((&LINKS, Value::Number(links.into())));
        }
        if let Some(index) = inode.xattrs {
            let list = usize::try_from(index)
                .ok()
                .and_then(|index| self.tables.xattrs.get(index));
            let list = list.ok_or_else(|| invalid("extended attributes that are not in their table"))?;
            fields.extend(list.iter().map(|(name, value)| {
                (
                    &ATTRIBUTE,
                    Value::Text(format!("{name}={}", value.escape_ascii())),
                )
            }));
        }
        Ok(fields)
    }

    /// Notes the ranges of the image and its fragments that belong to a file.
    fn claim(&mut self, file: &File, path: &str) -> io::Result<()> {
        let mut place = file.start;
        for size in &file.blocks {
            self.image.claim(place, stored(*size))?;
            place = place.saturating_add(stored(*size));
        }
        let whole = file.blocks.len() as u64;
        let block = u64::from(self.blocks.borrow().block_size);
        let end = file.size.saturating_sub(whole.saturating_mul(block));
        if let Some((index, offset)) = file.fragment {
            let offset = u64::from(offset);
            self.ends.push((index, offset, offset.saturating_add(end)));
        }
        let start = if file.blocks.is_empty() { 0 } else { file.start };
        self.places.push((start, file.fragment, path.to_owned()));
        Ok(())
    }
}
