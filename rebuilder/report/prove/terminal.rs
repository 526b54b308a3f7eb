//! A proof on a terminal.

use std::collections::BTreeSet;

use super::super::comparison::values_and_fix;
use super::{PLACES, causes, cost, headline, odds, title, values};
use crate::compare::Comparison;
use crate::prove::{Explained, Proof};
use crate::text::{Screen, Style, plain, plural};

/// The proof as lines.
pub fn terminal(proof: &Proof, colour: bool) -> Screen {
    let mut out = Screen::new(colour);
    let style = if proof.reproducible {
        Style::Good
    } else {
        Style::Bad
    };
    out.line([style.of(headline(proof))]);
    culprits(proof, &mut out);
    if let Some(random) = &proof.random {
        out.gap();
        out.line([plain("random: "), Style::Bold.of(odds(random))]);
        differences(&random.places, &random.files, &mut out);
        if let Some(explained) = proof.explained(&[]) {
            explanation(explained, &mut out);
        }
    }
    if let Some(fixed) = &proof.fixed {
        out.gap();
        let style = if fixed.reproducible {
            Style::Good
        } else {
            Style::Yellow
        };
        out.line([plain("with all patches: "), style.of(&fixed.result)]);
    }
    compared_with_releases(proof, &mut out);
    what_was_done(proof, &mut out);
    out
}

fn culprits(proof: &Proof, out: &mut Screen) {
    for (number, culprit) in (1_usize..).zip(&proof.culprits) {
        out.gap();
        out.line([plain(format_args!("{number}. ")), Style::Bold.of(title(culprit))]);
        for value in values(culprit) {
            out.line([plain("   "), Style::Dim.of(value)]);
        }
        if let Some(reason) = &culprit.fails {
            out.paragraph(&plain("   the build fails:"), reason);
        }
        differences(&culprit.places, &culprit.files, out);
        if culprit.same > 0 {
            out.say(format_args!("   the same: {}", plural(culprit.same, "output")));
        }
        if let Some(explained) = proof.explained(&culprit.knobs) {
            explanation(explained, out);
        }
    }
}

fn compared_with_releases(proof: &Proof, out: &mut Screen) {
    for against in &proof.against {
        out.gap();
        let (style, words) = match &against.output {
            None => (Style::Bad, "the build has no such output"),
            Some(_) if against.is_same() => (Style::Good, "the build produces the same bytes"),
            Some(_) => (Style::Bad, "the build produces other bytes"),
        };
        out.line([plain(format_args!("{}: ", against.file)), style.of(words)]);
        if let Some(comparison) = &against.comparison {
            differences(&BTreeSet::new(), std::slice::from_ref(comparison), out);
        }
    }
}

/// What was built, what was varied, and what limits the conclusion.
fn what_was_done(proof: &Proof, out: &mut Screen) {
    out.gap();
    let project = &proof.project;
    out.line([
        plain("built: "),
        plain(format_args!(
            "{} as {}, {}",
            project.name,
            project.kind,
            cost(proof)
        )),
    ]);
    let varied: Vec<_> = proof.varied.iter().map(|varied| varied.knob.name()).collect();
    out.paragraph(&plain("varied:"), &varied.join(", "));
    let not: Vec<_> = proof.not_varied.iter().map(|not| not.what.as_str()).collect();
    out.paragraph(&plain("not varied:"), &not.join(", "));
    let assumed: Vec<_> = project
        .assumptions
        .iter()
        .map(|one| format!("{} {}", one.what, one.value))
        .collect();
    if !assumed.is_empty() {
        out.paragraph(&plain("assumed:"), &assumed.join("; "));
    }
    if !proof.complete {
        out.say("the search stopped at the first culprit; there may be more");
    }
    if !project.clock_held {
        out.say("the project does not build with a stopped clock, so build times may look random");
    }
}

/// The processes that wrote the differences, and the patches that were tried.
fn explanation(explained: &Explained, out: &mut Screen) {
    for attribution in explained.attributions.iter().take(PLACES) {
        out.paragraph(&plain("   by:"), &attribution.sentence());
        for parent in attribution.parents.iter().take(2) {
            out.line([plain("     started by "), Style::Dim.of(parent)]);
        }
    }
    for asker in &explained.askers {
        out.paragraph(&plain("   asked:"), &asker.sentence());
    }
    if let Some(doubt) = &explained.doubt {
        out.paragraph(&plain("   not certain:"), doubt);
    }
    let Some(fix) = &explained.fix else {
        if !explained.tried.is_empty() {
            let text = match explained.tried.len() {
                1 => "the one patch that was tried did not help".to_owned(),
                count => format!("none of the {count} patches that were tried helped"),
            };
            out.say(format_args!("   {text}"));
        }
        return;
    };
    let style = if fix.whole { Style::Good } else { Style::Yellow };
    out.line([plain("   "), style.of(&fix.result)]);
    for line in fix.patch.lines() {
        let style = match line.chars().next() {
            Some('+') => Style::Green,
            Some('-') => Style::Red,
            _ => Style::Dim,
        };
        out.excerpt("     ", &style.of(line));
    }
}

fn differences(places: &BTreeSet<String>, files: &[Comparison], out: &mut Screen) {
    for place in places.iter().take(PLACES) {
        out.line([plain("   in "), plain(place)]);
    }
    let more = places.len().saturating_sub(PLACES);
    if more > 0 {
        out.say(format_args!("   and {more} more places"));
    }
    for cause in causes(files) {
        out.line([
            plain("   because: "),
            Style::Yellow.of(cause.cause.title()),
            plain(format_args!(" ({})", cause.confidence.word())),
        ]);
        values_and_fix(cause, "     ", out);
    }
}
