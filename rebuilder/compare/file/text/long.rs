//! Lines that contain a whole program, as bundlers write them: only the differing pieces are examined.

use imara_diff::{Algorithm, Diff, InternedInput};

use crate::compare::cause::Reason;
use crate::compare::explain::{Context, suspect};

/// Longer lines are split into pieces.
pub(super) const LONG: usize = 2000;
/// Maximum number of pieces from the first to the last that differ.
const MOST_PIECES: usize = 10_000;

/// The reasons why two long lines differ; none if something stays unexplained.
pub(super) fn explain(released: &str, rebuilt: &str, context: Context) -> Vec<Reason> {
    const MOST: usize = 200;
    let (old, new) = (pieces(released), pieces(rebuilt));
    let (old, new) = apart(&old, &new);
    if old.len().max(new.len()) > MOST_PIECES {
        return Vec::new();
    }
    let mut input: InternedInput<&str> = InternedInput::default();
    input.update_before(old.iter().copied());
    input.update_after(new.iter().copied());
    let diff = Diff::compute(Algorithm::Histogram, &input);
    // A piece is never the whole value of its field.
    let field = if context.field.is_empty() {
        "…"
    } else {
        context.field
    };
    // A piece does not show the script around it.
    let has_script = || {
        [released, rebuilt]
            .iter()
            .any(|line| line.to_ascii_lowercase().contains("<script"))
    };
    let context = Context {
        field,
        code: context.code || context.markup && (context.script || has_script()),
        ..context
    };
    let mut reasons: Vec<Reason> = Vec::new();
    let mut read: usize = 0;
    for hunk in diff.hunks() {
        let before = old
            .get(hunk.before.start as usize..hunk.before.end as usize)
            .unwrap_or_default();
        let after = new
            .get(hunk.after.start as usize..hunk.after.end as usize)
            .unwrap_or_default();
        read = read.saturating_add(before.len());
        if before.len() != after.len() || read > MOST {
            return Vec::new();
        }
        for (released, rebuilt) in before.iter().zip(after) {
            let own = suspect(released, rebuilt, context);
            if own.is_empty() {
                return Vec::new();
            }
            for reason in own {
                if !reasons.contains(&reason) {
                    reasons.push(reason);
                }
            }
        }
    }
    reasons
}

/// Both lists without their common beginning and end.
fn apart<'p, 'a>(mut old: &'p [&'a str], mut new: &'p [&'a str]) -> (&'p [&'a str], &'p [&'a str]) {
    while let ([first, rest @ ..], [other, others @ ..]) = (old, new)
        && first == other
    {
        (old, new) = (rest, others);
    }
    while let ([rest @ .., last], [others @ .., other]) = (old, new)
        && last == other
    {
        (old, new) = (rest, others);
    }
    (old, new)
}

/// Statements, elements and comments, each with the mark that ends it.
fn pieces(line: &str) -> Vec<&str> {
    line.split_inclusive(['{', '}', ';', ',', '>']).collect()
}

/// The first difference, with its surroundings.
pub(super) fn differing(released: &str, rebuilt: &str) -> (String, String) {
    const AROUND: usize = 60;
    const LONGEST: usize = 200;
    let first = released
        .char_indices()
        .zip(rebuilt.chars())
        .find(|((_, old), new)| old != new)
        .map_or(released.len().min(rebuilt.len()), |((at, _), _)| at);
    let before: Vec<char> = released
        .get(..first)
        .unwrap_or_default()
        .chars()
        .rev()
        .take(AROUND)
        .collect();
    let before: String = before.into_iter().rev().collect();
    let part = |text: &str| {
        let from: String = text
            .get(first..)
            .unwrap_or_default()
            .chars()
            .take(LONGEST.saturating_sub(AROUND))
            .collect();
        format!("…{before}{from}…")
    };
    (part(released), part(rebuilt))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::cause::Cause;

    #[test]
    fn only_the_pieces_that_differ_are_looked_at() {
        let bundle = |built: &str, check: &str| {
            format!(
                "/*! x */{}var a={{builtAt:\"{built}\"}};if({check}){{run()}}",
                "var b=1;".repeat(900)
            )
        };
        let context = Context {
            code: true,
            ..Context::default()
        };
        let old = bundle("2026-11-25T03:39:45Z", "ok");
        let found = explain(&old, &bundle("2026-11-26T03:39:45Z", "ok"), context);
        assert_eq!(
            found.iter().map(|reason| reason.cause).collect::<Vec<_>>(),
            [Cause::Timestamp]
        );
        assert!(explain(&old, &bundle("2026-11-26T03:39:45Z", "1"), context).is_empty());
        let (released, rebuilt) = differing(&old, &bundle("2026-11-25T03:39:45Z", "!1"));
        assert!(
            released.contains("if(ok)") && rebuilt.contains("if(!1)"),
            "{released} {rebuilt}"
        );
    }
}
