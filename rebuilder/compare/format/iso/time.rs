//! Times of disc images (ECMA-119 8.4.26.1 and 9.1.5).

use crate::compare::cause::Cause;
use crate::compare::stored::{FieldKind, Fields, Value};

static NOT_A_TIME: FieldKind = FieldKind::new("bytes in place of a time", Cause::Content);
static ZONE: FieldKind = FieldKind::new("time zone", Cause::Timezone);

/// Adds a time from seven bytes or seventeen digits.
pub(super) fn add(fields: &mut Fields, kind: &'static FieldKind, bytes: &[u8]) {
    let (zone, time) = match bytes {
        [year, month, day, hour, minute, second, zone] => {
            let year = i16::from(*year).saturating_add(1900);
            (*zone, civil(year, [*month, *day, *hour, *minute, *second], 0))
        }
        [digits @ .., zone] if digits.len() == 16 => (*zone, by_digits(digits)),
        _ => (0, None),
    };
    let unset = bytes
        .split_last()
        .is_some_and(|(zone, rest)| *zone == 0 && rest.iter().all(|byte| matches!(byte, 0 | b'0')));
    let zone = i8::from_ne_bytes([zone]);
    let valid = time.filter(|_| (-48..=52).contains(&zone));
    match valid {
        Some((seconds, hundredths)) => {
            let seconds = seconds.saturating_sub(i64::from(zone).saturating_mul(900));
            fields.push((kind, Value::Time(seconds)));
            if hundredths != 0 {
                fields.push((kind, Value::Text(format!("{hundredths} hundredths"))));
            }
            if zone != 0 {
                fields.push((&ZONE, Value::Text(format!("{zone} quarters of an hour"))));
            }
        }
        None if unset && bytes.iter().all(|byte| *byte == 0) => {
            fields.push((kind, Value::Text("none".into())));
        }
        None if unset => fields.push((kind, Value::Text("not set".into()))),
        None => fields.push((&NOT_A_TIME, Value::Text(hex::encode(bytes)))),
    }
}

fn by_digits(digits: &[u8]) -> Option<(i64, u8)> {
    let number = |from: usize, to: usize| -> Option<u16> {
        let digits = digits.get(from..to)?;
        let text = digits
            .iter()
            .all(u8::is_ascii_digit)
            .then_some(std::str::from_utf8(digits).ok()?)?;
        text.parse().ok()
    };
    let year = i16::try_from(number(0, 4)?).ok()?;
    let mut rest = [0; 6];
    for (at, value) in rest.iter_mut().enumerate() {
        let from = at.saturating_mul(2).saturating_add(4);
        *value = u8::try_from(number(from, from.saturating_add(2))?).ok()?;
    }
    let [month, day, hour, minute, second, hundredths] = rest;
    civil(year, [month, day, hour, minute, second], hundredths)
}

fn civil(year: i16, [month, day, hour, minute, second]: [u8; 5], hundredths: u8) -> Option<(i64, u8)> {
    let part = |value: u8| i8::try_from(value).ok();
    let time = jiff::civil::DateTime::new(
        year,
        part(month)?,
        part(day)?,
        part(hour)?,
        part(minute)?,
        part(second)?,
        0,
    )
    .ok()?;
    let seconds = jiff::tz::TimeZone::UTC.to_timestamp(time).ok()?.as_second();
    Some((seconds, hundredths))
}
