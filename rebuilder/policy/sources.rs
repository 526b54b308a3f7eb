//! Sources of others' statements about released files.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::artifact::pattern;

/// A place that keeps statements about released files.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct StatementSource {
    /// What the policy calls it.
    pub name: String,
    /// Its protocol.
    pub kind: SourceKind,
    /// Its address; `{arch}` stands for the architecture of the package.
    pub url: Option<String>,
    /// `OWNER/NAME`, or `OWNER` for all of an owner's repositories; for GitHub.
    pub repository: Option<String>,
    /// Folder of this machine; relative to the policy file.
    pub folder: Option<PathBuf>,
    /// Pattern of package URLs or file names that it is asked about.
    #[serde(default = "any")]
    pub subject: String,
    /// Maximum wait for its whole answer.
    #[serde(default = "patience")]
    pub timeout_seconds: u32,
    /// How long an answer with statements is used before it is asked again.
    #[serde(default = "age")]
    pub maximum_age_hours: u32,
    /// Environment variable that holds a token for it.
    pub token_env: Option<String>,
}

/// How a source is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SourceKind {
    /// An instance of rebuilderd, by the API v1, or v0 if it has no other.
    Rebuilderd,
    /// A bucket laid out as OSS Rebuild's.
    OssRebuild,
    /// A Python index with the integrity API (PEP 740).
    Pypi,
    /// A registry with npm's endpoint for attestations.
    Npm,
    /// GitHub's API for artifact attestations.
    Github,
    /// Referrers of a manifest in a registry of images (OCI distribution spec 1.1).
    Oci,
    /// An address below which each file's bundles are found by its digest.
    Bundles,
    /// A folder of this machine with files of attestations.
    Folder,
    /// The transparency log Rekor (version 1), for the entries of envelopes that came without.
    Rekor,
}

impl SourceKind {
    /// The word for it in policies and reports.
    pub fn word(self) -> &'static str {
        match self {
            Self::Rebuilderd => "rebuilderd",
            Self::OssRebuild => "oss-rebuild",
            Self::Pypi => "pypi",
            Self::Npm => "npm",
            Self::Github => "github",
            Self::Oci => "oci",
            Self::Bundles => "bundles",
            Self::Folder => "folder",
            Self::Rekor => "rekor",
        }
    }

    /// The address of the public instance, if there is one.
    fn usual(self) -> Option<&'static str> {
        match self {
            Self::OssRebuild => Some("https://storage.googleapis.com/google-rebuild-attestations"),
            Self::Pypi => Some("https://pypi.org"),
            Self::Npm => Some("https://registry.npmjs.org"),
            Self::Github => Some("https://api.github.com"),
            Self::Rekor => Some("https://rekor.sigstore.dev"),
            Self::Rebuilderd | Self::Oci | Self::Bundles | Self::Folder => None,
        }
    }
}

fn any() -> String {
    "*".into()
}

fn patience() -> u32 {
    10
}

fn age() -> u32 {
    24
}

/// Maximum wait that a policy may set.
const LONGEST: u32 = 300;

impl StatementSource {
    /// A transparency log that the user names without a policy; the public one, if no address is given.
    pub fn log(url: Option<String>) -> Self {
        Self {
            name: "the transparency log".into(),
            kind: SourceKind::Rekor,
            url,
            repository: None,
            folder: None,
            subject: any(),
            timeout_seconds: patience(),
            maximum_age_hours: age(),
            token_env: None,
        }
    }

    /// Its address without a slash at the end.
    pub fn address(&self) -> &str {
        let given = self.url.as_deref().or(self.kind.usual());
        given.unwrap_or_default().trim_end_matches('/')
    }

    /// Whether it is asked about an artifact with one of these names.
    pub fn is_about(&self, names: &[String]) -> bool {
        names.iter().any(|name| pattern::fits(&self.subject, name))
    }

    /// Why it is invalid, if it is.
    fn flaw(&self) -> Option<String> {
        let (kind, name) = (self.kind, &self.name);
        let is_folder = kind == SourceKind::Folder;
        let is_github = kind == SourceKind::Github;
        if is_folder != self.folder.is_some() {
            return Some(format!(
                "the source {name:?} must have a folder if, and only if, its kind is \"folder\""
            ));
        }
        if is_github != self.repository.is_some() {
            return Some(format!(
                "the source {name:?} must have a repository if, and only if, its kind is \"github\""
            ));
        }
        let part = |text: &str| {
            let usual = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            !text.is_empty() && text != "." && text != ".." && text.chars().all(usual)
        };
        let repository = self.repository.as_deref().unwrap_or("owner");
        if repository.split('/').count() > 2 || !repository.split('/').all(part) {
            return Some(format!(
                "the repository {repository:?} of the source {name:?} is not written as OWNER/NAME"
            ));
        }
        if !is_folder && self.address().is_empty() {
            return Some(format!("the source {name:?} needs a url"));
        }
        if is_folder && (self.url.is_some() || self.token_env.is_some()) {
            return Some(format!(
                "the source {name:?} is a folder, which has neither a url nor a token"
            ));
        }
        if self.timeout_seconds == 0 || self.timeout_seconds > LONGEST {
            return Some(format!(
                "the timeout of the source {name:?} is not from 1 to {LONGEST} seconds"
            ));
        }
        None
    }
}

/// Checks the sources of a policy, and finds their folders beside it.
pub(super) fn check(sources: &mut [StatementSource], folder: &Path) -> Result<(), String> {
    let mut names = std::collections::BTreeSet::new();
    for source in sources {
        if !names.insert(source.name.clone()) {
            return Err(format!("two sources are called {:?}", source.name));
        }
        if let Some(flaw) = source.flaw() {
            return Err(flaw);
        }
        if let Some(inside) = &mut source.folder {
            *inside = folder.join(&*inside);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_is_wrong_with_a_source() {
        #[derive(Deserialize)]
        struct Document {
            discover: Vec<StatementSource>,
        }
        let table = [
            ("kind = \"rebuilderd\"\nurl = \"https://a.example/{arch}\"", ""),
            ("kind = \"pypi\"", ""),
            ("kind = \"github\"\nrepository = \"owner/name\"", ""),
            ("kind = \"github\"\nrepository = \"owner\"", ""),
            ("kind = \"folder\"\nfolder = \"said\"", ""),
            ("kind = \"rebuilderd\"", "needs a url"),
            ("kind = \"github\"", "must have a repository"),
            ("kind = \"github\"\nrepository = \"a/b/c\"", "OWNER/NAME"),
            ("kind = \"github\"\nrepository = \"../b\"", "OWNER/NAME"),
            ("kind = \"npm\"\nrepository = \"a/b\"", "must have a repository"),
            ("kind = \"rekor\"", ""),
            ("kind = \"rekor\"\nrepository = \"a/b\"", "must have a repository"),
            ("kind = \"folder\"", "must have a folder"),
            ("kind = \"npm\"\ntimeout-seconds = 0", "from 1 to 300"),
        ];
        for (lines, wrong) in table {
            let text = format!("[[discover]]\nname = \"a\"\n{lines}\n");
            let mut read: Document = toml::from_str(&text).unwrap();
            let checked = check(&mut read.discover, Path::new("/policies"));
            match checked {
                Ok(()) => assert!(wrong.is_empty(), "{lines} was taken"),
                Err(why) => assert!(!wrong.is_empty() && why.contains(wrong), "{lines}: {why}"),
            }
        }
    }
}
