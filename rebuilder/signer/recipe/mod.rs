//! What a plan would be if the signer had made it: the steps, the environment, the machine and the patterns of one of its
//! own recipes, with the values of the subject that the planner of its ecosystem is known to add. Anything else is
//! refused.
//!
//! Some values cannot be found out again without planning anew (which folder, which scripts). They must have the only
//! form that does no harm, and are in the statement as what the worker states.

mod crate_texts;
mod files;
mod variables;

use std::collections::BTreeMap;
use std::path::Path;

use crate::artifact::{Ecosystem, PinnedImage, Sha256, Subject, serialise};
use crate::container::Catalog;
use crate::ecosystem::provenance::declared_steps;
use crate::evidence::slsa::{Build, Provenance};
use crate::plan::PinnedContainer;
use crate::plan::{PinnedInput, Plan, Recipe, Role, Step, places};
use crate::text::plural;

use super::SignerError;
use files::files;
use variables::{VariableOrigin, environment, of_subject};

/// What the signer knows when it looks at a plan.
pub(super) struct Known<'a> {
    pub subject: Option<&'a Subject>,
    pub catalog: &'a Catalog,
    /// Recipes beyond the built-in ones.
    pub recipes: &'a [Recipe],
    /// Images that the signer's configuration allows.
    pub images: &'a [PinnedImage],
    /// Verified provenance.
    pub provenance: Option<&'a Provenance>,
    /// The time of the commit that it names, if the source is available.
    pub time: Option<u64>,
    /// Names of everything that was released with the subject.
    pub released: Vec<String>,
}

/// The recipe that a plan follows.
#[derive(Debug)]
pub(super) struct Followed {
    /// Its name.
    pub name: String,
    /// Digest of its steps and environment.
    pub digest: Sha256,
    /// What says that the container is the right one.
    pub container: &'static str,
    /// Values that only the worker states, by their place in the plan.
    pub stated: BTreeMap<String, String>,
}

/// The ecosystem that a plan must be of: the subject's own, or provenance if no registry lists it.
pub(super) fn ecosystem_of(subject: Option<&Subject>) -> Ecosystem {
    subject.map_or(Ecosystem::Provenance, |subject| subject.ecosystem)
}

/// Finds the recipe that gives this very plan.
pub(super) fn followed(plan: &Plan, known: &Known<'_>) -> Result<Followed, SignerError> {
    let kind = ecosystem_of(known.subject);
    if plan.ecosystem != kind {
        return Err(SignerError::Plan(format!(
            "says that it is one of {}, but {} is one of {}",
            plan.ecosystem, plan.subject, kind
        )));
    }
    let candidates = candidates(kind, known);
    // The first complaint about a recipe that has the very steps says more than that no recipe fits.
    let mut complaint = None;
    for (name, recipe) in &candidates {
        if !has_steps(plan, recipe, known) {
            continue;
        }
        match by(plan, name, recipe, kind, known) {
            Ok(followed) => return Ok(followed),
            Err(error) => complaint = complaint.or(Some(error)),
        }
    }
    Err(complaint.unwrap_or_else(|| unknown_step(plan, &candidates, known)))
}

fn candidates(kind: Ecosystem, known: &Known<'_>) -> Vec<(String, Recipe)> {
    let of_ecosystem = Recipe::of(kind).unwrap_or_default().into_iter();
    let mut all: Vec<_> = of_ecosystem
        .map(|(name, recipe)| (name.to_owned(), recipe))
        .collect();
    all.extend(Recipe::names().into_iter().filter_map(|name| {
        let recipe = Recipe::read(Path::new(name)).ok()?;
        Some((name.to_owned(), recipe))
    }));
    let own = known.recipes.iter();
    all.extend(own.map(|recipe| (recipe.description.clone(), recipe.clone())));
    all
}

