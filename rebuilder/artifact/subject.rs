//! Names of released artifacts: package URLs and the short forms that people type.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use packageurl::PackageUrl;

use super::Ecosystem;

/// A released artifact, named but not yet looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// A binary package of a Debian archive, or all that one source package builds.
    Deb(DebSubject),
    /// A wheel on the Python Package Index.
    Pypi(PypiSubject),
    /// A tarball of the npm registry.
    Npm(NpmSubject),
    /// A crate of crates.io.
    Crate(CrateSubject),
}

/// `pkg:deb/debian/NAME@VERSION?arch=…&distro=…`, or `deb:NAME=VERSION`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DebSubject {
    /// Name of a binary package or, where no such binary exists, of a source package.
    pub name: String,
    /// Full version with epoch; the archive's current one where it is left out.
    pub version: Option<String>,
    /// Architecture to build for and on.
    pub arch: String,
    /// Code name of the release, such as `bookworm`.
    pub distro: String,
}

/// `pkg:pypi/NAME@VERSION?file_name=…`, or `pypi:NAME==VERSION`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PypiSubject {
    /// Project name, normalised as PEP 503 says.
    pub name: String,
    /// Version; the newest one that is neither yanked nor a pre-release where it is left out.
    pub version: Option<String>,
    /// The wheel's file name; the only pure wheel of the version where it is left out.
    pub file_name: Option<String>,
}

/// `pkg:npm/[%40SCOPE/]NAME@VERSION`, or `npm:[@SCOPE/]NAME@VERSION`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NpmSubject {
    /// Package name, with its scope.
    pub name: String,
    /// Version; the one tagged `latest` where it is left out.
    pub version: Option<String>,
}

/// `pkg:cargo/NAME@VERSION`, or `crate:NAME@VERSION`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CrateSubject {
    /// Name, as it was published.
    pub name: String,
    /// Version; the newest one that is neither yanked nor a pre-release where it is left out.
    pub version: Option<String>,
}

/// A text that names no artifact we know how to rebuild.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[allow(missing_docs)]
pub enum SubjectError {
    #[error("{text:?} is not a package URL: {reason}")]
    #[diagnostic(help(
        "write it as pkg:deb/debian/NAME@VERSION?arch=amd64&distro=bookworm, pkg:pypi/NAME@VERSION, pkg:npm/NAME@VERSION or pkg:cargo/NAME@VERSION"
    ))]
    NotPurl { text: String, reason: String },
    #[error("{text:?} names no artifact")]
    #[diagnostic(help(
        "use a package URL (pkg:…), deb:NAME[=VERSION], pypi:NAME[==VERSION], npm:NAME[@VERSION], crate:NAME[@VERSION], or a file together with --purl or --provenance"
    ))]
    Unknown { text: String },
    #[error("no way is known to rebuild packages of type {kind:?} ({text})")]
    #[diagnostic(help("types that can be rebuilt: deb, pypi, npm, cargo"))]
    Unsupported { kind: String, text: String },
    #[error("{what} {value:?} in {text:?} is not valid")]
    Invalid {
        what: &'static str,
        value: String,
        text: String,
    },
}

const DEFAULT_ARCH: &str = "amd64";
const DEFAULT_DISTRO: &str = "bookworm";

impl Subject {
    /// The ecosystem that it is released in.
    pub fn ecosystem(&self) -> Ecosystem {
        match self {
            Self::Deb(_) => Ecosystem::Debian,
            Self::Pypi(_) => Ecosystem::Pypi,
            Self::Npm(_) => Ecosystem::Npm,
            Self::Crate(_) => Ecosystem::Crates,
        }
    }

