//! Signatures of a wheel's RECORD: each must be about the RECORD beside it (PEP 491, "Signed wheel files").

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::Value;

use super::metadata;
use crate::compare::cause::{Cause, Confidence};
use crate::compare::finding::{Finding, Node, Presence};
use crate::compare::package::cms;
use crate::compare::package::digest::{Algorithm, of as digest};
use crate::compare::package::settle::{Members, Settling};
use crate::compare::stale;

const RECORD: &str = "RECORD";

/// Whether a path is that of a signature.
pub(super) fn is_signature(path: &str) -> bool {
    metadata(path).is_some_and(|file| matches!(file, "RECORD.jws" | "RECORD.p7s"))
}

pub(super) fn settle(settling: &Settling, node: &mut Node) {
    let is_known = |path: &str| is_signature(path) || metadata(path) == Some(RECORD);
    if !node.children.iter().any(|child| is_known(&child.name)) {
        return;
    }
    let Ok(members) = settling.members(&is_known) else {
        for child in node.children.iter_mut().filter(|child| is_signature(&child.name)) {
            refuse(child, "a signature that could not be compared with RECORD");
        }
        return;
    };
    for child in node.children.iter_mut().filter(|child| is_signature(&child.name)) {
        let other = child.rebuilt_name.as_deref().unwrap_or(&child.name);
        let right = (child.presence == Presence::OnlyRebuilt || is_of_record(&members.released, &child.name))
            && (child.presence == Presence::OnlyReleased || is_of_record(&members.rebuilt, other));
        if !right {
            refuse(child, "a signature of another RECORD");
        }
    }
    // A signature that is the same on both sides is wrong on one of them, if RECORD differs.
    let same = members
        .released
        .iter()
        .filter(|(path, bytes)| is_signature(path) && members.rebuilt.get(*path) == Some(bytes));
    let wrong = same
        .filter(|(path, _)| is_of_record(&members.released, path) != is_of_record(&members.rebuilt, path));
    let wrong: Vec<Finding> = wrong.map(|(path, _)| stale::signature(path)).collect();
    node.findings.extend(wrong);
}

fn refuse(child: &mut Node, why: &str) {
    let signatures = child
        .findings
        .iter_mut()
        .filter(|finding| finding.cause == Cause::Signature);
    for finding in signatures {
        finding.cause = Cause::Content;
        finding.confidence = Confidence::Proven;
        finding.normalisation = None;
        why.clone_into(&mut finding.key);
    }
}

/// Whether a signature is about the RECORD in its folder.
fn is_of_record(members: &Members, path: &str) -> bool {
    let record = path.strip_suffix(".jws").or_else(|| path.strip_suffix(".p7s"));
    let (Some(bytes), Some(record)) = (members.get(path), record.and_then(|record| members.get(record)))
    else {
        return false;
    };
    if path.ends_with(".p7s") {
        cms::signs(bytes, record)
    } else {
        is_web_signature_of(bytes, record).unwrap_or_default()
    }
}

/// Whether the payload of a JSON web signature names the digest of `record`.
fn is_web_signature_of(bytes: &[u8], record: &[u8]) -> Option<bool> {
    let signature: Value = serde_json::from_slice(bytes).ok()?;
    let payload = BASE64_URL_SAFE_NO_PAD
        .decode(signature.get("payload")?.as_str()?)
        .ok()?;
    let payload: Value = serde_json::from_slice(&payload).ok()?;
    let (algorithm, claimed) = payload.get("hash")?.as_str()?.split_once('=')?;
    let claimed = BASE64_URL_SAFE_NO_PAD.decode(claimed).ok()?;
    Some(digest(Algorithm::named(algorithm)?, record) == claimed)
}
