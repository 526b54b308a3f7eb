//! Which of a party's testimonies counts: withdrawn and old ones are ignored, contradictions are detected, and the
//! newest of the rest counts.

use std::borrow::Cow;

use jiff::{SignedDuration, Timestamp};

use super::testimony::Testimony;
use super::{Kind, PartyReport, Reason, RebuildClaim, Tally};
use crate::artifact::Sha256;
use crate::evidence::nature::Nature;
use crate::evidence::trust::Trust;
use crate::policy::{Party, PolicyFile, Quorum};

/// The maximum difference between clocks.
const SKEW: SignedDuration = SignedDuration::from_mins(5);

/// A party, and all its testimonies.
pub(super) struct Member<'a> {
    pub party: Cow<'a, Party>,
    pub testimonies: Vec<Testimony>,
}

/// Maps signers to parties; unknown signers are set aside.
pub(super) fn members<'a>(
    tally: &mut Tally,
    file: Option<&'a PolicyFile>,
    trust: &Trust,
    now: Timestamp,
) -> Vec<Member<'a>> {
    let mut members: Vec<Member> = Vec::new();
    let voices: Vec<Vec<Testimony>> = tally
        .voices()
        .map(|voice| voice.into_iter().cloned().collect())
        .collect();
    for testimonies in voices {
        let own = match (file, testimonies.first()) {
            (None, Some(first)) => Some(alone(first, &testimonies)),
            _ => None,
        };
        for testimony in testimonies {
            let is_named = testimony.signer.identity.is_none() || !trust.identities.is_empty();
            let party = match file {
                Some(file) => signed_by(&testimony, file, trust, now).map(Cow::Borrowed),
                // Any owner of an e-mail address can sign without a key, so an identity counts only if it was named beforehand.
                None => own.clone().filter(|_| is_named).map(Cow::Owned),
            };
            let Some(party) = party else {
                let example = example(&testimony, &testimony.signer.name);
                tally.set_aside_times(Reason::UnknownSigner, testimony.times, example);
                continue;
            };
            match members.iter_mut().find(|member| member.party.name == party.name) {
                Some(member) => member.testimonies.push(testimony),
                None => members.push(Member {
                    party,
                    testimonies: vec![testimony],
                }),
            }
        }
    }
    members
}

/// The party to which a testimony belongs. If several parties signed it, it is the first one whose signature counts;
/// otherwise, someone with a stolen key could take the testimony away from the others.
fn signed_by<'a>(
    testimony: &Testimony,
    file: &'a PolicyFile,
    trust: &Trust,
    now: Timestamp,
) -> Option<&'a Party> {
    let signed = || {
        file.parties()
            .iter()
            .filter(|party| party.signed(&testimony.signer))
    };
    let counts = |party: &&Party| withdrawn(testimony, party, Some(file), trust, now).is_none();
    signed().find(counts).or_else(|| signed().next())
}

/// A signer without a policy, as a party of its own, in the role that its statements fill: a rebuild, if there is one.
fn alone(first: &Testimony, testimonies: &[Testimony]) -> Party {
    let natures = || {
        testimonies
            .iter()
            .map(|testimony| testimony.reading.kind.nature())
    };
    let role = ["rebuilder", "builder", "verifier"]
        .into_iter()
        .find(|role| natures().any(|nature| nature.role() == Some(role)));
    Party {
        name: first.signer.name.clone(),
        // A list of digests alone does not say that anything was rebuilt.
        role: role.unwrap_or("release-manager").into(),
        organisation: None,
        host: None,
        keys: first.signer.keys.clone(),
        identities: Vec::new(),
        builder_ids: Vec::new(),
        weight: 1,
        revoked_because: None,
    }
}

pub(super) fn example(testimony: &Testimony, what: &str) -> String {
    format!("{}: {what}", testimony.origin)
}

/// A party, and the testimony that counts for it.
pub(super) struct PartyStance<'a> {
    pub party: Cow<'a, Party>,
    pub testimony: Testimony,
    /// Two contradictory testimonies, in one sentence.
    pub equivocates: Option<String>,
    /// Its weight in this quorum, and why it is nothing, if it is.
    pub weight: Result<u32, String>,
}

