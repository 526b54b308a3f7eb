//! Compares released with rebuilt bytes: whether they are the same, where they differ, and why.
//!
//! ```text
//!  two files ──▶ pair ──▶ walk ──▶ file ──▶ findings ──▶ conclude ──▶ Comparison
//!                archives side by side      each with    root causes,
//!                (format)       one file    its cause    normalisations
//!                               (file)      (explain)
//! ```
//!
//! There are three tables: `format` has the archive formats, `file` the comparators for single files, and `package`
//! what is specific to kinds of packages. Adding one takes a file and a line.
//!
//! Nothing is unpacked to disk: archives are streams of members, which are paired as they come (`walk`); equal members
//! are dropped at once. Some reader accounts for every byte, and a difference that no reader explains is a change of
//! content. So a normalisation, which only names findings, cannot set aside a difference that was not seen.

#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

mod again;
mod archive;
mod both;
mod bzip2;
mod cause;
mod claims;
mod codec;
mod comparison;
mod compressed;
mod compression;
mod conclude;
mod der;
mod explain;
mod fields;
mod file;
mod finding;
mod format;
mod front;
mod gzip;
mod limits;
mod lockstep;
mod lz4;
mod lzma;
mod members;
mod normalise;
mod order;
mod package;
mod pair;
mod partners;
mod place;
mod recompute;
mod row;
mod source;
mod stale;
mod stored;
mod streams;
mod tree;
mod walk;
mod zones;
mod zstd;

use std::io;
use std::path::Path;
use std::sync::PoisonError;

pub use cause::{Cause, Confidence};
pub use comparison::{Applied, Comparison, Example, LimitHit, Outcome, RootCause, Side};
pub use finding::{ByteRange, Excerpt, Finding, Hunk, Node, Presence};
pub use limits::{Limit, Limits};
pub use members::{Member, MemberError, each_file, list, read_member};
pub use normalise::{Chosen, Normalisation, UnknownNormalisation};
pub use place::Place;

use crate::artifact::Sha256;
use crate::deadline::Deadline;
use both::Both;
use limits::{Hit, Meter};
use package::Within;
use pair::{At, Comparer, on_two_threads};
use source::{Codec, Source};

/// Options of a comparison.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The normalisations that may be applied.
    pub normalise: Chosen,
    /// The limits of the comparison.
    pub limits: Limits,
    /// SOURCE_DATE_EPOCH of the rebuild, in Unix seconds.
    pub source_date_epoch: Option<i64>,
    /// Whether files that differ are hashed too; this costs as much as decompressing some of them.
    pub digests: bool,
    /// The time by which the comparison must end, whatever the limits are.
    pub deadline: Deadline,
}

/// A file that cannot be compared at all.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("cannot read {path}")]
#[diagnostic(help("name two files, or two folders"))]
pub struct CompareError {
    path: String,
    source: io::Error,
}

/// Compares two files or two folders. Damaged and hostile contents are findings; only a file that cannot be opened is
/// an error.
pub fn compare(released: &Path, rebuilt: &Path, options: &Options) -> Result<Comparison, CompareError> {
    let error = |path: &Path| {
        let path = path.display().to_string();
        move |source| CompareError { path, source }
    };
    let old = Source::file(released).map_err(error(released))?;
    let new = Source::file(rebuilt).map_err(error(rebuilt))?;
    if matches!(old, Source::Folder(_)) != matches!(new, Source::Folder(_)) {
        let source = io::Error::new(io::ErrorKind::InvalidInput, "one is a folder, the other is not");
        return Err(error(rebuilt)(source));
    }
    let hash = options.digests || maybe_same(&old, &new).map_err(error(released))?;
    let limits = &options.limits;
    let deadline = limits
        .time
        .map_or_else(|| options.deadline.clone(), |time| options.deadline.at_most(time));
    let paths = Both::new((released, &old), (rebuilt, &new));
    let sides = on_two_threads(paths, |(path, source)| side(path, source, hash, &deadline));
    let mut comparison = Comparison::identical(
        sides.released.map_err(error(released))?,
        sides.rebuilt.map_err(error(rebuilt))?,
    );
    if comparison.released.sha256.is_some() && comparison.released.sha256 == comparison.rebuilt.sha256 {
        return Ok(comparison);
    }
    let name = released
        .file_name()
        .unwrap_or(released.as_os_str())
        .to_string_lossy();
    let options = Options {
        deadline,
        ..options.clone()
    };
    judge(&name, &old, &new, &options, &mut comparison);
    Ok(comparison)
}

/// Compares two files in memory; `name` helps to recognise their format.
pub fn compare_bytes(name: &str, released: &[u8], rebuilt: &[u8], options: &Options) -> Comparison {
    let side = |bytes: &[u8]| Side {
        name: name.to_owned(),
        size: bytes.len() as u64,
        sha256: Some(Sha256::of(bytes)),
    };
    let mut comparison = Comparison::identical(side(released), side(rebuilt));
    if released != rebuilt {
        let (old, new) = (
            Source::memory(released.to_vec()),
            Source::memory(rebuilt.to_vec()),
        );
        judge(name, &old, &new, options, &mut comparison);
    }
    comparison
}

/// A name and the first bytes of a file for each known format, as seeds for fuzzing.
#[doc(hidden)]
pub fn examples() -> Vec<(String, &'static [u8])> {
    format::examples()
        .chain(file::examples())
        .map(|(name, magic)| (name.to_owned(), magic))
        .chain(Codec::ALL.into_iter().map(Codec::example))
        .collect()
}

