//! Clocks in JavaScript, Rust, Go, Perl and CMake.

use super::super::edit::{Kind, Rule};
use super::Remedy;
use crate::compare::Cause;
use crate::prove::Knob;

pub(super) const REMEDY: Remedy = Remedy {
    name: "clock",
    title: "make the build program take the time from SOURCE_DATE_EPOCH",
    knobs: &[Knob::Clock, Knob::Timezone, Knob::Locale, Knob::SourceTimes],
    causes: &[
        Cause::Timestamp,
        Cause::SourceDateEpoch,
        Cause::Timezone,
        Cause::Locale,
        Cause::Content,
        Cause::GoBuildInformation,
    ],
    rules: &[
        Rule::new(&[Kind::JavaScript], r"new Date\(\)", "new Date(EPOCH * 1000)").unless("SOURCE_DATE_EPOCH"),
        Rule::new(&[Kind::JavaScript], r"\bDate\.now\(\)", "(EPOCH * 1000)").unless("SOURCE_DATE_EPOCH"),
        Rule::new(&[Kind::JavaScript], r"\.to(?:Locale)?(?:Date|Time)?String\(ARGS\)", ".toISOString()").unless(r"toISOString|\.toString\([0-9]"),
        Rule::new(
            &[Kind::PackageJson],
            r"new Date\(\)",
            "new Date(process.env.SOURCE_DATE_EPOCH * 1000)",
        ),
        Rule::new(
            &[Kind::Rust],
            r"\b(?:std::time::)?SystemTime::now\(\)",
            "(std::time::UNIX_EPOCH + std::time::Duration::from_secs(std::env::var(\"SOURCE_DATE_EPOCH\").ok().and_then(|time| time.parse().ok()).unwrap_or(0)))",
        ),
        Rule::new(
            &[Kind::Rust],
            r#"(Command::new\("date"\))"#,
            "${1}.args([\"-u\", \"-d\", &format!(\"@{}\", std::env::var(\"SOURCE_DATE_EPOCH\").unwrap_or_else(|_| \"0\".into()))])",
        )
        .unless("SOURCE_DATE_EPOCH"),
        Rule::new(
            &[Kind::Go],
            r"\btime\.Now\(\)",
            "func() time.Time { s, _ := strconv.ParseInt(os.Getenv(\"SOURCE_DATE_EPOCH\"), 10, 64); return time.Unix(s, 0).UTC() }()",
        )
        .importing(&["os", "strconv"]),
        Rule::new(&[Kind::Perl], r"\blocaltime\b(?:\(\))?(\s*(?:;|\)|\.|,|$))", "gmtime(EPOCH)${1}").unless("SOURCE_DATE_EPOCH"),
        Rule::new(&[Kind::Perl], r"\blocaltime\b", "gmtime"),
        Rule::new(&[Kind::Perl], r"(^|[\s(=,.])time(?:\(\))?(\s*(?:;|\)|\.|,|$))", "${1}EPOCH${2}").unless("SOURCE_DATE_EPOCH"),
        Rule::new(&[Kind::CMake], r"(string\s*\(\s*TIMESTAMP\s+\w+(?:\s+\x22[^\x22]*\x22)?)\s*\)", "${1} UTC)").unless("UTC"),
    ],
    whole: None,
};
