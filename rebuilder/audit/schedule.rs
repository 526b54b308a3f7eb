//! When a scheduled audit runs: cron expressions, in UTC.

use std::cmp::Ordering;

use croner::Cron;
use croner::errors::CronError;
use croner::{CivilDate, CivilDateTime, CivilTime, CronDateTime, Resolution, Weekday};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// An expression that is not a schedule.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("cannot use {text:?} as a schedule: {reason}")]
#[diagnostic(help(
    "write a cron expression in UTC (minute, hour, day of the month, month, day of the week), for example \"30 2 * * *\" for each night at half past two"
))]
pub struct ScheduleError {
    text: String,
    reason: String,
}

/// The first time after `after` that matches a cron expression.
pub fn next_after(cron: &str, after: Timestamp) -> Result<Timestamp, ScheduleError> {
    let wrong = |reason: String| ScheduleError {
        text: cron.to_owned(),
        reason,
    };
    let parsed: Cron = cron
        .parse()
        .map_err(|error: CronError| wrong(error.to_string()))?;
    let start = Utc(TimeZone::UTC.to_datetime(after));
    let next = parsed.find_next_occurrence(&start, false);
    let Utc(next) = next.map_err(|error| wrong(error.to_string()))?;
    let next = TimeZone::UTC.to_timestamp(next);
    next.map_err(|error| wrong(error.to_string()))
}

/// A date and time in UTC, where no time is skipped or repeated.
#[derive(Clone)]
struct Utc(DateTime);

impl CronDateTime for Utc {
    fn to_civil(&self) -> CivilDateTime {
        let part = |part: i8| u32::try_from(part).unwrap_or_default();
        let date = CivilDate::from_parts_unchecked(
            i32::from(self.0.year()),
            part(self.0.month()),
            part(self.0.day()),
        );
        let time = CivilTime::from_parts_unchecked(
            part(self.0.hour()),
            part(self.0.minute()),
            part(self.0.second()),
        );
        CivilDateTime::new(date, time)
    }

    fn civil_weekday(&self) -> Weekday {
        let day = self.0.weekday().to_sunday_zero_offset();
        Weekday::from_days_from_sunday(u32::try_from(day).unwrap_or_default())
    }

    fn resolve_civil(&self, civil: CivilDateTime) -> Result<Resolution<Self>, CronError> {
        let part = |part: u32| i8::try_from(part).map_err(|_| CronError::InvalidDate);
        let year = i16::try_from(civil.year()).map_err(|_| CronError::InvalidDate)?;
        let (month, day) = (part(civil.month())?, part(civil.day())?);
        let (hour, minute, second) = (part(civil.hour())?, part(civil.minute())?, part(civil.second())?);
        let time = DateTime::new(year, month, day, hour, minute, second, 0);
        time.map(|time| Resolution::Single(Self(time)))
            .map_err(|_| CronError::InvalidDate)
    }

    fn checked_add_seconds(&self, seconds: i64) -> Option<Self> {
        self.0
            .checked_add(SignedDuration::from_secs(seconds))
            .ok()
            .map(Self)
    }

    fn cmp_instant(&self, other: &Self) -> Ordering {
        self.0.cmp(&other.0)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_next_time_is_after_and_in_utc() {
        for (cron, after, expected) in [
            ("30 2 * * *", "2026-11-26T02:29:59Z", Some("2026-11-26T02:30:00Z")),
            ("30 2 * * *", "2026-11-26T02:30:00Z", Some("2026-11-27T02:30:00Z")),
            ("0 4 * * 1", "2026-11-26T00:00:00Z", Some("2026-11-30T04:00:00Z")),
            ("@hourly", "2026-12-31T23:10:00Z", Some("2027-01-01T00:00:00Z")),
            ("0 0 29 2 *", "2026-01-01T00:00:00Z", Some("2028-02-29T00:00:00Z")),
            ("at night", "2026-01-01T00:00:00Z", None),
            ("0 25 * * *", "2026-01-01T00:00:00Z", None),
        ] {
            let found = next_after(cron, after.parse().unwrap());
            match (found, expected) {
                (Ok(found), Some(expected)) => assert_eq!(found.to_string(), expected, "{cron}"),
                (Err(_), None) => {}
                (found, _) => panic!("{cron}: {found:?}"),
            }
        }
    }
}
