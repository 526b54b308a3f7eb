//! OpenPGP signatures and keys in the JSON of securesystemslib, which in-toto's own form has (`in-toto-run --gpg`).
//!
//! Of the signature's packet (version 4) there are the hashed part (`other_headers`) and the numbers (`signature`), so it is
//! put together again, and the library verifies it as any other. A key is its numbers alone, without the self-signatures
//! of a certificate: that it may sign, and until when, is the word of the layout that has it.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use der::asn1::UintRef;
use der::{Reader as _, SliceReader};
use jiff::Timestamp;
use openpgp::Packet;
use openpgp::crypto::mpi::{MPI, PublicKey};
use openpgp::packet::key::{Key4, PublicParts, UnspecifiedRole};
use openpgp::packet::{Key, Signature};
use openpgp::parse::Parse as _;
use openpgp::policy::{HashAlgoSecurity, Policy as _, StandardPolicy};
use openpgp::types::{HashAlgorithm, PublicKeyAlgorithm, SignatureType};
use sequoia_openpgp as openpgp;
use serde::Deserialize;
use serde_json::Value;

use super::{Keyring, OpenPgpError};
use crate::artifact::Sha256;

/// Most subkeys of one key.
const MOST_SUBKEYS: usize = 32;
/// Fewest bits of an RSA or DSA key that counts.
const FEWEST_BITS: usize = 2048;

/// A signature in this form; not verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonSignature {
    /// The fingerprint of the key, as the signature gives it.
    pub keyid: String,
    /// The packet; or why it cannot be one.
    packet: Result<Vec<u8>, String>,
}

/// Whether a signature is one in this form.
pub fn is_one(signature: &Value) -> bool {
    signature.get("other_headers").is_some()
}

#[derive(Deserialize)]
struct Parts {
    #[serde(default)]
    keyid: String,
    other_headers: String,
    signature: String,
}

impl JsonSignature {
    /// Reads one over `message`; `None` if it has another form.
    pub fn from_value(value: &Value, message: &[u8]) -> Option<Self> {
        let parts: Parts = serde_json::from_value(value.clone()).ok()?;
        let (headers, numbers) = (
            hex::decode(&parts.other_headers).ok()?,
            hex::decode(&parts.signature).ok()?,
        );
        Some(Self {
            packet: packet(&headers, &numbers, &parts.keyid, message),
            keyid: parts.keyid.to_lowercase(),
        })
    }

    /// Verifies it with trusted certificates; gives the good signers.
    pub fn by_certificate(&self, keyring: &Keyring, message: &[u8]) -> Result<Vec<String>, OpenPgpError> {
        let packet = self.packet.as_ref();
        let packet = packet.map_err(|reason| OpenPgpError::Malformed {
            document: format!("the signature by the key {}", self.keyid),
            source: anyhow::anyhow!("{reason}"),
        })?;
        let found = keyring.verify_detached("what is signed", packet, message)?;
        Ok(found.to_vec())
    }

    /// Why it cannot be verified by any key, if it cannot.
    pub fn unsupported(&self) -> Option<&str> {
        self.packet.as_ref().err().map(String::as_str)
    }

    /// The signature, if it is one of a document that counts today.
    fn read(&self) -> Result<Signature, String> {
        let packet = self.packet.clone()?;
        let Ok(Packet::Signature(signature)) = Packet::from_bytes(&packet) else {
            return Err("it is not an OpenPGP signature".into());
        };
        if signature.typ() != SignatureType::Binary {
            return Err(format!("it is of the type {}", signature.typ()));
        }
        let policy = StandardPolicy::new();
        let counts = policy.signature(&signature, HashAlgoSecurity::CollisionResistance);
        counts
            .and_then(|()| signature.signature_alive(None::<SystemTime>, None::<Duration>))
            .map_err(|error| error.to_string())?;
        Ok(signature)
    }
}

