//! What is kept of a run: the record, its verdict, what it cost, and where its files are.

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
pub use verdict::{Stage, Verdict, undeclared};
