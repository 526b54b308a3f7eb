//! cpio: initramfs images and the payload of RPM packages, in the old and new formats; several archives may follow
//! each other.

mod header;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::io::{self, BufRead, Read};

use header::{Dialect, Header};

use super::{FormatReader, Member, Visit, described, path_text, settle_zeros, tail};
use crate::artifact::Sha256;
use crate::compare::cause::Cause;
use crate::compare::finding::Node;
use crate::compare::limits::{Meter, Metered};
use crate::compare::normalise::Normalisation;
use crate::compare::source::{Codec, Source};
use crate::compare::stored::{FieldKind, Fields, Type, Value};
use crate::compare::tree::clean;

pub(super) struct Cpio;

static DIALECT: FieldKind = FieldKind::new("header", Cause::ArchiveDialect);
static TYPE: FieldKind = FieldKind::new("type", Cause::Content);
static MODE: FieldKind = FieldKind::new("mode", Cause::Permissions);
/// A mode has 16 bits; readers cut off others, or keep them.
static BEYOND_MODE: FieldKind = FieldKind::new("bits beyond the mode", Cause::Content);
static TIME: FieldKind = FieldKind::new("time", Cause::Timestamp);
static OWNER: FieldKind = FieldKind::new("owner", Cause::Ownership);
static GROUP: FieldKind = FieldKind::new("group", Cause::Ownership);
static LINKED: FieldKind = FieldKind::new("hard link", Cause::Content);
static LINKS: FieldKind = FieldKind::by("number of links", Cause::HostSystem, Normalisation::CpioInode);
/// GNU cpio creates an empty file with several names only when all of them have come, or at the end.
static DEFERRED: FieldKind = FieldKind::new("empty file that has other names", Cause::AmbiguousArchive);
/// Inode and device numbers of the original file system, which only identify links.
static INODE: FieldKind = FieldKind::by("inode", Cause::HostSystem, Normalisation::CpioInode);
static HOME: FieldKind = FieldKind::by(
    "device of the file system",
    Cause::HostSystem,
    Normalisation::CpioInode,
);
static DEVICE: FieldKind = FieldKind::new("device", Cause::Content);
static UNUSED_DEVICE: FieldKind = FieldKind::new("device number", Cause::ArchiveDialect);
static SPELLING: FieldKind = FieldKind::new("path as written", Cause::ArchiveDialect);
/// Sums are added up, and wrong ones are content.
static CHECKSUM: FieldKind = FieldKind::by("checksum", Cause::ArchiveDialect, Normalisation::CpioChecksums);
static SUM: FieldKind = FieldKind::new("sum in a format without sums", Cause::Content);
static WRONG_SUMS: FieldKind = FieldKind::new("sums that do not fit the contents", Cause::Content);
/// GNU cpio passes over headers that are not in the format of the first one.
static MIXED: FieldKind = FieldKind::new(
    "headers in another format than the first",
    Cause::AmbiguousArchive,
);
static BEHIND_NAME: FieldKind = FieldKind::new("bytes behind the name", Cause::Content);
static PADDING: FieldKind = FieldKind::new("bytes between members", Cause::Content);
/// GNU cpio reads only the first archive, but the kernel reads all of them.
static PART: FieldKind = FieldKind::new("archive", Cause::Content);
/// The kernel finds a further archive only at a multiple of four bytes.
static UNALIGNED: FieldKind = FieldKind::new("offset of a further archive", Cause::AmbiguousArchive);
static TRAILER: FieldKind = FieldKind::new("end mark", Cause::Content);
static AFTER: FieldKind = FieldKind::new("bytes after the end", Cause::Content);
static ZEROS: FieldKind = FieldKind::new("zeros at the end", Cause::ArchiveDialect);

impl FormatReader for Cpio {
    fn name(&self) -> &'static str {
        "cpio"
    }

    fn example(&self) -> (&'static str, &'static [u8]) {
        let trailer = b"07070100000000000000000000000000000000000000010000000000000000\
            000000000000000000000000000000000000000B00000000TRAILER!!!\0\0\0\0";
        ("x.cpio", trailer)
    }

    fn normalisations(&self) -> &'static [Normalisation] {
        &[
            Normalisation::CpioChecksums,
            Normalisation::CpioFileOrder,
            Normalisation::CpioInode,
        ]
    }

    fn order(&self) -> Option<Normalisation> {
        Some(Normalisation::CpioFileOrder)
    }

    fn folders_first(&self) -> bool {
        true
    }

    fn begins(&self, head: &[u8]) -> bool {
        Header::begins(head)
    }

    fn streams(&self) -> bool {
        true
    }

    fn walk(&self, source: &Source, meter: &Meter, visit: Visit) -> io::Result<Fields> {
        Self::walk_reader(source.open()?, meter, visit)
    }

    fn settle(&self, node: &mut Node) {
        settle_zeros(node, &ZEROS);
    }
}

