//! What sources are asked about: an artifact by its digest, its file name and its package.

use std::str::FromStr as _;

use packageurl::PackageUrl;

use crate::artifact::Sha256;
use crate::evidence::assess::Artifact;
use crate::policy::StatementSource;

/// An artifact, by all that sources know it by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// SHA-256 of its bytes.
    pub sha256: Sha256,
    /// File name, if known.
    pub file: Option<String>,
    /// Package URL as it was given.
    pub purl: Option<String>,
    pub(super) package: Option<Package>,
}

/// A package, by name and version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Package {
    /// Type of its package URL.
    pub kind: String,
    /// Name; on npm, with its scope.
    pub name: String,
    pub version: String,
    /// Architecture, of packages that have one.
    pub architecture: Option<String>,
}

impl Subject {
    /// What is known of an artifact; `purl` is a guess from its own metadata, for artifacts that have none.
    pub fn of(artifact: &Artifact, purl: Option<String>) -> Self {
        let purl = artifact.purl.clone().or(purl);
        let parsed = purl.as_deref().and_then(|text| PackageUrl::from_str(text).ok());
        let listed = parsed.as_ref().and_then(|purl| {
            let mut qualifiers = purl.qualifiers().iter();
            let (_, value) = qualifiers.find(|(key, _)| *key == "file_name")?;
            Some(value.to_string())
        });
        let named = Some(artifact.name.clone()).filter(|name| !name.starts_with("sha256:"));
        let file = named.or(listed);
        let package = parsed
            .as_ref()
            .and_then(|purl| Package::of(purl, file.as_deref()));
        Self {
            sha256: artifact.digests.sha256,
            file,
            purl,
            package,
        }
    }

    /// Whatever it is, for sources that the user names by hand.
    pub fn of_anything() -> Self {
        Self::of_bytes(Sha256::of(b""))
    }

    /// Bytes that are known by nothing else.
    pub(super) fn of_bytes(sha256: Sha256) -> Self {
        Self {
            sha256,
            file: None,
            purl: None,
            package: None,
        }
    }

    /// Names by which a policy chooses sources.
    pub fn names(&self) -> Vec<String> {
        let both = [self.purl.clone(), self.file.clone()];
        let mut names: Vec<_> = both.into_iter().flatten().collect();
        // A source for everything is one for an artifact without a name, too.
        if names.is_empty() {
            names.push(String::new());
        }
        names
    }

    /// The address of a source for this artifact, or why it has none.
    pub(super) fn address(&self, source: &StatementSource) -> Result<String, String> {
        let address = source.address();
        if !address.contains("{arch}") {
            return Ok(address.to_owned());
        }
        let package = self.package.as_ref();
        let architecture = package.and_then(|package| package.architecture.as_deref());
        let known = architecture.ok_or("its address depends on the architecture, which is unknown")?;
        Ok(address.replace("{arch}", known))
    }

    /// The package, if it is of one of these types.
    pub(super) fn package(&self, kinds: &[&str]) -> Result<&Package, String> {
        let fits = |package: &&Package| kinds.contains(&package.kind.as_str());
        match &self.package {
            None => Err("the name and the version of the package are unknown".to_owned()),
            Some(package) => Some(package)
                .filter(fits)
                .ok_or_else(|| format!("it has no packages of the type {:?}", package.kind)),
        }
    }

    /// The file name, which some sources need.
    pub(super) fn file(&self) -> Result<&str, String> {
        self.file
            .as_deref()
            .ok_or_else(|| "the name of the file is unknown".to_owned())
    }
}

impl Package {
    fn of(purl: &PackageUrl<'_>, file: Option<&str>) -> Option<Self> {
        let version = purl.version()?.to_owned();
        let name = match purl.namespace().filter(|_| purl.ty() == "npm") {
            Some(scope) => format!("{scope}/{}", purl.name()),
            None => purl.name().to_owned(),
        };
        let mut qualifiers = purl.qualifiers().iter();
        let stated = qualifiers.find(|(key, _)| *key == "arch");
        // NAME_VERSION_ARCH.deb: a package for all architectures is often named without one.
        let by_file = file.and_then(|file| {
            let (_, architecture) = file.strip_suffix(".deb")?.rsplit_once('_')?;
            Some(architecture.to_owned())
        });
        let architecture = by_file.or_else(|| stated.map(|(_, value)| value.to_string()));
        let usual = |text: &String| {
            !text.is_empty()
                && text
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
        };
        Some(Self {
            kind: purl.ty().to_owned(),
            name,
            version,
            architecture: architecture.filter(usual),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artifact::Digests;

    #[test]
    fn knows_a_package_by_its_names() {
        let table = [
            (
                "chrony_4.3-2+deb12u1_amd64.deb",
                Some("pkg:deb/debian/chrony@4.3-2%2Bdeb12u1?arch=amd64&distro=bookworm"),
                Some(("deb", "chrony", "4.3-2+deb12u1", Some("amd64"))),
            ),
            (
                "adduser_3.134_all.deb",
                Some("pkg:deb/debian/adduser@3.134"),
                Some(("deb", "adduser", "3.134", Some("all"))),
            ),
            (
                "sha256:00",
                Some("pkg:npm/%40scope/name@1.0.0"),
                Some(("npm", "@scope/name", "1.0.0", None)),
            ),
            ("app.tar.gz", None, None),
            ("idna.whl", Some("pkg:pypi/idna"), None),
        ];
        for (name, purl, expected) in table {
            let artifact = Artifact {
                name: name.to_owned(),
                purl: purl.map(str::to_owned),
                digests: Digests::known(Sha256::of("x")),
                path: None,
            };
            let subject = Subject::of(&artifact, None);
            let found = subject.package.as_ref().map(|package| {
                let architecture = package.architecture.as_deref();
                (
                    package.kind.as_str(),
                    package.name.as_str(),
                    package.version.as_str(),
                    architecture,
                )
            });
            assert_eq!(found, expected, "{name}");
        }
    }
}
