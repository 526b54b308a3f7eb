//! Which knobs change the outputs, in as few builds as possible.
//!
//! Two builds of the baseline show plain randomness, and one with everything turned shows whether any knob matters. If
//! one does, the shortest prefix of the knobs that still changes the outputs is found by bisection: its last knob is a
//! culprit. If that knob alone changes nothing, it takes others of the prefix, and the same is asked again with the knob
//! turned, until the set suffices; it is then a smallest one. Its knobs are set aside, and the rest is asked once more.
//!
//! For `k` culprits of `n` knobs this takes at most [`bound`] builds, if turning more knobs never hides a difference.
//! What two knobs hide from each other is not found.

use std::collections::BTreeSet;

use futures_util::future::BoxFuture;

/// Answers the questions of a search.
pub trait Oracle<K>: Send {
    /// A build that broke.
    type Error: Send;

    /// Makes several builds, in parallel if the machine has room for them.
    fn prepare(&mut self, sets: Vec<BTreeSet<K>>) -> BoxFuture<'_, Result<(), Self::Error>>;

    /// Whether the build with these knobs turned differs from the baseline in anything but known randomness. A set that
    /// was built before is not built again.
    fn differs(&mut self, set: BTreeSet<K>) -> BoxFuture<'_, Result<bool, Self::Error>>;

    /// The same for a new build. What differs in a new build of the baseline is known randomness from then on; and of
    /// another set, whether this build has the differences of the one before.
    fn again(&mut self, set: BTreeSet<K>) -> BoxFuture<'_, Result<bool, Self::Error>>;

    /// Builds so far.
    fn builds(&self) -> usize;
}

/// The options of a search.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// End with the first culprit.
    pub first_only: bool,
    /// Number of baseline builds from which to estimate the odds of a random difference.
    pub repeats: usize,
}

/// How often builds that should be the same were not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Odds {
    /// Builds of the baseline that differed from the first one.
    pub differing: usize,
    /// Builds of the baseline, without the first one.
    pub of: usize,
}

/// What a search found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found<K> {
    /// Smallest sets of knobs, in the order in which they were found.
    pub culprits: Vec<BTreeSet<K>>,
    /// Whether builds of the baseline differ among themselves.
    pub random: Option<Odds>,
    /// Whether all knobs but the culprits were seen to change nothing.
    pub complete: bool,
}

/// The most builds for `culprits` of `knobs`: ⌈2·k·log₂ n⌉ + 3. Those that tell odds of randomness come on top.
pub fn bound(culprits: usize, knobs: usize) -> usize {
    if culprits == 0 || knobs == 0 {
        return 3;
    }
    // Exact enough: both are below a hundred.
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss
    )]
    let steps = (2.0 * culprits as f64 * (knobs as f64).log2()).ceil() as usize;
    // Of one or two knobs, a bisection has nothing to halve.
    steps.max(culprits.saturating_sub(1)).saturating_add(3)
}

/// Finds the smallest sets of `knobs` that change the outputs; knobs that come first are found first.
pub async fn search<K, O>(knobs: &[K], oracle: &mut O, options: Options) -> Result<Found<K>, O::Error>
where
    K: Copy + Ord + Send + Sync,
    O: Oracle<K>,
{
    let all: BTreeSet<K> = knobs.iter().copied().collect();
    oracle.prepare(vec![BTreeSet::new(), all]).await?;
    let mut random = if oracle.again(BTreeSet::new()).await? {
        Some(odds(oracle, options.repeats).await?)
    } else {
        None
    };
    loop {
        let mut searching = Searching {
            knobs: knobs.len(),
            oracle: &mut *oracle,
            culprits: Vec::new(),
        };
        match searching.all(knobs, options.first_only, random.is_none()).await? {
            End::Flaky => random = Some(odds(oracle, options.repeats).await?),
            End::Complete(complete) => {
                return Ok(Found {
                    culprits: searching.culprits,
                    random,
                    complete,
                });
            }
        }
    }
}

/// Builds the baseline as often as it takes to tell the odds; the second build counts.
async fn odds<K, O: Oracle<K>>(oracle: &mut O, repeats: usize) -> Result<Odds, O::Error>
where
    K: Copy + Ord + Send + Sync,
{
    let mut odds = Odds { differing: 1, of: 1 };
    for _ in 1..repeats.max(1) {
        odds.of = odds.of.saturating_add(1);
        let differs = oracle.again(BTreeSet::new()).await?;
        odds.differing = odds.differing.saturating_add(usize::from(differs));
    }
    Ok(odds)
}

