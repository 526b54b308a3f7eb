//! Numbers that are times.

use super::{DAY, names_a_time, names_another_date};
use crate::compare::cause::{Cause, Confidence, Reason};
use crate::compare::explain::spot::Spot;

/// First plausible time: 9 September 2001, the first with ten digits.
const FROM: i64 = 1_000_000_000;

/// Two numbers that are times: seconds since 1970, or milliseconds, microseconds or nanoseconds.
pub(in crate::compare::explain) fn unix(old: &Spot, new: &Spot) -> Option<Reason> {
    if old.is_in_url() || new.is_in_url() || names_another_date(old) {
        return None;
    }
    if old.value().len().abs_diff(new.value().len()) > 0 && !old.value().contains('.') {
        return None;
    }
    let latest = jiff::Timestamp::now().as_second().saturating_add(DAY);
    let recent = |spot: &Spot| seconds(spot.value()).is_some_and(|time| (FROM..=latest).contains(&time));
    if !recent(old) || !recent(new) {
        return None;
    }
    let named = names_a_time(old) && old.key() == new.key();
    let confidence = if named || old.is_alone() && new.is_alone() {
        Confidence::Likely
    } else {
        Confidence::Possible
    };
    Some(Reason::new(
        Cause::Timestamp,
        "number that reads as a time",
        confidence,
    ))
}

fn seconds(text: &str) -> Option<i64> {
    let digits = text.split('.').next().unwrap_or(text);
    let number: i64 = digits.parse().ok()?;
    let unit = match digits.len() {
        10 => 1,
        13 => 1_000,
        16 => 1_000_000,
        19 => 1_000_000_000,
        _ => return None,
    };
    number.checked_div(unit)
}
