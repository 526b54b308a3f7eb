//! Answers the questions of the search with builds, and remembers their results.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use futures_util::future::{BoxFuture, FutureExt as _};
use futures_util::stream::{StreamExt as _, TryStreamExt as _};

use super::Outputs;
use super::build::Builds;
use super::difference::Difference;
use super::error::ProveError;
use super::knob::{Knob, Variation};
use super::search::{self, bound};
use crate::progress::{Progress, ProgressBar};

/// Builds that are made at the same time.
pub(super) fn side_by_side() -> usize {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    // A build may need this much memory.
    let room = usize::try_from(free_memory() >> 31).unwrap_or(usize::MAX);
    processors.min(room).clamp(1, 4)
}

/// Bytes of free memory.
fn free_memory() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kilobytes.map_or(u64::MAX, |kilobytes| kilobytes << 10)
}

/// A build and how it differs from the baseline.
#[derive(Debug, Clone)]
struct Known {
    outputs: Arc<Outputs>,
    difference: Arc<Difference>,
}

/// The builds of one project, by the knobs that were turned.
pub(super) struct BuildOracle<'a> {
    builds: &'a Builds<'a>,
    baseline: Option<Arc<Outputs>>,
    known: BTreeMap<Variation, Known>,
    /// Places that differ between builds of the baseline.
    noise: BTreeSet<String>,
    /// A build of the baseline that differs from the first one.
    random: Option<Known>,
    /// All builds, in the order in which they were compared.
    made: Vec<Arc<Outputs>>,
    knobs: usize,
    told: Told,
}

/// Progress messages.
struct Told {
    progress: Progress,
    bar: Option<ProgressBar>,
    begun: Instant,
}

impl<'a> BuildOracle<'a> {
    pub(super) fn new(builds: &'a Builds<'a>, knobs: usize, progress: Progress) -> Self {
        Self {
            builds,
            baseline: None,
            known: BTreeMap::new(),
            noise: BTreeSet::new(),
            random: None,
            made: Vec::new(),
            knobs,
            told: Told {
                progress,
                bar: None,
                begun: Instant::now(),
            },
        }
    }

    /// The first build of the baseline.
    pub(super) fn baseline(&self) -> Option<&Arc<Outputs>> {
        self.baseline.as_ref()
    }

    /// All builds.
    pub(super) fn made(&self) -> &[Arc<Outputs>] {
        &self.made
    }

    /// A build that was made, and how it differs from the baseline.
    pub(super) fn of(&self, variation: &Variation) -> Option<(&Arc<Outputs>, &Arc<Difference>)> {
        let known = self.known.get(variation)?;
        Some((&known.outputs, &known.difference))
    }

    /// A build of the baseline that differs from the first one, if one did.
    pub(super) fn random(&self) -> Option<(&Arc<Outputs>, &Arc<Difference>)> {
        let known = self.random.as_ref()?;
        Some((&known.outputs, &known.difference))
    }

    /// Places that differ between builds of the baseline.
    pub(super) fn noise(&self) -> &BTreeSet<String> {
        &self.noise
    }

    async fn build(&self, variation: &Variation) -> Result<Arc<Outputs>, ProveError> {
        let outputs = self.builds.run(variation, self.builds.tree()).await?;
        Ok(Arc::new(outputs))
    }

    /// The first build of the baseline must succeed: everything is compared with it.
    async fn ensure_baseline(&mut self) -> Result<Arc<Outputs>, ProveError> {
        if let Some(baseline) = &self.baseline {
            return Ok(baseline.clone());
        }
        self.tell(&Variation::baseline());
        let mut outputs = self.build(&Variation::baseline()).await?;
        let lacks = outputs.failed.is_some() && !self.builds.missing(&outputs).is_empty();
        if outputs.failed.is_some() && !lacks && self.builds.is_clock_held() {
            let held = outputs;
            self.builds.let_clock_run();
            outputs = self.build(&Variation::baseline()).await?;
            if outputs.failed.is_some() {
                outputs = held;
            }
        }
        self.check_baseline(outputs)
    }

    fn check_baseline(&mut self, outputs: Arc<Outputs>) -> Result<Arc<Outputs>, ProveError> {
        if let Some(reason) = &outputs.failed {
            return Err(self.builds.broken(reason.clone(), &outputs));
        }
        if outputs.files.is_empty() {
            return Err(ProveError::NoOutput);
        }
        self.baseline = Some(outputs.clone());
        self.made.push(outputs.clone());
        Ok(outputs)
    }

    async fn compared(&mut self, outputs: Arc<Outputs>) -> Result<Known, ProveError> {
        let baseline = self.ensure_baseline().await?;
        self.made.push(outputs.clone());
        let (one, other) = (baseline, outputs.clone());
        let found = tokio::task::spawn_blocking(move || Difference::between(&one, &other)).await;
        let difference = found.map_err(|error| ProveError::Bug {
            reason: error.to_string(),
        })??;
        Ok(Known {
            outputs,
            difference: Arc::new(difference),
        })
    }

