//! `ar` and `ranlib` store times, owners and permissions unless they are told to store zeros.

use super::super::edit::{Kind, Rule};
use super::Remedy;
use crate::compare::Cause;
use crate::prove::Knob;

pub(super) const REMEDY: Remedy = Remedy {
    name: "ar-deterministic",
    title: "make ar and ranlib store no times, owners or permissions",
    knobs: &[Knob::Clock, Knob::SourceTimes, Knob::User, Knob::Ids, Knob::Umask],
    causes: &[
        Cause::Timestamp,
        Cause::SourceDateEpoch,
        Cause::Ownership,
        Cause::Permissions,
    ],
    rules: &[
        Rule::new(
            &[Kind::Make, Kind::Shell, Kind::Settings],
            r"((?:\bar|\$[({]AR[)}])\s+-?)([a-zA-Z]*)U([a-zA-Z]*\s)",
            "${1}${2}D${3}",
        ),
        Rule::new(
            &[Kind::Make, Kind::Shell, Kind::Settings],
            r"((?:\bar|\$[({]AR[)}])\s+-?)([a-zA-CE-Z]*[rq][a-zA-CE-Z]*)(\s)",
            "${1}${2}D${3}",
        )
        .unless(r"\bar\s+-?[a-zA-Z]*D"),
        Rule::new(
            &[Kind::Make],
            r"^(ARFLAGS\s*[:?+]?=\s*-?)([a-zA-Z]*)U([a-zA-Z]*\s*)$",
            "${1}${2}D${3}",
        ),
        Rule::new(
            &[Kind::Make],
            r"^(ARFLAGS\s*[:?+]?=\s*-?)([a-zA-CE-Z]+)\s*$",
            "${1}${2}D",
        ),
        Rule::new(
            &[Kind::Make, Kind::Shell, Kind::Settings],
            r"CMD(ranlib|\$[({]RANLIB[)}])\s+(?:-U\s+)?",
            "${1}${2} -D ",
        )
        .unless(r"-D\b"),
        Rule::new(
            &[Kind::Make, Kind::Shell, Kind::Settings],
            r"\b((?:strip|objcopy)\s+(?:\S+\s+)*?)-U\b",
            "${1}-D",
        ),
    ],
    whole: None,
};
