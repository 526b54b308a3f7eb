//! A folder on disk, read like an archive, in order of names. Times and owners are not compared, as they are the file
//! system's own.

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::{FormatReader, Member, Visit, path_text};
use crate::compare::cause::Cause;
use crate::compare::limits::Meter;
use crate::compare::source::Source;
use crate::compare::stored::{FieldKind, Fields, Type, Value};

pub(super) struct Folder;

static TYPE: FieldKind = FieldKind::new("type", Cause::Content);
static MODE: FieldKind = FieldKind::new("mode", Cause::Permissions);
static LINK: FieldKind = FieldKind::new("link", Cause::Content);

/// A file that cannot be opened; reading it returns the error.
struct Failing(Option<io::Error>);

impl io::Read for Failing {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        self.0.take().map_or(Ok(0), Err)
    }
}

impl FormatReader for Folder {
    fn name(&self) -> &'static str {
        "folder"
    }

    fn example(&self) -> (&'static str, &'static [u8]) {
        ("x", b"")
    }

    fn begins(&self, _head: &[u8]) -> bool {
        false
    }

    fn streams(&self) -> bool {
        false
    }

    fn walk(&self, source: &Source, meter: &Meter, visit: Visit) -> io::Result<Fields> {
        if let Source::Folder(path) = source {
            walk(path, "", meter, visit)?;
        }
        Ok(Fields::new())
    }
}

fn walk(folder: &Path, prefix: &str, meter: &Meter, visit: Visit) -> io::Result<bool> {
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{prefix}: {error}"));
    let entries = std::fs::read_dir(folder).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let mut entries = entries.map_err(named)?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let name = path_text(entry.file_name().as_encoded_bytes());
        meter.member(prefix.len().saturating_add(name.len()))?;
        let path = format!("{prefix}{name}");
        let kind = entry.file_type()?;
        let metadata = std::fs::symlink_metadata(entry.path())?;
        let mut fields: Fields = Vec::new();
        let what = Type::of_mode(metadata.permissions().mode()).unwrap_or(Type::Other);
        fields.push((&TYPE, Value::Type(what)));
        if kind.is_symlink() {
            let target = std::fs::read_link(entry.path())?;
            let target = path_text(target.as_os_str().as_encoded_bytes());
            fields.push((&LINK, Value::Target(target)));
        } else {
            fields.push((&MODE, Value::Mode(metadata.permissions().mode() & 0o7777)));
        }
        let opened = if kind.is_file() {
            Source::file(&entry.path()).and_then(|source| Ok((source.open()?, source)))
        } else {
            Ok((Box::new(io::empty()) as _, Source::memory(Vec::new())))
        };
        let (mut content, source): (Box<dyn io::Read>, _) = match opened {
            Ok((content, source)) => (content, Some(source).filter(|_| kind.is_file())),
            Err(error) => (Box::new(Failing(Some(error))), None),
        };
        let more = visit(Member {
            path: path.clone(),
            fields,
            size: metadata.len(),
            content: &mut content,
            source,
        })?;
        if !more || (kind.is_dir() && !walk(&entry.path(), &format!("{path}/"), meter, visit)?) {
            return Ok(false);
        }
    }
    Ok(true)
}
