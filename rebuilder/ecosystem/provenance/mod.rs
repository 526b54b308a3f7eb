//! Anything that SLSA provenance describes: the plan comes from the provenance, and where that does not say how
//! to build, from a recipe.
//!
//! Container-based provenance names image and command, and needs no recipe.

mod dependencies;

use super::{PlanError, Planner};
use crate::artifact::PinnedFile;
use crate::artifact::git_source::GitSource;
use crate::artifact::{Ecosystem, PinnedImage, Sha256};
use crate::evidence::assess::Artifact;
use crate::evidence::slsa::{Build, Provenance};
use crate::evidence::statement::Descriptor;
use crate::inspect::Judgement;
use crate::plan::IMAGE_ENTRYPOINT;
use crate::plan::PinnedContainer;
use crate::plan::{Assumption, Expected, Origin, Phase, PinnedGit, PinnedInput, Plan, Recipe, Step, VERSION};
use crate::plan::{Limits, quote};
use crate::store::{Checkout, GitError};

/// Where the container-based builder puts the source.
const WORKSPACE: &str = "/workspace";
/// Where the archive of the source lies in a sandbox, below `/inputs`.
pub(super) const SOURCE_PLACE: &str = "source.tar";

/// Plans the rebuild of the local artifacts, or of what the provenance names.
pub(super) async fn plan(planner: &Planner<'_>) -> Result<Plan, PlanError> {
    let artifacts = &planner.released;
    let title = artifacts
        .first()
        .map_or("the artifact", |artifact| artifact.name.as_str())
        .to_owned();
    let mut judgement = planner
        .case
        .judge(artifacts, Vec::new(), &[], planner.workshop.fetcher)
        .await;
    let policy = judgement.policy.gate(&title)?;
    let (Some(provenance), Some(statement)) = (judgement.provenance.take(), judgement.statement.take())
    else {
        return Err(PlanError::NotRebuildable {
            subject: title,
            reason: "no provenance that holds says what it was built from".into(),
            help: "name the file that carries it with --provenance".into(),
        });
    };
    let source = provenance
        .source
        .clone()
        .ok_or_else(|| PlanError::NotRebuildable {
            subject: title.clone(),
            reason: "its provenance names no source in git".into(),
            help: "only builds that start from a commit can be repeated".into(),
        })?;
    if source.commit.is_none() {
        let repository = source.repository;
        return Err(GitError::NoCommit { repository }.into());
    }
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
    let how = match (&planner.recipe, &provenance.build) {
        (Some(recipe), _) => job.by_recipe(recipe, judgement.no_source.take()).await?,
        (
            None,
            Build::ContainerBased {
                image,
                artifact_path,
                command,
                config_path,
            },
        ) => {
            job.container_based(image, artifact_path, command, config_path)
                .await?
        }
        (None, _) => {
            return Err(PlanError::NotRebuildable {
                subject: job.title,
                reason: format!(
                    "its build type {} does not say how to build it",
                    provenance.build_type
                ),
                help: format!(
                    "name a recipe with --recipe: one of {}, or a file (docs/recipes.md)",
                    Recipe::names().join(", ")
                ),
            });
        }
    };
    Ok(job.plan(how, &judgement, policy))
}

/// Everything that the provenance's own statement declares as output, those at hand with their bytes; second, the
/// names of those that were not asked for.
fn expected(
    planner: &Planner<'_>,
    subjects: &[Descriptor],
) -> Result<(Vec<Expected>, Vec<String>), PlanError> {
    let mut expected: Vec<Expected> = Vec::new();
    let mut not_asked_for = Vec::new();
    for subject in subjects {
        let at_hand = planner.released.iter().find(|artifact| {
            subject.matches(&artifact.digests) == crate::evidence::statement::DigestMatch::Same
        });
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
                reason: "the provenance gives it no SHA-256 or no file name".into(),
                help: "give the file itself, or compare it alone with --only".into(),
            });
        };
        if expected.iter().any(|other| other.file.name == name) {
            return Err(PlanError::NotRebuildable {
                subject: subject.label().to_owned(),
                reason: format!("the provenance names two outputs that are called {name}"),
                help: "give the file itself, and compare it alone with --only".into(),
            });
        }
        if let Some(artifact) = at_hand {
            super::keep(planner.workshop.fetcher, artifact)?;
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

/// What is known before it is settled how to build.
struct Job<'a> {
    planner: &'a Planner<'a>,
    title: String,
    expected: Vec<Expected>,
    not_asked_for: Vec<String>,
    provenance: &'a Provenance,
    declared_by: String,
    source: GitSource,
    checkout: Option<Checkout>,
}

