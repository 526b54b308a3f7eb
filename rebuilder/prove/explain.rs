//! What a culprit comes from, by a trace of one more build, and a patch that was tried.

use std::fs::{self, File};
use std::path::Path;

use futures_util::future::{BoxFuture, FutureExt as _};
use serde::{Deserialize, Serialize};

use super::attribute::{Attribution, Sources, attribute, suspects};
use super::build::{Builds, ProveError};
use super::difference::Difference;
use super::fix::{Built, Case, Patch, Trial, find};
use super::knob::{Knob, Variation};
use super::{Answer, Culprit, Outputs, source};
use crate::compare::Cause;
use crate::store::StoreError;
use crate::text::plural;
use crate::trace::Writers;

/// What is known of a culprit beyond its knobs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explained {
    /// The knobs of the culprit; none for plain randomness.
    pub knobs: Vec<Knob>,
    /// Why nobody watched the build, or why what was seen may be something else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doubt: Option<String>,
    /// Who wrote what differs.
    pub attributions: Vec<Attribution>,
    /// The patch that helped most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fix: Option<ProvenFix>,
    /// Every patch that was tried.
    pub tried: Vec<Attempt>,
}

/// A patch with what came of the builds with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProvenFix {
    /// What it does, in words, one for each remedy.
    pub does: Vec<String>,
    /// The change, as a unified diff of the project.
    pub patch: String,
    /// Whether all outputs are the same with it.
    pub whole: bool,
    /// What came of it, in words.
    pub result: String,
}

/// A patch that was tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Names of its remedies.
    pub remedies: Vec<String>,
    /// What came of it, in words.
    pub result: String,
}

/// How much is tried.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    /// Patches for each culprit; each takes two builds.
    pub patches: usize,
}

/// Explains every culprit of an answer, and plain randomness.
pub async fn explain_all(builds: &Builds<'_>, answer: &mut Answer, effort: Effort) -> Result<(), ProveError> {
    let random = answer.proof.random.as_ref().and_then(|random| {
        Some(Culprit {
            knobs: Vec::new(),
            files: random.files.clone(),
            unpaired: random.unpaired.clone(),
            varied: Outputs::clone(answer.builds.first()?),
        })
    });
    let builds_well = |culprit: &&Culprit| culprit.varied.failed.is_none();
    for culprit in answer.culprits.iter().chain(&random).filter(builds_well) {
        let explained = explain(builds, culprit, effort).await?;
        answer.proof.explained.push(explained);
    }
    Ok(())
}

/// Traces the build of a culprit, names who wrote what differs, and tries patches.
async fn explain(builds: &Builds<'_>, culprit: &Culprit, effort: Effort) -> Result<Explained, ProveError> {
    let variation: Variation = culprit.knobs.iter().copied().collect();
    let mut explained = Explained {
        knobs: culprit.knobs.clone(),
        doubt: None,
        attributions: Vec::new(),
        fix: None,
        tried: Vec::new(),
    };
    let differing: Vec<_> = culprit
        .files
        .iter()
        .map(|comparison| (name_of(&comparison.released.name, &culprit.varied), comparison))
        .collect();
    let names: Vec<_> = differing
        .iter()
        .map(|(name, _)| name.as_str())
        .chain(culprit.unpaired.iter().map(String::as_str))
        .collect();
    let place = builds.source_path(&variation);
    let sources = Sources {
        seen: &place,
        folder: builds.tree(),
    };
    let mut near = Vec::new();
    match traced(builds, &variation, &culprit.varied).await? {
        Ok((writers, doubt)) => {
            let files = differing
                .iter()
                .map(|(name, comparison)| (name.as_str(), *comparison));
            explained.attributions = attribute(files, &writers, sources);
            near = suspects(names.iter().copied(), &writers, sources);
            explained.doubt = doubt;
        }
        Err(why) => explained.doubt = Some(why),
    }
    let causes: Vec<Cause> = differing
        .iter()
        .flat_map(|(_, comparison)| comparison.open_causes())
        .map(|(cause, _)| cause)
        .collect();
    let files = source::files(builds.tree()).map_err(read(builds.tree()))?;
    let files: Vec<_> = files
        .iter()
        .filter_map(|file| file.to_str().map(str::to_owned))
        .collect();
    let case = Case {
        knobs: &culprit.knobs,
        causes: &causes,
        attributions: &explained.attributions,
        suspects: &near,
        files: &files,
        sources,
    };
    let before = Built {
        files: culprit.varied.files.len(),
        differing: names.len(),
        places: differing.iter().map(|(_, comparison)| places(comparison)).sum(),
        failed: None,
    };
    let mut trial = Rebuilds {
        builds,
        variation: &variation,
        files: &files,
    };
    let search = find(&case, before, &mut trial, effort.patches).await?;
    explained.tried = search
        .tried
        .iter()
        .map(|(remedies, built)| Attempt {
            remedies: remedies.iter().map(|name| (*name).to_owned()).collect(),
            result: result(built),
        })
        .collect();
    explained.fix = search.fix.map(|fix| ProvenFix {
        does: fix
            .remedies
            .iter()
            .map(|remedy| remedy.title.to_owned())
            .collect(),
        patch: fix.patch.diff(),
        whole: fix.is_whole(),
        result: fix.sentence(),
    });
    Ok(explained)
}

