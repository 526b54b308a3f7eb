//! Readers of what sources of statements answer.

use super::{github, pieces, rebuilderd, rekor};
use crate::reader::Reader;

/// For fuzzing.
pub const READERS: &[Reader] = &[
    ("statements", |bytes| drop(pieces::of_json(bytes))),
    ("statement-lines", |bytes| drop(pieces::of_lines(bytes))),
    ("github-attestations", |bytes| drop(github::entries(bytes))),
    ("github-bundle", |bytes| drop(github::plain(bytes))),
    ("log-entries", |bytes| drop(rekor::answer(bytes))),
    ("rebuilderd-list", |bytes| {
        drop(rebuilderd::page(bytes));
        drop(rebuilderd::records(bytes));
    }),
];
