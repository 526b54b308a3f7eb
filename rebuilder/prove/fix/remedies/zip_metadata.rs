//! zip stores local times, owners and the order of listings.

use super::super::edit::{Kind, Rule};
use super::Remedy;
use crate::compare::Cause;
use crate::prove::Knob;

const SHELLS: &[Kind] = &[Kind::Make, Kind::Shell, Kind::PackageJson, Kind::Settings];

/// Sets the time of everything, sorts, and stores no extra fields; times are local ones in a zip.
const ZIP: &str = "${1}find ${4} -exec touch -h -d @EPOCH {} + && find ${4} -exec chmod u+rwX,go+rX,go-w {} + && find ${4} | LC_ALL=C sort | TZ=UTC zip -X ${2}${3} -@";

pub(super) const REMEDY: Remedy = Remedy {
    name: "zip-metadata",
    title: "run zip with fixed times, sorted names and no extra fields",
    knobs: &[
        Knob::Clock,
        Knob::SourceTimes,
        Knob::Timezone,
        Knob::ListingOrder,
        Knob::Umask,
        Knob::Ids,
        Knob::User,
    ],
    causes: &[
        Cause::Timestamp,
        Cause::SourceDateEpoch,
        Cause::Timezone,
        Cause::Ownership,
        Cause::Permissions,
        Cause::Order,
    ],
    rules: &[
        Rule::new(
            SHELLS,
            r"CMDzip\s+((?:-[a-zA-Z0-9]+\s+)*)(\S+)\s+([^-|;&>)`\s][^|;&>)`\x22]*)",
            ZIP,
        )
        .unless("-@"),
        Rule::new(
            &[Kind::Python],
            r"\b(\w+)\.write\(([\w./]+|os\.path\.join\([^()]*\)|str\([^()]*\))\s*,\s*(?:arcname\s*=\s*)?([^()]*(?:\([^()]*\)[^()]*)*)\)",
            "${1}.writestr(zipfile.ZipInfo(str(${3}), (1980, 1, 1, 0, 0, 0)), open(${2}, \"rb\").read())",
        ),
        Rule::new(
            &[Kind::Python],
            r"\b(z|zf|zip_?file|archive|zipf|zipped)\.write\(([\w.]+)\)",
            "${1}.writestr(zipfile.ZipInfo(str(${2}), (1980, 1, 1, 0, 0, 0)), open(${2}, \"rb\").read())",
        ),
        Rule::new(
            &[Kind::Python],
            r"\b(z|zf|zip_?file|archive|zipf|zipped)\.writestr\((f?[\x22'][^\x22']*[\x22']|\w+)\s*,",
            "${1}.writestr(zipfile.ZipInfo(${2}, (1980, 1, 1, 0, 0, 0)),",
        ),
        Rule::new(
            &[Kind::Make, Kind::Shell],
            r"CMDjar\s+(-?c[a-zA-Z]*)\s",
            "${1}jar --date=\"§(date -u -d @EPOCH +%Y-%m-%dT%H:%M:%SZ)\" --${2} ",
        )
        .unless("--date"),
    ],
    whole: None,
};
