//! After a crate that was not reproduced: another cargo, since what it writes and how it compresses depends on its
//! version.

use crate::ecosystem::hints::{Alternative, EndedRun, Hints};
use crate::plan::{Assumption, Origin, Plan};

use super::toolchain;

/// Steps from the stable release of the day: beta is one ahead, and many do not update at once.
const STEPS: [i64; 6] = [1, -1, -2, -3, -5, -8];

/// Plans that are worth a try, the likeliest first.
pub(super) fn after(run: &EndedRun<'_>, hints: &Hints) -> Vec<Alternative> {
    // The steps start from the first guess; none start from another version.
    let (EndedRun::Built(plan, _), false) = (run, hints.tools.contains_key("cargo")) else {
        return Vec::new();
    };
    let because = run.reason();
    let Some(minor) = stable_minor(plan) else {
        return Vec::new();
    };
    let nightly = day(plan).map(|day| format!("nightly-{day}"));
    let steps = STEPS
        .iter()
        .map(|step| minor.saturating_add(*step))
        .filter(|minor| *minor > 0);
    let releases = nightly
        .into_iter()
        .chain(steps.map(|minor| format!("1.{minor}.0")));
    releases
        .map(|release| Alternative {
            hints: hints.with_tool("cargo", &release, Origin::Tried(because.clone())),
            because: format!("cargo of Rust {release}: {because}"),
        })
        .collect()
}

/// Minor number of the Rust release whose cargo the plan takes.
fn stable_minor(plan: &Plan) -> Option<i64> {
    let is_cargo = |input: &&crate::plan::PinnedInput| input.place == toolchain::PLACE;
    let cargo = plan.inputs.iter().find(is_cargo)?;
    let version = cargo.file.name.strip_prefix("cargo-1.")?;
    version.split('.').next()?.parse().ok()
}

/// The day of publication, if the plan knows it.
fn day(plan: &Plan) -> Option<String> {
    let of_cargo = |assumption: &&Assumption| assumption.what == toolchain::DAY;
    let day = plan.assumptions.iter().find(of_cargo)?;
    Some(day.value.clone())
}
