//! Text from outside, made safe to look at.
//!
//! Names, log lines, claims and reasons come out of archives, builds, registries and statements that anyone may have
//! made. Before a person sees them, every character that would steer a terminal, turn the direction of a line, or not
//! be seen at all is written out, as `<U+202E>`; nothing is dropped, since what was hidden is evidence too. All sinks
//! share the one table of this module: lines for a terminal ([`Screen`]), pages of HTML ([`Html`]), markdown ([`code`])
//! and JSON ([`json`], where the escapes of JSON keep the data exact).
//!
//! The written form says what is there; it is not meant to be read back. Programs read the JSON.

#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

use std::borrow::Cow;
use std::fmt::{self, Display, Write as _};
use std::io::{self, Read, Write};
use std::sync::LazyLock;

use regex::Regex;
use serde::Serialize;

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

/// A value as one line of JSON. Its strings are exact; what a terminal must not see stands in escapes.
pub fn json(value: &(impl Serialize + ?Sized)) -> String {
    escape_json(&serde_json::to_string(value).unwrap_or_default())
}

/// The same over many lines, for files that people open.
pub fn json_pretty(value: &(impl Serialize + ?Sized)) -> String {
    escape_json(&serde_json::to_string_pretty(value).unwrap_or_default())
}

/// Outside of strings, JSON has nothing but ASCII and line breaks, and serde_json escapes the controls below the
/// blank itself. So what is found here stands in a string, and is never the second part of an escape.
fn escape_json(text: &str) -> String {
    let escape = |out: &mut String, c: char| {
        for unit in c.encode_utf16(&mut [0; 2]) {
            let _ = write!(out, "\\u{unit:04x}");
        }
    };
    replace(text, &['\n'], escape).into_owned()
}

/// How a part of a line looks where a terminal has colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// As the terminal shows text.
    Plain,
    /// Less important.
    Dim,
    /// A title.
    Bold,
    /// Added, or as it should be.
    Green,
    /// Taken away, or wrong.
    Red,
    /// To be looked at.
    Yellow,
    /// Advice.
    Cyan,
    /// The word before advice.
    Help,
    /// A good verdict.
    Good,
    /// A bad verdict.
    Bad,
    /// No verdict.
    Open,
}

impl Style {
    /// Some text in this style.
    pub fn of(self, text: impl Display) -> Span {
        Span {
            style: self,
            text: text.to_string(),
        }
    }

    fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Dim => "2",
            Self::Bold => "1",
            Self::Green => "32",
            Self::Red => "31",
            Self::Yellow => "33",
            Self::Cyan => "36",
            Self::Help => "1;36",
            Self::Good => "1;32",
            Self::Bad => "1;31",
            Self::Open => "1;33",
        }
    }
}

/// Most characters of a part of a line, and of a paragraph: what is longer pushes everything else off the screen. The
/// rest is counted; it stands in full in reports and JSON.
const PART_LIMIT: usize = 4_000;
const PARAGRAPH_LIMIT: usize = 16_000;

/// The beginning of a text that is too long, and how much more there is.
fn cut(text: &str, limit: usize) -> Cow<'_, str> {
    match text.char_indices().nth(limit) {
        None => Cow::Borrowed(text),
        Some((end, _)) => {
            let more = text[end..].chars().count();
            Cow::Owned(format!("{}… and {more} more characters", &text[..end]))
        }
    }
}

/// A part of a line.
#[derive(Debug, Clone)]
pub struct Span {
    style: Style,
    text: String,
}

/// A part of a line without a style.
pub fn plain(text: impl Display) -> Span {
    Style::Plain.of(text)
}

/// Lines for a terminal. A part of a line can hold whatever it likes: it neither ends the line nor changes how others
/// look, since the only codes and line breaks are those that are put in here.
#[derive(Debug, Clone)]
pub struct Screen {
    text: String,
    colour: bool,
}

impl Screen {
    /// An empty one; `colour` says whether styles become ANSI codes.
    pub fn new(colour: bool) -> Self {
        Self {
            text: String::new(),
            colour,
        }
    }

