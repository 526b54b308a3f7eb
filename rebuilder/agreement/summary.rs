//! The conclusion as a SLSA verification summary (VSA v1): what was verified, by which policy, from which inputs.

use serde_json::Value;

use super::dependencies::DependencyLevels;
use super::{Agreement, Conclusion, Kind, PartyReport, RebuildClaim};
use crate::artifact::serialise::SerialiseError;
use crate::attest::predicate::{
    Builder, DigestSet, InTotoStatement, Resource, Summarised, ToolVersion, VerificationResult,
    VerificationSummary,
};
use crate::evidence::statement::predicate;

/// The version of SLSA whose words a summary has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum SlsaVersion {
    /// SLSA 1.0, which has no term for a rebuild: only levels of rebuilder's own.
    #[value(name = "1.0")]
    V1_0,
    /// SLSA 1.2, with the verified property `SLSA_BUILD_REPRODUCED`.
    #[value(name = "1.2")]
    V1_2,
}

impl SlsaVersion {
    fn word(self) -> &'static str {
        match self {
            Self::V1_0 => "1.0",
            Self::V1_2 => "1.2",
        }
    }
}

/// SLSA 1.2: "the referenced artifact has been reproduced by two or more builders".
const REPRODUCED: &str = "SLSA_BUILD_REPRODUCED";

/// The statement for an agreement or a disagreement; `None` if there is too little for either.
///
/// Levels of our own are `REBUILD_QUORUM_2` for a weight of two, and `REBUILD_EQUIVALENT_QUORUM_2` where the policy accepted
/// named normalisations. SLSA's own word comes first, where its conditions hold.
pub fn summary(
    agreement: &Agreement,
    verifier: &str,
    version: SlsaVersion,
    dependencies: Option<DependencyLevels>,
) -> Result<Option<Value>, SerialiseError> {
    let Some(own) = own_level(agreement) else {
        return Ok(None);
    };
    let passed = agreement.verdict == Conclusion::Agreed;
    let property = (version == SlsaVersion::V1_2 && is_reproduced(agreement)).then(|| REPRODUCED.to_owned());
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
        verification_result: if passed {
            VerificationResult::Passed
        } else {
            VerificationResult::Failed
        },
        verified_levels: property.into_iter().chain([own]).collect(),
        dependency_levels: dependencies,
        slsa_version: version.word().into(),
    };
    InTotoStatement::new(vec![subject], predicate::VSA, summary)
        .tree()
        .map(Some)
}

/// The one level that says most, for a count of dependencies; `None` where nothing is concluded.
pub(super) fn level(agreement: &Agreement, version: SlsaVersion) -> Option<String> {
    if version == SlsaVersion::V1_2 && is_reproduced(agreement) {
        return Some(REPRODUCED.to_owned());
    }
    own_level(agreement)
}

/// The level in words of our own, or SLSA's word for a failure.
fn own_level(agreement: &Agreement) -> Option<String> {
    match agreement.verdict {
        Conclusion::Agreed => {
            let counted = agreement.parties.iter().filter(|party| party.counted);
            let mut loosely = counted.filter(|party| party.says != RebuildClaim::Same);
            let kind = if loosely.next().is_some() {
                "REBUILD_EQUIVALENT_QUORUM"
            } else {
                "REBUILD_QUORUM"
            };
            Some(format!("{kind}_{}", agreement.weight))
        }
        Conclusion::Disagreed => Some("FAILED".to_owned()),
        Conclusion::Equivalent | Conclusion::NotEnough => None,
    }
}

