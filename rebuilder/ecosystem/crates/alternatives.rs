//! What to try after a crate was not reproduced: another cargo, since its output and its compression depend on its
//! version.

use jiff::ToSpan as _;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::age::Age;
use super::{toolchain, windows};
use crate::compare::Cause;
use crate::ecosystem::compressor;
use crate::ecosystem::hints::{Alternative, EndedRun, Hints, Settings};
use crate::plan::{Origin, PinnedInput, Plan};
use crate::run::Record;

/// Steps from the stable release of the day: beta is one ahead, and many users do not update at once.
const STEPS: [i64; 9] = [-1, 1, -2, -3, -4, -5, -6, -8, -11];
/// The first release of Rust whose cargo compresses with zlib-rs instead of zlib.
pub(super) const FIRST_ZLIB_RS: i64 = 88;
/// Number of releases that a nightly is ahead of the stable one of its day.
pub(super) const AHEAD: i64 = 2;
/// The last release of Rust whose cargo gives copied files the time that today's gives them only on Windows.
pub(super) const LAST_OLDER_TIME: i64 = 62;
/// Days by which a nightly may be older than the crate.
const OLDER: [i64; 4] = [1, 3, 7, 21];

/// Plans that are worth a try, the most likely first.
pub(super) fn after(run: &EndedRun<'_>, hints: &Hints) -> Vec<Alternative> {
    let EndedRun::Built(plan, record) = run else {
        return Vec::new();
    };
    let because = run.reason();
    let with = |tool: &str, value: &str, what: String| Alternative {
        hints: hints.with_tool(tool, value, Origin::Tried(because.clone())),
        because: format!("{what}: {because}"),
    };
    let compression = compressor::alone_differs(record);
    let mut found = Vec::new();
    if is_of_other_source(record) && hints.settings.last_commit.is_none() && hints.commit().is_none() {
        let because = format!("the last commit before the publication: {because}");
        let settings = Settings {
            last_commit: Some(Origin::Tried(because.clone())),
            ..hints.settings.clone()
        };
        found.push(Alternative {
            hints: Hints {
                settings,
                ..hints.clone()
            },
            because,
        });
    }
    let uses_zlib = release(plan)
        .and_then(minor)
        .is_some_and(|minor| minor < FIRST_ZLIB_RS);
    if compression && uses_zlib && !hints.tools.contains_key(compressor::TOOL) {
        let what = "compressed with zlib-ng, as by the cargo of some distributions".to_owned();
        found.push(with(compressor::TOOL, compressor::ZLIB_NG.name, what));
    }
    // A version that the user named is kept.
    let named = hints.tools.get("cargo");
    if named.is_none_or(|hint| matches!(hint.origin, Origin::Tried(_))) {
        let mut releases = releases(plan);
        // Either the times differ, or they are right only because Windows was assumed.
        if times_differ(record) || assumed(plan, windows::SYSTEM).is_some() {
            let older = format!("1.{LAST_OLDER_TIME}.0");
            let is_new = release(plan)
                .and_then(minor)
                .is_some_and(|minor| minor > LAST_OLDER_TIME);
            if is_new && age(plan).is_none_or(|age| age.allows(LAST_OLDER_TIME)) {
                releases.retain(|release| *release != older);
                releases.insert(0, older);
            }
        }
        if compression {
            releases
                .retain(|release| minor(release).is_none_or(|minor| (minor < FIRST_ZLIB_RS) != uses_zlib));
        }
        let cargo = releases.iter();
        found.extend(cargo.map(|release| with("cargo", release, format!("cargo of Rust {release}"))));
    }
    found
}

/// Whether files differ that every build copies from the source.
fn is_of_other_source(record: &Record) -> bool {
    let mut causes = record.comparisons().flat_map(|comparison| &comparison.causes);
    causes.any(|it| it.cause == Cause::OtherSource)
}

/// Whether files differ in their times in the archive, which are fixed.
fn times_differ(record: &Record) -> bool {
    let mut causes = record.comparisons().flat_map(|comparison| &comparison.causes);
    causes.any(|it| it.cause == Cause::Timestamp)
}

/// The releases that can have packed the crate, by the plan.
fn age(plan: &Plan) -> Option<Age> {
    assumed(plan, toolchain::AGE).and_then(Age::read)
}

/// Releases whose cargo may have packed the crate, the most likely first, without the one in the plan.
fn releases(plan: &Plan) -> Vec<String> {
    let age = age(plan);
    let allows = |minor: i64| minor > 0 && age.as_ref().is_none_or(|age| age.allows(minor));
    let day: Option<Date> = assumed(plan, toolchain::DAY).and_then(|day| day.parse().ok());
    let taken = release(plan);
    let minor = match day.and_then(|day| TimeZone::UTC.to_timestamp(day.at(0, 0, 0, 0)).ok()) {
        Some(day) => toolchain::stable(day),
        None => taken.and_then(stable_minor).unwrap_or_default(),
    };
    let nightly = |older: i64| {
        let day = day?.checked_sub(older.days()).ok()?;
        allows(minor.saturating_add(AHEAD)).then(|| format!("nightly-{day}"))
    };
    // A publisher with an old release is not necessarily one with the last of those that leave such a crate.
    let base = age.as_ref().map_or(minor, |age| minor.min(age.last));
    let stable = STEPS
        .iter()
        .map(|step| base.saturating_add(*step))
        .filter(|minor| allows(*minor))
        .map(|minor| format!("1.{minor}.0"));
    let first = allows(base).then(|| format!("1.{base}.0"));
    let all = first.into_iter().chain(nightly(0)).chain(stable);
    let all = all.chain(OLDER.iter().filter_map(|older| nightly(*older)));
    all.filter(|release| Some(release.as_str()) != taken).collect()
}

/// The Rust release of the plan's cargo.
fn release(plan: &Plan) -> Option<&str> {
    let is_cargo = |input: &&PinnedInput| input.place == toolchain::PLACE;
    let cargo = plan.inputs.iter().find(is_cargo)?;
    cargo.file.name.strip_prefix("cargo-")?.strip_suffix(".tar.xz")
}

/// Minor number of a release.
pub(super) fn minor(release: &str) -> Option<i64> {
    let Some(day) = release.strip_prefix("nightly-") else {
        return stable_minor(release);
    };
    let day: Date = day.parse().ok()?;
    let day = TimeZone::UTC.to_timestamp(day.at(0, 0, 0, 0)).ok()?;
    Some(toolchain::stable(day).saturating_add(AHEAD))
}

/// Minor number of a stable release.
fn stable_minor(release: &str) -> Option<i64> {
    release.strip_prefix("1.")?.split('.').next()?.parse().ok()
}

/// The value of one of the plan's assumptions.
fn assumed<'a>(plan: &'a Plan, what: &str) -> Option<&'a str> {
    let assumption = plan
        .assumptions
        .iter()
        .find(|assumption| assumption.what == what)?;
    Some(&assumption.value)
}