    /// The package URL of this subject, in canonical form.
    pub fn purl(&self) -> String {
        match self {
            Self::Deb(deb) => deb_purl(&deb.name, deb.version.as_deref(), &deb.arch, &deb.distro),
            Self::Pypi(pypi) => pypi_purl(&pypi.name, pypi.version.as_deref(), pypi.file_name.as_deref()),
            Self::Npm(npm) => {
                let (scope, name) = match npm.name.split_once('/') {
                    Some((scope, name)) => (Some(scope), name),
                    None => (None, npm.name.as_str()),
                };
                purl("npm", scope, name, npm.version.as_deref(), &[])
            }
            Self::Crate(it) => purl("cargo", None, &it.name, it.version.as_deref(), &[]),
        }
    }
}

/// Package URL of a Debian binary or source package.
fn deb_purl(name: &str, version: Option<&str>, arch: &str, distro: &str) -> String {
    purl(
        "deb",
        Some("debian"),
        name,
        version,
        &[("arch", arch), ("distro", distro)],
    )
}

/// Package URL of a PyPI file.
fn pypi_purl(name: &str, version: Option<&str>, file_name: Option<&str>) -> String {
    let qualifiers: Vec<_> = file_name.map(|name| ("file_name", name)).into_iter().collect();
    purl("pypi", None, name, version, &qualifiers)
}

fn purl(
    kind: &str,
    namespace: Option<&str>,
    name: &str,
    version: Option<&str>,
    qualifiers: &[(&str, &str)],
) -> String {
    let build = || -> Result<String, packageurl::Error> {
        let mut purl = PackageUrl::new(kind, name)?;
        if let Some(namespace) = namespace {
            purl.with_namespace(namespace)?;
        }
        if let Some(version) = version {
            purl.with_version(version)?;
        }
        for (key, value) in qualifiers {
            purl.add_qualifier((*key).to_owned(), (*value).to_owned())?;
        }
        Ok(purl.to_string())
    };
    build().unwrap_or_else(|_| format!("pkg:{kind}/{name}"))
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.purl())
    }
}

impl FromStr for Subject {
    type Err = SubjectError;

    fn from_str(text: &str) -> Result<Self, SubjectError> {
        if text.starts_with("pkg:") {
            return from_purl(text);
        }
        if let Some(rest) = text.strip_prefix("deb:") {
            let (name, version) = split(rest, "=");
            return deb(text, name, version, None, None);
        }
        if let Some(rest) = text.strip_prefix("pypi:") {
            let (name, version) = split(rest, "==");
            return pypi(text, name, version, None);
        }
        if let Some(rest) = text.strip_prefix("npm:") {
            // A scope begins with the sign that else comes before the version.
            let (name, version) = match rest.rsplit_once('@').filter(|(name, _)| !name.is_empty()) {
                Some((name, version)) => (name, Some(version)),
                None => (rest, None),
            };
            return npm(text, name, version);
        }
        if let Some(rest) = text.strip_prefix("crate:") {
            let (name, version) = split(rest, "@");
            return a_crate(text, name, version);
        }
        Err(SubjectError::Unknown {
            text: text.to_owned(),
        })
    }
}

fn split<'a>(text: &'a str, separator: &str) -> (&'a str, Option<&'a str>) {
    match text.split_once(separator) {
        Some((name, version)) => (name, Some(version)),
        None => (text, None),
    }
}

fn from_purl(text: &str) -> Result<Subject, SubjectError> {
    let not_purl = |reason: String| SubjectError::NotPurl {
        text: text.to_owned(),
        reason,
    };
    let purl = PackageUrl::from_str(text).map_err(|error| not_purl(error.to_string()))?;
    let qualifiers: BTreeMap<&str, &str> = purl
        .qualifiers()
        .iter()
        .map(|(key, value)| (key.as_ref(), value.as_ref()))
        .collect();
    let qualifier = |name: &str| qualifiers.get(name).copied();
    match purl.ty() {
        "deb" => {
            if let Some(other) = purl.namespace().filter(|name| *name != "debian") {
                return Err(SubjectError::Unsupported {
                    kind: format!("deb/{other}"),
                    text: text.to_owned(),
                });
            }
            deb(
                text,
                purl.name(),
                purl.version(),
                qualifier("arch"),
                qualifier("distro"),
            )
        }
        "pypi" => pypi(text, purl.name(), purl.version(), qualifier("file_name")),
        "npm" => {
            let name = match purl.namespace() {
                Some(scope) => format!("{scope}/{}", purl.name()),
                None => purl.name().to_owned(),
            };
            npm(text, &name, purl.version())
        }
        "cargo" => a_crate(text, purl.name(), purl.version()),
        other => Err(SubjectError::Unsupported {
            kind: other.to_owned(),
            text: text.to_owned(),
        }),
    }
}

