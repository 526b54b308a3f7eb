//! Controls of frameworks, and where in the bundle each finds its evidence, or that it finds none.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::agreement::{Agreement, Conclusion};
use crate::attest::predicate::OwnPredicate;
use crate::evidence::statement::Statement;
use crate::evidence::{Question, Standing};
use crate::plan::Plan;
use crate::policy::PolicyFile;
use crate::run::Record;
use crate::text::{code_cell, prose_cell};

/// The table that the binary carries.
const TABLE: &str = include_str!("controls.toml");

#[derive(Deserialize)]
struct Table {
    frameworks: Vec<Framework>,
}

#[derive(Deserialize)]
struct Framework {
    name: String,
    source: String,
    controls: Vec<Control>,
}

#[derive(Deserialize)]
struct Control {
    id: String,
    title: String,
    evidence: Vec<String>,
    #[serde(default)]
    missing: String,
}

/// One control, and its evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mapped {
    /// Framework.
    pub framework: String,
    /// Where that is published.
    pub source: String,
    /// Control.
    pub control: String,
    /// Its title.
    pub title: String,
    /// `evidence` or `no evidence`.
    pub status: &'static str,
    /// Files of the bundle, and what they show.
    pub evidence: Vec<Pointer>,
    /// What would have to be there, where there is none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub missing: String,
}

/// A place in the bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Pointer {
    /// File.
    pub file: String,
    /// What it shows.
    pub shows: String,
}

/// What a bundle holds.
pub(super) struct Facts<'a> {
    pub files: BTreeSet<String>,
    pub plan: &'a Plan,
    pub record: &'a Record,
    /// What this rebuild attests.
    pub statement: Option<&'a Statement>,
    pub agreements: &'a [Agreement],
    pub policy: Option<&'a PolicyFile>,
}

/// Every control with its evidence.
pub(super) fn map(facts: &Facts) -> Vec<Mapped> {
    let table: Table = toml::from_str(TABLE).unwrap_or(Table {
        frameworks: Vec::new(),
    });
    let frameworks = table.frameworks.into_iter();
    let controls = frameworks.flat_map(|framework| {
        let (name, source) = (framework.name, framework.source);
        framework
            .controls
            .into_iter()
            .map(move |control| (name.clone(), source.clone(), control))
    });
    controls
        .map(|(framework, source, control)| {
            let evidence: Vec<_> = control
                .evidence
                .iter()
                .flat_map(|kind| find(kind, facts))
                .collect();
            let none = evidence.is_empty();
            let missing = match (none, control.missing.is_empty()) {
                (true, true) => format!("nothing of: {}", control.evidence.join(", ")),
                (true, false) => control.missing,
                (false, _) => String::new(),
            };
            Mapped {
                framework,
                source,
                control: control.id,
                title: control.title,
                status: if none { "no evidence" } else { "evidence" },
                evidence,
                missing,
            }
        })
        .collect()
}

