//! A proof in Markdown, for a comment on a pull request.

use std::fmt::Write as _;

use super::{PLACES, causes, cost, headline, odds, title, values};
use crate::compare::Comparison;
use crate::prove::{Explained, Proof};
use crate::text::{code, code_block};

/// The proof in Markdown. Everything from the project is written as code.
pub fn markdown(proof: &Proof) -> String {
    let mut out = format!("## {}\n", code(&headline(proof)));
    for culprit in &proof.culprits {
        let _ = writeln!(out, "\n### {}\n", title(culprit));
        for value in values(culprit) {
            let _ = writeln!(out, "- {value}");
        }
        if let Some(reason) = &culprit.fails {
            let _ = writeln!(out, "- the build fails: {}", code(reason));
        }
        differences(culprit.places.iter(), &culprit.files, &mut out);
        if let Some(explained) = proof.explained(&culprit.knobs) {
            explanation(explained, &mut out);
        }
    }
    if let Some(random) = &proof.random {
        let _ = writeln!(out, "\n### random\n\n- {}", odds(random));
        differences(random.places.iter(), &random.files, &mut out);
        if let Some(explained) = proof.explained(&[]) {
            explanation(explained, &mut out);
        }
    }
    if let Some(fixed) = &proof.fixed {
        let _ = writeln!(out, "\nWith all patches: {}.", code(&fixed.result));
    }
    let varied: Vec<_> = proof.varied.iter().map(|varied| varied.knob.name()).collect();
    let _ = writeln!(out, "\n{}; varied: {}.", cost(proof), varied.join(", "));
    out
}

fn explanation(explained: &Explained, out: &mut String) {
    for attribution in explained.attributions.iter().take(PLACES) {
        let _ = writeln!(out, "- by {}", code(&attribution.sentence()));
    }
    for asker in &explained.askers {
        let _ = writeln!(out, "- {}", code(&asker.sentence()));
    }
    if let Some(fix) = &explained.fix {
        let _ = writeln!(out, "- {}", fix.result);
        if !fix.patch.is_empty() {
            let _ = writeln!(out, "\n{}", code_block("diff", fix.patch.lines()));
        }
    }
}

fn differences<'a>(
    places: impl ExactSizeIterator<Item = &'a String>,
    files: &[Comparison],
    out: &mut String,
) {
    let more = places.len().saturating_sub(PLACES);
    for place in places.take(PLACES) {
        let _ = writeln!(out, "- in {}", code(place));
    }
    if more > 0 {
        let _ = writeln!(out, "- and {more} more places");
    }
    for cause in causes(files) {
        let example = &cause.example;
        let _ = writeln!(
            out,
            "- because of {} ({}): {} → {}. Fix: {}.",
            cause.cause.title(),
            cause.confidence.word(),
            code(&example.released),
            code(&example.rebuilt),
            cause.fix
        );
    }
}
