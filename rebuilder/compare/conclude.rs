//! From single findings to an answer: which only follow from others, what they have in common, whether named
//! normalisations account for all of them.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};

use super::Options;
use super::cause::{Cause, Confidence};
use super::finding::{Applied, Example, Finding, Node, Outcome, Presence, RootCause};
use super::normalise::Normalisation;

/// Says of each finding that claims to be a checksum whether the file that it names was seen to differ.
pub(super) fn checksums(root: &mut Node) {
    let mut differing: HashSet<String> = HashSet::new();
    root.each("", &mut |path, node| {
        let changed =
            node.presence != Presence::Both || !node.findings.is_empty() || !node.children.is_empty();
        if changed {
            differing.insert(path.to_owned());
            if let Some(other) = &node.rebuilt_name {
                differing.insert(other.clone());
            }
        }
    });
    // By every ending of the path, as lists name files relative to where they are.
    let mut endings: HashSet<&str> = HashSet::new();
    for path in &differing {
        let mut rest = path.as_str();
        loop {
            endings.insert(rest);
            match rest.split_once('/') {
                Some((_, below)) => rest = below,
                None => break,
            }
        }
    }
    let known = |file: &str| endings.contains(file.trim_start_matches("./").trim_start_matches('/'));
    root.each_mut(&mut |node| {
        for finding in &mut node.findings {
            let Some(file) = &finding.checksum_of else {
                continue;
            };
            if !known(file) {
                finding.cause = Cause::Content;
                finding.key = "a checksum of a file that is the same on both sides".into();
                finding.confidence = Confidence::Proven;
                finding.follows = false;
                finding.normalisation = None;
            }
        }
    });
}

/// Times that are not the one that the build was told to take.
pub(super) fn source_date_epoch(root: &mut Node, epoch: Option<i64>) {
    let Some(epoch) = epoch else { return };
    let wanted = jiff::Timestamp::from_second(epoch)
        .map(|time| time.to_string())
        .unwrap_or_default();
    let day = wanted.get(..10).unwrap_or_default().to_owned();
    root.each_mut(&mut |node| {
        for finding in node
            .findings
            .iter_mut()
            .filter(|finding| finding.cause == Cause::Timestamp)
        {
            let text = &finding.rebuilt;
            let year = wanted.get(..4).unwrap_or_default();
            // A date in other words has at least the year of the wanted one.
            let honoured = text.contains(&wanted)
                || text.contains(&epoch.to_string())
                || text.contains(&day)
                || text
                    .parse::<jiff::Timestamp>()
                    .is_ok_and(|time| time.as_second() <= epoch);
            if honoured {
                continue;
            }
            let exact = text.parse::<jiff::Timestamp>().is_ok() || !text.contains(year);
            finding.cause = Cause::SourceDateEpoch;
            // What only might be a time does not get surer by this.
            if finding.confidence != Confidence::Possible {
                finding.confidence = if exact {
                    Confidence::Proven
                } else {
                    Confidence::Likely
                };
            }
            finding.key = format!("{}, though SOURCE_DATE_EPOCH is {epoch}", finding.key);
        }
    });
}

/// Members of a package are clamped to one time that several share; a text with a later time took the clock.
pub(super) fn clamped(times: &HashMap<i64, u64>) -> Option<i64> {
    let (newest, count) = times.iter().max_by_key(|(time, _)| **time)?;
    (*count >= 2 && *newest > 315_532_800).then_some(*newest)
}

/// Root causes, the one to look at first.
pub(super) fn causes(root: &Node) -> Vec<RootCause> {
    let mut groups: BTreeMap<(Cause, String), RootCause> = BTreeMap::new();
    let mut following: Vec<(String, &Finding)> = Vec::new();
    root.each("", &mut |path, node| {
        for finding in &node.findings {
            if finding.follows {
                following.push((path.to_owned(), finding));
            } else {
                group(&mut groups, path, finding);
            }
        }
    });
    if groups.is_empty() {
        for (path, finding) in &following {
            group(&mut groups, path, finding);
        }
        following.clear();
    }
    let mut causes: Vec<RootCause> = groups.into_values().collect();
    causes.sort_by_key(|cause| (rank(cause), Reverse(cause.places), cause.cause));
    if let Some(first) = causes.first_mut() {
        first.follow = following
            .iter()
            .fold(0, |sum, (_, finding)| finding.places.saturating_add(sum));
    }
    causes
}

/// A change of content comes first whatever else there is; then what was not compared; then what explains most.
fn rank(cause: &RootCause) -> u8 {
    match cause.cause {
        Cause::Content => 0,
        Cause::Unread | Cause::AmbiguousArchive => 1,
        // Nothing that runs differs.
        Cause::DebugInformation => 3,
        _ => 2,
    }
}

fn group(groups: &mut BTreeMap<(Cause, String), RootCause>, path: &str, finding: &Finding) {
    let cause = groups
        .entry((finding.cause, finding.key.clone()))
        .or_insert_with(|| RootCause {
            cause: finding.cause,
            key: finding.key.clone(),
            confidence: finding.confidence,
            places: 0,
            follow: 0,
            example: Example {
                path: path.to_owned(),
                place: finding.place.to_string(),
                released: finding.released.clone(),
                rebuilt: finding.rebuilt.clone(),
            },
            fix: finding.cause.fix().to_owned(),
        });
    cause.places = cause.places.saturating_add(finding.places);
    cause.confidence = finding.cause.together(cause.confidence, finding.confidence);
}

/// The outcome, and the normalisations that set something aside.
pub(super) fn outcome(root: &Node, options: &Options) -> (Outcome, Vec<Applied>) {
    let mut applied: BTreeMap<Normalisation, Applied> = BTreeMap::new();
    let mut all = true;
    root.each("", &mut |_, node| {
        all &= node.presence == Presence::Both;
        for finding in &node.findings {
            let normalisation = finding
                .normalisation
                .filter(|normalisation| options.normalise.has(*normalisation));
            let Some(normalisation) = normalisation else {
                all = false;
                continue;
            };
            let applied = applied.entry(normalisation).or_insert_with(|| Applied {
                name: normalisation,
                version: normalisation.version(),
                places: 0,
            });
            applied.places = applied.places.saturating_add(finding.places);
        }
    });
    let outcome = if all {
        Outcome::Equivalent
    } else {
        Outcome::Different
    };
    (outcome, applied.into_values().collect())
}
