//! The plan for a crate: its commit, the cargo of its day, and the crates that its lock file names.

use super::checkout_state::CheckoutState;
use super::development::Removal;
use super::lock_form::LockForm;
use super::package::Package;
use super::registry::{self, Version};
use super::{commit, folder, large_files, lockfile, members, stand_in, submodules, toolchain, windows};
use crate::artifact::{Ecosystem, PinnedFile, Sha256, Subject};
use crate::ecosystem::released::artifact;
use crate::ecosystem::{PlanError, Planner, compressor};
use crate::plan::{
    Assumption, Basis, Expected, InlineFile, Origin, Phase, PinnedGit, PinnedInput, Plan, Recipe, Role,
    assume, places,
};
use crate::store::{Checkout, Lacking};
use crate::text::plural;

/// Plans the rebuild of one crate.
pub(super) async fn plan(planner: &Planner<'_>, subject: &Subject) -> Result<Plan, PlanError> {
    let fetcher = planner.workshop.fetcher;
    let (page, version) = registry::find(fetcher, subject).await?;
    let purl = registry::purl(&version);
    let (file, blob, package, claims) = registry::released(fetcher, &page, &version).await?;
    let artifact = artifact(Some(purl.clone()), &file, &blob)?;
    let (claims, policy) = planner.judge(&purl, &[artifact], claims, &[]).await?;

    let source = Source::find(planner, &purl, &version, &package).await?;
    let recipe = planner.recipe_or("crate")?;
    let cargo = toolchain::choose(planner, &purl, version.published, &package.age).await?;
    let packing = Packing::of(planner, &purl, &version, &package, &source.checkout).await?;
    let system = windows::packed_on(&package, cargo.minor);
    let (large, of_large) =
        large_files::of(fetcher, &source.checkout, &packing.folder, &package, &blob.path)?;
    let mut assumptions = vec![source.assumption(&packing.folder)];
    assumptions.extend(packing.found.clone());
    assumptions.extend(cargo.assumptions);
    assumptions.extend(lacking_assumption(&source.without));
    assumptions.extend(submodules::assumption(&source.submodules, source.with_submodules));
    assumptions.extend(of_large);
    assumptions.extend(packing.assumptions(&package));
    assumptions.extend(system.clone());
    assumptions.extend(package.metadata.assumptions());
    let toolchain = PinnedInput {
        place: toolchain::PLACE.into(),
        ..dependency(&cargo.file)
    };
    let known = [compressor::ZLIB_NG];
    let compressor = compressor::choose(planner, &purl, &known, "cargo's zlib").await?;
    let (compressor, compressing) = compressor.unzip();
    assumptions.extend(compressing);
    let inputs = std::iter::once(toolchain).chain(compressor);
    let inputs = inputs.chain(packing.locked.iter().map(dependency)).chain(large);
    Ok(Plan {
        inputs: inputs.collect(),
        files: files(&source, &package, packing.stand_ins.clone())?,
        build: packing.build(&recipe, &source.checkout, &package, &file.name, system.is_some()),
        git: vec![source.pinned()],
        assumptions,
        ..Plan::of(Basis {
            ecosystem: Ecosystem::Crates,
            subject: purl.clone(),
            claims,
            policy,
            expected: vec![Expected { purl, file }],
            container: planner.pinned_container(&recipe)?,
            recipe: &recipe,
        })
    })
}

/// The commit to pack, and the parts of it that are available.
struct Source {
    checkout: Checkout,
    origin: Origin,
    archive: Sha256,
    /// The files that the source lacks, and the commits that stand for its submodules.
    lacking: Vec<Lacking>,
    /// The paths of the missing files.
    without: Vec<String>,
    /// The paths of the submodules.
    submodules: Vec<String>,
    /// Whether their files are taken.
    with_submodules: bool,
}

