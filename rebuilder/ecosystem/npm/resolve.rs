//! The packages that a build needs if no lock file names them: solved as npm would have on the day of the release.
//!
//! Every requirement that is reached gets a version: the newest allowed one that was published by the day of the
//! release, otherwise the newest of all. npm itself decides where each goes in `node_modules`: in the sandbox it uses
//! a registry that has only these versions.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt as _, stream};
use jiff::Timestamp;
use nodejs_semver::{Range, Version as SemVer};
use serde::Deserialize;
use serde_json::Value;

use super::lockfile::{LockedPackage, fits};
use super::manifest::Package;
use super::plan::Draft;
use super::registry::{self, METADATA_LIMIT};
use super::wanted::{Wanted, wanted_by, wanted_by_root};
use crate::artifact::Subject;
use crate::ecosystem::PlanError;
use crate::evidence::npm::REGISTRY;
use crate::run::failure::FailureCode;
use crate::store::{Blob, FetchError};

/// Maximum number of packages of one solution.
const MOST: usize = 4000;
/// Number of packages that are requested at the same time.
pub(super) const AT_ONCE: usize = 8;

/// All versions of a package, according to the registry.
#[derive(Deserialize)]
struct Packument {
    #[serde(default)]
    versions: BTreeMap<String, Release>,
    #[serde(default)]
    time: BTreeMap<String, Value>,
    #[serde(default, rename = "dist-tags")]
    tags: BTreeMap<String, Value>,
}

impl Packument {
    /// Removes the version that is being rebuilt, so that nothing can be copied from it.
    fn forget(&mut self, name: &str, subject: &Subject) {
        if name == subject.name
            && let Some(version) = &subject.version
        {
            self.versions.remove(version);
        }
    }
}

/// One version, according to the registry.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Release {
    dist: Dist,
    #[serde(default)]
    pub dependencies: Value,
    #[serde(default)]
    pub optional_dependencies: Value,
    #[serde(default)]
    pub peer_dependencies: Value,
    #[serde(default)]
    pub peer_dependencies_meta: Value,
    #[serde(default)]
    os: Value,
    #[serde(default)]
    cpu: Value,
    #[serde(default)]
    libc: Value,
}

#[derive(Deserialize, Clone)]
struct Dist {
    tarball: String,
    integrity: Option<String>,
}

/// The chosen packages, and how well the day of the release is known.
pub(super) struct Solution {
    pub packages: Vec<LockedPackage>,
    /// Number of packages that are younger than the release, by the registry's own times.
    pub younger: usize,
    /// Whether one of them requires the very version that is rebuilt.
    pub itself: bool,
}

/// How versions are chosen.
#[derive(Clone, Copy)]
pub(super) struct Choice<'a> {
    /// The time by which a version must have been published, if there is such a version.
    pub by: Option<Timestamp>,
    /// For direct requirements, the oldest version that fits instead of the newest.
    pub oldest: bool,
    /// Names and versions that come before all others that fit.
    pub preferred: &'a BTreeSet<(String, String)>,
}

/// Solves the requirements of some manifests of one source; names in `own` are folders of the source.
pub(super) async fn solve(
    draft: &Draft<'_>,
    manifests: &[Package],
    own: &BTreeSet<String>,
    choice: Choice<'_>,
) -> Result<Solution, PlanError> {
    let bar = draft.planner.workshop.progress.stage("solving the dependencies");
    let mut search = Search {
        draft,
        choice,
        open: BTreeSet::new(),
        known: BTreeMap::new(),
        done: BTreeSet::new(),
        chosen: BTreeMap::new(),
        younger: 0,
        itself: false,
    };
    for package in manifests {
        wanted_by_root(package, own, &mut search.open);
    }
    while !search.open.is_empty() {
        let mut failed = search.ask().await?;
        for wanted in std::mem::take(&mut search.open) {
            search.settle(&wanted, &mut failed)?;
        }
    }
    bar.finish_and_clear();
    search.solution()
}

