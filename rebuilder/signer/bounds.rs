//! How much a worker may say: of what it hands in, how many things, how long, and in what characters.
//!
//! Whatever passes here fits into a line of the log, into a statement, and onto a terminal.

use serde_json::Value;

use super::SignerError;
use crate::artifact::serialise;
use crate::attest::log::is_plain;
use crate::plan::Plan;
use crate::run::{Record, Verdict};

/// Maximum number of bytes of each document of a run.
pub(super) const RECORD: u64 = 32 << 20;
pub(super) const PLAN: u64 = 16 << 20;
pub(super) const LOG: u64 = 300 << 20;
pub(super) const REPORT: u64 = 64 << 20;
/// Maximum number of documents of evidence, and of bytes of all of them.
pub(super) const DOCUMENTS: usize = 64;
pub(super) const EVIDENCE: u64 = 64 << 20;
/// Maximum number of entries of a folder that are looked at.
pub(super) const ENTRIES: usize = 1024;
/// Maximum number of outputs, attempts, limits and credentials.
const OUTPUTS: usize = 4096;
const ATTEMPTS: usize = 64;
const LIMITS: usize = 16;
const CREDENTIALS: usize = 10_000;
/// Maximum number of bytes of an output that is not known to have been released, and of all outputs together.
pub(super) const OTHER: u64 = 1 << 30;
pub(super) const ALL: u64 = 32 << 30;
/// Maximum number of bytes of an output that is said to be the release, if only the worker knows how long that is.
pub(super) const UNKNOWN: u64 = 4 << 30;
/// Maximum length of a name of a run, of a file, and any other text of a plan or a record that ends in a statement.
const ID: usize = 128;
const NAME: usize = 255;
const TEXT: usize = 16 << 10;

/// Refuses a record with more than a rebuild can give, before anything is done with it.
pub(super) fn record(record: &Record) -> Result<(), SignerError> {
    let refuse = |reason: String| Err(SignerError::Run(reason));
    if ![1, 2].contains(&record.version) {
        return refuse(format!("has a record of version {}", record.version));
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || "._:+-".contains(c);
    if record.id.is_empty() || record.id.len() > ID || !record.id.chars().all(plain) {
        return refuse(format!(
            "has a name of {} bytes that is not made of letters, digits, dots, colons and dashes, at most {ID}",
            record.id.len()
        ));
    }
    for (what, count, most) in [
        ("outputs", record.outputs.len(), OUTPUTS),
        ("names that were not compared", record.not_compared.len(), OUTPUTS),
        ("attempts", record.attempts.len(), ATTEMPTS),
        ("limits that were not enforced", record.not_enforced.len(), LIMITS),
        ("credentials", record.credentials.len(), CREDENTIALS),
    ] {
        if count > most {
            return refuse(format!("has {count} {what}, but the maximum is {most}"));
        }
    }
    for (what, text, most) in [
        ("subject", &record.subject, 1024),
        ("backend", &record.backend, 64),
        ("version", &record.rebuilder, 64),
    ] {
        if text.len() > most || !is_plain(text) {
            return refuse(format!("has a {what} that is too long or not printable"));
        }
    }
    let names = record.outputs.iter().map(|output| &output.name);
    for name in names.chain(&record.not_compared) {
        // Names that lead elsewhere are refused where they are opened, with what is wrong with them.
        if name.len() > NAME || !is_plain(name) {
            return refuse("names an output whose name is too long or not printable".into());
        }
    }
    if let Verdict::Inconclusive { reason, .. } = &record.verdict
        && reason.len() > TEXT
    {
        return refuse("gives a reason that is too long".into());
    }
    Ok(())
}

/// Refuses a plan in which any text is too long for a statement or does not print.
pub(super) fn texts(plan: &Plan) -> Result<(), SignerError> {
    let plan = serialise::tree("the plan", plan)?;
    // Claims do not get into a statement; steps and texts have lines, and are compared with the signer's own.
    look(&plan, "", &|key| matches!(key, "run" | "text" | "claims")).map_err(SignerError::Plan)
}

fn look(value: &Value, key: &str, skip: &dyn Fn(&str) -> bool) -> Result<(), String> {
    let check = |text: &str| {
        if text.len() > TEXT {
            return Err(format!(
                "has a text of {} bytes ({key}), but the maximum is {TEXT}",
                text.len()
            ));
        }
        // Commands that provenance declares may have lines.
        let lines = key == "value" && is_plain(&text.replace(['\n', '\t'], " "));
        if !lines && !is_plain(text) {
            return Err(format!("has control characters in a text ({key})"));
        }
        Ok(())
    };
    match value {
        Value::String(text) => check(text),
        Value::Array(items) => items.iter().try_for_each(|item| look(item, key, skip)),
        Value::Object(fields) => fields.iter().try_for_each(|(name, value)| {
            if skip(name) {
                return Ok(());
            }
            check(name)?;
            look(value, name, skip)
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
    }
}