impl Source {
    async fn find(
        planner: &Planner<'_>,
        purl: &str,
        version: &Version,
        package: &Package,
    ) -> Result<Self, PlanError> {
        let fetcher = planner.workshop.fetcher;
        let (source, origin) = commit::choose(planner, purl, version, package).await?;
        let checkout = fetcher.git_or_parts(&source).await?;
        let mut lacking = checkout.lacking()?;
        let paths = |entries: &[Lacking]| entries.iter().map(|entry| entry.path.clone()).collect();
        let without: Vec<_> = paths(&lacking);
        let links = checkout.links()?;
        let submodules: Vec<_> = paths(&links);
        lacking.extend(links);
        let are_packed = submodules
            .iter()
            .any(|path| submodules::has_files_of(package, path));
        // If they are not available, the rest can be compared all the same.
        let with_submodules = if are_packed && without.is_empty() {
            fetcher.git_archive(&checkout, true).await.ok()
        } else {
            None
        };
        let (archive, with_submodules) = match with_submodules {
            Some(archive) => (archive, true),
            None if without.is_empty() => (fetcher.git_archive(&checkout, false).await?, false),
            None => (fetcher.git_archive_without(&checkout, &without).await?, false),
        };
        Ok(Self {
            checkout,
            origin,
            archive: archive.sha256,
            lacking,
            without,
            submodules,
            with_submodules,
        })
    }

    fn assumption(&self, folder: &str) -> Assumption {
        let Checkout { source, commit, .. } = &self.checkout;
        let value = format!("{} at {commit}, folder /{folder}", source.repository);
        assume("source", value, self.origin.clone())
    }

    fn pinned(self) -> PinnedGit {
        PinnedGit {
            without: self.without,
            ..PinnedGit::source(self.checkout.source, self.with_submodules, Some(self.archive))
        }
    }
}

/// The package that cargo packs, and the crates for its lock file.
struct Packing {
    /// The folder of the crate, relative to the top of the source.
    folder: String,
    /// How the folder was found, unless a hint names it.
    found: Option<Assumption>,
    in_workspace: bool,
    stand_ins: Vec<InlineFile>,
    standing_in: Option<Assumption>,
    locked: Vec<PinnedFile>,
    state: CheckoutState,
    form: Option<LockForm>,
    /// How a tool removed the development dependencies.
    removal: Option<Removal>,
}

impl Packing {
    async fn of(
        planner: &Planner<'_>,
        purl: &str,
        version: &Version,
        package: &Package,
        checkout: &Checkout,
    ) -> Result<Self, PlanError> {
        let (folder, found) = match planner.hints.folder() {
            Some(folder) => (folder.to_owned(), None),
            None => folder::find(checkout, &version.name, package)?,
        };
        // cargo resolves the whole workspace before it packs one of its members.
        let workspace = workspace_lock(checkout, &folder)?;
        let fetcher = planner.workshop.fetcher;
        let locks = [package.lock.as_deref(), workspace.as_deref()];
        let locks = locks.into_iter().flatten();
        let locked = lockfile::of_registry(fetcher, purl, locks).await?;
        let (stand_ins, standing_in) = match (&workspace, &package.lock) {
            (None, Some(lock)) => members::of(checkout, lock, &lockfile::manifests(fetcher, &locked))?,
            _ => stand_in::of(checkout, workspace.as_deref())?,
        };
        let form = match &package.lock {
            Some(lock) if workspace.is_none() => LockForm::choose(planner, purl, lock, package)?,
            _ => None,
        };
        let state = CheckoutState::of(package);
        let manifest = checkout.file(&format!("{folder}/Cargo.toml"))?;
        let removal = Removal::of(package, state, manifest.as_deref());
        Ok(Self {
            folder,
            found,
            in_workspace: workspace.is_some(),
            stand_ins,
            standing_in,
            locked,
            state,
            form,
            removal,
        })
    }

