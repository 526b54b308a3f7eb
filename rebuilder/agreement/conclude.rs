//! From answers to a conclusion, by the policy's quorum.

use std::borrow::Cow;

use jiff::{SignedDuration, Timestamp};

use super::answer::Answer;
use super::independence::{Candidate, choose};
use super::{About, Agreement, Asked, Conclusion, Cost, Kind, Position, Reason, Says, Tally, inputs};
use crate::artifact::Sha256;
use crate::evidence::assess::Artifact;
use crate::evidence::trust::Trust;
use crate::policy::{Dissent, Independence, Party, Policy, PolicyFile, Quorum, Refusal};

/// How far clocks may differ.
const SKEW: SignedDuration = SignedDuration::from_mins(5);

/// Holds what was gathered about an artifact against the policy.
///
/// # Errors
///
/// Where the policy refuses subjects that no quorum of it is about.
pub fn conclude(
    artifact: &Artifact,
    tally: &Tally,
    trust: &Trust,
    policy: &Policy,
    now: Timestamp,
    cost: Cost,
) -> Result<Agreement, Refusal> {
    let names: Vec<String> = artifact.purl.iter().chain([&artifact.name]).cloned().collect();
    let (file, quorum) = quorum(policy, &names)?;
    let mut tally = tally.clone();
    let members = members(&mut tally, file, trust);
    let mut parties: Vec<Stand> = Vec::new();
    for member in members {
        let party = &member.party;
        if !quorum.parties.is_empty() && !quorum.parties.contains(&party.name) {
            for answer in &member.answers {
                tally.set_aside_times(Reason::NotAsked, answer.times, example(answer, &party.name));
            }
            continue;
        }
        parties.extend(stand(member, &quorum, file, trust, now, &mut tally));
    }
    parties.sort_by(|a, b| a.party.name.cmp(&b.party.name));
    let judged = judge(&parties, &quorum);
    Ok(Agreement {
        version: 1,
        artifact: About {
            name: artifact.name.clone(),
            purl: artifact.purl.clone(),
            sha256: artifact.digests.sha256,
        },
        time: now,
        verdict: judged.verdict,
        reason: judged.reason,
        quorum: Asked {
            policy: file.map_or("built-in", PolicyFile::name).to_owned(),
            digest: file.map(PolicyFile::digest),
            threshold: quorum.threshold,
            roles: quorum.roles.clone().into_iter().collect(),
            independent: asked(&quorum).into_iter().map(Independence::word).collect(),
        },
        weight: judged.weight,
        divergences: divergences(&parties),
        parties: parties
            .into_iter()
            .zip(judged.why)
            .map(|(stand, (counted, why))| stand.position(counted, why))
            .collect(),
        set_aside: tally.aside(),
        cost,
    })
}

/// The quorum that holds for an artifact with these names.
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
            finding: format!("no quorum fits {}", names.join(" or ")),
        }),
    }
}

/// A party, and all that it answered.
struct Member<'a> {
    party: Cow<'a, Party>,
    answers: Vec<Answer>,
}

/// Ties signers to parties; those that are nobody's are set aside.
fn members<'a>(tally: &mut Tally, file: Option<&'a PolicyFile>, trust: &Trust) -> Vec<Member<'a>> {
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
    let builds = answers.iter().all(|answer| answer.kind == Kind::Provenance);
    let role = if builds {
        Kind::Provenance.role()
    } else {
        first.kind.role()
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

fn example(answer: &Answer, what: &str) -> String {
    format!("{}: {what}", answer.origin)
}

/// A party, and where it stands.
struct Stand<'a> {
    party: Cow<'a, Party>,
    answer: Answer,
    /// Two answers that cannot both be true.
    equivocates: Option<String>,
}

