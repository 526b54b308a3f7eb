//! The packages that a build needs, pinned and placed where the package manager looks: those of the nearest lock file
//! of npm, Yarn or pnpm, or, if there is none, a solution for the `package.json`.

mod manager;
mod origins;
mod workspace;

use std::collections::BTreeSet;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use nodejs_semver::Version as SemVer;
use serde_json::Value;

use super::lockfile::{self, LockedPackage};
use super::manifest::Package;
use super::packer::Packer;
use super::packing::{LATER_YARN, Packing, Publish, below};
use super::plan::Draft;
use super::resolve::{self, Choice, Solution};
use super::{pinning, registry, wanted};
use crate::ecosystem::PlanError;
use crate::plan::{Assumption, Origin, PinnedInput, Role, assume};
use crate::run::failure::FailureCode;
use crate::store::FetchError;
use crate::text::plural;
use manager::{MANAGERS, Manager, later_yarn, named_version, tool};
use origins::{How, guessed_version, of_install, origin_of, stand_in};
use workspace::{linked, workspace};

/// Names and versions of the tarballs that a lock file takes from npm's registry; `None` if it is another kind of
/// file.
pub(super) fn named(file: &str, text: &[u8]) -> Option<Result<Vec<(String, String)>, String>> {
    let manager = MANAGERS.iter().find(|manager| manager.files.contains(&file))?;
    if let Some(versions) = lockfile::yarn_versions(text).filter(|_| manager.name == "yarn") {
        return Some(Ok(versions));
    }
    let packages = (manager.read)(text);
    Some(packages.map(|packages| {
        packages
            .iter()
            .filter_map(LockedPackage::name_and_version)
            .collect()
    }))
}

/// The packages that are installed before a package is packed.
pub(super) struct Dependencies {
    pub inputs: Vec<PinnedInput>,
    /// The recipe's name for the way of installing; empty if nothing is installed.
    pub install: &'static str,
    /// The folder in which they are installed.
    pub root: String,
    /// The document that names the packages.
    pub origin: Origin,
    /// Whether one of the packages requires the very version that is rebuilt.
    pub itself: bool,
    /// Names of requirements that are left out, since they come from elsewhere than a registry.
    pub left_out: Vec<String>,
    /// Further assumptions about the installation.
    pub assumptions: Vec<Assumption>,
}

impl Dependencies {
    /// Whether they have a webpack that hashes with MD4, as its versions before 5.54 do.
    pub fn hash_with_md4(&self) -> bool {
        let urls = self.inputs.iter().flat_map(|input| &input.file.urls);
        urls.filter_map(|url| url.split_once("/webpack/-/webpack-"))
            .filter_map(|(_, file)| SemVer::parse(file.strip_suffix(".tgz")?).ok())
            .any(|version| (version.major(), version.minor()) < (5, 54))
    }

    /// Nothing is installed; this follows from the scripts that run, so it has their origin.
    fn none(origin: Origin) -> Self {
        Self {
            inputs: Vec::new(),
            install: "",
            root: String::new(),
            origin,
            itself: false,
            left_out: Vec::new(),
            assumptions: Vec::new(),
        }
    }

    /// The same, without requirements that no registry has: of the folder's `package.json`, and of folders that it
    /// requires.
    fn without_foreign(self, draft: &Draft<'_>) -> Result<Self, PlanError> {
        let mut manifests = workspace::linked(draft, &self.root)?;
        manifests.extend(draft.manifest(&self.root)?);
        let left_out: BTreeSet<_> = manifests.iter().flat_map(wanted::foreign).collect();
        let left_out: Vec<_> = left_out.into_iter().collect();
        let said = left_out.first().map(|_| {
            let from = "package.json takes them from elsewhere than a registry".to_owned();
            let value = left_out.join(" ");
            assume("requirements that are left out", value, Origin::Inferred(from))
        });
        Ok(Self {
            assumptions: self.assumptions.into_iter().chain(said).collect(),
            left_out,
            ..self
        })
    }
}