enum End {
    /// Something differed that does not depend on the knobs.
    Flaky,
    /// Whether all that is left was seen to change nothing.
    Complete(bool),
}

struct Searching<'a, K, O> {
    knobs: usize,
    oracle: &'a mut O,
    culprits: Vec<BTreeSet<K>>,
}

impl<K: Copy + Ord + Send + Sync, O: Oracle<K>> Searching<'_, K, O> {
    /// All smallest sets; `trusting` if randomness has not been seen and may still be.
    async fn all(&mut self, knobs: &[K], first_only: bool, trusting: bool) -> Result<End, O::Error> {
        let mut rest = knobs.to_vec();
        while !rest.is_empty() && self.differs(&[], &rest).await? {
            let set = self.smallest(&rest).await?;
            rest.retain(|knob| !set.contains(knob));
            self.culprits.push(set.clone());
            // A build that differs by chance rarely does so twice.
            if self.may_build(2) && !self.oracle.again(set).await? {
                return Ok(End::Flaky);
            }
            if first_only {
                return Ok(End::Complete(rest.is_empty()));
            }
        }
        if trusting
            && !self.culprits.is_empty()
            && self.may_build(1)
            && self.oracle.again(BTreeSet::new()).await?
        {
            return Ok(End::Flaky);
        }
        Ok(End::Complete(true))
    }

    /// Whether that many more builds stay within the bound.
    fn may_build(&self, more: usize) -> bool {
        let found: usize = self.culprits.iter().map(BTreeSet::len).sum();
        self.oracle.builds().saturating_add(more) <= bound(found, self.knobs)
    }

    async fn differs(&mut self, turned: &[K], more: &[K]) -> Result<bool, O::Error> {
        let set = turned.iter().chain(more).copied().collect();
        self.oracle.differs(set).await
    }

    /// A smallest set among knobs that change something together.
    async fn smallest(&mut self, knobs: &[K]) -> Result<BTreeSet<K>, O::Error> {
        let mut turned: Vec<K> = Vec::new();
        let mut pool = knobs.to_vec();
        loop {
            // `turned` and the first `most` of the pool are known to differ, and with the first `least` they do not.
            let (mut least, mut most) = (0, pool.len());
            while most.saturating_sub(least) > 1 {
                let middle = usize::midpoint(least, most);
                if self
                    .differs(&turned, pool.get(..middle).unwrap_or_default())
                    .await?
                {
                    most = middle;
                } else {
                    least = middle;
                }
            }
            let Some(last) = pool.get(least).copied() else {
                return Ok(turned.into_iter().collect());
            };
            turned.push(last);
            pool.truncate(least);
            if pool.is_empty() || self.differs(&turned, &[]).await? {
                return Ok(turned.into_iter().collect());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::convert::Infallible;

    use futures_util::FutureExt as _;
    use proptest::prelude::*;

    use super::*;

    /// Builds whose outputs depend on planted sets, each in a separate file, and on chance.
    #[derive(Default)]
    struct Planted {
        sets: Vec<BTreeSet<usize>>,
        /// Every so many builds, a separate file differs; never if 0.
        flaky_every: usize,
        built: BTreeMap<BTreeSet<usize>, BTreeSet<usize>>,
        noise: BTreeSet<usize>,
        builds: usize,
    }

    const CHANCE: usize = 1000;

    impl Planted {
        fn build(&mut self, set: &BTreeSet<usize>) -> BTreeSet<usize> {
            self.builds += 1;
            let sets = self.sets.iter().enumerate();
            let mut files: BTreeSet<_> = sets
                .filter(|(_, planted)| planted.is_subset(set))
                .map(|(file, _)| file)
                .collect();
            if self.flaky_every > 0 && self.builds.is_multiple_of(self.flaky_every) {
                files.insert(CHANCE);
            }
            files
        }

        fn known(&mut self, set: &BTreeSet<usize>) -> BTreeSet<usize> {
            if !self.built.contains_key(set) {
                let files = self.build(set);
                self.built.insert(set.clone(), files);
            }
            &self.built[set] - &self.noise
        }
    }

    impl Oracle<usize> for Planted {
        type Error = Infallible;

        fn prepare(&mut self, sets: Vec<BTreeSet<usize>>) -> BoxFuture<'_, Result<(), Infallible>> {
            for set in sets {
                self.known(&set);
            }
            async { Ok(()) }.boxed()
        }

        fn differs(&mut self, set: BTreeSet<usize>) -> BoxFuture<'_, Result<bool, Infallible>> {
            let differs = !self.known(&set).is_empty();
            async move { Ok(differs) }.boxed()
        }

        fn again(&mut self, set: BTreeSet<usize>) -> BoxFuture<'_, Result<bool, Infallible>> {
            let files = self.build(&set);
            let differs = if set.is_empty() {
                let new = &files - &self.noise;
                self.noise.extend(files);
                !new.is_empty()
            } else {
                let before = self.known(&set);
                before.is_subset(&files)
            };
            async move { Ok(differs) }.boxed()
        }

        fn builds(&self) -> usize {
            self.builds
        }
    }

    fn run(planted: &mut Planted, count: usize) -> Found<usize> {
        let knobs: Vec<_> = (0..count).collect();
        let options = Options {
            first_only: false,
            repeats: 6,
        };
        let found = search(&knobs, planted, options).now_or_never().unwrap();
        found.unwrap()
    }

    fn planted(sets: &[&[usize]]) -> Planted {
        Planted {
            sets: sets.iter().map(|set| set.iter().copied().collect()).collect(),
            ..Planted::default()
        }
    }

    #[test]
    fn planted_culprits_are_found_alone_and_together() {
        let cases: [&[&[usize]]; 8] = [
            &[],
            &[&[0]],
            &[&[21]],
            &[&[3], &[4]],
            &[&[0, 21]],
            &[&[7, 8], &[2]],
            &[&[1, 9, 17]],
            &[&[5], &[6], &[11], &[20]],
        ];
        for sets in cases {
            let mut oracle = planted(sets);
            let found = run(&mut oracle, 22);
            let mut expected = oracle.sets.clone();
            expected.sort();
            let mut culprits = found.culprits.clone();
            culprits.sort();
            assert_eq!(culprits, expected, "{sets:?}");
            assert_eq!((found.random, found.complete), (None, true));
            let count = sets.iter().map(|set| set.len()).sum();
            assert!(
                oracle.builds <= bound(count, 22),
                "{sets:?}: {} builds",
                oracle.builds
            );
        }
    }

    #[test]
    fn a_clean_project_takes_three_builds() {
        let mut oracle = planted(&[]);
        run(&mut oracle, 22);
        assert_eq!(oracle.builds, 3);
    }

    #[test]
    fn chance_is_told_from_culprits() {
        for every in 2..9 {
            let mut oracle = planted(&[&[13]]);
            oracle.flaky_every = every;
            let found = run(&mut oracle, 22);
            assert_eq!(found.culprits, [BTreeSet::from([13])], "every {every}");
        }
        let mut oracle = planted(&[]);
        oracle.flaky_every = 2;
        let found = run(&mut oracle, 22);
        assert_eq!(found.culprits, Vec::<BTreeSet<usize>>::new());
        let odds = found.random.unwrap();
        assert!(
            odds.differing > 0 && odds.differing < odds.of + 1 && odds.of == 6,
            "{odds:?}"
        );
    }

    #[test]
    fn the_search_may_end_with_the_first_culprit() {
        let knobs: Vec<_> = (0..22).collect();
        let mut oracle = planted(&[&[3], &[4]]);
        let options = Options {
            first_only: true,
            repeats: 6,
        };
        let found = search(&knobs, &mut oracle, options)
            .now_or_never()
            .unwrap()
            .unwrap();
        assert_eq!(found.culprits, [BTreeSet::from([3])]);
        assert!(!found.complete);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        /// Sets that share no knob are found as they were planted, within the bound.
        #[test]
        fn any_planted_sets_are_found_within_the_bound(
            count in 8_usize..40,
            sizes in prop::collection::vec(1_usize..4, 0..4),
            seed in any::<u64>(),
        ) {
            let mut free: Vec<_> = (0..count).collect();
            let mut state = seed;
            let mut sets = Vec::new();
            for size in sizes {
                let mut set = BTreeSet::new();
                for _ in 0..size.min(free.len()) {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    let index = usize::try_from(state >> 33).unwrap() % free.len();
                    set.insert(free.swap_remove(index));
                }
                if !set.is_empty() {
                    sets.push(set);
                }
            }
            let mut oracle = Planted { sets: sets.clone(), ..Planted::default() };
            let mut found = run(&mut oracle, count).culprits;
            sets.sort();
            found.sort();
            prop_assert_eq!(&found, &sets);
            let culprits = sets.iter().map(BTreeSet::len).sum();
            prop_assert!(oracle.builds <= bound(culprits, count), "{} builds", oracle.builds);
        }
    }
}
