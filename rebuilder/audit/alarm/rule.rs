//! Decides whether a result is suspicious: the package always reproduced, and now it does not. No effects.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde::Serialize;

use crate::artifact::Ecosystem;
use crate::ecosystem::compare_versions;
use crate::memory::Seen;

/// Why a result is suspicious.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "rule", rename_all = "kebab-case")]
pub enum Basis {
    /// The same version was good, this many times.
    SameVersion {
        /// How often.
        times: usize,
    },
    /// The nearest earlier versions were all good.
    EarlierVersions {
        /// Their versions, the nearest first.
        versions: Vec<String>,
    },
}

/// A result to look into, with the last good result to compare it with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Suspicion {
    pub basis: Basis,
    pub last_good: Seen,
}

/// Judges the result `now` by all other results of its package that have a verdict. All of the `nearest`
/// earlier versions must be good; one good result of the same version is enough, as it is known to be
/// reproducible.
pub(super) fn suspicion(
    ecosystem: Ecosystem,
    past: &[Seen],
    now: &Seen,
    nearest: usize,
    allow_equivalent: bool,
) -> Option<Suspicion> {
    if !now.verdict.is_bad() {
        return None;
    }
    let good = |seen: &&Seen| seen.verdict.is_good(allow_equivalent);
    let same: Vec<&Seen> = past
        .iter()
        .filter(|seen| seen.version == now.version && seen.at < now.at)
        .filter(good)
        .collect();
    if let Some(last) = same.iter().max_by_key(|seen| seen.at) {
        return Some(Suspicion {
            basis: Basis::SameVersion { times: same.len() },
            last_good: (*last).clone(),
        });
    }
    // Each version counts with its newest verdict.
    let mut versions: BTreeMap<&str, &Seen> = BTreeMap::new();
    for seen in past.iter().filter(|seen| is_earlier(ecosystem, seen, now)) {
        let newest = versions.entry(&seen.version).or_insert(seen);
        if newest.at < seen.at {
            *newest = seen;
        }
    }
    let mut versions: Vec<&Seen> = versions.into_values().collect();
    versions.sort_by(|a, b| {
        let order = compare_versions(ecosystem, &b.version, &a.version);
        order.unwrap_or_else(|| b.at.cmp(&a.at))
    });
    versions.truncate(nearest);
    let last = versions.first()?;
    if versions.len() < nearest || !versions.iter().all(good) {
        return None;
    }
    Some(Suspicion {
        basis: Basis::EarlierVersions {
            versions: versions.iter().map(|seen| seen.version.clone()).collect(),
        },
        last_good: (*last).clone(),
    })
}

/// Whether this is a result of an earlier version; if the versions cannot be compared, the times of the results decide.
fn is_earlier(ecosystem: Ecosystem, seen: &Seen, than: &Seen) -> bool {
    match compare_versions(ecosystem, &seen.version, &than.version) {
        Some(order) => order == Ordering::Less,
        None => seen.version != than.version && seen.at < than.at,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::VerdictName;

    fn seen(version: &str, verdict: &str, at: i64) -> Seen {
        Seen {
            version: version.to_owned(),
            verdict: VerdictName::of_word(verdict).unwrap(),
            at,
            audit: "a".into(),
            text: format!("pypi:x=={version}"),
            folder: None,
        }
    }

    /// The name of the rule, and the version that it compares with.
    fn told(
        past: &[(&str, &str)],
        now: (&str, &str),
        allow_equivalent: bool,
    ) -> Option<(&'static str, String)> {
        let past: Vec<_> = (1..)
            .zip(past)
            .map(|(at, (version, verdict))| seen(version, verdict, at))
            .collect();
        let now = seen(now.0, now.1, 100);
        let found = suspicion(Ecosystem::Pypi, &past, &now, 3, allow_equivalent)?;
        let rule = match found.basis {
            Basis::SameVersion { .. } => "same",
            Basis::EarlierVersions { .. } => "earlier",
        };
        Some((rule, found.last_good.version))
    }

    #[test]
    fn it_always_reproduced_and_now_it_does_not() {
        type Row = (
            Vec<(&'static str, &'static str)>,
            (&'static str, &'static str),
            Option<(&'static str, &'static str)>,
        );
        const GOOD: [(&str, &str); 3] = [
            ("1.8", "reproduced"),
            ("1.9", "reproduced"),
            ("1.10", "reproduced"),
        ];
        let with = |more: &[(&'static str, &'static str)]| [&GOOD[..], more].concat();
        let rows: Vec<Row> = vec![
            (with(&[]), ("1.11", "mismatch"), Some(("earlier", "1.10"))),
            (with(&[]), ("1.11", "not-reproduced"), Some(("earlier", "1.10"))),
            (with(&[]), ("1.11", "refused"), Some(("earlier", "1.10"))),
            (with(&[]), ("1.11", "reproduced"), None),
            (with(&[]), ("1.11", "equivalent"), None),
            // A build that failed, or a network that was down, says nothing.
            (with(&[]), ("1.11", "inconclusive"), None),
            // Two earlier versions are not enough.
            (GOOD[..2].to_vec(), ("1.11", "mismatch"), None),
            (Vec::new(), ("1.11", "mismatch"), None),
            // It did not always reproduce.
            (with(&[("1.10.1", "mismatch")]), ("1.11", "mismatch"), None),
            (with(&[("1.10.1", "equivalent")]), ("1.11", "mismatch"), None),
            // What is further back than the nearest versions does not count.
            (
                [&[("1.7", "mismatch")], &GOOD[..]].concat(),
                ("1.11", "mismatch"),
                Some(("earlier", "1.10")),
            ),
            // An old version that never reproduced did not get worse.
            (with(&[]), ("1.7", "mismatch"), None),
            // The same version: once is enough.
            (
                vec![("1.11", "reproduced")],
                ("1.11", "mismatch"),
                Some(("same", "1.11")),
            ),
            (vec![("1.11", "mismatch")], ("1.11", "mismatch"), None),
            // The newest verdict of a version counts.
            (with(&[("1.9", "mismatch")]), ("1.11", "mismatch"), None),
            (
                [&[("1.9", "mismatch")], &GOOD[..]].concat(),
                ("1.11", "mismatch"),
                Some(("earlier", "1.10")),
            ),
        ];
        for (past, now, expected) in rows {
            let expected = expected.map(|(rule, version)| (rule, version.to_owned()));
            assert_eq!(told(&past, now, false), expected, "{past:?} then {now:?}");
        }
        let mixed = with(&[("1.10.1", "equivalent")]);
        let found = told(&mixed, ("1.11", "mismatch"), true);
        assert_eq!(found, Some(("earlier", "1.10.1".to_owned())));
    }
}
