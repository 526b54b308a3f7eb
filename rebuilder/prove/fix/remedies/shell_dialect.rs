//! The meaning of `echo` with backslashes or options depends on the shell; that of `printf` does not.

use super::super::edit::{Kind, Rule};
use super::Remedy;
use crate::compare::Cause;
use crate::prove::Knob;

pub(super) const REMEDY: Remedy = Remedy {
    name: "printf",
    title: "use printf instead of echo where shells differ",
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