/// Pins the packages that the nearest lock file names, or that `package.json` requires; none if no script needs them.
pub(super) async fn pin(
    draft: &Draft<'_>,
    packing: &Packing,
    released_at: Option<Timestamp>,
) -> Result<Dependencies, PlanError> {
    let mut found = installed(draft, packing, released_at).await?;
    // Scripts may call a package manager other than the one that installs, and Yarn may pack.
    for manager in &MANAGERS {
        let called = packing.installs && !packing.scripts.is_empty() && packing.package.calls(manager.name)
            || packing.publish == Publish::Tool(manager.name);
        if let Some(version) = manager
            .version
            .filter(|_| called && found.install != manager.name)
        {
            let named = named_version(draft, manager.name)?;
            let version = named.unwrap_or_else(|| {
                let guessed = version("");
                found.assumptions.push(guessed_version(manager.name, &guessed));
                guessed
            });
            found.inputs.push(tool(draft, manager.name, &version).await?);
        }
    }
    if packing.publish == Publish::Tool(LATER_YARN) {
        let (version, origin) = later_yarn(draft)?;
        found.inputs.push(tool(draft, LATER_YARN, &version).await?);
        found
            .assumptions
            .push(assume("version of the yarn that packs", version, origin));
    }
    Ok(found)
}

/// The packages; none if no script needs them.
async fn installed(
    draft: &Draft<'_>,
    packing: &Packing,
    released_at: Option<Timestamp>,
) -> Result<Dependencies, PlanError> {
    if !packing.installs {
        return Ok(Dependencies::none(packing.origin.clone()));
    }
    let folder = installing(draft, packing)?;
    let mut found = packages(draft, folder, released_at).await?;
    if folder != packing.directory {
        let from = "a script of the package changes to that folder before anything else".to_owned();
        let value = format!("/{folder}, above the package");
        found.assumptions.push(assume(
            "folder of the dependencies",
            value,
            Origin::Inferred(from),
        ));
    }
    Ok(found)
}

/// The folder whose dependencies are installed: that of the package, or one above it if its scripts work there.
fn installing<'a>(draft: &Draft<'_>, packing: &'a Packing) -> Result<&'a str, PlanError> {
    let mut texts = packing
        .scripts
        .iter()
        .filter_map(|name| packing.package.script(name));
    let above = texts.find_map(|text| worked_in(&packing.directory, text));
    let Some(above) = above else {
        return Ok(&packing.directory);
    };
    let is_package = draft.manifest(above)?.is_some();
    Ok(if is_package { above } else { &packing.directory })
}

/// The folder above `directory` that a script changes to before anything else.
fn worked_in<'a>(directory: &'a str, script: &str) -> Option<&'a str> {
    let first = script.split([';', '&']).next()?.trim();
    let steps = first.strip_prefix("cd ")?.trim().trim_end_matches('/');
    let mut folder = directory;
    for step in steps.split('/') {
        if step != ".." || folder.is_empty() {
            return None;
        }
        folder = folder.rsplit_once('/').map_or("", |(above, _)| above);
    }
    Some(folder)
}

async fn packages(
    draft: &Draft<'_>,
    directory: &str,
    released_at: Option<Timestamp>,
) -> Result<Dependencies, PlanError> {
    let mut unusable = None;
    // What a lock file names that cannot be used as it is.
    let mut locked_versions = BTreeSet::new();
    for folder in upwards(directory) {
        for manager in &MANAGERS {
            for name in manager.files {
                let path = below(folder, name);
                let Some(text) = draft.checkout.file(&path)? else {
                    continue;
                };
                let lock = Lock {
                    manager,
                    folder,
                    path: &path,
                    text: &text,
                };
                let reason = match locked(draft, lock, directory, released_at).await {
                    Ok(Ok(found)) => return Ok(found),
                    Ok(Err(reason)) => reason,
                    Err(error) if is_gone(&error) => {
                        let versions = named(name, &text).and_then(Result::ok);
                        locked_versions.extend(versions.into_iter().flatten());
                        error.to_string()
                    }
                    Err(error) => return Err(error),
                };
                unusable.get_or_insert(format!("{path}: {reason}"));
            }
        }
        if unusable.is_some() {
            break;
        }
    }
    solved(draft, directory, released_at, unusable, &locked_versions).await
}

