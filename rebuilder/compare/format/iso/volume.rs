//! Volume descriptors of disc images (ECMA-119 8), path tables and the boot catalog (El Torito 1.0).

use std::io;

use super::time;
use crate::compare::cause::Cause;
use crate::compare::format::described;
use crate::compare::format::image::{Image, both_orders, invalid};
use crate::compare::stored::{FieldKind, Fields, Value};

static CREATED: FieldKind = FieldKind::new("creation time of the volume", Cause::Timestamp);
static MODIFIED: FieldKind = FieldKind::new("modification time of the volume", Cause::Timestamp);
static EXPIRES: FieldKind = FieldKind::new("expiration time of the volume", Cause::Timestamp);
static EFFECTIVE: FieldKind = FieldKind::new("effective time of the volume", Cause::Timestamp);
static SYSTEM: FieldKind = FieldKind::new("system identifier", Cause::Content);
static VOLUME: FieldKind = FieldKind::new("volume identifier", Cause::Content);
static SET: FieldKind = FieldKind::new("volume set identifier", Cause::Content);
static PUBLISHER: FieldKind = FieldKind::new("publisher identifier", Cause::Content);
static PREPARER: FieldKind = FieldKind::new("data preparer identifier", Cause::Content);
static APPLICATION: FieldKind = FieldKind::new("application identifier", Cause::Content);
static FILES: FieldKind = FieldKind::new("copyright, abstract and bibliographic files", Cause::Content);
pub(super) static SPACE: FieldKind = FieldKind::new("volume size", Cause::Content);
static REST: FieldKind = FieldKind::new("rest of the volume descriptor", Cause::Content);
static USE: FieldKind = FieldKind::new("application use of the volume descriptor", Cause::Content);
static TABLE: FieldKind = FieldKind::new("path table", Cause::Content);
static BOOT: FieldKind = FieldKind::new("boot catalog", Cause::Content);
static RECOGNITION: FieldKind = FieldKind::new("volume recognition of UDF", Cause::Content);

/// Size of a descriptor.
pub(super) const SECTOR: u64 = 2048;
/// Offset of the first descriptor.
pub(super) const FIRST: u64 = 16 * SECTOR;
const MOST_DESCRIPTORS: u64 = 64;
const TERMINATOR: u8 = 255;

/// A tree of folders, and the content of its descriptor.
pub(super) struct Volume {
    pub root: Vec<u8>,
    pub block_size: u64,
    /// Whether names are in UCS-2.
    pub is_joliet: bool,
    table_size: u32,
    tables: [u32; 4],
}

/// The content of all descriptors.
pub(super) struct Volumes {
    pub trees: Vec<Volume>,
    pub fields: Fields,
    pub has_udf: bool,
    /// Offset of the boot catalog.
    pub catalog: Option<u64>,
}

pub(super) fn descriptors(image: &mut Image) -> io::Result<Volumes> {
    let mut found = Volumes {
        trees: Vec::new(),
        fields: Fields::new(),
        has_udf: false,
        catalog: None,
    };
    let mut ended = false;
    for sector in 0..MOST_DESCRIPTORS {
        let at = FIRST.saturating_add(sector.saturating_mul(SECTOR));
        if ended && !image.holds(at, SECTOR) {
            return Ok(found);
        }
        let known = image.claimed_parts();
        let bytes = image.read(at, SECTOR)?;
        match bytes.get(..6).unwrap_or_default() {
            [kind, b'C', b'D', b'0', b'0', b'1'] if !ended => match kind {
                0 => boot_record(&bytes, &mut found),
                1 | 2 => found.volume(&bytes)?,
                _ => {
                    let mut rest = bytes.clone();
                    rest.truncate(7);
                    ended = *kind == TERMINATOR;
                    let unused = bytes.get(7..).unwrap_or_default();
                    image.unused(unused)?;
                    found.fields.push((&REST, Value::Text(hex::encode(rest))));
                }
            },
            [0, b'B' | b'N' | b'T', ..] if ended && is_udf(&bytes) => {
                found.has_udf = true;
                found
                    .fields
                    .push((&RECOGNITION, Value::Text(hex::encode(&bytes))));
            }
            _ if ended => {
                image.disclaim(known);
                return Ok(found);
            }
            _ => return Err(invalid("a volume descriptor without its mark")),
        }
    }
    Err(invalid("too many volume descriptors"))
}

fn is_udf(bytes: &[u8]) -> bool {
    matches!(
        bytes.get(1..6),
        Some(b"BEA01" | b"NSR02" | b"NSR03" | b"TEA01" | b"BOOT2")
    )
}

fn boot_record(bytes: &[u8], found: &mut Volumes) {
    let mut rest = bytes.to_vec();
    if bytes.get(7..30) == Some(b"EL TORITO SPECIFICATION")
        && let Some(place) = rest.get_mut(71..75)
        && let [a, b, c, d] = *place
    {
        found.catalog = Some(u64::from(u32::from_le_bytes([a, b, c, d])).saturating_mul(SECTOR));
        place.fill(0);
    }
    found.fields.push((&REST, Value::Text(hex::encode(rest))));
}

