//! How the results of an audit compare with earlier ones: what got worse, what got better, and what is no
//! longer known.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::memory::Outcome;
use crate::run::VerdictName;

/// How good a verdict is; `None` if there is none.
fn rank(verdict: VerdictName, allow_equivalent: bool) -> Option<u8> {
    match verdict {
        VerdictName::Reproduced => Some(2),
        VerdictName::Equivalent => Some(if allow_equivalent { 2 } else { 1 }),
        VerdictName::Inconclusive => None,
        VerdictName::Mismatch | VerdictName::NotReproduced | VerdictName::Refused => Some(0),
    }
}

/// A subject whose verdict is worse than it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Regressed {
    /// The subject, as the list writes it.
    pub subject: String,
    /// The version, if it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Its best verdict before.
    pub was: VerdictName,
    /// When it last had that verdict.
    pub was_at: jiff::Timestamp,
    /// Number of the run in which it last had that verdict.
    pub was_in: i64,
    /// Its verdict now.
    pub is: VerdictName,
    /// Number of the run that found it.
    pub is_in: i64,
}

/// The subjects whose newest verdict is worse than an earlier one of the same version. `past` holds their results
/// that have a verdict, those of one subject from the oldest to the newest.
pub(super) fn regressed(past: &[Outcome], allow_equivalent: bool) -> Vec<Regressed> {
    let mut of_each: BTreeMap<&str, Vec<&Outcome>> = BTreeMap::new();
    for outcome in past {
        of_each.entry(&outcome.text).or_default().push(outcome);
    }
    let worse = |all: Vec<&Outcome>| {
        let (newest, earlier) = all.split_last()?;
        let now = rank(newest.verdict, allow_equivalent)?;
        let same = earlier.iter().filter(|it| it.version == newest.version);
        // Of several equally good results, the last one.
        let best = same.max_by_key(|it| rank(it.verdict, allow_equivalent))?;
        if rank(best.verdict, allow_equivalent)? <= now {
            return None;
        }
        Some(Regressed {
            subject: newest.text.clone(),
            version: newest.version.clone(),
            was: best.verdict,
            was_at: time(best.finished),
            was_in: best.run,
            is: newest.verdict,
            is_in: newest.run,
        })
    };
    of_each.into_values().filter_map(worse).collect()
}

fn time(milliseconds: i64) -> jiff::Timestamp {
    jiff::Timestamp::from_millisecond(milliseconds).unwrap_or_default()
}

/// What became of a subject between two runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// Its verdict is worse.
    Regressed,
    /// It had a verdict, and the newer run could not find one.
    NoLongerKnown,
    /// It has a verdict, and had none before.
    NewlyKnown,
    /// Its verdict is better.
    Improved,
    /// The version changed, or an equally good verdict has another name or reason.
    Changed,
    /// Only the newer run has it.
    Added,
    /// Only the older run has it.
    Removed,
}

impl Change {
    /// A short description.
    pub fn words(self) -> &'static str {
        match self {
            Self::Regressed => "regressed",
            Self::NoLongerKnown => "no longer known",
            Self::NewlyKnown => "newly known",
            Self::Improved => "improved",
            Self::Changed => "changed",
            Self::Added => "added",
            Self::Removed => "removed",
        }
    }
}

/// One difference between two runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// What became of it.
    pub change: Change,
    /// The subject, as the lists write it.
    pub subject: String,
    /// The older verdict, with the code of the failure if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub was: Option<String>,
    /// The newer one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is: Option<String>,
}

/// The differences between the results of two runs, ordered by kind of change.
pub fn differences(older: &[Outcome], newer: &[Outcome], allow_equivalent: bool) -> Vec<Difference> {
    let by_text = |all: &[Outcome]| -> BTreeMap<String, Outcome> {
        let pairs = all.iter().map(|outcome| (outcome.text.clone(), outcome.clone()));
        pairs.collect()
    };
    let (older, newer) = (by_text(older), by_text(newer));
    let mut texts: Vec<_> = older.keys().chain(newer.keys()).collect();
    texts.sort();
    texts.dedup();
    let mut all: Vec<_> = texts
        .into_iter()
        .filter_map(|text| {
            let (was, is) = (older.get(text), newer.get(text));
            Some(Difference {
                change: change(was, is, allow_equivalent)?,
                subject: text.clone(),
                was: was.map(word),
                is: is.map(word),
            })
        })
        .collect();
    all.sort_by(|a, b| (a.change, &a.subject).cmp(&(b.change, &b.subject)));
    all
}

fn word(outcome: &Outcome) -> String {
    match &outcome.failure {
        Some(failure) => format!("{}: {failure}", outcome.verdict),
        None => outcome.verdict.to_string(),
    }
}

