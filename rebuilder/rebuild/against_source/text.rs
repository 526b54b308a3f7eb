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
/// Keywords that version control expands wherever they are, in lower case: those of Subversion, CVS, Mercurial and git.
const KEYWORDS: [&str; 19] = [
    "author",
    "date",
    "format",
    "hash",
    "header",
    "headurl",
    "id",
    "lastchangedby",
    "lastchangeddate",
    "lastchangedrevision",
    "locker",
    "log",
    "name",
    "rcsfile",
    "rev",
    "revision",
    "source",
    "state",
    "url",
];
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
            .all(|(own, theirs)| {
                let written = changed(own, theirs, &|c| c.is_ascii_alphanumeric() || "._+-".contains(c));
                let tuple = changed(own, theirs, &|c| {
                    c.is_ascii_alphanumeric() || "., '\"".contains(c)
                });
                is_version(written, version)
                    || is_commit(written)
                    || is_description(written)
                    || is_tuple(tuple, version)
                    || is_expanded(own, theirs)
            })
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

/// Whether a word is the version of the release, in any of its forms: `1.0`, `v1.0.0`, `1.0.0-rc.1` for `1.0rc1`.
fn is_version(word: &str, version: Option<&str>) -> bool {
    let Some(version) = version else { return false };
    let plain = word.strip_prefix(['v', 'V']).unwrap_or(word);
    let parsed = |text: &str| pep440_rs::Version::from_str(text).ok();
    plain == version || parsed(plain).is_some_and(|word| parsed(version) == Some(word))
}

/// Whether a list such as `1, 2, 0` has the numbers of the version of the release.
fn is_tuple(list: &str, version: Option<&str>) -> bool {
    let blank = |c: char| " '\"".contains(c);
    let parts = list.split(',').map(|part| part.trim_matches(blank));
    let parts: Vec<_> = parts.filter(|part| !part.is_empty()).collect();
    parts.len() > 1 && is_version(&parts.join("."), version)
}

/// Whether a word is one that `git describe` writes for a commit: a tag, a number of commits, and the name of one.
fn is_description(word: &str) -> bool {
    let word = word.strip_suffix("-dirty").unwrap_or(word);
    let Some((before, commit)) = word.rsplit_once("-g") else {
        return false;
    };
    let number = before.rsplit_once('-').map(|(_, number)| number);
    is_commit(commit) && number.is_some_and(|number| number.parse::<u32>().is_ok())
}

/// Whether two lines differ only in what version control writes for a keyword.
fn is_expanded(own: &str, theirs: &str) -> bool {
    // Nothing of this one is left once git has expanded it.
    if let Some((before, format)) = own.split_once("$Format:") {
        let after = format.split_once('$').map_or("", |(_, after)| after);
        return theirs
            .strip_prefix(before)
            .is_some_and(|rest| rest.ends_with(after));
    }
    without_expansions(own) == without_expansions(theirs)
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
        if !KEYWORDS.contains(&word.to_ascii_lowercase().as_str()) {
            continue;
        }
        let beyond = match follows.strip_prefix(':') {
            Some(text) => text.split_once('$').map(|(_, beyond)| beyond),
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

fn is_commit(text: &str) -> bool {
    text.len() >= COMMIT
        && text.bytes().all(|byte| byte.is_ascii_hexdigit())
        && text.bytes().any(|byte| byte.is_ascii_digit())
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
            ("date = '$Date$'\n", "date = '$Date: 2010-02-03 04:05 $'\n", false),
            ("rev = '$Rev: 1 $'\n", "rev = '$Rev: 1234 $'\n", false),
            (
                &(long.clone() + "# $Id: a.py 12 $\n"),
                &(long.clone() + "# $Id: a.py 13 $\n"),
                false,
            ),
            // What they do not.
            ("date = '$Date$'\n", "date = '$Date: 2010 $'; evil()\n", true),
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
    }

    proptest::proptest! {
        #[test]
        fn any_two_lines_have_a_changed_part(own in ".{0,20}", theirs in ".{0,20}") {
            let part = changed(&own, &theirs, &char::is_alphanumeric);
            proptest::prop_assert!(theirs.contains(part));
        }
    }
}