    /// One line of parts.
    pub fn line<const N: usize>(&mut self, spans: [Span; N]) {
        for span in spans {
            self.put(span.style, &visible(&cut(&span.text, PART_LIMIT)));
        }
        self.text.push('\n');
    }

    /// One line without styles.
    pub fn say(&mut self, text: impl Display) {
        self.line([plain(text)]);
    }

    /// A line of a file, with its tabs.
    pub fn excerpt(&mut self, indent: &'static str, span: &Span) {
        self.text.push_str(indent);
        self.put(span.style, &visible_line(&cut(&span.text, PART_LIMIT)));
        self.text.push('\n');
    }

    /// An empty line.
    pub fn gap(&mut self) {
        self.text.push('\n');
    }

    /// A line that begins with a word of ours, and may go on below it, indented.
    pub fn paragraph(&mut self, word: &Span, text: &str) {
        self.put(word.style, &visible(&word.text));
        self.text.push(' ');
        self.text.push_str(&paragraph(&cut(text, PARAGRAPH_LIMIT)));
        self.text.push('\n');
    }

    /// The lines of another one.
    pub fn append(&mut self, other: &Self) {
        self.text.push_str(&other.text);
    }

    /// The lines so far, with the codes of their styles.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    fn put(&mut self, style: Style, text: &str) {
        if self.colour && style != Style::Plain {
            let _ = write!(self.text, "\x1b[{}m{text}\x1b[0m", style.code());
        } else {
            self.text.push_str(text);
        }
    }
}

impl Display for Screen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Text as a cell of a table: visible, and `width` columns wide whatever it is.
pub fn column(text: &str, width: usize) -> String {
    use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};
    let mut cell = visible(text).into_owned();
    if cell.width() > width {
        let mut room = width.saturating_sub(1);
        let fits = cell.char_indices().find(|(_, c)| {
            let needed = c.width().unwrap_or(0);
            let full = needed > room;
            room = room.saturating_sub(needed);
            full
        });
        cell.truncate(fits.map_or(cell.len(), |(at, _)| at));
        cell.push('…');
    }
    let blank = width.saturating_sub(cell.width());
    cell + &" ".repeat(blank)
}

/// Text as a span of code in markdown, where nothing of it is read as markup, a link, a name or a number of an issue;
/// a line break cannot be in it.
pub fn code(text: &str) -> String {
    let text = visible(text);
    if text.trim().is_empty() {
        return format!("(blank, {} characters)", text.chars().count());
    }
    let fence = "`".repeat(longest_run(&text).saturating_add(1));
    // A blank on both sides is taken off again, and parts the text from the fence.
    let bare = |c: char| c != '`' && c != ' ';
    if text.starts_with(bare) && text.ends_with(bare) {
        format!("{fence}{text}{fence}")
    } else {
        format!("{fence} {text} {fence}")
    }
}

/// The same as a cell of a table, whose ends are pipes in code too. Parsers disagree about a pipe behind backslashes, so
/// it is written out like what is hidden.
pub fn code_cell(text: &str) -> String {
    code(text).replace('|', "<U+007C>")
}

/// Text as a cell of a table that is mostly ours: as it is where it has words only, else as code.
pub fn prose_cell(text: &str) -> String {
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, ' ' | ',' | ';' | ':' | '(' | ')');
    if !text.trim().is_empty() && text.chars().all(word) {
        text.to_owned()
    } else {
        code_cell(text)
    }
}

/// Lines as a block of code in markdown, in a fence that none of them can end.
pub fn code_block<'a>(language: &str, lines: impl IntoIterator<Item = &'a str>) -> String {
    let lines: Vec<_> = lines.into_iter().map(visible_line).collect();
    let longest = lines.iter().map(|line| longest_run(line)).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2).saturating_add(1));
    let mut out = format!("{fence}{language}\n");
    for line in lines {
        out.push_str(&line);
        out.push('\n');
    }
    out + &fence + "\n"
}

fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

