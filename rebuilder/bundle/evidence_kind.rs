//! Kinds of evidence that controls ask for, and where a bundle has each.

use serde::Deserialize;

use super::controls::{Facts, Pointer};
use super::{ATTESTATION, MANIFEST};
use crate::agreement::Conclusion;
use crate::attest::predicate::OwnPredicate;
use crate::evidence::{Claim, Question, Standing};
use crate::policy::PolicyFile;
use crate::text::plural;

/// A kind of evidence, as the table of controls names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum EvidenceKind {
    Verdict,
    Report,
    Comparison,
    Plan,
    PinnedInputs,
    Log,
    Claims,
    Isolation,
    Credentials,
    Sbom,
    Attestation,
    Manifest,
    ReleaseSignature,
    ProvenanceVerified,
    Provenance,
    Policy,
    Agreement,
    SharedBoundaries,
    KeyLifecycle,
    Independence,
    SigningLog,
    SignerIsolation,
}

impl EvidenceKind {
    /// The word in the table.
    pub fn word(self) -> &'static str {
        match self {
            Self::Verdict => "verdict",
            Self::Report => "report",
            Self::Comparison => "comparison",
            Self::Plan => "plan",
            Self::PinnedInputs => "pinned-inputs",
            Self::Log => "log",
            Self::Claims => "claims",
            Self::Isolation => "isolation",
            Self::Credentials => "credentials",
            Self::Sbom => "sbom",
            Self::Attestation => "attestation",
            Self::Manifest => "manifest",
            Self::ReleaseSignature => "release-signature",
            Self::ProvenanceVerified => "provenance-verified",
            Self::Provenance => "provenance",
            Self::Policy => "policy",
            Self::Agreement => "agreement",
            Self::SharedBoundaries => "shared-boundaries",
            Self::KeyLifecycle => "key-lifecycle",
            Self::Independence => "independence",
            Self::SigningLog => "signing-log",
            Self::SignerIsolation => "signer-isolation",
        }
    }

    /// Where the bundle has evidence of this kind, and what it shows; empty if it has none.
    pub fn pointers(self, facts: &Facts) -> Vec<Pointer> {
        let found: Vec<(&str, String)> = match self {
            Self::Verdict | Self::Comparison | Self::Isolation | Self::Credentials => {
                vec![("record.json", self.of_record(facts))]
            }
            Self::Report => vec![("report.html", "the same for people".into())],
            Self::Plan => vec![("plan.json", assumptions(facts))],
            Self::PinnedInputs => vec![("plan.json", inputs(facts))],
            Self::Log => vec![("build.log", "the output of the build, without credentials".into())],
            Self::Claims => vec![("claims.json", claims(facts))],
            Self::Sbom => {
                let shows = || "every input of the build with its digest".to_owned();
                vec![
                    ("sbom/build.cdx.json", shows()),
                    ("sbom/build.spdx.json", shows()),
                ]
            }
            Self::Attestation => vec![(ATTESTATION, "a signed statement of the verdict".into())],
            Self::Manifest => {
                // The manifest does not list itself.
                return vec![Pointer {
                    file: MANIFEST.into(),
                    shows: "digests of everything in this bundle".into(),
                }];
            }
            Self::ReleaseSignature => verified(facts, Question::Signature),
            Self::ProvenanceVerified => verified(facts, Question::Provenance),
            Self::Provenance => provenance(facts),
            Self::Policy => vec![("policy/policy.toml", "the requirements on the evidence".into())],
            Self::Agreement => agreement(facts),
            Self::SharedBoundaries => of_policy(facts, PolicyFile::shared, "for several projects"),
            Self::KeyLifecycle => of_policy(facts, PolicyFile::ending_keys, "with an end, or revoked"),
            Self::Independence => independence(facts),
            Self::SigningLog => signing_log(facts),
            Self::SignerIsolation => signer_isolation(facts),
        };
        let there = found.into_iter().filter(|(file, _)| facts.files.contains(*file));
        there
            .map(|(file, shows)| Pointer {
                file: file.to_owned(),
                shows,
            })
            .collect()
    }

    fn of_record(self, facts: &Facts) -> String {
        let record = facts.record;
        match self {
            Self::Comparison => {
                format!("{} compared byte by byte", plural(record.outputs.len(), "output"))
            }
            Self::Isolation => format!(
                "built by the {} backend: no network, no host environment, no access to a key",
                record.backend
            ),
            Self::Credentials => format!(
                "sources, log and outputs searched: {} found",
                plural(record.credentials.len(), "credential")
            ),
            _ => format!("the rebuild is {}", record.verdict),
        }
    }
}

