//! Debian's build records, `.buildinfo` (deb-buildinfo(5)): which files were built, in which environment.

use std::collections::BTreeMap;

use super::deb822::{self, Deb822Error};
use super::{hash_list, openpgp};
use crate::artifact::Sha256;

/// One build record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildInfo {
    /// The signed text as it was found, if the record is signed.
    pub inline: Option<Vec<u8>>,
    /// Source package.
    pub source: String,
    /// Its version.
    pub version: String,
    /// Files that were built.
    pub files: Vec<(String, Sha256, u64)>,
    /// Folder of the build.
    pub build_path: Option<String>,
    /// Distribution that the build ran on.
    pub build_origin: Option<String>,
    /// Date of the build, as the record states it.
    pub build_date: Option<String>,
    /// `Installed-Build-Depends`: packages and versions.
    pub installed: BTreeMap<String, String>,
    /// Variables that were set.
    pub environment: BTreeMap<String, String>,
}

impl BuildInfo {
    /// Takes a record out of an inline-signed text, before the signature is verified; `None` if the text is not a
    /// record.
    pub fn signed(bytes: &[u8]) -> Option<Result<Self, Deb822Error>> {
        let (text, _) = openpgp::read_unverified("the .buildinfo", bytes).ok()?;
        // A `.dsc` or a `.changes` begins with the same field, but says nothing about a build.
        if !text.trim_ascii_start().starts_with(b"Format: 1.0\n") || !is_record(&text) {
            return None;
        }
        // An extra field may carry a message of the signer.
        if let Err(error) = hash_list::is_buildinfo(&text) {
            return Some(Err(Deb822Error::Form {
                document: ".buildinfo".to_owned(),
                reason: error.to_string(),
            }));
        }
        let info = Self::unsigned(&text);
        Some(info.map(|info| Self {
            inline: Some(bytes.to_vec()),
            ..info
        }))
    }

    /// Whether the record was read from this signed text.
    pub(super) fn is_of(&self, text: &[u8]) -> bool {
        let own = Self::unsigned(text).map(|info| Self {
            inline: self.inline.clone(),
            ..info
        });
        own.is_ok_and(|own| own == *self)
    }

    /// Reads the record itself.
    pub fn unsigned(text: &[u8]) -> Result<Self, Deb822Error> {
        let document = ".buildinfo";
        let text = text.trim_ascii();
        let paragraph = deb822::one_paragraph(document, text)?;
        // Readers differ in which of several paragraphs, or of two fields with one name, counts.
        let mut names: Vec<String> = Vec::new();
        for line in String::from_utf8_lossy(text).lines() {
            let name = line.split(':').next().unwrap_or_default().to_lowercase();
            if line.starts_with([' ', '\t']) {
                continue;
            }
            if line.trim().is_empty() || names.contains(&name) {
                return Err(Deb822Error::Form {
                    document: document.to_owned(),
                    reason: "it has more than one paragraph, or the same field twice".to_owned(),
                });
            }
            names.push(name);
        }
        let field = |name: &'static str| {
            paragraph.get(name).ok_or(Deb822Error::Field {
                document: document.to_owned(),
                field: name,
            })
        };
        // The form is `Source: NAME (VERSION)` if the binaries have another version.
        let source = field("Source")?.split(' ').next().unwrap_or_default().to_owned();
        let installed = paragraph.get("Installed-Build-Depends").unwrap_or_default();
        let environment = paragraph.get("Environment").unwrap_or_default();
        Ok(Self {
            inline: None,
            source,
            version: field("Version")?.to_owned(),
            files: deb822::checksums(document, field("Checksums-Sha256")?)?,
            build_path: paragraph.get("Build-Path").map(str::to_owned),
            build_origin: paragraph.get("Build-Origin").map(str::to_owned),
            build_date: paragraph.get("Build-Date").map(str::to_owned),
            installed: installed.split(',').filter_map(dependency).collect(),
            environment: environment
                .lines()
                .filter_map(|line| line.trim().split_once('='))
                .map(|(name, value)| (name.to_owned(), value.trim_matches('"').to_owned()))
                .collect(),
        })
    }
}

/// Whether a control file is a build record: only a record lists what was installed.
fn is_record(text: &[u8]) -> bool {
    text.split(|byte| *byte == b'\n')
        .any(|line| line.starts_with(b"Installed-Build-Depends:"))
}

/// `NAME (= VERSION)`.
fn dependency(text: &str) -> Option<(String, String)> {
    let (name, version) = text.trim().split_once(" (= ")?;
    Some((name.to_owned(), version.strip_suffix(')')?.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_came_out_and_where() {
        let digest = "0".repeat(64);
        let text = format!(
            "Format: 1.0\nSource: jq\nBinary: jq libjq1\nArchitecture: amd64\nVersion: 1.6-2.1\n\
             Checksums-Sha256:\n {digest} 64500 jq_1.6-2.1_amd64.deb\nBuild-Origin: Debian\n\
             Build-Path: /build/jq-1.6\nInstalled-Build-Depends:\n autoconf (= 2.71-3),\n base-files (= 12.4)\n\
             Environment:\n LANG=\"C\"\n SOURCE_DATE_EPOCH=\"1\"\n"
        );
        let info = BuildInfo::unsigned(text.as_bytes()).unwrap();
        assert_eq!((info.source.as_str(), info.version.as_str()), ("jq", "1.6-2.1"));
        assert_eq!(info.files[0].0, "jq_1.6-2.1_amd64.deb");
        assert_eq!(info.installed["base-files"], "12.4");
        assert_eq!(info.environment["SOURCE_DATE_EPOCH"], "1");
        assert!(BuildInfo::unsigned(b"Format: 1.0\nSource: jq\n").is_err());
    }
}
