//! Parallel work ends in any order.

use super::super::edit::{Kind, Rule};
use super::Remedy;
use crate::compare::Cause;
use crate::prove::Knob;

pub(super) const REMEDY: Remedy = Remedy {
    name: "not-parallel",
    title: "run steps that depend on an order one after the other",
    knobs: &[Knob::Parallelism, Knob::Processors, Knob::Load],
    causes: &[
        Cause::Order,
        Cause::Parallelism,
        Cause::Content,
        Cause::Compression,
        Cause::Randomness,
    ],
    rules: &[
        Rule::new(
            &[Kind::Make, Kind::Shell, Kind::Settings],
            r"\b(xargs\s(?:[^|;]*\s)?)-P\s*\S+",
            "${1}-P1",
        ),
        Rule::new(
            &[Kind::Make, Kind::Shell, Kind::Settings],
            r"\b(xz|zstd|pigz|pixz)(\s(?:[^|;]*\s)?)(?:-T|-p|--threads=)\s*[^\s|;]+",
            "${1}${2}-T1",
        )
        .unless("pigz"),
        Rule::new(
            &[Kind::Make, Kind::Shell, Kind::Settings],
            r"\b(make\s(?:[^|;]*\s)?)-j\s*(?:\$\S+|[0-9]+)",
            "${1}-j1",
        ),
    ],
    whole: Some(not_parallel),
};

fn not_parallel(kind: Kind, text: &str) -> Option<String> {
    (kind == Kind::Make && !text.contains(".NOTPARALLEL"))
        .then(|| format!("{}\n.NOTPARALLEL:\n", text.trim_end_matches('\n')))
}
