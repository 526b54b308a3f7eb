//! A proof as JUnit XML, for tools that read test results: one test for each thing that was varied.

use std::fmt::Write as _;

use askama::filters::Escaper as _;

use super::{odds, title};
use crate::prove::{Proof, ProvenCulprit};
use crate::text::visible_lines;

/// The proof as JUnit XML.
pub fn junit(proof: &Proof) -> String {
    let mut cases = String::new();
    let mut failures = 0_usize;
    let mut case = |name: &str, failed: Option<(&str, String)>| {
        let _ = write!(
            cases,
            "  <testcase classname=\"prove\" name=\"{}\"",
            escaped(name)
        );
        match failed {
            None => cases.push_str("/>\n"),
            Some((message, text)) => {
                failures = failures.saturating_add(1);
                let _ = writeln!(
                    cases,
                    ">\n    <failure message=\"{}\">{}</failure>\n  </testcase>",
                    escaped(message),
                    escaped(&text)
                );
            }
        }
    };
    for varied in &proof.varied {
        let knob = varied.knob;
        let culprit = proof
            .culprits
            .iter()
            .find(|culprit| culprit.knobs.contains(&knob));
        case(
            knob.name(),
            culprit.map(|culprit| ("the outputs depend on it", about(culprit))),
        );
    }
    let random = proof.random.as_ref();
    let places = |random: &crate::prove::Randomness| random.places.iter().cloned().collect::<Vec<_>>();
    case(
        "randomness",
        random.map(|random| {
            (
                "builds differ by chance",
                format!("{}\n{}", odds(random), places(random).join("\n")),
            )
        }),
    );
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"rebuilder prove {}\" tests=\"{}\" \
         failures=\"{failures}\" time=\"{:.3}\">\n{cases}</testsuite>\n",
        escaped(&proof.project.name),
        proof.varied.len().saturating_add(1),
        proof.cost.seconds
    )
}

fn about(culprit: &ProvenCulprit) -> String {
    let mut lines = vec![title(culprit)];
    lines.extend(
        culprit
            .fails
            .iter()
            .map(|reason| format!("the build fails: {reason}")),
    );
    lines.extend(culprit.places.iter().cloned());
    lines.join("\n")
}

/// Escapes the characters of markup, which are the same in XML 1.0 and HTML.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    // Writing into a text cannot fail.
    let _ = askama::filters::Html.write_escaped_str(&mut out, &visible_lines(text));
    out
}
