//! Why a project can be neither proven nor disproven.

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
    #[diagnostic(help("name the folder that the project is in"))]
    Folder { path: String, source: std::io::Error },
    #[error("cannot tell how {folder} is built: it has no file that a known kind of project has")]
    #[diagnostic(help(
        "write a rebuilder.toml that says so; \"rebuilder prove --init\" makes one to begin from"
    ))]
    NoRecipe { folder: String },
    #[error("there is no kind of project called {kind:?}")]
    #[diagnostic(help("known: {known}"))]
    UnknownKind { kind: String, known: String },
    #[error("cannot use {path}: {reason}")]
    #[diagnostic(help("docs/prove.md describes the file"))]
    Settings { path: String, reason: String },
    #[error("the project does not build as it is: {reason}; last output: {last}")]
    #[diagnostic(help(
        "the whole log is {log}; the build has no network, and sees nothing but the project and its pinned dependencies"
    ))]
    Fails {
        reason: String,
        last: String,
        log: String,
        /// Packages that have what it asked for and did not find.
        missing: Vec<String>,
    },
    #[error("internal error: {reason}")]
    Bug { reason: String },
    #[error(transparent)]
    #[diagnostic(transparent)]
    Compare(#[from] CompareError),
    #[error("the build left no output")]
    #[diagnostic(help("name what it makes as \"outputs\" in rebuilder.toml"))]
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
