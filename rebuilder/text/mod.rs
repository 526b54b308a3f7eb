//! Text from outside, made safe to look at, and words that agree with their numbers.
//!
//! Names, log lines, claims and reasons come from archives, builds, registries and statements that anyone may have
//! made. Before a person sees them, every character that would steer a terminal, turn the direction of a line, or stay
//! invisible is written out, as `<U+202E>`. Nothing is dropped, since what was hidden is evidence too. All outputs
//! share the one table of this module: lines for a terminal ([`Screen`]), pages of HTML ([`Html`]), markdown ([`code`])
//! and JSON ([`json`], where the escapes of JSON keep the data exact).
//!
//! The written form shows what is there; it is not meant to be read back. Programs read the JSON.

#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

mod json;
mod markup;
mod number;
mod screen;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, Read, Write};
use std::sync::LazyLock;

use regex::Regex;

use crate::reader::Reader;

pub use json::{json, json_pretty};
pub use markup::{Html, HtmlExcerpt, HtmlLines, code, code_block, code_cell, prose_cell, sarif_message};
pub(crate) use number::{and_more, one_of, plural};
pub use screen::{Screen, Span, Style, column, plain};

/// What no sink lets through: controls (C0, DEL, C1), format characters (bidirectional controls, zero-width
/// characters, tags, annotations), separators of lines, every blank that is not the ASCII one, what Unicode calls
/// ignorable (fillers, variation selectors), the few blanks that it does not, and code points without a meaning that
/// all readers share (private, unassigned). Then marks that would stand on a character of ours, or pile up until they
/// cover other lines.
#[expect(clippy::unwrap_used, reason = "a constant, which the tests compile")]
static HIDDEN: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"(?x)
        [ \p{Cc} \p{Cf} \p{Cn} \p{Co} \p{Zl} \p{Zp} \p{Zs} \p{Default_Ignorable_Code_Point}
          \x{2800} \x{16FE4} \x{1D159} -- \x20 ]
        | (?m:^) \p{M}+
        | \p{M}{5,}",
    )
    .unwrap()
});

/// `text` with `write` called for each hidden character that is not in `kept`.
fn replace<'a>(text: &'a str, kept: &[char], write: impl Fn(&mut String, char)) -> Cow<'a, str> {
    // Most text is plain; asking that first costs a tenth of searching it.
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return Cow::Borrowed(text);
    }
    let (mut out, mut end) = (String::new(), 0);
    for found in HIDDEN.find_iter(text) {
        out.push_str(&text[end..found.start()]);
        end = found.end();
        for c in found.as_str().chars() {
            if kept.contains(&c) {
                out.push(c);
            } else {
                write(&mut out, c);
            }
        }
    }
    if end == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(&text[end..]);
    Cow::Owned(out)
}

fn write_out(out: &mut String, c: char) {
    let _ = write!(out, "<U+{:04X}>", u32::from(c));
}

/// One line of text: line breaks and tabs are written out as well.
pub fn visible(text: &str) -> Cow<'_, str> {
    replace(text, &[], write_out)
}

/// A line of a file that is shown as such: its tabs stay.
pub fn visible_line(text: &str) -> Cow<'_, str> {
    replace(text, &['\t'], write_out)
}

/// Text of several lines: its line breaks and tabs stay.
pub fn visible_lines(text: &str) -> Cow<'_, str> {
    replace(text, &['\n', '\t'], write_out)
}

/// Text of several lines below a line of ours: indented, so that none of them looks like ours.
pub fn paragraph(text: &str) -> String {
    let shown = visible_lines(text.trim_end());
    let indent = |line: &str| {
        if line.is_empty() {
            String::new()
        } else {
            format!("    {line}")
        }
    };
    let mut lines = shown.split('\n');
    let first = lines.next().unwrap_or_default().to_owned();
    lines.fold(first, |text, line| text + "\n" + &indent(line))
}

/// Copies text of a build, which may be of any size and hold any bytes; what is not UTF-8 is written out as `<FF>`.
pub fn copy_visible(mut from: impl Read, mut to: impl Write) -> io::Result<()> {
    let mut buffer = vec![0; 1 << 16];
    // The beginning of a character whose end was not read yet.
    let mut kept = 0;
    loop {
        let count = match from.read(buffer.get_mut(kept..).unwrap_or_default()) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            other => other?,
        };
        let filled = buffer.get(..kept.saturating_add(count)).unwrap_or_default();
        let (whole, begun) = if count == 0 {
            (filled, &[][..])
        } else {
            whole_characters(filled)
        };
        for chunk in whole.utf8_chunks() {
            to.write_all(visible_lines(chunk.valid()).as_bytes())?;
            for byte in chunk.invalid() {
                write!(to, "<{byte:02X}>")?;
            }
        }
        if count == 0 {
            return to.flush();
        }
        let (whole, end) = (whole.len(), filled.len());
        kept = begun.len();
        buffer.copy_within(whole..end, 0);
    }
}

/// The bytes before a character that is cut off, and those of that character.
fn whole_characters(bytes: &[u8]) -> (&[u8], &[u8]) {
    if std::str::from_utf8(bytes).is_ok() {
        return (bytes, &[]);
    }
    // Only a cut-off character has no length of its error; earlier errors are found in the chunks.
    let is_cut_off = |end: &[u8]| std::str::from_utf8(end).is_err_and(|error| error.error_len().is_none());
    (1..=3)
        .filter_map(|back| bytes.split_at_checked(bytes.len().checked_sub(back)?))
        .find(|(_, end)| is_cut_off(end))
        .unwrap_or((bytes, &[]))
}

/// Text without the user names and passwords of the addresses in it.
pub(crate) fn redacted(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let scheme = |text: &str| text.find("://").map(|at| at.saturating_add(3));
    while let Some((head, tail)) = scheme(rest).and_then(|at| rest.split_at_checked(at)) {
        out.push_str(head);
        let ends = |c: char| c.is_whitespace() || "/?#\\\"'<>`".contains(c);
        let end = tail.find(ends).unwrap_or(tail.len());
        let authority = &tail[..end];
        rest = match authority.rfind('@') {
            Some(at) => {
                out.push_str("***");
                &tail[at..]
            }
            None => tail,
        };
    }
    out.push_str(rest);
    out
}

/// For fuzzing: what is shown has no characters that steer a terminal.
#[doc(hidden)]
pub const READERS: &[Reader] = &[("text", |bytes| {
    let text = String::from_utf8_lossy(bytes);
    for show in [visible, visible_line, visible_lines] {
        let shown = show(&text);
        assert_eq!(show(&shown), shown, "what is shown is not changed again");
    }
    let mut copied = Vec::new();
    let _ = copy_visible(bytes, &mut copied);
    for shown in [
        paragraph(&text),
        code(&text),
        code_cell(&text),
        prose_cell(&text),
        sarif_message(&text),
        code_block("", text.lines()),
        column(&text, 20),
        json(&*text),
    ] {
        assert!(
            !shown.contains(['\x1b', '\u{202e}', '\u{9b}']),
            "nothing steers: {shown:?}"
        );
    }
    redacted(&text);
})];
