//! What a signer asks of a run beyond its own digests: was that really released, may it be signed, and does the plan do
//! nothing but build?

use crate::artifact::Subject;
use crate::attest::Examined;
use crate::container::Catalog;
use crate::ecosystem::{self, provenance};
use crate::evidence::assess::Artifact;
use crate::evidence::document::{self, Document};
use crate::evidence::slsa::Build;
use crate::plan::{Plan, Recipe, Step};
use crate::policy::{Case, Judgement};
use crate::rebuild::{Evidence, RunFolder, Verdict};
use crate::store::Fetcher;

use super::SignerError;

/// Backends whose isolation this tool vouches for.
const BACKENDS: [&str; 2] = ["embedded", "docker"];
/// What a machine may be unable to bound without the build being any less isolated.
const BOUNDS: [&str; 3] = ["memory", "pids", "disk"];
/// Variables by which shells, loaders and interpreters run code that no step names.
const LOADERS: [&str; 12] = [
    "BASH_ENV",
    "ENV",
    "LD_AUDIT",
    "LD_LIBRARY_PATH",
    "LD_PRELOAD",
    "NODE_OPTIONS",
    "PERL5LIB",
    "PERL5OPT",
    "PROMPT_COMMAND",
    "PYTHONPATH",
    "PYTHONSTARTUP",
    "RUBYOPT",
];
/// How far a worker's clock may be ahead.
const SKEW: jiff::SignedDuration = jiff::SignedDuration::from_mins(5);

/// Asks the questions; has its own store and its own way to the registries.
pub struct Questioner {
    /// The way to the registries; offline, only documents that come with a run tell what was released.
    pub fetcher: Fetcher,
    /// Containers, for the mirrors of distributions.
    pub catalog: Catalog,
    /// The policy, and the keys that it trusts.
    pub case: Case,
    /// Recipes beyond the built-in ones.
    pub recipes: Vec<Recipe>,
}

impl Questioner {
    /// Refuses a run that must not be signed.
    pub async fn ask(&self, examined: &Examined, run: &RunFolder) -> Result<(), SignerError> {
        let Examined { record, plan, .. } = examined;
        if let Verdict::Inconclusive { .. } = record.verdict {
            return Err(SignerError::Run(
                "is inconclusive; there is nothing to attest".into(),
            ));
        }
        if record.evidence != Evidence::Verified {
            return Err(SignerError::Run(
                "replays a saved plan: its claims are the word of whoever wrote that, so it is not signed here".into(),
            ));
        }
        if !BACKENDS.contains(&record.backend.as_str()) {
            return Err(SignerError::Run(format!(
                "was built by {:?}, which nobody here vouches for",
                record.backend
            )));
        }
        if let Some(limit) = record
            .not_enforced
            .iter()
            .find(|limit| !BOUNDS.contains(&limit.as_str()))
        {
            return Err(SignerError::Run(format!(
                "was not isolated: {limit} was not enforced"
            )));
        }
        let now = jiff::Timestamp::now();
        if record.finished > now.saturating_add(SKEW).unwrap_or(now) || record.started > record.finished {
            return Err(SignerError::Run(format!(
                "says that it ended on {}",
                record.finished
            )));
        }
        let judgement = self.released(plan, run).await?;
        judgement.gate(&plan.subject)?;
        self.only_builds(plan, &judgement)
    }

    /// Finds out without the worker what was released, and judges the evidence for it.
    async fn released(&self, plan: &Plan, run: &RunFolder) -> Result<Judgement, SignerError> {
        let expected = plan.released();
        let Ok(subject) = plan.subject.parse::<Subject>() else {
            return self.by_documents(plan, &expected, run).await;
        };
        let found = ecosystem::look_up(&self.fetcher, &self.catalog, &subject)
            .await
            .map_err(|error| SignerError::Registry(Box::new(error)))?;
        for wanted in &expected {
            let same = |artifact: &&Artifact| artifact.digests.sha256 == wanted.digests.sha256;
            if !found.artifacts.iter().any(|artifact| same(&artifact)) {
                return Err(SignerError::Plan(format!(
                    "expects {} with sha256:{}, which is not what was released as {}",
                    wanted.name, wanted.digests.sha256, plan.subject
                )));
            }
        }
        Ok(self
            .case
            .judge(&found.artifacts, found.claims, &found.documents, &self.fetcher)
            .await)
    }

    /// For what no registry lists: the signed documents that came with the run. Who carried them does not matter, for
    /// they are verified here, by what this signer trusts.
    async fn by_documents(
        &self,
        plan: &Plan,
        expected: &[Artifact],
        run: &RunFolder,
    ) -> Result<Judgement, SignerError> {
        let entries = std::fs::read_dir(run.documents()).into_iter().flatten().flatten();
        let mut documents: Vec<Document> = Vec::new();
        for entry in entries {
            documents.extend(document::read_file(&entry.path()).unwrap_or_default());
        }
        let judgement = self
            .case
            .judge(expected, Vec::new(), &documents, &self.fetcher)
            .await;
        let verified = |finding: &crate::evidence::inspection::Finding| {
            finding.standing == crate::evidence::Standing::Verified
        };
        if verified(&judgement.inspection.signature) || verified(&judgement.inspection.provenance) {
            Ok(judgement)
        } else {
            Err(SignerError::Plan(format!(
                "is about {}, and no signed document that came with the run vouches for its digests",
                plan.subject
            )))
        }
    }

    /// A plan that copies the released bytes, or runs steps of a worker's own, proves nothing.
    fn only_builds(&self, plan: &Plan, judgement: &Judgement) -> Result<(), SignerError> {
        for expected in &plan.expected {
            // A distribution builds its own tools with themselves; those come from its signed archive.
            let given = plan
                .inputs
                .iter()
                .find(|input| input.file.sha256 == expected.file.sha256);
            if let Some(input) = given.filter(|_| plan.ecosystem != "debian") {
                return Err(SignerError::Plan(format!(
                    "has the released file itself among its inputs, as {}",
                    input.place
                )));
            }
        }
        let mut known: Vec<Step> = Recipe::built_in_steps();
        known.extend(self.recipes.iter().cloned().flat_map(Recipe::all_steps));
        if let Some(provenance) = &judgement.provenance
            && let Build::ContainerBased {
                command,
                artifact_path,
                ..
            } = &provenance.build
        {
            known.extend(provenance::declared_steps(command, artifact_path));
        }
        let steps = plan.setup.steps.iter().chain(&plan.build.steps);
        for step in steps {
            if !known.iter().any(|it| it.run == step.run) {
                return Err(SignerError::Plan(format!(
                    "has a step {:?} that is in no recipe of this signer",
                    step.name
                )));
            }
        }
        let variables = plan.setup.env.keys().chain(plan.build.env.keys());
        for name in variables {
            if LOADERS.contains(&name.as_str()) {
                return Err(SignerError::Plan(format!(
                    "sets the variable {name}, by which something runs that no step names"
                )));
            }
        }
        Ok(())
    }
}
