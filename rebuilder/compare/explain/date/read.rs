//! Reads dates in text.

use super::words::{self, Known};
use jiff::civil::{Date, DateTime, Time};

/// A date or a time, or both.
#[derive(Debug)]
pub(super) struct Written {
    pub date: Option<Date>,
    pub time: Option<Time>,
    /// Seconds by which the zone is ahead of UTC, if the text names a zone.
    pub zone: Option<i64>,
    /// The form: everything except the numbers and names themselves.
    pub form: String,
    /// The languages of its words, one bit each; all bits if it has no words.
    pub languages: u16,
}

impl Written {
    /// The date and time in the text as seconds since 1970, read as if they were UTC.
    pub fn seconds(&self) -> Option<i64> {
        let shown = DateTime::from_parts(self.date?, self.time?);
        let zoned = jiff::tz::TimeZone::UTC.to_timestamp(shown).ok()?;
        Some(zoned.as_second())
    }

    /// The moment that the text means, in seconds since 1970.
    pub fn instant(&self) -> Option<i64> {
        self.seconds()?.checked_sub(self.zone?)
    }
}

/// One piece of a date.
#[derive(Debug, Clone, PartialEq)]
enum Piece<'a> {
    Digits(&'a str),
    Word(&'a str),
    Mark(char),
}

/// Reads a whole text as one date; `None` if there is anything else in it, or the date is impossible.
pub(super) fn read(text: &str) -> Option<Written> {
    if text.contains('年') {
        let plain = text
            .replace(['年', '月'], "-")
            .replace("- ", "-")
            .replace('日', "");
        return spelled(&plain, false).map(|written| Written {
            form: format!("年{}", written.form),
            ..written
        });
    }
    // `mar` is a month in some languages and a weekday in others.
    compact(text)
        .or_else(|| spelled(text, false))
        .or_else(|| spelled(text, true))
}

fn pieces(text: &str) -> Vec<Piece<'_>> {
    let class = |c: char| {
        if c.is_ascii_digit() {
            1
        } else if c.is_alphabetic() {
            2
        } else {
            0
        }
    };
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let kind = class(first);
        let end = if kind == 0 {
            first.len_utf8()
        } else {
            rest.find(|c| class(c) != kind).unwrap_or(rest.len())
        };
        let (piece, behind) = rest.split_at_checked(end).unwrap_or((rest, ""));
        match kind {
            1 => pieces.push(Piece::Digits(piece)),
            2 => pieces.push(Piece::Word(piece)),
            // A one-digit day may be padded.
            _ if first == ' ' && pieces.last() == Some(&Piece::Mark(' ')) => {}
            _ => pieces.push(Piece::Mark(first)),
        }
        rest = behind;
    }
    pieces
}

/// Names, and numbers between marks.
fn spelled(text: &str, weekday_first: bool) -> Option<Written> {
    let mut reading = Reading {
        languages: u16::MAX,
        weekday_first,
        ..Reading::default()
    };
    let pieces = pieces(text);
    let mut at: usize = 0;
    while let Some(rest) = pieces.get(at..).filter(|rest| !rest.is_empty()) {
        at = at.saturating_add(reading.take(rest)?);
    }
    reading.finish()
}

#[derive(Default)]
struct Reading {
    numbers: Vec<(i64, usize)>,
    month: Option<i8>,
    weekday: Option<i8>,
    time: Option<Time>,
    afternoon: Option<bool>,
    zone: Option<i64>,
    form: String,
    languages: u16,
    weekday_first: bool,
    stroke: Option<char>,
}