/// Whether SLSA's conditions for its word hold: build provenance from two or more build platforms that are operated
/// independently and trusted by the issuer.
///
/// Independent operation is known only where the policy names the organisations. A link, a list or a summary is no build
/// provenance, whoever signed it.
fn is_reproduced(agreement: &Agreement) -> bool {
    let is_provenance = |kind: Kind| matches!(kind, Kind::Provenance | Kind::Rebuild | Kind::OssRebuild);
    let platform = |party: &PartyReport| {
        let is_one = party.counted && party.says == RebuildClaim::Same && is_provenance(party.kind);
        let (organisation, builder) = (party.organisation.clone()?, party.builder.clone()?);
        is_one.then_some((organisation, builder))
    };
    let platforms: Vec<_> = agreement.parties.iter().filter_map(platform).collect();
    let differ = |a: &(String, String), b: &(String, String)| a.0 != b.0 && a.1 != b.1;
    agreement.verdict == Conclusion::Agreed
        && platforms.iter().any(|a| platforms.iter().any(|b| differ(a, b)))
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
            renamed: false,
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

    fn agreement(verdict: Conclusion, parties: Vec<PartyReport>) -> Agreement {
        Agreement {
            version: 1,
            artifact: About {
                name: "tool.tar.gz".into(),
                purl: None,
                sha256: Sha256::of("tool"),
            },
            names: Vec::new(),
            time: "2026-01-01T00:00:00Z".parse().unwrap(),
            verdict,
            reason: String::new(),
            quorum: Asked {
                policy: "policy.toml".into(),
                digest: None,
                threshold: 2,
                roles: Vec::new(),
                independent: Vec::new(),
            },
            weight: 4,
            parties,
            divergences: Vec::new(),
            set_aside: Vec::new(),
            cost: Cost::default(),
        }
    }

    #[test]
    fn what_is_signed_keeps_its_form() {
        let set_aside = RebuildClaim::Equivalent {
            rebuilt: None,
            normalisations: vec!["tar-time".into()],
        };
        let parties = || {
            vec![
                report(RebuildClaim::Same, "/there/a.json"),
                report(set_aside.clone(), "b.json"),
            ]
        };
        let mut agreed = agreement(Conclusion::Agreed, parties());
        agreed.artifact.purl = Some("pkg:generic/tool@1.0".into());
        agreed.quorum.digest = Some(Sha256::of("policy"));
        let levels: DependencyLevels = [("SLSA_BUILD_LEVEL_UNEVALUATED".to_owned(), 2)].into();
        for (name, agreement, dependencies) in [
            ("agreed", agreed, Some(levels)),
            ("disagreed", agreement(Conclusion::Disagreed, parties()), None),
        ] {
            let verifier = "https://example.com/verifier";
            let statement = summary(&agreement, verifier, SlsaVersion::V1_2, dependencies)
                .unwrap()
                .unwrap();
            let text = serde_json::to_string(&statement).unwrap();
            let text = text.replace(&format!("\"{}\"", env!("CARGO_PKG_VERSION")), "\"OWN\"");
            insta::assert_snapshot!(name, text);
        }
    }

    /// Each condition of SLSA 1.2 for its word, broken one at a time.
    // Long, as it is one table.
    #[test]
    fn slsas_word_is_said_only_where_its_conditions_hold() {
        let party = |organisation: Option<&str>, builder: Option<&str>, kind| PartyReport {
            organisation: organisation.map(str::to_owned),
            builder: builder.map(str::to_owned),
            kind,
            ..report(RebuildClaim::Same, "a.json")
        };
        let alpha = || party(Some("Alpha"), Some("https://a.example"), Kind::Rebuild);
        let beta = |kind| party(Some("Beta"), Some("https://b.example"), kind);
        let uncounted = PartyReport {
            counted: false,
            ..beta(Kind::Rebuild)
        };
        let loosely = PartyReport {
            says: RebuildClaim::Equivalent {
                rebuilt: None,
                normalisations: vec!["tar-time".into()],
            },
            ..beta(Kind::Rebuild)
        };
        for (what, second, expected) in [
            ("a second rebuilder", Some(beta(Kind::Rebuild)), true),
            ("the builder", Some(beta(Kind::Provenance)), true),
            ("OSS Rebuild", Some(beta(Kind::OssRebuild)), true),
            ("nobody else", None, false),
            ("a link", Some(beta(Kind::Link)), false),
            ("a list", Some(beta(Kind::HashList)), false),
            ("a summary", Some(beta(Kind::Summary)), false),
            ("an equivalence", Some(beta(Kind::Equivalence)), false),
            ("one that says equivalent", Some(loosely), false),
            ("one that does not count", Some(uncounted), false),
            (
                "the same organisation",
                Some(party(Some("Alpha"), Some("https://b.example"), Kind::Rebuild)),
                false,
            ),
            (
                "the same platform",
                Some(party(Some("Beta"), Some("https://a.example"), Kind::Rebuild)),
                false,
            ),
            (
                "an unknown organisation",
                Some(party(None, Some("https://b.example"), Kind::Rebuild)),
                false,
            ),
            (
                "an unknown platform",
                Some(party(Some("Beta"), None, Kind::Rebuild)),
                false,
            ),
        ] {
            let parties = || [alpha()].into_iter().chain(second.clone()).collect();
            let levels = |verdict, version| {
                let statement = summary(&agreement(verdict, parties()), "urn:x", version, None);
                let statement = statement.unwrap().unwrap();
                let levels = &statement["predicate"]["verifiedLevels"];
                levels.as_array().unwrap().iter().any(|level| level == REPRODUCED)
            };
            assert_eq!(levels(Conclusion::Agreed, SlsaVersion::V1_2), expected, "{what}");
            assert!(!levels(Conclusion::Agreed, SlsaVersion::V1_0), "{what}");
            assert!(!levels(Conclusion::Disagreed, SlsaVersion::V1_2), "{what}");
        }
    }
}
