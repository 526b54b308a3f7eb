//! Compares the resource that a verifier's summary is about (`resourceUri`) with the artifact that was asked for.
//!
//! "The consumer MUST verify that `resourceUri` ... matches the expected value" (SLSA, verification summary). The value may be
//! any text: a package URL, the address of a file in a registry, the file's name. A digest says only that the bytes are the
//! same: the same bytes may be good for one package and not for another.

use std::str::FromStr as _;

use packageurl::PackageUrl;
use percent_encoding::percent_decode_str;
use url::Url;

use super::{Artifact, names};

/// How the resource of a summary fits an artifact with its digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resource {
    /// It is the artifact that was asked for.
    Same,
    /// It is another one; a sentence says which.
    Other(String),
    /// Nothing in it can be compared with what was asked for; a sentence says why.
    Incomparable(String),
}

/// Compares a summary's resource with an artifact.
pub fn resource(stated: &str, artifact: &Artifact) -> Resource {
    let asked = Asked {
        artifact,
        file: Some(artifact.name.as_str()).filter(|name| !name.starts_with("sha256:")),
        package: names::asked_for(artifact),
    };
    if asked.file == Some(stated) || artifact.purl.as_deref() == Some(stated) {
        return Resource::Same;
    }
    let found = asked.compare(stated);
    let own = || {
        let package = asked.package.as_ref().map(ToString::to_string);
        package
            .into_iter()
            .chain(asked.file.map(|file| format!("{file:?}")))
            .collect::<Vec<_>>()
            .join(", ")
    };
    match found {
        Some(true) => Resource::Same,
        Some(false) => Resource::Other(format!("it is about the resource {stated:?}, not {}", own())),
        None if asked.file.is_none() && asked.package.is_none() => Resource::Incomparable(format!(
            "it is about the resource {stated:?}, and no name was given to compare it with"
        )),
        None => Resource::Incomparable(format!(
            "it is about the resource {stated:?}, which cannot be compared with {}",
            own()
        )),
    }
}

/// What was asked for.
struct Asked<'a> {
    artifact: &'a Artifact,
    /// The file's name, unless the artifact is known by its digest alone.
    file: Option<&'a str>,
    package: Option<PackageUrl<'a>>,
}

