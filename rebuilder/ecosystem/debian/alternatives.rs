//! After a Debian build that failed: some packages need an ordinary user, a terminal, or their tests.

use crate::ecosystem::hints::{Alternative, EndedRun, Hints, Settings};
use crate::plan::Origin;
use crate::run::{Stage, Verdict};

/// Plans that are worth a try, the likeliest first.
pub(super) fn after(run: &EndedRun<'_>, hints: &Hints) -> Vec<Alternative> {
    let EndedRun::Built(_, record) = run else {
        return Vec::new();
    };
    if !matches!(
        &record.verdict,
        Verdict::Inconclusive {
            stage: Stage::Build,
            ..
        }
    ) {
        return Vec::new();
    }
    let because = run.reason();
    let tried = || Some(Origin::Tried(because.clone()));
    let with = |settings: Settings, what: &str| Alternative {
        hints: Hints {
            settings,
            ..hints.clone()
        },
        because: format!("{what}: {because}"),
    };
    let now = &hints.settings;
    let mut all = Vec::new();
    if now.ordinary_user.is_none() {
        let settings = Settings {
            ordinary_user: tried(),
            ..now.clone()
        };
        all.push(with(settings, "as an ordinary user on a terminal"));
    }
    if now.tests.is_none() {
        let settings = Settings {
            tests: tried(),
            ..now.clone()
        };
        all.push(with(settings, "with its tests, which may make what it installs"));
    }
    all
}
