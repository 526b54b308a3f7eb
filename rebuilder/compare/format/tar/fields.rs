//! The fields of one member, from its header and the extended headers before it.

use super::extension;
use super::header::{self, Header, MODE as MODE_AT, SIZE, TIME as TIME_AT, UID, UNAME};
use super::header::{GID, GNAME};
use super::kinds::{
    CHARSET, COMMENT, COMPONENTS, CONTIGUOUS, DATA, DEVICE, DIALECT, DOUBTFUL, FINE_TIME, GNU_TIMES, GROUP,
    HIDDEN, HOME, LINK, LINK_MODE, LINK_SPELLING, MEANING, MODE, NUMBERS_AS_WRITTEN, OBJECT, ODD_PATH,
    ORIGIN, OWNER, SECURITY, SHORT, SHORT_LINK, SHORT_SIZE, SIGNED_SUM, SPARSE_NAME, SPELLING, STAR_TIMES,
    TIME, TYPE, UNUSED_DEVICE,
};
use super::names::Names;
use super::pax_fields::{Globals, Pax, bounded};
use super::reader::Extended;
use super::short::shortened_owner;
use crate::compare::format::{described, path_text};
use crate::compare::stored::{FieldKind, Fields, Type, Value};
use crate::compare::tree::clean;
use unicode_normalization::is_nfc;

/// Largest numbers with seven and eleven octal digits; larger ones do not fit into the fields of a header.
const MOST_ID: u64 = 0o777_7777;
const MOST_SIZE: u64 = 0o777_7777_7777;

/// One member, without its data.
pub(super) struct Entry {
    pub path: String,
    pub fields: Fields,
    /// Length of the stored data.
    pub stored: u64,
    /// Length of its path, or of its link target if that is longer.
    pub longest_name: usize,
}

/// Everything in the headers of a member, except the map of a sparse file.
pub(super) fn entry(header: &Header, extended: &[Extended], pax: &Pax, globals: &Globals) -> Entry {
    let mut fields = Fields::new();
    let names = Names::of(header, pax);
    let spelled = path_text(&names.path);
    let path = clean(&spelled).into_owned();
    let kind = header.type_of(&names.path);
    spelling(&spelled, &path, &kind, &mut fields);
    fields.push((&TYPE, kind.clone()));
    if header.letter == b'7' {
        fields.push((&CONTIGUOUS, Value::Text("type 7".to_owned())));
    }
    if !names.link.is_empty() {
        link(header, &path_text(&names.link), &mut fields);
    }
    let mut dialect = vec![header.dialect()];
    mode(header, &mut dialect, &mut fields);
    time(header, pax, &mut dialect, &mut fields);
    let owner = owner(header, (UID, UNAME), pax.uid, pax.uname, &mut dialect);
    fields.push((&OWNER, Value::Text(owner)));
    let group = self::owner(header, (GID, GNAME), pax.gid, pax.gname, &mut dialect);
    fields.push((&GROUP, Value::Text(group)));
    device(header, pax, &mut fields);
    dialect.extend(names.dialect.iter().cloned());
    odd_path(header, pax, &kind, &mut fields);
    charset(&names, pax, &mut dialect, &mut fields);
    let stored = size(header, pax, &mut dialect, &mut fields);
    fields.push((&DIALECT, Value::Text(dialect.join(", "))));
    extension::fields(extended, header, &names.path, &mut fields);
    for name in &names.short {
        fields.push((&SHORT, Value::Text(path_text(name))));
    }
    for name in &names.objects {
        fields.push((&OBJECT, Value::Text(path_text(name))));
    }
    if let Some(link) = &names.short_link {
        fields.push((&SHORT_LINK, Value::Text(path_text(link))));
    }
    if let Some(name) = names.sparse.clone() {
        fields.push((&SPARSE_NAME, Value::Text(name)));
    }
    let is_file = match &kind {
        Value::Type(what) => *what == Type::File,
        Value::Text(name) => name.starts_with("unknown"),
        _ => false,
    };
    if stored > 0 && !is_file {
        fields.push((&DATA, Value::Number(stored)));
    }
    records(pax, globals, &mut fields);
    unused(header, pax, &mut fields);
    let longest_name = names.path.len().max(names.link.len());
    Entry {
        path,
        fields,
        stored,
        longest_name,
    }
}

