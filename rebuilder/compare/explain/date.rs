//! Dates and times in text.

use std::sync::LazyLock;

use jiff::civil::DateTime;
use regex::Regex;

use crate::compare::cause::{Cause, Confidence, Reason};
use crate::compare::zones::zones_apart;

/// Whether two dates are two times, or one time in two zones.
pub(super) fn date(released: &str, rebuilt: &str) -> Reason {
    let reason = |cause, confidence| Reason::new(cause, "date in text", confidence);
    let timestamp = reason(Cause::Timestamp, Confidence::Likely);
    let (Some(old), Some(new)) = (Instant::read(released), Instant::read(rebuilt)) else {
        return timestamp;
    };
    match (old.zone, new.zone) {
        (Some(old_zone), Some(new_zone)) if old_zone != new_zone => {
            // Without what a zone adds, the same moment.
            let (old, new) = (
                old.seconds.saturating_sub(old_zone),
                new.seconds.saturating_sub(new_zone),
            );
            if old == new {
                return reason(Cause::Timezone, Confidence::Proven);
            }
        }
        (None, None) if zones_apart(old.seconds, new.seconds) => {
            return reason(Cause::Timezone, Confidence::Likely);
        }
        _ => {}
    }
    timestamp
}

/// A time as a text reads.
struct Instant {
    /// Since 1970, read as UTC.
    seconds: i64,
    /// Seconds that the zone is ahead of UTC, if the text names one.
    zone: Option<i64>,
}

impl Instant {
    fn read(text: &str) -> Option<Self> {
        const FORMS: &[&str] = &[
            "%Y-%m-%dT%H:%M:%S",
            "%Y-%m-%d %H:%M:%S",
            "%Y/%m/%d %H:%M:%S",
            "%Y-%m-%dT%H:%M",
            "%Y-%m-%d %H:%M",
            "%a, %d %b %Y %H:%M:%S",
            "%a %b %d %H:%M:%S %Y",
            "%b %d %Y %H:%M:%S",
            "%d %b %Y %H:%M:%S",
            "%Y%m%dT%H%M%S",
            "%Y%m%d%H%M%S",
        ];
        let mut text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let mut zone = None;
        if let Some((rest, name)) = split_zone(&text) {
            zone = offset(&name);
            text = rest;
        }
        let civil = FORMS
            .iter()
            .find_map(|form| DateTime::strptime(form, &text).ok())?;
        let seconds = jiff::tz::TimeZone::UTC.to_timestamp(civil).ok()?.as_second();
        Some(Self { seconds, zone })
    }
}

/// The text without its zone, and the zone's name.
fn split_zone(text: &str) -> Option<(String, String)> {
    static ZONE: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(r"(?:(\d\d)(?:\.\d+)? ?|\s)(Z|UTC|GMT|CEST|CET|EST|EDT|CST|CDT|MST|MDT|PST|PDT|JST|[+-]\d\d:?\d\d)(\s+\d{4})?$").ok()
    });
    let name = ZONE.as_ref()?.captures(text)?.get(2)?;
    let (head, tail) = (text.get(..name.start())?, text.get(name.end()..)?);
    Some((format!("{}{tail}", head.trim_end()), name.as_str().to_owned()))
}

/// Seconds that a zone is ahead of UTC.
fn offset(name: &str) -> Option<i64> {
    const HOUR: i64 = 3600;
    let hours = match name {
        "Z" | "UTC" | "GMT" => 0,
        "CEST" => 2,
        "CET" => 1,
        "EDT" => -4,
        "EST" | "CDT" => -5,
        "CST" | "MDT" => -6,
        "MST" | "PDT" => -7,
        "PST" => -8,
        "JST" => 9,
        digits => return numeric_offset(digits),
    };
    HOUR.checked_mul(hours)
}

/// `+HH:MM` or `-HHMM`.
fn numeric_offset(text: &str) -> Option<i64> {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let number: i64 = digits.parse().ok()?;
    let minutes = (number / 100).checked_mul(60)?.checked_add(number % 100)?;
    let seconds = minutes.checked_mul(60)?;
    if text.starts_with('-') {
        seconds.checked_neg()
    } else {
        Some(seconds)
    }
}
