//! SLSA provenance (v0.1, v0.2 and v1) in one form: who built it, from what source, how.
//!
//! The parameters of the build types that releases use are read: GitHub workflows, npm's own, the SLSA generators
//! (generic, Node.js, container-based), and BuildKit. The parameters of others are not read.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::json::member;
use super::slsa_v01 as recipe;
use super::statement::{Descriptor, Statement, predicate};
use crate::artifact::git_source::{GitSource, SourceError};
use crate::artifact::{ImageError, PinnedImage};

/// The content of a provenance.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Provenance {
    /// `0.1`, `0.2` or `1`.
    pub version: &'static str,
    /// URI of the builder.
    pub builder: String,
    /// URI of the build type.
    pub build_type: String,
    /// The build type with its parameters, if it is known.
    pub build: Build,
    /// Source that the build began with.
    pub source: Option<GitSource>,
    /// Path of the workflow or configuration that was run.
    pub workflow: Option<String>,
    /// The event that started the build, such as `push` or `workflow_dispatch`.
    pub trigger: Option<String>,
    /// Id of the builder's run.
    pub invocation: Option<String>,
    /// All inputs of the build, according to the builder.
    pub materials: Vec<Descriptor>,
    /// When the build ended or, if that is not stated, began, according to the builder; RFC 3339.
    pub time: Option<String>,
}

/// A build, by its type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Build {
    /// A workflow on GitHub; the workflow file says what it runs.
    GithubWorkflow,
    /// `npm publish --provenance` in a workflow; the workflow file says what it runs.
    NpmCli,
    /// slsa-github-generator, generic: the workflow built, and the generator only signed.
    SlsaGeneric,
    /// slsa-github-generator for Node.js.
    SlsaNode {
        /// Folder of the package.
        directory: String,
        /// Version of Node.js that was asked for; empty if the builder's default was used.
        node_version: String,
        /// Scripts that ran before packing, in order.
        scripts: Vec<String>,
    },
    /// A command in an image, designed to be rebuilt.
    ContainerBased {
        /// Image by digest.
        image: PinnedImage,
        /// Configuration file in the source.
        config_path: String,
        /// The files that it built, as a pattern below the source folder.
        artifact_path: String,
        /// The command and its arguments.
        command: Vec<String>,
    },
    /// BuildKit.
    BuildKit,
    /// Any other build type.
    Other,
}

