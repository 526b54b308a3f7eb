//! Checks the evidence against the policy, rule by rule.

use jiff::Timestamp;

use super::file::{Requirement, Rule, Unmatched};
use super::{Check, Decision, Policy, Refusal, build};
use crate::artifact::pattern;
use crate::evidence::assess::Assessment;
use crate::evidence::git_signature::ObjectSignature;
use crate::evidence::inspection::{Finding, Inspection};
use crate::evidence::slsa::Provenance;
use crate::evidence::{Signer, Standing, Verified};
use crate::text::plural;

impl Policy {
    /// What the policy says about artifacts with these names and this evidence.
    pub fn decide(&self, names: &[String], inspection: &Inspection) -> Decision {
        let mut decision = Decision::default();
        match self {
            Self::None => decision.policy = "none".into(),
            Self::BuiltIn => {
                decision.policy = "built-in".into();
                decision.checks.push(nothing_against(inspection));
            }
            Self::File(file) => {
                decision.policy.clone_from(&file.name);
                decision.digest = Some(file.digest);
                decision.checks.push(nothing_against(inspection));
                match file.rule(names) {
                    Some(rule) => decision.checks.extend(checks(rule, inspection)),
                    None => decision.checks.push(Check {
                        rule: "subjects without a rule".into(),
                        kept: file.unmatched == Unmatched::Allow,
                        finding: format!("no rule matches {}", names.first().map_or("it", String::as_str)),
                    }),
                }
            }
        }
        decision
    }
}

impl Decision {
    /// The decision, or the refusal as an error.
    pub fn gate(&self, subject: &str) -> Result<Decision, Refusal> {
        match self.refusal() {
            None => Ok(self.clone()),
            Some(check) => Err(Refusal {
                subject: subject.to_owned(),
                policy: match self.policy.as_str() {
                    "built-in" => "the built-in policy".to_owned(),
                    name => name.to_owned(),
                },
                rule: check.rule.clone(),
                finding: check.finding.clone(),
            }),
        }
    }
}

pub(super) fn check(rule: impl Into<String>, kept: bool, finding: impl Into<String>) -> Check {
    Check {
        rule: rule.into(),
        kept,
        finding: finding.into(),
    }
}

fn nothing_against(inspection: &Inspection) -> Check {
    let against = inspection.against();
    let finding = against.first().map_or_else(
        || "no claim speaks against it".to_owned(),
        |claim| format!("{}: {} ({})", claim.claim, claim.meaning, claim.standing.word()),
    );
    check("existing evidence must be valid", against.is_empty(), finding)
}

fn checks(rule: &Rule, inspection: &Inspection) -> Vec<Check> {
    let mut checks = Vec::new();
    for requirement in &rule.require {
        checks.push(required(*requirement, rule, inspection));
    }
    let signatures = verified(&inspection.signature);
    let provenances = verified(&inspection.provenance);
    if !rule.keys.is_empty() {
        checks.push(keys(rule, &signatures, &provenances));
    }
    if !rule.identities.is_empty() {
        checks.push(identities(rule, &signatures, &provenances));
    }
    let by_builders: Vec<&Assessment> = provenances
        .iter()
        .filter(|it| it.signer().is_some_and(|signer| is_builder(rule, signer)))
        .filter(|it| it.provenance.is_some())
        .map(|it| **it)
        .collect();
    let told: Vec<_> = by_builders
        .iter()
        .filter_map(|it| it.provenance.as_ref())
        .collect();
    if !rule.builders.is_empty() {
        let found = told.iter().map(|provenance| Some(provenance.builder.as_str()));
        checks.push(all_fit("builders", &rule.builders, &found.collect::<Vec<_>>()));
    }
    if !rule.sources.is_empty() {
        let found: Vec<_> = told.iter().map(|provenance| source(provenance)).collect();
        let found = found.iter().map(Option::as_deref);
        checks.push(all_fit("sources", &rule.sources, &found.collect::<Vec<_>>()));
    }
    checks.extend(build::checks(rule, &by_builders));
    if !rule.refuse_mutable.is_empty() {
        let found = inspection
            .mutable
            .iter()
            .find(|input| rule.refuse_mutable.contains(&input.kind));
        checks.push(check(
            "refuse-mutable",
            found.is_none(),
            found.map_or_else(|| "none of these".to_owned(), |input| input.what.clone()),
        ));
    }
    if let Some(days) = rule.maximum_age_days {
        checks.push(age(days, &signatures, &provenances));
    }
    checks
}

/// Whether enough of the rule's keys signed.
fn keys(rule: &Rule, signatures: &[Verified<&Assessment>], provenances: &[Verified<&Assessment>]) -> Check {
    let all = signatures.iter().chain(provenances);
    let mut by: Vec<_> = all
        .filter_map(|it| it.signer())
        .flat_map(|signer| &signer.keys)
        .filter(|name| rule.keys.contains(name))
        .cloned()
        .collect();
    by.sort();
    by.dedup();
    let finding = if by.is_empty() {
        format!("it is signed by none of {}", rule.keys.join(", "))
    } else {
        format!(
            "it is signed by {} of {} required keys: {}",
            by.len(),
            rule.threshold,
            by.join(", ")
        )
    };
    check("keys", by.len() >= rule.threshold, finding)
}

