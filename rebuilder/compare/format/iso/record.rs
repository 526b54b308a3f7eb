//! Directory records of disc images (ECMA-119 9.1), and the additions of Rock Ridge (SUSP 1.12, RRIP 1.12).

use std::io;

use super::time;
use crate::compare::cause::Cause;
use crate::compare::format::image::{Image, both_orders, invalid};
use crate::compare::stored::{FieldKind, Fields, Value};

static TIME: FieldKind = FieldKind::new("time", Cause::Timestamp);
static FLAGS: FieldKind = FieldKind::new("flags of the record", Cause::Content);
/// The upper bits of the mode: file, folder, link or device.
static TYPE: FieldKind = FieldKind::new("type of file", Cause::Content);
static MODE: FieldKind = FieldKind::new("mode", Cause::Permissions);
static OWNER: FieldKind = FieldKind::new("owner", Cause::Ownership);
static GROUP: FieldKind = FieldKind::new("group", Cause::Ownership);
static LINKS: FieldKind = FieldKind::new("number of links", Cause::ArchiveDialect);
static INODE: FieldKind = FieldKind::new("inode", Cause::ArchiveDialect);
static DEVICE: FieldKind = FieldKind::new("device", Cause::Content);
static TARGET: FieldKind = FieldKind::new("target of the link", Cause::Content);
static OTHER: FieldKind = FieldKind::new("other system use entries", Cause::Content);
/// Creation, modification, access, attribute change, backup, expiration, effective.
static TIMES: [FieldKind; 7] = [
    FieldKind::new("creation time", Cause::Timestamp),
    FieldKind::new("modification time", Cause::Timestamp),
    FieldKind::new("access time", Cause::Timestamp),
    FieldKind::new("time of attributes", Cause::Timestamp),
    FieldKind::new("backup time", Cause::Timestamp),
    FieldKind::new("expiration time", Cause::Timestamp),
    FieldKind::new("effective time", Cause::Timestamp),
];

/// Maximum number of continuations of a record.
const MOST_CONTINUATIONS: usize = 64;

pub(super) struct Record {
    /// The stored identifier.
    pub identifier: Vec<u8>,
    /// First block of its bytes, and their number.
    pub block: u32,
    pub size: u32,
    pub is_folder: bool,
    /// Whether the next record continues the same file.
    pub goes_on: bool,
    /// The name from Rock Ridge.
    pub name: Option<Vec<u8>>,
    /// The block that the folder was moved to, if this record is a placeholder; and whether this folder was moved.
    pub moved_to: Option<u32>,
    pub is_moved: bool,
    pub fields: Fields,
}

/// How the system use areas of a tree are read: the number of bytes to skip, if there are such areas.
#[derive(Clone, Copy)]
pub(super) struct Susp {
    pub skip: Option<usize>,
    pub block_size: u64,
}

impl Record {
    /// The record of a root folder, inside a descriptor.
    pub fn root(bytes: &[u8], block_size: u64, image: &mut Image) -> io::Result<Self> {
        let susp = Susp {
            skip: None,
            block_size,
        };
        let root = Self::read(bytes, susp, image)?;
        if root.identifier != [0] {
            return Err(invalid("a root folder with a name"));
        }
        Ok(root)
    }

    /// Reads the record in `bytes`.
    pub fn read(bytes: &[u8], susp: Susp, image: &mut Image) -> io::Result<Self> {
        let short = || invalid("a short directory record");
        let header = bytes.first_chunk::<33>().ok_or_else(short)?;
        if usize::from(header[0]) != bytes.len() {
            return Err(invalid("a directory record of another length"));
        }
        let length = usize::from(header[32]);
        let end = length.saturating_add(33);
        let identifier = bytes.get(33..end).ok_or_else(short)?.to_vec();
        // Padded to an even length.
        let system_use = end.saturating_add(length.saturating_add(1) % 2);
        let flags = header[25];
        let mut record = Self {
            block: both_orders(header, 2)?,
            size: both_orders(header, 10)?,
            is_folder: flags & 2 != 0,
            goes_on: flags & 0x80 != 0,
            name: None,
            moved_to: None,
            is_moved: false,
            fields: Fields::new(),
            identifier,
        };
        time::add(&mut record.fields, &TIME, &header[18..25]);
        // Extended attributes, interleaving and other volumes are reported, but not supported.
        let odd = [header[1], flags & !0x82, header[26], header[27]];
        if odd != [0; 4] || header[28..32] != [1, 0, 0, 1] {
            let text = format!("{} {}", hex::encode(odd), hex::encode(&header[28..32]));
            record.fields.push((&FLAGS, Value::Text(text)));
        }
        image.unused(bytes.get(end..system_use).unwrap_or_default())?;
        let area = bytes.get(system_use..).unwrap_or_default();
        match susp.skip {
            Some(skip) => {
                image.unused(area.get(..skip).unwrap_or(area))?;
                record.system_use(area.get(skip..).unwrap_or_default(), susp, image)?;
            }
            None if area.iter().any(|byte| *byte != 0) => record.other(area),
            None => {}
        }
        Ok(record)
    }

