//! Text within binary data: decides which reasons count there.
//!
//! A string in a program may be anything, so the form of a value alone does not show its origin. A reason counts only
//! if builds leave such values behind, if the substitution explains the whole string, and if it holds for all of the
//! data: a build folder or a date that the other side still contains was not replaced.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::sync::LazyLock;

use jiff::civil::Date;
use memchr::memmem;
use regex::Regex;

use crate::compare::cause::{Cause, Confidence, Reason};
use crate::compare::explain::{Context, explain};

/// Both sides of the data that contains the strings.
pub(super) struct Embedded<'a> {
    old: &'a [u8],
    new: &'a [u8],
    /// Pairs of values that were searched for, and whether one replaced the other.
    known: RefCell<HashMap<String, bool>>,
    /// Number of bytes that may still be searched.
    budget: Cell<usize>,
}

/// Maximum length of a value that is searched for.
const LONGEST: usize = 4096;
/// Maximum number of bytes that are searched for the values of one pair.
const BUDGET: usize = 1 << 30;

impl<'a> Embedded<'a> {
    pub fn new(old: &'a [u8], new: &'a [u8]) -> Self {
        Self {
            old,
            new,
            known: RefCell::default(),
            budget: Cell::new(BUDGET),
        }
    }

    /// The reasons that together explain the whole string; none if one of them does not count in binary data.
    pub fn reasons(&self, released: &str, rebuilt: &str, context: Context) -> Vec<Reason> {
        if let Some(reason) = self.built_in(released, rebuilt, context.folders) {
            return vec![reason];
        }
        let reasons = explain(released, rebuilt, context);
        let hold = |reason: &Reason| match reason.cause {
            Cause::BuildPath => self.once(&reason.key, || self.folders(&reason.key)),
            Cause::Timestamp | Cause::Timezone => self.dates(released, rebuilt),
            Cause::Randomness => is_random(released, rebuilt),
            Cause::BuildHost => says_who_built(released) && says_who_built(rebuilt),
            Cause::HostSystem => {
                is_command(released) && is_command(rebuilt) && is_more_than_a_letter(released, rebuilt)
            }
            Cause::ToolVersion => context.tool,
            Cause::DependencyVersion => context.dependency,
            // Programs contain decimal marks, numbers of jobs and names of zones of their own.
            _ => false,
        };
        let sure = |reason: &Reason| reason.confidence > Confidence::Possible;
        if reasons.iter().all(|reason| sure(reason) && hold(reason)) {
            reasons
        } else {
            Vec::new()
        }
    }

    /// The reason if one of the folders that the file names took the other's place, here and everywhere.
    fn built_in(&self, released: &str, rebuilt: &str, folders: &[(String, String)]) -> Option<Reason> {
        let (old, new) = folders
            .iter()
            .find(|(old, new)| in_folder(released, old, new).as_deref() == Some(rebuilt))?;
        let key = format!("{old} → {new}");
        let everywhere = self.once(&key, || self.folders(&key));
        everywhere.then(|| Reason::new(Cause::BuildPath, key, Confidence::Proven))
    }

    /// The earlier answer to a question, or a new one if the budget allows it.
    fn once(&self, key: &str, answer: impl FnOnce() -> bool) -> bool {
        /// Searches for one pair of values, at most.
        const SEARCHES: usize = 4;
        if let Some(known) = self.known.borrow().get(key) {
            return *known;
        }
        let cost = self.old.len().max(self.new.len()).saturating_mul(SEARCHES);
        let Some(left) = self.budget.get().checked_sub(cost) else {
            return false;
        };
        self.budget.set(left);
        let answer = key.len() <= LONGEST && answer();
        self.known.borrow_mut().insert(key.to_owned(), answer);
        answer
    }

    /// Whether one value replaced the other everywhere, according to a function that counts how often data contains a
    /// value.
    fn replaced(&self, count: fn(&[u8], &str) -> usize, released: &str, rebuilt: &str) -> bool {
        // One value may be a part of the other.
        let left = |data: &[u8], gone: &str, came: &str| {
            count(data, gone) == count(data, came).saturating_mul(count(came.as_bytes(), gone))
        };
        left(self.new, released, rebuilt) && left(self.old, rebuilt, released)
    }

    /// Whether a pair of folders, `A → B`, is that of two builds: one replaced the other everywhere, and folders
    /// beside them deep in the tree did not stay.
    fn folders(&self, key: &str) -> bool {
        /// A folder at this depth is not shared by build folders and others.
        const DEEP: usize = 4;
        let Some((released, rebuilt)) = key.split_once(" → ") else {
            return false;
        };
        let pairs = released.split('/').zip(rebuilt.split('/'));
        let shared: Vec<&str> = pairs
            .take_while(|(old, new)| old == new)
            .map(|(part, _)| part)
            .collect();
        let parent = format!("{}/", shared.join("/"));
        self.replaced(named, released, rebuilt)
            && (shared.len() < DEEP
                || count(self.old, &parent) == named(self.old, released)
                    && count(self.new, &parent) == named(self.new, rebuilt))
    }

