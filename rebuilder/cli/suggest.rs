//! Suggestions for mistaken names: an error gives the closest known name.

use std::path::Path;

use super::failure::Failure;
use crate::artifact::{Subject, SubjectError};
use crate::audit::{self, ListError};
use crate::compare::{Chosen, Normalisation};
use crate::plan::{Recipe, RecipeError};
use crate::text::one_of;

/// Maximum number of names in a folder that are compared.
const FOLDER_LIMIT: usize = 10_000;

/// Extensions of released files. They show that a missing name was meant as a file.
const ENDINGS: [&str; 10] = [
    ".whl", ".deb", ".tgz", ".tar.gz", ".crate", ".zip", ".jar", ".gem", ".tar.xz", ".json",
];

/// Other names of ecosystems, and their short form here.
const ALIASES: [(&str, &str); 12] = [
    ("cargo", "crate"),
    ("crates", "crate"),
    ("crates.io", "crate"),
    ("rust", "crate"),
    ("pip", "pypi"),
    ("python", "pypi"),
    ("debian", "deb"),
    ("apt", "deb"),
    ("dpkg", "deb"),
    ("node", "npm"),
    ("npmjs", "npm"),
    ("yarn", "npm"),
];

/// Short forms, in the order in which they are suggested.
const SHORT_FORMS: [&str; 4] = ["deb", "pypi", "npm", "crate"];