/// What a party says, of all that it said.
fn stand<'a>(
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
    answers.sort_by_key(|answer| (answer.time(), against(&answer.says), answer.document));
    let newest = answers.pop()?;
    let others = answers.into_iter().filter(|answer| answer.says != newest.says);
    // Of a party that contradicts itself, no answer is better than another.
    for answer in others.filter(|_| equivocates.is_none()) {
        tally.set_aside_times(
            Reason::Superseded,
            answer.times,
            example(&answer, &answer.says.sentence()),
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
    let digests: Vec<Sha256> = [Some(answer.document), answer.statement]
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
    if answer.builder.is_some() && !party.may_name(answer.builder.as_deref()) {
        let named = answer.builder.clone().unwrap_or_default();
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
        let one_run = a.invocation.is_some() && a.invocation == b.invocation;
        one_run
            || a.inputs.fingerprint() == b.inputs.fingerprint()
                && (a.kind == b.kind || a.inputs.plan.is_some())
    };
    let contradict = |a: &Answer, b: &Answer| match (&a.says, &b.says) {
        (Says::Same, Says::Differs { .. }) | (Says::Differs { .. }, Says::Same) => true,
        (Says::Differs { rebuilt: Some(a) }, Says::Differs { rebuilt: Some(b) }) => a != b,
        // An equivalence is about another file than the rebuild that it goes with.
        _ => false,
    };
    for (position, a) in answers.iter().enumerate() {
        if let Some(b) = answers[position + 1..]
            .iter()
            .find(|b| one_input(a, b) && contradict(a, b))
        {
            return Some(format!(
                "{} and {} are of the same inputs: {}; {}",
                a.origin,
                b.origin,
                a.says.sentence(),
                b.says.sentence()
            ));
        }
    }
    None
}

/// A rebuild that gave other bytes, and the statement that these are equivalent, are one answer.
fn absorb(answers: Vec<Answer>) -> Vec<Answer> {
    let (mut equivalents, mut others): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| {
        matches!(answer.says, Says::Equivalent { .. }) || answer.kind == Kind::Equivalence
    });
    for equivalent in &mut equivalents {
        let Says::Equivalent {
            rebuilt: Some(came_out),
            ..
        } = &equivalent.says
        else {
            continue;
        };
        let is_its = |other: &Answer| matches!(&other.says, Says::Differs { rebuilt: Some(digest) } if digest == came_out);
        if let Some(at) = others.iter().position(is_its) {
            let rebuild = others.remove(at);
            equivalent.stated = equivalent.stated.or(rebuild.stated);
            equivalent.seen = equivalent.seen.or(rebuild.seen);
            equivalent.inputs = rebuild.inputs;
            equivalent.builder = equivalent.builder.take().or(rebuild.builder);
        }
    }
    // OSS Rebuild states an equivalence also where the very bytes came out; the rebuild says more.
    equivalents.retain(|same| {
        let said = |other: &Answer| other.says == Says::Same && other.invocation == same.invocation;
        same.says != Says::Same || same.invocation.is_none() || !others.iter().any(said)
    });
    others.extend(equivalents);
    others
}

/// In what the parties must differ: their keys always.
fn asked(quorum: &Quorum) -> Vec<Independence> {
    let mut asked = vec![Independence::Key, Independence::Identity];
    for kind in &quorum.independent {
        if !asked.contains(kind) {
            asked.push(*kind);
        }
    }
    asked
}

fn candidate(stand: &Stand, quorum: &Quorum) -> Candidate {
    let (party, answer) = (&stand.party, &stand.answer);
    let one = |value: Option<&String>| value.map(|value| vec![value.clone()]);
    let traits = asked(quorum).into_iter().map(|kind| {
        let value = match kind {
            Independence::Key => Some(answer.signer.fingerprints.clone()),
            Independence::Identity => Some(answer.signer.identity.iter().map(ToString::to_string).collect()),
            Independence::Organisation => one(party.organisation.as_ref()),
            Independence::BuilderId => one(answer.builder.as_ref()),
            Independence::Container => one(answer.inputs.container.as_ref()),
            Independence::Host => one(party.host.as_ref().or(answer.inputs.host.as_ref())),
            Independence::Toolchain => one(answer.inputs.toolchain.as_ref()),
        };
        (kind, value)
    });
    Candidate {
        weight: party.weight,
        role: party.role.clone(),
        traits: traits.collect(),
    }
}

