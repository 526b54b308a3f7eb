//! What is kept of a run: the record, its verdict, what it cost, and where its files lie.

mod cost;
mod credential;
mod record;

pub use cost::Cost;
pub use credential::Credential;
pub use record::{
    Attempt, Compared, Concluded, Ended, Evidence, OutputResult, Page, Record, RunFolder, Stage, Timings,
    Verdict,
};