/// The known name that is closest to `text`, if it is close enough to have been meant.
pub(super) fn nearest<'a>(text: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let longest = (text.chars().count() / 3).max(1);
    known
        .into_iter()
        .filter_map(|name| {
            let begins = text.len() >= 3 && name.starts_with(text);
            let distance = if begins {
                0
            } else {
                strsim::osa_distance(text, name)
            };
            (distance <= longest).then_some((distance, name))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// A file that does not exist.
pub(super) fn missing_file(path: &Path) -> Failure {
    let shown = path.display();
    if path.exists() {
        return Failure::usage(format!("cannot read {shown}: it is not a regular file"))
            .with_help("name the file itself");
    }
    if let Ok(target) = std::fs::read_link(path) {
        return Failure::usage(format!(
            "cannot read {shown}: it is a link to {}, which does not exist",
            target.display()
        ))
        .with_help("name the file itself");
    }
    let message = format!("cannot read {shown}: no such file");
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let name = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let entries = std::fs::read_dir(folder.unwrap_or(Path::new(".")))
        .into_iter()
        .flatten();
    let names: Vec<String> = entries
        .take(FOLDER_LIMIT)
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    let help = match nearest(&name, names.iter().map(String::as_str)) {
        Some(found) => format!("did you mean {}?", path.with_file_name(found).display()),
        None => "check the path".to_owned(),
    };
    Failure::usage(message).with_help(help)
}

/// Reads the name of a package.
pub(super) fn subject(text: &str) -> Result<Subject, Failure> {
    match text.parse() {
        Err(SubjectError::Unknown { .. }) if is_path(text) => Err(missing_file(Path::new(text))),
        Err(error @ SubjectError::Unknown { .. }) => {
            let failure = Failure::from(error);
            Err(match meanings(text).as_slice() {
                [] => failure,
                [only] => failure.with_help(format!("did you mean {only}?")),
                several => failure.with_help(format!(
                    "did you mean {}? A released file is named by its path",
                    one_of(several)
                )),
            })
        }
        other => Ok(other?),
    }
}

/// Reads a list of packages.
pub(super) fn list(path: &Path) -> Result<Vec<(String, Subject)>, Failure> {
    const SHOWN: usize = 5;
    let error = match audit::read_list(path) {
        Ok(subjects) => return Ok(subjects),
        Err(error) => error,
    };
    let ListError::Lines { lines, .. } = &error else {
        return Err(error.into());
    };
    let meant: Vec<_> = lines
        .iter()
        .filter_map(|(line, error)| match error {
            SubjectError::Unknown { text, .. } => match meanings(text).as_slice() {
                [only] => Some(format!("{only} in line {line}")),
                _ => None,
            },
            _ => None,
        })
        .take(SHOWN)
        .collect();
    let failure = Failure::from(error);
    Err(if meant.is_empty() {
        failure
    } else {
        failure.with_help(format!("did you mean {}?", meant.join(", ")))
    })
}

/// Whether a text looks like the path of a file; scoped names of npm begin with `@`.
fn is_path(text: &str) -> bool {
    let file = ENDINGS.iter().any(|ending| text.ends_with(ending));
    !text.starts_with('@') && (text.starts_with(['.', '/', '~']) || text.contains('/') || file)
}

/// Rewrites a name in a form that is understood here.
fn meanings(text: &str) -> Vec<String> {
    let forms: Vec<&str> = match text.split_once(':') {
        Some((prefix, _)) => {
            let prefix = prefix.to_ascii_lowercase();
            let alias = ALIASES.iter().find(|(name, _)| *name == prefix);
            let form = alias
                .map(|(_, form)| *form)
                .or_else(|| nearest(&prefix, SHORT_FORMS));
            form.into_iter().collect()
        }
        None if text.contains("==") => vec!["pypi"],
        None if text.starts_with('@') => vec!["npm"],
        None if text.contains('@') => vec!["npm", "crate"],
        None if text.contains('=') => vec!["deb"],
        None => SHORT_FORMS.to_vec(),
    };
    let name = text.split_once(':').map_or(text, |(_, name)| name);
    forms
        .into_iter()
        .map(|form| format!("{form}:{name}"))
        .filter(|text| text.parse::<Subject>().is_ok())
        .collect()
}

/// Reads a recipe: a file, or a built-in one.
pub(super) fn recipe(path: &Path) -> Result<Recipe, Failure> {
    let error = match Recipe::read(path) {
        Ok(recipe) => return Ok(recipe),
        Err(error) => error,
    };
    match &error {
        RecipeError::Read { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
            let name = path.display().to_string();
            let known = Recipe::names();
            let list = format!("the built-in recipes are {}", known.join(", "));
            Err(Failure::usage(format!(
                "cannot find the recipe {name}: no file or built-in recipe has this name"
            ))
            .with_help(match nearest(&name, known) {
                Some(found) => format!("did you mean {found}? {list}"),
                None => list,
            }))
        }
        _ => Err(error.into()),
    }
}

/// Reads a list of normalisations, for clap.
pub(super) fn normalisations(text: &str) -> Result<Chosen, String> {
    Chosen::parse(text).map_err(|error| {
        let known: Vec<_> = Normalisation::ALL.iter().map(|known| known.name()).collect();
        let mut words = text.split(',').map(|word| word.trim().trim_start_matches('-'));
        let wrong = words
            .find(|word| Chosen::parse(word).is_err())
            .unwrap_or_default();
        let meant = nearest(wrong, known).map_or_else(String::new, |name| format!("; did you mean {name}?"));
        format!("{error}{meant} (\"rebuilder compare --list-normalisations\" prints all of them)")
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_nearest_name_is_the_one_that_was_meant() {
        for (text, known, wanted) in [
            ("tar-tme", &["tar-time", "tar-owners"][..], Some("tar-time")),
            ("rust", &["go", "rust-cargo"], Some("rust-cargo")),
            (
                "idna-3.10-py3-none-any.whl",
                &["idna-3.10-py2.py3-none-any.whl", "x.whl"],
                Some("idna-3.10-py2.py3-none-any.whl"),
            ),
            ("nothing", &["bookworm-build"], None),
            ("", &["a"], Some("a")),
        ] {
            assert_eq!(nearest(text, known.iter().copied()), wanted, "{text}");
        }
    }

    #[test]
    fn names_of_packages_are_suggested_in_every_form_that_fits() {
        for (text, wanted) in [
            (
                "flask",
                &["deb:flask", "pypi:flask", "npm:flask", "crate:flask"][..],
            ),
            ("flask==3.0.3", &["pypi:flask==3.0.3"]),
            ("cargo:itoa", &["crate:itoa"]),
            ("pyp:idna", &["pypi:idna"]),
            ("@scope/name", &["npm:@scope/name"]),
            ("gem:rails", &[]),
        ] {
            assert_eq!(meanings(text), wanted, "{text}");
        }
    }
}