/// How to build.
struct How {
    container: PinnedContainer,
    hostname: String,
    inputs: Vec<PinnedInput>,
    git: PinnedGit,
    setup: Phase,
    build: Phase,
    not_compared: Vec<String>,
    assumptions: Vec<Assumption>,
}

pub(super) fn assume(what: &str, value: impl Into<String>, origin: Origin) -> Assumption {
    Assumption {
        what: what.into(),
        value: value.into(),
        origin,
    }
}

impl Job<'_> {
    fn plan(self, how: How, judgement: &Judgement, policy: crate::policy::Decision) -> Plan {
        let subject = self
            .expected
            .first()
            .map(|expected| expected.purl.clone())
            .unwrap_or_default();
        Plan {
            version: VERSION,
            subject,
            ecosystem: Ecosystem::Provenance,
            claims: judgement.inspection.claims(),
            policy,
            expected: self.expected,
            not_compared: how.not_compared.into_iter().chain(self.not_asked_for).collect(),
            container: how.container,
            inputs: how.inputs,
            git: vec![how.git],
            files: Vec::new(),
            setup: how.setup,
            build: how.build,
            hostname: how.hostname,
            umask: 0o022,
            limits: Limits::default(),
            assumptions: how.assumptions,
        }
    }

    fn declared(&self) -> Origin {
        Origin::Declared(self.declared_by.clone())
    }

    /// The source, pinned; with the digest of its archive where the repository could be reached.
    async fn pinned_source(&self, submodules: bool) -> Result<(PinnedGit, Assumption), PlanError> {
        let mut pinned = PinnedGit {
            place: SOURCE_PLACE.into(),
            source: self.source.clone(),
            submodules,
            archive: None,
        };
        if let Some(checkout) = &self.checkout {
            pinned.archive = Some(
                self.planner
                    .workshop
                    .fetcher
                    .git_archive(checkout, submodules)
                    .await?
                    .sha256,
            );
        }
        let commit = self.source.commit.as_deref().unwrap_or_default();
        let source = assume(
            "source",
            format!("{} at {commit}", self.source.repository),
            self.declared(),
        );
        Ok((pinned, source))
    }

    async fn container_based(
        &self,
        image: &PinnedImage,
        artifact_path: &str,
        command: &[String],
        config_path: &str,
    ) -> Result<How, PlanError> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "._/*?@+-".contains(c);
        let stays =
            !artifact_path.starts_with(['/', '-']) && artifact_path.split('/').all(|part| part != "..");
        if !artifact_path.chars().all(plain) || !stays {
            return Err(PlanError::NotRebuildable {
                subject: self.title.clone(),
                reason: format!(
                    "its provenance says that {artifact_path:?} came out, which is no path below the source"
                ),
                help: "nothing was built".into(),
            });
        }
        let recipe = Recipe::container_based()?;
        let (git, source) = self.pinned_source(recipe.source.submodules).await?;
        let mut build = recipe.build.with(&[]);
        build.steps.extend(declared_steps(command, artifact_path));
        Ok(How {
            container: PinnedContainer::Image { image: image.clone() },
            hostname: recipe.hostname,
            inputs: Vec::new(),
            git,
            setup: Phase::default(),
            build,
            not_compared: Vec::new(),
            assumptions: vec![
                source,
                assume("builder image", image.to_string(), self.declared()),
                assume("command", command.join(" "), self.declared()),
                assume("artifact path", artifact_path, self.declared()),
                assume("configuration", config_path, self.declared()),
                assume(
                    "environment",
                    "what the image sets; the source in /workspace, without its .git",
                    Origin::Convention("the container-based builder's own way".into()),
                ),
            ],
        })
    }

    async fn by_recipe(&self, recipe: &Recipe, no_source: Option<GitError>) -> Result<How, PlanError> {
        if let Some(misfit) = recipe.misfit(self.provenance) {
            return Err(PlanError::NotRebuildable {
                subject: self.title.clone(),
                reason: format!("the recipe ({}) is not for it: {misfit}", recipe.description),
                help: "name another recipe with --recipe".into(),
            });
        }
        let Some(checkout) = &self.checkout else {
            return Err(no_source
                .unwrap_or_else(|| GitError::NoCommit {
                    repository: self.source.repository.clone(),
                })
                .into());
        };
        let (git, source) = self.pinned_source(recipe.source.submodules).await?;
        let time = checkout.time()?;
        let container = match &recipe.image {
            Some(image) => PinnedContainer::Image {
                image: PinnedImage::parse(image, None).map_err(|error| PlanError::NotRebuildable {
                    subject: self.title.clone(),
                    reason: error.to_string(),
                    help: "a recipe names its image as NAME@sha256:DIGEST".into(),
                })?,
            },
            None => PinnedContainer::Packages {
                name: recipe.container.clone(),
                lock: self.planner.workshop.catalog.lock(&recipe.container)?,
            },
        };
        let (inputs, mut assumptions) = self.dependencies(recipe, checkout, &container, time).await?;
        let names: Vec<_> = self
            .expected
            .iter()
            .map(|expected| expected.file.name.as_str())
            .collect();
        if let Some(odd) = names.iter().find(|name| name.contains(char::is_whitespace)) {
            return Err(PlanError::NotRebuildable {
                subject: self.title.clone(),
                reason: format!("recipes cannot tell outputs with spaces in their names apart ({odd:?})"),
                help: "nothing was built".into(),
            });
        }
        let path = recipe
            .source
            .path
            .clone()
            .unwrap_or_else(|| format!("/build/{}", self.source.name()));
        let (outputs, epoch) = (names.join(" "), time.to_string());
        let values = [
            ("SOURCE", path.as_str()),
            ("FOLDER", recipe.source.folder.as_str()),
            ("OUTPUTS", outputs.as_str()),
            ("SOURCE_REPOSITORY", self.source.repository.as_str()),
            ("SOURCE_COMMIT", checkout.commit.as_str()),
            ("SOURCE_REF", self.source.reference.as_deref().unwrap_or_default()),
            ("SOURCE_DATE_EPOCH", epoch.as_str()),
        ];
        let mut build = recipe.build.with(&values);
        build.steps.extend(recipe.hand_out());
        assumptions.insert(0, source);
        assumptions.extend([
            assume(
                "recipe",
                recipe.description.clone(),
                Origin::Convention("named by the user".into()),
            ),
            assume(
                "build path",
                path.clone(),
                Origin::Convention("the recipe".into()),
            ),
            assume(
                "SOURCE_DATE_EPOCH",
                epoch.clone(),
                Origin::Inferred("the commit's time".into()),
            ),
        ]);
        Ok(How {
            container,
            hostname: recipe.hostname.clone(),
            inputs,
            git,
            setup: recipe.setup.with(&[]),
            build,
            not_compared: recipe.unreleased.clone(),
            assumptions,
        })
    }
}

