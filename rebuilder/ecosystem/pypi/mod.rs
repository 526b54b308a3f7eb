//! PyPI: a wheel, rebuilt from the source distribution beside it or from a commit.
//!
//! The registry keeps no record of a build, so much is inferred from the released wheel: the backend and its version
//! from `Generator`, the other requirements from what had been uploaded by then, and clock, modes and host system from
//! the archive's entries. Each is an assumption in the plan. If the bytes differ, `alternatives` finds the assumption
//! to change in the comparison.

mod alternatives;
mod assumptions;
mod backend;
mod bounds;
mod dialect;
mod driver;
mod flags;
mod further;
pub(super) mod interpreter;
mod pip;
mod plan;
mod registry;
mod release;
mod required;
mod requirement;
pub(super) mod requirements;
mod sdist;
mod source;
mod wheel;

use std::path::Path;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use super::hints::{Alternative, EndedRun, Hints};
use super::packaging::{ReleasedName, field, named};
use super::{Forms, ListedSources, Named, Packaging, PlanError, Planner, Release, provenance};
use crate::artifact::{Ecosystem, Sha256, Subject, SubjectError};
use crate::container::Catalog;
use crate::plan::Plan;
use crate::reader::{Reader, as_file, as_text};
use crate::run::failure::log::shortened;
use crate::store::Fetcher;

/// The qualifier that names one wheel of a version.
const FILE_NAME: &str = "file_name";

pub(super) struct Pypi;

impl Packaging for Pypi {
    fn ecosystem(&self) -> Ecosystem {
        Ecosystem::Pypi
    }

    fn forms(&self) -> Forms {
        Forms {
            short: "pypi",
            separator: "==",
            qualifiers: "",
        }
    }

    fn subject(&self, named: &Named<'_>) -> Result<Subject, SubjectError> {
        let name = named
            .name
            .parse::<pep508_rs::PackageName>()
            .map_err(|_| named.invalid("project name", &named.name))?;
        named.valid("project name", &named.name, !named.name.is_empty())?;
        let version = named.version(|version| version.parse::<pep440_rs::Version>().is_ok())?;
        let file = named.qualifier(FILE_NAME);
        let file = file
            .map(|file| named.valid("file name", file, !file.contains('/') && !file.starts_with('.')))
            .transpose()?;
        Ok(Subject {
            qualifiers: file.map(|file| (FILE_NAME, file)).into_iter().collect(),
            ..Subject::new(Ecosystem::Pypi, name.as_ref(), version.as_deref())
        })
    }

