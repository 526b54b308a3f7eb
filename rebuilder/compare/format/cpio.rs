//! cpio, the "new ASCII" formats (magic 070701 and 070702): initramfs images and the payload of RPM packages.

use std::io::{self, Read as _};

use super::{FormatReader, Member, Visit, path_text, settle_zeros, tail};
use crate::compare::cause::Cause;
use crate::compare::finding::Node;
use crate::compare::limits::{Meter, Metered};
use crate::compare::source::Source;
use crate::compare::stored::{FieldKind, Fields, Value};

pub(super) struct Cpio;

static MODE: FieldKind = FieldKind::new("mode", Cause::Permissions);
static TIME: FieldKind = FieldKind::new("time", Cause::Timestamp);
static OWNER: FieldKind = FieldKind::new("owner", Cause::Ownership);
static GROUP: FieldKind = FieldKind::new("group", Cause::Ownership);
static LINKS: FieldKind = FieldKind::new("number of links", Cause::ArchiveDialect);
/// Inode and device numbers of the file system that the files came from.
static INODE: FieldKind = FieldKind::new("inode", Cause::Randomness);
static HOME: FieldKind = FieldKind::new("device of the file system", Cause::HostSystem);
static DEVICE: FieldKind = FieldKind::new("device", Cause::Content);
static SPELLING: FieldKind = FieldKind::new("path as written", Cause::ArchiveDialect);
static AFTER: FieldKind = FieldKind::new("bytes after the end", Cause::Content);
static ZEROS: FieldKind = FieldKind::new("zeros at the end", Cause::ArchiveDialect);

impl FormatReader for Cpio {
    fn name(&self) -> &'static str {
        "cpio"
    }

    fn example(&self) -> (&'static str, &'static [u8]) {
        ("x.cpio", b"070701")
    }

    fn begins(&self, head: &[u8]) -> bool {
        // Thirteen numbers of eight hexadecimal digits follow: texts begin with the magic digits alone.
        let mut numbers = head.iter().take(110).skip(6);
        (head.starts_with(b"070701") || head.starts_with(b"070702")) && numbers.all(u8::is_ascii_hexdigit)
    }

    fn streams(&self) -> bool {
        true
    }

    fn walk(&self, source: &Source, meter: &Meter, visit: Visit) -> io::Result<Fields> {
        let mut stream: Box<dyn io::Read> = Box::new(Metered {
            inner: io::BufReader::with_capacity(1 << 17, source.open()?),
            meter,
        });
        loop {
            let mut reader = cpio::newc::Reader::new(stream)?;
            let entry = reader.entry();
            if entry.is_trailer() {
                return tail(reader.finish()?, &AFTER, &ZEROS);
            }
            meter.member(entry.name().len())?;
            let mut fields: Fields = vec![
                (&MODE, Value::Mode(entry.mode())),
                (&TIME, Value::Time(i64::from(entry.mtime()))),
                (&OWNER, Value::Number(u64::from(entry.uid()))),
                (&GROUP, Value::Number(u64::from(entry.gid()))),
                (&LINKS, Value::Number(u64::from(entry.nlink()))),
                (&INODE, Value::Number(u64::from(entry.ino()))),
                (
                    &HOME,
                    Value::Text(format!("{}:{}", entry.dev_major(), entry.dev_minor())),
                ),
                (
                    &DEVICE,
                    Value::Text(format!("{}:{}", entry.rdev_major(), entry.rdev_minor())),
                ),
            ];
            let spelled = path_text(entry.name().as_bytes());
            let path = spelled.trim_start_matches("./").to_owned();
            if path != spelled {
                fields.push((&SPELLING, Value::Text(spelled.replacen(&path, "…", 1))));
            }
            let size = u64::from(entry.file_size());
            let more = visit(Member {
                path,
                fields,
                size,
                content: &mut reader,
                source: None,
            })?;
            if !more {
                return Ok(Fields::new());
            }
            io::copy(&mut reader.by_ref(), &mut io::sink())?;
            stream = reader.finish()?;
        }
    }

    fn settle(&self, node: &mut Node) {
        settle_zeros(node, &ZEROS);
    }
}
