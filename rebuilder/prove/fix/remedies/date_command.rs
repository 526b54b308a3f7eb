//! `date` prints the time of the build; it can print the time of the source instead.

use super::super::edit::{Kind, Rule};
use super::Remedy;
use crate::compare::Cause;
use crate::prove::Knob;

const SHELLS: &[Kind] = &[Kind::Make, Kind::Shell, Kind::PackageJson, Kind::Settings];

pub(super) const REMEDY: Remedy = Remedy {
    name: "date",
    title: "make date print the time of the source, in UTC and without a locale",
    knobs: &[Knob::Clock, Knob::Timezone, Knob::Locale, Knob::SourceTimes],
    causes: &[
        Cause::Timestamp,
        Cause::SourceDateEpoch,
        Cause::Timezone,
        Cause::Locale,
        Cause::Content,
    ],
    rules: &[
        Rule::new(
            SHELLS,
            r"CMD(?:LC_ALL=\S+ |LANG=\S+ |TZ=\S+ )*date(?:\s+-u)?(?:\s+(?:-d|-r)\s*\S+)?END",
            "${1}LC_ALL=C date -u -d @EPOCH${2}",
        )
        .unless(r"date\b.*(?:-d|--date)[= ]?\S*(?:SOURCE_DATE_EPOCH|@)"),
        // What has a time of its own is told in the zone and in the words of who builds.
        Rule::new(
            SHELLS,
            r"CMD(?:LC_ALL=\S+ |LANG=\S+ )*date((?:\s+[^\s;|&)`]+)*?\s+(?:-d|--date))",
            "${1}LC_ALL=C date -u${2}",
        )
        .unless(r"date\b.*\s(?:-u|--utc)"),
        // Times of files that a build tells.
        Rule::new(
            SHELLS,
            r"CMDstat\s+-c\s*['\x22]?%[YyZz]['\x22]?\s+[^\s;)`|&>]+",
            "${1}echo EPOCH",
        ),
    ],
    whole: None,
};