/// The testimony that counts of all that a party gave.
pub(super) fn stance<'a>(
    member: Member<'a>,
    quorum: &Quorum,
    file: Option<&PolicyFile>,
    trust: &Trust,
    now: Timestamp,
    tally: &mut Tally,
) -> Option<PartyStance<'a>> {
    let Member { party, testimonies } = member;
    let mut alive = Vec::new();
    for testimony in testimonies {
        match withdrawn(&testimony, &party, file, trust, now) {
            Some((reason, why)) => tally.set_aside_times(reason, testimony.times, example(&testimony, &why)),
            None => alive.push(testimony),
        }
    }
    let equivocates = equivocation(&alive);
    let mut testimonies = absorb(alive);
    testimonies.retain(|testimony| {
        let why = other_role(testimony, &party);
        if let Some(why) = &why {
            tally.set_aside_times(Reason::OtherRole, testimony.times, example(testimony, why));
        }
        why.is_none()
    });
    testimonies.retain(|testimony| match too_old(testimony, quorum, now) {
        Some(why) => {
            tally.set_aside_times(Reason::Stale, testimony.times, example(testimony, &why));
            false
        }
        None => true,
    });
    // The newest counts; if times do not show which that is, the one that speaks against the artifact.
    testimonies.sort_by_key(|testimony| {
        (
            testimony.time(),
            against(&testimony.reading.says),
            testimony.document,
        )
    });
    let newest = testimonies.pop()?;
    let others = testimonies
        .into_iter()
        .filter(|testimony| testimony.reading.says != newest.reading.says);
    // Of a party that contradicts itself, no testimony is better than another.
    for testimony in others.filter(|_| equivocates.is_none()) {
        tally.set_aside_times(
            Reason::Superseded,
            testimony.times,
            example(&testimony, &testimony.reading.says.sentence()),
        );
    }
    Some(PartyStance {
        weight: Ok(party.weight),
        party,
        testimony: newest,
        equivocates,
    })
}

/// How much a claim says against the artifact.
fn against(says: &RebuildClaim) -> u8 {
    match says {
        RebuildClaim::Same => 0,
        RebuildClaim::Equivalent { .. } => 1,
        RebuildClaim::Differs { .. } => 2,
    }
}

/// Why a statement does not fit its party's role, if so. A statement that other bytes were produced counts whoever
/// signed it, except for a summary, which may have failed for any reason.
fn other_role(testimony: &Testimony, party: &Party) -> Option<String> {
    let nature = testimony.reading.kind.nature();
    let dissents =
        matches!(testimony.reading.says, RebuildClaim::Differs { .. }) && nature != Nature::Summary;
    let fits = dissents || nature.fills(&party.role);
    (!fits).then(|| {
        format!(
            "it is {}, but the policy requires {} as a {}",
            nature.words(),
            party.name,
            party.role
        )
    })
}

/// Why a testimony does not count, whatever it says.
pub(super) fn withdrawn(
    testimony: &Testimony,
    party: &Party,
    file: Option<&PolicyFile>,
    trust: &Trust,
    now: Timestamp,
) -> Option<(Reason, String)> {
    if let Some(why) = &party.revoked_because {
        return Some((Reason::Revoked, format!("{}: {why}", party.name)));
    }
    let digests: Vec<Sha256> = [Some(testimony.document), testimony.reading.statement]
        .into_iter()
        .flatten()
        .collect();
    if let Some(why) = file.and_then(|file| file.revocation(&digests)) {
        return Some((Reason::Revoked, format!("this attestation: {why}")));
    }
    // Without a log, only today shows when a signature was made: its author can write any date.
    let when = testimony.seen.unwrap_or(now);
    // Another party's good key beside a revoked one of this party says nothing for this party.
    let is_own = |name: &String| party.keys.is_empty() || party.keys.contains(name);
    let keys = trust
        .keys
        .iter()
        .filter(|key| testimony.signer.keys.contains(&key.name) && is_own(&key.name));
    let refusals: Vec<_> = keys.map(|key| (key, key.refusal(when))).collect();
    if !refusals.is_empty() && refusals.iter().all(|(_, refusal)| refusal.is_some()) {
        let revoked = refusals
            .iter()
            .any(|(key, _)| key.revoked.as_ref().is_some_and(|(since, _)| when >= *since));
        let why = refusals
            .into_iter()
            .find_map(|(_, refusal)| refusal)
            .unwrap_or_default();
        return Some((
            if revoked {
                Reason::Revoked
            } else {
                Reason::OutOfTime
            },
            why,
        ));
    }
    if testimony.reading.builder.is_some() && !party.may_name(testimony.reading.builder.as_deref()) {
        let named = testimony.reading.builder.clone().unwrap_or_default();
        return Some((
            Reason::WrongBuilder,
            format!("{} is not a builder of {}", named, party.name),
        ));
    }
    let future = testimony
        .time()
        .filter(|time| *time > now.saturating_add(SKEW).unwrap_or(now));
    future.map(|time| (Reason::Future, format!("it is dated {time}")))
}

