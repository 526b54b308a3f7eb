//! The plan for a tarball: its commit, Node.js and npm, and the packages that its lock file names.

use jiff::Timestamp;

use super::dependencies::{self, Dependencies};
use super::packing::{Packing, Publish};
use super::{registry, source, toolchain};
use crate::artifact::{Ecosystem, Subject};
use crate::ecosystem::{PlanError, Planner};
use crate::evidence::assessment::Assessment;
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
    let signed_at = claims.iter().find_map(Assessment::signed_at);
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
        paths: checkout.paths()?,
        checkout,
        // No document records which scripts ran, but a recipe can say so.
        scripts: source.attested || recipe.scripts,
    };
    let packing = draft.packing()?;
    let released_at = signed_at.or_else(|| said_to_be_published(&source));
    let tools = toolchain::choose(&draft, released_at).await?;
    let dependencies = dependencies::pin(&draft, &packing, released_at).await?;
    let submodules = recipe.source.submodules;
    let archive = fetcher.git_archive(checkout, submodules).await?;
    let build = draft.build(&recipe, &packing, &dependencies, &found.file.name);
    let mut assumptions = vec![source.assumption.clone()];
    assumptions.extend(draft.assumptions(&packing, &dependencies));
    assumptions.extend(dependencies.assumptions);
    assumptions.extend(tools.assumptions);
    let git = PinnedGit::source(checkout.source.clone(), submodules, Some(archive.sha256));
    Ok(Plan {
        inputs: tools.inputs.into_iter().chain(dependencies.inputs).collect(),
        git: vec![git],
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

/// When the version was published, according to its provenance; an unattested time counts only if the commit is not
/// younger.
fn said_to_be_published(source: &source::Source) -> Option<Timestamp> {
    let time = source.provenance.time.as_ref();
    let published = time.and_then(|time| time.parse().ok());
    if source.attested {
        return published;
    }
    plausible(published, &source.checkout)
}

/// The state of planning before tools and dependencies are pinned.
pub(super) struct Draft<'a> {
    pub planner: &'a Planner<'a>,
    pub purl: &'a str,
    pub subject: &'a Subject,
    pub version: Option<&'a Version>,
    pub provenance: &'a Provenance,
    pub workflow: Option<Workflow>,
    pub checkout: &'a Checkout,
    /// Every file of the source.
    pub paths: Vec<String>,
    /// Whether npm runs its lifecycle scripts when it packs, as a document says. Otherwise the scripts are inferred.
    pub scripts: bool,
}

/// Pinned tools, and the reasons for them.
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

    /// The folder of the source while it is packed: GitHub's runners check out a repository here.
    fn build_path(&self) -> String {
        format!("/home/runner/work/{0}/{0}", self.checkout.source.name())
    }

    fn build(&self, recipe: &Recipe, packing: &Packing, dependencies: &Dependencies, tarball: &str) -> Phase {
        let (path, scripts) = (self.build_path(), packing.scripts.join(" "));
        recipe.build.with(&[
            ("SOURCE", path.as_str()),
            ("DIRECTORY", packing.directory.as_str()),
            ("ROOT", dependencies.root.as_str()),
            ("INSTALL", dependencies.install),
            ("SET_VERSION", packing.set_version.as_deref().unwrap_or_default()),
            ("SCRIPTS", scripts.as_str()),
            (
                "PUBLISH",
                match &packing.publish {
                    Publish::Tool(name) => name,
                    Publish::Below(folder) => folder,
                    Publish::Folder | Publish::Other(_) => "",
                },
            ),
            ("PACK_LIST", packing.pack_list),
            ("PACK_OPTIONS", if self.scripts { "" } else { "--ignore-scripts" }),
            ("TARBALL", tarball),
        ])
    }

    fn assumptions(&self, packing: &Packing, dependencies: &Dependencies) -> Vec<Assumption> {
        let scripts = packing.scripts.join(" ");
        let mut all = vec![
            assume(
                "folder",
                format!("/{}", packing.directory),
                packing.folder_origin.clone(),
            ),
            assume(
                "scripts",
                match (self.scripts, scripts.is_empty()) {
                    (false, true) => "off, npm's own included",
                    (true, true) => "none but npm's own",
                    (_, false) => &scripts,
                },
                packing.origin.clone(),
            ),
            assume(
                "dependencies",
                if packing.installs {
                    let count = plural(dependencies.inputs.len(), "package");
                    format!("{count}, their own scripts off")
                } else {
                    "not installed: nothing that runs needs them".into()
                },
                dependencies.origin.clone(),
            ),
            assume(
                "build path",
                self.build_path(),
                Origin::Convention("where GitHub's runners check sources out".into()),
            ),
        ];
        if let Some(version) = &packing.set_version {
            let has = packing.package.version.as_deref().unwrap_or("none");
            let from = format!("package.json at the commit has version {has}, so the release set it");
            all.push(assume("version", version, Origin::Inferred(from)));
        }
        all.extend(publish_tool(&packing.publish));
        all
    }
}

/// The assumption about what is packed, if it is not the folder itself.
fn publish_tool(publish: &Publish) -> Option<Assumption> {
    let (value, from) = match publish {
        Publish::Folder => return None,
        Publish::Below(folder) => (
            format!("packs the folder {folder}"),
            "publishConfig.directory in package.json",
        ),
        Publish::Tool("pnpm") => (
            "pnpm pack, which writes another package.json and another archive than npm".into(),
            "a script of package.json publishes with pnpm",
        ),
        Publish::Tool(name) => (
            format!("{name}, which publishes a copy with other files and another package.json"),
            "package.json has it among its development dependencies",
        ),
        Publish::Other(what) => (
            format!("not run: {what}"),
            "package.json has it among its development dependencies",
        ),
    };
    Some(assume("publish tool", value, Origin::Inferred(from.into())))
}

/// When a release was published, if that fits the commit; otherwise the commit's own time. The times on a mirror are
/// often those of its copies.
fn plausible(published: Option<Timestamp>, checkout: &Checkout) -> Option<Timestamp> {
    let committed = i64::try_from(checkout.time().ok()?).ok()?;
    let committed = Timestamp::from_second(committed).ok()?;
    let soon = committed.checked_add(LONGEST).ok()?;
    Some(
        published
            .filter(|time| (committed..=soon).contains(time))
            .unwrap_or(committed),
    )
}

/// Maximum plausible time from a commit to its release.
const LONGEST: jiff::SignedDuration = jiff::SignedDuration::from_hours(60 * 24);