/// Where evidence of one kind is; nothing where there is none.
fn find(kind: &str, facts: &Facts) -> Vec<Pointer> {
    let Facts { plan, record, .. } = facts;
    let at = |file: &str, shows: String| {
        if facts.files.contains(file) {
            vec![Pointer {
                file: file.to_owned(),
                shows,
            }]
        } else {
            Vec::new()
        }
    };
    let attestation = "attestations/rebuild.sigstore.json";
    let own = || OwnPredicate::read(facts.statement?).ok()?;
    let verified = |question| {
        let claims = plan.claims.iter().filter(move |claim| claim.question == question);
        claims
            .filter(|claim| claim.standing == Standing::Verified)
            .map(|claim| claim.claim.clone())
            .collect::<Vec<_>>()
    };
    let agreed = || {
        facts
            .agreements
            .iter()
            .filter(|it| it.verdict == Conclusion::Agreed)
            .count()
    };
    match kind {
        "verdict" => at("record.json", format!("the rebuild is {}", record.verdict)),
        "report" => at("report.html", "the same for people".into()),
        "comparison" => at(
            "record.json",
            format!("{} outputs compared byte by byte", record.outputs.len()),
        ),
        "plan" => at(
            "plan.json",
            format!("{} assumptions, each with its origin", plan.assumptions.len()),
        ),
        "pinned-inputs" => at(
            "plan.json",
            format!("{} inputs pinned by SHA-256", plan.materials().len()),
        ),
        "log" => at(
            "build.log",
            "what the build printed, credentials taken out".into(),
        ),
        "claims" => at(
            "claims.json",
            format!("{} claims about the release", plan.claims.len()),
        ),
        "isolation" => at(
            "record.json",
            format!(
                "built by the {} backend: no network, no host environment, no key in reach",
                record.backend
            ),
        ),
        "credentials" => at(
            "record.json",
            format!(
                "sources, log and outputs searched: {} credentials found",
                record.credentials.len()
            ),
        ),
        "sbom" => {
            let shows = "every input of the build with its digest".to_owned();
            [
                at("sbom/build.cdx.json", shows.clone()),
                at("sbom/build.spdx.json", shows),
            ]
            .concat()
        }
        "attestation" => at(attestation, "a signed statement of the verdict".into()),
        // The list itself is not in the list.
        "manifest" => vec![Pointer {
            file: "manifest.json".into(),
            shows: "digests of everything in this bundle".into(),
        }],
        "release-signature" => verified(Question::Signature)
            .into_iter()
            .flat_map(|claim| at("claims.json", claim))
            .collect(),
        "provenance-verified" => verified(Question::Provenance)
            .into_iter()
            .flat_map(|claim| at("claims.json", claim))
            .collect(),
        "provenance" => {
            let claims = plan
                .claims
                .iter()
                .filter(|claim| claim.question == Question::Provenance);
            let there = claims.filter(|claim| claim.standing != Standing::Missing);
            there
                .flat_map(|claim| {
                    at(
                        "claims.json",
                        format!("{} ({})", claim.claim, claim.standing.word()),
                    )
                })
                .collect()
        }
        "policy" => at("policy/policy.toml", "what was asked of the evidence".into()),
        "agreement" if !facts.agreements.is_empty() => at(
            "agreement.json",
            format!(
                "{} of {} files agreed on by independent parties",
                agreed(),
                facts.agreements.len()
            ),
        ),
        "shared-boundaries" => {
            let shared = facts.policy.map_or(0, PolicyFile::shared);
            if shared > 0 {
                at(
                    "policy/policy.toml",
                    format!("{shared} keys count for several projects"),
                )
            } else {
                Vec::new()
            }
        }
        "key-lifecycle" => {
            let ends = facts.policy.map_or(0, PolicyFile::ending_keys);
            if ends > 0 {
                at(
                    "policy/policy.toml",
                    format!("{ends} keys have an end, or were revoked"),
                )
            } else {
                Vec::new()
            }
        }
        "independence" => {
            let asked = facts
                .agreements
                .iter()
                .any(|it| it.quorum.independent.len() > 2 && it.quorum.digest.is_some());
            if asked {
                at(
                    "agreement.json",
                    "the quorum asks for more than different keys".into(),
                )
            } else {
                Vec::new()
            }
        }
        "signing-log" => {
            let place = own().and_then(|own| own.signing_log());
            place.map_or_else(Vec::new, |place| {
                let line = place.sequence.saturating_add(1);
                at(attestation, format!("line {line} of the signer's log"))
            })
        }
        "signer-isolation" => {
            let workers = own().and_then(|own| own.agreeing_workers()).unwrap_or(0);
            if workers > 0 {
                at(
                    attestation,
                    format!("signed by a separate process, {workers} workers agreeing"),
                )
            } else {
                Vec::new()
            }
        }
        _ => Vec::new(),
    }
}

/// The map as a page.
pub(super) fn markdown(map: &[Mapped]) -> String {
    let mut text = String::from(
        "# Controls\n\nWhere each control finds evidence in this bundle. A pointer shows where to look; whether that is enough is for the\nauditor to say.\n",
    );
    let mut framework = "";
    for control in map {
        if control.framework != framework {
            framework = &control.framework;
            let _ = write!(
                text,
                "\n## {framework}\n\nSource: {}\n\n| control | title | evidence |\n|---|---|---|\n",
                control.source
            );
        }
        let evidence: Vec<_> = control
            .evidence
            .iter()
            .map(|it| format!("{}: {}", code_cell(&it.file), prose_cell(&it.shows)))
            .collect();
        let evidence = if evidence.is_empty() {
            format!("**no evidence**; missing: {}", control.missing)
        } else {
            evidence.join("<br>")
        };
        let _ = writeln!(text, "| {} | {} | {evidence} |", control.control, control.title);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_names_only_kinds_that_are_known() {
        let table: Table = toml::from_str(TABLE).unwrap();
        let source = include_str!("controls.rs");
        let frameworks: Vec<_> = table
            .frameworks
            .iter()
            .map(|framework| framework.name.as_str())
            .collect();
        assert_eq!(frameworks.len(), 5, "{frameworks:?}");
        for control in table.frameworks.iter().flat_map(|framework| &framework.controls) {
            for kind in &control.evidence {
                assert!(source.contains(&format!("\"{kind}\" ")), "{}: {kind}", control.id);
            }
            assert!(
                !control.evidence.is_empty() || !control.missing.is_empty(),
                "{}",
                control.id
            );
        }
    }
}