struct Judged {
    verdict: Conclusion,
    reason: String,
    weight: u32,
    /// For each party, whether it counts, and why not.
    why: Vec<(bool, String)>,
}

fn judge(parties: &[Stand], quorum: &Quorum) -> Judged {
    let accepted = |names: &[String]| names.iter().all(|name| quorum.equivalent_by.contains(name));
    let supports = |stand: &Stand, loosely: bool| {
        stand.equivocates.is_none()
            && unstated(stand, quorum).is_none()
            && match &stand.answer.says {
                Says::Same => true,
                Says::Equivalent { normalisations, .. } => loosely || accepted(normalisations),
                Says::Differs { .. } => false,
            }
    };
    let candidates: Vec<_> = parties.iter().map(|stand| candidate(stand, quorum)).collect();
    let pick = |loosely: bool| {
        let open: Vec<_> = (0..parties.len())
            .filter(|at| supports(&parties[*at], loosely))
            .collect();
        let some: Vec<_> = open.iter().map(|at| candidates[*at].clone()).collect();
        let mut chosen = choose(&some, quorum.threshold, &quorum.roles);
        chosen.members = chosen.members.iter().map(|at| open[*at]).collect();
        chosen
    };
    let (strict, loose) = (pick(false), pick(true));
    let dissenters: Vec<_> = parties
        .iter()
        .filter(|stand| stand.equivocates.is_some() || matches!(stand.answer.says, Says::Differs { .. }))
        .collect();
    let against = dissenters
        .iter()
        .map(|stand| stand.party.weight)
        .fold(0, u32::saturating_add);
    let counted = if strict.enough { &strict } else { &loose };
    let broken = broken_agreement(parties, &counted.members, quorum);
    let enough = |weight: u32| {
        format!(
            "a weight of {weight} says so, and {} is asked for",
            quorum.threshold
        )
    };
    let spoken = dissenters.first().map(|stand| match &stand.equivocates {
        Some(both) => format!("{} contradicts itself: {both}", stand.party.name),
        None => format!(
            "{} says otherwise: {}",
            stand.party.name,
            stand.answer.says.sentence()
        ),
    });
    let outvoted = quorum.dissent == Dissent::Outvote && strict.enough && against < strict.weight;
    let (verdict, reason) = match (spoken, broken) {
        (Some(spoken), _) if !outvoted => (Conclusion::Disagreed, spoken),
        (_, Some(broken)) => (Conclusion::Disagreed, broken),
        (Some(spoken), None) => (
            Conclusion::Agreed,
            format!("{}; outvoted: {spoken}", enough(strict.weight)),
        ),
        (None, None) if strict.enough => (Conclusion::Agreed, enough(strict.weight)),
        (None, None) if loose.enough => (
            Conclusion::Equivalent,
            format!(
                "{}, counting those for whom they are only equivalent",
                enough(loose.weight)
            ),
        ),
        (None, None) => (
            Conclusion::NotEnough,
            too_few(parties, &strict.members, strict.weight, quorum),
        ),
    };
    let members = match verdict {
        Conclusion::Equivalent => &loose.members,
        _ => &strict.members,
    };
    let why = (0..parties.len())
        .map(|at| why(at, parties, &candidates, members, quorum))
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

/// What a party would have to state to be counted, and does not.
fn unstated<'a>(stand: &Stand, quorum: &'a Quorum) -> Option<&'a str> {
    let inputs = &stand.answer.inputs;
    let stated = |aspect: &str| match aspect {
        "source" => inputs.source.is_some(),
        "dependencies" => inputs.dependencies.is_some(),
        "container" => inputs.container.is_some(),
        "toolchain" => inputs.toolchain.is_some(),
        _ => inputs.parameters.is_some(),
    };
    quorum
        .agree_on
        .iter()
        .map(String::as_str)
        .find(|aspect| !stated(aspect))
}

