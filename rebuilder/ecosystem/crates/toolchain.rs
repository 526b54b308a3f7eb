//! Chooses the cargo that packed a crate, and fetches its tarball from Rust's own servers.
//!
//! Rust releases exactly every six weeks, so the stable version of a day can be computed. The release's manifest has
//! the address of its cargo, and the SHA-256.

use jiff::Timestamp;
use serde::Deserialize;

use super::age::Age;
use super::alternatives::{AHEAD, minor};
use super::lockfile;
use crate::artifact::PinnedFile;
use crate::artifact::Sha256;
use crate::ecosystem::{PlanError, Planner};
use crate::plan::{Assumption, Origin, assume};
use crate::store::{Blob, FetchError};

/// Address of the manifests and tarballs.
const DIST: &str = "https://static.rust-lang.org/dist";
const MANIFEST_LIMIT: u64 = 16 << 20;
/// A release and its time: 1.70.0 was released on 1 June 2023.
const ANCHOR: (i64, i64) = (70, 1_685_577_600);
/// Seconds from one release to the next.
const CYCLE: i64 = 42 * 24 * 3600;
/// The oldest release whose manifest has today's form.
const OLDEST: i64 = 12;

/// Path of the tarball in the sandbox, below `/inputs`.
pub(super) const PLACE: &str = "dependencies/cargo.tar.xz";
/// Name of the assumption about the day when the crate was published.
pub(super) const DAY: &str = "day of publication";
/// Name of the assumption about the releases that may have packed the crate.
pub(super) const AGE: &str = "releases of Rust that can have packed it";

/// A pinned cargo, and the reason for it.
pub(super) struct Cargo {
    pub file: PinnedFile,
    /// Minor number of its release.
    pub minor: Option<i64>,
    pub assumptions: Vec<Assumption>,
}

#[derive(Deserialize)]
struct Manifest {
    pkg: Packages,
}

#[derive(Deserialize)]
struct Packages {
    cargo: Component,
}

#[derive(Deserialize)]
struct Component {
    version: String,
    target: std::collections::BTreeMap<String, Target>,
}

#[derive(Deserialize)]
struct Target {
    xz_url: Option<String>,
    xz_hash: Option<Sha256>,
}

/// Minor number of the stable release of a day.
pub(super) fn stable(time: Timestamp) -> i64 {
    let cycles = time.as_second().saturating_sub(ANCHOR.1).div_euclid(CYCLE);
    ANCHOR.0.saturating_add(cycles).max(OLDEST)
}

/// The most likely release, and the reason: the stable one of the day of publication, or one that leaves the crate's
/// traces.
fn likeliest(age: &Age, published: Option<Timestamp>) -> (String, Origin) {
    let stable = stable(published.unwrap_or_else(Timestamp::now));
    let day = match published {
        Some(time) => format!("of {time}, when the crate was published"),
        None => "of today; the index does not say when the crate was published".into(),
    };
    let signs = age.signs.join(", ");
    let (release, from) = match published {
        _ if age.allows(stable) => (format!("1.{stable}.0"), format!("the stable release {day}")),
        _ if stable > age.last => {
            let from = format!("the last release that leaves such a crate ({signs})");
            (format!("1.{}.0", age.last), from)
        }
        // A publisher with a newer release than the stable one of the day uses its nightly or its beta.
        Some(time) if age.allows(stable.saturating_add(AHEAD)) => {
            let from = format!("the nightly release {day}, as a stable one leaves no such crate ({signs})");
            (format!("nightly-{}", time.strftime("%Y-%m-%d")), from)
        }
        _ => {
            let from = format!("the first release that leaves such a crate ({signs})");
            (format!("1.{}.0", age.first), from)
        }
    };
    (release, Origin::Inferred(from))
}

