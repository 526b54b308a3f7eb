//! Times of entries: MS-DOS times have no zone, those in extra fields are in UTC.

use super::end;
use super::entry;
use crate::compare::cause::{Cause, Confidence};
use crate::compare::finding::{Finding, Node};
use crate::compare::zones::zones_apart;

/// An MS-DOS date and time as seconds since 1970, read as UTC, and whether it is valid.
pub(super) fn dos_time((date, time): (u16, u16)) -> (i64, bool) {
    let field = |value: u16, shift: u16, bits: u16| {
        let mask = 1_u16.unbounded_shl(u32::from(bits)).wrapping_sub(1);
        i8::try_from(value.unbounded_shr(u32::from(shift)) & mask).unwrap_or(0)
    };
    let year = i16::from(field(date, 9, 7)).saturating_add(1980);
    let (month, day) = (field(date, 5, 4), field(date, 0, 5));
    let (hour, minute, second) = (
        field(time, 11, 5),
        field(time, 5, 6),
        field(time, 0, 5).saturating_mul(2),
    );
    let at = |month: i8, day: i8, hour: i8, minute: i8, second: i8| {
        let civil = jiff::civil::DateTime::new(year, month, day, hour, minute, second, 0).ok()?;
        let zoned = jiff::tz::TimeZone::UTC.to_timestamp(civil).ok()?;
        Some(zoned.as_second())
    };
    if let Some(seconds) = at(month, day, hour, minute, second) {
        return (seconds, true);
    }
    let clamped = at(
        month.clamp(1, 12),
        day.clamp(1, 28),
        hour.min(23),
        minute.min(59),
        second.min(58),
    );
    (clamped.unwrap_or(0), false)
}

/// A time in units of 100 nanoseconds since 1601, as text.
pub(super) fn ntfs_time(ticks: u64) -> String {
    const TO_1970: u64 = 11_644_473_600;
    let (seconds, rest) = (ticks / 10_000_000, ticks % 10_000_000);
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
    let nanoseconds = i32::try_from(rest.saturating_mul(100)).unwrap_or(0);
    let unix = seconds.saturating_sub(i64::try_from(TO_1970).unwrap_or(0));
    jiff::Timestamp::new(unix, nanoseconds).map_or_else(|_| ticks.to_string(), |time| time.to_string())
}

/// The maximum distance of two zones in practice; a whole day is another day.
const DAY: u64 = 24 * 3600;

/// If all times differ by the same whole number of quarter hours, they were written in two time zones, unless the
/// entries have times in UTC that also differ.
pub(super) fn one_zone(children: &mut [Node]) {
    let seconds = |text: &str| {
        text.parse::<jiff::Timestamp>()
            .ok()
            .map(jiff::Timestamp::as_second)
    };
    let mut apart = None;
    for finding in children.iter().flat_map(|child| &child.findings) {
        if entry::is_utc(finding) {
            return;
        }
        if !finding.place.is(&entry::TIME) {
            continue;
        }
        let (Some(released), Some(rebuilt)) = (seconds(&finding.released), seconds(&finding.rebuilt)) else {
            return;
        };
        let own = released.saturating_sub(rebuilt);
        let zones = zones_apart(released, rebuilt) && own.unsigned_abs() < DAY;
        if !zones || apart.is_some_and(|apart| apart != own) {
            return;
        }
        apart = Some(own);
    }
    for finding in children.iter_mut().flat_map(|child| &mut child.findings) {
        if finding.place.is(&entry::TIME) {
            finding.cause = Cause::Timezone;
            finding.confidence = Confidence::Proven;
            finding.key = "local times of zip entries".into();
        }
    }
}

/// `git archive` gives every entry the time of the commit that the comment names: such times follow from it.
pub(super) fn of_one_commit(node: &mut Node) {
    let commit = node
        .findings
        .iter()
        .any(|finding| finding.place.is(&end::COMMENT) && finding.cause == Cause::SourceRevision);
    if !commit {
        return;
    }
    let mut times = node.children.iter_mut().flat_map(|child| &mut child.findings);
    let mut own: Vec<&mut Finding> = times.by_ref().filter(|finding| entry::is_time(finding)).collect();
    let values = |finding: &Finding| (finding.released.clone(), finding.rebuilt.clone());
    let same = |kind: fn(&Finding) -> bool, findings: &[&mut Finding]| {
        let mut those = findings
            .iter()
            .filter(|finding| kind(finding))
            .map(|finding| values(finding));
        let first = those.next();
        those.all(|other| Some(other) == first)
    };
    if same(entry::is_utc, &own) && same(|finding| finding.place.is(&entry::TIME), &own) {
        for finding in &mut own {
            finding.follows = true;
        }
    }
}
