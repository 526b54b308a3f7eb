//! Keys in PKCS#11 tokens (smart cards, HSMs, SoftHSM): the token signs, the key never leaves it.

use std::sync::Mutex;

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::eddsa::{EddsaParams, EddsaSignatureScheme};
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::types::AuthPin;
use percent_encoding::percent_decode_str;
use pkcs8::der::asn1::{AnyRef, BitStringRef, ObjectIdentifier, OctetStringRef};
use pkcs8::der::{Decode as _, Encode as _};
use pkcs8::spki::{AlgorithmIdentifier, SubjectPublicKeyInfo};
use serde_json::Value;
use sha2::Digest as _;

use super::{KeyError, Public, Signer};

/// `pkcs11:token=NAME;object=LABEL;id=%01?module-path=FILE&pin-source=file:FILE` (RFC 7512).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uri {
    token: Option<String>,
    object: Option<String>,
    id: Option<Vec<u8>>,
    module: String,
    pin_source: Option<String>,
}

const SCHEME: &str = "pkcs11:";

/// Whether a reference is meant to be such a URI.
pub(super) fn is_one(text: &str) -> bool {
    let start = text.trim_start().as_bytes().get(..SCHEME.len());
    let named = start.is_some_and(|start| start.eq_ignore_ascii_case(SCHEME.as_bytes()));
    // A file may have any name; one in which an attribute for a PIN is set is not worth the risk of being repeated.
    let decoded = percent_decode_str(text).decode_utf8_lossy().to_ascii_lowercase();
    named || decoded.contains("pin-value") || decoded.contains("pin-source")
}

/// Whether the name of an attribute is, or is meant to be, that of a PIN.
fn says_pin(name: &str) -> bool {
    percent_decode_str(name)
        .decode_utf8_lossy()
        .to_ascii_lowercase()
        .contains("pin")
}

/// The name of an attribute, where it is a word; anything else may be a slip that holds more.
fn shown_name(name: &str) -> &str {
    let word = |c: char| c.is_ascii_lowercase() || c == '-' || c == '_';
    if !name.is_empty() && name.len() <= 20 && name.chars().all(word) {
        name
    } else {
        "…"
    }
}

/// A reference for messages: the values that say which key it is, and of the others at most the names.
fn shown(text: &str) -> String {
    let body = text.get(SCHEME.len()..).unwrap_or_default();
    let mut parts = Vec::new();
    for pair in body.split([';', '?', '&']).filter(|pair| !pair.is_empty()) {
        parts.push(match pair.split_once('=') {
            Some((name @ ("token" | "object" | "id" | "module-path"), value)) if !says_pin(value) => {
                format!("{name}={value}")
            }
            Some((name, _)) => format!("{}=…", shown_name(name)),
            None => "…".to_owned(),
        });
    }
    format!("{SCHEME}{}", parts.join(";"))
}

impl Uri {
    /// Reads one. A PIN in the URI itself is refused: it would be seen in process lists and logs. Errors repeat only what
    /// cannot be a PIN.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let text = text.trim();
        let invalid = |reason: &str| KeyError::Reference {
            reference: shown(text),
            reason: reason.to_owned(),
        };
        let body = match text.split_at_checked(SCHEME.len()) {
            Some((scheme, body)) if scheme.eq_ignore_ascii_case(SCHEME) => body,
            _ => return Err(invalid("it is not a pkcs11: URI")),
        };
        let (path, query) = body.split_once('?').unwrap_or((body, ""));
        let mut uri = Self {
            token: None,
            object: None,
            id: None,
            module: String::new(),
            pin_source: None,
        };
        let pairs = path
            .split(';')
            .chain(query.split('&'))
            .filter(|pair| !pair.is_empty());
        for pair in pairs {
            let (name, value) = pair
                .split_once('=')
                .ok_or_else(|| invalid("an attribute has no value"))?;
            let bytes: Vec<u8> = percent_decode_str(value).collect();
            let words = || String::from_utf8(bytes.clone()).map_err(|_| invalid("an attribute is not UTF-8"));
            match name {
                "token" => uri.token = Some(words()?),
                "object" => uri.object = Some(words()?),
                "id" => uri.id = Some(bytes),
                "module-path" => uri.module = words()?,
                // Anything but a path may be the PIN itself, by mistake.
                "pin-source" if !is_path(&words()?) => {
                    return Err(invalid(
                        "a pin-source must be file:/PATH with the absolute path of a file",
                    ));
                }
                "pin-source" => uri.pin_source = Some(words()?),
                name if says_pin(name) => {
                    return Err(invalid("it must not contain a PIN; use pin-source=file:PATH"));
                }
                "type" | "module-name" | "manufacturer" | "model" | "serial" | "slot-id" => {}
                _ => {
                    return Err(invalid(&format!(
                        "its attribute {} is not supported",
                        shown_name(name)
                    )));
                }
            }
        }
        if uri.module.is_empty() {
            return Err(invalid("it does not name a module-path"));
        }
        if uri.object.is_none() && uri.id.is_none() {
            return Err(invalid("it names neither an object nor an id"));
        }
        Ok(uri)
    }

    fn pin(&self) -> Result<Option<AuthPin>, KeyError> {
        let Some(source) = &self.pin_source else {
            return Ok(None);
        };
        let path = source.strip_prefix("file:").unwrap_or(source);
        let text = std::fs::read_to_string(path).map_err(|source| KeyError::Io {
            path: path.into(),
            source,
        })?;
        let text = zeroize::Zeroizing::new(text);
        Ok(Some(AuthPin::new(text.trim_end_matches(['\n', '\r']).into())))
    }
}

