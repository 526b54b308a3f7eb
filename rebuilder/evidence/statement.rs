//! In-toto statements (v0.1 and v1): subjects by digest, and a predicate about them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::json::member;
use super::json::{self, JsonError};
use crate::artifact::{Digests, Sha256};

/// Predicate types that this program knows.
pub mod predicate {
    /// SLSA provenance v0.1.
    pub const SLSA_V01: &str = "https://slsa.dev/provenance/v0.1";
    /// SLSA provenance v0.2.
    pub const SLSA_V02: &str = "https://slsa.dev/provenance/v0.2";
    /// SLSA provenance v1.
    pub const SLSA_V1: &str = "https://slsa.dev/provenance/v1";
    /// npm: the registry published this version.
    pub const NPM_PUBLISH: &str = "https://github.com/npm/attestation/tree/main/specs/publish/v0.1";
    /// PyPI: a trusted publisher uploaded this file (PEP 740).
    pub const PYPI_PUBLISH: &str = "https://docs.pypi.org/attestations/publish/v1";
    /// SLSA verification summary.
    pub const VSA: &str = "https://slsa.dev/verification_summary/v1";
    /// A test's result.
    pub const TEST_RESULT: &str = "https://in-toto.io/attestation/test-result/v0.1";
    /// The result of a rebuild, whether it reproduced the file or not (`docs/rebuild-predicate.md`).
    pub const REBUILD: &str = "urn:rebuilder:predicate:rebuild:v0.1";
    /// SLSA source track: how a revision was made, including reviews.
    pub const SOURCE_PROVENANCE: &str = "https://slsa.dev/source_provenance/v1-draft";
    /// Release: what a release of a package consists of, by a registry or forge; GitHub makes these for releases of a
    /// repository.
    pub const RELEASE_V01: &str = "https://in-toto.io/attestation/release/v0.1";
    /// Release, with a member renamed.
    pub const RELEASE_V02: &str = "https://in-toto.io/attestation/release/v0.2";
    /// CycloneDX, whose declarations may be those of a rebuild (CDXA).
    pub const CYCLONEDX: &str = "https://cyclonedx.org/bom";
    /// Simple verification result: properties that a verifier found.
    pub const SVR: &str = "https://in-toto.io/attestation/svr/v0.2";
    /// An in-toto link in a statement.
    pub const LINK: &str = "https://in-toto.io/attestation/link/v0.3";
}

/// A statement that was read; its signature is not part of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Statement {
    /// The files that it is about.
    pub subject: Vec<Descriptor>,
    /// URI of the predicate's type.
    #[serde(rename = "predicateType")]
    pub predicate_type: String,
    /// The predicate.
    pub predicate: Value,
    /// Digest of the statement's bytes.
    #[serde(skip)]
    pub digest: Sha256,
}

/// A resource, by name or URI and digests (in-toto `ResourceDescriptor`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Descriptor {
    /// Name; for subjects usually the name of a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Origin of the resource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// Hexadecimal digests by algorithm.
    #[serde(default)]
    pub digest: BTreeMap<String, String>,
}

/// A text that is not an acceptable statement.
#[derive(Debug, thiserror::Error)]
pub enum StatementError {
    #[error(transparent)]
    Json(#[from] JsonError),
    #[error("its payload type is {0:?}, not {expected:?}", expected = super::dsse::IN_TOTO)]
    PayloadType(String),
    #[error("{0:?} is not a supported type of in-toto statement")]
    Type(String),
    #[error("its {0} is missing or malformed")]
    Field(&'static str),
    #[error("the subject name {0:?} {why}", why = if .0.chars().any(char::is_control) { "has control characters" } else { "points outside its folder" })]
    Name(String),
}

/// Whether an envelope of this type contains an in-toto document. The type may name the predicate, but that is only a
/// hint.
pub(super) fn is_in_toto(payload_type: &str) -> bool {
    let Some(rest) = payload_type.strip_prefix("application/vnd.in-toto") else {
        return false;
    };
    let Some(hint) = rest.strip_suffix("+json") else {
        return false;
    };
    hint.is_empty()
        || hint.strip_prefix('.').is_some_and(|name| {
            !name.is_empty()
                && name
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        })
}

/// How a subject's digests compare with those of the artifact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DigestMatch {
    /// All digests that can be computed here are the artifact's, and there is at least one.
    Same,
    /// A digest differs.
    Other,
    /// No digest is of a kind that can be computed here.
    Unknown,
}

impl Statement {
    /// Reads the payload of an envelope, whose type must be in-toto's.
    pub fn from_envelope(envelope: &super::dsse::Envelope) -> Result<Self, StatementError> {
        if !is_in_toto(&envelope.payload_type) {
            return Err(StatementError::PayloadType(envelope.payload_type.clone()));
        }
        Self::parse(&envelope.payload)
    }

