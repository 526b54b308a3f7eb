//! Results for people: summaries for a terminal and pages of HTML, each from the value that the JSON shows. Values are put
//! in as they are: [`crate::text`] makes them visible, in the lines of a screen and in what templates write.

#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

pub mod agreement;
pub mod audit;
pub mod comparison;
pub mod discovery;
pub mod feed;
pub mod inspection;
pub mod prove;
mod run;
pub mod site;

pub use run::{html, page, terminal};

/// A page that cannot be rendered.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("cannot render the report")]
pub struct ReportError(#[from] askama::Error);
