//! Single statements out of an answer: each is kept by itself, so that one that cannot be read hides no other.

use serde_json::Value;

use super::{Asking, Given, MOST_STATEMENTS, Silence};
use crate::evidence::document;
use crate::evidence::json;
use crate::text::plural;

/// The statements in one answer of a registry: npm's, GitHub's or PyPI's list, or a document by itself.
pub(super) fn of_json(bytes: &[u8]) -> Result<Vec<Value>, String> {
    let value = json::parse_evidence(bytes).map_err(|error| error.to_string())?;
    let list = |value: &Value, name: &str| value.get(name).and_then(Value::as_array).cloned();
    if let Some(bundles) = list(&value, "attestation_bundles") {
        let inside = bundles
            .iter()
            .map(|bundle| list(bundle, "attestations").ok_or("an entry has no list \"attestations\""));
        let inside: Vec<Vec<Value>> = inside.collect::<Result<_, _>>()?;
        return Ok(inside.into_iter().flatten().collect());
    }
    if let Some(items) = list(&value, "attestations") {
        let one = |item: Value| item.get("bundle").cloned().unwrap_or(item);
        return Ok(items.into_iter().map(one).collect());
    }
    Err("it is not a list of attestations".to_owned())
}

/// The statements in a file with one on each line, or in one line.
pub(super) fn of_lines(bytes: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    if document::read("the answer", bytes).is_ok_and(|documents| documents.len() == 1) {
        return Ok(vec![bytes.to_vec()]);
    }
    let lines = bytes.split(|byte| *byte == b'\n');
    let lines: Vec<_> = lines
        .filter(|line| !line.trim_ascii().is_empty())
        .map(<[u8]>::to_vec)
        .collect();
    let is_one = |line: &Vec<u8>| document::read("a line", line).is_ok();
    if lines.is_empty() || lines.iter().any(is_one) {
        return Ok(lines);
    }
    match document::read("the answer", bytes) {
        Err(error) => Err(error.to_string()),
        Ok(_) => Ok(vec![bytes.to_vec()]),
    }
}

impl Asking<'_> {
    /// Says that a statement that it has was not had.
    pub(super) fn miss(address: &str, reason: &dyn std::fmt::Display, given: &mut Given) {
        given.unread = given.unread.saturating_add(1);
        given.says.push(format!("{address} was not read: {reason}"));
    }

    /// Keeps statements that can be read, and says how many cannot, or were not read.
    pub(super) fn keep_all(
        &self,
        address: &str,
        pieces: impl IntoIterator<Item = Vec<u8>>,
        given: &mut Given,
    ) -> Result<(), Silence> {
        let (mut unreadable, mut more) = (0_u64, 0_u64);
        for piece in pieces {
            if given.documents.len() >= MOST_STATEMENTS {
                more = more.saturating_add(1);
                continue;
            }
            if document::read(address, &piece).is_err() {
                unreadable = unreadable.saturating_add(1);
                continue;
            }
            let blob = self.fetcher.store().keep(piece.as_slice())?;
            if given.documents.iter().all(|(_, known)| *known != blob) {
                given.documents.push((address.to_owned(), blob));
            }
        }
        given.unread = given.unread.saturating_add(unreadable);
        if unreadable > 0 {
            given.says.push(format!(
                "{} of its answer cannot be read",
                plural(unreadable, "statement")
            ));
        }
        if more > 0 {
            given.says.push(format!(
                "{} more than {MOST_STATEMENTS} were not read",
                plural(more, "statement")
            ));
        }
        Ok(())
    }
}
