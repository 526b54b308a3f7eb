//! ar: Debian packages (deb(5)) and static libraries, GNU and BSD, with their members inside or outside (thin
//! archives).

mod header;
mod index;
#[cfg(test)]
mod tests;

use std::io::{self, Read, Seek, SeekFrom};

use header::{HEADER, Header, Name, NameTable};
use index::{INDEX, Index, WRONG};

use super::{FormatReader, Member, Visit, described, path_text};
use crate::compare::cause::Cause;
use crate::compare::finding::Node;
use crate::compare::limits::{Hit, Limit, Meter, Metered};
use crate::compare::normalise::Normalisation;
use crate::compare::source::Source;
use crate::compare::stored::{FieldKind, Fields, Value};

pub(super) struct Ar;

/// The tool that writes the archive sets it to the current time.
static INDEX_TIME: FieldKind = FieldKind::by(
    "time of the symbol index",
    Cause::Timestamp,
    Normalisation::ArMetadata,
);
static THIN: FieldKind = FieldKind::new("kind of archive", Cause::Content);
static OUTSIDE: FieldKind = FieldKind::new("size of the file outside", Cause::Content);
static PADDING: FieldKind = FieldKind::new("padding", Cause::Content);
static AFTER: FieldKind = FieldKind::new("bytes after the last member", Cause::Content);

const MAGIC: u64 = 8;
/// Maximum number of bytes of a symbol index, and of a name table.
const MOST_TABLE: u64 = 64 << 20;

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
        head.starts_with(b"!<arch>\n") || head.starts_with(b"!<thin>\n")
    }

    fn streams(&self) -> bool {
        false
    }

    fn walk(&self, source: &Source, meter: &Meter, visit: Visit) -> io::Result<Fields> {
        let mut walk = Walk::begin(source, meter)?;
        while let Some(header) = walk.next()? {
            if !walk.take(&header, visit)? {
                return Ok(Fields::new());
            }
        }
        Ok(walk.end())
    }

    fn settle(&self, node: &mut Node) {
        // A wrong index is reported once.
        if node.findings.iter().any(|finding| finding.place.is(&WRONG)) {
            node.findings.retain(|finding| !finding.place.is(&INDEX));
        }
        // A correct index only repeats what the members contain.
        for finding in node
            .findings
            .iter_mut()
            .filter(|finding| finding.place.is(&INDEX))
        {
            if finding.released.is_empty() || finding.rebuilt.is_empty() {
                // Linkers refuse a library without an index.
                finding.cause = Cause::Content;
                finding.key = String::new();
            } else {
                finding.follows = true;
            }
        }
    }
}

fn invalid(reason: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason.into())
}

/// The state of reading one archive.
struct Walk<'a> {
    source: &'a Source,
    meter: &'a Meter,
    /// Offset of the next header.
    at: u64,
    size: u64,
    thin: bool,
    names: NameTable,
    index: Option<Index>,
    fields: Fields,
}

impl<'a> Walk<'a> {
    fn begin(source: &'a Source, meter: &'a Meter) -> io::Result<Self> {
        let thin = source.head(8)?.starts_with(b"!<thin>");
        let mut fields = Fields::new();
        if thin {
            fields.push((&THIN, Value::Text("thin".into())));
        }
        Ok(Self {
            source,
            meter,
            at: MAGIC,
            size: source.seekable()?.seek(SeekFrom::End(0))?,
            thin,
            names: NameTable::default(),
            index: None,
            fields,
        })
    }

    /// The header of the next member, unless the remaining bytes are not a header.
    fn next(&mut self) -> io::Result<Option<Header>> {
        if self.at >= self.size {
            return Ok(None);
        }
        let bytes = self.read(self.at, HEADER.min(self.size.saturating_sub(self.at)))?;
        let header = <&[u8; 60]>::try_from(bytes.as_slice())
            .ok()
            .and_then(Header::parse);
        if header.is_none() {
            // Readers differ in where they stop.
            let left = self.size.saturating_sub(self.at);
            let rest = self.read(self.at, left.min(MOST_TABLE))?;
            let text = format!("{left} bytes: {}", described(&rest));
            self.fields.push((&AFTER, Value::Text(text)));
        }
        Ok(header)
    }

