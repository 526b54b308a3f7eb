//! Package-specific knowledge about text files: how lines belong together, and fields with a fixed meaning.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::compare::both::Both;
use crate::compare::claims::{Algorithm, Claim, Files, NAMESAKE, with_digest};
use crate::compare::finding::Finding;
use crate::compare::normalise::Normalisation;
use crate::compare::tree::clean;

/// What is known about one text file.
#[derive(Clone, Copy)]
pub(in crate::compare) struct Text {
    pub lines: Lines,
    /// The finding for a field with a fixed meaning.
    pub known: fn(&Field) -> Option<Finding>,
    /// The normalisation for the same lines in other places.
    pub moved: fn(Both<Moved>) -> Option<Normalisation>,
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
            moved: |_| None,
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

/// All lines of one side, and the positions of those that the other side has in other places.
#[derive(Clone, Copy)]
pub(in crate::compare) struct Moved<'a> {
    pub lines: &'a [Cow<'a, str>],
    pub moved: &'a [usize],
}

impl Moved<'_> {
    /// Whether each of these lines of a list is about a file that no other line is about.
    pub fn are_about_single_files(self, claims: fn(&[Cow<str>]) -> Vec<Option<Claim>>) -> bool {
        let claims = claims(self.lines);
        let file = |claim: &Claim| clean(&claim.file).into_owned();
        let mut times: HashMap<String, u32> = HashMap::new();
        for claim in claims.iter().flatten() {
            let count = times.entry(file(claim)).or_default();
            *count = count.saturating_add(1);
        }
        let mut moved = self.moved.iter().filter_map(|at| claims.get(*at)?.as_ref());
        moved.all(|claim| times.get(&file(claim)) == Some(&1))
    }

    /// Whether each of these lines of a list is a claim about a file, rather than a remark or a name alone.
    pub fn are_claims(self, claims: fn(&[Cow<str>]) -> Vec<Option<Claim>>) -> bool {
        let claims = claims(self.lines);
        self.moved
            .iter()
            .all(|at| matches!(claims.get(*at), Some(Some(_))))
    }
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
    const LISTS: [&str; 4] = ["sums", "sums.txt", "checksums", "checksums.txt"];
    let lower = name.to_ascii_lowercase();
    let is_list = LISTS.iter().any(|ending| lower.ends_with(ending)) || lower.starts_with("sha256sum");
    if is_list || with_digest(&lower).is_some() {
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

/// Lines such as `DIGEST  FILE`, `DIGEST *FILE`, `ALGORITHM (FILE) = DIGEST` (md5sum(1)), `ALGORITHM(FILE)= DIGEST`
/// (openssl-dgst(1)), or a digest alone, which is that of the file that the list is named after.
pub(super) fn listed(lines: &[Cow<str>]) -> Vec<Option<Claim>> {
    lines.iter().map(|line| listed_line(line)).collect()
}

fn listed_line(line: &str) -> Option<Claim> {
    let line = line.strip_suffix('\n').unwrap_or(line);
    if let Some((start, digest)) = line.rsplit_once(") = ") {
        let (algorithm, file) = start.split_once(" (")?;
        return Claim::of(file, Algorithm::named(algorithm)?, digest);
    }
    if let Some((start, digest)) = line.rsplit_once(")= ") {
        let (algorithm, file) = start.split_once('(')?;
        return Claim::of(file, Algorithm::named(algorithm)?, digest);
    }
    let Some((digest, file)) = line.split_once(' ') else {
        return Claim::hex(NAMESAKE, line);
    };
    Claim::hex(file.strip_prefix([' ', '*'])?, digest)
}
