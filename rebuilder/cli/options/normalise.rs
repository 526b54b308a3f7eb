//! Differences that a comparison may set aside.

use clap::Args;

use crate::cli::suggest;
use crate::compare::Chosen;

/// Which differences may be set aside.
#[derive(Args)]
#[command(next_help_heading = "Comparison")]
pub(crate) struct NormaliseArgs {
    /// Differences to set aside: none, default, all, or comma-separated names (-NAME excludes one)
    #[arg(long, value_name = "LIST", default_value = "default", value_parser = suggest::normalisations)]
    pub(crate) normalise: Chosen,
    /// Exit with 0 if named normalisations set aside every difference
    #[arg(long)]
    pub(crate) allow_equivalent: bool,
}
