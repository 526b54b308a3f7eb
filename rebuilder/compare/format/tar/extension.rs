//! The headers of extended headers: they have all the fields of a member's header, but readers use only the length.

use super::header::{GID, GNAME, Header, LINK, MODE, TIME, UID, UNAME};
use super::kinds::{EXTENDED, EXTENDED_TIME, HIDDEN, NUMBERS_AS_WRITTEN, OBJECT, SIGNED_SUM};
use super::pax::records;
use super::reader::Extended;
use super::short::{is_object_name, marked};
use crate::compare::format::{described, path_text};
use crate::compare::stored::{Fields, Value};

/// Fields of the extended headers before a member. `owner` is the member's header: the user names in extended headers
/// should be those of the member.
pub(super) fn fields(extended: &[Extended], owner: &Header, path: &[u8], fields: &mut Fields) {
    let mut texts = Vec::new();
    let mut times = Vec::new();
    for one in extended {
        let header = Header::new(&one.block);
        if header.letter != b'g' {
            own(
                one,
                &header,
                Some(owner),
                path,
                &mut (&mut texts, &mut times),
                fields,
            );
        }
    }
    push(&texts, &times, fields);
}

/// Fields of a global header.
pub(super) fn global(one: &Extended, fields: &mut Fields) {
    let (mut texts, mut times) = (Vec::new(), Vec::new());
    let header = Header::new(&one.block);
    own(one, &header, None, b"", &mut (&mut texts, &mut times), fields);
    push(&texts, &times, fields);
}

fn push(texts: &[String], times: &[String], fields: &mut Fields) {
    if !texts.is_empty() {
        fields.push((&EXTENDED, Value::Text(texts.join("; "))));
        fields.push((&EXTENDED_TIME, Value::Text(times.join(" "))));
    }
}

/// Mode, user and group, with numbers and names.
fn owner(header: &Header) -> String {
    let number = |span| header.unsigned(span).unwrap_or(0);
    let (user, group) = (header.owner(UNAME), header.owner(GNAME));
    format!(
        "{:o} {}:{}{}{}",
        number(MODE),
        number(UID),
        number(GID),
        path_text(user),
        path_text(group),
    )
}

/// Fields of one extended header.
fn own(
    one: &Extended,
    header: &Header,
    member: Option<&Header>,
    path: &[u8],
    (texts, times): &mut (&mut Vec<String>, &mut Vec<String>),
    fields: &mut Fields,
) {
    let mut hidden = |what: &str, bytes: &[u8]| {
        if bytes.iter().any(|byte| *byte != 0) {
            let text = format!("{what} of an extended header: {}", described(bytes));
            fields.push((&HIDDEN, Value::Text(text)));
        }
    };
    hidden("padding", &one.padding);
    hidden("unused bytes", &header.unused());
    // bsdtar copies the link target of the member.
    let link = header.text(LINK);
    let of_member = !link.is_empty() && member.is_some_and(|member| member.text(LINK) == link);
    if !of_member {
        hidden("link", link);
    }
    hidden("times", header.gnu_times().unwrap_or_default());
    if header.device().is_some_and(|device| device != (0, 0)) {
        hidden("device", b"device");
    }
    for span in [UNAME, GNAME] {
        let name = header.owner(span);
        let known = name.is_empty()
            || matches!(name, b"root" | b"wheel" | b"nobody" | b"nogroup")
            || member.is_some_and(|member| member.owner(span) == name);
        if !known {
            hidden("owner", name);
        }
    }
    let name = header.name();
    let shown = shown_name(&name, header.letter, path);
    if letter_is_pax(header.letter) && is_object_header(&name) {
        fields.push((&OBJECT, Value::Text(path_text(&name))));
    } else if shown.is_none() {
        hidden("name", &name);
    }
    let odd = header.odd_numbers();
    if !odd.is_empty() {
        fields.push((&NUMBERS_AS_WRITTEN, Value::Text(odd.join(" "))));
    }
    if header.is_summed_signed() {
        let text = "the sum of signed bytes, of an extended header";
        fields.push((&SIGNED_SUM, Value::Text(text.to_owned())));
    }
    let shown = shown.unwrap_or_else(|| "of another name".to_owned());
    texts.push(format!(
        "{} {shown} {}{} [{}]",
        header.dialect(),
        owner(header),
        if of_member { " link" } else { "" },
        keys(one, header.letter),
    ));
    let time = header.number(TIME).unwrap_or_default();
    times.push(format!("{} {time}", header.letter.escape_ascii()));
    if let Some(more) = header.star_times() {
        times.push(format!("times {}", more.escape_ascii()));
    }
}

/// The keys of its records, in order; for a long name, the number of NULs that end it.
fn keys(one: &Extended, letter: u8) -> String {
    if matches!(letter, b'L' | b'K') {
        let length = one
            .body
            .iter()
            .position(|byte| *byte == 0)
            .unwrap_or(one.body.len());
        return format!("{} NULs", one.body.len().saturating_sub(length));
    }
    let keys: Vec<_> = records(&one.body)
        .records
        .iter()
        .map(|(key, _)| path_text(key))
        .collect();
    if keys.len() <= 30 {
        return keys.join(" ");
    }
    let digest = crate::artifact::Sha256::of(keys.join(" ").as_bytes());
    format!("{} records, sha256 {}", keys.len(), digest.to_hex())
}

/// The name for display, if it is one that writers give to extended headers.
fn shown_name(name: &[u8], letter: u8, path: &[u8]) -> Option<String> {
    let whole = |known: &[&[u8]]| known.contains(&name).then(|| path_text(name));
    match letter {
        b'L' | b'K' => whole(&[b"././@LongLink"]),
        b'g' => whole(&[b"pax_global_header", b"././@PaxHeader"]).or_else(|| global_name(name)),
        _ => whole(&[b"././@PaxHeader"])
            .or_else(|| is_object_header(name).then(|| "of an object".to_owned()))
            .or_else(|| marked(name, path, "PaxHeader").map(|marked| marked.shown)),
    }
}

/// POSIX: `$TMPDIR/GlobalHead.%p.%n`, with a process id.
fn global_name(name: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(name).ok()?;
    let numbers = text.strip_prefix("/tmp/GlobalHead.")?;
    // Two numbers of at most ten digits.
    let short = numbers.len() <= 21;
    let is_number = numbers.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    (short && is_number).then(|| text.to_owned())
}

/// Git names an extended header after the object whose path it has.
fn is_object_header(name: &[u8]) -> bool {
    let object = name.strip_suffix(b".paxheader");
    object.is_some_and(|object| is_object_name(&[object, b".data"].concat()))
}

fn letter_is_pax(letter: u8) -> bool {
    matches!(letter, b'x' | b'X')
}
