//! The plan of a tarball: its commit, node and npm, and the packages that its lock file names.

use super::packing::Packing;
use super::{dependencies, registry, source, toolchain};
use crate::artifact::{Ecosystem, Subject};
use crate::ecosystem::{PlanError, Planner};
use crate::evidence::npm::Version;
use crate::evidence::slsa::Provenance;
use crate::evidence::workflow::Workflow;
use crate::plan::{Assumption, Basis, Expected, Origin, Phase, PinnedGit, PinnedInput, Plan, Recipe, assume};
use crate::store::Checkout;
use crate::text::plural;

/// Plans the rebuild of one tarball.
pub(super) async fn plan(planner: &Planner<'_>, subject: &Subject) -> Result<Plan, PlanError> {
    let fetcher = planner.workshop.fetcher;
    let local = planner.released.first().cloned();
    let found = registry::find(fetcher, subject, local, planner.case.documents.is_empty()).await?;
    let purl = found.subject.purl();
    let artifacts = std::slice::from_ref(&found.artifact);
    let mut judgement = planner
        .case
        .inspect(artifacts, found.claims, &found.documents, fetcher)
        .await;
    let policy = judgement.policy.gate(&purl)?;
    let claims = &judgement.inspection.provenance.claims;
    let signed_at = claims
        .iter()
        .find_map(crate::evidence::assessment::Assessment::signed_at);
    let source = source::choose(planner, &purl, found.version.as_ref(), &mut judgement).await?;
    let (provenance, checkout) = (&source.provenance, &source.checkout);
    let recipe = planner.recipe_or("npm")?;
    let draft = Draft {
        planner,
        purl: &purl,
        subject: &found.subject,
        version: found.version.as_ref(),
        provenance,
        workflow: judgement.workflow.take(),
        checkout,
        // No document records which scripts ran; a recipe can say so.
        scripts: source.attested || recipe.scripts,
    };
    let packing = draft.packing()?;
    let released_at = signed_at.or_else(|| provenance.time.as_ref().and_then(|time| time.parse().ok()));
    let tools = toolchain::choose(&draft, released_at).await?;
    let (dependencies, install) = if packing.installs {
        dependencies::pin(&draft, &packing.directory).await?
    } else {
        (Vec::new(), "")
    };
    let submodules = recipe.source.submodules;
    let archive = fetcher.git_archive(checkout, submodules).await?;
    let build = draft.build(&recipe, &packing, install, &found.file.name);
    let mut assumptions = vec![source.assumption.clone()];
    assumptions.extend(draft.assumptions(&packing, dependencies.len()));
    assumptions.extend(tools.assumptions);
    Ok(Plan {
        inputs: tools.inputs.into_iter().chain(dependencies).collect(),
        git: vec![PinnedGit::source(
            checkout.source.clone(),
            submodules,
            Some(archive.sha256),
        )],
        build,
        assumptions,
        ..Plan::of(Basis {
            ecosystem: Ecosystem::Npm,
            subject: purl.clone(),
            claims: judgement.inspection.claims(),
            policy,
            expected: vec![Expected {
                purl: purl.clone(),
                file: found.file,
            }],
            container: planner.pinned_container(&recipe)?,
            recipe: &recipe,
        })
    })
}

/// Everything that is known before tools and dependencies are pinned.
pub(super) struct Draft<'a> {
    pub planner: &'a Planner<'a>,
    pub purl: &'a str,
    pub subject: &'a Subject,
    pub version: Option<&'a Version>,
    pub provenance: &'a Provenance,
    pub workflow: Option<Workflow>,
    pub checkout: &'a Checkout,
    /// Whether lifecycle scripts run.
    pub scripts: bool,
}

/// Tools, pinned, and why these.
pub(super) struct Tools {
    pub inputs: Vec<PinnedInput>,
    pub assumptions: Vec<Assumption>,
}

impl Draft<'_> {
    pub(super) fn cannot(&self, reason: String, help: &str) -> PlanError {
        PlanError::NotRebuildable {
            subject: self.purl.to_owned(),
            reason,
            help: help.to_owned(),
        }
    }

    /// Where the source is while it is packed: GitHub's runners check a repository out here.
    fn build_path(&self) -> String {
        format!("/home/runner/work/{0}/{0}", self.checkout.source.name())
    }

    fn build(&self, recipe: &Recipe, packing: &Packing, install: &str, tarball: &str) -> Phase {
        let (path, scripts) = (self.build_path(), packing.scripts.join(" "));
        recipe.build.with(&[
            ("SOURCE", path.as_str()),
            ("DIRECTORY", packing.directory.as_str()),
            ("INSTALL", install),
            ("SCRIPTS", scripts.as_str()),
            ("PACK_LIST", packing.pack_list),
            ("PACK_OPTIONS", if self.scripts { "" } else { "--ignore-scripts" }),
            ("TARBALL", tarball),
        ])
    }

    fn assumptions(&self, packing: &Packing, dependencies: usize) -> [Assumption; 4] {
        let scripts = packing.scripts.join(" ");
        [
            assume(
                "folder",
                format!("/{}", packing.directory),
                packing.origin.clone(),
            ),
            assume(
                "scripts",
                match (self.scripts, scripts.is_empty()) {
                    (false, _) => "off, npm's own included",
                    (true, true) => "none but npm's own",
                    (true, false) => &scripts,
                },
                packing.origin.clone(),
            ),
            assume(
                "dependencies",
                if packing.installs {
                    format!("{}, their own scripts off", plural(dependencies, "package"))
                } else {
                    "not installed: nothing that runs needs them".into()
                },
                Origin::Declared("the lock file of the source".into()),
            ),
            assume(
                "build path",
                self.build_path(),
                Origin::Convention("where GitHub's runners check sources out".into()),
            ),
        ]
    }
}
