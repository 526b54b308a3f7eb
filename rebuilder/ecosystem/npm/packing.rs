//! How a tarball was packed: in which folder, after which scripts, with or without its dependencies.

use serde_json::Value;

use super::manifest::Package;
use super::packer::Packer;
use super::plan::Draft;
use super::{scripts, source};
use crate::artifact::git_source;
use crate::compare::Member;
use crate::ecosystem::PlanError;
use crate::evidence::json::member;
use crate::evidence::slsa::Build;
use crate::evidence::workflow::Workflow;
use crate::plan::Origin;

/// How the tarball was packed.
pub(super) struct Packing {
    pub directory: String,
    pub package: Package,
    pub scripts: Vec<String>,
    pub installs: bool,
    /// The version to set before packing, if the source has another one.
    pub set_version: Option<String>,
    /// What is packed instead of the folder itself: another folder, or the output of a tool.
    pub publish: Publish,
    /// File in the folder that receives npm's output; empty if there is none.
    pub pack_list: &'static str,
    pub origin: Origin,
    /// The reason for this folder.
    pub folder_origin: Origin,
}

/// Folders with packages that are not released.
const OF_TESTS: [&str; 22] = [
    "__fixtures__",
    "__mocks__",
    "__tests__",
    "bench",
    "benchmark",
    "benchmarks",
    "demo",
    "demos",
    "e2e",
    "example",
    "examples",
    "fixture",
    "fixtures",
    "node_modules",
    "playground",
    "spec",
    "specs",
    "test",
    "testdata",
    "tests",
    "third_party",
    "vendor",
];

impl Packing {
    /// Whether a script that runs asks git.
    pub fn asks_git(&self) -> bool {
        self.package.asks_git(&self.scripts)
    }
}

