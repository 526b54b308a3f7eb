//! The first run needs no settings: if the build calls a program that the container lacks, the package that contains it
//! is added, and everything begins again.

use std::path::Path;

use super::build::Builds;
use super::error::ProveError;
use super::input::Project;
use super::{Answer, Question, prove};
use crate::ecosystem::Planner;
use crate::execute::Executor;
use crate::progress::Progress;

/// How often packages are added, if the build then misses another one.
const ROUNDS: usize = 8;

/// A project in its folder.
pub struct Place<'p> {
    /// Its folder.
    pub tree: &'p Path,
    /// The folder in which builds are kept, if any.
    pub out: Option<&'p Path>,
}

/// Locks the dependencies of the project, builds it as often as necessary, and answers.
pub async fn prove_project<'a>(
    planner: &Planner<'_>,
    executor: Executor<'a>,
    mut project: Project,
    place: &Place<'_>,
    question: &Question,
    progress: &Progress,
) -> Result<(Builds<'a>, Answer), ProveError> {
    let mut lacks: Option<(ProveError, Builds<'a>)> = None;
    for round in 1..=ROUNDS {
        let prepared = Builds::prepare(planner, executor, project.clone(), place.tree, place.out).await;
        let builds = match (prepared, lacks.take()) {
            (Ok(builds), _) => builds,
            // What was guessed is no package of this archive; what the build said counts.
            // Its builds live until the log is kept.
            (Err(_), Some((error, _builds))) => return Err(Builds::with_log_kept(error)),
            (Err(error), None) => return Err(error),
        };
        let error = match prove(&builds, question, progress).await {
            Ok(answer) => return Ok((builds, answer)),
            Err(error) => error,
        };
        let missing = match &error {
            ProveError::Fails { missing, .. } => missing.as_slice(),
            _ => &[],
        };
        if round == ROUNDS || !project.provide(missing) {
            return Err(Builds::with_log_kept(error));
        }
        progress.note(&format!(
            "the build needs files that the container lacks; added packages: {}",
            project.provided.join(", ")
        ));
        lacks = Some((error, builds));
    }
    Err(ProveError::NoOutput)
}
