//! Controls of frameworks, and where the bundle has evidence for each, or that it has none.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::evidence_kind::EvidenceKind;
use crate::agreement::Agreement;
use crate::evidence::statement::Statement;
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
    evidence: Vec<EvidenceKind>,
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
    /// What the bundle would need, if it has no evidence.
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
                .flat_map(|kind| kind.pointers(facts))
                .collect();
            let none = evidence.is_empty();
            let missing = match (none, control.missing.is_empty()) {
                (true, true) => {
                    let kinds: Vec<_> = control.evidence.iter().map(|kind| kind.word()).collect();
                    format!("none of: {}", kinds.join(", "))
                }
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

/// The map as a page.
pub(super) fn markdown(map: &[Mapped]) -> String {
    let mut text = String::from(
        "# Controls\n\nWhere each control finds evidence in this bundle. A pointer shows where to look; \
        whether that is enough is for the\nauditor to decide.\n",
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
        let frameworks: Vec<_> = table
            .frameworks
            .iter()
            .map(|framework| framework.name.as_str())
            .collect();
        assert_eq!(frameworks.len(), 5, "{frameworks:?}");
        for control in table.frameworks.iter().flat_map(|framework| &framework.controls) {
            assert!(
                !control.evidence.is_empty() || !control.missing.is_empty(),
                "{}",
                control.id
            );
        }
    }
}
