//! Clocks in Python.

use super::super::edit::{Kind, Rule};
use super::Remedy;
use crate::compare::Cause;
use crate::prove::Knob;

const PY: &[Kind] = &[Kind::Python];
const CLOCK: &[&str] = &["os", "time"];

pub(super) const REMEDY: Remedy = Remedy {
    name: "python-time",
    title: "make Python take the time from SOURCE_DATE_EPOCH",
    knobs: &[Knob::Clock, Knob::Timezone, Knob::Locale, Knob::SourceTimes],
    causes: &[
        Cause::Timestamp,
        Cause::SourceDateEpoch,
        Cause::Timezone,
        Cause::Locale,
        Cause::Content,
    ],
    rules: &[
        Rule::new(PY, r"\btime\.time(?:_ns)?\(\)", "EPOCH")
            .unless("SOURCE_DATE_EPOCH")
            .importing(CLOCK),
        Rule::new(PY, r"\btime\.(?:localtime|gmtime)\(\)", "time.gmtime(EPOCH)")
            .unless("SOURCE_DATE_EPOCH")
            .importing(CLOCK),
        Rule::new(PY, r"\btime\.localtime\(", "time.gmtime("),
        Rule::new(
            PY,
            r"\btime\.(?:ctime|asctime)\(\)",
            "time.asctime(time.gmtime(EPOCH))",
        )
        .unless("SOURCE_DATE_EPOCH")
        .importing(CLOCK),
        Rule::new(
            PY,
            r#"\btime\.strftime\((\s*f?(?:"[^"]*"|'[^']*')\s*)\)"#,
            "time.strftime(${1}, time.gmtime(EPOCH))",
        )
        .unless("SOURCE_DATE_EPOCH")
        .importing(CLOCK),
        Rule::new(
            PY,
            r"\b((?:datetime\.|dt\.)?datetime)\.(?:now|utcnow|today)\(ARGS\)",
            "${1}.utcfromtimestamp(EPOCH)",
        )
        .unless("SOURCE_DATE_EPOCH")
        .importing(CLOCK),
        Rule::new(
            PY,
            r"\b((?:datetime\.|dt\.)?datetime)\.fromtimestamp\(([^(),]*(?:\([^()]*\)[^(),]*)*)\)",
            "${1}.utcfromtimestamp(${2})",
        )
        .unless("SOURCE_DATE_EPOCH|utc"),
        Rule::new(
            PY,
            r"\b((?:datetime\.|dt\.)?date)\.today\(\)",
            "${1}.fromordinal(719163 + EPOCH // 86400)",
        )
        .unless("SOURCE_DATE_EPOCH")
        .importing(CLOCK),
        Rule::new(PY, r"\bos\.path\.get[mc]time\(ARGS\)", "EPOCH")
            .unless("SOURCE_DATE_EPOCH")
            .importing(CLOCK),
        Rule::new(
            PY,
            r"\bos\.stat\(ARGS\)\.st_[mc]time(?:_ns)?|\b\w+\.stat\(\)\.st_[mc]time(?:_ns)?",
            "EPOCH",
        )
        .unless("SOURCE_DATE_EPOCH")
        .importing(CLOCK),
        // What is formatted for people in the locale's words.
        Rule::new(
            PY,
            r#"(strftime\(\s*f?["'][^"']*)%[cxX]"#,
            "${1}%Y-%m-%d %H:%M:%S",
        ),
        Rule::new(
            PY,
            r#"locale\.setlocale\(locale\.LC_\w+,\s*["'][^"']*["']\)"#,
            "locale.setlocale(locale.LC_ALL, \"C\")",
        )
        .unless("\"C\""),
        // What is told to `date`.
        Rule::new(
            PY,
            r#"(["'])date["'](\s*[,\]])"#,
            "${1}date${1}, \"-u\", \"-d\", \"@\" + str(EPOCH)${2}",
        )
        .unless("SOURCE_DATE_EPOCH|-d")
        .importing(CLOCK),
    ],
    whole: None,
};
