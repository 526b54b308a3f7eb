//! Disc images: ISO 9660 (ECMA-119) with Rock Ridge, Joliet and El Torito.
//!
//! Members are those of the primary tree, with the names of Rock Ridge if there are any. What Joliet, path tables and
//! the boot catalog say about the same bytes becomes fields, with paths instead of blocks. A structure that
//! contradicts itself is an error, and bytes that no structure refers to are content.

mod joliet;
mod record;
#[cfg(test)]
mod tests;
mod time;
mod volume;

use std::collections::HashSet;
use std::io::{self, Cursor};

use super::image::{self, Image, Sections, invalid};
use super::{FormatReader, HEAD, Member, Visit, path_text, settle_zeros};
use crate::compare::cause::Cause;
use crate::compare::finding::Node;
use crate::compare::limits::{Hit, Limit, Meter, Metered};
use crate::compare::source::Source;
use crate::compare::stored::{FieldKind, Fields, Value};
use record::{Record, Susp};
use volume::{FIRST, SPACE, Volume};

pub(super) struct Iso;

static IDENTIFIER: FieldKind = FieldKind::new("identifier", Cause::Content);
static SLASHED: FieldKind = FieldKind::new("name with a slash", Cause::Content);
static FOLDER: FieldKind = FieldKind::new("type", Cause::Content);
static LAYOUT: FieldKind = FieldKind::new("where parts of the image are", Cause::ArchiveDialect);
static HIDDEN: FieldKind = FieldKind::new("bytes that nothing refers to", Cause::Content);
static UDF: FieldKind = FieldKind::new("UDF, which is not read", Cause::Content);

/// Maximum depth of nested folders.
const DEEPEST: usize = 128;

/// An empty system area, and the magic of a primary volume descriptor.
static EXAMPLE: [u8; HEAD] = {
    let mut example = [0; HEAD];
    if let Some(mark) = example.last_chunk_mut::<6>() {
        *mark = *b"\x01CD001";
    }
    example
};

impl FormatReader for Iso {
    fn name(&self) -> &'static str {
        "ISO 9660"
    }

    fn example(&self) -> (&'static str, &'static [u8]) {
        ("x.iso", &EXAMPLE)
    }

    fn begins(&self, head: &[u8]) -> bool {
        usize::try_from(FIRST)
            .ok()
            .and_then(|first| head.get(first..))
            .is_some_and(|mark| matches!(mark, [_, b'C', b'D', b'0', b'0', b'1', ..]))
    }

    fn streams(&self) -> bool {
        false
    }

    fn walk(&self, source: &Source, meter: &Meter, visit: Visit) -> io::Result<Fields> {
        let mut image = Image::open(source, meter)?;
        let system = image.read(0, FIRST)?;
        meter.member(0)?;
        let more = visit(Member {
            path: "[system area]".into(),
            fields: Fields::new(),
            size: FIRST,
            content: &mut Cursor::new(system),
            source: None,
        })?;
        let volumes = volume::descriptors(&mut image)?;
        let mut fields = volumes.fields;
        let mut walk = Walk {
            source,
            image,
            meter,
            catalog: volumes.catalog,
            seen: HashSet::new(),
            parents: HashSet::new(),
            block_size: 0,
            skip: None,
        };
        for (place, tree) in volumes.trees.iter().enumerate() {
            if place == 0 {
                if !more || !walk.tree(tree, visit)? {
                    return Ok(Fields::new());
                }
            } else {
                joliet::tree(&mut walk.image, tree, &mut fields)?;
            }
            tree.path_tables(&mut walk.image, &mut fields)?;
        }
        if let Some(at) = walk.catalog {
            volume::catalog(&mut walk.image, at, &mut fields)?;
        }
        fields.push((&LAYOUT, Value::Text(walk.image.layout()?)));
        let kind = if volumes.has_udf { &UDF } else { &HIDDEN };
        let hidden = walk.image.unclaimed()?;
        fields.extend(hidden.map(|text| (kind, Value::Text(text))));
        Ok(fields)
    }

    fn settle(&self, node: &mut Node) {
        settle_zeros(node, &LAYOUT);
        settle_zeros(node, &SPACE);
    }
}

