//! From a subject and what is claimed of it to a plan.
//!
//! `ALL` is the table of ecosystems. Each row has its own folder: `mod.rs` says how its packages are called,
//! `registry.rs` looks them up, `plan.rs` plans, and `alternatives.rs` says what to try after a run that did not
//! reproduce the release. [`provenance`] has no row: it plans what no registry lists.

#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

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

use crate::artifact::{Ecosystem, Subject};
use crate::container::Catalog;
use crate::plan::Plan;
use crate::reader::Reader;
use crate::store::Fetcher;
use hints::{Alternative, EndedRun, Hints};
use packaging::{Forms, Named, Packaging, ReleasedName};

pub use error::{PlanError, RegistryError};
pub use order::compare_versions;
pub use packaging::Release;
pub use planner::Planner;

/// Every ecosystem whose registry can be asked.
static ALL: &[&dyn Packaging] = &[&debian::Debian, &pypi::Pypi, &npm::Npm, &crates::Crates];

/// The row of an ecosystem; subjects are of no others.
fn row(ecosystem: Ecosystem) -> Result<&'static dyn Packaging, PlanError> {
    let row = ALL.iter().find(|row| row.ecosystem() == ecosystem);
    row.copied().ok_or_else(|| PlanError::NotRebuildable {
        subject: ecosystem.to_string(),
        reason: "no registry lists it".into(),
        help: "name its provenance with --provenance".into(),
    })
}

/// Looks a subject up, and returns what is claimed of it.
pub async fn lookup(fetcher: &Fetcher, catalog: &Catalog, subject: &Subject) -> Result<Release, PlanError> {
    row(subject.ecosystem)?.lookup(fetcher, catalog, subject).await
}

/// The subject that a released file says that it is, read off its name and metadata; nothing vouches for that yet.
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

/// The subject in the newest version that its registry lists; nothing of it is fetched.
pub async fn newest(fetcher: &Fetcher, subject: &Subject) -> Result<Subject, PlanError> {
    let version = row(subject.ecosystem)?.newest(fetcher, subject).await?;
    Ok(Subject {
        version: version.or_else(|| subject.version.clone()),
        ..subject.clone()
    })
}

/// What a lock file takes from a registry; the error is a reason. Its name says whose it is.
pub fn locked(path: &Path) -> Result<Vec<Subject>, String> {
    let text = crate::bounded::read(path, crate::bounded::DOCUMENT).map_err(|error| error.to_string())?;
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    let found = ALL.iter().find_map(|row| Some((row, row.locked(name, &text)?)));
    let (row, found) = found.ok_or_else(|| {
        "it is none of Cargo.lock, package-lock.json, npm-shrinkwrap.json, yarn.lock, pnpm-lock.yaml and requirements*.txt"
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

/// What lists the released files of an ecosystem, for people, and whether that is signed.
pub fn index(ecosystem: Ecosystem) -> &'static str {
    row(ecosystem).map_or("the registry", |row| row.index())
}

/// Further plans that are worth a try after a run that did not reproduce the release, the likeliest first.
pub fn alternatives(subject: &Subject, run: &EndedRun<'_>, hints: &Hints) -> Vec<Alternative> {
    row(subject.ecosystem).map_or_else(|_| Vec::new(), |row| row.alternatives(run, hints))
}

/// What reads the answers of registries, what they released, and definitions of others, for fuzzing.
#[doc(hidden)]
pub fn readers() -> impl Iterator<Item = Reader> {
    let rows = ALL.iter().flat_map(|row| row.readers()).copied();
    rows.chain([oss_rebuild::READER])
}

impl Planner<'_> {
    /// Looks the subject up, verifies what is claimed of it, and pins everything that its rebuild needs.
    pub async fn plan(&self, subject: &Subject) -> Result<Plan, PlanError> {
        row(subject.ecosystem)?.plan(self, subject).await
    }

    /// Plans the rebuild of local files, or of what a provenance names, from that provenance alone.
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
