//! Signatures of Google Cloud Build over its provenance.

use super::{over_message, verify_envelope};
use crate::evidence::Proof;
use crate::evidence::dsse::Envelope;
use crate::evidence::trust::Trust;

/// In the names of the keys, one for each region, that signed before Cloud Build kept to DSSE: the payload alone.
const OF_PAYLOAD: &str = "/keyRings/attestor/cryptoKeys/builtByGCB/cryptoKeyVersions/";

/// Verifies an envelope of Cloud Build. Its global keys sign as DSSE says, and those of a region the bytes of the payload.
pub(super) fn cloud_build(envelope: &Envelope, trust: &Trust) -> Proof {
    let (regional, global): (Vec<_>, Vec<_>) = envelope
        .signatures
        .iter()
        .cloned()
        .partition(|(keyid, _)| keyid.contains(OF_PAYLOAD));
    let keys = trust.plain_keys();
    if regional.is_empty() || keys.is_empty() {
        return verify_envelope(envelope, trust);
    }
    let signed = Envelope {
        signatures: global,
        ..envelope.clone()
    };
    let whole = verify_envelope(&signed, trust);
    whole.or_else(|_| over_message(&envelope.payload, &regional, &keys, trust.threshold))
}
