//! Solves build requirements (PEP 518) with pip, inside the sandbox, as of the time of the release.
//!
//! Most sets of requirements leave no choice, and need no solver. For the others, pip sees an index of plain files:
//! for each project the registry's page, without files uploaded later, and the files that pip is likely to want. If it
//! wants another one, that is fetched and pip is asked again.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use pep440_rs::{Version, VersionSpecifiers};
use pep508_rs::{ExtraName, MarkerEnvironment, MarkerEnvironmentBuilder, VersionOrUrl};

use super::bounds;
use super::interpreter::Series;
use super::pip::Answer;
use super::registry::{self, Project, ReleasedFile};
use super::requirement;
use crate::artifact::{PinnedFile, Sha256};
use crate::compare;
use crate::container::Root;
use crate::ecosystem::{PlanError, Planner, RegistryError};
use crate::progress::ProgressBar;
use crate::sandbox::Input;
use crate::store::FetchError;

const MOST_QUESTIONS: usize = 60;
/// How a message says that no wheel of the time fits.
pub(super) const WAS_THERE: &str = "that was there and runs on";

/// The files that pip chose, pinned.
pub(in crate::ecosystem) struct Solution {
    pub files: Vec<PinnedFile>,
    /// Names of files that were uploaded later than asked, since no earlier version ran on this Python.
    pub later: Vec<String>,
    /// The pip that chose and will install, if the container's cannot.
    pub installer: Option<PinnedFile>,
}

/// Everything that pip may see.
pub(super) struct Index<'a> {
    pub(super) planner: &'a Planner<'a>,
    pub(super) before: Timestamp,
    /// The files that are being rebuilt: no build may have them to copy from.
    pub(super) released: &'a [Sha256],
    pub(super) python: Version,
    pub(super) series: Series,
    pub(super) installer: Option<PinnedFile>,
    /// Projects without a fitting wheel, so that pip has to use their source distributions.
    pub(super) from_source: BTreeSet<String>,
    pub(super) markers: MarkerEnvironment,
    pub(super) projects: BTreeMap<String, Option<Project>>,
    pub(super) files: BTreeMap<String, Input>,
}

/// Solves `requirements` with files uploaded before `before`.
pub(in crate::ecosystem) async fn solve(
    planner: &Planner<'_>,
    root: &Root,
    subject: &str,
    requirements: &[String],
    before: Timestamp,
    released: &[Sha256],
    python: &Version,
) -> Result<Solution, PlanError> {
    let bar = planner
        .workshop
        .progress
        .stage(format!("solving the build requirements of {subject}"));
    let unsolved = |reason: String| PlanError::NotRebuildable {
        subject: subject.to_owned(),
        reason: format!("pip finds no build requirements as of {before}: {reason}"),
        help: format!("required: {}", requirements.join(", ")),
    };
    let part = |position| python.release().get(position).copied().unwrap_or_default();
    let series = (part(0), part(1));
    let markers = marker_environment(python, series).map_err(unsolved)?;
    let mut index = Index {
        planner,
        before,
        released,
        python: python.clone(),
        series,
        installer: None,
        from_source: BTreeSet::new(),
        markers,
        projects: BTreeMap::new(),
        files: BTreeMap::new(),
    };
    index.fetch_installer().await?;
    let requirements = &bounds::merged(requirements)[..];
    if let Some(names) = index.unanimous(requirements).await? {
        bar.finish_and_clear();
        return Ok(index.solution(&names));
    }
    if let Some(reason) = index.contradiction(requirements) {
        bar.finish_and_clear();
        return Err(unsolved(reason));
    }
    if !index.can_ask() {
        bar.finish_and_clear();
        return Err(unsolved(format!(
            "no pip that runs on Python {python} can say what it would choose"
        )));
    }
    match index.asked(root, requirements, &bar).await? {
        Ok(names) => {
            bar.finish_and_clear();
            Ok(index.solution(&names))
        }
        Err(reason) => Err(unsolved(reason)),
    }
}

