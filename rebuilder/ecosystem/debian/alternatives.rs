//! After a Debian build that failed: some packages need an ordinary user, a terminal, or their tests.

use super::plan::OPTIONS;
use crate::ecosystem::hints::{Alternative, EndedRun, Hints, Settings};
use crate::plan::{Origin, Plan};
use crate::run::{Stage, Verdict, undeclared};

/// Plans that are worth a try, the likeliest first.
pub(super) fn after(run: &EndedRun<'_>, hints: &Hints) -> Vec<Alternative> {
    let EndedRun::Built(plan, record) = run else {
        return Vec::new();
    };
    match &record.verdict {
        Verdict::NotReproduced => return as_recorded(plan, hints).into_iter().collect(),
        Verdict::Inconclusive {
            stage: Stage::Build, ..
        } => {}
        _ => return Vec::new(),
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

/// The build with its tests, where all else is as the .buildinfo says: only then can a difference be held against the
/// release.
fn as_recorded(plan: &Plan, hints: &Hints) -> Option<Alternative> {
    let mut assumed = undeclared(plan);
    let only = assumed.next().filter(|_| assumed.next().is_none())?;
    if only.what != OPTIONS || hints.settings.tests.is_some() {
        return None;
    }
    let settings = Settings {
        tests: Some(Origin::Declared(
            "the .buildinfo, whose builder did not skip them".into(),
        )),
        ..hints.settings.clone()
    };
    Some(Alternative {
        hints: Hints {
            settings,
            ..hints.clone()
        },
        because: "with its tests, as the recorded build ran them: nothing else was assumed".to_owned(),
    })
}
