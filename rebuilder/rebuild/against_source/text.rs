//! What two texts show about who made the difference between them: people, or a program that wrote one of them.

use std::str::FromStr as _;

/// What programs write into files that they generate, and what git leaves in place of others, in lower case.
const MARKS: [&str; 6] = [
    "generated",
    "do not edit",
    "do not modify",
    "don't edit",
    "created by setup.py",
    "version https://git-lfs",
];
/// Keywords that version control expands wherever they are: those of Subversion, CVS, Mercurial and git.
const KEYWORDS: [&str; 18] = [
    "Author",
    "Date",
    "Hash",
    "Header",
    "HeadURL",
    "Id",
    "LastChangedBy",
    "LastChangedDate",
    "LastChangedRevision",
    "Locker",
    "Log",
    "Name",
    "RCSfile",
    "Rev",
    "Revision",
    "Source",
    "State",
    "URL",
];
/// What no stamp has inside, but code may.
const CODE: [char; 9] = ['\'', '"', '`', ';', '(', ')', '{', '}', '='];
/// What ends a string or a statement, and stands in nothing that version control writes.
const ENDS: [char; 4] = ['\'', '"', '`', ';'];
/// Words of lines in which a number without letters is the name of a commit.
const OF_COMMITS: [&str; 6] = ["build", "commit", "git", "hash", "rev", "sha"];
/// Number of bytes at the beginning of a file that are searched for these marks.
const HEAD: usize = 4096;
/// Number of visible bytes that a file must have at least: what is shorter may be the same by chance.
const LEAST: usize = 8;
/// Length of a line that nobody writes: the file was minified, or holds data.
const LONGEST_LINE: usize = 1000;
/// Length of the longest path that a link leads to.
const LONGEST_LINK: usize = 255;
/// What editors on Windows put before a text.
const BOM: char = '\u{feff}';
/// Number of digits that the short name of a commit has at least.
const COMMIT: usize = 7;

/// Whether only another source explains that a file has this text in the release, and that text in the source.
pub(super) fn accuses(own: &str, theirs: &str, version: Option<&str>) -> bool {
    let visible = own.bytes().filter(|byte| !byte.is_ascii_whitespace()).count();
    visible >= LEAST
        && !is_generated(own)
        && !is_generated(theirs)
        && !is_stamped(own, theirs, version)
        && !differ_in_interpreter(own, theirs)
        && !is_link(own)
        && !is_link(theirs)
}

fn is_generated(text: &str) -> bool {
    let head = text.as_bytes().get(..HEAD).unwrap_or(text.as_bytes());
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    MARKS.iter().any(|mark| head.contains(mark)) || text.lines().any(|line| line.len() > LONGEST_LINE)
}

/// Whether a text is only a path: git writes a link so where the system has none.
fn is_link(text: &str) -> bool {
    text.len() <= LONGEST_LINK && text.contains('/') && !text.contains(char::is_whitespace)
}

/// Whether only the first line differs, and both name an interpreter there: tools that install scripts change it.
fn differ_in_interpreter(own: &str, theirs: &str) -> bool {
    match (own.split_once('\n'), theirs.split_once('\n')) {
        (Some((own, below)), Some((theirs, same))) => {
            below == same && own.starts_with("#!") && theirs.starts_with("#!")
        }
        _ => false,
    }
}

/// Whether the release only has its version, the name of a commit, or what version control writes, where the source has
/// something else: publishers write these into files before they build.
fn is_stamped(own: &str, theirs: &str, version: Option<&str>) -> bool {
    let (own, theirs) = (lines(own), lines(theirs));
    own.len() == theirs.len()
        && own
            .iter()
            .zip(&theirs)
            .filter(|(own, theirs)| own != theirs)
            .all(|(own, theirs)| is_stamp(own, theirs, version) || is_expanded(own, theirs))
}

