//! Looks up a package and its source in the signed archive.

use std::sync::Arc;

use super::choose::{Chosen, choose};
use super::claims::{check_dsc, claims};
use super::{Package, file_name, installer_file_name, purl_of};
use crate::apt::{Binary, Indexes, SourcePackage};
use crate::artifact::Digests;
use crate::container::Catalog;
use crate::ecosystem::{PlanError, Release};
use crate::evidence::Claim;
use crate::evidence::assess::Artifact;
use crate::run::failure::FailureCode;
use crate::store::{Blob, FetchError, Fetcher};

/// A subject's packages and source in the signed archive.
pub(super) struct Found {
    pub indexes: Arc<Indexes>,
    pub chosen: Chosen,
    pub source: SourcePackage,
    pub dsc: Blob,
    pub claims: Vec<Claim>,
}

/// The claims about a subject, without planning anything.
pub(super) async fn lookup(
    fetcher: &Fetcher,
    catalog: &Catalog,
    subject: &Package,
) -> Result<Release, PlanError> {
    let found = find(fetcher, catalog, &subject.container(), subject).await?;
    let artifact = |binary: &Binary| Artifact {
        name: file_name(binary),
        purl: Some(purl_of(binary, &subject.distro)),
        digests: Digests::known(binary.sha256),
        path: None,
    };
    let of_installer = |binary: &Binary| Artifact {
        name: installer_file_name(binary),
        ..artifact(binary)
    };
    Ok(Release {
        artifacts: found.chosen.outputs.iter().map(artifact).collect(),
        besides: found.chosen.installer.iter().map(of_installer).collect(),
        claims: found.claims,
        documents: Vec::new(),
        sources: found.source.files,
        published: None,
    })
}

/// Looks a package up in the archives of a container.
pub(super) async fn find(
    fetcher: &Fetcher,
    catalog: &Catalog,
    container: &str,
    subject: &Package,
) -> Result<Found, PlanError> {
    let unsuitable = |reason: String| PlanError::NotRebuildable {
        subject: subject.purl(),
        reason,
        help: "add a definition for that release with --containers, and a recipe that names it with --recipe"
            .into(),
    };
    let definition = catalog.definition(container)?.debian;
    let suites = definition
        .archives
        .first()
        .map_or(&[][..], |archive| &archive.suites);
    if definition.arch != subject.arch || !suites.contains(&subject.distro) {
        return Err(unsuitable(format!(
            "the container {container} is {} on {}",
            suites.first().map_or("of no suite", String::as_str),
            definition.arch
        )));
    }
    let indexes = catalog.indexes(fetcher, container, &definition).await?;
    let chosen = choose(&indexes, subject)?;
    let source = find_source(&indexes, subject, &chosen)?;
    let source_blobs = fetcher.get_all("fetching the source", &source.files).await;
    let source_blobs = source_blobs.map_err(|error| source_gone(subject, &chosen, &source, error))?;
    let dsc = source_blobs
        .into_iter()
        .next()
        .ok_or_else(|| subject.unreadable("the source package", "it has no .dsc"))?;
    let dsc_claim = check_dsc(subject, &source, &dsc)?;
    let claims = claims(&indexes, &chosen, dsc_claim);
    Ok(Found {
        indexes,
        chosen,
        source,
        dsc,
        claims,
    })
}

fn find_source(indexes: &Indexes, subject: &Package, chosen: &Chosen) -> Result<SourcePackage, PlanError> {
    let (name, version) = (&chosen.named.source, &chosen.named.source_version);
    let source = indexes
        .sources(name)?
        .into_iter()
        .find(|source| source.version == *version);
    source.ok_or_else(|| PlanError::Lacking {
        code: FailureCode::SourceGone,
        subject: subject.purl(),
        reason: format!("its source {name} {version} is in no suite"),
        help: "the archive no longer has the source; the dated snapshot service does".into(),
    })
}

/// Mirrors drop sources, those of security updates first; the source of an older version may still be available.
fn source_gone(subject: &Package, chosen: &Chosen, source: &SourcePackage, error: FetchError) -> PlanError {
    let others: Vec<_> = chosen
        .others
        .iter()
        .map(|version| format!("deb:{}={version}", subject.name))
        .collect();
    match error {
        FetchError::Unavailable { .. } if !others.is_empty() => PlanError::Lacking {
            code: if error.is_gone() {
                FailureCode::SourceGone
            } else {
                FailureCode::Unreachable
            },
            subject: format!("{} {}", subject.name, chosen.named.version),
            reason: format!(
                "the source {} {} is unavailable: {error}",
                source.package, source.version
            ),
            help: format!("the archive also lists {}", others.join(", ")),
        },
        other => other.into(),
    }
}
