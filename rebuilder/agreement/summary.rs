//! The conclusion as a SLSA verification summary (VSA v1): what was verified, by which policy, from which inputs.

use serde_json::Value;

use super::{Agreement, Conclusion, RebuildClaim};
use crate::artifact::serialise::SerialiseError;
use crate::attest::predicate::{
    Builder, DigestSet, InTotoStatement, Resource, Summarised, ToolVersion, VerificationResult,
    VerificationSummary,
};
use crate::evidence::statement::predicate;

/// The statement for an agreement or a disagreement; `None` if there is too little for either.
///
/// Levels are words of our own, as the specification allows: `REBUILD_QUORUM_2` for a weight of two, and
/// `REBUILD_EQUIVALENT_QUORUM_2` where the policy accepted named normalisations.
pub fn summary(agreement: &Agreement, verifier: &str) -> Result<Option<Value>, SerialiseError> {
    let (result, level) = match agreement.verdict {
        Conclusion::Agreed => {
            let counted = agreement.parties.iter().filter(|party| party.counted);
            let mut loosely = counted.filter(|party| party.says != RebuildClaim::Same);
            let kind = if loosely.next().is_some() {
                "REBUILD_EQUIVALENT_QUORUM"
            } else {
                "REBUILD_QUORUM"
            };
            (VerificationResult::Passed, format!("{kind}_{}", agreement.weight))
        }
        Conclusion::Disagreed => (VerificationResult::Failed, "FAILED".to_owned()),
        Conclusion::Equivalent | Conclusion::NotEnough => return Ok(None),
    };
    let about = &agreement.artifact;
    let considered = agreement.parties.iter();
    let inputs = considered.map(|party| {
        Resource::at(file_name(&party.origin)).with_digest(DigestSet::sha256(party.attestation))
    });
    let policy = match agreement.quorum.digest {
        Some(digest) => Resource::at(&agreement.quorum.policy).with_digest(DigestSet::sha256(digest)),
        None => Resource::at("urn:rebuilder:policy:built-in"),
    };
    let subject = Summarised {
        name: about.name.clone(),
        uri: about.purl.clone(),
        digest: DigestSet::sha256(about.sha256),
    };
    let summary = VerificationSummary {
        verifier: Builder {
            id: Some(verifier.to_owned()),
            version: Some(ToolVersion::of(env!("CARGO_PKG_VERSION"))),
        },
        time_verified: agreement.time,
        resource_uri: about.purl.clone().unwrap_or_else(|| about.name.clone()),
        policy,
        input_attestations: inputs.collect(),
        verification_result: result,
        verified_levels: vec![level],
        slsa_version: "1.0".into(),
    };
    InTotoStatement::new(vec![subject], predicate::VSA, summary)
        .tree()
        .map(Some)
}

/// The last part of a path or URL: the readers of a summary have other folders.
fn file_name(origin: &str) -> &str {
    origin.rsplit('/').next().unwrap_or(origin)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agreement::{About, Asked, Cost, Inputs, Kind, PartyReport};
    use crate::artifact::Sha256;

    fn report(says: RebuildClaim, origin: &str) -> PartyReport {
        PartyReport {
            party: "alice".into(),
            role: "rebuilder".into(),
            organisation: None,
            says,
            weight: 2,
            counted: true,
            why: String::new(),
            signer: "alice".into(),
            builder: None,
            kind: Kind::Rebuild,
            time: None,
            subject: None,
            attestation: Sha256::of(origin),
            origin: origin.into(),
            times: 1,
            levels: Vec::new(),
            inputs: Inputs::default(),
        }
    }

    #[test]
    fn what_is_signed_keeps_its_form() {
        let set_aside = RebuildClaim::Equivalent {
            rebuilt: None,
            normalisations: vec!["tar-time".into()],
        };
        for (name, verdict, purl, digest) in [
            (
                "agreed",
                Conclusion::Agreed,
                Some("pkg:generic/tool@1.0"),
                Some(Sha256::of("policy")),
            ),
            ("disagreed", Conclusion::Disagreed, None, None),
        ] {
            let agreement = Agreement {
                version: 1,
                artifact: About {
                    name: "tool.tar.gz".into(),
                    purl: purl.map(str::to_owned),
                    sha256: Sha256::of("tool"),
                },
                names: Vec::new(),
                time: "2026-01-01T00:00:00Z".parse().unwrap(),
                verdict,
                reason: String::new(),
                quorum: Asked {
                    policy: "policy.toml".into(),
                    digest,
                    threshold: 2,
                    roles: Vec::new(),
                    independent: Vec::new(),
                },
                weight: 4,
                parties: vec![
                    report(RebuildClaim::Same, "/there/a.json"),
                    report(set_aside.clone(), "b.json"),
                ],
                divergences: Vec::new(),
                set_aside: Vec::new(),
                cost: Cost::default(),
            };
            let statement = summary(&agreement, "https://example.com/verifier")
                .unwrap()
                .unwrap();
            let text = serde_json::to_string(&statement).unwrap();
            let text = text.replace(&format!("\"{}\"", env!("CARGO_PKG_VERSION")), "\"OWN\"");
            insta::assert_snapshot!(name, text);
        }
    }
}