fn deb(
    text: &str,
    name: &str,
    version: Option<&str>,
    arch: Option<&str>,
    distro: Option<&str>,
) -> Result<Subject, SubjectError> {
    let plain = |value: &str| {
        !value.is_empty()
            && value
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
    };
    let valid = |what, value: &str, ok: bool| {
        if ok {
            Ok(value.to_owned())
        } else {
            Err(SubjectError::Invalid {
                what,
                value: value.to_owned(),
                text: text.to_owned(),
            })
        }
    };
    let distro = distro.unwrap_or(DEFAULT_DISTRO);
    // Distributions are also written as `debian-12` or `debian-bookworm` in the wild.
    let distro = match distro.strip_prefix("debian-").unwrap_or(distro) {
        "12" => "bookworm",
        "13" => "trixie",
        other => other,
    };
    let version = match version {
        Some(version) => {
            let ok = version.parse::<debversion::Version>().is_ok();
            Some(valid("version", version, ok)?)
        }
        None => None,
    };
    Ok(Subject::Deb(DebSubject {
        name: valid("package name", name, plain(name))?,
        version,
        arch: valid(
            "architecture",
            arch.unwrap_or(DEFAULT_ARCH),
            plain(arch.unwrap_or(DEFAULT_ARCH)),
        )?,
        distro: valid("distribution", distro, plain(distro))?,
    }))
}

fn npm(text: &str, name: &str, version: Option<&str>) -> Result<Subject, SubjectError> {
    let invalid = |what, value: &str| SubjectError::Invalid {
        what,
        value: value.to_owned(),
        text: text.to_owned(),
    };
    let plain = |part: &str| {
        let first = part.chars().next();
        first.is_some_and(|c| c.is_ascii_alphanumeric() || "-~_".contains(c))
            && part
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-._~".contains(c))
    };
    let ok = match name.split_once('/') {
        Some((scope, rest)) => scope.strip_prefix('@').is_some_and(plain) && plain(rest),
        None => plain(name),
    };
    if !ok {
        return Err(invalid("package name", name));
    }
    if let Some(version) = version
        && nodejs_semver::Version::parse(version).is_err()
    {
        return Err(invalid("version", version));
    }
    Ok(Subject::Npm(NpmSubject {
        name: name.to_owned(),
        version: version.map(str::to_owned),
    }))
}

fn a_crate(text: &str, name: &str, version: Option<&str>) -> Result<Subject, SubjectError> {
    let invalid = |what, value: &str| SubjectError::Invalid {
        what,
        value: value.to_owned(),
        text: text.to_owned(),
    };
    // What cargo allows in names; see "The Manifest Format" of the Cargo book.
    let plain = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.len() <= 64
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
    if !plain {
        return Err(invalid("crate name", name));
    }
    if let Some(version) = version.filter(|version| semver::Version::parse(version).is_err()) {
        return Err(invalid("version", version));
    }
    Ok(Subject::Crate(CrateSubject {
        name: name.to_owned(),
        version: version.map(str::to_owned),
    }))
}

