//! Lines for a terminal.

use std::borrow::Cow;
use std::fmt::{self, Display, Write as _};

use super::{paragraph, visible, visible_line};

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

/// Maximum number of characters of a part of a line, and of a paragraph: what is longer pushes everything else off the
/// screen. The rest is counted; it stands in full in reports and JSON.
pub(super) const PART_LIMIT: usize = 4_000;
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