/// The steps that a recipe ends with in this plan.
fn build_steps(recipe: &Recipe, known: &Known<'_>) -> Vec<Step> {
    let mut steps = recipe.build.steps.clone();
    if is_container_based(recipe)
        && let Some(Build::ContainerBased {
            command,
            artifact_path,
            ..
        }) = known.provenance.map(|provenance| &provenance.build)
    {
        steps.extend(declared_steps(command, artifact_path));
    }
    steps.extend(recipe.hand_out());
    steps
}

/// The built-in recipe whose container and command provenance names.
fn is_container_based(recipe: &Recipe) -> bool {
    recipe.container.is_empty() && recipe.image.is_none()
}

fn has_steps(plan: &Plan, recipe: &Recipe, known: &Known<'_>) -> bool {
    plan.setup.steps == recipe.setup.steps && plan.build.steps == build_steps(recipe, known)
}

fn unknown_step(plan: &Plan, candidates: &[(String, Recipe)], known: &Known<'_>) -> SignerError {
    let mut steps: Vec<Step> = Vec::new();
    for (_, recipe) in candidates {
        steps.extend(recipe.setup.steps.iter().cloned());
        steps.extend(build_steps(recipe, known));
    }
    let own = plan.setup.steps.iter().chain(&plan.build.steps);
    let odd = own.into_iter().find(|step| !steps.contains(step));
    SignerError::Plan(match odd {
        Some(step) => format!("has a step {:?} that is in no recipe of this signer", step.name),
        None => "has steps that are in no recipe of this signer in this order".into(),
    })
}

fn by(
    plan: &Plan,
    name: &str,
    recipe: &Recipe,
    kind: Ecosystem,
    known: &Known<'_>,
) -> Result<Followed, SignerError> {
    if let Some(misfit) = known.provenance.and_then(|provenance| recipe.misfit(provenance)) {
        return Err(SignerError::Plan(format!(
            "follows the recipe {name}, which does not fit it: {misfit}"
        )));
    }
    let mut stated = BTreeMap::new();
    let container = container(plan, recipe, kind, known)?;
    machine(plan, recipe, kind, &mut stated)?;
    environment("setup", &plan.setup, &recipe.setup.env, &mut stated, |_, _| {
        VariableOrigin::Unknown
    })?;
    environment(
        "build",
        &plan.build,
        &recipe.build.env,
        &mut stated,
        |name, value| of_subject(plan, recipe, kind, known, name, value),
    )?;
    files(plan, kind, &mut stated)?;
    patterns(plan, recipe, kind, known)?;
    places(plan, kind)?;
    let digest = (
        &recipe.setup.env,
        &recipe.setup.steps,
        &recipe.build.env,
        build_steps(recipe, known),
    );
    Ok(Followed {
        name: name.to_owned(),
        digest: Sha256::of(serialise::canonical("the recipe", &digest)?),
        container,
        stated,
    })
}

/// The container is one of the signer's own, or the image that verified provenance, the recipe or the configuration
/// names.
fn container(
    plan: &Plan,
    recipe: &Recipe,
    kind: Ecosystem,
    known: &Known<'_>,
) -> Result<&'static str, SignerError> {
    match &plan.container {
        PinnedContainer::Packages { name, lock } => {
            let of_release = match known.subject {
                Some(subject) if kind == Ecosystem::Debian => {
                    format!("{}-build", subject.qualifier("distro").unwrap_or_default())
                }
                // Those that have another Python.
                _ if kind == Ecosystem::Pypi && name.ends_with("-python") => name.clone(),
                _ => recipe.container.clone(),
            };
            if *name != recipe.container && *name != of_release {
                return Err(SignerError::Plan(format!(
                    "runs in the container {name:?}, but its recipe in {:?}",
                    recipe.container
                )));
            }
            let own = known.catalog.lock(name).map_err(|error| {
                SignerError::Plan(format!(
                    "runs in a container that this signer does not have: {error}"
                ))
            })?;
            if own != *lock {
                return Err(SignerError::Plan(format!(
                    "runs in a container {name} with another lock than this signer's; give both the same folder with --containers"
                )));
            }
            Ok("catalogue")
        }
        PinnedContainer::Image { image } => {
            let declared = match known.provenance.map(|provenance| &provenance.build) {
                Some(Build::ContainerBased { image, .. }) => Some(image),
                _ => None,
            };
            let of_recipe = recipe
                .image
                .as_deref()
                .and_then(|text| PinnedImage::parse(text, None).ok());
            if is_container_based(recipe) && declared == Some(image) {
                Ok("provenance")
            } else if of_recipe.as_ref() == Some(image) {
                Ok("recipe")
            } else if known.images.contains(image) {
                Ok("configuration")
            } else {
                Err(SignerError::Plan(format!(
                    "runs in the image {image}, which neither verified provenance nor a recipe names; allow it with --image"
                )))
            }
        }
    }
}

