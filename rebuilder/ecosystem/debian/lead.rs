//! The versions of build dependencies that the released packages lead to, and that the archive has beside newer ones.

use debversion::Version;

use super::traces::{Of, Trace};
use crate::apt::Binary;
use crate::plan::Origin;

/// A version that is used although it is not the newest, and the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    pub source: String,
    pub version: String,
    pub origin: Origin,
}

impl Wanted {
    /// Whether the user named it.
    pub fn is_declared(&self) -> bool {
        matches!(self.origin, Origin::Declared(_))
    }
}

/// The versions that the released packages name, compared with an archive.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Lead {
    /// Versions that the archive has beside newer ones.
    pub wanted: Vec<Wanted>,
    /// Versions that the archive does not have: name, version, and where it was seen.
    pub gone: Vec<(String, String, String)>,
}

/// Compares traces with the archive's versions. Versions of the subject's own source are ignored, as it is not
/// installed.
pub(super) fn lead(candidates: &[Binary], traces: &[Trace], own: &str) -> Lead {
    let mut lead = Lead::default();
    for trace in traces {
        let of_it: Vec<_> = candidates
            .iter()
            .filter(|binary| match &trace.of {
                Of::Binary(name) => binary.package == *name,
                Of::Source(name) => binary.source == *name,
            })
            .filter(|binary| binary.source != own)
            .collect();
        let version = |binary: &Binary| match trace.of {
            Of::Binary(_) => binary.version.to_string(),
            Of::Source(_) => binary.source_version.to_string(),
        };
        let Some(newest) = of_it.iter().max_by_key(|binary| &binary.source_version) else {
            continue;
        };
        let there = of_it.iter().find(|binary| version(binary) == trace.version);
        match there {
            Some(binary) if binary.source_version < newest.source_version => {
                take(&mut lead.wanted, binary, &trace.seen);
            }
            None if trace.exact => {
                let gone = (newest.source.clone(), trace.version.clone(), trace.seen.clone());
                if !lead.gone.iter().any(|(name, ..)| *name == gone.0) {
                    lead.gone.push(gone);
                }
            }
            _ => {}
        }
    }
    // If a release names two versions of one source, it does not tell which of them was installed.
    lead.gone
        .retain(|(name, ..)| !lead.wanted.iter().any(|wanted| wanted.source == *name));
    lead
}

/// Of several versions of one source, the newest was installed: a bound may be older than the installed version.
fn take(wanted: &mut Vec<Wanted>, binary: &Binary, seen: &str) {
    let new = Wanted {
        source: binary.source.clone(),
        version: binary.source_version.to_string(),
        origin: Origin::Inferred(seen.to_owned()),
    };
    match wanted.iter_mut().find(|other| other.source == new.source) {
        None => wanted.push(new),
        Some(other) => {
            let known: Option<Version> = other.version.parse().ok();
            if known.is_none_or(|known| known < binary.source_version) {
                *other = new;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn binary(package: &str, version: &str, source: &str, source_version: &str) -> Binary {
        Binary {
            package: package.into(),
            version: version.parse().unwrap(),
            source: source.into(),
            source_version: source_version.parse().unwrap(),
            arch: "amd64".into(),
            path: format!("pool/{package}_{version}_amd64.deb"),
            sha256: crate::artifact::Sha256::of(version),
            size: 1,
            release: 0,
        }
    }

    fn archive() -> Vec<Binary> {
        let same = |package: &str, version: &str, source: &str| binary(package, version, source, version);
        vec![
            same("perl", "5.36.0-7+deb12u3", "perl"),
            same("perl-base", "5.36.0-7+deb12u3", "perl"),
            same("perl", "5.36.0-7+deb12u4", "perl"),
            same("perl-base", "5.36.0-7+deb12u4", "perl"),
            same("debhelper", "13.11.4", "debhelper"),
            same("golang-1.19-go", "1.19.8-2", "golang-1.19"),
            same("golang-1.19-go", "1.19.8-2+deb12u1", "golang-1.19"),
            binary("libfoo1", "1:2-3+b1", "foo", "2-3"),
            binary("libfoo1", "1:2-4", "foo", "2-4"),
            binary("own", "1-1", "own", "1-1"),
            binary("own", "1-2", "own", "1-2"),
        ]
    }

    /// What each trace leads to, with an archive that has two versions of most packages.
    // One long table.
    #[test]
    fn only_a_version_that_the_archive_has_beside_a_newer_one_is_taken() {
        let binary = |name: &str| Of::Binary(name.into());
        let source = |name: &str| Of::Source(name.into());
        for (traces, wanted, gone) in [
            (
                vec![(binary("perl"), "5.36.0-7+deb12u3", true)],
                "perl 5.36.0-7+deb12u3",
                "",
            ),
            (vec![(binary("perl"), "5.36.0-7+deb12u4", true)], "", ""),
            (
                vec![(binary("perl"), "5.36.0-7+deb12u2", true)],
                "",
                "perl 5.36.0-7+deb12u2",
            ),
            // A bound from a list of symbols is a version that was once installed on another machine.
            (vec![(binary("libfoo1"), "1:2-1", false)], "", ""),
            (vec![(binary("libfoo1"), "1:2-3+b1", false)], "foo 2-3", ""),
            (
                vec![(source("golang-1.19"), "1.19.8-2", true)],
                "golang-1.19 1.19.8-2",
                "",
            ),
            (
                vec![(source("debhelper"), "13.3.4", true)],
                "",
                "debhelper 13.3.4",
            ),
            (vec![(source("debhelper"), "13.11.4", true)], "", ""),
            (
                vec![(binary("own"), "1-1", false), (source("nothing"), "1", true)],
                "",
                "",
            ),
            // Two versions of one source: the newer one was installed, as the older one is a bound.
            (
                vec![
                    (binary("perl"), "5.36.0-7+deb12u2", true),
                    (binary("perl-base"), "5.36.0-7+deb12u3", false),
                ],
                "perl 5.36.0-7+deb12u3",
                "",
            ),
        ] {
            let traces: Vec<_> = traces
                .into_iter()
                .map(|(of, version, exact)| Trace {
                    of,
                    version: version.into(),
                    exact,
                    seen: "Depends".into(),
                })
                .collect();
            let lead = lead(&archive(), &traces, "own");
            let found: Vec<_> = lead
                .wanted
                .iter()
                .map(|it| format!("{} {}", it.source, it.version))
                .collect();
            let missing: Vec<_> = lead
                .gone
                .iter()
                .map(|(name, version, _)| format!("{name} {version}"))
                .collect();
            assert_eq!(
                (found.join(", "), missing.join(", ")),
                (wanted.into(), gone.into()),
                "{traces:?}"
            );
            assert!(
                lead.wanted
                    .iter()
                    .all(|it| matches!(it.origin, Origin::Inferred(_)))
            );
        }
    }
}
