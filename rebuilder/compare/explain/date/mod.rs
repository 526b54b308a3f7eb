//! Dates and times in text.
//!
//! Two dates correspond if both have the same form and both may be times of a build. One moment in two forms is the
//! effect of a locale or a time zone.

mod read;
mod unix;
mod words;

use read::{Written, read};

use super::judge::names_a_build;
use super::spot::{Spot, words as words_of};
use crate::compare::cause::{Cause, Confidence, Reason};

pub(super) use unix::unix;
pub(super) use words::{month_pattern, names_a_month, weekday_pattern};

const DAY: i64 = 86_400;
/// Some years before the oldest build tools that are still in use.
const FIRST_YEAR: i16 = 1990;
/// How far ahead rebuilders set the clock, to find what expires or changes: more than a year.
const AHEAD: i64 = 400 * DAY;

/// Words beside a date that mark the beginning or end of something else, rather than the time of a build.
const OTHER_DATES: [&str; 21] = [
    "expire",
    "expires",
    "expired",
    "expiry",
    "expiration",
    "valid",
    "until",
    "end",
    "ends",
    "before",
    "after",
    "deadline",
    "due",
    "born",
    "birthday",
    "died",
    "eol",
    "since",
    "deprecated",
    "removed",
    "embargo",
];

/// Words in the name of a value that say that it is the time when something was made.
const TIMES: [&str; 27] = [
    "time",
    "date",
    "epoch",
    "stamp",
    "timestamp",
    "datetime",
    "mtime",
    "ctime",
    "atime",
    "created",
    "modified",
    "built",
    "generated",
    "updated",
    "buildtime",
    "builddate",
    "published",
    "lastmodified",
    "compiled",
    "packaged",
    "creationdate",
    "moddate",
    "today",
    "now",
    "on",
    "at",
    "lastmod",
];

/// Whether two dates are two times, or one time in two zones or languages; `None` if they may be something else.
pub(super) fn date(old: &Spot, new: &Spot) -> Option<Reason> {
    let reason = |cause, key: &str, confidence| Some(Reason::new(cause, key, confidence));
    if old.is_in_url() || new.is_in_url() || names_another_date(old) {
        return None;
    }
    let (released, rebuilt) = (read(old.value())?, read(new.value())?);
    if !plausible(&released) || !plausible(&rebuilt) {
        return None;
    }
    let same_parts = released.date.is_some() == rebuilt.date.is_some()
        && released.time.is_some() == rebuilt.time.is_some()
        && released.zone.is_some() == rebuilt.zone.is_some();
    if released.form == rebuilt.form && released.languages & rebuilt.languages != 0 {
        if let Some(zones) = zones(&released, &rebuilt) {
            return reason(Cause::Timezone, "date in text", zones);
        }
        let confidence = certainty(old, new, &released);
        return reason(Cause::Timestamp, "date in text", confidence);
    }
    let same =
        released.date == rebuilt.date && released.time == rebuilt.time && released.zone == rebuilt.zone;
    if same_parts && same && !old.context.code {
        return reason(Cause::Locale, "words and order of a date", Confidence::Likely);
    }
    None
}

/// The confidence that two moments, or one moment in two zones, differ by their zones.
fn zones(released: &Written, rebuilt: &Written) -> Option<Confidence> {
    if released.zone? == rebuilt.zone? {
        return None;
    }
    if released.instant()? == rebuilt.instant()? {
        Some(Confidence::Proven)
    } else if released.seconds() == rebuilt.seconds() {
        Some(Confidence::Likely)
    } else {
        None
    }
}

