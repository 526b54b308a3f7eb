//! What two texts show about who made the difference between them: people, or a program that wrote one of them.

/// What programs write into files that they generate, and what git writes or leaves in place of others, in lower case.
const MARKS: [&str; 11] = [
    "generated",
    "do not edit",
    "do not modify",
    "don't edit",
    "created by setup.py",
    "$format:",
    "$id$",
    "$id:",
    "$revision$",
    "$revision:",
    "version https://git-lfs",
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

/// Whether the release only has its version, or the name of a commit, where the source has something else: publishers
/// write these into files before they build.
fn is_stamped(own: &str, theirs: &str, version: Option<&str>) -> bool {
    let is_version = |text: &str| {
        version.is_some_and(|version| text == version || text.strip_prefix('v') == Some(version))
    };
    let own: Vec<_> = own.trim_start_matches(BOM).lines().collect();
    let theirs: Vec<_> = theirs.trim_start_matches(BOM).lines().collect();
    own.len() == theirs.len()
        && own
            .iter()
            .zip(&theirs)
            .filter(|(own, theirs)| own != theirs)
            .all(|(own, theirs)| {
                let written = changed(own, theirs);
                is_version(written) || is_commit(written)
            })
}

/// The part of `theirs` that `own` has otherwise, as whole words.
fn changed<'a>(own: &str, theirs: &'a str) -> &'a str {
    let is_word = |c: char| c.is_ascii_alphanumeric() || "._+-".contains(c);
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
            ("import sys\n", "import os\r\n", true),
            // What they do not.
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
            let part = changed(&own, &theirs);
            proptest::prop_assert!(theirs.contains(part));
        }
    }
}
