//! npm: a tarball of the registry, packed again from the commit that its signed provenance names, or else the one that
//! the registry's metadata leads to.
//!
//! Provenance says repository, commit and workflow. What nobody records (the versions of node and npm, the scripts
//! that ran) is read off the registry's metadata and the workflow file at that commit, and stands in the plan as such.

mod dependencies;
mod lockfile;
pub(super) mod next;
mod registry;
mod source;
mod toolchain;

use serde::Deserialize;
use serde_json::Value;

use super::provenance::{SOURCE_PLACE, assume};
use super::{Found, PlanError, Planner};
use crate::artifact::git_source;
use crate::artifact::{Ecosystem, NpmSubject, Subject};
use crate::evidence::json::member;
use crate::evidence::npm::Version;
use crate::evidence::slsa::{Build, Provenance};
use crate::evidence::workflow::Workflow;
use crate::plan::Limits;
use crate::plan::{
    Assumption, Expected, Origin, PinnedContainer, PinnedGit, PinnedInput, Plan, Recipe, VERSION,
};
use crate::store::{Checkout, Fetcher};

/// Most bytes of the registry's answer about one version, and about all of them.
const METADATA_LIMIT: u64 = 64 << 20;
/// Most bytes of a tarball.
const TARBALL_LIMIT: u64 = 1 << 30;

/// What `package.json` says that matters here.
#[derive(Deserialize)]
struct Package {
    name: Option<String>,
    version: Option<String>,
    #[serde(default)]
    scripts: std::collections::BTreeMap<String, Value>,
    #[serde(default, rename = "bundleDependencies", alias = "bundledDependencies")]
    bundled: Value,
}

/// What is claimed of a version, without planning anything.
pub(super) async fn look_up(fetcher: &Fetcher, subject: &NpmSubject) -> Result<Found, PlanError> {
    let found = registry::find(fetcher, subject, None, true).await?;
    Ok(Found {
        artifacts: vec![found.artifact],
        claims: found.claims,
        documents: found.documents,
        sources: Vec::new(),
        published: None,
    })
}

/// Plans the rebuild of one tarball.
pub(super) async fn plan(planner: &Planner<'_>, subject: &NpmSubject) -> Result<Plan, PlanError> {
    let local = planner.released.first().cloned();
    let found = registry::find(
        planner.workshop.fetcher,
        subject,
        local,
        planner.case.documents.is_empty(),
    )
    .await?;
    let purl = Subject::Npm(found.subject.clone()).purl();
    let artifacts = std::slice::from_ref(&found.artifact);
    let mut judgement = planner
        .case
        .judge(
            artifacts,
            found.claims,
            &found.documents,
            planner.workshop.fetcher,
        )
        .await;
    let policy = judgement.policy.gate(&purl)?;
    let signed_at = judgement
        .inspection
        .provenance
        .claims
        .iter()
        .find_map(|it| it.signed_at);
    let source = source::choose(planner, &purl, found.version.as_ref(), &mut judgement).await?;
    let (provenance, checkout) = (&source.provenance, &source.checkout);
    let recipe = planner.recipe.clone().map_or_else(Recipe::npm, Ok)?;
    let draft = Draft {
        planner,
        purl: &purl,
        subject: &found.subject,
        version: found.version.as_ref(),
        provenance,
        workflow: judgement.workflow.take(),
        checkout,
        // Nothing says which scripts ran; a recipe can.
        scripts: source.attested || recipe.scripts,
    };
    let packing = draft.packing()?;
    let released_at = signed_at.or_else(|| provenance.time.as_ref().and_then(|time| time.parse().ok()));
    let tools = draft.toolchain(released_at).await?;
    let (dependencies, install) = if packing.installs {
        dependencies::pin(&draft, &packing.directory).await?
    } else {
        (Vec::new(), "")
    };
    let archive = planner
        .workshop
        .fetcher
        .git_archive(checkout, recipe.source.submodules)
        .await?;
    // GitHub's runners check a repository out here.
    let path = format!("/home/runner/work/{0}/{0}", checkout.source.name());
    let scripts = packing.scripts.join(" ");
    let values = [
        ("SOURCE", path.as_str()),
        ("DIRECTORY", packing.directory.as_str()),
        ("INSTALL", install),
        ("SCRIPTS", scripts.as_str()),
        ("PACK_LIST", packing.pack_list),
        (
            "PACK_OPTIONS",
            if draft.scripts { "" } else { "--ignore-scripts" },
        ),
        ("TARBALL", found.file.name.as_str()),
    ];
    let mut assumptions = vec![
        source.assumption.clone(),
        assume(
            "folder",
            format!("/{}", packing.directory),
            packing.origin.clone(),
        ),
        assume(
            "scripts",
            match (draft.scripts, scripts.is_empty()) {
                (false, _) => "off, npm's own included",
                (true, true) => "none but npm's own",
                (true, false) => &scripts,
            },
            packing.origin,
        ),
        assume(
            "dependencies",
            if packing.installs {
                format!("{} packages, their own scripts off", dependencies.len())
            } else {
                "not installed: nothing that runs needs them".into()
            },
            Origin::Declared("the lock file of the source".into()),
        ),
        assume(
            "build path",
            path.clone(),
            Origin::Convention("where GitHub's runners check sources out".into()),
        ),
    ];
    assumptions.extend(tools.assumptions);
    let (build, setup) = (recipe.build.with(&values), recipe.setup.with(&[]));
    Ok(Plan {
        version: VERSION,
        subject: purl.clone(),
        ecosystem: Ecosystem::Npm,
        claims: judgement.inspection.claims(),
        policy,
        expected: vec![Expected {
            purl,
            file: found.file,
        }],
        not_compared: recipe.unreleased.clone(),
        container: PinnedContainer::Packages {
            name: recipe.container.clone(),
            lock: planner.workshop.catalog.lock(&recipe.container)?,
        },
        inputs: tools.inputs.into_iter().chain(dependencies).collect(),
        git: vec![PinnedGit {
            place: SOURCE_PLACE.into(),
            source: checkout.source.clone(),
            submodules: recipe.source.submodules,
            archive: Some(archive.sha256),
        }],
        files: Vec::new(),
        setup,
        build,
        hostname: recipe.hostname,
        umask: 0o022,
        limits: Limits::default(),
        assumptions,
    })
}