    /// Whether the differing dates are valid days, and were replaced everywhere.
    fn dates(&self, released: &str, rebuilt: &str) -> bool {
        let Some(pattern) = DATE.as_ref() else {
            return false;
        };
        let found = |text| pattern.captures_iter(text).collect::<Vec<_>>();
        let (before, after) = (found(released), found(rebuilt));
        if before.len() != after.len() {
            return false;
        }
        let mut differing = 0_usize;
        let all = before.iter().zip(&after).all(|(released, rebuilt)| {
            let (from, to) = (whole(released), whole(rebuilt));
            if from == to {
                return true;
            }
            differing = differing.saturating_add(1);
            // The other file may contain a time of day for another reason.
            let is_day = from.len() > 8 || to.len() > 8;
            let replaced = || self.once(&format!("{from} → {to}"), || self.replaced(count, from, to));
            was(released) && was(rebuilt) && (!is_day || replaced())
        });
        all && differing > 0
    }
}

/// The text with another folder in place of one that it names, if every occurrence is this folder or a path below it.
pub(super) fn in_folder(text: &str, old: &str, new: &str) -> Option<String> {
    let occurrences = named(text.as_bytes(), old);
    let all = occurrences > 0 && occurrences == count(text.as_bytes(), old);
    all.then(|| text.replace(old, new))
}

/// The number of occurrences of a value.
fn count(data: &[u8], value: &str) -> usize {
    memmem::find_iter(data, value.as_bytes()).count()
}

/// The number of occurrences of a folder: alone or with a path below it, but not as the beginning of another name.
fn named(data: &[u8], folder: &str) -> usize {
    let ends = |at: usize| {
        let next = data.get(at.saturating_add(folder.len()));
        next.is_none_or(|byte| {
            !(byte.is_ascii_alphanumeric() || b"._-+~@%".contains(byte) || !byte.is_ascii())
        })
    };
    memmem::find_iter(data, folder.as_bytes())
        .filter(|at| ends(*at))
        .count()
}

fn whole<'a>(found: &regex::Captures<'a>) -> &'a str {
    found.get(0).map_or("", |all| all.as_str())
}

/// Dates and times in all forms that compilers and build scripts write; a bare number does not count.
static DATE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"(?x)(?-u:\b)(?:
          (?P<y>(?:19|20)[0-9]{2})(?P<s>[-/]?)(?P<m>[01][0-9])(?:[-/]?)(?P<d>[0-3][0-9])(?:[T\x20_-]?[0-9]{2}:?[0-9]{2}(?::?[0-9]{2})?(?:\.[0-9]+)?Z?)?
        | (?:[A-Z][a-z]{2},?\x20+)?(?:
            (?P<name>Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*\x20+(?P<day>[0-9]{1,2})(?:\x20+[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\x20+[A-Z]{3,4})?)?,?\x20+(?P<year>(?:19|20)[0-9]{2})
          | (?P<day2>[0-9]{1,2})[\x20-](?P<name2>Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*[\x20-](?P<year2>(?:19|20)[0-9]{2}))
        | [0-9]{2}:[0-9]{2}:[0-9]{2}
        )(?-u:\b)",
    )
    .ok()
});

/// Whether a date is a day since 1990 that has already begun somewhere.
fn was(found: &regex::Captures) -> bool {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    const DAY: i64 = 86_400;
    let number = |name: &str| found.name(name)?.as_str().parse::<i16>().ok();
    let month = |name: &str| {
        let name = found.name(name)?.as_str();
        let at = MONTHS.iter().position(|known| *known == name)?;
        i8::try_from(at).ok()?.checked_add(1)
    };
    let small = |name: &str| number(name).and_then(|number| i8::try_from(number).ok());
    let day = number("y")
        .zip(small("m"))
        .zip(small("d"))
        .or_else(|| number("year").zip(month("name")).zip(small("day")))
        .or_else(|| number("year2").zip(month("name2")).zip(small("day2")));
    let Some(((year, month), day)) = day else {
        // Only a time of day.
        return is_time_of_day(whole(found));
    };
    let Ok(date) = Date::new(year, month, day) else {
        return false;
    };
    let tomorrow = jiff::Timestamp::now().as_second().saturating_add(DAY);
    let begun = jiff::tz::TimeZone::UTC
        .to_timestamp(date.to_datetime(jiff::civil::Time::midnight()))
        .is_ok_and(|begin| begin.as_second() <= tomorrow);
    year >= 1990 && begun
}

fn is_time_of_day(text: &str) -> bool {
    let mut parts = text.split(':').map(str::parse::<u8>);
    let mut below = |most: u8| {
        parts
            .next()
            .is_some_and(|part| part.is_ok_and(|part| part < most))
    };
    below(24) && below(60) && below(61)
}