/// The release that a hint names (`1.77.0` or `nightly-2024-06-01`), or the most likely one.
pub(super) async fn choose(
    planner: &Planner<'_>,
    purl: &str,
    published: Option<Timestamp>,
    age: &Age,
) -> Result<Cargo, PlanError> {
    let (release, origin) = match planner.hints.tools.get("cargo") {
        Some(hint) => (hint.value.clone(), hint.origin.clone()),
        None => likeliest(age, published),
    };
    let cannot = |reason: String| cannot(purl, reason);
    let plain = release
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || ".-".contains(c));
    if !plain {
        return Err(cannot(format!("{release:?} is not a release of Rust")));
    }
    let cargo = manifest(planner, purl, &release).await?.pkg.cargo;
    let target = cargo.target.get("x86_64-unknown-linux-gnu");
    let Some((Some(url), Some(hash))) = target.map(|target| (target.xz_url.clone(), target.xz_hash)) else {
        return Err(cannot(format!("Rust {release} has no cargo for 64-bit Linux")));
    };
    // Old manifests have plain http addresses; the digest is what counts.
    let url = url.replacen("http://", "https://", 1);
    let name = format!("cargo-{release}.tar.xz");
    let file = lockfile::pin(
        planner.workshop.fetcher,
        "the manifest of its release",
        name,
        url,
        hash,
    )
    .await?;
    let mut assumptions = vec![assume(
        "cargo",
        format!("{} of Rust {release}", cargo.version),
        origin,
    )];
    if !age.signs.is_empty() {
        let signs = Origin::Inferred(format!("the released crate: {}", age.signs.join(", ")));
        assumptions.push(assume(AGE, age.to_string(), signs));
    }
    assumptions.extend(published.map(|time| {
        let day = time.strftime("%Y-%m-%d").to_string();
        assume(DAY, day, Origin::Declared("the registry's index".into()))
    }));
    Ok(Cargo {
        file,
        minor: minor(&release),
        assumptions,
    })
}

/// The manifest of a release of Rust, such as `1.70.0` or `nightly-2024-01-01`.
async fn manifest(planner: &Planner<'_>, purl: &str, release: &str) -> Result<Manifest, PlanError> {
    let url = match release.split_once('-') {
        Some((channel, day)) => format!("{DIST}/{day}/channel-rust-{channel}.toml"),
        None => format!("{DIST}/channel-rust-{release}.toml"),
    };
    let what = format!("the manifest of Rust {release}");
    let read = |blob: &Blob| {
        let text = String::from_utf8(blob.bytes()?).map_err(|error| cannot(purl, error.to_string()))?;
        toml::from_str::<Manifest>(&text).map_err(|error| cannot(purl, format!("{what}: {error}")))
    };
    let asked = planner
        .workshop
        .fetcher
        .get_unpinned(&what, &[url], MANIFEST_LIMIT, read)
        .await;
    let (manifest, _) = asked.map_err(|error| match error {
        PlanError::Fetch(FetchError::NotFound { .. }) => cannot(purl, format!("there is no Rust {release}")),
        other => other,
    })?;
    Ok(manifest)
}

fn cannot(purl: &str, reason: String) -> PlanError {
    PlanError::NotRebuildable {
        subject: purl.to_owned(),
        reason,
        help: "name another release of Rust with --tool cargo=VERSION".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_the_stable_release_of_a_day() {
        for (day, expected) in [
            ("2023-05-31T12:00:00Z", 69),
            ("2023-06-01T20:00:00Z", 70),
            ("2024-11-28T20:00:00Z", 83),
            ("2025-12-11T20:00:00Z", 92),
            ("2015-06-01T00:00:00Z", OLDEST),
        ] {
            assert_eq!(stable(day.parse().unwrap()), expected, "{day}");
        }
    }

    #[test]
    fn what_a_crate_shows_moves_the_first_guess() {
        let day = "2024-05-20T12:00:00Z".parse().ok();
        for (age, expected) in [
            ("1.57 to 1.79", "1.78.0"),
            ("1.80 to 1.82", "nightly-2024-05-20"),
            ("1.79 to 1.79", "1.79.0"),
            ("1.57 to 1.70", "1.70.0"),
            ("1.93 or later", "1.93.0"),
        ] {
            assert_eq!(likeliest(&Age::read(age).unwrap(), day).0, expected, "{age}");
        }
    }
}
