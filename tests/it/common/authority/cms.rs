//! Signatures of git objects, as gitsign makes them.

use ::cms::cert::x509::attr::Attribute;
use ::cms::cert::x509::spki::AlgorithmIdentifierOwned;
use ::cms::cert::{CertificateChoices, IssuerAndSerialNumber};
use ::cms::content_info::{CmsVersion, ContentInfo};
use ::cms::signed_data::{
    CertificateSet, EncapsulatedContentInfo, SignedData, SignerIdentifier, SignerInfo, SignerInfos,
};
use der::asn1::{Any, ObjectIdentifier, OctetString, SetOfVec};
use der::{Decode as _, Encode as _};

use super::*;

const DATA: &str = "1.2.840.113549.1.7.1";
const SHA256: &str = "2.16.840.1.101.3.4.2.1";

fn oid(name: &str) -> ObjectIdentifier {
    ObjectIdentifier::new_unwrap(name)
}

fn attribute(name: &str, value: Any) -> Attribute {
    Attribute {
        oid: oid(name),
        values: SetOfVec::try_from(vec![value]).unwrap(),
    }
}

fn algorithm(name: &str) -> AlgorithmIdentifierOwned {
    AlgorithmIdentifierOwned {
        oid: oid(name),
        parameters: None,
    }
}

fn octets(bytes: &[u8]) -> Any {
    Any::encode_from(&OctetString::new(bytes).unwrap()).unwrap()
}

fn in_pem(label: &str, der: Vec<u8>) -> String {
    let config = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
    pem::encode_config(&pem::Pem::new(label, der), config)
}

impl Authority {
    /// Signs a commit or tag as gitsign does: CMS, with the log's entry beside the signature.
    pub fn gitsign(&self, object: &[u8], signer: &Signer) -> String {
        let (key, certificate) = self.certify(signer);
        let attributes = SetOfVec::try_from(vec![
            attribute("1.2.840.113549.1.9.3", Any::encode_from(&oid(DATA)).unwrap()),
            attribute("1.2.840.113549.1.9.4", octets(&sha256(object))),
        ])
        .unwrap();
        let message = attributes.to_der().unwrap();
        let signature = key.sign(&message).unwrap();
        let entry = self.logged(&message, &signature, &certificate);
        let certificate = ::cms::cert::x509::Certificate::from_der(&certificate).unwrap();
        let own = &certificate.tbs_certificate;
        let info = SignerInfo {
            version: CmsVersion::V1,
            sid: SignerIdentifier::IssuerAndSerialNumber(IssuerAndSerialNumber {
                issuer: own.issuer.clone(),
                serial_number: own.serial_number.clone(),
            }),
            digest_alg: algorithm(SHA256),
            signed_attrs: Some(attributes),
            signature_algorithm: algorithm("1.2.840.10045.4.3.2"),
            signature: OctetString::new(signature).unwrap(),
            unsigned_attrs: Some(
                SetOfVec::try_from(vec![attribute("1.3.6.1.4.1.57264.3.1", octets(&entry))]).unwrap(),
            ),
        };
        let content = ContentInfo {
            content_type: oid("1.2.840.113549.1.7.2"),
            content: Any::encode_from(&signed_data(certificate, info)).unwrap(),
        };
        in_pem("SIGNED MESSAGE", content.to_der().unwrap())
    }

    /// The log's entry for a signature, as gitsign keeps it.
    fn logged(&self, message: &[u8], signature: &[u8], certificate: &[u8]) -> Vec<u8> {
        let verifier = in_pem("CERTIFICATE", certificate.to_vec());
        let body = json!({
            "apiVersion": "0.0.1", "kind": "hashedrekord",
            "spec": {
                "data": {"hash": {"algorithm": "sha256", "value": hex::encode(sha256(message))}},
                "signature": {"content": STANDARD.encode(signature), "publicKey": {"content": STANDARD.encode(verifier)}}
            }
        });
        entry_as_protobuf(&self.log(&body.to_string()))
    }
}

/// A detached signature of nothing that it holds itself.
fn signed_data(certificate: ::cms::cert::x509::Certificate, info: SignerInfo) -> SignedData {
    SignedData {
        version: CmsVersion::V1,
        digest_algorithms: SetOfVec::try_from(vec![algorithm(SHA256)]).unwrap(),
        encap_content_info: EncapsulatedContentInfo {
            econtent_type: oid(DATA),
            econtent: None,
        },
        certificates: Some(CertificateSet(
            SetOfVec::try_from(vec![CertificateChoices::Certificate(certificate)]).unwrap(),
        )),
        crls: None,
        signer_infos: SignerInfos(SetOfVec::try_from(vec![info]).unwrap()),
    }
}

/// A log entry in the form of `dev.sigstore.rekor.v1.TransparencyLogEntry`, without its body, as gitsign keeps it.
fn entry_as_protobuf(entry: &Value) -> Vec<u8> {
    let varint = |mut value: u64| {
        let mut bytes = Vec::new();
        while value > 0x7f {
            bytes.push(u8::try_from(value & 0x7f).unwrap() | 0x80);
            value >>= 7;
        }
        bytes.push(u8::try_from(value).unwrap());
        bytes
    };
    let bytes =
        |tag: u8, content: &[u8]| [&[tag << 3 | 2][..], &varint(content.len() as u64), content].concat();
    let number =
        |tag: u8, text: &Value| [&[tag << 3][..], &varint(text.as_str().unwrap().parse().unwrap())].concat();
    let decoded = |text: &Value| STANDARD.decode(text.as_str().unwrap()).unwrap();
    let proof = &entry["inclusionProof"];
    let checkpoint = bytes(1, proof["checkpoint"]["envelope"].as_str().unwrap().as_bytes());
    let proof = [
        number(1, &proof["logIndex"]),
        bytes(2, &decoded(&proof["rootHash"])),
        number(3, &proof["treeSize"]),
        bytes(5, &checkpoint),
    ]
    .concat();
    let promise = bytes(1, &decoded(&entry["inclusionPromise"]["signedEntryTimestamp"]));
    [
        number(1, &entry["logIndex"]),
        bytes(2, &bytes(1, &decoded(&entry["logId"]["keyId"]))),
        number(4, &entry["integratedTime"]),
        bytes(5, &promise),
        bytes(6, &proof),
    ]
    .concat()
}
