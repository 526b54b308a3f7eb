//! npm: a tarball from the registry, packed again from the commit that its signed provenance names or, without
//! provenance, from the commit that the registry's metadata leads to.
//!
//! Provenance names repository, commit and workflow. Nothing records the versions of Node.js and npm, or the scripts
//! that ran: they are inferred from the registry's metadata and from the workflow file at that commit, and the plan
//! says so.

mod address;
mod alternatives;
mod calendar;
mod dependencies;
mod fitting;
mod line_ends;
mod lockfile;
mod manifest;
mod modes;
mod packer;
mod packing;
mod pinning;
mod plan;
mod registry;
mod resolve;
mod scripts;
mod source;
mod times;
mod toolchain;
mod wanted;

pub(super) use toolchain::of_source;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use nodejs_semver::{Range, Version as SemVer};

use super::hints::{Alternative, EndedRun, Hints};
use super::packaging::{ReleasedName, named};
use super::{Forms, Named, Packaging, PlanError, Planner, Release};
use crate::artifact::{Ecosystem, Subject, SubjectError};
use crate::container::Catalog;
use crate::evidence::npm::Version;
use crate::plan::Plan;
use crate::reader::Reader;
use crate::store::Fetcher;

pub(super) struct Npm;

impl Packaging for Npm {
    fn ecosystem(&self) -> Ecosystem {
        Ecosystem::Npm
    }

    fn forms(&self) -> Forms {
        Forms {
            short: "npm",
            separator: "@",
            qualifiers: "",
        }
    }

    fn subject(&self, named: &Named<'_>) -> Result<Subject, SubjectError> {
        let plain = |part: &str| {
            let first = part.chars().next();
            first.is_some_and(|c| c.is_ascii_alphanumeric() || "-~_".contains(c))
                && part
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || "-._~".contains(c))
        };
        let name = match &named.namespace {
            Some(scope) => format!("{scope}/{}", named.name),
            None => named.name.clone(),
        };
        let ok = match name.split_once('/') {
            Some((scope, rest)) => scope.strip_prefix('@').is_some_and(plain) && plain(rest),
            None => plain(&name),
        };
        let name = named.valid("package name", &name, ok)?;
        let version = named.version(|version| nodejs_semver::Version::parse(version).is_ok())?;
        Ok(Subject::new(Ecosystem::Npm, &name, version.as_deref()))
    }

    fn oss_rebuild(&self) -> Option<&'static str> {
        Some("npm")
    }

    fn index(&self) -> &'static str {
        "the npm registry, as it answers today"
    }

    fn read_off(&self, file: &ReleasedName<'_>) -> Option<Named<'static>> {
        if !file.name.ends_with(".tgz") {
            return None;
        }
        let manifest = file.text(|path| {
            path.split_once('/')
                .is_some_and(|(_, rest)| rest == "package.json")
        })?;
        let manifest: serde_json::Value = serde_json::from_str(&manifest).ok()?;
        let text = |key: &str| manifest.get(key)?.as_str();
        Some(named(text("name")?, text("version")?))
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
            let version = registry::version(fetcher, &subject.name, "latest").await?;
            Ok(Some(version.version))
        }
        .boxed()
    }

    fn locked(&self, file: &str, text: &[u8]) -> Option<Result<Vec<(String, String)>, String>> {
        dependencies::named(file, text)
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
    ("package-lock", |bytes| drop(lockfile::npm(bytes))),
    ("yarn-lock", |bytes| drop(lockfile::yarn(bytes))),
    ("pnpm-lock", |bytes| drop(lockfile::pnpm(bytes))),
    ("npm-version", |bytes| {
        if let Ok(Version { repository, .. }) = serde_json::from_slice(bytes) {
            address::of(&repository);
        }
    }),
    ("npm-range", |bytes| {
        let text = String::from_utf8_lossy(bytes);
        let (range, version) = text.split_once('\n').unwrap_or((&text, "1.0.0"));
        let (range, version) = (Range::parse(range), SemVer::parse(version));
        if let (Ok(range), Ok(version)) = (range, version) {
            range.satisfies(&version);
        }
    }),
    ("package-json", |bytes| {
        if let Ok(package) = serde_json::from_slice::<manifest::Package>(bytes) {
            package.named_paths();
            package.workspace_patterns();
        }
    }),
];
