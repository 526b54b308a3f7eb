//! Builds of copies of the project that have a patch.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use futures_util::future::{BoxFuture, FutureExt as _};

use super::build::Builds;
use super::difference::Difference;
use super::error::ProveError;
use super::explain::Fixed;
use super::fix::{Built, Patch, Trial};
use super::knob::Variation;
use super::oracle::side_by_side;
use super::{Outputs, source};
use crate::compare::Comparison;
use crate::progress::{Progress, ProgressBar};
use crate::store::StoreError;
use crate::text::plural;

/// The project with the patches that helped so far, and what is built of it.
pub(super) struct Workbench<'a> {
    pub builds: &'a Builds<'a>,
    /// What is varied.
    pub variation: Variation,
    /// How often a varied build that is the same is made again, as it may be so by chance.
    pub repeats: usize,
    /// The patches that helped so far.
    pub patch: Patch,
    /// All files of the project.
    pub files: Vec<String>,
    /// The newest baseline, with the patch that it has.
    baseline: Option<(Patch, Arc<Outputs>)>,
    progress: &'a Progress,
    bar: Option<ProgressBar>,
    tried: usize,
}

impl<'a> Workbench<'a> {
    pub fn new(builds: &'a Builds<'a>, progress: &'a Progress) -> Result<Self, ProveError> {
        let files = source::files(builds.tree()).map_err(read(builds.tree()))?;
        Ok(Self {
            builds,
            variation: Variation::baseline(),
            repeats: 0,
            patch: Patch::default(),
            files: files
                .iter()
                .filter_map(|file| file.to_str().map(str::to_owned))
                .collect(),
            baseline: None,
            progress,
            bar: None,
            tried: 0,
        })
    }

    /// Reports what is being built.
    pub fn tell(&mut self, what: &str) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        self.bar = Some(self.progress.stage(what));
    }

    /// The project with all patches and everything varied at once; `None` if no patch helped.
    pub async fn fixed(&mut self, everything: Variation) -> Result<Option<Fixed>, ProveError> {
        if self.patch.is_empty() {
            return Ok(None);
        }
        self.variation = everything;
        self.repeats = 0;
        let patch = self.patch.clone();
        let built = self.build(&patch).await?;
        let varied = self.variation.knobs().count();
        let reproducible = built.failed.is_none() && built.differing == 0;
        let what = match varied {
            1 => "1 thing varied".to_owned(),
            _ => format!("all {varied} things varied at once"),
        };
        Ok(Some(Fixed {
            patch: patch.diff(),
            reproducible,
            result: match &built.failed {
                Some(reason) => format!("with everything varied, the build still fails: {reason}"),
                None if reproducible => format!(
                    "{} {} the same with {what}",
                    plural(built.files, "output"),
                    if built.files == 1 { "stays" } else { "stay" }
                ),
                None => format!(
                    "with everything varied at once, {} of {} still differ",
                    built.differing,
                    plural(built.files, "output")
                ),
            },
        }))
    }

    fn copy(&self, patch: &Patch, to: &Path) -> std::io::Result<()> {
        for name in &self.files {
            let (from, to) = (self.builds.tree().join(name), to.join(name));
            if let Some(parent) = to.parent() {
                fs::create_dir_all(parent)?;
            }
            if fs::symlink_metadata(&from)?.is_symlink() {
                std::os::unix::fs::symlink(fs::read_link(&from)?, &to)?;
            } else if from.is_file() {
                fs::copy(&from, &to)?;
            }
        }
        for (name, text) in patch.changed() {
            let path = to.join(name);
            // A link of the project would lead out of the copy.
            if fs::symlink_metadata(&path).is_ok_and(|meta| meta.is_file()) {
                fs::write(&path, text)?;
            }
        }
        Ok(())
    }

    /// The baseline and the varied build of a tree; the baseline is not built again if it is known.
    async fn both(&mut self, patch: &Patch, tree: &Path) -> Result<(Arc<Outputs>, Outputs), ProveError> {
        let known = self.baseline.as_ref().filter(|(known, _)| known == patch);
        let known = known.map(|(_, outputs)| outputs.clone());
        let nothing = Variation::baseline();
        let varied = self.builds.run(&self.variation, tree);
        let (baseline, varied) = match known {
            Some(baseline) => (baseline, varied.await?),
            None if side_by_side() > 1 => {
                let (baseline, varied) = futures_util::try_join!(self.builds.run(&nothing, tree), varied)?;
                (Arc::new(baseline), varied)
            }
            None => (Arc::new(self.builds.run(&nothing, tree).await?), varied.await?),
        };
        self.baseline = Some((patch.clone(), baseline.clone()));
        Ok((baseline, varied))
    }
}

impl Trial for Workbench<'_> {
    type Error = ProveError;

    fn build<'a>(&'a mut self, patch: &'a Patch) -> BoxFuture<'a, Result<Built, ProveError>> {
        async move {
            self.tried = self.tried.saturating_add(1);
            self.tell(&format!("patch {}, with {} varied", self.tried, self.variation));
            let folder = tempfile::tempdir_in(self.builds.folder())
                .map_err(StoreError::io("make a folder in", self.builds.folder()))?;
            let tree = folder.path().join("source");
            self.copy(patch, &tree)
                .map_err(StoreError::io("copy the project to", &tree))?;
            let built = match Box::pin(self.both(patch, &tree)).await {
                // Settings that a patch made unreadable are its fault, not the project's.
                Err(error @ ProveError::Settings { .. }) => return Ok(Built::failed(error.to_string())),
                both => both?,
            };
            let (baseline, mut varied) = built;
            let mut compared = compared(&baseline, &varied)?;
            for _ in 0..self.repeats {
                if compared.failed.is_some() || compared.differing > 0 {
                    break;
                }
                varied = self.builds.run(&self.variation, &tree).await?;
                compared = self::compared(&baseline, &varied)?;
            }
            Ok(compared)
        }
        .boxed()
    }
}

fn compared(baseline: &Outputs, varied: &Outputs) -> Result<Built, ProveError> {
    if let Some(reason) = baseline.failed.as_ref().or(varied.failed.as_ref()) {
        return Ok(Built::failed(reason.clone()));
    }
    let difference = Difference::between(baseline, varied)?;
    let differing = difference.files.len().saturating_add(difference.unpaired.len());
    Ok(Built {
        files: difference.same.saturating_add(differing),
        differing,
        places: difference.files.iter().map(places).sum(),
        failed: None,
    })
}

impl Drop for Workbench<'_> {
    fn drop(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

/// The error of a project that cannot be read.
pub(super) fn read(tree: &Path) -> impl FnOnce(std::io::Error) -> ProveError + use<> {
    let path = tree.display().to_string();
    move |source| ProveError::Folder { path, source }
}

/// How many places differ by themselves.
pub(super) fn places(comparison: &Comparison) -> u64 {
    let mut places = 0_u64;
    if let Some(tree) = &comparison.tree {
        tree.each("", &mut |_, node| {
            let own = node.findings.iter().filter(|finding| !finding.follows);
            places = own.fold(places, |sum, finding| sum.saturating_add(finding.places));
        });
    }
    places.max(1)
}
