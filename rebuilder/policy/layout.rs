//! In-toto layouts as a rule: the links among the evidence must be those of its steps.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{Check, Policy};
use crate::evidence::Standing;
use crate::evidence::assess::{Artifact, Assessment};
use crate::evidence::document::Document;
use crate::evidence::layout::Layout;
use crate::evidence::link::Link;
use crate::evidence::trust::TrustedKey;

/// The layout that a rule names.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LayoutRule {
    /// Where it is, beside the policy.
    file: PathBuf,
    /// Keys that must all have signed it.
    keys: Vec<String>,
    /// What to do with the commands that it contains.
    #[serde(default)]
    inspections: Inspections,
    #[serde(skip)]
    layout: Option<(Layout, Vec<TrustedKey>)>,
}

/// What to do with a layout's inspections, which are commands and never run here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Inspections {
    /// They break the rule.
    #[default]
    Refuse,
    /// They are left out.
    Skip,
}

impl LayoutRule {
    /// Reads the file that it names; an error in one sentence. Gives its path beside the policy, and its bytes.
    pub(super) fn read(&mut self, folder: &Path, keys: &[TrustedKey]) -> Result<(PathBuf, Vec<u8>), String> {
        let unusable = |reason: String| format!("cannot use the layout {}: {reason}", self.file.display());
        let owners = self.keys.iter().map(|name| {
            let found = keys.iter().find(|key| key.name == *name).cloned();
            found.ok_or_else(|| unusable(format!("its key {name:?} is not in the file")))
        });
        let owners = owners.collect::<Result<Vec<_>, _>>()?;
        if owners.is_empty() {
            return Err(unusable("it names no keys that must have signed it".into()));
        }
        let bytes = crate::bounded::read(&folder.join(&self.file), crate::bounded::DOCUMENT);
        let bytes = bytes.map_err(|error| unusable(error.to_string()))?;
        let layout = Layout::parse(&bytes).map_err(|error| unusable(error.to_string()))?;
        self.layout = Some((layout, owners));
        Ok((self.file.clone(), bytes))
    }
}

impl Policy {
    fn layout_of(&self, names: &[String]) -> Option<(&LayoutRule, &(Layout, Vec<TrustedKey>))> {
        let own = self.file()?.rule(names)?.layout.as_ref()?;
        Some((own, own.layout.as_ref()?))
    }

    /// Leaves the links of the layout's steps to the layout: a link does not speak against the artifact because its key is
    /// the layout's and not a trusted one, or because it is about the files of an earlier step.
    pub fn leave_to_layout(&self, names: &[String], documents: &[&Document], assessments: &mut [Assessment]) {
        let Some((_, (layout, _))) = self.layout_of(names) else {
            return;
        };
        for (position, step) in layout.documents_of(documents) {
            let Some(document) = documents.get(position) else {
                continue;
            };
            let sentence = step.map_or_else(|| "an in-toto layout".to_owned(), |step| Link::sentence(&step));
            for it in assessments.iter_mut().filter(|it| it.origin == document.origin) {
                let own = it.claim.document == Some(document.digest) && it.claim.claim == sentence;
                if own && it.claim.standing.is_against() {
                    it.claim.standing = Standing::Unverifiable;
                    "a key of the layout's step signed it, and the rules of the layout judge it"
                        .clone_into(&mut it.claim.meaning);
                }
            }
        }
    }

    /// The requirements of the rule's layout on the documents, if the rule for these names has one.
    pub fn layout_checks(
        &self,
        names: &[String],
        documents: &[&Document],
        artifacts: &[Artifact],
    ) -> Vec<Check> {
        let Some((own, (layout, owners))) = self.layout_of(names) else {
            return Vec::new();
        };
        let digests: Vec<_> = artifacts
            .iter()
            .map(|artifact| artifact.digests.clone())
            .collect();
        let skip = own.inspections == Inspections::Skip;
        let found = layout.check(owners, documents, &digests, skip);
        let mut checks: Vec<_> = found
            .into_iter()
            .map(|it| Check {
                rule: it.what,
                kept: it.kept,
                finding: it.finding,
            })
            .collect();
        checks.extend(layout.inspections().iter().map(|name| {
            let skipped = own.inspections == Inspections::Skip;
            Check {
                rule: format!("layout: inspection {name:?}"),
                kept: skipped,
                finding: if skipped {
                    "it was not run, as the policy says".into()
                } else {
                    "it is a command, and none is run here; inspections = \"skip\" in the rule's layout leaves it out".into()
                },
            }
        }));
        checks
    }
}
