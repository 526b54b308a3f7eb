//! What a plan would be if the signer had made it: the steps, the environment, the machine and the patterns of one of its
//! own recipes, with the values of the subject that the planner of its ecosystem is known to add. Anything else is
//! refused.
//!
//! Some values cannot be found out again without planning anew (which folder, which scripts). They must have the only
//! form that does no harm, and stand in the statement as what the worker states.

use std::collections::BTreeMap;
use std::path::{Component, Path};

pub(super) use crate::artifact::Ecosystem;
use crate::artifact::{PinnedImage, Sha256, Subject, serialise};
use crate::container::Catalog;
use crate::ecosystem::provenance::declared_steps;
use crate::evidence::slsa::{Build, Provenance};
use crate::plan::PinnedContainer;
use crate::plan::{Phase, Plan, Recipe, Role, Step};

use super::SignerError;

/// The program that builds wheels, as the planner puts it into each plan.
const DRIVER: &str = include_str!("../../recipes/pypi/build_wheel.py");
/// Longest of the values that a worker states.
const VALUE: usize = 4 << 10;
/// Longest text that a plan may carry beside the driver.
const TEXT: usize = 64 << 10;
/// Folders in which a build would lie over the tools of its own container.
const SYSTEM: [&str; 14] = [
    "bin", "boot", "dev", "etc", "inputs", "lib", "lib32", "lib64", "out", "proc", "run", "sbin", "sys",
    "usr",
];

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
    /// The time of the commit that it names, where the source could be had.
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
    /// Values that only the worker states, by the place where they stand in the plan.
    pub stated: BTreeMap<String, String>,
}

/// The ecosystem that a plan must be of: the subject's own, or provenance if no registry lists it.
pub(super) fn ecosystem_of(subject: Option<&Subject>) -> Ecosystem {
    subject.map_or(Ecosystem::Provenance, |subject| subject.ecosystem)
}

/// Finds the recipe that gives this very plan.
pub(super) fn followed(plan: &Plan, known: &Known<'_>) -> Result<Followed, SignerError> {
    let ecosystem = ecosystem_of(known.subject);
    if plan.ecosystem != ecosystem {
        return Err(SignerError::Plan(format!(
            "says that it is one of {}, and {} is one of {ecosystem}",
            plan.ecosystem, plan.subject
        )));
    }
    let candidates = candidates(ecosystem, known);
    // The first complaint about a recipe that has the very steps says more than that no recipe fits.
    let mut complaint = None;
    for (name, recipe) in &candidates {
        if !has_steps(plan, recipe, known) {
            continue;
        }
        match by(plan, name, recipe, ecosystem, known) {
            Ok(followed) => return Ok(followed),
            Err(error) => complaint = complaint.or(Some(error)),
        }
    }
    Err(complaint.unwrap_or_else(|| unknown_step(plan, &candidates, known)))
}