fn change(was: Option<&Outcome>, is: Option<&Outcome>, allow_equivalent: bool) -> Option<Change> {
    let (was, is) = match (was, is) {
        (Some(was), Some(is)) => (was, is),
        (None, Some(_)) => return Some(Change::Added),
        _ => return Some(Change::Removed),
    };
    let rank = |outcome: &Outcome| rank(outcome.verdict, allow_equivalent);
    match (rank(was), rank(is)) {
        // Another version is another file, so the two verdicts cannot be compared.
        _ if was.version != is.version && was.version.is_some() && is.version.is_some() => {
            Some(Change::Changed)
        }
        (Some(before), Some(now)) if now < before => Some(Change::Regressed),
        (Some(before), Some(now)) if now > before => Some(Change::Improved),
        (Some(_), None) => Some(Change::NoLongerKnown),
        (None, Some(_)) => Some(Change::NewlyKnown),
        _ => (word(was) != word(is)).then_some(Change::Changed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(text: &str, version: &str, verdict: &str, run: i64) -> Outcome {
        Outcome {
            text: text.into(),
            version: (!version.is_empty()).then(|| version.to_owned()),
            verdict: VerdictName::of_word(verdict).unwrap(),
            failure: (verdict == "inconclusive").then(|| "unreachable".to_owned()),
            fault: None,
            tries: 0,
            again_at: None,
            finished: run * 1000,
            run,
            folder: None,
            document: String::new(),
        }
    }

    #[test]
    fn only_a_worse_verdict_of_the_same_version_has_regressed() {
        // Verdicts in the order of the runs, each with its version; whether equivalent is good enough; the
        // verdict before and the verdict now.
        type Row = (
            &'static [(&'static str, &'static str)],
            bool,
            Option<(&'static str, &'static str)>,
        );
        let rows: [Row; 9] = [
            (&[("1", "reproduced")], false, None),
            (&[("1", "mismatch")], false, None),
            (
                &[("1", "reproduced"), ("1", "mismatch")],
                false,
                Some(("reproduced", "mismatch")),
            ),
            (&[("1", "mismatch"), ("1", "reproduced")], false, None),
            (
                &[("1", "reproduced"), ("1", "equivalent")],
                false,
                Some(("reproduced", "equivalent")),
            ),
            (&[("1", "reproduced"), ("1", "equivalent")], true, None),
            (&[("1", "reproduced"), ("2", "mismatch")], false, None),
            (
                &[("1", "reproduced"), ("1", "mismatch"), ("1", "not-reproduced")],
                false,
                Some(("reproduced", "not-reproduced")),
            ),
            (
                &[("1", "reproduced"), ("1", "mismatch"), ("1", "reproduced")],
                false,
                None,
            ),
        ];
        for (verdicts, allow_equivalent, expected) in rows {
            let past: Vec<_> = (1..)
                .zip(verdicts)
                .map(|(run, (version, verdict))| outcome("a", version, verdict, run))
                .collect();
            let found = regressed(&past, allow_equivalent);
            let found = found.first().map(|it| (it.was.word(), it.is.word()));
            assert_eq!(found, expected, "{verdicts:?}");
        }
    }

    #[test]
    fn no_verdict_is_neither_better_nor_worse() {
        for (was, is, expected) in [
            (
                ("1", "reproduced"),
                ("1", "inconclusive"),
                Some(Change::NoLongerKnown),
            ),
            (("1", "inconclusive"), ("1", "mismatch"), Some(Change::NewlyKnown)),
            (("1", "equivalent"), ("1", "reproduced"), Some(Change::Improved)),
            (
                ("1", "reproduced"),
                ("1", "not-reproduced"),
                Some(Change::Regressed),
            ),
            (("1", "mismatch"), ("1", "not-reproduced"), Some(Change::Changed)),
            (("1", "reproduced"), ("2", "mismatch"), Some(Change::Changed)),
            (("", "reproduced"), ("2", "mismatch"), Some(Change::Regressed)),
            (("1", "reproduced"), ("1", "reproduced"), None),
        ] {
            let (older, newer) = ([outcome("a", was.0, was.1, 1)], [outcome("a", is.0, is.1, 2)]);
            let found = differences(&older, &newer, false);
            assert_eq!(found.first().map(|it| it.change), expected, "{was:?} {is:?}");
        }
        let found = differences(
            &[outcome("a", "", "reproduced", 1)],
            &[outcome("b", "", "mismatch", 1)],
            false,
        );
        let found: Vec<_> = found.iter().map(|it| (it.change, it.subject.as_str())).collect();
        assert_eq!(found, [(Change::Added, "b"), (Change::Removed, "a")]);
    }
}
