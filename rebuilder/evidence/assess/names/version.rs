//! Versions in the names of files.

use packageurl::PackageUrl;

/// Whether a file's name, which begins like the package's (with or without its namespace), has the package's version,
/// or no version; `None` if the name is another one.
pub(in super::super) fn of_version(purl: &PackageUrl<'_>, file: &str) -> Option<bool> {
    let plain = |text: &str| -> String {
        text.to_lowercase()
            .chars()
            .filter(|c| c.is_alphanumeric())
            .collect()
    };
    let name = plain(purl.name());
    let scoped = format!("{}{name}", purl.namespace().map(plain).unwrap_or_default());
    let rest = behind(file, &scoped).or_else(|| behind(file, &name))?;
    // "tool" is not the beginning of "toolbox".
    let is_longer = rest.starts_with(char::is_alphabetic) && without_v(rest) == rest;
    if is_longer {
        return Some(false);
    }
    // Debian leaves the epoch out of file names.
    let version = purl
        .version()
        .map(|version| version.split_once(':').map_or(version, |(_, rest)| rest));
    Some(!has_version(rest) || version.is_none_or(|version| is_version(rest, version)))
}

/// What is left of a file's name behind letters and digits, whatever stands between these.
fn behind<'f>(file: &'f str, name: &str) -> Option<&'f str> {
    let mut wanted = name.chars();
    let mut rest = file;
    let mut next = wanted.next();
    while let Some(letter) = next {
        let c = rest.chars().next()?;
        rest = rest.get(c.len_utf8()..)?;
        if c.is_alphanumeric() {
            if !c.to_lowercase().eq(std::iter::once(letter)) {
                return None;
            }
            next = wanted.next();
        }
    }
    Some(rest)
}

/// Whether a part of a name begins with a digit, other than its ending (`tar.bz2`, `7z`).
fn has_version(rest: &str) -> bool {
    let (start, ending) = rest.rsplit_once('.').unwrap_or((rest, ""));
    let is_ending = ending.contains(|c: char| c.is_ascii_alphabetic());
    let mut parts = if is_ending { start } else { rest }.split(['-', '_', '.', '+', '~']);
    let digit = |text: &str| text.starts_with(|c: char| c.is_ascii_digit());
    parts.any(|part| digit(part) || digit(part.trim_start_matches('v')))
}

/// Whether a text begins with a version, and not with a longer one (`1.0` in `-1.0.1.tgz`, `3.1` in `-3.10.tar.gz`). What
/// stands between numbers and words may differ: `1.0-rc1` is `1.0rc1`.
fn is_version(rest: &str, version: &str) -> bool {
    let rest = rest.trim_start_matches(|c: char| !c.is_alphanumeric());
    let mut left = without_v(rest);
    for wanted in runs(without_v(version)) {
        let mut all = runs(left);
        let Some(found) = all.next().filter(|found| found.eq_ignore_ascii_case(wanted)) else {
            return false;
        };
        let Some((_, behind)) = left.split_once(found) else {
            return false;
        };
        left = behind;
    }
    // A further number makes it a longer version, unless it is zero; the last part may be an ending.
    let mut parts = left.strip_prefix('.').unwrap_or_default().split('.').peekable();
    while let Some(part) = parts.next() {
        let is_number = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if is_number && part.bytes().all(|byte| byte == b'0') {
            continue;
        }
        let begins = part.starts_with(|c: char| c.is_ascii_digit());
        return !begins || !is_number && parts.peek().is_none();
    }
    true
}

/// A version as most write it: tags put a letter before it.
fn without_v(text: &str) -> &str {
    let plain = text.strip_prefix(['v', 'V']);
    plain
        .filter(|plain| plain.starts_with(|c: char| c.is_ascii_digit()))
        .unwrap_or(text)
}

/// The numbers and words in a text, in their order.
fn runs(text: &str) -> impl Iterator<Item = &str> {
    let mut left = text;
    std::iter::from_fn(move || {
        left = left.trim_start_matches(|c: char| !c.is_alphanumeric());
        let first = left.chars().next()?;
        let is_same = |c: char| c.is_alphanumeric() && c.is_ascii_digit() == first.is_ascii_digit();
        let end = left.find(|c: char| !is_same(c)).unwrap_or(left.len());
        let (run, rest) = left.split_at_checked(end)?;
        left = rest;
        Some(run)
    })
}

#[cfg(test)]
mod tests {
    use std::str::FromStr as _;

    use super::*;

    #[test]
    #[rustfmt::skip]
    fn a_version_is_no_beginning_of_a_longer_one() {
        for (purl, file, expected) in [
            ("pkg:pypi/idna@3.1", "idna-3.1-py3-none-any.whl", Some(true)),
            ("pkg:pypi/idna@3.1", "idna-3.10-py3-none-any.whl", Some(false)),
            ("pkg:pypi/idna@3.10", "idna-3.1.tar.gz", Some(false)),
            ("pkg:pypi/idna@3.10rc1", "idna-3.10rc1.tar.gz", Some(true)),
            ("pkg:pypi/idna@3.10-rc1", "idna-3.10rc1.tar.gz", Some(true)),
            ("pkg:pypi/a@1.0%2Blocal", "a-1.0+local-py3-none-any.whl", Some(true)),
            ("pkg:generic/app@1.0", "app-1.0.tar.gz", Some(true)),
            ("pkg:generic/app@1.0", "app-1.0.7z", Some(true)),
            ("pkg:pypi/app@1.0", "app-1.0.0.tar.gz", Some(true)),
            ("pkg:pypi/app@1.0", "app-1.0.0.1.tar.gz", Some(false)),
            ("pkg:generic/app@1.0", "app-1.0.1.tar.gz", Some(false)),
            ("pkg:generic/app@1.0", "app-1.0.1", Some(false)),
            ("pkg:generic/app@1.0", "app-1.0.1rc1.zip", Some(false)),
            ("pkg:generic/app@1.0.0", "app-10.0.tar.gz", Some(false)),
            ("pkg:generic/app@1.0", "app-1.0-linux-amd64.tar.gz", Some(true)),
            ("pkg:github/o/app@v1.0", "app-1.0.zip", Some(true)),
            ("pkg:generic/app@1.0", "app_v1.0.zip", Some(true)),
            ("pkg:generic/app@1.0", "app.tar.bz2", Some(true)),
            ("pkg:generic/app@1.0", "app", Some(true)),
            ("pkg:generic/app", "application-1.0.zip", Some(false)),
            ("pkg:generic/app@1.0", "appliance", Some(false)),
            ("pkg:npm/tool@1.0.0", "tool-evil-1.0.0.tgz", Some(false)),
            ("pkg:npm/%40scope/tool@1.0.0", "scope-tool-1.0.0.tgz", Some(true)),
            ("pkg:deb/debian/jq@1:1.6-2.1%2Bdeb12u2", "jq_1.6-2.1+deb12u2_amd64.deb", Some(true)),
            ("pkg:deb/debian/jq@1:1.6-2.1", "jq_1.6-2_amd64.deb", Some(false)),
            ("pkg:npm/tool@1.0.0", "other-1.0.0.tgz", None),
            ("pkg:npm/tool@1.0.0", "toolé-1.0.0.tgz", Some(false)),
            ("pkg:npm/tool@1.0.0", "too", None),
            ("pkg:npm/tool", "tool-\u{202e}1.0", Some(true)),
        ] {
            let purl = PackageUrl::from_str(purl).unwrap();
            assert_eq!(of_version(&purl, file), expected, "{purl} {file}");
        }
    }
}
