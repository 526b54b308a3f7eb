//! How long to search for a plan that reproduces.

use clap::Args;

/// The number of plans to try for one subject.
#[derive(Args)]
#[command(next_help_heading = "Search")]
pub(crate) struct AttemptArgs {
    /// Maximum number of plans to try; the differences decide which assumption changes next
    #[arg(long, value_name = "COUNT", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=100))]
    attempts: u16,
}

impl AttemptArgs {
    pub(crate) fn limit(&self) -> usize {
        usize::from(self.attempts)
    }
}
