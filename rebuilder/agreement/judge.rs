//! Which parties count by a quorum, and what they say together.

use super::conclude::asked;
use super::independence::{Candidate, Chosen, choose};
use super::stance::PartyStance;
use super::{Conclusion, Kind, RebuildClaim, divergence};
use crate::policy::{Aspect, Dissent, Independence, Quorum};

fn candidate(stance: &PartyStance, quorum: &Quorum) -> Candidate {
    let (party, testimony) = (&stance.party, &stance.testimony);
    let one = |value: Option<&String>| value.map(|value| vec![value.clone()]);
    let traits = asked(quorum).into_iter().map(|kind| {
        let value = match kind {
            Independence::Key => Some(testimony.signer.fingerprints.clone()),
            Independence::Identity => Some(
                testimony
                    .signer
                    .identity
                    .iter()
                    .map(ToString::to_string)
                    .collect(),
            ),
            Independence::Organisation => one(party.organisation.as_ref()),
            Independence::BuilderId => one(testimony.reading.builder.as_ref()),
            Independence::Container => one(testimony.reading.inputs.container.as_ref()),
            Independence::Host => one(party.host.as_ref().or(testimony.reading.inputs.host.as_ref())),
            Independence::Toolchain => one(testimony.reading.inputs.toolchain.as_ref()),
        };
        (kind, value)
    });
    Candidate {
        weight: stance.weight.clone().unwrap_or(0),
        role: party.role.clone(),
        traits: traits.collect(),
    }
}

/// What the parties say together.
pub(super) struct Judged {
    pub verdict: Conclusion,
    pub reason: String,
    pub weight: u32,
    /// For each party, whether it counts, and why not.
    pub why: Vec<(bool, String)>,
}

/// Which independent parties count, and what follows from them and from those who dissent.
pub(super) fn judge(parties: &[PartyStance], quorum: &Quorum) -> Judged {
    let candidates: Vec<_> = parties.iter().map(|stance| candidate(stance, quorum)).collect();
    let pick = |loosely: bool| {
        let (open, some): (Vec<_>, Vec<_>) = (0..)
            .zip(parties.iter().zip(&candidates))
            .filter(|(_, (stance, _))| supports(stance, quorum, loosely))
            .map(|(at, (_, candidate))| (at, candidate.clone()))
            .unzip();
        let mut chosen = choose(&some, quorum.threshold, &quorum.roles);
        chosen.members = at_positions(&open, &chosen.members).copied().collect();
        chosen
    };
    let (strict, loose) = (pick(false), pick(true));
    let dissenters: Vec<_> = parties.iter().filter(|stance| dissents(stance)).collect();
    let against = weight_against(&dissenters);
    let counted = if strict.enough { &strict } else { &loose };
    let broken = broken_agreement(parties, &counted.members, quorum);
    let enough = |chosen: &Chosen| enough(parties, chosen, quorum);
    let spoken = dissenters.first().map(|stance| dissent(stance));
    let outvoted = quorum.dissent == Dissent::Outvote && strict.enough && against < strict.weight;
    let (verdict, reason) = match (spoken, broken) {
        (Some(spoken), _) if !outvoted => (Conclusion::Disagreed, spoken),
        (_, Some(broken)) => (Conclusion::Disagreed, broken),
        (Some(spoken), None) => (
            Conclusion::Agreed,
            format!("{}; outvoted: {spoken}", enough(&strict)),
        ),
        (None, None) if strict.enough => (Conclusion::Agreed, enough(&strict)),
        (None, None) if loose.enough => (Conclusion::Equivalent, enough(&loose)),
        (None, None) => (
            Conclusion::NotEnough,
            too_few(parties, &strict.members, strict.weight, quorum),
        ),
    };
    let members = match verdict {
        Conclusion::Equivalent => &loose.members,
        _ => &strict.members,
    };
    let counted: Vec<_> = at_positions(parties, members)
        .zip(at_positions(&candidates, members))
        .collect();
    let why = (0..)
        .zip(parties.iter().zip(&candidates))
        .map(|(at, it)| why(it, members.contains(&at), &counted, quorum))
        .collect();
    Judged {
        verdict,
        reason,
        weight: if verdict == Conclusion::Equivalent {
            loose.weight
        } else {
            strict.weight
        },
        why,
    }
}

/// Whether a party says that these bytes were rebuilt; `loosely`, with any normalisations.
fn supports(stance: &PartyStance, quorum: &Quorum, loosely: bool) -> bool {
    let accepted = |names: &[String]| names.iter().all(|name| quorum.equivalent_by.contains(name));
    stance.equivocates.is_none()
        && unstated(stance, quorum).is_none()
        && stance.weight.is_ok()
        && match &stance.testimony.reading.says {
            RebuildClaim::Same => true,
            RebuildClaim::Equivalent { normalisations, .. } => loosely || accepted(normalisations),
            RebuildClaim::Differs { .. } => false,
        }
}

fn dissents(stance: &PartyStance) -> bool {
    let differs = matches!(stance.testimony.reading.says, RebuildClaim::Differs { .. });
    differs || stance.equivocates.is_some()
}

/// What a party says that dissents.
fn dissent(stance: &PartyStance) -> String {
    let name = &stance.party.name;
    match &stance.equivocates {
        Some(both) => format!("{name} contradicts itself: {both}"),
        None => format!(
            "{name} says otherwise: {}",
            stance.testimony.reading.says.sentence()
        ),
    }
}

