//! ar: Debian packages (deb(5)) and static libraries, GNU and BSD.

use std::io::{self, Read, Seek, SeekFrom};

use object::read::ReadCache;
use object::read::archive::ArchiveFile;

use super::{FormatReader, Member, Visit, described, path_text};
use crate::compare::cause::Cause;
use crate::compare::limits::{Meter, Metered};
use crate::compare::normalise::Normalisation;
use crate::compare::source::Source;
use crate::compare::stored::{FieldKind, Fields, Value};

pub(super) struct Ar;

static MODE: FieldKind = FieldKind::by("mode", Cause::Permissions, Normalisation::ArMetadata);
static TIME: FieldKind = FieldKind::by("time", Cause::Timestamp, Normalisation::ArMetadata);
static OWNER: FieldKind = FieldKind::by("owner", Cause::Ownership, Normalisation::ArMetadata);
static GROUP: FieldKind = FieldKind::by("group", Cause::Ownership, Normalisation::ArMetadata);
static INDEX_TIME: FieldKind = FieldKind::by(
    "time of the symbol index",
    Cause::Timestamp,
    Normalisation::ArMetadata,
);
/// Made anew from the members by the tool that writes the archive.
static INDEX: FieldKind = FieldKind::new("symbol index and name table", Cause::Checksum);
static HIDDEN: FieldKind = FieldKind::new("bytes between members", Cause::Content);

const MAGIC: usize = 8;
const HEADER: u64 = 60;
/// Most bytes of symbol index and name table.
const MOST_INDEX: u64 = 64 << 20;

impl FormatReader for Ar {
    fn name(&self) -> &'static str {
        "ar"
    }

    fn example(&self) -> (&'static str, &'static [u8]) {
        ("x.deb", b"!<arch>\n")
    }

    fn normalisations(&self) -> &'static [Normalisation] {
        &[Normalisation::ArMetadata]
    }

    fn begins(&self, head: &[u8]) -> bool {
        head.starts_with(b"!<arch>\n")
    }

    fn streams(&self) -> bool {
        false
    }

    fn walk(&self, source: &Source, meter: &Meter, visit: Visit) -> io::Result<Fields> {
        let cache = ReadCache::new(source.seekable()?);
        let archive = ArchiveFile::parse(&cache).map_err(invalid)?;
        let mut fields = Fields::new();
        let mut end = MAGIC as u64;
        for member in archive.members() {
            let member = member.map_err(invalid)?;
            meter.member(member.name().len())?;
            let (at, size) = member.file_range();
            let Some(header) = member.header() else {
                return Err(invalid("a member without a header"));
            };
            let mut own = Fields::new();
            if let Some(mode) = member.mode() {
                own.push((&MODE, Value::Mode(u32::try_from(mode).unwrap_or(u32::MAX))));
            }
            if let Some(time) = member.date() {
                own.push((&TIME, Value::Time(i64::try_from(time).unwrap_or(i64::MAX))));
            }
            for (kind, id) in [(&OWNER, member.uid()), (&GROUP, member.gid())] {
                if let Some(id) = id {
                    own.push((kind, Value::Number(id)));
                }
            }
            // A BSD name of `#1/N` takes the first N bytes of the member.
            let inline = std::str::from_utf8(&header.name)
                .ok()
                .and_then(|name| name.strip_prefix("#1/")?.trim_end().parse::<u64>().ok())
                .unwrap_or(0);
            let begin = at.saturating_sub(inline.saturating_add(HEADER));
            between(&mut *source.seekable()?, end, begin, &mut fields)?;
            end = at.saturating_add(size);
            let part = source.part(at, size);
            let mut reader = source.seekable()?;
            reader.seek(SeekFrom::Start(at))?;
            let mut content = Metered {
                inner: reader.take(size),
                meter,
            };
            let path = path_text(member.name()).trim_end_matches('/').to_owned();
            let more = visit(Member {
                path,
                fields: own,
                size,
                content: &mut content,
                source: part,
            })?;
            if !more {
                return Ok(Fields::new());
            }
        }
        let size = source.seekable()?.seek(SeekFrom::End(0))?;
        if end > size {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        between(&mut *source.seekable()?, end, size, &mut fields)?;
        Ok(fields)
    }
}

fn invalid(error: impl std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error.to_string())
}

/// What is between two members: padding to even addresses, symbol index, name table.
fn between(
    reader: &mut dyn crate::compare::source::ReadSeek,
    from: u64,
    to: u64,
    fields: &mut Fields,
) -> io::Result<()> {
    let mut bytes = Vec::new();
    reader.seek(SeekFrom::Start(from))?;
    reader
        .take(to.saturating_sub(from).min(MOST_INDEX))
        .read_to_end(&mut bytes)?;
    let mut rest: &[u8] = bytes.strip_prefix(b"\n").unwrap_or(&bytes);
    while let Some((header, body)) = rest.split_first_chunk::<60>()
        && header.starts_with(b"/")
        && header.ends_with(b"`\n")
    {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        if let Ok(time) = text(&header[16..28]).parse::<i64>() {
            fields.push((&INDEX_TIME, Value::Time(time)));
        }
        let size: usize = text(&header[48..58]).parse().map_err(invalid)?;
        let (index, after) = body.split_at_checked(size).unwrap_or((body, &[]));
        fields.push((&INDEX, Value::Text(described(index))));
        rest = after.strip_prefix(b"\n").unwrap_or(after);
    }
    if rest.iter().any(|byte| !matches!(byte, 0 | b'\n')) {
        fields.push((&HIDDEN, Value::Text(described(rest))));
    }
    Ok(())
}
