//! `echo` with backslashes or options does not mean the same in every shell; `printf` does.

use super::super::edit::{Kind, Rule};
use super::Remedy;
use crate::compare::Cause;
use crate::prove::Knob;

pub(super) const REMEDY: Remedy = Remedy {
    name: "printf",
    title: "printf instead of what shells do not agree on",
    knobs: &[Knob::Shell],
    causes: &[Cause::Content],
    rules: &[
        Rule::new(
            &[Kind::Make, Kind::Shell, Kind::Settings],
            r"CMDecho\s+-e\s+",
            "${1}printf '%b\\n' ",
        ),
        Rule::new(
            &[Kind::Make, Kind::Shell, Kind::Settings],
            r"CMDecho\s+-n\s+",
            "${1}printf '%s' ",
        ),
        Rule::new(
            &[Kind::Make, Kind::Shell, Kind::Settings],
            r#"CMDecho\s+((?:"[^"]*"|'[^']*')\s*(?:$|[>|;&)]))"#,
            "${1}printf '%b\\n' ${2}",
        )
        .unless(r"printf"),
    ],
    whole: None,
};