/// A provenance that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ProvenanceError {
    #[error("it has no {0}")]
    Missing(&'static str),
    #[error("cannot use its source: {0}")]
    Source(#[from] SourceError),
    #[error(transparent)]
    Image(#[from] ImageError),
}

/// Build type of the container-based SLSA builder.
const CONTAINER_BASED: &str = "https://slsa.dev/container-based-build/v0.1";

impl Provenance {
    /// Reads the predicate of a statement; `None` if it is not SLSA provenance.
    pub fn of(statement: &Statement) -> Option<Result<Self, ProvenanceError>> {
        match statement.predicate_type.as_str() {
            predicate::SLSA_V1 => Some(v1(&statement.predicate)),
            predicate::SLSA_V02 => Some(v02(&statement.predicate)),
            predicate::SLSA_V01 => Some(recipe::v01(&statement.predicate)),
            _ => None,
        }
    }
}

pub(super) fn text<'a>(value: &'a Value, what: &'static str) -> Result<&'a str, ProvenanceError> {
    value
        .as_str()
        .filter(|text| !text.is_empty())
        .ok_or(ProvenanceError::Missing(what))
}

pub(super) fn some(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

pub(super) fn descriptors(value: &Value) -> Vec<Descriptor> {
    let list = value.as_array().into_iter().flatten();
    list.filter_map(|item| serde_json::from_value(item.clone()).ok())
        .collect()
}

fn v1(predicate: &Value) -> Result<Provenance, ProvenanceError> {
    let definition = &predicate["buildDefinition"];
    let run = &predicate["runDetails"];
    let build_type = text(&definition["buildType"], "buildType")?;
    let external = &definition["externalParameters"];
    let materials = descriptors(&definition["resolvedDependencies"]);
    let workflow = &external["workflow"];
    let github = member(definition, ["internalParameters", "github"]);

    let source = if member(external, ["source", "uri"]).is_string() {
        let declared: Descriptor = serde_json::from_value(external["source"].clone()).unwrap_or_default();
        Some(git_source(&declared)?)
    } else if let Some(repository) = workflow["repository"].as_str() {
        let source = GitSource::new(repository, workflow["ref"].as_str(), None)?;
        Some(with_commit(source, &materials)?)
    } else if member(external, ["configSource", "uri"]).is_string() {
        // The request to BuildKit.
        let declared: Descriptor =
            serde_json::from_value(external["configSource"].clone()).unwrap_or_default();
        git_source(&declared).ok()
    } else {
        first_git(&materials)?
    };
    Ok(Provenance {
        version: "1",
        builder: text(member(run, ["builder", "id"]), "builder.id")?.to_owned(),
        build: build(build_type, "", external, external)?,
        build_type: build_type.to_owned(),
        source,
        workflow: some(&workflow["path"])
            .or_else(|| some(&external["configPath"]))
            .or_else(|| some(member(external, ["buildConfigSource", "path"]))),
        trigger: some(&github["event_name"])
            .or_else(|| some(member(definition, ["internalParameters", "GITHUB_EVENT_NAME"]))),
        invocation: some(member(run, ["metadata", "invocationId"])),
        materials,
        time: some(member(run, ["metadata", "finishedOn"]))
            .or_else(|| some(member(run, ["metadata", "startedOn"]))),
    })
}

fn v02(predicate: &Value) -> Result<Provenance, ProvenanceError> {
    let build_type = text(&predicate["buildType"], "buildType")?;
    let builder = text(member(predicate, ["builder", "id"]), "builder.id")?;
    let invocation = &predicate["invocation"];
    let materials = descriptors(&predicate["materials"]);
    let config: Descriptor = serde_json::from_value(invocation["configSource"].clone()).unwrap_or_default();
    let source = if config.uri.as_deref().is_some_and(|uri| !uri.is_empty()) {
        Some(with_commit(git_source(&config)?, &materials)?)
    } else {
        first_git(&materials)?
    };
    let environment = &invocation["environment"];
    Ok(Provenance {
        version: "0.2",
        build: build(
            build_type,
            builder,
            member(invocation, ["parameters", "inputs"]),
            &Value::Null,
        )?,
        builder: builder.to_owned(),
        build_type: build_type.to_owned(),
        source,
        workflow: some(member(invocation, ["configSource", "entryPoint"])),
        trigger: some(&environment["GITHUB_EVENT_NAME"]).or_else(|| some(&environment["github_event_name"])),
        invocation: some(member(predicate, ["metadata", "buildInvocationId"]))
            .or_else(|| some(member(predicate, ["metadata", "buildInvocationID"]))),
        materials,
        time: some(member(predicate, ["metadata", "buildFinishedOn"]))
            .or_else(|| some(member(predicate, ["metadata", "buildStartedOn"]))),
    })
}

fn build(kind: &str, builder: &str, inputs: &Value, external: &Value) -> Result<Build, ProvenanceError> {
    let string = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    if kind.starts_with(CONTAINER_BASED) {
        let config = &external["buildConfig"];
        let command = config["Command"]
            .as_array()
            .or_else(|| config["command"].as_array());
        let command: Option<Vec<_>> = command.map(|words| words.iter().map(string).collect());
        let path = some(&config["ArtifactPath"]).or_else(|| some(&config["artifactPath"]));
        return Ok(Build::ContainerBased {
            image: image(&external["builderImage"])?,
            config_path: string(&external["configPath"]),
            artifact_path: path.ok_or(ProvenanceError::Missing("buildConfig.ArtifactPath"))?,
            command: command
                .filter(|words| !words.is_empty())
                .ok_or(ProvenanceError::Missing("buildConfig.Command"))?,
        });
    }
    Ok(match kind {
        "https://actions.github.io/buildtypes/workflow/v1"
        | "https://slsa-framework.github.io/github-actions-buildtypes/workflow/v1" => Build::GithubWorkflow,
        "https://github.com/npm/cli/gha/v1" | "https://github.com/npm/cli/gha/v2" => Build::NpmCli,
        "https://github.com/slsa-framework/slsa-github-generator/generic@v1" => Build::SlsaGeneric,
        _ if builder.contains("/builder_nodejs_slsa3.yml") => Build::SlsaNode {
            directory: string(&inputs["directory"]),
            node_version: string(&inputs["node-version"]),
            scripts: string(&inputs["run-scripts"])
                .split(',')
                .map(|script| script.trim().to_owned())
                .filter(|script| !script.is_empty())
                .collect(),
        },
        _ if kind.starts_with("https://mobyproject.org/buildkit@v1") || kind.contains("moby/buildkit") => {
            Build::BuildKit
        }
        _ => Build::Other,
    })
}

fn image(value: &Value) -> Result<PinnedImage, ProvenanceError> {
    let descriptor: Descriptor = serde_json::from_value(value.clone()).unwrap_or_default();
    let uri = descriptor
        .uri
        .as_deref()
        .ok_or(ProvenanceError::Missing("builderImage.uri"))?;
    Ok(PinnedImage::parse(
        uri,
        descriptor.digest.get("sha256").map(String::as_str),
    )?)
}

/// The git repository and commit that a descriptor names.
fn git_source(descriptor: &Descriptor) -> Result<GitSource, SourceError> {
    GitSource::from_uri(descriptor.uri.as_deref().unwrap_or_default(), descriptor.commit())
}

/// The source with the commit that the materials name for its repository, unless it has one itself.
fn with_commit(mut source: GitSource, materials: &[Descriptor]) -> Result<GitSource, ProvenanceError> {
    if source.commit.is_some() {
        return Ok(source);
    }
    for material in materials.iter().filter(|material| is_git(material)) {
        let found = git_source(material)?;
        if found.repository == source.repository {
            source.commit = found.commit;
            break;
        }
    }
    Ok(source)
}

pub(super) fn first_git(materials: &[Descriptor]) -> Result<Option<GitSource>, ProvenanceError> {
    let git = materials.iter().find(|material| is_git(material));
    Ok(git.map(git_source).transpose()?)
}

fn is_git(material: &Descriptor) -> bool {
    material.uri.as_deref().is_some_and(|uri| uri.starts_with("git+"))
}