/// The format, compression or kind of package of each normalisation.
#[doc(hidden)]
pub fn declared() -> Vec<(&'static str, Normalisation)> {
    let of_codecs = Codec::ALL.map(|codec| (codec.name(), codec.normalisation()));
    format::normalisations()
        .chain(file::normalisations())
        .chain(package::normalisations())
        .chain([(Codec::Gzip.name(), gzip::NORMALISATIONS)])
        .flat_map(|(name, set)| set.iter().map(move |normalisation| (name, *normalisation)))
        .chain(of_codecs)
        .collect()
}

/// Finds where and why two different files differ, and concludes.
fn judge(name: &str, old: &Source, new: &Source, options: &Options, comparison: &mut Comparison) {
    let meter = Meter::new(
        &options.limits,
        &options.deadline,
        comparison.released.size.saturating_add(comparison.rebuilt.size),
    );
    let comparer = Comparer::new(&meter);
    let at = At {
        path: name,
        within: Within::default(),
        depth: options.limits.depth,
    };
    let mut tree = comparer.pair(at, Both::new(old, new));
    if tree.is_same() {
        if matches!(old, Source::Folder(_)) {
            return;
        }
        // The files differ, so a tree without findings means that no reader covered the differing bytes.
        tree.findings
            .push(Finding::new("bytes that no reader looked at", "", ""));
    }
    claims::verify(&mut tree, Both::new(old, new), &meter);
    conclude::sizes(&mut tree);
    conclude::names(&mut tree);
    let clamped = comparer.clamped.into_inner();
    let times = comparer
        .times
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    let epoch = options
        .source_date_epoch
        .or_else(|| conclude::clamped(&times).filter(|_| clamped));
    conclude::source_date_epoch(&mut tree, epoch);
    conclude::exchanged(&mut tree);
    conclude::doubts(&mut tree);
    comparison.causes = conclude::causes(&tree);
    (comparison.outcome, comparison.normalisations) = conclude::outcome(&tree, options);
    comparison.limits = comparer
        .limits
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    comparison.tree = Some(tree);
}

/// Files up to this size in bytes are always hashed.
const CHEAP_TO_HASH: u64 = 8 << 20;

/// Returns false only if the files certainly differ, and are so large that hashing them would be most of the work.
fn maybe_same(old: &Source, new: &Source) -> io::Result<bool> {
    const LOOKED_AT: usize = 1 << 20;
    let (Some(released), Some(rebuilt)) = (old.size(), new.size()) else {
        return Ok(true);
    };
    if released.max(rebuilt) <= CHEAP_TO_HASH {
        return Ok(true);
    }
    Ok(released == rebuilt && old.head(LOOKED_AT)? == new.head(LOOKED_AT)?)
}

/// The description of one side. It has no digest if there was no time to hash the file; the comparison reports that.
fn side(path: &Path, source: &Source, hash: bool, deadline: &Deadline) -> io::Result<Side> {
    let name = path.display().to_string();
    let (sha256, size) = match source {
        Source::Folder(_) => (None, 0),
        source if hash => match Sha256::of_reader(deadline.reader(source.open()?)).map_err(Hit::named) {
            Ok((sha256, size)) => (Some(sha256), size),
            Err(error) if Hit::of(&error).is_some_and(|hit| hit.limit == Limit::Time) => {
                (None, source.size().unwrap_or(0))
            }
            Err(error) => return Err(error),
        },
        source => (None, source.size().unwrap_or(0)),
    };
    Ok(Side { name, size, sha256 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_normalisation_is_declared_by_what_uses_it() {
        let mut declared: Vec<_> = declared().into_iter().map(|(_, known)| known).collect();
        declared.sort_unstable();
        assert_eq!(declared, Normalisation::ALL);
    }

    #[test]
    fn a_format_that_is_not_unpacked_is_compared_as_bytes() {
        let mut udf = vec![0; 32 << 10];
        udf.extend(b"\0BEA01\x01");
        for (magic, name) in [
            (&b"7z\xbc\xaf\x27\x1c\0\x04"[..], "7z"),
            (b"Rar!\x1a\x07\x01\0", "RAR"),
            (b"MSCF\0\0\0\0", "cabinet"),
            (&udf, "UDF"),
        ] {
            let [old, new] = [b"\x01\x02\x03", b"\x01\x02\x04"].map(|rest| [magic, rest].concat());
            let found = compare_bytes("x", &old, &new, &Options::default());
            let causes: Vec<_> = found.causes.iter().map(|cause| cause.cause).collect();
            assert_eq!(causes, [Cause::Content, Cause::Unread], "{name}");
            let format = found.tree.map(|tree| tree.format);
            assert_eq!(format.as_deref(), Some(name));
            // Only one side has this format.
            let found = compare_bytes("x", &old, &new[1..], &Options::default());
            assert!(
                found.causes.iter().all(|cause| cause.cause == Cause::Content),
                "{name}"
            );
        }
    }

    #[test]
    fn every_format_recognises_its_own_example() {
        for (name, magic) in examples() {
            if magic.is_empty() {
                continue;
            }
            let sides = [[magic, b"1"].concat(), [magic, b"22"].concat()];
            let found = compare_bytes(&name, &sides[0], &sides[1], &Options::default());
            assert_ne!(found.outcome, Outcome::Identical, "{name}");
            let known = Codec::detect(magic).is_some()
                || format::detect(magic).is_some()
                || file::recognises(&name, &sides[0], &sides[1]);
            assert!(known, "{name}");
        }
    }
}
