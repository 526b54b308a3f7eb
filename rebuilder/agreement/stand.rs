//! What one party says, of all that it said: what was withdrawn or is too old is set aside, what contradicts itself is
//! found, and the newest of the rest stands.

use std::borrow::Cow;

use jiff::{SignedDuration, Timestamp};

use super::answer::Answer;
use super::{Kind, Position, Reason, Says, Tally};
use crate::artifact::Sha256;
use crate::evidence::trust::Trust;
use crate::policy::{Party, PolicyFile, Quorum};

/// How far clocks may differ.
const SKEW: SignedDuration = SignedDuration::from_mins(5);

/// A party, and all that it answered.
pub(super) struct Member<'a> {
    pub party: Cow<'a, Party>,
    pub answers: Vec<Answer>,
}

/// Ties signers to parties; those that are nobody's are set aside.
pub(super) fn members<'a>(tally: &mut Tally, file: Option<&'a PolicyFile>, trust: &Trust) -> Vec<Member<'a>> {
    let mut members: Vec<Member> = Vec::new();
    let voices: Vec<Vec<Answer>> = tally
        .voices()
        .map(|voice| voice.into_iter().cloned().collect())
        .collect();
    for answers in voices {
        let Some(first) = answers.first() else { continue };
        let signer = &first.signer;
        let party = match file {
            Some(file) => file
                .parties()
                .iter()
                .find(|party| party.signed(signer))
                .map(Cow::Borrowed),
            // Whoever has an e-mail address can sign without a key; only a named identity is worth something.
            None if signer.identity.is_some() && trust.identities.is_empty() => None,
            None => Some(Cow::Owned(alone(first, &answers))),
        };
        let Some(party) = party else {
            for answer in &answers {
                tally.set_aside_times(Reason::UnknownSigner, answer.times, example(answer, &signer.name));
            }
            continue;
        };
        match members.iter_mut().find(|member| member.party.name == party.name) {
            Some(member) => member.answers.extend(answers),
            None => members.push(Member { party, answers }),
        }
    }
    members
}

/// A signer that no policy knows, as a party of its own.
fn alone(first: &Answer, answers: &[Answer]) -> Party {
    let builds = answers
        .iter()
        .all(|answer| answer.reading.kind == Kind::Provenance);
    let role = if builds {
        Kind::Provenance.role()
    } else {
        first.reading.kind.role()
    };
    Party {
        name: first.signer.name.clone(),
        role: role.into(),
        organisation: None,
        host: None,
        keys: first.signer.keys.clone(),
        identities: Vec::new(),
        builder_ids: Vec::new(),
        weight: 1,
        revoked_because: None,
    }
}

pub(super) fn example(answer: &Answer, what: &str) -> String {
    format!("{}: {what}", answer.origin)
}

/// A party, and where it stands.
pub(super) struct Stand<'a> {
    pub party: Cow<'a, Party>,
    pub answer: Answer,
    /// Two answers that cannot both be true.
    pub equivocates: Option<String>,
}

/// What a party says, of all that it said.
pub(super) fn stand<'a>(
    member: Member<'a>,
    quorum: &Quorum,
    file: Option<&PolicyFile>,
    trust: &Trust,
    now: Timestamp,
    tally: &mut Tally,
) -> Option<Stand<'a>> {
    let Member { party, answers } = member;
    let mut alive = Vec::new();
    for answer in answers {
        match withdrawn(&answer, &party, file, trust, now) {
            Some((reason, why)) => tally.set_aside_times(reason, answer.times, example(&answer, &why)),
            None => alive.push(answer),
        }
    }
    let equivocates = equivocation(&alive);
    let mut answers = absorb(alive);
    answers.retain(|answer| match too_old(answer, quorum, now) {
        Some(why) => {
            tally.set_aside_times(Reason::Stale, answer.times, example(answer, &why));
            false
        }
        None => true,
    });
    // The newest counts; where nothing shows which that is, the one that speaks against the artifact.
    let against = |says: &Says| match says {
        Says::Same => 0,
        Says::Equivalent { .. } => 1,
        Says::Differs { .. } => 2,
    };
    answers.sort_by_key(|answer| (answer.time(), against(&answer.reading.says), answer.document));
    let newest = answers.pop()?;
    let others = answers
        .into_iter()
        .filter(|answer| answer.reading.says != newest.reading.says);
    // Of a party that contradicts itself, no answer is better than another.
    for answer in others.filter(|_| equivocates.is_none()) {
        tally.set_aside_times(
            Reason::Superseded,
            answer.times,
            example(&answer, &answer.reading.says.sentence()),
        );
    }
    Some(Stand {
        party,
        answer: newest,
        equivocates,
    })
}