type Found = Vec<(&'static str, String)>;

fn assumptions(facts: &Facts) -> String {
    let assumptions = plural(facts.plan.assumptions.len(), "assumption");
    format!("{assumptions}, each with its origin")
}

fn inputs(facts: &Facts) -> String {
    let inputs = plural(facts.plan.materials().len(), "input");
    format!("{inputs} pinned by SHA-256")
}

fn claims(facts: &Facts) -> String {
    format!("{} about the release", plural(facts.plan.claims.len(), "claim"))
}

fn claims_about<'a>(facts: &Facts<'a>, question: Question) -> impl Iterator<Item = &'a Claim> {
    let claims = facts.plan.claims.iter();
    claims.filter(move |claim| claim.question == question)
}

fn verified(facts: &Facts, question: Question) -> Found {
    claims_about(facts, question)
        .filter(|claim| claim.standing == Standing::Verified)
        .map(|claim| ("claims.json", claim.claim.clone()))
        .collect()
}

fn provenance(facts: &Facts) -> Found {
    let there = claims_about(facts, Question::Provenance).filter(|claim| claim.standing != Standing::Missing);
    let told = there.map(|claim| format!("{} ({})", claim.claim, claim.standing.word()));
    told.map(|told| ("claims.json", told)).collect()
}

fn agreement(facts: &Facts) -> Found {
    if facts.agreements.is_empty() {
        return Vec::new();
    }
    let agreed = facts.agreements.iter();
    let agreed = agreed.filter(|it| it.verdict == Conclusion::Agreed).count();
    let all = plural(facts.agreements.len(), "file");
    vec![(
        "agreement.json",
        format!("independent parties agree on {agreed} of {all}"),
    )]
}

/// Keys of the policy that have a property, if there are any.
fn of_policy(facts: &Facts, number: fn(&PolicyFile) -> usize, property: &str) -> Found {
    let number = facts.policy.map_or(0, number);
    if number == 0 {
        return Vec::new();
    }
    vec![(
        "policy/policy.toml",
        format!("{} {property}", plural(number, "key")),
    )]
}

fn independence(facts: &Facts) -> Found {
    let mut agreements = facts.agreements.iter();
    if !agreements.any(|it| it.quorum.independent.len() > 2 && it.quorum.digest.is_some()) {
        return Vec::new();
    }
    vec![(
        "agreement.json",
        "the quorum asks for more than different keys".into(),
    )]
}

fn own(facts: &Facts) -> Option<OwnPredicate> {
    OwnPredicate::read(facts.statement?).ok()?
}

fn signing_log(facts: &Facts) -> Found {
    let place = own(facts).and_then(|own| own.signing_log());
    let line = place.map(|place| place.sequence.saturating_add(1));
    let told = line.map(|line| (ATTESTATION, format!("line {line} of the signer's log")));
    told.into_iter().collect()
}

fn signer_isolation(facts: &Facts) -> Found {
    let workers = own(facts).and_then(|own| own.agreeing_workers()).unwrap_or(0);
    if workers == 0 {
        return Vec::new();
    }
    let workers = plural(workers, "agreeing worker");
    vec![(ATTESTATION, format!("signed by a separate process; {workers}"))]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_read_from_its_word() {
        let all = [
            EvidenceKind::Verdict,
            EvidenceKind::PinnedInputs,
            EvidenceKind::Sbom,
            EvidenceKind::ProvenanceVerified,
            EvidenceKind::SignerIsolation,
        ];
        for kind in all {
            let read = EvidenceKind::deserialize(serde_json::json!(kind.word())).unwrap();
            assert_eq!(read, kind);
        }
    }
}