impl Asked<'_> {
    /// Whether a resource is what was asked for; `None` if that cannot be said.
    fn compare(&self, stated: &str) -> Option<bool> {
        if let Some((_, hex)) = stated.rsplit_once("@sha256:")
            && hex.len() == 64
        {
            // An image is known by its digest; its name is told, and not compared.
            let same = hex.eq_ignore_ascii_case(&self.artifact.digests.sha256.to_hex());
            return (!same).then_some(false);
        }
        if stated.starts_with("pkg:") {
            return PackageUrl::from_str(stated)
                .ok()
                .and_then(|purl| self.is_package(&purl));
        }
        match Url::parse(stated) {
            Ok(address) if ["http", "https", "ftp", "file"].contains(&address.scheme()) => {
                self.is_at(&address)
            }
            // Addresses of repositories, images and the like, whose last part is no file's name.
            Ok(_) => None,
            // So are those that no URL's grammar allows (`gce_image://nodes:one`).
            Err(_) if stated.contains("://") => None,
            Err(_) => {
                let parts: Vec<String> = stated.split(['/', '\\']).map(str::to_owned).collect();
                self.is_file(&parts)
            }
        }
    }

    /// Whether a package URL is the package, and the file where it names one.
    fn is_package(&self, named: &PackageUrl<'_>) -> Option<bool> {
        let same = match &self.package {
            Some(wanted) => Some(is_of_package(named, wanted)),
            None => self.file.and_then(|file| match names::of_version(named, file) {
                None if !is_released(file) => None,
                fits => Some(fits == Some(true)),
            }),
        };
        let qualifier = |key: &str| {
            let mut all = named.qualifiers().iter();
            all.find(|(own, _)| *own == key)
                .map(|(_, value)| value.to_string())
        };
        let file = qualifier("file_name").zip(self.file);
        if file.is_some_and(|(named, own)| !same_file(&named, own)) {
            return Some(false);
        }
        // A list of ALGORITHM:DIGEST.
        let checksums = qualifier("checksum").or_else(|| qualifier("checksums"));
        let own = self.artifact.digests.sha256.to_hex();
        let is_other = |digest: &str| {
            let sha256 = digest.strip_prefix("sha256:");
            sha256.is_some_and(|digest| !digest.eq_ignore_ascii_case(&own))
        };
        if checksums.is_some_and(|list| list.split(',').any(is_other)) {
            return Some(false);
        }
        same
    }

    /// Whether an address is that of the file, or of a page of its package's registry.
    fn is_at(&self, address: &Url) -> Option<bool> {
        let parts: Option<Vec<String>> = address
            .path_segments()?
            .map(|part| {
                percent_decode_str(part)
                    .decode_utf8()
                    .ok()
                    .map(std::borrow::Cow::into_owned)
            })
            .collect();
        let parts = parts?;
        match registered(address, &parts) {
            Some(Registered { package, is_file }) => {
                let same = self.is_package(&package);
                if same == Some(false) || !is_file {
                    return same;
                }
                // Of one package, several files may be released.
                match self.file {
                    Some(_) => self.is_file(&parts),
                    None => same,
                }
            }
            None => self.is_file(&parts),
        }
    }

    /// Whether a path is that of the file, by its last part.
    fn is_file(&self, parts: &[String]) -> Option<bool> {
        let named = parts.last().filter(|name| !name.is_empty())?;
        let of_package = self
            .package
            .as_ref()
            .map(|wanted| names::of_version(wanted, named) == Some(true));
        let Some(own) = self.file else {
            return match (of_package?, is_released(named)) {
                (true, true) => Some(true),
                (false, true) => Some(false),
                (_, false) => None,
            };
        };
        if same_file(named, own) {
            return Some(true);
        }
        match (has_ending(named), has_ending(own)) {
            // Whoever asked for a package by its name may keep the file under any other.
            (true, _) if of_package == Some(true) && !is_released(own) => Some(true),
            // A page about the file, or a folder.
            (false, _) if parts.iter().any(|part| part == own) => None,
            (false, true) => None,
            _ => Some(false),
        }
    }
}

/// Whether a package URL names the wanted package. Many leave out the epoch of a Debian version.
fn is_of_package(named: &PackageUrl<'_>, wanted: &PackageUrl<'_>) -> bool {
    let (own, asked) = (named.version(), wanted.version());
    let without_epoch = |version: &str| version.split_once(':').map(|(_, rest)| rest.to_owned());
    let same_version = match (own, asked) {
        (_, None) => true,
        (Some(own), Some(asked)) => {
            let epochs = (without_epoch(own), without_epoch(asked));
            own == asked
                || match epochs {
                    (Some(own), None) => own == asked,
                    (None, Some(asked)) => own == asked,
                    _ => false,
                }
        }
        (None, Some(_)) => false,
    };
    let parts = |purl: &PackageUrl<'_>| {
        let name = match purl.ty() {
            "pypi" => purl.name().to_lowercase().replace(['_', '.'], "-"),
            _ => purl.name().to_owned(),
        };
        (purl.ty().to_owned(), purl.namespace().map(str::to_owned), name)
    };
    let architecture = |purl: &PackageUrl<'_>| {
        let mut all = purl.qualifiers().iter();
        all.find(|(key, _)| *key == "arch")
            .map(|(_, value)| value.to_string())
    };
    let architectures = architecture(named).zip(architecture(wanted));
    parts(named) == parts(wanted)
        && same_version
        && architectures.is_none_or(|(named, wanted)| named == wanted)
}

