//! The plan of a crate: its commit, the cargo of its day, and the crates that its lock file names.

use super::checkout_state::CheckoutState;
use super::lock_form::LockForm;
use super::package::Package;
use super::registry::{self, Version};
use super::{compressor, lockfile, toolchain, trusted_publishing};
use crate::artifact::git_source::GitSource;
use crate::artifact::{Ecosystem, PinnedFile, Subject};
use crate::ecosystem::released::artifact;
use crate::ecosystem::{PlanError, Planner, repository};
use crate::plan::{
    Assumption, Basis, Expected, InlineFile, Origin, PinnedGit, PinnedInput, Plan, Role, assume,
};
use crate::store::{Checkout, Lacking};
use crate::text::plural;

/// Where the crate's commit is put in the sandbox, below `/inputs`.
const COMMIT_PLACE: &str = "commit";

/// Where the entries of files that the source lacks are, in the form of `git update-index --index-info`.
const LACKING_PLACE: &str = "lacking";

/// Plans the rebuild of one crate.
pub(super) async fn plan(planner: &Planner<'_>, subject: &Subject) -> Result<Plan, PlanError> {
    let fetcher = planner.workshop.fetcher;
    let (page, version) = registry::find(fetcher, subject).await?;
    let purl = registry::purl(&version);
    let (file, blob, package, claims) = registry::released(fetcher, &page, &version).await?;
    let artifact = artifact(Some(purl.clone()), &file, &blob)?;
    let (claims, policy) = planner.judge(&purl, &[artifact], claims, &[]).await?;

    let (source, source_origin) = choose_source(planner, &purl, &version, &package).await?;
    let checkout = fetcher.git_or_parts(&source).await?;
    let lacking = checkout.lacking()?;
    let without: Vec<_> = lacking.iter().map(|file| file.path.clone()).collect();
    let archive = if without.is_empty() {
        fetcher.git_archive(&checkout, false).await?
    } else {
        fetcher.git_archive_without(&checkout, &without).await?
    };
    let recipe = planner.recipe_or("crate")?;
    let cargo = toolchain::choose(planner, &purl, version.published, &package.age).await?;
    let folder = planner.hints.folder().unwrap_or(&package.folder);
    // cargo resolves the whole workspace before it packs one of its members.
    let workspace = workspace_lock(&checkout, folder)?;
    let locks = [package.lock.as_deref(), workspace.as_deref()];
    let locked = lockfile::of_registry(fetcher, &purl, locks.into_iter().flatten()).await?;
    let state = CheckoutState::of(&package);
    let form = match &package.lock {
        Some(lock) if workspace.is_none() => LockForm::choose(planner, &purl, lock, &package)?,
        _ => None,
    };
    let path = format!("/build/{}", checkout.source.name());
    let values = [
        ("SOURCE", path.as_str()),
        ("FOLDER", folder),
        (
            "COMMIT",
            if state.has_repository() {
                checkout.commit.as_str()
            } else {
                ""
            },
        ),
        ("CRATE", file.name.as_str()),
        ("DIRTY", state.option()),
        ("LOCK_FORM", form.as_ref().map_or("", |form| form.name)),
    ];
    let commit = String::from_utf8_lossy(&checkout.commit_object()?).into_owned();
    let mut files = vec![InlineFile {
        place: COMMIT_PLACE.into(),
        text: commit,
    }];
    if !lacking.is_empty() {
        files.push(InlineFile {
            place: LACKING_PLACE.into(),
            text: index_info(&lacking),
        });
    }
    let mut assumptions = vec![assume(
        "source",
        format!(
            "{} at {}, folder /{folder}",
            checkout.source.repository, checkout.commit
        ),
        source_origin,
    )];
    assumptions.extend(cargo.assumptions);
    assumptions.extend(lacking_assumption(&without));
    assumptions.extend(state.assumption(&package));
    assumptions.extend(crates_assumption(&locked, workspace.is_some()));
    assumptions.extend(form.map(LockForm::assumption));
    let dependency = |file: &PinnedFile| PinnedInput {
        role: Role::Dependency,
        purl: None,
        place: format!("dependencies/{}", file.name),
        file: file.clone(),
    };
    let toolchain = PinnedInput {
        place: toolchain::PLACE.into(),
        ..dependency(&cargo.file)
    };
    let compressor = compressor::choose(planner, &purl).await?;
    let (compressor, compressing) = compressor.unzip();
    assumptions.extend(compressing);
    let inputs = std::iter::once(toolchain).chain(compressor);
    let inputs = inputs.chain(locked.iter().map(dependency));
    Ok(Plan {
        inputs: inputs.collect(),
        git: vec![PinnedGit {
            without,
            ..PinnedGit::source(checkout.source.clone(), false, Some(archive.sha256))
        }],
        files,
        build: recipe.build.with(&values),
        assumptions,
        ..Plan::of(Basis {
            ecosystem: Ecosystem::Crates,
            subject: purl.clone(),
            claims,
            policy,
            expected: vec![Expected {
                purl,
                file: file.clone(),
            }],
            container: planner.pinned_container(&recipe)?,
            recipe: &recipe,
        })
    })
}

/// The commit: from a hint, from the crate itself, from the run that published it, or from the tag of its version.
async fn choose_source(
    planner: &Planner<'_>,
    purl: &str,
    version: &Version,
    package: &Package,
) -> Result<(GitSource, Origin), PlanError> {
    let cannot = |reason: String| PlanError::Lacking {
        code: crate::run::failure::FailureCode::SourceUnknown,
        subject: purl.to_owned(),
        reason,
        help: "name repository and commit with --source https://HOST/PATH@COMMIT".into(),
    };
    if let Some(named) = planner.hints.commit() {
        return Ok(named);
    }
    let is_clean = package.commit.is_some() && !package.dirty;
    if !is_clean && let Some(release) = trusted_publishing::find(planner.workshop.fetcher, version).await {
        let from = format!(
            "trusted publishing: crates.io says that run {} of {} published it at this commit",
            release.run, release.source.repository
        );
        return Ok((release.source, Origin::Declared(from)));
    }
    let repository = repository::of_addresses(&package.addresses)
        .ok_or_else(|| cannot("its Cargo.toml names no repository".into()))?;
    if let Some(commit) = &package.commit {
        let origin = Origin::Declared(
            "repository in Cargo.toml, commit in .cargo_vcs_info.json, both of the crate".into(),
        );
        let source = GitSource::new(&repository, None, Some(commit));
        return Ok((source.map_err(|error| cannot(error.to_string()))?, origin));
    }
    let about = (version.name.as_str(), version.version.as_str());
    let fits = |text: &str| text == version.version;
    let cannot = |reason: String| cannot(format!("it names no commit, and {reason}"));
    let (source, tag) =
        repository::tagged(planner.workshop.fetcher, &repository, about, fits, cannot).await?;
    let from = format!("repository in Cargo.toml of the crate, and the tag {tag}");
    Ok((source, Origin::Inferred(from)))
}

/// The lock file of the workspace that a folder of the commit belongs to: the nearest one above it.
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
