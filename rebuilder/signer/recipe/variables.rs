//! The environment of a plan: each variable is its recipe's, or one that its planner is known to add.

use std::collections::BTreeMap;
use std::path::{Component, Path};

use super::Known;
use crate::artifact::Ecosystem;
use crate::artifact::git_source::GitSource;
use crate::evidence::slsa::Build;
use crate::plan::{Phase, Plan, Recipe, Role};
use crate::signer::SignerError;

/// Longest of the values that a worker states.
const VALUE: usize = 4 << 10;
/// Folders in which a build would cover the tools of its own container.
const SYSTEM: [&str; 14] = [
    "bin", "boot", "dev", "etc", "inputs", "lib", "lib32", "lib64", "out", "proc", "run", "sbin", "sys",
    "usr",
];

/// What is known of a variable that the recipe does not set, or sets otherwise.
pub(super) enum VariableOrigin {
    /// It is what the signer would have put there.
    Known,
    /// It has a form that does no harm, and the rest is the worker's word.
    Stated,
    /// It should have been this.
    Wrong(String),
    /// Nothing sets it.
    Unknown,
}

pub(super) fn environment(
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
                    "sets the variable {name} to {value:?}, but it should be {wanted}"
                )));
            }
            VariableOrigin::Unknown => {
                let what = if recipe.contains_key(name) {
                    "to another value than its recipe"
                } else {
                    "which its recipe does not"
                };
                return Err(SignerError::Plan(format!(
                    "sets the variable {name}, {what}: such a variable may run code that no step names"
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

/// A plan's own facts, as the values of its variables must repeat them.
struct Facts<'a> {
    plan: &'a Plan,
    recipe: &'a Recipe,
    known: &'a Known<'a>,
    source: Option<&'a GitSource>,
}

impl Facts<'_> {
    fn repository_name(&self) -> &str {
        self.source.map(GitSource::name).unwrap_or_default()
    }

    fn commit(&self) -> &str {
        let commit = self.source.and_then(|source| source.commit.as_deref());
        commit.unwrap_or_default()
    }

    fn expected(&self) -> Vec<&str> {
        let expected = self.plan.expected.iter();
        expected.map(|expected| expected.file.name.as_str()).collect()
    }

    fn declared(&self) -> Option<&Build> {
        self.known.provenance.map(|it| &it.build)
    }
}

/// The variables that the planner of an ecosystem adds, and what each may be.
pub(super) fn of_subject(
    plan: &Plan,
    recipe: &Recipe,
    kind: Ecosystem,
    known: &Known<'_>,
    name: &str,
    value: &str,
) -> VariableOrigin {
    let facts = Facts {
        plan,
        recipe,
        known,
        source: plan.git.first().map(|git| &git.source),
    };
    match kind {
        Ecosystem::Debian => of_debian(&facts, name, value),
        Ecosystem::Pypi => of_pypi(&facts, name, value),
        Ecosystem::Npm => of_npm(&facts, name, value),
        Ecosystem::Crates => of_crates(&facts, name, value),
        Ecosystem::Provenance => of_provenance(&facts, name, value),
    }
}

fn of_debian(facts: &Facts<'_>, name: &str, value: &str) -> VariableOrigin {
    match name {
        "BUILD_PATH" => formed(is_build_path(value), "a path of its own for the build"),
        "SOURCE_FOLDER" => formed(is_folder_name(value), "the name of a folder"),
        "DSC" => {
            let mut inputs = facts
                .plan
                .inputs
                .iter()
                .filter(|input| input.role == Role::Source);
            let dsc = inputs.find(|input| input.file.name.ends_with(".dsc"));
            is(value, dsc.map_or("", |input| input.file.name.as_str()))
        }
        "BUILD_KIND" => one_of(value, &["--build=any", "--build=all", "--build=binary"]),
        "BUILD_USER" => formed(is_user_name(value), "the name of a user"),
        // As the record of the official build has them.
        "DEB_BUILD_OPTIONS" | "DEB_BUILD_PROFILES" => {
            let word = |c: char| c.is_ascii_alphanumeric() || "=+,.-_ ".contains(c);
            formed(value.chars().all(word), "a list of words")
        }
        "LANG" | "LANGUAGE" => formed(is_locale(value), "a locale"),
        name if name.starts_with("LC_") => {
            let category = name.trim_start_matches("LC_");
            let upper = category.chars().all(|c| c.is_ascii_uppercase());
            formed(upper && is_locale(value), "a locale")
        }
        "SOURCE_DATE_EPOCH" => formed(value.parse::<u32>().is_ok(), "a number of seconds"),
        _ => VariableOrigin::Unknown,
    }
}

fn of_pypi(facts: &Facts<'_>, name: &str, value: &str) -> VariableOrigin {
    match name {
        "SETUPTOOLS_SCM_PRETEND_VERSION"
        | "PBR_VERSION"
        | "PDM_BUILD_SCM_VERSION"
        | "POETRY_DYNAMIC_VERSIONING_BYPASS"
            if !facts.plan.git.is_empty() =>
        {
            let version = match facts.known.subject {
                Some(subject) => subject.version.clone().unwrap_or_default(),
                None => String::new(),
            };
            is(value, version)
        }
        _ => VariableOrigin::Unknown,
    }
}

fn of_npm(facts: &Facts<'_>, name: &str, value: &str) -> VariableOrigin {
    match name {
        "SOURCE" => {
            let repository = facts.repository_name();
            is(value, format!("/home/runner/work/{repository}/{repository}"))
        }
        "DIRECTORY" => match facts.declared() {
            Some(Build::SlsaNode { directory, .. }) => {
                is(value, directory.trim_start_matches("./").trim_matches(['/', '.']))
            }
            _ => formed(is_folder(value), "a folder of the source"),
        },
        "ROOT" | "PUBLISH" => formed(is_folder(value), "a folder of the source"),
        "INSTALL" => one_of(value, &["", "npm", "yarn", "pnpm", "resolved", "npm-served"]),
        // As npm takes it, and nothing that a shell or npm could take for an option.
        "SET_VERSION" => {
            let plain = |c: char| c.is_ascii_alphanumeric() || ".-+".contains(c);
            let version = value.is_empty() || value.starts_with(|c: char| c.is_ascii_digit());
            formed(version && value.chars().all(plain), "a version, or nothing")
        }
        "SCRIPTS" => {
            let word = |c: char| c.is_ascii_alphanumeric() || "-_:. ".contains(c);
            let declared = match facts.declared() {
                Some(Build::SlsaNode { scripts, .. }) => Some(scripts),
                _ => None,
            };
            let named = declared.is_none_or(|scripts| {
                let mut words = value.split_whitespace();
                words.all(|script| scripts.iter().any(|it| it == script))
            });
            let option = value.split_whitespace().any(|script| script.starts_with('-'));
            formed(
                value.chars().all(word) && named && !option,
                "names of scripts that the provenance names",
            )
        }
        "PACK_LIST" => one_of(value, &["", "pack.json"]),
        "REPOSITORY" => one_of(value, &["", "empty"]),
        "ITSELF" => one_of(value, &["", "source"]),
        "NODE_OPTIONS" => one_of(value, &["--openssl-legacy-provider"]),
        "PACK_OPTIONS" => one_of(value, &["", "--ignore-scripts"]),
        "SYSTEM" => one_of(value, &["", "012", "013", "023"]),
        "CLOCK" => formed(value.parse::<u32>().is_ok(), "a number of seconds"),
        "LINE_ENDS" => one_of(value, &["crlf"]),
        "FAILED_SCRIPTS" => one_of(value, &["go on"]),
        "LEFT_OUT" => {
            let plain = |c: char| c.is_ascii_alphanumeric() || "-._~@/ ".contains(c);
            formed(value.chars().all(plain), "names of packages")
        }
        "TARBALL" => is(value, facts.expected().first().copied().unwrap_or_default()),
        _ => VariableOrigin::Unknown,
    }
}

fn of_crates(facts: &Facts<'_>, name: &str, value: &str) -> VariableOrigin {
    match name {
        "CRATE" => is(value, facts.expected().first().copied().unwrap_or_default()),
        "SOURCE" => is(value, format!("/build/{}", facts.repository_name())),
        "FOLDER" => formed(is_folder(value), "a folder of the source"),
        "COMMIT" => formed(
            value.is_empty() || value == facts.commit(),
            "the commit of the source, or nothing",
        ),
        "DIRTY" => one_of(value, &["", "--allow-dirty"]),
        "DEV_DEPENDENCIES" => one_of(value, &["", "tables", "lines"]),
        "PACKED_ON" => one_of(value, &["", "windows"]),
        "PACKED" => formed(
            value.is_empty() || value.parse::<u32>().is_ok(),
            "a number of seconds, or nothing",
        ),
        "LOCK_FORM" => one_of(value, &["", "1", "2", "3", "4"]),
        _ => VariableOrigin::Unknown,
    }
}

fn of_provenance(facts: &Facts<'_>, name: &str, value: &str) -> VariableOrigin {
    let source = facts.source;
    match name {
        "SOURCE" => {
            let path = facts.recipe.source.path.clone();
            is(
                value,
                path.unwrap_or_else(|| format!("/build/{}", facts.repository_name())),
            )
        }
        "FOLDER" => is(value, facts.recipe.source.folder.clone()),
        "OUTPUTS" => is(value, facts.expected().join(" ")),
        "SOURCE_REPOSITORY" => is(value, source.map_or("", |source| source.repository.as_str())),
        "SOURCE_COMMIT" => is(value, facts.commit()),
        "SOURCE_REF" => {
            let reference = source.and_then(|source| source.reference.as_deref());
            is(value, reference.unwrap_or_default())
        }
        "SOURCE_DATE_EPOCH" => match facts.known.time {
            Some(time) => is(value, time.to_string()),
            None => formed(value.parse::<u32>().is_ok(), "a number of seconds"),
        },
        _ => VariableOrigin::Unknown,
    }
}

/// An absolute path below which the container has nothing.
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
pub(super) fn is_folder(value: &str) -> bool {
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use regex::Regex;

    use super::*;

    /// A variable that a planner sets and the signer does not know would make it refuse a good run.
    #[test]
    fn knows_every_variable_that_a_planner_sets() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("rebuilder/ecosystem");
        let with = Regex::new(r"(?s)\.with\(&\[(.*?)\n\s*\]\)").unwrap();
        let in_list = Regex::new(r#"\(\s*"([A-Z_]+)","#).unwrap();
        let alone = Regex::new(r#"env\.insert\(\s*"([A-Z_]+)""#).unwrap();
        let mut set = BTreeSet::new();
        for entry in walkdir::WalkDir::new(folder).into_iter().flatten() {
            let Ok(text) = std::fs::read_to_string(entry.path()) else {
                continue;
            };
            let lists = with.captures_iter(&text).map(|list| list[1].to_owned());
            for list in lists {
                set.extend(in_list.captures_iter(&list).map(|name| name[1].to_owned()));
            }
            set.extend(alone.captures_iter(&text).map(|name| name[1].to_owned()));
        }
        assert!(set.len() > 15, "{set:?}");
        let known = include_str!("variables.rs").split("mod tests").next().unwrap();
        set.retain(|name| !known.contains(&format!("\"{name}\"")));
        assert_eq!(set, BTreeSet::new());
    }
}
