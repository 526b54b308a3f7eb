//! What the language of a machine changes in text.

use std::sync::LazyLock;

use regex::Regex;

use crate::compare::cause::{Cause, Confidence, Reason};

/// The same numbers in another language's order or words, or one decimal mark for another.
pub(super) fn locale(released: &str, rebuilt: &str) -> Option<Reason> {
    static TIME: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"\d{1,2}[:.h]\d\d(?:[:.]\d\d)?").ok());
    static DECIMAL: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"(\d)[.,](\d)").ok());
    let reason = |key: &str| Some(Reason::new(Cause::Locale, key, Confidence::Likely));
    let decimal = DECIMAL.as_ref()?;
    if decimal.replace_all(released, "$1.$2") == decimal.replace_all(rebuilt, "$1.$2") {
        return reason("decimal mark");
    }
    let numbers = |text: &str| {
        let mut numbers: Vec<String> = text
            .split(|c: char| !c.is_ascii_digit())
            .filter(|digits| !digits.is_empty())
            .map(|digits| digits.trim_start_matches('0').to_owned())
            .collect();
        numbers.sort();
        numbers
    };
    let time = TIME.as_ref()?;
    if time.is_match(released)
        && time.is_match(rebuilt)
        && numbers(released).len() >= 4
        && numbers(released) == numbers(rebuilt)
    {
        return reason("words and order of a date");
    }
    // What one locale can write and the other replaces.
    let ascii = |text: &str| {
        text.chars()
            .filter(char::is_ascii)
            .filter(|c| *c != '?')
            .collect::<String>()
    };
    if released.is_ascii() != rebuilt.is_ascii()
        && ascii(released) == ascii(rebuilt)
        && !ascii(released).trim().is_empty()
    {
        return reason("characters beyond ASCII");
    }
    None
}