impl Cpio {
    /// Walks an archive from a reader, to its end.
    pub(super) fn walk_reader(inner: impl Read, meter: &Meter, visit: Visit) -> io::Result<Fields> {
        let mut reader = io::BufReader::with_capacity(1 << 17, Metered { inner, meter });
        let mut walk = Walk::default();
        loop {
            let Some(header) = Header::read(&mut reader)? else {
                return Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "it ends without an end mark",
                ));
            };
            let (name, behind) = header.read_name(&mut reader)?;
            walk.dialect(&header, &name);
            if name == b"TRAILER!!!" {
                walk.trailer(&header, &behind);
                if !walk.next_archive(&mut reader, visit)? {
                    return walk.end(reader);
                }
                continue;
            }
            meter.member(name.len())?;
            if !walk.member(&header, &name, &behind, &mut reader, visit)? {
                return Ok(Fields::new());
            }
        }
    }
}

/// A property of many members that differs only if something is wrong: the count, the first one, and a digest of all.
#[derive(Default)]
struct Noted {
    count: u64,
    first: String,
    all: String,
}

impl Noted {
    fn add(&mut self, text: String) {
        self.count = self.count.saturating_add(1);
        self.all = Sha256::of(format!("{} {text}", self.all).as_bytes()).to_hex();
        if self.count == 1 {
            self.first = text;
        }
    }

    fn field(self, kind: &'static FieldKind) -> Option<(&'static FieldKind, Value)> {
        let text = format!("{}: {}, sha256 {:.16}…", self.count, self.first, self.all);
        (self.count > 0).then_some((kind, Value::Text(text)))
    }
}

/// The state of reading an archive.
#[derive(Default)]
struct Walk {
    /// Number of archives before this one.
    part: u64,
    /// The first name of each file that has several.
    linked: HashMap<((u64, u64), u64), String>,
    /// The format of this archive's first header.
    first: Option<Dialect>,
    mixed: Noted,
    padding: Noted,
    wrong_sums: Noted,
    fields: Fields,
}

impl Walk {
    fn dialect(&mut self, header: &Header, name: &[u8]) {
        let first = *self.first.get_or_insert(header.dialect);
        if header.dialect != first {
            let (own, first) = (header.dialect.name(), first.name());
            let name = path_text(name);
            self.mixed.add(format!("{name} is {own}, not {first}"));
        }
    }

