//! The interface of comparators for single files: their input and output.

use std::cell::OnceCell;

use crate::compare::cause::Reason;
use crate::compare::explain::{Context, explain};
use crate::compare::finding::{Excerpt, Finding};
use crate::compare::normalise::Normalisation;
use crate::compare::package::{File, FilePath};

/// Compares files of one format.
pub(super) trait FileComparator: Sync {
    /// The name and the first bytes of such a file, for tests and fuzzing.
    fn example(&self) -> (&'static str, &'static [u8]);
    /// The normalisations that only this format has.
    fn normalisations(&self) -> &'static [Normalisation] {
        &[]
    }
    /// Whether both files appear to be of this format.
    fn recognises(&self, pair: &Pair) -> bool;
    /// Where and why the files differ; `None` if either side cannot be read as this format after all.
    fn compare(&self, pair: &Pair) -> Option<Leaf>;
}

/// Two different files.
pub(super) struct Pair<'a> {
    pub path: FilePath<'a>,
    pub file: File<'a>,
    pub released: &'a [u8],
    pub rebuilt: &'a [u8],
    texts: OnceCell<bool>,
}

impl<'a> Pair<'a> {
    pub fn new(file: File<'a>, released: &'a [u8], rebuilt: &'a [u8]) -> Self {
        Self {
            path: file.path,
            file,
            released,
            rebuilt,
            texts: OnceCell::new(),
        }
    }

    pub fn begin_with(&self, magic: &[u8]) -> bool {
        self.released.starts_with(magic) && self.rebuilt.starts_with(magic)
    }

    /// Whether both are readable text.
    pub fn are_texts(&self) -> bool {
        *self
            .texts
            .get_or_init(|| is_text(self.released) && is_text(self.rebuilt))
    }
}

/// Whether bytes have no NUL, and are UTF-8 or nearly so.
fn is_text(bytes: &[u8]) -> bool {
    const LOOKED_AT: usize = 1 << 16;
    let head = bytes.get(..LOOKED_AT).unwrap_or(bytes);
    if head.contains(&0) {
        return false;
    }
    let odd: usize = head.utf8_chunks().map(|chunk| chunk.invalid().len()).sum();
    let control = head
        .iter()
        .filter(|byte| **byte < 9 || (14..27).contains(*byte))
        .count();
    odd.saturating_mul(20) <= head.len() && control.saturating_mul(50) <= head.len()
}

/// The result of a comparator.
#[derive(Debug, Default)]
pub(in crate::compare) struct Leaf {
    pub format: &'static str,
    pub findings: Vec<Finding>,
    pub excerpts: Vec<Excerpt>,
}

impl Leaf {
    pub(super) fn of(format: &'static str) -> Self {
        Self {
            format,
            ..Self::default()
        }
    }

    /// Adds a finding; equal findings are counted together.
    pub(super) fn add(&mut self, finding: Finding) {
        let same = self.findings.iter_mut().find(|other| {
            other.cause == finding.cause
                && other.key == finding.key
                && other.follows == finding.follows
                && other.normalisation == finding.normalisation
                && other.checksum_of.is_none()
                && finding.checksum_of.is_none()
        });
        match same {
            Some(other) => {
                other.places = other.places.saturating_add(finding.places);
                other.confidence = finding.cause.together(other.confidence, finding.confidence);
            }
            None => self.findings.push(finding),
        }
    }

    /// Adds one finding for each reason why two texts differ, or a change of content.
    pub(super) fn add_pair(&mut self, place: &str, released: &str, rebuilt: &str, context: Context) {
        let reasons = explain(released, rebuilt, context);
        let (released, rebuilt) = (released.trim_end(), rebuilt.trim_end());
        if reasons.is_empty() {
            self.add(Finding::new(place, released, rebuilt));
        }
        for reason in &reasons {
            self.add_reason(place, released, rebuilt, reason);
        }
    }

    pub(super) fn add_reason(&mut self, place: &str, released: &str, rebuilt: &str, reason: &Reason) {
        self.add(Finding::new(place, released, rebuilt).explained_by(reason));
    }

    /// Adds the result of another comparator for the rest of the files.
    pub(super) fn append(&mut self, rest: Self) {
        self.findings.extend(rest.findings);
        self.excerpts.extend(rest.excerpts);
    }
}
