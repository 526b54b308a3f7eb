//! Concludes from single findings: which ones only follow from others, what they have in common, and whether named
//! normalisations account for all of them.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};

use super::Options;
use super::cause::{Cause, Confidence};
use super::comparison::{Applied, Example, Outcome, RootCause};
use super::finding::{Finding, Node, Presence};
use super::normalise::Normalisation;

/// The key of findings about sizes of other files, which [`sizes`] checks.
pub(super) const SIZES: &str = "sizes of other files";

/// A total size follows from the files only if the size of one of them differs, or if one is new.
pub(super) fn sizes(root: &mut Node) {
    let mut resized = false;
    root.each("", &mut |_, node| {
        let own = node.children.is_empty() && node.sizes.0 != node.sizes.1;
        let about_sizes = node.findings.iter().any(|finding| finding.key == SIZES);
        resized |= (own && !about_sizes) || node.presence != Presence::Both;
    });
    if resized {
        return;
    }
    root.each_mut(&mut |node| {
        for finding in node.findings.iter_mut().filter(|finding| finding.key == SIZES) {
            finding.cause = Cause::Content;
            finding.key = "a size of files that have the same sizes on both sides".into();
            finding.confidence = Confidence::Proven;
            finding.follows = false;
        }
    });
}

/// The key of findings about names that contain digests, which [`names`] checks.
pub(super) const NAMES: &str = "names with digests of other files";

/// A name with its file's digest follows from that file only if the rebuilt side no longer has a file with that name.
pub(super) fn names(root: &mut Node) {
    let mut gone: HashSet<String> = HashSet::new();
    root.each("", &mut |path, node| {
        if node.presence == Presence::OnlyReleased || node.rebuilt_name.is_some() {
            gone.insert(path.rsplit('/').next().unwrap_or(path).to_owned());
        }
    });
    root.each_mut(&mut |node| {
        for finding in node.findings.iter_mut().filter(|finding| finding.key == NAMES) {
            let name = finding.checksum_of.as_deref().unwrap_or_default();
            if !gone.contains(name.rsplit('/').next().unwrap_or(name)) {
                finding.cause = Cause::Content;
                finding.key = "a name with a digest of a file that has the same name on both sides".into();
                finding.confidence = Confidence::Proven;
                finding.follows = false;
            }
        }
    });
}

/// Notes times that are not the one that the build was told to use.
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
            // A date in any language contains at least the year of the expected one.
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
            // This does not raise the confidence in findings that only may be times.
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

/// Members of a package are clamped to a time that several of them share; a text with a later time used the clock.
pub(super) fn clamped(times: &HashMap<i64, u64>) -> Option<i64> {
    let (newest, count) = times.iter().max_by_key(|(time, _)| **time)?;
    (*count >= 2 && *newest > 315_532_800).then_some(*newest)
}

/// A folder or a commit that takes the place of another one and is itself replaced was exchanged by someone.
pub(super) fn exchanged(root: &mut Node) {
    let (mut from, mut to): (HashSet<String>, HashSet<String>) = Default::default();
    root.each("", &mut |_, node| {
        for (old, new) in node.findings.iter().filter_map(substitution) {
            from.insert(old.to_owned());
            to.insert(new.to_owned());
        }
    });
    let both: HashSet<&str> = from.intersection(&to).map(String::as_str).collect();
    if both.is_empty() {
        return;
    }
    root.each_mut(&mut |node| {
        for finding in &mut node.findings {
            let is_exchanged =
                substitution(finding).is_some_and(|(old, new)| both.contains(old) || both.contains(new));
            if is_exchanged {
                finding.cause = Cause::Content;
                finding.key = "folders or commits that are exchanged for each other".into();
                finding.confidence = Confidence::Proven;
                finding.normalisation = None;
                finding.follows = false;
            }
        }
    });
}

/// The value that was replaced, and the one in its place.
fn substitution(finding: &Finding) -> Option<(&str, &str)> {
    let replaces = matches!(finding.cause, Cause::BuildPath | Cause::SourceRevision);
    finding.key.split_once(" → ").filter(|_| replaces)
}