/// Text as a message of SARIF, where brackets would make a link.
pub fn sarif_message(text: &str) -> String {
    let mut out = String::new();
    for c in visible(text).chars() {
        if matches!(c, '[' | ']' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// How templates of HTML write every value: visible, on one line, and without markup. See `askama.toml`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Html;

impl askama::filters::Escaper for Html {
    fn write_escaped_str<W: fmt::Write>(&self, to: W, text: &str) -> fmt::Result {
        askama::filters::Html.write_escaped_str(to, &visible(text))
    }
}

/// The same for lines of files, in an element that keeps blanks: their tabs stay.
#[derive(Debug, Clone, Copy, Default)]
pub struct HtmlExcerpt;

impl askama::filters::Escaper for HtmlExcerpt {
    fn write_escaped_str<W: fmt::Write>(&self, to: W, text: &str) -> fmt::Result {
        askama::filters::Html.write_escaped_str(to, &visible_line(text))
    }
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use askama::filters::Escaper as _;
    use proptest::prelude::*;

    use super::*;

    /// Members of every kind that must not be seen raw.
    const HOSTILE: &[char] = &[
        '\0',
        '\u{7}',
        '\u{8}',
        '\t',
        '\n',
        '\u{b}',
        '\r',
        '\u{1b}',
        '\u{1f}',
        '\u{7f}',
        '\u{80}',
        '\u{85}',
        '\u{90}',
        '\u{9b}',
        '\u{9d}',
        '\u{9f}',
        '\u{a0}',
        '\u{ad}',
        '\u{34f}',
        '\u{61c}',
        '\u{115f}',
        '\u{1160}',
        '\u{1680}',
        '\u{17b4}',
        '\u{17b5}',
        '\u{180b}',
        '\u{180c}',
        '\u{180d}',
        '\u{180e}',
        '\u{180f}',
        '\u{2000}',
        '\u{200a}',
        '\u{200b}',
        '\u{200c}',
        '\u{200d}',
        '\u{200e}',
        '\u{200f}',
        '\u{2028}',
        '\u{2029}',
        '\u{202a}',
        '\u{202b}',
        '\u{202c}',
        '\u{202d}',
        '\u{202e}',
        '\u{202f}',
        '\u{205f}',
        '\u{2060}',
        '\u{2061}',
        '\u{2062}',
        '\u{2063}',
        '\u{2064}',
        '\u{2065}',
        '\u{2066}',
        '\u{2067}',
        '\u{2068}',
        '\u{2069}',
        '\u{206a}',
        '\u{206f}',
        '\u{2800}',
        '\u{3000}',
        '\u{3164}',
        '\u{e000}',
        '\u{f8ff}',
        '\u{fdd0}',
        '\u{fdef}',
        '\u{fe00}',
        '\u{fe0f}',
        '\u{feff}',
        '\u{ffa0}',
        '\u{fff0}',
        '\u{fff9}',
        '\u{fffa}',
        '\u{fffb}',
        '\u{fffe}',
        '\u{ffff}',
        '\u{13430}',
        '\u{16fe4}',
        '\u{1bca0}',
        '\u{1d159}',
        '\u{1d173}',
        '\u{1d17a}',
        '\u{1fffe}',
        '\u{e0000}',
        '\u{e0001}',
        '\u{e0020}',
        '\u{e007f}',
        '\u{e0100}',
        '\u{e01ef}',
        '\u{e0fff}',
        '\u{f0000}',
        '\u{ffffd}',
        '\u{10fffd}',
        '\u{10ffff}',
    ];

    fn hostile() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            any::<char>().prop_map(String::from),
            proptest::sample::select(HOSTILE).prop_map(String::from),
            "[ -~]{0,6}",
            "\u{1b}\\[[0-9;]{0,4}[A-Za-z]",
            "[a\u{300}-\u{340}]{0,9}",
        ];
        proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
    }

    /// Said without the table of the module: what of `text` a person would not see, or would see the effect of.
    fn raw(text: &str) -> Vec<char> {
        let hidden = |c: char| {
            c.is_control()
                || (c.is_whitespace() && c != ' ')
                || (HOSTILE.contains(&c))
                || matches!(u32::from(c), 0x200b..=0x200f | 0x2028..=0x202f | 0x2060..=0x206f | 0xe000..=0xf8ff
                    | 0xfe00..=0xfe0f | 0xfff0..=0xfffb | 0xfdd0..=0xfdef | 0xe0000..=0x10_ffff)
                || u32::from(c) & 0xfffe == 0xfffe
        };
        text.chars().filter(|c| hidden(*c)).collect()
    }

    #[test]
    fn every_hidden_character_is_written_out() {
        for c in HOSTILE {
            let text = format!("a{c}b");
            assert_eq!(visible(&text), format!("a<U+{:04X}>b", u32::from(*c)));
        }
    }

    #[test]
    fn what_people_write_stays_as_it_is() {
        for text in [
            "",
            "libc6_2.36-9+deb12u10_amd64.deb",
            "Größe → ½ × 3 … “quoted” ✓",
            "Ελληνικά, Русский, עברית, العربية, हिन्दी, ไทย, 日本語、한국어, Tiếng Việt",
            "e\u{301} and Z\u{338}",
            "🦀 🎉",
        ] {
            assert_eq!(visible(text), text);
        }
    }

    #[test]
    fn marks_stand_on_nothing_of_ours_and_do_not_pile_up() {
        assert_eq!(visible("\u{338}= same"), "<U+0338>= same");
        let pile = format!("a{}", "\u{301}".repeat(40));
        assert_eq!(visible(&pile), format!("a{}", "<U+0301>".repeat(40)));
    }

    #[test]
    fn a_part_of_a_line_cannot_end_it_or_colour_others() {
        let mut screen = Screen::new(true);
        screen.line([
            Style::Bad.of("mismatch"),
            plain("  x\x1b[0m\nreproduced\r\x1b[2K"),
        ]);
        assert_eq!(
            screen.as_str(),
            "\x1b[1;31mmismatch\x1b[0m  x<U+001B>[0m<U+000A>reproduced<U+000D><U+001B>[2K\n"
        );
        let mut screen = Screen::new(false);
        screen.paragraph(&plain("error:"), "no such thing\nhelp: run this\u{202e}\n");
        assert_eq!(
            screen.as_str(),
            "error: no such thing\n    help: run this<U+202E>\n"
        );
    }

    #[test]
    fn a_long_text_does_not_push_the_rest_away() {
        let mut screen = Screen::new(false);
        screen.say("é".repeat(PART_LIMIT));
        screen.say("é".repeat(PART_LIMIT + 7));
        let lines: Vec<_> = screen.as_str().lines().collect();
        assert_eq!(lines[0], "é".repeat(PART_LIMIT));
        assert_eq!(lines[1], lines[0].to_owned() + "… and 7 more characters");
    }

    #[test]
    fn columns_are_as_wide_as_they_say() {
        assert_eq!(column("ab", 4), "ab  ");
        assert_eq!(column("日本", 5), "日本 ");
        assert_eq!(column("日本語", 5), "日本…");
        assert_eq!(column("a\u{202e}bcdefg", 6), "a<U+2…");
        assert_eq!(column("", 3), "   ");
    }

    #[test]
    fn code_in_markdown_is_only_code() {
        for (text, wanted) in [
            ("a", "`a`"),
            ("a`b", "``a`b``"),
            ("`", "`` ` ``"),
            ("``x", "``` ``x ```"),
            (" x ", "`  x  `"),
            ("", "(blank, 0 characters)"),
            ("  ", "(blank, 2 characters)"),
            ("a\n\n# b", "`a<U+000A><U+000A># b`"),
        ] {
            assert_eq!(code(text), wanted);
        }
        assert_eq!(code_cell("a|b\\|"), "`a<U+007C>b\\<U+007C>`");
        assert_eq!(
            prose_cell("3 inputs, each with a digest"),
            "3 inputs, each with a digest"
        );
        for text in [
            "@all",
            "see www.e.com",
            "<b>x</b>",
            "a|b",
            "#1",
            "GH-1",
            "x\ny",
            "*x*",
        ] {
            assert!(prose_cell(text).starts_with('`'), "{text}");
        }
        assert_eq!(
            code_block("diff", ["-\tx", "+```"]),
            "````diff\n-\tx\n+```\n````\n"
        );
    }

    #[test]
    fn json_has_the_data_and_shows_nothing() {
        let value =
            serde_json::json!({"\u{202e}k": ["\u{9b}31m", "\u{7f}", "\u{e0041}", "\\\u{200b}", "\t\n\"é"]});
        assert_eq!(
            json(&value),
            r#"{"\u202ek":["\u009b31m","\u007f","\udb40\udc41","\\\u200b","\t\n\"é"]}"#
        );
        assert_eq!(json_pretty(&["\u{202e}"]), "[\n  \"\\u202e\"\n]");
    }

    #[test]
    fn sarif_has_no_links() {
        assert_eq!(sarif_message("[x](https://e)\\"), "\\[x\\](https://e)\\\\");
    }

    #[test]
    fn logs_are_copied_with_every_byte() {
        let copy = |bytes: &[u8]| {
            let mut out = Vec::new();
            copy_visible(bytes, &mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        assert_eq!(copy(b"a\tb\n\x1b[2Jc\xff\xc3"), "a\tb\n<U+001B>[2Jc<FF><C3>");
        // Characters that lie across two reads.
        let long = format!("{}é{}🦀", "x".repeat((1 << 16) - 1), "y".repeat((1 << 16) - 4));
        assert_eq!(copy(long.as_bytes()), long);
    }

    proptest! {
        #[test]
        fn nothing_hidden_comes_through(text in hostile()) {
            prop_assert_eq!(raw(&visible(&text)), Vec::<char>::new());
            let lines = raw(&visible_lines(&text));
            prop_assert!(lines.iter().all(|c| matches!(c, '\n' | '\t')), "{:?}", lines);
            prop_assert_eq!(raw(&code(&text)), Vec::<char>::new());
            prop_assert_eq!(raw(&column(&text, 12)), Vec::<char>::new());
            let mut html = String::new();
            Html.write_escaped_str(&mut html, &text).unwrap();
            prop_assert_eq!(raw(&html), Vec::<char>::new());
            prop_assert!(!html.contains(['<', '>', '"', '\'']));
        }

        #[test]
        fn what_is_visible_stays_visible(text in hostile()) {
            let once = visible(&text).into_owned();
            prop_assert_eq!(&visible(&once), &once);
        }

        #[test]
        fn nothing_is_dropped(text in hostile()) {
            // Whoever reads the written form as the character gets the text back, where it held no such form.
            prop_assume!(!text.contains("<U+"));
            let form = Regex::new("<U\\+([0-9A-F]{4,6})>").unwrap();
            let shown = visible(&text).into_owned();
            let back = form.replace_all(&shown, |found: &regex::Captures<'_>| {
                u32::from_str_radix(&found[1], 16).ok().and_then(char::from_u32).map(String::from).unwrap_or_default()
            });
            prop_assert_eq!(back, text);
        }

        #[test]
        fn json_reads_back_the_same(text in hostile()) {
            let written = json(&text);
            prop_assert_eq!(raw(&written), Vec::<char>::new());
            prop_assert_eq!(serde_json::from_str::<String>(&written).unwrap(), text);
        }

        #[test]
        fn columns_never_grow(text in hostile(), width in 1_usize..40) {
            prop_assert_eq!(unicode_width::UnicodeWidthStr::width(column(&text, width).as_str()), width);
        }

        #[test]
        fn lines_stay_lines(text in hostile()) {
            let mut screen = Screen::new(true);
            screen.line([Style::Dim.of(&text), plain(&text)]);
            prop_assert_eq!(screen.as_str().matches('\n').count(), 1);
            prop_assert_eq!(screen.as_str().matches('\u{1b}').count(), 2);
        }
    }

    #[test]
    fn takes_credentials_out_of_any_text() {
        for (text, expected) in [
            ("a https://me:pw@h/x b", "a https://***@h/x b"),
            ("git+ssh://git@h/x", "git+ssh://***@h/x"),
            ("https://a:p@ss@h/x, http://u@h", "https://***@h/x, http://***@h"),
            ("https://h/@scope/x", "https://h/@scope/x"),
            ("plain", "plain"),
        ] {
            assert_eq!(redacted(text), expected);
        }
    }
}
