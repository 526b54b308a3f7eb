//! What to try after a Debian build failed or produced other bytes. Some packages need an ordinary user, a terminal,
//! or their tests. If no `.buildinfo` says which versions were installed, the build may have used another state of the
//! archive.

use super::dependencies::{DEPENDENCIES, GONE, TODAYS, UPDATES, VERSION};
use super::plan::OPTIONS;
use crate::ecosystem::hints::{Alternative, ArchiveState, EndedRun, Hints, Settings};
use crate::plan::{Assumption, Origin, Plan};
use crate::run::{Stage, Verdict, undeclared};

/// Plans that are worth a try, the most likely first.
pub(super) fn after(run: &EndedRun<'_>, hints: &Hints) -> Vec<Alternative> {
    let EndedRun::Built(plan, record) = run else {
        return Vec::new();
    };
    match &record.verdict {
        Verdict::NotReproduced | Verdict::Equivalent => {
            let recorded = as_recorded(plan, hints).into_iter();
            return recorded.chain(other_states(plan, &run.reason(), hints)).collect();
        }
        Verdict::Inconclusive {
            stage: Stage::Setup, ..
        } => return other_states(plan, &run.reason(), hints),
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

/// Other states of the archive, if today's produced other bytes: the point release without updates, if the build used
/// some; the newest versions, if the released package led to older ones; and the day of the release. If the archive no
/// longer has a version that the release names, only the archive of that day has it.
fn other_states(plan: &Plan, because: &str, hints: &Hints) -> Vec<Alternative> {
    let dependencies = plan.assumptions.iter().find(|it| it.what == DEPENDENCIES);
    if dependencies.is_none_or(Assumption::is_declared) {
        return Vec::new();
    }
    let state = hints.settings.archive.as_ref().map(|(state, _)| *state);
    let with = |state: ArchiveState, words: String| {
        let because = format!("{words}: {because}");
        let settings = Settings {
            archive: Some((state, Origin::Tried(because.clone()))),
            ..hints.settings.clone()
        };
        Alternative {
            hints: Hints {
                settings,
                ..hints.clone()
            },
            because,
        }
    };
    let mut all = Vec::new();
    let is_gone = plan.assumptions.iter().any(|it| it.value == GONE);
    if state.is_none() && !is_gone {
        let mut said = plan.assumptions.iter();
        if let Some(updates) = said.find(|it| it.what == UPDATES) {
            let words = format!("the archive without its updates ({})", updates.value);
            all.push(with(ArchiveState::PointRelease, words));
        }
        let led = |it: &Assumption| it.what.starts_with(VERSION) && it.value != TODAYS && !it.is_declared();
        if plan.assumptions.iter().any(led) {
            let words = "the newest versions of everything";
            all.push(with(ArchiveState::Newest, words.to_owned()));
        }
    }
    if state != Some(ArchiveState::OfTheDay) {
        let words = "the archive as it was on the day of the release";
        all.push(with(ArchiveState::OfTheDay, words.to_owned()));
    }
    all
}

/// The build with its tests, if everything else is as the .buildinfo says: only then does a difference speak against
/// the release.
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::plan::sample;

    fn plan(assumptions: &serde_json::Value) -> Plan {
        sample::plan(
            &json!({"subject": "pkg:deb/debian/x@1", "ecosystem": "debian", "assumptions": assumptions}),
        )
    }

    /// The alternative after one attempt, by the assumptions of its plan and the state that it used.
    #[test]
    fn each_state_of_the_archive_is_tried_once_and_for_a_reason() {
        use ArchiveState::{Newest, OfTheDay, PointRelease};
        let apt = json!({"what": DEPENDENCIES, "value": "3 packages", "origin": {"inferred": "apt"}});
        let recorded =
            json!({"what": DEPENDENCIES, "value": "3 packages", "origin": {"declared": "the .buildinfo"}});
        let updates = json!({"what": UPDATES, "value": "perl 4", "origin": {"inferred": "today"}});
        let version = |value: &str, origin: &str| json!({"what": "version of perl", "value": value, "origin": {origin: "Depends"}});
        for (assumed, state, expected) in [
            (vec![&recorded], None, vec![]),
            (vec![&apt], None, vec![OfTheDay]),
            (vec![&apt, &updates], None, vec![PointRelease, OfTheDay]),
            (
                vec![&apt, &version("3", "inferred")],
                None,
                vec![Newest, OfTheDay],
            ),
            (vec![&apt, &version("3", "declared")], None, vec![OfTheDay]),
            (vec![&apt, &version(TODAYS, "inferred")], None, vec![OfTheDay]),
            (
                vec![&apt, &updates, &version(GONE, "inferred")],
                None,
                vec![OfTheDay],
            ),
            (vec![&apt, &updates], Some(PointRelease), vec![OfTheDay]),
            (vec![&apt], Some(OfTheDay), vec![]),
        ] {
            let mut hints = Hints::default();
            hints.settings.archive = state.map(|state| (state, Origin::Tried("before".into())));
            let found = other_states(&plan(&json!(assumed)), "what differs is content", &hints);
            let states: Vec<_> = found
                .iter()
                .filter_map(|it| it.hints.settings.archive.as_ref().map(|(state, _)| *state))
                .collect();
            assert_eq!(states, expected, "{assumed:?} in {state:?}");
            for alternative in found {
                assert!(alternative.because.ends_with(": what differs is content"));
                let (_, origin) = alternative.hints.settings.archive.unwrap();
                assert_eq!(origin, Origin::Tried(alternative.because));
            }
        }
    }
}
