//! The arguments of `pip install`, taken apart: where to look, how to resolve, and where to install.
//!
//! Only known options are accepted: an unknown one could make pip run code that was not checked.

use std::path::Path;

use super::file::{self, Line};
use super::requirement::{self, Requirement};
use super::settings::Setting;
use crate::bounded;
use crate::cli::failure::Failure;

#[cfg(test)]
mod tests;

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
    /// Requirements, one per line, for a file that the gate writes.
    pub requirements: Vec<String>,
    /// Constraints, in the same form.
    pub constraints: Vec<String>,
    /// Addresses of wheels among both.
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

static KNOWN: [Known; 40] = [
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
    flag("--require-virtualenv", None, ALL),
];

/// Options whose settings have several values.
const REPEATED: [&str; 7] = [
    "--extra-index-url",
    "--find-links",
    "--trusted-host",
    "--platform",
    "--abi",
    "--use-feature",
    "--use-deprecated",
];

/// How deeply files of requirements may include each other.
const DEPTH: u32 = 8;

impl Arguments {
    /// Reads the arguments after `--`; the settings come before them.
    pub fn read(words: &[String], settings: &[Setting]) -> Result<Self, Failure> {
        let Some(("install", rest)) = words.split_first().map(|(first, rest)| (first.as_str(), rest)) else {
            return Err(Failure::usage(
                "cannot run this pip command: the gate supports only \"pip install\"".into(),
            ));
        };
        let mut read = Self::default();
        for setting in settings {
            read.setting(setting)?;
        }
        let (mut files, mut asked) = (Vec::new(), false);
        let mut rest = rest.iter().cloned();
        while let Some(word) = rest.next() {
            if !word.starts_with('-') {
                read.requirement(&word, &[], false)?;
                asked = true;
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
            if let Some(constrains) = names_file(&name) {
                files.push((value()?, constrains));
                asked |= !constrains;
                continue;
            }
            let known = known(&name).ok_or_else(|| unknown(&word))?;
            let value = if known.has_value {
                Some(value()?)
            } else if inline.is_some() {
                return Err(Failure::usage(format!(
                    "cannot use {word} of pip: {name} does not take a value"
                )));
            } else {
                None
            };
            read.options.push((known, value));
        }
        if !asked {
            return Err(Failure::usage("cannot run pip: no requirement was given".into())
                .with_help("name packages, or a file of requirements with --requirement"));
        }
        // pip goes by what a file says after what the command line says.
        for (path, constrains) in files {
            read.file(Path::new(&path), constrains, DEPTH)?;
        }
        Ok(read)
    }

    /// The options for one run.
    pub fn of(&self, phase: Phase) -> Vec<String> {
        let of = |(known, value): &(&Known, Option<String>)| match value {
            Some(value) => format!("{}={value}", known.name),
            None => known.name.to_owned(),
        };
        let options = self.options.iter();
        options
            .filter(|(known, _)| known.phases.contains(&phase))
            .map(of)
            .collect()
    }

    /// Whether the user named this address.
    pub fn names_url(&self, url: &str) -> bool {
        self.urls.iter().any(|known| known == url)
    }

    /// An option that is set in the environment or in pip's configuration.
    fn setting(&mut self, setting: &Setting) -> Result<(), Failure> {
        let known = known(&format!("--{}", setting.name)).ok_or_else(|| setting.refused())?;
        if !known.has_value {
            if setting.is_on()? {
                self.options.push((known, None));
            }
        } else if REPEATED.contains(&known.name) {
            let values = setting.value.split_whitespace();
            self.options
                .extend(values.map(|value| (known, Some(value.to_owned()))));
        } else {
            self.options.push((known, Some(setting.value.clone())));
        }
        Ok(())
    }

    /// A requirement must be a name, or the address of a wheel.
    fn requirement(&mut self, text: &str, hashes: &[String], constrains: bool) -> Result<(), Failure> {
        match requirement::read(text) {
            None => {
                return Err(Failure::usage(format!(
                    "cannot check {text:?}: to resolve folders, repositories and source archives, pip runs \
                    their code"
                ))
                .with_help("require a released package as NAME==VERSION, or a wheel by its http address"));
            }
            Some(Requirement::Named) => {}
            Some(Requirement::Wheel(url)) => self.urls.push(url),
        }
        let line = [&[text.to_owned()], hashes].concat().join(" ");
        if constrains {
            self.constraints.push(line);
        } else {
            self.requirements.push(line);
        }
        Ok(())
    }

    /// A file of requirements or constraints, and those that it names.
    fn file(&mut self, path: &Path, constrains: bool, depth: u32) -> Result<(), Failure> {
        let unusable = |reason: String| {
            Failure::usage(format!(
                "cannot use the requirements {}: {reason}",
                path.display()
            ))
            .with_help("docs/gates.md says what such a file may contain")
        };
        let below = depth
            .checked_sub(1)
            .ok_or_else(|| unusable("they include each other".into()))?;
        let text =
            bounded::read_text(path, bounded::DOCUMENT).map_err(|error| unusable(error.to_string()))?;
        for line in file::read(&text).map_err(unusable)? {
            match line {
                Line::Requirement(text, hashes) => self.requirement(&text, &hashes, constrains)?,
                Line::Option(name, value) => {
                    let value = value.as_deref();
                    if let (Some(constrains), Some(value)) = (names_file(&name), value) {
                        self.file(&file::beside(path, value), constrains, below)?;
                    } else if let Some(known) = known(&name) {
                        self.options
                            .push((known, value.map(|value| file::place(path, known.name, value))));
                    }
                }
            }
        }
        Ok(())
    }
}

/// Whether an option names a file of constraints, or of requirements.
fn names_file(name: &str) -> Option<bool> {
    match name {
        "-r" | "--requirement" => Some(false),
        "-c" | "--constraint" => Some(true),
        _ => None,
    }
}

fn known(name: &str) -> Option<&'static Known> {
    KNOWN
        .iter()
        .find(|known| known.name == name || known.short == Some(name))
}

fn unknown(word: &str) -> Failure {
    let builds = ["-e", "--editable", "--no-binary", "--only-binary"];
    let why = if builds.iter().any(|name| word.starts_with(name)) {
        "the gate accepts only released wheels, because pip runs the code of anything else before it can be \
        checked"
    } else {
        "the gate does not support this option"
    };
    Failure::usage(format!("cannot use {word} of pip: {why}"))
}