struct Walk<'a> {
    source: &'a Source,
    image: Image<'a>,
    meter: &'a Meter,
    catalog: Option<u64>,
    /// Blocks of the folders that were walked.
    seen: HashSet<u32>,
    /// Blocks that folders name as those of their parents.
    parents: HashSet<u32>,
    block_size: u64,
    /// Number of bytes to skip in each system use area, if there are such areas.
    skip: Option<usize>,
}

/// A folder that is still to be read.
struct Folder {
    path: String,
    record: Record,
    depth: usize,
    /// Fields of the parent's record for itself.
    parent: Fields,
}

/// Reads the records of a folder from its blocks.
fn records(image: &mut Image, at: u64, size: u32, susp: Susp) -> io::Result<Vec<Record>> {
    let bytes = image.read(at, u64::from(size))?;
    let mut records = Vec::new();
    let block = usize::try_from(susp.block_size).unwrap_or(usize::MAX);
    for sector in bytes.chunks(block) {
        let mut rest = sector;
        while let Some(length) = rest.first().map(|length| usize::from(*length))
            && length > 0
        {
            let (own, more) = rest
                .split_at_checked(length)
                .ok_or_else(|| invalid("a directory record beyond its block"))?;
            records.push(Record::read(own, susp, image)?);
            rest = more;
        }
        image.unused(rest)?;
    }
    Ok(records)
}

/// The fields of a folder from its three records, each once.
fn folder_fields(folder: &Folder, own: &Record, parent: &Record) -> Fields {
    let mut fields = folder.record.fields.clone();
    let more = own.fields.iter().filter(|field| !fields.contains(field));
    let above = if folder.depth == 0 {
        &own.fields
    } else {
        &folder.parent
    };
    let differing = parent.fields.iter().filter(|field| !above.contains(field));
    let more: Fields = more.chain(differing).cloned().collect();
    fields.extend(more);
    fields.push((&FOLDER, Value::Text("folder".into())));
    fields
}

/// The path of a record; parts of its identifier that are not in the path become a field.
fn record_path(folder: &str, record: &mut Record) -> String {
    let name = record.name.as_ref().unwrap_or(&record.identifier);
    if name.contains(&b'/') {
        let text = hex::encode(name);
        record.fields.push((&SLASHED, Value::Text(text)));
    }
    let name = record.name.as_ref().unwrap_or(&record.identifier);
    let shown = path_text(name).replace('/', "\\x2f");
    let shown = shown.strip_suffix(";1").unwrap_or(&shown).to_owned();
    if shown.as_bytes() != record.identifier {
        let text = record.identifier.escape_ascii().to_string();
        record.fields.push((&IDENTIFIER, Value::Text(text)));
    }
    if folder.is_empty() {
        shown
    } else {
        format!("{folder}/{shown}")
    }
}

