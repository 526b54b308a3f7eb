//! A proof as an HTML page without scripts.

use askama::Template;

use super::{cost, headline, odds, title, values};
use crate::compare::{Comparison, RootCause};
use crate::prove::attribute::{Asker, Attribution};
use crate::prove::{Explained, Proof, ProvenFix};
use crate::report::{ReportError, comparison};

#[derive(Template)]
#[template(path = "prove.html")]
struct Page<'a> {
    proof: &'a Proof,
    headline: String,
    cost: String,
    sections: Vec<Section<'a>>,
}

/// A culprit, or plain randomness.
struct Section<'a> {
    title: String,
    values: Vec<String>,
    fails: Option<&'a str>,
    places: Vec<&'a str>,
    causes: Vec<&'a RootCause>,
    attributions: &'a [Attribution],
    askers: &'a [Asker],
    doubt: Option<&'a str>,
    fix: Option<&'a ProvenFix>,
    patch: Vec<(&'static str, &'a str)>,
    tried: Vec<(String, &'a str)>,
    /// Each differing output with the page of its comparison.
    comparisons: Vec<(&'a str, String)>,
}

/// The proof as one self-contained page.
pub fn html(proof: &Proof) -> Result<String, ReportError> {
    let mut sections = Vec::new();
    for culprit in &proof.culprits {
        let explained = proof.explained(&culprit.knobs);
        let mut section = section(title(culprit), &culprit.files, explained)?;
        section.values = values(culprit).collect();
        section.fails = culprit.fails.as_deref();
        section.places = culprit.places.iter().map(String::as_str).collect();
        sections.push(section);
    }
    if let Some(random) = &proof.random {
        let mut section = section("random".to_owned(), &random.files, proof.explained(&[]))?;
        section.values = vec![odds(random)];
        section.places = random.places.iter().map(String::as_str).collect();
        sections.push(section);
    }
    let page = Page {
        proof,
        headline: headline(proof),
        cost: cost(proof),
        sections,
    };
    Ok(page.render()?)
}

fn section<'a>(
    title: String,
    files: &'a [Comparison],
    explained: Option<&'a Explained>,
) -> Result<Section<'a>, ReportError> {
    let fix = explained.and_then(|explained| explained.fix.as_ref());
    let lines = fix.into_iter().flat_map(|fix| fix.patch.lines());
    let comparisons = files
        .iter()
        .map(|file| Ok((file.released.name.as_str(), comparison::part(file).render()?)))
        .collect::<Result<_, askama::Error>>()?;
    Ok(Section {
        title,
        values: Vec::new(),
        fails: None,
        places: Vec::new(),
        causes: super::causes(files).collect(),
        attributions: explained.map_or(&[], |explained| &explained.attributions),
        askers: explained.map_or(&[], |explained| &explained.askers),
        doubt: explained.and_then(|explained| explained.doubt.as_deref()),
        fix,
        patch: lines.map(|line| (class(line), line)).collect(),
        tried: explained.map_or_else(Vec::new, tried),
        comparisons,
    })
}

fn tried(explained: &Explained) -> Vec<(String, &str)> {
    let all = explained.tried.iter();
    all.map(|attempt| (attempt.remedies.join(", "), attempt.result.as_str()))
        .collect()
}

/// The style of a line of a patch.
fn class(line: &str) -> &'static str {
    match line.chars().next() {
        Some('+') => "new",
        Some('-') => "old",
        _ => "context",
    }
}