/// The weight, and the differences that some of it sets aside.
fn enough(parties: &[PartyStance], chosen: &Chosen, quorum: &Quorum) -> String {
    let (who, what) = set_aside_by(parties, &chosen.members);
    let aside = if who.is_empty() {
        String::new()
    } else {
        format!("; {} except for {}", who.join(", "), what.join(", "))
    };
    format!(
        "weight {} of the required {}{aside}",
        chosen.weight, quorum.threshold
    )
}

/// The weight of the parties that say otherwise. Failures of this tool count once, however many parties ran it, because
/// all of them repeat its mistakes.
fn weight_against(dissenters: &[&PartyStance]) -> u32 {
    let (own, others): (Vec<_>, Vec<_>) = dissenters
        .iter()
        .map(|stance| (stance.testimony.reading.kind, stance.party.weight))
        .partition(|(kind, _)| *kind == Kind::FailedRebuild);
    let weights = |list: &[(Kind, u32)]| list.iter().map(|(_, weight)| *weight).collect::<Vec<_>>();
    let once = weights(&own).into_iter().max().unwrap_or(0);
    weights(&others).into_iter().fold(once, u32::saturating_add)
}

/// The items at some positions of a list.
fn at_positions<'a, T>(list: &'a [T], positions: &'a [usize]) -> impl Iterator<Item = &'a T> {
    positions.iter().filter_map(|at| list.get(*at))
}

/// Members that found the bytes only equivalent, and by which normalisations.
fn set_aside_by(parties: &[PartyStance], members: &[usize]) -> (Vec<String>, Vec<String>) {
    let (mut who, mut what) = (Vec::new(), Vec::new());
    for stance in at_positions(parties, members) {
        if let RebuildClaim::Equivalent { normalisations, .. } = &stance.testimony.reading.says {
            who.push(stance.party.name.clone());
            what.extend(normalisations.iter().cloned());
        }
    }
    what.sort();
    what.dedup();
    (who, what)
}

/// The first aspect that a party must state to be counted, but does not.
fn unstated(stance: &PartyStance, quorum: &Quorum) -> Option<Aspect> {
    let inputs = &stance.testimony.reading.inputs;
    let is_stated = |aspect: Aspect| match aspect {
        Aspect::Source => inputs.source.is_some(),
        Aspect::Dependencies => inputs.dependencies.is_some(),
        Aspect::Container => inputs.container.is_some(),
        Aspect::Toolchain => inputs.toolchain.is_some(),
        Aspect::Parameters => inputs.parameters.is_some(),
    };
    let mut aspects = quorum.agree_on.iter().copied();
    aspects.find(|aspect| !is_stated(*aspect))
}

/// The first aspect in which counted parties must agree, but do not.
fn broken_agreement(parties: &[PartyStance], members: &[usize], quorum: &Quorum) -> Option<String> {
    let said: Vec<_> = at_positions(parties, members)
        .map(|stance| (stance.party.name.as_str(), &stance.testimony.reading.inputs))
        .collect();
    let found = divergence::divergences(&said);
    let broken = found
        .iter()
        .find(|it| quorum.agree_on.iter().any(|aspect| aspect.word() == it.aspect))?;
    let groups: Vec<_> = broken
        .groups
        .iter()
        .map(|group| format!("{} ({})", group.value, group.parties.join(", ")))
        .collect();
    Some(format!(
        "they do not agree on the {}, but must: {}",
        broken.aspect,
        groups.join("; ")
    ))
}

fn too_few(parties: &[PartyStance], members: &[usize], weight: u32, quorum: &Quorum) -> String {
    if weight < quorum.threshold {
        return format!("weight {weight} of the required {}", quorum.threshold);
    }
    let of_role = |role: &String| {
        at_positions(parties, members)
            .filter(|stance| stance.party.role == *role)
            .count()
    };
    let missing = quorum
        .roles
        .iter()
        .find(|(role, wanted)| of_role(role) < **wanted as usize);
    missing.map_or_else(
        || "no set of independent parties has both the required weight and the required roles".into(),
        |(role, wanted)| format!("{} of the required {wanted} with the role {role}", of_role(role)),
    )
}

/// Whether a party counts, and why not.
fn why(
    (stance, candidate): (&PartyStance, &Candidate),
    is_counted: bool,
    counted: &[(&PartyStance, &Candidate)],
    quorum: &Quorum,
) -> (bool, String) {
    if let Some(both) = &stance.equivocates {
        return (false, format!("it contradicts itself: {both}"));
    }
    if let Some(aspect) = unstated(stance, quorum) {
        return (false, format!("it does not state its {}", aspect.word()));
    }
    if let (Err(nothing), false) = (
        &stance.weight,
        matches!(stance.testimony.reading.says, RebuildClaim::Differs { .. }),
    ) {
        return (false, nothing.clone());
    }
    if is_counted {
        let reading = &stance.testimony.reading;
        let note = reading.note.iter().map(|note| format!("; {note}"));
        return (true, reading.says.sentence() + &note.collect::<String>());
    }
    if let RebuildClaim::Differs { .. } = stance.testimony.reading.says {
        return (false, stance.testimony.reading.says.sentence());
    }
    let shared = counted
        .iter()
        .find_map(|(other, theirs)| Some((candidate.shares(theirs)?, other)));
    match (shared, &stance.testimony.reading.says) {
        (Some((kind, other)), _) => (
            false,
            format!(
                "not independent of {}: same or unstated {}",
                other.party.name,
                kind.word()
            ),
        ),
        (None, RebuildClaim::Equivalent { normalisations, .. }) => (
            false,
            format!("only equivalent, except for {}", normalisations.join(", ")),
        ),
        (None, _) => (false, "not needed for the quorum".into()),
    }
}