/// Whether the texts differ as random values do: nearly everywhere in a stretch, rather than in one letter.
pub(super) fn is_random(released: &str, rebuilt: &str) -> bool {
    let (old, new) = (released.as_bytes(), rebuilt.as_bytes());
    let differ = |at: &usize| old.get(*at) != new.get(*at);
    let places: Vec<usize> = (0..old.len().max(new.len())).filter(differ).collect();
    let (Some(first), Some(last)) = (places.first(), places.last()) else {
        return false;
    };
    let stretch = last.saturating_sub(*first).saturating_add(1);
    places.len() >= 4 && places.len().saturating_mul(2) >= stretch
}

/// Whether texts of equal length differ in a digit, or in more than one place.
fn is_more_than_a_letter(released: &str, rebuilt: &str) -> bool {
    let pairs = released
        .bytes()
        .zip(rebuilt.bytes())
        .filter(|(old, new)| old != new);
    let differing: Vec<(u8, u8)> = pairs.collect();
    let in_digits = differing
        .iter()
        .all(|(old, new)| old.is_ascii_digit() && new.is_ascii_digit());
    released.len() != rebuilt.len() || differing.len() > 1 || in_digits
}

fn says_who_built(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    [
        "built by",
        "build by",
        "built on",
        "compiled by",
        "compiled on",
        "linux version",
    ]
    .iter()
    .any(|words| text.contains(words))
}

/// Whether a text is a compiler's command line, or a kernel's description of itself.
fn is_command(text: &str) -> bool {
    text.starts_with("Linux ")
        || text
            .split_whitespace()
            .filter(|word| word.starts_with('-'))
            .count()
            >= 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_programs_have_of_their_own_are_no_reason() {
        let table = [
            ("1234567890", "1234567891"),
            ("expires 2026-01-01", "expires 2096-01-01"),
            ("12:61:00", "12:71:00"),
            ("git@github.com", "git@evil.com"),
            ("Europe/Paris", "Europe/Rome"),
            ("charset=utf-8", "charset=utf-7"),
            ("1.5", "1,5"),
            ("workers: 4", "workers: 8"),
            ("/tmp/socket", "/tmp/socked"),
            (
                "c12a7328-f81f-11d2-ba4b-00a0c93ec93b",
                "d12a7328-f81f-11d2-ba4b-00a0c93ec93b",
            ),
            (
                "/root/.cargo/registry/src/i/foo-1/src/lib.rs",
                "/root/.cargo/registry/src/i/fop-1/src/lib.rs",
            ),
        ];
        let rest = "/root/.cargo/registry/src/i/bar-1/src/lib.rs";
        for (released, rebuilt) in table {
            let whole = |text| format!("{text}\0{rest}");
            let (old, new) = (whole(released), whole(rebuilt));
            let data = Embedded::new(old.as_bytes(), new.as_bytes());
            let found = data.reasons(released, rebuilt, Context::default());
            assert_eq!(found, [], "{released}");
        }
    }

    #[test]
    fn what_builds_leave_in_strings_is_still_named() {
        let table = [
            ("Nov 25 2024 03:39:45", "Nov 26 2024 13:12:01", Cause::Timestamp),
            ("built 2024-11-25", "built 2024-11-26", Cause::Timestamp),
            ("/build/a/src/x.c", "/build/b/src/x.c", Cause::BuildPath),
            ("/home/me/p/x.c", "/builds/ci/p/x.c", Cause::BuildPath),
            ("/build/p/x.c", "/build/1/p/x.c", Cause::BuildPath),
            (
                "2f0a1c7e-8a4b-4c2d-9e1f-aabbccddeeff",
                "9b3cd4a1-07de-4f10-8c66-102938475601",
                Cause::Randomness,
            ),
        ];
        for (released, rebuilt, cause) in table {
            let data = Embedded::new(released.as_bytes(), rebuilt.as_bytes());
            let found = data.reasons(released, rebuilt, Context::default());
            let causes: Vec<_> = found.iter().map(|reason| reason.cause).collect();
            assert_eq!(causes, [cause], "{released}");
        }
    }

    #[test]
    fn what_is_still_there_was_not_replaced() {
        let table = [
            ("/build/a/x.c", "/build/b/x.c", "/build/a"),
            ("/build/a/x.c", "/build/b/x.c", "/build/a/y.c"),
            ("Nov 25 2024", "Nov 26 2024", "Nov 25 2024"),
        ];
        for (released, rebuilt, kept) in table {
            let whole = |text| format!("{text}\0{kept}");
            let (old, new) = (whole(released), whole(rebuilt));
            let data = Embedded::new(old.as_bytes(), new.as_bytes());
            assert_eq!(data.reasons(released, rebuilt, Context::default()), [], "{kept}");
        }
    }
}
