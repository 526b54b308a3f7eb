//! Reads one untrusted requirement (PEP 508).

use std::str::FromStr as _;

use pep508_rs::{Requirement, VerbatimUrl, VersionOrUrl};

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

/// Whether a requirement is only one of an extra.
fn is_of_an_extra(requirement: &str) -> bool {
    let marker = requirement.split_once(';').map(|(_, marker)| marker);
    marker.is_some_and(|marker| marker.contains("extra"))
}

/// The requirements that the metadata of a source distribution lists (`PKG-INFO`), without those of extras; otherwise those
/// of the list that setuptools puts beside it (`requires.txt`), and otherwise those of a list for pip.
pub(super) fn of_source(metadata: &str, by_setuptools: &str, for_pip: &str) -> Vec<String> {
    let declared: Vec<_> = listed(metadata).filter(|text| !is_of_an_extra(text)).collect();
    let mut condition = Some("");
    let mut conditional = Vec::new();
    for line in by_setuptools.lines().map(str::trim) {
        match line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            // `[EXTRA:CONDITION]`, without an extra or without a condition.
            Some(section) => condition = section.strip_prefix(':'),
            None => conditional.extend(condition.map(|condition| match condition {
                "" => line.to_owned(),
                condition => format!("{line}; {condition}"),
            })),
        }
    }
    let of_lists = if conditional.iter().any(|line| read(line).is_some()) {
        conditional
    } else {
        for_pip.lines().map(str::to_owned).collect()
    };
    let all = if declared.is_empty() {
        of_lists
    } else {
        declared.into_iter().map(str::to_owned).collect()
    };
    // A requirement may name an address, which no registry answers for.
    let is_plain = |text: &String| {
        let requirement = read(text);
        requirement.is_some_and(|it| !matches!(it.version_or_url, Some(VersionOrUrl::Url(_))))
    };
    all.into_iter().filter(is_plain).collect()
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
    fn a_source_lists_what_it_requires_in_one_of_three_places() {
        let metadata =
            "Name: p\nRequires-Dist: idna>=2\nRequires-Dist: tox; extra == 'test'\n\nRequires-Dist: evil\n";
        let by_setuptools = "six\n\n[:python_version < '3']\nfutures>=3\n\n[test]\npytest\n";
        let for_pip = "# these\nattrs\n-r more.txt\nx @ https://h.example/x.zip\n";
        for (metadata, by_setuptools, expected) in [
            (metadata, by_setuptools, &["idna>=2"][..]),
            (
                "Name: p\n",
                by_setuptools,
                &["six", "futures>=3; python_version < '3'"],
            ),
            ("", "\n[test]\npytest\n", &["attrs"]),
        ] {
            assert_eq!(
                of_source(metadata, by_setuptools, for_pip),
                expected,
                "{metadata}"
            );
        }
    }

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
