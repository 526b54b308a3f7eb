//! What is asked of all builds together: rates over time, reasons that packages share, and which packages there are.

use serde::Deserialize;
use sqlx::Row as _;
use sqlx::any::AnyRow;

use super::super::{Queue, QueueError};
use super::read::{Conditions, Statement};
use super::{Build, Page, Reason};

const DAY: i64 = 86_400_000;

/// A package that a search found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub package: String,
    pub builds: i64,
}

/// How long the parts of a time are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span {
    Day,
    /// From Monday to Sunday.
    Week,
}

impl Span {
    /// Its length in days, and how many days the first one that begins after 1970 is late: 1970 began on a Thursday.
    fn days(self) -> (i64, i64) {
        match self {
            Self::Day => (1, 0),
            Self::Week => (7, 3),
        }
    }

    /// The milliseconds since 1970 at which the part with this number begins.
    pub fn begin(self, number: i64) -> i64 {
        let (days, late) = self.days();
        let day = number.saturating_mul(days).saturating_sub(late);
        day.saturating_mul(DAY)
    }

    /// The number of the part that a time is in.
    pub fn number(self, time: i64) -> i64 {
        let (days, late) = self.days();
        time.div_euclid(DAY).saturating_add(late).div_euclid(days)
    }
}

/// How many builds ended in one part of time with one verdict, or differ for one cause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rate {
    /// See [`Span::begin`].
    pub number: i64,
    pub ecosystem: String,
    /// A verdict, or the name of a cause.
    pub word: String,
    pub count: i64,
}

/// A reason that packages share: of each package version the build to show counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    pub reason: Reason,
    pub packages: i64,
    pub builds: i64,
}

/// A result that should not be: the alarm of an audit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Regression {
    pub package: String,
    pub version: String,
    pub verdict: String,
    /// What the alarm is worth: `confirmed` or `unstable`.
    pub worth: String,
    /// The version that was good before.
    pub good: String,
    pub audit: String,
    pub at: i64,
}

/// What pages show of the document of an alarm.
#[derive(Deserialize)]
struct Alarm {
    package: String,
    version: String,
    verdict: String,
    audit: String,
    last_good: Good,
}

#[derive(Deserialize)]
struct Good {
    version: String,
}

/// Which builds a list has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listed {
    pub package: Option<String>,
    pub ecosystem: Option<String>,
    pub verdict: Option<String>,
    /// The name of a cause; with a reason, exactly that reason.
    pub cause: Option<String>,
    pub reason: Option<Reason>,
    /// Only the build to show of each package version.
    pub newest: bool,
}

impl Queue {
    /// Packages whose name, or that of their source, has this text in it.
    pub async fn search(&self, text: &str, count: u16) -> Result<Vec<Found>, QueueError> {
        let mut pattern = String::from("%");
        for c in text.to_lowercase().chars() {
            if matches!(c, '%' | '_' | '\\') {
                pattern.push('\\');
            }
            pattern.push(c);
        }
        pattern.push('%');
        let sql = format!(
            "SELECT package, (SELECT count(*) FROM published_build b WHERE b.package = p.package)
             FROM published_package p WHERE words LIKE $1 ESCAPE '\\' ORDER BY package LIMIT {count}"
        );
        let read = |row: &AnyRow| {
            Ok(Found {
                package: row.try_get(0)?,
                builds: row.try_get(1)?,
            })
        };
        self.rows(Statement(sql, &[pattern]), read).await
    }

    /// How many builds ended in each part of time from `first` on, by ecosystem and verdict.
    pub async fn rates(&self, span: Span, first: i64) -> Result<Vec<Rate>, QueueError> {
        let number = number(span, "finished");
        let sql = format!(
            "SELECT {number}, ecosystem, verdict, count(*) FROM published_build WHERE finished >= {}
             GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
            span.begin(first)
        );
        self.rows(Statement(sql, &[]), rate).await
    }

    /// How many builds that ended in each part of time from `first` on differ for each cause.
    pub async fn causes_over_time(&self, span: Span, first: i64) -> Result<Vec<Rate>, QueueError> {
        let number = number(span, "finished");
        let sql = format!(
            "SELECT {number}, ecosystem, cause, count(DISTINCT id) FROM published_build JOIN published_cause ON build = id
             WHERE finished >= {} GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
            span.begin(first)
        );
        self.rows(Statement(sql, &[]), rate).await
    }

