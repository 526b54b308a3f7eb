//! Collects every signature, good or bad, that the library finds in a signed document.

use openpgp::parse::Parse as _;
use openpgp::parse::stream::{
    DetachedVerifierBuilder, GoodChecksum, MessageLayer, MessageStructure, VerificationError,
    VerificationHelper, VerifierBuilder,
};
use openpgp::policy::StandardPolicy;
use openpgp::types::SignatureType;
use openpgp::{Cert, KeyHandle};
use sequoia_openpgp as openpgp;

use super::{OpenPgpError, Uncounted};

pub(super) fn detached<'a>(
    document: &str,
    signature: &[u8],
    signed: impl std::io::Read + Send + Sync,
    certs: &'a [Cert],
) -> Result<Collector<'a>, OpenPgpError> {
    let malformed = |source| OpenPgpError::Malformed {
        document: document.to_owned(),
        source,
    };
    let policy = StandardPolicy::new();
    let mut verifier = DetachedVerifierBuilder::from_bytes(signature)
        .and_then(|builder| builder.with_policy(&policy, None, Collector::new(certs)))
        .map_err(malformed)?;
    verifier.verify_reader(signed).map_err(malformed)?;
    Ok(verifier.into_helper())
}

pub(super) struct Read {
    pub(super) text: Vec<u8>,
    pub(super) good: Vec<String>,
    pub(super) bad: Vec<Uncounted>,
    pub(super) issuers: Vec<String>,
}

pub(super) fn read(document: &str, signed: &[u8], certs: &[Cert]) -> Result<Read, OpenPgpError> {
    let malformed = |source| OpenPgpError::Malformed {
        document: document.to_owned(),
        source,
    };
    let policy = StandardPolicy::new();
    let mut verifier = VerifierBuilder::from_bytes(signed)
        .and_then(|builder| builder.with_policy(&policy, None, Collector::new(certs)))
        .map_err(malformed)?;
    let mut text = Vec::new();
    std::io::Read::read_to_end(&mut verifier, &mut text).map_err(|error| malformed(error.into()))?;
    let Collector {
        mut good,
        bad,
        issuers,
        over_text,
        ..
    } = verifier.into_helper();
    // For signatures around a text this is the usual type, and the text that it covers is what callers use.
    good.extend(over_text);
    Ok(Read {
        text,
        good,
        bad,
        issuers,
    })
}

fn valid_today(cert: &Cert, key: &openpgp::Fingerprint) -> bool {
    let policy = StandardPolicy::new();
    cert.with_policy(&policy, None).is_ok_and(|cert| {
        let mut keys = cert.keys().alive().revoked(false);
        cert.alive().is_ok() && keys.any(|found| found.key().fingerprint() == *key)
    })
}

pub(super) struct Collector<'a> {
    certs: &'a [Cert],
    pub(super) good: Vec<String>,
    /// Good signatures over the text with normalised line ends.
    pub(super) over_text: Vec<String>,
    pub(super) bad: Vec<Uncounted>,
    pub(super) issuers: Vec<String>,
}

impl<'a> Collector<'a> {
    fn new(certs: &'a [Cert]) -> Self {
        Self {
            certs,
            good: Vec::new(),
            over_text: Vec::new(),
            bad: Vec::new(),
            issuers: Vec::new(),
        }
    }

    fn refuse(&mut self, reason: String) {
        self.bad.push(Uncounted::Other(reason));
    }
}

impl VerificationHelper for Collector<'_> {
    fn get_certs(&mut self, ids: &[KeyHandle]) -> openpgp::Result<Vec<Cert>> {
        self.issuers.extend(ids.iter().map(|id| format!("{id:X}")));
        let holds = |cert: &&Cert| {
            cert.keys()
                .any(|key| ids.iter().any(|id| id.aliases(key.key().key_handle())))
        };
        Ok(self.certs.iter().filter(holds).cloned().collect())
    }

    /// Collects results and leaves the decision to the caller. Returning an error would hide the other signatures.
    fn check(&mut self, structure: MessageStructure) -> openpgp::Result<()> {
        for layer in structure {
            let MessageLayer::SignatureGroup { results } = layer else {
                continue;
            };
            for result in results {
                match result {
                    // 1. The library found the key, and the key was valid and not revoked when it signed.
                    Ok(GoodChecksum { sig, ka, .. }) => {
                        let cert = ka.cert();
                        // 2. The key must be valid today too: an expired key may have got into the wrong hands, and
                        // could sign with any date.
                        if !valid_today(cert, &ka.key().fingerprint()) {
                            self.refuse(format!("key {:X} has expired", ka.key().fingerprint()));
                            continue;
                        }
                        let user = cert.userids().next().map(|user| user.userid().to_string());
                        let signer = match user {
                            Some(user) => format!("{:X} ({user})", cert.fingerprint()),
                            None => format!("{:X}", cert.fingerprint()),
                        };
                        // 3. The type says what was signed (RFC 9580, 5.2.1): 0x00 a document, 0x01 a text, and nothing
                        //    else is a signature of a file.
                        match sig.typ() {
                            SignatureType::Binary => self.good.push(signer),
                            SignatureType::Text => self.over_text.push(signer),
                            other => self.refuse(format!("{signer} made a signature of the type {other}")),
                        }
                    }
                    Err(VerificationError::MissingKey { sig }) => {
                        let issuers: Vec<_> = sig.get_issuers().iter().map(|id| format!("{id:X}")).collect();
                        self.bad.push(Uncounted::UnknownKey(issuers.join(", ")));
                    }
                    Err(error) => self.refuse(error.to_string()),
                }
            }
        }
        Ok(())
    }
}
