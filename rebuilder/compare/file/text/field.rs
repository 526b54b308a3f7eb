//! Lines as fields: a name and a value.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;

/// A line's field and its value; the name is empty if the line is not a field.
pub(super) struct NamedValue<'a> {
    pub name: &'a str,
    pub value: &'a str,
}

static FIELD: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r#"^[ \t]*["']?([A-Za-z_][A-Za-z0-9_ .@/-]{0,48}?)["']?[ \t]*[:=][ \t]?(.*)$"#).ok()
});

/// The field of the line at `at`; with `continued`, an indented line belongs to the field before it.
pub(super) fn field_at<'a>(lines: &'a [Cow<str>], at: usize, continued: bool) -> NamedValue<'a> {
    let line = lines.get(at).map_or("", |line| line.trim_end());
    if continued && is_indented(line) {
        const FARTHEST: usize = 500;
        let before = lines.get(..at).unwrap_or_default();
        let above = before.iter().rev().take(FARTHEST).find(|line| !is_indented(line));
        let name = above
            .and_then(|line| line.split_once(':'))
            .map_or("", |(name, _)| name);
        return NamedValue { name, value: line };
    }
    let captures = FIELD.as_ref().and_then(|pattern| pattern.captures(line));
    let part = |number, otherwise| {
        let captures = captures.as_ref()?;
        Some(captures.get(number).map_or(otherwise, |part| part.as_str()))
    };
    NamedValue {
        name: part(1, "").unwrap_or(""),
        value: part(2, "").unwrap_or(line),
    }
}

fn is_indented(line: &str) -> bool {
    line.starts_with([' ', '\t'])
}
