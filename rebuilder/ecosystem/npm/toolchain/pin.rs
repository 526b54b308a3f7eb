//! One version of a tool, chosen among those that the registry has and pinned by its digest.

use std::collections::BTreeMap;

use jiff::Timestamp;
use nodejs_semver::{Range, Version as SemVer};
use serde::Deserialize;

use super::USUAL;
use crate::ecosystem::PlanError;
use crate::ecosystem::npm::plan::Tools;
use crate::ecosystem::npm::registry::{self, METADATA_LIMIT};
use crate::evidence::json::member;
use crate::evidence::npm::{Dist, REGISTRY};
use crate::plan::{Origin, PinnedInput, Role, assume};
use crate::store::{Blob, Fetcher};

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
pub(super) struct Wanted<'a> {
    pub package: &'a str,
    pub tool: &'a str,
    pub range: &'a str,
    /// Version of Node.js that the tool must run on.
    pub node: Option<&'a SemVer>,
    pub origin: Origin,
}

/// Where a tool is pinned from, and for which subject.
pub(super) struct Registry<'a> {
    pub fetcher: &'a Fetcher,
    pub subject: &'a str,
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

/// Pins the newest version of the tool that is not younger than the release.
pub(super) async fn pin(
    from: &Registry<'_>,
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
    let fetcher = from.fetcher;
    let url = format!("{REGISTRY}/{package}");
    let read = |blob: &Blob| registry::read_json::<Packument>(tool, &url, blob);
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
        from.cannot(
            format!("{range:?} is not a version of {tool}: {error}"),
            "nothing was built",
        )
    })?;
    let none = || {
        from.cannot(
            format!("the registry has no {tool} {range}"),
            "the version may have been removed",
        )
    };
    let (version, text, note) = packument.newest(node, &numbers, released_at).ok_or_else(none)?;
    let dist = &packument.versions.get(&text).ok_or_else(none)?.dist;
    let (file, _) = registry::by_integrity(
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
