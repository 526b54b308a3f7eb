//! Reasons why a project can be neither proven nor disproven.

use crate::compare::CompareError;
use crate::container::ContainerError;
use crate::ecosystem::PlanError;
use crate::execute::{ExecuteError, PlanRefused};
use crate::plan::RecipeError;
use crate::store::StoreError;

/// A project that cannot be proven or disproven.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum ProveError {
    #[error("cannot read the project {path}")]
    #[diagnostic(help("name the folder of the project"))]
    Folder { path: String, source: std::io::Error },
    #[error("cannot tell how to build {folder}: it has no file of a known kind of project")]
    #[diagnostic(help(
        "describe the build in a rebuilder.toml; \"rebuilder prove --init\" writes a template"
    ))]
    NoRecipe { folder: String },
    #[error("there is no kind of project called {kind:?}")]
    #[diagnostic(help("known: {known}"))]
    UnknownKind { kind: String, known: String },
    #[error("cannot use {path}: {reason}")]
    #[diagnostic(help("docs/prove.md describes the file"))]
    Settings { path: String, reason: String },
    #[error("the unchanged project does not build: {reason}; last output: {last}")]
    #[diagnostic(help(
        "the full log is {log}; the build has no network, and only sees the project and its pinned \
        dependencies"
    ))]
    Fails {
        reason: String,
        last: String,
        log: String,
        /// Packages with the files that it did not find.
        missing: Vec<String>,
    },
    #[error("internal error: {reason}")]
    Bug { reason: String },
    #[error(transparent)]
    #[diagnostic(transparent)]
    Compare(#[from] CompareError),
    #[error("the build did not produce an output")]
    #[diagnostic(help("name the files that it produces as \"outputs\" in rebuilder.toml"))]
    NoOutput,
    #[error(transparent)]
    #[diagnostic(transparent)]
    Recipe(#[from] RecipeError),
    #[error(transparent)]
    #[diagnostic(transparent)]
    Plan(#[from] PlanError),
    #[error(transparent)]
    #[diagnostic(transparent)]
    Refused(#[from] PlanRefused),
    #[error(transparent)]
    #[diagnostic(transparent)]
    Container(#[from] ContainerError),
    #[error(transparent)]
    #[diagnostic(transparent)]
    Execute(#[from] ExecuteError),
    #[error(transparent)]
    #[diagnostic(transparent)]
    Store(#[from] StoreError),
}
