//! Signatures of Google Cloud Build over its provenance.

use super::{over_message, verify_envelope};
use crate::artifact::pattern;
use crate::evidence::dsse::Envelope;
use crate::evidence::trust::Trust;
use crate::evidence::{Proof, Unproven};

/// The names of the keys, one for each region, that signed before Cloud Build kept to DSSE: the payload alone.
const OF_PAYLOAD: &str =
    "projects/verified-builder/locations/*/keyRings/attestor/cryptoKeys/builtByGCB/cryptoKeyVersions/*";

/// Verifies an envelope of Cloud Build. Its global keys sign as DSSE says, and those of a region the bytes of the payload.
///
/// What signs files signs the bytes of a statement too, if it is given them as a file. So a signature over the payload
/// alone counts only by a key that the user calls by this very name: an envelope can name any key.
pub(super) fn cloud_build(envelope: &Envelope, trust: &Trust) -> Proof {
    let (regional, global): (Vec<_>, Vec<_>) = envelope
        .signatures
        .iter()
        .cloned()
        .partition(|(keyid, _)| pattern::fits(OF_PAYLOAD, keyid));
    let mut keys = trust.plain_keys();
    if regional.is_empty() || keys.is_empty() {
        return verify_envelope(envelope, trust);
    }
    let whole = (!global.is_empty()).then(|| {
        let signed = Envelope {
            signatures: global,
            ..envelope.clone()
        };
        verify_envelope(&signed, trust)
    });
    if let Some(Ok(whole)) = whole {
        return Ok(whole);
    }
    keys.retain(|(_, key)| regional.iter().any(|(keyid, _)| key.is_called(keyid)));
    match (keys.as_slice(), regional.first(), whole) {
        ([], _, Some(refused)) => refused,
        ([], Some((keyid, _)), None) => Err(Unproven::Unverifiable(format!(
            "it is signed over its payload alone, which counts only by a key with the name {keyid:?}, and no trusted key has it (give the key that name in the policy, or as the \"keyid\" of its JSON form)"
        ))),
        _ => over_message(&envelope.payload, &regional, &keys, trust.threshold),
    }
}
