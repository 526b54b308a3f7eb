//! Hints from OSS Rebuild's published build definitions: YAML with a source location, tool versions and requirements.
//!
//! Nothing in a definition is run. Its source and versions steer the planner like any other hint, and the plan names
//! the definition as their origin; commands and templates in it are ignored.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::artifact::Subject;

use super::hints::{Hints, SourceHint};
use crate::artifact::git_source;
use crate::artifact::git_source::{GitSource, SourceError};
use crate::plan::Origin;
use crate::reader::Reader;

/// A definition that cannot be used.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum DefinitionError {
    #[error("cannot read the build definition {path}")]
    Read { path: String, source: std::io::Error },
    #[error("{path} is not a build definition of OSS Rebuild: {reason}")]
    #[diagnostic(help("docs/recipes.md says which parts are supported"))]
    Invalid { path: String, reason: String },
    #[error("cannot use the source in {path}: {source}")]
    Source { path: String, source: SourceError },
}

/// One strategy of any kind: only the parts that become hints.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Strategy {
    location: Location,
    requirements: Vec<String>,
    node_version: Option<String>,
    npm_version: Option<String>,
    rust_version: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Location {
    repo: String,
    #[serde(rename = "ref")]
    commit: String,
    dir: String,
}

/// Kinds of strategies that name a source and versions.
const KINDS: [&str; 7] = [
    "pypi_pure_wheel_build",
    "pypi_sdist_build",
    "npm_pack_build",
    "npm_custom_build",
    "cratesio_cargo_package",
    "flow",
    "manual",
];

/// Reads a definition.
pub fn read(path: &Path) -> Result<Hints, DefinitionError> {
    let name = path.display().to_string();
    let text =
        crate::bounded::read_text(path, crate::bounded::SHORT).map_err(|source| DefinitionError::Read {
            path: name.clone(),
            source,
        })?;
    parse(&name, &text)
}

/// The definition of a subject in a folder of them: `ECOSYSTEM/PACKAGE/VERSION/ARTIFACT/build.yaml`.
pub fn find(folder: &Path, subject: &Subject) -> Option<PathBuf> {
    let ecosystem = super::row(subject.ecosystem).ok()?.oss_rebuild()?;
    let version = folder
        .join(ecosystem)
        .join(&subject.name)
        .join(subject.version.as_deref()?);
    if let Some(artifact) = subject.qualifier("file_name") {
        let path = version.join(artifact).join("build.yaml");
        return path.is_file().then_some(path);
    }
    let artifacts = std::fs::read_dir(version).ok()?.flatten();
    let mut found: Vec<_> = artifacts
        .map(|entry| entry.path().join("build.yaml"))
        .filter(|path| path.is_file())
        .collect();
    found.sort();
    found.into_iter().next()
}

pub(super) const READER: Reader = ("oss-rebuild", |bytes| {
    let _ = parse("build.yaml", &String::from_utf8_lossy(bytes));
});

fn parse(name: &str, text: &str) -> Result<Hints, DefinitionError> {
    let invalid = |reason: String| DefinitionError::Invalid {
        path: name.to_owned(),
        reason,
    };
    let kinds: BTreeMap<String, serde_json::Value> =
        serde_saphyr::from_str(text).map_err(|error| invalid(error.to_string()))?;
    let known = kinds.iter().find(|(kind, _)| KINDS.contains(&kind.as_str()));
    let (_, strategy) = known.ok_or_else(|| {
        let found: Vec<_> = kinds.keys().map(String::as_str).collect();
        invalid(format!(
            "it has {}; supported: {}",
            found.join(", "),
            KINDS.join(", ")
        ))
    })?;
    let strategy: Strategy =
        serde_json::from_value(strategy.clone()).map_err(|error| invalid(error.to_string()))?;
    let origin = || Origin::Convention(format!("{name}, a build definition of OSS Rebuild"));
    let mut hints = Hints::default();
    let Location { repo, commit, dir } = &strategy.location;
    if !repo.is_empty() {
        let git = GitSource::new(repo, None, Some(commit)).map_err(|source| DefinitionError::Source {
            path: name.to_owned(),
            source,
        })?;
        let folder = git_source::folder(dir.trim_start_matches("./"))
            .ok_or_else(|| invalid(format!("{dir:?} is not a relative path inside a repository")))?;
        hints.source = Some(SourceHint {
            git: Some(git),
            folder: (!folder.is_empty() && folder != ".").then(|| folder.to_owned()),
            origin: origin(),
        });
    }
    let tools = [
        ("node", &strategy.node_version),
        ("npm", &strategy.npm_version),
        ("cargo", &strategy.rust_version),
    ];
    for (tool, version) in tools {
        if let Some(version) = version.as_deref().filter(|version| !version.is_empty()) {
            hints = hints.with_tool(tool, version, origin());
        }
    }
    for requirement in &strategy.requirements {
        let end = requirement.find(|c: char| !(c.is_ascii_alphanumeric() || "-_.".contains(c)));
        let (project, specifier) = requirement.split_at(end.unwrap_or(requirement.len()));
        let specifier = specifier.trim();
        // Without a version it adds nothing to what the source says.
        if !specifier.is_empty() {
            let project = project.to_lowercase().replace(['_', '.'], "-");
            hints = hints.with_tool(&project, specifier.trim_start_matches("=="), origin());
        }
    }
    Ok(hints)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_source_and_versions_and_nothing_else() {
        let text = "pypi_pure_wheel_build:\n  location:\n    repo: https://github.com/o/r\n    ref: a6b2d3869f24c9c04cd7c024e59ccec3e5422a56\n    dir: python\n  requirements:\n    - pdm-backend==2.4.5\n    - setuptools\n  registry_time: \"2025-11-10T22:07:40Z\"\n  post_build: rm -rf /\n";
        let hints = parse("build.yaml", text).unwrap();
        let source = hints.source.unwrap();
        assert_eq!(source.folder.as_deref(), Some("python"));
        assert_eq!(source.git.unwrap().repository, "https://github.com/o/r");
        let tools: Vec<_> = hints
            .tools
            .iter()
            .map(|(name, hint)| format!("{name} {}", hint.value))
            .collect();
        assert_eq!(tools, ["pdm-backend 2.4.5"]);
        let npm = "npm_custom_build:\n  location: {repo: https://github.com/o/r, ref: d21b496c1206e7858dd692b36d07914d549bbc59}\n  node_version: 8.16.0\n  npm_version: 6.4.1\n  command: prepare\n";
        let hints = parse("build.yaml", npm).unwrap();
        assert_eq!(hints.tools["node"].value, "8.16.0");
    }

    #[test]
    fn says_what_is_wrong_with_a_definition() {
        for (text, expected) in [
            ("maven_build: {}", "is not a build definition"),
            ("- 1", "is not a build definition"),
            (
                "npm_pack_build: {location: {repo: 'https://github.com/o/r', ref: main}}",
                "cannot use the source",
            ),
            (
                "npm_pack_build: {location: {repo: 'https://github.com/o/r', ref: d21b496c1206e7858dd692b36d07914d549bbc59, dir: ../..}}",
                "not a relative path",
            ),
        ] {
            let error = parse("build.yaml", text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
