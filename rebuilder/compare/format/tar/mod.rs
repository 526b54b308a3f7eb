//! tar: POSIX ustar and pax, GNU, and what came before.

mod header;

use std::cell::{Cell, RefCell};
use std::io::{self, Read};
use std::rc::Rc;

use header::{BLOCK, NUMBERS, dialect, extended_headers, odd_number, slack, type_of};

use super::{FormatReader, Member, Visit, described, path_text, settle_zeros, tail};
use crate::compare::cause::{Cause, Confidence, Reason};
use crate::compare::finding::Node;
use crate::compare::limits::{Hit, Limit, Meter, Metered};
use crate::compare::normalise::Normalisation;
use crate::compare::source::Source;
use crate::compare::stored::{FieldKind, Fields, Type, Value, joined};
use crate::compare::tree::clean;

pub(super) struct Tar;

static TYPE: FieldKind = FieldKind::new("type", Cause::Content);
static LINK: FieldKind = FieldKind::new("link", Cause::Content);
static MODE: FieldKind = FieldKind::by("mode", Cause::Permissions, Normalisation::TarFileMode).installed();
static TIME: FieldKind = FieldKind::by("time", Cause::Timestamp, Normalisation::TarTime);
static OWNER: FieldKind = FieldKind::by("owner", Cause::Ownership, Normalisation::TarOwners).installed();
static GROUP: FieldKind = FieldKind::by("group", Cause::Ownership, Normalisation::TarOwners).installed();
static DEVICE: FieldKind = FieldKind::new("device", Cause::Content);
static UNUSED_DEVICE: FieldKind = FieldKind::by(
    "device number",
    Cause::ArchiveDialect,
    Normalisation::TarDeviceNumber,
);
static DIALECT: FieldKind = FieldKind::by("header", Cause::ArchiveDialect, Normalisation::TarHeaders);
static EXTENDED: FieldKind = FieldKind::by(
    "extended headers",
    Cause::ArchiveDialect,
    Normalisation::TarHeaders,
)
.refined(process_number);
/// dpkg keeps paths as they are written.
static SPELLING: FieldKind = FieldKind::by(
    "path as written",
    Cause::ArchiveDialect,
    Normalisation::TarHeaders,
)
.installed();
static ATTRIBUTES: FieldKind = FieldKind::by("pax records", Cause::ArchiveDialect, Normalisation::TarXattrs);
static SECURITY: FieldKind = FieldKind::new("security attributes", Cause::Content);
static MEANING: FieldKind = FieldKind::new("pax records that change what is unpacked", Cause::Content);
static NUMBERS_AS_WRITTEN: FieldKind =
    FieldKind::new("numbers that readers take for different ones", Cause::Content);
static FINE_TIME: FieldKind =
    FieldKind::by("pax times", Cause::Timestamp, Normalisation::TarTime).refined(on_one_side);
static HIDDEN: FieldKind = FieldKind::new("bytes between members", Cause::Content);
static AFTER: FieldKind = FieldKind::new("bytes after the end", Cause::Content);
static ZEROS: FieldKind = FieldKind::by(
    "zeros at the end",
    Cause::ArchiveDialect,
    Normalisation::TarHeaders,
);

/// Times that only one side writes this way are a matter of the dialect.
fn on_one_side(released: &[Value], rebuilt: &[Value]) -> Option<Reason> {
    let one_side = released.is_empty() || rebuilt.is_empty();
    one_side.then(|| {
        Reason::new(
            Cause::ArchiveDialect,
            "tar: pax times on one side only",
            Confidence::Proven,
        )
    })
}

/// GNU tar puts the number of its process into names of extended headers.
fn process_number(released: &[Value], rebuilt: &[Value]) -> Option<Reason> {
    let without = |values: &[Value]| -> String {
        let text = joined(values);
        let mut parts = text.split("PaxHeaders.");
        let first = parts.next().unwrap_or_default().to_owned();
        parts.fold(first, |rest, part| {
            rest + part.trim_start_matches(|c: char| c.is_ascii_digit())
        })
    };
    (without(released) == without(rebuilt)).then(|| {
        Reason::new(
            Cause::Randomness,
            "process number in names of pax headers",
            Confidence::Proven,
        )
    })
}

/// Most bytes of extended headers before one member.
const MOST_EXTENDED: usize = 8 << 20;

/// Keeps what the tar reader reads by itself: headers and padding.
struct Recorder<R> {
    inner: R,
    on: Rc<Cell<bool>>,
    tape: Rc<RefCell<Vec<u8>>>,
}

