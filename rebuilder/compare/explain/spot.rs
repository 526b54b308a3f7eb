//! The surroundings of a value in a text, which decide what it can mean.

use std::ops::Range;

use super::Context;

/// A value in a text.
#[derive(Clone, Copy)]
pub(super) struct Spot<'a> {
    pub line: &'a str,
    start: usize,
    end: usize,
    pub context: Context<'a>,
}

/// Characters that may be between a name and its value.
const AROUND: [char; 12] = [' ', '\t', '"', '\'', '`', '(', '<', '[', '{', '\\', '\r', '\n'];
const BEHIND: [char; 14] = [
    ' ', '\t', '"', '\'', '`', ')', '>', ']', '}', ',', ';', '\\', '\r', '\n',
];

impl<'a> Spot<'a> {
    pub fn new(line: &'a str, range: &Range<usize>, context: Context<'a>) -> Self {
        let before = line.get(..range.start).unwrap_or_default();
        let of_program = context.markup && (is_in_script(before, context.script) || is_in_element(before));
        Self {
            line,
            start: range.start,
            end: range.end,
            context: Context {
                code: context.code || of_program,
                ..context
            },
        }
    }

    pub fn value(&self) -> &'a str {
        self.line.get(self.start..self.end).unwrap_or_default()
    }

    pub fn before(&self) -> &'a str {
        self.line.get(..self.start).unwrap_or_default()
    }

    pub fn after(&self) -> &'a str {
        self.line.get(self.end..).unwrap_or_default()
    }

    /// The name of the value here: `created` in `"created": 1`, `<created>1` and `created=1`; empty if it has none.
    pub fn key(&self) -> &'a str {
        let before = self.before().trim_end_matches(AROUND);
        if before.is_empty() {
            return self.context.field;
        }
        let name = before.trim_end_matches([':', '=', '>', ' ', '\t', '"', '\'', '`', ']']);
        let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        let start = name
            .char_indices()
            .rev()
            .take_while(|(_, c)| is_part(*c))
            .last()
            .map_or(name.len(), |(at, _)| at);
        name.get(start..).unwrap_or_default()
    }

    /// The name of the element around the value: `dcterms:created` in `<dcterms:created xsi:type="W3CDTF">1`.
    pub fn element(&self) -> &'a str {
        let inside = self.before().trim_end().strip_suffix('>');
        let Some((_, element)) = inside.and_then(|before| before.rsplit_once('<')) else {
            return "";
        };
        let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, ':' | '_' | '-' | '.');
        let end = element.find(|c| !is_part(c)).unwrap_or(element.len());
        element.get(..end).unwrap_or_default()
    }

    /// Whether the name has one of these words, in lower case: `build` and `time` in `buildTime` and `BUILD_TIME`.
    pub fn key_has(&self, words: &[&str]) -> bool {
        self::words(self.key())
            .iter()
            .any(|word| words.contains(&word.as_str()))
    }

    /// Whether the text contains nothing else, and no field says what it is.
    pub fn is_alone(&self) -> bool {
        self.context.field.is_empty()
            && self.before().trim_end_matches(AROUND).is_empty()
            && self.after().trim_start_matches(BEHIND).is_empty()
    }

    /// Whether the value is part of the address of a remote resource; `file://` is a path on this machine.
    pub fn is_in_url(&self) -> bool {
        let stops = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>' | '(' | '`');
        let token = self.before().rsplit(stops).next().unwrap_or_default();
        let value = self.value();
        let scheme = |text: &str| {
            text.match_indices("://")
                .any(|(at, _)| !text.get(..at).is_some_and(|scheme| scheme.ends_with("file")))
        };
        scheme(token) || scheme(value) || token.starts_with("//") || token.starts_with("git@")
    }

    /// Whether the text is a comment in any of the usual languages.
    pub fn is_in_comment(&self) -> bool {
        let line = self.line.trim_start();
        ["# ", "#: ", "//", "/*", "* ", "<!--", "; ", "-- ", "% ", ".\\\""]
            .iter()
            .any(|mark| line.starts_with(mark))
    }

    /// Whether a program decides by the value: it is compared, or is in a condition.
    pub fn is_compared(&self) -> bool {
        const CONDITIONS: [&str; 12] = [
            "if", "elif", "while", "assert", "return", "when", "case", "unless", "until", "elsif", "elseif",
            "else",
        ];
        let line = self.line.trim_start().trim_start_matches(['}', ' ']);
        let first = line
            .split(|c: char| !c.is_ascii_alphanumeric())
            .next()
            .unwrap_or_default();
        let before = self.before().trim_end_matches(['"', '\'', '`', '(']);
        let operator = |text: &str, marks: &[&str]| marks.iter().any(|mark| text.ends_with(mark));
        CONDITIONS.contains(&first)
            || operator(
                before.trim_end(),
                &["==", "!=", ">=", "<=", "-eq", "-lt", "-gt", "-ge", "-le"],
            )
            || operator(before, &[" > ", " < "])
    }

    pub fn last_before(&self) -> Option<char> {
        self.before().chars().next_back()
    }

    pub fn first_after(&self) -> Option<char> {
        self.after().chars().next()
    }
}

/// Whether a line of markup is within a script or a style after this beginning.
pub(in crate::compare) fn is_in_script(before: &str, was: bool) -> bool {
    let before = before.to_ascii_lowercase();
    let last = |marks: [&str; 2]| marks.into_iter().filter_map(|mark| before.rfind(mark)).max();
    match (last(["<script", "<style"]), last(["</script", "</style"])) {
        (None, None) => was,
        (begins, ends) => begins > ends,
    }
}

/// Whether a line of markup is within the tag of an element after this beginning; some elements only describe the page.
fn is_in_element(before: &str) -> bool {
    const DESCRIBING: [&str; 2] = ["meta", "time"];
    let Some((_, tag)) = before.rsplit_once('<').filter(|(_, tag)| !tag.contains('>')) else {
        return false;
    };
    let name = tag
        .split(|c: char| !c.is_ascii_alphanumeric())
        .next()
        .unwrap_or_default();
    !name.is_empty() && !DESCRIBING.contains(&name.to_ascii_lowercase().as_str())
}

/// The words of a name in any of the usual spellings.
pub(super) fn words(name: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut was_lower = false;
    for c in name.chars() {
        let boundary = !c.is_ascii_alphanumeric() || was_lower && c.is_ascii_uppercase();
        if boundary && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        if c.is_ascii_alphanumeric() {
            word.push(c.to_ascii_lowercase());
        }
        was_lower = c.is_ascii_lowercase() || c.is_ascii_digit();
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spot<'a>(line: &'a str, value: &str) -> Spot<'a> {
        let start = line.find(value).unwrap();
        Spot::new(line, &(start..start + value.len()), Context::default())
    }

    #[test]
    fn a_value_has_the_name_before_it() {
        for (line, name) in [
            ("\"buildTime\": 17", "buildTime"),
            ("<created>17</created>", "created"),
            ("BUILD_TIME=17", "BUILD_TIME"),
            ("const x = '17'", "x"),
            ("17", ""),
        ] {
            assert_eq!(spot(line, "17").key(), name, "{line}");
        }
        assert!(spot("buildTime=17", "17").key_has(&["time"]));
        assert!(!spot("timeout=17", "17").key_has(&["time"]));
    }

    #[test]
    fn elements_and_scripts_of_markup_belong_to_a_program() {
        let is_code = |line: &str, script| {
            let context = Context {
                markup: true,
                script,
                ..Context::default()
            };
            let start = line.find("17").unwrap();
            Spot::new(line, &(start..start + 2), context).context.code
        };
        for line in [
            "<a href=\"17\">",
            "<b onclick='17'>",
            "<Script>x(17)",
            "</script><style>17",
        ] {
            assert!(is_code(line, false), "{line}");
        }
        for line in [
            "<p>17</p>",
            "<meta content=\"17\">",
            "<!-- 17 -->",
            "a < 17",
            "17",
            "</script>17",
        ] {
            assert!(!is_code(line, false), "{line}");
        }
        assert!(is_code("17", true) && !is_code("x()</script>17", true));
    }

    #[test]
    fn a_value_may_be_part_of_an_address() {
        assert!(spot("see <https://a.org/home/x/y>", "/home/x/y").is_in_url());
        assert!(!spot("see file:///home/x/y", "/home/x/y").is_in_url());
        assert!(!spot("https://a.org /home/x/y", "/home/x/y").is_in_url());
    }
}
