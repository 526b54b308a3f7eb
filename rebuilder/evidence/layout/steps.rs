//! The links of a layout's steps, and layouts in place of links (in-toto specification 1.0, 4.3.1 and 5.2.1).
//!
//! Whoever may do a step may delegate it with a layout of their own. That layout is checked like the outer one, and
//! stands for a link with the materials of its first step and the products of its last.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;

use super::keys::{SignedBy, StepKey, signers};
use super::rules::{self, Of};
use super::{Layout, LayoutFinding, Step, link_of};
use crate::evidence::document::{Document, Kind};
use crate::evidence::link::Link;
use crate::evidence::signed_content::SignedContent;
use crate::text::plural;

/// Maximum depth of nested layouts.
const DEEPEST: usize = 4;

/// The evidence that a layout is checked against.
pub(super) struct Evidence {
    links: Vec<Link>,
    /// The layouts, each with the name of its file.
    layouts: Vec<(String, Layout)>,
    skip_inspections: bool,
}

/// The result of checking a layout's steps.
pub(super) struct Chain {
    pub findings: Vec<LayoutFinding>,
    /// The link of each step that has a good one.
    pub links: BTreeMap<String, Link>,
}

impl Evidence {
    pub fn of(documents: &[&Document], skip_inspections: bool) -> Self {
        let name = |document: &Document| {
            let name = Path::new(&document.origin).file_name();
            name.unwrap_or_default().to_string_lossy().into_owned()
        };
        Self {
            links: documents.iter().filter_map(|it| link_of(it)).collect(),
            layouts: documents
                .iter()
                .filter_map(|it| Some((name(it), layout_of(it)?)))
                .collect(),
            skip_inspections,
        }
    }
}

/// The layout in a document.
fn layout_of(document: &Document) -> Option<Layout> {
    match &document.kind {
        Kind::Layout(layout) => Some((**layout).clone()),
        Kind::Envelope(envelope) | Kind::KeyBundle { envelope, .. } => match SignedContent::of(envelope) {
            Ok(SignedContent::Layout) => Layout::of_envelope(envelope).ok(),
            _ => None,
        },
        _ => None,
    }
}

impl Layout {
    /// Checks the evidence against the steps and their rules; `around` are the layouts that this one is inside.
    pub(super) fn chain(&self, what: &str, evidence: &Evidence, around: &[&Layout]) -> Chain {
        let (mut findings, mut links) = (Vec::new(), BTreeMap::new());
        for step in &self.steps {
            let (kept, finding) = match self.link_of_step(step, evidence, around, &mut findings) {
                Ok((link, finding)) => {
                    links.insert(step.name.clone(), link);
                    (true, finding)
                }
                Err(reason) => (false, reason),
            };
            findings.push(LayoutFinding {
                what: format!("{what}: step {:?}", step.name),
                kept,
                finding,
            });
        }
        for step in &self.steps {
            let Some(link) = links.get(&step.name) else {
                continue;
            };
            let materials = rules::apply(&step.materials, Of::Materials, link, &links);
            let products = rules::apply(&step.products, Of::Products, link, &links);
            for (files, result) in [("materials", materials), ("products", products)] {
                findings.push(LayoutFinding {
                    what: format!("{what}: {files} of {:?}", step.name),
                    kept: result.is_ok(),
                    finding: result.err().unwrap_or_else(|| "its rules are kept".into()),
                });
            }
        }
        Chain { findings, links }
    }

    /// A link of a step, if as many different keys as the step demands signed links with the same files.
    fn link_of_step(
        &self,
        step: &Step,
        evidence: &Evidence,
        around: &[&Layout],
        findings: &mut Vec<LayoutFinding>,
    ) -> Result<(Link, String), String> {
        let own = evidence.links.iter().filter(|link| link.name == step.name);
        let mut there = 0_usize;
        let mut good: Vec<(Link, Vec<usize>)> = Vec::new();
        let mut reasons: Vec<String> = Vec::new();
        for link in own {
            there = there.saturating_add(1);
            let (signers, not) = signers(SignedBy::of_link(link), &step.keys);
            if signers.is_empty() {
                reasons.extend(not);
            } else {
                good.push((link.clone(), signers));
            }
        }
        for (inside, signers) in self.layouts_of(step, evidence, around) {
            there = there.saturating_add(1);
            good.push((self.inside(inside, step, evidence, around, findings)?, signers));
        }
        let mut signers: Vec<usize> = good.iter().flat_map(|(_, signers)| signers.clone()).collect();
        signers.sort_unstable();
        signers.dedup();
        let needed = format!(
            "{} of {} keys that it needs signed a link ({} of this name given){}",
            signers.len(),
            step.threshold,
            plural(there, "link"),
            reasons
                .iter()
                .fold(String::new(), |all, reason| all + "; " + reason)
        );
        let mut good = good.into_iter().map(|(link, _)| link);
        let first = good.next().ok_or_else(|| needed.clone())?;
        if good.any(|link| (&first.materials, &first.products) != (&link.materials, &link.products)) {
            return Err("its links, by keys that may do it, name different files".into());
        }
        if signers.len() < step.threshold {
            return Err(needed);
        }
        let finding = format!(
            "{} of {} signed it",
            plural(signers.len(), "key"),
            step.keys.len()
        );
        Ok((first, finding))
    }