    /// Reads a statement.
    pub fn parse(bytes: &[u8]) -> Result<Self, StatementError> {
        let value = json::parse_evidence(bytes)?;
        // Readers of protocol buffers take `type` for `_type`.
        if member(&value, ["_type"]).is_string() && value.get("type").is_some() {
            return Err(JsonError::Spellings("_type".into(), "type".into()).into());
        }
        let kind = member(&value, ["_type"]).as_str().unwrap_or_default();
        if ![
            "https://in-toto.io/Statement/v0.1",
            "https://in-toto.io/Statement/v1",
        ]
        .contains(&kind)
        {
            return Err(StatementError::Type(kind.to_owned()));
        }
        let subject: Vec<Descriptor> = serde_json::from_value(member(&value, ["subject"]).clone())
            .map_err(|_| StatementError::Field("subject"))?;
        if subject.is_empty() || subject.iter().any(|subject| subject.digest.is_empty()) {
            return Err(StatementError::Field("subject"));
        }
        for name in subject.iter().filter_map(|subject| subject.name.as_deref()) {
            if !is_name(name) {
                return Err(StatementError::Name(name.to_owned()));
            }
        }
        let predicate_type = member(&value, ["predicateType"]).as_str();
        Ok(Self {
            subject,
            predicate_type: predicate_type
                .ok_or(StatementError::Field("predicateType"))?
                .to_owned(),
            predicate: member(&value, ["predicate"]).clone(),
            digest: Sha256::of(bytes),
        })
    }

    /// The subjects that are the artifact with these digests.
    pub fn subjects_with<'a>(&'a self, digests: &Digests) -> impl Iterator<Item = &'a Descriptor> {
        let digests = digests.clone();
        self.subject
            .iter()
            .filter(move |subject| subject.matches(&digests) == DigestMatch::Same)
    }
}

impl Descriptor {
    /// Compares its digests with those of an artifact. All that can be compared must be equal.
    pub fn matches(&self, digests: &Digests) -> DigestMatch {
        let mut found = DigestMatch::Unknown;
        for (algorithm, value) in &self.digest {
            match digests.get(algorithm) {
                None => {}
                Some(own) if own.eq_ignore_ascii_case(value) => found = DigestMatch::Same,
                Some(_) => return DigestMatch::Other,
            }
        }
        found
    }

    /// Whether it names other bytes; a malformed digest names nothing.
    pub fn names_other(&self, digests: &Digests) -> bool {
        let is_one = |(algorithm, value): (&String, &String)| {
            let own = digests.get(algorithm);
            own.is_none_or(|own| own.len() == value.len() && value.bytes().all(|b| b.is_ascii_hexdigit()))
        };
        self.matches(digests) == DigestMatch::Other && self.digest.iter().all(is_one)
    }

    /// Its name, unless that is unset ("If the name is not meaningful, leave the field unset or use `_`").
    pub fn given_name(&self) -> Option<&str> {
        self.name.as_deref().filter(|name| !["", "_"].contains(name))
    }

    /// Its name, or else its URI.
    pub fn label(&self) -> &str {
        self.given_name().or(self.uri.as_deref()).unwrap_or("(unnamed)")
    }

