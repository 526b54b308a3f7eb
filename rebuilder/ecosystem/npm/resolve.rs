//! The packages that a build needs where no lock file names them: solved as npm would have on the day of the release.
//!
//! Every requirement that is reached gets a version: the newest that it allows and that was published by the day of the
//! release, or else the newest of all. Which of them goes where in `node_modules` is npm's own business: in the sandbox it
//! asks a registry that has these versions and no others.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use nodejs_semver::{Range, Version as SemVer};
use serde::Deserialize;
use serde_json::Value;

use super::lockfile::{LockedPackage, fits};
use super::manifest::Package;
use super::plan::Draft;
use super::registry::{self, METADATA_LIMIT};
use crate::artifact::Subject;
use crate::ecosystem::PlanError;
use crate::evidence::json::member;
use crate::evidence::npm::REGISTRY;
use crate::run::failure::FailureCode;
use crate::store::Blob;
use crate::text::plural;

/// Most packages of one solution.
const MOST: usize = 4000;
/// Packages that are asked for at the same time.
const AT_ONCE: usize = 8;

/// What the registry says of all versions of a package.
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
    /// What is being rebuilt is not there to be copied from.
    fn forget(&mut self, name: &str, subject: &Subject) {
        if name == subject.name
            && let Some(version) = &subject.version
        {
            self.versions.remove(version);
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Release {
    dist: Dist,
    #[serde(default)]
    dependencies: Value,
    #[serde(default)]
    optional_dependencies: Value,
    #[serde(default)]
    peer_dependencies: Value,
    #[serde(default)]
    peer_dependencies_meta: Value,
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

/// A requirement: package, range, and whether the build goes on without it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Wanted {
    name: String,
    range: String,
    optional: bool,
    direct: bool,
}

/// What was found, and how well the day of the release is known.
pub(super) struct Solution {
    pub packages: Vec<LockedPackage>,
    /// How many are younger than the release, by the registry's own times.
    pub younger: usize,
}

/// How versions are chosen.
#[derive(Clone, Copy)]
pub(super) struct Choice {
    /// No version is younger, if there is an older one.
    pub by: Option<Timestamp>,
    /// Of direct requirements the oldest that fits, not the newest.
    pub oldest: bool,
}

/// Solves what some manifests of one source need; names of `own` are folders of the source.
pub(super) async fn solve(
    draft: &Draft<'_>,
    manifests: &[Package],
    own: &BTreeSet<String>,
    choice: Choice,
) -> Result<Solution, PlanError> {
    let bar = draft.planner.workshop.progress.stage("solving the dependencies");
    let mut open = BTreeSet::new();
    for package in manifests {
        wanted_by_root(package, own, &mut open);
    }
    let mut known: BTreeMap<String, Packument> = BTreeMap::new();
    let (mut done, mut chosen) = (BTreeSet::new(), BTreeMap::new());
    let mut younger = 0;
    while !open.is_empty() {
        let names: BTreeSet<String> = open.iter().map(|it| it.name.clone()).collect();
        let missing: Vec<String> = names
            .into_iter()
            .filter(|name| !known.contains_key(name))
            .collect();
        if known.len().saturating_add(missing.len()) > MOST {
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
                    known.insert(name, found);
                }
                Err(error) => drop(failed.insert(name, error)),
            }
        }
        let round: Vec<Wanted> = std::mem::take(&mut open).into_iter().collect();
        for wanted in round {
            if !done.insert((wanted.name.clone(), wanted.range.clone(), wanted.optional)) {
                continue;
            }
            let found = known
                .get(&wanted.name)
                .and_then(|packument| choose(packument, &wanted, choice));
            let Some((version, release, late)) = found else {
                if wanted.optional {
                    continue;
                }
                let lacks = || {
                    format!(
                        "the registry has no {} {}, which it needs",
                        wanted.name, wanted.range
                    )
                };
                let error = failed.remove(&wanted.name);
                return Err(error.map_or_else(|| gone(draft, lacks()), |error| as_dependency(draft, error)));
            };
            let key = (wanted.name.clone(), version);
            if let Some((_, optional)) = chosen.get_mut(&key) {
                *optional &= wanted.optional;
                continue;
            }
            if !runs_here(release) {
                continue;
            }
            younger = usize::saturating_add(younger, usize::from(late));
            wanted_by(release, wanted.optional, &mut open);
            chosen.insert(key, (release.dist.clone(), wanted.optional));
        }
    }
    bar.finish_and_clear();
    let mut packages = Vec::new();
    for ((name, version), (dist, optional)) in chosen {
        let Some(integrity) = dist.integrity else {
            return Err(draft.cannot(format!("no integrity pins {name} {version}"), "nothing was built"));
        };
        packages.push(LockedPackage {
            url: dist.tarball,
            integrity,
            optional,
        });
    }
    Ok(Solution { packages, younger })
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
    choice: Choice,
) -> Option<(String, &'a Release, bool)> {
    let tagged = |tag: &str| packument.tags.get(tag).and_then(Value::as_str);
    // What is no range is a tag, such as `latest` or `next`; today's is not always that of the day, so any version fits.
    let range = Range::parse(&wanted.range).or_else(|_| Range::parse("*")).ok()?;
    let exact = tagged(&wanted.range).unwrap_or_else(|| wanted.range.trim_start_matches(['=', 'v']));
    let mut fitting: Vec<(SemVer, &String, &Release)> = packument
        .versions
        .iter()
        .filter_map(|(text, release)| Some((SemVer::parse(text).ok()?, text, release)))
        .filter(|(version, text, _)| range.satisfies(version) || *text == exact)
        .collect();
    fitting.sort_by(|(a, _, _), (b, _, _)| a.cmp(b));
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
    // Of what npm may take, it takes the version of the tag that is named, or else what the publisher calls the latest.
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

/// Whether it says that it runs on Linux on x86-64, with glibc.
fn runs_here(release: &Release) -> bool {
    let entry = serde_json::json!({"os": release.os, "cpu": release.cpu, "libc": release.libc});
    fits(&entry, "os", "linux") && fits(&entry, "cpu", "x64") && fits(&entry, "libc", "glibc")
}

fn wanted_by_root(package: &Package, own: &BTreeSet<String>, open: &mut BTreeSet<Wanted>) {
    let lists = [
        (&package.dependencies, false),
        (&package.dev_dependencies, false),
        (&package.optional_dependencies, true),
    ];
    for (list, optional) in lists {
        for (name, range) in list {
            let also_optional = optional || package.optional_dependencies.contains_key(name);
            if let Some(range) = range.as_str().filter(|_| !own.contains(name)) {
                open.extend(wanted(name, range, also_optional, true));
            }
        }
    }
    for (name, range) in &package.peer_dependencies {
        let known = package.dev_dependencies.contains_key(name) || own.contains(name);
        if let Some(range) = range.as_str().filter(|_| !known) {
            open.extend(wanted(name, range, true, true));
        }
    }
}

fn wanted_by(release: &Release, optional: bool, open: &mut BTreeSet<Wanted>) {
    let is_optional = |name: &str| release.optional_dependencies.get(name).is_some();
    let lists = [
        (&release.dependencies, false),
        (&release.optional_dependencies, true),
    ];
    for (list, of_list) in lists {
        for (name, range) in list.as_object().into_iter().flatten() {
            if let Some(range) = range.as_str() {
                open.extend(wanted(
                    name,
                    range,
                    optional || of_list || is_optional(name),
                    false,
                ));
            }
        }
    }
    // npm 7 and later install them, and complain where they are away; nothing ends for want of one.
    for (name, range) in release.peer_dependencies.as_object().into_iter().flatten() {
        let left_out =
            member(&release.peer_dependencies_meta, [name.as_str(), "optional"]) == &Value::Bool(true);
        if let Some(range) = range.as_str().filter(|_| !left_out) {
            open.extend(wanted(name, range, true, false));
        }
    }
}

/// A requirement from the registry; nothing for folders, archives and repositories.
fn wanted(name: &str, range: &str, optional: bool, direct: bool) -> Option<Wanted> {
    let range = range.trim();
    let (name, range) = match range.strip_prefix("npm:") {
        Some(alias) => match alias.rsplit_once('@').filter(|(name, _)| !name.is_empty()) {
            Some((name, range)) => (name, range),
            None => (alias, "*"),
        },
        None => (name, range),
    };
    let elsewhere = range.contains(':') || range.contains('/');
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._~@/".contains(c);
    (!elsewhere && name.chars().all(plain) && !name.contains("..")).then(|| Wanted {
        name: name.to_owned(),
        range: if range.is_empty() {
            "*".to_owned()
        } else {
            range.to_owned()
        },
        optional,
        direct,
    })
}

/// Takes the registry's integrity for all that a lock file pins by SHA-1 or not at all; gives their number too.
pub(super) async fn pin_all(
    draft: &Draft<'_>,
    packages: Vec<LockedPackage>,
) -> Result<(Vec<LockedPackage>, usize), PlanError> {
    let fetcher = draft.planner.workshop.fetcher;
    let open = packages.iter().filter(|package| !package.is_pinned()).count();
    let asked = stream::iter(packages.into_iter().map(|package| async move {
        let Some((name, version)) = package.name_and_version().filter(|_| !package.is_pinned()) else {
            return Ok(Some(package));
        };
        match registry::version(fetcher, &name, &version).await {
            Ok(found) => Ok(Some(LockedPackage {
                integrity: found.dist.integrity.unwrap_or_default(),
                ..package
            })),
            Err(PlanError::Unknown { .. }) if package.optional => Ok(None),
            Err(error) => Err(as_dependency(draft, error)),
        }
    }));
    let pinned: Vec<Option<LockedPackage>> = asked.buffered(AT_ONCE).try_collect().await?;
    Ok((pinned.into_iter().flatten().collect(), open))
}

/// That the registry lacks a dependency is not said of the package that is rebuilt.
fn as_dependency(draft: &Draft<'_>, error: PlanError) -> PlanError {
    match error {
        PlanError::Unknown { .. } => gone(draft, error.to_string()),
        other => other,
    }
}

fn gone(draft: &Draft<'_>, reason: String) -> PlanError {
    PlanError::Lacking {
        code: FailureCode::DependencyGone,
        subject: draft.purl.to_owned(),
        reason,
        help: "the version may have been removed; a mirror given with --mirror may have it".into(),
    }
}

/// The packages of a lock file of yarn 2 or later, which names versions; the registry gives the rest.
pub(super) async fn exactly(
    draft: &Draft<'_>,
    versions: Vec<(String, String)>,
) -> Result<Vec<LockedPackage>, PlanError> {
    let bar = draft
        .planner
        .workshop
        .progress
        .stage(format!("asking for {}", plural(versions.len(), "package")));
    let fetcher = draft.planner.workshop.fetcher;
    let asked = stream::iter(versions.into_iter().map(|(name, version)| async move {
        let found = registry::version(fetcher, &name, &version).await;
        let found = found.map_err(|error| as_dependency(draft, error))?;
        let integrity = found.dist.integrity.clone().unwrap_or_default();
        Ok::<_, PlanError>(LockedPackage {
            url: found.dist.tarball,
            integrity,
            optional: true,
        })
    }));
    let found = asked.buffered(AT_ONCE).try_collect().await;
    bar.finish_and_clear();
    found
}

#[cfg(test)]
mod tests {
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
        let any = |range: &str, by: Option<&str>, oldest: bool| {
            let wanted = wanted("a", range, false, true)?;
            let by = by.map(|day| format!("{day}T12:00:00Z").parse().unwrap_or_default());
            let (version, _, late) = choose(&packument, &wanted, Choice { by, oldest })?;
            Some((version, late))
        };
        for (range, by, oldest, expected) in [
            ("^1.0.0", Some("2021-06-01"), false, Some(("1.1.0", false))),
            // As npm: a newer version that is not the publisher's latest is not taken.
            ("^1.0.0", Some("2023-06-01"), false, Some(("1.1.0", false))),
            ("^1.2.0", Some("2023-06-01"), false, Some(("1.2.0", false))),
            ("^1.0.0", Some("2023-06-01"), true, Some(("1.0.0", false))),
            // Nothing is that old by these times; the publisher's latest is the best guess.
            ("^1.0.0", Some("2010-01-01"), false, Some(("1.1.0", true))),
            ("^2.0.0", None, false, Some(("2.0.0", false))),
            ("2.0.0-rc.1", None, false, Some(("2.0.0-rc.1", false))),
            ("latest", None, false, Some(("1.1.0", false))),
            ("next", None, false, Some(("2.0.0-rc.1", false))),
            ("^3.0.0", None, false, None),
        ] {
            let found = any(range, by, oldest);
            assert_eq!(
                found.as_ref().map(|(version, late)| (version.as_str(), *late)),
                expected,
                "{range} {by:?} {oldest}"
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
            };
            let wanted = wanted(name, "^1.0.0", false, true).unwrap();
            let (version, ..) = choose(&packument, &wanted, choice).unwrap();
            assert_eq!(version, expected, "{name} {subject}");
        }
    }

    #[test]
    fn only_what_the_registry_has_is_wanted() {
        for (name, range, expected) in [
            ("a", "^1", Some(("a", "^1"))),
            ("a", "npm:@b/c@2.0.0", Some(("@b/c", "2.0.0"))),
            ("a", "npm:b", Some(("b", "*"))),
            ("a", "", Some(("a", "*"))),
            ("a", "workspace:*", None),
            ("a", "github:o/r", None),
            ("a", "o/r#v1", None),
            ("../a", "^1", None),
        ] {
            let found = wanted(name, range, false, true);
            let found = found.as_ref().map(|it| (it.name.as_str(), it.range.as_str()));
            assert_eq!(found, expected, "{name} {range}");
        }
    }
}
