//! Names that do not fit into a header are in an extended header, and the header itself has a shortened one.
//!
//! Readers that do not know the extended header use the shortened name. It is harmless only if it follows from the
//! long name in the way in which some writer shortens it.

/// Maximum length of a name, and of its part in the prefix field.
const NAME: usize = 100;
const PREFIX: usize = 155;

/// How a known writer derives `short` from `long`; `None` if none does.
pub(super) fn shortened(short: &[u8], long: &[u8]) -> Option<&'static str> {
    if short == long {
        return Some("");
    }
    let cut = |length: usize| long.get(..length) == Some(short) && long.len() > length;
    let without_slash = |name: &[u8]| trimmed(name) == short;
    if cut(NAME) {
        return Some("cut to 100 bytes");
    }
    if cut(NAME.saturating_sub(1)) {
        return Some("cut to 99 bytes");
    }
    if long.len() > NAME
        && long
            .get(..NAME)
            .is_some_and(|name| name.ends_with(b"/") && without_slash(name))
    {
        return Some("cut to 100 bytes, without the slash");
    }
    if split(short, long) {
        return Some("cut after the prefix");
    }
    if long.is_ascii() {
        return (bsdtar(long, None) == short).then_some("shortened as bsdtar does");
    }
    let first = |mut name: Vec<u8>| {
        name.truncate(NAME);
        name
    };
    if first(replaced(long)) == short {
        return Some("with ? for what is not ASCII");
    }
    let ascii = first(long.iter().copied().filter(u8::is_ascii).collect());
    if ascii == short || trimmed(&ascii) == short {
        return Some("without what is not ASCII");
    }
    (bsdtar(long, None) == short).then_some("shortened as bsdtar does")
}

/// Whether the name consists of folders of the long name and the first 99 characters of the rest, as npm's tar
/// truncates it.
fn split(short: &[u8], long: &[u8]) -> bool {
    let slashes = short
        .iter()
        .enumerate()
        .filter(|(_, byte)| **byte == b'/')
        .map(|(at, _)| at);
    let mut folders = slashes.take_while(|at| *at <= PREFIX && short.get(..*at) == long.get(..*at));
    folders.any(|at| {
        let rest = |name| <[u8]>::get(name, at.saturating_add(1)..).unwrap_or_default();
        let (name, whole) = (rest(short), rest(long));
        let cut = match std::str::from_utf8(whole) {
            Ok(text) => text
                .char_indices()
                .nth(NAME - 1)
                .map_or(whole.len(), |(end, _)| end),
            Err(_) => NAME - 1,
        };
        whole.get(..cut.min(NAME)) == Some(name) && name.len() < whole.len()
    })
}

/// Whether `short` is git's name for a file whose path does not fit: that of its object.
pub(super) fn is_object_name(short: &[u8]) -> bool {
    let object = short.strip_suffix(b".data");
    object.is_some_and(|object| {
        matches!(object.len(), 40 | 64)
            && object
                .iter()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    })
}

/// How a writer shortens a link target that does not fit.
pub(super) fn shortened_link(short: &[u8], long: &[u8]) -> Option<&'static str> {
    match short {
        b"././@LongSymLink" | b"././@LongHardLink" if long.len() > NAME => Some("link as bsdtar names it"),
        _ => shortened(short, long),
    }
}

/// Whether a user's or group's name was shortened because it does not fit.
pub(super) fn shortened_owner(short: &[u8], long: &[u8]) -> bool {
    const OWNER: usize = 32;
    let fits = |name: Vec<u8>| {
        [OWNER, OWNER - 1]
            .iter()
            .any(|most| name.iter().take(*most).eq(short))
    };
    short.is_empty()
        || fits(long.to_vec())
        || fits(replaced(long))
        || fits(long.iter().copied().filter(u8::is_ascii).collect())
}

fn trimmed(name: &[u8]) -> &[u8] {
    let end = name
        .iter()
        .rposition(|byte| *byte != b'/')
        .map_or(0, |at| at.saturating_add(1));
    name.get(..end).unwrap_or_default()
}

/// The result of Python's encoding to ASCII with "replace".
fn replaced(long: &[u8]) -> Vec<u8> {
    let mut name = Vec::with_capacity(long.len());
    for chunk in long.utf8_chunks() {
        name.extend(
            chunk
                .valid()
                .chars()
                .map(|c| u8::try_from(c).ok().filter(u8::is_ascii).unwrap_or(b'?')),
        );
        name.extend(chunk.invalid().iter().map(|_| b'?'));
    }
    name
}

