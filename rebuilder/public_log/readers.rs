//! Readers of what logs and witnesses serve.

use std::sync::LazyLock;

use super::checkpoint::{Checkpoint, SignedCheckpoint};
use super::entry::Entry;
use super::note::{self, Note, NoteKey};
use super::policy::LogPolicy;
use super::proof::LogProof;
use super::tile::{read_bundle, read_row};
use crate::reader::{Reader, as_text};

/// The first key of c2sp.org/signed-note.
const KEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";

static POLICY: LazyLock<Option<LogPolicy>> =
    LazyLock::new(|| LogPolicy::parse(&format!("log {KEY}\nquorum none\n")).ok());

/// For fuzzing.
pub const READERS: &[Reader] = &[
    ("log-checkpoint", |bytes| {
        as_text(bytes, |text| {
            drop(Checkpoint::parse(text));
            drop(Note::parse(text));
            if let Some(policy) = &*POLICY {
                drop(SignedCheckpoint::verify("x", text, policy));
            }
        });
    }),
    ("log-cosignature", |bytes| {
        as_text(bytes, |text| {
            if let Ok(key) = KEY.parse::<NoteKey>() {
                drop(note::cosignature("x\n", text, &key));
            }
        });
    }),
    ("log-proof", |bytes| {
        as_text(bytes, |text| {
            if let (Ok(proof), Some(policy)) = (LogProof::parse(text), &*POLICY) {
                drop(proof.verify(policy));
                assert_eq!(LogProof::parse(&proof.text()).ok(), Some(proof));
            }
        });
    }),
    ("log-tile", |bytes| {
        read_row(bytes, 2);
        read_bundle(bytes, 2);
    }),
    ("log-entry", |bytes| drop(Entry::read(bytes))),
    ("log-policy", |bytes| {
        as_text(bytes, |text| drop(LogPolicy::parse(text)));
    }),
    ("log-key", |bytes| {
        as_text(bytes, |text| drop(text.parse::<NoteKey>()));
    }),
];
