//! `rebuilder.toml`: a project's description of its build, for what cannot be detected.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::names;
use crate::bounded;
use crate::plan::Dependencies;
use crate::prove::{ProveError, vary};
use crate::reader::{Reader, as_folder};

/// Name of the file, at the top of a project.
pub const SETTINGS: &str = "rebuilder.toml";

/// The content of the file; every field is optional.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Kind of the project.
    pub kind: Option<String>,
    /// Name of the container definition.
    pub container: Option<String>,
    /// Image by digest, instead of a container definition.
    pub image: Option<String>,
    /// Where the source names its build dependencies.
    pub dependencies: Option<Dependencies>,
    /// Additional packages of the container's archive that the build needs.
    #[serde(default)]
    pub packages: Vec<String>,
    /// How it is built.
    pub build: Option<String>,
    /// Patterns of the outputs.
    pub outputs: Option<Vec<String>>,
    /// Variables of the script that builds, and of nothing else.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
}

impl Settings {
    /// The settings of a project; those of one without the file are empty.
    pub(super) fn read(folder: &Path) -> Result<Self, ProveError> {
        let path = folder.join(SETTINGS);
        let invalid = |reason: String| ProveError::Settings {
            path: path.display().to_string(),
            reason,
        };
        match bounded::read_text_within(folder, Path::new(SETTINGS), bounded::DOCUMENT) {
            Ok(text) => {
                let this: Self = toml::from_str(&text).map_err(|error| invalid(error.to_string()))?;
                this.check_variables().map_err(invalid)?;
                Ok(this)
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(invalid(error.to_string())),
        }
    }

    /// The error is the reason why a variable cannot be set.
    fn check_variables(&self) -> Result<(), String> {
        let own = vary::own_variables();
        for (name, value) in &self.env {
            let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
            if name.is_empty() || !name.chars().all(is_name) || name.starts_with(|c: char| c.is_ascii_digit())
            {
                return Err(format!(
                    "[env] has {name:?}, which cannot be the name of a variable"
                ));
            }
            if value.contains('\0') {
                return Err(format!("the value of {name} in [env] has a zero byte"));
            }
            if OF_SHELLS.contains(&name.as_str()) {
                return Err(format!("[env] has {name}, which shells set themselves"));
            }
            if own.contains(name.as_str()) {
                return Err(format!(
                    "[env] has {name}, which \"rebuilder prove\" sets or varies; if a build needs one value of it, its script can set it"
                ));
            }
        }
        Ok(())
    }
}

/// Variables that a shell does not let anybody set.
const OF_SHELLS: [&str; 6] = ["BASHOPTS", "BASH_VERSINFO", "EUID", "PPID", "SHELLOPTS", "UID"];

/// The file that `--init` writes for a project of this kind. Everything except the kind is commented out.
pub fn template(kind: &str) -> String {
    format!(
        "\
# How \"rebuilder prove\" builds this project. Every setting is optional; docs/prove.md describes them.

# One of {known}.
kind = \"{kind}\"

# Where it is built: a container (\"rebuilder container list\") or an image by its digest.
# container = \"bookworm-build\"
# image = \"docker.io/library/debian@sha256:…\"

# Additional packages of the container's archive that the build needs.
# packages = [\"zlib1g-dev\"]

# Where the source names its build dependencies: \"none\", \"cargo\" or \"python\".
# dependencies = \"none\"

# How it is built: shell text for \"sh -eu\" in the source folder. $INSTALLED is a folder for what is installed.
# build = '''
# make
# make install DESTDIR=\"$INSTALLED\"
# '''

# The outputs: patterns below the source folder. Without patterns, the installed files, or else every new file.
# outputs = [\"dist/*\"]

# Variables of the build, but for those that are varied.
# [env]
# CFLAGS = \"-O2\"
",
        known = names().join(", ")
    )
}

/// For fuzzing.
pub const READERS: &[Reader] = &[("project-settings", |bytes| {
    as_folder(bytes, SETTINGS, |folder| drop(Settings::read(folder)));
})];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_is_a_valid_file_with_and_without_its_comments() {
        let text = template("make");
        let settings: Settings = toml::from_str(&text).unwrap();
        assert_eq!(settings.kind.as_deref(), Some("make"));
        let lines = text.lines().map(|line| match line.strip_prefix("# ") {
            Some(rest) if rest.contains('=') || rest.starts_with(['\'', '[']) || rest.starts_with("make") => {
                rest
            }
            _ => line,
        });
        let all: Settings = toml::from_str(&lines.collect::<Vec<_>>().join("\n")).unwrap();
        assert!(all.build.unwrap().contains("DESTDIR") && all.env.contains_key("CFLAGS"));
    }

    #[test]
    fn variables_that_builds_are_given_anyway_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let read = |line: &str| {
            std::fs::write(folder.path().join(SETTINGS), format!("[env]\n{line}\n")).unwrap();
            Settings::read(folder.path())
        };
        for (line, named) in [
            ("TZ = \"UTC\"", "TZ"),
            ("LC_ALL = \"C\"", "LC_ALL"),
            ("TMPDIR = \"/tmp\"", "TMPDIR"),
            ("SOURCE = \"/\"", "SOURCE"),
            ("INSTALLED = \"/\"", "INSTALLED"),
            ("PPID = \"1\"", "PPID"),
            ("\"A B\" = \"1\"", "A B"),
            ("\"A;rm\" = \"1\"", "A;rm"),
            ("1A = \"1\"", "1A"),
            ("\"\" = \"1\"", "name of a variable"),
            ("A = \"\\u0000\"", "zero byte"),
        ] {
            let error = read(line).unwrap_err().to_string();
            assert!(error.contains(named), "{line}: {error}");
        }
        for line in [
            "CFLAGS = \"-O2\"",
            "PATH = \"bin:/bin\"",
            "SOURCE_DATE_EPOCH = \"1\"",
        ] {
            read(line).unwrap();
        }
    }
}
