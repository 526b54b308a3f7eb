//! A verifier's summary (SLSA VSA v1): what it concluded, at which levels, and from which attestations.
//!
//! "Verifiers ... MUST verify": the subject by digest, `verifier.id`, `resourceUri` and `verifiedLevels`
//! (slsa.dev/spec/v1.1/verification_summary). A summary is no rebuild: it adds nothing to what it was made from.

use serde_json::Value;

use super::reading::{Aside, UNNAMED};
use super::testimony::{Kind, Reading, RebuildClaim};
use super::{Inputs, Reason};
use crate::evidence::assess::{Artifact, Resource, resource};
use crate::evidence::json::member;
use crate::evidence::statement::Statement;

/// Maximum number of levels, and of attestations that it was made from, that are read.
const MOST: usize = 4096;

/// Reads a summary whose subject is the artifact.
pub(super) fn read(statement: &Statement, artifact: &Artifact) -> Result<Reading, Aside> {
    let predicate = &statement.predicate;
    let text = |path: &[&str]| {
        let value = path
            .iter()
            .try_fold(predicate, |value: &Value, name| value.get(*name))?;
        value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
    };
    let missing = |what: &str| (Reason::Unreadable, format!("the summary has no {what}"));
    let verifier = text(&["verifier", "id"]).ok_or_else(|| missing("verifier.id"))?;
    let stated = text(&["resourceUri"]).ok_or_else(|| missing("resourceUri"))?;
    let note = match resource(&stated, artifact) {
        Resource::Same => None,
        Resource::Other(other) => return Err((Reason::WrongResource, other)),
        Resource::Incomparable(why) => Some(why),
    };
    let levels: Vec<String> = member(predicate, ["verifiedLevels"])
        .as_array()
        .into_iter()
        .flatten()
        .take(MOST)
        .filter_map(|level| level.as_str().map(str::to_owned))
        .collect();
    let says = match text(&["verificationResult"]).as_deref() {
        Some("PASSED") => passed(&levels)?,
        Some("FAILED") => RebuildClaim::Differs { rebuilt: None },
        _ => return Err(missing("result")),
    };
    let inputs = member(predicate, ["inputAttestations"]).as_array();
    let made_from = inputs.into_iter().flatten().take(MOST);
    let made_from = made_from.filter_map(|input| member(input, ["digest", "sha256"]).as_str());
    Ok(Reading {
        builder: Some(verifier),
        stated: text(&["timeVerified"]).and_then(|time| time.parse().ok()),
        statement: Some(statement.digest),
        made_from: made_from.map(str::to_lowercase).collect(),
        levels,
        note,
        ..Reading::new(Kind::Summary, says, Inputs::of_summary(predicate))
    })
}

/// What was verified, if that is how the file was built.
fn passed(levels: &[String]) -> Result<RebuildClaim, Aside> {
    if levels.iter().any(|level| level == "FAILED") {
        let why = "it says PASSED, but has FAILED among its levels".to_owned();
        return Err((Reason::Unreadable, why));
    }
    let number = |level: &str, start: &str| {
        // A number as it is written: with a sign or zeros before it, it is a word that poses.
        let digits = level.strip_prefix(start)?;
        let is_number = digits.bytes().all(|digit| digit.is_ascii_digit()) && !digits.starts_with('0');
        (is_number && digits.parse::<u32>().is_ok()).then_some(())
    };
    let any = |start: &str| levels.iter().any(|level| number(level, start).is_some());
    let reproduced = levels.iter().any(|level| level == "SLSA_BUILD_REPRODUCED");
    if reproduced || any("SLSA_BUILD_LEVEL_") || any("REBUILD_QUORUM_") {
        return Ok(RebuildClaim::Same);
    }
    if any("REBUILD_EQUIVALENT_QUORUM_") {
        return Ok(RebuildClaim::Equivalent {
            rebuilt: None,
            normalisations: vec![UNNAMED.to_owned()],
        });
    }
    let named = if levels.is_empty() {
        "no level".to_owned()
    } else {
        levels.iter().take(3).cloned().collect::<Vec<_>>().join(", ")
    };
    Err((
        Reason::NoBuild,
        format!("it is a verifier's summary, but not of the build ({named})"),
    ))
}
