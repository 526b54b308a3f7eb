//! From testimonies to a conclusion, by the policy's quorum.

use jiff::Timestamp;

use super::judge::judge;
use super::stance::{PartyStance, example, members, stance, withdrawn};
use super::weight::AtHand;
use super::{About, Agreement, Asked, Cost, Reason, Tally, divergence};
use crate::evidence::assess::Artifact;
use crate::evidence::trust::Trust;
use crate::policy::{self, Dissent, Independence, Policy, PolicyFile, Quorum, Refusal};

/// Checks the gathered attestations of an artifact against the policy.
///
/// # Errors
///
/// If the policy rejects subjects that no quorum covers.
pub fn conclude(
    artifact: &Artifact,
    tally: &Tally,
    trust: &Trust,
    policy: &Policy,
    now: Timestamp,
    cost: Cost,
) -> Result<Agreement, Refusal> {
    let names = policy::names(std::slice::from_ref(artifact));
    let (file, quorum) = quorum(policy, &names)?;
    let mut tally = tally.clone();
    let members = members(&mut tally, file, trust, now);
    let at_hand = AtHand::of(&members, &quorum, |testimony, party| {
        withdrawn(testimony, party, file, trust, now).is_none()
    });
    let mut parties: Vec<PartyStance> = Vec::new();
    for member in members {
        let party = &member.party;
        if !quorum.parties.is_empty() && !quorum.parties.contains(&party.name) {
            for testimony in &member.testimonies {
                tally.set_aside_times(Reason::NotAsked, testimony.times, example(testimony, &party.name));
            }
            continue;
        }
        parties.extend(stance(member, &quorum, file, trust, now, &mut tally));
    }
    parties.sort_by(|a, b| a.party.name.cmp(&b.party.name));
    for stance in &mut parties {
        stance.weight = at_hand.weight(stance, &quorum);
    }
    let judged = judge(&parties, &quorum);
    Ok(Agreement {
        version: 2,
        artifact: About {
            name: artifact.name.clone(),
            purl: artifact.purl.clone(),
            sha256: artifact.digests.sha256,
        },
        names: other_names(&parties),
        time: now,
        verdict: judged.verdict,
        reason: judged.reason,
        quorum: demanded(file, &quorum),
        weight: judged.weight,
        divergences: divergences(&parties),
        parties: parties
            .into_iter()
            .zip(judged.why)
            .map(|(stance, (counted, why))| stance.report(counted, why))
            .collect(),
        set_aside: tally.aside(),
        cost,
    })
}

/// The requirements of the quorum, for the report.
fn demanded(file: Option<&PolicyFile>, quorum: &Quorum) -> Asked {
    Asked {
        policy: file.map_or("built-in", PolicyFile::name).to_owned(),
        digest: file.map(PolicyFile::digest),
        threshold: quorum.threshold,
        roles: quorum.roles.clone().into_iter().collect(),
        independent: asked(quorum).into_iter().map(Independence::word).collect(),
    }
}

/// The names that parties give to these bytes, if they differ.
fn other_names(parties: &[PartyStance]) -> Vec<String> {
    let named = parties.iter().filter_map(|stance| {
        let other = stance.testimony.reading.other_name.as_ref()?;
        Some(format!(
            "{}: {other} ({})",
            stance.party.name, stance.testimony.origin
        ))
    });
    named.collect()
}

/// The quorum that applies to an artifact with these names.
fn quorum<'a>(policy: &'a Policy, names: &[String]) -> Result<(Option<&'a PolicyFile>, Quorum), Refusal> {
    let built_in = Quorum {
        subject: "*".into(),
        threshold: 1,
        parties: Vec::new(),
        roles: [("rebuilder".to_owned(), 1)].into(),
        independent: Vec::new(),
        agree_on: Vec::new(),
        maximum_age_days: None,
        dissent: Dissent::Refuse,
        equivalent_by: Vec::new(),
    };
    let Policy::File(file) = policy else {
        return Ok((None, built_in));
    };
    match file.quorum(names) {
        Some(quorum) => Ok((Some(file), quorum.clone())),
        None => Err(Refusal {
            subject: names.first().cloned().unwrap_or_default(),
            policy: file.name().to_owned(),
            rule: "quorums".into(),
            finding: format!("no quorum matches {}", names.join(" or ")),
        }),
    }
}

/// The properties in which the parties must differ; the key is always one of them.
pub(super) fn asked(quorum: &Quorum) -> Vec<Independence> {
    let mut asked = vec![Independence::Key, Independence::Identity];
    for kind in &quorum.independent {
        if !asked.contains(kind) {
            asked.push(*kind);
        }
    }
    asked
}

/// The differences between the parties' statements.
fn divergences(parties: &[PartyStance]) -> Vec<super::Divergence> {
    let bytes = parties.iter().map(|stance| {
        (
            stance.party.name.as_str(),
            stance.testimony.reading.says.sentence(),
        )
    });
    let said: Vec<_> = parties
        .iter()
        .map(|stance| (stance.party.name.as_str(), &stance.testimony.reading.inputs))
        .collect();
    let mut all: Vec<_> = divergence::differing("bytes", bytes).into_iter().collect();
    all.extend(divergence::divergences(&said));
    all
}