impl<R: Read> Read for Recorder<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        if self.on.get() {
            let mut tape = self.tape.borrow_mut();
            tape.extend_from_slice(buffer.get(..read).unwrap_or_default());
            if tape.len() > MOST_EXTENDED {
                return Err(Hit::error(
                    Limit::NameLength,
                    "extended headers of more than 8 MiB",
                ));
            }
        }
        Ok(read)
    }
}

impl FormatReader for Tar {
    fn name(&self) -> &'static str {
        "tar"
    }

    fn example(&self) -> (&'static str, &'static [u8]) {
        ("x.tar", b"")
    }

    fn normalisations(&self) -> &'static [Normalisation] {
        &[
            Normalisation::TarDeviceNumber,
            Normalisation::TarFileMode,
            Normalisation::TarFileOrder,
            Normalisation::TarHeaders,
            Normalisation::TarOwners,
            Normalisation::TarTime,
            Normalisation::TarXattrs,
        ]
    }

    fn order(&self) -> Option<Normalisation> {
        Some(Normalisation::TarFileOrder)
    }

    fn begins(&self, head: &[u8]) -> bool {
        let header = head
            .get(..BLOCK)
            .and_then(|block| <&[u8; BLOCK]>::try_from(block).ok());
        let Some(block) = header else { return false };
        if block[0] == 0 {
            return false;
        }
        // The checksum (over all bytes, its own field read as spaces) tells old archives without magic from other bytes.
        let sum: u32 = block
            .iter()
            .enumerate()
            .map(|(at, byte)| {
                if (148..156).contains(&at) {
                    32
                } else {
                    u32::from(*byte)
                }
            })
            .sum();
        tar::Header::from_byte_slice(block)
            .cksum()
            .is_ok_and(|stored| stored == sum)
    }

    fn streams(&self) -> bool {
        true
    }

    fn walk(&self, source: &Source, meter: &Meter, visit: Visit) -> io::Result<Fields> {
        let (on, tape) = (Rc::new(Cell::new(true)), Rc::new(RefCell::new(Vec::new())));
        let inner = Metered {
            inner: io::BufReader::with_capacity(1 << 17, source.open()?),
            meter,
        };
        let mut archive = tar::Archive::new(Recorder {
            inner,
            on: on.clone(),
            tape: tape.clone(),
        });
        let mut padding = 0;
        for entry in archive.entries()? {
            let mut entry = entry?;
            let path_bytes = entry.path_bytes().into_owned();
            meter.member(path_bytes.len())?;
            let mut fields = Fields::new();
            let spelled = path_text(&path_bytes);
            let path = clean(&spelled).into_owned();
            if path != spelled && spelled.strip_suffix('/') != Some(&path) {
                fields.push((&SPELLING, Value::Text(spelled.replacen(&path, "…", 1))));
            }
            recorded(&tape.take(), padding, &mut fields);
            header_fields(&entry, &mut fields);
            if spelled.ends_with('/') {
                let files = fields
                    .iter_mut()
                    .filter(|(_, value)| *value == Value::Type(Type::File));
                files.for_each(|(_, value)| *value = Value::Type(Type::FileOrFolder));
            }
            pax_fields(&mut entry, &mut fields)?;
            let place = (entry.raw_file_position(), entry.size());
            let sparse = entry.header().entry_type().is_gnu_sparse();
            // An extended header may say another size than the header does; of a sparse file that is not what is stored.
            padding = padding_after(if sparse {
                entry.header().entry_size().unwrap_or(0)
            } else {
                entry.size()
            });
            let part = if sparse {
                None
            } else {
                source.part(place.0, place.1)
            };
            on.set(false);
            // The zeros of a sparse file are not in the archive, so they are counted as they are made.
            let mut expanded = Metered {
                inner: &mut entry,
                meter,
            };
            let content: &mut dyn Read = if sparse {
                &mut expanded
            } else {
                &mut *expanded.inner
            };
            let more = visit(Member {
                path,
                fields,
                size: place.1,
                content,
                source: part,
            })?;
            if !more {
                return Ok(Fields::new());
            }
            io::copy(&mut entry, &mut io::sink())?;
            on.set(true);
        }
        on.set(false);
        let recorded = tape.take();
        let rest = archive.into_inner().inner;
        tail(io::Cursor::new(recorded).chain(rest), &AFTER, &ZEROS)
    }

    fn settle(&self, node: &mut Node) {
        settle_zeros(node, &ZEROS);
    }
}

/// What was read before a member: the padding of the one before, extended headers, and its own header.
fn recorded(tape: &[u8], padding: usize, fields: &mut Fields) {
    let between = tape.get(..padding).unwrap_or(tape);
    if between.iter().any(|byte| *byte != 0) {
        fields.push((&HIDDEN, Value::Text(described(between))));
    }
    let extended = tape
        .get(padding..tape.len().saturating_sub(BLOCK))
        .unwrap_or_default();
    if !extended.is_empty() {
        fields.push((&EXTENDED, Value::Text(extended_headers(extended))));
    }
}