    fn member(
        &mut self,
        header: &Header,
        name: &[u8],
        behind: &[u8],
        reader: &mut impl Read,
        visit: Visit,
    ) -> io::Result<bool> {
        let spelled = path_text(name);
        let path = clean(&spelled).into_owned();
        let mut fields = self.fields_of(header, &path);
        if path != spelled {
            fields.push((&SPELLING, Value::Text(spelled.replacen(&path, "…", 1))));
        }
        if !behind.is_empty() {
            fields.push((&BEHIND_NAME, Value::Text(described(behind))));
        }
        let mut content = Summed {
            inner: reader.by_ref().take(header.size),
            sum: 0,
        };
        let more = visit(Member {
            path: path.clone(),
            fields,
            size: header.size,
            content: &mut content,
            source: None,
        })?;
        if !more {
            return Ok(false);
        }
        io::copy(&mut content, &mut io::sink())?;
        let (left, sum) = (content.inner.limit(), u64::from(content.sum));
        if left > 0 {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                format!("{path}: {left} of its {} bytes are missing", header.size),
            ));
        }
        let is_file = Type::of_mode(mode(header)) == Some(Type::File);
        if header.dialect == Dialect::Sums && header.sum != sum && (is_file || header.sum != 0) {
            self.wrong_sums
                .add(format!("{path} has {:#x}, not {sum:#x}", header.sum));
        }
        let mut padding = Vec::new();
        reader.by_ref().take(header.padding()).read_to_end(&mut padding)?;
        if padding.iter().any(|byte| *byte != 0) {
            self.padding.add(format!("behind {path} {}", described(&padding)));
        }
        Ok(true)
    }

    fn fields_of(&mut self, header: &Header, path: &str) -> Fields {
        let mode = mode(header);
        let what = Type::of_mode(mode).unwrap_or(Type::Other);
        let has_sums = header.dialect == Dialect::Sums;
        let dialect = if has_sums { Dialect::New } else { header.dialect };
        let dialect = format!("{}{}", dialect.name(), header.letters);
        let mut fields: Fields = vec![
            (&DIALECT, Value::Text(dialect)),
            (&TYPE, Value::Type(what)),
            (&MODE, Value::Mode(mode & 0o7777)),
            (&TIME, Value::Time(i64::try_from(header.time).unwrap_or(i64::MAX))),
            (&OWNER, Value::Number(header.owner)),
            (&GROUP, Value::Number(header.group)),
            (&LINKS, Value::Number(header.links)),
            (&INODE, Value::Number(header.inode)),
            (&HOME, numbers(header.home)),
        ];
        if header.mode > 0o177_777 {
            fields.push((&BEYOND_MODE, Value::Text(format!("{:#o}", header.mode))));
        }
        if header.links > 1 && header.size == 0 && what == Type::File {
            fields.push((&DEFERRED, Value::Text("made later".to_owned())));
        }
        if header.links > 1 && what != Type::Folder {
            let first = self.linked.entry((header.home, header.inode));
            let first = first.or_insert_with(|| path.to_owned());
            if first != path {
                fields.push((&LINKED, Value::Target(first.clone())));
            }
        }
        let is_device = matches!(what, Type::CharacterDevice | Type::BlockDevice);
        if is_device {
            fields.push((&DEVICE, numbers(header.device)));
        } else if header.device != (0, 0) {
            fields.push((&UNUSED_DEVICE, numbers(header.device)));
        }
        if has_sums {
            // Writers sum the contents of files only; readers ignore the sum of anything else.
            let is_summed = what == Type::File || header.sum != 0;
            let stored = if is_summed { "stored (crc)" } else { "zero (crc)" };
            fields.push((&CHECKSUM, Value::Text(stored.to_owned())));
        } else if header.sum != 0 {
            fields.push((&SUM, Value::Text(format!("{:#x}", header.sum))));
        }
        if self.part > 0 {
            fields.push((&PART, Value::Number(self.part.saturating_add(1))));
        }
        fields
    }

    /// Checks the member that ends an archive, which should have only its name and one link.
    fn trailer(&mut self, header: &Header, behind: &[u8]) {
        let mut text = format!("{} links", header.links);
        let numbers = [header.inode, header.mode, header.owner, header.group, header.time];
        let others = [header.size, header.sum, header.home.0, header.home.1];
        let odd = numbers.iter().chain(&others).any(|number| *number != 0) || header.device != (0, 0);
        if odd || !behind.is_empty() {
            text.push_str(&format!(", {header:?} {}", described(behind)));
        }
        self.fields.push((&TRAILER, Value::Text(text)));
    }

    /// Whether another archive follows, as the kernel reads them. A compressed one counts as a member.
    fn next_archive<R: Read>(&mut self, reader: &mut io::BufReader<R>, visit: Visit) -> io::Result<bool> {
        let mut zeros = 0_u64;
        loop {
            let buffer = reader.fill_buf()?;
            let here = buffer.iter().take_while(|byte| **byte == 0).count();
            let ends = buffer.is_empty() || here < buffer.len();
            reader.consume(here);
            zeros = zeros.saturating_add(here as u64);
            if ends {
                break;
            }
        }
        self.fields.push((&ZEROS, Value::Number(zeros)));
        // The buffer has enough bytes for a header and its name, unless the input ends there.
        let head = reader.buffer();
        self.part = self.part.saturating_add(1);
        self.linked.clear();
        self.first = None;
        if Header::begins(head) {
            let is_new = head.starts_with(b"070701") || head.starts_with(b"070702");
            if is_new && zeros.checked_rem(4) != Some(0) {
                let text = format!("{zeros} zeros before it");
                self.fields.push((&UNALIGNED, Value::Text(text)));
            }
            return Ok(true);
        }
        if Codec::detect(head).is_some() {
            let part = self.part.saturating_add(1);
            visit(Member {
                path: format!("archive {part}"),
                fields: vec![(&TYPE, Value::Type(Type::Header))],
                size: 0,
                content: reader,
                source: None,
            })?;
        }
        Ok(false)
    }

    fn end(mut self, rest: impl Read) -> io::Result<Fields> {
        let after = tail(rest, &AFTER, &ZEROS)?;
        self.fields
            .extend(after.into_iter().filter(|(kind, _)| *kind == &AFTER));
        self.fields.extend(self.padding.field(&PADDING));
        self.fields.extend(self.wrong_sums.field(&WRONG_SUMS));
        self.fields.extend(self.mixed.field(&MIXED));
        Ok(self.fields)
    }
}

fn mode(header: &Header) -> u32 {
    u32::try_from(header.mode).unwrap_or(u32::MAX)
}

fn numbers((major, minor): (u64, u64)) -> Value {
    Value::Text(format!("{major}:{minor}"))
}

/// Sums the bytes that are read, as the format with checksums does.
struct Summed<R> {
    inner: R,
    sum: u32,
}

impl<R: Read> Read for Summed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        let bytes = buffer.get(..read).unwrap_or_default();
        self.sum = bytes
            .iter()
            .fold(self.sum, |sum, byte| sum.wrapping_add(u32::from(*byte)));
        Ok(read)
    }
}