impl Volumes {
    fn volume(&mut self, bytes: &[u8]) -> io::Result<()> {
        const TEXTS: [(&FieldKind, usize, usize); 7] = [
            (&SYSTEM, 8, 40),
            (&VOLUME, 40, 72),
            (&SET, 190, 318),
            (&PUBLISHER, 318, 446),
            (&PREPARER, 446, 574),
            (&APPLICATION, 574, 702),
            (&FILES, 702, 813),
        ];
        const TIMES: [(&FieldKind, usize, usize); 4] = [
            (&CREATED, 813, 830),
            (&MODIFIED, 830, 847),
            (&EXPIRES, 847, 864),
            (&EFFECTIVE, 864, 881),
        ];
        let part = |from: usize, to: usize| bytes.get(from..to).unwrap_or_default();
        for (kind, from, to) in TEXTS {
            let text = part(from, to).escape_ascii().to_string();
            let text = text.trim_end().to_owned();
            self.fields.push((kind, Value::Text(text)));
        }
        for (kind, from, to) in TIMES {
            time::add(&mut self.fields, kind, part(from, to));
        }
        let space = both_orders(bytes, 80)?;
        self.fields.push((&SPACE, Value::Number(u64::from(space))));
        let little = |at: usize| match *part(at, at.saturating_add(4)) {
            [a, b, c, d] => u32::from_le_bytes([a, b, c, d]),
            _ => 0,
        };
        let block_size = u64::from(little(128) & 0xffff);
        if ![512, 1024, 2048].contains(&block_size) {
            return Err(invalid("blocks of an unusual size"));
        }
        self.trees.push(Volume {
            root: part(156, 190).to_vec(),
            block_size,
            is_joliet: matches!(part(88, 91), [b'%', b'/', b'@' | b'C' | b'E']),
            table_size: both_orders(bytes, 132)?,
            tables: [
                little(140),
                little(144),
                little(148).swap_bytes(),
                little(152).swap_bytes(),
            ],
        });
        let rest = [part(0, 8), part(72, 80), part(88, 132), part(881, 883)].concat();
        self.fields.push((&REST, Value::Text(hex::encode(rest))));
        for unused in [part(883, 1395), part(1395, 2048)] {
            self.fields.push((&USE, Value::Text(described(unused))));
        }
        Ok(())
    }
}

impl Volume {
    /// Adds the path tables, with folders instead of blocks. The tables in both byte orders must be equal.
    pub fn path_tables(&self, image: &mut Image, fields: &mut Fields) -> io::Result<()> {
        for (place, block) in self.tables.into_iter().enumerate() {
            if block == 0 {
                fields.push((&TABLE, Value::Text("none".into())));
                continue;
            }
            let is_little = place < 2;
            let at = u64::from(block).saturating_mul(self.block_size);
            let bytes = image.read(at, u64::from(self.table_size))?;
            let text = table(&bytes, is_little, self.block_size, image)?;
            let digest = crate::artifact::Sha256::of(text.as_bytes()).to_hex();
            let shown = format!("{} folders, sha256 {digest}", text.lines().count());
            fields.push((&TABLE, Value::Text(shown)));
        }
        Ok(())
    }
}

fn table(bytes: &[u8], is_little: bool, block_size: u64, image: &mut Image) -> io::Result<String> {
    let mut text = String::new();
    let mut rest = bytes;
    while let [length, extended, a, b, c, d, e, f, more @ ..] = rest {
        let length = usize::from(*length);
        let Some((name, after)) = more.split_at_checked(length) else {
            return Err(invalid("a path table that ends within a name"));
        };
        let (block, parent) = if is_little {
            (u32::from_le_bytes([*a, *b, *c, *d]), u16::from_le_bytes([*e, *f]))
        } else {
            (u32::from_be_bytes([*a, *b, *c, *d]), u16::from_be_bytes([*e, *f]))
        };
        let at = u64::from(block).saturating_mul(block_size);
        let path = image.paths.get(&at);
        let path = path.map_or_else(|| format!("block {block}"), Clone::clone);
        text.push_str(&format!("{extended} {parent} {} {path:?}\n", name.escape_ascii()));
        rest = after.get(length % 2..).unwrap_or_default();
    }
    image.unused(rest)?;
    Ok(text)
}

/// Adds the boot catalog, with files instead of blocks.
pub(super) fn catalog(image: &mut Image, at: u64, fields: &mut Fields) -> io::Result<()> {
    let bytes = image.read(at, SECTOR)?;
    for (place, entry) in bytes.chunks_exact(32).enumerate() {
        let [kind, _, _, _, _, _, c0, c1, a, b, c, d, ..] = entry else {
            continue;
        };
        let mut text = hex::encode(entry);
        // The first entry only validates; headers of sections and extensions have no image.
        if place > 0 && matches!(kind, 0x88 | 0x00) && entry.iter().any(|byte| *byte != 0) {
            let block = u32::from_le_bytes([*a, *b, *c, *d]);
            let from = u64::from(block).saturating_mul(SECTOR);
            let image_of = if let Some(path) = image.paths.get(&from) {
                path.clone()
            } else {
                let length = u64::from(u16::from_le_bytes([*c0, *c1])).saturating_mul(512);
                format!("sha256 {}", image.digest(from, length)?.to_hex())
            };
            text.replace_range(16..24, "");
            text = format!("{text} {image_of}");
        }
        if entry.iter().any(|byte| *byte != 0) {
            fields.push((&BOOT, Value::Text(text)));
        }
    }
    Ok(())
}