/// A time without a day, or a number that only may be a date, needs a name that says that it is one.
fn certainty(old: &Spot, new: &Spot, released: &Written) -> Confidence {
    let is_number = old.value().bytes().all(|byte| byte.is_ascii_digit());
    let weak =
        released.date.is_none() && !released.form.contains('M') || is_number && released.time.is_none();
    // `Tel 20261125` and `Opens at 09:00:00` have the form of one by chance.
    let says = if released.date.is_some() {
        // The heading of a manual page has one.
        names_a_time(old) || old.line.starts_with(".TH ")
    } else {
        says_what_was_done(old)
    };
    // One item of a list of a program is not alone.
    let is_alone = |spot: &Spot| spot.is_alone() && !(spot.context.code && spot.line.trim() != spot.value());
    let named = is_alone(old) && is_alone(new) || says;
    // A program may decide by a date of any other name (`CUTOFF = "2026-11-25"`), and so does whoever reads a text in
    // which the date is a part of a word (`debian:2026-11-25`).
    let is_version = old.key_has(&["version", "build", "release", "revision"]);
    let is_told =
        named || names_a_build(old) || old.is_in_comment() || is_number && is_version && !old.context.code;
    if (old.context.code || is_in_a_word(old)) && released.date.is_some() && !is_told {
        return Confidence::Possible;
    }
    // A configuration may name the date of something that it uses.
    if old.context.pins && !names_a_time(old) && !old.is_in_comment() {
        return Confidence::Possible;
    }
    // `id=20261125` and `price: 20261125` have the form of a date by chance.
    let before = old.before().trim_end_matches([' ', '\t', '"', '\'']);
    let is_field = before.is_empty() && !old.context.field.is_empty();
    let is_assigned = before.ends_with([':', '=']) || is_field;
    if is_number && released.time.is_none() && is_assigned && !is_version && !named {
        return Confidence::Possible;
    }
    let beside = !is_number && !old.context.code && old.before().bytes().any(|byte| byte.is_ascii_digit());
    // `1.0~20261125`, `nightly-20261125`
    let is_suffix = old.last_before().is_some_and(|mark| "+-._~".contains(mark));
    let in_version = is_number && !old.context.code && (is_suffix || is_version);
    if !weak || named || beside || in_version {
        Confidence::Likely
    } else {
        Confidence::Possible
    }
}

/// Whether a date is a part of a path, or the value of a name without a blank between them.
fn is_in_a_word(spot: &Spot) -> bool {
    let before = spot.before();
    let is_value = before.ends_with('=') || before.ends_with(['"', '\'']) && !spot.context.markup;
    let is_tag = before.strip_suffix(':').is_some_and(|name| {
        let letters = name.bytes().rev().take_while(u8::is_ascii_lowercase).count();
        letters > 1
    });
    is_value && !spot.is_alone() || is_tag || before.ends_with('/') || spot.first_after() == Some('/')
}

fn plausible(written: &Written) -> bool {
    let Some(date) = written.date else { return true };
    let latest = jiff::Timestamp::now().as_second().saturating_add(AHEAD);
    let latest =
        jiff::Timestamp::from_second(latest).map(|time| jiff::tz::TimeZone::UTC.to_datetime(time).date());
    date.year() >= FIRST_YEAR && latest.is_ok_and(|latest| date <= latest)
}

/// Whether the name or the words before a value say that it is the time when something was made.
fn names_a_time(spot: &Spot) -> bool {
    spot.key_has(&TIMES)
        || words_of(spot.element())
            .iter()
            .any(|word| TIMES.contains(&word.as_str()))
}

/// Whether a word before a time of day says that something was made then.
fn says_what_was_done(spot: &Spot) -> bool {
    const PREPOSITIONS: [&str; 2] = ["on", "at"];
    let words = words_of(spot.before());
    words
        .iter()
        .chain(&words_of(spot.context.field))
        .any(|word| !PREPOSITIONS.contains(&word.as_str()) && TIMES.contains(&word.as_str()))
}

/// Whether the words before a date say that it is not the time of a build.
fn names_another_date(spot: &Spot) -> bool {
    const NEAR: usize = 48;
    let before = spot.before();
    let start = (0..=before.len().saturating_sub(NEAR))
        .rev()
        .find(|at| before.is_char_boundary(*at));
    let near = start.and_then(|start| before.get(start..)).unwrap_or(before);
    words_of(near)
        .iter()
        .chain(&words_of(spot.context.field))
        .any(|word| OTHER_DATES.contains(&word.as_str()))
}

/// The years in a copyright notice, the last of which is the year of the build.
pub(super) fn years(old: &Spot, new: &Spot) -> Option<Reason> {
    let years = |spot: &Spot| -> Vec<i16> {
        spot.value()
            .split(|c: char| !c.is_ascii_digit())
            .filter_map(|year| year.parse().ok())
            .collect()
    };
    let line = old.line.to_lowercase();
    if !["copyright", "©", "(c)", "&copy;", "\\(co"]
        .iter()
        .any(|sign| line.contains(sign))
    {
        return None;
    }
    let (released, rebuilt) = (years(old), years(new));
    let (last_old, last_new) = (released.last()?, rebuilt.last()?);
    let latest = jiff::Timestamp::now().as_second().saturating_add(AHEAD);
    let latest = jiff::tz::TimeZone::UTC
        .to_datetime(jiff::Timestamp::from_second(latest).ok()?)
        .year();
    let is_year = |year: &i16| (FIRST_YEAR..=latest).contains(year);
    // A range keeps its first year; a single year moves as a whole.
    let same_start = released.len() == 1 && rebuilt.len() == 1 || released.first() == rebuilt.first();
    (same_start && last_old != last_new && is_year(last_old) && is_year(last_new))
        .then(|| Reason::new(Cause::Timestamp, "year of the copyright", Confidence::Likely))
}
