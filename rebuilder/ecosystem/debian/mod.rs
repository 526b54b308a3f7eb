//! Debian: a binary package of the archive, rebuilt from its source package.
//!
//! The archive's signature covers binaries and sources alike, so both ends of the rebuild are signed. No signature
//! says that the binary was built from the source: the rebuild answers that question.

mod alternatives;
mod binnmu;
mod choose;
mod claims;
mod dependencies;
mod exact;
mod lead;
mod plan;
mod registry;
mod released;
mod traces;

use std::collections::BTreeMap;

use debversion::Version;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use super::hints::{Alternative, EndedRun, Hints};
use super::packaging::{ReleasedName, field, named};
use super::{Forms, Named, Packaging, PlanError, Planner, Release};
use crate::apt::{Binary, BinaryRow};
use crate::artifact::pattern::fits;
use crate::artifact::{Ecosystem, Subject, SubjectError};
use crate::container::Catalog;
use crate::plan::Plan;
use crate::reader::{Reader, as_file};
use crate::store::Fetcher;

const DEFAULT_ARCH: &str = "amd64";
const DEFAULT_DISTRO: &str = "bookworm";

pub(super) struct Debian;

impl Packaging for Debian {
    fn ecosystem(&self) -> Ecosystem {
        Ecosystem::Debian
    }

    fn forms(&self) -> Forms {
        Forms {
            short: "deb",
            separator: "=",
            qualifiers: "?arch=amd64&distro=bookworm",
        }
    }

    fn subject(&self, named: &Named<'_>) -> Result<Subject, SubjectError> {
        let plain = |value: &str| {
            !value.is_empty()
                && value
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
        };
        let distro = named.qualifier("distro").unwrap_or(DEFAULT_DISTRO);
        // Other tools also write distributions as `debian-12` or `debian-bookworm`.
        let distro = match distro.strip_prefix("debian-").unwrap_or(distro) {
            "12" => "bookworm",
            "13" => "trixie",
            other => other,
        };
        let arch = named.qualifier("arch").unwrap_or(DEFAULT_ARCH);
        let package = Package {
            version: named.version(|version| version.parse::<Version>().is_ok())?,
            name: named.valid("package name", &named.name, plain(&named.name))?,
            arch: named.valid("architecture", arch, plain(arch))?,
            distro: named.valid("distribution", distro, plain(distro))?,
        };
        Ok(package.subject())
    }

    fn index(&self) -> &'static str {
        "the index of the archive, which is signed"
    }

    fn read_off(&self, file: &ReleasedName<'_>) -> Option<Named<'static>> {
        if !file.name.ends_with(".deb") {
            return None;
        }
        let control = file.text(|path| path.starts_with("control.tar") && path.ends_with("/control"))?;
        let value = |name| field(&control, name);
        let mut named = named(value("Package")?, value("Version")?);
        // A package for all architectures is built on the default one.
        let own = value("Architecture").filter(|arch| *arch != "all");
        named.qualifiers = own
            .map(|arch| ("arch".into(), arch.to_owned()))
            .into_iter()
            .collect();
        if let Some(distro) = distribution(value("Version")?) {
            named.qualifiers.insert("distro".into(), distro.to_owned());
        }
        Some(named)
    }

    fn lookup<'a>(
        &'a self,
        fetcher: &'a Fetcher,
        catalog: &'a Catalog,
        subject: &'a Subject,
    ) -> BoxFuture<'a, Result<Release, PlanError>> {
        async { registry::lookup(fetcher, catalog, &Package::of(subject)).await }.boxed()
    }

    fn plan<'a>(
        &'a self,
        planner: &'a Planner<'a>,
        subject: &'a Subject,
    ) -> BoxFuture<'a, Result<Plan, PlanError>> {
        async { plan::plan(planner, &Package::of(subject)).await }.boxed()
    }

    fn readers(&self) -> &'static [Reader] {
        &[
            ("deb-traces", |bytes| as_file(bytes, traces::look_into)),
            ("deb-version", |bytes| {
                let text = String::from_utf8_lossy(bytes);
                let mut versions = text.lines().flat_map(str::parse::<Version>);
                let _ = versions.next().cmp(&versions.next());
            }),
        ]
    }

    fn alternatives(&self, run: &EndedRun<'_>, hints: &Hints) -> Vec<Alternative> {
        alternatives::after(run, hints)
    }
}

