//! Asks witnesses to sign a checkpoint (c2sp.org/tlog-witness).

use std::collections::BTreeMap;
use std::time::Duration;

use super::PublicLogError;
use super::checkpoint::{Checkpoint, base64, decimal};
use super::note::{self, NOTE_LIMIT};
use super::policy::{LogPolicy, Witness};
use super::tree::Row;
use crate::error::with_causes;
use crate::store::{Fetcher, Request};

/// How long a witness may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Witnesses that are asked about each checkpoint.
#[derive(Clone)]
pub struct Witnesses {
    /// Who they are, and how many must sign.
    pub policy: LogPolicy,
    /// The way to them.
    pub fetcher: Fetcher,
}

/// What the witnesses said.
#[derive(Debug, Default)]
pub struct Asked {
    /// Signature lines for the checkpoint.
    pub lines: String,
    /// Who signed, by the names in the policy.
    pub names: Vec<String>,
    /// The size that each of them knows now, by its key.
    pub sizes: BTreeMap<String, u64>,
    refusals: Vec<String>,
}

impl Asked {
    /// Why there are not more signatures.
    pub fn reason(&self) -> String {
        match self.refusals.as_slice() {
            [] => "the policy names no address of the witnesses that it needs".into(),
            all => all.join("; "),
        }
    }
}

impl Witnesses {
    /// Asks every witness that has an address; `known` has the sizes that they signed last, and `proof` gives the
    /// consistency proof from a size. What one of them refuses is not an error.
    pub fn ask(
        &self,
        head: &Checkpoint,
        note: &str,
        known: &BTreeMap<String, u64>,
        proof: impl Fn(u64) -> Result<Row, PublicLogError>,
    ) -> Result<Asked, PublicLogError> {
        let mut asked = Asked::default();
        for witness in self.policy.witnesses() {
            let Some(url) = &witness.url else { continue };
            let url = format!("{}/add-checkpoint", url.trim_end_matches('/'));
            let key = witness.key.to_string();
            let mut old = known.get(&key).copied().unwrap_or(0).min(head.size);
            // A witness that knows another size says which.
            for _ in 0..2 {
                let body = body(old, &proof(old)?, note);
                match self.ask_one(witness, &url, body, &head.text()) {
                    Ok(Answer::Signed(line)) => {
                        asked.lines.push_str(&line);
                        asked.names.push(witness.name.clone());
                        asked.sizes.insert(key, head.size);
                        break;
                    }
                    Ok(Answer::Knows(size)) if size <= head.size && size != old => old = size,
                    Ok(Answer::Knows(size)) => {
                        asked.refusals.push(format!(
                            "{} has signed {size} entries of this log before, and this checkpoint has {}",
                            witness.name, head.size
                        ));
                        break;
                    }
                    Err(reason) => {
                        asked.refusals.push(format!("{}: {reason}", witness.name));
                        break;
                    }
                }
            }
        }
        Ok(asked)
    }

    fn ask_one(&self, witness: &Witness, url: &str, body: String, text: &str) -> Result<Answer, String> {
        self.fetcher.choose(url);
        let request = Request {
            name: "the witness",
            url,
            accept: None,
            token: None,
            limit: NOTE_LIMIT,
        };
        let post = self.fetcher.post(request, ("text/plain", body), PATIENCE);
        let posted = tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(post));
        let posted = posted.map_err(|error| with_causes(&error))?;
        let answer = String::from_utf8_lossy(&posted.body);
        match posted.status {
            200 => note::cosignature(text, &answer, &witness.key)?
                .map(Answer::Signed)
                .ok_or_else(|| "its answer has no signature by its key".into()),
            409 => decimal(answer.trim_end_matches('\n'))
                .map(Answer::Knows)
                .ok_or_else(|| {
                    "it says that this checkpoint contradicts another one of the same size".into()
                }),
            403 => Err("it does not take the key of this log".into()),
            404 => Err("it does not know this log".into()),
            422 => Err(
                "it says that this checkpoint does not continue the one that it signed last: the log may be forked"
                    .into(),
            ),
            status => Err(format!("HTTP status {status}")),
        }
    }
}

enum Answer {
    /// The line to add to the note.
    Signed(String),
    /// Another size than the one that was stated.
    Knows(u64),
}

/// What a witness is sent.
fn body(old: u64, proof: &[sigstore_verify::types::Sha256Hash], note: &str) -> String {
    let lines: String = proof.iter().map(|hash| base64(hash) + "\n").collect();
    format!("old {old}\n{lines}\n{note}")
}
