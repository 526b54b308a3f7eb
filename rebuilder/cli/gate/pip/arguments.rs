//! The arguments of `pip install`, taken apart: where to look, how to resolve, and where to install.
//!
//! Only options that are known are taken, as one that is not could bring code to run before it is checked.

use std::path::Path;

use crate::bounded;
use crate::cli::failure::Failure;

/// The runs of pip that an option is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Resolve,
    Download,
    Install,
}

/// Arguments that were read.
#[derive(Debug, Default)]
pub(super) struct Arguments {
    options: Vec<(&'static Known, Option<String>)>,
    /// Requirements, and the options with files of them, as they were given.
    pub requirements: Vec<String>,
    /// Addresses of wheels among the requirements and in their files.
    urls: Vec<String>,
}

/// An option of pip.
#[derive(Debug)]
struct Known {
    name: &'static str,
    short: Option<&'static str>,
    has_value: bool,
    phases: &'static [Phase],
}

const ALL: &[Phase] = &[Phase::Resolve, Phase::Download, Phase::Install];
const FETCH: &[Phase] = &[Phase::Resolve, Phase::Download];
const PLACE: &[Phase] = &[Phase::Resolve, Phase::Install];
const RESOLVE: &[Phase] = &[Phase::Resolve];
const INSTALL: &[Phase] = &[Phase::Install];

const fn with(name: &'static str, short: Option<&'static str>, phases: &'static [Phase]) -> Known {
    Known {
        name,
        short,
        has_value: true,
        phases,
    }
}

const fn flag(name: &'static str, short: Option<&'static str>, phases: &'static [Phase]) -> Known {
    Known {
        name,
        short,
        has_value: false,
        phases,
    }
}

static KNOWN: [Known; 39] = [
    with("--index-url", Some("-i"), FETCH),
    with("--extra-index-url", None, FETCH),
    with("--find-links", Some("-f"), FETCH),
    flag("--no-index", None, FETCH),
    flag("--pre", None, FETCH),
    with("--platform", None, ALL),
    with("--python-version", None, ALL),
    with("--implementation", None, ALL),
    with("--abi", None, ALL),
    with("--trusted-host", None, FETCH),
    with("--proxy", None, FETCH),
    with("--cert", None, FETCH),
    with("--client-cert", None, FETCH),
    with("--keyring-provider", None, FETCH),
    with("--retries", None, FETCH),
    with("--timeout", None, FETCH),
    with("--exists-action", None, FETCH),
    with("--cache-dir", None, FETCH),
    flag("--no-cache-dir", None, FETCH),
    with("--use-feature", None, ALL),
    with("--use-deprecated", None, ALL),
    with("--log", None, ALL),
    flag("--no-deps", None, RESOLVE),
    flag("--upgrade", Some("-U"), PLACE),
    with("--upgrade-strategy", None, PLACE),
    flag("--force-reinstall", None, PLACE),
    flag("--ignore-installed", Some("-I"), PLACE),
    flag("--ignore-requires-python", None, ALL),
    flag("--user", None, PLACE),
    with("--target", Some("-t"), PLACE),
    with("--root", None, PLACE),
    with("--prefix", None, PLACE),
    flag("--break-system-packages", None, PLACE),
    with("--root-user-action", None, INSTALL),
    flag("--compile", None, INSTALL),
    flag("--no-compile", None, INSTALL),
    flag("--no-warn-script-location", None, INSTALL),
    flag("--require-hashes", None, RESOLVE),
    flag("--prefer-binary", None, RESOLVE),
];

/// How deep files of requirements may name each other.
const DEPTH: u32 = 8;

impl Arguments {
    /// Reads the arguments after `--`.
    pub fn read(words: &[String]) -> Result<Self, Failure> {
        let Some(("install", rest)) = words.split_first().map(|(first, rest)| (first.as_str(), rest)) else {
            return Err(Failure::usage(
                "cannot run this command of pip: the gate is for \"pip install\" alone".into(),
            ));
        };
        let mut read = Self::default();
        let mut rest = rest.iter().cloned();
        while let Some(word) = rest.next() {
            if !word.starts_with('-') {
                read.requirement(&word)?;
                read.requirements.push(word);
                continue;
            }
            let (name, inline) = match word.split_once('=') {
                Some((name, value)) if name.starts_with("--") => (name.to_owned(), Some(value.to_owned())),
                _ => (word.clone(), None),
            };
            let mut value = || {
                inline.clone().or_else(|| rest.next()).ok_or_else(|| {
                    Failure::usage(format!("cannot read the arguments of pip: {name} needs a value"))
                })
            };
            if matches!(name.as_str(), "-r" | "--requirement" | "-c" | "--constraint") {
                let file = value()?;
                read.file(Path::new(&file), DEPTH)?;
                read.requirements.extend([name, file]);
                continue;
            }
            let known = KNOWN
                .iter()
                .find(|known| known.name == name || known.short == Some(name.as_str()));
            let known = known.ok_or_else(|| unknown(&word))?;
            let value = if known.has_value { Some(value()?) } else { None };
            read.options.push((known, value));
        }
        Ok(read)
    }

    /// The options for one run.
    pub fn of(&self, phase: Phase) -> Vec<String> {
        let mut words = Vec::new();
        for (known, value) in &self.options {
            if known.phases.contains(&phase) {
                words.push(known.name.to_owned());
                words.extend(value.clone());
            }
        }
        words
    }

    /// Whether the user named this address.
    pub fn names_url(&self, url: &str) -> bool {
        self.urls.iter().any(|known| known == url)
    }

