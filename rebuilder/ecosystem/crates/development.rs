//! Crates that were published without their development dependencies.
//!
//! Members of a workspace often need each other only for tests, in a circle that no order of publishing resolves. A
//! tool such as `cargo hack --no-dev-deps` removes these dependencies from the manifest, calls cargo, and puts the
//! manifest back. The manifest in the crate shows it, and how it was done.

use super::checkout_state::CheckoutState;
use super::package::Package;
use crate::plan::{Assumption, Origin, assume};

/// How the tables are removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Removal {
    /// With the comments and empty lines before each, which belong to it.
    Tables,
    /// From the line that names each to the one that names the next.
    Lines,
}

impl Removal {
    /// How they were removed, if the released manifest is that of the source without them. A checkout without changes
    /// has them.
    pub fn of(package: &Package, state: CheckoutState, manifest: Option<&[u8]>) -> Option<Self> {
        let source = std::str::from_utf8(manifest?).ok()?;
        let packed = package.manifest.as_deref().filter(|packed| *packed != source)?;
        let shown = |removal: &Self| state != CheckoutState::Clean && removal.apply(source) == packed;
        [Self::Tables, Self::Lines].into_iter().find(shown)
    }

    /// A manifest without these tables; the recipe does the same.
    fn apply(self, manifest: &str) -> String {
        let (mut left, mut held, mut gone) = (String::new(), String::new(), false);
        for line in manifest.split_inclusive('\n') {
            let text = line.trim();
            if is_header(text) {
                gone = is_of_development(text);
                if gone {
                    held.clear();
                }
            }
            if self == Self::Tables && (text.is_empty() || text.starts_with('#')) {
                held.push_str(line);
            } else if gone {
                held.clear();
            } else {
                left.push_str(&held);
                held.clear();
                left.push_str(line);
            }
        }
        left + &held
    }

    /// The value of the recipe's variable.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tables => "tables",
            Self::Lines => "lines",
        }
    }

    pub fn assumption(self) -> Assumption {
        let value = match self {
            Self::Tables => "removed from Cargo.toml before it was packed, as by cargo-hack",
            Self::Lines => "removed from Cargo.toml before it was packed, as by cargo-hack before 0.5.15",
        };
        let from = "Cargo.toml.orig of the released crate, which is that of the commit without them";
        assume("development dependencies", value, Origin::Inferred(from.into()))
    }
}

/// Whether a line names a table.
fn is_header(line: &str) -> bool {
    let rest = line.strip_prefix('[').and_then(|line| line.rsplit_once(']'));
    rest.is_some_and(|(_, rest)| rest.is_empty() || rest.trim_start().starts_with('#'))
}

/// Whether the table is one of development dependencies, of all targets or of some.
fn is_of_development(header: &str) -> bool {
    let name = header.replace([' ', '\t'], "");
    let of_target = name.starts_with("[target.");
    let names = ["dev-dependencies]", "dev-dependencies."];
    names.iter().any(|all| {
        name.strip_prefix('[').is_some_and(|name| name.starts_with(all))
            || of_target && name.contains(&format!(".{all}"))
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::process::Command;

    use super::*;
    use crate::plan::Recipe;

    /// What the recipe's step leaves of a manifest.
    fn by_the_recipe(manifest: &str, removal: &str) -> String {
        let recipe = Recipe::built_in("crate").unwrap();
        let mut steps = recipe.build.steps.iter();
        let step = steps.find(|step| step.name == "remove development dependencies");
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("Cargo.toml");
        fs::write(&place, manifest).unwrap();
        let temporary = folder.path().join("without").display().to_string();
        let output = Command::new("sh")
            .args(["-euc", &step.unwrap().run.replace("/tmp/without", &temporary)])
            .env("SOURCE", folder.path())
            .env("FOLDER", "")
            .env("DEV_DEPENDENCIES", removal)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        fs::read_to_string(place).unwrap()
    }

    // The cases are those of cargo-hack's own tests, and forms of real manifests.
    #[test]
    fn tables_of_development_dependencies_are_removed_as_cargo_hack_removes_them() {
        let all = "[target.'cfg(any(unix, windows))'.dev-dependencies]\na = \"1\"\n";
        let of_targets = format!("[package]\n{all}[target.'cfg(unix)'.dependencies]\nb = \"1\"\n");
        for (manifest, tables, lines) in [
            ("[package]\n", "[package]\n", "[package]\n"),
            (
                "[package]\n\n[dev-dependencies]\na = \"1\"\n",
                "[package]\n",
                "[package]\n\n",
            ),
            (
                "[package]\n\n\n[dev-dependencies.serde]\n\n\n[dev-dependencies]\n",
                "[package]\n",
                "[package]\n\n\n",
            ),
            (
                "[package]\n\n# Only for tests.\n[dev-dependencies] # few\na = \"1\"\n\n# b\nb = \"1\"\n\n# All.\n[features]\n",
                "[package]\n\n# All.\n[features]\n",
                "[package]\n\n# Only for tests.\n[features]\n",
            ),
            (
                "[package]\n[dev-dependencies]\na = \"1\"\n\n# The end.\n",
                "[package]\n\n# The end.\n",
                "[package]\n",
            ),
            (
                of_targets.as_str(),
                "[package]\n[target.'cfg(unix)'.dependencies]\nb = \"1\"\n",
                "[package]\n[target.'cfg(unix)'.dependencies]\nb = \"1\"\n",
            ),
            (
                "[package]\ndev-dependencies = [\n  [\"dev-dependencies\"],\n]\n[dev-dependencies-of]\n",
                "[package]\ndev-dependencies = [\n  [\"dev-dependencies\"],\n]\n[dev-dependencies-of]\n",
                "[package]\ndev-dependencies = [\n  [\"dev-dependencies\"],\n]\n[dev-dependencies-of]\n",
            ),
            (
                "[package.metadata.dev-dependencies]\na = \"1\"\n",
                "[package.metadata.dev-dependencies]\na = \"1\"\n",
                "[package.metadata.dev-dependencies]\na = \"1\"\n",
            ),
        ] {
            for (removal, expected) in [(Removal::Tables, tables), (Removal::Lines, lines)] {
                assert_eq!(removal.apply(manifest), expected, "{removal:?} {manifest}");
                assert_eq!(
                    by_the_recipe(manifest, removal.name()),
                    expected,
                    "{removal:?} {manifest}"
                );
            }
            assert_eq!(by_the_recipe(manifest, ""), manifest);
        }
    }
}
