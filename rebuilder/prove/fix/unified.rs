//! The unified form of a diff, with hunks whose numbers are exact.

use std::fmt::Write as _;
use std::ops::Range;

use imara_diff::{Algorithm, Diff, Hunk, InternedInput};

/// Lines around a change.
const CONTEXT: u32 = 3;

/// The hunks from one text to another; empty for the same texts.
pub(super) fn hunks(old: &str, new: &str) -> String {
    let input = InternedInput::new(old, new);
    let mut diff = Diff::compute(Algorithm::Histogram, &input);
    diff.postprocess_lines(&input);
    let (old, new) = (Lines::of(old), Lines::of(new));
    let mut groups: Vec<Vec<Hunk>> = Vec::new();
    for hunk in diff.hunks() {
        let last = groups.last_mut().filter(|group| {
            let end = group.last().map_or(0, |last| last.before.end);
            hunk.before.start.saturating_sub(end) <= 2 * CONTEXT
        });
        match last {
            Some(group) => group.push(hunk),
            None => groups.push(vec![hunk]),
        }
    }
    groups.iter().map(|group| one(group, &old, &new)).collect()
}

struct Lines<'a>(Vec<&'a str>);

impl<'a> Lines<'a> {
    fn of(text: &'a str) -> Self {
        Self(text.split_inclusive('\n').collect())
    }

    fn len(&self) -> u32 {
        u32::try_from(self.0.len()).unwrap_or(u32::MAX)
    }

    fn write(&self, mark: char, range: Range<u32>, out: &mut String) {
        let all = (0_u32..).zip(&self.0);
        for (_, line) in all.filter(|(number, _)| range.contains(number)) {
            let _ = write!(out, "{mark}{line}");
            if !line.ends_with('\n') {
                out.push_str("\n\\ No newline at end of file\n");
            }
        }
    }
}

fn one(group: &[Hunk], old: &Lines<'_>, new: &Lines<'_>) -> String {
    let (Some(first), Some(last)) = (group.first(), group.last()) else {
        return String::new();
    };
    let before = first.before.start.min(CONTEXT);
    let after = old.len().saturating_sub(last.before.end).min(CONTEXT);
    let range = |start: u32, end: u32| start.saturating_sub(before)..end.saturating_add(after);
    let mut out = format!(
        "@@ -{} +{} @@\n",
        numbers(&range(first.before.start, last.before.end)),
        numbers(&range(first.after.start, last.after.end))
    );
    let mut at = first.before.start.saturating_sub(before);
    for hunk in group {
        old.write(' ', at..hunk.before.start, &mut out);
        old.write('-', hunk.before.clone(), &mut out);
        new.write('+', hunk.after.clone(), &mut out);
        at = hunk.before.end;
    }
    old.write(' ', at..at.saturating_add(after), &mut out);
    out
}

/// Where a hunk begins, from 1, and its length; one without lines is behind the line that it names.
fn numbers(range: &Range<u32>) -> String {
    let length = range.end.saturating_sub(range.start);
    let first = range.start.saturating_add(u32::from(length > 0));
    format!("{first},{length}")
}