/// What is packed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Publish {
    /// The folder of `package.json`.
    Folder,
    /// Another folder below it.
    Below(String),
    /// The output of a tool: one of [`COPYING`], pnpm, [`YARN`], or [`LATER_YARN`].
    Tool(&'static str),
    /// A tool changes what is packed, and it is not run here.
    Other(&'static str),
}

/// Yarn 1 as a packer, which needs nothing but its own program.
pub(super) const YARN: &str = "yarn";
/// Yarn 2 or later as a packer, which needs no more.
pub(super) const LATER_YARN: &str = "later-yarn";

/// Scripts that npm itself runs when it packs.
const PACK_SCRIPTS: [&str; 2] = ["prepack", "prepare"];

/// Tools that publish a copy, and can make it without publishing; the second one is part of the first.
const COPYING: [&str; 3] = ["dual-publish", "clean-publish", ALTERNATIVE];
/// A step of semantic-release that makes the `package.json` of the folder that is published.
const ALTERNATIVE: &str = "semantic-release-alt-publish-dir";
/// Tools that publish another folder or another `package.json`, and that are not run here.
const TOOLS: [(&str, &str); 5] = [
    (
        "clean-package",
        "clean-package, which removes fields of package.json",
    ),
    (
        "clean-pkg-json",
        "clean-pkg-json, which removes fields of package.json",
    ),
    ("publish-please", "publish-please, which publishes by itself"),
    ("@pika/pack", "@pika/pack, which publishes the folder pkg"),
    ("ng-packagr", "ng-packagr, which publishes the folder dist"),
];

impl Draft<'_> {
    pub(super) fn packing(&self) -> Result<Packing, PlanError> {
        let (mut directory, mut scripts, pack_list, mut origin) = self.declared();
        let mut folder_origin = origin.clone();
        if !self.scripts {
            directory = self.folder_of_package(directory)?;
            folder_origin = Origin::Inferred("its package.json has the name of the package".into());
        }
        let (package, set_version) = self.package(&directory)?;
        // If documents say what ran, nothing is inferred.
        if !self.scripts {
            // A workflow's commands run at the top.
            let workflow = self.publisher.as_ref().filter(|_| directory.is_empty());
            let named = workflow.map(|it| (it.path.as_str(), it.job.scripts_before_publishing()));
            let named = named.as_ref().map(|(path, scripts)| (*path, scripts.as_slice()));
            let inferred = scripts::infer(&package, &self.planner.hints.settings, named, &|path| {
                self.is_there(&directory, path)
            });
            (scripts, origin) = inferred.map_err(|reason| self.cannot(reason, "nothing was built"))?;
        }
        let plain = |name: &String| {
            name.chars()
                .all(|c| c.is_ascii_alphanumeric() || "-_:.".contains(c))
        };
        if let Some(odd) = scripts.iter().find(|name| !plain(name)) {
            return Err(self.cannot(format!("a script has the name {odd:?}"), "nothing was built"));
        }
        let publish = self.publish(&package, &directory)?;
        let wants_install = !self.scripts || scripts.iter().any(|name| package.is_install(name));
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
        Ok(Packing {
            installs: (wants_install || packs_with_scripts)
                && (!run.is_empty()
                    || packs_with_scripts
                    || package.bundles()
                    || matches!(publish, Publish::Tool(tool) if ![YARN, LATER_YARN].contains(&tool))),
            directory,
            package,
            scripts: run,
            set_version,
            publish,
            pack_list,
            origin,
            folder_origin,
        })
    }

    /// Folder, scripts and the file for npm's output, according to the builder's parameters or the workflow.
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
                    _ => "no workflow file could be read, so only npm's own scripts run".into(),
                }),
            ),
        }
    }

    /// The `package.json` of a folder of the source, and the version to set if the source has another one.
    fn package(&self, directory: &str) -> Result<(Package, Option<String>), PlanError> {
        let path = below(directory, "package.json");
        let package = self
            .manifest(directory)?
            .ok_or_else(|| self.cannot(format!("its source has no {path}"), "nothing was built"))?;
        let named = |name: Option<&str>, version: Option<&str>| {
            format!("{}@{}", name.unwrap_or("?"), version.unwrap_or("?"))
        };
        let found = named(package.name.as_deref(), package.version.as_deref());
        let wanted = named(Some(&self.subject.name), self.subject.version.as_deref());
        if found == wanted {
            return Ok((package, None));
        }
        // Release tools set the version when they publish; if there is provenance, the workflow tells what ran.
        if package.name.as_deref() == Some(self.subject.name.as_str()) && !self.scripts {
            return Ok((package, self.subject.version.clone()));
        }
        Err(self.cannot(
            format!("{path} at the commit is {found}, not {wanted}"),
            "the workflow may set the version; a recipe (--recipe) can do the same",
        ))
    }

    /// A `package.json` of the source; `None` if there is none.
    pub(super) fn manifest(&self, directory: &str) -> Result<Option<Package>, PlanError> {
        let path = below(directory, "package.json");
        let Some(text) = self.checkout.file(&path)? else {
            return Ok(None);
        };
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&text);
        let package = serde_json::from_slice(text).map_err(|error| PlanError::Document {
            subject: self.purl.to_owned(),
            document: path,
            reason: error.to_string(),
        })?;
        Ok(Some(package))
    }

    /// The folder whose `package.json` has the name of the package, if that of the given folder has another name.
    fn folder_of_package(&self, directory: String) -> Result<String, PlanError> {
        let is_it = |folder: &str| -> Result<bool, PlanError> {
            let package = self.manifest(folder)?;
            Ok(package.is_some_and(|it| it.name.as_deref() == Some(self.subject.name.as_str())))
        };
        // Packages of tests may have its name, with any content.
        let of_tests = |folder: &str| {
            let lower = folder.to_ascii_lowercase();
            lower.split('/').any(|part| OF_TESTS.contains(&part))
        };
        if self.planner.hints.folder().is_some() || !of_tests(&directory) && is_it(&directory)? {
            return Ok(directory);
        }
        let mut folders: Vec<String> = self
            .paths
            .iter()
            .filter_map(|path| path.strip_suffix("/package.json"))
            .filter(|folder| !of_tests(folder))
            .map(str::to_owned)
            .collect();
        folders.sort_by_key(|folder| (folder.matches('/').count(), folder.clone()));
        folders.insert(0, String::new());
        for folder in folders.into_iter().take(MOST_FOLDERS) {
            if is_it(&folder).unwrap_or(false) {
                return Ok(folder);
            }
        }
        Ok(if of_tests(&directory) {
            String::new()
        } else {
            directory
        })
    }

    /// Whether the source has a file or folder with this path, or a file that Node.js resolves it to.
    fn is_there(&self, directory: &str, path: &str) -> bool {
        let place = below(directory, path.trim_start_matches("./").trim_end_matches('/'));
        let folder = format!("{place}/");
        let with = |end: &str| format!("{place}{end}");
        let names = [
            place.clone(),
            with(".js"),
            with(".json"),
            with(".cjs"),
            with(".mjs"),
            with(".node"),
        ];
        self.paths
            .iter()
            .any(|file| names.contains(file) || file.starts_with(&folder))
    }

    /// What is packed, according to the source.
    fn publish(&self, package: &Package, directory: &str) -> Result<Publish, PlanError> {
        if self.scripts {
            return Ok(Publish::Folder);
        }
        let uses = |name: &str| package.dev_dependencies.contains_key(name);
        let names_folder = member(&package.release, ["pkgRoot"]).is_string();
        let copies = |tool: &&str| uses(tool) && (*tool != ALTERNATIVE || names_folder);
        // These tools remove requirements that only the development needs.
        let removed = || {
            let released = self.released.and_then(Package::released);
            released.is_none_or(|package| package.dev_dependencies.is_empty())
        };
        if let Some(tool) = COPYING.into_iter().find(copies).filter(|_| removed()) {
            return Ok(Publish::Tool(tool));
        }
        match self.packer {
            Some(Packer::Yarn(_)) => return Ok(Publish::Tool(YARN)),
            Some(Packer::LaterYarn(_)) => return Ok(Publish::Tool(LATER_YARN)),
            _ => {}
        }
        let top = self.manifest("")?;
        if package.publishes_with_pnpm() || top.as_ref().is_some_and(Package::publishes_with_pnpm) {
            return Ok(Publish::Tool("pnpm"));
        }
        let folder = match package.publish_directory() {
            Some(folder) => Some(folder.to_owned()),
            None => self.release_folder(package, directory)?,
        };
        if let Some(folder) = folder {
            let inside = git_source::folder(folder.trim_start_matches("./"));
            let inside = inside.filter(|folder| !folder.is_empty());
            return Ok(inside.map_or(Publish::Folder, |folder| Publish::Below(folder.to_owned())));
        }
        let in_root = top.filter(|_| !directory.is_empty());
        let of_root = |name: &str| {
            in_root
                .as_ref()
                .is_some_and(|root| root.dev_dependencies.contains_key(name))
        };
        let tool = TOOLS.iter().find(|(name, _)| uses(name) || of_root(name));
        Ok(tool.map_or(Publish::Folder, |(_, what)| Publish::Other(what)))
    }

    /// The folder that semantic-release publishes, if its configuration names one: `pkgRoot`, for the whole release or
    /// for its step that publishes to npm.
    fn release_folder(&self, package: &Package, directory: &str) -> Result<Option<String>, PlanError> {
        let mut configuration = package.release.clone();
        for name in [
            ".releaserc",
            ".releaserc.json",
            ".releaserc.yaml",
            ".releaserc.yml",
        ] {
            if configuration.is_null()
                && let Some(text) = self.checkout.file(&below(directory, name))?
            {
                configuration = serde_saphyr::from_str(&String::from_utf8_lossy(&text)).unwrap_or_default();
            }
        }
        Ok(published_by(&configuration))
    }

    /// The folder that a hint or the registry's metadata names, for repositories with several packages.
    fn repository_directory(&self) -> String {
        if let Some(folder) = self.planner.hints.folder() {
            return folder.to_owned();
        }
        self.version.map(source::directory).unwrap_or_default().to_owned()
    }
}

