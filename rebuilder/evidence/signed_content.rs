//! The payload of an envelope: a statement, or in-toto's older link or layout in the newer envelope.
//!
//! "`payloadType` MUST be set to `application/vnd.in-toto.<predicate>+json` or to `application/vnd.in-toto+json`. This
//! indicates that the Envelope contains a JSON object with a `_type` field specifying its schema." (in-toto attestation
//! framework, envelope v1)

use super::dsse::Envelope;
use super::json::{self, member};
use super::link::{Link, LinkError};
use super::statement::{Statement, StatementError, is_in_toto};

/// The content of an envelope; not verified.
pub enum SignedContent {
    /// A statement about files.
    Statement(Box<Statement>),
    /// The record of a step, with its products.
    Link(Box<Link>),
    /// The rules of a supply chain, which are about no file.
    Layout,
}

/// A signed payload that cannot be read as such content.
#[derive(Debug, thiserror::Error)]
pub enum ContentError {
    /// The content of another program: nothing shows that it is wrong.
    #[error("its payload type {0:?} is not that of an in-toto statement")]
    PayloadType(String),
    /// A schema that is not known here, such as that of a later version.
    #[error("{0:?} is not a supported type of in-toto statement")]
    Schema(String),
    #[error(transparent)]
    Statement(StatementError),
    #[error(transparent)]
    Link(#[from] LinkError),
}

impl ContentError {
    /// Whether the content is of an unknown kind, rather than a malformed one of a known kind.
    pub fn is_foreign(&self) -> bool {
        matches!(self, Self::PayloadType(_) | Self::Schema(_))
    }
}

impl SignedContent {
    /// Reads the payload of an envelope.
    pub fn of(envelope: &Envelope) -> Result<Self, ContentError> {
        if !is_in_toto(&envelope.payload_type) {
            return Err(ContentError::PayloadType(envelope.payload_type.clone()));
        }
        // A link has another schema, so the document is parsed again only if it is not a statement.
        match Statement::parse(&envelope.payload) {
            Ok(statement) => Ok(Self::Statement(Box::new(statement))),
            Err(StatementError::Type(kind)) => match kind.as_str() {
                "link" => Ok(Self::Link(Box::new(Link::of_payload(&envelope.payload)?))),
                "layout" => Ok(Self::Layout),
                _ => Err(ContentError::Schema(kind)),
            },
            Err(error) => Err(ContentError::Statement(error)),
        }
    }
}

impl Link {
    /// Reads the link in an envelope; the signatures are the envelope's.
    pub fn of_payload(bytes: &[u8]) -> Result<Self, LinkError> {
        let value = json::parse_evidence(bytes).map_err(|_| LinkError::Field("content"))?;
        if member(&value, ["_type"]) != "link" {
            return Err(LinkError::Field("_type"));
        }
        Self::of_signed(&value, Vec::new(), Vec::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_kinds_of_content_apart() {
        let envelope = |kind: &str, payload: &str| Envelope {
            payload_type: kind.into(),
            payload: payload.as_bytes().to_vec(),
            signatures: Vec::new(),
            openpgp: Vec::new(),
            certificates: Vec::new(),
            text: None,
        };
        let statement = r#"{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"a","digest":{"sha256":"00"}}],"predicateType":"p"}"#;
        let link = r#"{"_type":"link","name":"build","products":{"a":{"sha256":"00"}}}"#;
        for kind in [
            "application/vnd.in-toto+json",
            "application/vnd.in-toto.provenance+json",
        ] {
            assert!(matches!(
                SignedContent::of(&envelope(kind, statement)),
                Ok(SignedContent::Statement(_))
            ));
            assert!(matches!(
                SignedContent::of(&envelope(kind, link)),
                Ok(SignedContent::Link(_))
            ));
            assert!(matches!(
                SignedContent::of(&envelope(kind, r#"{"_type":"layout"}"#)),
                Ok(SignedContent::Layout)
            ));
        }
        for (kind, payload, foreign) in [
            ("text/plain", statement, true),
            ("application/vnd.in-toto.+json", statement, true),
            ("application/vnd.in-toto.a b+json", statement, true),
            ("application/vnd.in-toto.x", statement, true),
            ("https://witness.testifysec.com/policy/v0.1", "{}", true),
            (
                "application/vnd.in-toto+json",
                r#"{"_type":"https://in-toto.io/Statement/v9"}"#,
                true,
            ),
            ("application/vnd.in-toto+json", "{", false),
            (
                "application/vnd.in-toto+json",
                r#"{"_type":"link","products":{}}"#,
                false,
            ),
        ] {
            let error = SignedContent::of(&envelope(kind, payload)).err().unwrap();
            assert_eq!(error.is_foreign(), foreign, "{kind} {payload}: {error}");
        }
    }
}
