//! After a Debian build that failed: some packages want an ordinary user, a terminal, or their tests.

use crate::ecosystem::hints::{Ended, Hints, Next};
use crate::plan::Origin;
use crate::run::{Stage, Verdict};

/// Plans that are worth a try, the likeliest first.
pub(in crate::ecosystem) fn next(ended: &Ended, hints: &Hints) -> Vec<Next> {
    let Ended::Built(_, record) = ended else {
        return Vec::new();
    };
    let Verdict::Inconclusive { stage, .. } = &record.verdict else {
        return Vec::new();
    };
    if *stage != Stage::Build {
        return Vec::new();
    }
    let because = ended.reason();
    let changes = [
        ("user", "builder", "as an ordinary user on a terminal"),
        ("tests", "yes", "with its tests, which may make what it installs"),
    ];
    let open = changes
        .iter()
        .filter(|(name, ..)| !hints.settings.contains_key(*name));
    open.map(|(name, value, what)| Next {
        hints: hints.with_setting(name, value, Origin::Tried(because.clone())),
        because: format!("{what}: {because}"),
    })
    .collect()
}