impl Reading {
    /// Reads the next pieces, and returns their number.
    fn take(&mut self, rest: &[Piece]) -> Option<usize> {
        match rest {
            [
                Piece::Digits(hour),
                Piece::Mark(':'),
                Piece::Digits(minute),
                behind @ ..,
            ] if self.time.is_none() => {
                let (second, fraction, used): (i64, _, usize) = match behind {
                    [
                        Piece::Mark(':'),
                        Piece::Digits(second),
                        Piece::Mark('.' | ','),
                        Piece::Digits(part),
                        ..,
                    ] => (number(second)?, Some(part), 4),
                    [Piece::Mark(':'), Piece::Digits(second), ..] => (number(second)?, None, 2),
                    _ => (0, None, 0),
                };
                self.form
                    .push_str(["hm", "hms", "hms.f"].get(used.div_ceil(2)).unwrap_or(&""));
                self.time = Some(time(number(hour)?, number(minute)?, second, fraction.copied())?);
                Some(used.saturating_add(3))
            }
            [Piece::Mark(sign @ ('+' | '-')), Piece::Digits(hours), behind @ ..]
                if self.time.is_some() && self.zone.is_none() && (hours.len() == 4 || hours.len() == 2) =>
            {
                let (minutes, used) = match behind {
                    [Piece::Mark(':' | '\''), Piece::Digits(minutes), ..] => (number(minutes)?, 4),
                    _ if hours.len() == 2 => (0, 2),
                    _ => (number(hours.get(2..)?)?, 2),
                };
                let ahead = number(hours.get(..2)?)?.checked_mul(60)?.checked_add(minutes)?;
                let seconds = ahead.checked_mul(60).filter(|seconds| *seconds <= 15 * 3600)?;
                self.zone = Some(if *sign == '-' {
                    seconds.checked_neg()?
                } else {
                    seconds
                });
                self.form.push('Z');
                Some(used)
            }
            [Piece::Digits(digits), ..] => {
                self.numbers.push((number(digits)?, digits.len()));
                self.form.push(if digits.len() == 4 { 'Y' } else { 'd' });
                Some(1)
            }
            [Piece::Word(word), ..] => self.word(word),
            [Piece::Mark(mark), ..] => {
                if matches!(mark, '/' | '-' | '.') && self.month.is_none() && self.time.is_none() {
                    self.stroke.get_or_insert(*mark);
                }
                self.form.push(*mark);
                Some(1)
            }
            [] => None,
        }
    }

    fn word(&mut self, word: &str) -> Option<usize> {
        let mark = match word {
            "T" => 'T',
            "AM" | "PM" | "am" | "pm" => {
                self.afternoon = Some(word.eq_ignore_ascii_case("pm"));
                'P'
            }
            // Between the parts of a date in Spanish and Portuguese.
            "de" => 'e',
            _ => {
                if let Some(zone) = zone(word) {
                    self.zone = Some(zone);
                    self.form.push('Z');
                    return Some(1);
                }
                let (slot, known, mark) = if self.month.is_none()
                    && !words::months(word).is_empty()
                    && !(self.weekday_first && self.weekday.is_none())
                {
                    (&mut self.month, words::months(word), 'M')
                } else {
                    (&mut self.weekday, words::weekdays(word), 'W')
                };
                let fits: Vec<&Known> = known
                    .iter()
                    .filter(|known| known.languages & self.languages != 0)
                    .collect();
                let [known] = fits.as_slice() else { return None };
                if slot.replace(known.number).is_some() {
                    return None;
                }
                self.languages &= known.languages;
                mark
            }
        };
        self.form.push(mark);
        Some(1)
    }

    fn finish(mut self) -> Option<Written> {
        if let (Some(afternoon), Some(time)) = (self.afternoon, self.time) {
            let hour = time.hour();
            if !(1..=12).contains(&hour) {
                return None;
            }
            let hour = (hour % 12).checked_add(if afternoon { 12 } else { 0 })?;
            self.time = Time::new(hour, time.minute(), time.second(), time.subsec_nanosecond()).ok();
        }
        let date = match self.date() {
            Day::Known(date) => Some(date),
            Day::Missing => None,
            Day::Impossible => return None,
        };
        if date.is_none() && self.time.is_none() {
            return None;
        }
        if let (Some(date), Some(weekday)) = (date, self.weekday)
            && date.weekday().to_monday_one_offset() != weekday
        {
            return None;
        }
        Some(Written {
            date,
            time: self.time,
            zone: self.zone,
            form: self.form,
            languages: self.languages,
        })
    }

    /// The date that the numbers and the month give.
    fn date(&self) -> Day {
        let date = |year: i64, month: i64, day: i64| {
            let parts = (year.try_into(), month.try_into(), day.try_into());
            let (Ok(year), Ok(month), Ok(day)) = parts else {
                return Day::Impossible;
            };
            Date::new(year, month, day).map_or(Day::Impossible, Day::Known)
        };
        let is_year = |length: usize| length == 4;
        match (self.numbers.as_slice(), self.month) {
            ([], None) => Day::Missing,
            ([(year, length)], Some(month)) if is_year(*length) => date(*year, month.into(), 1),
            // A day without a year: only the time beside it is compared.
            ([(day, _)], Some(_)) if (1..=31).contains(day) && self.time.is_some() => Day::Missing,
            ([(day, _), (year, length)] | [(year, length), (day, _)], Some(month)) if is_year(*length) => {
                date(*year, month.into(), *day)
            }
            ([(year, length), (month, _), (day, _)], None) if is_year(*length) => date(*year, *month, *day),
            ([(first, _), (second, _), (year, length)], None) if is_year(*length) => {
                match date(*year, *first, *second) {
                    Day::Known(american) if self.stroke == Some('/') => Day::Known(american),
                    _ => date(*year, *second, *first),
                }
            }
            // A two-digit year, as `%D` and `%x` write it.
            ([(month, _), (day, _), (year, 2)], None) if self.stroke == Some('/') && self.time.is_some() => {
                date(year.saturating_add(2000), *month, *day)
            }
            _ => Day::Impossible,
        }
    }
}

