//! What it costs to verify a release: seconds until the verdict, and bytes that are kept.

use serde::{Deserialize, Serialize};

use super::{Record, RunFolder};
use crate::plan::Plan;

/// The cost of one run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// Seconds by the clock on the wall, planning and every attempt included: how much longer a release takes that waits
    /// for the verdict.
    pub seconds: f64,
    /// The part of them in which the build itself ran.
    pub build_seconds: f64,
    /// Bytes of the attestations, which a release publishes.
    pub attestation_bytes: u64,
    /// Bytes of everything in the run's folder, outputs and log included.
    pub run_bytes: u64,
    /// Bytes of the inputs and of the container, shared by all runs that need them.
    pub input_bytes: u64,
}

impl Cost {
    /// Counts what a run left.
    pub fn of(run: &RunFolder, plan: &Plan, record: &Record) -> Self {
        let size = |path: &std::path::Path| std::fs::metadata(path).map_or(0, |meta| meta.len());
        let files = walkdir::WalkDir::new(run.path()).into_iter().flatten();
        let files = files.filter(|entry| entry.file_type().is_file());
        Self {
            seconds: record.timings.everything(),
            build_seconds: record.timings.build,
            attestation_bytes: run.attestations().iter().map(|path| size(path)).sum(),
            run_bytes: files.map(|entry| size(entry.path())).sum(),
            // The sizes in a plan may be anything, so they must not overflow.
            input_bytes: (plan.materials().iter())
                .map(|material| material.size)
                .fold(0, u64::saturating_add),
        }
    }

    /// Adds another one; inputs are shared, so the larger counts.
    pub fn add(&mut self, other: &Self) {
        self.seconds += other.seconds;
        self.build_seconds += other.build_seconds;
        self.attestation_bytes = self.attestation_bytes.saturating_add(other.attestation_bytes);
        self.run_bytes = self.run_bytes.saturating_add(other.run_bytes);
        self.input_bytes = self.input_bytes.max(other.input_bytes);
    }

    /// For people.
    pub fn sentence(&self) -> String {
        let bytes = indicatif::HumanBytes;
        format!(
            "took {:.1} s ({:.1} s building); run folder {}, attestations {}, inputs {}",
            self.seconds,
            self.build_seconds,
            bytes(self.run_bytes),
            bytes(self.attestation_bytes),
            bytes(self.input_bytes)
        )
    }
}