fn machine(
    plan: &Plan,
    recipe: &Recipe,
    kind: Ecosystem,
    stated: &mut BTreeMap<String, String>,
) -> Result<(), SignerError> {
    if plan.hostname != recipe.hostname {
        return Err(SignerError::Plan(format!(
            "has the host name {:?}, but its recipe {:?}",
            plan.hostname, recipe.hostname
        )));
    }
    match (plan.umask, kind) {
        (0o022, _) => {}
        // Read off the modes in the released wheel, or tried because of those in the released tarball.
        (umask @ 0..=0o077, Ecosystem::Pypi) | (umask @ 0o002, Ecosystem::Npm) => {
            stated.insert("umask".into(), format!("{umask:03o}"));
        }
        (umask, _) => {
            return Err(SignerError::Plan(format!(
                "has the file mode creation mask {umask:03o}"
            )));
        }
    }
    Ok(())
}

/// What may be produced besides, without being compared: what the recipe says, and what was released but not asked for.
fn patterns(plan: &Plan, recipe: &Recipe, kind: Ecosystem, known: &Known<'_>) -> Result<(), SignerError> {
    for pattern in &plan.not_compared {
        let of_recipe = recipe.unreleased.contains(pattern);
        let installer = kind == Ecosystem::Debian && pattern == "*.udeb";
        if !of_recipe && !installer && (pattern.contains('*') || !known.released.contains(pattern)) {
            return Err(SignerError::Plan(format!(
                "excludes {pattern:?} from the comparison, which no recipe of this signer allows"
            )));
        }
    }
    Ok(())
}

/// Where the files of the commit are that a plan builds from.
const SOURCE: &str = "source.tar";

/// Whether an input is a file of Git LFS: the recipe takes it only for a pointer in the source that has its digest.
pub(super) fn is_large_file(kind: Ecosystem, input: &PinnedInput) -> bool {
    kind == Ecosystem::Crates && input.place == format!("{}/{}", places::LARGE_FILES, input.file.sha256)
}

/// Whether a recipe looks for an input there.
fn is_place(role: Role, kind: Ecosystem, place: &str) -> bool {
    let below = |folder: &str| {
        let path = place.strip_prefix(folder);
        path.is_some_and(|path| path.starts_with('/'))
    };
    match (role, kind) {
        (Role::Source, _) => below("source"),
        (Role::Dependency, Ecosystem::Pypi) => {
            let compressor = [places::COMPRESSOR, places::CLOUDFLARE_ZLIB].contains(&place);
            below("dependencies") || below(places::INSTALLER) || compressor
        }
        (Role::Dependency, Ecosystem::Crates) => below("dependencies") || place == places::COMPRESSOR,
        (Role::Dependency, _) => below("dependencies"),
    }
}

/// Inputs are where the steps of recipes look for them, and nowhere else.
fn places(plan: &Plan, kind: Ecosystem) -> Result<(), SignerError> {
    let of_source = |input: &&PinnedInput| input.role == Role::Source && !is_large_file(kind, input);
    for input in &plan.inputs {
        if input.role == Role::Source && is_large_file(kind, input) {
            continue;
        }
        if !is_place(input.role, kind, &input.place) {
            return Err(SignerError::Plan(format!(
                "puts an input at {:?}, where no recipe of this signer has one",
                input.place
            )));
        }
        let from_git = !matches!(kind, Ecosystem::Debian | Ecosystem::Pypi);
        if input.role == Role::Source && from_git {
            return Err(SignerError::Plan(format!(
                "uses {:?} as a part of its source, but a plan of its kind may only use git",
                input.place
            )));
        }
    }
    let git = plan.git.iter().map(|git| git.place.as_str()).collect::<Vec<_>>();
    let files = plan.inputs.iter().filter(of_source).count();
    if are_sources(kind, files, &git) {
        Ok(())
    } else {
        Err(SignerError::Plan(format!(
            "uses {} and {} as its source, which no plan of its kind does",
            plural(files, "file"),
            plural(git.len(), "git source")
        )))
    }
}