/// The steps for a command that provenance declares, in the image's own environment.
pub fn declared_steps(command: &[String], artifact_path: &str) -> [Step; 2] {
    let words: Vec<_> = command.iter().map(|word| quote(word)).collect();
    let run = Step {
        name: "run the command".into(),
        run: format!(
            "cd {WORKSPACE}\nentrypoint=${{{IMAGE_ENTRYPOINT}:-}}\nunset {IMAGE_ENTRYPOINT}\nset -- {}\n\
             eval \"set -- $entrypoint \\\"\\$@\\\"\"\n\"$@\"\n",
            words.join(" ")
        ),
    };
    let hand_out = Step {
        name: "hand out the artifacts".into(),
        run: format!("cd {WORKSPACE}\ncp -- {artifact_path} /out/\n"),
    };
    [run, hand_out]
}

/// The digest-only artifacts that a provenance's own statement names; for planning without the files at hand.
pub fn declared_artifacts(subjects: &[Descriptor]) -> Vec<Artifact> {
    let artifact = |subject: &Descriptor| {
        let sha256 = subject.digest.get("sha256")?.parse().ok()?;
        Some(Artifact {
            name: subject.file_name()?.to_owned(),
            purl: None,
            digests: crate::artifact::Digests::known(sha256),
            path: None,
        })
    };
    subjects.iter().filter_map(artifact).collect()
}
