//! crates.io: a crate, packed again by cargo from the commit that it names.
//!
//! cargo writes the commit into every crate that it packs from a clean checkout, but no signature backs that claim;
//! the rebuild tests it. The version of cargo is not recorded: the stable one of the day is the first guess, and the
//! differences suggest others.

mod age;
mod alternatives;
mod checkout_state;
mod commit;
mod development;
mod family;
mod file_metadata;
mod folder;
mod large_files;
mod lock_form;
pub(super) mod lockfile;
mod members;
mod package;
mod plan;
mod publisher;
pub(super) mod registry;
mod stand_in;
mod submodules;
#[cfg(test)]
mod tests;
mod toolchain;
mod trusted_publishing;
mod turned_on;
mod windows;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use super::hints::{Alternative, EndedRun, Hints};
use super::packaging::{ReleasedName, named};
use super::{Forms, Named, Packaging, PlanError, Planner, Release};
use crate::artifact::{Ecosystem, Subject, SubjectError};
use crate::container::Catalog;
use crate::plan::Plan;
use crate::reader::{Reader, as_file, as_text};
use crate::store::Fetcher;

pub(super) struct Crates;

impl Packaging for Crates {
    fn ecosystem(&self) -> Ecosystem {
        Ecosystem::Crates
    }

    fn forms(&self) -> Forms {
        Forms {
            short: "crate",
            separator: "@",
            qualifiers: "",
        }
    }

    fn subject(&self, named: &Named<'_>) -> Result<Subject, SubjectError> {
        // The characters that cargo allows in names; see "The Manifest Format" in the Cargo book.
        let plain = named.name.starts_with(|c: char| c.is_ascii_alphabetic())
            && named.name.len() <= 64
            && named
                .name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
        let name = named.valid("crate name", &named.name, plain)?;
        let version = named.version(|version| semver::Version::parse(version).is_ok())?;
        Ok(Subject::new(Ecosystem::Crates, &name, version.as_deref()))
    }

    fn oss_rebuild(&self) -> Option<&'static str> {
        Some("cratesio")
    }

    fn index(&self) -> &'static str {
        "the index of crates.io, which is not signed"
    }

    fn read_off(&self, file: &ReleasedName<'_>) -> Option<Named<'static>> {
        #[derive(serde::Deserialize)]
        struct Manifest {
            package: Package,
        }
        #[derive(serde::Deserialize)]
        struct Package {
            name: String,
            version: String,
        }
        if !file.name.ends_with(".crate") {
            return None;
        }
        let manifest =
            file.text(|path| path.split_once('/').is_some_and(|(_, rest)| rest == "Cargo.toml"))?;
        let Manifest { package } = toml::from_str(&manifest).ok()?;
        Some(named(&package.name, &package.version))
    }

    fn lookup<'a>(
        &'a self,
        fetcher: &'a Fetcher,
        _: &'a Catalog,
        subject: &'a Subject,
    ) -> BoxFuture<'a, Result<Release, PlanError>> {
        registry::lookup(fetcher, subject).boxed()
    }

    fn newest<'a>(
        &'a self,
        fetcher: &'a Fetcher,
        subject: &'a Subject,
    ) -> BoxFuture<'a, Result<Option<String>, PlanError>> {
        async move {
            let (_, version) = registry::find(fetcher, subject).await?;
            Ok(Some(version.version))
        }
        .boxed()
    }

    fn locked(&self, file: &str, text: &[u8]) -> Option<Result<Vec<(String, String)>, String>> {
        (file == "Cargo.lock").then(|| lockfile::named(&String::from_utf8_lossy(text)))
    }

    fn plan<'a>(
        &'a self,
        planner: &'a Planner<'a>,
        subject: &'a Subject,
    ) -> BoxFuture<'a, Result<Plan, PlanError>> {
        plan::plan(planner, subject).boxed()
    }

    fn readers(&self) -> &'static [Reader] {
        READERS
    }

    fn alternatives(&self, run: &EndedRun<'_>, hints: &Hints) -> Vec<Alternative> {
        alternatives::after(run, hints)
    }
}

const READERS: &[Reader] = &[
    ("crates-index", |bytes| {
        as_text(bytes, |text| drop(registry::read(text)));
    }),
    ("crates-api", |bytes| {
        as_text(bytes, |text| drop(trusted_publishing::read(text)));
    }),
    ("cargo-lock", |bytes| {
        as_text(bytes, |text| drop(lockfile::read(text)));
    }),
    ("cargo-manifest", |bytes| as_text(bytes, stand_in::read)),
    ("crate", |bytes| as_file(bytes, |path| drop(package::read(path)))),
];
