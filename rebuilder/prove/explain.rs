//! Explains a culprit with a trace of one more build, and tries patches.

use std::fs::File;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::attribute::{Asker, Attribution, Line, Sources, askers, attribute, suspects};
use super::build::Builds;
use super::error::ProveError;
use super::fix::{Built, Case, Patch, Search, find};
use super::knob::{Knob, Variation};
use super::search::Odds;
use super::workbench::{Workbench, places, read};
use super::{Answer, Culprit, Outputs};
use crate::compare::{Cause, Comparison};
use crate::progress::Progress;
use crate::text::plural;
use crate::trace::Writers;

/// The explanation of a culprit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explained {
    /// The knobs of the culprit; empty for plain randomness.
    pub knobs: Vec<Knob>,
    /// Why the build was not watched, or why the trace may not show the same build.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doubt: Option<String>,
    /// The process that wrote a difference.
    pub attributions: Vec<Attribution>,
    /// The processes that read the varied value, on lines that no attribution names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub askers: Vec<Asker>,
    /// The most helpful patch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fix: Option<ProvenFix>,
    /// Every patch that was tried.
    pub tried: Vec<Attempt>,
}

impl Explained {
    /// The lines of the project that it comes from: those that wrote the differences, then those that read the varied
    /// value.
    pub fn lines(&self) -> impl Iterator<Item = &Line> {
        let wrote = self.attributions.iter().filter_map(|one| one.line.as_ref());
        wrote.chain(self.askers.iter().map(|asker| &asker.line))
    }
}

/// A patch, and the result of the builds with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProvenFix {
    /// What it does, in words, one for each remedy.
    pub does: Vec<String>,
    /// The change, as a unified diff of the project.
    pub patch: String,
    /// Whether it makes all outputs the same.
    pub whole: bool,
    /// The result, in words.
    pub result: String,
}

/// A patch that was tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Names of its remedies.
    pub remedies: Vec<String>,
    /// The result, in words.
    pub result: String,
}

/// All helpful patches as one, and the result if everything is varied at once in the patched project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fixed {
    /// The change, as a unified diff of the project.
    pub patch: String,
    /// Whether all outputs stay the same with it.
    pub reproducible: bool,
    /// The result, in words.
    pub result: String,
}

/// The cost of explaining.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Spent {
    /// Number of builds so far.
    pub builds: usize,
    /// Seconds of all of them.
    pub seconds: f64,
}

/// How much to try.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    /// Number of patches for each culprit; each takes two builds.
    pub patches: usize,
}

/// Explains every culprit of an answer, and plain randomness. A helpful patch stays applied for the next culprit, so
/// that all patches fit together.
pub async fn explain_all(
    builds: &Builds<'_>,
    answer: &mut Answer,
    effort: Effort,
    progress: &Progress,
) -> Result<(), ProveError> {
    let random = answer.proof.random.as_ref().and_then(|random| {
        Some(Culprit {
            knobs: Vec::new(),
            files: random.files.clone(),
            unpaired: random.unpaired.clone(),
            varied: Outputs::clone(answer.builds.first()?),
        })
    });
    let builds_well = |culprit: &&Culprit| culprit.varied.failed.is_none();
    // Chance would hide whether a patch helps against anything else.
    let culprits: Vec<_> = random
        .iter()
        .chain(&answer.culprits)
        .filter(builds_well)
        .collect();
    if culprits.is_empty() {
        return Ok(());
    }
    let (begun, before) = (Instant::now(), builds.count());
    let odds = answer.proof.random.as_ref().map(|random| random.odds);
    let mut workbench = Workbench::new(builds, progress)?;
    for culprit in culprits {
        let explained = explain(&mut workbench, culprit, odds, effort).await?;
        answer.proof.explained.push(explained);
    }
    let everything: Variation = answer.proof.varied.iter().map(|varied| varied.knob).collect();
    answer.proof.fixed = workbench.fixed(everything).await?;
    answer.proof.cost.explained = Some(Spent {
        builds: builds.count().saturating_sub(before),
        seconds: begun.elapsed().as_secs_f64(),
    });
    Ok(())
}

/// The outputs that differ in a culprit, by name.
type Differing<'a> = Vec<(String, &'a Comparison)>;

/// Traces the build of a culprit, names the processes that wrote the differences, and tries patches.
async fn explain(
    bench: &mut Workbench<'_>,
    culprit: &Culprit,
    odds: Option<Odds>,
    effort: Effort,
) -> Result<Explained, ProveError> {
    let builds = bench.builds;
    let variation: Variation = culprit.knobs.iter().copied().collect();
    let differing: Differing<'_> = culprit
        .files
        .iter()
        .map(|comparison| (name_of(&comparison.released.name, &culprit.varied), comparison))
        .collect();
    let place = builds.source_path(&variation);
    let sources = Sources {
        seen: &place,
        folder: builds.tree(),
        script: builds.script(),
    };
    bench.tell(&format!("watching a build: {}", about(&culprit.knobs)));
    let traced = traced(builds, &variation, &culprit.varied).await?;
    let (mut explained, near) = seen_in_trace(culprit, &differing, traced, sources, &bench.files);
    let causes: Vec<Cause> = differing
        .iter()
        .flat_map(|(_, comparison)| comparison.open_causes())
        .map(|(cause, _)| cause)
        .collect();
    let files = bench.files.clone();
    let case = Case {
        knobs: &culprit.knobs,
        causes: &causes,
        lines: &explained.lines().cloned().collect::<Vec<_>>(),
        suspects: &near,
        files: &files,
        sources,
    };
    let before = Built {
        files: culprit.varied.files.len(),
        differing: differing.len().saturating_add(culprit.unpaired.len()),
        places: differing.iter().map(|(_, comparison)| places(comparison)).sum(),
        failed: None,
    };
    bench.variation = variation;
    bench.repeats = repeats(&culprit.knobs, odds);
    let base = bench.patch.clone();
    let search = find(&case, &base, before, bench, effort.patches).await?;
    (explained.tried, explained.fix) = apply_fix(bench, search, &base);
    Ok(explained)
}

