//! The agreement of several parties about one artifact, for a terminal.

use crate::agreement::{Agreement, Conclusion, Divergence, PartyReport, Reason, SetAside};
use crate::text::{Screen, Style, plain, plural};

/// The conclusion as lines; `colour` adds ANSI codes.
pub fn terminal(agreement: &Agreement, colour: bool) -> Screen {
    let mut out = Screen::new(colour);
    let about = &agreement.artifact;
    let purl = about
        .purl
        .as_deref()
        .map_or_else(String::new, |purl| format!("  {purl}"));
    out.say(format_args!("{}{purl}  sha256:{}", about.name, about.sha256));
    for other in &agreement.names {
        out.line([Style::Bad.of(format_args!("another name: {other}"))]);
    }
    for party in &agreement.parties {
        position(party, &mut out);
    }
    for divergence in &agreement.divergences {
        differ(divergence, &mut out);
    }
    for aside in &agreement.set_aside {
        out.say(format_args!("set aside, {}: {}", aside.meaning, aside.count));
        for example in &aside.examples {
            out.say(format_args!("    {example}"));
        }
    }
    verdict(agreement, &mut out);
    let cost = &agreement.cost;
    out.say(format_args!(
        "cost: {}, {}, {:.3} s; policy: {}",
        plural(cost.attestations, "attestation"),
        plural(cost.bytes, "byte"),
        cost.seconds,
        agreement.quorum.policy
    ));
    out
}

fn position(party: &PartyReport, out: &mut Screen) {
    let mark = if party.counted {
        Style::Good.of("+")
    } else {
        Style::Open.of("-")
    };
    let organisation = party
        .organisation
        .as_deref()
        .map_or_else(String::new, |name| format!(", {name}"));
    let what = format!(" {} ({}{organisation}): {}", party.party, party.role, party.why);
    out.line([mark, plain(what)]);
    let when = party
        .time
        .map_or_else(|| "no time given".to_owned(), |time| time.to_string());
    let times = if party.times > 1 {
        format!(", {} times", party.times)
    } else {
        String::new()
    };
    let subject = party
        .subject
        .as_deref()
        .map_or_else(String::new, |name| format!(", about {name}"));
    out.say(format_args!("    {when}{times}{subject}  {}", party.origin));
}

fn differ(divergence: &Divergence, out: &mut Screen) {
    out.say(format_args!("the parties differ in the {}:", divergence.aspect));
    for group in &divergence.groups {
        out.say(format_args!("    {}: {}", group.parties.join(", "), group.value));
    }
    for difference in &divergence.differences {
        let values: Vec<_> = difference
            .values
            .iter()
            .map(|value| value.as_deref().unwrap_or("(none)"))
            .collect();
        out.say(format_args!("      {}: {}", difference.name, values.join(" / ")));
    }
}

/// The conclusion, and advice if it ignored signers.
fn verdict(agreement: &Agreement, out: &mut Screen) {
    let style = match agreement.verdict {
        Conclusion::Agreed => Style::Good,
        Conclusion::Disagreed => Style::Bad,
        Conclusion::Equivalent | Conclusion::NotEnough => Style::Open,
    };
    out.line([
        style.of(agreement.verdict.word()),
        plain(format_args!("  {}", agreement.reason)),
    ]);
    let unknown = |aside: &SetAside| aside.reason == Reason::UnknownSigner;
    if agreement.verdict == Conclusion::NotEnough && agreement.set_aside.iter().any(unknown) {
        let advice = if agreement.quorum.digest.is_some() {
            format!(
                " to count a signer, add its key or identity to the [[parties]] of {}",
                agreement.quorum.policy
            )
        } else {
            " to count a signer, name its public key with --trusted-key, or its identity with --identity and --issuer"
                .to_owned()
        };
        out.line([Style::Help.of("help:"), plain(advice)]);
    }
}
