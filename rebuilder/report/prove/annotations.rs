//! A proof as lines for continuous integration: one for each culprit, in the form that GitHub shows beside the code, or as
//! plain text.

use super::{Origin, causes, headline, odds, origins, title};
use crate::prove::attribute::Line;
use crate::prove::{Proof, ProvenFix};
use crate::text::{Screen, visible};

/// The lines. If `workflow` is set, they are commands for GitHub's runner.
pub fn annotations(proof: &Proof, workflow: bool) -> Screen {
    let mut out = Screen::new(false);
    let mut error = |what: &str, text: &str, line: Option<&Line>| {
        if workflow {
            let place = line.map_or_else(String::new, |line| {
                format!("file={},line={},", property(&line.file), line.line)
            });
            out.say(format_args!(
                "::error {place}title=prove: {}::{}",
                property(what),
                message(text)
            ));
        } else {
            let place = line.map_or_else(String::new, |line| format!("{line}: "));
            out.say(format_args!("error: {place}{what}: {text}"));
        }
    };
    for culprit in &proof.culprits {
        let place = culprit.places.first().map_or("the outputs", String::as_str);
        let why: Vec<_> = causes(&culprit.files).map(|cause| cause.cause.title()).collect();
        let explained = proof.explained(&culprit.knobs);
        let by = origins(explained);
        let remedy = explained.and_then(|explained| explained.fix.as_ref());
        error(
            &title(culprit),
            &format!(
                "it changes {place} ({}){}",
                why.join(", "),
                hint(by.first(), remedy)
            ),
            by.first().map(|by| by.line),
        );
    }
    if let Some(random) = &proof.random {
        let by = origins(proof.explained(&[]));
        error("random", &odds(random), by.first().map(|by| by.line));
    }
    for against in proof.against.iter().filter(|against| !against.is_same()) {
        error(
            "against",
            &format!("the build does not produce {}", against.file),
            None,
        );
    }
    out.say(headline(proof));
    out
}

/// Who wrote it, and whether a patch is known.
fn hint(by: Option<&Origin<'_>>, fix: Option<&ProvenFix>) -> String {
    let by = by.map_or_else(String::new, |by| format!("; {}", by.sentence));
    let fix = fix.filter(|fix| fix.whole && !fix.does.is_empty());
    let fix = fix.map_or_else(String::new, |fix| {
        format!("; a patch makes the outputs the same: {}", fix.does.join(", "))
    });
    by + &fix
}

/// Escapes text, so that it cannot end a command of the runner or begin another one.
fn message(text: &str) -> String {
    visible(text).replace('%', "%25")
}

fn property(text: &str) -> String {
    message(text).replace(':', "%3A").replace(',', "%2C")
}
