//! Our summaries, held against the policies that Ampel publishes for summaries.
//!
//! Run by hand: `REBUILDER_PEERS` has a checkout of carabiner-dev/policies, and the Python of `REBUILDER_THIRD_PARTY` has
//! cel-python.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use super::vsa::agreed;
use crate::common::{text, third_party_python};
use crate::harness::skip_by_hand;

/// The policy that docs/verify.md offers, as it stands there.
fn offered() -> Value {
    let page = include_str!("../../../docs/verify.md");
    let (_, rest) = page.split_once("```json\n").unwrap();
    let (policy, _) = rest.split_once("```").unwrap();
    serde_json::from_str(policy).unwrap()
}

#[apply(test)]
fn ampels_policies_take_our_summary_for_exactly_what_it_says() {
    let folder = std::env::var_os("REBUILDER_PEERS").map(PathBuf::from);
    let folder =
        folder.unwrap_or_else(|| skip_by_hand("REBUILDER_PEERS, a folder with checkouts of other projects"));
    let Some(python) = third_party_python() else {
        return;
    };
    let (bytes, _, _) = agreed(&["--format", "dsse"]);
    let place = tempfile::tempdir().unwrap();
    let path = |name: &str| place.path().join(name);
    fs::write(path("summary.json"), bytes).unwrap();
    fs::write(path("offered.json"), offered().to_string()).unwrap();
    let published = |name: &str| folder.join("carabiner-dev/policies/vsa").join(name);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/third-party/ampel.py");
    for (policy, context, passes) in [
        (path("offered.json"), json!({}), true),
        (
            published("vsa-verify-verifier.json"),
            json!({"verifier": "https://verifier.example"}),
            true,
        ),
        (
            published("vsa-verify-verifier.json"),
            json!({"verifier": "https://other.example"}),
            false,
        ),
        (
            published("vsa-verify-resourceuri.json"),
            json!({"vsaResourceURI": "pkg:generic/app@1.0"}),
            true,
        ),
        (
            published("vsa-verify-resourceuri.json"),
            json!({"vsaResourceURI": "pkg:generic/app@1.1"}),
            false,
        ),
        // A rebuild establishes no level of the builder, and none of the source.
        (published("slsa-build-level1.json"), json!({}), false),
        (published("slsa-build-level2.json"), json!({}), false),
        (published("slsa-build-level3.json"), json!({}), false),
        (published("slsa-source-level1.json"), json!({}), false),
        // These look for dependencies of a lower level alone; of ours, which have no such levels, they find none.
        (published("slsa-build-deps-level-2.json"), json!({}), true),
        (published("slsa-build-deps-level-3.json"), json!({}), true),
    ] {
        let mut command = Command::new(&python);
        command
            .arg(&script)
            .arg(path("summary.json"))
            .arg(&policy)
            .arg(context.to_string());
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}: {}", policy.display(), text(&output));
        let found = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(found, passes.to_string(), "{} {context}", policy.display());
    }
}