    /// The recipe's build, with the values of the crate.
    fn build(
        &self,
        recipe: &Recipe,
        checkout: &Checkout,
        package: &Package,
        name: &str,
        on_windows: bool,
    ) -> Phase {
        let path = format!("/build/{}", checkout.source.name());
        let commit = if self.state.has_repository() {
            checkout.commit.as_str()
        } else {
            ""
        };
        recipe.build.with(&[
            ("SOURCE", path.as_str()),
            ("FOLDER", &self.folder),
            ("COMMIT", commit),
            ("CRATE", name),
            ("DIRTY", self.state.option()),
            ("DEV_DEPENDENCIES", self.removal.map_or("", Removal::name)),
            ("PACKED_ON", if on_windows { windows::WINDOWS } else { "" }),
            ("PACKED", &package.metadata.packed()),
            ("LOCK_FORM", self.form.as_ref().map_or("", |form| form.name)),
        ])
    }

    fn assumptions(&self, package: &Package) -> impl Iterator<Item = Assumption> {
        let state = self.state.assumption(package);
        let crates = crates_assumption(&self.locked, self.in_workspace);
        let form = self.form.clone().map(LockForm::assumption);
        [
            state,
            self.removal.map(Removal::assumption),
            crates,
            self.standing_in.clone(),
            form,
        ]
        .into_iter()
        .flatten()
    }
}

/// Inline files for the build: the commit, stand-ins for crates from git, and the entries of files that the source
/// lacks.
fn files(
    source: &Source,
    package: &Package,
    stand_ins: Vec<InlineFile>,
) -> Result<Vec<InlineFile>, PlanError> {
    let mut files = vec![InlineFile {
        place: places::COMMIT.into(),
        text: String::from_utf8_lossy(&source.checkout.commit_object()?).into_owned(),
    }];
    files.extend(package.metadata.file());
    files.extend(stand_ins);
    if !source.lacking.is_empty() {
        files.push(InlineFile {
            place: places::LACKING.into(),
            text: index_info(&source.lacking),
        });
    }
    Ok(files)
}

fn dependency(file: &PinnedFile) -> PinnedInput {
    PinnedInput {
        role: Role::Dependency,
        purl: None,
        place: format!("dependencies/{}", file.name),
        file: file.clone(),
    }
}

/// The lock file of the workspace of a folder: the nearest one above the folder.
fn workspace_lock(checkout: &Checkout, folder: &str) -> Result<Option<String>, PlanError> {
    let mut folder = folder.trim_matches('/');
    loop {
        let path = match folder {
            "" => "Cargo.lock".to_owned(),
            folder => format!("{folder}/Cargo.lock"),
        };
        if let Some(bytes) = checkout.file(&path)? {
            return Ok(Some(String::from_utf8_lossy(&bytes).into_owned()));
        }
        if folder.is_empty() {
            return Ok(None);
        }
        folder = folder.rsplit_once('/').map_or("", |(above, _)| above);
    }
}

fn index_info(lacking: &[Lacking]) -> String {
    let line = |file: &Lacking| format!("{} {}\t{}\n", file.mode, file.id, file.path);
    lacking.iter().map(line).collect()
}

fn lacking_assumption(without: &[String]) -> Option<Assumption> {
    let from = "the mirror of the repository lacks them; the commit says how the other files read";
    let value = format!(
        "{}, taken as empty: {}",
        plural(without.len(), "file"),
        without.join(", ")
    );
    (!without.is_empty()).then(|| {
        assume(
            "files that the source lacks",
            value,
            Origin::Convention(from.into()),
        )
    })
}

fn crates_assumption(locked: &[PinnedFile], workspace: bool) -> Option<Assumption> {
    let from = if workspace {
        Origin::Declared("Cargo.lock of the commit".into())
    } else {
        Origin::Inferred("Cargo.lock in the released crate".into())
    };
    (!locked.is_empty()).then(|| {
        assume(
            "crates that cargo may choose from for its lock file",
            plural(locked.len(), "crate"),
            from,
        )
    })
}
