//! What an inspection found, for people: lines for a terminal, and a page of HTML, from the same value.

use std::fmt::Write as _;

use askama::Template;

use super::{ReportError, plain};
use crate::evidence::Standing;
use crate::evidence::custody::Custody;
use crate::evidence::git_signature::ObjectSignature;
use crate::evidence::inspection::{Finding, Inspection};
use crate::evidence::statement::Descriptor;
use crate::policy::Judgement;

#[derive(Template)]
#[template(path = "inspection.html")]
struct Page<'a> {
    judgement: &'a Judgement,
    findings: Vec<(&'static str, &'a Finding)>,
    chain: Vec<(&'static str, String)>,
}

/// The findings as one self-contained HTML page.
pub fn html(judgement: &Judgement) -> Result<String, ReportError> {
    let inspection = &judgement.inspection;
    let page = Page {
        judgement,
        findings: shown(
            [
                "Who released it (signature)",
                "Where it came from (provenance)",
                "What else is stated",
            ],
            inspection,
        ),
        chain: inspection.custody.as_ref().map(chain).unwrap_or_default(),
    };
    Ok(page.render()?)
}

/// The two findings, and the rest where there is any.
fn shown<'a>(titles: [&'static str; 3], inspection: &'a Inspection) -> Vec<(&'static str, &'a Finding)> {
    let findings = [&inspection.signature, &inspection.provenance, &inspection.other];
    let mut shown: Vec<_> = titles.into_iter().zip(findings).collect();
    if inspection.other.claims.is_empty() {
        shown.pop();
    }
    shown
}

/// The links of the chain that are known, in order.
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
        .filter_map(|(name, value)| Some((name, plain(&value?))))
        .collect()
}

/// How many inputs the builder named, and the first of them.
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
pub fn terminal(judgement: &Judgement, colour: bool) -> String {
    let paint = super::painter(colour);
    let inspection = &judgement.inspection;
    let mut out = String::new();
    for artifact in &inspection.artifacts {
        let purl = artifact
            .purl
            .as_deref()
            .map_or_else(String::new, |purl| format!("  {purl}"));
        let _ = writeln!(out, "{}{purl}  sha256:{}", plain(&artifact.name), artifact.sha256);
    }
    for (title, finding) in shown(["signature", "provenance", "other"], inspection) {
        let code = match finding.standing {
            Standing::Verified => "1;32",
            standing if standing.is_against() => "1;31",
            _ => "1;33",
        };
        let _ = writeln!(out, "\n{:<11}{}", title, paint(code, finding.standing.word()));
        for it in &finding.claims {
            let claim = &it.claim;
            let _ = writeln!(out, "  {:<10} {}", claim.standing.word(), plain(&claim.claim));
            if let Some(by) = &claim.by {
                let _ = writeln!(out, "             by {}", plain(by));
            }
            if let Some(when) = it.signed_at {
                let _ = writeln!(out, "             signed {when}");
            }
            let _ = writeln!(out, "             {}", paint("2", &plain(&claim.meaning)));
        }
    }
    if let Some(custody) = &inspection.custody {
        let _ = writeln!(out, "\nchain of custody");
        for (name, value) in chain(custody) {
            let _ = writeln!(out, "  {name:<17} {value}");
        }
    }
    let mut section = |title: &str, lines: Vec<String>| {
        if !lines.is_empty() {
            let _ = writeln!(out, "\n{title}");
            for line in lines {
                let _ = writeln!(out, "  {}", plain(&line));
            }
        }
    };
    section(
        "inputs that can change under their name",
        inspection
            .mutable
            .iter()
            .map(|input| match &input.pinned {
                Some(pin) => format!("{} (pinned all the same: {pin})", input.what),
                None => input.what.clone(),
            })
            .collect(),
    );
    section(
        "one party in several roles",
        inspection
            .shared
            .iter()
            .map(|shared| format!("{} {}: {}", shared.party, shared.roles.join(", "), shared.meaning))
            .collect(),
    );
    section("no evidence of", inspection.missing.clone());
    let decision = &judgement.policy;
    let line = match decision.refusal() {
        Some(check) => paint(
            "1;31",
            &format!("refused: {}: {}", check.rule, plain(&check.finding)),
        ),
        None if decision.policy == "none" => "not asked".to_owned(),
        None => paint("32", "satisfied"),
    };
    let _ = writeln!(out, "\npolicy {}  {line}", decision.policy);
    out
}
