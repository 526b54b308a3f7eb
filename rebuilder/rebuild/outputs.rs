//! Pairing what was released with what came out.

use super::{OutputResult, RunFolder};
use crate::artifact::pattern;
use crate::compare;
use crate::plan::Plan;
use crate::sandbox::Output;
use crate::store::Blob;

/// Compares every expected output, and names those that nobody expected; second, those that are released nowhere.
pub(super) fn compare_outputs(
    plan: &Plan,
    outputs: &[Output],
    released: &[Option<Blob>],
    run: &RunFolder,
) -> (Vec<OutputResult>, Vec<String>) {
    let mut results = Vec::new();
    for (expected, blob) in plan.expected.iter().zip(released) {
        let name = &expected.file.name;
        let output = outputs.iter().find(|output| output.name == *name);
        let differs = match (output, blob) {
            (Some(output), Some(blob)) if output.sha256 != blob.sha256 => {
                compare::locate(name, &blob.path, &run.rebuilt().join(name))
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
    for output in outputs.iter().filter(|output| {
        !plan
            .expected
            .iter()
            .any(|expected| expected.file.name == output.name)
    }) {
        if plan
            .not_compared
            .iter()
            .any(|wanted| pattern::fits(wanted, &output.name))
        {
            not_compared.push(output.name.clone());
            continue;
        }
        results.push(OutputResult {
            name: output.name.clone(),
            released: None,
            rebuilt: Some(output.sha256),
            sizes: (None, Some(output.size)),
            differs: None,
        });
    }
    (results, not_compared)
}