impl Walk<'_> {
    fn susp(&self) -> Susp {
        Susp {
            skip: self.skip,
            block_size: self.block_size,
        }
    }

    fn at(&self, block: u32) -> u64 {
        u64::from(block).saturating_mul(self.block_size)
    }

    /// Visits the primary tree; returns false if the visit is over.
    fn tree(&mut self, volume: &Volume, visit: Visit) -> io::Result<bool> {
        self.block_size = volume.block_size;
        let root = Record::root(&volume.root, self.block_size, &mut self.image)?;
        let first = self
            .image
            .read(self.at(root.block), u64::from(root.size.min(255)))?;
        self.skip = match first.get(34..41) {
            Some([b'S', b'P', 7, 1, 0xbe, 0xef, skip]) => Some(usize::from(*skip)),
            _ => None,
        };
        let mut waiting = vec![Folder {
            path: String::new(),
            record: root,
            depth: 0,
            parent: Fields::new(),
        }];
        while let Some(folder) = waiting.pop() {
            let mut below = Vec::new();
            if !self.folder(&folder, &mut below, visit)? {
                return Ok(false);
            }
            waiting.extend(below.into_iter().rev());
        }
        if !self.parents.is_subset(&self.seen) {
            return Err(invalid("a folder whose parent is not a folder"));
        }
        Ok(true)
    }

    /// Visits the content of a folder, and lists the folders below it; returns false if the visit is over.
    fn folder(&mut self, folder: &Folder, below: &mut Vec<Folder>, visit: Visit) -> io::Result<bool> {
        let Some((own, rest)) = self.open(folder, visit)? else {
            return Ok(false);
        };
        let mut going = true;
        let mut sections = Vec::new();
        for mut record in rest {
            if !going {
                return Ok(false);
            }
            let path = record_path(&folder.path, &mut record);
            if let Some(block) = record.moved_to {
                // The size is in the folder's record for itself.
                let at = self.at(block);
                let head = self.image.read(at, 34)?;
                record.size = image::both_orders(&head, 10)?;
                record.block = block;
                record.is_folder = true;
            } else if record.is_moved {
                continue;
            }
            if record.is_folder {
                below.push(Folder {
                    path,
                    record,
                    depth: folder.depth.saturating_add(1),
                    parent: own.fields.clone(),
                });
                continue;
            }
            sections.push((self.at(record.block), u64::from(record.size)));
            if !record.goes_on {
                going = self.file(path, record, std::mem::take(&mut sections), visit)?;
            }
        }
        Ok(going)
    }

    /// Visits the folder itself; returns its own record and those of its content, or `None` if the visit is over.
    fn open(
        &mut self,
        folder: &Folder,
        visit: Visit,
    ) -> io::Result<Option<(Record, std::vec::IntoIter<Record>)>> {
        if folder.depth > DEEPEST {
            return Err(Hit::error(Limit::Depth, "very deep folders in a disc image"));
        }
        if !self.seen.insert(folder.record.block) {
            return Err(invalid("a folder of a disc image that is in two places"));
        }
        let at = self.at(folder.record.block);
        self.image.paths.insert(at, format!("{}/", folder.path));
        let susp = self.susp();
        let mut rest = records(&mut self.image, at, folder.record.size, susp)?.into_iter();
        let (Some(own), Some(parent)) = (rest.next(), rest.next()) else {
            return Err(invalid("a folder without the records of itself and its parent"));
        };
        if (own.block, own.size) != (folder.record.block, folder.record.size)
            || own.identifier != [0]
            || parent.identifier != [1]
        {
            return Err(invalid("records of a folder and its parent that are of others"));
        }
        self.parents.insert(parent.block);
        let fields = folder_fields(folder, &own, &parent);
        self.meter.member(folder.path.len())?;
        let going = visit(Member {
            path: format!("{}/", folder.path),
            fields,
            size: 0,
            content: &mut io::empty(),
            source: None,
        })?;
        Ok(going.then_some((own, rest)))
    }

    fn file(
        &mut self,
        path: String,
        record: Record,
        mut sections: Vec<(u64, u64)>,
        visit: Visit,
    ) -> io::Result<bool> {
        self.meter.member(path.len())?;
        let mut size = 0_u64;
        for (at, length) in &sections {
            self.image.claim(*at, *length)?;
            size = size.saturating_add(*length);
        }
        if let [(at, 1..)] = *sections {
            self.image.paths.entry(at).or_insert_with(|| path.clone());
            self.image.sizes.entry(at).or_insert(size);
            // The boot catalog becomes fields, with paths instead of blocks.
            if Some(at) == self.catalog {
                sections.clear();
                size = 0;
            }
        }
        let source = match *sections {
            [(at, length)] => self.source.part(at, length),
            _ => None,
        };
        let mut content = Metered {
            inner: Sections {
                reader: self.source.seekable()?,
                parts: sections,
                next: 0,
                done: 0,
            },
            meter: self.meter,
        };
        visit(Member {
            path,
            fields: record.fields,
            size,
            content: &mut content,
            source,
        })
    }
}