fn too_old(testimony: &Testimony, quorum: &Quorum, now: Timestamp) -> Option<String> {
    let days = quorum.maximum_age_days?;
    let Some(time) = testimony.time() else {
        return Some("its age is not known".into());
    };
    let age = now.as_second().saturating_sub(time.as_second()) / 86_400;
    (age > i64::from(days)).then(|| format!("it is {age} days old, and the limit is {days}"))
}

/// Two contradictory testimonies of one party: different bytes from the same inputs.
fn equivocation(testimonies: &[Testimony]) -> Option<String> {
    let one_input = |a: &Testimony, b: &Testimony| {
        let one_run = a.reading.invocation.is_some() && a.reading.invocation == b.reading.invocation;
        one_run
            || a.reading.inputs.fingerprint() == b.reading.inputs.fingerprint()
                && (a.reading.kind == b.reading.kind || a.reading.inputs.plan.is_some())
    };
    let contradict = |a: &Testimony, b: &Testimony| match (&a.reading.says, &b.reading.says) {
        (RebuildClaim::Same, RebuildClaim::Differs { .. })
        | (RebuildClaim::Differs { .. }, RebuildClaim::Same) => true,
        (RebuildClaim::Differs { rebuilt: Some(a) }, RebuildClaim::Differs { rebuilt: Some(b) }) => a != b,
        // An equivalence is about another file than the rebuild that it goes with.
        _ => false,
    };
    for (position, a) in testimonies.iter().enumerate() {
        if let Some(b) = testimonies
            .iter()
            .skip(position.saturating_add(1))
            .find(|b| one_input(a, b) && contradict(a, b))
        {
            return Some(format!(
                "{} and {} are about the same inputs: {}; {}",
                a.origin,
                b.origin,
                a.reading.says.sentence(),
                b.reading.says.sentence()
            ));
        }
    }
    None
}

/// A rebuild that produced other bytes, and the statement that these are equivalent, are one testimony.
fn absorb(testimonies: Vec<Testimony>) -> Vec<Testimony> {
    let (mut equivalents, mut others): (Vec<_>, Vec<_>) = testimonies.into_iter().partition(|testimony| {
        matches!(testimony.reading.says, RebuildClaim::Equivalent { .. })
            || testimony.reading.kind == Kind::Equivalence
    });
    for equivalent in &mut equivalents {
        let RebuildClaim::Equivalent {
            rebuilt: Some(came_out),
            ..
        } = &equivalent.reading.says
        else {
            continue;
        };
        let is_its = |other: &Testimony| matches!(&other.reading.says, RebuildClaim::Differs { rebuilt: Some(digest) } if digest == came_out);
        if let Some(at) = others.iter().position(is_its) {
            let rebuild = others.remove(at);
            equivalent.reading.stated = equivalent.reading.stated.or(rebuild.reading.stated);
            equivalent.seen = equivalent.seen.or(rebuild.seen);
            equivalent.reading.inputs = rebuild.reading.inputs;
            equivalent.reading.builder = equivalent.reading.builder.take().or(rebuild.reading.builder);
        }
    }
    // OSS Rebuild states an equivalence also where the very bytes came out; the rebuild says more.
    equivalents.retain(|same| {
        let said = |other: &Testimony| {
            other.reading.says == RebuildClaim::Same && other.reading.invocation == same.reading.invocation
        };
        same.reading.says != RebuildClaim::Same
            || same.reading.invocation.is_none()
            || !others.iter().any(said)
    });
    others.extend(equivalents);
    others
}

impl PartyStance<'_> {
    pub fn report(self, counted: bool, why: String) -> PartyReport {
        let Self {
            party,
            testimony,
            weight,
            ..
        } = self;
        PartyReport {
            party: party.name.clone(),
            role: party.role.clone(),
            organisation: party.organisation.clone(),
            time: testimony.time(),
            says: testimony.reading.says,
            weight: weight.unwrap_or(0),
            counted,
            why,
            signer: testimony.signer.name,
            builder: testimony.reading.builder,
            kind: testimony.reading.kind,
            renamed: testimony.reading.other_name.is_some(),
            subject: testimony.reading.subject,
            attestation: testimony.document,
            origin: testimony.origin,
            times: testimony.times,
            levels: testimony.reading.levels,
            inputs: testimony.reading.inputs,
        }
    }
}
