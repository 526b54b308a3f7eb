//! `__DATE__` and `__TIME__` are the time at which the compiler ran; `__TIMESTAMP__` is the time at which the file was
//! changed.

use super::super::edit::{Kind, Rule};
use super::Remedy;
use crate::compare::Cause;
use crate::prove::Knob;

pub(super) const REMEDY: Remedy = Remedy {
    name: "preprocessor-date",
    title: "write no time of compilation to the program",
    knobs: &[Knob::Clock, Knob::SourceTimes, Knob::Timezone],
    causes: &[
        Cause::Timestamp,
        Cause::Timezone,
        Cause::SourceDateEpoch,
        Cause::Content,
    ],
    rules: &[
        // Compilers take these two from SOURCE_DATE_EPOCH.
        Rule::new(&[Kind::C], r"\b__TIMESTAMP__\b", "__DATE__ \" \" __TIME__"),
        Rule::new(&[Kind::Make], r"\b(?:unset|unexport)\s+SOURCE_DATE_EPOCH\b;?", "").unless("^\t"),
        Rule::new(&[Kind::Make, Kind::Shell], r"\benv -u SOURCE_DATE_EPOCH\s+", ""),
        Rule::new(
            &[Kind::Make, Kind::Shell],
            r"\bunset SOURCE_DATE_EPOCH\s*(?:;|&&)\s*",
            "",
        ),
        Rule::new(&[Kind::Shell], r"^\s*unset SOURCE_DATE_EPOCH\s*$", ""),
    ],
    whole: None,
};
