//! Files of requirements, read line by line as pip reads them (`req_file.py`). Text that pip might read differently is
//! refused.
//!
//! pip splits lines at more characters than line ends, decodes by a mark or a comment at the start, joins lines, and
//! expands environment variables. The gate accepts only plain text, and pip is handed what the gate read, never the
//! file.

use std::path::{Path, PathBuf};

/// One entry of a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// A requirement, and its hashes in the form `--hash=sha256:…`.
    Requirement(String, Vec<String>),
    /// An option, and its value if it takes one.
    Option(String, Option<String>),
}

/// Options of files that take a value, and those that do not.
const WITH_VALUE: [&str; 10] = [
    "-r",
    "--requirement",
    "-c",
    "--constraint",
    "-i",
    "--index-url",
    "--extra-index-url",
    "-f",
    "--find-links",
    "--trusted-host",
];
const FLAGS: [&str; 4] = ["--no-index", "--pre", "--require-hashes", "--prefer-binary"];

/// Reads the text of a file.
pub(super) fn read(text: &str) -> Result<Vec<Line>, String> {
    let text = text.replace("\r\n", "\n");
    plain(&text)?;
    let mut lines = Vec::new();
    for (number, line) in joined(&text) {
        let line = without_comment(&line);
        if line.is_empty() {
            continue;
        }
        lines.push(one(line).map_err(|reason| format!("line {number}: {reason}"))?);
    }
    Ok(lines)
}

/// Checks that pip decodes and splits the text as the gate does.
fn plain(text: &str) -> Result<(), String> {
    for (number, line) in text.split('\n').enumerate() {
        let at = |what: &str| Err(format!("line {}: {what}", number.saturating_add(1)));
        let other = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}');
        if let Some(c) = line.chars().find(|c| other(*c)) {
            return at(&format!(
                "the character U+{:04X} cannot be used with the gate",
                u32::from(c)
            ));
        }
        if number < 2 && line.starts_with('#') && !is_utf8(line) {
            return at("the file must be in UTF-8");
        }
    }
    Ok(())
}

/// Whether a comment names no encoding, or UTF-8 (PEP 263, as pip reads it).
fn is_utf8(comment: &str) -> bool {
    let mut rest = comment;
    while let Some(at) = rest.find("coding") {
        rest = rest.get(at.saturating_add("coding".len())..).unwrap_or_default();
        let Some(value) = rest.strip_prefix([':', '=']) else {
            continue;
        };
        let value = value.trim_start();
        let end = value.find(|c: char| !(c.is_alphanumeric() || "-_.".contains(c)));
        let name = value.get(..end.unwrap_or(value.len())).unwrap_or_default();
        if !name.is_empty() && !matches!(name.to_ascii_lowercase().as_str(), "utf-8" | "utf8") {
            return false;
        }
    }
    true
}

/// Lines joined with their continuations, by the number of the first. A comment has no continuation.
fn joined(text: &str) -> Vec<(usize, String)> {
    let (mut lines, mut open): (Vec<_>, Option<(usize, String)>) = (Vec::new(), None);
    for (number, line) in (1_usize..).zip(text.split('\n')) {
        let comment = line.trim_start_matches(' ').starts_with('#');
        let goes_on = line.ends_with('\\') && !comment;
        let (first, mut all) = open.take().unwrap_or((number, String::new()));
        // So that the comment is one still.
        all.push_str(if comment { " " } else { "" });
        all.push_str(if goes_on { line.trim_matches('\\') } else { line });
        if goes_on {
            open = Some((first, all));
        } else {
            lines.push((first, all));
        }
    }
    lines.extend(open);
    lines
}

/// A comment begins at the start or after white space. White space other than spaces is kept, and refused later.
fn without_comment(line: &str) -> &str {
    let mut before = None;
    for (at, c) in line.char_indices() {
        if c == '#' && before.is_none_or(|c| c == ' ') {
            return line.get(..at).unwrap_or_default().trim_matches(' ');
        }
        before = Some(c);
    }
    line.trim_matches(' ')
}