/// Whether two file names are the same, as their registries see them: PyPI normalises the project's name, and Debian leaves
/// the epoch out.
fn same_file(a: &str, b: &str) -> bool {
    let plain = |name: &str| match name.strip_suffix(".deb") {
        Some(_) => {
            let mut parts = name.splitn(2, '_');
            let (package, rest) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
            let version = rest.split_once(':').map_or(rest, |(_, rest)| rest);
            format!("{package}_{version}")
        }
        None => name.to_owned(),
    };
    let is_python = |name: &str| name.ends_with(".whl") || name.ends_with(".tar.gz");
    plain(a) == plain(b) || is_python(a) && is_python(b) && names::distribution(a) == names::distribution(b)
}

/// Whether a name ends as a file's, and not as a version or a repository does.
fn has_ending(name: &str) -> bool {
    let Some((start, ending)) = name.rsplit_once('.') else {
        return false;
    };
    let plain = ending.len() <= 10 && ending.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let page = ["git", "html", "htm", "json", "php"].contains(&ending);
    !start.is_empty() && plain && !page && ending.starts_with(|c: char| c.is_ascii_alphabetic())
}

/// Whether a name is that of a file as registries release them: with a version in it, and an ending.
fn is_released(name: &str) -> bool {
    let mut parts = name.split(['-', '_']).skip(1);
    has_ending(name) && parts.any(|part| part.starts_with(|c: char| c.is_ascii_digit()))
}

/// What an address in a registry is of.
struct Registered {
    package: PackageUrl<'static>,
    /// Whether its last part is the name of a file.
    is_file: bool,
}

/// The package of an address in a registry that is known here. Addresses whose last part says as much are no rows here.
fn registered(address: &Url, parts: &[String]) -> Option<Registered> {
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let (kind, (scope, name), version, is_file) = match (address.host_str()?, parts.as_slice()) {
        ("registry.npmjs.org", [scope, name, "-", file]) => {
            ("npm", (Some(*scope), *name), version_of(name, file, ".tgz"), true)
        }
        ("registry.npmjs.org", [name, "-", file]) => {
            ("npm", (None, *name), version_of(name, file, ".tgz"), true)
        }
        ("www.npmjs.com", ["package", scope, name, "v", version]) => {
            ("npm", (Some(*scope), *name), Some(*version), false)
        }
        ("www.npmjs.com", ["package", name, "v", version]) => ("npm", (None, *name), Some(*version), false),
        ("static.crates.io", ["crates", name, version, "download"])
        | ("crates.io", ["api", "v1", "crates", name, version, "download"] | ["crates", name, version]) => {
            ("cargo", (None, *name), Some(*version), false)
        }
        ("static.crates.io", ["crates", name, file]) => {
            ("cargo", (None, *name), version_of(name, file, ".crate"), true)
        }
        (
            "pypi.org",
            ["project", name, version] | ["project", name, version, ""] | ["pypi", name, version, "json"],
        ) => ("pypi", (None, *name), Some(*version), false),
        _ => return None,
    };
    let mut package = PackageUrl::new(kind.to_owned(), name.to_owned()).ok()?;
    if let Some(scope) = scope {
        package.with_namespace(scope.to_owned()).ok()?;
    }
    if let Some(version) = version {
        package.with_version(version.to_owned()).ok()?;
    }
    Some(Registered { package, is_file })
}

