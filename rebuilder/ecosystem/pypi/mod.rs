//! PyPI: a wheel, rebuilt from the source distribution beside it or from a commit.
//!
//! The registry keeps no record of a build, so much is concluded from the released wheel itself: the backend and
//! its version from `Generator`, the other requirements from what was uploaded before, clock, modes and host system
//! from the archive's entries. Each is an assumption in the plan. Where the plan's bytes differ, `next` reads off
//! the comparison which assumption to change.

mod draft;
pub(super) mod next;
pub mod registry;
mod release;
pub(super) mod requirements;
mod sdist;
mod source;
mod wheel;

use std::path::Path;

use super::{Found, PlanError, Planner};
use crate::artifact::PypiSubject;
use crate::plan::{Plan, Recipe};
use crate::store::Fetcher;
use draft::Draft;
use registry::Fitness;
use source::Source;

/// What is claimed of a wheel, without planning anything.
pub(super) async fn look_up(fetcher: &Fetcher, subject: &PypiSubject) -> Result<Found, PlanError> {
    let project = release::project(fetcher, subject).await?;
    let released = release::wheel(&project, subject)?;
    let source = release::sdist(&project, released);
    let (documents, attestation) = registry::attestations(fetcher, released).await;
    let blob = fetcher.get(&released.file).await?;
    let purl = release::purl(&project.name, released);
    Ok(Found {
        artifacts: vec![super::artifact(Some(purl), &released.file, &blob)?],
        claims: registry::claims(&project, released, source, attestation),
        documents,
        sources: source.map(|source| source.file.clone()).into_iter().collect(),
        published: Some(released.uploaded),
    })
}

/// Plans the rebuild of one wheel.
pub(super) async fn plan(planner: &Planner<'_>, subject: &PypiSubject) -> Result<Plan, PlanError> {
    let fetcher = planner.workshop.fetcher;
    let project = release::project(fetcher, subject).await?;
    let released = release::wheel(&project, subject)?;
    let sdist = release::sdist(&project, released);
    let purl = release::purl(&project.name, released);
    let fetched: Vec<_> = [Some(released), sdist]
        .into_iter()
        .flatten()
        .map(|file| file.file.clone())
        .collect();
    let blobs = fetcher
        .get_all("fetching wheel and source distribution", &fetched)
        .await?;
    let (documents, attestation) = registry::attestations(fetcher, released).await;
    let claims = registry::claims(&project, released, sdist, attestation);
    let wheel = blobs
        .first()
        .ok_or_else(|| document(&purl, &released.file.name, &"it was not fetched"))?;
    let artifact = super::artifact(Some(purl.clone()), &released.file, wheel)?;
    let mut judgement = planner.case.judge(&[artifact], claims, &documents, fetcher).await;
    let policy = judgement.policy.gate(&purl)?;
    let facts = wheel::read(&wheel.path)
        .map_err(|error| document(&purl, &released.file.name, &error))?
        .ok_or_else(|| document(&purl, &released.file.name, "it has no WHEEL file"))?;

    let hint = planner.hints.source.as_ref();
    let source = match (sdist, blobs.get(1)) {
        (Some(sdist), Some(blob)) if hint.is_none() => Source::sdist(&purl, sdist, blob)?,
        _ => {
            let attested = judgement
                .source
                .take()
                .map(|checkout| (checkout.source, judgement.declared_by.clone()));
            let about = (project.name.as_str(), &facts.addresses[..]);
            Source::git(planner, &purl, released, about, attested, hint).await?
        }
    };
    let native = released.fitness() == Some(Fitness::Native);
    let recipe = match &planner.recipe {
        Some(recipe) => recipe.clone(),
        None if native => Recipe::pypi_native_wheel()?,
        None => Recipe::pypi_wheel()?,
    };
    let (lock, root) = planner.container(&recipe.container).await?;
    let draft = Draft {
        planner,
        purl,
        claims: judgement.inspection.claims(),
        policy,
        project: &project,
        released,
        native,
        source,
        facts,
        recipe,
        lock,
        root,
    };
    draft.finish().await
}

fn document(subject: &str, document: impl AsRef<Path>, reason: &(impl ToString + ?Sized)) -> PlanError {
    PlanError::Document {
        subject: subject.to_owned(),
        document: document.as_ref().display().to_string(),
        reason: reason.to_string(),
    }
}