/// Whether only one word or list of numbers differs between two lines, and says which version or commit it is.
fn is_stamp(own: &str, theirs: &str, version: Option<&str>) -> bool {
    let lower = own.to_ascii_lowercase();
    let is_word = |c: char| c.is_ascii_alphanumeric() || "._+-".contains(c);
    let is_list = |c: char| c.is_ascii_alphanumeric() || "., '\"".contains(c);
    let written = changed(own, theirs, &is_word);
    let before = changed(theirs, own, &is_word);
    // What was there was no code.
    let word = !before.contains(CODE) && !before.contains(char::is_whitespace);
    word && (is_version(written, &lower, version) || is_commit(written, &lower) || is_description(written))
        || lower.contains("version")
            && changed(theirs, own, &is_list).chars().all(is_list)
            && is_tuple(changed(own, theirs, &is_list), version)
}

/// The lines of a text, without what editors change at their ends, and without empty ones at its end.
fn lines(text: &str) -> Vec<&str> {
    let text = text.trim_start_matches(BOM).trim_end();
    // As in files of old systems, and of new ones.
    let lines = text
        .split('\n')
        .flat_map(|line| line.strip_suffix('\r').unwrap_or(line).split('\r'));
    lines.map(str::trim_end).collect()
}

/// Whether a word of a line is the version of the release, in any of its forms: `1.0`, `v1.0.0`, `1.0.0-rc.1` for
/// `1.0rc1`. A version that is only a number counts if the line speaks of versions.
fn is_version(word: &str, line: &str, version: Option<&str>) -> bool {
    let Some(version) = version else { return false };
    let plain = word.strip_prefix(['v', 'V']).unwrap_or(word);
    let of_versions = plain.contains('.') || line.contains("version");
    of_versions && (plain == version || is_same_version(plain, version))
}

fn is_same_version(one: &str, other: &str) -> bool {
    let parsed = |text: &str| pep440_rs::Version::from_str(text).ok();
    parsed(one).is_some_and(|one| parsed(other) == Some(one))
}

/// Whether a list such as `1, 2, 0` has the numbers of the version of the release.
fn is_tuple(list: &str, version: Option<&str>) -> bool {
    let blank = |c: char| " '\"".contains(c);
    let parts = list.split(',').map(|part| part.trim_matches(blank));
    let parts: Vec<_> = parts.filter(|part| !part.is_empty()).collect();
    parts.len() > 1 && version.is_some_and(|version| is_same_version(&parts.join("."), version))
}

/// Whether a word is one that `git describe` writes for a commit: a tag, a number of commits, and the name of one.
fn is_description(word: &str) -> bool {
    let word = word.strip_suffix("-dirty").unwrap_or(word);
    let Some((before, commit)) = word.rsplit_once("-g") else {
        return false;
    };
    let number = before.rsplit_once('-').map(|(_, number)| number);
    is_commit(commit, "commit") && number.is_some_and(|number| number.parse::<u32>().is_ok())
}

/// Whether two lines differ only in what version control writes for a keyword.
fn is_expanded(own: &str, theirs: &str) -> bool {
    is_formatted(own, theirs)
        || is_formatted(theirs, own)
        || without_expansions(own) == without_expansions(theirs)
}

/// Whether a line has `$Format:…$`, and the other one what git writes in its place.
fn is_formatted(line: &str, other: &str) -> bool {
    let format = line
        .split_once("$Format:")
        .and_then(|(before, format)| Some((before, format.split_once('$')?.1)));
    let written = format.and_then(|(before, after)| other.strip_prefix(before)?.strip_suffix(after));
    written.is_some_and(|written| !written.contains(ENDS))
}

/// A line with `$Id$` in the place of `$Id: a.c 12 2010-01-02 joe $`.
fn without_expansions(line: &str) -> String {
    let mut kept = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((before, after)) = rest.split_once('$') {
        kept.push_str(before);
        kept.push('$');
        rest = after;
        let end = after
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(after.len());
        let (word, follows) = after.split_at(end);
        if !KEYWORDS.contains(&word) {
            continue;
        }
        let beyond = match follows.strip_prefix(':') {
            Some(text) => text
                .split_once('$')
                .filter(|(written, _)| written.ends_with(' ') && !written.contains(ENDS))
                .map(|(_, beyond)| beyond),
            None => follows.strip_prefix('$'),
        };
        if let Some(beyond) = beyond {
            kept.push_str(word);
            kept.push('$');
            rest = beyond;
        }
    }
    kept.push_str(rest);
    kept
}

