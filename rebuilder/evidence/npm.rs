//! The npm registry: its description of a version, and its signing keys.
//!
//! The registry signs `NAME@VERSION:INTEGRITY` of everything that it serves, and a publish attestation for versions
//! that were published with provenance. Both show that the registry accepted these bytes, not who made them.

use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::trust::{KeyMaterial, PublicKey, TrustedKey};
use super::{Claim, Question, Standing};
use crate::artifact::{Digests, Sha256};

/// The name of the registry as a signer.
pub const SIGNER: &str = "the npm registry";
/// Address of the registry.
pub const REGISTRY: &str = "https://registry.npmjs.org";

/// The registry's signing keys, from its own list: name, key, expiry.
const KEYS: [(&str, &str, Option<&str>); 2] = [
    (
        "SHA256:jl3bwswu80PjjokCgh0o2w5c2U4LhQAE57gj9cz1kzA",
        "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE1Olb3zMAFFxXKHiIkQO5cJ3Yhl5i6UPp+IhuteBJbuHcA5UogKo0EWtlWwW6KSaKoTNEYL7JlCQiVnkhBktUgg==",
        Some("2025-01-29T00:00:00Z"),
    ),
    (
        "SHA256:DhQ8wR5APBvFHLF/+Tc+AYvPOdTpcIDqOhxsBHRwC7U",
        "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEY6Ya7W++7aUPzvMTrezH6Ycx3c+HOKYCcNGybJZSCJq/fd7Qa8uuAKtdIkUQtQiEKERhAmE5lMMJhP8OkDOa2g==",
        None,
    ),
];

/// The registry's keys.
pub fn registry_keys() -> &'static [TrustedKey] {
    static READ: OnceLock<Vec<TrustedKey>> = OnceLock::new();
    let key = |(name, der, until): &(&str, &str, Option<&str>)| {
        let key = PublicKey::from_spki(name, &STANDARD.decode(der).ok()?).ok()?;
        Some(TrustedKey {
            name: SIGNER.to_owned(),
            material: KeyMaterial::Plain(key),
            valid_from: None,
            valid_until: until.and_then(|text| text.parse::<Timestamp>().ok()),
            revoked: None,
        })
    };
    READ.get_or_init(|| KEYS.iter().filter_map(key).collect())
}

/// One version, according to the registry.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Version {
    /// Package name, with its scope.
    pub name: String,
    /// Version.
    pub version: String,
    /// The tarball.
    pub dist: Dist,
    /// Version of npm that packed it, if the registry recorded it.
    #[serde(rename = "_npmVersion")]
    pub npm: Option<String>,
    /// Version of Node.js that npm ran on, if the registry recorded it.
    #[serde(rename = "_nodeVersion")]
    pub node: Option<String>,
    /// Commit that npm found checked out; not verified.
    #[serde(rename = "gitHead")]
    pub git_head: Option<String>,
    /// Repository that `package.json` names.
    #[serde(default)]
    pub repository: Value,
}

/// The tarball of a version: its address and its digests.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Dist {
    /// URL of the tarball.
    pub tarball: String,
    /// Subresource integrity.
    pub integrity: Option<String>,
    /// The registry's signatures over name, version and integrity.
    #[serde(default)]
    pub signatures: Vec<RegistrySignature>,
    /// Attestations of the version: null, or an object with their address.
    #[serde(default)]
    pub attestations: Value,
}

/// One signature by the registry.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct RegistrySignature {
    /// Name of the key.
    pub keyid: String,
    /// Base64 of an ECDSA signature.
    pub sig: String,
}

/// Whether a file has this subresource integrity; false if no algorithm in it is known.
pub fn fits_integrity(integrity: &str, digests: &Digests) -> bool {
    // A text may have several hashes; the strongest known algorithm decides (W3C SRI).
    for algorithm in ["sha512", "sha384", "sha256"] {
        let mut given = integrity
            .split_whitespace()
            .filter_map(|hash| hash.strip_prefix(algorithm)?.strip_prefix('-'))
            .peekable();
        if given.peek().is_some() {
            let own = digests.get(algorithm).unwrap_or_default();
            return given.any(|hash| {
                let hash = hash.split('?').next().unwrap_or_default();
                STANDARD.decode(hash).is_ok_and(|bytes| hex::encode(bytes) == own)
            });
        }
    }
    false
}

