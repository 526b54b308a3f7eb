//! The answer of a gate, for people and for programs.

use serde_json::{Value, json};

use super::judge::{Judged, Judgement, Outcome};
use crate::cli::failure::Failure;
use crate::cli::{Common, output};
use crate::discover::Answer;
use crate::report;
use crate::text::{Screen, Style, plain, plural};

/// Prints the result for each package. For people, packages that simply pass are only counted.
pub(super) fn result(
    common: &Common,
    gate: &str,
    judgement: &Judgement,
    allow_unknown: bool,
) -> Result<(), Failure> {
    if common.json {
        return output::print_json(&document(gate, judgement));
    }
    let mut screen = output::screen();
    let passed = judgement
        .packages
        .iter()
        .filter(|one| one.outcome.passes())
        .count();
    for one in &judgement.packages {
        package(one, &mut screen);
    }
    let all = judgement.packages.len();
    if judgement.passed() {
        if !common.quiet {
            screen.line([
                Style::Good.of("+"),
                plain(format!(
                    " gate {gate}: {} may be installed",
                    plural(all, "package")
                )),
            ]);
        }
    } else {
        let refused = plural(all.saturating_sub(passed), "package");
        screen.line([
            Style::Bad.of("!"),
            plain(format!(
                " gate {gate}: {refused} of {all} refused; nothing was installed"
            )),
        ]);
        for advice in advice(judgement, allow_unknown) {
            screen.paragraph(&Style::Help.of("help:"), &advice);
        }
    }
    output::print(&screen)
}

fn package(one: &Judged, screen: &mut Screen) {
    let (mark, why) = match &one.outcome {
        Outcome::Agreed => return,
        Outcome::Equivalent => (Style::Open.of("-"), "passes, but only as equivalent".to_owned()),
        Outcome::LetPass(why) => (
            Style::Open.of("-"),
            format!("passes because of --allow-unknown: {why}"),
        ),
        Outcome::Against(why) => (
            Style::Bad.of("!"),
            format!("refused because a party speaks against it: {why}"),
        ),
        Outcome::NoQuorum(why) | Outcome::OtherPackage(why) => {
            (Style::Bad.of("!"), format!("refused: {why}"))
        }
        Outcome::TooFew(why) => (
            Style::Bad.of("!"),
            format!("refused because too few parties vouch for it: {why}"),
        ),
    };
    let digest = one.agreement.as_ref().map_or_else(String::new, |agreement| {
        format!("  sha256:{}", agreement.artifact.sha256)
    });
    screen.line([mark, plain(format!(" {}: {why}{digest}", one.label))]);
    if !one.outcome.passes() {
        report::discovery::terminal(&one.asked, screen);
    }
}

/// Advice about the refusals, one sentence for each kind.
fn advice(judgement: &Judgement, allow_unknown: bool) -> Vec<String> {
    let has = |fits: fn(&Outcome) -> bool| judgement.packages.iter().any(|one| fits(&one.outcome));
    let policy = &judgement.policy;
    let mut all = Vec::new();
    if has(|outcome| matches!(outcome, Outcome::Against(_))) {
        all.push(
            "do not install a package that a trusted party speaks against until you know why: \"rebuilder \
            verify FILE --discover\" shows what each party says"
                .to_owned(),
        );
    }
    if has(|outcome| matches!(outcome, Outcome::NoQuorum(_))) {
        all.push(format!(
            "add to {policy} a [[quorums]] entry whose subject matches"
        ));
    }
    if has(|outcome| matches!(outcome, Outcome::OtherPackage(_))) {
        all.push(
            "do not install a file that is not the package that it is said to be: \"rebuilder verify FILE\" shows \
            what each party says of these bytes"
                .to_owned(),
        );
    }
    if has(|outcome| matches!(outcome, Outcome::TooFew(_))) {
        let silent = judgement.packages.iter().filter(|one| !one.outcome.passes());
        let silent = silent
            .flat_map(|one| &one.asked)
            .any(|asked| asked.answer == Answer::NoAnswer);
        if silent {
            all.push("a source did not answer: see the reason above, or try again".to_owned());
        }
        let pass = if allow_unknown {
            ""
        } else {
            ", or let such packages pass with --allow-unknown"
        };
        all.push(format!(
            "wait until more parties have rebuilt it, add sources or parties to {policy}{pass}"
        ));
    }
    all
}

fn document(gate: &str, judgement: &Judgement) -> Value {
    let packages = judgement.packages.iter().map(|one| {
        let (outcome, reason) = match &one.outcome {
            Outcome::Agreed => ("agreed", None),
            Outcome::Equivalent => ("equivalent", None),
            Outcome::LetPass(why) => ("let-pass", Some(why)),
            Outcome::Against(why) => ("against", Some(why)),
            Outcome::NoQuorum(why) => ("no-quorum", Some(why)),
            Outcome::OtherPackage(why) => ("other-package", Some(why)),
            Outcome::TooFew(why) => ("too-few", Some(why)),
        };
        json!({
            "package": one.label,
            "passes": one.outcome.passes(),
            "outcome": outcome,
            "reason": reason,
            "agreement": one.agreement,
            "asked": one.asked,
        })
    });
    json!({
        "version": 1,
        "gate": gate,
        "passes": judgement.passed(),
        "policy": judgement.policy,
        "packages": packages.collect::<Vec<_>>(),
    })
}