/// Whether plans of a kind are made from so many files, and from git at these places.
fn are_sources(kind: Ecosystem, files: usize, git: &[&str]) -> bool {
    match (kind, git) {
        (Ecosystem::Debian, git) => git.is_empty() && files > 0,
        // Either the source distribution or a commit; files of another commit may be put beside either.
        (Ecosystem::Pypi, [git @ .., places::FURTHER]) => {
            git.is_empty() && files == 1 || git == [SOURCE] && files == 0
        }
        (Ecosystem::Pypi, []) => files == 1,
        (_, git) => git == [SOURCE] && files == 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artifact::PinnedFile;

    #[test]
    fn a_wheel_has_one_source_and_at_most_another_commit_beside_it() {
        use Ecosystem::{Debian, Npm, Pypi};
        for (kind, files, git, expected) in [
            (Pypi, 1, &[][..], true),
            (Pypi, 0, &["source.tar"], true),
            (Pypi, 1, &["further.tar"], true),
            (Pypi, 0, &["source.tar", "further.tar"], true),
            (Pypi, 0, &["further.tar"], false),
            (Pypi, 1, &["source.tar"], false),
            (Pypi, 1, &["source.tar", "further.tar"], false),
            (Pypi, 0, &["further.tar", "source.tar"], false),
            (Pypi, 2, &[], false),
            (Npm, 0, &["source.tar"], true),
            (Npm, 0, &["source.tar", "further.tar"], false),
            (Debian, 2, &[], true),
            (Debian, 2, &["source.tar"], false),
        ] {
            assert_eq!(are_sources(kind, files, git), expected, "{kind} {files} {git:?}");
        }
    }

    #[test]
    fn a_file_of_git_lfs_is_at_its_own_digest() {
        let (own, other) = ("ab".repeat(32), "cd".repeat(32));
        for (kind, place, expected) in [
            (Ecosystem::Crates, format!("lfs/{own}"), true),
            (Ecosystem::Crates, format!("lfs/{other}"), false),
            (Ecosystem::Crates, format!("source/{own}"), false),
            (Ecosystem::Npm, format!("lfs/{own}"), false),
        ] {
            let input = PinnedInput {
                role: Role::Source,
                purl: None,
                place,
                file: PinnedFile {
                    name: "a.tar.xz".into(),
                    urls: Vec::new(),
                    sha256: own.parse().unwrap(),
                    size: 1,
                },
            };
            assert_eq!(is_large_file(kind, &input), expected, "{kind} {}", input.place);
        }
    }

    #[test]
    fn inputs_are_where_planners_put_them() {
        use Ecosystem::{Crates, Debian, Npm, Pypi};
        let table = [
            ("dependencies/a.whl", [true, true, true, true]),
            ("installer/pip-24.0-py3-none-any.whl", [true, false, false, false]),
            ("compressor/zlib-ng.crate", [true, true, false, false]),
            ("compressor/cloudflare-zlib.crate", [true, false, false, false]),
            ("compressor/other.crate", [false; 4]),
            ("installers/pip.whl", [false; 4]),
            ("recipe/build_wheel.py", [false; 4]),
        ];
        for (place, expected) in table {
            for (kind, expected) in [Pypi, Crates, Npm, Debian].into_iter().zip(expected) {
                assert_eq!(
                    is_place(Role::Dependency, kind, place),
                    expected,
                    "{place} of {kind}"
                );
            }
        }
    }
}
