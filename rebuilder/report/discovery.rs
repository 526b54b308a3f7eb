//! The questions to sources about an artifact, and their answers, for a terminal.

use crate::discover::{Answer, Asked};
use crate::text::{Screen, Style, plain, plural};

/// One line for each source, followed by one line for each of its unsigned claims.
pub fn terminal(asked: &[Asked], out: &mut Screen) {
    for one in asked {
        let reason = one.reason.as_deref().unwrap_or("for an unknown reason");
        let (mark, what) = match one.answer {
            Answer::Found if one.found.iter().all(|found| found.sha256.is_none()) => {
                (Style::Good.of("+"), "all its files were read".to_owned())
            }
            Answer::Found => (
                Style::Good.of("+"),
                format!("found {}", plural(one.found.len(), "statement")),
            ),
            Answer::None => (plain("-"), "none".to_owned()),
            Answer::NoAnswer => (Style::Bad.of("!"), format!("no answer: {reason}")),
            Answer::NotAsked => (plain("-"), format!("not asked: {reason}")),
        };
        let when = if one.cached {
            format!(" (as of {})", one.time.strftime("%Y-%m-%dT%H:%M:%SZ"))
        } else {
            String::new()
        };
        let line = format!(
            " asked {} ({}, {}): {what}{when}",
            one.source,
            one.kind.word(),
            one.address
        );
        out.line([mark, plain(line)]);
        for said in &one.says {
            out.say(format_args!("    it says: {said}"));
        }
    }
}
