//! Differences that are a single change of the whole text: its encoding, its line ends, or invisible blanks.

use super::kind::Kind;
use crate::compare::cause::{Cause, Confidence};
use crate::compare::finding::Finding;

const BOM: &[u8] = b"\xef\xbb\xbf";

/// The single change that turns one text into the other; `None` if there are more differences.
pub(super) fn compare(kind: Kind, released: &[u8], rebuilt: &[u8]) -> Option<Finding> {
    byte_order_mark(kind, released, rebuilt)
        .or_else(|| line_ends(kind, released, rebuilt))
        .or_else(|| final_newline(kind, released, rebuilt))
        .or_else(|| trailing_blanks(kind, released, rebuilt))
}

fn finding(place: &str, values: [&str; 2], aside: bool, cause: Cause) -> Finding {
    let finding = Finding::new(place, values[0], values[1]).keyed(place);
    if aside {
        finding.because(cause, Confidence::Likely)
    } else {
        finding
    }
}

fn byte_order_mark(kind: Kind, released: &[u8], rebuilt: &[u8]) -> Option<Finding> {
    let word = |text: &[u8]| {
        if text.starts_with(BOM) {
            "UTF-8 with its mark"
        } else {
            "no mark"
        }
    };
    let bare = |text: &'_ [u8]| text.strip_prefix(BOM).unwrap_or(text).to_vec();
    (released.starts_with(BOM) != rebuilt.starts_with(BOM) && bare(released) == bare(rebuilt)).then(|| {
        finding(
            "byte order mark",
            [word(released), word(rebuilt)],
            !kind.code,
            Cause::HostSystem,
        )
    })
}

/// How the lines of a text end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ends {
    Lf,
    CrLf,
    Mixed,
}

impl Ends {
    fn of(text: &[u8]) -> Self {
        let pairs = text.windows(2).filter(|pair| *pair == b"\r\n").count();
        let lines = text.split(|byte| *byte == b'\n').count().saturating_sub(1);
        match (pairs, lines) {
            (0, _) => Self::Lf,
            (pairs, lines) if pairs == lines => Self::CrLf,
            _ => Self::Mixed,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Lf => "LF",
            Self::CrLf => "CR LF",
            Self::Mixed => "CR LF and LF",
        }
    }
}

/// The same text with other line ends; a carriage return elsewhere is an ordinary character.
fn line_ends(kind: Kind, released: &[u8], rebuilt: &[u8]) -> Option<Finding> {
    let (old, new) = (Ends::of(released), Ends::of(rebuilt));
    if released.len() == rebuilt.len() && old == new {
        return None;
    }
    let plain = |text: &[u8]| {
        let mut plain = Vec::with_capacity(text.len());
        for (at, byte) in text.iter().enumerate() {
            let ends = *byte == b'\r' && text.get(at.saturating_add(1)) == Some(&b'\n');
            if !ends {
                plain.push(*byte);
            }
        }
        plain
    };
    (plain(released) == plain(rebuilt)).then(|| {
        let aside = !kind.blanks_matter && old != Ends::Mixed && new != Ends::Mixed;
        finding("line ends", [old.word(), new.word()], aside, Cause::HostSystem)
    })
}

/// Whether only line ends differ.
pub(super) fn has_other_line_ends(released: &[u8], rebuilt: &[u8]) -> bool {
    line_ends(Kind::default(), released, rebuilt).is_some()
}

fn final_newline(kind: Kind, released: &[u8], rebuilt: &[u8]) -> Option<Finding> {
    let word = |text: &[u8]| {
        if text.ends_with(b"\n") {
            "present"
        } else {
            "missing"
        }
    };
    // A second newline would be an empty line.
    let ends =
        |text: &'_ [u8], other: &[u8]| !other.ends_with(b"\n") && text.strip_suffix(b"\n") == Some(other);
    (ends(released, rebuilt) || ends(rebuilt, released)).then(|| {
        finding(
            "final newline",
            [word(released), word(rebuilt)],
            !kind.code && !kind.list,
            Cause::ToolVersion,
        )
    })
}

