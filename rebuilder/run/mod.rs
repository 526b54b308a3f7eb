//! What is kept of a run: the record, its verdict, what it cost, and where its files are.

#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

mod cost;
mod credential;
pub mod failure;
mod folder;
mod readers;
mod record;
mod verdict;

pub use cost::Cost;
pub use credential::Credential;
pub use folder::RunFolder;
#[doc(hidden)]
pub use readers::READERS;
pub use record::{
    Attempt, Circumstances, Compared, Concluded, Evidence, OutputResult, Page, Record, Timings,
};
pub use verdict::{Stage, Verdict, VerdictName, undeclared};