    async fn know(&mut self, set: BTreeSet<Knob>) -> Result<&Known, ProveError> {
        let variation: Variation = set.into_iter().collect();
        if !self.known.contains_key(&variation) {
            self.tell(&variation);
            let outputs = self.build(&variation).await?;
            let known = self.compared(outputs).await?;
            self.known.insert(variation.clone(), known);
        }
        self.known.get(&variation).ok_or(ProveError::Bug {
            reason: "a build was forgotten".into(),
        })
    }

    /// Reports which build begins, the maximum number of builds, what is turned, and how long the rest may take.
    fn tell(&mut self, variation: &Variation) {
        let made = self.builds.count();
        let number = made.saturating_add(1);
        let most = bound(1, self.knobs).max(number);
        let left = match made {
            0 => String::new(),
            made => {
                let each = self.told.begun.elapsed().as_secs_f64() / count(made);
                format!(", at most {}", duration(each * count(most.saturating_sub(made))))
            }
        };
        if let Some(bar) = self.told.bar.take() {
            bar.finish_and_clear();
        }
        let varied = described(variation, self.knobs);
        let text = format!("build {number} of at most {most} for one culprit: {varied}{left}");
        self.told.bar = Some(self.told.progress.stage(text));
    }
}

#[allow(clippy::cast_precision_loss)]
fn count(number: usize) -> f64 {
    number as f64
}

fn duration(seconds: f64) -> String {
    if seconds < 90.0 {
        format!("{seconds:.0} s left")
    } else {
        format!("{:.0} min left", seconds / 60.0)
    }
}

/// What is turned, in few words.
fn described(variation: &Variation, all: usize) -> String {
    match variation.knobs().count() {
        0 => "baseline".to_owned(),
        turned if turned == all => "everything varied".to_owned(),
        turned if turned > 4 => format!("{turned} things varied"),
        _ => format!("{variation} varied"),
    }
}

impl Drop for BuildOracle<'_> {
    fn drop(&mut self) {
        if let Some(bar) = self.told.bar.take() {
            bar.finish_and_clear();
        }
    }
}

impl search::Oracle<Knob> for BuildOracle<'_> {
    type Error = ProveError;

    fn prepare(&mut self, sets: Vec<BTreeSet<Knob>>) -> BoxFuture<'_, Result<(), ProveError>> {
        async move {
            // The setup is done once, in the first build; those that follow find its layer.
            self.ensure_baseline().await?;
            let wanted: Vec<Variation> = sets
                .into_iter()
                .map(|set| set.into_iter().collect::<Variation>())
                .filter(|variation| {
                    *variation != Variation::baseline() && !self.known.contains_key(variation)
                })
                .collect();
            if let Some(first) = wanted.first() {
                self.tell(first);
            }
            let builds = self.builds;
            let built: Vec<Arc<Outputs>> = futures_util::stream::iter(wanted)
                .map(|variation| async move {
                    let outputs = builds.run(&variation, builds.tree()).await?;
                    Ok::<_, ProveError>(Arc::new(outputs))
                })
                .buffer_unordered(side_by_side())
                .try_collect()
                .await?;
            for outputs in built {
                let variation = outputs.variation.clone();
                let known = self.compared(outputs).await?;
                self.known.insert(variation, known);
            }
            Ok(())
        }
        .boxed()
    }

    fn differs(&mut self, set: BTreeSet<Knob>) -> BoxFuture<'_, Result<bool, ProveError>> {
        async move {
            let difference = self.know(set).await?.difference.clone();
            Ok(difference.places.iter().any(|place| !self.noise.contains(place)))
        }
        .boxed()
    }

    fn again(&mut self, set: BTreeSet<Knob>) -> BoxFuture<'_, Result<bool, ProveError>> {
        async move {
            let variation: Variation = set.iter().copied().collect();
            self.tell(&variation);
            let outputs = self.build(&variation).await?;
            let new = self.compared(outputs).await?;
            if set.is_empty() {
                self.noise.extend(new.difference.places.iter().cloned());
                let differs = !new.difference.places.is_empty();
                if differs && self.random.is_none() {
                    self.random = Some(new);
                }
                return Ok(differs);
            }
            let places = &self.know(set).await?.difference.places.clone();
            let open = |place: &&String| !self.noise.contains(*place);
            Ok(new
                .difference
                .places
                .iter()
                .filter(open)
                .any(|place| places.contains(place)))
        }
        .boxed()
    }

    fn builds(&self) -> usize {
        self.builds.count()
    }
}
