//! Text inside of markdown, SARIF and HTML.

use std::fmt;

use super::{visible, visible_line, visible_lines};

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

/// The same for text of several lines, in an element that keeps blanks: its line breaks and tabs stay.
#[derive(Debug, Clone, Copy, Default)]
pub struct HtmlLines;

impl askama::filters::Escaper for HtmlLines {
    fn write_escaped_str<W: fmt::Write>(&self, to: W, text: &str) -> fmt::Result {
        askama::filters::Html.write_escaped_str(to, &visible_lines(text))
    }
}