/// The version in NAME-VERSION.ENDING.
fn version_of<'f>(name: &str, file: &'f str, ending: &str) -> Option<&'f str> {
    file.strip_prefix(name)?.strip_prefix('-')?.strip_suffix(ending)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artifact::Digests;

    fn found(file: &str, purl: Option<&str>, stated: &str) -> &'static str {
        let artifact = Artifact {
            name: file.into(),
            purl: purl.map(str::to_owned),
            digests: Digests::of(b"x"),
            path: None,
        };
        match resource(stated, &artifact) {
            Resource::Same => "same",
            Resource::Other(_) => "other",
            Resource::Incomparable(_) => "unknown",
        }
    }

    #[test]
    #[rustfmt::skip]
    fn a_resource_is_compared_with_what_was_asked_for() {
        let (wheel, idna) = ("idna-3.10-py3-none-any.whl", Some("pkg:pypi/idna@3.10"));
        let (tgz, pad) = ("left-pad-1.3.0.tgz", Some("pkg:npm/left-pad@1.3.0"));
        let (scoped, tool) = ("tool-1.0.0.tgz", Some("pkg:npm/%40own/tool@1.0.0"));
        let (deb, jq) = ("jq_1.6-2_amd64.deb", Some("pkg:deb/debian/jq@1:1.6-2?arch=amd64"));
        let (own, others) = (Digests::of(b"x").sha256, Digests::of(b"y").sha256);
        for (file, purl, stated, expected) in [
            // Package URLs.
            (wheel, idna, "pkg:pypi/idna@3.10", "same"),
            (wheel, idna, "pkg:pypi/Idna@3.10", "same"),
            (wheel, idna, "pkg:pypi/idna@3.9", "other"),
            (wheel, idna, "pkg:pypi/idna", "other"),
            (wheel, Some("pkg:pypi/idna"), "pkg:pypi/idna@3.10", "same"),
            (wheel, idna, "pkg:pypi/evil@3.10", "other"),
            (wheel, idna, "pkg:npm/idna@3.10", "other"),
            (wheel, idna, "pkg:pypi/idna@3.10?file_name=idna-3.10-py3-none-any.whl", "same"),
            (wheel, idna, "pkg:pypi/idna@3.10?file_name=idna-3.10.tar.gz", "other"),
            (wheel, None, "pkg:pypi/idna@3.10", "same"),
            (wheel, None, "pkg:pypi/idna@3.9", "other"),
            (wheel, None, "pkg:pypi/evil@1.0", "other"),
            ("download", None, "pkg:pypi/idna@3.10", "unknown"),
            ("sha256:00", None, "pkg:pypi/idna@3.10", "unknown"),
            ("sha256:00", idna, "pkg:pypi/idna@3.10", "same"),
            ("sha256:00", idna, "pkg:pypi/evil@3.10", "other"),
            (scoped, tool, "pkg:npm/tool@1.0.0", "other"),
            (deb, jq, "pkg:deb/debian/jq@1.6-2?arch=amd64", "same"),
            (deb, jq, "pkg:deb/debian/jq@2:1.6-2?arch=amd64", "other"),
            (deb, jq, "pkg:deb/debian/jq@1:1.6-2?arch=arm64", "other"),
            (deb, jq, "pkg:deb/debian/jq@1:1.6-2", "same"),
            (tgz, pad, "pkg:npm/left-pad@1.3.0?checksum=sha256:00", "other"),
            (tgz, pad, "pkg:", "unknown"),
            // Addresses of files.
            (wheel, idna, "https://files.pythonhosted.org/packages/76/c6/idna-3.10-py3-none-any.whl", "same"),
            (wheel, idna, "https://files.pythonhosted.org/packages/76/c6/idna-3.10.tar.gz", "other"),
            (wheel, idna, "https://files.pythonhosted.org/packages/76/c6/evil-6.6-py3-none-any.whl", "other"),
            (wheel, idna, "https://files.pythonhosted.org/packages/idna-3.10-py3-none-any.whl#sha256=00", "same"),
            (wheel, idna, "https://mirror.example/Idna-3.10-py3-none-any.whl?x=1", "same"),
            (wheel, idna, "https://mirror.example/evil.zip?file=idna-3.10-py3-none-any.whl", "other"),
            (wheel, idna, "https://mirror.example/idna-3.10-py3-none-any.whl/evil-6.6.whl", "other"),
            (wheel, idna, "https://pypi.org/project/idna/3.10/", "same"),
            (wheel, idna, "https://pypi.org/project/idna/3.9/", "other"),
            (wheel, None, "https://mirror.example/evil-6.6-py3-none-any.whl", "other"),
            ("sha256:00", idna, "https://mirror.example/idna-3.10-py3-none-any.whl", "same"),
            ("sha256:00", idna, "https://mirror.example/evil-6.6-py3-none-any.whl", "other"),
            ("sha256:00", Some("pkg:pypi/idna@3.1"), "https://mirror.example/idna-3.10-py3-none-any.whl", "other"),
            ("sha256:00", None, "https://mirror.example/evil-6.6-py3-none-any.whl", "unknown"),
            (tgz, pad, "https://registry.npmjs.org/left-pad/-/left-pad-1.3.0.tgz", "same"),
            (tgz, pad, "https://registry.npmjs.org/left-pad/-/left-pad-1.2.0.tgz", "other"),
            (tgz, pad, "https://registry.npmjs.org/@evil/left-pad/-/left-pad-1.3.0.tgz", "other"),
            (scoped, tool, "https://registry.npmjs.org/@own/tool/-/tool-1.0.0.tgz", "same"),
            (scoped, tool, "https://registry.npmjs.org/%40own/tool/-/tool-1.0.0.tgz", "same"),
            (scoped, tool, "https://registry.npmjs.org/tool/-/tool-1.0.0.tgz", "other"),
            (scoped, tool, "https://www.npmjs.com/package/@own/tool/v/1.0.0", "same"),
            (scoped, tool, "https://www.npmjs.com/package/@own/tool/v/1.0.1", "other"),
            ("sha256:00", tool, "https://registry.npmjs.org/@evil/tool/-/tool-1.0.0.tgz", "other"),
            ("x-1.0.0.crate", Some("pkg:cargo/x@1.0.0"), "https://static.crates.io/crates/x/x-1.0.0.crate", "same"),
            ("x-1.0.0.crate", Some("pkg:cargo/x@1.0.0"), "https://crates.io/api/v1/crates/x/1.0.0/download", "same"),
            ("x-1.0.0.crate", Some("pkg:cargo/x@1.0.0"), "https://crates.io/api/v1/crates/y/1.0.0/download", "other"),
            (deb, jq, "https://deb.debian.org/debian/pool/main/j/jq/jq_1.6-2_amd64.deb", "same"),
            (deb, jq, "https://deb.debian.org/debian/pool/main/j/jq/jq_1%3a1.6-2_amd64.deb", "same"),
            (deb, jq, "https://deb.debian.org/debian/pool/main/j/jq/jq_1.6-2_arm64.deb", "other"),
            ("download.bin", Some("pkg:generic/app@1.0"), "https://example.org/app-1.0.tar.gz", "same"),
            ("download.bin", Some("pkg:generic/app@1.0"), "https://example.org/app-1.1.tar.gz", "other"),
            ("tool", None, "https://example.org/dist/tool", "same"),
            ("tool", None, "https://example.org/dist/other", "other"),
            ("tool", None, "https://example.org/tool/releases", "unknown"),
            // Names.
            ("app-1.0.tar.gz", None, "app-1.0.tar.gz", "same"),
            ("app-1.0.tar.gz", None, "dist/app-1.0.tar.gz", "same"),
            ("app-1.0.tar.gz", None, "app-1.1.tar.gz", "other"),
            ("app-1.0.tar.gz", Some("pkg:generic/app@1.0"), "evil-6.6.zip", "other"),
            // What is no name of a file.
            ("app-1.0.tar.gz", None, "git+https://example.org/app", "unknown"),
            ("app-1.0.tar.gz", None, "https://example.org/app.git", "unknown"),
            ("app-1.0.tar.gz", None, "https://example.org/", "unknown"),
            ("app-1.0.tar.gz", None, "gce_image://nodes:one", "unknown"),
            ("app", None, "gce_image://nodes:one", "unknown"),
            ("app-1.0.tar.gz", None, "urn:uuid:0", "unknown"),
            // Images, by their digest.
            ("app", None, &format!("registry.example/app@sha256:{own}"), "unknown"),
            ("app", None, &format!("registry.example/app@sha256:{others}"), "other"),
        ] {
            assert_eq!(found(file, purl, stated), expected, "{file} {purl:?} {stated}");
        }
    }
}