/// The claim of the registry's own signature over a version whose tarball has these digests.
pub fn registry_claim(version: &Version, digests: &Digests, document: Sha256) -> Claim {
    let title = format!("{}@{}", version.name, version.version);
    let claim = |standing, claim: String, by: Option<String>, meaning: &str| Claim {
        question: Question::Signature,
        claim,
        by,
        standing,
        meaning: meaning.to_owned(),
        document: Some(document),
    };
    let integrity = version.dist.integrity.as_deref().unwrap_or_default();
    if !fits_integrity(integrity, digests) {
        return claim(
            Standing::Invalid,
            format!("the registry lists {title} with integrity {integrity:?}, which is not the tarball's"),
            None,
            "these are not the bytes that the registry lists",
        );
    }
    let message = format!("{title}:{integrity}");
    let good = |signature: &&RegistrySignature| is_good(signature, &message);
    if let Some(signature) = version.dist.signatures.iter().find(good) {
        return claim(
            Standing::Verified,
            format!("the registry signed {title} with this integrity"),
            Some(format!("{SIGNER}, key {}", signature.keyid)),
            "the registry distributes these bytes; this does not prove who made them",
        );
    }
    if version.dist.signatures.is_empty() {
        return claim(
            Standing::Unsigned,
            format!("the registry lists {title} with this integrity"),
            Some(REGISTRY.to_owned()),
            "a registry's hash is not a signature: it proves that the registry distributes these bytes, not who made them",
        );
    }
    let known = |signature: &RegistrySignature| KEYS.iter().any(|(name, ..)| *name == signature.keyid);
    if !version.dist.signatures.iter().any(known) {
        return claim(
            Standing::Unverifiable,
            format!("the registry signed {title} with a key that is not trusted here"),
            None,
            "the registry may have new keys since this version was made",
        );
    }
    claim(
        Standing::Invalid,
        format!("no signature of the registry over {title} verifies"),
        None,
        "the metadata was changed in transit",
    )
}

/// Whether a signature names one of the registry's keys, and that key verifies it.
fn is_good(signature: &RegistrySignature, message: &str) -> bool {
    let Ok(bytes) = STANDARD.decode(&signature.sig) else {
        return false;
    };
    registry_keys().iter().any(|key| match &key.material {
        KeyMaterial::Plain(plain) => {
            plain.is_called(&signature.keyid) && plain.verify(message.as_bytes(), &bytes)
        }
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_registrys_signature_binds_name_and_integrity() {
        assert_eq!(registry_keys().len(), KEYS.len());
        let digests = Digests::of(b"tarball");
        let integrity = STANDARD.encode(hex::decode(digests.get("sha512").unwrap()).unwrap());
        let mut version: Version = serde_json::from_value(serde_json::json!({
            "name": "a", "version": "1.0.0",
            "dist": {"tarball": "https://registry.npmjs.org/a/-/a-1.0.0.tgz", "integrity": format!("sha512-{integrity}")}
        }))
        .unwrap();
        let standing = |version: &Version| registry_claim(version, &digests, digests.sha256).standing;
        assert_eq!(standing(&version), Standing::Unsigned);
        version.dist.signatures = vec![RegistrySignature {
            keyid: KEYS[0].0.to_owned(),
            sig: "MEUCIQ==".into(),
        }];
        assert_eq!(standing(&version), Standing::Invalid);
        version.dist.signatures[0].keyid = "SHA256:of-tomorrow".into();
        assert_eq!(standing(&version), Standing::Unverifiable);
        version.dist.integrity = Some("sha512-AAAA".into());
        assert_eq!(standing(&version), Standing::Invalid);
    }

    #[test]
    fn the_strongest_hash_decides() {
        let digests = Digests::of(b"tarball");
        let hash = |algorithm: &str| {
            let bytes = hex::decode(digests.get(algorithm).unwrap()).unwrap();
            format!("{algorithm}-{}", STANDARD.encode(bytes))
        };
        let (strong, weak) = (hash("sha512"), hash("sha256"));
        for (integrity, expected) in [
            (strong.clone(), true),
            (weak.clone(), true),
            (format!("{strong} {weak}"), true),
            (format!("sha512-AAAA {weak}"), false),
            (format!("sha512-AAAA {strong}"), true),
            ("sha1-AAAA".into(), false),
            (String::new(), false),
        ] {
            assert_eq!(fits_integrity(&integrity, &digests), expected, "{integrity}");
        }
    }
}