/// Whether a pin-source is the absolute path of a file.
fn is_path(source: &str) -> bool {
    source.strip_prefix("file:").unwrap_or(source).starts_with('/')
}

/// A key in a token, with a session that is logged in.
pub struct TokenKey {
    session: Mutex<Session>,
    key: ObjectHandle,
    kind: KeyType,
    public: Public,
    _module: Pkcs11,
}

fn failed(what: &'static str) -> impl Fn(cryptoki::error::Error) -> KeyError {
    move |error| KeyError::Token {
        what,
        reason: error.to_string(),
    }
}

impl TokenKey {
    /// Opens the module, finds the token and both halves of the key.
    pub fn open(uri: &Uri) -> Result<Self, KeyError> {
        let module = Pkcs11::new(&uri.module).map_err(failed("loading the module"))?;
        let flags = CInitializeFlags::OS_LOCKING_OK;
        module
            .initialize(CInitializeArgs::new(flags))
            .map_err(failed("starting the module"))?;
        let slots = module.get_slots_with_token().map_err(failed("listing tokens"))?;
        let is_it = |label: &str| {
            uri.token
                .as_deref()
                .is_none_or(|wanted| wanted == label.trim_end())
        };
        let slot = slots
            .into_iter()
            .find(|slot| module.get_token_info(*slot).is_ok_and(|info| is_it(info.label())));
        let slot = slot.ok_or_else(|| none("finding the token", "no token has this name"))?;
        let session = module
            .open_ro_session(slot)
            .map_err(failed("opening a session"))?;
        if let Some(pin) = uri.pin()? {
            session
                .login(UserType::User, Some(&pin))
                .map_err(failed("logging in"))?;
        }
        let key = object(&session, uri, ObjectClass::PRIVATE_KEY)?;
        let other = object(&session, uri, ObjectClass::PUBLIC_KEY)?;
        let (kind, public) = read_public(&session, other)?;
        Ok(Self {
            session: Mutex::new(session),
            key,
            kind,
            public,
            _module: module,
        })
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let session = self
            .session
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if self.kind == KeyType::EC_EDWARDS {
            let mechanism = Mechanism::Eddsa(EddsaParams::new(EddsaSignatureScheme::Ed25519));
            return session
                .sign(&mechanism, self.key, message)
                .map_err(failed("signing"));
        }
        // Not every token hashes by itself.
        let digest = sha2::Sha256::digest(message);
        let raw = session
            .sign(&Mechanism::Ecdsa, self.key, &digest)
            .map_err(failed("signing"))?;
        let signature = p256::ecdsa::Signature::from_slice(&raw).map_err(|error| KeyError::Token {
            what: "signing",
            reason: error.to_string(),
        })?;
        Ok(signature.to_der().as_bytes().to_vec())
    }
}

fn none(what: &'static str, reason: &str) -> KeyError {
    KeyError::Token {
        what,
        reason: reason.to_owned(),
    }
}

/// The one object of a class that the reference names.
fn object(session: &Session, uri: &Uri, class: ObjectClass) -> Result<ObjectHandle, KeyError> {
    let mut template = vec![Attribute::Class(class)];
    let label = uri.object.iter();
    template.extend(label.map(|label| Attribute::Label(label.clone().into_bytes())));
    template.extend(uri.id.iter().map(|id| Attribute::Id(id.clone())));
    let found = session
        .find_objects(&template)
        .map_err(failed("finding the key"))?;
    match found.as_slice() {
        [only] => Ok(*only),
        [] => Err(none(
            "finding the key",
            "the token has no object with this name (a PIN may be missing)",
        )),
        _ => Err(none("finding the key", "several have this name; add an id")),
    }
}

