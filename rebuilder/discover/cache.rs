//! Answers that are kept for a while.
//!
//! An answer with statements is kept as long as the policy says; that there is none, ten minutes, as somebody may state
//! something soon; that a source did not answer, one minute, so that an installation of many packages waits once.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Answer, Asked, Subject};
use crate::artifact::Sha256;
use crate::policy::StatementSource;
use crate::store::Store;

const NONE: SignedDuration = SignedDuration::from_mins(10);
const NO_ANSWER: SignedDuration = SignedDuration::from_mins(1);
/// How far a clock may have been set back since.
const AHEAD: SignedDuration = SignedDuration::from_mins(1);

/// The form of the file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    version: u32,
    asked: Asked,
}

/// Tells one question from another; a source with another address is asked again.
fn question(source: &StatementSource, subject: &Subject) -> Sha256 {
    let parts = [
        source.kind.word(),
        source.address(),
        source.repository.as_deref().unwrap_or_default(),
        source.token_env.as_deref().unwrap_or_default(),
        subject.file.as_deref().unwrap_or_default(),
        subject.purl.as_deref().unwrap_or_default(),
    ];
    Sha256::of(serde_json::json!(parts).to_string())
}

/// The kept answer, if it is fresh and all that was found is still in the store.
pub(super) fn kept(
    source: &StatementSource,
    subject: &Subject,
    store: &Store,
    now: Timestamp,
) -> Option<Asked> {
    let bytes = store.kept_answer(subject.sha256, question(source, subject))?;
    let Entry {
        version: 1,
        mut asked,
    } = serde_json::from_slice(&bytes).ok()?
    else {
        return None;
    };
    let lasts = match asked.answer {
        Answer::Found => SignedDuration::from_hours(source.maximum_age_hours.into()),
        Answer::None | Answer::NotAsked => {
            NONE.min(SignedDuration::from_hours(source.maximum_age_hours.into()))
        }
        Answer::NoAnswer => NO_ANSWER,
    };
    let age = now.duration_since(asked.time);
    if age >= lasts || age < -AHEAD {
        return None;
    }
    for found in &asked.found {
        store.get(found.sha256?).ok()??;
    }
    asked.source.clone_from(&source.name);
    asked.cached = true;
    Some(asked)
}

/// Keeps an answer. If that fails, the source is asked again next time, and nothing else follows.
pub(super) fn keep(source: &StatementSource, subject: &Subject, store: &Store, asked: &Asked) {
    let entry = Entry {
        version: 1,
        asked: asked.clone(),
    };
    if let Ok(bytes) = serde_json::to_vec(&entry) {
        let _ = store.keep_answer(subject.sha256, question(source, subject), &bytes);
    }
}