/// A partial solution.
struct Search<'a> {
    draft: &'a Draft<'a>,
    choice: Choice<'a>,
    /// Requirements without a chosen version.
    open: BTreeSet<Wanted>,
    /// The registry's answers about packages.
    known: BTreeMap<String, Packument>,
    /// Requirements that were seen: name, range, and whether the build continues without it.
    done: BTreeSet<(String, String, bool)>,
    /// The chosen versions, by name and version: the tarball, and whether the package is optional.
    chosen: BTreeMap<(String, String), (Dist, bool)>,
    younger: usize,
    itself: bool,
}

impl Search<'_> {
    /// Asks for all packages that are wanted but not known yet; returns the errors by name.
    async fn ask(&mut self) -> Result<BTreeMap<String, PlanError>, PlanError> {
        let draft = self.draft;
        let names: BTreeSet<String> = self.open.iter().map(|it| it.name.clone()).collect();
        let missing: Vec<String> = names
            .into_iter()
            .filter(|name| !self.known.contains_key(name))
            .collect();
        if self.known.len().saturating_add(missing.len()) > MOST {
            return Err(draft.cannot(format!("it needs more than {MOST} packages"), "nothing was built"));
        }
        let asked = stream::iter(missing.into_iter().map(|name| async move {
            let found = packument(draft, &name).await;
            (name, found)
        }));
        let answers: Vec<_> = asked.buffer_unordered(AT_ONCE).collect().await;
        let mut failed = BTreeMap::new();
        for (name, answer) in answers {
            match answer {
                Ok(mut found) => {
                    found.forget(&name, draft.subject);
                    self.known.insert(name, found);
                }
                Err(error) => drop(failed.insert(name, error)),
            }
        }
        Ok(failed)
    }

    /// Chooses a version for a requirement, which may add others; `failed` says why packages are not known.
    fn settle(&mut self, wanted: &Wanted, failed: &mut BTreeMap<String, PlanError>) -> Result<(), PlanError> {
        let seen = (wanted.name.clone(), wanted.range.clone(), wanted.optional);
        if !self.done.insert(seen) {
            return Ok(());
        }
        let found = self
            .known
            .get(&wanted.name)
            .and_then(|packument| choose(packument, wanted, self.choice));
        let Some((version, release, late)) = found else {
            if wanted.optional {
                return Ok(());
            }
            if is_met_by(wanted, self.draft.subject) {
                self.itself = true;
                return Ok(());
            }
            let (name, range) = (&wanted.name, &wanted.range);
            return Err(match failed.remove(name) {
                Some(error) => as_dependency(self.draft, error),
                None => gone(
                    self.draft,
                    format!("the registry has no {name} {range}, which it needs"),
                ),
            });
        };
        let key = (wanted.name.clone(), version);
        if let Some((_, optional)) = self.chosen.get_mut(&key) {
            *optional &= wanted.optional;
            return Ok(());
        }
        if runs_here(release) {
            self.younger = self.younger.saturating_add(usize::from(late));
            wanted_by(release, wanted.optional, &mut self.open);
            self.chosen.insert(key, (release.dist.clone(), wanted.optional));
        }
        Ok(())
    }

    fn solution(self) -> Result<Solution, PlanError> {
        let mut packages = Vec::new();
        for ((name, version), (dist, optional)) in self.chosen {
            let Some(integrity) = dist.integrity else {
                let reason = format!("no integrity pins {name} {version}");
                return Err(self.draft.cannot(reason, "nothing was built"));
            };
            packages.push(LockedPackage {
                url: dist.tarball,
                integrity,
                optional,
            });
        }
        Ok(Solution {
            packages,
            younger: self.younger,
            itself: self.itself,
        })
    }
}

/// Whether the version that is rebuilt meets a requirement.
fn is_met_by(wanted: &Wanted, subject: &Subject) -> bool {
    let version = subject
        .version
        .as_deref()
        .and_then(|text| SemVer::parse(text).ok());
    let range = Range::parse(&wanted.range).ok();
    wanted.name == subject.name
        && matches!((version, range), (Some(version), Some(range)) if range.satisfies(&version))
}

async fn packument(draft: &Draft<'_>, name: &str) -> Result<Packument, PlanError> {
    let url = format!("{REGISTRY}/{}", name.replace('/', "%2f"));
    let read = |blob: &Blob| registry::read_json::<Packument>(name, &url, blob);
    let fetcher = draft.planner.workshop.fetcher;
    let what = format!("the versions of {name}");
    let asked = fetcher.get_unpinned(&what, std::slice::from_ref(&url), METADATA_LIMIT, read);
    Ok(asked.await?.0)
}

