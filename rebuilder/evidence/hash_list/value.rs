//! The forms of usual field values; any other value may be a message.

/// A package name (Debian policy 5.6.1).
pub(super) fn is_package(name: &str) -> bool {
    name.len() <= 128
        && name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "+-.".contains(c))
}

/// `NAME`, or `NAME (VERSION)` if the binaries have another version.
pub(super) fn is_source(value: &str) -> bool {
    match value.split_once(' ') {
        None => is_package(value),
        Some((name, rest)) => {
            let version = rest.strip_prefix('(').and_then(|rest| rest.strip_suffix(')'));
            is_package(name) && version.is_some_and(is_version)
        }
    }
}

pub(super) fn is_packages(value: &str) -> bool {
    let names = value.split(|c: char| c.is_whitespace() || c == ',');
    names.filter(|name| !name.is_empty()).all(is_package)
}

pub(super) fn is_version(value: &str) -> bool {
    value.starts_with(|c: char| c.is_ascii_digit())
        && value
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || ".+:~-".contains(c))
}

/// A date in the form of RFC 5322: `Sat, 11 Jul 2026 09:58:59 UTC`.
pub(super) fn is_date(value: &str) -> bool {
    const WORDS: [&str; 23] = [
        "mon", "tue", "wed", "thu", "fri", "sat", "sun", "jan", "feb", "mar", "apr", "may", "jun", "jul",
        "aug", "sep", "oct", "nov", "dec", "utc", "gmt", "z", "t",
    ];
    value.contains(|c: char| c.is_ascii_digit())
        && value.len() <= 40
        && value
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || " ,:+-".contains(c))
        && value
            .split(|c: char| !c.is_ascii_alphabetic())
            .filter(|word| !word.is_empty())
            .all(|word| WORDS.contains(&word.to_ascii_lowercase().as_str()))
}

pub(super) fn is_token(value: &str) -> bool {
    value.len() <= 64
        && value
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "._/+~-".contains(c))
}