/// The release in the version of an update, such as `1.2-3+deb13u1`.
fn distribution(version: &str) -> Option<&'static str> {
    ["12", "13"]
        .into_iter()
        .zip(["bookworm", "trixie"])
        .find(|(number, _)| version.contains(&format!("deb{number}u")))
        .map(|(_, name)| name)
}

/// A package of a Debian archive, as a subject names it.
struct Package {
    /// Name of a binary package or, if there is no such binary, of a source package.
    name: String,
    /// Full version with epoch; `None` for the archive's current one.
    version: Option<String>,
    /// Architecture to build for and on.
    arch: String,
    /// Code name of the release, such as `bookworm`.
    distro: String,
}

impl Package {
    fn of(subject: &Subject) -> Self {
        let qualifier = |key, default: &str| subject.qualifier(key).unwrap_or(default).to_owned();
        Self {
            name: subject.name.clone(),
            version: subject.version.clone(),
            arch: qualifier("arch", DEFAULT_ARCH),
            distro: qualifier("distro", DEFAULT_DISTRO),
        }
    }

    fn subject(&self) -> Subject {
        let qualifiers = [("arch", &self.arch), ("distro", &self.distro)];
        Subject {
            qualifiers: qualifiers.map(|(key, value)| (key, value.clone())).into(),
            ..Subject::new(Ecosystem::Debian, &self.name, self.version.as_deref())
        }
    }

    fn purl(&self) -> String {
        self.subject().purl()
    }

    /// The container for builds of its release.
    fn container(&self) -> String {
        format!("{}-build", self.distro)
    }

    fn unreadable(&self, document: &str, reason: &str) -> PlanError {
        PlanError::Document {
            subject: self.name.clone(),
            document: document.to_owned(),
            reason: reason.to_owned(),
        }
    }
}

/// `NAME_VERSION_ARCH.deb`, as dpkg-deb names it: without the epoch, which the pool leaves out too.
fn file_name(binary: &Binary) -> String {
    let mut version = binary.version.clone();
    version.epoch = None;
    format!("{}_{version}_{}.deb", binary.package, binary.arch)
}

/// The same for a package of the installer.
fn installer_file_name(binary: &Binary) -> String {
    let name = file_name(binary);
    format!("{}.udeb", name.trim_end_matches(".deb"))
}

/// The binary packages of a suite whose name, or whose source's name, matches a pattern, each in its newest version.
pub async fn in_suite(
    fetcher: &Fetcher,
    catalog: &Catalog,
    suite: &str,
    filter: &str,
) -> Result<Vec<Subject>, PlanError> {
    let container = format!("{suite}-build");
    let definition = catalog.definition(&container)?.debian;
    let indexes = catalog.indexes(fetcher, &container, &definition).await?;
    let arches = [definition.arch.as_str(), "all"];
    let wanted = |row: &BinaryRow<'_>| {
        arches.contains(&row.arch) && (fits(filter, row.package) || fits(filter, row.source))
    };
    let mut newest: BTreeMap<String, Binary> = BTreeMap::new();
    for binary in indexes.binaries(wanted)? {
        let known = newest
            .entry(binary.package.clone())
            .or_insert_with(|| binary.clone());
        if known.version < binary.version {
            *known = binary;
        }
    }
    let subject = |binary: Binary| Package {
        name: binary.package,
        version: Some(binary.version.to_string()),
        arch: definition.arch.clone(),
        distro: suite.to_owned(),
    };
    Ok(newest
        .into_values()
        .map(|binary| subject(binary).subject())
        .collect())
}

/// Package URL of a package of a release.
pub fn purl(package: &str, version: &Version, arch: &str, distro: &str) -> String {
    Package {
        name: package.to_owned(),
        version: Some(version.to_string()),
        arch: arch.to_owned(),
        distro: distro.to_owned(),
    }
    .purl()
}

/// Package URL of a binary package of a release.
fn purl_of(binary: &Binary, distro: &str) -> String {
    purl(&binary.package, &binary.version, &binary.arch, distro)
}