    /// Layouts in place of a step's links: a key of the step signed them, and neither that key nor the name of the
    /// file (`STEP.KEY.link`) points to another step.
    fn layouts_of<'e>(
        &self,
        step: &Step,
        evidence: &'e Evidence,
        around: &[&Layout],
    ) -> Vec<(&'e Layout, Vec<usize>)> {
        let is_whole = |other: &Layout| {
            let mut known = std::iter::once(self).chain(around.iter().copied());
            known.any(|own| own.message == other.message)
        };
        let mut found = Vec::new();
        for (name, layout) in evidence.layouts.iter().filter(|(_, layout)| !is_whole(layout)) {
            let Some(signers) = signed_by(layout.signed(), &step.keys) else {
                continue;
            };
            let named = |step: &Step| name.starts_with(&format!("{}.", step.name));
            let may = |other: &&Step| signed_by(layout.signed(), &other.keys).is_some();
            let all: Vec<&Step> = self.steps.iter().filter(may).collect();
            if named(step) || !all.iter().any(|step| named(step)) {
                found.push((layout, signers));
            }
        }
        found
    }

    /// The link that a layout stands for, if the evidence meets the layout.
    fn inside(
        &self,
        layout: &Layout,
        step: &Step,
        evidence: &Evidence,
        around: &[&Layout],
        findings: &mut Vec<LayoutFinding>,
    ) -> Result<Link, String> {
        if around.len() >= DEEPEST {
            return Err(format!("more than {DEEPEST} layouts are inside each other"));
        }
        let what = format!("layout of {:?}", step.name);
        let around: Vec<&Layout> = around.iter().copied().chain([self]).collect();
        let chain = layout.chain(&what, evidence, &around);
        let mut own = vec![layout.in_time(&what, Timestamp::now())];
        own.extend(chain.findings);
        own.extend(layout.inspections.iter().map(|name| LayoutFinding {
            what: format!("{what}: inspection {name:?}"),
            kept: evidence.skip_inspections,
            finding: "it is a command, and none is run here".into(),
        }));
        let kept = own.iter().all(|finding| finding.kept);
        findings.extend(own);
        let link = |step: Option<&Step>| step.and_then(|step| chain.links.get(&step.name));
        match (link(layout.steps.first()), link(layout.steps.last())) {
            (Some(first), Some(last)) if kept => Ok(Link {
                name: step.name.clone(),
                materials: first.materials.clone(),
                products: last.products.clone(),
                signatures: Vec::new(),
                openpgp: Vec::new(),
                signed: Vec::new(),
            }),
            _ => Err("the layout in the place of its link is not kept".into()),
        }
    }

    /// The documents that are links of the layout's steps, or layouts in place of links, signed by keys that may do
    /// the steps: the position of each, and the step if it is a link.
    pub fn documents_of(&self, documents: &[&Document]) -> Vec<(usize, Option<String>)> {
        let mut found = Vec::new();
        let mut layouts: Vec<Layout> = vec![self.clone()];
        let mut at = 0_usize;
        while let Some(layout) = layouts.get(at).cloned() {
            at = at.saturating_add(1);
            for (position, document) in documents.iter().enumerate() {
                let Some(step) = layout.step_of(document) else {
                    continue;
                };
                let inside = layout_of(document);
                let link = inside.is_none().then_some(step);
                if !found.contains(&(position, link.clone())) {
                    found.push((position, link));
                    layouts.extend(inside);
                }
            }
        }
        found
    }

    /// Name of the step that a document is a link of, or a layout in place of one, if a key of that step signed it.
    fn step_of(&self, document: &Document) -> Option<String> {
        let layout = layout_of(document);
        let link = link_of(document);
        let fits = |step: &&Step| match (&link, &layout) {
            (Some(link), _) => {
                link.name == step.name && signed_by(SignedBy::of_link(link), &step.keys).is_some()
            }
            (_, Some(layout)) => signed_by(layout.signed(), &step.keys).is_some(),
            _ => false,
        };
        self.steps.iter().find(fits).map(|step| step.name.clone())
    }
}

/// Which of some keys signed, if any did.
fn signed_by(signed: SignedBy<'_>, keys: &[StepKey]) -> Option<Vec<usize>> {
    let (signers, _) = signers(signed, keys);
    (!signers.is_empty()).then_some(signers)
}