    /// Reads one member, or a table; returns whether to continue.
    fn take(&mut self, header: &Header, visit: Visit) -> io::Result<bool> {
        let begin = self.at;
        let body = begin.saturating_add(HEADER);
        let is_table = matches!(header.name, Name::Table | Name::Index(_));
        let stored = if self.thin && !is_table { 0 } else { header.size };
        let end = body.saturating_add(stored);
        let name = self.name(&header.name, body)?;
        if end > self.size {
            let left = self.size.saturating_sub(body);
            let shown = path_text(&name);
            return Err(invalid(format!(
                "{shown}: only {left} of its {stored} bytes are there"
            )));
        }
        self.pad(end, &name)?;
        if is_table {
            self.table(header, body)?;
            return Ok(true);
        }
        let inline = match header.name {
            Name::Inline(length) => length,
            _ => 0,
        };
        let from = body.saturating_add(inline);
        let left = stored
            .checked_sub(inline)
            .ok_or_else(|| invalid("a name that is longer than its member"))?;
        // For BSD tools, the index is a member with a special name.
        if let Some(kind) = index::named(&name) {
            self.index(kind, header, from, left)?;
            return Ok(true);
        }
        self.meter.member(name.len())?;
        let mut fields = header.fields();
        if self.thin {
            fields.push((&OUTSIDE, Value::Number(header.size)));
        }
        let part = self.source.part(from, left);
        if self.index.as_ref().is_some_and(Index::is_open) {
            let bytes = self.read(from, if left > MOST_TABLE { 0 } else { left })?;
            if let Some(index) = &mut self.index {
                index.member(begin, &name, &bytes);
            }
        }
        let mut reader = self.source.seekable()?;
        reader.seek(SeekFrom::Start(from))?;
        let mut content = Metered {
            inner: reader.take(left),
            meter: self.meter,
        };
        visit(Member {
            path: path_text(&name),
            fields,
            size: left,
            content: &mut content,
            source: part,
        })
    }

    /// Continues after the member that ends at `end`, and reports padding other than a newline.
    fn pad(&mut self, end: u64, name: &[u8]) -> io::Result<()> {
        self.at = end;
        if !end.is_multiple_of(2) && end < self.size {
            let padding = self.read(end, 1)?;
            if padding != b"\n" {
                let text = format!("{} behind {}", described(&padding), path_text(name));
                self.fields.push((&PADDING, Value::Text(text)));
            }
            self.at = end.saturating_add(1);
        }
        Ok(())
    }

    fn name(&mut self, name: &Name, body: u64) -> io::Result<Vec<u8>> {
        Ok(match name {
            Name::Short(name) => name.clone(),
            Name::Long(offset) => self
                .names
                .take(*offset)
                .ok_or_else(|| invalid("a name beyond the name table"))?,
            Name::Inline(length) => {
                self.meter
                    .member(usize::try_from(*length).unwrap_or(usize::MAX))?;
                let mut name = self.read(body, *length)?;
                let kept = name
                    .iter()
                    .rposition(|byte| *byte != 0)
                    .map_or(0, |last| last.saturating_add(1));
                name.truncate(kept);
                name
            }
            Name::Table => b"//".to_vec(),
            Name::Index(_) => b"/".to_vec(),
        })
    }

    fn table(&mut self, header: &Header, body: u64) -> io::Result<()> {
        if let Name::Index(kind) = header.name {
            return self.index(kind, header, body, header.size);
        }
        let table = self.table_bytes(body, header.size)?;
        self.fields.extend(header.table_fields());
        self.names.replace(table, &mut self.fields);
        Ok(())
    }

    fn index(&mut self, kind: index::Kind, header: &Header, from: u64, size: u64) -> io::Result<()> {
        let bytes = self.table_bytes(from, size)?;
        if let Some(time) = header.time() {
            self.fields.push((&INDEX_TIME, Value::Time(time)));
        }
        self.fields.extend(header.table_fields());
        // Windows libraries have a second index; only one is checked.
        if let Some(first) = self.index.replace(Index::parse(kind, bytes)) {
            first.end(&mut self.fields);
        }
        Ok(())
    }

    fn table_bytes(&self, from: u64, size: u64) -> io::Result<Vec<u8>> {
        if size > MOST_TABLE {
            let what = "a symbol index or name table of more than 64 MiB";
            return Err(Hit::error(Limit::UnpackedBytes, what));
        }
        self.read(from, size)
    }

    fn read(&self, from: u64, size: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut reader = self.source.seekable()?;
        reader.seek(SeekFrom::Start(from))?;
        reader.take(size).read_to_end(&mut bytes)?;
        self.meter.unpacked(bytes.len() as u64)?;
        Ok(bytes)
    }

    fn end(mut self) -> Fields {
        if let Some(index) = self.index {
            index.end(&mut self.fields);
        }
        self.names.end(&mut self.fields);
        self.fields
    }
}