    fn index(&self) -> &'static str {
        "PyPI's index, which is not signed"
    }

    fn read_off(&self, file: &ReleasedName<'_>) -> Option<Named<'static>> {
        let wheel = file.name.ends_with(".whl");
        let metadata = if wheel {
            file.text(|path| path.ends_with(".dist-info/METADATA"))
        } else if registry::SOURCES.iter().any(|ending| file.name.ends_with(ending)) {
            file.text(|path| path.matches('/').count() == 1 && path.ends_with("/PKG-INFO"))
        } else {
            None
        }?;
        let mut named = named(field(&metadata, "Name")?, field(&metadata, "Version")?);
        if wheel {
            named.qualifiers.insert(FILE_NAME.into(), file.name.to_owned());
        }
        Some(named)
    }

    fn by_file_name(&self, file: &str) -> Option<Named<'static>> {
        let stem = file.strip_suffix(".whl")?;
        let parts: Vec<_> = stem.split('-').collect();
        let ([name, version, _, _, _] | [name, version, _, _, _, _]) = parts.as_slice() else {
            return None;
        };
        let mut named = named(name, version);
        named.qualifiers.insert(FILE_NAME.into(), file.to_owned());
        Some(named)
    }

    fn oss_rebuild(&self) -> Option<&'static str> {
        Some("pypi")
    }

    fn lookup<'a>(
        &'a self,
        fetcher: &'a Fetcher,
        _: &'a Catalog,
        subject: &'a Subject,
    ) -> BoxFuture<'a, Result<Release, PlanError>> {
        release::lookup(fetcher, subject).boxed()
    }

    fn sources<'a>(
        &'a self,
        fetcher: &'a Fetcher,
        subject: &'a Subject,
        digest: Sha256,
    ) -> BoxFuture<'a, Result<ListedSources, PlanError>> {
        release::sources(fetcher, subject, digest).boxed()
    }

    fn newest<'a>(
        &'a self,
        fetcher: &'a Fetcher,
        subject: &'a Subject,
    ) -> BoxFuture<'a, Result<Option<String>, PlanError>> {
        async move {
            let project = release::project(fetcher, subject).await?;
            Ok(Some(release::wheel(&project, subject)?.version.to_string()))
        }
        .boxed()
    }

    fn locked(&self, file: &str, text: &[u8]) -> Option<Result<Vec<(String, String)>, String>> {
        let is_one = file.starts_with("requirements") && file.ends_with(".txt");
        is_one.then(|| Ok(pinned(&String::from_utf8_lossy(text))))
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

fn document(subject: &str, document: impl AsRef<Path>, reason: &(impl ToString + ?Sized)) -> PlanError {
    PlanError::Document {
        subject: subject.to_owned(),
        document: document.as_ref().display().to_string(),
        reason: reason.to_string(),
    }
}

const READERS: &[Reader] = &[
    ("pypi-project", |bytes| drop(registry::read("fuzz", bytes))),
    ("pyproject", |bytes| {
        as_text(bytes, |text| {
            drop(sdist::read(text));
            drop(provenance::dependencies::requirements(text));
        });
    }),
    ("requirements", |bytes| {
        as_text(bytes, |text| {
            let lines: Vec<_> = text.lines().map(str::to_owned).collect();
            bounds::merged(&lines);
            required::known(&lines, text);
            drop(requirement::read(text).map(|it| it.to_string()));
            shortened(text);
        });
    }),
    ("wheel", |bytes| as_file(bytes, |path| drop(wheel::read(path)))),
    ("sdist.tar.gz", |bytes| {
        as_file(bytes, |path| drop(sdist::build_system("x.tar.gz", path)));
    }),
    ("sdist.zip", |bytes| {
        as_file(bytes, |path| drop(sdist::build_system("x.zip", path)));
    }),
];

/// The requirements in a list that name exactly one version, with or without hashes.
fn pinned(text: &str) -> Vec<(String, String)> {
    let whole = text.replace("\\\n", " ");
    let named = whole.lines().filter_map(|line| {
        let requirement = line.split(['#', ';']).next()?.split_whitespace().next()?;
        let (name, version) = requirement.split_once("==")?;
        let name = name.split('[').next()?;
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        (!name.is_empty() && name.chars().all(plain)).then(|| (name.to_owned(), version.to_owned()))
    });
    named.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_wheel_says_which_package_it_is() {
        for (file, expected) in [
            (
                "idna-3.10-py3-none-any.whl",
                Some("pkg:pypi/idna@3.10?file_name=idna-3.10-py3-none-any.whl"),
            ),
            (
                "Zope.Event-5.0-1-py3-none-any.whl",
                Some("pkg:pypi/zope-event@5.0?file_name=Zope.Event-5.0-1-py3-none-any.whl"),
            ),
            ("idna-3.10.whl", None),
            ("idna-x-py3-none-any.whl", None),
            ("-3.10-py3-none-any.whl", None),
            ("idna-3.10.tar.gz", None),
        ] {
            let named = Pypi.by_file_name(file);
            let subject = named.and_then(|named| Pypi.subject(&named).ok());
            assert_eq!(
                subject.map(|subject| subject.purl()).as_deref(),
                expected,
                "{file}"
            );
        }
    }
}