/// Why an answer does not count, whatever it says.
fn withdrawn(
    answer: &Answer,
    party: &Party,
    file: Option<&PolicyFile>,
    trust: &Trust,
    now: Timestamp,
) -> Option<(Reason, String)> {
    if let Some(why) = &party.revoked_because {
        return Some((Reason::Revoked, format!("{}: {why}", party.name)));
    }
    let digests: Vec<Sha256> = [Some(answer.document), answer.reading.statement]
        .into_iter()
        .flatten()
        .collect();
    if let Some(why) = file.and_then(|file| file.revocation(&digests)) {
        return Some((Reason::Revoked, format!("this attestation: {why}")));
    }
    // Without a log, only today shows when a signature was made: its author can write any date.
    let when = answer.seen.unwrap_or(now);
    let keys = trust
        .keys
        .iter()
        .filter(|key| answer.signer.keys.contains(&key.name));
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
    if answer.reading.builder.is_some() && !party.may_name(answer.reading.builder.as_deref()) {
        let named = answer.reading.builder.clone().unwrap_or_default();
        return Some((
            Reason::WrongBuilder,
            format!("{} is none of {}", named, party.name),
        ));
    }
    let future = answer
        .time()
        .filter(|time| *time > now.saturating_add(SKEW).unwrap_or(now));
    future.map(|time| (Reason::Future, format!("it is dated {time}")))
}

fn too_old(answer: &Answer, quorum: &Quorum, now: Timestamp) -> Option<String> {
    let days = quorum.maximum_age_days?;
    let Some(time) = answer.time() else {
        return Some("nothing shows how old it is".into());
    };
    let age = now.as_second().saturating_sub(time.as_second()) / 86_400;
    (age > i64::from(days)).then(|| format!("it is {age} days old, and {days} are asked for"))
}

/// Two answers of one party that cannot both be true: other bytes from the same inputs.
fn equivocation(answers: &[Answer]) -> Option<String> {
    let one_input = |a: &Answer, b: &Answer| {
        let one_run = a.reading.invocation.is_some() && a.reading.invocation == b.reading.invocation;
        one_run
            || a.reading.inputs.fingerprint() == b.reading.inputs.fingerprint()
                && (a.reading.kind == b.reading.kind || a.reading.inputs.plan.is_some())
    };
    let contradict = |a: &Answer, b: &Answer| match (&a.reading.says, &b.reading.says) {
        (Says::Same, Says::Differs { .. }) | (Says::Differs { .. }, Says::Same) => true,
        (Says::Differs { rebuilt: Some(a) }, Says::Differs { rebuilt: Some(b) }) => a != b,
        // An equivalence is about another file than the rebuild that it goes with.
        _ => false,
    };
    for (position, a) in answers.iter().enumerate() {
        if let Some(b) = answers
            .iter()
            .skip(position.saturating_add(1))
            .find(|b| one_input(a, b) && contradict(a, b))
        {
            return Some(format!(
                "{} and {} are of the same inputs: {}; {}",
                a.origin,
                b.origin,
                a.reading.says.sentence(),
                b.reading.says.sentence()
            ));
        }
    }
    None
}

/// A rebuild that gave other bytes, and the statement that these are equivalent, are one answer.
fn absorb(answers: Vec<Answer>) -> Vec<Answer> {
    let (mut equivalents, mut others): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| {
        matches!(answer.reading.says, Says::Equivalent { .. }) || answer.reading.kind == Kind::Equivalence
    });
    for equivalent in &mut equivalents {
        let Says::Equivalent {
            rebuilt: Some(came_out),
            ..
        } = &equivalent.reading.says
        else {
            continue;
        };
        let is_its = |other: &Answer| matches!(&other.reading.says, Says::Differs { rebuilt: Some(digest) } if digest == came_out);
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
        let said = |other: &Answer| {
            other.reading.says == Says::Same && other.reading.invocation == same.reading.invocation
        };
        same.reading.says != Says::Same || same.reading.invocation.is_none() || !others.iter().any(said)
    });
    others.extend(equivalents);
    others
}

impl Stand<'_> {
    pub fn position(self, counted: bool, why: String) -> Position {
        let Self { party, answer, .. } = self;
        Position {
            party: party.name.clone(),
            role: party.role.clone(),
            organisation: party.organisation.clone(),
            time: answer.time(),
            says: answer.reading.says,
            weight: party.weight,
            counted,
            why,
            signer: answer.signer.name,
            builder: answer.reading.builder,
            kind: answer.reading.kind,
            subject: answer.reading.subject,
            attestation: answer.document,
            origin: answer.origin,
            times: answer.times,
            inputs: answer.reading.inputs,
        }
    }
}
