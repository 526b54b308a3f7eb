//! Node's own list of its releases.

use jiff::Timestamp;
use nodejs_semver::{Range, Version as SemVer};
use serde::Deserialize;

use crate::ecosystem::npm::plan::Draft;
use crate::ecosystem::npm::registry::{self, METADATA_LIMIT};
use crate::store::Blob;

/// Node's list of its releases.
const NODE_RELEASES: &str = "https://nodejs.org/dist/index.json";

/// One release in Node's list.
#[derive(Deserialize)]
pub(super) struct NodeRelease {
    pub version: String,
    date: String,
    /// The npm that came with it.
    pub npm: Option<String>,
}

/// Node's list of its releases; empty if it cannot be fetched.
pub(super) async fn all(draft: &Draft<'_>) -> Vec<NodeRelease> {
    let url = NODE_RELEASES.to_owned();
    let read = |blob: &Blob| registry::read_json("node", &url, blob);
    let received = draft
        .planner
        .workshop
        .fetcher
        .get_unpinned(
            "node's releases",
            std::slice::from_ref(&url),
            METADATA_LIMIT,
            read,
        )
        .await;
    received.map(|(releases, _)| releases).unwrap_or_default()
}

/// The newest release of Node.js in a range that is not younger than `released_at`.
pub(super) fn newest<'a>(
    releases: &'a [NodeRelease],
    range: &str,
    released_at: Option<Timestamp>,
) -> Option<(SemVer, &'a NodeRelease)> {
    let range = Range::parse(range).ok()?;
    let day = released_at.map(|time| time.strftime("%Y-%m-%d").to_string());
    let fitting = releases
        .iter()
        .filter(|release| day.as_ref().is_none_or(|day| release.date <= *day));
    fitting
        .filter_map(|release| {
            Some((
                SemVer::parse(release.version.trim_start_matches('v')).ok()?,
                release,
            ))
        })
        .filter(|(version, _)| range.satisfies(version))
        .max_by(|(a, _), (b, _)| a.cmp(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_a_release_bounds_the_choice() {
        let release = |version: &str, date: &str| NodeRelease {
            version: version.into(),
            date: date.into(),
            npm: None,
        };
        let releases = [
            release("v20.0.0", "2023-04-18"),
            release("v18.17.0", "2023-07-18"),
            release("v18.16.0", "2023-04-12"),
            release("v18.9.0", "2022-09-08"),
        ];
        for (range, time, expected) in [
            ("18", "2023-04-20T00:00:00Z", Some("18.16.0")),
            ("18.x", "2024-01-01T00:00:00Z", Some("18.17.0")),
            (">=18", "2024-01-01T00:00:00Z", Some("20.0.0")),
            ("18", "2020-01-01T00:00:00Z", None),
            ("lts/*", "2024-01-01T00:00:00Z", None),
        ] {
            let found = newest(&releases, range, time.parse().ok()).map(|(version, _)| version.to_string());
            assert_eq!(found.as_deref(), expected, "{range} {time}");
        }
    }
}