/// A folder and all folders above it, up to the top.
fn upwards(directory: &str) -> impl Iterator<Item = &str> {
    let mut next = Some(directory);
    std::iter::from_fn(move || {
        let folder = next?;
        next = (!folder.is_empty()).then(|| folder.rsplit_once('/').map_or("", |(above, _)| above));
        Some(folder)
    })
}

/// A lock file of the source.
#[derive(Clone, Copy)]
struct Lock<'a> {
    manager: &'a Manager,
    folder: &'a str,
    path: &'a str,
    text: &'a [u8],
}

/// The packages that a lock file names; the inner error says why it cannot be used.
async fn locked(
    draft: &Draft<'_>,
    lock: Lock<'_>,
    directory: &str,
    released_at: Option<Timestamp>,
) -> Result<Result<Dependencies, String>, PlanError> {
    let Lock {
        manager,
        folder,
        path,
        text,
    } = lock;
    let origin = origin_of(path, How::ByIts);
    let found = |inputs, install, origin| {
        let all = Dependencies {
            inputs,
            install,
            root: folder.to_owned(),
            origin,
            itself: false,
            left_out: Vec::new(),
            assumptions: of_install(install),
        };
        match install {
            RESOLVED => all.without_foreign(draft).map(Ok),
            _ => Ok(Ok(all)),
        }
    };
    if let Some(versions) = lockfile::yarn_versions(text).filter(|_| manager.name == "yarn") {
        bounded(draft, path, versions.len())?;
        let packages = pinning::exactly(draft, versions).await?;
        let origin = origin_of(path, How::InYarnsStead);
        return found(packages_of(draft, RESOLVED, packages).await?, RESOLVED, origin);
    }
    let old = manager.name == "npm" && draft.packer.is_some_and(Packer::is_npm_6);
    let read = if old { lockfile::npm_6 } else { manager.read };
    let packages = match read(text) {
        Ok(packages) => packages,
        Err(reason) => return Ok(Err(reason)),
    };
    bounded(draft, path, packages.len())?;
    let (packages, were_open) = pinning::pin_all(draft, packages).await?;
    if were_open > 0 && manager.name == "npm" {
        return found(packages_of(draft, SERVED, packages).await?, SERVED, origin);
    }
    let mut inputs = packages_of(draft, manager.name, packages).await?;
    let mut origin = origin;
    let lacking = match manager.name {
        "yarn" => lacking(draft, lock, directory)?,
        _ => Package::default(),
    };
    let count = lacking.dev_dependencies.len();
    if count > 0 {
        let choice = Choice {
            by: released_at,
            oldest: false,
            preferred: &BTreeSet::new(),
        };
        let solution = resolve::solve(draft, &[lacking], &BTreeSet::new(), choice).await?;
        inputs.extend(packages_of(draft, RESOLVED, solution.packages).await?);
    }
    if let Some(of_form) = manager.version {
        let version = if let Some(version) = named_version(draft, manager.name)? {
            version
        } else {
            let version = of_form(&String::from_utf8_lossy(text));
            origin = origin_of(path, How::ByGuessed(manager.name, &version));
            version
        };
        if count > 0 {
            origin = origin_of(path, How::WithoutSome(count));
        }
        inputs.push(tool(draft, manager.name, &version).await?);
    }
    found(inputs, manager.name, origin)
}

/// Whether the registry no longer has a package that a lock file names. Without it, the lock file cannot be used as it
/// is, but `package.json` may allow another version.
fn is_gone(error: &PlanError) -> bool {
    matches!(
        error,
        PlanError::Lacking {
            code: FailureCode::DependencyGone,
            ..
        } | PlanError::Fetch(FetchError::NotFound { .. })
    )
}