    /// The reasons that most packages share, the most common first. What has nothing in common but its kind is no reason that
    /// is shared.
    pub async fn clusters(&self, count: u16) -> Result<Vec<Cluster>, QueueError> {
        let sql = format!(
            "SELECT cause, shared, released, rebuilt, count(DISTINCT package), count(*)
             FROM published_cause JOIN published_build ON id = build WHERE newest = 1 AND shared <> ''
             GROUP BY cause, shared, released, rebuilt ORDER BY 5 DESC, 6 DESC, 1, 2, 3, 4 LIMIT {count}"
        );
        let read = |row: &AnyRow| {
            Ok(Cluster {
                reason: reason(row)?,
                packages: row.try_get(4)?,
                builds: row.try_get(5)?,
            })
        };
        self.rows(Statement(sql, &[]), read).await
    }

    /// The last regressions that audits found and looked into, the newest first.
    pub async fn regressions(&self, count: u16) -> Result<Vec<Regression>, QueueError> {
        let sql = format!(
            "SELECT standing, made, document FROM alarms WHERE standing IN ('confirmed', 'unstable') ORDER BY id DESC LIMIT {count}"
        );
        let read = |row: &AnyRow| {
            let document: String = row.try_get(2)?;
            let alarm: Alarm =
                serde_json::from_str(&document).map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
            Ok(Regression {
                package: alarm.package,
                version: alarm.version,
                verdict: alarm.verdict,
                worth: row.try_get(0)?,
                good: alarm.last_good.version,
                audit: alarm.audit,
                at: row.try_get(1)?,
            })
        };
        self.rows(Statement(sql, &[]), read).await
    }

    /// The builds of a list, by their numbers.
    pub async fn list_builds(&self, listed: &Listed, page: &Page) -> Result<Vec<Build>, QueueError> {
        let mut conditions = Conditions::of(if listed.newest { "newest = 1" } else { "1 = 1" });
        conditions.and("package", listed.package.as_ref());
        conditions.and("ecosystem", listed.ecosystem.as_ref());
        conditions.and("verdict", listed.verdict.as_ref());
        let mut within = Conditions {
            values: std::mem::take(&mut conditions.values),
            ..Conditions::default()
        };
        within.and("cause", listed.cause.as_ref());
        if let Some(reason) = &listed.reason {
            within.and("cause", Some(&reason.cause));
            within.and("shared", Some(&reason.shared));
            within.and("released", Some(&reason.released));
            within.and("rebuilt", Some(&reason.rebuilt));
        }
        conditions.values = within.values;
        if !within.text.is_empty() {
            conditions.text = format!(
                "{} AND id IN (SELECT build FROM published_cause WHERE 1 = 1{})",
                conditions.text, within.text
            );
        }
        let sql = format!("SELECT * FROM published_build {}", conditions.page(page, "id"));
        self.rows(Statement(sql, &conditions.values), Build::read).await
    }

    /// Why a build differs.
    pub async fn reasons(&self, build: i64) -> Result<Vec<Reason>, QueueError> {
        let sql = format!(
            "SELECT cause, shared, released, rebuilt FROM published_cause WHERE build = {build} ORDER BY 1, 2, 3, 4"
        );
        self.rows(Statement(sql, &[]), reason).await
    }
}

/// The number of the part of time that a column is in, in SQL. Times before 1970 are nobody's.
fn number(span: Span, column: &str) -> String {
    let (days, late) = span.days();
    format!("({column} / {DAY} + {late}) / {days}")
}

fn rate(row: &AnyRow) -> Result<Rate, sqlx::Error> {
    Ok(Rate {
        number: row.try_get(0)?,
        ecosystem: row.try_get(1)?,
        word: row.try_get(2)?,
        count: row.try_get(3)?,
    })
}

fn reason(row: &AnyRow) -> Result<Reason, sqlx::Error> {
    Ok(Reason {
        cause: row.try_get(0)?,
        shared: row.try_get(1)?,
        released: row.try_get(2)?,
        rebuilt: row.try_get(3)?,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn weeks_begin_on_mondays() {
        for (time, begin) in [
            ("2026-11-23T00:00:00Z", "2026-11-23T00:00:00Z"),
            ("2026-11-26T17:00:00Z", "2026-11-23T00:00:00Z"),
            ("2026-11-29T23:59:59Z", "2026-11-23T00:00:00Z"),
            ("1970-01-01T00:00:00Z", "1969-12-29T00:00:00Z"),
        ] {
            let time: jiff::Timestamp = time.parse().unwrap();
            let number = Span::Week.number(time.as_millisecond());
            let found = jiff::Timestamp::from_millisecond(Span::Week.begin(number)).unwrap();
            assert_eq!(found.to_string(), begin);
        }
        assert_eq!(Span::Day.begin(Span::Day.number(DAY + 5)), DAY);
    }
}