/// A harmless reason that is only possible is not enough: if no finding of a node says that content may have changed,
/// that is added. A pair of build folders that is certain elsewhere is the reason here as well.
pub(super) fn doubts(root: &mut Node) {
    let mut sure: HashSet<String> = HashSet::new();
    root.each("", &mut |_, node| {
        let paths = node.findings.iter().filter(|own| own.cause == Cause::BuildPath);
        let paths = paths.filter(|own| own.confidence > Confidence::Possible);
        sure.extend(paths.map(|own| own.key.clone()));
    });
    root.each_mut(&mut |node| {
        let mut doubted: Vec<Finding> = Vec::new();
        for finding in &mut node.findings {
            let elsewhere = finding.cause == Cause::BuildPath && sure.contains(&finding.key);
            if finding.confidence > Confidence::Possible || elsewhere {
                continue;
            }
            finding.normalisation = None;
            doubted.push(Finding {
                cause: Cause::Content,
                key: String::new(),
                confidence: Confidence::Proven,
                follows: false,
                ..finding.clone()
            });
        }
        if node.findings.iter().all(|finding| !is_open(finding.cause)) {
            node.findings.extend(doubted);
        }
    });
}

/// Whether a finding leaves the cause of the difference open.
fn is_open(cause: Cause) -> bool {
    matches!(
        cause,
        Cause::Content
            | Cause::Unread
            | Cause::AmbiguousArchive
            | Cause::OtherSource
            | Cause::NotFromSource
            | Cause::MissingFromSource
    )
}

/// The root causes, the most important one first.
pub(super) fn causes(root: &Node) -> Vec<RootCause> {
    let mut groups: Groups = BTreeMap::new();
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
    let mut causes: Vec<(bool, RootCause)> = groups.into_values().collect();
    causes.sort_by_key(|(aside, cause)| (*aside, rank(cause), Reverse(cause.places), cause.cause));
    let mut causes: Vec<RootCause> = causes.into_iter().map(|(_, cause)| cause).collect();
    if let Some(first) = causes.first_mut() {
        first.follow = following
            .iter()
            .fold(0, |sum, (_, finding)| finding.places.saturating_add(sum));
    }
    causes
}

/// Findings of one root cause, and whether normalisations set all of them aside.
type Groups = BTreeMap<(Cause, String), (bool, RootCause)>;

/// The order of causes. First come other sources and changed content, whatever else there is; then what was not
/// compared; then the causes that explain most.
fn rank(cause: &RootCause) -> u8 {
    match cause.cause {
        Cause::OtherSource | Cause::NotFromSource => 0,
        Cause::Content => 1,
        Cause::Unread | Cause::AmbiguousArchive | Cause::MissingFromSource => 2,
        // No code that runs differs.
        Cause::DebugInformation => 4,
        _ => 3,
    }
}

fn group(groups: &mut Groups, path: &str, finding: &Finding) {
    let (aside, cause) = groups
        .entry((finding.cause, finding.key.clone()))
        .or_insert_with(|| {
            let cause = RootCause {
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
            };
            (true, cause)
        });
    *aside &= finding.normalisation.is_some();
    cause.places = cause.places.saturating_add(finding.places);
    cause.confidence = finding.cause.together(cause.confidence, finding.confidence);
}