/// The requirements of `package.json` that a `yarn.lock` lacks, as those of a package.
fn lacking(draft: &Draft<'_>, lock: Lock<'_>, directory: &str) -> Result<Package, PlanError> {
    let (root, mut manifests) = workspace(draft, directory)?;
    if root != lock.folder {
        manifests = draft.manifest(lock.folder)?.into_iter().collect();
    }
    let own: BTreeSet<&str> = manifests.iter().filter_map(|it| it.name.as_deref()).collect();
    let known = lockfile::yarn_requirements(lock.text);
    let required = manifests.iter().flat_map(|it| {
        let lists = [&it.dependencies, &it.dev_dependencies, &it.optional_dependencies];
        lists.into_iter().flatten()
    });
    let lacks = |(name, range): &(&String, &Value)| {
        let range = range.as_str().unwrap_or_default();
        !own.contains(name.as_str()) && !known.contains(&((*name).clone(), range.to_owned()))
    };
    let lacking = required.filter(lacks);
    Ok(Package::requiring(
        lacking
            .map(|(name, range)| (name.clone(), range.clone()))
            .collect(),
    ))
}

/// Maximum number of packages in one lock file.
const MOST: usize = 10_000;

fn bounded(draft: &Draft<'_>, path: &str, count: usize) -> Result<(), PlanError> {
    if count > MOST {
        let help = format!("at most {MOST} are fetched");
        return Err(draft.cannot(format!("{path} names {count} packages"), &help));
    }
    Ok(())
}

/// The recipe's name for an installation from a registry that has only the packages of the plan.
const RESOLVED: &str = "resolved";
/// The same, with npm's lock file: it pins packages only by SHA-1, so npm's cache cannot have them by their digest.
const SERVED: &str = "npm-served";

/// Solves what `package.json` requires, and the manifests of all other packages of the same source. Names and versions
/// that are `locked` come first.
async fn solved(
    draft: &Draft<'_>,
    directory: &str,
    released_at: Option<Timestamp>,
    unusable: Option<String>,
    locked: &BTreeSet<(String, String)>,
) -> Result<Dependencies, PlanError> {
    let (root, mut manifests) = workspace(draft, directory)?;
    let own: BTreeSet<String> = manifests.iter().filter_map(|it| it.name.clone()).collect();
    manifests.extend(linked(draft, &root)?);
    let oldest = draft.planner.hints.settings.oldest.clone();
    let choice = Choice {
        by: released_at,
        oldest: oldest.is_some(),
        preferred: locked,
    };
    let Solution {
        packages,
        younger,
        itself,
    } = resolve::solve(draft, &manifests, &own, choice).await?;
    let lock = unusable.map_or_else(
        || "no lock file names them".to_owned(),
        |reason| match locked.len() {
            0 => format!("no lock file can be used ({reason})"),
            _ => {
                format!("the versions of a lock file that the registry still has ({reason}); for all others")
            }
        },
    );
    let origin = oldest.unwrap_or_else(|| {
        Origin::Inferred(if younger == 0 {
            format!("{lock}; the newest by the day of the release that package.json allows")
        } else {
            format!(
                "{lock}; the newest that package.json allows: for {} of {}, the registry gives no version by the day of the release",
                younger,
                plural(packages.len(), "package")
            )
        })
    });
    let all = Dependencies {
        inputs: packages_of(draft, RESOLVED, packages).await?,
        install: RESOLVED,
        root,
        origin,
        itself,
        left_out: Vec::new(),
        assumptions: of_install(RESOLVED)
            .into_iter()
            .chain(itself.then(stand_in))
            .collect(),
    };
    all.without_foreign(draft)
}