/// Everything that is known before tools and dependencies are pinned.
struct Draft<'a> {
    planner: &'a Planner<'a>,
    purl: &'a str,
    subject: &'a NpmSubject,
    version: Option<&'a Version>,
    provenance: &'a Provenance,
    workflow: Option<Workflow>,
    checkout: &'a Checkout,
    /// Whether lifecycle scripts run.
    scripts: bool,
}

/// How the tarball was packed.
struct Packing {
    directory: String,
    scripts: Vec<String>,
    installs: bool,
    /// File in the folder that takes npm's answer; empty where there is none.
    pack_list: &'static str,
    origin: Origin,
}

/// Tools, pinned, and why these.
struct Tools {
    inputs: Vec<PinnedInput>,
    assumptions: Vec<Assumption>,
}

/// Scripts that npm itself runs when it packs.
const PACK_SCRIPTS: [&str; 2] = ["prepack", "prepare"];

impl Draft<'_> {
    fn cannot(&self, reason: String, help: &str) -> PlanError {
        PlanError::NotRebuildable {
            subject: self.purl.to_owned(),
            reason,
            help: help.to_owned(),
        }
    }

    fn packing(&self) -> Result<Packing, PlanError> {
        let (given, scripts, pack_list, origin) = match &self.provenance.build {
            Build::SlsaNode {
                directory, scripts, ..
            } => (
                directory
                    .trim_start_matches("./")
                    .trim_matches(['/', '.'])
                    .to_owned(),
                scripts.clone(),
                "pack.json",
                Origin::Declared("the provenance's parameters".into()),
            ),
            _ => (
                self.repository_directory(),
                self.workflow
                    .as_ref()
                    .map(Workflow::npm_scripts)
                    .unwrap_or_default(),
                "",
                Origin::Inferred(match &self.provenance.workflow {
                    Some(path) if self.workflow.is_some() => format!("the steps of {path} at the commit"),
                    _ if self.scripts => {
                        "no workflow file could be read; nothing but npm's own scripts".into()
                    }
                    _ => "nothing says which scripts ran".into(),
                }),
            ),
        };
        let path = if given.is_empty() {
            "package.json".to_owned()
        } else {
            format!("{given}/package.json")
        };
        let text = self.checkout.file(&path)?;
        let text =
            text.ok_or_else(|| self.cannot(format!("its source has no {path}"), "nothing was built"))?;
        let package: Package = serde_json::from_slice(&text).map_err(|error| PlanError::Document {
            subject: self.purl.to_owned(),
            document: path.clone(),
            reason: error.to_string(),
        })?;
        let found = format!(
            "{}@{}",
            package.name.as_deref().unwrap_or("?"),
            package.version.as_deref().unwrap_or("?")
        );
        let wanted = format!(
            "{}@{}",
            self.subject.name,
            self.subject.version.as_deref().unwrap_or("?")
        );
        if found != wanted {
            return Err(self.cannot(
                format!("{path} at the commit is {found}, not {wanted}"),
                "the version may be set by the workflow; a recipe with --recipe can do so too",
            ));
        }
        let plain = |name: &String| {
            name.chars()
                .all(|c| c.is_ascii_alphanumeric() || "-_:.".contains(c))
        };
        if let Some(odd) = scripts.iter().find(|name| !plain(name)) {
            return Err(self.cannot(format!("a script is called {odd:?}"), "nothing was built"));
        }
        // A script that only installs is npm's own installing, from the lock file.
        let is_install = |name: &String| {
            let text = package.scripts.get(name).and_then(Value::as_str);
            name == "ci" && text.is_none_or(|text| text.trim() == "npm ci")
                || text.is_some_and(|text| text.trim() == "npm ci")
        };
        let wants_install = scripts.iter().any(is_install);
        let run: Vec<_> = scripts
            .iter()
            .filter(|name| !is_install(name) && package.scripts.contains_key(*name) && *name != "test")
            .cloned()
            .collect();
        let packs_with_scripts = self.scripts
            && PACK_SCRIPTS
                .iter()
                .any(|name| package.scripts.contains_key(*name));
        let bundles = package.bundled.as_array().is_some_and(|list| !list.is_empty());
        Ok(Packing {
            installs: (wants_install || packs_with_scripts)
                && (!run.is_empty() || packs_with_scripts || bundles),
            directory: given,
            scripts: run,
            pack_list,
            origin,
        })
    }

    /// The folder that a hint or the registry's metadata names, in repositories of several packages.
    fn repository_directory(&self) -> String {
        if let Some(folder) = self.planner.hints.folder() {
            return folder.to_owned();
        }
        let directory = self
            .version
            .and_then(|version| member(&version.repository, ["directory"]).as_str());
        let inside = git_source::folder(directory.unwrap_or_default());
        inside.unwrap_or_default().to_owned()
    }

    async fn toolchain(&self, released_at: Option<jiff::Timestamp>) -> Result<Tools, PlanError> {
        toolchain::choose(self, released_at).await
    }
}
