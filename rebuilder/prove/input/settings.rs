//! `rebuilder.toml`: a project's description of its build, for what cannot be detected.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::names;
use crate::bounded;
use crate::plan::Dependencies;
use crate::prove::ProveError;
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
    /// Variables of the build.
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
            Ok(text) => toml::from_str(&text).map_err(|error| invalid(error.to_string())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(invalid(error.to_string())),
        }
    }
}

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

# Variables of the build.
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
}
