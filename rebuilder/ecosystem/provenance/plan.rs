//! The plan from a provenance.

use super::{How, Job};
use crate::artifact::git_source::GitSource;
use crate::artifact::{Ecosystem, PinnedFile, Sha256};
use crate::ecosystem::released::keep;
use crate::ecosystem::{PlanError, Planner};
use crate::evidence::slsa::{Build, Provenance};
use crate::evidence::statement::{Descriptor, DigestMatch};
use crate::plan::{Basis, Expected, Plan, Recipe};
use crate::store::GitError;

/// Plans the rebuild of the local artifacts, or of those that the provenance names.
pub(in crate::ecosystem) async fn plan(planner: &Planner<'_>) -> Result<Plan, PlanError> {
    let artifacts = &planner.released;
    let title = artifacts
        .first()
        .map_or("the artifact", |artifact| artifact.name.as_str())
        .to_owned();
    let mut judgement = planner
        .case
        .inspect(artifacts, Vec::new(), &[], planner.workshop.fetcher)
        .await;
    let policy = judgement.policy.gate(&title)?;
    let (Some(provenance), Some(statement)) = (judgement.provenance.take(), judgement.statement.take())
    else {
        return Err(PlanError::NotRebuildable {
            subject: title,
            reason: "no valid provenance names its source".into(),
            help: "name the provenance with --provenance, or the package with --purl".into(),
        });
    };
    let source = source_of(&provenance, &title)?;
    let (expected, not_asked_for) = expected(planner, &statement.subject)?;
    let job = Job {
        planner,
        title,
        expected,
        not_asked_for,
        provenance: &provenance,
        declared_by: judgement.declared_by.clone(),
        source,
        checkout: judgement.source.clone(),
    };
    let how = job.how(judgement.no_source.take()).await?;
    let subject = job.expected.first().map(|expected| expected.purl.clone());
    let mut plan = Plan {
        inputs: how.inputs,
        git: vec![how.git],
        build: how.build,
        assumptions: how.assumptions,
        ..Plan::of(Basis {
            ecosystem: Ecosystem::Provenance,
            subject: subject.unwrap_or_default(),
            claims: judgement.inspection.claims(),
            policy,
            expected: job.expected,
            recipe: &how.recipe,
            container: how.container,
        })
    };
    plan.not_compared.extend(job.not_asked_for);
    Ok(plan)
}

/// The commit that the provenance names.
fn source_of(provenance: &Provenance, title: &str) -> Result<GitSource, PlanError> {
    let source = provenance
        .source
        .clone()
        .ok_or_else(|| PlanError::NotRebuildable {
            subject: title.to_owned(),
            reason: "its provenance names no source in git".into(),
            help: "only builds from a commit can be repeated".into(),
        })?;
    if source.commit.is_none() {
        let repository = source.repository;
        return Err(GitError::NoCommit { repository }.into());
    }
    Ok(source)
}

impl Job<'_> {
    /// With the recipe that the user names, otherwise as the provenance describes.
    async fn how(&self, no_source: Option<GitError>) -> Result<How, PlanError> {
        match (&self.planner.recipe, &self.provenance.build) {
            (Some(recipe), _) => self.by_recipe(recipe, no_source).await,
            (
                None,
                Build::ContainerBased {
                    image,
                    artifact_path,
                    command,
                    config_path,
                },
            ) => {
                self.container_based(image, artifact_path, command, config_path)
                    .await
            }
            (None, _) => {
                let help = format!(
                    "name a recipe with --recipe: one of {}, or a file (docs/recipes.md)",
                    Recipe::names().join(", ")
                );
                let build_type = &self.provenance.build_type;
                let reason = format!("its build type {build_type} does not say how to build it");
                Err(self.cannot(reason, &help))
            }
        }
    }
}

/// Everything that the provenance's own statement declares as output, with the bytes of local files; second, the names
/// of those that were not asked for.
fn expected(
    planner: &Planner<'_>,
    subjects: &[Descriptor],
) -> Result<(Vec<Expected>, Vec<String>), PlanError> {
    let mut expected: Vec<Expected> = Vec::new();
    let mut not_asked_for = Vec::new();
    for subject in subjects {
        let at_hand = planner
            .released
            .iter()
            .find(|artifact| subject.matches(&artifact.digests) == DigestMatch::Same);
        if at_hand.is_none() && planner.only {
            not_asked_for.extend(subject.file_name().map(str::to_owned));
            continue;
        }
        let digits = subject
            .digest
            .get("sha256")
            .and_then(|digits| digits.parse::<Sha256>().ok());
        let sha256 = at_hand.map(|artifact| artifact.digests.sha256).or(digits);
        let named = subject
            .file_name()
            .or(at_hand.map(|artifact| artifact.name.as_str()));
        let (Some(sha256), Some(name)) = (sha256, named) else {
            return Err(PlanError::NotRebuildable {
                subject: subject.label().to_owned(),
                reason: "the provenance has no SHA-256 or no file name for it".into(),
                help: "name the file itself, or compare only it with --only".into(),
            });
        };
        if expected.iter().any(|other| other.file.name == name) {
            return Err(PlanError::NotRebuildable {
                subject: subject.label().to_owned(),
                reason: format!("the provenance names two outputs with the name {name}"),
                help: "name the file itself, and compare only it with --only".into(),
            });
        }
        if let Some(artifact) = at_hand {
            keep(planner.workshop.fetcher, artifact)?;
        }
        expected.push(Expected {
            purl: at_hand
                .and_then(|artifact| artifact.purl.clone())
                .unwrap_or_else(|| format!("pkg:generic/{name}?checksum=sha256:{sha256}")),
            file: PinnedFile {
                name: name.to_owned(),
                urls: Vec::new(),
                sha256,
                size: at_hand.map_or(0, |artifact| artifact.digests.size),
            },
        });
    }
    Ok((expected, not_asked_for))
}