/// The part of `theirs` that `own` has otherwise, as whole words of these characters.
fn changed<'a>(own: &str, theirs: &'a str, is_word: &dyn Fn(char) -> bool) -> &'a str {
    let same = |pair: &((usize, char), char)| pair.0.1 == pair.1;
    let before = theirs.char_indices().zip(own.chars()).take_while(same);
    let start = before
        .last()
        .map_or(0, |((at, c), _)| at.saturating_add(c.len_utf8()));
    let (head, tail) = theirs.split_at(start);
    let own_tail = own.get(start..).unwrap_or_default();
    let after = tail
        .char_indices()
        .rev()
        .zip(own_tail.chars().rev())
        .take_while(same);
    let end = after.last().map_or(tail.len(), |((at, _), _)| at);
    let start = head.trim_end_matches(is_word).len();
    let rest = tail.get(end..).unwrap_or_default();
    let more = rest.len().saturating_sub(rest.trim_start_matches(is_word).len());
    let end = start.max(head.len().saturating_add(end).saturating_add(more));
    theirs.get(start..end).unwrap_or_default()
}

/// Whether a word of a line may be the name of a commit.
fn is_commit(word: &str, line: &str) -> bool {
    word.len() >= COMMIT
        && word.bytes().all(|byte| byte.is_ascii_hexdigit())
        && word.bytes().any(|byte| byte.is_ascii_digit())
        && (word.bytes().any(|byte| !byte.is_ascii_digit()) || OF_COMMITS.iter().any(|of| line.contains(of)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_accuse_nobody() {
        let minified = format!("!function(){{{}}}();\n", "x();".repeat(500));
        let data = minified.replace('x', "y");
        let long = "import sys\n".repeat(500);
        for (own, theirs, expected) in [
            ("import sys\n", "import subprocess\n", true),
            ("import sys\n", "import sys\nevil()\n", true),
            ("import sys\n", "import sys  # 1.2.3\nevil()\n", true),
            ("\n", "import subprocess\n", false),
            (
                "version = 'unknown'\n",
                "# generated by x\nversion = '1'\n",
                false,
            ),
            (
                "# file generated by x\nv = '1.2'\n",
                "# file generated by x\nv = '1.2'\nTYPE = str\n",
                false,
            ),
            (
                "version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
                "import sys\n",
                false,
            ),
            ("refs = '$Format:%d$'\n", "refs = ' (tag: v1)'\n", false),
            ("refs = ' (tag: v1)'\n", "refs = '$Format:%d$'\n", false),
            (&minified, &data, false),
            ("# Read me\n", "../README.md", false),
            // What publishers write before they build.
            ("version = '0.0.0'\n", "version = '1.2.3'\n", false),
            ("version = '1.2.2'\n", "version = '1.2.3'\n", false),
            ("version = '@VERSION@'\n", "version = '1.2.3'\n", false),
            ("version = ''\nx = 1\n", "version = '1.2.3'\nx = 1\n", false),
            ("tag = 'main'\n", "tag = 'v1.2.3'\n", false),
            ("commit = 'unknown'\n", "commit = 'deadbeef01'\n", false),
            ("commit = '0123abc'\n", "commit = 'fedcba9876543210'\n", false),
            ("a = 'ä'; v = '0'\n", "a = 'ä'; v = '1.2.3'\n", false),
            ("import sys\n", "\u{feff}import sys\n", false),
            ("import sys\n", "import sys\r\n", false),
            ("import sys\nx = 1\n", "import sys\rx = 1\r", false),
            ("import sys\n", "import sys  \n\n\n", false),
            ("import sys\n", "import os\r\n", true),
            ("version = '0.0.0'\n", "version = 'v1.2.3.0'\n", false),
            ("version_info = (0, 0, 0)\n", "version_info = (1, 2, 3)\n", false),
            (
                "version_info = '0, 0, 0'\n",
                "version_info = '1', '2', '3'\n",
                false,
            ),
            (
                "describe = 'unknown'\n",
                "describe = 'v1.2.2-14-gabc1234-dirty'\n",
                false,
            ),
            (
                "date = '$Date$'\n",
                "date = '$Date: 2010-02-03 04:05 +0100 (Wed, 03 Feb) $'\n",
                false,
            ),
            ("rev = '$Rev: 1 $'\n", "rev = '$Rev: 1234 $'\n", false),
            (
                &(long.clone() + "# $Id: a.py 12 $\n"),
                &(long.clone() + "# $Id: a.py 13 $\n"),
                false,
            ),
            // What they do not.
            ("date = '$Date$'\n", "date = '$Date: 2010 $'; evil()\n", true),
            (
                "date = '$Date: 1 $'\n",
                "date = '$Date: '; evil(); x = ' $'\n",
                true,
            ),
            ("fetch $url:443$path\n", "fetch $url:80 -k evil$path\n", true),
            ("v = '$Format:%H$'\n", "v = 'x'; evil(); y = ''\n", true),
            ("# see $Format: in it\n", "# see import os; evil\n", true),
            ("v = 1.2.3 if ok() else die()\n", "v = 1.2.3\n", true),
            ("most_bytes = 1000000\n", "most_bytes = 9999999\n", true),
            ("x = range(0, 0, 0)\n", "x = range(1, 2, 3)\n", true),
            ("price = '$cost: 1 $'\n", "price = '$cost: 2 $'\n", true),
            ("version_info = (0, 0, 0)\n", "version_info = (1, 2, 4)\n", true),
            ("describe = ''\n", "describe = 'v1.2.2-x-gabc1234'\n", true),
            ("verify = 1\n", "verify = 0\n", true),
            ("version = '0.0.0'\n", "version = '6.6.6'\n", true),
            ("name = 'good'\n", "name = 'evil'\n", true),
            ("commit = ''\n", "commit = 'defaced'\n", true),
            ("version = '0.0.0'\nx = 1\n", "version = '1.2.3'\nx = 2\n", true),
            ("ä = 'good'\n", "ö = 'evil'\n", true),
            // Tools that install scripts.
            (
                "#!/usr/bin/env python3\nmain()\n",
                "#!/usr/bin/python3\nmain()\n",
                false,
            ),
            (
                "#!/usr/bin/env python3\nmain()\n",
                "#!/usr/bin/python3\nevil()\n",
                true,
            ),
            ("import sys\nmain()\n", "#!/bin/sh\nmain()\n", true),
        ] {
            assert_eq!(
                accuses(own, theirs, Some("1.2.3")),
                expected,
                "{own:?} {theirs:?}"
            );
        }
        assert!(accuses("import sys\n", "import os\n", None));
        for (version, own, theirs, expected) in [
            ("1.0.0", "if verify(signature):\n", "if 1:\n", true),
            ("1.0", "debugging = 0\n", "debugging = 1\n", true),
            ("3", "timeout = 30\n", "timeout = 3\n", true),
            ("3", "version = 'none'\n", "version = '3'\n", false),
            ("1.0", "x = range(0, 5)\n", "x = range(1, 0)\n", true),
            ("1.0rc1", "version = '0'\n", "version = '1.0.0-rc.1'\n", false),
            ("2024.1.5", "version = '0'\n", "version = '2024.01.05'\n", false),
        ] {
            assert_eq!(
                accuses(own, theirs, Some(version)),
                expected,
                "{version} {theirs:?}"
            );
        }
    }

    proptest::proptest! {
        #[test]
        fn any_two_lines_have_a_changed_part(own in ".{0,20}", theirs in ".{0,20}") {
            let part = changed(&own, &theirs, &char::is_alphanumeric);
            proptest::prop_assert!(theirs.contains(part));
        }
    }
}