/// What the numbers of a text tell about the day.
enum Day {
    Known(Date),
    Missing,
    Impossible,
}

fn number(digits: &str) -> Option<i64> {
    digits.parse().ok()
}

fn time(hour: i64, minute: i64, second: i64, fraction: Option<&str>) -> Option<Time> {
    let nanoseconds = fraction.map_or(Some(0), |digits| format!("{digits:0<9}").get(..9)?.parse().ok())?;
    // A leap second is treated as the second before it.
    let second = if second == 60 { 59 } else { second };
    Time::new(
        hour.try_into().ok()?,
        minute.try_into().ok()?,
        second.try_into().ok()?,
        nanoseconds,
    )
    .ok()
}

/// The number of `length` digits from `at` on.
fn part(text: &str, at: usize, length: usize) -> Option<i64> {
    number(text.get(at..at.checked_add(length)?)?)
}

/// Digits without separators, as `%Y%m%d%H%M%S` writes them, optionally followed by fractions of a second or a zone.
fn compact(text: &str) -> Option<Written> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (day, mut rest) = text.split_at_checked(8).filter(|_| digits >= 8)?;
    let date = Date::new(
        part(day, 0, 4)?.try_into().ok()?,
        part(day, 4, 2)?.try_into().ok()?,
        part(day, 6, 2)?.try_into().ok()?,
    )
    .ok()?;
    let mut written = Written {
        date: Some(date),
        time: None,
        zone: None,
        form: "c".to_owned(),
        languages: u16::MAX,
    };
    if let Some(mark) = rest
        .chars()
        .next()
        .filter(|c| matches!(c, 'T' | '_' | '-' | '.' | ' '))
    {
        written.form.push(mark);
        rest = rest.get(1..)?;
    }
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let (clock, behind) = rest.split_at_checked(digits)?;
    if !clock.is_empty() {
        written.time = Some(compact_time(clock)?);
    }
    written.form.push_str(&digits.to_string());
    if !behind.is_empty() {
        written.zone = Some(offset(behind)?);
        written.form.push('Z');
    }
    (written.zone.is_none() || written.time.is_some()).then_some(written)
}

/// `%H%M`, or `%H%M%S` with up to three digits of a fraction.
fn compact_time(clock: &str) -> Option<Time> {
    let (hour, minute) = (part(clock, 0, 2)?, part(clock, 2, 2)?);
    match clock.len() {
        4 => time(hour, minute, 0, None),
        6..=9 => {
            let fraction = clock.get(6..).filter(|part| !part.is_empty());
            time(hour, minute, part(clock, 4, 2)?, fraction)
        }
        _ => None,
    }
}

/// Seconds ahead of UTC: `Z`, or a sign and the digits of hours and minutes.
fn offset(text: &str) -> Option<i64> {
    if text == "Z" {
        return Some(0);
    }
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let minutes = part(&digits, 0, 2)?
        .checked_mul(60)?
        .checked_add(part(&digits, 2, 2)?)?;
    let seconds = minutes.checked_mul(60)?;
    if text.starts_with('-') {
        return seconds.checked_neg();
    }
    Some(seconds)
}

/// Seconds that a zone is ahead of UTC.
fn zone(name: &str) -> Option<i64> {
    const HOUR: i64 = 3600;
    let hours = match name {
        "Z" | "UTC" | "GMT" | "WET" => 0,
        "CEST" | "EET" | "MESZ" | "SAST" => 2,
        "CET" | "BST" | "MEZ" | "WEST" => 1,
        "EEST" | "MSK" => 3,
        "EDT" => -4,
        "EST" | "CDT" => -5,
        "CST" | "MDT" => -6,
        "MST" | "PDT" => -7,
        "PST" => -8,
        "JST" | "KST" => 9,
        "AEST" => 10,
        "AEDT" => 11,
        _ => return None,
    };
    HOUR.checked_mul(hours)
}
