//! The findings of an inspection: lines for a terminal and a page of HTML.

use askama::Template;

use super::ReportError;
use crate::evidence::Standing;
use crate::evidence::custody::Custody;
use crate::evidence::git_signature::ObjectSignature;
use crate::evidence::inspection::{Finding, Inspection};
use crate::evidence::statement::Descriptor;
use crate::inspect::GateReport;
use crate::text::{Screen, Style, plain};

#[derive(Template)]
#[template(path = "inspection.html")]
struct Page<'a> {
    judgement: &'a GateReport,
    findings: Vec<(&'static str, &'a Finding)>,
    chain: Vec<(&'static str, String)>,
}

/// The findings as one self-contained HTML page.
pub fn html(judgement: &GateReport) -> Result<String, ReportError> {
    let inspection = &judgement.inspection;
    let page = Page {
        judgement,
        findings: shown(
            [
                "Who released it (signature)",
                "Where it came from (provenance)",
                "Other statements",
            ],
            inspection,
        ),
        chain: inspection.custody.as_ref().map(chain).unwrap_or_default(),
    };
    Ok(page.render()?)
}

/// The two findings, and any other claims.
fn shown<'a>(titles: [&'static str; 3], inspection: &'a Inspection) -> Vec<(&'static str, &'a Finding)> {
    let findings = [&inspection.signature, &inspection.provenance, &inspection.other];
    let mut shown: Vec<_> = titles.into_iter().zip(findings).collect();
    if inspection.other.claims.is_empty() {
        shown.pop();
    }
    shown
}

/// The known links of the chain, in order.
fn chain(custody: &Custody) -> Vec<(&'static str, String)> {
    let signature = |signature: &Option<ObjectSignature>| {
        let signature = signature.as_ref()?;
        let by = signature
            .by
            .as_deref()
            .map_or_else(String::new, |by| format!(" by {by}"));
        Some(format!("{}{by}: {}", signature.standing.word(), signature.note))
    };
    let list = |items: &[String]| (!items.is_empty()).then(|| items.join(", "));
    let links = [
        ("repository", custody.repository.clone()),
        ("commit", custody.commit.clone()),
        ("ref", custody.reference.clone()),
        ("commit signature", signature(&custody.commit_signature)),
        ("tag signature", signature(&custody.tag_signature)),
        ("reviews", list(&custody.reviews)),
        ("builder", custody.builder.clone()),
        ("build type", custody.build_type.clone()),
        ("workflow", custody.workflow.clone()),
        ("trigger", custody.trigger.clone()),
        ("run", custody.invocation.clone()),
        ("toolchain", list(&custody.toolchain)),
        ("inputs named", Some(dependencies(custody))),
    ];
    links
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
}

/// The number of inputs that the builder named, and the first of them.
fn dependencies(custody: &Custody) -> String {
    let all = &custody.dependencies;
    let first: Vec<_> = all.iter().take(5).map(Descriptor::label).collect();
    match all.len() {
        0 => "none".to_owned(),
        count if count > first.len() => format!("{count}: {} and more", first.join(", ")),
        count => format!("{count}: {}", first.join(", ")),
    }
}

/// The findings as lines for a terminal; `colour` adds ANSI codes.
pub fn terminal(judgement: &GateReport, colour: bool) -> Screen {
    let inspection = &judgement.inspection;
    let mut out = Screen::new(colour);
    for artifact in &inspection.artifacts {
        let purl = artifact
            .purl
            .as_deref()
            .map_or_else(String::new, |purl| format!("  {purl}"));
        out.say(format_args!(
            "{}{purl}  sha256:{}",
            artifact.name, artifact.sha256
        ));
    }
    for other in &inspection.names {
        out.line([Style::Bad.of(format_args!("another name: {other}"))]);
    }
    for (title, finding) in shown(["signature", "provenance", "other"], inspection) {
        one_finding(title, finding, &mut out);
    }
    if let Some(custody) = &inspection.custody {
        out.gap();
        out.say("chain of custody");
        for (name, value) in chain(custody) {
            out.say(format_args!("  {name:<17} {value}"));
        }
    }
    sections(inspection, &mut out);
    let decision = &judgement.policy;
    let answer = match decision.refusal() {
        Some(check) => Style::Bad.of(format_args!("refused: {}: {}", check.rule, check.finding)),
        None if decision.policy == "none" => plain("not asked"),
        None => Style::Green.of("satisfied"),
    };
    out.gap();
    out.line([plain(format_args!("policy {}  ", decision.policy)), answer]);
    out
}

fn one_finding(title: &str, finding: &Finding, out: &mut Screen) {
    let style = match finding.standing {
        Standing::Verified => Style::Good,
        standing if standing.is_against() => Style::Bad,
        _ => Style::Open,
    };
    out.gap();
    out.line([
        plain(format_args!("{title:<11}")),
        style.of(finding.standing.word()),
    ]);
    for stated in &finding.claims {
        let claim = &stated.claim;
        out.say(format_args!("  {:<10} {}", claim.standing.word(), claim.claim));
        if let Some(by) = &claim.by {
            out.say(format_args!("             by {by}"));
        }
        if let Some(when) = stated.signed_at() {
            out.say(format_args!("             signed {when}"));
        }
        if !stated.subjects.is_empty() {
            out.say(format_args!("             about {}", stated.subjects.join(", ")));
        }
        out.line([plain("             "), Style::Dim.of(&claim.meaning)]);
    }
}

/// Additional notes for the reader.
fn sections(inspection: &Inspection, out: &mut Screen) {
    let mut section = |title: &str, lines: Vec<String>| {
        if !lines.is_empty() {
            out.gap();
            out.say(title);
            for line in lines {
                out.say(format_args!("  {line}"));
            }
        }
    };
    section(
        "mutable inputs",
        inspection
            .mutable
            .iter()
            .map(|input| match &input.pinned {
                Some(pin) => format!("{} (pinned here to {pin})", input.what),
                None => input.what.clone(),
            })
            .collect(),
    );
    section(
        "parties that hold more than one role",
        inspection
            .shared
            .iter()
            .map(|shared| format!("{} {}: {}", shared.party, shared.roles.join(", "), shared.meaning))
            .collect(),
    );
    section("no evidence of", inspection.missing.clone());
}
