//! The type and the permissions of an entry: attributes of Unix and MS-DOS (APPNOTE 4.4.15).

use super::header::Central;
use crate::compare::cause::Cause;
use crate::compare::normalise::Normalisation;
use crate::compare::stored::{FieldKind, Fields, Type, Value};

static TYPE: FieldKind = FieldKind::new("type", Cause::Content);
static TWO_TYPES: FieldKind = FieldKind::new("type by name and by attributes", Cause::AmbiguousArchive);
static MODE: FieldKind = FieldKind::by("mode", Cause::Permissions, Normalisation::ZipFileMode).installed();
static FOREIGN_MODE: FieldKind = FieldKind::new("system that the mode is of", Cause::Permissions);
static MODE_TYPE: FieldKind = FieldKind::by(
    "type bits of the mode",
    Cause::ArchiveDialect,
    Normalisation::ZipModeType,
);
static EXECUTABLE: FieldKind = FieldKind::new("type bits of an executable's mode", Cause::Permissions);
static ATTRIBUTES: FieldKind = FieldKind::by("attributes", Cause::ArchiveDialect, Normalisation::ZipMisc);
static OTHER_ATTRIBUTES: FieldKind =
    FieldKind::new("hidden, system and other attributes", Cause::Permissions);
static INTERNAL: FieldKind = FieldKind::new("internal attributes", Cause::Content);
static DISK: FieldKind = FieldKind::new("disk of the entry", Cause::AmbiguousArchive);

const FOLDER: u32 = 0o4;
const FILE: u32 = 0o10;
const LINK: u32 = 0o12;

const DOS_READ_ONLY: u32 = 0x01;
const DOS_FOLDER: u32 = 0x10;
/// Read-only (which a Unix mode repeats), folder, archive, normal, temporary, sparse, compressed, offline, not
/// indexed, and 7-Zip's mark that the upper half is a Unix mode.
const DOS_HARMLESS: u32 =
    DOS_READ_ONLY | DOS_FOLDER | 0x20 | 0x80 | 0x100 | 0x200 | 0x800 | 0x1000 | 0x2000 | 0x8000;

/// Fields of the external and internal attributes.
pub(super) fn fields(central: &Central, fields: &mut Fields) {
    let by_name = central.header.is_folder();
    let (stored, dos) = (central.external >> 16, central.external & 0xffff);
    let kind = stored >> 12;
    fields.push((&TYPE, file_type(central, kind)));
    let mut add = |kind: &'static FieldKind, text: String| fields.push((kind, Value::Text(text)));
    let by_attributes = kind == FOLDER || dos & DOS_FOLDER != 0;
    if by_name && !matches!(kind, 0 | FOLDER) || !by_name && by_attributes {
        add(
            &TWO_TYPES,
            format!("type {kind:o}, attributes {dos:#x}, folder by name: {by_name}"),
        );
    }
    let mode = mode(central, by_name);
    let runs = !by_name && mode & 0o111 != 0;
    let bare = match stored {
        0 => "no mode",
        _ => "a mode without a type",
    };
    if stored == 0 || kind == 0 {
        add(&MODE_TYPE, bare.into());
    }
    if runs && kind == 0 {
        add(&EXECUTABLE, bare.into());
    }
    let special = mode & 0o7000 != 0;
    if (runs || special) && !central.is_unix() || has_own_attributes(central.system()) {
        add(&FOREIGN_MODE, format!("{mode:04o} by {}", central.system_name()));
    }
    let text = if central.internal & 1 == 0 { "" } else { ", text" };
    if dos & DOS_HARMLESS != 0 || !text.is_empty() {
        add(&ATTRIBUTES, format!("{:#x}{text}", dos & DOS_HARMLESS));
    }
    if dos & !DOS_HARMLESS != 0 {
        add(&OTHER_ATTRIBUTES, format!("{:#x}", dos & !DOS_HARMLESS));
    }
    if central.internal & !1 != 0 {
        add(&INTERNAL, format!("{:#x}", central.internal));
    }
    if central.disk != 0 {
        add(&DISK, central.disk.to_string());
    }
    fields.push((&MODE, Value::Mode(mode)));
}

/// Only Unix-like systems have links and the like; other unpackers treat such entries as files.
fn file_type(central: &Central, kind: u32) -> Value {
    let known = match kind {
        _ if central.header.is_folder() => return Value::Type(Type::Folder),
        0 | FILE => return Value::Type(Type::File),
        LINK if central.is_unix() => return Value::Type(Type::SymbolicLink),
        FOLDER => "folder without a slash".into(),
        LINK => "symbolic link".into(),
        other => format!("type {other:o}"),
    };
    Value::Text(if central.is_unix() {
        known
    } else {
        format!("{known}, by {}", central.system_name())
    })
}

/// Whether unpackers interpret the upper attributes for this system: all except MS-DOS, HPFS, NTFS, VFAT, and Unix.
fn has_own_attributes(system: u8) -> bool {
    !matches!(system, 0 | 3 | 6 | 10 | 14 | 19)
}

/// The permission bits that unpackers set, before their umask.
fn mode(central: &Central, is_folder: bool) -> u32 {
    let stored = central.external >> 16;
    if stored != 0 || central.is_unix() {
        return stored & 0o7777;
    }
    let full = if is_folder { 0o755 } else { 0o644 };
    if central.external & DOS_READ_ONLY == 0 {
        full
    } else {
        full & !0o222
    }
}