/// The outcome, and the normalisations that set something aside.
pub(super) fn outcome(root: &Node, options: &Options) -> (Outcome, Vec<Applied>) {
    let mut applied: BTreeMap<Normalisation, Applied> = BTreeMap::new();
    let mut all = true;
    root.each("", &mut |_, node| {
        // A file that only one side has needs a finding to be set aside.
        all &= node.presence == Presence::Both || !node.findings.is_empty();
        for finding in &node.findings {
            let normalisation = finding
                .normalisation
                .filter(|known| options.normalise.has(*known) && !is_open(finding.cause));
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

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(cause: Cause, confidence: Confidence, key: &str) -> Finding {
        Finding::new("line 1", "a", "b")
            .because(cause, confidence)
            .keyed(key)
    }

    fn concluded(findings: Vec<Finding>) -> (Vec<Cause>, Outcome) {
        let mut root = Node {
            findings,
            ..Node::default()
        };
        doubts(&mut root);
        let causes = causes(&root).into_iter().map(|cause| cause.cause).collect();
        (causes, outcome(&root, &Options::default()).0)
    }

    #[test]
    fn content_comes_first_whatever_explains_more() {
        let accuses = |cause: &&Cause| matches!(cause, Cause::OtherSource | Cause::NotFromSource);
        for cause in Cause::ALL.iter().filter(|cause| !accuses(cause)) {
            let many = finding(*cause, Confidence::Proven, "many").times(1000);
            let content = finding(Cause::Content, Confidence::Proven, "one");
            let (causes, _) = concluded(vec![many, content]);
            assert_eq!(causes.first(), Some(&Cause::Content), "{cause}");
        }
    }

    #[test]
    fn what_is_only_possible_is_content_too() {
        for cause in Cause::ALL.iter().filter(|cause| !is_open(**cause)) {
            let aside = finding(*cause, Confidence::Possible, "x").set_aside_by(Normalisation::TarTime);
            let (causes, outcome) = concluded(vec![aside.clone()]);
            assert_eq!(causes.first(), Some(&Cause::Content), "{cause}");
            assert_eq!(outcome, Outcome::Different, "{cause}");
            let (causes, _) = concluded(vec![aside.following()]);
            assert_eq!(causes.first(), Some(&Cause::Content), "{cause} that follows");
            let likely = finding(*cause, Confidence::Likely, "x").set_aside_by(Normalisation::TarTime);
            assert_eq!(
                concluded(vec![likely]),
                (vec![*cause], Outcome::Equivalent),
                "{cause}"
            );
        }
    }

    #[test]
    fn no_normalisation_sets_content_aside() {
        for cause in Cause::ALL.iter().filter(|cause| is_open(**cause)) {
            let aside = finding(*cause, Confidence::Proven, "x").set_aside_by(Normalisation::TarTime);
            assert_eq!(concluded(vec![aside]).1, Outcome::Different, "{cause}");
        }
    }

    #[test]
    fn folders_that_are_exchanged_are_content() {
        let path = |key: &str| finding(Cause::BuildPath, Confidence::Likely, key);
        for (other, wanted) in [
            ("/build/b → /build/a", Cause::Content),
            ("/build/c → /build/d", Cause::BuildPath),
        ] {
            let mut root = Node {
                findings: vec![path("/build/a → /build/b")],
                children: vec![Node {
                    findings: vec![path(other)],
                    ..Node::default()
                }],
                ..Node::default()
            };
            exchanged(&mut root);
            assert_eq!(root.findings[0].cause, wanted, "{other}");
            assert_eq!(root.children[0].findings[0].cause, wanted, "{other}");
        }
    }

    #[test]
    fn a_time_is_no_surer_for_being_late() {
        let text = |confidence| Finding {
            released: "2024".into(),
            rebuilt: "2026".into(),
            ..finding(Cause::Timestamp, confidence, "date")
        };
        for confidence in [Confidence::Possible, Confidence::Likely] {
            let mut root = Node {
                findings: vec![text(confidence), finding(Cause::Content, Confidence::Proven, "")],
                ..Node::default()
            };
            source_date_epoch(&mut root, Some(1_700_000_000));
            assert_eq!(root.findings[1].cause, Cause::Content);
            assert_eq!(root.findings[0].cause, Cause::SourceDateEpoch);
            assert_eq!(
                root.findings[0].confidence == Confidence::Possible,
                confidence == Confidence::Possible
            );
        }
    }

    #[test]
    fn a_size_of_files_follows_from_files_of_other_sizes_alone() {
        let of = |sizes: (u64, u64)| Node {
            sizes: (Some(sizes.0), Some(sizes.1)),
            findings: vec![finding(Cause::Timestamp, Confidence::Proven, "x")],
            ..Node::default()
        };
        let about = Node {
            findings: vec![finding(Cause::Checksum, Confidence::Likely, SIZES).following()],
            ..of((10, 11))
        };
        for (sizes, wanted) in [((5, 6), Cause::Timestamp), ((5, 5), Cause::Content)] {
            let mut root = Node {
                children: vec![about.clone(), of(sizes)],
                ..Node::default()
            };
            super::sizes(&mut root);
            assert_eq!(causes(&root)[0].cause, wanted, "{sizes:?}");
        }
    }
}
