//! What slsa-verifier checks of a verification summary, in the same order.

use super::*;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Envelope {
    pub(super) payload: String,
    pub(super) payload_type: String,
    pub(super) signatures: Vec<Signature>,
}

#[derive(Deserialize)]
pub(super) struct Signature {
    #[serde(default)]
    keyid: String,
    sig: String,
}

/// The types of `verifiers/internal/vsa/v1.0/vsa.go`: what does not fit them is refused.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Summary {
    verifier: Verifier,
    #[serde(default, rename = "timeVerified")]
    _time_verified: Option<jiff::Timestamp>,
    resource_uri: String,
    #[serde(default, rename = "policy")]
    _policy: Material,
    #[serde(default, rename = "inputAttestations")]
    _input_attestations: Vec<Material>,
    verification_result: String,
    #[serde(default)]
    verified_levels: Vec<String>,
    #[serde(default, rename = "dependencyLevels")]
    _dependency_levels: Option<BTreeMap<String, i64>>,
    #[serde(default, rename = "slsaVersion")]
    _slsa_version: String,
}

#[derive(Deserialize)]
pub(super) struct Verifier {
    #[serde(default)]
    id: String,
    #[serde(default, rename = "version")]
    _version: BTreeMap<String, String>,
}

#[derive(Deserialize, Default)]
pub(super) struct Material {
    #[serde(default, rename = "uri")]
    _uri: String,
    #[serde(default, rename = "digest")]
    _digest: BTreeMap<String, String>,
}

/// The levels of each SLSA track; a word with SLSA's prefix must be of one.
pub(super) fn tracks(levels: &[String]) -> Result<BTreeMap<String, i64>, &'static str> {
    let mut tracks = BTreeMap::new();
    for level in levels.iter().filter(|level| level.starts_with("SLSA_")) {
        let parts: Vec<_> = level.splitn(4, '_').collect();
        let [_, track, "LEVEL", number] = parts[..] else {
            return Err("invalid SLSA level");
        };
        let number: i64 = number.parse().map_err(|_| "invalid SLSA level")?;
        let best = tracks.entry(track.to_owned()).or_insert(number);
        *best = number.max(*best);
    }
    Ok(tracks)
}

/// An ECDSA signature of r and s one after the other, as that tool reads it besides the form in ASN.1, which is given.
pub(super) fn in_asn1(raw: &[u8]) -> Vec<u8> {
    let number = |bytes: &[u8]| {
        let start = bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len());
        let mut number = bytes[start..].to_vec();
        if number.first().is_none_or(|first| *first >= 0x80) {
            number.insert(0, 0);
        }
        [&[2, u8::try_from(number.len()).unwrap()], &number[..]].concat()
    };
    let (r, s) = raw.split_at(raw.len() / 2);
    let both = [number(r), number(s)].concat();
    [&[0x30, u8::try_from(both.len()).unwrap()], &both[..]].concat()
}

/// `VerifyVSA`, check by check and in its order.
pub(crate) fn verify_vsa(bytes: &[u8], expected: &Expected) -> Result<(), &'static str> {
    let envelope: Envelope = serde_json::from_slice(bytes).map_err(|_| "invalid envelope")?;
    if envelope.payload_type != "application/vnd.in-toto+json" {
        return Err("payload type");
    }
    let payload = STANDARD
        .decode(&envelope.payload)
        .map_err(|_| "payload encoding")?;
    let der = pem::parse(&expected.public).map_err(|_| "public key")?;
    let key = PublicKey::from_spki("the key", der.contents()).map_err(|_| "public key")?;
    let message = [
        format!(
            "DSSEv1 {} {} {} ",
            envelope.payload_type.len(),
            envelope.payload_type,
            payload.len()
        )
        .as_bytes(),
        &payload,
    ]
    .concat();
    // A signature that names a key is only tried with that key; without a name given, the verifier makes one of its own.
    let is_its = |signature: &&Signature| signature.keyid.is_empty() || signature.keyid == expected.key_id;
    let signed = envelope.signatures.iter().filter(is_its).any(|signature| {
        let bytes = STANDARD.decode(&signature.sig).unwrap_or_default();
        key.verify(&message, &bytes) || key.verify(&message, &in_asn1(&bytes))
    });
    if !signed {
        return Err("no valid signature");
    }
    if payload.is_empty() {
        return Err("empty payload");
    }
    let statement: Value = serde_json::from_slice(&payload).map_err(|_| "invalid statement")?;
    let kinds = [
        "https://in-toto.io/Statement/v0.1",
        "https://in-toto.io/Statement/v1",
    ];
    if !kinds.iter().any(|kind| statement["_type"] == *kind) {
        return Err("statement type");
    }
    if statement["predicateType"] != "https://slsa.dev/verification_summary/v1" {
        return Err("predicate type");
    }
    let summary: Summary =
        serde_json::from_value(statement["predicate"].clone()).map_err(|_| "invalid predicate")?;
    if expected.digests.is_empty() {
        return Err("no subject digests provided");
    }
    for wanted in &expected.digests {
        let (algorithm, value) = wanted.split_once(':').ok_or("digest format")?;
        let subjects = statement["subject"].as_array().ok_or("no subject")?;
        if !subjects
            .iter()
            .any(|subject| subject["digest"][algorithm] == value)
        {
            return Err("missing subject digest");
        }
    }
    if summary.verifier.id.is_empty() || summary.verifier.id != expected.verifier {
        return Err("verifier id");
    }
    if summary.resource_uri.is_empty() || summary.resource_uri != expected.resource {
        return Err("resource uri");
    }
    if summary.verification_result != "PASSED" {
        return Err("result");
    }
    let (wanted, got) = (tracks(&expected.levels)?, tracks(&summary.verified_levels)?);
    for (track, least) in wanted {
        if got.get(&track).is_none_or(|level| *level < least) {
            return Err("SLSA level");
        }
    }
    let mut own = expected.levels.iter().filter(|level| !level.starts_with("SLSA_"));
    if own.any(|level| !summary.verified_levels.contains(level)) {
        return Err("verified level");
    }
    Ok(())
}