fn read(tree: &Path) -> impl FnOnce(std::io::Error) -> ProveError + use<> {
    let path = tree.display().to_string();
    move |source| ProveError::Folder { path, source }
}

/// The name of an output below its folder, which comparisons show whole.
fn name_of(shown: &str, varied: &Outputs) -> String {
    let mut names: Vec<_> = varied.files.iter().map(|file| file.name.as_str()).collect();
    names.sort_by_key(|name| std::cmp::Reverse(name.len()));
    let found = names
        .into_iter()
        .find(|name| shown.ends_with(&format!("/{name}")));
    found
        .unwrap_or_else(|| shown.rsplit('/').next().unwrap_or(shown))
        .to_owned()
}

/// Watches one more build like `before`; the doubt is whether it was the same one.
async fn traced(
    builds: &Builds<'_>,
    variation: &Variation,
    before: &Outputs,
) -> Result<Result<(Writers, Option<String>), String>, ProveError> {
    if builds.backend() != "embedded" {
        return Ok(Err(format!(
            "the {} backend cannot watch a build; --backend embedded does",
            builds.backend()
        )));
    }
    let events = tempfile::NamedTempFile::new_in(builds.folder()).map_err(read(builds.folder()))?;
    let outputs = builds.run_traced(variation, events.path()).await?;
    if let Some(reason) = &outputs.failed {
        return Ok(Err(format!(
            "the build does not end well while it is watched: {reason}"
        )));
    }
    let writers = File::open(events.path()).and_then(Writers::read);
    let writers = match writers {
        Ok(writers) => writers,
        Err(error) => return Ok(Err(format!("what was seen cannot be read: {error}"))),
    };
    let digests = |outputs: &Outputs| -> Vec<_> {
        outputs
            .files
            .iter()
            .map(|file| (file.name.clone(), file.sha256))
            .collect()
    };
    let doubt = (digests(&outputs) != digests(before))
        .then(|| "the watched build left other bytes than the one before it".to_owned());
    Ok(Ok((writers, doubt)))
}

fn places(comparison: &crate::compare::Comparison) -> u64 {
    let mut places = 0_u64;
    if let Some(tree) = &comparison.tree {
        tree.each("", &mut |_, node| {
            let own = node.findings.iter().filter(|finding| !finding.follows);
            places = own.fold(places, |sum, finding| sum.saturating_add(finding.places));
        });
    }
    places.max(1)
}

fn result(built: &Built) -> String {
    match &built.failed {
        Some(reason) => format!("the build fails: {reason}"),
        None => format!(
            "{} of {} the same",
            built.files.saturating_sub(built.differing),
            plural(built.files, "file")
        ),
    }
}

/// Builds a copy of the project with a patch, as the baseline and with the culprit's knobs.
struct Rebuilds<'a> {
    builds: &'a Builds<'a>,
    variation: &'a Variation,
    files: &'a [String],
}

impl Rebuilds<'_> {
    fn copy(&self, patch: &Patch, to: &Path) -> std::io::Result<()> {
        for name in self.files {
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
}

impl Trial for Rebuilds<'_> {
    type Error = ProveError;

    fn build<'a>(&'a mut self, patch: &'a Patch) -> BoxFuture<'a, Result<Built, ProveError>> {
        async move {
            let folder = tempfile::tempdir_in(self.builds.folder())
                .map_err(StoreError::io("make a folder in", self.builds.folder()))?;
            let tree = folder.path().join("source");
            self.copy(patch, &tree)
                .map_err(StoreError::io("copy the project to", &tree))?;
            let baseline = self.builds.run(&Variation::baseline(), &tree).await?;
            let failed = baseline.failed.clone();
            let varied = match failed {
                Some(_) => None,
                // Plain randomness shows in two builds of the same.
                None => Some(self.builds.run(self.variation, &tree).await?),
            };
            let failed = failed.or_else(|| varied.as_ref()?.failed.clone());
            let difference = match varied.as_ref().filter(|_| failed.is_none()) {
                Some(varied) => Difference::between(&baseline, varied)?,
                None => Difference::default(),
            };
            let differing = difference.files.len() + difference.unpaired.len();
            Ok(Built {
                files: difference.same + differing,
                differing,
                places: difference.files.iter().map(places).sum(),
                failed,
            })
        }
        .boxed()
    }
}
