//! How a tarball was packed: in which folder, after which scripts, with or without its dependencies.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::plan::Draft;
use crate::artifact::git_source;
use crate::ecosystem::PlanError;
use crate::evidence::json::member;
use crate::evidence::slsa::Build;
use crate::evidence::workflow::Workflow;
use crate::plan::Origin;

/// How the tarball was packed.
pub(super) struct Packing {
    pub directory: String,
    pub scripts: Vec<String>,
    pub installs: bool,
    /// File in the folder that takes npm's answer; empty if there is none.
    pub pack_list: &'static str,
    pub origin: Origin,
}

/// What `package.json` says about packing.
#[derive(Deserialize)]
struct Package {
    name: Option<String>,
    version: Option<String>,
    #[serde(default)]
    scripts: BTreeMap<String, Value>,
    #[serde(default, rename = "bundleDependencies", alias = "bundledDependencies")]
    bundled: Value,
}

/// Scripts that npm itself runs when it packs.
const PACK_SCRIPTS: [&str; 2] = ["prepack", "prepare"];

impl Package {
    /// Whether a script only installs: that is npm's own installing, from the lock file.
    fn is_install(&self, name: &str) -> bool {
        let text = self.scripts.get(name).and_then(Value::as_str);
        name == "ci" && text.is_none_or(|text| text.trim() == "npm ci")
            || text.is_some_and(|text| text.trim() == "npm ci")
    }
}

impl Draft<'_> {
    pub(super) fn packing(&self) -> Result<Packing, PlanError> {
        let (directory, scripts, pack_list, origin) = self.declared();
        let package = self.package(&directory)?;
        let plain = |name: &String| {
            name.chars()
                .all(|c| c.is_ascii_alphanumeric() || "-_:.".contains(c))
        };
        if let Some(odd) = scripts.iter().find(|name| !plain(name)) {
            return Err(self.cannot(format!("a script is called {odd:?}"), "nothing was built"));
        }
        let wants_install = scripts.iter().any(|name| package.is_install(name));
        let run: Vec<_> = scripts
            .iter()
            .filter(|name| {
                !package.is_install(name) && package.scripts.contains_key(*name) && *name != "test"
            })
            .cloned()
            .collect();
        let packs_with_scripts = self.scripts
            && PACK_SCRIPTS
                .iter()
                .any(|name| package.scripts.contains_key(*name));
        let bundles = package.bundled.as_array().is_some_and(|list| !list.is_empty());
        Ok(Packing {
            installs: (wants_install || packs_with_scripts)
                && (!run.is_empty() || packs_with_scripts || bundles),
            directory,
            scripts: run,
            pack_list,
            origin,
        })
    }

    /// Folder, scripts and the file for npm's answer, as the builder's parameters or the workflow give them.
    fn declared(&self) -> (String, Vec<String>, &'static str, Origin) {
        match &self.provenance.build {
            Build::SlsaNode {
                directory, scripts, ..
            } => (
                directory
                    .trim_start_matches("./")
                    .trim_matches(['/', '.'])
                    .to_owned(),
                scripts.clone(),
                "pack.json",
                Origin::Declared("the provenance's parameters".into()),
            ),
            _ => (
                self.repository_directory(),
                self.workflow
                    .as_ref()
                    .map(Workflow::npm_scripts)
                    .unwrap_or_default(),
                "",
                Origin::Inferred(match &self.provenance.workflow {
                    Some(path) if self.workflow.is_some() => format!("the steps of {path} at the commit"),
                    _ if self.scripts => {
                        "no workflow file could be read, so only npm's own scripts run".into()
                    }
                    _ => "no document records which scripts ran".into(),
                }),
            ),
        }
    }

    /// The `package.json` of a folder of the source, which must be of the very version.
    fn package(&self, directory: &str) -> Result<Package, PlanError> {
        let path = if directory.is_empty() {
            "package.json".to_owned()
        } else {
            format!("{directory}/package.json")
        };
        let text = self.checkout.file(&path)?;
        let text =
            text.ok_or_else(|| self.cannot(format!("its source has no {path}"), "nothing was built"))?;
        let package: Package = serde_json::from_slice(&text).map_err(|error| PlanError::Document {
            subject: self.purl.to_owned(),
            document: path.clone(),
            reason: error.to_string(),
        })?;
        let named = |name: Option<&str>, version: Option<&str>| {
            format!("{}@{}", name.unwrap_or("?"), version.unwrap_or("?"))
        };
        let found = named(package.name.as_deref(), package.version.as_deref());
        let wanted = named(Some(&self.subject.name), self.subject.version.as_deref());
        if found != wanted {
            return Err(self.cannot(
                format!("{path} at the commit is {found}, not {wanted}"),
                "the workflow may set the version; a recipe given with --recipe can do the same",
            ));
        }
        Ok(package)
    }

    /// The folder that a hint or the registry's metadata names, in repositories of several packages.
    fn repository_directory(&self) -> String {
        if let Some(folder) = self.planner.hints.folder() {
            return folder.to_owned();
        }
        let directory = self
            .version
            .and_then(|version| member(&version.repository, ["directory"]).as_str());
        let inside = git_source::folder(directory.unwrap_or_default());
        inside.unwrap_or_default().to_owned()
    }
}