fn pypi(
    text: &str,
    name: &str,
    version: Option<&str>,
    file_name: Option<&str>,
) -> Result<Subject, SubjectError> {
    let invalid = |what, value: &str| SubjectError::Invalid {
        what,
        value: value.to_owned(),
        text: text.to_owned(),
    };
    let name = name
        .parse::<pep508_rs::PackageName>()
        .map_err(|_| invalid("project name", name))?;
    if let Some(version) = version {
        version
            .parse::<pep440_rs::Version>()
            .map_err(|_| invalid("version", version))?;
    }
    if let Some(file) = file_name.filter(|file| file.contains('/') || file.starts_with('.')) {
        return Err(invalid("file name", file));
    }
    Ok(Subject::Pypi(PypiSubject {
        name: name.to_string(),
        version: version.map(str::to_owned),
        file_name: file_name.map(str::to_owned),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_form_and_writes_the_canonical_one() {
        let table = [
            ("deb:jq", "pkg:deb/debian/jq?arch=amd64&distro=bookworm"),
            (
                "deb:jq=1.6-2.1+deb12u2",
                "pkg:deb/debian/jq@1.6-2.1%2Bdeb12u2?arch=amd64&distro=bookworm",
            ),
            (
                "pkg:deb/debian/jq@1.6-2.1+deb12u2?arch=amd64&distro=bookworm",
                "pkg:deb/debian/jq@1.6-2.1%2Bdeb12u2?arch=amd64&distro=bookworm",
            ),
            (
                "pkg:deb/debian/dpkg@1:2.0?arch=arm64&distro=debian-13",
                "pkg:deb/debian/dpkg@1:2.0?arch=arm64&distro=trixie",
            ),
            ("npm:left-pad@1.3.0", "pkg:npm/left-pad@1.3.0"),
            ("npm:@scope/name@1.0.0", "pkg:npm/%40scope/name@1.0.0"),
            ("npm:@scope/name", "pkg:npm/%40scope/name"),
            ("pkg:npm/%40scope/name@1.0.0", "pkg:npm/%40scope/name@1.0.0"),
            ("crate:itoa@1.0.11", "pkg:cargo/itoa@1.0.11"),
            ("pkg:cargo/unicode-ident@1.0.12", "pkg:cargo/unicode-ident@1.0.12"),
            ("pypi:idna==3.10", "pkg:pypi/idna@3.10"),
            ("pypi:Typing_Extensions", "pkg:pypi/typing-extensions"),
            (
                "pkg:pypi/idna@3.10?file_name=idna-3.10-py3-none-any.whl",
                "pkg:pypi/idna@3.10?file_name=idna-3.10-py3-none-any.whl",
            ),
        ];
        for (text, canonical) in table {
            assert_eq!(
                text.parse::<Subject>().unwrap().purl().replace("%3A", ":"),
                canonical,
                "{text}"
            );
        }
    }

    #[test]
    fn refuses_what_it_cannot_rebuild() {
        for bad in [
            "jq",
            "deb:",
            "deb:../etc",
            "deb:jq=",
            "pypi:idna==",
            "pypi:idna==not a version",
            "crate:",
            "crate:../itoa@1.0.0",
            "crate:itoa@1.0",
            "npm:",
            "npm:../left-pad",
            "npm:left-pad@latest",
            "npm:scope/left-pad@1.0.0",
            "pkg:gem/rails@1.0.0",
            "pkg:deb/ubuntu/jq",
            "pkg:",
            "pkg:pypi/idna@3.10?file_name=../idna.whl",
        ] {
            assert!(bad.parse::<Subject>().is_err(), "{bad:?} was taken");
        }
    }

    proptest::proptest! {
        #[test]
        fn a_subject_survives_its_purl(
            name in "[a-z0-9][a-z0-9+.-]{1,20}",
            version in "([1-9]:)?[0-9][0-9.]{0,6}(-[0-9]{1,2}(\\+deb12u[0-9])?(\\+b[0-9])?)?",
        ) {
            let subject: Subject = format!("deb:{name}={version}").parse().unwrap();
            proptest::prop_assert_eq!(subject.purl().parse::<Subject>().unwrap(), subject);
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in ".{0,60}", kind in "(pkg:|deb:|pypi:|pkg:deb/|)") {
            let _ = format!("{kind}{text}").parse::<Subject>();
        }
    }
}