/// libarchive's `build_ustar_entry_name`: leading folders, as much of the rest as fits, and the last component
/// truncated; with the folder `insert` before the last component.
pub(super) fn bsdtar(long: &[u8], insert: Option<&[u8]>) -> Vec<u8> {
    let inserted = insert.map_or(0, |insert| insert.len().saturating_add(2));
    let (mut end, mut is_folder) = (long.len(), false);
    if end < NAME && insert.is_none() {
        return long.to_vec();
    }
    let at = |place: usize| long.get(place).copied();
    loop {
        let before = end.checked_sub(1).and_then(at);
        if before == Some(b'/') {
            end = end.saturating_sub(1);
        } else if end > 1 && before == Some(b'.') && end.checked_sub(2).and_then(at) == Some(b'/') {
            end = end.saturating_sub(2);
        } else {
            break;
        }
        is_folder = true;
    }
    let part = |from: usize, to: usize| long.get(from..to).unwrap_or_default();
    let file = part(0, end)
        .iter()
        .rposition(|byte| *byte == b'/')
        .map_or(0, |slash| slash.saturating_add(1));
    let mut room = NAME
        .saturating_sub(2)
        .saturating_sub(usize::from(is_folder))
        .saturating_sub(inserted);
    let file_end = end.min(file.saturating_add(room));
    room = room.saturating_sub(file_end.saturating_sub(file));
    // Up to and including the last slash at or before `most`.
    let folders = |from: usize, most: usize| {
        let most = most.min(file).max(from);
        let last = (from..=most)
            .rev()
            .find(|place| *place == from || at(*place) == Some(b'/'));
        let last = last.unwrap_or(from);
        if last < file && at(last) == Some(b'/') {
            last.saturating_add(1)
        } else {
            last
        }
    };
    let prefix = folders(0, PREFIX);
    let suffix = folders(prefix, prefix.saturating_add(room));
    let mut name = [part(0, prefix), part(prefix, suffix)].concat();
    if let Some(insert) = insert {
        name.extend_from_slice(insert);
        name.push(b'/');
    }
    name.extend_from_slice(part(file, file_end));
    if is_folder {
        name.push(b'/');
    }
    name
}

/// A name with the folder that writers insert for pax headers and sparse files, which may contain a process id.
pub(super) struct Marked {
    /// The name with `…` for the parts that follow from the path.
    pub shown: String,
}

/// Whether the name of a pax header or sparse file follows from the path of its member, with `marker` as a folder.
///
/// GNU tar writes `d/PaxHeaders.PID/f` and `d/GNUSparseFile.PID/f`, bsdtar `d/PaxHeader/f`, Go `d/PaxHeaders.0/f`.
pub(super) fn marked(name: &[u8], path: &[u8], marker: &str) -> Option<Marked> {
    let text = std::str::from_utf8(name).ok();
    let parts: Vec<&[u8]> = name.split(|byte| *byte == b'/').collect();
    let is_marker = |part: &[u8]| {
        let rest = part.strip_prefix(marker.as_bytes());
        rest.is_some_and(|rest| {
            let rest = rest
                .strip_prefix(b"s")
                .filter(|_| marker == "PaxHeader")
                .unwrap_or(rest);
            rest.is_empty()
                || rest.strip_prefix(b".").is_some_and(|number| {
                    (1..=10).contains(&number.len())
                        && (number.iter().all(u8::is_ascii_digit) || number == b"X")
                })
        })
    };
    let Some(at) = parts.iter().position(|part| is_marker(part)) else {
        return cut_before_marker(name, path, marker);
    };
    let folder: Vec<u8> = parts.get(..at)?.join(&b'/');
    let file: Vec<u8> = parts.get(at.checked_add(1)?..)?.join(&b'/');
    let marker = String::from_utf8_lossy(parts.get(at)?).into_owned();
    let path = trimmed(path);
    let slash = path.iter().rposition(|byte| *byte == b'/');
    let own_folder = slash.and_then(|slash| path.get(..slash)).unwrap_or_default();
    let own_file = slash.map_or(path, |slash| {
        path.get(slash.saturating_add(1)..).unwrap_or_default()
    });
    let without_dot = |folder: &[u8]| folder.strip_prefix(b"./").unwrap_or(folder).to_vec();
    let same_folder = folder == own_folder || (folder == b"." && own_folder.is_empty());
    if same_folder && trimmed(&file) == own_file {
        let dot = if folder == b"." { "./" } else { "…/" };
        let end = if file.ends_with(b"/") { "…/" } else { "…" };
        let shown = format!("{dot}{marker}/{end}");
        return Some(Marked { shown });
    }
    let begins = |whole: &[u8], part: &[u8]| whole.starts_with(part) || replaced(whole).starts_with(part);
    let ascii: Vec<u8> = own_file.iter().copied().filter(u8::is_ascii).collect();
    let own_folder_text = without_dot(own_folder);
    let folder = without_dot(&folder);
    let folder_fits = folder.is_empty() || folder == b"." || begins(&own_folder_text, &folder);
    // A single letter is not enough to stand for any name.
    let file_fits = begins(own_file, trimmed(&file))
        || ascii.starts_with(trimmed(&file))
        || own_file == b"."
        || file.len() == 1;
    (folder_fits && file_fits).then(|| Marked {
        shown: text.map_or_else(|| format!("{}", name.escape_ascii()), str::to_owned),
    })
}

/// A name that was truncated at the end of its field, in the folder of the path or in the marker after it.
fn cut_before_marker(name: &[u8], path: &[u8], marker: &str) -> Option<Marked> {
    let path = trimmed(path);
    let slash = path.iter().rposition(|byte| *byte == b'/')?;
    let folder = path.get(..=slash)?;
    let whole = [folder, marker.as_bytes(), b"s/"].concat();
    let cut = matches!(name.len(), 99 | 100) && whole.starts_with(name);
    let shown = format!("… cut to {} bytes", name.len());
    cut.then_some(Marked { shown })
}
