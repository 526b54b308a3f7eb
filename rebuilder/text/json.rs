//! JSON that a terminal may show.

use std::fmt::Write as _;

use serde::Serialize;

use super::replace;

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
