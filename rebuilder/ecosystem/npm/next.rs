//! After a tarball that came out otherwise: another line of node and npm, since order, times and compression of the
//! archive follow their versions.

use crate::ecosystem::hints::{Ended, Hints, Next};
use crate::plan::Origin;

/// Lines of node and npm that went together, the most used first.
const LINES: [(&str, &str); 5] = [("20", "10"), ("16", "8"), ("14", "6"), ("18", "9"), ("22", "11")];

/// Plans that are worth a try, the likeliest first.
pub(in crate::ecosystem) fn next(ended: &Ended, hints: &Hints) -> Vec<Next> {
    let (Ended::Built(..), true) = (ended, hints.tools.is_empty()) else {
        return Vec::new();
    };
    let because = ended.reason();
    let next = |(node, npm): &(&str, &str)| {
        let origin = || Origin::Tried(because.clone());
        Next {
            hints: hints
                .with_tool("node", node, origin())
                .with_tool("npm", npm, origin()),
            because: format!("node {node} with npm {npm}: {because}"),
        }
    };
    LINES.iter().map(next).collect()
}
