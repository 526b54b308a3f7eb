//! The identity of a keyless signer, from a certificate of a Sigstore instance.

use serde::{Deserialize, Serialize};

/// The identity of a signer, according to the certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Subject alternative name: an e-mail address or the URI of a workflow.
    pub subject: String,
    /// OpenID Connect issuer that authenticated it.
    pub issuer: String,
    /// Repository whose workflow requested the certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// Commit that the workflow ran at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Git ref that the workflow ran at.
    #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// The workflow that requested the certificate, if another one signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workflow: Option<String>,
    /// `github-hosted` or `self-hosted`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runner: Option<String>,
    /// The run of the workflow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
}

impl Identity {
    /// An identity of which only the name is known.
    pub(super) fn named(subject: &str) -> Self {
        Self {
            subject: subject.to_owned(),
            issuer: String::new(),
            repository: None,
            commit: None,
            reference: None,
            workflow: None,
            runner: None,
            run: None,
        }
    }
}

impl std::fmt::Display for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.subject, self.issuer)
    }
}
