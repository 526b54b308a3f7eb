//! Public keys in the form of securesystemslib, which in-toto's layouts contain: JSON with `keytype`, `scheme` and
//! `keyval`, and the name that signatures give the key.

use serde_json::Value;
use sigstore_verify::crypto::SigningScheme;

use super::json::{self, member};
use super::public_key::{ED25519, PublicKey, TrustError};

/// The members of a key; in layouts, `private` is present and empty.
const MEMBERS: [&str; 5] = ["keyid", "keyid_hash_algorithms", "keytype", "keyval", "scheme"];

/// Types of keys and their signature schemes, by their names in securesystemslib.
const SCHEMES: [(&[&str], &str, SigningScheme); 6] = [
    (&["ed25519"], "ed25519", SigningScheme::Ed25519),
    (
        &["ecdsa", "ecdsa-sha2-nistp256"],
        "ecdsa-sha2-nistp256",
        SigningScheme::EcdsaP256Sha256,
    ),
    (
        &["ecdsa", "ecdsa-sha2-nistp384"],
        "ecdsa-sha2-nistp384",
        SigningScheme::EcdsaP384Sha384,
    ),
    (&["rsa"], "rsassa-pss-sha256", SigningScheme::RsaPssSha256),
    (&["rsa"], "rsassa-pss-sha512", SigningScheme::RsaPssSha512),
    (&["rsa"], "rsa-pkcs1v15-sha256", SigningScheme::RsaPkcs1Sha256),
];

/// Reads a file that contains one key.
pub(super) fn parse(name: &str, bytes: &[u8]) -> Result<PublicKey, TrustError> {
    let value = json::parse_evidence(bytes).map_err(|error| invalid(name, error.to_string()))?;
    from_value(name, &value)
}

/// Reads a key from a larger document.
pub(super) fn from_value(name: &str, value: &Value) -> Result<PublicKey, TrustError> {
    let invalid = |reason: &str| invalid(name, reason.to_owned());
    let members = value
        .as_object()
        .ok_or_else(|| invalid("it is not a JSON object"))?;
    let method = member(value, ["method"]).as_str().unwrap_or_default();
    if method.starts_with("pgp+") {
        return Err(invalid(
            "it is an OpenPGP key in in-toto's form, which only layouts have; name the certificate (gpg --armor --export)",
        ));
    }
    if members.keys().any(|member| !MEMBERS.contains(&member.as_str())) {
        return Err(invalid(
            "it has members that a key of securesystemslib does not have",
        ));
    }
    if !member(value, ["keyval", "private"])
        .as_str()
        .unwrap_or_default()
        .is_empty()
    {
        return Err(invalid("it is a private key; name its public half"));
    }
    let text = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default();
    let (kind, scheme) = (text("keytype"), text("scheme"));
    let known = SCHEMES
        .iter()
        .find(|(kinds, name, _)| kinds.contains(&kind) && *name == scheme);
    let (.., signing) = known.ok_or_else(|| {
        invalid(&format!(
            "keys of the type {kind:?} and the scheme {scheme:?} are not supported"
        ))
    })?;
    let public = member(value, ["keyval", "public"]).as_str().unwrap_or_default();
    let der = if *signing == SigningScheme::Ed25519 && !public.starts_with("-----BEGIN") {
        let key = hex::decode(public).ok().filter(|key| key.len() == 32);
        [
            &ED25519[..],
            &key.ok_or_else(|| invalid("its keyval.public is not an Ed25519 key"))?,
        ]
        .concat()
    } else {
        let block = pem::parse(public).map_err(|error| invalid(&error.to_string()))?;
        if block.tag() != "PUBLIC KEY" {
            return Err(invalid("its keyval.public is not a public key"));
        }
        block.contents().to_vec()
    };
    let key = PublicKey::of_scheme(name, &der, *signing)?;
    Ok(match text("keyid") {
        "" => key,
        keyid => key.also_called(keyid),
    })
}

fn invalid(name: &str, reason: String) -> TrustError {
    TrustError::Key {
        name: name.to_owned(),
        reason,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const P256: &str = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE1Olb3zMAFFxXKHiIkQO5cJ3Yhl5i6UPp+IhuteBJbuHcA5UogKo0EWtlWwW6KSaKoTNEYL7JlCQiVnkhBktUgg==\n-----END PUBLIC KEY-----\n";

    #[test]
    fn reads_public_keys_whose_type_and_scheme_belong_together() {
        let ed25519 = "19bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb2c5c38ad703166e1";
        let key = |kind: &str, scheme: &str, public: &str| json!({"keyid": "a1b2", "keytype": kind, "scheme": scheme, "keyval": {"private": "", "public": public}});
        for (value, expected) in [
            (key("ed25519", "ed25519", ed25519), None),
            (key("ecdsa", "ecdsa-sha2-nistp256", P256), None),
            (key("ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256", P256), None),
            (
                key("ecdsa", "ecdsa-sha2-nistp384", P256),
                Some("does not sign by its scheme"),
            ),
            (
                key("rsa", "rsassa-pss-sha256", P256),
                Some("does not sign by its scheme"),
            ),
            (key("ed25519", "ed25519", "19bf"), Some("not an Ed25519 key")),
            (key("rsa", "ed25519", ed25519), Some("not supported")),
            (
                json!({"keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": ed25519, "private": "00"}}),
                Some("private key"),
            ),
            (
                json!({"keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": ed25519}, "x": 1}),
                Some("members"),
            ),
            (json!({}), Some("not supported")),
        ] {
            match (from_value("key", &value), expected) {
                (Ok(read), None) => assert!(read.is_called("a1b2") && !read.is_called("a1b3")),
                (Err(error), Some(words)) => assert!(error.to_string().contains(words), "{error}"),
                (read, _) => panic!("{value}: {read:?}"),
            }
        }
    }
}