impl Index<'_> {
    /// Asks pip, and gives it the files that it asks for, until it says what it would install or why it finds nothing.
    async fn asked(
        &mut self,
        root: &Root,
        requirements: &[String],
        bar: &ProgressBar,
    ) -> Result<Result<Vec<String>, String>, PlanError> {
        for _ in 0..MOST_QUESTIONS {
            match self.ask(root, requirements, bar).await? {
                Answer::Solved(names) => return Ok(Ok(names)),
                Answer::WantsFile(name) => {
                    bar.set_message(name.clone());
                    let Some(file) = self.find(&name).cloned() else {
                        return Ok(Err(format!("it wants {name}")));
                    };
                    self.add(&file).await?;
                }
                Answer::WantsProject(name) => {
                    bar.set_message(name.clone());
                    self.project(&name).await?;
                }
                Answer::WantsSource(name) => {
                    self.from_source.insert(name);
                }
                Answer::Unsolved(reason) => return Ok(Err(reason)),
            }
        }
        Ok(Err("it requests other files again and again".into()))
    }

    /// The only possible choice: each project's newest fitting wheel, if these agree with all requirements of each
    /// other. pip tries the newest first, so it would find the same. Anything less simple (pre-releases, yanked files,
    /// several wheels of one version, a choice that a later requirement narrows) is left to pip, which gets the files
    /// that were fetched here: it asks for one at a time, and begins again each time.
    async fn unanimous(&mut self, requirements: &[String]) -> Result<Option<Vec<String>>, PlanError> {
        let mut open: Vec<(String, Vec<ExtraName>)> = requirements
            .iter()
            .map(|text| (text.clone(), Vec::new()))
            .collect();
        let mut followed = BTreeSet::new();
        let mut bounds: BTreeMap<String, Vec<VersionSpecifiers>> = BTreeMap::new();
        let mut chosen: BTreeMap<String, String> = BTreeMap::new();
        let mut plain = true;
        while let Some((text, extras)) = open.pop() {
            let Some(requirement) = requirement::read(&text) else {
                return Ok(None);
            };
            if !requirement.evaluate_markers(&self.markers, &extras) {
                continue;
            }
            let name = requirement.name.to_string();
            let bounds = bounds.entry(name.clone()).or_default();
            match requirement.version_or_url {
                Some(VersionOrUrl::VersionSpecifier(specifiers)) => bounds.push(specifiers),
                Some(VersionOrUrl::Url(_)) => return Ok(None),
                None => {}
            }
            self.project(&name).await?;
            let fits = |file: &&ReleasedFile| {
                file.wheel && !file.yanked && bounds.iter().all(|bound| bound.contains(&file.version))
            };
            let mut fitting: Vec<&ReleasedFile> = self.candidates(&name).filter(fits).collect();
            if fitting.iter().any(|file| !file.version.any_prerelease()) {
                fitting.retain(|file| !file.version.any_prerelease());
            } else {
                plain = false;
            }
            let newest = fitting.iter().map(|file| &file.version).max();
            let Some(newest) = newest.cloned() else {
                plain = false;
                continue;
            };
            fitting.retain(|file| file.version == newest);
            plain &= fitting.len() == 1;
            let Some(file) = fitting.first().map(|file| (*file).clone()) else {
                return Ok(None);
            };
            let before = chosen.insert(name, file.file.name.clone());
            plain &= before.is_none_or(|before| before == file.file.name);
            // pip is going to ask for this, one file after another.
            if followed.insert((file.file.name.clone(), requirement.extras.clone())) {
                let further = self.add(&file).await?.into_iter();
                open.extend(further.map(|text| (text, requirement.extras.clone())));
            }
        }
        Ok(plain.then(|| chosen.into_values().collect()))
    }

    pub(super) async fn project(&mut self, name: &str) -> Result<(), PlanError> {
        if self.projects.contains_key(name) {
            return Ok(());
        }
        let project = match registry::project(self.planner.workshop.fetcher, name).await {
            Ok(project) => Some(project),
            Err(RegistryError::Fetch(FetchError::NotFound { .. })) => None,
            Err(error) => return Err(error.into()),
        };
        self.projects.insert(name.to_owned(), project);
        Ok(())
    }

    /// Files of a project that existed at the time and run on our Python. If a project has no such wheel, the first
    /// version that came with one: our Python is younger than some releases.
    pub(super) fn candidates(&self, name: &str) -> impl Iterator<Item = &ReleasedFile> {
        let files = self
            .projects
            .get(name)
            .and_then(Option::as_ref)
            .map(|project| &project.files[..])
            .unwrap_or_default();
        let runs = |file: &&ReleasedFile| {
            !self.released.contains(&file.file.sha256)
                && (!file.wheel || file.fitness(self.series).is_some())
                && file.runs_on(&self.python)
        };
        let wheels = || files.iter().filter(runs).filter(|file| file.wheel);
        let existed = files.iter().any(|file| file.uploaded <= self.before);
        let first = if existed && wheels().all(|file| file.uploaded > self.before) {
            let stable = wheels().filter(|file| !file.version.any_prerelease() && !file.yanked);
            stable.min_by_key(|file| file.uploaded)
        } else {
            None
        };
        files.iter().filter(runs).filter(move |file| {
            file.uploaded <= self.before
                || first.is_some_and(|first| file.wheel && first.version == file.version)
        })
    }

    /// Why no choice can meet the given requirements, if a single project shows it.
    fn contradiction(&self, requirements: &[String]) -> Option<String> {
        let mut of_project: BTreeMap<String, (Vec<VersionSpecifiers>, Vec<&str>)> = BTreeMap::new();
        for text in requirements {
            if let Some((name, specifiers)) = bounds::plain(text) {
                let (bounds, texts) = of_project.entry(name).or_default();
                bounds.push(specifiers);
                texts.push(text);
            }
        }
        let impossible = |(name, (bounds, texts)): (&String, &(Vec<VersionSpecifiers>, Vec<&str>))| {
            let wheels = || self.candidates(name).filter(|file| file.wheel);
            let meets = |file: &ReleasedFile| bounds.iter().all(|bound| bound.contains(&file.version));
            // If there are no bounds, or the page is missing, pip's message is better.
            if bounds.iter().all(VersionSpecifiers::is_empty) || wheels().any(meets) {
                return None;
            }
            let newest = wheels().map(|file| &file.version).max()?;
            // One that nothing meets is the reason; if each can be met, they contradict each other.
            let unmet = |bound: &VersionSpecifiers| wheels().all(|file| !bound.contains(&file.version));
            let alone = bounds.iter().zip(texts).find(|(bound, _)| unmet(bound));
            let unmet = alone.map_or_else(|| texts.join(" and "), |(_, text)| (*text).to_owned());
            Some(format!(
                "no wheel of {name} {WAS_THERE} Python {} meets {unmet} (the newest is {newest})",
                self.python
            ))
        };
        of_project.iter().find_map(impossible)
    }

    fn find(&self, name: &str) -> Option<&ReleasedFile> {
        self.projects
            .values()
            .flatten()
            .flat_map(|project| &project.files)
            .find(|file| file.file.name == name)
    }

    fn solution(&self, names: &[String]) -> Solution {
        let chosen: Vec<_> = names.iter().filter_map(|name| self.find(name)).collect();
        let late = chosen.iter().filter(|file| file.uploaded > self.before);
        Solution {
            later: late.map(|file| file.file.name.clone()).collect(),
            files: chosen.iter().map(|file| file.file.clone()).collect(),
            installer: self.installer.clone(),
        }
    }

    /// Fetches a file; returns the requirements that its metadata names.
    async fn add(&mut self, file: &ReleasedFile) -> Result<Vec<String>, PlanError> {
        let blob = self.planner.workshop.fetcher.get(&file.file).await?;
        let name = &file.file.name;
        let path = blob.path.clone();
        self.files.insert(
            name.clone(),
            Input {
                name: format!("files/{name}"),
                path: blob.path,
            },
        );
        let metadata = compare::read_member(&path, |member| member.ends_with(".dist-info/METADATA"));
        let metadata = metadata.ok().flatten().filter(|_| file.wheel).unwrap_or_default();
        let text = String::from_utf8_lossy(&metadata);
        Ok(requirement::listed(&text).map(str::to_owned).collect())
    }
}

fn marker_environment(python: &Version, (major, minor): Series) -> Result<MarkerEnvironment, String> {
    let (full, short) = (python.to_string(), format!("{major}.{minor}"));
    MarkerEnvironment::try_from(MarkerEnvironmentBuilder {
        implementation_name: "cpython",
        implementation_version: &full,
        os_name: "posix",
        platform_machine: "x86_64",
        platform_python_implementation: "CPython",
        platform_release: "",
        platform_system: "Linux",
        platform_version: "",
        python_full_version: &full,
        python_version: &short,
        sys_platform: "linux",
    })
    .map_err(|error| error.to_string())
}