fn header_fields<R: Read>(entry: &tar::Entry<R>, fields: &mut Fields) {
    let header = entry.header();
    let kind = header.entry_type();
    fields.push((&TYPE, type_of(kind)));
    if let Some(target) = entry.link_name_bytes().filter(|target| !target.is_empty()) {
        fields.push((&LINK, Value::Target(path_text(&target))));
    }
    if let Ok(mode) = header.mode() {
        fields.push((&MODE, Value::Mode(mode)));
    }
    if let Ok(time) = header.mtime() {
        fields.push((&TIME, Value::Time(i64::try_from(time).unwrap_or(i64::MAX))));
    }
    let name = |bytes: Option<&[u8]>| bytes.map(path_text).filter(|name| !name.is_empty());
    let owner = |id: io::Result<u64>, name: Option<String>| match (id.ok(), name) {
        (Some(id), Some(name)) => format!("{id} {name}"),
        (Some(id), None) => id.to_string(),
        (None, name) => name.unwrap_or_default(),
    };
    fields.push((
        &OWNER,
        Value::Text(owner(header.uid(), name(header.username_bytes()))),
    ));
    fields.push((
        &GROUP,
        Value::Text(owner(header.gid(), name(header.groupname_bytes()))),
    ));
    let number = |number: io::Result<Option<u32>>| number.ok().flatten().unwrap_or(0);
    let device = (number(header.device_major()), number(header.device_minor()));
    let is_device = kind.is_block_special() || kind.is_character_special();
    if is_device || device != (0, 0) {
        let kind = if is_device { &DEVICE } else { &UNUSED_DEVICE };
        fields.push((kind, Value::Text(format!("{}:{}", device.0, device.1))));
    }
    let block = header.as_bytes();
    fields.push((&DIALECT, Value::Text(dialect(block))));
    let odd: Vec<_> = NUMBERS
        .iter()
        .filter_map(|place| odd_number(block, *place))
        .collect();
    if !odd.is_empty() {
        fields.push((&NUMBERS_AS_WRITTEN, Value::Text(odd.join(" "))));
    }
    let slack = slack(block);
    if slack.iter().any(|byte| *byte != 0) {
        fields.push((&HIDDEN, Value::Text(described(&slack))));
    }
}

/// Records of a pax header that say more than the fields above.
fn pax_fields<R: Read>(entry: &mut tar::Entry<R>, fields: &mut Fields) -> io::Result<()> {
    let (mut times, mut security, mut others, mut meaning) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for record in entry.pax_extensions()?.into_iter().flatten() {
        let record = record?;
        let key = path_text(record.key_bytes());
        let text = format!("{key}={}", path_text(record.value_bytes()));
        match key.as_str() {
            "path" | "linkpath" | "size" => {}
            "mtime" | "atime" | "ctime" | "LIBARCHIVE.creationtime" => times.push(text),
            key if key.contains("security.") || key.contains("acl") || key.contains("selinux") => {
                security.push(text);
            }
            key if is_remark(key) => others.push(text),
            // Sparse maps, volumes, character sets, and whatever some unpacker may know of.
            _ => meaning.push(text),
        }
    }
    for (kind, mut records) in [
        (&FINE_TIME, times),
        (&SECURITY, security),
        (&ATTRIBUTES, others),
        (&MEANING, meaning),
    ] {
        if !records.is_empty() {
            records.sort();
            fields.push((kind, Value::Text(records.join(" "))));
        }
    }
    Ok(())
}

/// Whether a pax record is one that no unpacker takes a name, a size or content from: remarks, where the file lay
/// before, and attributes of the user's.
fn is_remark(key: &str) -> bool {
    const REMARKS: [&str; 10] = [
        "comment",
        "uid",
        "gid",
        "uname",
        "gname",
        "SCHILY.dev",
        "SCHILY.ino",
        "SCHILY.nlink",
        "SCHILY.devmajor",
        "SCHILY.devminor",
    ];
    const ATTRIBUTES: [&str; 2] = ["SCHILY.xattr.user.", "LIBARCHIVE.xattr.user."];
    REMARKS.contains(&key) || ATTRIBUTES.iter().any(|start| key.starts_with(start))
}

/// Bytes between the end of a member and the next block.
fn padding_after(size: u64) -> usize {
    let over = size.checked_rem(BLOCK as u64).filter(|over| *over > 0);
    over.and_then(|over| BLOCK.checked_sub(usize::try_from(over).ok()?))
        .unwrap_or(0)
}
