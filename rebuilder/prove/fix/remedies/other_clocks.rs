//! Clocks in JavaScript, Rust, Go, Perl, Ruby, Lua, awk, bash, C, CMake and Meson.

use super::super::edit::{Kind, Rule};
use super::Remedy;
use crate::compare::Cause;
use crate::prove::Knob;

const AWKS: &[Kind] = &[
    Kind::Awk,
    Kind::Make,
    Kind::Shell,
    Kind::PackageJson,
    Kind::Settings,
];

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
        // What crates make of a time of the standard library.
        Rule::new(
            &[Kind::Rust],
            r"(^|[^:\w])((?:\w+::)*chrono::)(?:offset::|prelude::)?(?:Utc|Local)::now\(\)",
            "${1}${2}DateTime::<${2}Utc>::from(EPOCH)",
        ),
        Rule::new(
            &[Kind::Rust],
            r"(^|[^:\w])(?:Utc|Local)::now\(\)",
            "${1}::chrono::DateTime::<::chrono::Utc>::from(EPOCH)",
        ),
        Rule::new(
            &[Kind::Rust],
            r"\b((?:\w+::)*OffsetDateTime)::now_utc\(\)",
            "${1}::from(EPOCH)",
        ),
        Rule::new(
            &[Kind::Rust],
            r"\b((?:\w+::)*)OffsetDateTime::now_local\(\)",
            "Ok::<_, ::time::error::IndeterminateOffset>(${1}OffsetDateTime::from(EPOCH))",
        ),
        Rule::new(
            &[Kind::Rust],
            r"\b((?:\w+::)*Timestamp)::now\(\)",
            "${1}::try_from(EPOCH).unwrap_or_default()",
        ),
        Rule::new(
            &[Kind::Rust],
            r"\b((?:\w+::)*)Zoned::now\(\)",
            "::jiff::Timestamp::try_from(EPOCH).unwrap_or_default().to_zoned(::jiff::tz::TimeZone::UTC)",
        ),
        Rule::new(
            &[Kind::Rust],
            r"\b(?:std::time::)?SystemTime::now\(\)",
            "(EPOCH)",
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
        Rule::new(&[Kind::Ruby], r"\bTime\.now\b", "Time.at(EPOCH).utc").unless("SOURCE_DATE_EPOCH"),
        Rule::new(&[Kind::Ruby], r"\bDate\.today\b", "Time.at(EPOCH).utc.to_date").unless("SOURCE_DATE_EPOCH"),
        Rule::new(&[Kind::Ruby], r"\bDateTime\.now\b", "Time.at(EPOCH).utc.to_datetime").unless("SOURCE_DATE_EPOCH"),
        Rule::new(&[Kind::Lua], r#"\bos\.date\(\s*(["'])!?([^"']*)["']\s*\)"#, "os.date(${1}!${2}${1}, EPOCH)").unless("SOURCE_DATE_EPOCH"),
        Rule::new(&[Kind::Lua], r"\bos\.date\(\s*\)", "os.date(\"!%c\", EPOCH)").unless("SOURCE_DATE_EPOCH"),
        Rule::new(&[Kind::Lua], r"\bos\.time\(\s*\)", "EPOCH").unless("SOURCE_DATE_EPOCH"),
        // awk in scripts of its own, and in those of shells.
        Rule::new(AWKS, r#"\bstrftime\(\s*(\\?"[^"]*")\s*\)"#, "strftime(${1}, ENVIRON[\"SOURCE_DATE_EPOCH\"], 1)").unless("SOURCE_DATE_EPOCH"),
        Rule::new(AWKS, r"\bsystime\(\s*\)", "ENVIRON[\"SOURCE_DATE_EPOCH\"]").unless("SOURCE_DATE_EPOCH"),
        Rule::new(AWKS, r"\bsrand\(\s*\)", "srand(0)"),
        // What bash itself knows.
        Rule::new(&[Kind::Make, Kind::Shell, Kind::Settings], r"\b(printf\s.*%\([^)]*\)T.*?\s)-1\b", "TZ=UTC0 ${1}EPOCH").unless("SOURCE_DATE_EPOCH"),
        Rule::new(&[Kind::Make], r"\$\$(?:EPOCHSECONDS\b|\{EPOCHSECONDS\})", "EPOCH"),
        Rule::new(&[Kind::Shell, Kind::Settings], r"\$(?:EPOCHSECONDS\b|\{EPOCHSECONDS\})", "EPOCH"),
        Rule::new(&[Kind::C], r"\b(?:std::)?time\s*\(\s*(?:NULL|0|nullptr)\s*\)", "EPOCH").unless("SOURCE_DATE_EPOCH").importing(&["stdlib.h"]),
        Rule::new(&[Kind::C], r"\b(?:std::)?time\s*\(\s*&\s*(\w+)\s*\)", "(${1} = EPOCH)").unless("SOURCE_DATE_EPOCH").importing(&["stdlib.h"]),
        Rule::new(&[Kind::C], r"\blocaltime(_r)?(\s*\()", "gmtime${1}${2}"),
        Rule::new(&[Kind::CMake], r"(\bCOMMAND\s+)date\b", "${1}date -u -d @§ENV{SOURCE_DATE_EPOCH}").unless("SOURCE_DATE_EPOCH"),
        Rule::new(
            &[Kind::Meson],
            r"(\brun_command\(\s*\[?\s*)'date'",
            "${1}'sh', '-c', 'LC_ALL=C exec date -u -d @§{SOURCE_DATE_EPOCH:-0} \"§@\"', 'date'",
        )
        .unless("SOURCE_DATE_EPOCH"),
        Rule::new(&[Kind::CMake], r"(string\s*\(\s*TIMESTAMP\s+\w+(?:\s+\x22[^\x22]*\x22)?)\s*\)", "${1} UTC)").unless("UTC"),
    ],
    whole: None,
};