/// A line without comments.
fn one(line: &str) -> Result<Line, String> {
    if let Some(c) = line.chars().find(|c| !matches!(c, ' '..='~')) {
        return Err(format!("the character {c:?} cannot be used with the gate"));
    }
    if line.contains("${") {
        return Err("an environment variable cannot be used with the gate".to_owned());
    }
    // pip has the options begin at the first word with a dash.
    let words: Vec<_> = line.split(' ').collect();
    let options = words
        .iter()
        .position(|word| word.starts_with('-'))
        .unwrap_or(words.len());
    let (text, options) = words.split_at_checked(options).unwrap_or((&words, &[]));
    let (text, options) = (text.join(" "), options.join(" "));
    if options.contains(['\'', '"', '\\']) {
        return Err("an option with quotes cannot be used with the gate".to_owned());
    }
    let options: Vec<_> = options.split_whitespace().collect();
    if text.trim().is_empty() {
        return option(&options);
    }
    Ok(Line::Requirement(text.trim().to_owned(), hashes(&options)?))
}

fn hashes(words: &[&str]) -> Result<Vec<String>, String> {
    let mut found = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let value = match word.strip_prefix("--hash") {
            Some("") => words.next().copied(),
            Some(rest) => rest.strip_prefix('='),
            None => None,
        };
        let value =
            value.ok_or_else(|| format!("{word} cannot be used after a requirement with the gate"))?;
        let digest = ["sha256:", "sha384:", "sha512:"]
            .iter()
            .find_map(|name| value.strip_prefix(name));
        if !digest
            .is_some_and(|digest| !digest.is_empty() && digest.bytes().all(|byte| byte.is_ascii_hexdigit()))
        {
            return Err(format!("{value} is not a hash that pip accepts"));
        }
        found.push(format!("--hash={value}"));
    }
    Ok(found)
}

fn option(words: &[&str]) -> Result<Line, String> {
    let Some((first, rest)) = words.split_first() else {
        return Err("it has no option".to_owned());
    };
    let (name, inline) = match first.split_once('=') {
        Some((name, value)) if name.starts_with("--") => (name, Some(value)),
        _ => (*first, None),
    };
    let value = match (FLAGS.contains(&name), inline, rest) {
        (true, None, []) => None,
        (false, Some(value), []) | (false, None, &[value]) if WITH_VALUE.contains(&name) => {
            if value.is_empty() || value.starts_with('-') {
                return Err(format!("{name} needs a value"));
            }
            Some(value.to_owned())
        }
        _ if FLAGS.contains(&name) || WITH_VALUE.contains(&name) => {
            return Err(format!(
                "the option {name} must be alone on its line, with one value if it takes one"
            ));
        }
        _ => return Err(format!("the option {name} cannot be used with the gate")),
    };
    Ok(Line::Option(name.to_owned(), value))
}

/// The file that a file names. pip resolves it from the folder of the file that names it.
pub(super) fn beside(file: &Path, value: &str) -> PathBuf {
    file.parent().unwrap_or(Path::new("")).join(value)
}

