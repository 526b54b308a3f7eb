//! Tries candidates by building with them.

use futures_util::future::BoxFuture;

use super::{Candidate, Case, Patch, Remedy, Scope};

/// The result of the builds with a patch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// Outputs.
    pub files: usize,
    /// Outputs that still differ, or that one of the two builds lacks.
    pub differing: usize,
    /// Places that differ in them.
    pub places: u64,
    /// Why a build failed, if one did.
    pub failed: Option<String>,
}

impl Built {
    /// The result of failed builds.
    pub fn failed(reason: String) -> Self {
        Self {
            files: 0,
            differing: 0,
            places: 0,
            failed: Some(reason),
        }
    }

    fn is_cured(&self) -> bool {
        self.failed.is_none() && self.differing == 0
    }

    fn is_better_than(&self, other: &Self) -> bool {
        // A patch after which fewer files are built has cured nothing.
        self.failed.is_none()
            && self.files >= other.files
            && (self.differing, self.places) < (other.differing, other.places)
    }
}

/// Builds the project with a patch, once as the baseline and once with the culprit, and compares the two.
pub trait Trial: Send {
    /// What ends the search.
    type Error: Send;

    /// Both builds.
    fn build<'a>(&'a mut self, patch: &'a Patch) -> BoxFuture<'a, Result<Built, Self::Error>>;
}

/// A patch with the result of its builds.
#[derive(Debug, Clone)]
pub struct Fix {
    /// The remedies in it.
    pub remedies: Vec<&'static Remedy>,
    /// The change.
    pub patch: Patch,
    /// What came of it.
    pub built: Built,
}

impl Fix {
    /// Whether the outputs are the same with it.
    pub fn is_whole(&self) -> bool {
        self.built.is_cured()
    }

    /// A sentence for reports.
    pub fn sentence(&self) -> String {
        let (same, all) = (
            self.built.files.saturating_sub(self.built.differing),
            self.built.files,
        );
        let patch = if self.remedies.is_empty() {
            "with the patches above"
        } else {
            "with this patch"
        };
        let outcome = if self.is_whole() {
            "the culprit is gone"
        } else {
            "less differs"
        };
        let noun = if all == 1 { "file" } else { "files" };
        format!("{patch} {outcome}; {same} of {all} {noun} the same")
    }
}

/// The patches that were tried, and those that helped.
#[derive(Debug, Clone)]
pub struct Search {
    /// The best that was found.
    pub fix: Option<Fix>,
    /// Every attempt: the names of its remedies, and its result.
    pub tried: Vec<(Vec<&'static str>, Built)>,
}

/// Tries at most `most` patches on top of `base`, which helped against other culprits; `before` is the difference
/// without any.
pub async fn find<T: Trial>(
    case: &Case<'_>,
    base: &Patch,
    before: Built,
    trial: &mut T,
    most: usize,
) -> Result<Search, T::Error> {
    let mut search = Searching {
        case,
        trial,
        left: most,
        best: Fix {
            remedies: Vec::new(),
            patch: base.clone(),
            built: before,
        },
        tried: Vec::new(),
    };
    search.all().await?;
    let Searching { best, tried, .. } = search;
    let helps = best.patch != *base || (!base.is_empty() && best.is_whole());
    Ok(Search {
        fix: helps.then_some(best),
        tried,
    })
}

struct Searching<'a, T> {
    case: &'a Case<'a>,
    trial: &'a mut T,
    left: usize,
    best: Fix,
    tried: Vec<(Vec<&'static str>, Built)>,
}

impl<T: Trial> Searching<'_, T> {
    async fn all(&mut self) -> Result<(), T::Error> {
        let base = self.best.patch.clone();
        // What helped against another culprit may have cured this one too.
        if !base.is_empty() && self.attempt(Vec::new(), base.clone()).await? {
            return Ok(());
        }
        let candidates = self.case.candidates(&base);
        for candidate in &candidates {
            // What comes last is all at once, for causes of which none shows alone.
            if self.left <= 1 && candidates.len() > 1 {
                break;
            }
            if self.one(*candidate).await? {
                return Ok(());
            }
        }
        let wider = candidates
            .iter()
            .filter(|candidate| candidate.scope == Scope::Lines);
        for candidate in wider {
            let candidate = Candidate {
                scope: Scope::Suspects,
                ..*candidate
            };
            if self.left <= 1 || self.one(candidate).await? {
                break;
            }
        }
        if candidates.len() > 1 && !self.best.is_whole() {
            self.together(&candidates, base).await?;
        }
        Ok(())
    }

    /// Whether this one made all outputs the same.
    async fn one(&mut self, candidate: Candidate) -> Result<bool, T::Error> {
        let Some(patch) = self.case.patched(candidate, &self.best.patch) else {
            return Ok(false);
        };
        let mut remedies = self.best.remedies.clone();
        remedies.push(candidate.remedy);
        self.attempt(remedies, patch).await
    }

    async fn together(&mut self, candidates: &[Candidate], mut patch: Patch) -> Result<bool, T::Error> {
        let mut remedies = Vec::new();
        for candidate in candidates {
            let scope = candidate.scope.max(Scope::Suspects);
            if let Some(more) = self.case.patched(Candidate { scope, ..*candidate }, &patch) {
                patch = more;
                remedies.push(candidate.remedy);
            }
        }
        self.attempt(remedies, patch).await
    }

    async fn attempt(&mut self, remedies: Vec<&'static Remedy>, patch: Patch) -> Result<bool, T::Error> {
        let Some(left) = self.left.checked_sub(1) else {
            return Ok(false);
        };
        self.left = left;
        let built = self.trial.build(&patch).await?;
        let names = remedies.iter().map(|remedy| remedy.name).collect();
        self.tried.push((names, built.clone()));
        if built.is_better_than(&self.best.built) {
            self.best = Fix {
                remedies,
                patch,
                built,
            };
        }
        Ok(self.best.is_whole())
    }
}
