//! What several parties say of one artifact, for a terminal.

use std::fmt::Write as _;

use super::plain;
use crate::agreement::{Agreement, Conclusion};

/// The conclusion as lines; `colour` adds ANSI codes.
pub fn terminal(agreement: &Agreement, colour: bool) -> String {
    let paint = super::painter(colour);
    let mut out = String::new();
    let about = &agreement.artifact;
    let purl = about
        .purl
        .as_deref()
        .map_or_else(String::new, |purl| format!("  {purl}"));
    let _ = writeln!(out, "{}{purl}  sha256:{}", plain(&about.name), about.sha256);
    for party in &agreement.parties {
        let mark = if party.counted {
            paint("1;32", "+")
        } else {
            paint("1;33", "-")
        };
        let organisation = party
            .organisation
            .as_deref()
            .map_or_else(String::new, |name| format!(", {name}"));
        let _ = writeln!(
            out,
            "{mark} {} ({}{organisation}): {}",
            plain(&party.party),
            plain(&party.role),
            plain(&party.why)
        );
        let when = party
            .time
            .map_or_else(|| "no time is told".to_owned(), |time| time.to_string());
        let times = if party.times > 1 {
            format!(", {} times", party.times)
        } else {
            String::new()
        };
        let _ = writeln!(out, "    {when}{times}  {}", plain(&party.origin));
    }
    for divergence in &agreement.divergences {
        let _ = writeln!(out, "they differ in the {}:", divergence.aspect);
        for group in &divergence.groups {
            let _ = writeln!(
                out,
                "    {}: {}",
                plain(&group.parties.join(", ")),
                plain(&group.value)
            );
        }
        for difference in &divergence.differences {
            let values: Vec<_> = difference
                .values
                .iter()
                .map(|value| value.as_deref().unwrap_or("(none)"))
                .collect();
            let _ = writeln!(
                out,
                "      {}: {}",
                plain(&difference.name),
                plain(&values.join(" / "))
            );
        }
    }
    for aside in &agreement.set_aside {
        let _ = writeln!(out, "set aside, {}: {}", aside.meaning, aside.count);
        for example in &aside.examples {
            let _ = writeln!(out, "    {}", plain(example));
        }
    }
    let code = match agreement.verdict {
        Conclusion::Agreed => "1;32",
        Conclusion::Disagreed => "1;31",
        Conclusion::Equivalent | Conclusion::NotEnough => "1;33",
    };
    let _ = writeln!(
        out,
        "{}  {}",
        paint(code, agreement.verdict.word()),
        plain(&agreement.reason)
    );
    let cost = &agreement.cost;
    let _ = writeln!(
        out,
        "cost: {} attestations, {} bytes, {:.3} s; policy: {}",
        cost.attestations, cost.bytes, cost.seconds, agreement.quorum.policy
    );
    out
}