fn candidates(ecosystem: Ecosystem, known: &Known<'_>) -> Vec<(String, Recipe)> {
    let of_ecosystem = Recipe::of(ecosystem).unwrap_or_default().into_iter();
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
    ecosystem: Ecosystem,
    known: &Known<'_>,
) -> Result<Followed, SignerError> {
    if let Some(misfit) = known.provenance.and_then(|provenance| recipe.misfit(provenance)) {
        return Err(SignerError::Plan(format!(
            "follows the recipe {name}, which is not for it: {misfit}"
        )));
    }
    let mut stated = BTreeMap::new();
    let container = container(plan, recipe, ecosystem, known)?;
    machine(plan, recipe, ecosystem, &mut stated)?;
    environment("setup", &plan.setup, &recipe.setup.env, &mut stated, |_, _| {
        VariableOrigin::Unknown
    })?;
    environment(
        "build",
        &plan.build,
        &recipe.build.env,
        &mut stated,
        |name, value| of_subject(plan, recipe, ecosystem, known, name, value),
    )?;
    files(plan, ecosystem, &mut stated)?;
    patterns(plan, recipe, ecosystem, known)?;
    places(plan, ecosystem)?;
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
    ecosystem: Ecosystem,
    known: &Known<'_>,
) -> Result<&'static str, SignerError> {
    match &plan.container {
        PinnedContainer::Packages { name, lock } => {
            let of_release = match known.subject {
                Some(subject) if ecosystem == Ecosystem::Debian => {
                    format!("{}-build", subject.qualifier("distro").unwrap_or_default())
                }
                _ => recipe.container.clone(),
            };
            if *name != recipe.container && *name != of_release {
                return Err(SignerError::Plan(format!(
                    "runs in the container {name:?}, and its recipe in {:?}",
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
    ecosystem: Ecosystem,
    stated: &mut BTreeMap<String, String>,
) -> Result<(), SignerError> {
    if plan.hostname != recipe.hostname {
        return Err(SignerError::Plan(format!(
            "has the host name {:?}, and its recipe {:?}",
            plan.hostname, recipe.hostname
        )));
    }
    match (plan.umask, ecosystem) {
        (0o022, _) => {}
        // Read off the modes in the released wheel.
        (umask @ 0..=0o077, Ecosystem::Pypi) => {
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

/// What is known of a variable that the recipe does not set, or sets otherwise.
enum VariableOrigin {
    /// It is what the signer would have put there.
    Known,
    /// It has a form that does no harm, and the rest is the worker's word.
    Stated,
    /// It should have been this.
    Wrong(String),
    /// Nothing sets it.
    Unknown,
}

fn environment(
    phase: &str,
    plan: &Phase,
    recipe: &BTreeMap<String, String>,
    stated: &mut BTreeMap<String, String>,
    known: impl Fn(&str, &str) -> VariableOrigin,
) -> Result<(), SignerError> {
    for (name, value) in &plan.env {
        if recipe.get(name) == Some(value) {
            continue;
        }
        match known(name, value) {
            VariableOrigin::Known => {}
            VariableOrigin::Stated if value.len() <= VALUE => {
                stated.insert(format!("environment of the {phase}: {name}"), value.clone());
            }
            VariableOrigin::Stated => {
                return Err(SignerError::Plan(format!(
                    "sets the variable {name} to {} bytes",
                    value.len()
                )));
            }
            VariableOrigin::Wrong(wanted) => {
                let value: String = value.chars().take(100).collect();
                return Err(SignerError::Plan(format!(
                    "sets the variable {name} to {value:?}, and it should be {wanted}"
                )));
            }
            VariableOrigin::Unknown => {
                let what = if recipe.contains_key(name) {
                    "to another value than its recipe"
                } else {
                    "which its recipe does not"
                };
                return Err(SignerError::Plan(format!(
                    "sets the variable {name}, {what}: it may be one by which something runs that no step names"
                )));
            }
        }
    }
    match recipe.keys().find(|name| !plan.env.contains_key(*name)) {
        Some(name) => Err(SignerError::Plan(format!(
            "does not set the variable {name} of its recipe"
        ))),
        None => Ok(()),
    }
}

fn is(value: &str, wanted: impl Into<String>) -> VariableOrigin {
    let wanted = wanted.into();
    if value == wanted {
        VariableOrigin::Known
    } else {
        VariableOrigin::Wrong(format!("{wanted:?}"))
    }
}

fn one_of(value: &str, choices: &[&str]) -> VariableOrigin {
    if choices.contains(&value) {
        VariableOrigin::Stated
    } else {
        VariableOrigin::Wrong(format!("one of {choices:?}"))
    }
}

fn formed(fits: bool, form: &str) -> VariableOrigin {
    if fits {
        VariableOrigin::Stated
    } else {
        VariableOrigin::Wrong(form.to_owned())
    }
}

/// The variables that the planner of an ecosystem adds, and what each may be.
fn of_subject(
    plan: &Plan,
    recipe: &Recipe,
    ecosystem: Ecosystem,
    known: &Known<'_>,
    name: &str,
    value: &str,
) -> VariableOrigin {
    let expected: Vec<&str> = plan
        .expected
        .iter()
        .map(|expected| expected.file.name.as_str())
        .collect();
    let source = plan.git.first().map(|git| &git.source);
    let repository_name = source.map(|source| source.name().to_owned()).unwrap_or_default();
    let commit = source
        .and_then(|source| source.commit.as_deref())
        .unwrap_or_default();
    match (ecosystem, name) {
        (Ecosystem::Debian, "BUILD_PATH") => formed(is_build_path(value), "a path of its own for the build"),
        (Ecosystem::Debian, "SOURCE_FOLDER") => formed(is_folder_name(value), "the name of a folder"),
        (Ecosystem::Debian, "DSC") => {
            let mut inputs = plan.inputs.iter().filter(|input| input.role == Role::Source);
            let dsc = inputs.find(|input| input.file.name.ends_with(".dsc"));
            is(value, dsc.map_or("", |input| input.file.name.as_str()))
        }
        (Ecosystem::Debian, "BUILD_KIND") => one_of(value, &["--build=any", "--build=all", "--build=binary"]),
        (Ecosystem::Debian, "BUILD_USER") => formed(is_user_name(value), "the name of a user"),
        // As the record of the official build has them.
        (Ecosystem::Debian, "DEB_BUILD_OPTIONS" | "DEB_BUILD_PROFILES") => {
            let word = |c: char| c.is_ascii_alphanumeric() || "=+,.-_ ".contains(c);
            formed(value.chars().all(word), "a list of words")
        }
        (Ecosystem::Debian, "LANG" | "LANGUAGE") => formed(is_locale(value), "a locale"),
        (Ecosystem::Debian, name) if name.starts_with("LC_") => {
            let category = name.trim_start_matches("LC_");
            let upper = category.chars().all(|c| c.is_ascii_uppercase());
            formed(upper && is_locale(value), "a locale")
        }
        (Ecosystem::Debian, "SOURCE_DATE_EPOCH") => {
            formed(value.parse::<u32>().is_ok(), "a number of seconds")
        }
        (
            Ecosystem::Pypi,
            "SETUPTOOLS_SCM_PRETEND_VERSION"
            | "PBR_VERSION"
            | "PDM_BUILD_SCM_VERSION"
            | "POETRY_DYNAMIC_VERSIONING_BYPASS",
        ) if !plan.git.is_empty() => {
            let version = match known.subject {
                Some(subject) => subject.version.clone().unwrap_or_default(),
                None => String::new(),
            };
            is(value, version)
        }
        (Ecosystem::Npm, "SOURCE") => is(
            value,
            format!("/home/runner/work/{repository_name}/{repository_name}"),
        ),
        (Ecosystem::Npm, "DIRECTORY") => match known.provenance.map(|it| &it.build) {
            Some(Build::SlsaNode { directory, .. }) => {
                is(value, directory.trim_start_matches("./").trim_matches(['/', '.']))
            }
            _ => formed(is_folder(value), "a folder of the source"),
        },
        (Ecosystem::Npm, "INSTALL") => one_of(value, &["", "npm", "yarn", "pnpm"]),
        (Ecosystem::Npm, "SCRIPTS") => {
            let word = |c: char| c.is_ascii_alphanumeric() || "-_:. ".contains(c);
            let declared = match known.provenance.map(|it| &it.build) {
                Some(Build::SlsaNode { scripts, .. }) => Some(scripts),
                _ => None,
            };
            let named = declared.is_none_or(|scripts| {
                value
                    .split_whitespace()
                    .all(|script| scripts.iter().any(|it| it == script))
            });
            let option = value.split_whitespace().any(|script| script.starts_with('-'));
            formed(
                value.chars().all(word) && named && !option,
                "names of scripts that the provenance names",
            )
        }
        (Ecosystem::Npm, "PACK_LIST") => one_of(value, &["", "pack.json"]),
        (Ecosystem::Npm, "PACK_OPTIONS") => one_of(value, &["", "--ignore-scripts"]),
        (Ecosystem::Npm, "TARBALL") | (Ecosystem::Crates, "CRATE") => {
            is(value, expected.first().copied().unwrap_or_default())
        }
        (Ecosystem::Crates, "SOURCE") => is(value, format!("/build/{repository_name}")),
        (Ecosystem::Crates, "FOLDER") => formed(is_folder(value), "a folder of the source"),
        (Ecosystem::Crates, "COMMIT") => formed(
            value.is_empty() || value == commit,
            "the commit of the source, or nothing",
        ),
        (Ecosystem::Crates, "DIRTY") => one_of(value, &["", "--allow-dirty"]),
        (Ecosystem::Provenance, "SOURCE") => {
            let path = recipe.source.path.clone();
            is(value, path.unwrap_or_else(|| format!("/build/{repository_name}")))
        }
        (Ecosystem::Provenance, "FOLDER") => is(value, recipe.source.folder.clone()),
        (Ecosystem::Provenance, "OUTPUTS") => is(value, expected.join(" ")),
        (Ecosystem::Provenance, "SOURCE_REPOSITORY") => {
            is(value, source.map_or("", |source| source.repository.as_str()))
        }
        (Ecosystem::Provenance, "SOURCE_COMMIT") => is(value, commit),
        (Ecosystem::Provenance, "SOURCE_REF") => is(
            value,
            source
                .and_then(|source| source.reference.as_deref())
                .unwrap_or_default(),
        ),
        (Ecosystem::Provenance, "SOURCE_DATE_EPOCH") => match known.time {
            Some(time) => is(value, time.to_string()),
            None => formed(value.parse::<u32>().is_ok(), "a number of seconds"),
        },
        _ => VariableOrigin::Unknown,
    }
}

/// An absolute path below which nothing of the container lies.
fn is_build_path(value: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._+~-".contains(c);
    let mut parts = Path::new(value).components();
    let absolute = parts.next() == Some(Component::RootDir);
    let first = parts.next();
    let own = matches!(first, Some(Component::Normal(name)) if !SYSTEM.iter().any(|it| name == *it));
    absolute
        && own
        && parts.all(|part| matches!(part, Component::Normal(_)))
        && value.chars().all(plain)
        && value.len() <= 512
}

fn is_folder_name(value: &str) -> bool {
    let mut parts = Path::new(value).components();
    let one = matches!(parts.next(), Some(Component::Normal(_))) && parts.next().is_none();
    let plain = |c: char| c.is_ascii_alphanumeric() || "._+~-".contains(c);
    one && value.chars().all(plain) && !value.starts_with('-')
}

/// A path below the source, or the source itself.
fn is_folder(value: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._+@-".contains(c);
    let normal = |part| matches!(part, Component::Normal(_));
    value.chars().all(plain) && Path::new(value).components().all(normal) && !value.starts_with('-')
}

fn is_user_name(value: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    value.len() <= 32 && value.starts_with(|c: char| c.is_ascii_lowercase()) && value.chars().all(plain)
}

fn is_locale(value: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._@:-".contains(c);
    value.len() <= 128 && value.chars().all(plain)
}

/// Texts that the plan itself carries: only those that its planner writes.
fn files(
    plan: &Plan,
    ecosystem: Ecosystem,
    stated: &mut BTreeMap<String, String>,
) -> Result<(), SignerError> {
    for file in &plan.files {
        let wrong = |reason: &str| {
            Err(SignerError::Plan(format!(
                "carries a file {:?} {reason}",
                file.place
            )))
        };
        match (ecosystem, file.place.as_str()) {
            (Ecosystem::Pypi, "recipe/build_wheel.py") if file.text == DRIVER => continue,
            (Ecosystem::Pypi, "recipe/build_wheel.py") => return wrong("that is not this signer's own"),
            (Ecosystem::Pypi, "recipe/build.json") => {
                if let Err(reason) = wheel_facts(plan, &file.text) {
                    return wrong(&reason);
                }
            }
            (Ecosystem::Crates, "commit") => {
                if let Some(commit) = plan.build.env.get("COMMIT").filter(|commit| commit.len() == 40)
                    && commit_name(&file.text) != *commit
                {
                    return wrong("that is not the text of its commit");
                }
            }
            (Ecosystem::Debian, "binnmu-changelog") => {}
            _ => return wrong("that no recipe of this signer knows"),
        }
        if file.text.len() > TEXT && ecosystem != Ecosystem::Pypi {
            return wrong("that is too long");
        }
        stated.insert(
            format!("text: {}", file.place),
            format!("sha256:{}", Sha256::of(&file.text)),
        );
    }
    let driver = plan
        .files
        .iter()
        .any(|file| file.place == "recipe/build_wheel.py");
    if ecosystem == Ecosystem::Pypi && !driver {
        return Err(SignerError::Plan(
            "does not carry the program that builds wheels".into(),
        ));
    }
    Ok(())
}

/// What git calls a commit with this text.
fn commit_name(text: &str) -> String {
    use aws_lc_rs::digest;
    let mut context = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
    context.update(format!("commit {}\0", text.len()).as_bytes());
    context.update(text.as_bytes());
    hex::encode(context.finish())
}

/// What the driver is told: where the source lies, what to call, and facts about the released wheel; no code.
fn wheel_facts(plan: &Plan, text: &str) -> Result<(), String> {
    const KEYS: [&str; 12] = [
        "archive",
        "backend",
        "backend_path",
        "entries",
        "folder",
        "hook",
        "options",
        "platform",
        "python",
        "top",
        "uniform",
        "windows",
    ];
    let facts: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(text).map_err(|error| format!("that cannot be read: {error}"))?;
    if let Some(odd) = facts.keys().find(|key| !KEYS.contains(&key.as_str())) {
        return Err(format!("with {odd:?}, which its planner does not write"));
    }
    let text = |key: &str| facts.get(key).and_then(serde_json::Value::as_str);
    if text("hook") != Some("build_wheel") {
        return Err("that asks for another thing than a wheel".into());
    }
    let sources = plan.inputs.iter().filter(|input| input.role == Role::Source);
    let mut places = sources
        .map(|input| input.place.as_str())
        .chain(plan.git.iter().map(|git| git.place.as_str()));
    if !places.any(|place| text("archive") == Some(place)) {
        return Err("that takes another archive than its source".into());
    }
    let object = |c: char| c.is_ascii_alphanumeric() || "_.:".contains(c);
    if !text("backend").is_some_and(|backend| backend.chars().all(object)) {
        return Err("with a backend that is not the name of a Python object".into());
    }
    let folders = facts.get("backend_path").and_then(serde_json::Value::as_array);
    let mut folders = folders.into_iter().flatten().map(serde_json::Value::as_str);
    let inside = |folder: &str| is_folder(folder.trim_start_matches('/'));
    if !folders.all(|folder| folder.is_some_and(inside)) || text("folder").is_some_and(|it| !inside(it)) {
        return Err("with a folder that is not one of the source".into());
    }
    let word = |text: &str| {
        text.chars()
            .all(|c| c.is_ascii_alphanumeric() || "._-+!".contains(c))
    };
    for key in ["top", "python", "platform"] {
        if text(key).is_some_and(|text| !word(text) || text.starts_with(['.', '-'])) {
            return Err(format!("in which {key:?} is not a plain word"));
        }
    }
    // They end in a file that setuptools reads.
    let options = facts.get("options").and_then(serde_json::Value::as_object);
    for (name, value) in options.into_iter().flatten() {
        let harmless = match name.as_str() {
            "universal" => *value == serde_json::json!(1),
            "python_tag" => *value == serde_json::json!("py2"),
            _ => false,
        };
        if !harmless {
            return Err(format!("that sets the option {name:?}"));
        }
    }
    Ok(())
}

/// What may come out besides, without being compared: what the recipe says, and what was released but not asked for.
fn patterns(
    plan: &Plan,
    recipe: &Recipe,
    ecosystem: Ecosystem,
    known: &Known<'_>,
) -> Result<(), SignerError> {
    for pattern in &plan.not_compared {
        let of_recipe = recipe.unreleased.contains(pattern);
        let installer = ecosystem == Ecosystem::Debian && pattern == "*.udeb";
        if !of_recipe && !installer && (pattern.contains('*') || !known.released.contains(pattern)) {
            return Err(SignerError::Plan(format!(
                "lets {pattern:?} come out without being compared, which no recipe of this signer does"
            )));
        }
    }
    Ok(())
}

/// Inputs lie where the steps of recipes look for them, and nowhere else.
fn places(plan: &Plan, ecosystem: Ecosystem) -> Result<(), SignerError> {
    for input in &plan.inputs {
        let below = match input.role {
            Role::Source => "source/",
            Role::Dependency => "dependencies/",
        };
        if !input.place.starts_with(below) {
            return Err(SignerError::Plan(format!(
                "puts an input at {:?}, where no recipe of this signer has one",
                input.place
            )));
        }
        let from_git = !matches!(ecosystem, Ecosystem::Debian | Ecosystem::Pypi);
        if input.role == Role::Source && from_git {
            return Err(SignerError::Plan(format!(
                "takes {:?} for a part of its source, and a plan of its kind has it from git alone",
                input.place
            )));
        }
    }
    let git = plan.git.iter().map(|git| git.place.as_str()).collect::<Vec<_>>();
    let files = plan
        .inputs
        .iter()
        .filter(|input| input.role == Role::Source)
        .count();
    let one = match ecosystem {
        Ecosystem::Debian => git.is_empty() && files > 0,
        // Either the source distribution or a commit.
        Ecosystem::Pypi => git.is_empty() && files == 1 || git == ["source.tar"] && files == 0,
        _ => git == ["source.tar"] && files == 0,
    };
    if one {
        Ok(())
    } else {
        Err(SignerError::Plan(format!(
            "takes {files} files for its source and {} sources from git, which no plan of its kind does",
            git.len()
        )))
    }
}