fn spelling(spelled: &str, path: &str, kind: &Value, fields: &mut Fields) {
    let is_folder = match kind {
        Value::Type(what) => matches!(what, Type::Folder | Type::FileOrFolder),
        Value::Text(name) => name.contains("folder"),
        _ => false,
    };
    let usual = if is_folder {
        spelled.strip_suffix('/')
    } else {
        Some(spelled)
    };
    if usual == Some(path) {
        return;
    }
    let text = if path == "." {
        spelled.to_owned()
    } else {
        spelled.replacen(path, "…", 1)
    };
    // Systems treat a path with either ending as a folder.
    let kind: &'static FieldKind = if !is_folder && (spelled.ends_with('/') || spelled.ends_with("/.")) {
        &DOUBTFUL
    } else if spelled == path || spelled.strip_suffix('/') == Some(path) {
        &SPELLING
    } else {
        &COMPONENTS
    };
    fields.push((kind, Value::Text(text)));
}

/// Fields for names and types that some readers interpret differently.
fn odd_path(header: &Header, pax: &Pax, kind: &Value, fields: &mut Fields) {
    if header.letter == 0 && *kind == Value::Type(Type::Folder) {
        // Python checks the slash in the header's own name, other readers that in the path, and BusyBox neither.
        let own = if header.name().ends_with(b"/") {
            ""
        } else {
            ", which the header has not"
        };
        let text = format!("a folder by its slash alone{own}");
        fields.push((&ODD_PATH, Value::Text(text)));
    }
    // libarchive normalises names when it converts them, and warns about those that it cannot convert.
    for text in [pax.path, pax.link].into_iter().flatten() {
        if !text.is_ascii() && !std::str::from_utf8(text).is_ok_and(is_nfc) {
            let text = format!("{}, not composed or not UTF-8, in a pax record", path_text(text));
            fields.push((&ODD_PATH, Value::Text(text)));
        }
    }
}

/// A hard link names a member; the spelling of that name does not matter, as for the member itself.
fn link(header: &Header, spelled: &str, fields: &mut Fields) {
    let target = if header.letter == b'1' {
        clean(spelled).into_owned()
    } else {
        spelled.to_owned()
    };
    if target != spelled {
        let kind: &'static FieldKind = if spelled.ends_with('/') || spelled.ends_with("/.") {
            &DOUBTFUL
        } else {
            &LINK_SPELLING
        };
        fields.push((kind, Value::Text(spelled.replacen(&target, "…", 1))));
    }
    fields.push((&LINK, Value::Target(target)));
}

/// The permissions; some writers add the file type in the upper bits.
fn mode(header: &Header, dialect: &mut Vec<String>, fields: &mut Fields) {
    let Some(mode) = header.unsigned(MODE_AT).and_then(|mode| u32::try_from(mode).ok()) else {
        return;
    };
    let type_bits = mode & !0o7777;
    let own = match header.letter {
        b'2' => 0o120_000,
        b'3' => 0o020_000,
        b'4' => 0o060_000,
        b'5' => 0o040_000,
        b'6' => 0o010_000,
        _ => 0o100_000,
    };
    let old_folder = header.letter == 0 && type_bits == 0o040_000;
    if type_bits != 0 {
        if type_bits == own || old_folder {
            dialect.push("mode with the type".to_owned());
        } else {
            fields.push((&NUMBERS_AS_WRITTEN, Value::Text(format!("mode {mode:o}"))));
        }
    }
    let mode = mode & 0o7777;
    if header.letter == b'2' {
        fields.push((&LINK_MODE, Value::Text(format!("{mode:04o}"))));
    } else {
        fields.push((&MODE, Value::Mode(mode)));
    }
}

fn time(header: &Header, pax: &Pax, dialect: &mut Vec<String>, fields: &mut Fields) {
    let own = header.number(TIME_AT).and_then(|time| i64::try_from(time).ok());
    let Some(time) = pax.mtime.or(own) else { return };
    fields.push((&TIME, Value::Time(time)));
    let Some(own) = own else { return };
    let fits = u64::try_from(time).is_ok_and(|time| time <= MOST_SIZE);
    let most = i64::try_from(MOST_SIZE).unwrap_or(i64::MAX);
    // Some writers round towards zero.
    let rounded = time < 0 && Some(own) == time.checked_add(1);
    let follows = own == time || rounded || (!fits && (own == 0 || own == most));
    if !follows {
        fields.push((&TIME, Value::Time(own)));
    } else if own != time {
        dialect.push(format!("time {own} of one that does not fit"));
    }
}

