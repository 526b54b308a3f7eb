//! The released packages that are compared, and the documents about them.

use super::plan::Draft;
use super::registry::Found;
use super::{Package, exact, file_name, installer_file_name, purl_of};
use crate::apt::{Binary, Indexes};
use crate::artifact::PinnedFile;
use crate::ecosystem::PlanError;
use crate::ecosystem::released::artifacts;
use crate::evidence::assess::Artifact;
use crate::evidence::buildinfo::BuildInfo;
use crate::evidence::document::Document;
use crate::plan::{Expected, Recipe};
use crate::store::{Blob, Fetcher};

/// The released packages, and the documents about them.
pub(super) struct Released {
    pub expected: Vec<Expected>,
    pub not_compared: Vec<String>,
    /// The released packages, in the order of `expected`; without those of the installer.
    pub blobs: Vec<Blob>,
    pub buildinfo: Option<BuildInfo>,
    pub documents: Vec<Document>,
    pub artifacts: Vec<Artifact>,
}

impl Draft<'_> {
    /// Fetches the released packages, and asks for their `.buildinfo`.
    pub(super) async fn released(&self) -> Result<Released, PlanError> {
        let Draft {
            planner,
            subject,
            recipe,
            found,
        } = *self;
        let fetcher = planner.workshop.fetcher;
        let (mut expected, not_compared) = expected(planner.only, recipe, found, subject);
        let files: Vec<_> = expected.iter().map(|expected| expected.file.clone()).collect();
        let installer = found.chosen.installer.iter().filter(|_| !planner.only);
        let installer = installer.map(|binary| installer_package(fetcher, &found.indexes, subject, binary));
        let (blobs, installer, (buildinfo, documents)) = futures_util::join!(
            fetcher.get_all("fetching the released packages", &files),
            futures_util::future::join_all(installer),
            exact::find(planner, &found.source, &found.chosen, &subject.arch)
        );
        let blobs = blobs?;
        let artifacts = artifacts(&expected, &blobs)?;
        expected.extend(installer);
        Ok(Released {
            expected,
            not_compared,
            blobs,
            buildinfo,
            documents,
            artifacts,
        })
    }
}

/// The released packages that are compared, and patterns for those that are not.
fn expected(only: bool, recipe: &Recipe, found: &Found, subject: &Package) -> (Vec<Expected>, Vec<String>) {
    let chosen = &found.chosen;
    let mut expected: Vec<_> = chosen
        .outputs
        .iter()
        .map(|binary| expect(&found.indexes, subject, binary))
        .collect();
    let mut not_compared = recipe.unreleased.clone();
    if chosen.installer.is_empty() {
        // Not every archive has the installer's packages.
        not_compared.push("*.udeb".into());
    }
    if only {
        let named = file_name(&chosen.named);
        // The build produces the other packages of the source too.
        not_compared.extend(chosen.outputs.iter().map(file_name).filter(|name| *name != named));
        not_compared.push("*.udeb".into());
        expected.retain(|expected| expected.file.name == named);
    }
    (expected, not_compared)
}

fn expect(indexes: &Indexes, subject: &Package, binary: &Binary) -> Expected {
    Expected {
        purl: purl_of(binary, &subject.distro),
        file: PinnedFile {
            name: file_name(binary),
            ..indexes.material(binary)
        },
    }
}

/// A package of the installer. Many mirrors do not carry these; their digests are in the signed index, so they are
/// compared nevertheless.
async fn installer_package(
    fetcher: &Fetcher,
    indexes: &Indexes,
    subject: &Package,
    binary: &Binary,
) -> Expected {
    let mut expected = expect(indexes, subject, binary);
    expected.file.name = installer_file_name(binary);
    if fetcher.get_optional(&expected.file).await.is_err() {
        expected.file.urls.clear();
    }
    expected
}