async fn packages_of(
    draft: &Draft<'_>,
    manager: &str,
    packages: Vec<LockedPackage>,
) -> Result<Vec<PinnedInput>, PlanError> {
    let fetcher = draft.planner.workshop.fetcher;
    let bar = draft
        .planner
        .workshop
        .progress
        .stage(format!("fetching {}", plural(packages.len(), "package")));
    let pinned = stream::iter(packages.into_iter().map(|package| async move {
        let name = package.url.rsplit('/').next().unwrap_or_default().to_owned();
        let place = match manager {
            "yarn" => Some(format!("yarn-mirror/{}", lockfile::yarn_file(&package.url))),
            "pnpm" | RESOLVED | SERVED => Some(format!("registry/{}", lockfile::registry_path(&package.url))),
            _ => None,
        };
        let (url, integrity) = (package.url, package.integrity);
        let fetched = registry::by_integrity(fetcher, name, url, "the lock file", &integrity).await;
        let (file, digests) = match fetched {
            // An optional package may be missing here as well.
            Err(PlanError::Fetch(FetchError::NotFound { .. })) if package.optional => return Ok(None),
            other => other?,
        };
        let cached = || {
            Some(format!(
                "content-v2/{}",
                lockfile::cache_place(&digests, &integrity)?
            ))
        };
        let place = place.or_else(cached);
        Ok::<_, PlanError>(place.map(|place| PinnedInput {
            role: Role::Dependency,
            purl: None,
            place: format!("dependencies/{place}"),
            file,
        }))
    }));
    let found: Vec<Option<PinnedInput>> = pinned.buffered(8).try_collect().await?;
    bar.finish_and_clear();
    let mut inputs: Vec<PinnedInput> = found.into_iter().flatten().collect();
    inputs.sort_by(|a, b| a.place.cmp(&b.place));
    // Identical files are merged; two different files at one place are an error.
    inputs.dedup_by(|a, b| a.place == b.place && a.file.sha256 == b.file.sha256);
    let mut pairs = inputs.iter().zip(inputs.iter().skip(1));
    if let Some((twice, _)) = pairs.find(|(one, other)| one.place == other.place) {
        return Err(draft.cannot(
            format!(
                "its lock file names {} twice, with different files",
                twice.file.name
            ),
            "nothing was built",
        ));
    }
    Ok(inputs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artifact::{PinnedFile, Sha256};

    #[test]
    fn a_webpack_that_needs_md4_is_known_by_its_version() {
        for (path, needs) in [
            ("webpack/-/webpack-4.46.0.tgz", true),
            ("webpack/-/webpack-5.53.0.tgz", true),
            ("webpack/-/webpack-5.54.0.tgz", false),
            ("webpack-cli/-/webpack-cli-4.0.0.tgz", false),
            ("@s/webpack/-/webpack-cli-4.0.0.tgz", false),
        ] {
            let file = PinnedFile {
                name: "a.tgz".into(),
                urls: vec![format!("https://registry.npmjs.org/{path}")],
                sha256: Sha256::of("a"),
                size: 1,
            };
            let input = PinnedInput {
                role: Role::Dependency,
                purl: None,
                place: "dependencies/a".into(),
                file,
            };
            let found = Dependencies {
                inputs: vec![input],
                ..Dependencies::none(Origin::Convention("a test".into()))
            };
            assert_eq!(found.hash_with_md4(), needs, "{path}");
        }
    }

    #[test]
    fn lock_files_are_looked_for_upwards() {
        assert_eq!(upwards("a/b").collect::<Vec<_>>(), ["a/b", "a", ""]);
        assert_eq!(upwards("").collect::<Vec<_>>(), [""]);
    }

    #[test]
    fn a_script_may_work_in_a_folder_above() {
        for (directory, script, expected) in [
            ("acorn", "cd ..; npm run build:main", Some("")),
            ("packages/a", "cd ../.. && rollup -c", Some("")),
            ("packages/a", "cd ../ && rollup -c", Some("packages")),
            ("packages/a", "rollup -c && cd ..", None),
            ("packages/a", "cd ../b && tsc", None),
            ("packages/a", "cd dist && tsc", None),
            ("a", "cd ../..", None),
        ] {
            assert_eq!(worked_in(directory, script), expected, "{directory} {script}");
        }
    }
}
