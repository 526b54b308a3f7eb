//! Commits of the source.

use super::keyed;
use super::spot::Spot;
use crate::compare::cause::{Cause, Confidence, Reason};

/// Words beside a commit that say that it is that of what was built.
const OWN: [&str; 10] = [
    "build", "built", "describe", "git", "hg", "scm", "source", "svn", "vcs", "version",
];

/// Two commits, or one commit with and without uncommitted changes.
pub(super) fn revision(old: &Spot, new: &Spot) -> Option<Reason> {
    let pinned = old.context.pins && !old.value().starts_with(['-', '+', '.']);
    if pinned || old.is_in_url() || new.is_in_url() {
        return None;
    }
    let (released, rebuilt) = (Revision::read(old.value())?, Revision::read(new.value())?);
    if released.commit.is_empty() && rebuilt.commit.is_empty() && released.dirty == rebuilt.dirty {
        return None;
    }
    let mut key = keyed(released.shown(), rebuilt.shown());
    if released.commit != rebuilt.commit && released.commit.starts_with(rebuilt.commit) {
        key = format!("{key}, of another length");
    }
    match (released.dirty, rebuilt.dirty) {
        (true, false) => key.push_str(", released is dirty"),
        (false, true) => key.push_str(", rebuilt is dirty"),
        _ => {}
    }
    // A program may fetch the commit, unless a word says that it is that of the program itself.
    let is_suffix = old.value().starts_with(['-', '+', '.']);
    let used = old.context.code && !old.is_in_comment() && !is_suffix && !old.key_has(&OWN);
    let confidence = if used {
        Confidence::Possible
    } else {
        Confidence::Likely
    };
    Some(Reason::new(Cause::SourceRevision, key, confidence))
}

struct Revision<'a> {
    /// The commit; empty at a tag.
    commit: &'a str,
    dirty: bool,
}

impl<'a> Revision<'a> {
    /// Reads a commit, or the end of a version as tools that read the repository write it.
    fn read(text: &'a str) -> Option<Self> {
        const MARKS: [&str; 8] = ["-dirty", ".dirty", "+dirty", "-modified", "-broken", "+", "", ""];
        let mark = MARKS
            .iter()
            .find(|mark| text.ends_with(**mark))
            .copied()
            .unwrap_or("");
        let (clean, _) = text.split_at_checked(text.len().checked_sub(mark.len())?)?;
        // setuptools-scm adds the date if there are uncommitted changes.
        let (clean, day) = match clean.rsplit_once(".d20") {
            Some((clean, _)) => (clean, true),
            None => (clean, false),
        };
        let commit = clean.rsplit(['g', '+', '-', '.']).next().unwrap_or_default();
        let is_hex = commit.bytes().all(|byte| byte.is_ascii_hexdigit());
        // Twelve digits in a row may be a number.
        let bare = commit.len() == text.len() && commit.len() <= 12;
        let is_number = bare && !commit.is_empty() && commit.bytes().all(|byte| byte.is_ascii_digit());
        (is_hex && !is_number).then_some(Self {
            commit,
            dirty: day || !mark.is_empty(),
        })
    }

    fn shown(&self) -> &'a str {
        if self.commit.is_empty() {
            "tag"
        } else {
            self.commit
        }
    }
}
