//! The last entries of a public log as an Atom feed (RFC 4287).

use askama::Template;
use jiff::Timestamp;

use super::ReportError;
use crate::public_log::{Entry, Seen};

#[derive(Template)]
#[template(path = "feed.xml")]
struct Feed<'a> {
    origin: &'a str,
    updated: Timestamp,
    items: Vec<Item<'a>>,
}

struct Item<'a> {
    index: u64,
    word: &'a str,
    subject: &'a str,
    time: Timestamp,
    content: String,
}

impl<'a> Item<'a> {
    fn of(seen: &'a Seen) -> Option<Self> {
        let index = seen.index;
        Some(match seen.says.as_ref()? {
            Entry::Verdict(verdict) => Self {
                word: &verdict.verdict,
                subject: &verdict.subject,
                time: verdict.time,
                content: format!(
                    "entry {index}; run {}; statement sha256:{}; signed with {}",
                    verdict.run, verdict.statement, verdict.key
                ),
                index,
            },
            Entry::Withdrawal(withdrawal) => Self {
                word: "withdrawn",
                subject: &withdrawal.subject,
                time: withdrawal.time,
                content: format!(
                    "entry {index}; run {}; statement sha256:{}; because: {}",
                    withdrawal.run, withdrawal.statement, withdrawal.because
                ),
                index,
            },
        })
    }
}

/// The feed of a log; the newest entry comes first, and those that this version cannot read are left out.
pub fn atom(origin: &str, entries: &[Seen]) -> Result<String, ReportError> {
    let items: Vec<_> = entries.iter().rev().filter_map(Item::of).collect();
    // A log without entries has always been so.
    let updated = items
        .iter()
        .map(|item| item.time)
        .max()
        .unwrap_or(Timestamp::UNIX_EPOCH);
    let feed = Feed {
        origin,
        updated,
        items,
    };
    Ok(feed.render()?)
}