/// The kind of a key, and its public half.
fn read_public(session: &Session, object: ObjectHandle) -> Result<(KeyType, Public), KeyError> {
    const READING: &str = "reading the public key";
    let wanted = [AttributeType::KeyType, AttributeType::EcPoint];
    let attributes = session.get_attributes(object, &wanted).map_err(failed(READING))?;
    let (mut kind, mut point) = (None, None);
    for attribute in attributes {
        match attribute {
            Attribute::KeyType(found) => kind = Some(found),
            Attribute::EcPoint(bytes) => point = Some(bytes),
            _ => {}
        }
    }
    let (Some(kind), Some(point)) = (kind, point) else {
        return Err(none(READING, "it is not an elliptic-curve key"));
    };
    let public = public(kind, &point)
        .ok_or_else(|| none(READING, "only Ed25519 and ECDSA over P-256 are supported"))?;
    Ok((kind, public))
}

impl Signer for TokenKey {
    fn public(&self) -> Option<&Public> {
        Some(&self.public)
    }

    fn bundle(&self, statement: &[u8]) -> Result<Value, KeyError> {
        self.public.bundle(statement, |message| self.sign(message))
    }

    fn signature(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        self.public.sign(message, |message| self.sign(message))
    }
}

/// A point as tokens hand it out (an octet string round it, or bare), as SubjectPublicKeyInfo (RFC 5480, RFC 8410).
fn public(kind: KeyType, point: &[u8]) -> Option<Public> {
    let inner = OctetStringRef::from_der(point).map_or(point, |octets| octets.as_bytes());
    let (oid, parameters) = if kind == KeyType::EC_EDWARDS && inner.len() == 32 {
        ("1.3.101.112", None)
    } else if kind == KeyType::EC && inner.len() == 65 {
        (
            "1.2.840.10045.2.1",
            Some(ObjectIdentifier::new("1.2.840.10045.3.1.7").ok()?),
        )
    } else {
        return None;
    };
    let info = SubjectPublicKeyInfo {
        algorithm: AlgorithmIdentifier {
            oid: ObjectIdentifier::new(oid).ok()?,
            parameters: parameters.as_ref().map(AnyRef::from),
        },
        subject_public_key: BitStringRef::from_bytes(inner).ok()?,
    };
    info.to_der().ok().map(Public)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_references_and_refuses_secrets_in_them() {
        let whole = "pkcs11:token=re%20builder;object=sign;id=%01%02?module-path=/m.so&pin-source=file:/pin";
        let uri = Uri::parse(whole).unwrap();
        assert_eq!(uri.token.as_deref(), Some("re builder"));
        assert_eq!(uri.id, Some(vec![1, 2]));
        assert_eq!(uri.pin_source.as_deref(), Some("file:/pin"));
        for (text, expected) in [
            ("pkcs11:object=a", "module-path"),
            ("pkcs11:token=a?module-path=/m.so", "neither an object nor an id"),
            (
                "pkcs11:object=a?module-path=/m.so&pin-value=1234",
                "it must not contain a PIN",
            ),
            ("pkcs11:object=a;colour=red?module-path=/m.so", "not supported"),
        ] {
            let error = Uri::parse(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn no_error_repeats_a_pin() {
        for text in [
            "pkcs11:object=a?module-path=/m.so&pin-value=8642",
            "PKCS11:object=a?module-path=/m.so&pin-value=8642",
            " pkcs11:object=a?pin-value=8642",
            "pkcs11:object=a;pin-value=8642?module-path=/m.so",
            "pkcs11:object=a?module-path=/m.so&PIN-VALUE=8642",
            "pkcs11:object=a?module-path=/m.so&pin%2Dvalue=8642",
            "pkcs11:object=a?module-path=/m.so&pin=8642",
            "pkcs11:object=a?module-path=/m.so&pin-value:8642",
            "pkcs11:object=a?module-path=/m.so&pin-source=8642",
            "pkcs11:object=a?module-path=/m.so&pin-source=file:8642",
            "pkcs11:object=a?module-path=/m.so&pin-source=|echo 8642",
            "pkcs11:object=a?pin-value=8642&module-path",
            "pkcs11:8642?module-path=/m.so",
            "pkcs11:token=a;pin-value=8642",
            "object=a?module-path=/m.so&pin-value=8642",
        ] {
            let error = text.parse::<super::super::Reference>().unwrap_err();
            let told = crate::error::with_causes(&error);
            assert!(!told.contains("8642"), "{text}: {told}");
            assert!(!format!("{error:?}").contains("8642"), "{text}: {error:?}");
        }
    }
}