    /// The last part of its name, if that can be used as a file name.
    pub fn file_name(&self) -> Option<&str> {
        let name = self.name.as_deref()?.rsplit('/').next()?;
        (!name.is_empty() && !name.starts_with('.') && is_harmless(name)).then_some(name)
    }

    /// The git commit among its digests, under any of the names in use for it.
    pub fn commit(&self) -> Option<&str> {
        ["gitCommit", "sha1"]
            .iter()
            .find_map(|algorithm| self.digest.get(*algorithm))
            .map(String::as_str)
    }
}

/// Whether a statement may give a file this name. Names are free, and builders write whole paths; code that makes a
/// path from one uses [`Descriptor::file_name`].
pub(super) fn is_name(name: &str) -> bool {
    !name.chars().any(char::is_control) && name.split(['/', '\\']).all(|part| part != "..")
}

/// Whether a name, used as a path, stays inside its folder, and has no control characters.
pub(super) fn is_harmless(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with('/')
        && !name.contains('\\')
        && !name.chars().any(char::is_control)
        && name.split('/').all(|part| part != "..")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statement(kind: &str, subject: &str) -> String {
        format!(r#"{{"_type":"{kind}","subject":{subject},"predicateType":"p","predicate":{{}}}}"#)
    }

    #[test]
    fn takes_both_versions_and_refuses_tricks() {
        let good = r#"[{"name":"dist/a.tgz","digest":{"sha256":"00"}}]"#;
        for kind in [
            "https://in-toto.io/Statement/v0.1",
            "https://in-toto.io/Statement/v1",
        ] {
            // Names are free, and some builders write whole paths.
            for name in ["/build/dist/a.tgz", r"D:\\a\\dist\\a.tgz", "_", ""] {
                let subject = good.replace("dist/a.tgz", name);
                assert!(
                    Statement::parse(statement(kind, &subject).as_bytes()).is_ok(),
                    "{name}"
                );
            }
            assert!(Statement::parse(statement(kind, good).as_bytes()).is_ok());
        }
        let v1 = "https://in-toto.io/Statement/v1";
        for (kind, subject, expected) in [
            ("https://in-toto.io/Statement/v2", good, "not a supported type"),
            (v1, "[]", "subject is missing"),
            (v1, r#"[{"name":"a","digest":{}}]"#, "subject is missing"),
            (v1, r#"{"name":"a"}"#, "subject is missing"),
            (
                v1,
                r#"[{"name":"../../etc/passwd","digest":{"sha256":"00"}}]"#,
                "points outside",
            ),
            (
                v1,
                r#"[{"name":"/a/../etc/passwd","digest":{"sha256":"00"}}]"#,
                "points outside",
            ),
            (
                v1,
                r#"[{"name":"a\\..\\b","digest":{"sha256":"00"}}]"#,
                "points outside",
            ),
            (
                v1,
                r#"[{"name":"a\u001b[2J","digest":{"sha256":"00"}}]"#,
                "control characters",
            ),
        ] {
            let error = Statement::parse(statement(kind, subject).as_bytes())
                .unwrap_err()
                .to_string();
            assert!(error.contains(expected), "{subject}: {error}");
        }
    }

    #[test]
    fn one_wrong_digest_spoils_a_subject() {
        let digests = Digests::of(b"released");
        let sha256 = digests.sha256.to_hex();
        let subject = |pairs: &[(&str, &str)]| Descriptor {
            digest: pairs
                .iter()
                .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
                .collect(),
            ..Descriptor::default()
        };
        for (pairs, expected) in [
            (vec![("sha256", sha256.as_str())], DigestMatch::Same),
            (vec![("sha256", "00")], DigestMatch::Other),
            (
                vec![("sha256", sha256.as_str()), ("sha512", "00")],
                DigestMatch::Other,
            ),
            (vec![("md5", "00")], DigestMatch::Unknown),
            (
                vec![("md5", "00"), ("sha256", sha256.as_str())],
                DigestMatch::Same,
            ),
        ] {
            assert_eq!(subject(&pairs).matches(&digests), expected, "{pairs:?}");
        }
    }
}