/// Puts the packet together (RFC 9580, 4.2.1 and 5.2.3). The parts that are not in the JSON only help to find the key.
fn packet(headers: &[u8], numbers: &[u8], keyid: &str, message: &[u8]) -> Result<Vec<u8>, String> {
    // 1. "One-octet version number", here 4, "signature type ID", "public key algorithm ID", "hash algorithm ID", and a
    //    "two-octet scalar octet count for the following hashed subpacket data". All of it must be what is hashed.
    let [4, _, algorithm, hash, high, low, hashed @ ..] = headers else {
        return Err("its other_headers are not those of a version 4 signature".into());
    };
    if hashed.len() != usize::from(u16::from_be_bytes([*high, *low])) {
        return Err("its other_headers have another length than they say".into());
    }
    // securesystemslib hashes with SHA-256, whatever the signature says, so any other hash is a contradiction.
    if HashAlgorithm::from(*hash) != HashAlgorithm::SHA256 {
        return Err("its hash is not SHA-256".into());
    }
    let mut body = headers.to_vec();
    // 2. The unhashed area: the issuer's fingerprint, which older versions of GnuPG do not hash.
    match hex::decode(keyid) {
        Ok(fingerprint) if fingerprint.len() == 20 => {
            body.extend([0, 23, 22, 33, 4]);
            body.extend(fingerprint);
        }
        _ => body.extend([0, 0]),
    }
    // 3. "Two-octet field holding the left 16 bits of the signed hash value."
    let length = u32::try_from(headers.len()).unwrap_or(u32::MAX).to_be_bytes();
    let digest = Sha256::of([message, headers, &[4, 0xff], &length].concat());
    body.extend(digest.as_bytes().iter().take(2));
    // 4. "One or more multiprecision integers comprising the signature."
    #[allow(deprecated, reason = "in-toto has keys of this kind")]
    match PublicKeyAlgorithm::from(*algorithm) {
        PublicKeyAlgorithm::RSAEncryptSign | PublicKeyAlgorithm::RSASign => number(numbers, &mut body),
        PublicKeyAlgorithm::EdDSA if numbers.len() == 64 => {
            let (r, s) = numbers.split_at(32);
            number(r, &mut body);
            number(s, &mut body);
        }
        PublicKeyAlgorithm::DSA => {
            let (r, s) = pair(numbers).ok_or("its signature is not one of DSA")?;
            number(&r, &mut body);
            number(&s, &mut body);
        }
        other => return Err(format!("signatures of the algorithm {other} are not supported")),
    }
    let length = u32::try_from(body.len()).map_err(|_| "it is too long")?;
    let mut packet = vec![0xc2, 0xff];
    packet.extend(length.to_be_bytes());
    packet.extend(body);
    Ok(packet)
}

/// A multiprecision integer: "a two-octet scalar that is the length of the MPI in bits followed by a string of octets".
fn number(bytes: &[u8], to: &mut Vec<u8>) {
    let number = MPI::new(bytes);
    let bits = u16::try_from(number.bits()).unwrap_or(u16::MAX);
    to.extend(bits.to_be_bytes());
    to.extend(number.value());
}

/// The r and s of a signature in DER.
fn pair(der: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let read = || -> der::Result<(Vec<u8>, Vec<u8>)> {
        let mut reader = SliceReader::new(der)?;
        let both = reader.sequence(|pair| {
            let (r, s): (UintRef<'_>, UintRef<'_>) = (pair.decode()?, pair.decode()?);
            Ok((r.as_bytes().to_vec(), s.as_bytes().to_vec()))
        })?;
        reader.finish(both)
    };
    read().ok()
}

/// A key in this form, with its subkeys, as layouts have it.
#[derive(Debug, Clone)]
pub struct JsonKey {
    keyid: String,
    own: Part,
    subkeys: BTreeMap<String, Part>,
    /// If it is one of the subkeys that may sign, and no other part of the key.
    only: Option<String>,
}

