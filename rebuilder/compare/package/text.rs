//! Package-specific knowledge about text files: how lines belong together, and fields with a fixed meaning.

use std::borrow::Cow;

use crate::compare::claims::{Algorithm, Claim, Files};
use crate::compare::finding::Finding;
use crate::compare::normalise::Normalisation;

/// What is known about one text file.
#[derive(Clone, Copy)]
pub(in crate::compare) struct Text {
    pub lines: Lines,
    /// The finding for a field with a fixed meaning.
    pub known: fn(&Field) -> Option<Finding>,
    /// The normalisation for these lines of the file in other places.
    pub moved: fn(&[Cow<str>], &[usize]) -> Option<Normalisation>,
    /// Adjusts every finding in the file.
    pub every: fn(&mut Finding),
}

impl Text {
    /// Lines without a known meaning.
    pub const PLAIN: Self = Self::of(Lines::Single);

    pub(super) const fn of(lines: Lines) -> Self {
        Self {
            lines,
            known: |_| None,
            moved: |_, _| None,
            every: |_| {},
        }
    }
}

/// How the lines of a file belong together.
#[derive(Clone, Copy)]
pub(in crate::compare) enum Lines {
    /// Each line is independent.
    Single,
    /// Fields, continued on indented lines.
    Fields,
    /// A list of digests of other files.
    Checksums(Checksums),
}

/// A list of digests of other files.
#[derive(Clone, Copy)]
pub(in crate::compare) struct Checksums {
    /// The claim of each line about a file, if it makes one.
    pub claims: fn(&[Cow<str>]) -> Vec<Option<Claim>>,
    /// Where these files are.
    pub files: Files,
    /// The normalisation for a line that follows from the difference in its file.
    pub changed: Option<Normalisation>,
    /// The normalisation for the same line in another place.
    pub moved: Option<Normalisation>,
}

/// One field on both sides.
pub(in crate::compare) struct Field<'a> {
    /// Its name, the same on both sides; `#` for comments, and empty for lines that are not a field.
    pub name: &'a str,
    pub released: &'a str,
    pub rebuilt: &'a str,
    pub place: &'a str,
}

impl Field<'_> {
    pub fn finding(&self) -> Finding {
        Finding::new(self.place, self.released, self.rebuilt)
    }
}

/// What the name of a text tells about its form, in any place. This sets nothing aside.
pub(super) fn by_name(name: &str) -> Text {
    const LISTS: [&str; 7] = [
        "sums",
        "sums.txt",
        "checksums",
        "checksums.txt",
        ".sha256",
        ".sha512",
        ".md5",
    ];
    let lower = name.to_ascii_lowercase();
    if LISTS.iter().any(|ending| lower.ends_with(ending)) || lower.starts_with("sha256sum") {
        return Text::of(Lines::Checksums(Checksums {
            claims: listed,
            files: Files::Beside,
            changed: None,
            moved: None,
        }));
    }
    let has_fields = matches!(name, "METADATA" | "PKG-INFO" | "WHEEL" | "control") || lower.ends_with(".mf");
    if has_fields {
        Text::of(Lines::Fields)
    } else {
        Text::PLAIN
    }
}

/// Lines such as `DIGEST  FILE`, `DIGEST *FILE`, or `ALGORITHM (FILE) = DIGEST` (md5sum(1)).
pub(super) fn listed(lines: &[Cow<str>]) -> Vec<Option<Claim>> {
    lines.iter().map(|line| listed_line(line)).collect()
}

fn listed_line(line: &str) -> Option<Claim> {
    let line = line.strip_suffix('\n').unwrap_or(line);
    if let Some((start, digest)) = line.rsplit_once(") = ") {
        let (algorithm, file) = start.split_once(" (")?;
        return Claim::of(file, Algorithm::named(algorithm)?, digest);
    }
    let (digest, file) = line.split_once(' ')?;
    Claim::hex(file.strip_prefix([' ', '*'])?, digest)
}
