//! Readers of what a build leaves.

use super::Record;
use super::failure::{FailureCode, log};
use crate::reader::{Reader, as_text};

/// For fuzzing.
pub const READERS: &[Reader] = &[
    ("build-log", |bytes| {
        as_text(bytes, |text| {
            log::read(text, FailureCode::BuildFailed);
            log::last_lines(text);
        });
    }),
    ("record", |bytes| drop(serde_json::from_slice::<Record>(bytes))),
];
