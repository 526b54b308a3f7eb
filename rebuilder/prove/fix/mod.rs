//! Patches for known causes: proposed by rules, tried by building, and shown only with the result.
//!
//! A remedy is first applied to the lines that wrote the difference, then to the files that contributed to it, and then
//! to the whole project. It is kept if it leaves fewer differing places, so that several causes can be fixed one after
//! the other. Nothing is written to the project.

mod edit;
mod remedies;
mod search;
mod unified;

use std::collections::BTreeMap;

pub use edit::{Kind, Patch};
pub use remedies::{ALL, Remedy};
pub use search::{Built, Fix, Search, Trial, find};

use super::Knob;
use super::attribute::{Line, Sources};
use crate::compare::Cause;

/// A culprit with its explanation.
#[derive(Debug)]
pub struct Case<'a> {
    /// Its knobs; none for plain randomness.
    pub knobs: &'a [Knob],
    /// Why the outputs differ.
    pub causes: &'a [Cause],
    /// Lines of the project that it comes from.
    pub lines: &'a [Line],
    /// Files of the project that contributed to it, the nearest first.
    pub suspects: &'a [String],
    /// All files of the project.
    pub files: &'a [String],
    /// The project.
    pub sources: Sources<'a>,
}

/// The part of the project that a remedy changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Scope {
    /// The lines that wrote the difference.
    Lines,
    /// The files that contributed to it.
    Suspects,
    /// All files.
    Everything,
}

/// A remedy, and where it is applied.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    remedy: &'static Remedy,
    scope: Scope,
}

/// Maximum number of a project's files that are searched.
const FILES: usize = 4000;

impl Case<'_> {
    /// The candidates that change anything beyond `base`, in the order in which they are tried: each remedy in the
    /// narrowest scope in which it changes something.
    fn candidates(&self, base: &Patch) -> Vec<Candidate> {
        let scopes = [Scope::Lines, Scope::Suspects, Scope::Everything];
        let mut found: Vec<_> = ALL
            .iter()
            .filter(|remedy| self.fits(remedy))
            .filter_map(|remedy| {
                let mut scoped = scopes.into_iter().map(|scope| Candidate { remedy, scope });
                scoped.find(|candidate| self.patched(*candidate, base).is_some())
            })
            .collect();
        found.sort_by_key(|one| {
            let named = one
                .remedy
                .causes
                .iter()
                .any(|cause| *cause != Cause::Content && self.causes.contains(cause));
            (one.scope, !named)
        });
        found
    }

    fn fits(&self, remedy: &Remedy) -> bool {
        if self.knobs.is_empty() {
            return remedy.causes.contains(&Cause::Randomness);
        }
        remedy.knobs.iter().any(|knob| self.knobs.contains(knob))
    }

    /// The patch with a candidate added; `None` if that changes nothing.
    fn patched(&self, candidate: Candidate, patch: &Patch) -> Option<Patch> {
        let mut lines: BTreeMap<&str, Vec<(usize, &str)>> = BTreeMap::new();
        for line in self.lines {
            lines
                .entry(line.file.as_str())
                .or_default()
                .push((line.line, line.text.as_str()));
        }
        let names: Vec<&str> = match candidate.scope {
            Scope::Lines => lines.keys().copied().collect(),
            Scope::Suspects => self.suspects.iter().map(String::as_str).collect(),
            Scope::Everything => self.files.iter().map(String::as_str).collect(),
        };
        let mut changed = patch.clone();
        for name in names.into_iter().take(FILES) {
            let Some(original) = self.sources.text(name) else {
                continue;
            };
            let Some(kind) = Kind::of(name, &original) else {
                continue;
            };
            let text = patch.text(name, &original);
            let only = lines
                .get(name)
                .filter(|_| candidate.scope == Scope::Lines)
                .map(|lines| places(lines, &original, text));
            if let Some(text) = candidate.remedy.apply(kind, text, only.as_deref()) {
                changed.set(name, &original, text);
            }
        }
        (changed != *patch).then_some(changed)
    }
}

/// The numbers of original lines in a text that may have been changed.
fn places(lines: &[(usize, &str)], original: &str, text: &str) -> Vec<usize> {
    let moved = original.lines().count() != text.lines().count();
    let mut places = Vec::new();
    for (number, wanted) in lines {
        let same = (1..).zip(text.lines()).filter(|(_, line)| line.trim() == *wanted);
        places.extend(same.map(|(place, _)| place));
        if !moved {
            places.push(*number);
        }
    }
    places
}

#[cfg(test)]
mod tests;
