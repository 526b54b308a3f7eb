//! Names of released artifacts, as package URLs write them.
//!
//! Which texts name an artifact, and which names and versions are valid, each ecosystem decides for itself: see
//! `ecosystem::parse`.

use std::collections::BTreeMap;
use std::fmt;

use packageurl::PackageUrl;

use super::Ecosystem;

/// A released artifact, named but not yet looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// The ecosystem that it is released in.
    pub ecosystem: Ecosystem,
    /// Name, as its ecosystem normalises it; on npm, with its scope.
    pub name: String,
    /// Version; `None` for the one that its registry or archive would give today.
    pub version: Option<String>,
    /// What else tells it apart, by the key in its package URL.
    pub qualifiers: BTreeMap<&'static str, String>,
}

/// A text that names no artifact that can be rebuilt.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum SubjectError {
    #[error("{text:?} is not a package URL: {reason}")]
    #[diagnostic(help("write it as {forms}"))]
    NotPurl {
        text: String,
        reason: String,
        forms: String,
    },
    #[error("{text:?} does not name an artifact")]
    #[diagnostic(help("use a package URL (pkg:…), {forms}, or a file together with --purl or --provenance"))]
    Unknown { text: String, forms: String },
    #[error("packages of type {kind:?} are not supported ({text})")]
    #[diagnostic(help("supported types: {types}"))]
    Unsupported {
        kind: String,
        text: String,
        types: String,
    },
    #[error("{what} {value:?} in {text:?} is not valid")]
    #[diagnostic(help("write it as {form}"))]
    Invalid {
        what: &'static str,
        value: String,
        text: String,
        form: String,
    },
}

impl Subject {
    /// An artifact without qualifiers.
    pub fn new(ecosystem: Ecosystem, name: &str, version: Option<&str>) -> Self {
        Self {
            ecosystem,
            name: name.to_owned(),
            version: version.map(str::to_owned),
            qualifiers: BTreeMap::new(),
        }
    }

    /// The value of a qualifier, if it has one.
    pub fn qualifier(&self, key: &str) -> Option<&str> {
        self.qualifiers.get(key).map(String::as_str)
    }

    /// The package URL of this subject, in canonical form.
    pub fn purl(&self) -> String {
        let kind = self.ecosystem.purl_type().unwrap_or("generic");
        let (kind, namespace, name) = match (kind.split_once('/'), self.name.split_once('/')) {
            (Some((kind, namespace)), _) => (kind, Some(namespace), self.name.as_str()),
            (None, Some((scope, name))) => (kind, Some(scope), name),
            (None, None) => (kind, None, self.name.as_str()),
        };
        let build = || -> Result<String, packageurl::Error> {
            let mut purl = PackageUrl::new(kind, name)?;
            if let Some(namespace) = namespace {
                purl.with_namespace(namespace)?;
            }
            if let Some(version) = &self.version {
                purl.with_version(version)?;
            }
            for (key, value) in &self.qualifiers {
                purl.add_qualifier(*key, value)?;
            }
            Ok(purl.to_string())
        };
        build().unwrap_or_else(|_| format!("pkg:{kind}/{name}"))
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.purl())
    }
}
