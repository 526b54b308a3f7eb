//! After a tarball that was not reproduced: another line of node and npm, since order, times and compression of the
//! archive depend on their versions.

use crate::ecosystem::hints::{Alternative, EndedRun, Hints};
use crate::plan::Origin;

/// Lines of node and npm that went together, the most used first.
const LINES: [(&str, &str); 5] = [("20", "10"), ("16", "8"), ("14", "6"), ("18", "9"), ("22", "11")];

/// Plans that are worth a try, the likeliest first.
pub(super) fn after(run: &EndedRun<'_>, hints: &Hints) -> Vec<Alternative> {
    let (EndedRun::Built(..), true) = (run, hints.tools.is_empty()) else {
        return Vec::new();
    };
    let because = run.reason();
    let alternative = |(node, npm): &(&str, &str)| {
        let origin = || Origin::Tried(because.clone());
        Alternative {
            hints: hints
                .with_tool("node", node, origin())
                .with_tool("npm", npm, origin()),
            because: format!("node {node} with npm {npm}: {because}"),
        }
    };
    LINES.iter().map(alternative).collect()
}
