//! A public, append-only log of verdicts that anyone can mirror and watch: a tiled log (c2sp.org/tlog-tiles) in a folder.
//!
//! ```text
//!  private log ──▶ entries ──▶ tiles and bundles ──▶ state ──▶ checkpoint (signed, cosigned)
//!  attest/log                  written once          size,     written last
//!                                                    root
//!  checkpoint ──▶ key, origin, witnesses ──▶ tiles ──▶ consistency with the last visit ──▶ entries
//! ```
//!
//! The writer keeps size and root in a separate file, and signs nothing that does not follow from them. A reader
//! believes a tile or an entry only as far as a signed checkpoint proves it. What was said stays: a verdict that is
//! withdrawn, or another one about the same run, is a further entry. `docs/public-log.md` has the formats.
//!
//! Hashes and checks of proofs are sigstore-merkle's, signatures those of `attest::key` and `evidence`; nothing here
//! computes either ([decisions/014](../../docs/decisions/014-public-log.md)).

#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

mod checkpoint;
mod entry;
mod error;
mod files;
mod note;
mod policy;
mod proof;
mod publish;
mod reader;
mod readers;
mod state;
mod tile;
mod tree;
mod verified;
mod watch;
mod witness;
mod writer;

pub use checkpoint::SignedCheckpoint;
pub use entry::{Entry, VerdictEntry, WithdrawalEntry};
pub use error::PublicLogError;
pub use note::NoteKey;
pub use policy::LogPolicy;
pub use proof::{LogProof, ProvenEntry};
pub use publish::{Publication, Published};
pub use reader::{OpenLog, Place};
#[doc(hidden)]
pub use readers::READERS;
pub use verified::VerifiedPublicLog;
pub use watch::{Seen, Visit, name as watched_name};
pub use witness::Witnesses;
