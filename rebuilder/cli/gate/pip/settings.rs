//! pip's settings, in the environment and in its configuration. The gate treats those that it knows as options, ignores
//! those that do not change what is installed, and refuses all others. pip itself sees none of them.

use std::process::Command;

use super::super::step;
use crate::cli::failure::Failure;

/// A setting, by the long name of its option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Setting {
    pub name: String,
    pub value: String,
}

/// Settings that change only pip's output, or how it builds, which it does not do here.
const HARMLESS: [&str; 19] = [
    "build-isolation",
    "check-build-dependencies",
    "config-file",
    "debug",
    "disable-pip-version-check",
    "format",
    "no-build-isolation",
    "no-clean",
    "no-color",
    "no-input",
    "no-python-version-warning",
    "no-warn-conflicts",
    "only-binary",
    "progress-bar",
    "quiet",
    "src",
    "use-pep517",
    "verbose",
    // pip names it to indexes.
    "is-ci",
];
/// Other names of the same option.
const ALIASES: [(&str, &str); 4] = [
    ("default-timeout", "timeout"),
    ("pypi-url", "index-url"),
    ("require-venv", "require-virtualenv"),
    ("source", "src"),
];

/// The settings that pip would use, in order: the last one wins.
pub(super) fn read(pip: &std::path::Path) -> Result<Vec<Setting>, Failure> {
    let mut command = Command::new(pip);
    let mut own = Vec::new();
    for (name, value) in std::env::vars_os() {
        let Some(option) = name.to_string_lossy().strip_prefix("PIP_").map(str::to_owned) else {
            continue;
        };
        if name != "PIP_CONFIG_FILE" {
            command.env_remove(&name);
        }
        let value = value.into_string().map_err(|_| {
            Failure::usage(format!(
                "cannot use the variable PIP_{option}: it is not in UTF-8"
            ))
        })?;
        own.extend(setting(&option, value));
    }
    let listed = step(command.args(["config", "list"]), "read pip's configuration")?;
    let listed = String::from_utf8_lossy(&listed);
    let (mut global, mut narrow) = (Vec::new(), Vec::new());
    for line in listed.lines() {
        let Some((section, option, value)) = entry(line)? else {
            continue;
        };
        match section {
            "global" => global.extend(setting(option, value)),
            "install" | "download" => narrow.extend(setting(option, value)),
            _ => {}
        }
    }
    global.extend(narrow);
    global.extend(own);
    Ok(global)
}

/// Removes the settings from a run of pip.
pub(super) fn hide(pip: &mut Command) {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("PIP_") {
            pip.env_remove(name);
        }
    }
    // With this file, pip reads no configuration at all.
    pip.env("PIP_CONFIG_FILE", "/dev/null");
}

/// A setting that is not empty and that changes something.
fn setting(option: &str, value: String) -> Option<Setting> {
    let name = option.to_lowercase().replace('_', "-");
    let alias = ALIASES.iter().find(|(other, _)| *other == name);
    let name = alias.map_or(name, |(_, name)| (*name).to_owned());
    let matters = !value.is_empty() && !HARMLESS.contains(&name.as_str());
    matters.then_some(Setting { name, value })
}

/// A line of `pip config list`: the section, the option, and the value as a Python string literal.
fn entry(line: &str) -> Result<Option<(&str, &str, String)>, Failure> {
    let Some((key, value)) = line.split_once('=') else {
        return Ok(None);
    };
    let Some((section, option)) = key.split_once('.') else {
        return Ok(None);
    };
    let unusable = || {
        Failure::usage(format!(
            "cannot read pip's configuration: {line:?} is not a setting"
        ))
    };
    let mut inner = value.chars();
    let (Some(open @ ('\'' | '"')), Some(end)) = (inner.next(), inner.next_back()) else {
        return Err(unusable());
    };
    if open != end {
        return Err(unusable());
    }
    let mut text = String::new();
    while let Some(c) = inner.next() {
        text.push(match c {
            '\\' => match inner.next() {
                Some('n') => '\n',
                Some('r') => '\r',
                Some('t') => '\t',
                Some(c @ ('\\' | '\'' | '"')) => c,
                _ => return Err(unusable()),
            },
            c => c,
        });
    }
    Ok(Some((section, option, text)))
}

impl Setting {
    /// The values that pip reads as on and off.
    pub fn is_on(&self) -> Result<bool, Failure> {
        match self.value.to_lowercase().as_str() {
            "y" | "yes" | "t" | "true" | "on" | "1" => Ok(true),
            "n" | "no" | "f" | "false" | "off" | "0" => Ok(false),
            _ => Err(Failure::usage(format!(
                "cannot use pip's setting {}: {:?} is neither yes nor no",
                self.name, self.value
            ))),
        }
    }

    pub fn refused(&self) -> Failure {
        Failure::usage(format!(
            "cannot use pip's setting {}: it could change what is installed",
            self.name
        ))
        .with_help("remove it from the environment and from pip's configuration (pip config list), or give it as an option")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_list_of_settings() {
        for (line, expected) in [
            (
                "global.index-url='https://i.example'",
                Some(("global", "index-url", "https://i.example")),
            ),
            (
                "install.find-links=\"it's\"",
                Some(("install", "find-links", "it's")),
            ),
            (
                "global.extra-index-url='a\\nb=c'",
                Some(("global", "extra-index-url", "a\nb=c")),
            ),
            (":env:.config-file='/x'", Some((":env:", "config-file", "/x"))),
            ("something else", None),
        ] {
            let expected = expected.map(|(section, option, value)| (section, option, value.to_owned()));
            assert_eq!(
                entry(line).map_err(|failure| failure.message()),
                Ok(expected),
                "{line}"
            );
        }
        for line in ["global.a='b", "global.a=b", "global.a='\\x41'", "global.a="] {
            assert!(entry(line).is_err(), "{line}");
        }
    }

    #[test]
    fn settings_have_the_names_of_options() {
        let name = |option: &str| setting(option, "x".to_owned()).map(|setting| setting.name);
        for (option, expected) in [
            ("INDEX_URL", Some("index-url")),
            ("PYPI_URL", Some("index-url")),
            ("default_timeout", Some("timeout")),
            ("REQUIREMENT", Some("requirement")),
            ("DISABLE_PIP_VERSION_CHECK", None),
            ("no-color", None),
        ] {
            assert_eq!(name(option).as_deref(), expected, "{option}");
        }
        assert_eq!(setting("requirement", String::new()), None);
    }
}
