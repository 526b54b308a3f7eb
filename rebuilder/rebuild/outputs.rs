//! Pairs the released files with the outputs.

use std::fs;
use std::path::Path;

use super::RebuildError;
use crate::artifact::pattern;
use crate::compare::{self, Options};
use crate::plan::Plan;
use crate::run::{OutputResult, RunFolder};
use crate::sandbox::Output;
use crate::store::{Blob, StoreError};

/// Compares every expected output, and lists the unexpected ones; second, the names of those that are released nowhere.
pub(super) fn compare_outputs(
    plan: &Plan,
    outputs: &[Output],
    released: &[Option<Blob>],
    run: &RunFolder,
    options: &Options,
) -> Result<(Vec<OutputResult>, Vec<String>), RebuildError> {
    let epoch = plan
        .build
        .env
        .get("SOURCE_DATE_EPOCH")
        .and_then(|text| text.parse().ok());
    let options = Options {
        source_date_epoch: epoch,
        digests: true,
        ..options.clone()
    };
    let mut results = Vec::new();
    for (expected, blob) in plan.expected.iter().zip(released) {
        let name = &expected.file.name;
        let output = outputs.iter().find(|output| output.name == *name);
        let differs = match (output, blob) {
            (Some(output), Some(blob)) if output.sha256 != blob.sha256 => {
                // Kept with the run, so that the comparison can be made again from the run alone.
                let kept = run.released().join(name);
                keep(&blob.path, &kept)?;
                Some(compare::compare(&kept, &run.rebuilt().join(name), &options)?)
            }
            _ => None,
        };
        results.push(OutputResult {
            name: name.clone(),
            released: Some(expected.file.sha256),
            rebuilt: output.map(|output| output.sha256),
            sizes: (
                blob.as_ref().map(|blob| blob.size),
                output.map(|output| output.size),
            ),
            differs,
        });
    }
    let mut not_compared = Vec::new();
    for output in outputs {
        if plan
            .expected
            .iter()
            .any(|expected| expected.file.name == output.name)
        {
            continue;
        }
        let mut patterns = plan.not_compared.iter();
        if patterns.any(|wanted| pattern::fits(wanted, &output.name)) {
            not_compared.push(output.name.clone());
        } else {
            results.push(never_released(output));
        }
    }
    Ok((results, not_compared))
}

/// An output that nothing was released as.
fn never_released(output: &Output) -> OutputResult {
    OutputResult {
        name: output.name.clone(),
        released: None,
        rebuilt: Some(output.sha256),
        sizes: (None, Some(output.size)),
        differs: None,
    }
}

fn keep(from: &Path, to: &Path) -> Result<(), StoreError> {
    let folder = to.parent().unwrap_or(to);
    fs::create_dir_all(folder).map_err(StoreError::io("make the folder", folder))?;
    fs::hard_link(from, to)
        .or_else(|_| fs::copy(from, to).map(|_| ()))
        .map_err(StoreError::io("write", to))
}
