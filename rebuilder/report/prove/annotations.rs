//! A proof as lines for continuous integration: one for each culprit, in the form that GitHub shows beside the code, or as
//! plain text.

use super::{causes, headline, odds, title};
use crate::prove::Proof;
use crate::text::{Screen, visible};

/// The lines; `workflow` for those that GitHub's runner reads as commands.
pub fn annotations(proof: &Proof, workflow: bool) -> Screen {
    let mut out = Screen::new(false);
    let mut error = |what: &str, text: &str| {
        if workflow {
            out.say(format_args!(
                "::error title=prove: {}::{}",
                property(what),
                message(text)
            ));
        } else {
            out.say(format_args!("error: {what}: {text}"));
        }
    };
    for culprit in &proof.culprits {
        let place = culprit.places.first().map_or("the outputs", String::as_str);
        let why: Vec<_> = causes(&culprit.files).map(|cause| cause.cause.title()).collect();
        error(
            &title(culprit),
            &format!("it changes {place} ({})", why.join(", ")),
        );
    }
    if let Some(random) = &proof.random {
        error("random", &odds(random));
    }
    for against in proof.against.iter().filter(|against| !against.is_same()) {
        error(
            "against",
            &format!("{} is not what the build gives", against.file),
        );
    }
    out.say(headline(proof));
    out
}

/// Text that cannot end a command of the runner, or begin another one.
fn message(text: &str) -> String {
    visible(text).replace('%', "%25")
}

fn property(text: &str) -> String {
    message(text).replace(':', "%3A").replace(',', "%2C")
}
