//! gzip writes the name and time of its input into the header unless it is told not to.

use super::super::edit::{Kind, Rule};
use super::Remedy;
use crate::compare::Cause;
use crate::prove::Knob;

pub(super) const REMEDY: Remedy = Remedy {
    name: "gzip-n",
    title: "run gzip without the name and time of its input",
    knobs: &[Knob::Clock, Knob::SourceTimes, Knob::Temporary],
    causes: &[Cause::Timestamp, Cause::SourceDateEpoch],
    rules: &[
        Rule::new(
            &[Kind::Make, Kind::Shell, Kind::PackageJson, Kind::Settings],
            r"CMD(gzip|pigz)END",
            "${1}${2} -n${3}",
        )
        .unless(r"(gzip|pigz)\b.*\s(-[0-9a-zA-Z]*n|--no-name)|gzip -[a-z]*d"),
        Rule::new(&[Kind::Make], r"(\$[({]GZIP[)}])", "${1} -n").unless(r"\s-[0-9a-z]*n"),
        Rule::new(
            &[Kind::Python, Kind::JavaScript, Kind::Perl],
            r#"(["'])(gzip|pigz)(["'])(\s*,)"#,
            "${1}${2}${3}, ${1}-n${3}${4}",
        )
        .unless(r#"["']-[0-9a-z]*n["']"#),
        Rule::new(
            &[Kind::Python],
            r"gzip\.compress\(ARGS\)",
            "gzip.compress(${1}, mtime=0)",
        )
        .unless("mtime"),
        Rule::new(
            &[Kind::Python],
            r"gzip\.GzipFile\(ARGS\)",
            "gzip.GzipFile(${1}, mtime=0)",
        )
        .unless("mtime"),
        Rule::new(
            &[Kind::Python],
            r#"gzip\.open\(([^()]*(?:\([^()]*\)[^()]*)*),\s*(["'][wx]b?["'])((?:,[^()]*)?)\)"#,
            "gzip.GzipFile(${1}, \"wb\", mtime=0)",
        )
        .unless("mtime|[wx]t"),
    ],
    whole: None,
};
