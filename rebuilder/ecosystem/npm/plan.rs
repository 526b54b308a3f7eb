//! The plan for a tarball: its commit, Node.js and npm, and the packages that its lock file names.

use std::path::Path;

use jiff::Timestamp;
use nodejs_semver::Version as SemVer;

use super::dependencies::{self, Dependencies};
use super::packer::Packer;
use super::packing::{LATER_YARN, Packing, Publish, YARN};
use super::{line_ends, modes, registry, source, times, toolchain};
use crate::artifact::{Ecosystem, Subject};
use crate::ecosystem::{PlanError, Planner};
use crate::evidence::assessment::Assessment;
use crate::evidence::npm::Version;
use crate::evidence::slsa::{Build, Provenance};
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
    let released = found.artifact.path.as_deref();
    let source = source::choose(planner, &purl, found.version.as_ref(), released, &mut judgement).await?;
    let (provenance, checkout) = (&source.provenance, &source.checkout);
    let recipe = planner.recipe_or("npm")?;
    let paths = checkout.paths()?;
    let publisher = if source.attested {
        None
    } else {
        Publisher::find(checkout, &paths)?
    };
    let draft = Draft {
        planner,
        purl: &purl,
        subject: &found.subject,
        version: found.version.as_ref(),
        provenance,
        workflow: judgement.workflow.take(),
        publisher,
        paths,
        checkout,
        packer: released.filter(|_| !source.attested).and_then(Packer::of),
        released,
        // No document records which scripts ran, but a recipe can say so.
        scripts: source.attested || recipe.scripts,
    };
    let packing = draft.packing()?;
    let released_at = signed_at.or_else(|| said_to_be_published(&source));
    let tools = toolchain::choose(&draft, &packing, released_at).await?;
    let dependencies = dependencies::pin(&draft, &packing, released_at).await?;
    let lacking = checkout.lacking()?;
    let without: Vec<_> = lacking.into_iter().map(|file| file.path).collect();
    let submodules = recipe.source.submodules && without.is_empty();
    let archive = if without.is_empty() {
        fetcher.git_archive(checkout, submodules).await?
    } else {
        fetcher.git_archive_without(checkout, &without).await?
    };
    let old_digests = tools.node.as_ref().is_some_and(has_no_md4) && dependencies.hash_with_md4();
    let mut build = draft.build(&recipe, &packing, &dependencies, &found.file.name);
    let mut assumptions = vec![source.assumption.clone()];
    // Only that builder runs nothing but the scripts that its parameters name.
    if !(source.attested && matches!(provenance.build, Build::SlsaNode { .. })) {
        let from = if source.attested {
            "npm packs a folder as it is; the workflow may have changed files before, and only its scripts are run again"
        } else {
            "npm packs a folder as it is; nothing says that its files were those of the commit"
        };
        assumptions.push(assume(
            "state of the checkout",
            "as committed",
            Origin::Inferred(from.into()),
        ));
    }
    if let Some(first) = without.first() {
        let value = format!(
            "{} that the mirror lacks, {first} the first",
            plural(without.len(), "file")
        );
        let from = "the mirror has only parts of the commit; npm packs without these".to_owned();
        assumptions.push(assume("left out", value, Origin::Inferred(from)));
    }
    let group_writes = planner.hints.settings.group_writes.clone();
    let umask = if group_writes.is_some() { 0o002 } else { 0o022 };
    assumptions.extend(group_writes.map(|origin| assume("umask", "0002", origin)));
    if let (Some(origin), Some(time)) = (&planner.hints.settings.clock, released_at) {
        build.env.insert("CLOCK".into(), time.as_second().to_string());
        let value = format!("{time}, for programs of node");
        assumptions.push(assume("clock of the build", value, origin.clone()));
    }
    let listed = planner.hints.settings.modes.as_ref().and_then(|origin| {
        let listed = modes::of(released?, &packing.directory, &draft.paths)?;
        Some((listed, origin.clone()))
    });
    let mut files = Vec::new();
    if let Some(origin) = &planner.hints.settings.line_ends {
        let single =
            released.map(|tarball| line_ends::of(tarball, &packing.directory, &draft.paths, checkout));
        let value = if let Some((file, count)) = single.transpose()?.flatten() {
            files.push(file);
            format!("CR LF in {} of it, as released", plural(count, "file"))
        } else {
            build.env.insert("LINE_ENDS".into(), "crlf".into());
            "CR LF in text files, as git writes them on Windows".to_owned()
        };
        assumptions.push(assume("line ends of the source", value, origin.clone()));
    }
    let yarn = released.filter(|_| packing.publish == Publish::Tool(YARN));
    if let Some((file, count)) = yarn.and_then(times::of) {
        let value = format!("those of {} as released", plural(count, "entry"));
        let from = "Yarn 1 writes the times of the publisher's files".to_owned();
        assumptions.push(assume("times of files", value, Origin::Inferred(from)));
        files.push(file);
    }
    if let Some(((file, count), origin)) = listed {
        let value = format!("those of {} as released", plural(count, "file"));
        assumptions.push(assume("permissions of files", value, origin));
        files.push(file);
    }
    if let Some(origin) = &planner.hints.settings.going_on {
        build.env.insert("FAILED_SCRIPTS".into(), "go on".into());
        let value = "the build goes on with what they made";
        assumptions.push(assume("scripts that fail", value, origin.clone()));
    }
    if !dependencies.left_out.is_empty() {
        build
            .env
            .insert("LEFT_OUT".into(), dependencies.left_out.join(" "));
    }
    if old_digests {
        build.env.insert("NODE_OPTIONS".into(), LEGACY.into());
        let from = "webpack before 5.54 hashes with MD4, which OpenSSL 3 has only there";
        assumptions.push(assume("NODE_OPTIONS", LEGACY, Origin::Inferred(from.into())));
    }
    assumptions.extend(draft.assumptions(&packing, &dependencies));
    assumptions.extend(draft.packer.map(Packer::assumptions).unwrap_or_default());
    assumptions.extend(dependencies.assumptions);
    assumptions.extend(tools.assumptions);
    let git = PinnedGit {
        without,
        ..PinnedGit::source(checkout.source.clone(), submodules, Some(archive.sha256))
    };
    Ok(Plan {
        inputs: tools.inputs.into_iter().chain(dependencies.inputs).collect(),
        git: vec![git],
        files,
        build,
        assumptions,
        umask,
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

/// What lets Node.js compute digests that OpenSSL 3 has only in its legacy provider.
const LEGACY: &str = "--openssl-legacy-provider";

/// Whether a version of Node.js has OpenSSL 3, and can be told to load its legacy provider.
fn has_no_md4(node: &SemVer) -> bool {
    node.major() >= 17
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
    /// The workflow of the source that publishes, if no provenance names one.
    pub publisher: Option<Publisher>,
    pub checkout: &'a Checkout,
    /// What the released tarball tells of the npm that packed it, if no document does.
    pub packer: Option<Packer>,
    /// The released tarball, if it is here.
    pub released: Option<&'a Path>,
    /// Every file of the source.
    pub paths: Vec<String>,
    /// Whether npm runs its lifecycle scripts when it packs, as a document says. Otherwise the scripts are inferred.
    pub scripts: bool,
}

/// A job of a workflow of the source that publishes to the registry.
pub(super) struct Publisher {
    /// Path of the workflow file.
    pub path: String,
    pub job: Workflow,
}

impl Publisher {
    /// The first job that publishes; workflow files are read in the order of their names.
    fn find(checkout: &Checkout, paths: &[String]) -> Result<Option<Self>, PlanError> {
        let workflows = paths.iter().filter(|path| {
            let file = Path::new(path.as_str());
            file.parent() == Some(Path::new(".github/workflows"))
                && file.extension().is_some_and(|end| end == "yml" || end == "yaml")
        });
        for path in workflows.take(MOST_WORKFLOWS) {
            let text = checkout.file(path)?.unwrap_or_default();
            let jobs = Workflow::jobs(&String::from_utf8_lossy(&text));
            if let Some(job) = jobs.into_iter().find(Workflow::publishes) {
                let path = path.clone();
                return Ok(Some(Self { path, job }));
            }
        }
        Ok(None)
    }
}

/// Maximum number of workflow files that are read.
const MOST_WORKFLOWS: usize = 50;

/// Pinned tools, and the reasons for them.
pub(super) struct Tools {
    /// The version of Node.js.
    pub node: Option<SemVer>,
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
            ("REPOSITORY", if packing.asks_git() { "empty" } else { "" }),
            ("ITSELF", if dependencies.itself { "source" } else { "" }),
            ("PACK_LIST", packing.pack_list),
            ("PACK_OPTIONS", if self.scripts { "" } else { "--ignore-scripts" }),
            ("SYSTEM", self.packer.map_or("", Packer::system)),
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
        if packing.asks_git() {
            let from = "a script that runs asks git, which refuses to answer outside a repository";
            all.push(assume(
                "git repository",
                "the files of the source, none of them committed",
                Origin::Inferred(from.into()),
            ));
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
            "publishConfig.directory in package.json, or pkgRoot for semantic-release",
        ),
        Publish::Tool("pnpm") => (
            "pnpm pack, which writes another package.json and another archive than npm".into(),
            "a script of package.json publishes with pnpm",
        ),
        Publish::Tool(YARN) => (
            "yarn pack, which writes another archive than npm".into(),
            "the released tarball has entries for folders, the first one for that of the package",
        ),
        Publish::Tool(LATER_YARN) => (
            "yarn pack of Yarn 2 or later, which writes another archive than npm".into(),
            "the files of the released tarball have the time that only it gives them",
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
