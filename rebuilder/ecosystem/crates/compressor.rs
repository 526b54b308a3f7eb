//! The compressor of a crate, if it is not that of Rust's own cargo.
//!
//! Until Rust 1.87 cargo compressed with zlib, since then with zlib-rs. Some distributions link their cargo with
//! zlib-ng instead: then the tar is the same, but its compressed bytes differ. The recipe builds that compressor from
//! a pinned crate that contains its source, and compresses the tar again.

use super::{lockfile, registry};
use crate::artifact::{PinnedFile, Sha256};
use crate::ecosystem::hints::Hint;
use crate::ecosystem::{PlanError, Planner};
use crate::plan::{Assumption, PinnedInput, Role, assume, places};

/// The name under which a hint asks for another compressor, and the only supported one.
pub(super) const TOOL: &str = "zlib";
pub(super) const ZLIB_NG: &str = "zlib-ng";
/// The crate with its source: zlib-ng 2.1.6.
const CRATE: (&str, &str) = ("libz-ng-sys", "1.1.15");
const CHECKSUM: &str = "c6409efc61b12687963e602df8ecf70e8ddacf95bc6576bcf16e3ac6328083c5";
/// The first release of Rust whose cargo compresses with zlib-rs.
pub(super) const FIRST_ZLIB_RS: i64 = 88;

/// The source of the compressor, if a hint asks for it.
pub(super) async fn choose(
    planner: &Planner<'_>,
    purl: &str,
) -> Result<Option<(PinnedInput, Assumption)>, PlanError> {
    let Some(Hint { value, origin }) = planner.hints.tools.get(TOOL) else {
        return Ok(None);
    };
    let checksum: Option<Sha256> = CHECKSUM.parse().ok();
    let (ZLIB_NG, Some(checksum)) = (value.as_str(), checksum) else {
        return Err(PlanError::NotRebuildable {
            subject: purl.to_owned(),
            reason: format!("{value:?} is not a known compressor"),
            help: "besides cargo's own, only zlib-ng is supported".into(),
        });
    };
    let (file, url) = registry::download(CRATE.0, CRATE.1);
    let file: PinnedFile = lockfile::pin(planner.workshop.fetcher, "the recipe", file, url, checksum).await?;
    let what = format!("zlib-ng 2.1.6 of {}, in the place of cargo's zlib", file.name);
    let input = PinnedInput {
        role: Role::Dependency,
        purl: None,
        place: places::COMPRESSOR.into(),
        file,
    };
    Ok(Some((input, assume("compressor", what, origin.clone()))))
}