/// The claims of a finding that were verified; nothing else satisfies a rule.
fn verified(finding: &Finding) -> Vec<Verified<&Assessment>> {
    finding.claims.iter().filter_map(Assessment::verified).collect()
}

/// Whether a signer's statement about a build counts more than that of any signer: by a trusted key, a workflow whose
/// certificate names its repository, or an identity that the rule requires.
fn is_builder(rule: &Rule, signer: &Signer) -> bool {
    let by_workflow = signer
        .identity
        .as_ref()
        .is_some_and(|identity| identity.repository.is_some());
    !signer.keys.is_empty() || by_workflow || !rule.identities.is_empty()
}

/// The repository that something was built from, or the archive in a bucket that Google Cloud Build was given instead.
fn source(provenance: &Provenance) -> Option<String> {
    if let Some(source) = &provenance.source {
        return Some(source.repository.clone());
    }
    let first = provenance
        .materials
        .first()
        .filter(|_| provenance.version == "0.1")?;
    let address = first.uri.as_deref().filter(|uri| uri.starts_with("gs://"))?;
    // Behind it stands the generation of the object.
    Some(address.split('#').next().unwrap_or(address).to_owned())
}

/// Every verified provenance must fit, and there must be one.
fn all_fit(rule: &str, patterns: &[String], found: &[Option<&str>]) -> Check {
    let fits = |name: &str| patterns.iter().any(|wanted| pattern::fits(wanted, name));
    let other = found.iter().find(|name| !name.is_some_and(fits));
    match (found.first(), other) {
        (None, _) => check(rule, false, "no verified provenance by a builder names it"),
        (_, Some(other)) => check(rule, false, format!("it is {}", other.unwrap_or("not named"))),
        (Some(name), None) => check(rule, true, format!("it is {}", name.unwrap_or("not named"))),
    }
}

fn required(requirement: Requirement, rule: &Rule, inspection: &Inspection) -> Check {
    let finding = |name: &str, finding: &Finding| {
        let kept = finding.standing == Standing::Verified;
        check(
            format!("require {name}"),
            kept,
            format!("it is {}", finding.standing.word()),
        )
    };
    match requirement {
        Requirement::Signature => finding("signature", &inspection.signature),
        Requirement::Provenance => finding("provenance", &inspection.provenance),
        Requirement::SourceSignature => {
            let custody = inspection.custody.as_ref();
            let signatures = custody.map(|custody| [&custody.commit_signature, &custody.tag_signature]);
            let found: Vec<_> = signatures.into_iter().flatten().flatten().collect();
            // Anyone can sign without a key; only a named identity is worth something then.
            let is_wanted = |signature: &ObjectSignature| match &signature.identity {
                Some(identity) => rule.source_identities.iter().any(|wanted| wanted.fits(identity)),
                None => true,
            };
            let kept = found
                .iter()
                .any(|signature| signature.standing == Standing::Verified && is_wanted(signature));
            let words: Vec<_> = found.iter().map(|signature| signature.note.clone()).collect();
            let words = if words.is_empty() {
                "the source repository was not checked".to_owned()
            } else {
                words.join("; ")
            };
            check("require source-signature", kept, words)
        }
        Requirement::Review => {
            let reviews = inspection
                .custody
                .as_ref()
                .map_or(0, |custody| custody.reviews.len());
            check(
                "require review",
                reviews > 0,
                format!("the evidence has {}", plural(reviews, "review")),
            )
        }
    }
}

/// Each keyless claim must be by one of the identities, and there must be one.
fn identities(
    rule: &Rule,
    signatures: &[Verified<&Assessment>],
    provenances: &[Verified<&Assessment>],
) -> Check {
    let signers = signatures
        .iter()
        .chain(provenances)
        .filter_map(|it| it.signer()?.identity.as_ref());
    let (mut any, mut other) = (None, None);
    for identity in signers {
        if rule.identities.iter().any(|wanted| wanted.fits(identity)) {
            any = Some(identity);
        } else {
            other = Some(identity);
        }
    }
    match (any, other) {
        (_, Some(other)) => check("identities", false, format!("{other} signed it")),
        (Some(any), None) => check("identities", true, format!("{any} signed it")),
        (None, None) => check("identities", false, "there is no verified keyless signature"),
    }
}

fn age(days: u32, signatures: &[Verified<&Assessment>], provenances: &[Verified<&Assessment>]) -> Check {
    let newest = signatures
        .iter()
        .chain(provenances)
        .filter_map(|it| it.signed_at())
        .max();
    let Some(newest) = newest else {
        return check("maximum-age-days", false, "nothing proves when it was signed");
    };
    let age = Timestamp::now().as_second().saturating_sub(newest.as_second()) / 86_400;
    check(
        "maximum-age-days",
        age <= i64::from(days),
        format!(
            "it was signed {} ago, on {newest}",
            plural(usize::try_from(age).unwrap_or_default(), "day")
        ),
    )
}