/// What the trace of one more build shows of a culprit; second, the files that contributed to it, the nearest first.
fn seen_in_trace(
    culprit: &Culprit,
    differing: &Differing<'_>,
    traced: Traced,
    sources: Sources<'_>,
    files: &[String],
) -> (Explained, Vec<String>) {
    let mut explained = Explained {
        knobs: culprit.knobs.clone(),
        doubt: None,
        attributions: Vec::new(),
        askers: Vec::new(),
        fix: None,
        tried: Vec::new(),
    };
    let writers = match traced {
        Ok((writers, doubt)) => {
            explained.doubt = doubt;
            writers
        }
        Err(why) => {
            explained.doubt = Some(why);
            return (explained, Vec::new());
        }
    };
    let outputs = differing
        .iter()
        .map(|(name, comparison)| (name.as_str(), *comparison));
    explained.attributions = attribute(outputs, &writers, sources);
    let named = |asker: &Asker| {
        let mut lines = explained.attributions.iter().filter_map(|one| one.line.as_ref());
        lines.any(|line| *line == asker.line)
    };
    let askers = askers(&culprit.knobs, &writers, sources, files);
    explained.askers = askers.into_iter().filter(|asker| !named(asker)).collect();
    let names = differing
        .iter()
        .map(|(name, _)| name.as_str())
        .chain(culprit.unpaired.iter().map(String::as_str));
    let near = suspects(names, &writers, sources);
    (explained, near)
}

/// Keeps the patch that a search found for the next culprits. Returns what was tried, and the patch, in words.
fn apply_fix(bench: &mut Workbench<'_>, search: Search, base: &Patch) -> (Vec<Attempt>, Option<ProvenFix>) {
    let tried = search
        .tried
        .iter()
        .map(|(remedies, built)| Attempt {
            remedies: remedies.iter().map(|name| (*name).to_owned()).collect(),
            result: result(built),
        })
        .collect();
    let fix = search.fix.map(|fix| {
        bench.patch = fix.patch.clone();
        ProvenFix {
            does: fix
                .remedies
                .iter()
                .map(|remedy| remedy.title.to_owned())
                .collect(),
            patch: fix.patch.diff_from(base),
            whole: fix.is_whole(),
            result: fix.sentence(),
        }
    });
    (tried, fix)
}

/// The name of an output below its folder; comparisons show the full path.
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

/// The trace of a build and a doubt about it, or why there is none.
type Traced = Result<(Writers, Option<String>), String>;

/// Watches one more build like `before`. The doubt says why it may not be the same.
async fn traced(builds: &Builds<'_>, variation: &Variation, before: &Outputs) -> Result<Traced, ProveError> {
    if builds.backend() != "embedded" {
        return Ok(Err(format!(
            "the {} backend cannot watch a build; use --backend embedded",
            builds.backend()
        )));
    }
    let events = tempfile::NamedTempFile::new_in(builds.folder()).map_err(read(builds.folder()))?;
    let outputs = builds.run_traced(variation, events.path()).await?;
    if let Some(reason) = &outputs.failed {
        return Ok(Err(format!("the build fails if it is watched: {reason}")));
    }
    let writers = File::open(events.path()).and_then(Writers::read);
    let writers = match writers {
        Ok(writers) => writers,
        Err(error) => return Ok(Err(format!("the trace cannot be read: {error}"))),
    };
    let digests = |outputs: &Outputs| -> Vec<_> {
        outputs
            .files
            .iter()
            .map(|file| (file.name.clone(), file.sha256))
            .collect()
    };
    let doubt = (digests(&outputs) != digests(before))
        .then(|| "the watched build produced other bytes than the one before it".to_owned());
    Ok(Ok((writers, doubt)))
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

/// How often a build that is the same is repeated, because random differences are not always visible.
fn repeats(knobs: &[Knob], odds: Option<Odds>) -> usize {
    let by_chance = [Knob::HashSeed, Knob::AddressLayout, Knob::Parallelism, Knob::Load];
    match odds.filter(|_| knobs.is_empty()) {
        // Of builds that differ every second time, one of 16 has none of four that does.
        Some(odds) if odds.differing < odds.of => {
            odds.of.div_ceil(odds.differing.max(1)).min(4).saturating_mul(3)
        }
        Some(_) => 1,
        None if knobs.iter().any(|knob| by_chance.contains(knob)) => 2,
        None => 0,
    }
}

/// A culprit in words, for progress messages.
fn about(knobs: &[Knob]) -> String {
    if knobs.is_empty() {
        return "randomness".to_owned();
    }
    knobs
        .iter()
        .map(|knob| knob.name())
        .collect::<Vec<_>>()
        .join(" + ")
}
