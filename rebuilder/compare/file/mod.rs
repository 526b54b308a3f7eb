//! Files that are no archives: one reader for each format, text and plain bytes for the rest.
//!
//! A reader gets two different files and must give at least one finding. What it cannot explain is a change of
//! content.

mod bytes;
mod class;
mod elf;
mod json;
mod png;
mod pyc;
mod small;
mod strings;
mod text;

pub(super) use bytes::{fill, stream};
pub(super) use text::sorted_by_locale;

use crate::compare::cause::{Cause, Confidence, Reason};
use crate::compare::explain::{Context, explain};
use crate::compare::finding::{Excerpt, Finding};
use crate::compare::normalise::Normalisation;

/// What a reader found.
#[derive(Debug, Default)]
pub(super) struct Leaf {
    pub format: &'static str,
    pub findings: Vec<Finding>,
    pub excerpts: Vec<Excerpt>,
}

impl Leaf {
    fn of(format: &'static str) -> Self {
        Self {
            format,
            ..Self::default()
        }
    }

    /// Adds a finding, or counts it with one that says the same.
    fn add(&mut self, finding: Finding) {
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
                other.places += finding.places;
                other.confidence = finding.cause.together(other.confidence, finding.confidence);
            }
            None => self.findings.push(finding),
        }
    }

    /// One finding for each reason of a pair of texts, or a change of content.
    fn add_pair(&mut self, place: &str, released: &str, rebuilt: &str, context: Context) {
        let reasons = explain(released, rebuilt, context);
        let finding = || Finding::new(place, released.trim_end(), rebuilt.trim_end());
        if reasons.is_empty() {
            self.add(finding());
        }
        for reason in reasons {
            self.add(
                finding()
                    .because(reason.cause, reason.confidence)
                    .keyed(reason.key),
            );
        }
    }

    fn add_reason(&mut self, place: &str, released: &str, rebuilt: &str, reason: &Reason) {
        let finding = Finding::new(place, released, rebuilt);
        self.add(
            finding
                .because(reason.cause, reason.confidence)
                .keyed(reason.key.clone()),
        );
    }
}

/// Largest file that is read whole, in bytes; larger ones are compared as streams of bytes.
pub(super) const LARGEST: u64 = 40 << 20;

/// Where and why two different files differ. `path` only helps to tell what they are.
pub(super) fn compare(path: &str, released: &[u8], rebuilt: &[u8]) -> Leaf {
    let both = |magic: &[u8]| released.starts_with(magic) && rebuilt.starts_with(magic);
    let name = path.rsplit('/').next().unwrap_or(path);
    let read = if both(b"\x7fELF") {
        elf::compare(released, rebuilt)
    } else if name.ends_with(".pyc") {
        pyc::compare(released, rebuilt)
    } else if both(&[0xca, 0xfe, 0xba, 0xbe]) {
        class::compare(released, rebuilt)
    } else if both(b"\x89PNG\r\n\x1a\n") {
        png::compare(released, rebuilt)
    } else if both(b"SQLite format 3\0") {
        small::sqlite(released, rebuilt)
    } else if both(b"MZ") {
        small::pe(released, rebuilt)
    } else {
        let text = is_text(released) && is_text(rebuilt);
        if signature(path) {
            Some(signature_leaf(path, if text { "text" } else { "binary" }))
        } else if text {
            json::compare(name, released, rebuilt).or_else(|| Some(text::compare(path, released, rebuilt)))
        } else {
            None
        }
    };
    let mut leaf = read.unwrap_or_else(|| bytes::compare(released, rebuilt));
    if leaf.findings.is_empty() {
        // No reader may call different bytes the same.
        let rest = bytes::compare(released, rebuilt);
        leaf.findings = vec![
            Finding::new("bytes that the reader leaves out", "", "")
                .because(Cause::Content, Confidence::Proven),
        ];
        leaf.excerpts.extend(rest.excerpts);
    }
    leaf
}

/// No NUL, and UTF-8 or nearly.
pub(super) fn is_text(bytes: &[u8]) -> bool {
    const LOOKED_AT: usize = 1 << 16;
    let head = &bytes[..bytes.len().min(LOOKED_AT)];
    if head.contains(&0) {
        return false;
    }
    let odd: usize = head.utf8_chunks().map(|chunk| chunk.invalid().len()).sum();
    let control = head
        .iter()
        .filter(|byte| **byte < 9 || (14..27).contains(*byte))
        .count();
    odd * 20 <= head.len() && control * 50 <= head.len()
}

/// Files that are nothing but a signature.
fn signature(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let jar = path.contains("META-INF/")
        && [".RSA", ".DSA", ".EC", ".SF"]
            .iter()
            .any(|ending| name.ends_with(ending));
    jar || name.starts_with(".SIGN.")
        || [".sig", ".asc", ".sign", ".p7s", ".minisig"]
            .iter()
            .any(|ending| name.ends_with(ending))
}

fn signature_leaf(path: &str, format: &'static str) -> Leaf {
    let mut leaf = Leaf::of("signature");
    let normalisation = if path.contains("META-INF/") {
        Some(Normalisation::JarSignature)
    } else if path.contains(".gem/") {
        Some(Normalisation::GemExcludeSignatures)
    } else {
        None
    };
    leaf.add(
        Finding::new("the signature", format, format)
            .because(Cause::Signature, Confidence::Likely)
            .keyed("signature")
            .set_aside_by(normalisation),
    );
    leaf
}