/// Trailing blanks; two of them break a line in Markdown, but not in reStructuredText.
fn trailing_blanks(kind: Kind, released: &[u8], rebuilt: &[u8]) -> Option<Finding> {
    let trimmed = |text: &[u8]| -> Vec<Vec<u8>> {
        text.split(|byte| *byte == b'\n')
            .map(|line| line.trim_ascii_end().to_vec())
            .collect()
    };
    let blanks = |text: &[u8]| {
        let ends = text.split(|byte| *byte == b'\n');
        let lines = ends
            .filter(|line| line.ends_with(b" ") || line.ends_with(b"\t"))
            .count();
        format!("{lines} lines")
    };
    let has_return = |text: &[u8]| text.contains(&b'\r') || text.contains(&b'\x0c');
    if has_return(released) || has_return(rebuilt) || trimmed(released) != trimmed(rebuilt) {
        return None;
    }
    let aside = !kind.code && !kind.list && !kind.blanks_matter && !kind.markdown;
    Some(finding(
        "trailing blanks",
        [&blanks(released), &blanks(rebuilt)],
        aside,
        Cause::ToolVersion,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROSE: Kind = Kind {
        code: false,
        markup: false,
        blanks_matter: false,
        list: false,
        pins: false,
        record: false,
        markdown: false,
        catalogue: false,
    };

    type Row<'a> = (Kind, &'a str, &'a str, Option<(&'a str, Cause)>);

    // One long table.
    #[test]
    fn one_change_of_the_whole_text_is_named() {
        let code = Kind { code: true, ..PROSE };
        let shell = Kind {
            code: true,
            blanks_matter: true,
            ..PROSE
        };
        let table: &[Row] = &[
            (
                PROSE,
                "a\nb\n",
                "a\r\nb\r\n",
                Some(("line ends", Cause::HostSystem)),
            ),
            (
                code,
                "a\nb\n",
                "a\r\nb\r\n",
                Some(("line ends", Cause::HostSystem)),
            ),
            (shell, "a\nb\n", "a\r\nb\r\n", Some(("line ends", Cause::Content))),
            (PROSE, "a\nb\n", "a\r\nb\n", Some(("line ends", Cause::Content))),
            (PROSE, "a\nb\n", "a\r\nc\r\n", None),
            (PROSE, "a\nb\n", "a\rb\n\r", None),
            (PROSE, "a\nb\n", "a\r\r\nb\r\r\n", None),
            (
                PROSE,
                "a\n",
                "\u{feff}a\n",
                Some(("byte order mark", Cause::HostSystem)),
            ),
            (
                code,
                "a\n",
                "\u{feff}a\n",
                Some(("byte order mark", Cause::Content)),
            ),
            (PROSE, "a\n", "\u{feff}b\n", None),
            (
                PROSE,
                "a\nb",
                "a\nb\n",
                Some(("final newline", Cause::ToolVersion)),
            ),
            (code, "a\nb", "a\nb\n", Some(("final newline", Cause::Content))),
            (PROSE, "a\nb", "a\nb\n\n", None),
            (PROSE, "a\nb\n", "a\nb\n\n", None),
            (
                PROSE,
                "a \nb\n",
                "a\nb\t\n",
                Some(("trailing blanks", Cause::ToolVersion)),
            ),
            (
                shell,
                "a\\\nb\n",
                "a\\ \nb\n",
                Some(("trailing blanks", Cause::Content)),
            ),
            (PROSE, "a b\n", "a  b\n", None),
        ];
        for (kind, released, rebuilt, wanted) in table {
            let found = compare(*kind, released.as_bytes(), rebuilt.as_bytes());
            let found = found
                .as_ref()
                .map(|finding| (finding.key.as_str(), finding.cause));
            assert_eq!(found, *wanted, "{released:?} {rebuilt:?}");
        }
    }
}