/// Number and name of an owner; the values in the header are added if they do not follow from these.
fn owner(
    header: &Header,
    (number, name): (header::Span, header::Span),
    pax: Option<u64>,
    pax_name: Option<&[u8]>,
    dialect: &mut Vec<String>,
) -> String {
    /// GNU tar writes this for numbers that do not fit.
    const NOBODY: u64 = 65534;
    let (own, own_name) = (header.unsigned(number), header.owner(name));
    let mut texts: Vec<String> = Vec::new();
    texts.extend(pax.or(own).map(|number| number.to_string()));
    let name = pax_name.unwrap_or(own_name);
    if !name.is_empty() {
        texts.push(path_text(name));
    }
    let follows = pax.is_none()
        || own == pax
        || (pax > Some(MOST_ID) && own.is_some_and(|own| own == 0 || own == NOBODY || own == MOST_ID));
    if !follows {
        texts.push(format!(
            "(header: {})",
            own.map(|own| own.to_string()).unwrap_or_default()
        ));
    } else if let Some(own) = own.filter(|own| pax.is_some_and(|pax| pax != *own)) {
        dialect.push(format!("number {own} of an owner that does not fit"));
    }
    if pax_name.is_some() && !shortened_owner(own_name, name) {
        texts.push(format!("(header: {})", path_text(own_name)));
    } else if own_name != name {
        dialect.push(format!(
            "name {} of an owner that does not fit",
            path_text(own_name)
        ));
    }
    texts.join(" ")
}

fn device(header: &Header, pax: &Pax, fields: &mut Fields) {
    let own = header.device().unwrap_or_default();
    let device = (pax.major.unwrap_or(own.0), pax.minor.unwrap_or(own.1));
    let is_device = header.is_device();
    if is_device || device != (0, 0) {
        let kind = if is_device { &DEVICE } else { &UNUSED_DEVICE };
        let mut text = format!("{}:{}", device.0, device.1);
        if device != own {
            text.push_str(&format!(" (header: {}:{})", own.0, own.1));
        }
        fields.push((kind, Value::Text(text)));
    }
}

/// The character set of the records does not matter if their texts are the same in every character set.
fn charset(names: &Names, pax: &Pax, dialect: &mut Vec<String>, fields: &mut Fields) {
    let Some(charset) = &pax.rest.charset else { return };
    let texts = [Some(&*names.path), Some(&*names.link), pax.uname, pax.gname];
    if texts
        .into_iter()
        .flatten()
        .all(|text| std::str::from_utf8(text).is_ok())
    {
        dialect.push(format!("hdrcharset {charset}"));
    } else {
        fields.push((&CHARSET, Value::Text(charset.clone())));
    }
}

/// Length of the stored data; if the header has another length, readers without pax support find other members.
fn size(header: &Header, pax: &Pax, dialect: &mut Vec<String>, fields: &mut Fields) -> u64 {
    let own = header.unsigned(SIZE);
    let Some(size) = pax.size else {
        return own.unwrap_or(0);
    };
    let follows = own == Some(size) || (size > MOST_SIZE && matches!(own, Some(0 | MOST_SIZE)));
    if !follows {
        let own = own.map(|own| own.to_string()).unwrap_or_default();
        fields.push((
            &SHORT_SIZE,
            Value::Text(format!("{own}, in the pax record {size}")),
        ));
    } else if let Some(own) = own.filter(|own| *own != size) {
        dialect.push(format!("size {own} of one that does not fit"));
    }
    size
}

fn records(pax: &Pax, globals: &Globals, fields: &mut Fields) {
    let rest = &pax.rest;
    let comments: Vec<String> = rest.comments.clone();
    for (kind, records, global) in [
        (&FINE_TIME, &rest.times, &globals.times),
        (&HOME, &rest.home, &None),
        (&ORIGIN, &rest.origin, &None),
        (&SECURITY, &rest.security, &None),
        (&MEANING, &rest.meaning, &None),
        (&COMMENT, &comments, &None),
        (&DOUBTFUL, &rest.doubtful, &globals.doubtful),
    ] {
        let mut records = records.clone();
        records.sort();
        records.extend(global.clone());
        if !records.is_empty() {
            fields.push((kind, Value::Text(bounded(records.join(" ")))));
        }
    }
}

/// Bytes of the header that are not part of a value's spelling.
fn unused(header: &Header, pax: &Pax, fields: &mut Fields) {
    let odd = header.odd_numbers();
    if !odd.is_empty() {
        fields.push((&NUMBERS_AS_WRITTEN, Value::Text(odd.join(" "))));
    }
    if header.is_summed_signed() {
        fields.push((&SIGNED_SUM, Value::Text("the sum of signed bytes".to_owned())));
    }
    for (kind, times) in [
        (&GNU_TIMES, header.gnu_times()),
        (&STAR_TIMES, header.star_times()),
    ] {
        if let Some(times) = times {
            fields.push((kind, Value::Text(times.escape_ascii().to_string())));
        }
    }
    let unused = header.unused();
    for bytes in pax.rest.hidden.iter().chain([&unused]) {
        if bytes.iter().any(|byte| *byte != 0) {
            fields.push((&HIDDEN, Value::Text(described(bytes))));
        }
    }
}