/// `pkgRoot` in a configuration of semantic-release.
fn published_by(configuration: &Value) -> Option<String> {
    let steps = member(configuration, ["plugins"]).as_array();
    let of_npm = steps.into_iter().flatten().filter_map(Value::as_array);
    let of_npm = of_npm.filter(|step| step.first().is_some_and(|name| name == "@semantic-release/npm"));
    let of_npm = of_npm.filter_map(|step| step.get(1));
    let mut named = std::iter::once(configuration)
        .chain(of_npm)
        .filter_map(|options| member(options, ["pkgRoot"]).as_str());
    named.next().map(str::to_owned)
}

/// Maximum number of folders of a source that are searched for a package.
const MOST_FOLDERS: usize = 300;

/// The members of a tarball that are files of the source, with their paths there, if a line of text can hold these.
pub(super) fn of_source<'a>(
    members: &'a [Member],
    directory: &'a str,
    paths: &'a [String],
) -> impl Iterator<Item = (String, &'a Member)> {
    let inside = members.iter().filter_map(move |member| {
        let (_, inside) = member.path.split_once('/')?;
        Some((below(directory, inside), member))
    });
    inside.filter(|(path, _)| !path.chars().any(char::is_control) && paths.contains(path))
}

/// A path below a folder of the source; the top is the empty text.
pub(super) fn below(folder: &str, path: &str) -> String {
    if folder.is_empty() {
        path.to_owned()
    } else {
        format!("{folder}/{path}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn semantic_release_may_publish_another_folder() {
        for (text, expected) in [
            (r#"{"pkgRoot": "lib", "prepare": []}"#, Some("lib")),
            (
                r#"{"plugins": ["a", ["@semantic-release/npm", {"pkgRoot": "dist"}]]}"#,
                Some("dist"),
            ),
            (
                r#"{"plugins": [["@semantic-release/git", {"pkgRoot": "dist"}]]}"#,
                None,
            ),
            (r#"{"branches": ["main"]}"#, None),
            ("null", None),
        ] {
            let configuration: Value = serde_json::from_str(text).unwrap();
            assert_eq!(published_by(&configuration).as_deref(), expected, "{text}");
        }
    }
}
