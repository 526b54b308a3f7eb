//! Signatures in JSON: Sigstore bundles without signed content, and JSON web signatures (RFC 7515) of a digest, as
//! wheels have them. A text in any other place than those of keys, digests and signatures is content.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use super::Form;
use crate::compare::file::json::value::{self, Is, Member, Value};

pub(super) fn form(bytes: &[u8]) -> Option<Form> {
    let text = std::str::from_utf8(bytes).ok()?;
    let value = one(text)?;
    let object = members(&value)?;
    if is_sigstore(object) {
        return Some(Form::Sigstore);
    }
    is_web_signature(object).is_some().then_some(Form::Jws)
}

/// The value of a text with only one.
fn one(text: &str) -> Option<Value<'_>> {
    let [value] = <[Value; 1]>::try_from(value::read(text)?.values).ok()?;
    Some(value)
}

/// The members of an object that has each name once.
fn members<'v, 'a>(value: &'v Value<'a>) -> Option<&'v [Member<'a>]> {
    let Is::Object(members) = &value.is else {
        return None;
    };
    let mut names: Vec<_> = members.iter().map(|member| &member.name).collect();
    names.sort();
    names.is_sorted_by(|one, next| one < next).then_some(members)
}

fn text<'v>(value: &'v Value) -> Option<&'v str> {
    match &value.is {
        Is::Text(text) => std::str::from_utf8(text).ok(),
        _ => None,
    }
}

fn get<'v, 'a>(members: &'v [Member<'a>], name: &str) -> Option<&'v Value<'a>> {
    let own = members.iter().find(|member| *member.name == *name.as_bytes());
    own.map(|member| &member.value)
}

fn are_named(members: &[Member], names: &[&str]) -> bool {
    let known = |member: &Member| names.iter().any(|name| *member.name == *name.as_bytes());
    members.iter().all(known)
}

/// Whether a text may be a key, a digest, a signature, or a name without blanks.
fn is_plain(text: &str) -> bool {
    text.bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"+/=_-.:".contains(&byte))
}

/// A bundle with a signature and its verification material.
fn is_sigstore(bundle: &[Member]) -> bool {
    const NAMES: [&str; 3] = ["mediaType", "verificationMaterial", "messageSignature"];
    const KIND: &str = "application/vnd.dev.sigstore.bundle";
    let kind = get(bundle, "mediaType").and_then(text);
    let is_kind = |kind: &str| {
        let version = kind.strip_prefix(KIND);
        version.is_some_and(|version| version.split(';').all(is_plain))
    };
    let material = NAMES.iter().skip(1).map(|name| get(bundle, name));
    bundle.len() == NAMES.len()
        && kind.is_some_and(is_kind)
        && material
            .into_iter()
            .all(|value| value.is_some_and(|value| is_material("", value)))
}

/// Whether a value has nothing but names, numbers, and bytes in base64. A log's checkpoint has lines of them.
fn is_material(name: &str, value: &Value) -> bool {
    match &value.is {
        Is::Word => true,
        Is::Text(_) => text(value).is_some_and(|text| {
            is_plain(text) || name == "envelope" && text.split(['\n', ' ', '\u{2014}']).all(is_plain)
        }),
        Is::Array(values) => values.iter().all(|value| is_material(name, value)),
        Is::Object(_) => members(value).is_some_and(|members| {
            members.iter().all(|member| {
                let name = std::str::from_utf8(&member.name).unwrap_or_default();
                let is_name = name.len() < 40 && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
                is_name && is_material(name, &member.value)
            })
        }),
    }
}

/// A signature over `{"hash": "sha256=…"}`, in the form of RFC 7515 or in that of the wheel project.
fn is_web_signature(object: &[Member]) -> Option<()> {
    let payload = decoded(get(object, "payload")?)?;
    let payload = one(&payload)?;
    let [hash] = members(&payload)? else { return None };
    let (algorithm, digest) = text(&hash.value)?.split_once('=')?;
    let is_hash = *hash.name == *b"hash"
        && matches!(algorithm, "sha256" | "sha384" | "sha512")
        && BASE64_URL_SAFE_NO_PAD
            .decode(digest)
            .is_ok_and(|digest| (32..=64).contains(&digest.len()));
    is_hash.then_some(())?;
    let list = get(object, "signatures").or_else(|| get(object, "recipients"));
    let Some(list) = list else {
        are_named(object, &["payload", "protected", "header", "signature"]).then_some(())?;
        return one_signature(object, &["payload"]);
    };
    (object.len() == 2).then_some(())?;
    let Is::Array(signatures) = &list.is else {
        return None;
    };
    (!signatures.is_empty()).then_some(())?;
    signatures
        .iter()
        .try_for_each(|signature| one_signature(members(signature)?, &[]))
}

fn one_signature(members: &[Member], besides: &[&str]) -> Option<()> {
    for member in members {
        match &*member.name {
            b"signature" => {
                is_plain(text(&member.value)?).then_some(())?;
                BASE64_URL_SAFE_NO_PAD.decode(text(&member.value)?).ok()?;
            }
            b"protected" => is_header(&one(&decoded(&member.value)?)?).then_some(())?,
            b"header" => match text(&member.value) {
                Some(_) => is_header(&one(&decoded(&member.value)?)?).then_some(())?,
                None => is_header(&member.value).then_some(())?,
            },
            name => besides.iter().any(|own| own.as_bytes() == name).then_some(())?,
        }
    }
    get(members, "signature").map(drop)
}

/// The JSON in a value in base64.
fn decoded(value: &Value) -> Option<String> {
    String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(text(value)?).ok()?).ok()
}

/// Whether a header has only an algorithm and a key.
fn is_header(header: &Value) -> bool {
    const NAMES: [&str; 4] = ["alg", "jwk", "kid", "typ"];
    const KEY: [&str; 10] = ["alg", "crv", "e", "kid", "kty", "n", "use", "vk", "x", "y"];
    let plain = |value: &Value| text(value).is_some_and(is_plain);
    members(header).is_some_and(|own| {
        are_named(own, &NAMES)
            && own.iter().all(|member| match members(&member.value) {
                Some(key) => {
                    *member.name == *b"jwk"
                        && are_named(key, &KEY)
                        && key.iter().all(|member| plain(&member.value))
                }
                None => plain(&member.value),
            })
    })
}