    /// A requirement must be a name, or the address of a wheel.
    fn requirement(&mut self, text: &str) -> Result<(), Failure> {
        let place = match text.split_once('@') {
            // NAME @ URL; a version has no such sign.
            Some((name, url)) if !name.contains(['/', ':']) => url.trim(),
            _ => text.trim(),
        };
        // What follows is a condition, or options of one requirement.
        let place = place.split([';', ' ']).next().unwrap_or_default();
        let is_place = place.contains(['/', '\\']) || place.starts_with('.') || Path::new(place).exists();
        if !is_place {
            return Ok(());
        }
        let bare = place.split(['?', '#']).next().unwrap_or_default();
        if bare.ends_with(".whl") && !place.starts_with("git+") {
            self.urls.push(bare.to_owned());
            return Ok(());
        }
        Err(Failure::usage(format!(
            "cannot check {text:?}: pip runs the code of folders, repositories and source archives to resolve them"
        ))
        .with_help("require a released package by name, or a wheel"))
    }

    /// A file of requirements or constraints, and those that it names.
    fn file(&mut self, path: &Path, depth: u32) -> Result<(), Failure> {
        let unusable = |reason: String| {
            Failure::usage(format!(
                "cannot use the requirements {}: {reason}",
                path.display()
            ))
        };
        let below = depth
            .checked_sub(1)
            .ok_or_else(|| unusable("they name each other".into()))?;
        let text =
            bounded::read_text(path, bounded::DOCUMENT).map_err(|error| unusable(error.to_string()))?;
        let folder = path.parent().unwrap_or(Path::new(""));
        for line in text.replace("\\\n", " ").lines() {
            let line = line.split(" #").next().unwrap_or_default().trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if !line.starts_with('-') {
                self.requirement(line)?;
                continue;
            }
            let (name, value) = line.split_once(['=', ' ']).unwrap_or((line, ""));
            let value = value.trim().trim_start_matches('=').trim();
            match name {
                "-r" | "--requirement" | "-c" | "--constraint" => self.file(&folder.join(value), below)?,
                "-i" | "--index-url" | "--extra-index-url" | "-f" | "--find-links" | "--no-index"
                | "--pre" | "--trusted-host" | "--require-hashes" | "--prefer-binary" => {
                    let known = KNOWN
                        .iter()
                        .find(|known| known.name == name || known.short == Some(name));
                    // The file itself is not given to the run that fetches, but its indexes are.
                    if let Some(known) = known.filter(|known| known.phases.contains(&Phase::Download)) {
                        let value = known.has_value.then(|| value.to_owned());
                        self.options.push((known, value));
                    }
                }
                _ => {
                    return Err(unusable(format!(
                        "the option {name} cannot be used with the gate"
                    )));
                }
            }
        }
        Ok(())
    }
}

fn unknown(word: &str) -> Failure {
    let builds = ["-e", "--editable", "--no-binary", "--only-binary"];
    let why = if builds.iter().any(|name| word.starts_with(name)) {
        "the gate takes released wheels alone, as pip runs the code of everything else before it can be checked"
    } else {
        "the gate does not know this option"
    };
    Failure::usage(format!("cannot use {word} of pip: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Arguments, String> {
        let words: Vec<_> = text.split_whitespace().map(str::to_owned).collect();
        Arguments::read(&words).map_err(|failure| failure.message())
    }

    #[test]
    fn options_go_where_they_belong() {
        let given = read("install -i https://i.example/simple --target=lib idna==3.10 -U attrs>=20").unwrap();
        assert_eq!(given.requirements, ["idna==3.10", "attrs>=20"]);
        let (index, target) = (
            ["--index-url", "https://i.example/simple"],
            ["--target", "lib", "--upgrade"],
        );
        assert_eq!(given.of(Phase::Resolve), [&index[..], &target[..]].concat());
        assert_eq!(given.of(Phase::Download), index);
        assert_eq!(given.of(Phase::Install), target);
    }

    #[test]
    fn refuses_what_runs_code_before_it_is_checked() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let nested = file(
            "nested.txt",
            "idna \\\n  --hash=sha256:00\n-e git+https://h.example/r\n",
        );
        for (text, reason) in [
            ("download idna".to_owned(), "alone"),
            ("install -e .".to_owned(), "-e"),
            ("install .".to_owned(), "folders"),
            ("install git+https://h.example/r".to_owned(), "folders"),
            ("install a@git+https://h.example/r".to_owned(), "folders"),
            ("install https://h.example/a-1.tar.gz".to_owned(), "folders"),
            ("install https://h.example/a-1.tar.gz#x.whl".to_owned(), "folders"),
            ("install --no-binary :all: idna".to_owned(), "--no-binary"),
            ("install --config-settings a=b idna".to_owned(), "does not know"),
            ("install --target".to_owned(), "needs a value"),
            (format!("install -r {nested}"), "-e cannot be used"),
            (
                format!("install -r {}", file("loop.txt", "-r loop.txt\n")),
                "name each other",
            ),
            (
                format!("install -r {}", file("at.txt", "a @ file:///tmp/a\n")),
                "folders",
            ),
        ] {
            let error = read(&text).map(|_| ()).unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
        }
        for text in [
            "install idna==3.10".to_owned(),
            "install idna[all]>=3;python_version>'3'".to_owned(),
            "install https://h.example/a-1-py3-none-any.whl".to_owned(),
            format!(
                "install -r {}",
                file("good.txt", "# all\nidna==3.10 --hash=sha256:00 # why\n")
            ),
        ] {
            assert!(read(&text).is_ok(), "{text}");
        }
    }
}
