//! In-toto layouts: which steps a supply chain has, who may do each, and what each may consume and produce.
//!
//! A layout is a policy that the project signs; the links of its steps are the evidence. Specification: in-toto 1.0
//! (github.com/in-toto/specification), sections 4.3 and 5.2. Nothing is executed here, so inspections, which are
//! commands, are reported but not run.

mod fnmatch;
mod keys;
mod read;
mod rules;
mod steps;

use jiff::Timestamp;

use super::document::{Document, Kind};
use super::json::member;
use super::link::Link;
use super::openpgp::in_toto::JsonSignature;
use super::signed_content::SignedContent;
use super::statement::{DigestMatch, predicate};
use super::trust::{KeyMaterial, TrustedKey};
use crate::artifact::Digests;
use crate::text::plural;
use keys::{SignedBy, StepKey};
pub use read::LayoutError;
use rules::Rule;
use steps::Evidence;

/// A layout that was read; its signatures are not verified yet.
#[derive(Debug, Clone)]
pub struct Layout {
    expires: Timestamp,
    steps: Vec<Step>,
    inspections: Vec<String>,
    message: Vec<u8>,
    signatures: Vec<(String, Vec<u8>)>,
    openpgp: Vec<JsonSignature>,
}

#[derive(Debug, Clone)]
struct Step {
    name: String,
    keys: Vec<StepKey>,
    threshold: usize,
    materials: Vec<Rule>,
    products: Vec<Rule>,
}

/// One demand of a layout, and whether the evidence meets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayoutFinding {
    /// The demand, in a few words.
    pub what: String,
    /// Whether the demand is met.
    pub kept: bool,
    /// What was found.
    pub finding: String,
}

impl Layout {
    /// Checks evidence about an artifact against the layout. `owners` are the keys that must all have signed it. With
    /// `skip`, inspections of the layouts inside it do not count as failures.
    pub fn check(
        &self,
        owners: &[TrustedKey],
        documents: &[&Document],
        artifacts: &[Digests],
        skip: bool,
    ) -> Vec<LayoutFinding> {
        let mut found = vec![self.signed_by(owners), self.in_time("layout", Timestamp::now())];
        let evidence = Evidence::of(documents, skip);
        let chain = self.chain("layout", &evidence, &[]);
        found.extend(chain.findings);
        let last = self.steps.last();
        let last = last.and_then(|step| chain.links.get(&step.name));
        found.push(given_out(last, artifacts));
        found
    }

    /// Names of the inspections that the layout demands.
    pub fn inspections(&self) -> &[String] {
        &self.inspections
    }

    fn signed_by(&self, owners: &[TrustedKey]) -> LayoutFinding {
        let now = Timestamp::now();
        let mut reasons = Vec::new();
        let missing: Vec<_> = owners
            .iter()
            .filter(|owner| !self.is_signed_by(owner, now, &mut reasons))
            .map(|owner| owner.name.clone())
            .collect();
        reasons.insert(0, "or that key does not count".to_owned());
        LayoutFinding {
            what: "layout: signatures".into(),
            kept: missing.is_empty() && !owners.is_empty(),
            finding: if missing.is_empty() {
                format!("it is signed by {}", plural(owners.len(), "key"))
            } else {
                format!(
                    "it is not signed by {}, {}",
                    missing.join(", "),
                    reasons.join("; ")
                )
            },
        }
    }

    fn in_time(&self, what: &str, now: Timestamp) -> LayoutFinding {
        LayoutFinding {
            what: format!("{what}: expires"),
            kept: now < self.expires,
            finding: format!("it is valid until {}", self.expires),
        }
    }

    /// Whether a key of the policy signed the layout; adds why its signature does not count.
    fn is_signed_by(&self, owner: &TrustedKey, now: Timestamp, reasons: &mut Vec<String>) -> bool {
        if let Some(reason) = owner.refusal(now) {
            reasons.push(reason);
            return false;
        }
        match &owner.material {
            KeyMaterial::Plain(key) => {
                let mut signatures = self.signatures.iter();
                signatures.any(|(_, bytes)| key.verify(&self.message, bytes))
            }
            KeyMaterial::OpenPgp(keyring) => {
                self.openpgp.iter().any(
                    |signature| match signature.by_certificate(keyring, &self.message) {
                        Ok(_) => true,
                        Err(error) => {
                            reasons.extend((!error.is_unknown_key()).then(|| error.to_string()));
                            false
                        }
                    },
                )
            }
            KeyMaterial::Minisign(..) | KeyMaterial::Ssh(_) => false,
        }
    }

    fn signed(&self) -> SignedBy<'_> {
        SignedBy {
            message: &self.message,
            plain: &self.signatures,
            openpgp: &self.openpgp,
        }
    }
}

/// Whether the artifacts are products of the last step: if not, the whole chain is about something else.
fn given_out(last: Option<&Link>, artifacts: &[Digests]) -> LayoutFinding {
    let given = |digests: &Digests| {
        last.is_some_and(|link| {
            link.subjects()
                .iter()
                .any(|file| file.matches(digests) == DigestMatch::Same)
        })
    };
    let name = last.map_or("", |link| link.name.as_str());
    let kept = !artifacts.is_empty() && artifacts.iter().all(given);
    LayoutFinding {
        what: "layout: product".into(),
        kept,
        finding: match (last, kept) {
            (None, _) => "the last step has no link, so nothing lists the file among its products".into(),
            (_, true) => format!("it is a product of the last step, {name:?}"),
            (_, false) => format!("it is not among the products of the last step, {name:?}"),
        },
    }
}

/// The link in a document: in its original form, in an envelope, or as a statement of the type `link/v0.3`.
fn link_of(document: &Document) -> Option<Link> {
    let envelope = match &document.kind {
        Kind::Link(link) => return Some((**link).clone()),
        Kind::Envelope(envelope) | Kind::KeyBundle { envelope, .. } => envelope,
        Kind::Logged(logged) => &logged.envelope,
        _ => return None,
    };
    let statement = match SignedContent::of(envelope).ok()? {
        SignedContent::Link(link) => {
            return Some(Link {
                signatures: envelope.signatures.clone(),
                openpgp: envelope.openpgp.clone(),
                signed: envelope.pre_authentication(),
                ..*link
            });
        }
        SignedContent::Statement(statement) if statement.predicate_type == predicate::LINK => statement,
        _ => return None,
    };
    // "Set link.products to be a map from subject[*].name to subject[*].digest", and materials in the same way.
    let materials = member(&statement.predicate, ["materials"]).as_array();
    let materials = materials
        .into_iter()
        .flatten()
        .map(|it| serde_json::from_value(it.clone()).ok());
    let materials: Option<Vec<_>> = materials.collect();
    Some(Link {
        name: member(&statement.predicate, ["name"]).as_str()?.to_owned(),
        materials: named(&materials?)?,
        products: named(&statement.subject)?,
        signatures: envelope.signatures.clone(),
        openpgp: envelope.openpgp.clone(),
        signed: envelope.pre_authentication(),
    })
}

/// Files by their names; each must have a name, and no name may occur twice.
fn named(files: &[super::statement::Descriptor]) -> Option<super::link::Files> {
    let mut named = super::link::Files::new();
    for file in files {
        if named.insert(file.name.clone()?, file.digest.clone()).is_some() {
            return None;
        }
    }
    Some(named)
}
