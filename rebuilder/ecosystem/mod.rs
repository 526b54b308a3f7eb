//! Plans rebuilds: from a subject, and the claims about it, to a plan.
//!
//! `ALL` is the table of ecosystems. Each row has a folder: `mod.rs` defines the names of its packages, `registry.rs`
//! looks them up, `plan.rs` plans, and `alternatives.rs` suggests what to try after a run that did not reproduce the
//! release. [`provenance`] has no row: it plans rebuilds of files that no registry lists.

#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

mod compressor;
mod crates;
pub mod debian;
mod error;
pub mod hints;
pub mod local;
mod npm;
mod order;
pub mod oss_rebuild;
mod packaging;
mod planner;
pub mod provenance;
mod pypi;
mod released;
mod repository;
mod subject;

use std::path::Path;

use crate::artifact::{Ecosystem, Sha256, Subject};
use crate::container::Catalog;
use crate::plan::Plan;
use crate::reader::Reader;
use crate::store::Fetcher;
use hints::{Alternative, EndedRun, Hints};
use packaging::{Forms, Named, Packaging, ReleasedName};

pub use error::{PlanError, RegistryError};
pub use order::compare_versions;
pub use packaging::{ListedSources, Release};
pub use planner::Planner;

/// Every ecosystem whose registry can be asked.
static ALL: &[&dyn Packaging] = &[&debian::Debian, &pypi::Pypi, &npm::Npm, &crates::Crates];

/// The row of an ecosystem; an error for ecosystems without a registry.
fn row(ecosystem: Ecosystem) -> Result<&'static dyn Packaging, PlanError> {
    let row = ALL.iter().find(|row| row.ecosystem() == ecosystem);
    row.copied().ok_or_else(|| PlanError::NotRebuildable {
        subject: ecosystem.to_string(),
        reason: "no registry lists it".into(),
        help: "name its provenance with --provenance".into(),
    })
}

/// Looks a subject up, and returns the claims about it.
pub async fn lookup(fetcher: &Fetcher, catalog: &Catalog, subject: &Subject) -> Result<Release, PlanError> {
    row(subject.ecosystem)?.lookup(fetcher, catalog, subject).await
}

/// All sources that were released under the subject's version, and what is known about the one with this digest.
pub async fn sources(
    fetcher: &Fetcher,
    subject: &Subject,
    digest: Sha256,
) -> Result<ListedSources, PlanError> {
    row(subject.ecosystem)?.sources(fetcher, subject, digest).await
}

/// The subject of a released file that cannot be read, according to its name alone.
pub fn by_file_name(path: &Path) -> Option<Subject> {
    let name = path.file_name()?.to_str()?;
    ALL.iter()
        .find_map(|row| row.subject(&row.by_file_name(name)?).ok())
}

/// The subject of a released file, according to its name and metadata; not verified.
pub fn read_off(path: &Path) -> Option<Subject> {
    read_off_as(path, path.file_name()?.to_str()?)
}

/// The same for a file that is kept under another name than its own.
pub fn read_off_as(path: &Path, name: &str) -> Option<Subject> {
    ALL.iter().find_map(|row| {
        let named = row.read_off(&ReleasedName { path, name })?;
        row.subject(&named).ok()
    })
}

/// The subject with the newest version that its registry lists; the version itself is not fetched.
pub async fn newest(fetcher: &Fetcher, subject: &Subject) -> Result<Subject, PlanError> {
    let version = row(subject.ecosystem)?.newest(fetcher, subject).await?;
    Ok(Subject {
        version: version.or_else(|| subject.version.clone()),
        ..subject.clone()
    })
}

/// The packages that a lock file takes from a registry; its name tells the ecosystem. The error is a reason.
pub fn locked(path: &Path) -> Result<Vec<Subject>, String> {
    let text = crate::bounded::read(path, crate::bounded::DOCUMENT).map_err(|error| error.to_string())?;
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    let found = ALL.iter().find_map(|row| Some((row, row.locked(name, &text)?)));
    let (row, found) = found.ok_or_else(|| {
        "its name is not Cargo.lock, package-lock.json, npm-shrinkwrap.json, yarn.lock, pnpm-lock.yaml or requirements*.txt"
            .to_owned()
    })?;
    let mut subjects: Vec<Subject> = Vec::new();
    for (name, version) in found? {
        let forms = row.forms();
        let text = format!("{}:{name}{}{version}", forms.short, forms.separator);
        let subject = text.parse::<Subject>().map_err(|error| error.to_string())?;
        subjects.push(subject);
    }
    Ok(subjects)
}

/// The index of an ecosystem's released files, and whether it is signed, in words.
pub fn index(ecosystem: Ecosystem) -> &'static str {
    row(ecosystem).map_or("the registry", |row| row.index())
}

/// Further plans that are worth a try after a run that did not reproduce the release, the most likely first.
pub fn alternatives(subject: &Subject, run: &EndedRun<'_>, hints: &Hints) -> Vec<Alternative> {
    row(subject.ecosystem).map_or_else(|_| Vec::new(), |row| row.alternatives(run, hints))
}

/// For fuzzing: readers of registries' answers, of released files, and of others' definitions.
#[doc(hidden)]
pub fn readers() -> impl Iterator<Item = Reader> {
    let rows = ALL.iter().flat_map(|row| row.readers()).copied();
    rows.chain([oss_rebuild::READER])
}

impl Planner<'_> {
    /// Looks the subject up, verifies the claims about it, and pins everything that its rebuild needs.
    pub async fn plan(&self, subject: &Subject) -> Result<Plan, PlanError> {
        row(subject.ecosystem)?.plan(self, subject).await
    }

    /// Plans the rebuild of local files, or of the files that a provenance names, from that provenance alone.
    pub async fn plan_from_provenance(&self) -> Result<Plan, PlanError> {
        provenance::plan(self).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_every_ecosystem_whose_package_urls_have_a_type() {
        let rows: Vec<_> = ALL.iter().map(|row| row.ecosystem()).collect();
        let mut typed = Ecosystem::ALL.to_vec();
        typed.retain(|ecosystem| ecosystem.purl_type().is_some());
        assert_eq!(rows, typed);
    }
}