    fn other(&mut self, bytes: &[u8]) {
        self.fields.push((&OTHER, Value::Text(hex::encode(bytes))));
    }

    fn system_use(&mut self, area: &[u8], susp: Susp, image: &mut Image) -> io::Result<()> {
        let mut area = area.to_vec();
        let mut link = Vec::new();
        for _ in 0..MOST_CONTINUATIONS {
            let mut rest = area.as_slice();
            let mut next = None;
            while let [_, _, length, ..] = rest {
                let length = usize::from(*length);
                if length < 4 {
                    break;
                }
                let Some((entry, more)) = rest.split_at_checked(length) else {
                    return Err(invalid("a system use entry beyond its area"));
                };
                rest = more;
                if entry.starts_with(b"CE") {
                    let place = (both_orders(entry, 4)?, both_orders(entry, 12)?);
                    next = Some((place, both_orders(entry, 20)?));
                } else if entry.starts_with(b"ST") {
                    break;
                } else {
                    self.entry(entry, &mut link, image)?;
                }
            }
            image.unused(rest)?;
            let Some(((block, offset), length)) = next else {
                if !link.is_empty() {
                    let text = target(&link).unwrap_or_else(|| link.escape_ascii().to_string());
                    self.fields.push((&TARGET, Value::Text(text)));
                }
                return Ok(());
            };
            let at = u64::from(block).saturating_mul(susp.block_size);
            area = image.read(at.saturating_add(u64::from(offset)), u64::from(length))?;
        }
        Err(invalid("too many continuations of a directory record"))
    }

    fn entry(&mut self, entry: &[u8], link: &mut Vec<u8>, image: &mut Image) -> io::Result<()> {
        let number = |at: usize| both_orders(entry, at).map(u64::from);
        match entry {
            [b'P', b'X', 36 | 44, 1, ..] => {
                let mode = both_orders(entry, 4)?;
                let kind = format!("{:#o}", mode & !0o7777);
                self.fields.push((&TYPE, Value::Text(kind)));
                self.fields.push((&MODE, Value::Mode(mode & 0o7777)));
                self.fields.push((&LINKS, Value::Number(number(12)?)));
                self.fields.push((&OWNER, Value::Number(number(20)?)));
                self.fields.push((&GROUP, Value::Number(number(28)?)));
                if entry.len() == 44 {
                    self.fields.push((&INODE, Value::Number(number(36)?)));
                }
            }
            [b'P', b'N', 20, 1, ..] => {
                let text = format!("{}:{}", number(4)?, number(12)?);
                self.fields.push((&DEVICE, Value::Text(text)));
            }
            [b'N', b'M', _, 1, 0 | 1, name @ ..] => {
                self.name.get_or_insert_default().extend(name);
            }
            // Entries for the folder itself and its parent.
            [b'N', b'M', 5, 1, 2 | 4] | [b'S', b'P', 7, 1, 0xbe, 0xef, _] | [b'R', b'R', 5, 1, _] => {}
            [b'S', b'L', _, 1, flags, parts @ ..] => {
                link.push(*flags);
                link.extend(parts);
            }
            [b'T', b'F', _, 1, flags, times @ ..] => {
                let length = if flags & 0x80 == 0 { 7 } else { 17 };
                let mut times = times.chunks(length);
                for (bit, kind) in TIMES.iter().enumerate() {
                    if flags & (1 << bit) != 0 {
                        time::add(&mut self.fields, kind, times.next().unwrap_or_default());
                    }
                }
                times.try_for_each(|left| image.unused(left))?;
            }
            [b'C', b'L', 12, 1, ..] => self.moved_to = Some(both_orders(entry, 4)?),
            // The parent of a folder that was moved follows from the placeholder.
            [b'P', b'L', 12, 1, ..] => {
                both_orders(entry, 4)?;
            }
            [b'R', b'E', 4, 1] => self.is_moved = true,
            [b'P', b'D', _, 1, padding @ ..] => image.unused(padding)?,
            other => self.other(other),
        }
        Ok(())
    }
}

/// The target of a symbolic link in one entry (RRIP 4.1.3); `None` if it has an unusual form.
fn target(link: &[u8]) -> Option<String> {
    let mut rest = link.strip_prefix(&[0])?;
    let mut parts = Vec::new();
    while let [flags, length, more @ ..] = rest {
        let (name, after) = more.split_at_checked(usize::from(*length))?;
        let name = std::str::from_utf8(name).ok()?;
        parts.push(match (flags, name) {
            (2, "") => ".",
            (4, "") => "..",
            (8, "") if parts.is_empty() => "",
            (0, name) if !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '\\']) => {
                name
            }
            _ => return None,
        });
        rest = after;
    }
    let text = parts.join("/");
    rest.is_empty()
        .then(|| if text.is_empty() { "/".into() } else { text })
}
