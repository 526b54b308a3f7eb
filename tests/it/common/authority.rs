//! A throw-away Sigstore instance: a certificate authority, a certificate log and a transparency log, whose keys
//! live for one test. What it signs must pass the same checks as what the public instance signs.

mod cms;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, PublicKeyData as _, SanType, SerialNumber, SigningKey as _, date_time_ymd,
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// When everything is signed: noon of 2 January 2025.
pub const SIGNED_AT: i64 = 1_735_819_200;
/// OID arc of the claims in Fulcio's certificates.
const FULCIO: [u64; 8] = [1, 3, 6, 1, 4, 1, 57264, 1];
const SCT_LIST: [u64; 10] = [1, 3, 6, 1, 4, 1, 11129, 2, 4, 2];
const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

pub struct Authority {
    root: Issuer<'static, KeyPair>,
    root_der: Vec<u8>,
    certificate_log: KeyPair,
    transparency_log: KeyPair,
}

/// Who asks for a signature, as the authority certifies it.
#[derive(Clone)]
pub struct Signer {
    pub identity: String,
    pub issuer: String,
    pub repository: String,
    pub commit: String,
    pub reference: String,
    /// Whether the certificate had run out when it was used.
    pub expired: bool,
}

impl Signer {
    /// The release workflow of a repository on GitHub.
    pub fn workflow(repository: &str, commit: &str) -> Self {
        Self {
            identity: format!("{repository}/.github/workflows/release.yml@refs/tags/v1.0.0"),
            issuer: "https://token.actions.githubusercontent.com".into(),
            repository: repository.into(),
            commit: commit.into(),
            reference: "refs/tags/v1.0.0".into(),
            expired: false,
        }
    }
}

fn sha256(bytes: &[u8]) -> Vec<u8> {
    Sha256::digest(bytes).to_vec()
}

fn spki(key: &KeyPair) -> Vec<u8> {
    key.subject_public_key_info()
}

/// The first element of a DER sequence.
fn first_element(der: &[u8]) -> &[u8] {
    let length = |at: usize| match der[at] {
        short @ 0..=0x7f => (1, usize::from(short)),
        long => {
            let count = usize::from(long & 0x7f);
            let bytes = &der[at + 1..=at + count];
            (
                1 + count,
                bytes.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)),
            )
        }
    };
    let start = 1 + length(1).0;
    let (head, size) = length(start + 1);
    &der[start..start + 1 + head + size]
}

