//! Reads one untrusted requirement (PEP 508).

use std::str::FromStr as _;

use pep508_rs::{Requirement, VerbatimUrl};

/// Maximum depth of a condition, which the library parses recursively.
const DEPTH: usize = 64;

/// Reads a requirement; `None` if it is not one.
///
/// The library panics if a name or an extra ends with a forbidden character and more text follows, and it confuses
/// numbers of characters and bytes, so both are checked first. All parts of a requirement are ASCII.
pub(super) fn read(text: &str) -> Option<Requirement<VerbatimUrl>> {
    let in_name = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let behind = text.trim_start().trim_start_matches(in_name);
    let name = text.trim_start().strip_suffix(behind)?;
    let extras = behind.trim_start().strip_prefix('[').unwrap_or_default();
    let extras = extras.split(']').next().unwrap_or_default();
    let words = extras.split(|c: char| !in_name(c)).chain([name]);
    let ends_well = |word: &str| !word.ends_with(['.', '_', '-']);
    if !text.is_ascii() || !words.into_iter().all(ends_well) || depth(text) > DEPTH {
        return None;
    }
    Requirement::from_str(text).ok()
}

/// The requirements that a `METADATA` lists (`Requires-Dist` of the core metadata), as it spells them.
pub(super) fn listed(metadata: &str) -> impl Iterator<Item = &str> {
    let headers = metadata.lines().take_while(|line| !line.is_empty());
    headers
        .filter_map(|line| line.strip_prefix("Requires-Dist:"))
        .map(str::trim)
}

/// The maximum number of parentheses that are open at once.
fn depth(text: &str) -> usize {
    let (mut open, mut most) = (0_usize, 0);
    for c in text.chars() {
        match c {
            '(' => open = open.saturating_add(1),
            ')' => open = open.saturating_sub(1),
            _ => {}
        }
        most = open.max(most);
    }
    most
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_text_is_read_or_refused() {
        let nested = |depth: usize| format!("a; {}os_name == 'x'{}", "(".repeat(depth), ")".repeat(depth));
        for (text, good) in [
            ("setuptools>=61", true),
            (" zope.interface [a, b-c] (>=5) ; python_version > '3'", true),
            ("1. ", false),
            ("a-", false),
            ("a- >=1", false),
            ("a_;os_name == 'x'", false),
            ("a.[b]", false),
            ("a[b.]", false),
            ("a[c, b- ]", false),
            ("a[b_,c]", false),
            ("[a.]", false),
            ("a>=3 ; python_version > '3'\u{fffd}\u{fffd}ps", false),
            ("a ; os_name \u{e9}= 'x'", false),
            ("\u{ff41}", false),
            ("", false),
            ("a[", false),
            (&nested(60), true),
            (&nested(100_000), false),
        ] {
            assert_eq!(read(text).is_some(), good, "{text:.40}");
        }
    }
}