/// The version for a requirement, and whether it is younger than the release, by the registry's times.
fn choose<'a>(
    packument: &'a Packument,
    wanted: &Wanted,
    choice: Choice<'_>,
) -> Option<(String, &'a Release, bool)> {
    let tagged = |tag: &str| packument.tags.get(tag).and_then(Value::as_str);
    // Anything but a range is a tag, such as `latest` or `next`. A tag may have moved since that day, so any version
    // fits.
    let range = Range::parse(&wanted.range).or_else(|_| Range::parse("*")).ok()?;
    let exact = tagged(&wanted.range).unwrap_or_else(|| wanted.range.trim_start_matches(['=', 'v']));
    let mut fitting: Vec<(SemVer, &String, &Release)> = packument
        .versions
        .iter()
        .filter_map(|(text, release)| Some((SemVer::parse(text).ok()?, text, release)))
        .filter(|(version, text, _)| range.satisfies(version) || *text == exact)
        .collect();
    fitting.sort_by(|(a, _, _), (b, _, _)| a.cmp(b));
    let is_preferred = |text: &String| choice.preferred.contains(&(wanted.name.clone(), text.clone()));
    if let Some((_, text, release)) = fitting.iter().rev().find(|(_, text, _)| is_preferred(text)) {
        return Some(((*text).clone(), release, false));
    }
    if choice.oldest
        && wanted.direct
        && let Some((_, text, release)) = fitting.first()
    {
        return Some(((*text).clone(), release, false));
    }
    let in_time = |text: &String| {
        let uploaded = packument.time.get(text).and_then(Value::as_str);
        let uploaded = uploaded.and_then(|time| time.parse::<Timestamp>().ok());
        choice
            .by
            .is_none_or(|by| uploaded.is_some_and(|uploaded| uploaded <= by))
    };
    // Of the allowed versions, npm takes the one that the named tag points to, otherwise the one that the publisher
    // tagged `latest`.
    let preferred = tagged(&wanted.range).or_else(|| tagged("latest"));
    let best_of = |of: &[&(SemVer, &String, &'a Release)]| {
        let named = of.iter().find(|(_, text, _)| preferred == Some(text.as_str()));
        named
            .or(of.last())
            .map(|(_, text, release)| ((*text).clone(), *release))
    };
    let timely: Vec<_> = fitting.iter().filter(|(_, text, _)| in_time(text)).collect();
    if let Some((text, release)) = best_of(&timely) {
        return Some((text, release, false));
    }
    let (text, release) = best_of(&fitting.iter().collect::<Vec<_>>())?;
    Some((text, release, true))
}

/// Whether a release supports Linux on x86-64 with glibc.
fn runs_here(release: &Release) -> bool {
    let entry = serde_json::json!({"os": release.os, "cpu": release.cpu, "libc": release.libc});
    fits(&entry, "os", "linux") && fits(&entry, "cpu", "x64") && fits(&entry, "libc", "glibc")
}

/// Turns an error about a dependency into one that is not about the rebuilt package.
pub(super) fn as_dependency(draft: &Draft<'_>, error: PlanError) -> PlanError {
    match error {
        PlanError::Unknown { .. } | PlanError::Fetch(FetchError::NotFound { .. }) => {
            gone(draft, error.to_string())
        }
        other => other,
    }
}

fn gone(draft: &Draft<'_>, reason: String) -> PlanError {
    PlanError::Lacking {
        code: FailureCode::DependencyGone,
        subject: draft.purl.to_owned(),
        reason,
        help: "the version may have been removed; name a mirror that still has it with --mirror".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::wanted::wanted;
    use super::*;

    fn packument(text: &str) -> Packument {
        serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn the_day_of_the_release_bounds_the_choice() {
        let releases = ["1.0.0", "1.1.0", "1.2.0", "2.0.0-rc.1", "2.0.0"]
            .map(|version| format!(r#""{version}": {{"dist": {{"tarball": "https://h/a-{version}.tgz"}}}}"#))
            .join(",");
        let text = format!(
            r#"{{"versions": {{{releases}}}, "dist-tags": {{"latest": "1.1.0", "next": "2.0.0-rc.1"}},
               "time": {{"1.0.0": "2020-01-01T00:00:00Z", "1.1.0": "2021-01-01T00:00:00Z", "1.2.0": "2022-01-01T00:00:00Z", "2.0.0": "2023-01-01T00:00:00Z"}}}}"#
        );
        let packument = packument(&text);
        let any = |range: &str, by: Option<&str>, oldest: bool, locked: &str| {
            let wanted = wanted("a", range, false, true)?;
            let by = by.map(|day| format!("{day}T12:00:00Z").parse().unwrap_or_default());
            let preferred = &BTreeSet::from([("a".to_owned(), locked.to_owned())]);
            let choice = Choice {
                by,
                oldest,
                preferred,
            };
            let (version, _, late) = choose(&packument, &wanted, choice)?;
            Some((version, late))
        };
        let none = "";
        for (range, by, oldest, locked, expected) in [
            ("^1.0.0", Some("2021-06-01"), false, none, Some(("1.1.0", false))),
            // Like npm: a newer version than the publisher's latest is not taken.
            ("^1.0.0", Some("2023-06-01"), false, none, Some(("1.1.0", false))),
            ("^1.2.0", Some("2023-06-01"), false, none, Some(("1.2.0", false))),
            ("^1.0.0", Some("2023-06-01"), true, none, Some(("1.0.0", false))),
            // By these times nothing is that old; the publisher's latest is the best guess.
            ("^1.0.0", Some("2010-01-01"), false, none, Some(("1.1.0", true))),
            ("^2.0.0", None, false, none, Some(("2.0.0", false))),
            ("2.0.0-rc.1", None, false, none, Some(("2.0.0-rc.1", false))),
            ("latest", None, false, none, Some(("1.1.0", false))),
            ("next", None, false, none, Some(("2.0.0-rc.1", false))),
            ("^3.0.0", None, false, none, None),
            // What a lock file has comes first, if it fits.
            (
                "^1.0.0",
                Some("2010-01-01"),
                true,
                "1.2.0",
                Some(("1.2.0", false)),
            ),
            ("^1.0.0", None, false, "2.0.0", Some(("1.1.0", false))),
        ] {
            let found = any(range, by, oldest, locked);
            assert_eq!(
                found.as_ref().map(|(version, late)| (version.as_str(), *late)),
                expected,
                "{range} {by:?} {oldest} {locked}"
            );
        }
    }

    #[test]
    fn only_the_rebuilt_version_itself_meets_a_requirement_of_it() {
        for (name, range, met) in [
            ("a", "^1.1.0", true),
            ("a", "^1.2.0", false),
            ("a", "next", false),
            ("b", "^1.1.0", false),
        ] {
            let wanted = wanted(name, range, false, false).unwrap();
            assert_eq!(
                is_met_by(&wanted, &"npm:a@1.1.0".parse().unwrap()),
                met,
                "{name} {range}"
            );
        }
    }

    #[test]
    fn what_is_rebuilt_is_not_there_to_be_copied_from() {
        let text = r#"{"versions": {"1.0.0": {"dist": {"tarball": "t"}}, "1.1.0": {"dist": {"tarball": "t"}}}, "dist-tags": {"latest": "1.1.0"}}"#;
        for (name, subject, expected) in [
            ("a", "npm:a@1.1.0", "1.0.0"),
            ("a", "npm:a@1.0.0", "1.1.0"),
            ("a", "npm:b@1.1.0", "1.1.0"),
            ("@s/a", "npm:@s/a@1.1.0", "1.0.0"),
            ("@s/a", "npm:a@1.1.0", "1.1.0"),
        ] {
            let mut packument = packument(text);
            packument.forget(name, &subject.parse().unwrap());
            let choice = Choice {
                by: None,
                oldest: false,
                preferred: &BTreeSet::new(),
            };
            let wanted = wanted(name, "^1.0.0", false, true).unwrap();
            let (version, ..) = choose(&packument, &wanted, choice).unwrap();
            assert_eq!(version, expected, "{name} {subject}");
        }
    }
}
