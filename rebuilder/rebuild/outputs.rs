//! Pairing what was released with what came out.

use super::{OutputResult, RunFolder};
use crate::compare;
use crate::plan::Plan;
use crate::sandbox::Output;
use crate::store::Blob;

/// Compares every expected output, and names those that nobody expected; second, those that are released nowhere.
pub(super) fn compare_outputs(
    plan: &Plan,
    outputs: &[Output],
    released: &[Blob],
    run: &RunFolder,
) -> (Vec<OutputResult>, Vec<String>) {
    let mut results = Vec::new();
    for (expected, blob) in plan.expected.iter().zip(released) {
        let name = &expected.file.name;
        let output = outputs.iter().find(|output| output.name == *name);
        let differs = match output {
            Some(output) if output.sha256 != blob.sha256 => {
                compare::locate(name, &blob.path, &run.rebuilt().join(name))
            }
            _ => None,
        };
        results.push(OutputResult {
            name: name.clone(),
            released: Some(blob.sha256),
            rebuilt: output.map(|output| output.sha256),
            sizes: (Some(blob.size), output.map(|output| output.size)),
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
            .any(|pattern| fits(pattern, &output.name))
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

/// Shell-like pattern with `*` only.
fn fits(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((before, rest)) => name.strip_prefix(before).is_some_and(|tail| {
            (0..=tail.len())
                .filter(|at| tail.is_char_boundary(*at))
                .any(|at| fits(rest, &tail[at..]))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_whole_names() {
        for (pattern, name, expected) in [
            ("*-dbgsym_*.deb", "jq-dbgsym_1.6_amd64.deb", true),
            ("*-dbgsym_*.deb", "jq_1.6_amd64.deb", false),
            ("*.udeb", "a.udeb", true),
            ("*.udeb", "a.udeb.deb", false),
            ("exact", "exact", true),
            ("exact", "exactly", false),
        ] {
            assert_eq!(fits(pattern, name), expected, "{pattern} {name}");
        }
    }
}
