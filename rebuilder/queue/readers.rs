//! Readers of what workers and servers send each other.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::wire::{Beats, Claim, Claimed, Digests, Held, Refusal, Results, Taken};
use crate::reader::Reader;

/// Reads a message; what was read is written, and reads again.
fn read<T: DeserializeOwned + Serialize>(bytes: &[u8]) {
    if let Ok(message) = serde_json::from_slice::<T>(bytes) {
        let again = serde_json::to_vec(&message).unwrap_or_default();
        assert!(
            serde_json::from_slice::<T>(&again).is_ok(),
            "a message is read again"
        );
    }
}

/// For fuzzing.
pub const READERS: &[Reader] = &[
    ("claim", read::<Claim>),
    ("held", read::<Held>),
    ("results", read::<Results>),
    ("digests", read::<Digests>),
    ("claimed", read::<Claimed>),
    ("beats", read::<Beats>),
    ("taken", read::<Taken>),
    ("refusal", read::<Refusal>),
];
