//! What apalis' workers do with either database.

use std::time::Duration;

use ::apalis::prelude::*;
use anyhow::Result;

use super::Job;
use crate::journal::Journal;

/// How often a worker looks for jobs by itself.
pub const POLL: Duration = Duration::from_millis(20);

pub async fn run(job: Job, journal: Data<Journal>) -> Result<(), BoxDynError> {
    Ok(job.run(&journal).await?)
}

/// Runs the workers for good: without this, one ends at its first error.
pub async fn go_on(monitor: Monitor, journal: Journal) -> Result<()> {
    let monitor = monitor.should_restart(move |_, error| {
        let _ = journal.error(&error.to_string());
        true
    });
    Ok(monitor.run().await?)
}