/// An aspect in which counted parties must agree and do not.
fn broken_agreement(parties: &[Stand], members: &[usize], quorum: &Quorum) -> Option<String> {
    let counted: Vec<_> = members.iter().map(|at| &parties[*at]).collect();
    let said: Vec<_> = counted
        .iter()
        .map(|stand| (stand.party.name.as_str(), &stand.answer.inputs))
        .collect();
    let found = inputs::divergences(&said);
    let broken = found
        .iter()
        .find(|it| quorum.agree_on.iter().any(|aspect| aspect == it.aspect))?;
    let groups: Vec<_> = broken
        .groups
        .iter()
        .map(|group| format!("{} ({})", group.value, group.parties.join(", ")))
        .collect();
    Some(format!(
        "they must agree on the {}, and do not: {}",
        broken.aspect,
        groups.join("; ")
    ))
}

fn too_few(parties: &[Stand], members: &[usize], weight: u32, quorum: &Quorum) -> String {
    if weight < quorum.threshold {
        return format!(
            "a weight of {weight} says so, and {} is asked for",
            quorum.threshold
        );
    }
    let of_role = |role: &String| {
        members
            .iter()
            .filter(|at| parties[**at].party.role == *role)
            .count()
    };
    let missing = quorum
        .roles
        .iter()
        .find(|(role, wanted)| of_role(role) < **wanted as usize);
    missing.map_or_else(
        || "no set of independent parties has both the weight and the roles that are asked for".into(),
        |(role, wanted)| {
            format!(
                "{} of the role {role} say so, and {wanted} are asked for",
                of_role(role)
            )
        },
    )
}

/// Whether a party counts, and why not.
fn why(
    at: usize,
    parties: &[Stand],
    candidates: &[Candidate],
    members: &[usize],
    quorum: &Quorum,
) -> (bool, String) {
    let stand = &parties[at];
    if let Some(both) = &stand.equivocates {
        return (false, format!("it contradicts itself: {both}"));
    }
    if let Some(aspect) = unstated(stand, quorum) {
        return (false, format!("it does not state its {aspect}"));
    }
    if members.contains(&at) {
        return (true, stand.answer.says.sentence());
    }
    if let Says::Differs { .. } = stand.answer.says {
        return (false, stand.answer.says.sentence());
    }
    let shared = members
        .iter()
        .find_map(|other| Some((candidates[at].shares(&candidates[*other])?, *other)));
    match (shared, &stand.answer.says) {
        (Some((kind, other)), _) => (
            false,
            format!(
                "it is not independent of {}: the {} is the same or not told",
                parties[other].party.name,
                kind.word()
            ),
        ),
        (None, Says::Equivalent { normalisations, .. }) => (
            false,
            format!("only equivalent, by {}", normalisations.join(", ")),
        ),
        (None, _) => (false, "it is not needed".into()),
    }
}

/// Where the parties say different things.
fn divergences(parties: &[Stand]) -> Vec<super::Divergence> {
    let bytes = parties
        .iter()
        .map(|stand| (stand.party.name.as_str(), stand.answer.says.sentence()));
    let said: Vec<_> = parties
        .iter()
        .map(|stand| (stand.party.name.as_str(), &stand.answer.inputs))
        .collect();
    let mut all: Vec<_> = inputs::differing("bytes", bytes).into_iter().collect();
    all.extend(inputs::divergences(&said));
    all
}

impl Stand<'_> {
    fn position(self, counted: bool, why: String) -> Position {
        let Self { party, answer, .. } = self;
        Position {
            party: party.name.clone(),
            role: party.role.clone(),
            organisation: party.organisation.clone(),
            time: answer.time(),
            says: answer.says,
            weight: party.weight,
            counted,
            why,
            signer: answer.signer.name,
            builder: answer.builder,
            kind: answer.kind,
            attestation: answer.document,
            origin: answer.origin,
            times: answer.times,
            inputs: answer.inputs,
        }
    }
}
