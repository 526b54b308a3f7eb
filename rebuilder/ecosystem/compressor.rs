//! A compressor in the place of zlib, if a release was compressed by another.
//!
//! Some systems have zlib-ng or Cloudflare's zlib where others have zlib: what tools compress with it unpacks to the
//! same, but its compressed bytes differ. Recipes build such a compressor from a pinned crate that contains its source.

use super::crates::{lockfile, registry};
use super::hints::Hint;
use super::{PlanError, Planner};
use crate::artifact::{PinnedFile, Sha256};
use crate::compare::Cause;
use crate::plan::{Assumption, PinnedInput, Role, assume, places};
use crate::run::Record;

/// The name under which a hint asks for another compressor.
pub(super) const TOOL: &str = "zlib";

/// A compressor that recipes can build.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Compressor {
    /// Its name in a hint.
    pub name: &'static str,
    /// What a plan calls it.
    pub what: &'static str,
    /// Name and version of the crate with its source, and the crate's digest.
    source: (&'static str, &'static str, &'static str),
    place: &'static str,
}

pub(super) const ZLIB_NG: Compressor = Compressor {
    name: "zlib-ng",
    what: "zlib-ng 2.1.6",
    source: (
        "libz-ng-sys",
        "1.1.15",
        "c6409efc61b12687963e602df8ecf70e8ddacf95bc6576bcf16e3ac6328083c5",
    ),
    place: places::COMPRESSOR,
};
/// That of CPython 3.14 for Windows.
pub(super) const ZLIB_NG_2_2: Compressor = Compressor {
    name: "zlib-ng-2.2",
    what: "zlib-ng 2.2.4",
    source: (
        "libz-ng-sys",
        "1.1.22",
        "a7118c2c2a3c7b6edc279a8b19507672b9c4d716f95e671172dfa4e23f9fd824",
    ),
    place: places::COMPRESSOR,
};
pub(super) const CLOUDFLARE: Compressor = Compressor {
    name: "cloudflare",
    what: "Cloudflare's zlib",
    source: (
        "cloudflare-zlib-sys",
        "0.3.6",
        "32b785d676ed9aed12ebbfb77c5e02d4bb888b652a6e88acbf31ab81a84d5983",
    ),
    place: places::CLOUDFLARE_ZLIB,
};

/// Whether only the compressed bytes of what was built differ, not their content.
pub(super) fn alone_differs(record: &Record) -> bool {
    let mut differing = record.comparisons().peekable();
    differing.peek().is_some()
        && differing
            .flat_map(|comparison| &comparison.causes)
            .all(|cause| cause.cause == Cause::Compression)
}

/// The source of the compressor, if a hint asks for one of those in `known`; `instead` names the one that it replaces.
pub(super) async fn choose(
    planner: &Planner<'_>,
    purl: &str,
    known: &[Compressor],
    instead: &str,
) -> Result<Option<(PinnedInput, Assumption)>, PlanError> {
    let Some(Hint { value, origin }) = planner.hints.tools.get(TOOL) else {
        return Ok(None);
    };
    let found = known.iter().find_map(|it| {
        let checksum: Sha256 = it.source.2.parse().ok()?;
        (it.name == value).then_some((it, checksum))
    });
    let Some((compressor, checksum)) = found else {
        let names: Vec<_> = known.iter().map(|it| it.name).collect();
        return Err(PlanError::NotRebuildable {
            subject: purl.to_owned(),
            reason: format!("{value:?} is not a known compressor"),
            help: format!(
                "besides {instead}, only these are supported: {}",
                names.join(", ")
            ),
        });
    };
    let (file, url) = registry::download(compressor.source.0, compressor.source.1);
    let file: PinnedFile = lockfile::pin(planner.workshop.fetcher, "the recipe", file, url, checksum).await?;
    let what = format!("{} of {}, in the place of {instead}", compressor.what, file.name);
    let input = PinnedInput {
        role: Role::Dependency,
        purl: None,
        place: compressor.place.into(),
        file,
    };
    Ok(Some((input, assume("compressor", what, origin.clone()))))
}