/// The value of an option in a file. pip first looks for `--find-links` beside the file.
pub(super) fn place(file: &Path, option: &str, value: &str) -> String {
    let beside = beside(file, value);
    if option == "--find-links" && !value.contains("://") && beside.exists() {
        return beside.to_string_lossy().into_owned();
    }
    value.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines as text, or the error.
    fn shown(text: &str) -> Result<String, String> {
        let show = |line: Line| match line {
            Line::Requirement(text, hashes) => [vec![text], hashes].concat().join(" "),
            Line::Option(name, value) => format!("{name} {}", value.unwrap_or_default()).trim().to_owned(),
        };
        Ok(read(text)?.into_iter().map(show).collect::<Vec<_>>().join("|"))
    }

    #[test]
    fn reads_lines_as_pip_does() {
        for (text, expected) in [
            ("idna==3.10\nattrs\n", "idna==3.10|attrs"),
            ("idna==3.10\r\nattrs\r\n", "idna==3.10|attrs"),
            ("# all\nidna # why\n\n  attrs  \n", "idna|attrs"),
            ("idna #-e .\n", "idna"),
            (
                "idna \\\n  --hash=sha256:00 \\\n  --hash sha512:01\n",
                "idna --hash=sha256:00 --hash=sha512:01",
            ),
            // A comment goes on nowhere, so that the next line counts.
            ("# a \\\nidna\n", "idna"),
            ("  # a \\\nidna\n", "idna"),
            ("idna \\\n# b\nattrs\n", "idna|attrs"),
            ("idna \\\n# b \\\nattrs\n", "idna|attrs"),
            // A line with a requirement goes on, comment or not.
            ("idna # b \\\nattrs\n", "idna"),
            ("id\\\nna\n", "idna"),
            ("idna\\\\\n>=3\n", "idna>=3"),
            ("idna \\", "idna"),
            ("# é\u{3b1}\nidna # é\n", "idna"),
            ("# coding: utf-8\nidna\n", "idna"),
            ("# -*- coding=UTF8 -*-\nidna\n", "idna"),
            ("\n\n# coding: latin-1\nidna\n", "idna"),
            ("-i https://i.example/simple\n", "-i https://i.example/simple"),
            (
                "--index-url=https://i.example/simple\n",
                "--index-url https://i.example/simple",
            ),
            ("--find-links   wheels\n--pre\n", "--find-links wheels|--pre"),
            ("-r other.txt\n-c=x\n", "err"),
            (
                "a ; python_version > '3' --hash=sha256:00",
                "a ; python_version > '3' --hash=sha256:00",
            ),
            ("", ""),
        ] {
            if expected == "err" {
                assert!(shown(text).is_err(), "{text:?}");
            } else {
                assert_eq!(shown(text).as_deref(), Ok(expected), "{text:?}");
            }
        }
    }

    #[test]
    fn refuses_what_pip_may_read_otherwise() {
        for (text, reason) in [
            ("idna\r-e .\n", "U+000D"),
            ("# a\r-e .\n", "U+000D"),
            ("# a\u{b}-e .\n", "U+000B"),
            ("# a\u{c}-e .\n", "U+000C"),
            ("# a\u{1c}-e .\n", "U+001C"),
            ("# a\u{1d}-e .\n", "U+001D"),
            ("# a\u{1e}-e .\n", "U+001E"),
            ("# a\u{85}-e .\n", "U+0085"),
            ("# a\u{2028}-e .\n", "U+2028"),
            ("# a\u{2029}-e .\n", "U+2029"),
            ("\u{feff}idna\n", "U+FEFF"),
            ("i\0d\0", "U+0000"),
            ("idna\t-e .\n", "U+0009"),
            ("idna\u{7f}\n", "U+007F"),
            ("# coding: utf-7\nidna\n", "UTF-8"),
            ("\n# vim: set fileencoding=latin-1 :\nidna\n", "UTF-8"),
            ("#coding:\u{a0}utf-16\nidna\n", "UTF-8"),
            ("# coding: utf-8 coding: utf-7\nidna\n", "UTF-8"),
            ("# coding: utf-8-sig\nidna\n", "UTF-8"),
            ("idna\u{a0}#-e .\n", "character"),
            ("idna\u{3000}\n", "character"),
            ("\u{ff41}ttrs\n", "character"),
            ("idna>=${V}\n", "variable"),
            ("${X}\n", "variable"),
            ("--pre -e .\n", "alone"),
            ("--pre idna\n", "alone"),
            ("--pre=yes\n", "alone"),
            ("--no-index --find-links x\n", "alone"),
            ("-i https://i.example -e .\n", "alone"),
            ("-i https://i.example idna\n", "alone"),
            ("-i\n", "alone"),
            ("-i=\n", "cannot be used"),
            ("--index-url=\n", "needs a value"),
            ("--index-url -e\n", "needs a value"),
            ("--find-links 'a b'\n", "quotes"),
            ("--find-links a\\ b\n", "quotes"),
            ("-e .\n", "-e cannot be used"),
            ("--editable=.\n", "--editable cannot be used"),
            ("--edit .\n", "--edit cannot be used"),
            ("--req other.txt\n", "--req cannot be used"),
            ("-rother.txt\n", "cannot be used"),
            ("--no-binary :all:\n", "--no-binary cannot be used"),
            ("--only-binary :none:\n", "--only-binary cannot be used"),
            ("--use-feature x\n", "cannot be used"),
            ("--\n", "cannot be used"),
            ("idna --config-settings a=b\n", "after a requirement"),
            ("idna --global-option=x\n", "after a requirement"),
            ("idna --hash\n", "after a requirement"),
            ("idna --hash=md5:00\n", "not a hash"),
            ("idna --hash=sha256:0g\n", "not a hash"),
            ("idna --hash=sha256:00 x\n", "after a requirement"),
            ("idna -e .\n", "after a requirement"),
        ] {
            let error = shown(text).unwrap_err();
            assert!(error.contains(reason), "{text:?}: {error}");
        }
    }
}