#[derive(Debug, Clone)]
struct Part {
    key: Key<PublicParts, UnspecifiedRole>,
    until: Option<Timestamp>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Members {
    #[serde(default)]
    keyid: String,
    #[serde(rename = "type")]
    kind: String,
    method: String,
    hashes: Vec<String>,
    keyval: KeyValue,
    creation_time: Option<i64>,
    validity_period: Option<i64>,
    #[serde(default)]
    subkeys: BTreeMap<String, Members>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyValue {
    #[serde(default)]
    private: String,
    public: BTreeMap<String, String>,
}

impl JsonKey {
    /// Whether a key is one in this form.
    pub fn is_one(value: &Value) -> bool {
        let method = value.get("method").and_then(Value::as_str);
        method.is_some_and(|method| method.starts_with("pgp+"))
    }

    /// Reads one that a layout has under this name; an error in one sentence.
    pub fn from_value(keyid: &str, value: &Value) -> Result<Self, String> {
        let members: Members = serde_json::from_value(value.clone()).map_err(|error| error.to_string())?;
        if members.subkeys.len() > MOST_SUBKEYS {
            return Err(format!("it has more than {MOST_SUBKEYS} subkeys"));
        }
        let own = part(keyid, &members)?;
        let subkeys = members.subkeys.iter().map(|(name, subkey)| {
            if !subkey.subkeys.is_empty() {
                return Err("a subkey of it has subkeys".to_owned());
            }
            Ok((name.to_lowercase(), part(name, subkey)?))
        });
        Ok(Self {
            keyid: keyid.to_lowercase(),
            own,
            subkeys: subkeys.collect::<Result<_, _>>()?,
            only: None,
        })
    }

    /// The same key where one of its subkeys alone may sign, if it has that subkey.
    pub fn only(&self, subkey: &str) -> Option<Self> {
        let subkey = subkey.to_lowercase();
        self.subkeys.contains_key(&subkey).then(|| Self {
            only: Some(subkey),
            ..self.clone()
        })
    }

    /// What tells this key from others, whatever it is called.
    pub fn fingerprint(&self) -> String {
        format!("{:?}", self.own.key.mpis())
    }

    /// Whether this key made the signature; an error in one sentence if it claims so, and the key did not or does not count.
    ///
    /// As in in-toto, the signature names the key or the subkey that made it, and no other is tried.
    pub fn signed(&self, message: &[u8], signature: &JsonSignature) -> Result<bool, String> {
        let part = if signature.keyid == self.keyid {
            Some(&self.own)
        } else {
            self.subkeys.get(&signature.keyid)
        };
        let allowed = self.only.as_ref().is_none_or(|only| *only == signature.keyid);
        let Some(part) = part.filter(|_| allowed) else {
            return Ok(false);
        };
        // A subkey is not valid for longer than its key.
        for (name, part) in [(&self.keyid, &self.own), (&signature.keyid, part)] {
            if let Some(until) = part.until.filter(|until| *until <= Timestamp::now()) {
                return Err(format!("the OpenPGP key {name} expired at {until}"));
            }
        }
        let read = signature.read();
        let verified = read.and_then(|read| {
            let verified = read.verify_message(&part.key, message);
            verified.map_err(|error| error.to_string())
        });
        verified.map(|()| true).map_err(|reason| {
            format!(
                "the signature that names the OpenPGP key {} is not good: {reason}",
                signature.keyid
            )
        })
    }
}

/// One key, main or below it.
fn part(name: &str, members: &Members) -> Result<Part, String> {
    if !members.keyval.private.is_empty() {
        return Err("it contains a private key".into());
    }
    if members.hashes != ["pgp+SHA2"] {
        return Err("its hashes are not pgp+SHA2".into());
    }
    if !members.keyid.is_empty() && !members.keyid.eq_ignore_ascii_case(name) {
        return Err(format!(
            "it is called {name} and says that it is {}",
            members.keyid
        ));
    }
    let public = &members.keyval.public;
    let bytes = |name: &str| -> Result<Vec<u8>, String> {
        let bytes = public.get(name).and_then(|text| hex::decode(text).ok());
        bytes.ok_or_else(|| format!("its number {name:?} is missing or not hexadecimal"))
    };
    let mpi = |name: &str| Ok::<_, String>(MPI::new(&bytes(name)?));
    let (created, until) = times(members)?;
    #[allow(deprecated, reason = "in-toto has keys of this kind")]
    let key: openpgp::Result<Key4<PublicParts, UnspecifiedRole>> =
        match (members.kind.as_str(), members.method.as_str()) {
            ("rsa", "pgp+rsa-pkcsv1.5") => Key4::new(
                created,
                PublicKeyAlgorithm::RSAEncryptSign,
                PublicKey::RSA {
                    e: mpi("e")?,
                    n: mpi("n")?,
                },
            ),
            ("dsa", "pgp+dsa-fips-180-2") => Key4::new(
                created,
                PublicKeyAlgorithm::DSA,
                PublicKey::DSA {
                    p: mpi("p")?,
                    q: mpi("q")?,
                    g: mpi("g")?,
                    y: mpi("y")?,
                },
            ),
            ("eddsa", "pgp+eddsa-ed25519") => Key4::import_public_ed25519(&bytes("q")?, created),
            (kind, method) => {
                return Err(format!(
                    "keys of the type {kind:?} and the method {method:?} are not supported"
                ));
            }
        };
    let key: Key<PublicParts, UnspecifiedRole> = key.map_err(|error| error.to_string())?.into();
    let short = matches!(key.mpis(), PublicKey::RSA { .. } | PublicKey::DSA { .. })
        && key.mpis().bits().is_none_or(|bits| bits < FEWEST_BITS);
    if short {
        return Err(format!("it has fewer than {FEWEST_BITS} bits"));
    }
    // The fingerprint is over the time and the numbers, so a key that gives its time can be held against its name.
    let fingerprint = key.fingerprint().to_hex();
    if members.creation_time.is_some() && !fingerprint.eq_ignore_ascii_case(name) {
        return Err(format!("its fingerprint is {fingerprint}"));
    }
    Ok(Part { key, until })
}

/// When a key was made, and until when it is valid.
fn times(members: &Members) -> Result<(SystemTime, Option<Timestamp>), String> {
    let second = |second: i64| Timestamp::from_second(second).map_err(|error| error.to_string());
    let created = members.creation_time.unwrap_or_default();
    // "Validity period" of 0, as none, is no end.
    let until = match members.validity_period.filter(|period| *period != 0) {
        Some(period) if members.creation_time.is_some() => Some(second(created.saturating_add(period))?),
        Some(_) => return Err("it has a validity_period, and no creation_time".into()),
        None => None,
    };
    let since = u64::try_from(created).map(Duration::from_secs);
    let created = since
        .ok()
        .and_then(|since| SystemTime::UNIX_EPOCH.checked_add(since));
    Ok((created.ok_or("its creation_time is not a time")?, until))
}
