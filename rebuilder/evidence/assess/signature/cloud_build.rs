//! Google Cloud Build's signatures of its provenance.

use super::{over_message, verify_envelope};
use crate::artifact::pattern;
use crate::evidence::dsse::Envelope;
use crate::evidence::trust::Trust;
use crate::evidence::{Proof, Unproven};

/// The names of the regional keys; they signed the payload alone, before Cloud Build followed DSSE.
const OF_PAYLOAD: &str =
    "projects/verified-builder/locations/*/keyRings/attestor/cryptoKeys/builtByGCB/cryptoKeyVersions/*";

/// Verifies an envelope of Cloud Build. Its global keys sign as DSSE specifies; its regional keys sign the bytes of
/// the payload.
///
/// A key that signs files can also be made to sign the bytes of a statement. So a signature over the payload alone
/// counts only for a key that the user has given this very name: an envelope can name any key.
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