fn utf8(text: &str) -> Vec<u8> {
    let mut der = vec![0x0c];
    assert!(text.len() < 256);
    if text.len() > 127 {
        der.push(0x81);
    }
    der.push(u8::try_from(text.len()).unwrap());
    der.extend(text.as_bytes());
    der
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params
            .distinguished_name
            .push(DnType::CommonName, "throw-away root");
        params.not_before = date_time_ymd(2024, 1, 1);
        params.not_after = date_time_ymd(2034, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self {
            root_der: certificate.der().to_vec(),
            root: Issuer::new(params, key),
            certificate_log: KeyPair::generate().unwrap(),
            transparency_log: KeyPair::generate().unwrap(),
        }
    }

    /// The `trusted_root.json` of this instance.
    pub fn trusted_root(&self) -> Value {
        let log = |key: &KeyPair| {
            json!({
                "baseUrl": "https://log.invalid", "hashAlgorithm": "SHA2_256",
                "publicKey": {"rawBytes": STANDARD.encode(spki(key)), "keyDetails": "PKIX_ECDSA_P256_SHA_256",
                              "validFor": {"start": "2024-01-01T00:00:00Z"}},
                "logId": {"keyId": STANDARD.encode(sha256(&spki(key)))}
            })
        };
        json!({
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [log(&self.transparency_log)],
            "ctlogs": [log(&self.certificate_log)],
            "certificateAuthorities": [{
                "subject": {"organization": "throw-away", "commonName": "throw-away root"},
                "uri": "https://ca.invalid",
                "certChain": {"certificates": [{"rawBytes": STANDARD.encode(&self.root_der)}]},
                "validFor": {"start": "2024-01-01T00:00:00Z"}
            }],
            "timestampAuthorities": []
        })
    }

    /// A certificate for a fresh key; logged, with the log's promise inside.
    fn certify(&self, signer: &Signer) -> (KeyPair, Vec<u8>) {
        self.certify_key(KeyPair::generate().unwrap(), signer)
    }

    /// The same for a key of any kind.
    pub fn certify_key(&self, key: KeyPair, signer: &Signer) -> (KeyPair, Vec<u8>) {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.serial_number = Some(SerialNumber::from(vec![7; 16]));
        params.subject_alt_names = vec![SanType::URI(signer.identity.clone().try_into().unwrap())];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
        params.not_before = date_time_ymd(2025, 1, 1);
        params.not_after = date_time_ymd(2025, 1, if signer.expired { 2 } else { 9 });
        let claims = [
            (8, &signer.issuer),
            (12, &signer.repository),
            (13, &signer.commit),
            (14, &signer.reference),
        ];
        // People's certificates name no repository.
        for (number, text) in claims.into_iter().filter(|(_, text)| !text.is_empty()) {
            let oid: Vec<u64> = FULCIO.iter().copied().chain([number]).collect();
            params
                .custom_extensions
                .push(CustomExtension::from_oid_content(&oid, utf8(text)));
        }
        let precertificate = params.signed_by(&key, &self.root).unwrap();
        let promise = self.certificate_promise(first_element(precertificate.der()));
        params
            .custom_extensions
            .push(CustomExtension::from_oid_content(&SCT_LIST, promise));
        (
            key.clone_key(),
            params.signed_by(&key, &self.root).unwrap().der().to_vec(),
        )
    }

    /// A list of one signed certificate timestamp (RFC 6962, 3.2), as the extension holds it.
    fn certificate_promise(&self, tbs: &[u8]) -> Vec<u8> {
        let time = u64::try_from(SIGNED_AT * 1000).unwrap().to_be_bytes();
        let mut message = vec![0, 0];
        message.extend(time);
        message.extend([0, 1]);
        message.extend(sha256(&self.root.key().subject_public_key_info()));
        message.extend(&u32::try_from(tbs.len()).unwrap().to_be_bytes()[1..]);
        message.extend(tbs);
        message.extend([0, 0]);
        let signature = self.certificate_log.sign(&message).unwrap();
        let mut sct = vec![0];
        sct.extend(sha256(&spki(&self.certificate_log)));
        sct.extend(time);
        sct.extend([0, 0, 4, 3]);
        sct.extend(u16::try_from(signature.len()).unwrap().to_be_bytes());
        sct.extend(signature);
        let mut list = u16::try_from(sct.len() + 2).unwrap().to_be_bytes().to_vec();
        list.extend(u16::try_from(sct.len()).unwrap().to_be_bytes());
        list.extend(sct);
        let mut octets = vec![0x04];
        if list.len() > 127 {
            octets.push(0x81);
        }
        octets.push(u8::try_from(list.len()).unwrap());
        octets.extend(list);
        octets
    }

    /// A Sigstore bundle v0.3 over `statement`.
    pub fn sign(&self, statement: &Value, signer: &Signer) -> Value {
        let payload = statement.to_string();
        self.sign_bytes(payload.as_bytes(), signer)
    }

    /// The same, whatever the bytes are.
    pub fn sign_bytes(&self, payload: &[u8], signer: &Signer) -> Value {
        self.sign_typed(PAYLOAD_TYPE, payload, signer)
    }

    /// The same with another type of payload.
    pub fn sign_typed(&self, kind: &str, payload: &[u8], signer: &Signer) -> Value {
        self.sign_with(&self.certify(signer), kind, payload, |signature| signature)
    }

    /// The same with a certified key, and the signature in another form.
    pub fn sign_with(
        &self,
        (key, certificate): &(KeyPair, Vec<u8>),
        kind: &str,
        payload: &[u8],
        form: impl FnOnce(Vec<u8>) -> Vec<u8>,
    ) -> Value {
        let message = rebuilder::evidence::dsse::pre_authentication(kind, payload);
        let signature = form(key.sign(&message).unwrap());
        let verifier = pem::encode(&pem::Pem::new("CERTIFICATE", certificate.clone()));
        let body = json!({
            "apiVersion": "0.0.1", "kind": "dsse",
            "spec": {
                "envelopeHash": {"algorithm": "sha256", "value": hex::encode(sha256(payload))},
                "payloadHash": {"algorithm": "sha256", "value": hex::encode(sha256(payload))},
                "signatures": [{"signature": STANDARD.encode(&signature), "verifier": STANDARD.encode(verifier)}]
            }
        })
        .to_string();
        json!({
            "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "verificationMaterial": {
                "certificate": {"rawBytes": STANDARD.encode(certificate)},
                "tlogEntries": [self.log(&body)]
            },
            "dsseEnvelope": {
                "payload": STANDARD.encode(payload),
                "payloadType": kind,
                "signatures": [{"sig": STANDARD.encode(signature)}]
            }
        })
    }

    /// A bundle over a file's bytes, with a certificate for `signer` and the log's entry.
    pub fn sign_blob(&self, bytes: &[u8], signer: &Signer) -> Value {
        let (key, certificate) = self.certify(signer);
        let signature = STANDARD.encode(key.sign(bytes).unwrap());
        let verifier = pem::encode(&pem::Pem::new("CERTIFICATE", certificate.clone()));
        json!({
            "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "verificationMaterial": {
                "certificate": {"rawBytes": STANDARD.encode(certificate)},
                "tlogEntries": [self.log_signature(bytes, &signature, &verifier)]
            },
            "messageSignature": {
                "messageDigest": {"algorithm": "SHA2_256", "digest": STANDARD.encode(sha256(bytes))},
                "signature": signature
            }
        })
    }

    /// The log's entry for a signature over bytes; `verifier` is a certificate or a public key in PEM.
    pub fn log_signature(&self, bytes: &[u8], signature: &str, verifier: &str) -> Value {
        let body = json!({
            "apiVersion": "0.0.1", "kind": "hashedrekord",
            "spec": {
                "data": {"hash": {"algorithm": "sha256", "value": hex::encode(sha256(bytes))}},
                "signature": {"content": signature, "publicKey": {"content": STANDARD.encode(verifier)}}
            }
        });
        self.log(&body.to_string())
    }

    /// The only entry of a log of one, with the log's promise and its proof.
    pub fn log(&self, body: &str) -> Value {
        let kind: Value = serde_json::from_str(body).unwrap();
        let id = sha256(&spki(&self.transparency_log));
        let promise = format!(
            r#"{{"body":"{}","integratedTime":{SIGNED_AT},"logID":"{}","logIndex":0}}"#,
            STANDARD.encode(body),
            hex::encode(&id)
        );
        let promise = self.transparency_log.sign(promise.as_bytes()).unwrap();
        let root = sha256(&[&[0], body.as_bytes()].concat());
        let note = format!("log.invalid\n1\n{}\n", STANDARD.encode(&root));
        let signed = self.transparency_log.sign(note.as_bytes()).unwrap();
        let line = STANDARD.encode([&id[..4], &signed].concat());
        json!({
            "logIndex": "0",
            "logId": {"keyId": STANDARD.encode(id)},
            "kindVersion": {"kind": kind["kind"], "version": "0.0.1"},
            "integratedTime": SIGNED_AT.to_string(),
            "inclusionPromise": {"signedEntryTimestamp": STANDARD.encode(promise)},
            "inclusionProof": {
                "logIndex": "0", "treeSize": "1", "hashes": [],
                "rootHash": STANDARD.encode(root),
                "checkpoint": {"envelope": format!("{note}\n\u{2014} log.invalid {line}\n")}
            },
            "canonicalizedBody": STANDARD.encode(body)
        })
    }
}

pub trait CloneKey {
    fn clone_key(&self) -> KeyPair;
}

impl CloneKey for KeyPair {
    fn clone_key(&self) -> KeyPair {
        KeyPair::try_from(self.serialized_der()).unwrap()
    }
}

/// SLSA provenance v1 of a GitHub workflow, on a subject with this SHA-256.
pub fn provenance(name: &str, sha256: &str, repository: &str, commit: &str) -> Value {
    json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": name, "digest": {"sha256": sha256}}],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": "https://actions.github.io/buildtypes/workflow/v1",
                "externalParameters": {"workflow": {
                    "ref": "refs/tags/v1.0.0", "repository": repository, "path": ".github/workflows/release.yml"
                }},
                "internalParameters": {"github": {"event_name": "push"}},
                "resolvedDependencies": [{"uri": format!("git+{repository}@refs/tags/v1.0.0"), "digest": {"gitCommit": commit}}]
            },
            "runDetails": {
                "builder": {"id": "https://github.com/actions/runner/github-hosted"},
                "metadata": {"invocationId": format!("{repository}/actions/runs/1/attempts/1")}
            }
        }
    })
}
